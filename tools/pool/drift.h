/* SPDX-License-Identifier: MIT */
/*
 * Drift: a host is not what it was when it joined its pool, or when that was last accepted.  Its
 * microcode, BIOS, Xen or command line changed, and with them what its guests can have.
 */
#ifndef POOL_DRIFT_H
#define POOL_DRIFT_H

#include "admit.h"
#include "pool.h"

/* One thing that the host says of itself, then and now; "" is not known.  The texts are the
 * records'. */
struct pool_fact {
    const char *what, *was, *now;
};

enum { POOL_FACTS = 12 };

struct pool_drift_type {
    bool offered_then, offered_now; /* guests of this type can run there */
    struct featureset lost, gained; /* of what they can have at most, as far as both are known */
};

struct pool_drift {
    bool changed; /* the two captures are not equal */
    struct pool_drift_type type[POOL_TYPES];
    struct pool_fact facts[POOL_FACTS];
    size_t n_facts;
    bool has_level; /* the pool has one: */
    struct pool_admission then, now;
    /* Domains and images (p->domains) that could have come, and cannot any more, or of which that
     * cannot be said any more. */
    size_t *stranded, *doubtful;
    size_t n_stranded, n_doubtful;
};

/* A host at one time. */
struct pool_moment {
    const struct pool_capture *capture;
    const Xenlevel__PoolHost *record;
};

/* Compare.  The domains and the level are those of p.  Free *d by pool_drift_free(). */
void pool_drift_compare(const struct pool *p, const struct pool_moment *was,
                        const struct pool_moment *now, struct pool_drift *d);
void pool_drift_free(struct pool_drift *d);

/*
 * Is it one that people must know of?  The level is not honoured any more, a guest cannot come any
 * more; or, in a pool without a level, guests of the host had features that they cannot have now.
 */
bool pool_is_drift(const struct pool_drift *d);
/* Return whether guests of some type had a feature, or could run, and cannot any more. */
bool pool_has_lost(const struct pool_drift *d);

/* Return it in one line, without a full stop; malloc'ed: "lost avx512f, avx512dq and 6 others (HVM
 * and PVH guests); web.v3 is not honoured any more; 2 guests cannot come any more". */
char *pool_drift_text(const struct pool_drift *d, const struct pool *p);

/* Return "PV guests" or "HVM and PVH guests". */
const char *pool_type_name(unsigned int type);

#endif /* POOL_DRIFT_H */
