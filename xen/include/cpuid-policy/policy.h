/* SPDX-License-Identifier: MIT */
/*
 * CPUID policies: the whole CPU that a host has or a guest is given, as data.
 *
 * A policy holds every CPUID leaf and MSR that describes a CPU.  It comes from and goes to the
 * hypervisor's public arrays (xen_cpuid_leaf_t, xen_msr_entry_t); it can be verified (can this CPU
 * exist?), checked (can this guest run there?) and levelled (what do these hosts share?).
 *
 * Freestanding: no allocation, no global state, bounded time; findings go to the caller's array.
 */
#ifndef CPUID_POLICY_POLICY_H
#define CPUID_POLICY_POLICY_H

#include <cpuid-policy/featureset.h>

/* The public ABI's leaf and MSR entries, from Debian's libxen-dev (xen/arch-x86/xen.h). */
#include <xen/xen.h>

/* How much of each family of leaves a policy can hold. */
enum {
    POLICY_NR_BASIC = 0x25, /* leaves 0 .. 0x24 */
    POLICY_NR_CACHE = 8,    /* leaf 4, subleaves 0 .. 7 */
    POLICY_NR_FEAT = 4,     /* leaf 7, subleaves 0 .. 3 */
    POLICY_NR_TOPO = 8,     /* leaf B */
    POLICY_NR_XSTATE = 64,  /* leaf D: a subleaf a component, 0 and 1 being special */
    POLICY_NR_MONITOR = 2,  /* leaf F */
    POLICY_NR_TILE = 2,     /* leaf 1D */
    POLICY_NR_TMUL = 2,     /* leaf 1E */
    POLICY_NR_TOPO_V2 = 8,  /* leaf 1F */
    POLICY_NR_AVX10 = 2,    /* leaf 24 */
    POLICY_NR_EXTD = 0x29,  /* leaves 80000000 .. 80000028 */

    /* The most entries policy_to_leaves can write: every slot, and the two hypervisor leaves. */
    POLICY_MAX_LEAVES = POLICY_NR_BASIC + POLICY_NR_CACHE + POLICY_NR_FEAT + POLICY_NR_TOPO +
                        POLICY_NR_XSTATE + POLICY_NR_MONITOR + POLICY_NR_TILE + POLICY_NR_TMUL +
                        POLICY_NR_TOPO_V2 + POLICY_NR_AVX10 + POLICY_NR_EXTD + 2,
    POLICY_MAX_MSRS = 2,
};

#define MSR_INTEL_PLATFORM_INFO      0x000000ceu /* SDM vol. 4, table 2-2; Xen offers bit 31 */
#define MSR_ARCH_CAPABILITIES        0x0000010au /* SDM vol. 4, table 2-2 */
#define PLATFORM_INFO_CPUID_FAULTING (1ull << 31)

struct cpuid_regs {
    uint32_t a, b, c, d;
};

/*
 * The slots of basic[] whose leaf has subleaves (4, 7, B, D, F, 1D, 1E, 1F, 24) are not used: those
 * leaves live in their own arrays.  Extended leaves are flat, as in the hypervisor's arrays, though
 * 8000001D and 80000026 have subleaves on real CPUs: their subleaf 0 is held.
 */
struct cpu_policy {
    struct cpuid_regs basic[POLICY_NR_BASIC];
    struct cpuid_regs cache[POLICY_NR_CACHE];
    struct cpuid_regs feat[POLICY_NR_FEAT];
    struct cpuid_regs topo[POLICY_NR_TOPO];
    struct cpuid_regs xstate[POLICY_NR_XSTATE];
    struct cpuid_regs monitor[POLICY_NR_MONITOR];
    struct cpuid_regs tile[POLICY_NR_TILE];
    struct cpuid_regs tmul[POLICY_NR_TMUL];
    struct cpuid_regs topo_v2[POLICY_NR_TOPO_V2];
    struct cpuid_regs avx10[POLICY_NR_AVX10];
    struct cpuid_regs extd[POLICY_NR_EXTD];
    uint32_t hv_limit, hv2_limit; /* EAX of leaves 40000000 and 40000100; 0 = Xen's choice */
    uint64_t platform_info;       /* MSR CE */
    uint64_t arch_caps;           /* MSR 10A */
};

