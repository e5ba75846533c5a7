/* SPDX-License-Identifier: MIT */
/*
 * Every bit of every leaf has a rule, and the audit keeps to it.
 *
 * Each bit of each register of each leaf of a guest is turned over, one at a time.  The audit
 * (policy_verify and policy_check) must refuse what then stands there, or the rule of that bit must
 * say that it may stand there.  The rule is read from the table by other code than the audit's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cpuid-policy/vocabulary.h>
#include <host-policy.h>

#include "cpus.h"
#include "features-gen.h"
#include "xc.h"

static const char regs[] = "abcd";

struct subject {
    const char *name;
    struct cpu_policy guest, max, deflt;
};

static void derive(struct subject *s, const char *cpu, enum guest_type type)
{
    const struct cpu_policy *raw = test_cpu(cpu);
    struct host_options options;
    struct cpu_policy host;

    s->name = cpu;
    host_options_init(&options);
    host_policy_from_raw(&host, raw, &options);
    host_policy_guest_max(&s->max, raw, &host, &options, type);
    host_policy_guest_default(&s->deflt, &s->max, &host, &options, type);
    s->guest = s->deflt;
    host_policy_for_domain(&s->guest);
}

/* A CPU with every new leaf, as the host's limit and as the guest's own. */
static void whole_cpu(struct subject *s, const char *cpu)
{
    s->name = cpu;
    s->guest = s->max = s->deflt = *test_cpu(cpu);
}

static bool accepted(const struct subject *s, const struct cpu_policy *guest)
{
    const struct policy_host here = {&s->max, &s->deflt};

    return !policy_verify(guest, NULL) && !policy_check(guest, &here, NULL);
}

static bool is_amd(const struct cpu_policy *p)
{
    char vendor[13];

    policy_vendor(p, vendor);
    return !strcmp(vendor, "AuthenticAMD");
}

/* The one row of the bit; fails when there is none, or more. */
static const struct field_rule *row_of(const struct subject *s, uint32_t leaf, uint32_t subleaf,
                                       unsigned int reg, unsigned int bit)
{
    const struct field_rule *found = NULL;

    for (size_t i = 0; i < NR_FIELD_RULES; i++) {
        const struct field_rule *f = &field_rules[i];

        if (leaf < f->first || leaf > f->last || subleaf < f->low || subleaf > f->high)
            continue;
        if (!(f->registers >> reg & 1) || !(f->mask >> bit & 1))
            continue;
        if (!(f->vendors & (is_amd(&s->guest) ? RULE_AMD : RULE_INTEL)))
            continue;
        if (found)
            fail_msg("%x.%x.%c[%u] has two rules", leaf, subleaf, regs[reg], bit);
        found = f;
    }
    if (!found)
        fail_msg("%x.%x.%c[%u] has no rule", leaf, subleaf, regs[reg], bit);
    return found;
}

static uint32_t *reg_at(struct cpuid_regs *r, unsigned int reg)
{
    uint32_t *const all[] = {&r->a, &r->b, &r->c, &r->d};

    return all[reg];
}

/* Is the register a feature word; where? */
static int word_at(uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        const struct featureset_word_info *w = featureset_word_info(i);

        if (w->msr == POLICY_NONE && w->leaf == leaf && w->reg == reg &&
            (w->subleaf == POLICY_NONE ? 0 : w->subleaf) == subleaf)
            return (int)i;
    }
    return -1;
}

/* A feature bit that may stand otherwise than the guest was given it. */
static bool feature_may(uint32_t leaf, uint32_t subleaf, unsigned int reg, unsigned int bit,
                        bool was, uint32_t host)
{
    int word = word_at(leaf, subleaf, reg);
    unsigned int feature = (unsigned int)word * 32 + bit;
    const struct feature_info *info;

    if (word < 0)
        fail_msg("%x.%x.%c is no feature word", leaf, subleaf, regs[reg]);
    info = feature_info(feature);
    if (!info) /* a bit of a number, or one that nobody knows: less is right */
        return was || (host >> bit & 1) || featureset_test(featureset_number_bits(), feature);
    switch (info->merge) {
    case MERGE_ACCUMULATE:
    case MERGE_CAPABILITY: /* the guest may have less, or more that the host can give */
        return was || (host >> bit & 1);
    case MERGE_MIRROR:
        return false;
    case MERGE_HAZARD: /* told of more than there is: what may be given; how the host's FPU is; what
                          cannot be counted where something can */
        return was || (host >> bit & 1) || feature == X86_FEATURE_FDP_EXCP_ONLY ||
               feature == X86_FEATURE_NO_FPU_SEL || leaf == 0xa;
    default: /* dynamic: the vCPU's */
        return true;
    }
}

