/* SPDX-License-Identifier: MIT */
/*
 * What a vCPU reads with CPUID.
 *
 * The domain's policy answers, and nothing else: a leaf or subleaf that it does not hold reads as
 * zero.  On top come the bits that follow the vCPU's own state, and its place in the topology.
 * All of it is indexing, so that the answer takes the same time whatever the policy holds.
 */
#include <hypervisor.h>

#include <cpuid-policy/vocabulary.h>

#include "features-gen.h"
#include "guest-cpuid.h"

#define APIC_BASE_ENABLE (1ull << 11) /* SDM vol. 3A, 11.4.4 */
#define XCR0_X87         1ull

/* Leaves whose subleaves a policy does not hold though CPUs have some: only subleaf 0 is there.
 * RDT, SGX, PT, SoC vendor, address translation, PCONFIG, history reset, PMU. */
#define BASIC_SUBLEAF_0                                                                            \
    (1ull << 0x10 | 1ull << 0x12 | 1ull << 0x14 | 1ull << 0x17 | 1ull << 0x18 | 1ull << 0x1b |     \
     1ull << 0x20 | 1ull << 0x23)
/* 8000001D (caches), 80000020 (QoS), 80000026 (topology). */
#define EXTD_SUBLEAF_0 (1ull << 0x1d | 1ull << 0x20 | 1ull << 0x26)

/* Entry `index` of an array of a policy, zero beyond its end. */
static void read_entry(struct cpuid_regs *r, const struct cpuid_regs *from, uint32_t nr,
                       uint32_t index)
{
    if (index < nr)
        *r = from[index_nospec(index, nr)];
}

/* A bit that shows whether the guest has set a flag in its CR4. */
static uint32_t follow_cr4(uint32_t word, uint32_t bit, const struct vcpu *v, uint64_t flag)
{
    return (word & ~bit) | (v->regs.cr4 & flag ? bit : 0);
}

/* A PV guest has no APIC to disable: it sees its policy's bit.  AMD repeats it in 80000001.EDX. */
static uint32_t follow_apic(uint32_t edx, const struct vcpu *v)
{
    return v->domain->hvm && !(v->regs.apic_base & APIC_BASE_ENABLE)
               ? edx & ~feature_bit(X86_FEATURE_APIC)
               : edx;
}

static void leaf_1(const struct vcpu *v, struct cpuid_regs *r)
{
    /* Stock Xen tells a PV guest no APIC id. */
    bool id = v->domain->hvm || !v->domain->topology.stock;

    r->b = (r->b & 0x00ffffffu) | (id ? v->place.apic_id << 24 : 0);
    r->c = follow_cr4(r->c, feature_bit(X86_FEATURE_OSXSAVE), v, CR4_OSXSAVE);
    r->d = follow_apic(r->d, v);
}

/*
 * Leaves B and 1F.  Every subleaf tells the x2APIC id and echoes its number, those beyond the last
 * level too (SDM vol. 2A).  As on stock Xen, a policy without topology has leaf B for the id
 * alone, and when it has x2APIC.
 */
static void leaf_topology(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                          const struct cpuid_regs *levels, uint32_t nr, struct cpuid_regs *r)
{
    const struct domain *d = v->domain;
    bool told = d->topology.stock ? leaf == 0xb && policy_has(&d->policy, X86_FEATURE_X2APIC)
                                  : (levels[0].b & 0xffff) != 0;

    read_entry(r, levels, nr, subleaf);
    if (!told)
        return;
    r->c = (r->c & ~0xffu) | (subleaf & 0xff);
    r->d = v->place.apic_id;
}

static void leaf_xstate(const struct vcpu *v, uint32_t subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *p = &v->domain->policy;

    if (!policy_has(p, X86_FEATURE_XSAVE))
        return;
    read_entry(r, p->xstate, POLICY_NR_XSTATE, subleaf);
    if (subleaf == 0)
        r->b = v->xstate_size;
    else if (subleaf == 1)
        r->b = v->xstate_compact_size;
}

static void basic_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *p = &v->domain->policy;

    if (leaf > p->basic[0].a)
        return;
    switch (leaf) {
    case 0x4:
        read_entry(r, p->cache, POLICY_NR_CACHE, subleaf);
        return;
    case 0x7:
        if (subleaf <= p->feat[0].a)
            read_entry(r, p->feat, POLICY_NR_FEAT, subleaf);
        if (subleaf == 0)
            r->c = follow_cr4(r->c, feature_bit(X86_FEATURE_OSPKE), v, CR4_PKE);
        return;
    case 0xb:
        leaf_topology(v, leaf, subleaf, p->topo, POLICY_NR_TOPO, r);
        return;
    case 0xd:
        leaf_xstate(v, subleaf, r);
        return;
    case 0xf:
        read_entry(r, p->monitor, POLICY_NR_MONITOR, subleaf);
        return;
    case 0x1d:
        read_entry(r, p->tile, POLICY_NR_TILE, subleaf);
        return;
    case 0x1e:
        read_entry(r, p->tmul, POLICY_NR_TMUL, subleaf);
        return;
    case 0x1f:
        leaf_topology(v, leaf, subleaf, p->topo_v2, POLICY_NR_TOPO_V2, r);
        return;
    case 0x24:
        read_entry(r, p->avx10, POLICY_NR_AVX10, subleaf);
        return;
    default:
        if (leaf >= POLICY_NR_BASIC || (subleaf && (BASIC_SUBLEAF_0 >> leaf & 1)))
            return;
        read_entry(r, p->basic, POLICY_NR_BASIC, leaf);
        if (leaf == 1)
            leaf_1(v, r);
        return;
    }
}

