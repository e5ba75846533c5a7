/* SPDX-License-Identifier: MIT */
/*
 * xl-sim save, restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "environment.h"
#include "image.h"
#include "line.h"
#include "out.h"
#include "outfile.h"
#include "receive.h"
#include "util.h"
#include "view.h"
#include "xl.h"

static const struct cmd_option save_options[] = {
    {'c', "continue", NULL, "the domain goes on; it is not destroyed"},
    {'k', "checksums", NULL, "with checksums over every byte, which a stock Xen passes over"},
    CMD_END,
};

/* The file has a name only when all of it is on the disk. */
static int save_to(xc_handle *xch, uint32_t domid, struct outfile *o, bool checksums)
{
    const struct xc_save_options options = {.checksums = checksums,
                                            .zero_pages = environment_zero_pages(false)};
    struct save_view view = {.xch = xch, .domid = domid};
    const struct xc_save_callbacks callbacks = {
        .suspend = view_suspend, .progress = view_progress, .data = &view};
    struct image_config c;
    int rc;

    if (image_config_of(xch, domid, &c))
        return -1;
    rc = line_cut_by_signals(o->fd, true) || image_write_head(o->fd, -1, &c);
    if (!rc) {
        rc = xc_domain_save(xch, o->fd, domid, &options, &callbacks, NULL);
        out_line_end();
        /* From here on it is suspended: what fails now lets it go on. */
        if (!rc && (image_write_tail(o->fd, -1, checksums ? &c : NULL) || outfile_commit(o))) {
            warn("%s: %s", o->path, strerror(errno));
            (void)xc_domain_resume(xch, domid);
            rc = -1;
        }
    }
    image_config_free(&c);
    return rc ? -1 : 0;
}

static int save_domain(xc_handle *xch, uint32_t domid, const char *path, bool checksums)
{
    struct outfile o;
    int rc = outfile_open(&o, path, 0600);

    if (rc)
        warn("%s: %s", path, strerror(errno));
    else
        rc = save_to(xch, domid, &o, checksums);
    outfile_close(&o);
    return rc;
}

static int run_save(const struct command *cmd, int argc, char **argv)
{
    bool go_on = false, checksums = false;
    int letter, first, rc;
    const char *value;
    xc_handle *xch;
    uint32_t domid;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'c')
            go_on = true;
        else if (letter == 'k')
            checksums = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first != 2)
        return cmd_usage(cmd, "a domain and a file are needed");
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    rc = xc_domain_resolve(xch, argv[first], &domid);
    if (!rc)
        rc = xl_claim(domid) || save_domain(xch, domid, argv[first + 1], checksums) ? -1 : 0;
    if (!rc)
        rc = go_on ? xc_domain_resume(xch, domid) : xc_domain_destroy(xch, domid);
    xc_interface_close(xch);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

static const struct cmd_option restore_options[] = {
    {'p', "paused", NULL, "leave it paused"},
    {'u', "unverified", NULL,
     "also a stream that does not say which CPU the domain was told about"},
    CMD_END,
};

static int run_restore(const struct command *cmd, int argc, char **argv)
{
    bool paused = false;
    struct xc_restore_result *result;
    struct image_config c = {.name = NULL};
    struct image_source from = {.patience = -1, .show = true};
    int letter, first, status = STATUS_TROUBLE;
    const char *value;
    xc_handle *xch;
    uint32_t domid;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            paused = true;
        else if (letter == 'u')
            from.unverified = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "a file is needed");
    from.what = argv[first];
    from.fd = open(from.what, O_RDONLY | O_CLOEXEC);
    if (from.fd < 0) {
        warn("%s: %s", argv[first], strerror(errno));
        return STATUS_TROUBLE;
    }
    result = xcalloc(1, sizeof(*result));
    xch = xl_open();
    if (xch && !line_cut_by_signals(from.fd, false))
        status = receive_domain(xch, &from, &domid, &c, result);
    if (!status &&
        (receive_take_name(xch, domid, &c) || (!paused && xc_domain_unpause(xch, domid)))) {
        (void)xc_domain_destroy(xch, domid);
        status = STATUS_TROUBLE;
    }
    if (!status)
        out_print(stdout, "'%s' (%s) is domain %u%s\n", c.name, xc_domain_type_name(c.type), domid,
                  paused ? ", paused" : "");
    xc_interface_close(xch);
    image_config_free(&c);
    free(result);
    (void)close(from.fd);
    return status;
}

const struct command cmd_save = {
    .name = "save",
    .args = "DOMAIN FILE",
    .summary = "put a domain into a file",
    .about = "Suspends an HVM or PVH domain, writes it to FILE in xl's own format (its CPU first, "
             "then its memory, then its registers), and destroys it. When anything fails the "
             "domain goes on, and no FILE is left.",
    .options = save_options,
    .run = run_save,
};

const struct command cmd_restore = {
    .name = "restore",
    .args = "FILE",
    .summary = "take a domain out of a file",
    .about = "Makes the domain that was saved, with exactly the CPU that it had. When this host "
             "cannot give it that, it says by name what is missing, and nothing is taken from the "
             "file (status 1).",
    .options = restore_options,
    .run = run_restore,
};
