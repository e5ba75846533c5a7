/* SPDX-License-Identifier: MIT */
/*
 * A change of a pool, as programs read it.
 */
#ifndef POOL_EVENT_H
#define POOL_EVENT_H

#include "json.h"
#include "pool.pb-c.h"

/* Write an event as an object of an array: when, who, what, subject, details, why (null: not
 * said). */
void json_event(struct json *j, const Xenlevel__Event *e);

#endif /* POOL_EVENT_H */
