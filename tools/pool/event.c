/* SPDX-License-Identifier: MIT */
/* A change of a pool, as programs read it: see event.h. */
#include "event.h"

void json_event(struct json *j, const Xenlevel__Event *e)
{
    json_object(j, NULL);
    json_string(j, "when", e->when);
    json_string(j, "who", e->who);
    json_string(j, "what", e->what);
    json_string(j, "subject", e->subject);
    json_array(j, "details");
    for (size_t i = 0; i < e->n_details; i++)
        json_string(j, NULL, e->details[i]);
    json_close_array(j);
    json_string(j, "why", e->why[0] ? e->why : NULL);
    json_close_object(j);
}
