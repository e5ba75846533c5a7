/* SPDX-License-Identifier: MIT */
/*
 * Can a guest with this CPU run on that host?  Yes; no, with what stands against it; or nobody can
 * say, with what is not known.  One question and one answer for `xenlevel check`, which asks of
 * files and domains, and for pools, which ask of thousands at once.
 */
#ifndef COMMON_ANSWER_H
#define COMMON_ANSWER_H

#include "unsure.h"
#include "xc.h"

/* What a host can offer.  Pointers, for there are many hosts with equal CPUs. */
struct answer_host {
    const char *name;
    bool have[XC_POLICIES];
    const struct cpu_policy *policy[XC_POLICIES];
    const struct cpu_policy *unknown[XC_POLICIES]; /* unknown.h; NULL: all is known */
    const char *xen; /* its release, "4.17.7"; "" or NULL: not known */
    bool is_dump;    /* it comes from a dump of CPUID */
};

struct answer_guest {
    const char *name;
    const struct cpu_policy *policy, *unknown; /* NULL: all is known */
    enum guest_type type;                      /* GUEST_PV; or any other, for HVM and PVH */
    /* The release that writes its save records: the one it runs under.  "" or NULL: not known, or
     * it has none (it will be born there). */
    const char *xen;
    bool born_there; /* on this very host: what is unknown of both is the same */
};

enum verdict { VERDICT_YES, VERDICT_NO, VERDICT_UNKNOWN };

struct cpu_answer {
    bool offered;                /* guests of that type can run there at all */
    struct policy_report report; /* what stands against it, whatever the unknown bits are */
    struct policy_report maybe;  /* what may stand against it: it depends on what nobody knows */
    const char *obstacle;        /* to its save records there, a static sentence; or NULL */
};

/* Make room for what an answer finds, and free it. */
void answer_init(struct cpu_answer *a);
void answer_free(struct cpu_answer *a);

/* Ask.  *a was initialised; it may hold an earlier answer, which is replaced. */
void answer_ask(const struct answer_guest *guest, const struct answer_host *host,
                struct cpu_answer *a);
enum verdict answer_verdict(const struct cpu_answer *a);

/* Return which policies of a host are for guests of that type. */
enum xc_policy_index answer_max(enum guest_type type);
enum xc_policy_index answer_default(enum guest_type type);

/* Return what stands in the way of save records that release `from` writes on one that runs `to`
 * (texts; "" or NULL: not known): xc_release_obstacle(); NULL for PV guests. */
const char *answer_obstacle(enum guest_type type, const char *from, const char *to);

/* Write the features on which an answer depends and of which nobody knows. */
void answer_doubtful(const struct cpu_answer *a, struct featureset *fs);
/* Write the features that stand against it: those that it was told of and that are missing, those
 * of state components that are; and the hazards there that it was not told of. */
void answer_features(const struct cpu_answer *a, struct featureset *missing,
                     struct featureset *hazards);

/*
 * Return what it came to in one line, about the host: "lacks avx512f, avx512dq and 6 others; has
 * hazards that it was not told of: rsba"; "nobody knows whether it has avx2"; malloc'ed, "" for a
 * yes.  most: so many features are named and the rest is counted; 0: all are.
 */
char *answer_why(const struct cpu_answer *a, unsigned int most);
/* Return "avx512f, avx512dq and 6 others", or "rtm and hle", in the same way; "" for none. */
char *answer_feature_list(const struct featureset *fs, unsigned int most);

/* Return what is not known of a host, in the words of unknown_cause(), as far as it is about these
 * features (NULL: all of it); malloc'ed, "" where all is known. */
char *answer_host_cause(const struct answer_host *host, const struct featureset *about);
/* Return the same of a guest. */
char *answer_guest_cause(const struct answer_guest *guest, const struct featureset *about);
/* Return how a person finds it out: unknown_how(); malloc'ed. */
char *answer_host_how(const struct answer_host *host);
char *answer_guest_how(const struct answer_guest *guest);

#endif /* COMMON_ANSWER_H */
