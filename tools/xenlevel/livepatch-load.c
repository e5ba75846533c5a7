/* SPDX-License-Identifier: MIT */
/*
 * xenlevel livepatch load, status, unload: the running hypervisor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "kept.h"
#include "livepatch.h"
#include "out.h"
#include "pool-commands.h"
#include "store.h"
#include "util.h"

int livepatch_open_xen(xc_handle **xch, struct xc_version *v)
{
    *xch = xc_interface_open(NULL);
    if (!*xch)
        return -1;
    if (xc_version(*xch, v)) {
        xc_interface_close(*xch);
        return -1;
    }
    return 0;
}

/* What is to be loaded, and into what. */
struct load {
    xc_handle *xch;
    struct xc_version xen;
    char *path;
    struct payload payload;
    struct subject *level;  /* NULL: none */
    struct born_plan *plan; /* of it; NULL: the default policies stay */
    bool asked;             /* --level: without the level nothing is to be loaded */
    bool replaces;          /* the audit was in, and has made room */
};

static int take_out(xc_handle *xch, bool applied)
{
    if (applied && xc_livepatch_action(xch, PATCH_NAME, XC_LIVEPATCH_REVERT)) {
        warn("it stays in, as it was: `xl dmesg` says why");
        return -1;
    }
    born_plan_forget();
    return xc_livepatch_action(xch, PATCH_NAME, XC_LIVEPATCH_UNLOAD);
}

/* The level for this host.  Returns a status; 0 and no l->plan: it is loaded without. */
static int plan_level(struct load *l)
{
    int status;

    if (!l->level)
        return STATUS_YES;
    l->plan = xcalloc(1, sizeof(*l->plan));
    status = born_plan_make(l->xch, l->level, l->plan);
    if (status == STATUS_NO && !l->asked) {
        free(l->plan);
        l->plan = NULL;
        return STATUS_YES;
    }
    if (status == STATUS_YES && born_plan_put(l->plan, l->path, &l->payload))
        status = STATUS_TROUBLE;
    return status;
}

/* Say what is there already, or make room.  Returns a status, 0 to go on. */
static int make_room(struct load *l)
{
    struct xc_livepatch_status status;
    struct born_now now = {.name = ""};

    if (xc_livepatch_get(l->xch, PATCH_NAME, &status))
        return STATUS_TROUBLE;
    if (status.state == XC_LIVEPATCH_ABSENT)
        return STATUS_YES;
    if (status.state == XC_LIVEPATCH_APPLIED && born_now_read(l->xch, &now))
        return STATUS_TROUBLE;
    if (status.state == XC_LIVEPATCH_APPLIED && (!l->plan || born_now_is(&now, l->level))) {
        if (now.name[0])
            warn("the audit is in this hypervisor already, and new domains are born on the level "
                 "of '%s'",
                 now.name);
        else
            warn("the audit is in this hypervisor already");
        return STATUS_NO;
    }
    /* One that was left uploaded, but not applied, gives way, and one of another level too. */
    l->replaces = status.state == XC_LIVEPATCH_APPLIED;
    return take_out(l->xch, l->replaces) ? STATUS_TROUBLE : STATUS_YES;
}

static void report_load(const struct load *l)
{
    if (!l->plan) {
        out_print(stdout, "the audit is in Xen %s now (%zu bytes)\n", l->xen.text, l->payload.size);
        return;
    }
    out_print(stdout,
              "the audit is in Xen %s now (%zu bytes), and new domains are born on the level of "
              "'%s'\n",
              l->xen.text, l->payload.size, l->plan->name);
    born_plan_print(l->plan);
}

/* Upload and apply.  Returns 0; or -1 after a message. */
static int put_image(const struct load *l)
{
    if (l->plan && born_plan_keep(l->plan))
        return -1;
    if (xc_livepatch_upload(l->xch, PATCH_NAME, l->payload.image, l->payload.size)) {
        born_plan_forget();
        return -1;
    }
    if (!xc_livepatch_action(l->xch, PATCH_NAME, XC_LIVEPATCH_APPLY))
        return 0;
    warn("its self-test found a difference, or Xen could not patch: `xl dmesg` says which");
    (void)take_out(l->xch, false);
    return -1;
}

