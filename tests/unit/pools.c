/* SPDX-License-Identifier: MIT */
/* See pools.h. */
#include "pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "cpus.h"
#include "features-gen.h"
#include "util.h"
#include "xc_release.h"
#include "xlp.h"

static void *grow(void *array, size_t n, size_t size)
{
    return n & (n - 1) ? array : xrealloc(array, (n ? 2 * n : 1) * size);
}

void pools_begin(struct pool *p, const char *name)
{
    memset(p, 0, sizeof(*p));
    p->level = POOL_NONE;
    p->record = xcalloc(1, sizeof(*p->record));
    xenlevel__pool__init(p->record);
    p->record->schema = 1;
    p->record->name = xstrdup(name);
}

/* What microcode and firmware take from processors, each for itself. */
static const uint16_t fickle[] = {
    X86_FEATURE_RTM,    X86_FEATURE_AVX512F, X86_FEATURE_MD_CLEAR, X86_FEATURE_PKU,
    X86_FEATURE_RDRAND, X86_FEATURE_IBRSB,   X86_FEATURE_MOVBE,    X86_FEATURE_ERMS,
};

static void take_away(struct cpu_policy *raw, unsigned int variant)
{
    struct featureset fs;

    policy_to_featureset(raw, &fs);
    for (unsigned int i = 0; i < sizeof(fickle) / sizeof(fickle[0]); i++)
        if (variant & 1u << i)
            featureset_clear(&fs, fickle[i]);
    policy_from_featureset(raw, &fs);
    policy_close(raw, NULL);
}

static void describe_cpu(Xenlevel__Host *host, const struct cpu_policy *raw, const char *machine)
{
    unsigned int family, model, stepping;
    char brand[49], vendor[13];

    policy_brand(raw, brand);
    policy_vendor(raw, vendor);
    policy_signature(raw, &family, &model, &stepping);
    host->cpu = xstrdup(brand[0] ? brand : machine);
    host->vendor = xstrdup(vendor);
    host->family = family;
    host->model = model;
    host->stepping = stepping;
}

static void add_policy(struct pool_capture *c, Xenlevel__Host *host, unsigned int index,
                       const struct cpu_policy *policy)
{
    Xenlevel__HostPolicy *entry = xcalloc(1, sizeof(*entry));

    xenlevel__host_policy__init(entry);
    entry->index = index;
    entry->policy = xlp_policy_from(policy);
    host->policies[host->n_policies++] = entry;
    c->have[index] = true;
    c->policy[index] = xcalloc(1, sizeof(*policy));
    *c->policy[index] = *policy;
}

size_t pools_capture(struct pool *p, const char *machine, unsigned int variant, const char *xen)
{
    struct cpu_policy *all = xcalloc(HOST_POLICIES, sizeof(*all));
    struct host_options options;
    struct pool_capture *c;
    struct xc_release release;
    Xenlevel__Host *host;
    bool hvm, hap;

    p->captures = grow(p->captures, p->n_captures, sizeof(*c));
    c = &p->captures[p->n_captures];
    memset(c, 0, sizeof(*c));
    (void)snprintf(c->digest, sizeof(c->digest), "%064zx", p->n_captures + 1);
    host_options_init(&options);
    if (!xc_read_release(xen, &release)) {
        (void)fprintf(stderr, "%s is no release\n", xen);
        exit(2);
    }
    options.xen = release.major * 100 + release.minor;
    all[0] = *test_cpu(machine);
    take_away(&all[0], variant);
    c->caps_known = !host_policy_levelling_caps(&all[0], true, options.xen, &c->caps);
    host_policies_derive(all, &options, &hvm, &hap);
    c->file = xlp_new();
    c->file->content_case = XENLEVEL__FILE__CONTENT_HOST;
    c->file->host = host = xcalloc(1, sizeof(*host));
    xenlevel__host__init(host);
    host->source = XENLEVEL__SOURCE__SOURCE_DUMP;
    host->xen_version = xstrdup(xen);
    if (c->caps_known) {
        host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
        host->levelling_caps = c->caps;
    }
    describe_cpu(host, &all[0], machine);
    host->policies = xcalloc(XC_POLICIES, sizeof(Xenlevel__HostPolicy *));
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (hvm || (i != XC_POLICY_HVM_MAX && i != XC_POLICY_HVM_DEFAULT))
            add_policy(c, host, i, &all[i]);
    free(all);
    return p->n_captures++;
}

