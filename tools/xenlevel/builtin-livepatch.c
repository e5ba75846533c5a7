/* SPDX-License-Identifier: MIT */
/*
 * xenlevel livepatch: put the audit into the running hypervisor, and take it out again.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xc.h>

#include "commands.h"
#include "json.h"
#include "out.h"
#include "payload.h"
#include "util.h"

/* Its name in the hypervisor; there can be one of it. */
#define NAME         "xenlevel"
/* Where Debian's -dbg packages put a hypervisor with its symbols. */
#define SYMS_PATTERN "/usr/lib/debug/boot/xen-syms-*"

static const struct cmd_option options[] = {
    {'s', "xen-syms", "FILE",
     "build: the hypervisor with its symbols; by default the one of "
     "the running Xen under /usr/lib/debug/boot"},
    {'o', "output", "FILE", "build: the payload; by default xenlevel-BUILDID.livepatch here"},
    CMD_JSON,
    CMD_END,
};

struct request {
    const struct command *cmd;
    const char *syms, *output;
    bool json;
    int argc; /* behind the verb */
    char **argv;
};

/* The running hypervisor; -1 after a line of the library's. */
static int open_xen(xc_handle **xch, struct xc_version *v)
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

/* ---- build ---- */

/* Among the symbols that are installed, those of this build-id. */
static char *find_syms(const char *build_id)
{
    char *found = NULL;
    glob_t g;

    if (glob(SYMS_PATTERN, 0, NULL, &g))
        g.gl_pathc = 0;
    for (size_t i = 0; i < g.gl_pathc && !found; i++) {
        char id[BUILD_ID_TEXT];

        if (!ends_with(g.gl_pathv[i], ".map") && !elf_build_id(g.gl_pathv[i], id) &&
            !strcmp(id, build_id))
            found = xstrdup(g.gl_pathv[i]);
    }
    globfree(&g);
    return found;
}

static char *running_syms(void)
{
    struct xc_version v;
    xc_handle *xch;
    char *syms;

    if (open_xen(&xch, &v))
        return NULL;
    xc_interface_close(xch);
    syms = find_syms(v.build_id);
    if (!syms)
        warn("no debug symbols of the running Xen %s (build-id %s) under /usr/lib/debug/boot: "
             "install xen-hypervisor-%u.%u-amd64-dbg of the same version, or name the file with "
             "--xen-syms",
             v.text, v.build_id, v.major, v.minor);
    return syms;
}

