/* SPDX-License-Identifier: MIT */
/*
 * What the files of `xenlevel livepatch` share, and what others ask about the level that a live
 * patch has domains born on.
 */
#ifndef XENLEVEL_LIVEPATCH_H
#define XENLEVEL_LIVEPATCH_H

#include <born.h>

#include "commands.h"
#include "payload.h"
#include "subject.h"

/* Its name in the hypervisor; there can be one of it. */
#define PATCH_NAME "xenlevel"
/* The level that is loaded with it at boot. */
#define LEVEL_FILE STATE_DIR "/level.xlp"

struct livepatch_request {
    const struct command *cmd;
    const char *syms, *output, *root, *level, *where;
    bool json, all, keep;
    int argc; /* behind the verb */
    char **argv;
};

/* livepatch-load.c: the verbs about the running hypervisor.  They return a status. */
int livepatch_load(const struct livepatch_request *q);
int livepatch_status(const struct livepatch_request *q);
int livepatch_unload(const struct livepatch_request *q);

/* Open the running hypervisor.  Returns 0; or -1 after a line of the library's. */
int livepatch_open_xen(xc_handle **xch, struct xc_version *v);

/* ---- livepatch-level.c ---- */

enum { BORN_NAME = 64 };

/* A level as the payload carries it for this host. */
struct born_plan {
    struct born_level table;
    char name[BORN_NAME];
    uint32_t check;                         /* the level's file's own check sum */
    struct featureset given_up[BORN_TYPES]; /* what new domains will no longer have */
    bool said[BORN_TYPES];                  /* the level says something of that type */
};

/*
 * Work out what a level changes in the default policies of the running hypervisor, which has no
 * level yet.  Returns a status: 1 after it was said by name what this host cannot give.
 */
int born_plan_make(xc_handle *xch, const struct subject *level, struct born_plan *plan);
/* Write it into a payload.  Returns 0; or -1 after a message: it is of an older xenlevel. */
int born_plan_put(const struct born_plan *plan, const char *path, struct payload *p);
/* Keep beside the running hypervisor what its default policies were, and forget it.  Returns 0; or
 * -1 after a message. */
int born_plan_keep(const struct born_plan *plan);
void born_plan_forget(void);
/* Say what new domains do without. */
void born_plan_print(const struct born_plan *plan);

/* The level that the running live patch has new domains born on. */
struct born_now {
    char name[BORN_NAME]; /* "": none */
    uint32_t check;
    bool known; /* what the default policies were before is known (XC_BORN_FILE) */
};

/* Ask the running hypervisor.  Returns 0; or -1 logged by xch (EOPNOTSUPP: no live patches). */
int born_now_read(xc_handle *xch, struct born_now *now);
/* Return whether that level is this one. */
bool born_now_is(const struct born_now *now, const struct subject *level);

#endif /* XENLEVEL_LIVEPATCH_H */
