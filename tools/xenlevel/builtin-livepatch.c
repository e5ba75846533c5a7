/* SPDX-License-Identifier: MIT */
/*
 * xenlevel livepatch: put the audit into the running hypervisor, and take it out again.
 */
#include <errno.h>
#include <stdio.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xc.h>

#include "commands.h"
#include "kept.h"
#include "logger.h"
#include "livepatch.h"
#include "out.h"
#include "pool-commands.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'s', "xen-syms", "FILE",
     "build: the hypervisor with its symbols; by default the one of "
     "the running Xen under /usr/lib/debug/boot"},
    {'o', "output", "FILE", "build: the payload; by default xenlevel-BUILDID.livepatch here"},
    {'a', "all", NULL,
     "build: a payload for every hypervisor whose debug symbols are installed, to be loaded at "
     "boot, in " PATCH_DIR},
    {'r', "root", "DIR", "build --all: look, and write, below DIR"},
    {'l', "level", "LEVEL",
     "load: new domains are born on this level: a file, or NAME.vN of the pool (default, when no "
     "FILE is named: " LEVEL_FILE ", if it is there)"},
    {'k', "keep", NULL, "load --level: keep the level as " LEVEL_FILE ", for the next boot"},
    POOL_WHERE,
    CMD_JSON,
    CMD_END,
};

/* ---- build ---- */

/* Among the symbols that are installed, those of this build-id. */
static char *find_syms(const char *build_id)
{
    struct hypervisors h;
    const struct hypervisor *found;
    char *path;

    hypervisors_with_symbols("", &h);
    found = hypervisors_get(&h, build_id);
    path = found ? xstrdup(found->path) : NULL;
    hypervisors_free(&h);
    return path;
}

