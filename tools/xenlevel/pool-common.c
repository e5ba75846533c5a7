/* SPDX-License-Identifier: MIT */
/* See pool-commands.h: what the commands share. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "out.h"
#include "pool-commands.h"
#include "util.h"

int pool_session_open(struct pool_session *s, const char *where)
{
    memset(s, 0, sizeof(*s));
    s->store = pool_open(where, false);
    if (!s->store)
        return STATUS_TROUBLE;
    if (pool_load(s->store, &s->pool))
        return complain("%s", s->pool.error);
    for (size_t i = 0; i < s->pool.n_strays; i++)
        warn("%s: %s is of no member, and left out: the record of its host is not there",
             store_name(s->store), s->pool.strays[i].key);
    return STATUS_YES;
}

void pool_session_close(struct pool_session *s)
{
    if (!s->store)
        return;
    pool_free(&s->pool);
    store_close(s->store);
    s->store = NULL;
}

size_t pool_session_host(const struct pool_session *s, const char *name)
{
    size_t host = pool_find_host(&s->pool, name);

    if (host == POOL_NONE)
        warn("there is no host '%s' in pool %s (%s)", name, s->pool.record->name,
             store_name(s->store));
    return host;
}

int pool_change_status(int outcome)
{
    return outcome < 0 ? STATUS_TROUBLE : outcome == 2 ? STATUS_NO : STATUS_YES;
}

const char *pool_size_text(uint64_t bytes, char buf[static 32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    unsigned int unit = 0;
    uint64_t whole = bytes;

    while (whole >= 10240 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        whole /= 1024;
        unit++;
    }
    (void)snprintf(buf, 32, "%" PRIu64 " %s", whole, units[unit]);
    return buf;
}

long pool_age_seconds(const char *when)
{
    char now_text[21];
    time_t then, now;

    date_now(now_text);
    if (!date_read(when, &then) || !date_read(now_text, &now) || now < then)
        return -1;
    return (long)(now - then);
}

char *pool_age_text(const char *when)
{
    static const struct {
        long seconds;
        const char *unit;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    long age = pool_age_seconds(when);
    time_t then;

    if (!date_read(when, &then))
        return xstrdup(when);
    for (size_t i = 0; age > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        long n = age / units[i].seconds;

        if (n)
            return xasprintf("%ld %s%s ago", n, units[i].unit, n == 1 ? "" : "s");
    }
    return xstrdup("just now");
}
