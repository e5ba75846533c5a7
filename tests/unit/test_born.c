/* SPDX-License-Identifier: MIT */
/*
 * Domains that are born on a level: what the default policies have to become for it, and the live
 * patch's own code that writes it, on objects as the hypervisor has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <host-policy.h>

#include <born.h>

#include "cpus.h"
#include "features-gen.h"
#include "narrow.h"
#include "payload.h"
#include "xc.h"

#define MAX_HOSTS 64

/* ---- the hypervisor that the payload's code runs in: hypervisor.c ---- */

extern uint8_t test_pv_max[], test_hvm_max[]; /* that can be written */
extern volatile struct born_level born_level; /* the payload's section */
extern void (*const born_load)(void);
extern void (*const born_unload)(void);
extern int (*const born_prerevert)(void *payload);

int printk(const char *format, ...)
{
    (void)format;
    return 0;
}

static void copy_regs(uint8_t *to, const struct cpuid_regs *from, size_t n)
{
    memcpy(to, from, n * sizeof(*from));
}

/* The reverse of the payload's convert_policy(). */
static void make_object(uint8_t *object, const struct cpu_policy *p)
{
    uint32_t platform_info = (uint32_t)p->platform_info;

    memset(object, 0, LAYOUT_SIZE);
    copy_regs(object, p->basic, LAYOUT_NR_BASIC);
    copy_regs(object + LAYOUT_FEAT, p->feat, LAYOUT_NR_FEAT);
    copy_regs(object + LAYOUT_XSTATE, p->xstate, LAYOUT_NR_XSTATE);
    copy_regs(object + LAYOUT_EXTD, p->extd, LAYOUT_NR_EXTD);
    memcpy(object + LAYOUT_PLATFORM_INFO, &platform_info, sizeof(platform_info));
    memcpy(object + LAYOUT_ARCH_CAPS, &p->arch_caps, sizeof(p->arch_caps));
}

/* ---- hosts ---- */

static struct host {
    const char *name;
    struct cpu_policy max[BORN_TYPES], deflt[BORN_TYPES];
} hosts[MAX_HOSTS];
static size_t n_hosts;

static const enum guest_type guest_types[BORN_TYPES] = {
    [BORN_PV] = GUEST_PV, [BORN_HVM] = GUEST_HVM_HAP};

static int derive_hosts(void **state)
{
    struct host_options options;
    const struct test_cpu *cpus;

    (void)state;
    n_hosts = test_cpus(&cpus);
    assert_in_range(n_hosts, 20, MAX_HOSTS);
    host_options_init(&options);
    for (size_t i = 0; i < n_hosts; i++) {
        struct cpu_policy host, raw = cpus[i].policy;

        hosts[i].name = cpus[i].name;
        host_policy_from_raw(&host, &raw, &options);
        for (unsigned int t = 0; t < BORN_TYPES; t++) {
            host_policy_guest_max(&hosts[i].max[t], &raw, &host, &options, guest_types[t]);
            host_policy_guest_default(&hosts[i].deflt[t], &hosts[i].max[t], &host, &options,
                                      guest_types[t]);
        }
    }
    return 0;
}

static const struct host *find_host(const char *name)
{
    for (size_t i = 0; i < n_hosts; i++)
        if (!strcmp(hosts[i].name, name))
            return &hosts[i];
    fail_msg("no machine %s", name);
    return NULL;
}

static int make_level(const struct host *a, const struct host *b, unsigned int type,
                      struct cpu_policy *level)
{
    const struct policy_host both[2] = {{&a->max[type], &a->deflt[type]},
                                        {&b->max[type], &b->deflt[type]}};

    return policy_level(both, 2, level, NULL, NULL);
}

/* ---- what the defaults become ---- */

static struct born_cpu cpu, other;
static struct born_entry entries[BORN_MAX];

/* On every pair of machines: both can have new domains born on their level; those can run on both,
 * and nothing of the level is missing. */