/* What can be wrong, in an array, in a policy, or between a guest's policy and a host's. */
enum policy_fault_kind {
    /* from arrays: index, leaf, subleaf (or msr) say where */
    FAULT_UNSORTED,           /* the entry stands before its predecessor */
    FAULT_DUPLICATE,          /* the same (leaf, subleaf) or MSR twice */
    FAULT_LEAF_RANGE,         /* a leaf or subleaf that no policy holds */
    FAULT_SUBLEAF_EXPECTED,   /* the leaf has subleaves, the entry has none */
    FAULT_SUBLEAF_UNEXPECTED, /* the reverse */
    FAULT_MSR_RANGE,          /* an MSR that no policy holds */
    FAULT_MSR_FLAGS,          /* reserved flags are not zero */
    FAULT_TOO_MANY, /* more entries than any policy has: guest = the count, host = the limit */

    /* from policy_whole: leaf and subleaf, or msr */
    FAULT_NOT_NAMED, /* subleaf is POLICY_NONE when not one of the leaf's is named */

    /* from policy_verify */
    FAULT_VENDOR_UNKNOWN,
    FAULT_MAX_LEAF,       /* a maximum (0.EAX, 7.0.EAX, 80000000.EAX) out of its range */
    FAULT_BEYOND_MAX,     /* a leaf above its family's maximum is not zero */
    FAULT_PREREQUISITE,   /* feature is set, needs is not; check: a rule of Xen's alone */
    FAULT_MAXPHYSADDR,    /* verify: out of 32..52; check: guest above host */
    FAULT_LINEARADDR,     /* out of 32..57, or above the host's */
    FAULT_XSTATE_FEATURE, /* feature is set, its component `subleaf` is not there; check: reverse */
    FAULT_XSTATE_LAYOUT,  /* component: size zero, offset in the legacy area, overlap */
    FAULT_XSTATE_TOTAL,   /* D.0.ECX is not what the components add up to */
    FAULT_MSR_RESERVED,   /* bits of the MSR that no policy may have */

    /* from policy_check: guest and host hold the two values */
    FAULT_VENDOR,          /* different vendors: nothing else is compared */
    FAULT_FEATURE_MISSING, /* the guest has been told of a feature that the host lacks */
    FAULT_HAZARD_UNTOLD,   /* the host has a hazard that the guest has not been told of */
    FAULT_FIELD,           /* a number (feature_field) of the guest is above the host's */
    FAULT_CLFLUSH,         /* different line sizes */
    FAULT_XSTATE_MISSING,  /* component `subleaf` is not there */
    FAULT_XSTATE_SIZE,
    FAULT_XSTATE_OFFSET,
    FAULT_XSTATE_FLAGS, /* alignment or supervisor flag of the component differs */
    FAULT_LEAF,         /* bits of a register, reg, shift and width, by their rule; needs: the
                           feature without which the leaf is zero */
    FAULT_MSR,          /* MSR bits that the host cannot give: guest & ~host */

    /* from policy_compare: guest = as it was told, host = as the domain got it */
    FAULT_GIVEN_OTHERWISE, /* a feature bit (then 0 or 1), or a whole register or MSR */
};

#define POLICY_NONE 0xffffffffu /* in leaf, subleaf, msr, feature: does not apply */

struct policy_fault {
    enum policy_fault_kind kind;
    uint32_t index;         /* of the array entry, for faults from arrays; else POLICY_NONE */
    uint32_t leaf, subleaf; /* POLICY_NONE when not about a leaf / a subleaf */
    uint32_t msr;
    uint32_t feature; /* word * 32 + bit; FAULT_FIELD: the field's number */
    uint32_t needs;   /* FAULT_PREREQUISITE: the feature that is not there */
    uint32_t reg;     /* FAULT_LEAF, FAULT_GIVEN_OTHERWISE of a leaf: 0 EAX .. 3 EDX */
    uint64_t guest, host;
    uint8_t shift, width; /* FAULT_LEAF: which bits of the register guest and host are */
};

