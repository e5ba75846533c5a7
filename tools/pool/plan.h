/* SPDX-License-Identifier: MIT */
/*
 * Emptying hosts: which guest goes where, who cannot go, and what would help.
 *
 * Memory is what the registry says: a host's free memory at its last refresh, less a reserve; a
 * guest's maximum, and what Xen needs besides for its page tables.
 */
#ifndef POOL_PLAN_H
#define POOL_PLAN_H

#include "assign.h"
#include "matrix.h"

#define PLAN_RESERVE       (512ull << 20)
#define PLAN_ROLLING_NODES 500u       /* for each of perhaps many hosts */
#define PLAN_FITS_NOWHERE  UINT64_MAX /* more than any room */

struct plan_options {
    uint64_t reserve;   /* bytes that stay free on each target */
    bool no_solver;     /* first fit alone */
    unsigned int nodes; /* the solver's limit for each host; 0: assign.h's */
    const char *to_xen; /* rolling: the release that hosts are updated to; NULL: theirs */
};

/* What a host is to a plan. */
enum plan_target {
    PLAN_TARGET,         /* guests may be put there */
    PLAN_SOURCE,         /* it is the one that is emptied */
    PLAN_MAINTENANCE,    /* nothing is to be placed there */
    PLAN_SILENT,         /* it has not been heard of: nobody knows what it has now */
    PLAN_MEMORY_UNKNOWN, /* it does not say how much memory is free */
};

struct plan_move {
    size_t domain, to; /* indices in the pool */
    uint64_t need;     /* bytes */
    bool one_way;      /* it cannot come back: its Xen there is newer */
};

enum plan_reason {
    PLAN_NO_HOST,       /* no host that is a target can run it */
    PLAN_CANNOT_SAY,    /* of those that might, nobody can say */
    PLAN_TOO_LARGE,     /* hosts that can run it have no room for it */
    PLAN_CROWDED,       /* each has room for it, but not beside the others */
    PLAN_SIZE_UNKNOWN,  /* nobody knows how much memory it needs */
    PLAN_CANNOT_RETURN, /* rolling: it could not come back */
};

enum plan_help_kind {
    HELP_RESTART,   /* a power cycle: started anew on `host`, on `level` or with that host's CPU */
    HELP_GIVE_UP,   /* these features given up: then it can go to `host` */
    HELP_UPDATE,    /* `host`'s Xen is older, and nothing else stands against it */
    HELP_FIND_OUT,  /* nobody can say whether `host` can take it */
    HELP_MEMORY,    /* so many bytes freed on `host` */
    HELP_MAKE_ROOM, /* `other`, a domain on `host`, moved to `other_to` first */
};

struct plan_help {
    enum plan_help_kind kind;
    size_t host;
    size_t level;               /* HELP_RESTART: index, or POOL_NONE */
    struct featureset features; /* HELP_GIVE_UP, HELP_FIND_OUT */
    uint64_t bytes;             /* HELP_MEMORY */
    size_t other, other_to;     /* HELP_MAKE_ROOM */
};

#define PLAN_HELPS 4

struct plan_stuck {
    size_t domain;
    enum plan_reason reason;
    uint64_t need;
    size_t nearest; /* the host that comes nearest, or POOL_NONE */
    char *why;      /* one line about that host: answer_why(); NULL where there is none */
    struct plan_help helps[PLAN_HELPS];
    size_t n_helps;
};

struct evacuation {
    size_t host;
    struct plan_move *moves; /* in the order of the host's domains */
    size_t n_moves;
    struct plan_stuck *stuck;
    size_t n_stuck;
    size_t n_images, n_bound; /* images on its disk, which stay; those that can run nowhere else */
    size_t n_targets, n_skipped[PLAN_MEMORY_UNKNOWN + 1]; /* hosts by enum plan_target */
    enum assign_method method;
    bool no_library;
};

/* Plan how to empty a host.  matrix_build() was called. */
void plan_evacuate(const struct pool_matrix *m, const struct plan_options *options, size_t host,
                   struct evacuation *e);
void evacuation_free(struct evacuation *e);

/* What a host is to plans that empty another one. */
enum plan_target plan_target(const struct pool *p, size_t host);
/* Return how many bytes a domain needs on a host: its maximum, and for HVM and PVH guests the pool
 * that libxl makes for their page tables (1 MiB for each vCPU, 4 KiB for each MiB; of
 * hardware-assisted paging).  0: not known; PLAN_FITS_NOWHERE: a sum too large for a number. */
uint64_t plan_need(const struct pool *p, size_t domain);
/* Return how many bytes of guests a host can take, less than PLAN_FITS_NOWHERE. */
uint64_t plan_room(const struct pool *p, const struct plan_options *options, size_t host);

/*
 * One host after another is emptied, updated and refilled: its guests come home before the next one
 * is emptied, so each step begins with everything where it was.
 */
struct rolling {
    struct evacuation *steps; /* hosts that can be emptied, in this order */
    size_t n_steps;
    struct evacuation *blocked; /* those that cannot, whatever the order is */
    size_t n_blocked;
    size_t *done, n_done;     /* hosts that run that release, or a newer one, already */
    size_t *silent, n_silent; /* hosts of which nobody knows what runs there */
};

void plan_rolling(const struct pool_matrix *m, const struct plan_options *options,
                  struct rolling *r);
void rolling_free(struct rolling *r);

#endif /* POOL_PLAN_H */
