/* SPDX-License-Identifier: MIT */
/*
 * All guests of a pool on all of its hosts, by classes: guests with equal CPUs that come from the
 * same release of Xen, and hosts with equal captures under the same release.  Two that are in the
 * same classes get the same answer, so what it costs depends on how many kinds there are.
 */
#ifndef POOL_MATRIX_H
#define POOL_MATRIX_H

#include "answer.h"
#include "pool.h"

/* A class of guests. */
struct matrix_row {
    size_t policy;   /* index in the pool; POOL_NONE: nobody knows their CPU */
    const char *xen; /* the release that has their state, "" where it is not known */
    size_t first, n; /* order_domains[first .. first + n) are its guests, */
    size_t n_images; /* so many of them images on a disk */
};

/* A class of hosts. */
struct matrix_column {
    size_t capture;
    const char *xen;
    size_t first, n; /* order_hosts[first .. first + n) */
};

struct matrix_count {
    uint64_t yes, no, unknown; /* pairs of a guest and a host */
};

struct pool_matrix {
    const struct pool *pool;
    struct matrix_row *rows;
    struct matrix_column *columns;
    size_t n_rows, n_columns;
    size_t *row_of, *column_of;          /* of each domain and host of the pool */
    size_t *order_domains, *order_hosts; /* their indices, class by class */
    uint8_t *cpus;                       /* enum verdict of their CPUs alone, */
    uint8_t *verdicts;                   /* and with their releases: [row * n_columns + column] */
    struct matrix_count all;             /* guests and images, on hosts other than their own */
};

/* Fill *m.  It points into the pool, which must outlive it and stay as it is. */
void matrix_build(const struct pool *p, struct pool_matrix *m);
void matrix_free(struct pool_matrix *m);

enum verdict matrix_verdict(const struct pool_matrix *m, size_t row, size_t column);
/* Return it for their CPUs alone, whatever the releases are. */
enum verdict matrix_cpus(const struct pool_matrix *m, size_t row, size_t column);
/* Return whether that guest can run on that host, by their indices in the pool. */
enum verdict matrix_of(const struct pool_matrix *m, size_t domain, size_t host);
/* Count the hosts by whether they can run the guests of a row. */
struct matrix_count matrix_count_row(const struct pool_matrix *m, size_t row);
/* Count the guests by whether hosts of this column can run them. */
struct matrix_count matrix_count_column(const struct pool_matrix *m, size_t column);

/* Ask for the whole answer: what stands against it, what is not known.  *a was initialised
 * (answer_init()).  Returns false for a row whose CPU nobody knows: *a says nothing then. */
bool matrix_ask(const struct pool_matrix *m, size_t row, size_t column, struct cpu_answer *a);
/*
 * Return why a row cannot run on a column, or why nobody can say, in one line: "avx512f and
 * avx512dq are missing", "its Xen 4.20.4 is newer: ...", "MSR 10A is not known of it"; malloc'ed,
 * "" where it can.  `most`: so many names of features, the rest is counted; 0: all.
 */
char *matrix_why(const struct pool_matrix *m, size_t row, size_t column, unsigned int most);

/* Return the release under which a host runs: what it says itself, else its capture; "" where
 * neither is known. */
const char *pool_host_xen(const struct pool *p, size_t host);
/* Return the release that has a guest's state: of an image the one that saved it, of a domain that
 * of its host, whose Xen will write its records. */
const char *pool_domain_xen(const struct pool *p, size_t domain);
/* Write a capture, and a class of guests, as answer_ask() has them. */
void pool_answer_host(const struct pool_capture *c, const char *xen, struct answer_host *host);
void pool_answer_guest(const struct pool *p, size_t policy, const char *xen,
                       struct answer_guest *guest);

#endif /* POOL_MATRIX_H */
