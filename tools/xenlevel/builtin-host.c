/* SPDX-License-Identifier: MIT */
/*
 * xenlevel host: what a host is and can offer, into a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "commands.h"
#include "json.h"
#include "out.h"
#include "release.h"
#include "show.h"
#include "subject.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'o', "output", "FILE", "where to write (default: the host's name and .xlp)"},
    {'n', "name", "NAME", "what to call the host (default: its own name, or the dump's)"},
    {'d', "dump", "FILE",
     "take a file that says a CPU, in any form (xenlevel(1)), not this host; - is stdin"},
    {'l', "levelling-caps", "LIST",
     "with --dump: what that host can hide from PV guests, as in \"faulting 1.ecx\", or none"},
    {'x', "xen-cmdline", "TEXT",
     "with --dump: the hypervisor's command line there, as in \"cpuid=no-avx512f\""},
    {'X', "xen", "RELEASE", "with --dump: which Xen is there, 4.17 (default) to 4.22"},
    {'p', "partial", NULL,
     "with --dump: take a dump that lacks leaves of the CPU; they are unknown"},
    CMD_JSON,
    CMD_END,
};

/* "faulting,1.ecx 7.0.ebx" -> bits; "none" -> 0. */
static int parse_caps(const char *text, uint32_t *caps)
{
    *caps = 0;
    if (!strcmp(text, "none"))
        return 0;
    while (*text) {
        size_t len = strcspn(text, " ,");
        unsigned int bit;

        if (!len) {
            text++;
            continue;
        }
        for (bit = 0; xc_levelling_cap_name(bit); bit++) {
            const char *name = xc_levelling_cap_name(bit);

            if (strlen(name) == len && !strncmp(name, text, len))
                break;
        }
        if (!xc_levelling_cap_name(bit)) {
            warn("--levelling-caps: '%.*s' is none of: faulting 1.ecx 1.edx 80000001.ecx "
                 "80000001.edx d.1.eax 6.ecx 7.0.eax 7.0.ebx",
                 (int)len, text);
            return -1;
        }
        *caps |= 1u << bit;
        text += len;
    }
    return 0;
}

static Xenlevel__File *capture_this_host(const char *name)
{
    xc_handle *xch = xc_interface_open(out_logger());
    Xenlevel__File *file;

    if (!xch)
        return NULL;
    file = capture_xen(xch, name);
    xc_interface_close(xch);
    return file;
}

static int write_out(Xenlevel__File *file, const char *path, bool json)
{
    char *own = NULL;
    struct xlp_error error;
    struct subject s;
    int status = STATUS_YES;

    if (!path)
        path = own = xasprintf("%s%s", file->host->name, XLP_SUFFIX);
    if (xlp_save(path, file, &error)) {
        xlp_free(file);
        free(own);
        return complain("%s", error.text);
    }
    subject_from_file(&s, file, path);
    if (json) {
        struct json *j = json_begin();

        json_object(j, NULL);
        json_string(j, "file", path);
        show_host_json(j, &s);
        json_close_object(j);
        status = json_end(j);
    } else {
        show_host(stdout, &s);
        out_text(stdout, 0, 2, "written to %s", path);
    }
    subject_close(&s);
    free(own);
    return status;
}

static int run_host(const struct command *cmd, int argc, char **argv)
{
    const char *output = NULL, *name = NULL, *dump = NULL, *caps_text = NULL, *value;
    const char *cmdline = NULL;
    unsigned int xen = 0;
    Xenlevel__File *file;
    bool json = false, partial = false;
    uint32_t caps = 0;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        switch (letter) {
        case 'o':
            output = value;
            break;
        case 'n':
            name = value;
            break;
        case 'd':
            dump = value;
            break;
        case 'l':
            caps_text = value;
            break;
        case 'x':
            cmdline = value;
            break;
        case 'X':
            if (release_option("--xen", value, &xen))
                return STATUS_TROUBLE;
            break;
        case 'p':
            partial = true;
            break;
        case 'j':
            json = true;
            break;
        default:
            return STATUS_TROUBLE;
        }
    }
    if (first < argc)
        return cmd_usage(cmd, "takes no arguments; --dump FILE reads a CPUID dump");
    if (caps_text && !dump)
        return cmd_usage(cmd, "--levelling-caps goes with --dump: a running Xen is asked");
    if (cmdline && !dump)
        return cmd_usage(cmd, "--xen-cmdline goes with --dump: a running Xen has one already");
    if (xen && !dump)
        return cmd_usage(cmd, "--xen goes with --dump: a running Xen is what it is");
    if (partial && !dump)
        return cmd_usage(cmd, "--partial goes with --dump: a running Xen says all");
    if (name && (!*name || strchr(name, '/')))
        return cmd_usage(cmd, "a host's name is not empty and has no '/'");
    if (caps_text && parse_caps(caps_text, &caps))
        return STATUS_TROUBLE;
    file = dump ? capture_dump(dump, name, caps_text ? &caps : NULL, cmdline ? cmdline : "", xen,
                               partial)
                : capture_this_host(name);
    if (!file)
        return STATUS_TROUBLE;
    return write_out(file, output, json);
}

const struct command cmd_host = {
    .name = "host",
    .args = "[-o FILE]",
    .summary = "capture this host, or a CPU from a CPUID dump, to a file",
    .about =
        "Asks the hypervisor of this host for everything that decides where its guests can "
        "go: the CPU's own policy, the host's, and what PV and HVM guests may have at most "
        "and have by default; the featuresets; what can be hidden from PV guests; the "
        "version of Xen and the CPU's name. They go to a file, for `level` and `check`.\n\n"
        "With --dump, the CPU is one of which there is a file: a CPUID dump, the output of "
        "xen-cpuid, or one of the other forms in xenlevel(1). What Xen would offer there is "
        "worked out from it as Xen 4.17 would, or the release given by --xen, with the command "
        "line given by --xen-cmdline, but without the firmware settings and microcode of the "
        "real machine: good for planning, to be repeated on the machine itself.",
    .options = options,
    .run = run_host,
};
