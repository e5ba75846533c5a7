/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs.
 */
#ifndef DOMAIN_H
#define DOMAIN_H

#include <cpuid-policy/policy.h>
#include <levelling.h>
#include <topology.h>

#include <xen/domctl.h>

struct hypervisor;
struct pcpu;

#define DOMAIN_MAX_VCPUS 128u
#define DOMAIN_MAX_PAGES (1ull << 24) /* 64 GiB: guest frame numbers are below it */
#define DOMID_IDLE_      0x7fffu      /* DOMID_IDLE of <xen/xen.h> */

/* No frame. */
#define INVALID_MFN_ (~0ull)

/* General registers by their encoding (SDM vol. 2A, table 3-1): 0 is RAX, 4 RSP. */
enum {
    GPR_RAX,
    GPR_RCX,
    GPR_RDX,
    GPR_RBX,
    GPR_RSP,
    GPR_RBP,
    GPR_RSI,
    GPR_RDI,
    GPR_R8,
    NR_GPRS = 16
};

#define CR4_OSXSAVE (1ull << 18) /* SDM vol. 3A, 2.5 */
#define CR4_PKE     (1ull << 22)

/* XSAVE area in standard form: legacy area, header, and all components that Xen 4.17 gives. */
#define VCPU_XSAVE_SIZE 4096u

/* What a vCPU is made of, for the guest: with its domain's memory, the whole state of it. */
struct vcpu_regs {
    uint64_t gpr[NR_GPRS];
    uint64_t rip, rflags;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t efer;
    uint64_t xcr0, xss;
    uint64_t apic_base; /* MSR 1B; bit 11: enabled */
    uint64_t tsc_aux, misc_features_enables;
    uint32_t pkru;
    uint8_t xsave[VCPU_XSAVE_SIZE];
};

struct vcpu {
    struct domain *domain;
    uint32_t id;

    /* scheduler */
    struct pcpu *pcpu;        /* where it runs, or ran last */
    struct vcpu *next, *prev; /* run queue */
    bool queued, running;
    bool online;        /* VGCF_online: initialised and up */
    bool blocked;       /* waits: until wake_time, or for ever when that is 0 */
    uint64_t wake_time; /* ns */
    uint32_t timer;     /* its place in the heap of those who wait for a time, from 1; 0: in none */
    uint64_t cpu_time;  /* ns that it has run, up to the last switch */

    struct cpu_place place; /* from the domain's topology */
    /* guest_cpuid_update()'s results: sizes of the XSAVE area for XCR0, and for XCR0 | XSS. */
    uint32_t xstate_size, xstate_compact_size;

    struct vcpu_regs regs;
    /* The rest of its context as the toolstack gave it, which nothing here reads: it goes out again
     * with the context.  PV: struct vcpu_guest_context; HVM: see hvm-context.c; NULL: none came. */
    void *context;
    struct xen_domctl_ext_vcpucontext ext; /* PV: its callbacks, kept in the same way */
};

/* Memory of a domain (common/memory.c). */
struct domain_memory {
    uint64_t max_pages, tot_pages;
    uint64_t nr_gfns;  /* highest gfn that was ever in use + 1 */
    uint32_t **chunks; /* gfn -> mfn + 1, by chunks; 0: nothing there */
    uint32_t nr_chunks;
    /* log-dirty */
    bool log_dirty;
    uint64_t dirty_count;
    uint64_t *dirty; /* a bit a gfn, nr_dirty_bits of them */
    uint64_t nr_dirty_bits;
};

struct domain {
    struct hypervisor *hv;
    struct domain *next, *prev; /* by id, ascending */
    struct domain *hash_next;
    uint16_t id;
    bool hvm, hap; /* PV when neither */
    bool idle;
    bool dying;
    bool created; /* has been unpaused once: has run; the policy is frozen */
    bool shutdown;
    uint8_t shutdown_reason; /* SHUTDOWN_* */
    uint32_t pause_count;    /* by the toolstack; a domain is born with 1 */
    struct xen_domctl_createdomain config;

    struct cpu_policy policy;
    struct topology_map topology;
    struct levelling_domain levelling; /* PV only */

    struct domain_memory memory;
    uint64_t shared_info; /* PV: the frame of struct shared_info; else INVALID_MFN_ */

    struct xen_domctl_tsc_info tsc; /* as the toolstack set it; elapsed_nsec at tsc_set */
    uint64_t tsc_set;               /* ns */

