/* SPDX-License-Identifier: MIT */
/*
 * Which registry a command is about.
 */
#include <errno.h>
#include <stdlib.h>

#include "out.h"
#include "pool.h"
#include "store.h"
#include "store_config.h"
#include "util.h"

/* malloc'ed; NULL after a message. */
static char *find_where(const char *option)
{
    const char *named = getenv("XENLEVEL_POOL");
    struct store_config config;
    char why[512], *where = NULL;

    if (option)
        return xstrdup(option);
    if (named && named[0])
        return xstrdup(named);
    if (store_config_read(&config, why, sizeof(why)))
        warn("%s", why);
    else if (config.store)
        where = xstrdup(config.store);
    else
        warn("which pool? say it by --pool, by XENLEVEL_POOL, or by `store = WHERE` in %s",
             config.path);
    store_config_free(&config);
    return where;
}

struct store *pool_open(const char *option, bool create)
{
    char *where = find_where(option);
    struct store *store;

    if (!where)
        return NULL;
    if (store_open(where, create, &store)) {
        int err = errno;

        if (!store)
            out_of_memory();
        warn("%s", store_error(store));
        store_close(store);
        store = NULL;
        errno = err;
    }
    free(where);
    return store;
}