/* May the guest have `now` where it had `was` and the host has `host`?  Said by the table alone. */
static bool may(const struct field_rule *f, const struct subject *s, uint32_t leaf,
                uint32_t subleaf, unsigned int reg, unsigned int bit, uint32_t was, uint32_t host)
{
    uint32_t now = (was ^ (1u << bit)) & f->mask;
    struct featureset fs;

    host &= f->mask;
    policy_to_featureset(&s->guest, &fs);
    /* What stands there as in the host's own policy passes: a reported default policy has it so. */
    if (f->feature && !featureset_test(&fs, f->feature - 1u))
        return !now || now == host;
    switch (f->rule) {
    case RULE_FEATURES:
        return feature_may(leaf, subleaf, reg, bit, was >> bit & 1, host);
    case RULE_AT_MOST:
        return now <= host;
    case RULE_SUBSET:
        return !(now & ~host);
    case RULE_TOLD:
        return !(host & ~now);
    case RULE_OFFERED:
        return !now || now == host;
    case RULE_EQUAL:
    case RULE_COPY:
    case RULE_STATE:
        return false;
    case RULE_VCPU:
    case RULE_XEN:
    case RULE_FREE:
        return true;
    default:
        fail_msg("rule %u", f->rule);
    }
    return false;
}

struct tally {
    unsigned int bits, refused, free;
};

static void turn_bit(struct subject *s, uint32_t leaf, uint32_t subleaf, unsigned int reg,
                     unsigned int bit, struct tally *t)
{
    uint32_t slot = policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE;
    const struct field_rule *f = row_of(s, leaf, subleaf, reg, bit);
    uint32_t was = *reg_at(policy_leaf(&s->guest, leaf, slot), reg);
    uint32_t host = *reg_at(policy_leaf(&s->max, leaf, slot), reg);
    struct cpu_policy turned = s->guest;
    bool ok;

    *reg_at(policy_leaf(&turned, leaf, slot), reg) ^= 1u << bit;
    ok = accepted(s, &turned);
    t->bits++;
    t->refused += !ok;
    t->free += ok;
    if (ok && !may(f, s, leaf, subleaf, reg, bit, was, host))
        fail_msg("%s: %x.%x.%c[%u], of %08x (host %08x): accepted against its rule %u", s->name,
                 leaf, subleaf, regs[reg], bit, was, host, f->rule);
    /* And what travels is not refused: but where the list of caches would end. */
    if (!ok && f->rule == RULE_FREE && (!f->feature || policy_has(&s->guest, f->feature - 1u)) &&
        !(leaf == 4 && reg == 0 && bit < 5) &&
        leaf <= (leaf < 0x80000000u ? s->guest.basic[0].a : s->guest.extd[0].a) &&
        !(leaf == 4 && !(s->guest.cache[subleaf].a & 0x1f)) &&
        !(leaf == 1 && reg == 0 && is_amd(&s->guest)))
        fail_msg("%s: %x.%x.%c[%u] is free, and refused", s->name, leaf, subleaf, regs[reg], bit);
}

static void turn_leaf(struct subject *s, uint32_t leaf, struct tally *t)
{
    for (uint32_t subleaf = 0; subleaf < POLICY_NR_XSTATE; subleaf++) {
        uint32_t slot = policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE;

        if (subleaf && (slot == POLICY_NONE || !policy_leaf(&s->guest, leaf, slot)))
            break;
        for (unsigned int reg = 0; reg < 4; reg++)
            for (unsigned int bit = 0; bit < 32; bit++)
                turn_bit(s, leaf, subleaf, reg, bit, t);
    }
}

static void turn_all(struct subject *s)
{
    struct tally t = {0, 0, 0};

    assert_true(accepted(s, &s->guest));
    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++)
        turn_leaf(s, leaf, &t);
    for (uint32_t leaf = 0; leaf < POLICY_NR_EXTD; leaf++)
        turn_leaf(s, 0x80000000u + leaf, &t);
    print_message("# %s: %u bits, %u refused, %u may be otherwise\n", s->name, t.bits, t.refused,
                  t.free);
    assert_true(t.bits > 20000);
}