size_t pools_host(struct pool *p, const char *name, size_t capture, uint64_t gib, uint64_t free)
{
    const Xenlevel__Host *cpu = p->captures[capture].file->host;
    struct pool_host *h;

    p->hosts = grow(p->hosts, p->n_hosts, sizeof(*h));
    h = &p->hosts[p->n_hosts];
    *h = (struct pool_host){.record = xcalloc(1, sizeof(*h->record)), .capture = capture};
    xenlevel__pool_host__init(h->record);
    h->record->name = xstrdup(name);
    h->record->capture = xstrdup(p->captures[capture].digest);
    h->record->xen_version = xstrdup(cpu->xen_version);
    h->record->memory = gib * POOLS_GIB;
    h->record->memory_free = free * POOLS_GIB;
    h->seen = xstrdup("2026-01-01T00:00:00Z");
    return p->n_hosts++;
}

static size_t add_guest(struct pool *p, const struct cpu_policy *policy, enum guest_type type)
{
    struct pool_policy *entry;

    p->policies = grow(p->policies, p->n_policies, sizeof(*entry));
    entry = &p->policies[p->n_policies];
    memset(entry, 0, sizeof(*entry));
    (void)snprintf(entry->digest, sizeof(entry->digest), "f%063zx", p->n_policies + 1);
    entry->type = type;
    entry->policy = *policy;
    host_policy_for_domain(&entry->policy);
    return p->n_policies++;
}

static const struct cpu_policy *find_policy(const struct pool *p, size_t capture,
                                            unsigned int index)
{
    const struct pool_capture *c = &p->captures[capture];

    if (!c->have[index]) {
        (void)fprintf(stderr, "capture %zu has no such guests\n", capture);
        exit(2);
    }
    return c->policy[index];
}

size_t pools_born(struct pool *p, size_t capture, enum guest_type type)
{
    return add_guest(
        p, find_policy(p, capture, type == GUEST_PV ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT),
        type);
}

size_t pools_levelled(struct pool *p, const size_t *captures, size_t n, enum guest_type type)
{
    bool pv = type == GUEST_PV;
    struct policy_host *hosts = xcalloc(n, sizeof(*hosts));
    struct cpu_policy *level = xcalloc(1, sizeof(*level));
    size_t index;

    for (size_t i = 0; i < n; i++) {
        hosts[i].max = find_policy(p, captures[i], pv ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX);
        hosts[i].deflt =
            find_policy(p, captures[i], pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT);
    }
    if (policy_level(hosts, n, level, NULL, NULL)) {
        (void)fprintf(stderr, "these captures have no level\n");
        exit(2);
    }
    index = add_guest(p, level, type);
    free(level);
    free(hosts);
    return index;
}

Xenlevel__Domain *pools_domain(struct pool *p, size_t host, const char *name, size_t policy,
                               uint64_t gib)
{
    struct pool_domain *d;

    p->domains = grow(p->domains, p->n_domains, sizeof(*d));
    d = &p->domains[p->n_domains++];
    *d = (struct pool_domain){
        .record = xcalloc(1, sizeof(*d->record)), .host = host, .policy = policy};
    xenlevel__domain__init(d->record);
    d->record->name = xstrdup(name);
    d->record->uuid = xasprintf("00000000-0000-0000-0000-%012zx", p->n_domains);
    d->record->memory = gib * POOLS_GIB;
    d->record->vcpus = 1;
    d->record->state = XENLEVEL__DOMAIN_STATE__DOMAIN_RUNNING;
    d->record->type = XENLEVEL__GUEST_TYPE__GUEST_UNKNOWN;
    if (policy != POOL_NONE) {
        d->record->policy = xstrdup(p->policies[policy].digest);
        d->record->type = p->policies[policy].type == GUEST_PV
                              ? XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV
                              : XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM;
    }
    return d->record;
}

/* ---- drawn pools ---- */

static const char *const fleet[] = {
    "intel-haswell-ep",  "intel-broadwell-e",     "intel-skylake-sp", "intel-cascadelake-sp",
    "intel-icelake-sp",  "intel-sapphire-rapids", "amd-castle-peak",  "amd-bergamo",
    "amd-granite-ridge", "intel-ivybridge-ep",
};
#define FLEET    (sizeof(fleet) / sizeof(fleet[0]))
#define INTEL(i) ((i) < 6 || (i) == 9)
#define VARIANTS 8u
#define RELEASES 2u

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

/* All captures, all guests that are born on them, and those of a level for each vendor. */
struct kinds {
    size_t capture[FLEET][VARIANTS][RELEASES], born[FLEET][VARIANTS][RELEASES], level[2];
};

