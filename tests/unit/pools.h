/* SPDX-License-Identifier: MIT */
/*
 * Pools in memory, without a registry: hosts out of the processors of xen/sim/machines through the
 * derivation, guests that are born on them, for tests and benchmarks.
 *
 *     struct pool p;
 *     pools_begin(&p, "test");
 *     size_t old = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
 *     size_t a = pools_host(&p, "a", old, 64, 40);
 *     size_t hvm = pools_born(&p, old, GUEST_HVM_HAP);
 *     pools_domain(&p, a, "web1", hvm, 4);
 *     pools_end(&p);       now hosts and domains are in their order
 *     ...
 *     pools_free(&p);
 *
 * Whatever fails ends the program with a message.
 */
#ifndef TESTS_UNIT_POOLS_H
#define TESTS_UNIT_POOLS_H

#include <pool.h>

#define POOLS_GIB (1ull << 30)

void pools_begin(struct pool *p, const char *name);
/*
 * Add what hosts with this processor offer under that Xen; returns its index.  variant 0: as the
 * file of the machine has it; others: the same with some features taken away, always the same ones
 * for a number, as other microcode and firmware settings do.
 */
size_t pools_capture(struct pool *p, const char *machine, unsigned int variant, const char *xen);
/* Add a host that has so many GiB of memory, and so many free; returns its index until pools_end().
 */
size_t pools_host(struct pool *p, const char *name, size_t capture, uint64_t gib, uint64_t free);
/* Add the CPU of guests that are born there; or on the level of n captures; returns its index. */
size_t pools_born(struct pool *p, size_t capture, enum guest_type type);
size_t pools_levelled(struct pool *p, const size_t *captures, size_t n, enum guest_type type);
/* Add a guest that runs there, with so many GiB; POOL_NONE: its CPU is not known.  Its record, for
 * what else is to be set. */
Xenlevel__Domain *pools_domain(struct pool *p, size_t host, const char *name, size_t policy,
                               uint64_t gib);
/*
 * Fill a pool with so many hosts and guests on each, drawn by the seed: machines of several
 * generations and vendors with microcode and settings that differ, two releases of Xen, guests born
 * on their host or on the level of its vendor, in usual sizes, so that most hosts have room.  Ends
 * with pools_end().
 */
void pools_draw(struct pool *p, size_t hosts, size_t guests, uint64_t seed);
/* Bring hosts and domains into their order: by name, and by host.  Indices change. */
void pools_end(struct pool *p);
/* Find a host by its name. */
size_t pools_find(const struct pool *p, const char *host);
void pools_free(struct pool *p);

#endif