static struct subject subject;

static void an_intel_hvm_guest(void **state)
{
    (void)state;
    derive(&subject, "intel-cascadelake-sp", GUEST_HVM_HAP);
    turn_all(&subject);
}

static void an_intel_pv_guest(void **state)
{
    (void)state;
    derive(&subject, "intel-skylake-sp", GUEST_PV);
    turn_all(&subject);
}

static void an_amd_hvm_guest(void **state)
{
    (void)state;
    derive(&subject, "amd-granite-ridge", GUEST_HVM_HAP);
    turn_all(&subject);
}

static void all_of_granite_rapids(void **state)
{
    (void)state;
    whole_cpu(&subject, "intel-granite-rapids");
    turn_all(&subject);
}

static void all_of_zen_5(void **state)
{
    (void)state;
    whole_cpu(&subject, "amd-granite-ridge");
    turn_all(&subject);
}

/* ---- single rules, in both directions ---- */

static const struct rule_case {
    const char *name, *cpu;
    uint32_t leaf, subleaf;
    char reg;
    uint32_t host, guest;
    bool accepted;
    const char *text; /* of the first fault */
} rule_cases[] = {
    {"fewer fixed counters", "intel-granite-rapids", 0xa, POLICY_NONE, 'd', 0x8604, 0x8603, true,
     NULL},
    {"more fixed counters", "intel-granite-rapids", 0xa, POLICY_NONE, 'd', 0x8604, 0x8605, false,
     "leaf A, EDX[4:0]: the guest has 0x5, the host 0x4"},
    {"a fixed counter that is not there", "intel-granite-rapids", 0xa, POLICY_NONE, 'c', 0x7, 0xf,
     false, "leaf A, ECX: the guest has 0xf, the host 0x7"},
    {"AnyThread is gone, and it was told so", "intel-granite-rapids", 0xa, POLICY_NONE, 'd', 0x604,
     0x8604, true, NULL},
    {"AnyThread is gone, and nobody told it", "intel-granite-rapids", 0xa, POLICY_NONE, 'd', 0x8604,
     0x604, false, "leaf A, EDX[15]: the guest has 0, the host 0x1"},
    {"a TSC of another frequency", "intel-granite-rapids", 0x15, POLICY_NONE, 'b', 0xf0, 0xf1,
     false, "leaf 15, EBX: the guest has 0xf1, the host 0xf0"},
    {"no TSC frequency", "intel-granite-rapids", 0x15, POLICY_NONE, 'b', 0xf0, 0, true, NULL},
    {"tiles of another shape", "intel-granite-rapids", 0x1d, 1, 'a', 0x04002000, 0x04001000, false,
     "leaf 1D, subleaf 1, EAX: the guest has 0x4001000, the host 0x4002000"},
    {"AVX10 of a later version", "intel-granite-rapids", 0x24, 0, 'b', 0x70001, 0x70002, false,
     "leaf 24, subleaf 0, EBX[7:0]: the guest has 0x2, the host 0x1"},
    {"longer vectors", "intel-granite-rapids", 0x24, 0, 'b', 0x30001, 0x70001, false,
     "leaf 24, subleaf 0, EBX[31:8]: the guest has 0x700, the host 0x300"},
    {"shorter vectors", "intel-granite-rapids", 0x24, 0, 'b', 0x70001, 0x30001, true, NULL},
    {"fewer ids for nested guests", "amd-granite-ridge", 0x8000000a, POLICY_NONE, 'b', 0x8000, 0x10,
     true, NULL},
    {"more ids for nested guests", "amd-granite-ridge", 0x8000000a, POLICY_NONE, 'b', 0x10, 0x8000,
     false, "leaf 8000000A, EBX: the guest has 0x8000, the host 0x10"},
    {"a feature of SVM", "amd-granite-ridge", 0x8000000a, POLICY_NONE, 'd', 0x1, 0x3, false,
     "leaf 8000000A, EDX: the guest has 0x3, the host 0x1"},
    {"MONITOR, which is not given", "intel-granite-rapids", 5, POLICY_NONE, 'a', 0, 0x40, false,
     "leaf 5, EAX: the guest has 0x40, the host 0"},
    {"another brand", "intel-granite-rapids", 0x80000002, POLICY_NONE, 'a', 1, 2, true, NULL},
    {"other caches", "amd-granite-ridge", 0x80000005, POLICY_NONE, 'c', 1, 2, true, NULL},
    {"an extended family of its own", "amd-granite-ridge", 0x80000001, POLICY_NONE, 'a', 0xb40f40,
     0xb40f41, false, "leaf 80000001, EAX: the guest has 0xb40f41, the host 0xb40f40"},
};