static int put_in(struct load *l)
{
    int status;

    if (strcmp(l->xen.build_id, l->payload.xen_build_id) != 0) {
        warn("%s is for the hypervisor with build-id %s, running is %s (Xen %s): build one for it "
             "with `xenlevel livepatch build`",
             l->path, l->payload.xen_build_id, l->xen.build_id, l->xen.text);
        return STATUS_TROUBLE;
    }
    status = plan_level(l);
    status = status ? status : make_room(l);
    if (status)
        return status;
    if (put_image(l)) {
        if (l->replaces)
            warn("the audit is out of this hypervisor now");
        return STATUS_TROUBLE;
    }
    report_load(l);
    if (l->level && !l->plan) {
        warn("new domains are born as before, not on the level of '%s'", l->level->name);
        return STATUS_TROUBLE;
    }
    return STATUS_YES;
}

/* What is loaded: the file that was named, or what was built for the running hypervisor. */
static char *choose_payload(const struct livepatch_request *q, const struct xc_version *v)
{
    char *why;

    if (q->argc)
        return xstrdup(q->argv[0]);
    if (kept_is_good("", v->build_id, &why))
        return kept_path("", v->build_id);
    warn("Xen %s: %s", v->text, why);
    free(why);
    return NULL;
}

/* A copy of a level of the registry, with its version in its name.  Returns 0; or -1 after a
 * message. */
static int copy_pool_level(const struct pool_level *from, struct subject *level)
{
    char *origin = xasprintf("the pool's level %s", from->name);
    struct xlp_error error;
    size_t len;
    void *bytes = xlp_encode(from->file, &len);
    Xenlevel__File *file = xlp_decode(origin, bytes, len, &error);

    if (file) {
        subject_from_file(level, file, origin);
        free(level->name);
        level->name = xstrdup(from->name);
    } else {
        warn("%s", error.text);
    }
    free(bytes);
    free(origin);
    return file ? 0 : -1;
}

/* A level of the pool's registry: "web.v3".  Returns 0; or -1 after a message. */
static int open_pool_level(const struct livepatch_request *q, struct subject *level)
{
    struct pool_session s;
    int rc = -1;

    if (!pool_session_open(&s, q->where)) {
        size_t i = pool_find_level(&s.pool, q->level);

        if (i == POOL_NONE)
            warn("%s: no such file, and the %s has no such level", q->level, store_name(s.store));
        else
            rc = copy_pool_level(&s.pool.levels[i], level);
    }
    pool_session_close(&s);
    return rc;
}

/* The level that was named, or the one that is kept for the boot.  Returns 0; or -1 after a
 * message. */
static int open_level(const struct livepatch_request *q, struct load *l)
{
    const char *path = q->level ? q->level : LEVEL_FILE;

    l->asked = q->level != NULL;
    if (!q->level && (q->argc || access(path, F_OK)))
        return 0;
    l->level = xcalloc(1, sizeof(*l->level));
    if (q->level && !strchr(q->level, '/') && access(q->level, F_OK))
        return open_pool_level(q, l->level);
    if (subject_open(path, l->level))
        return -1;
    if (l->level->kind == SUBJECT_LEVEL)
        return 0;
    warn("%s is not a pool's level", l->level->origin);
    return -1;
}

/* For the next boot.  Returns a status. */
static int keep_level(const struct load *l)
{
    struct xlp_error error;

    if (kept_make_folder(""))
        return STATUS_TROUBLE;
    if (!xlp_save(LEVEL_FILE, l->level->file, &error))
        return STATUS_YES;
    warn("%s", error.text);
    return STATUS_TROUBLE;
}