/* The caller's room for findings.  Every one is counted, the first `max` are kept. */
struct policy_report {
    struct policy_fault *faults; /* may be NULL when max is 0 */
    size_t max;
    size_t count;
};

/* What a host can do for one type of guest. */
struct policy_host {
    const struct cpu_policy *max; /* what a guest may migrate in with */
    /* What a guest is born with; its hazards are what a guest there must know of.  NULL: hazards
     * are not compared (Xen sets RSBA in *max* on every Intel host, so max cannot tell). */
    const struct cpu_policy *deflt;
};

/* Returns a stable short name of the kind: "feature-missing". */
const char *policy_fault_name(enum policy_fault_kind kind);

/* Returns the slot of a leaf, or NULL when no policy holds it.  subleaf is POLICY_NONE where there
 * are none. */
struct cpuid_regs *policy_leaf(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf);
const struct cpuid_regs *policy_leaf_const(const struct cpu_policy *p, uint32_t leaf,
                                           uint32_t subleaf);
/* Returns whether the leaf has subleaves, as far as policies are concerned. */
bool policy_leaf_has_subleaves(uint32_t leaf);

/*
 * Fill *p from arrays in ascending order (leaf, then subleaf).  All faults are reported; what is
 * not at fault is taken.  Returns 0, or -EINVAL when there was any fault.  What the arrays do not
 * name is zero.
 */
int policy_from_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                       const xen_msr_entry_t *msrs, size_t nr_msrs, struct policy_report *r);
/* The same over what *p holds already: what the arrays do not name stays.  The subleaves of a leaf
 * are named together: where one is, those that are not become zero. */
int policy_merge_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                        const xen_msr_entry_t *msrs, size_t nr_msrs, struct policy_report *r);

/*
 * Say whether the arrays name everything that the policy itself says there is: basic leaves up to
 * 0.EAX; leaf 7 up to 7.0.EAX; the caches (leaf 4) and the topology (leaves B, 1F) up to their
 * first entry of type 0, or to the last that Xen holds; leaf D's subleaves 0, 1 and as far as there
 * are components in XCR0 or XSS; extended leaves up to 80000000.EAX; both MSRs.  That is what
 * Xen 4.14 to 4.22 write (XEN_DOMCTL_get_cpu_policy), and policy_to_leaves().  What is not named is
 * not zero: a domain keeps there what it was born with.  The hypervisor leaves need not be named.
 * Entries of any order and number.  One fault for each thing that is not named.  0 or -EINVAL.
 */
int policy_whole(const xen_cpuid_leaf_t *leaves, size_t nr_leaves, const xen_msr_entry_t *msrs,
                 size_t nr_msrs, struct policy_report *r);

/*
 * Write the policy in ascending order, whole (see above): leaves up to each family's maximum and
 * the lists' ends, and the two hypervisor leaves as Xen does.  *nr_leaves, *nr_msrs: in, the room;
 * out, the entries written. Returns 0 or -ENOBUFS (then the counts say how many are needed).
 * POLICY_MAX_LEAVES and POLICY_MAX_MSRS always suffice.
 */
int policy_to_leaves(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves, size_t *nr_leaves,
                     xen_msr_entry_t *msrs, size_t *nr_msrs);

void policy_to_featureset(const struct cpu_policy *p, struct featureset *fs);
/* Write the feature words; all else stays. */
void policy_from_featureset(struct cpu_policy *p, const struct featureset *fs);

/* Zero every leaf above its family's maximum, and bring the maxima into the range policies hold. */
void policy_trim(struct cpu_policy *p);
/* Lower the maxima to the last leaf that says anything. */
void policy_shrink(struct cpu_policy *p);

