/* SPDX-License-Identifier: MIT */
/*
 * Topologies: written into policies, read back, and found again by an operating system that knows
 * nothing but CPUID on every vCPU, by each way there is.
 */
#include <hypervisor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xen/errno.h>

#include "core.h"
#include "cpus.h"
#include "os_topology.h"

#define E1C_TOPOEXT (1u << 22)
#define C1_X2APIC   (1u << 21)

/* A domain with its vCPUs, made by hand. */
static struct hypervisor hv;
static struct domain dom;
static struct vcpu vcpus[OS_MAX_CPUS];

static void make_domain(const struct cpu_policy *p, bool hvm, uint32_t nr)
{
    dom = (struct domain){.hv = &hv, .id = 7, .hvm = hvm, .policy = *p, .max_vcpus = nr};
    topology_from_policy(&dom.policy, nr, &dom.topology);
    for (uint32_t i = 0; i < nr; i++) {
        vcpus[i].domain = &dom;
        vcpus[i].id = i;
        vcpus[i].regs.apic_base = 0xfee00800;
        topology_place(&dom.topology, i, &vcpus[i].place);
        guest_cpuid_update(&vcpus[i]);
    }
}

static void dom_cpuid(void *opaque, unsigned int cpu, uint32_t leaf, uint32_t subleaf,
                      struct os_regs *r)
{
    struct cpuid_regs regs;

    (void)opaque;
    guest_cpuid(&vcpus[cpu], leaf, subleaf, &regs);
    *r = (struct os_regs){regs.a, regs.b, regs.c, regs.d};
}

static bool is_amd(const struct cpu_policy *p)
{
    return p->basic[0].b == 0x68747541 || p->basic[0].b == 0x6f677948;
}

static bool topoext(const struct cpu_policy *p)
{
    return is_amd(p) && p->extd[1].c & E1C_TOPOEXT && p->extd[0].a >= 0x8000001e;
}

static bool leaf_b(const struct cpu_policy *p)
{
    return p->basic[0].a >= 0xb;
}

static unsigned int bits(uint32_t n)
{
    unsigned int b = 0;

    while ((1u << b) < n)
        b++;
    return b;
}

/* What the header promises of -ERANGE, said again by other means. */
static bool can_say(const struct cpu_policy *p, const struct cpu_topology *t)
{
    unsigned int socket = bits(t->threads) + bits(t->cores) + bits(t->dies);
    uint64_t last = ((uint64_t)(t->sockets - 1) << socket) +
                    ((uint64_t)(t->dies - 1) << (bits(t->threads) + bits(t->cores))) +
                    ((uint64_t)(t->cores - 1) << bits(t->threads)) + t->threads - 1;

    if (socket > 12 || last > (leaf_b(p) && p->basic[1].c & C1_X2APIC ? 0xfffffffe : 254))
        return false;
    if (is_amd(p)) {
        if (topoext(p))
            return t->threads <= 256 && t->dies <= 8 && t->dies * t->cores <= 256 &&
                   t->dies * t->sockets <= 256 && (leaf_b(p) || t->threads == 1);
        return t->dies == 1 && (leaf_b(p) || t->threads == 1);
    }
    if (t->dies > 1 && p->basic[0].a < 0x1f)
        return false;
    return leaf_b(p) || ((1u << bits(t->threads)) == t->threads &&
                         (1u << bits(t->cores)) == t->cores && t->cores <= 64);
}

/* Are there ids for so many vCPUs, which may be more than the topology was made for? */
static bool ids_suffice(const struct cpu_policy *p, const struct cpu_topology *t, uint32_t nr)
{
    uint64_t core = (nr - 1) / t->threads, die = core / t->cores, socket = die / t->dies;
    uint64_t id = socket << bits(t->dies) | die % t->dies;

    id = id << bits(t->cores) | core % t->cores;
    id = id << bits(t->threads) | (nr - 1) % t->threads;
    return id <= (leaf_b(p) && p->basic[1].c & C1_X2APIC ? 0xfffffffe : 254);
}

static char context[256]; /* what is being tried, for messages */

static void same_or_not(const char *way, const char *what, unsigned int i, unsigned int j,
                        bool os_says, bool is)
{
    if (os_says != is)
        fail_msg("%s: by %s, vCPUs %u and %u %s one %s, and they %s", context, way, i, j,
                 os_says ? "are of" : "are not of", what, is ? "are" : "are not");
}

