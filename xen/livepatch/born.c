/* SPDX-License-Identifier: MIT */
/*
 * Domains that are born on a level: the hypervisor's default policies are narrowed to it.
 *
 * Every new domain gets a copy of the default policy for its type, and every toolstack starts from
 * the same (XEN_SYSCTL_get_cpu_policy).  The maximum policies stay as they are, so an older domain
 * with more comes in as before.  The objects are read-only after boot, but for the moment in which
 * the hypervisor applies or reverts a live patch, with all other CPUs waiting: that is when the
 * load and unload hooks run (gen-layout.py has checked both in this very build).
 */
#include "born.h"
#include "payload.h"

#include <xen/errno.h>

/* Filled in by `xenlevel livepatch load --level`; volatile, or the compiler knows that it is empty.
 */
__attribute__((section(BORN_SECTION), used)) volatile struct born_level born_level = {
    .magic = BORN_MAGIC, .size = sizeof(struct born_level)};

static uint8_t *const defaults[BORN_TYPES] = {pv_def_cpu_policy, hvm_def_cpu_policy};

#define NOWHERE SIZE_MAX

/* Where a leaf is in the hypervisor's object. */
static size_t leaf_offset(uint32_t leaf, uint32_t subleaf)
{
    const size_t regs = sizeof(struct cpuid_regs);

    if (leaf == 7 && subleaf < LAYOUT_NR_FEAT)
        return LAYOUT_FEAT + subleaf * regs;
    if (leaf == 0xd && subleaf < LAYOUT_NR_XSTATE)
        return LAYOUT_XSTATE + subleaf * regs;
    if (subleaf == POLICY_NONE && !policy_leaf_has_subleaves(leaf)) {
        if (leaf < LAYOUT_NR_BASIC)
            return leaf * regs;
        if (leaf - 0x80000000u < LAYOUT_NR_EXTD)
            return LAYOUT_EXTD + (leaf - 0x80000000u) * regs;
    }
    return NOWHERE;
}

/* Where an entry's value is in the object, and how many words it has; NULL: nowhere. */
static uint32_t *find_place(uint8_t *object, const struct born_entry *e, unsigned int *words)
{
    size_t at = NOWHERE;

    *words = 4;
    if (e->leaf != POLICY_NONE) {
        at = leaf_offset(e->leaf, e->subleaf);
    } else if (e->subleaf == MSR_ARCH_CAPABILITIES) {
        at = LAYOUT_ARCH_CAPS;
        *words = 2;
    } else if (e->subleaf == MSR_INTEL_PLATFORM_INFO) {
        at = LAYOUT_PLATFORM_INFO;
        *words = 1;
    }
    return at == NOWHERE ? NULL : (uint32_t *)(void *)(object + at);
}

static uint32_t word_of(const struct cpuid_regs *r, unsigned int i)
{
    return i == 0 ? r->a : i == 1 ? r->b : i == 2 ? r->c : r->d;
}

/* An entry as it is in the payload: its copy, which the compiler may look at twice. */
static struct born_entry entry_of(unsigned int type, unsigned int i)
{
    const volatile struct born_entry *v = &born_level.entries[type][i];
    const volatile struct cpuid_regs *f = &v->from, *t = &v->to;

    return (struct born_entry){
        v->leaf, v->subleaf, {f->a, f->b, f->c, f->d}, {t->a, t->b, t->c, t->d}};
}

unsigned int born_count(unsigned int type)
{
    uint32_t n = born_level.n[type];

    return n < BORN_MAX ? n : BORN_MAX;
}

static bool is_after(const struct born_entry *e, const struct born_entry *before)
{
    return e->leaf > before->leaf || (e->leaf == before->leaf && e->subleaf > before->subleaf);
}