/*
 * Programs that dump CPUID often stop before the last subleaves of leaf D.  Fill in those that
 * follow from the rest (architectural sizes, the area's total); give up the components, with their
 * features, that do not.  Returns the components given up.  For dumps only: a policy from Xen is
 * whole.
 */
uint64_t policy_complete_xstate(struct cpu_policy *p);

/* Report everything for which this CPU cannot exist.  0 or -EINVAL. */
int policy_verify(const struct cpu_policy *p, struct policy_report *r);

/*
 * Say whether a guest with this policy can run there: report every difference that matters, and
 * what a hypervisor would take from it anywhere (what is not closed as by policy_close()).  0 or
 * -EINVAL.
 */
int policy_check(const struct cpu_policy *guest, const struct policy_host *host,
                 struct policy_report *r);

/*
 * Take from a maximum or default policy for guests of the type, as a hypervisor reports it, what no
 * domain gets of it.  Of every type: linear addresses wider than the paging has levels.  With
 * shadow paging, for which Xen has no policies of their own: features reserved for nested paging;
 * RSBA, RRSBA and VIRT_SSBD, which Xen puts into its policies and into no mask of features, and so
 * takes from each such domain whatever it was told (4.17 to 4.22): a guest that was told of them
 * cannot come, and nobody there can be told; physical addresses above 44 bits, for its frame
 * numbers have 32.
 */
void policy_restrict(struct cpu_policy *p, enum guest_type type);

/*
 * Say whether what the domain got is the CPU that it was told of: report every difference that a
 * guest can see, each feature by its number.  A hypervisor leaf's maximum that is told as 0 is
 * Xen's choice. 0 or -EINVAL.
 */
int policy_compare(const struct cpu_policy *told, const struct cpu_policy *given,
                   struct policy_report *r);
/* Say which bits of a register (0 EAX .. 3 EDX) Xen decides itself, so that policy_compare() does
 * not look at them: *mask.  Returns the reason; NULL where there are none, with *mask 0. */
const char *policy_own_nature(uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t *mask);

/* Clear what lost its prerequisites, the state components of what was cleared, and recompute the
 * sizes of leaf D.  *dropped (may be NULL) receives the features that fell. */
void policy_close(struct cpu_policy *p, struct featureset *dropped);

/*
 * Make *level, what n hosts share.  What is levelled is what guests are born with, deflt.  Of what
 * accumulates (MERGE_ACCUMULATE) the level has what any of them has and every max has too; max
 * NULL: not known, so no reason against it.  Of RSBA and RRSBA, one hazard in two strengths, it has
 * the one that goes with what became of EIBRS.  Identity (family, model, brand, caches) is the
 * first host's. *lost (may be NULL): what accumulates and some host has, and the level cannot
 * carry. Returns 0; -EINVAL for n == 0; -EXDEV when vendors or CLFLUSH sizes differ, with *culprit
 * (may be NULL) = the index of the first host that does not fit the first one; *level says nothing
 * then.
 */
int policy_level(const struct policy_host *hosts, size_t n, struct cpu_policy *level,
                 struct featureset *lost, size_t *culprit);

/*
 * Bring a guest's policy down (and its hazards up) to a level, keeping its identity and topology.
 * What accumulates becomes the level's.  *dropped (may be NULL) receives the features that the
 * guest lost.  0 or -EXDEV as above.
 */
int policy_apply_level(struct cpu_policy *guest, const struct cpu_policy *level,
                       struct featureset *dropped);

/* "Intel(R) Xeon(R) ..." without surrounding blanks; buf of 49 bytes.  Empty when there is none. */
void policy_brand(const struct cpu_policy *p, char buf[static 49]);
/* "GenuineIntel"; buf of 13 bytes. */
void policy_vendor(const struct cpu_policy *p, char buf[static 13]);
/* Family, model, stepping as displayed (SDM vol. 2A, CPUID leaf 1). */
void policy_signature(const struct cpu_policy *p, unsigned int *family, unsigned int *model,
                      unsigned int *stepping);

#endif /* CPUID_POLICY_POLICY_H */