static void check_way(const struct cpu_topology *t, enum os_way way, uint32_t nr,
                      unsigned int *found)
{
    static struct os_topology os;
    const struct os_machine m = {dom_cpuid, NULL, nr};
    uint32_t die = t->threads * t->cores, socket = die * t->dies;
    const char *name = os_way_name(way);
    char why[200];

    /* Leaf 1 has 8 bits of an id: a machine that needs more is not read that way. */
    if (way == OS_LEAF_1_4 && vcpus[nr - 1].place.apic_id > 0xff)
        return;
    switch (os_topology_read(&m, way, &os, why, sizeof(why))) {
    case OS_ABSENT:
        return;
    case OS_BROKEN:
        fail_msg("%s: %s: %s", context, name, why);
    case OS_FOUND:
        break;
    }
    (*found)++;
    if (os.per_core && os.per_core != t->threads)
        fail_msg("%s: %s says %u threads a core", context, name, os.per_core);
    if (os.knows_dies && os.per_die && os.per_die != die)
        fail_msg("%s: %s says %u a die", context, name, os.per_die);
    if (os.per_socket && os.per_socket != socket)
        fail_msg("%s: %s says %u a socket", context, name, os.per_socket);
    for (unsigned int i = 0; i < nr; i++) {
        uint32_t id = way == OS_LEAF_1_4 ? vcpus[i].place.apic_id & 0xff : vcpus[i].place.apic_id;

        if (os.cpus[i].apic_id != id)
            fail_msg("%s: %s on vCPU %u: APIC id %x, not %x", context, name, i, os.cpus[i].apic_id,
                     id);
        for (unsigned int j = 0; j < i; j++) {
            const struct os_cpu *a = &os.cpus[i], *b = &os.cpus[j];

            if (os.knows_cores)
                same_or_not(name, "core", i, j, a->core == b->core,
                            i / t->threads == j / t->threads);
            if (os.knows_dies)
                same_or_not(name, "die", i, j, a->die == b->die, i / die == j / die);
            same_or_not(name, "socket", i, j, a->socket == b->socket, i / socket == j / socket);
        }
    }
}

static void check_caches(const struct cpu_topology *t, uint32_t nr)
{
    static struct os_cache caches[OS_MAX_CACHES];
    const struct os_machine m = {dom_cpuid, NULL, nr};
    uint32_t die = t->threads * t->cores;
    unsigned int n;
    char why[200];
    bool old = !leaf_b(&dom.policy) && !is_amd(&dom.policy);

    switch (os_caches_read(&m, caches, &n, why, sizeof(why))) {
    case OS_ABSENT:
        if (topoext(&dom.policy) && dom.policy.extd[0x1d].a)
            fail_msg("%s: no caches", context);
        return;
    case OS_BROKEN:
        fail_msg("%s: %s", context, why);
    case OS_FOUND:
        break;
    }
    for (unsigned int k = 0; k < n; k++) {
        bool of_die = caches[k].level > (old ? 1u : 2u);
        uint32_t sharers = of_die ? die : t->threads;

        for (unsigned int i = 0; i < nr; i++)
            for (unsigned int j = 0; j < i; j++)
                same_or_not("caches", of_die ? "die's cache" : "core's cache", i, j,
                            caches[k].shared_by[i] == caches[k].shared_by[j],
                            i / sharers == j / sharers);
    }
}

static void check_ids(uint32_t nr)
{
    dom.hvm = nr % 3 != 0; /* a PV guest that was told a topology has ids too */
    for (unsigned int i = 0; i < nr; i++) {
        struct os_regs r;

        dom_cpuid(NULL, i, 1, 0, &r);
        if (r.b >> 24 != (vcpus[i].place.apic_id & 0xff))
            fail_msg("%s: vCPU %u: initial APIC id %x", context, i, r.b >> 24);
        for (unsigned int j = 0; j < i; j++)
            if (vcpus[i].place.apic_id == vcpus[j].place.apic_id)
                fail_msg("%s: vCPUs %u and %u have one APIC id", context, i, j);
    }
}