static void draw_kinds(struct pool *p, struct kinds *k, uint64_t *seed)
{
    size_t all[2][FLEET * VARIANTS], n[2] = {0, 0};

    for (unsigned int i = 0; i < FLEET; i++)
        for (unsigned int v = 0; v < VARIANTS; v++)
            for (unsigned int r = 0; r < RELEASES; r++) {
                /* The first as it is, others with two features less, or one. */
                unsigned int less = v ? 1u << draw(seed) % 8 | 1u << draw(seed) % 8 : 0;

                k->capture[i][v][r] = pools_capture(p, fleet[i], less, r ? "4.20.4" : "4.17.7");
                k->born[i][v][r] = pools_born(p, k->capture[i][v][r], GUEST_HVM_HAP);
                if (!r)
                    all[INTEL(i)][n[INTEL(i)]++] = k->capture[i][v][r];
            }
    for (unsigned int vendor = 0; vendor < 2; vendor++)
        k->level[vendor] = pools_levelled(p, all[vendor], n[vendor], GUEST_HVM_HAP);
}

void pools_draw(struct pool *p, size_t hosts, size_t guests, uint64_t seed)
{
    static const unsigned int sizes[] = {2, 4, 4, 8, 16};
    struct kinds *k = xcalloc(1, sizeof(*k));
    char name[64];

    seed = seed * 0x9e3779b97f4a7c15ull | 1;
    draw_kinds(p, k, &seed);
    for (size_t i = 0; i < hosts; i++) {
        unsigned int machine = (unsigned int)(draw(&seed) % FLEET);
        unsigned int variant = (unsigned int)(draw(&seed) % VARIANTS);
        unsigned int release = draw(&seed) % 4 == 0;
        size_t h;

        (void)snprintf(name, sizeof(name), "host%07zu", i);
        h = pools_host(p, name, k->capture[machine][variant][release], 256, 40 + draw(&seed) % 60);
        for (size_t g = 0; g < guests; g++) {
            size_t policy =
                draw(&seed) % 4 ? k->level[INTEL(machine)] : k->born[machine][variant][release];

            (void)snprintf(name, sizeof(name), "vm%07zu-%zu", i, g);
            pools_domain(p, h, name, policy, sizes[draw(&seed) % 5]);
        }
    }
    free(k);
    pools_end(p);
}

struct sorted {
    const char *name;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sorted *)a)->name, ((const struct sorted *)b)->name);
}

static int by_host(const void *a, const void *b)
{
    const struct pool_domain *x = a, *y = b;

    if (x->host != y->host)
        return x->host < y->host ? -1 : 1;
    return strcmp(x->record->name, y->record->name);
}

void pools_end(struct pool *p)
{
    struct sorted *order = xcalloc(p->n_hosts, sizeof(*order));
    struct pool_host *hosts = xcalloc(p->n_hosts, sizeof(*hosts));
    size_t *now = xcalloc(p->n_hosts, sizeof(*now));

    for (size_t i = 0; i < p->n_hosts; i++)
        order[i] = (struct sorted){p->hosts[i].record->name, i};
    qsort(order, p->n_hosts, sizeof(*order), by_name);
    for (size_t i = 0; i < p->n_hosts; i++) {
        hosts[i] = p->hosts[order[i].index];
        now[order[i].index] = i;
    }
    for (size_t i = 0; i < p->n_domains; i++)
        p->domains[i].host = now[p->domains[i].host];
    if (p->n_domains)
        qsort(p->domains, p->n_domains, sizeof(*p->domains), by_host);
    for (size_t i = p->n_domains; i-- > 0;) {
        hosts[p->domains[i].host].first_domain = i;
        hosts[p->domains[i].host].n_domains++;
    }
    free(p->hosts);
    p->hosts = hosts;
    free(order);
    free(now);
}

size_t pools_find(const struct pool *p, const char *host)
{
    for (size_t i = 0; i < p->n_hosts; i++)
        if (!strcmp(p->hosts[i].record->name, host))
            return i;
    (void)fprintf(stderr, "no host %s\n", host);
    exit(2);
}

void pools_free(struct pool *p)
{
    for (size_t i = 0; i < p->n_captures; i++) {
        xlp_free(p->captures[i].file);
        for (unsigned int k = 0; k < XC_POLICIES; k++)
            free(p->captures[i].policy[k]);
    }
    for (size_t i = 0; i < p->n_hosts; i++) {
        xenlevel__pool_host__free_unpacked(p->hosts[i].record, NULL);
        free(p->hosts[i].seen);
    }
    for (size_t i = 0; i < p->n_domains; i++)
        xenlevel__domain__free_unpacked(p->domains[i].record, NULL);
    xenlevel__pool__free_unpacked(p->record, NULL);
    free(p->captures);
    free(p->policies);
    free(p->hosts);
    free(p->domains);
    memset(p, 0, sizeof(*p));
}
