/* SPDX-License-Identifier: MIT */
/*
 * A pool as it was at one moment, in memory: what its registry says, with equal CPUs together.
 *
 * Whatever is asked about a pool (matrix, evacuation, suggestions, the report) is computed from
 * this alone, so a pool can be put together without a registry, for planning and for tests.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu_policy.pb-c.h"
#include "pool.pb-c.h"
#include "xc.h"

#define POOL_NONE ((size_t)-1)

/* What hosts of one kind can offer: a class of hosts. */
struct pool_capture {
    char digest[65]; /* "" when it never was in a registry */
    Xenlevel__File *file;
    bool have[XC_POLICIES];
    struct cpu_policy *policy[XC_POLICIES], *unknown[XC_POLICIES]; /* NULL where there is none */
    bool caps_known;
    uint32_t caps;
};

/* The CPU of guests of one kind: a class of guests. */
struct pool_policy {
    char digest[65];
    enum guest_type type; /* GUEST_PV; GUEST_HVM_HAP for HVM and PVH */
    struct cpu_policy policy, unknown;
};

struct pool_level {
    char *name; /* "web.v3" */
    Xenlevel__File *file;
    bool have[2]; /* PV, HVM */
    struct cpu_policy policy[2];
};

struct pool_host {
    Xenlevel__PoolHost *record; /* ->name */
    uint64_t revision;          /* of host/NAME */
    size_t capture;             /* index */
    char *seen;                 /* when it last refreshed; NULL: its lease has ended, or never */
    bool ahead; /* its last refresh is in the future: its clock is wrong, or this one; no `seen` */
    size_t first_domain, n_domains; /* in domains[] */
    uint64_t domains_revision;
};

struct pool_domain {
    Xenlevel__Domain *record; /* ->name */
    size_t host, policy;      /* indices; policy POOL_NONE: its CPU is not known */
};

/* Domains of a host that has no record: it was lost, or they are another pool's. */
struct pool_stray {
    char *key; /* "domains/HOST" */
    uint64_t revision;
};

struct pool {
    Xenlevel__Pool *record;
    uint64_t revision;       /* of the key "pool" */
    uint64_t store_revision; /* of the snapshot */
    struct pool_capture *captures;
    struct pool_policy *policies;
    struct pool_level *levels;   /* by name and version */
    struct pool_host *hosts;     /* by name */
    struct pool_domain *domains; /* by host, then as in its record */
    struct pool_stray *strays;
    size_t n_strays;
    size_t n_captures, n_policies, n_levels, n_hosts, n_domains;
    size_t level; /* the pool's, index; POOL_NONE */
    char *error;  /* one line, safe to print */
};

struct store;

/* Read the registry.  0; or -1 with errno and p->error: not a pool (ENOENT), of a newer schema
 * (EPROTONOSUPPORT), a value that is rubbish (EINVAL; the line names the key).  Call pool_free() in
 * both cases. */
int pool_load(struct store *store, struct pool *p);
/* Read only what one host needs to know: the pool, its levels, and this host with its capture and
 * its domains' policies, where it is a member. */
int pool_load_host(struct store *store, const char *name, struct pool *p);
void pool_free(struct pool *p);

/* Fill a capture from a file with a Host, and own it.  Clear it: the file too. */
void pool_capture_take(struct pool_capture *c, Xenlevel__File *file);
void pool_capture_clear(struct pool_capture *c);

/* Return the key "kind/NAME", NAME with every byte that a key cannot have as %XX; malloc'ed. */
char *pool_key(const char *kind, const char *name);

/*
 * Open the registry that is meant: `option` (of --pool; NULL: not given), else XENLEVEL_POOL, else
 * the configuration's.  Returns NULL after a message.  Close it by store_close().
 */
struct store *pool_open(const char *option, bool create);

size_t pool_find_host(const struct pool *p, const char *name);
/* Find a domain by name or UUID; *more (may be NULL): how many others have that name. */
size_t pool_find_domain(const struct pool *p, const char *name, size_t *more);
size_t pool_find_level(const struct pool *p, const char *name);

#endif /* POOL_POOL_H */