/* The whole way for one: write, read back, and every vCPU as an operating system sees it. */
static unsigned int try(const char *cpu, const struct cpu_policy *base,
                        const struct cpu_topology *t, uint32_t nr)
{
    struct cpu_policy p = *base;
    uint32_t leaf = 0, subleaf = 0, socket = t->threads * t->cores * t->dies;
    unsigned int found = 0;
    int rc = topology_to_policy(t, &p);

    snprintf(context, sizeof(context), "%s (leaves to %x, %x), %u x %u x %u x %u, %u vCPUs", cpu,
             base->basic[0].a, base->extd[0].a, t->threads, t->cores, t->dies, t->sockets, nr);
    if (rc != (can_say(base, t) ? 0 : -XEN_ERANGE))
        fail_msg("%s: topology_to_policy returns %d", context, rc);
    if (rc) {
        if (memcmp(&p, base, sizeof(p)) != 0)
            fail_msg("%s: refused, and written nevertheless", context);
        return 0;
    }
    if (topology_verify(&p, &leaf, &subleaf))
        fail_msg("%s: contradicts itself at %x.%x", context, leaf, subleaf);
    make_domain(&p, true, nr);
    if (!ids_suffice(&p, t, nr)) {
        assert_true(dom.topology.stock);
        return found;
    }
    if (dom.topology.stock || dom.topology.topology.threads != t->threads ||
        dom.topology.topology.cores != t->cores || dom.topology.topology.dies != t->dies ||
        dom.topology.topology.sockets != (nr - 1) / socket + 1)
        fail_msg("%s: read back as %u x %u x %u x %u", context, dom.topology.topology.threads,
                 dom.topology.topology.cores, dom.topology.topology.dies,
                 dom.topology.topology.sockets);
    check_ids(nr);
    for (enum os_way w = 0; w < OS_WAYS; w++)
        check_way(t, w, nr, &found);
    if (leaf_b(&p) && !found)
        fail_msg("%s: no way tells anything", context);
    check_caches(t, nr);
    return found;
}

/* The CPU as a dump has it, as an HVM guest would get it, and as if it were older. */
enum { VARIANTS = 3 };

static void variant(const struct cpu_policy *raw, int which, struct cpu_policy *p)
{
    struct host_options options;
    struct cpu_policy host;

    *p = *raw;
    if (which == 1) {
        host_options_init(&options);
        host_policy_from_raw(&host, raw, &options);
        host_policy_guest_max(p, raw, &host, &options, GUEST_HVM_HAP);
    } else if (which == 2 && p->basic[0].a > 0xa) {
        p->basic[0].a = 0xa;
        policy_trim(p);
    }
}

static void test_every_cpu(void **state)
{
    static const struct cpu_topology topologies[] = {
        {1, 1, 1, 1},    {1, 1, 1, 5},   {2, 1, 1, 1},   {1, 2, 1, 1},   {1, 4, 1, 1},
        {1, 3, 1, 2},    {2, 4, 1, 1},   {2, 6, 1, 1},   {2, 6, 1, 2},   {2, 3, 1, 3},
        {3, 5, 1, 2},    {4, 72, 1, 1},  {2, 8, 2, 1},   {2, 8, 4, 2},   {2, 5, 3, 2},
        {1, 3, 3, 3},    {1, 7, 2, 1},   {1, 128, 1, 1}, {2, 64, 1, 1},  {1, 1, 1, 128},
        {2, 1, 1, 9},    {1, 1, 8, 2},   {1, 1, 9, 2},   {4, 4, 4, 4},   {1, 256, 1, 1},
        {2, 128, 1, 2},  {2, 1, 1, 127}, {2, 1, 1, 128}, {1, 1, 1, 255}, {1, 1, 1, 256},
        {1, 65, 1, 3},   {255, 1, 1, 1}, {256, 1, 1, 1}, {1, 1, 1, 257}, {2, 1, 1, 300},
        {1, 4097, 1, 1}, {257, 1, 1, 1},
    };
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    unsigned int ways = 0;

    (void)state;
    assert_true(n >= 22);
    for (size_t i = 0; i < n; i++)
        for (int v = 0; v < VARIANTS; v++) {
            struct cpu_policy p;

            variant(&cpus[i].policy, v, &p);
            for (size_t k = 0; k < sizeof(topologies) / sizeof(topologies[0]); k++) {
                const struct cpu_topology *t = &topologies[k];
                uint32_t all = t->threads * t->cores * t->dies * t->sockets;

                if (all <= OS_MAX_CPUS)
                    ways += try(cpus[i].name, &p, t, all);
                if (all > 2)
                    ways += try(cpus[i].name, &p, t, all / 2 > 200 ? 200 : all / 2);
            }
        }
    print_message("%u times a topology was found again\n", ways);
    assert_true(ways > 3000);
}

static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 11) % n);
}

static uint64_t seed(void)
{
    const char *given = getenv("SEED");
    uint64_t s = given ? strtoull(given, NULL, 0) : 1;

    print_message("# SEED=%llu\n", (unsigned long long)s);
    rng = s * 0x9e3779b97f4a7c15ull | 1;
    return s;
}

static void test_random(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    seed();
    for (unsigned int round = 0; round < 3000; round++) {
        const struct test_cpu *cpu = &cpus[below((uint32_t)n)];
        struct cpu_topology t = {1 + below(below(8) ? 2 : 5), 1 + below(below(4) ? 12 : 80),
                                 1 + below(below(2) ? 1 : 9), 1 + below(4)};
        struct cpu_policy p;

        variant(&cpu->policy, (int)below(VARIANTS), &p);
        try(cpu->name, &p, &t, 1 + below(96));
        /* And over another: nothing of the old one may stay. */
        if (!(round % 4) && !topology_to_policy(&t, &p)) {
            t = (struct cpu_topology){1 + below(2), 1 + below(9), 1, 1 + below(3)};
            try(cpu->name, &p, &t, 1 + below(40));
        }
    }
}

