/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor: one of them a machine.  All its state is here; nothing is global, so that one
 * process can run many machines.
 */
#ifndef HYPERVISOR_H
#define HYPERVISOR_H

#include <cpuid-policy/policy.h>
#include <domain.h>
#include <host-policy.h>
#include <levelling.h>
#include <platform.h>

/* The version whose ABI the core speaks, and that it gives as its own. */
#define XEN_MAJOR 4u
#define XEN_MINOR 17u

/* A physical CPU, and what runs there. */
struct pcpu {
    struct hypervisor *hv;
    unsigned int id;
    bool online;
    struct vcpu *current; /* never NULL when online: the idle vCPU at least */
    struct vcpu *idle;
    struct vcpu *head, *tail; /* run queue: runnable, not running */
    uint32_t nr_queued;
    uint64_t slice_end;   /* ns */
    uint64_t last_switch; /* ns; for accounting */
    uint64_t context_switches;
    struct levelling_pcpu levelling;
    uint64_t cr4, xcr0; /* as last written there */
};

/* A machine frame, and who has it. */
struct frame {
    struct domain *owner; /* NULL: nobody, or the hypervisor itself */
    uint32_t pfn;         /* where the owner has it; FRAME_SHARED: nowhere, it is shared info */
    /* Of a PV domain's (arch/x86/pv-tables.c): */
    uint8_t table; /* 1 to 4: a page table of that level; FRAME_GDT; 0: neither */
    bool pinned;   /* ... that stays one */
    bool writable; /* the domain can write to it through a page table: it can be none itself */
};
#define FRAME_SHARED UINT32_MAX
#define FRAME_GDT    5u

/* The machine-to-physical table has entries of 8 bytes, and is counted in pieces of 2 MiB. */
#define M2P_PER_FRAME    512ull
#define M2P_CHUNK_FRAMES 512ull
#define M2P_INVALID      (~0ull) /* what stands there for a frame that is no PV domain's */

#define DOMAIN_HASH  4096u
#define CONSOLE_RING 32768u /* bytes; a power of 2 */

struct xen_sysctl;

/*
 * Another way to give domains their policies than the core's own, which is to take one exactly or
 * not at all.  A platform that wants it puts it into a booted hypervisor (xen/sim/stock.h).
 */
struct policy_way {
    /* What a domain is born with: *p is its default policy, and may be changed. */
    void (*birth)(const struct domain *d, struct cpu_policy *p);
    /*
     * XEN_DOMCTL_set_cpu_policy: *p is d's policy, and becomes what d is given for these arrays,
     * whose lengths are in *op.  0; or a negative errno with the place in op->err_*, which come as
     * POLICY_NONE.
     */
    long (*set)(const struct domain *d, struct cpu_policy *p, struct xen_domctl_cpu_policy *op,
                const xen_cpuid_leaf_t *leaves, const xen_msr_entry_t *msrs);
    unsigned int minor; /* of the Xen 4.x that does so */
};

struct hypervisor {
    struct platform *platform;
    const struct policy_way *policy_way; /* NULL: the core's own */
    struct host_options options;         /* from the command line */

    struct cpu_policy policies[HOST_POLICIES]; /* by XEN_SYSCTL_cpu_policy_*, and HOST_POLICY_* */
    bool has_hvm, has_hap;
    struct levelling levelling;

    unsigned int nr_pcpus;
    struct pcpu pcpus[PLATFORM_MAX_PCPUS];
    struct domain idle_domain;
    uint64_t slice; /* ns */

    /* vCPUs that wait for a time: a binary heap by wake_time. */
    struct vcpu **timers;
    uint32_t nr_timers, timers_room;
    uint32_t nr_vcpus; /* of all domains but the idle one: there is room for as many timers */

    struct domain *domains, *last_domain; /* ascending ids */
    struct domain *by_id[DOMAIN_HASH];
    uint32_t nr_domains;
    uint16_t last_domid;

    /* Machine frames (common/memory.c): those for domains are 0 to nr_pages - 1; the
     * machine-to-physical table, which toolstacks may read, is behind them. */
    uint64_t nr_pages, free_pages;
    uint64_t nr_m2p;      /* frames of that table */
    struct frame *frames; /* nr_pages of them */
    uint64_t next_page;   /* the first frame that was never given to a domain */
    uint32_t *free_list;  /* stack of frames that came back */
    uint64_t nr_free_list;

    char cmdline[1024];

    /* What printk() wrote: bytes ever written modulo 2^32 are the ABI's index into it. */
    char console[CONSOLE_RING];
    uint32_t console_produced, console_consumed;
};

/* ---- common/boot.c ---- */

/*
 * Boot on this platform: read CPUID, derive the policies, find out about levelling, start every
 * pCPU, create dom0 (a PV domain without memory: the toolstack is its only program).
 * -EINVAL: a command line option is wrong (what is on the console); -ENOMEM.
 */
int hypervisor_boot(struct hypervisor *hv, struct platform *p, const char *cmdline);
/* End all domains, free all memory, bring the pCPUs back to unmasked CPUID. */
void hypervisor_shutdown(struct hypervisor *hv);

/* ---- common/sched.c ---- */

/*
 * Let the scheduler decide what this pCPU runs from now on, switching to it when that is another
 * vCPU: accounting, XCR0, levelling.  To be called whenever time has passed or something changed.
 * Returns the vCPU to run: the idle one when there is nothing to do.
 */
struct vcpu *schedule(struct hypervisor *hv, unsigned int pcpu);
/* Make it not runnable until wake_time (0: until vcpu_wake). */
void vcpu_block(struct vcpu *v, uint64_t wake_time);
void vcpu_wake(struct vcpu *v);
/* Returns whether it can run: online, not blocked, domain neither paused, dying nor shut down. */
bool vcpu_runnable(const struct vcpu *v);
/* Queue or unqueue every vCPU of d after a change of d's state. */
void sched_domain_changed(struct domain *d);
/* Take a pCPU out of and back into service; its vCPUs go elsewhere.  -EBUSY: the last one, or
 * pCPU 0; -EINVAL. */
