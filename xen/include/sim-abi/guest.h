/* SPDX-License-Identifier: MIT */
/*
 * Scripted guests in memory: what a toolstack that builds one writes, and what it reads of a
 * running one.  A guest's whole state is its vCPU's registers and its domain's memory, nothing
 * else: so a migration really carries it.
 *
 * A PV guest's memory is behind page tables of its own, with its machine frames in them
 * (guest-pv.h); what follows is the same for all types.
 *
 * A guest's "kernel" is one page of its memory, where RIP points: SIM_GUEST_MAGIC, the script, its
 * parameters, and what the guest notes down itself.  The builder (xl create) writes the first part.
 * The page behind it (of vCPU 0; the next one of vCPU 1, ...) is where a vCPU keeps what CPUID
 * answered when it booted: its kernel in the first half, of a PV guest its programs in the second.
 */
#ifndef SIM_ABI_GUEST_H
#define SIM_ABI_GUEST_H

#include <stdint.h>

#define SIM_GUEST_MAGIC 0x74736575476c5658ull /* "XVlGuest" in memory order */

enum sim_script { SCRIPT_STEADY = 1, SCRIPT_WRITER = 2, SCRIPT_VECTOR = 3 };

enum sim_guest_status {
    GUEST_FRESH = 0, /* has not booted */
    GUEST_RUNNING = 1,
    GUEST_CPU_CHANGED,  /* CPUID is not what it was at boot (of a PV guest: what its kernel asks) */
    GUEST_MEMORY_BAD,   /* writer: a page is not what was written there */
    GUEST_DIED_UD,      /* vector: #UD in its vector loop */
    GUEST_REGISTER_BAD, /* a register is not what was left there */
    GUEST_PROGRAMS_CHANGED, /* PV: what its programs read is not what it was at boot.  Its kernel
                             * goes on; that it has happened stays noted */
};

/* The page.  All little endian, at fixed offsets: it is memory of a VM.  Everything from `status`
 * on is the guest's own, of vCPU 0; vCPU n has its struct at n * sizeof(struct) behind it. */
struct sim_guest_page {
    uint64_t magic;
    uint32_t script; /* enum sim_script */
    uint32_t nr_vcpus;
    uint64_t seed;
    uint64_t first_gfn, nr_gfns; /* writer: the pages that it dirties */
    uint64_t pages_per_second;   /* writer: its rate, in simulated time */
    uint64_t reserved[10];       /* zero; to 128 bytes */
};

/* Per vCPU, from byte 128 of the page. */
struct sim_guest_vcpu {
    uint32_t status; /* enum sim_guest_status */
    uint32_t level;  /* vector: the extension it chose, an index into its list */
    uint64_t ticks;  /* steps made */
    uint64_t digest; /* of all CPUID answers at boot, its kernel's */
    uint64_t checks; /* comparisons made */
    uint64_t work;   /* writer: pages written.  vector: vectors computed */
    uint64_t changed_leaf, changed_subleaf; /* what differs, for GUEST_{CPU,PROGRAMS}_CHANGED */
    uint64_t expected, seen;
    uint64_t last_write_ns; /* of guest time */
    uint64_t time_ns;       /* guest time: that it has run, in ns */
};

#define SIM_GUEST_MAX_VCPUS 41u
_Static_assert(sizeof(struct sim_guest_page) == 128 && sizeof(struct sim_guest_vcpu) == 88 &&
                   128 + SIM_GUEST_MAX_VCPUS * 88 <= 4096,
               "it is memory of a VM: nothing moves");
/* Guest-physical address of the page: frame 16 (below 1 MiB is otherwise free). */
#define SIM_GUEST_GFN 16u

/* A guest has at most so many pages: 64 GiB. */
#define SIM_GUEST_MAX_PAGES (1ull << 24)

/* Names a status: "running", "cpu-changed", ...; "unknown". */
const char *sim_guest_status_name(uint32_t status);
/* Names a script: "steady", ...; NULL: there is none of that number. */
const char *sim_script_name(uint32_t script);

#endif /* SIM_ABI_GUEST_H */