static int build_payload(const struct request *q)
{
    char *syms = q->syms ? xstrdup(q->syms) : running_syms();
    char *out, id[BUILD_ID_TEXT];

    if (q->argc)
        return cmd_usage(q->cmd, "build takes no argument");
    if (!syms)
        return STATUS_TROUBLE;
    if (elf_build_id(syms, id)) {
        warn("%s: not a hypervisor with symbols: no ELF file with a build-id", syms);
        return STATUS_TROUBLE;
    }
    out = q->output ? xstrdup(q->output) : xasprintf("xenlevel-%.12s.livepatch", id);
    (void)fflush(stdout);
    (void)execlp("python3", "python3", LIVEPATCH_DIR "/build.py", "--policy",
                 LIVEPATCH_DIR "/cpuid-policy", "--include", LIVEPATCH_DIR "/include", syms, out,
                 (char *)NULL);
    warn("python3 is needed to build a payload: %s",
         strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
    return STATUS_TROUBLE;
}

/* ---- load, status, unload ---- */

static int load_into(xc_handle *xch, const struct xc_version *v, const char *path,
                     const struct payload *p)
{
    struct xc_livepatch_status status;

    if (strcmp(v->build_id, p->xen_build_id) != 0) {
        warn("%s is for the hypervisor with build-id %s, running is %s (Xen %s): build one for it "
             "with `xenlevel livepatch build`",
             path, p->xen_build_id, v->build_id, v->text);
        return STATUS_TROUBLE;
    }
    if (xc_livepatch_get(xch, NAME, &status))
        return STATUS_TROUBLE;
    if (status.state == XC_LIVEPATCH_APPLIED) {
        warn("the audit is in this hypervisor already");
        return STATUS_NO;
    }
    /* One that was left uploaded, but not applied, gives way. */
    if (status.state == XC_LIVEPATCH_CHECKED && xc_livepatch_action(xch, NAME, XC_LIVEPATCH_UNLOAD))
        return STATUS_TROUBLE;
    if (xc_livepatch_upload(xch, NAME, p->image, p->size))
        return STATUS_TROUBLE;
    if (xc_livepatch_action(xch, NAME, XC_LIVEPATCH_APPLY)) {
        warn("its self-test found a difference, or Xen could not patch: `xl dmesg` says which");
        (void)xc_livepatch_action(xch, NAME, XC_LIVEPATCH_UNLOAD);
        return STATUS_TROUBLE;
    }
    out_print(stdout, "the audit is in Xen %s now (%zu bytes)\n", v->text, p->size);
    return STATUS_YES;
}

static int load_payload(const struct request *q)
{
    struct payload p;
    struct xc_version v;
    xc_handle *xch;
    int status;

    if (q->argc != 1)
        return cmd_usage(q->cmd, "load takes the payload's file");
    if (payload_read(q->argv[0], &p))
        return STATUS_TROUBLE;
    if (open_xen(&xch, &v)) {
        payload_free(&p);
        return STATUS_TROUBLE;
    }
    status = load_into(xch, &v, q->argv[0], &p);
    xc_interface_close(xch);
    payload_free(&p);
    return status;
}

static const char *state_name(enum xc_livepatch_state state)
{
    return state == XC_LIVEPATCH_APPLIED   ? "applied"
           : state == XC_LIVEPATCH_CHECKED ? "uploaded, not applied"
                                           : "not loaded";
}

static int show_status(const struct request *q)
{
    struct xc_livepatch_status status;
    struct xc_version v;
    xc_handle *xch;
    int rc;

    if (q->argc)
        return cmd_usage(q->cmd, "status takes no argument");
    if (open_xen(&xch, &v))
        return STATUS_TROUBLE;
    rc = xc_livepatch_get(xch, NAME, &status);
    xc_interface_close(xch);
    if (rc)
        return STATUS_TROUBLE;
    if (q->json) {
        struct json *j = json_begin();

        json_object(j, NULL);
        json_string(j, "xen", v.text);
        json_string(j, "build_id", v.build_id);
        json_string(j, "state", state_name(status.state));
        json_bool(j, "applied", status.state == XC_LIVEPATCH_APPLIED);
        json_close_object(j);
        if (json_end(j))
            return STATUS_TROUBLE;
    } else {
        out_print(stdout, "Xen %s, build-id %s: the audit is %s\n", v.text, v.build_id,
                  state_name(status.state));
    }
    return status.state == XC_LIVEPATCH_APPLIED ? STATUS_YES : STATUS_NO;
}

static int unload_payload(const struct request *q)
{
    struct xc_livepatch_status status;
    struct xc_version v;
    xc_handle *xch;
    int rc;

    if (q->argc)
        return cmd_usage(q->cmd, "unload takes no argument");
    if (open_xen(&xch, &v))
        return STATUS_TROUBLE;
    rc = xc_livepatch_get(xch, NAME, &status);
    if (!rc && status.state == XC_LIVEPATCH_ABSENT) {
        xc_interface_close(xch);
        warn("the audit is not in this hypervisor");
        return STATUS_NO;
    }
    if (!rc && status.state == XC_LIVEPATCH_APPLIED)
        rc = xc_livepatch_action(xch, NAME, XC_LIVEPATCH_REVERT);
    if (!rc)
        rc = xc_livepatch_action(xch, NAME, XC_LIVEPATCH_UNLOAD);
    xc_interface_close(xch);
    if (rc)
        return STATUS_TROUBLE;
    out_print(stdout, "the audit is out of Xen %s\n", v.text);
    return STATUS_YES;
}

static int run_livepatch(const struct command *cmd, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct request *q);
    } verbs[] = {{"build", build_payload},
                 {"load", load_payload},
                 {"status", show_status},
                 {"unload", unload_payload}};
    struct request q = {.cmd = cmd};
    const char *value;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 's')
            q.syms = value;
        else if (letter == 'o')
            q.output = value;
        else if (letter == 'j')
            q.json = true;
        else
            return STATUS_TROUBLE;
    }
    if (first == argc)
        return cmd_usage(cmd, "build, load, status or unload?");
    q.argc = argc - first - 1;
    q.argv = argv + first + 1;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (!strcmp(argv[first], verbs[i].name))
            return verbs[i].run(&q);
    return cmd_usage(cmd, "build, load, status or unload?");
}

const struct command cmd_livepatch = {
    .name = "livepatch",
    .args = "build|load FILE|status|unload",
    .summary = "the audit inside the running hypervisor",
    .about =
        "Stock Xen takes any policy for a domain and cuts it down in silence. The live patch puts "
        "the complete check in the place of Xen's own: whatever toolstack asks, a policy that "
        "this host cannot honour is refused, and `xl dmesg` names what is missing.\n\n"
        "build makes the payload for one hypervisor, from its debug symbols; it needs gcc, "
        "binutils and python3, and need not be done on the host. load puts it into the running "
        "Xen, after the build-ids were compared and its self-test has passed. unload takes it "
        "out. status says (0: applied, 1: not).",
    .options = options,
    .run = run_livepatch,
};