static void rules_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
        const struct rule_case *k = &rule_cases[i];
        struct policy_fault fault;
        struct policy_report r = {&fault, 1, 0};
        struct cpu_policy guest = *test_cpu(k->cpu), host = guest;
        const struct policy_host here = {&host, NULL};
        char text[256] = "";
        int rc;

        *reg_at(policy_leaf(&host, k->leaf, k->subleaf), (unsigned int)(k->reg - 'a')) = k->host;
        *reg_at(policy_leaf(&guest, k->leaf, k->subleaf), (unsigned int)(k->reg - 'a')) = k->guest;
        rc = policy_check(&guest, &here, &r);
        if (!rc != k->accepted)
            fail_msg("%s: %s", k->name, rc ? "refused" : "accepted");
        if (rc) {
            assert_int_equal(r.count, 1);
            (void)xc_fault_text(&fault, text, sizeof(text));
            assert_string_equal(text, k->text);
        }
    }
}

/* Leaves that say something only with a feature. */
static void without_the_feature(void **state)
{
    struct policy_fault faults[8];
    struct policy_report r = {faults, 8, 0};
    struct cpu_policy guest = *test_cpu("amd-granite-ridge"), host = guest;
    const struct policy_host here = {&host, NULL};
    char text[256];

    (void)state;
    host.extd[0xa].b = 0x4000;
    guest.extd[0xa] = (struct cpuid_regs){.b = 0x10};
    guest.extd[1].c &= ~(1u << X86_FEATURE_SVM % 32);
    assert_int_not_equal(policy_check(&guest, &here, &r), 0);
    assert_int_equal(r.count, 1);
    (void)xc_fault_text(&faults[0], text, sizeof(text));
    assert_string_equal(text, "leaf 8000000A, EBX: the guest has 0x10, the host 0, which says "
                              "nothing without svm");
    guest.extd[0xa].b = 0;
    assert_int_equal(policy_check(&guest, &here, NULL), 0);
}

/* A level has in each field what each host can give. */
static void levels_take_the_lesser(void **state)
{
    struct cpu_policy a = *test_cpu("intel-granite-rapids"), b = a, level;
    const struct policy_host both[] = {{&a, &a}, {&b, &b}};

    (void)state;
    b.basic[0xa].d = 0x0602; /* two fixed counters, AnyThread still there */
    b.basic[0xa].c = 0x3;
    b.basic[0x15].b++;
    b.avx10[0].b = 0x30001;
    b.tile[1].b ^= 1u << 3;
    assert_int_equal(policy_level(both, 2, &level, NULL, NULL), 0);
    assert_int_equal(level.basic[0xa].d, 0x8602);
    assert_int_equal(level.basic[0xa].c, 0x3);
    assert_int_equal(level.basic[0x15].b, 0);
    assert_int_equal(level.avx10[0].b, 0x30001);
    /* Tiles that they do not share are no tiles. */
    assert_int_equal(level.tile[1].b, 0);
    assert_int_equal(level.feat[0].d >> X86_FEATURE_AMX_TILE % 32 & 1, 0);
    assert_int_equal(level.tmul[0].b, 0);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(policy_check(&level, &both[i], NULL), 0);
    }
    assert_int_equal(policy_verify(&level, NULL), 0);
}

/* Whatever hosts do not share of a leaf that a feature is used by, the level has no such feature,
 * and goes to both. */
