/* SPDX-License-Identifier: MIT */
/*
 * Levelling: what a PV guest's CPUID instruction, which runs on the hardware, can be made to say.
 *
 * Four mechanisms, by CPU: none (virtualised, or too old); masking MSRs (Intel: AND masks; AMD:
 * override values, which this code never lets go beyond what the CPU has); CPUID faulting (Intel);
 * CpuidUserDis (AMD).  With faulting the hypervisor answers, and masks are neither needed nor
 * touched.  Without it each PV domain has values for the masking MSRs, and they are switched with
 * the vCPU, each written only when the pCPU holds another value.
 *
 * HVM guests never see hardware CPUID, so the masks stay as a PV guest left them while HVM and idle
 * vCPUs run.  Faulting is another matter: a fault by privilege level comes before the VM exit (SDM
 * vol. 3C, 26.1.1), so for an HVM vCPU it is on exactly when that vCPU asked for it itself.
 *
 * dom0 is a PV domain as any other: it reads its policy too.  (Stock Xen excepts it, because its
 * toolstack executes CPUID to learn about the host; ours asks with sysctls.)
 */
#ifndef LEVELLING_H
#define LEVELLING_H

#include <cpuid-policy/policy.h>
#include <levelling-view.h>

struct hypervisor;
struct domain;
struct vcpu;

/* The masking MSRs by what they cover.  Which MSR that is, is the CPU's (struct levelling). */
enum mask_slot {
    MASK_1,    /* leaf 1: ECX and EDX */
    MASK_E1,   /* leaf 80000001: ECX and EDX */
    MASK_Da1,  /* leaf D, subleaf 1: EAX */
    MASK_7ab0, /* leaf 7, subleaf 0: EAX and EBX */
    MASK_6c,   /* leaf 6: ECX */
    MASK_SLOTS,
};

/* Values of the masking MSRs, as WRMSR takes them. */
struct cpuid_masks {
    uint64_t value[MASK_SLOTS];
};

enum levelling_kind {
    LEVELLING_NONE,
    LEVELLING_INTEL_V1, /* 0x478: Penryn, Dunnington */
    LEVELLING_INTEL_V2, /* 0x130, 0x131: Nehalem, Westmere */
    LEVELLING_INTEL_V3, /* 0x132, 0x133, 0x134: Sandy Bridge */
    LEVELLING_INTEL_FAULTING,
    LEVELLING_AMD,         /* override MSRs */
    LEVELLING_AMD_USERDIS, /* CpuidUserDis; the override MSRs may be there as well */
};

/* Of the machine; found out at boot on pCPU 0, constant afterwards. */
struct levelling {
    enum levelling_kind kind;
    uint32_t expected_caps;      /* XEN_SYSCTL_CPU_LEVELCAP_* that family and model promise */
    uint32_t caps;               /* those that were really found */
    uint32_t msr[MASK_SLOTS];    /* MSR number, 0: there is none */
    uint32_t edi;                /* what the MSR accesses need in EDI */
    struct cpuid_masks hardware; /* what they held when the machine was switched on */
    struct cpuid_masks defaults; /* host defaults: what a pCPU comes up with */
    bool write_failure_logged;   /* the first one is, the others only counted */
};

/* Of a pCPU: what its MSRs hold now. */
struct levelling_pcpu {
    struct cpuid_masks held;
    uint32_t unknown;        /* a bit a slot: what it holds could not be found out; bit MASK_SLOTS:
                                whether faulting is on */
    bool faulting;           /* CPUID faulting (or CpuidUserDis) is on */
    uint64_t writes;         /* WRMSRs that switching has made here */
    uint64_t switches;       /* context switches to a vCPU that needs masks or faulting */
    uint64_t write_failures; /* WRMSRs that faulted though probing had not */
};

/* Of a PV domain, from its policy. */
struct levelling_domain {
    struct cpuid_masks masks;  /* with OSXSAVE clear, and 0 where there is no MSR */
    uint64_t osxsave;          /* for a vCPU that has it in its CR4: to be set in MASK_1 */
    struct featureset visible; /* features its policy lacks and its CPUID shows nevertheless */
    bool costs_switches;       /* masks differ from the host's defaults: WRMSRs at switches */
};

/*
 * On pCPU 0, after the policies were made from unmasked CPUID: probe, log what is missing or
 * surprising, and compute the defaults (the host policy's features, `cpuid_mask_*=` of the command
 * line).  Needs hv->platform, hv->options and the raw and host policies; fills hv->levelling.
 */
void levelling_init(struct hypervisor *hv);
/* Bring each pCPU (0 included) when it comes up to the host's defaults, whatever it held. */
void levelling_pcpu_online(struct hypervisor *hv, unsigned int pcpu);
/* Leave the pCPU as the next kernel expects it (crash, kexec, shutdown): everything unmasked. */
void levelling_pcpu_restore(struct hypervisor *hv, unsigned int pcpu);

/* Make d->levelling of d->policy, which has just changed.  Logs a warning for what stays visible
 * and for the cost of switching, once a domain (when it first becomes so). */
void levelling_domain_update(struct hypervisor *hv, struct domain *d);

/*
 * `next` is about to run on this pCPU.  Idle: nothing is written.  HVM: at most faulting.  PV:
 * faulting on, or the masks as they must be for this vCPU's CR4.  The fast path (nothing to change)
 * makes no MSR access.
 */
void levelling_switch(struct hypervisor *hv, unsigned int pcpu, const struct vcpu *next);

/* "CPUID faulting", "Intel masks (V2)", ... */
const char *levelling_kind_name(enum levelling_kind kind);

#endif /* LEVELLING_H */
