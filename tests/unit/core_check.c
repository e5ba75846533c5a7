/* SPDX-License-Identifier: MIT */
#include "core_check.h"

#include <xen/sysctl.h>

#define CHUNK 1024

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return #condition;                                                                     \
    } while (0)

static const char *check_memory(const struct domain *d)
{
    const struct domain_memory *m = &d->memory;
    uint64_t mapped = 0, dirty = 0;

    for (uint32_t i = 0; i < m->nr_chunks; i++)
        for (int j = 0; m->chunks[i] && j < CHUNK; j++) {
            uint32_t mfn = m->chunks[i][j];

            MUST(mfn <= d->hv->next_page);
            MUST(!mfn || (uint64_t)i * CHUNK + (uint64_t)j < m->nr_gfns);
            if (mfn) {
                const struct frame *f = &d->hv->frames[mfn - 1];

                MUST(f->owner == d && f->pfn == (uint64_t)i * CHUNK + (uint64_t)j);
                MUST(!f->table || (!f->writable && !d->hvm));
                MUST(!f->pinned || f->table);
            }
            mapped += mfn != 0;
        }
    MUST(mapped == m->tot_pages);
    MUST(m->log_dirty || !m->dirty);
    for (uint64_t i = 0; i < m->nr_dirty_bits / 64; i++)
        dirty += (uint64_t)__builtin_popcountll(m->dirty[i]);
    MUST(dirty == m->dirty_count);
    return NULL;
}

/* Its CPU is one that can exist, and one that it may have here. */
static const char *check_policy(const struct domain *d)
{
    const struct hypervisor *hv = d->hv;
    const struct policy_host pv = {&hv->policies[XEN_SYSCTL_cpu_policy_pv_max],
                                   &hv->policies[XEN_SYSCTL_cpu_policy_pv_default]};
    const struct policy_host hvm = {&hv->policies[XEN_SYSCTL_cpu_policy_hvm_max],
                                    &hv->policies[XEN_SYSCTL_cpu_policy_hvm_default]};

    MUST(!policy_verify(&d->policy, NULL));
    MUST(!policy_check(&d->policy, d->hvm ? &hvm : &pv, NULL));
    return NULL;
}

static const char *check_vcpu(const struct vcpu *v)
{
    const struct hypervisor *hv = v->domain->hv;

    MUST(!v->running || !v->queued);
    MUST(vcpu_runnable(v) ? v->running || v->queued : !v->queued);
    MUST(!v->running || v->pcpu->current == v);
    MUST((v->timer != 0) == (v->wake_time != 0));
    MUST(v->timer <= hv->nr_timers);
    MUST(!v->timer || hv->timers[v->timer - 1] == v);
    return NULL;
}

static const char *check_domain(const struct domain *d, uint32_t *vcpus)
{
    const char *what = check_memory(d);

    MUST(domain_by_id(d->hv, d->id) == d);
    MUST(!d->dying);
    for (uint32_t i = 0; !what && i < d->max_vcpus; i++) {
        if (!d->vcpus[i])
            continue;
        MUST(d->vcpus[i]->domain == d && d->vcpus[i]->id == i);
        what = check_vcpu(d->vcpus[i]);
        ++*vcpus;
    }
    return what ? what : check_policy(d);
}

static const char *check_pcpu(const struct pcpu *p)
{
    const struct vcpu *prev = NULL;
    uint32_t n = 0;

    MUST(p->current && p->current->pcpu == p);
    MUST(p->current->running == p->online);
    for (const struct vcpu *v = p->head; v; prev = v, v = v->next, n++)
        MUST(v->prev == prev && v->queued && v->pcpu == p);
    MUST(p->tail == prev);
    MUST(n == p->nr_queued);
    return NULL;
}

const char *core_check(struct hypervisor *hv)
{
    const struct domain *before = NULL;
    uint64_t pages = 0;
    uint32_t domains = 0, vcpus = 0;
    const char *what = NULL;

    for (const struct domain *d = hv->domains; d; before = d, d = d->next, domains++) {
        MUST(d->prev == before);
        MUST(!before || before->id < d->id);
        what = check_domain(d, &vcpus);
        if (what)
            return what;
        pages += d->memory.tot_pages + (d->shared_info != INVALID_MFN_);
    }
    MUST(hv->last_domain == before);
    MUST(domains == hv->nr_domains);
    MUST(vcpus == hv->nr_vcpus);
    MUST(pages + hv->free_pages == hv->nr_pages);
    for (unsigned int i = 0; !what && i < hv->nr_pcpus; i++)
        what = check_pcpu(&hv->pcpus[i]);
    return what;
}