static void test_pairs(void **state)
{
    size_t pairs = 0;

    (void)state;
    for (size_t i = 0; i < n_hosts; i++)
        for (size_t j = 0; j < n_hosts; j++)
            for (unsigned int t = 0; t < BORN_TYPES; t++) {
                const struct host *a = &hosts[i], *b = &hosts[j];
                const struct policy_host there = {&b->max[t], &b->deflt[t]};
                struct policy_report r = {NULL, 0, 0};
                struct cpu_policy level;

                if (make_level(a, b, t, &level))
                    continue;
                if (born_narrow(&a->deflt[t], &a->max[t], &level, &cpu))
                    fail_msg("%s cannot give what it shares with %s", a->name, b->name);
                assert_int_equal(policy_check(&cpu.wanted, &there, &r), 0);
                assert_in_range(born_entries(&a->deflt[t], &cpu.wanted, entries), 0, BORN_MAX);
                assert_true(born_exactly(&cpu.wanted, &a->max[t], &level));
                pairs++;
            }
    assert_in_range(pairs, 200, SIZE_MAX);
}

static void test_a_level_that_the_host_cannot_give(void **state)
{
    const struct host *rich = find_host("intel-cascadelake-sp");
    const struct host *poor = find_host("intel-sandybridge-ep");
    const struct host *amd = find_host("amd-bergamo");

    (void)state;
    /* The rich one's own CPU is no level for the poor one. */
    assert_int_not_equal(
        born_narrow(&poor->deflt[BORN_HVM], &poor->max[BORN_HVM], &rich->deflt[BORN_HVM], &cpu), 0);
    assert_true(featureset_test(&cpu.absent, X86_FEATURE_AVX2));
    assert_false(cpu.foreign);
    assert_int_not_equal(
        born_narrow(&rich->deflt[BORN_HVM], &rich->max[BORN_HVM], &amd->deflt[BORN_HVM], &cpu), 0);
    assert_true(cpu.foreign);
    /* What the maximum has and the default has not can be part of a level. */
    other.wanted = rich->deflt[BORN_HVM];
    {
        struct featureset fs;

        policy_to_featureset(&other.wanted, &fs);
        featureset_clear(&fs, X86_FEATURE_ADX);
        policy_from_featureset(&other.wanted, &fs);
    }
    assert_int_equal(born_narrow(&other.wanted, &rich->max[BORN_HVM], &rich->deflt[BORN_HVM], &cpu),
                     0);
}

static void test_hazards(void **state)
{
    const struct host *h = find_host("intel-cascadelake-sp");
    struct cpu_policy level = h->deflt[BORN_HVM];
    struct featureset fs;

    (void)state;
    /* A hazard of the level is told, and one of the host that the level does not tell refuses. */
    other.wanted = level;
    policy_to_featureset(&level, &fs);
    featureset_set(&fs, X86_FEATURE_FDP_EXCP_ONLY);
    policy_from_featureset(&level, &fs);
    if (!born_narrow(&other.wanted, &h->max[BORN_HVM], &level, &cpu)) {
        policy_to_featureset(&cpu.wanted, &fs);
        assert_true(featureset_test(&fs, X86_FEATURE_FDP_EXCP_ONLY));
    }
    assert_int_not_equal(born_narrow(&level, &h->max[BORN_HVM], &other.wanted, &cpu), 0);
}

/* ---- the payload's code ---- */

static uint8_t before[BORN_TYPES][LAYOUT_SIZE];
static struct cpu_policy levels[BORN_TYPES], wanted[BORN_TYPES];

/* That host's hypervisor, and a payload with the level that it shares with the other one. */
static void begin(const struct host *host, const struct host *with)
{
    uint8_t *const maxima[BORN_TYPES] = {[BORN_PV] = test_pv_max, [BORN_HVM] = test_hvm_max};
    uint8_t *const defaults[BORN_TYPES] = {
        [BORN_PV] = pv_def_cpu_policy, [BORN_HVM] = hvm_def_cpu_policy};

    born_level.magic = BORN_MAGIC;
    born_level.size = sizeof(born_level);
    for (unsigned int t = 0; t < BORN_TYPES; t++) {
        int n;

        make_object(maxima[t], &host->max[t]);
        make_object(defaults[t], &host->deflt[t]);
        memcpy(before[t], defaults[t], LAYOUT_SIZE);
        assert_int_equal(make_level(host, with, t, &levels[t]), 0);
        assert_int_equal(born_narrow(&host->deflt[t], &host->max[t], &levels[t], &cpu), 0);
        wanted[t] = cpu.wanted;
        n = born_entries(&host->deflt[t], &cpu.wanted, entries);
        assert_in_range(n, 1, BORN_MAX);
        born_level.n[t] = (uint32_t)n;
        memcpy((void *)(uintptr_t)born_level.entries[t], entries, sizeof(entries));
    }
    audit_prepare();
}