    uint64_t hvm_params[64]; /* HVM_PARAM_*: fewer than 64 in <xen/hvm/params.h> */

    uint32_t max_vcpus;
    struct vcpu **vcpus; /* max_vcpus of them; NULL: not allocated yet */
};

static inline enum guest_type domain_guest_type(const struct domain *d)
{
    return !d->hvm ? GUEST_PV : d->hap ? GUEST_HVM_HAP : GUEST_HVM_SHADOW;
}

/* ---- common/domain.c ---- */

/*
 * id DOMID_INVALID: the next free one.  The policy is the default of its type.  *out is set on
 * success only.  -EINVAL: flags or counts that this hypervisor does not have; -EEXIST; -ENOMEM;
 * -EOPNOTSUPP: this machine has no such guests.
 */
int domain_create(struct hypervisor *hv, uint16_t id, const struct xen_domctl_createdomain *config,
                  struct domain **out);
/* Stop the domain and free all that it has; d is gone afterwards. */
void domain_destroy(struct domain *d);
/* Returns the domain, or NULL when there is none.  O(1). */
struct domain *domain_by_id(struct hypervisor *hv, uint16_t id);
int domain_pause(struct domain *d);   /* -ESRCH when it is dying */
int domain_unpause(struct domain *d); /* -EINVAL when it is not paused */
/* Shut down: the guest's doing (SCHEDOP_shutdown) or the hypervisor's (SHUTDOWN_crash). Idempotent.
 */
void domain_shutdown(struct domain *d, uint8_t reason);
/* Make it runnable again after a suspend that was called off. */
void domain_resume(struct domain *d);
/* Replace the policy of a domain that has not run: topology, places, sizes and masks follow. */
void domain_set_policy(struct domain *d, const struct cpu_policy *p);

/* Fill in what XEN_DOMCTL_getdomaininfo and its sysctl tell. */
void domain_getinfo(const struct domain *d, struct xen_domctl_getdomaininfo *info);

int vcpu_create(struct domain *d, uint32_t id); /* -ENOMEM, -EINVAL, -EEXIST */
/* Bring to power-on state: registers zero but for those the SDM says otherwise (vol. 3A, table
 * 10-1). */
void vcpu_reset(struct vcpu *v);

/* ---- common/memory.c ---- */

/* Put a free machine frame, zeroed, at gfn.  -ENOMEM, also when the domain has its max_pages (which
 * are 0 until the toolstack says otherwise); -EEXIST; -EINVAL. */
int memory_populate(struct domain *d, uint64_t gfn);
int memory_release(struct domain *d, uint64_t gfn); /* -ENOENT */
/* Find the frame at gfn.  0 or -ENOENT. */
int64_t memory_mfn(const struct domain *d, uint64_t gfn);
/* Mark as dirty: the guest (or the toolstack, or an emulator) has written there. */
void memory_mark_dirty(struct domain *d, uint64_t gfn);
/* Copy from or to guest memory by guest-physical address, page by page; a write marks dirty.  0 or
 * -EFAULT. */
int memory_read(struct domain *d, uint64_t gpa, void *dst, size_t size);
int memory_write(struct domain *d, uint64_t gpa, const void *src, size_t size);
void memory_free_all(struct domain *d);
/* Make a frame that the hypervisor shares with a PV domain: the domain's, but at no gfn.  0 or
 * -ENOMEM. */
int memory_share_info(struct domain *d);

/*
 * The machine frame that a toolstack means by `frame` of that domain: a gfn of an HVM domain, a
 * machine frame of a PV one, of DOMID_XEN one of the machine-to-physical table.  -ENOENT: not its.
 */
int64_t memory_foreign_frame(struct hypervisor *hv, uint32_t domid, uint64_t frame);
/* Mark as dirty: the toolstack has written to one of those. */
void memory_foreign_written(struct hypervisor *hv, uint32_t domid, uint64_t frame);

int memory_init(struct hypervisor *hv); /* -ENOMEM */
void memory_fini(struct hypervisor *hv);

int log_dirty_enable(struct domain *d); /* -ENOMEM, -EINVAL when it is on */
void log_dirty_disable(struct domain *d);
/* XEN_DOMCTL_shadow_op; *copyback: pages and statistics have changed.  common/log_dirty.c */
int log_dirty_op(struct domain *d, struct xen_domctl_shadow_op *op, bool *copyback);

#endif /* DOMAIN_H */