/* ---- real silicon ---- */

/* A CPU too old for leaf B, as if what its leaves say were meant. */
static struct cpu_policy as_told(const struct cpu_policy *p)
{
    struct cpu_policy told = *p;

    told.basic[1].b |= 0xffu << 24;
    return told;
}

static void test_processors(void **state)
{
    static const struct {
        const char *name;
        struct cpu_topology t; /* threads 0: its leaves do not say by leaf B */
        uint8_t core_shift, socket_shift;
    } known[] = {
        {"intel-cascadelake-sp", {2, 16, 1, 1}, 1, 5},
        {"intel-haswell-ep", {2, 18, 1, 1}, 1, 6},
        {"intel-knights-landing", {4, 72, 1, 1}, 2, 9},
        {"intel-granite-rapids", {2, 24, 1, 1}, 1, 7},
        {"intel-nehalem-ep", {2, 4, 1, 1}, 1, 4},
        {"amd-bergamo", {2, 128, 1, 1}, 1, 8},
        {"amd-castle-peak", {2, 32, 1, 1}, 1, 7},
        {"amd-granite-ridge", {2, 8, 1, 1}, 1, 4},
        {"amd-barcelona", {1, 4, 1, 1}, 0, 2},
        {"amd-shanghai", {1, 4, 1, 1}, 0, 2},
        {"amd-bulldozer", {0, 0, 0, 0}, 0, 0},
        {"intel-penryn", {0, 0, 0, 0}, 0, 0},
    };
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    uint32_t leaf, subleaf;

    (void)state;
    for (size_t i = 0; i < n; i++)
        if (topology_verify(&cpus[i].policy, &leaf, &subleaf))
            fail_msg("%s contradicts itself at %x.%x", cpus[i].name, leaf, subleaf);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct cpu_policy told = as_told(test_cpu(known[i].name)), *p = &told;
        const struct cpu_topology *t = &known[i].t;
        uint32_t nr = t->threads ? t->threads * t->cores : 4;
        struct topology_map m;
        unsigned int found = 0;

        topology_from_policy(p, nr, &m);
        assert_int_equal(m.stock, t->threads == 0);
        if (m.stock)
            continue;
        assert_memory_equal(&m.topology, t, sizeof(*t));
        assert_int_equal(m.core_shift, known[i].core_shift);
        assert_int_equal(m.socket_shift, known[i].socket_shift);
        /* A guest that is given this very CPU finds what the machine has. */
        snprintf(context, sizeof(context), "%s as it is", known[i].name);
        make_domain(p, true, nr);
        check_ids(nr);
        for (enum os_way w = 0; w < OS_WAYS; w++)
            if (w != OS_AMD_LEVELS) /* a Bergamo has more complexes and dies than policies hold */
                check_way(t, w, nr, &found);
        assert_true(found >= 1);
    }
}

