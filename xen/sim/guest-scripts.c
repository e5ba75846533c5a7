/* SPDX-License-Identifier: MIT */
/*
 * The scripts of the guests: steady, writer, vector.
 */
#include <string.h>

#include "features-gen.h"
#include "guest-private.h"

void guest_steady(struct guest_run *run)
{
    guest_compare_cpuid(run);
}

/* ---- writer ---- */

#define PAGE_WORDS         512u
#define MAX_PAGES_PER_STEP 64u

/* Version n of a page's content: the first word says which, the others follow. */
static void fill_version(const struct guest_run *run, uint64_t gfn, uint64_t version,
                         uint64_t *words)
{
    uint64_t x = guest_mix(run->page.seed, gfn, version);

    for (unsigned int i = 0; i < PAGE_WORDS; i++) {
        words[i] = x;
        x = x * 6364136223846793005ull + 1442695040888963407ull;
    }
}

/* The vCPUs share the range: each has the gfns first + id, first + id + nr_vcpus, ... */
static bool write_next(struct guest_run *run)
{
    uint64_t nr_vcpus = run->page.nr_vcpus ? run->page.nr_vcpus : 1;
    uint64_t mine = run->page.nr_gfns / nr_vcpus;
    uint64_t now[PAGE_WORDS], then[PAGE_WORDS];
    uint64_t gfn, version;

    if (!mine || run->v->id >= nr_vcpus)
        return false;
    gfn = run->page.first_gfn + run->v->id + run->me.work % mine * nr_vcpus;
    version = run->me.work / mine;
    if (version) {
        fill_version(run, gfn, version - 1, then);
        if (guest_read(run, gfn << 12, now, sizeof(now)) || memcmp(now, then, sizeof(now)) != 0) {
            run->me.status = GUEST_MEMORY_BAD;
            run->me.changed_leaf = gfn;
            return false;
        }
    }
    fill_version(run, gfn, version, now);
    if (guest_write(run, gfn << 12, now, sizeof(now))) {
        run->me.status = GUEST_MEMORY_BAD;
        return false;
    }
    run->me.work++;
    return true;
}

void guest_writer(struct guest_run *run)
{
    uint64_t nr_vcpus = run->page.nr_vcpus ? run->page.nr_vcpus : 1;
    /* Its share of the rate, by the time that it has run. */
    uint64_t due = run->me.time_ns / 1000 * (run->page.pages_per_second / nr_vcpus) / 1000000;

    for (unsigned int n = 0; n < MAX_PAGES_PER_STEP && run->me.work < due; n++)
        if (!write_next(run))
            break;
    if (guest_is_well(run->me.status) && run->me.ticks % 64 == 0)
        guest_compare_cpuid(run);
}

/* ---- vector ---- */

/*
 * What it can choose from, best first: the feature, where CPUID says so, the XCR0 bits that it
 * needs (SDM vol. 1, 14.3 and 15.2), and the component whose registers it computes in.
 */
static const struct {
    uint16_t feature;
    uint32_t leaf;
    uint8_t reg, bit;
    uint8_t xcr0;
    uint8_t component;
} extensions[] = {
    {X86_FEATURE_AVX512F, 7, 1, 16, 0xe6, 6}, {X86_FEATURE_AVX2, 7, 1, 5, 0x06, 2},
    {X86_FEATURE_AVX, 1, 2, 28, 0x06, 2},     {X86_FEATURE_SSE4_2, 1, 2, 20, 0, 1},
    {X86_FEATURE_SSE2, 1, 3, 26, 0, 1},
};
#define NR_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

void guest_vector_boot(struct guest_run *run)
{
    struct cpuid_regs one, max, r;

    guest_ask(run, 0, 0, &max);
    guest_ask(run, 1, 0, &one);
    for (uint32_t i = 0; i < NR_EXTENSIONS; i++) {
        if (extensions[i].leaf > max.a)
            continue;
        guest_ask(run, extensions[i].leaf, 0, &r);
        if (!((&r.a)[extensions[i].reg] >> extensions[i].bit & 1))
            continue;
        /* OSXSAVE, and XGETBV says that the state is on. */
        if (extensions[i].xcr0 &&
            (!(one.c >> 27 & 1) || (run->v->regs.xcr0 & extensions[i].xcr0) != extensions[i].xcr0))
            continue;
        run->me.level = i;
        return;
    }
    run->me.level = NR_EXTENSIONS - 1; /* every 64-bit CPU has SSE2 */
}

/* Where its register is: XMM0 in the legacy area, the upper half of YMM0 or ZMM0 in its component.
 * The layout is the CPU's (SDM vol. 1, 13.4.3): as CPUID leaf D says. */
static uint32_t offset_of(struct guest_run *run, unsigned int component)
{
    struct cpuid_regs r;

    if (component < 2)
        return 160;
    guest_ask(run, 0xd, component, &r);
    return r.b >= 576 && r.b <= VCPU_XSAVE_SIZE - 32 ? r.b : 160;
}

void guest_vector(struct guest_run *run)
{
    unsigned int component;
    uint64_t now[2], then[2], bv;
    uint8_t *area = run->v->regs.xsave;
    uint32_t at;

    if (run->me.level >= NR_EXTENSIONS || !sim_pcpu_executes(&run->hv->platform->pcpus[run->pcpu],
                                                             extensions[run->me.level].feature)) {
        run->me.status = GUEST_DIED_UD;
        return;
    }
    component = extensions[run->me.level].component;
    at = offset_of(run, component);
    memcpy(now, area + at, sizeof(now));
    for (unsigned int i = 0; i < 2; i++)
        then[i] = guest_mix(run->page.seed ^ 0x5ec7, run->v->id * 2u + i, run->me.work);
    if (run->me.work && memcmp(now, then, sizeof(now)) != 0) {
        run->me.status = GUEST_REGISTER_BAD;
        run->me.expected = then[0];
        run->me.seen = now[0];
        return;
    }
    run->me.work++;
    for (unsigned int i = 0; i < 2; i++)
        now[i] = guest_mix(run->page.seed ^ 0x5ec7, run->v->id * 2u + i, run->me.work);
    memcpy(area + at, now, sizeof(now));
    /* XSTATE_BV: this component is not in its initial state (SDM vol. 1, 13.4.2). */
    memcpy(&bv, area + 512, sizeof(bv));
    bv |= 1ull << component;
    if (run->v->regs.xcr0 & 2)
        memcpy(area + 512, &bv, sizeof(bv));
}