static int check_table(void)
{
    const char *what;
    uint32_t leaf, subleaf;

    return born_check(&what, &leaf, &subleaf);
}

static int check_held(bool narrowed)
{
    uint32_t leaf, subleaf;

    return born_holds(narrowed, &leaf, &subleaf);
}

static void test_narrow_and_back(void **state)
{
    const struct host *rich = find_host("intel-cascadelake-sp");
    uint8_t guest[LAYOUT_SIZE] __attribute__((aligned(8)));

    (void)state;
    begin(rich, find_host("intel-sandybridge-ep"));
    assert_int_equal(check_table(), 0);
    assert_int_equal(check_held(false), 0);
    assert_int_not_equal(check_held(true), 0);
    assert_int_not_equal(born_prerevert(NULL), 0);

    born_load();
    assert_int_equal(check_held(true), 0);
    make_object(guest, &wanted[BORN_HVM]);
    assert_memory_equal(hvm_def_cpu_policy, guest, LAYOUT_SIZE);
    make_object(guest, &wanted[BORN_PV]);
    assert_memory_equal(pv_def_cpu_policy, guest, LAYOUT_SIZE);
    /* Both the new domains and those from before are let in. */
    assert_int_equal(audit_policy(hvm_max_cpu_policy, hvm_def_cpu_policy, NULL, NULL), 0);
    make_object(guest, &rich->deflt[BORN_HVM]);
    assert_int_equal(audit_policy(hvm_max_cpu_policy, guest, NULL, NULL), 0);
    make_object(guest, &rich->deflt[BORN_PV]);
    assert_int_equal(audit_policy(pv_max_cpu_policy, guest, NULL, NULL), 0);

    assert_int_equal(born_prerevert(NULL), 0);
    born_unload();
    assert_memory_equal(pv_def_cpu_policy, before[BORN_PV], LAYOUT_SIZE);
    assert_memory_equal(hvm_def_cpu_policy, before[BORN_HVM], LAYOUT_SIZE);
}

/* A hazard that only other hosts of the level have is none of this host: whoever was not told of it
 * can come in. */
static void test_a_hazard_of_the_level_is_not_the_hosts(void **state)
{
    const struct host *host = find_host("intel-cascadelake-sp");
    uint8_t guest[LAYOUT_SIZE] __attribute__((aligned(8)));
    struct born_entry *e = (struct born_entry *)(uintptr_t)born_level.entries[BORN_HVM];
    const uint32_t bit = 1u << X86_FEATURE_FDP_EXCP_ONLY % 32;
    struct cpu_policy p = host->deflt[BORN_HVM];

    (void)state;
    begin(host, find_host("intel-sandybridge-ep"));
    p.feat[0].b &= ~bit;
    make_object(hvm_def_cpu_policy, &p);
    make_object(guest, &p);
    born_level.n[BORN_HVM] = 1;
    *e = (struct born_entry){7, 0, p.feat[0], p.feat[0]};
    e->to.b |= bit;
    born_load();
    assert_int_equal(audit_policy(hvm_max_cpu_policy, guest, NULL, NULL), 0);
    born_unload();
    p.feat[0].b |= bit; /* were it the host's own, the guest would have to know */
    make_object(hvm_def_cpu_policy, &p);
    born_level.n[BORN_HVM] = 0;
    assert_int_not_equal(audit_policy(hvm_max_cpu_policy, guest, NULL, NULL), 0);
}

static void test_somebody_else_changed_it(void **state)
{
    (void)state;
    begin(find_host("intel-cascadelake-sp"), find_host("intel-sandybridge-ep"));
    born_load();
    hvm_def_cpu_policy[LAYOUT_FEAT + 4] ^= 1; /* 7.0.EBX */
    assert_int_not_equal(born_prerevert(NULL), 0);
    hvm_def_cpu_policy[LAYOUT_FEAT + 4] ^= 1;
    assert_int_equal(born_prerevert(NULL), 0);
    born_unload();
    pv_def_cpu_policy[LAYOUT_FEAT + 4] ^= 1;
    assert_int_not_equal(check_held(false), 0);
}

/* Whatever is written into the section: it is refused, and nothing outside the objects is touched.
 */