static void no_feature_without_its_leaf(void **state)
{
    struct cpu_policy a = *test_cpu("intel-granite-rapids"), b = a, level;
    const struct policy_host both[] = {{&a, &a}, {&b, &b}};
    uint32_t *words[] = {&b.tile[0].a, &b.tile[1].a, &b.tile[1].b, &b.tile[1].c, &b.tmul[0].b};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        *words[i] ^= 1u << 3;
        assert_int_equal(policy_level(both, 2, &level, NULL, NULL), 0);
        assert_int_equal(level.feat[0].d >> X86_FEATURE_AMX_TILE % 32 & 1, 0);
        assert_int_equal(policy_check(&level, &both[0], NULL), 0);
        assert_int_equal(policy_check(&level, &both[1], NULL), 0);
        *words[i] ^= 1u << 3;
    }
    assert_int_equal(policy_level(both, 2, &level, NULL, NULL), 0);
    assert_int_equal(level.feat[0].d >> X86_FEATURE_AMX_TILE % 32 & 1, 1);
}

/* Warnings of a leaf that one of the hosts does not have are none in the level. */
static void no_warnings_of_what_is_not_there(void **state)
{
    struct cpu_policy a = *test_cpu("intel-granite-rapids"), b = a, level;
    const struct policy_host there[] = {{&a, &a}, {&b, &b}}, back[] = {{&b, &b}, {&a, &a}};

    (void)state;
    assert_int_not_equal(a.basic[0xa].d & 1u << 15, 0); /* AnyThread is gone */
    b.basic[0xa] = (struct cpuid_regs){0};
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(policy_level(i ? back : there, 2, &level, NULL, NULL), 0);
        assert_int_equal(level.basic[0xa].d, 0);
        assert_int_equal(policy_check(&level, &there[0], NULL), 0);
        assert_int_equal(policy_check(&level, &there[1], NULL), 0);
    }
}

/* A guest that is brought down to a level gives up what the level's hosts did not share, also where
 * its own is zero. */
static void what_a_level_leaves_out_is_left_out(void **state)
{
    struct cpu_policy a = *test_cpu("intel-granite-rapids"), b = a, level;
    const struct policy_host both[] = {{&a, &a}, {&b, &b}};

    (void)state;
    a.basic[2].a &= ~0xffu; /* as no processor has it: it is to be asked never */
    assert_int_equal(policy_level(both, 2, &level, NULL, NULL), 0);
    assert_int_equal(policy_apply_level(&a, &level, NULL), 0);
    assert_int_equal(policy_check(&a, &both[1], NULL), 0);
}

/* With TOPOEXT its leaves travel, and with its counters a guest may know of less. */
static void what_a_feature_brings_may_differ(void **state)
{
    struct cpu_policy guest = *test_cpu("amd-granite-ridge"), host = guest;
    const struct policy_host here = {&host, &host};

    (void)state;
    guest.extd[0x1d].a ^= 1u << 14;
    guest.extd[0x19].a ^= 1u << 16;
    assert_int_equal(policy_check(&guest, &here, NULL), 0);
    guest.extd[1].c &= ~(1u << 22);
    assert_int_equal(policy_check(&guest, &here, NULL), -EINVAL);
    guest = host = *test_cpu("intel-cascadelake-sp");
    assert_true(guest.basic[0xa].a);
    guest.basic[0xa].b |= 1;
    assert_int_equal(policy_check(&guest, &here, NULL), 0);
    host.basic[0xa] = guest.basic[0xa] = (struct cpuid_regs){0};
    guest.basic[0xa].b |= 1;
    assert_int_equal(policy_check(&guest, &here, NULL), -EINVAL);
    guest = host;
    guest.hv_limit = guest.hv2_limit = 0xff;
    assert_int_equal(policy_check(&guest, &here, NULL), 0);
    guest.hv2_limit = 0x100;
    assert_int_equal(policy_check(&guest, &here, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_feature_brings_may_differ),
        cmocka_unit_test(an_intel_hvm_guest),
        cmocka_unit_test(an_intel_pv_guest),
        cmocka_unit_test(an_amd_hvm_guest),
        cmocka_unit_test(all_of_granite_rapids),
        cmocka_unit_test(all_of_zen_5),
        cmocka_unit_test(rules_by_hand),
        cmocka_unit_test(no_feature_without_its_leaf),
        cmocka_unit_test(no_warnings_of_what_is_not_there),
        cmocka_unit_test(what_a_level_leaves_out_is_left_out),
        cmocka_unit_test(without_the_feature),
        cmocka_unit_test(levels_take_the_lesser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
