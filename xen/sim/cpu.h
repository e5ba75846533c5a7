/* SPDX-License-Identifier: MIT */
/*
 * A simulated CPU: a CPUID dump, and the MSRs that change what CPUID says, with their real
 * semantics (SDM vol. 4; AMD BIOS and Kernel Developer's Guides, APM vol. 3 appendix E).
 */
#ifndef SIM_CPU_H
#define SIM_CPU_H

#include <cpuid-policy/policy.h>
#include <levelling.h>

/* What all pCPUs of a machine have in common. */
struct sim_cpu_model {
    struct cpu_policy cpuid; /* unmasked, of its first pCPU */
    unsigned int family, model, stepping;
    bool virtualised; /* no masking MSR, no faulting: what a hypervisor below would show */
    /* Derived from the CPU by sim_cpu_model_init(), and then a machine file may say otherwise. */
    enum levelling_kind kind;
    uint32_t mask_msr[MASK_SLOTS]; /* 0: not there, an access raises #GP */
    uint32_t edi;                  /* EDI that the mask MSRs want; another value raises #GP */
    bool has_faulting;             /* MSR 0xCE bit 31, MSR 0x140 */
    bool has_userdis;              /* CPUID 80000021.EAX[17], HWCR bit 35 */
    uint64_t platform_info, arch_caps;
};

/* The state of one pCPU. */
struct sim_pcpu {
    const struct sim_cpu_model *model;
    unsigned int id;
    uint64_t mask[MASK_SLOTS];
    uint64_t misc_features_enables; /* MSR 140 */
    uint64_t hwcr;                  /* MSR C0010015 */
    uint64_t cr4, xcr0;
    uint64_t msr_reads, msr_writes; /* counted, #GP or not */
    uint64_t changes; /* writes after which CPUID says something else: masks and faulting */
};

/* Derive the rest of *model from model->cpuid and model->virtualised. */
void sim_cpu_model_init(struct sim_cpu_model *model);
/* Switch a pCPU on: its masks are as the CPU has them then (all ones on Intel; on AMD the features
 * themselves). */
void sim_pcpu_reset(struct sim_pcpu *c, const struct sim_cpu_model *model, unsigned int id);

/* Execute CPUID at this privilege level.  False: #GP (faulting, at CPL > 0). */
bool sim_pcpu_cpuid(const struct sim_pcpu *c, unsigned int cpl, uint32_t leaf, uint32_t subleaf,
                    struct cpuid_regs *regs);
/* Execute RDMSR and WRMSR.  False: #GP; nothing has changed. */
bool sim_pcpu_rdmsr(struct sim_pcpu *c, uint32_t msr, uint32_t edi, uint64_t *value);
bool sim_pcpu_wrmsr(struct sim_pcpu *c, uint32_t msr, uint32_t edi, uint64_t value);
/* Return whether an instruction of this feature runs here.  Masks hide a feature from CPUID only:
 * what the silicon has, it executes (given its CR4/XCR0 bits).  False: #UD. */
bool sim_pcpu_executes(const struct sim_pcpu *c, unsigned int feature);

#endif /* SIM_CPU_H */