int born_check(const char **what, uint32_t *leaf, uint32_t *subleaf)
{
    *leaf = *subleaf = POLICY_NONE;
    *what = "the level's table is not this payload's";
    if (born_level.magic != BORN_MAGIC || born_level.size != sizeof(struct born_level))
        return -XEN_EINVAL;
    for (unsigned int type = 0; type < BORN_TYPES; type++) {
        struct born_entry before = {0};

        if (born_level.n[type] > BORN_MAX)
            return -XEN_EINVAL;
        for (unsigned int i = 0; i < born_count(type); i++) {
            struct born_entry e = entry_of(type, i);
            unsigned int words;

            *leaf = e.leaf;
            *subleaf = e.subleaf;
            if ((i && !is_after(&e, &before)) || !find_place(defaults[type], &e, &words))
                return -XEN_EINVAL;
            before = e;
        }
    }
    return 0;
}

int born_holds(bool narrowed, uint32_t *leaf, uint32_t *subleaf)
{
    for (unsigned int type = 0; type < BORN_TYPES; type++)
        for (unsigned int n = 0; n < born_count(type); n++) {
            struct born_entry e = entry_of(type, n);
            unsigned int words;
            const uint32_t *place = find_place(defaults[type], &e, &words);

            *leaf = e.leaf;
            *subleaf = e.subleaf;
            for (unsigned int i = 0; i < words; i++)
                if (!place || place[i] != word_of(narrowed ? &e.to : &e.from, i))
                    return -XEN_EINVAL;
        }
    return 0;
}

void born_write(unsigned int type, uint8_t *object, bool narrowed)
{
    for (unsigned int n = 0; n < born_count(type); n++) {
        struct born_entry e = entry_of(type, n);
        unsigned int words;
        uint32_t *place = find_place(object, &e, &words);

        for (unsigned int i = 0; place && i < words; i++)
            place[i] = word_of(narrowed ? &e.to : &e.from, i);
    }
}

void born_widen(unsigned int type, struct cpu_policy *p)
{
    for (unsigned int n = 0; n < born_count(type); n++) {
        struct born_entry e = entry_of(type, n);
        struct cpuid_regs *r = policy_leaf(p, e.leaf, e.subleaf);

        if (e.leaf == POLICY_NONE && e.subleaf == MSR_ARCH_CAPABILITIES)
            p->arch_caps = e.from.a | (uint64_t)e.from.b << 32;
        else if (e.leaf == POLICY_NONE)
            p->platform_info = e.from.a;
        else if (r)
            *r = e.from;
    }
}

/* ---- the hooks: all other CPUs wait, interrupts are off, the objects can be written ---- */

static void narrow_defaults(void)
{
    for (unsigned int type = 0; type < BORN_TYPES; type++)
        born_write(type, defaults[type], true);
}

static void widen_defaults(void)
{
    for (unsigned int type = 0; type < BORN_TYPES; type++)
        born_write(type, defaults[type], false);
}

/* Before anything is reverted: what is there must be what was put there, or another's change would
 * be lost. */
static int refuse_if_changed(void *payload)
{
    uint32_t leaf, subleaf;

    (void)payload;
    if (!born_holds(true, &leaf, &subleaf))
        return 0;
    printk(LOG_ERROR "xenlevel: not reverted: the default policies are not as they were narrowed "
                     "(leaf %08x subleaf %08x): somebody else has changed them\n",
           leaf, subleaf);
    return -XEN_EINVAL;
}

__attribute__((section(".livepatch.hooks.load"),
               used)) void (*const born_load)(void) = narrow_defaults;
__attribute__((section(".livepatch.hooks.unload"),
               used)) void (*const born_unload)(void) = widen_defaults;
__attribute__((section(".livepatch.hooks.prerevert"),
               used)) int (*const born_prerevert)(void *) = refuse_if_changed;

/* What the running hypervisor can be asked for. */
__attribute__((section(BORN_SAYS_SECTION), used)) const char born_says[BORN_SAYS_SIZE] =
    BORN_SAYS_NOTHING;