int pcpu_offline(struct hypervisor *hv, unsigned int pcpu);
int pcpu_online(struct hypervisor *hv, unsigned int pcpu);
/* Make idle vCPUs and timers.  0; or -ENOMEM, and nothing is left behind. */
int sched_init(struct hypervisor *hv);
void sched_fini(struct hypervisor *hv);
/* Make room for a vCPU that comes (0 or -ENOMEM), or forget one that goes. */
int sched_add_vcpu(struct vcpu *v);
void sched_remove_vcpu(struct vcpu *v);
/* d's vCPUs stop where they run now; those that may still run are queued.  Their state can then be
 * read and changed. */
void sched_domain_stop(struct domain *d);
/* Returns when the next blocked vCPU wants to be woken; 0: none does. */
uint64_t sched_next_wakeup(const struct hypervisor *hv);
/* ns that it has run, up to now. */
uint64_t vcpu_cpu_time(const struct vcpu *v);

/* ---- arch/x86/domain.c ---- */

/* Do the x86 part of a context switch on this pCPU: real XCR0 and CR4, and levelling. */
void context_switch(struct hypervisor *hv, unsigned int pcpu, struct vcpu *prev, struct vcpu *next);
/* Write a register as the guest does, checked against its policy.  0 or -EINVAL (#GP).  `running`
 * on a pCPU or not. */
int vcpu_write_cr4(struct vcpu *v, uint64_t value);
int vcpu_write_xcr0(struct vcpu *v, uint64_t value);

/* ---- arch/x86/cpuid.c ---- */

/*
 * What this vCPU reads with CPUID: its domain's policy, the dynamic bits, and its place in the
 * topology; hypervisor leaves from 0x40000000.  What is in no policy reads as zero.
 */
void guest_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs);
/* Recompute what of it is kept in the vCPU; after a change of policy, topology, XCR0 or XSS. */
void guest_cpuid_update(struct vcpu *v);

/* ---- common/hypercall.c and what it dispatches to ---- */

#define HYPERCALL_ARGS 5
/* Do a hypercall of dom0: __HYPERVISOR_*, its arguments.  Returns >= 0, or a negative errno
 * (XEN_E*). */
long hypercall(struct hypervisor *hv, unsigned int op, const uint64_t args[HYPERCALL_ARGS]);
long do_sysctl(struct hypervisor *hv, uint64_t op_addr);                    /* common/sysctl.c */
long do_domctl(struct hypervisor *hv, uint64_t op_addr);                    /* common/domctl.c */
long do_memory_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg);   /* common/memory_op.c */
long do_xen_version(struct hypervisor *hv, unsigned int cmd, uint64_t arg); /* common/version.c */
long readconsole(struct hypervisor *hv, struct xen_sysctl *op);             /* common/console.c */
long do_sched_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg);    /* common/hypercall.c */
long do_hvm_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg);      /* common/hypercall.c */
/* Do those that are x86's.  -XEN_ENOSYS: not one of them.  *copyback: the op struct has to go back.
 */
long arch_do_sysctl(struct hypervisor *hv, struct xen_sysctl *op, bool *copyback);
long arch_do_domctl(struct hypervisor *hv, struct domain *d, struct xen_domctl *op, bool *copyback);

/*
 * Write a policy into the caller's two arrays.  A null handle asks for the most that any policy
 * has; -ENOBUFS: too short, and nothing was written.  arch/x86/policy-copy.c
 */
long policy_copy_to_guest(struct hypervisor *hv, const struct cpu_policy *p, uint64_t leaves,
                          uint32_t *nr_leaves, uint64_t msrs, uint32_t *nr_msrs);
/* Do XEN_DOMCTL_{get,set}_cpu_policy.  The second always says in *op what it objects to. */
long domain_get_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *op);
long domain_set_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *op);
/* XEN_DOMCTL_{get,set}hvmcontext and gethvmcontext_partial.  arch/x86/hvm-context.c */
long hvm_get_context(struct domain *d, struct xen_domctl_hvmcontext *op);
long hvm_set_context(struct domain *d, const struct xen_domctl_hvmcontext *op);
long hvm_get_context_partial(struct domain *d, struct xen_domctl_hvmcontext_partial *op);

/* Fill in what physinfo says about the CPUs; say where in the machine a pCPU is. */
void arch_physinfo(struct hypervisor *hv, struct xen_sysctl *op);
void arch_cputopo(const struct hypervisor *hv, unsigned int pcpu, uint32_t *core, uint32_t *socket);
/* Returns the CPUs' base frequency as CPUID tells it, 0 when it does not.  arch/x86/host-read.c */
uint32_t host_khz(const struct hypervisor *hv);

/* An index from outside that was found to be below n, for memory accesses: also a CPU that has
 * guessed the comparison's outcome reads nothing beyond. */
static inline uint32_t index_nospec(uint32_t index, uint32_t n)
{
    uint32_t mask;

    __asm__ volatile("cmp %1, %2; sbb %0, %0" : "=r"(mask) : "r"(n), "r"(index) : "cc");
    return index & mask;
}

/* A guest handle of the ABI as an address. */
#define HANDLE(h) ((uint64_t)(uintptr_t)(h).p)

/* ---- common/printk.c ---- */

/* Print to the console.  %s %c %d %u %x with l, ll, 0 and width, %%; one line a call, cut at 256.
 */
void printk(struct hypervisor *hv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int format_text(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif /* HYPERVISOR_H */
