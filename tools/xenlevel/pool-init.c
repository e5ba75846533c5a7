/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool init: make a registry.
 */
#include <stdlib.h>

#include "change.h"
#include "out.h"
#include "pool-commands.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'n', "name", "NAME", "what the pool is called (default: \"pool\")"},
    POOL_WHY,
    CMD_END,
};

static int make_pool(const char *where, const char *name, const char *why)
{
    struct store *store = pool_open(where, true);
    int rc;

    if (!store)
        return STATUS_TROUBLE;
    rc = pool_create(store, name, why);
    if (!rc)
        out_text(stdout, 0, 2, "pool '%s' is in %s", name, store_name(store));
    store_close(store);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

static int run_init(const struct command *cmd, int argc, char **argv)
{
    const char *value, *where = NULL, *name = "pool", *why = NULL;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'n')
            name = value;
        else if (letter == 'w')
            why = value;
        else
            return STATUS_TROUBLE;
    }
    if (argc != first)
        return cmd_usage(cmd, "it takes no arguments");
    if (!name[0])
        return cmd_usage(cmd, "a pool has a name");
    return make_pool(where, name, why);
}

const struct command pool_cmd_init = {
    .group = "pool",
    .name = "init",
    .args = "",
    .summary = "make a registry",
    .about = "Makes a registry without hosts: in a folder, which is made where there is none, or "
             "in etcd. A folder may be on a shared file system, or under git. Where a pool is "
             "already nothing is changed, and the status is 2.",
    .options = options,
    .run = run_init,
};