static void test_rubbish_in_the_table(void **state)
{
    static const struct {
        uint32_t leaf, subleaf;
    } nowhere[] = {{0x0e, POLICY_NONE},
                   {7, POLICY_NONE},
                   {7, 3},
                   {0xd, 63},
                   {1, 0},
                   {4, 0},
                   {0x80000022u, POLICY_NONE},
                   {0xfffffffeu, 0},
                   {POLICY_NONE, 0x10},
                   {0x7fffffffu, POLICY_NONE}};
    struct born_entry *e = (struct born_entry *)(uintptr_t)born_level.entries[BORN_PV];

    (void)state;
    begin(find_host("intel-cascadelake-sp"), find_host("intel-sandybridge-ep"));
    assert_int_equal(check_table(), 0);
    born_level.magic++;
    assert_int_not_equal(check_table(), 0);
    born_level.magic--;
    born_level.size++;
    assert_int_not_equal(check_table(), 0);
    born_level.size--;
    e[1] = e[0];
    assert_int_not_equal(check_table(), 0);
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        born_level.n[BORN_PV] = 1;
        e[0].leaf = nowhere[i].leaf;
        e[0].subleaf = nowhere[i].subleaf;
        assert_int_not_equal(check_table(), 0);
        assert_int_not_equal(check_held(false), 0);
        born_load(); /* which nobody would call any more */
        assert_memory_equal(pv_def_cpu_policy, before[BORN_PV], LAYOUT_SIZE);
    }
    for (uint32_t i = 0; i < BORN_MAX; i++)
        e[i] = (struct born_entry){.leaf = 0xd, .subleaf = i};
    born_level.n[BORN_PV] = BORN_MAX;
    assert_int_equal(check_table(), 0);
    for (uint32_t n = BORN_MAX + 1; n; n <<= 1) {
        born_level.n[BORN_PV] = n;
        assert_int_not_equal(check_table(), 0);
        assert_in_range(born_count(BORN_PV), 0, BORN_MAX);
    }
}

/* ---- what the defaults were, from the file beside the hypervisor ---- */

static void write_table(const char *path, size_t size)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite((const void *)(uintptr_t)&born_level, size, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

static void test_the_file(void **state)
{
    const struct host *rich = find_host("intel-cascadelake-sp");
    char path[] = "/tmp/xenlevel-born-XXXXXX";
    int fd = mkstemp(path);
    struct cpu_policy p, narrowed;

    (void)state;
    assert_in_range(fd, 0, 1 << 20);
    (void)close(fd);
    begin(rich, find_host("intel-sandybridge-ep"));
    assert_int_equal(
        born_narrow(&rich->deflt[BORN_HVM], &rich->max[BORN_HVM], &levels[BORN_HVM], &cpu), 0);
    narrowed = p = cpu.wanted;

    write_table(path, sizeof(born_level));
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_DEFAULT, &p), 1);
    assert_memory_equal(&p, &rich->deflt[BORN_HVM], sizeof(p));
    /* The host was booted, or the patch unloaded: the file is about nothing. */
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_DEFAULT, &p), 0);
    p = narrowed;
    born_level.n[BORN_PV] = 0; /* a level that changes nothing of PV's: known, and as it is */
    write_table(path, sizeof(born_level));
    assert_int_equal(xc_widen_default(path, XC_POLICY_PV_DEFAULT, &p), 1);
    assert_memory_equal(&p, &narrowed, sizeof(p));
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_MAX, &p), 0);
    write_table(path, sizeof(born_level) - 1);
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_DEFAULT, &p), 0);
    born_level.n[BORN_HVM] = BORN_MAX + 1;
    write_table(path, sizeof(born_level));
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_DEFAULT, &p), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(xc_widen_default("/", XC_POLICY_HVM_DEFAULT, &p), -1); /* cannot be read */
    assert_int_equal(xc_widen_default(path, XC_POLICY_HVM_DEFAULT, &p), 0);
    assert_memory_equal(&p, &narrowed, sizeof(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_a_level_that_the_host_cannot_give),
        cmocka_unit_test(test_hazards),
        cmocka_unit_test(test_narrow_and_back),
        cmocka_unit_test(test_a_hazard_of_the_level_is_not_the_hosts),
        cmocka_unit_test(test_somebody_else_changed_it),
        cmocka_unit_test(test_rubbish_in_the_table),
        cmocka_unit_test(test_the_file),
    };

    return cmocka_run_group_tests(tests, derive_hosts, NULL);
}
