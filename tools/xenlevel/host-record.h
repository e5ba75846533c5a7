/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a host in the registry when it joins, and when it refreshes.
 */
#ifndef XENLEVEL_HOST_RECORD_H
#define XENLEVEL_HOST_RECORD_H

#include "change.h"
#include "drift.h"
#include "host-self.h"

/* A host that has not refreshed for so long is silent: three times its timer's five minutes. */
#define POOL_SEEN_SECONDS 900u

/* Put a new member: its record, capture, domains and seen/. */
void host_record_join(struct pool_change *c, const struct pool *p, const struct host_self *self);

/* What a refresh found. */
struct host_refresh {
    bool changed;   /* something besides the time */
    char **details; /* what, in sentences */
    size_t n_details;
    char *drift; /* in one line; "" for none */
};

/*
 * Put what changed of a member, p->hosts[host].  base: the host as it was when it was last in order
 * (pool-base.h).  Fills *r, which is zero or an earlier refresh's.
 */
void host_record_refresh(struct pool_change *c, const struct pool *p, size_t host,
                         const struct host_self *self, const struct pool_moment *base,
                         struct host_refresh *r);
void host_refresh_free(struct host_refresh *r);

#endif /* XENLEVEL_HOST_RECORD_H */
