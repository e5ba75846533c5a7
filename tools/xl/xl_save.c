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

#include "image.h"
#include "out.h"
#include "util.h"
#include "xl.h"

static const struct cmd_option save_options[] = {
    {'c', "continue", NULL, "the domain goes on; it is not destroyed"},
    {'k', "checksums", NULL, "with checksums over every octet, which a stock Xen passes over"},
    CMD_END,
};

/* Into a file beside, which takes the name when all of it is on the disk. */
static int save_to(xc_handle *xch, uint32_t domid, const char *path, bool checksums)
{
    const struct xc_save_options options = {.checksums = checksums};
    struct save_view view = {xch, domid, isatty(STDERR_FILENO)};
    const struct xc_save_callbacks callbacks = {
        .suspend = view_suspend, .progress = view_progress, .data = &view};
    char *part = xasprintf("%s.part", path);
    struct image_config c;
    int fd, rc = -1;

    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        warn("%s: %s", part, strerror(errno));
        free(part);
        return -1;
    }
    if (!image_config_of(xch, domid, &c)) {
        rc = image_write_head(fd, &c);
        if (!rc) {
            rc = xc_domain_save(xch, fd, domid, &options, &callbacks, NULL);
            view_end(&view);
            /* From here on it is suspended: what fails now lets it go on. */
            if (!rc && (image_write_tail(fd) || fsync(fd) || rename(part, path))) {
                warn("%s: %s", path, strerror(errno));
                (void)xc_domain_resume(xch, domid);
                rc = -1;
            }
        }
        image_config_free(&c);
    }
    (void)close(fd); /* it was synced */
    if (rc)
        (void)unlink(part);
    free(part);
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
        rc = save_to(xch, domid, argv[first + 1], checksums);
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
    bool paused = false, unverified = false;
    struct xc_restore_result *result;
    struct image_config c = {.name = NULL};
    int letter, first, fd, status = STATUS_TROUBLE;
    const char *value;
    xc_handle *xch;
    uint32_t domid;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            paused = true;
        else if (letter == 'u')
            unverified = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "a file is needed");
    fd = open(argv[first], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        warn("%s: %s", argv[first], strerror(errno));
        return STATUS_TROUBLE;
    }
    result = xcalloc(1, sizeof(*result));
    xch = xl_open();
    if (xch)
        status = image_restore(xch, fd, argv[first], unverified, &domid, &c, result);
    if (!status && !paused && xc_domain_unpause(xch, domid)) {
        (void)xc_domain_destroy(xch, domid);
        status = STATUS_TROUBLE;
    }
    if (!status)
        (void)printf("'%s' (%s) is domain %u%s\n", c.name, xc_domain_type_name(c.type), domid,
                     paused ? ", paused" : "");
    xc_interface_close(xch);
    image_config_free(&c);
    free(result);
    (void)close(fd);
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