/* What 8000001D, subleaves 1 to 3, says on these CPUs: xen/sim/machines/NAME.cpuid. */
static void test_amd_caches(void **state)
{
    static const struct {
        const char *name;
        struct cpuid_regs l1i, l2;
        uint32_t l3; /* EBX: ways, line */
    } real[] = {
        {"amd-castle-peak",
         {0x4122, 0x01c0003f, 0x3f, 0},
         {0x4143, 0x01c0003f, 0x3ff, 2},
         0x03c0003f},
        {"amd-bergamo", {0x4122, 0x01c0003f, 0x3f, 0}, {0x4143, 0x01c0003f, 0x7ff, 2}, 0x03c0003f},
        {"amd-granite-ridge",
         {0x4122, 0x01c0003f, 0x3f, 0},
         {0x4143, 0x03c0003f, 0x3ff, 2},
         0x03c0003f},
        {"hygon-dhyana", {0x4122, 0x00c0003f, 0xff, 0}, {0x4143, 0x01c0003f, 0x3ff, 2}, 0x03c0003f},
        {"amd-bulldozer",
         {0x4122, 0x0040003f, 0x1ff, 0},
         {0x4143, 0x03c0003f, 0x7ff, 1},
         0x0fc0003f},
        {"amd-kabini", {0x4122, 0x0040003f, 0xff, 0}, {0x4143, 0x03c0003f, 0x7ff, 2}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++) {
        struct cpu_policy p = *test_cpu(real[i].name);
        uint64_t l3 = (uint64_t)(p.extd[6].d >> 18) << 19;
        struct cpuid_regs r;

        for (uint32_t dies = 1; dies <= 2; dies++) {
            uint64_t size;

            assert_int_equal(topology_to_policy(&(struct cpu_topology){2, 4, dies, 1}, &p), 0);
            make_domain(&p, true, 16);
            guest_cpuid(&vcpus[3], 0x8000001d, 1, &r);
            /* Sharers are the topology's; EDX (inclusive?) is in no leaf that policies hold. */
            assert_int_equal(r.a, real[i].l1i.a);
            assert_int_equal(r.b, real[i].l1i.b);
            assert_int_equal(r.c, real[i].l1i.c);
            guest_cpuid(&vcpus[3], 0x8000001d, 2, &r);
            assert_int_equal(r.a, real[i].l2.a);
            assert_int_equal(r.b, real[i].l2.b);
            assert_int_equal(r.c, real[i].l2.c);
            guest_cpuid(&vcpus[3], 0x8000001d, 3, &r);
            size = (uint64_t)((r.b >> 22) + 1) * 64 * ((uint64_t)r.c + 1);
            assert_true(r.a ? size == l3 / dies : l3 == 0);
            if (r.a) {
                assert_int_equal(r.a >> 14 & 0xfff, 7);
                assert_int_equal(r.b, real[i].l3);
            }
            guest_cpuid(&vcpus[3], 0x8000001d, 4, &r);
            assert_int_equal(r.a | r.b | r.c | r.d, 0);
        }
    }
}

/* ---- stock Xen's policies ---- */

static void test_stock(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int hvm = 0; hvm < 2; hvm++) {
            struct host_options options;
            struct cpu_policy host, max, p;
            uint32_t leaf, subleaf;
            struct os_regs r;

            host_options_init(&options);
            host_policy_from_raw(&host, &cpus[i].policy, &options);
            host_policy_guest_max(&max, &cpus[i].policy, &host, &options,
                                  hvm ? GUEST_HVM_HAP : GUEST_PV);
            host_policy_guest_default(&p, &max, &host, &options, hvm ? GUEST_HVM_HAP : GUEST_PV);
            assert_int_equal(topology_verify(&p, &leaf, &subleaf), 0);
            assert_int_equal(topology_verify(&max, &leaf, &subleaf), 0);
            make_domain(&p, hvm, 9);
            assert_true(dom.topology.stock);
            for (unsigned int v = 0; v < 9; v++) {
                assert_int_equal(vcpus[v].place.apic_id, 2 * v);
                dom_cpuid(NULL, v, 1, 0, &r);
                assert_int_equal(r.b >> 24, hvm ? 2 * v : 0);
                dom_cpuid(NULL, v, 0xb, 1, &r);
                assert_int_equal(r.a | r.b, 0);
                if (leaf_b(&p) && p.basic[1].c & C1_X2APIC) {
                    assert_int_equal(r.c, 1);
                    assert_int_equal(r.d, 2 * v);
                } else
                    assert_int_equal(r.c | r.d, 0);
            }
        }
}

/* What libxc makes of leaves 1, 4 and 80000008 for HVM guests of a stock Xen, on CPUs that have no
 * leaf B: ids doubled, no shared cache, no CMP_LEGACY.  It is no topology. */
static void test_stock_old(void **state)
{
    uint32_t leaf, subleaf;
    struct topology_map m;
    struct cpu_policy p;

    (void)state;
    variant(test_cpu("intel-penryn"), 2, &p);
    p.basic[1].b = (p.basic[1].b & 0xffff) | 8u << 16 | 0xffu << 24;
    p.basic[1].d |= 1u << 28;
    for (unsigned int i = 0; i < 3; i++)
        p.cache[i].a = (p.cache[i].a & 0x3fff) | 3u << 26;
    topology_from_policy(&p, 4, &m);
    assert_true(m.stock);
    assert_int_equal(topology_verify(&p, &leaf, &subleaf), 0);

    p = *test_cpu("amd-barcelona");
    topology_from_policy(&p, 4, &m); /* its leaves say four cores, but nobody meant them */
    assert_true(m.stock);
    p = as_told(&p);
    p.basic[1].b = (p.basic[1].b & 0xff00ffff) | 8u << 16;
    p.extd[8].c = 0x3007;
    p.extd[1].c &= ~2u;
    topology_from_policy(&p, 4, &m);
    assert_true(m.stock);
    p.extd[1].c |= 2u;
    topology_from_policy(&p, 4, &m);
    assert_false(m.stock);
    assert_int_equal(m.topology.cores, 8);
    p.extd[8].c = 0; /* as Xen has it for PV, beside the host's CMP_LEGACY and count */
    topology_from_policy(&p, 4, &m);
    assert_true(m.stock);
    assert_int_equal(topology_verify(&p, &leaf, &subleaf), 0);
}

