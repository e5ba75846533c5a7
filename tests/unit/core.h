/* SPDX-License-Identifier: MIT */
/* A booted machine with a caller's memory, for tests of the core. */
#ifndef TESTS_UNIT_CORE_H
#define TESTS_UNIT_CORE_H

#include <sim/platform.h>

#include <hypervisor.h>

#include <xen/sysctl.h>

#define CORE_WINDOW (3u << 20)
#define CORE_WINDOW_BASE                                                                           \
    0x7f1200000000ull /* not where we have it: an address used raw is caught                       \
                       */

struct core {
    struct platform platform;
    struct hypervisor hv;
    struct sim_window window;
    size_t used; /* of the window, by core_put() */
};

/* Power on, without booting; CPUs by their names in xen/sim/machines. */
struct core *core_power_on(const char *cpu, unsigned int nr_pcpus, uint64_t nr_pages);
/* Power on and boot; fails the test when that fails. */
struct core *core_boot(const char *cpu, unsigned int nr_pcpus, uint64_t nr_pages,
                       const char *cmdline);
/* Shut down; fails the test when memory was not given back. */
void core_halt(struct core *c);
/* Without the shutdown: for machines that did not boot. */
void core_power_off(struct core *c);

/* Room in the window, filled from src (zero when NULL): its address there, and here. */
uint64_t core_put(struct core *c, const void *src, size_t size);
void *core_at(struct core *c, uint64_t addr);
/* All room free again. */
void core_reset(struct core *c);

/* Through the window and back, the interface version filled in. */
long core_sysctl(struct core *c, struct xen_sysctl *op);
long core_domctl(struct core *c, struct xen_domctl *op);
long core_call(struct core *c, unsigned int op, uint64_t a0, uint64_t a1);

/* A domain by hypercalls, with vCPUs and pages from frame 0 on; fails the test.  flags:
 * XEN_DOMCTL_CDF_*. */
struct domain *core_domain(struct core *c, uint32_t flags, uint32_t nr_vcpus, uint64_t nr_pages);
/* Its vCPUs up, and unpaused. */
void core_start(struct core *c, struct domain *d);
/* The console has this text. */
bool core_said(const struct core *c, const char *text);

#define HANDLE_SET(h, addr) ((h).p = (void *)(uintptr_t)(addr))

#endif
