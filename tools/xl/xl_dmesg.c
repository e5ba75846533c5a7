/* SPDX-License-Identifier: MIT */
/*
 * xl-sim dmesg: the hypervisor's log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "xl.h"

static const struct cmd_option options[] = {
    {'c', "clear", NULL, "and empty it"},
    CMD_END,
};

/* It is text of a machine, and a guest may have had a hand in it: nothing that moves the cursor. */
static void print_log(const char *text, size_t len)
{
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;

        out_safe(stdout, text, n);
        (void)putchar('\n');
        n += end != NULL;
        text += n;
        len -= n;
    }
}

static int run_dmesg(const struct command *cmd, int argc, char **argv)
{
    int letter, first, rc;
    const char *value;
    bool clear = false;
    xc_handle *xch;
    char *text;
    size_t len;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'c')
            return STATUS_TROUBLE;
        clear = true;
    }
    if (first < argc)
        return cmd_usage(cmd, "takes no arguments");
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    rc = xc_readconsole(xch, clear, &text, &len);
    if (!rc)
        print_log(text, len);
    free(text);
    xc_interface_close(xch);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

const struct command cmd_dmesg = {
    .name = "dmesg",
    .args = "",
    .summary = "the hypervisor's log",
    .about = "Prints what the hypervisor has written to its console: what it found at boot, and "
             "its warnings about what it cannot hide from which guest.",
    .options = options,
    .run = run_dmesg,
};