/* ---- what contradicts itself ---- */

struct edit {
    const char *what;
    uint32_t leaf, subleaf; /* of the register that is changed */
    unsigned int reg;
    uint32_t flip;
    uint32_t says, says_subleaf; /* where topology_verify finds it */
};

static void check_edits(const char *name, const struct cpu_topology *t, const struct edit *edits,
                        size_t n)
{
    struct cpu_policy good = *test_cpu(name), p;
    struct topology_map m;

    assert_int_equal(topology_to_policy(t, &good), 0);
    for (size_t i = 0; i < n; i++) {
        uint32_t leaf = 0, subleaf = 0;
        struct cpuid_regs *r;
        uint32_t *word;

        p = good;
        r = policy_leaf(&p, edits[i].leaf, edits[i].subleaf);
        word = edits[i].reg == 0   ? &r->a
               : edits[i].reg == 1 ? &r->b
               : edits[i].reg == 2 ? &r->c
                                   : &r->d;
        *word ^= edits[i].flip;
        if (topology_verify(&p, &leaf, &subleaf) != -XEN_EINVAL || leaf != edits[i].says ||
            subleaf != edits[i].says_subleaf)
            fail_msg("%s, %s: found at %x.%x", name, edits[i].what, leaf, subleaf);
        topology_from_policy(&p, 8, &m);
        assert_true(m.stock);
    }
}

static void test_contradictions(void **state)
{
    static const struct edit intel[] = {
        {"threads", 0xb, 0, 1, 1, 0xb, 0},
        {"type of the first level", 0xb, 0, 2, 0x300, 0xb, 0},
        {"threads beyond their bits", 0xb, 0, 0, 1, 0xb, 0},
        {"all of the socket", 0xb, 1, 1, 1, 0xb, 1},
        {"shift of cores", 0xb, 1, 0, 4, 0xb, 1},
        {"no cores in leaf B", 0xb, 1, 1, 0x10, 0xb, 1},
        {"a level without type", 0xb, 2, 1, 0x20, 0xb, 2},
        {"a level after the end", 0xb, 4, 1, 0x20, 0xb, 4},
        {"cores twice in 1F", 0x1f, 2, 2, 0x700, 0x1f, 2},
        {"threads in 1F", 0x1f, 0, 1, 3, 0x1f, 1},
        {"shift of threads in 1F", 0x1f, 0, 0, 1, 0x1f, 0},
        {"dies in 1F", 0x1f, 2, 1, 0x30, 0x1f, 2},
        {"bits of dies in 1F", 0x1f, 2, 0, 1, 0x1f, 2},
        {"HTT", 1, POLICY_NONE, 3, 1u << 28, 1, POLICY_NONE},
        {"ids in leaf 1", 1, POLICY_NONE, 1, 0x300000, 1, POLICY_NONE},
        {"cores in leaf 4", 4, 1, 0, 0x10u << 26, 4, 1},
        {"L1 of half a core", 4, 0, 0, 1u << 14, 4, 0},
        {"L3 of two sockets", 4, 3, 0, 0x30u << 14, 4, 3},
        {"L3 of less than L2", 4, 2, 0, 0xeu << 14, 4, 3},
    };
    static const struct edit single = {"HTT of one", 1, POLICY_NONE, 3, 1u << 28, 1, POLICY_NONE};
    static const struct edit amd[] = {
        {"threads in 8000001E", 0x8000001e, POLICY_NONE, 1, 0x100, 0x8000001e, POLICY_NONE},
        {"nodes in 8000001E", 0x8000001e, POLICY_NONE, 2, 0x300, 0x8000001e, POLICY_NONE},
        {"NC", 0x80000008, POLICY_NONE, 2, 1, 0x80000008, POLICY_NONE},
        {"ApicIdSize", 0x80000008, POLICY_NONE, 2, 0x1000, 0x80000008, POLICY_NONE},
        {"threads in leaf 1", 1, POLICY_NONE, 1, 0x10000, 1, POLICY_NONE},
        {"sharers of L1D", 0x8000001d, POLICY_NONE, 0, 0xc000, 0x8000001d, POLICY_NONE},
        {"threads in 80000026", 0x80000026, POLICY_NONE, 1, 1, 0x80000026, POLICY_NONE},
        {"shift in 80000026", 0x80000026, POLICY_NONE, 0, 3, 0x80000026, POLICY_NONE},
        {"type in 80000026", 0x80000026, POLICY_NONE, 2, 0x300, 0x80000026, POLICY_NONE},
    };

    (void)state;
    check_edits("intel-sapphire-rapids", &(struct cpu_topology){2, 4, 2, 1}, intel,
                sizeof(intel) / sizeof(intel[0]));
    check_edits("intel-sapphire-rapids", &(struct cpu_topology){1, 1, 1, 3}, &single, 1);
    check_edits("amd-bergamo", &(struct cpu_topology){2, 4, 2, 1}, amd,
                sizeof(amd) / sizeof(amd[0]));
}

