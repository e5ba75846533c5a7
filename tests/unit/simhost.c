/* SPDX-License-Identifier: MIT */
#include "simhost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim/guest-pv.h>
#include <xen/domctl.h>

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

struct sim_host *simhost_boot(const char *machine, unsigned int nr_pcpus, uint64_t memory_mib,
                              uint64_t seed)
{
    struct sim_machine_file *m = calloc(1, sizeof(*m));
    struct sim_host *h = calloc(1, sizeof(*h));
    const struct sim_boot boot = {.nr_pcpus = nr_pcpus, .memory_mib = memory_mib, .seed = seed};
    char path[1024], why[512] = "";

    if (!m || !h)
        die("no memory");
    snprintf(path, sizeof(path), "%s/%s.ini", TEST_DATA, machine);
    if (sim_machine_load(path, m, why, sizeof(why)) || sim_host_boot(h, m, &boot, why, sizeof(why)))
        die(why);
    free(m);
    return h;
}

void simhost_halt(struct sim_host *h)
{
    sim_host_halt(h);
    if (h->platform.allocated)
        die("memory was not given back");
    free(h);
}

struct domain *simdomain_empty(struct sim_host *h, bool hvm, bool hap, uint32_t nr_vcpus,
                               uint64_t nr_pages)
{
    struct xen_domctl_createdomain config = {
        .flags = (hvm ? XEN_DOMCTL_CDF_hvm : 0) | (hap ? XEN_DOMCTL_CDF_hap : 0),
        .max_vcpus = nr_vcpus,
    };
    struct domain *d;

    if (domain_create(&h->hv, DOMID_INVALID, &config, &d))
        return NULL;
    d->memory.max_pages = nr_pages;
    for (uint32_t i = 0; i < nr_vcpus; i++)
        if (vcpu_create(d, i))
            die("vcpu_create");
    return d;
}

static void populate(struct domain *d, uint64_t nr_pages, bool tree)
{
    if (!d->hvm && sim_pv_build(d, nr_pages, tree))
        die("sim_pv_build");
    for (uint64_t gfn = 0; d->hvm && gfn < nr_pages; gfn++)
        if (memory_populate(d, gfn))
            die("memory_populate");
}

struct domain *simguest_start(struct sim_host *h, const struct simguest *g)
{
    const struct sim_guest_page page = {
        .magic = SIM_GUEST_MAGIC,
        .script = g->script,
        .nr_vcpus = g->nr_vcpus,
        .seed = g->seed,
        .first_gfn = SIMGUEST_WRITER_GFN,
        .nr_gfns = SIMGUEST_WRITER_GFNS,
        .pages_per_second = 100000,
    };
    uint64_t nr_pages = g->hvm ? g->nr_pages : sim_pv_pfns_for(g->nr_pages);
    struct domain *d = simdomain_empty(h, g->hvm, g->hvm && !g->shadow, g->nr_vcpus, nr_pages);

    if (!d)
        return NULL;
    if (g->policy)
        domain_set_policy(d, g->policy);
    populate(d, nr_pages, g->tree);
    if (memory_write(d, SIM_GUEST_GFN << 12, &page, sizeof(page)))
        die("memory_write");
    for (uint32_t i = 0; i < g->nr_vcpus; i++) {
        d->vcpus[i]->regs.rip = SIM_GUEST_GFN << 12;
        d->vcpus[i]->online = true;
    }
    if (domain_unpause(d))
        die("domain_unpause");
    return d;
}

struct domain *simguest_copy(const struct domain *d, struct sim_host *to,
                             const struct cpu_policy *policy)
{
    struct domain *copy = simdomain_empty(to, d->hvm, d->hap, d->max_vcpus, d->memory.max_pages);
    struct sim_pv_layout l = {.nr_data = d->memory.nr_gfns};
    uint8_t page[4096];

    if (!copy)
        die("a domain that cannot be made again");
    domain_set_policy(copy, policy);
    if (!d->hvm && !sim_pv_layout_of((struct domain *)d, &l))
        populate(copy, l.nr_pfns, l.tree);
    for (uint64_t gfn = 0; gfn < l.nr_data; gfn++) {
        if (memory_mfn(d, gfn) < 0)
            continue;
        if (memory_read((struct domain *)d, gfn << 12, page, sizeof(page)) ||
            (d->hvm && memory_populate(copy, gfn)) ||
            memory_write(copy, gfn << 12, page, sizeof(page)))
            die("a page that cannot be copied");
    }
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        const struct vcpu_regs built = copy->vcpus[i]->regs;

        copy->vcpus[i]->regs = d->vcpus[i]->regs;
        if (!d->hvm) { /* machine frames: its own */
            copy->vcpus[i]->regs.cr3 = built.cr3;
            if (i == 0)
                copy->vcpus[i]->regs.gpr[GPR_RDX] = built.gpr[GPR_RDX];
        }
        copy->vcpus[i]->online = d->vcpus[i]->online;
        guest_cpuid_update(copy->vcpus[i]);
    }
    if (domain_unpause(copy))
        die("domain_unpause");
    return copy;
}

void simguest_notes(struct domain *d, uint32_t n, struct sim_guest_vcpu *notes)
{
    uint64_t at = (SIM_GUEST_GFN << 12) + sizeof(struct sim_guest_page) + n * sizeof(*notes);

    if (memory_read(d, at, notes, sizeof(*notes)))
        die("no notes");
}

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3ull; /* FNV-1a */
    return h;
}

uint64_t simguest_digest(struct domain *d)
{
    struct sim_pv_layout l = {.nr_data = d->memory.nr_gfns};
    uint64_t h = 0xcbf29ce484222325ull;
    uint8_t page[4096];

    if (!d->hvm && sim_pv_layout_of(d, &l))
        die("a PV guest without its structure");
    for (uint64_t gfn = 0; gfn < l.nr_data; gfn++)
        if (!memory_read(d, gfn << 12, page, sizeof(page)))
            h = hash(h, page, sizeof(page));
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        struct vcpu_regs regs = d->vcpus[i]->regs;

        if (!d->hvm)
            regs.cr3 = 0;
        if (!d->hvm && i == 0)
            regs.gpr[GPR_RDX] = 0;
        h = hash(h, &regs, sizeof(regs));
    }
    return h;
}

bool simhost_said(const struct sim_host *h, const char *text)
{
    const struct sim_console *c = &h->platform.console;
    size_t n = c->written < c->size ? (size_t)c->written : c->size;

    return memmem(c->text, n, text, strlen(text)) != NULL;
}
