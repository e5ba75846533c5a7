/* SPDX-License-Identifier: MIT */
/*
 * The gate on a simulated host, which XENLEVEL_HOST names, in the place of transport_xen.c: its own
 * save and restore can then be driven as libxl drives them (tests/migration/cli/test_engine.py).
 */
#include <stdlib.h>

#include "gate.h"

static struct xc_transport_ops ops;
const struct xc_transport_ops *const gate_transport = &ops;

static int open_host(void **state, const char *where, char *why, size_t why_size)
{
    (void)where;
    return xc_transport_sim.open(state, getenv("XENLEVEL_HOST"), why, why_size);
}

/* libxl names the rings of every domain, and simulated ones have no grant table to grant them in.
 */
static uint8_t grants[4096] __attribute__((aligned(4096)));

static void *map_grants(void *state, uint32_t domid, void **page)
{
    (void)state;
    (void)domid;
    return *page = grants;
}

static void unmap_grants(void *state, void *mapping)
{
    (void)state;
    (void)mapping;
}

__attribute__((constructor)) static void fill_in(void)
{
    ops = xc_transport_sim;
    ops.open = open_host;
    ops.map_grants = map_grants;
    ops.unmap_grants = unmap_grants;
}

const char *gate_syslog(void)
{
    return "/dev/log";
}

const char *gate_drift_file(void)
{
    return "/nonexistent";
}

bool gate_may_peek(void)
{
    return true;
}