static void expect_contradiction(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
    uint32_t where = 0, sub = 0;
    struct topology_map m;

    assert_int_equal(topology_verify(p, &where, &sub), -XEN_EINVAL);
    assert_int_equal(where, leaf);
    assert_int_equal(sub, subleaf);
    topology_from_policy(p, 4, &m);
    assert_true(m.stock);
}

/* Each leaf right by itself, and not the same. */
static void test_leaves_disagree(void **state)
{
    struct cpu_policy p = *test_cpu("intel-granite-rapids");

    (void)state;
    p.topo_v2[0].a = 2;
    expect_contradiction(&p, 0x1f, 0);
    p = *test_cpu("intel-granite-rapids");
    p.topo_v2[0].b = 1;
    expect_contradiction(&p, 0x1f, 0);
    p = *test_cpu("intel-granite-rapids");
    p.topo_v2[1].b = 46;
    expect_contradiction(&p, 0x1f, 1);
    /* Leaf B with a level that only 1F has. */
    p = *test_cpu("intel-granite-rapids");
    p.topo[2] = (struct cpuid_regs){7, 0x30, 0x502, 0};
    expect_contradiction(&p, 0xb, 2);
}

/* What another topology, or the host, had there goes. */
static void test_nothing_stays(void **state)
{
    struct cpu_policy p = *test_cpu("intel-sapphire-rapids");
    uint32_t leaf, subleaf;

    (void)state;
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++)
        p.topo[i] = p.topo_v2[i] = (struct cpuid_regs){i, 1u << i, (i + 1) << 8 | i, 99};
    assert_int_equal(topology_to_policy(&(struct cpu_topology){2, 4, 1, 1}, &p), 0);
    assert_int_equal(topology_verify(&p, &leaf, &subleaf), 0);
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++) {
        assert_int_equal(p.topo[i].d | p.topo_v2[i].d, 0);
        if (i >= 2)
            assert_int_equal(p.topo[i].a | p.topo[i].b | p.topo[i].c, 0);
    }
}

/* More vCPUs than there are ids for: as stock Xen places them, not two with one id. */
static void test_too_many_vcpus(void **state)
{
    struct cpu_policy p = as_told(test_cpu("amd-barcelona"));
    struct topology_map m;

    (void)state;
    topology_from_policy(&p, 255, &m);
    assert_false(m.stock);
    topology_from_policy(&p, 256, &m);
    assert_true(m.stock);

    p = *test_cpu("intel-granite-rapids");
    p.topo[1].a = p.topo_v2[1].a = 31; /* bits of a socket's ids */
    p.basic[1].b |= 0xffu << 16;
    topology_from_policy(&p, 96, &m);
    assert_false(m.stock);
    topology_from_policy(&p, 97, &m);
    assert_true(m.stock);
}

/* Whatever the leaves hold: an answer, without undefined behaviour, the same from both. */
static void test_garbage(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    unsigned int taken = 0;

    (void)state;
    seed();
    for (unsigned int round = 0; round < 200000; round++) {
        struct cpu_policy p = cpus[below((uint32_t)n)].policy;
        uint32_t leaf, subleaf, nr = below(20) ? 1 + below(300) : 0xffffffff - below(3);
        uint32_t *word[] = {
            &p.topo[0].a,    &p.topo[0].b,    &p.topo[0].c,    &p.topo[1].a,    &p.topo[1].b,
            &p.topo[1].c,    &p.topo_v2[0].b, &p.topo_v2[1].a, &p.topo_v2[1].b, &p.topo_v2[2].b,
            &p.topo_v2[2].c, &p.basic[1].b,   &p.extd[8].c,    &p.extd[0x1e].b, &p.extd[0x1e].c,
            &p.extd[5].d,    &p.extd[6].c,    &p.extd[6].d,    &p.extd[0x26].b, &p.basic[0].a,
            &p.extd[0].a,    &p.cache[0].a,   &p.cache[3].a,   &p.extd[0x1d].a,
        };
        struct topology_map m;
        struct cpu_place place;

        for (unsigned int k = below(4); k; k--) {
            uint32_t *w = word[below(sizeof(word) / sizeof(word[0]))];

            *w = below(2) ? *w ^ 1u << below(32) : below(0xffffffff);
        }
        topology_from_policy(&p, nr, &m);
        if (topology_verify(&p, &leaf, &subleaf))
            assert_true(m.stock);
        taken += !m.stock;
        assert_true(m.topology.threads && m.topology.cores && m.topology.dies &&
                    m.topology.sockets);
        topology_place(&m, below(0xffffffff), &place);
        topology_to_policy(&(struct cpu_topology){1 + below(3), below(40), 1 + below(4), 1}, &p);
    }
    assert_true(taken > 10000);
}

