/* SPDX-License-Identifier: MIT */
/*
 * The picture of a pool: everything that can be said of it at one moment, computed once from struct
 * pool, and written as a page, as JSON or for Prometheus.
 *
 * Hosts that offer the same are a kind, VMs with the same CPU a class: a pool of thousands has few
 * of them, and every question is asked once for a class and a kind.
 */
#ifndef POOL_REPORT_H
#define POOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "matrix.h"
#include "pool.h"

#define REPORT_PLANS 1000 /* hosts: a larger pool gets no plan for each of them */

struct report_input {
    const struct pool *pool;
    const char *source; /* how messages call the registry; NULL: it has none */
    const char *when;   /* RFC 3339: when the registry was read */
    /* The last events, the newest first; how many there are in all. */
    Xenlevel__Event *const *events;
    size_t n_events, all_events;
};

enum report_verdict {
    REPORT_YES,
    REPORT_CYCLE, /* no; but a VM that is born anew on the pool's level can */
    REPORT_NO,
    REPORT_UNKNOWN,
    REPORT_VERDICTS,
};

/* "yes", "power cycle", "no", "cannot say". */
const char *report_verdict_name(enum report_verdict verdict);

/* Why an answer is as it is; [0] is "yes", without a text. */
struct report_reason {
    enum report_verdict verdict;
    char *text;                         /* sentences */
    struct featureset missing, hazards; /* REPORT_NO, REPORT_CYCLE */
    size_t pairs;  /* of a VM and a host for which it is the reason: most comes first */
    size_t number; /* while they are put in order */
};

/* Hosts that offer guests the same CPUs under the same release of Xen. */
struct report_kind {
    char name[8];           /* "A", "B", ..., "AA": the newest CPU first */
    char *cpu;              /* "Xeon Gold 6248" */
    const char *xen;        /* "4.17.7"; "" */
    size_t column, capture; /* of its first hosts: kinds are columns of the matrix, or several */
    size_t n_hosts, n_vms;
    struct featureset cost;    /* what the level of all hosts would gain without this kind */
    enum report_verdict level; /* can it give guests the pool's level? */
};

/* VMs of the same type with the same CPU, whose save records are of the same release. */
struct report_guest {
    size_t row;    /* of the matrix */
    size_t policy; /* POOL_NONE: its CPU is not known */
    enum guest_type type;
    const char *xen;
    char *name; /* "level web.v2", "full CPU of kind A", or "Xeon Gold 6248, 212 features" */
    size_t n_vms;
    size_t *here;   /* by kind: how many are there */
    size_t *reason; /* by kind: index */
};

struct report_host {
    size_t kind;
    size_t leave; /* how many of its VMs some other host in service can take, memory not counted */
    bool in_service; /* neither silent nor in maintenance */
    /* What a plan to empty it says, which counts memory (r->planned); images on its disk stay where
     * they are. */
    size_t moves, stay;
};

/* Kinds as nodes of a graph: an edge from a to b where a guest that is born on a with all that it
 * gives by default can run on b.  Kinds that answer alike are one node; where these are too many
 * for a picture, kinds with the same processor are. */
struct report_group {
    size_t *kinds;
    size_t n_kinds, n_hosts, n_vms;
};

enum report_edge {
    REPORT_EDGE_NONE,
    REPORT_EDGE_UNKNOWN, /* nobody can say; never drawn */
    REPORT_EDGE_SOME,    /* from some of its kinds, or to some */
    REPORT_EDGE_ALL,
};

struct report_graph {
    enum guest_type type;
    struct report_group *groups; /* the newest CPU first */
    size_t n_groups;
    uint8_t *edge; /* enum report_edge, [from * n_groups + to] */
    bool *drawn;   /* the edges that the picture needs */
    bool coarse;   /* nodes are processors */
    bool reduced;  /* an arrow also stands for the arrows behind it */
};

struct report {
    const struct report_input *in;
    struct pool_matrix matrix;
    struct report_kind *kinds;
    struct report_guest *guests;
    struct report_reason *reasons;
    struct report_host *hosts; /* as in the pool */
    size_t *guest_of;          /* by domain of the pool */
    size_t n_kinds, n_guests, n_reasons;
    /* Pairs of a VM and a host other than its own. */
    size_t pairs, pair[REPORT_VERDICTS];
    size_t n_silent, n_maintenance, n_drift, n_stuck; /* stuck: VMs that cannot leave their host */
    struct report_graph graphs[2];                    /* HVM and PVH; PV where there are such VMs */
    size_t n_graphs;
    bool
        one_vendor; /* of all CPUs: else no level has anything in common, and no kind alone costs */
    bool planned;   /* hosts have a plan: a pool of very many has none */
};

/* Compute all of it.  *in and what it points to must stay.  Free with report_free(). */
void report_make(const struct report_input *in, struct report *r);
void report_free(struct report *r);

/* Write it to f: a page of HTML; a document of JSON on standard output; the text that Prometheus'
 * node_exporter collects.  Return 0; or 2 after a message. */
int report_write_page(const struct report *r, FILE *f);
int report_write_json(const struct report *r);
int report_write_metrics(const struct report *r, FILE *f);

#endif /* POOL_REPORT_H */
