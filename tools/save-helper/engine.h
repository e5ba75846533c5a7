/* SPDX-License-Identifier: MIT */
/*
 * The whole of a save or a restore by libxenlevel, in place of the stock helper.
 */
#ifndef GATE_ENGINE_H
#define GATE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "xc_sr.h"

/*
 * Read XENLEVEL_STREAM: *own is true for "xenlevel", false for "stock" or nothing.  Returns 0; or
 * -1 with one sentence in why[GATE_WHY] for anything else.
 */
int engine_wanted(bool *own, char *why);

struct engine_save {
    int stream;
    uint32_t domid;
    bool live, verify;
    unsigned int callbacks; /* CONTROL_* that libxl listens to */
    const char *name;       /* of the domain, for the logs */
};

struct engine_restore {
    int stream;
    uint32_t domid;
    struct xc_guest_ends ends;
    unsigned int callbacks;
    bool unverified; /* a stream without a policy is taken */
    const char *name;
};

/* Save or restore the domain, and talk to libxl up to the end.  Return the exit status. */
int engine_save(const struct engine_save *e);
int engine_restore(const struct engine_restore *e);

#endif /* GATE_ENGINE_H */