static void test_counts_of_zero(void **state)
{
    static const struct cpu_topology bad[] = {
        {0, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 0, 1}, {1, 1, 1, 0}};
    static const struct cpu_topology huge[] = {{0x10000, 0x10000, 1, 1}, {1, 0xffffffff, 1, 1},
                                               {1, 1, 1u << 31, 1},      {4, 4, 1, 0xffffffff},
                                               {1, 4097, 1, 1},          {2, 2, 1, 1u << 30}};
    const struct cpu_policy *base = test_cpu("intel-sapphire-rapids");
    struct cpu_policy p = *base;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(topology_to_policy(&bad[i], &p), -XEN_EINVAL);
    for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++)
        if (topology_to_policy(&huge[i], &p) != -XEN_ERANGE)
            fail_msg("topology %zu is taken", i);
    assert_memory_equal(&p, base, sizeof(p));
}

/* Through the hypervisor's arrays, as in a stream. */
static void test_travels(void **state)
{
    static const struct cpu_topology t = {2, 3, 2, 2};
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    static const char *const names[] = {"intel-granite-rapids", "amd-bergamo"};
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cpu_policy p = *test_cpu(names[i]), there;
        size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS;
        struct topology_map m;

        assert_int_equal(topology_to_policy(&t, &p), 0);
        assert_int_equal(policy_verify(&p, NULL), 0);
        assert_int_equal(policy_to_leaves(&p, leaves, &nl, msrs, &nm), 0);
        assert_int_equal(policy_from_leaves(&there, leaves, nl, msrs, nm, NULL), 0);
        topology_from_policy(&there, 24, &m);
        assert_false(m.stock);
        assert_memory_equal(&m.topology, &t, sizeof(t));
    }
}

/* The core does with its domains what this file does by hand: a toolstack sets the policy. */
static void test_through_the_hypervisor(void **state)
{
    static const struct cpu_topology t = {1, 3, 1, 4};
    static const struct cpu_topology smt = {2, 3, 1, 2};
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct core *c = core_boot(cpus[i].name, 2, 4096, "");
        uint32_t flags = c->hv.has_hvm ? XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap : 0;
        struct domain *d = core_domain(c, c->hv.has_hap ? flags : 0, 12, 4);
        struct xen_domctl op = {.cmd = XEN_DOMCTL_set_cpu_policy, .domain = d->id};
        struct cpu_policy p = d->policy;
        const struct cpu_topology *which = leaf_b(&p) ? &smt : &t;
        xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
        xen_msr_entry_t msrs[POLICY_MAX_MSRS];
        size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS;
        unsigned int found = 0;

        snprintf(context, sizeof(context), "a domain on %s", cpus[i].name);
        assert_int_equal(topology_to_policy(which, &p), 0);
        assert_int_equal(policy_to_leaves(&p, leaves, &nl, msrs, &nm), 0);
        op.u.cpu_policy.nr_leaves = (uint32_t)nl;
        op.u.cpu_policy.nr_msrs = (uint32_t)nm;
        HANDLE_SET(op.u.cpu_policy.leaves, core_put(c, leaves, nl * sizeof(leaves[0])));
        HANDLE_SET(op.u.cpu_policy.msrs, core_put(c, msrs, nm * sizeof(msrs[0])));
        assert_int_equal(core_domctl(c, &op), 0);
        core_start(c, d);

        dom = *d;
        for (unsigned int v = 0; v < 12; v++) {
            vcpus[v] = *d->vcpus[v];
            vcpus[v].domain = &dom;
        }
        for (enum os_way w = 0; w < OS_WAYS; w++)
            check_way(which, w, 12, &found);
        assert_true(found);
        check_caches(which, 12);
        check_ids(12);
        core_halt(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cpu),       cmocka_unit_test(test_random),
        cmocka_unit_test(test_processors),      cmocka_unit_test(test_amd_caches),
        cmocka_unit_test(test_stock),           cmocka_unit_test(test_stock_old),
        cmocka_unit_test(test_contradictions),  cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_counts_of_zero),  cmocka_unit_test(test_travels),
        cmocka_unit_test(test_leaves_disagree), cmocka_unit_test(test_nothing_stays),
        cmocka_unit_test(test_too_many_vcpus),  cmocka_unit_test(test_through_the_hypervisor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