static int load_opened(const struct livepatch_request *q, struct load *l)
{
    int status = STATUS_TROUBLE;

    l->path = choose_payload(q, &l->xen);
    if (!l->path || payload_read(l->path, &l->payload))
        return STATUS_TROUBLE;
    status = put_in(l);
    payload_free(&l->payload);
    /* That it is in already is no reason not to keep it. */
    if (q->keep && l->plan && status != STATUS_TROUBLE && keep_level(l))
        status = STATUS_TROUBLE;
    return status;
}

int livepatch_load(const struct livepatch_request *q)
{
    int status = STATUS_TROUBLE;
    struct load l = {.path = NULL};
    struct payload p;

    if (q->argc > 1)
        return cmd_usage(q->cmd, "load takes one payload's file at most");
    /* A bad file is said to be one where no Xen runs, too. */
    if (q->argc && payload_read(q->argv[0], &p))
        return STATUS_TROUBLE;
    if (q->argc)
        payload_free(&p);
    if (!open_level(q, &l) && !livepatch_open_xen(&l.xch, &l.xen)) {
        status = load_opened(q, &l);
        xc_interface_close(l.xch);
    }
    if (l.level)
        subject_close(l.level);
    free(l.level);
    free(l.plan);
    free(l.path);
    return status;
}

static const char *state_name(enum xc_livepatch_state state)
{
    return state == XC_LIVEPATCH_APPLIED   ? "applied"
           : state == XC_LIVEPATCH_CHECKED ? "uploaded, not applied"
                                           : "not loaded";
}

static int status_json(const struct xc_version *v, enum xc_livepatch_state state,
                       const struct born_now *now)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "xen", v->text);
    json_string(j, "build_id", v->build_id);
    json_string(j, "state", state_name(state));
    json_bool(j, "applied", state == XC_LIVEPATCH_APPLIED);
    if (now->name[0]) {
        json_string(j, "level", now->name);
        json_bool(j, "defaults_known", now->known);
    }
    json_close_object(j);
    return json_end(j);
}

int livepatch_status(const struct livepatch_request *q)
{
    struct xc_livepatch_status status;
    struct born_now now;
    struct xc_version v;
    xc_handle *xch;
    int rc;

    if (q->argc)
        return cmd_usage(q->cmd, "status takes no argument");
    if (livepatch_open_xen(&xch, &v))
        return STATUS_TROUBLE;
    rc = xc_livepatch_get(xch, PATCH_NAME, &status);
    rc = rc ? rc : born_now_read(xch, &now);
    xc_interface_close(xch);
    if (rc)
        return STATUS_TROUBLE;
    if (q->json) {
        if (status_json(&v, status.state, &now))
            return STATUS_TROUBLE;
    } else {
        out_print(stdout, "Xen %s, build-id %s: the audit is %s\n", v.text, v.build_id,
                  state_name(status.state));
        if (now.name[0])
            out_print(stdout, "new domains are born on the level of '%s'\n", now.name);
        if (now.name[0] && !now.known)
            out_print(stdout,
                      "what they were born with before is not known: " XC_BORN_FILE " is gone\n");
    }
    return status.state == XC_LIVEPATCH_APPLIED ? STATUS_YES : STATUS_NO;
}

int livepatch_unload(const struct livepatch_request *q)
{
    struct xc_livepatch_status status;
    struct xc_version v;
    xc_handle *xch;
    int rc;

    if (q->argc)
        return cmd_usage(q->cmd, "unload takes no argument");
    if (livepatch_open_xen(&xch, &v))
        return STATUS_TROUBLE;
    rc = xc_livepatch_get(xch, PATCH_NAME, &status);
    if (!rc && status.state == XC_LIVEPATCH_ABSENT) {
        xc_interface_close(xch);
        warn("the audit is not in this hypervisor");
        return STATUS_NO;
    }
    rc = rc ? rc : take_out(xch, status.state == XC_LIVEPATCH_APPLIED);
    xc_interface_close(xch);
    if (rc)
        return STATUS_TROUBLE;
    out_print(stdout, "the audit is out of Xen %s\n", v.text);
    return STATUS_YES;
}
