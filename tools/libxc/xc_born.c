/* SPDX-License-Identifier: MIT */
/*
 * What a live patch has made of the default policies, and what they were before.
 *
 * Xen has no place for a default policy that nobody is born with any more.  Whoever narrows it
 * leaves in a file what was changed (struct born_level); the file counts only where the running
 * hypervisor has, in every place, what it says that it was changed to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <born.h>

#include "xc_private.h"
#include "xc_sim.h"

static bool read_table(const char *path, struct born_level *b)
{
    FILE *f = fopen(path, "re");
    bool whole = f && fread(b, sizeof(*b), 1, f) == 1 && fgetc(f) == EOF;

    if (f)
        (void)fclose(f);
    if (!whole || b->magic != BORN_MAGIC || b->size != sizeof(*b))
        return false;
    return b->n[BORN_PV] <= BORN_MAX && b->n[BORN_HVM] <= BORN_MAX;
}

/* The registers of an entry, of a policy. */
static struct cpuid_regs get_regs(const struct cpu_policy *p, const struct born_entry *e)
{
    const struct cpuid_regs *r = policy_leaf_const(p, e->leaf, e->subleaf);
    uint64_t msr = e->subleaf == MSR_ARCH_CAPABILITIES ? p->arch_caps : p->platform_info;

    if (e->leaf == POLICY_NONE)
        return (struct cpuid_regs){(uint32_t)msr, (uint32_t)(msr >> 32), 0, 0};
    return r ? *r : (struct cpuid_regs){0};
}

static void set_regs(struct cpu_policy *p, const struct born_entry *e, const struct cpuid_regs *to)
{
    struct cpuid_regs *r = policy_leaf(p, e->leaf, e->subleaf);
    uint64_t msr = to->a | (uint64_t)to->b << 32;

    if (e->leaf != POLICY_NONE) {
        if (r)
            *r = *to;
    } else if (e->subleaf == MSR_ARCH_CAPABILITIES) {
        p->arch_caps = msr;
    } else {
        p->platform_info = msr;
    }
}

bool xc_widen_default(const char *path, enum xc_policy_index index, struct cpu_policy *p)
{
    const unsigned int type = index == XC_POLICY_PV_DEFAULT ? BORN_PV : BORN_HVM;
    struct born_level *b = malloc(sizeof(*b));
    bool narrowed = false;

    if ((index == XC_POLICY_PV_DEFAULT || index == XC_POLICY_HVM_DEFAULT) && b &&
        read_table(path, b)) {
        narrowed = b->n[type] > 0;
        for (uint32_t i = 0; narrowed && i < b->n[type]; i++) {
            struct cpuid_regs now = get_regs(p, &b->entries[type][i]);

            narrowed = !memcmp(&now, &b->entries[type][i].to, sizeof(now));
        }
        for (uint32_t i = 0; narrowed && i < b->n[type]; i++)
            set_regs(p, &b->entries[type][i], &b->entries[type][i].from);
    }
    free(b);
    return narrowed;
}

bool xc_widen_own(xc_handle *xch, enum xc_policy_index index, struct cpu_policy *p)
{
    return !xc_is_sim(xch) && xc_widen_default(XC_BORN_FILE, index, p);
}
