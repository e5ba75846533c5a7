/* SPDX-License-Identifier: MIT */
/* See pvview.h. */
#include "pvview.h"

#include <string.h>

#include <xen/sysctl.h>

struct asker {
    struct sim_host *h;
    unsigned int pcpu;
    struct vcpu *v;
    struct cpu_policy *seen;
};

static struct cpuid_regs *ask(const struct asker *a, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs *r = policy_leaf(a->seen, leaf, subleaf);

    if (r)
        sim_guest_cpuid(&a->h->hv, a->pcpu, a->v, leaf, subleaf == POLICY_NONE ? 0 : subleaf, r);
    return r;
}

/* Subleaves up to where the CPU says that they end. */
static void ask_subleaves(const struct asker *a, uint32_t leaf)
{
    struct cpuid_regs *r;

    for (uint32_t i = 0; (r = ask(a, leaf, i)); i++) {
        bool numbered = leaf == 0x7 || leaf == 0x1d || leaf == 0x24;
        bool levels = leaf == 0xb || leaf == 0x1f;

        if (levels && !(r->c & 0xff00u))
            *r = (struct cpuid_regs){0};
        if ((levels && !r->c) || (leaf == 0x4 && !(r->a & 0x1f)) ||
            (numbered && i >= policy_leaf(a->seen, leaf, 0)->a))
            return;
    }
}

void pvview_read_now(struct sim_host *h, unsigned int pcpu, struct vcpu *v, struct cpu_policy *seen)
{
    const struct asker a = {h, pcpu, v, seen};
    uint32_t limit;

    memset(seen, 0, sizeof(*seen));
    limit = ask(&a, 0, POLICY_NONE)->a;
    for (uint32_t leaf = 1; leaf <= limit && leaf < POLICY_NR_BASIC; leaf++)
        if (policy_leaf_has_subleaves(leaf))
            ask_subleaves(&a, leaf);
        else
            (void)ask(&a, leaf, POLICY_NONE);
    limit = ask(&a, 0x80000000u, POLICY_NONE)->a;
    for (uint32_t i = 1; 0x80000000u + i <= limit && i < POLICY_NR_EXTD; i++)
        (void)ask(&a, 0x80000000u + i, POLICY_NONE);
}

bool pvview_read(struct sim_host *h, struct domain *d, struct cpu_policy *seen)
{
    for (unsigned int step = 0; step < 20000; step++) {
        for (unsigned int i = 0; i < h->hv.nr_pcpus; i++) {
            struct vcpu *v = h->hv.pcpus[i].current;

            if (v && v->domain == d) {
                pvview_read_now(h, i, v, seen);
                return true;
            }
        }
        (void)sim_host_run(h, 1);
    }
    return false;
}

void pvview_announced(const struct sim_host *h, const struct cpu_policy *policy,
                      struct pv_view *view)
{
    levelling_pv_view(h->hv.levelling.caps, &h->hv.policies[XEN_SYSCTL_cpu_policy_raw], policy,
                      view);
}

void pvview_forget_place(struct cpu_policy *p)
{
    p->basic[1].b &= 0x00ffffffu;
    p->basic[1].c &= ~(1u << 27); /* OSXSAVE */
    p->feat[0].c &= ~(1u << 4);   /* OSPKE */
    p->xstate[0].b = p->xstate[1].b = 0;
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++) {
        p->topo[i].c &= ~0xffu;
        p->topo[i].d = 0;
    }
    for (unsigned int i = 0; i < POLICY_NR_TOPO_V2; i++) {
        p->topo_v2[i].c &= ~0xffu;
        p->topo_v2[i].d = 0;
    }
    p->extd[0x1e].a = 0;
    p->extd[0x1e].b &= ~0xffu;
    p->extd[0x1e].c &= ~0xffu;
    p->extd[0x26].c &= ~0xffu;
    p->extd[0x26].d = 0;
}