static char *running_syms(void)
{
    struct xc_version v;
    xc_handle *xch;
    char *syms;

    if (livepatch_open_xen(&xch, &v))
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

/* Let python3 do it.  Returns a status. */
static int run_build(char *syms, char *out)
{
    char *const argv[] = {
        "python3",   LIVEPATCH_DIR "/build.py", "--policy", LIVEPATCH_DIR "/cpuid-policy",
        "--include", LIVEPATCH_DIR "/include",  syms,       out,
        NULL};
    int err, status;
    pid_t pid, rc;

    (void)fflush(stdout);
    err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (err) {
        warn("python3 is needed to build a payload: %s",
             strerror(err)); /* NOLINT(concurrency-mt-unsafe): one thread */
        return STATUS_TROUBLE;
    }
    do
        rc = waitpid(pid, &status, 0);
    while (rc < 0 && errno == EINTR);
    return rc == pid && WIFEXITED(status) && !WEXITSTATUS(status) ? STATUS_YES : STATUS_TROUBLE;
}

/* Say which hypervisors could be booted without a payload.  Returns how many. */
static unsigned int say_without(const char *root)
{
    struct hypervisors h;
    unsigned int n = 0;
    char *why;

    hypervisors_bootable(root, &h);
    for (size_t i = 0; i < h.n; i++) {
        if (kept_is_good(root, h.list[i].build_id, &why))
            continue;
        warn("%s: %s", h.list[i].path, why);
        free(why);
        n++;
    }
    hypervisors_free(&h);
    return n;
}

/* The running hypervisor's build-id; "" when none answers. */
static void running_id(char id[static BUILD_ID_TEXT])
{
    struct logger silent;
    struct xc_version v;
    xc_handle *xch = xc_interface_open(logger_init(&silent, NULL, NULL));

    id[0] = '\0';
    if (xch && !xc_version(xch, &v))
        (void)snprintf(id, BUILD_ID_TEXT, "%s", v.build_id);
    if (xch)
        xc_interface_close(xch);
}

static int build_all(const struct livepatch_request *q)
{
    char running[BUILD_ID_TEXT];
    struct hypervisors h, boot;
    int status = STATUS_YES;

    if (q->syms || q->output || q->argc)
        return cmd_usage(q->cmd, "build --all takes neither a file nor an argument");
    if (kept_make_folder(q->root))
        return STATUS_TROUBLE;
    running_id(running);
    hypervisors_with_symbols(q->root, &h);
    for (size_t i = 0; i < h.n; i++) {
        char *out = kept_path(q->root, h.list[i].build_id);

        if (h.list[i].build_id[0] && run_build(h.list[i].path, out))
            status = STATUS_TROUBLE;
        free(out);
    }
    /* What runs may still be needed when its symbols are gone already: only when it is known
     * which one that is. */
    hypervisors_bootable(q->root, &boot);
    if (running[0])
        kept_prune(q->root, &h, &boot, running);
    hypervisors_free(&boot);
    hypervisors_free(&h);
    if (say_without(q->root) && !status)
        status = STATUS_NO;
    return status;
}

static int build_payload(const struct livepatch_request *q)
{
    char *syms, *out, id[BUILD_ID_TEXT];
    int status;

    if (q->all)
        return build_all(q);
    if (q->argc)
        return cmd_usage(q->cmd, "build takes no argument");
    syms = q->syms ? xstrdup(q->syms) : running_syms();
    if (!syms)
        return STATUS_TROUBLE;
    if (elf_build_id(syms, id)) {
        warn("%s: not a hypervisor with symbols: no ELF file with a build-id", syms);
        return STATUS_TROUBLE;
    }
    out = q->output ? xstrdup(q->output) : xasprintf("xenlevel-%.12s.livepatch", id);
    status = run_build(syms, out);
    free(out);
    free(syms);
    return status;
}

static int run_livepatch(const struct command *cmd, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct livepatch_request *q);
    } verbs[] = {{"build", build_payload},
                 {"load", livepatch_load},
                 {"status", livepatch_status},
                 {"unload", livepatch_unload}};
    struct livepatch_request q = {.cmd = cmd, .root = ""};
    const char *value;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 's')
            q.syms = value;
        else if (letter == 'o')
            q.output = value;
        else if (letter == 'a')
            q.all = true;
        else if (letter == 'r')
            q.root = value;
        else if (letter == 'l')
            q.level = value;
        else if (letter == 'p')
            q.where = value;
        else if (letter == 'k')
            q.keep = true;
        else if (letter == 'j')
            q.json = true;
        else
            return STATUS_TROUBLE;
    }
    if (first == argc)
        return cmd_usage(cmd, "build, load, status or unload?");
    q.argc = argc - first - 1;
    q.argv = argv + first + 1;
    if ((q.all || *q.root) && (!q.all || strcmp(argv[first], "build") != 0))
        return cmd_usage(cmd, "--all goes with build, and --root with build --all");
    if (q.level && strcmp(argv[first], "load") != 0)
        return cmd_usage(cmd, "--level goes with load");
    if (q.where && !q.level)
        return cmd_usage(cmd, "--pool goes with load --level");
    if (q.keep && !q.level)
        return cmd_usage(cmd, "--keep goes with load --level");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (!strcmp(argv[first], verbs[i].name))
            return verbs[i].run(&q);
    return cmd_usage(cmd, "build, load, status or unload?");
}

const struct command cmd_livepatch = {
    .name = "livepatch",
    .args = "build|load [FILE]|status|unload",
    .summary = "the audit inside the running hypervisor",
    .about =
        "Stock Xen takes any policy for a domain and cuts it down in silence. The live patch puts "
        "the complete check in the place of Xen's own: whatever toolstack asks, a policy that "
        "this host cannot honour is refused, and `xl dmesg` names what is missing.\n\n"
        "build makes the payload for one hypervisor, from its debug symbols; it needs gcc, "
        "binutils and python3, and need not be done on the host. With --all it makes one for each "
        "hypervisor that is installed, where load without a FILE, as at boot, finds it. load puts "
        "it into the running Xen, after the build-ids were compared and its self-test has passed. "
        "unload takes it "
        "out. status says (0: applied, 1: not).\n\n"
        "load --level narrows Xen's default policies to a level while the patch is loaded: what "
        "any toolstack builds is born on it. What a domain may come in with stays as it is.",
    .options = options,
    .run = run_livepatch,
};