/* 8000001E: who this vCPU is (APM vol. 3, E.4.16).  Core ids count within the socket. */
static void leaf_amd_place(const struct vcpu *v, struct cpuid_regs *r)
{
    const struct cpu_topology *t = &v->domain->topology.topology;

    r->a = v->place.apic_id;
    r->b = (r->b & 0xffffff00u) | ((v->place.die * t->cores + v->place.core) & 0xff);
    r->c = (r->c & 0xffffff00u) | ((v->place.socket * t->dies + v->place.die) & 0xff);
}

/*
 * 80000026 (APM vol. 3, appendix E): core, complex, die and socket, of which a policy holds the
 * first. A complex is what shares a third-level cache: the die.
 */
static void leaf_amd_levels(const struct vcpu *v, uint32_t subleaf, struct cpuid_regs *r)
{
    const struct topology_map *m = &v->domain->topology;
    uint32_t die = m->topology.threads * m->topology.cores;

    switch (subleaf) {
    case 0:
        *r = v->domain->policy.extd[0x26];
        break;
    case 1: /* complex */
    case 2: /* die */
        *r = (struct cpuid_regs){.a = m->die_shift, .b = die, .c = (subleaf + 1) << 8};
        break;
    case 3: /* socket */
        *r = (struct cpuid_regs){.a = m->socket_shift, .b = die * m->topology.dies, .c = 4u << 8};
        break;
    default:
        break;
    }
    r->c = (r->c & ~0xffu) | (subleaf & 0xff);
    r->d = v->place.apic_id;
}

static void extended_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                          struct cpuid_regs *r)
{
    const struct cpu_policy *p = &v->domain->policy;
    const struct topology_map *m = &v->domain->topology;
    uint32_t n = leaf - EXTD_FIRST;

    if (leaf > p->extd[0].a || n >= POLICY_NR_EXTD)
        return;
    if (m->topoext) {
        if (n == 0x1d) {
            read_entry(r, m->amd_cache, TOPOLOGY_AMD_CACHES, subleaf);
            return;
        }
        if (n == 0x26 && (p->extd[0x26].b & 0xffff)) {
            leaf_amd_levels(v, subleaf, r);
            return;
        }
    }
    if (subleaf && (EXTD_SUBLEAF_0 >> n & 1))
        return;
    read_entry(r, p->extd, POLICY_NR_EXTD, n);
    if (n == 1)
        r->d = follow_apic(r->d, v);
    else if (n == 0x1e && m->topoext)
        leaf_amd_place(v, r);
}

void guest_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs)
{
    *regs = (struct cpuid_regs){0};
    if (leaf < HV_FIRST)
        basic_leaf(v, leaf, subleaf, regs);
    else if (leaf >= EXTD_FIRST)
        extended_leaf(v, leaf, subleaf, regs);
    else
        guest_cpuid_hypervisor(v, leaf, subleaf, regs);
}

/* The XSAVE area in compacted form: SDM vol. 1, 13.4.3. */
static uint32_t compact_size(const struct cpu_policy *p, uint64_t components)
{
    uint64_t size = XSTATE_AREA;

    for (unsigned int i = XSTATE_AVX; i < 63; i++) {
        if (!(components >> i & 1))
            continue;
        if (p->xstate[i].c & XSTATE_ALIGN64)
            size = (size + 63) & ~63ull;
        size += p->xstate[i].a;
    }
    return (uint32_t)size;
}

void guest_cpuid_update(struct vcpu *v)
{
    const struct cpu_policy *p = &v->domain->policy;
    uint64_t xcr0 = (v->regs.xcr0 | XCR0_X87) & policy_xcr0(p);
    uint32_t forms = p->xstate[1].a;

    v->xstate_size = (uint32_t)xstate_standard_size(p, xcr0);
    if (forms & feature_bit(X86_FEATURE_XSAVES))
        v->xstate_compact_size = compact_size(p, xcr0 | (v->regs.xss & policy_xss(p)));
    else
        v->xstate_compact_size =
            forms & feature_bit(X86_FEATURE_XSAVEC) ? compact_size(p, xcr0) : 0;
}
