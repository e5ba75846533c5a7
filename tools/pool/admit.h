/* SPDX-License-Identifier: MIT */
/*
 * A level and a host: can guests of the level come there, is what is born there on the level, and
 * what does a level become that has to do for one more host.
 */
#ifndef POOL_ADMIT_H
#define POOL_ADMIT_H

#include "answer.h"
#include "pool.h"

/* Indices of what there is for each type of guest, as in struct pool_level. */
enum { POOL_PV, POOL_HVM, POOL_TYPES };

/* What stands between a host and a level, for one type of guest. */
struct pool_admission_type {
    bool asked;   /* the level is for guests of this type; else nothing below says anything */
    bool offered; /* the host can run them at all */
    enum verdict verdict;
    struct featureset missing;  /* guests of the level were told of it, and the host lacks it */
    struct featureset hazards;  /* the host has it, and guests of the level are not told */
    struct featureset doubtful; /* VERDICT_UNKNOWN: nobody knows whether the host has it */
    size_t other;               /* findings that are no feature: vendor, sizes, numbers; */
    struct policy_fault first_other; /* the first of them */
};

struct pool_admission {
    enum verdict verdict; /* no, where any type says no; yes, where all say yes */
    struct pool_admission_type type[POOL_TYPES];
};

/* Return "avx512f, avx512dq, avx512cd and 6 others"; malloc'ed. */
char *pool_name_features(const struct featureset *fs);

/* Ask whether guests of the level can come to a host with these CPUs.  Nothing is allocated. */
void pool_admit(const struct pool_capture *capture, const struct pool_level *level,
                struct pool_admission *a);
/*
 * Return what it came to, in one line for people, without a full stop; malloc'ed: "it can give
 * web.v3", "it lacks avx512f, avx512dq and 6 others of web.v3 (HVM and PVH guests)", "nobody can
 * say: MSR 10A of it is not known".
 */
char *pool_admission_text(const struct pool_admission *a, const struct pool_capture *capture,
                          const struct pool_level *level);

/* How new domains of a host are born, against a level, for one type of guest: its *default*
 * policies, which every toolstack gives. */
struct pool_birth_type {
    bool asked, offered;
    struct featureset richer;   /* born with it, and not in the level */
    struct featureset lacks;    /* in the level, and not born with it */
    struct featureset untold;   /* warnings of the level that it is not told of */
    struct featureset doubtful; /* nobody knows whether it is born with these */
    size_t other;               /* numbers and sizes that are above the level's */
    struct policy_fault first_other;
};

struct pool_birth {
    enum verdict exactly; /* yes: what is born there is on the level, of every type of the level */
    struct pool_birth_type type[POOL_TYPES];
};

/* Ask whether what is born on a host by itself is on the level. */
void pool_born(const struct pool_capture *capture, const struct pool_level *level,
               struct pool_birth *b);
/* Return it in one line; malloc'ed: "exactly on web.v3", "richer by avx512f and 7 others", "lacks
 * aes". */
char *pool_birth_text(const struct pool_birth *b, const struct pool_level *level);

/*
 * Make of a level what it and a host share: the next version, for a host that cannot give it.
 * Returns the file (cpu_policy.proto's Level, without name and members; xlp_free()); NULL with
 * *why, malloc'ed, when they share none.
 */
Xenlevel__File *pool_lower(const struct pool_level *level, const struct pool_capture *newcomer,
                           char **why);

/* Say which policies (p->policies) cannot go to a host with these CPUs: verdicts[p->n_policies]. */
void pool_too_rich(const struct pool *p, const struct pool_capture *capture,
                   enum verdict *verdicts);

#endif /* POOL_ADMIT_H */
