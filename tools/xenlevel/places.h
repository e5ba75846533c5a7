/* SPDX-License-Identifier: MIT */
/*
 * Where libxl has its save helper here, and whether the gate stands there.
 */
#ifndef XENLEVEL_PLACES_H
#define XENLEVEL_PLACES_H

#include <stdbool.h>
#include <stddef.h>

enum place_state {
    PLACE_GATE,    /* the gate has the helper's name */
    PLACE_STOCK,   /* Xen's own helper has it */
    PLACE_EMPTY,   /* nothing has it: there is only what was put aside */
    PLACE_UNKNOWN, /* it cannot be looked at */
};

/* One Xen's save helper. */
struct place {
    char *path;   /* as libxl of that Xen has it */
    char xen[16]; /* "4.17" by its folder; "" where the folder has no version */
    enum place_state state;
    bool has_stock; /* Xen's own helper is beside the gate, where the gate looks for it */
    bool diverted;  /* dpkg knows: an upgrade of Xen does not take the gate's place */
    bool packaged;  /* dpkg would put a helper there */
};

struct places {
    struct place *list;
    size_t n;
};

/* Find the places below root ("" for this machine's own). */
void places_find(const char *root, struct places *p);
void places_free(struct places *p);

#endif /* XENLEVEL_PLACES_H */
