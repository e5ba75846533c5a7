/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: policies.  The input is two arrays of leaves; or, so that deep states are reached at
 * all, two real processors with changes.  What must hold of every pair is stated in check_*().
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "cpus.h"
#include "features-gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

#define NR_FAULTS 2048

static struct policy_fault faults[NR_FAULTS];
static size_t last_count; /* of what is in it */

struct input {
    const uint8_t *data;
    size_t size;
};

static void take(struct input *in, void *to, size_t n)
{
    size_t have = n < in->size ? n : in->size;

    memset(to, 0, n);
    memcpy(to, in->data, have);
    in->data += have;
    in->size -= have;
}

static unsigned int byte(struct input *in)
{
    uint8_t b;

    take(in, &b, 1);
    return b;
}

static void check_faults(const struct policy_report *r)
{
    for (size_t i = 0; i < r->count && i < r->max; i++)
        CHECK(policy_fault_name(r->faults[i].kind));
}

/* Before an abort: what was found.  Without it a finding is a puzzle. */
static bool tell(bool good, const char *what)
{
    if (!good)
        for (size_t i = 0; i < 8 && i < last_count; i++) {
            const struct policy_fault *f = &faults[i];
            char place[32] = "";

            (void)feature_location(f->feature, place, sizeof(place));
            (void)fprintf(stderr, "%s: %s leaf %x.%x msr %x feature %s needs %x: %llx %llx\n", what,
                          policy_fault_name(f->kind), f->leaf, f->subleaf, f->msr, place, f->needs,
                          (unsigned long long)f->guest, (unsigned long long)f->host);
        }
    return good;
}

/* Writing a policy and reading it again gives the same policy. */
static void check_round_trip(const struct cpu_policy *p)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES], again[POLICY_MAX_LEAVES];
    static xen_msr_entry_t msrs[POLICY_MAX_MSRS], msrs_again[POLICY_MAX_MSRS];
    static struct cpu_policy q;
    struct policy_report r = {faults, NR_FAULTS, 0};
    size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS;
    size_t nl2 = POLICY_MAX_LEAVES, nm2 = POLICY_MAX_MSRS;

    CHECK(policy_to_leaves(p, leaves, &nl, msrs, &nm) == 0);
    CHECK(policy_from_leaves(&q, leaves, nl, msrs, nm, &r) == 0);
    CHECK(r.count == 0);
    CHECK(policy_to_leaves(&q, again, &nl2, msrs_again, &nm2) == 0);
    CHECK(nl == nl2 && nm == nm2);
    CHECK(!memcmp(leaves, again, nl * sizeof(leaves[0])));
    CHECK(!memcmp(msrs, msrs_again, nm * sizeof(msrs[0])));
    if (nl) {
        size_t room = nl - 1, none = nm;

        CHECK(policy_to_leaves(p, leaves, &room, msrs, &none) != 0 && room == nl);
    }
}

/* Straight from the input: arrays as a stream could bring them. */
static void raw_policy(struct input *in, struct cpu_policy *p)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES + 2];
    static xen_msr_entry_t msrs[4];
    struct policy_report r = {faults, NR_FAULTS, 0};
    size_t nl = byte(in) % (POLICY_MAX_LEAVES + 3), nm = byte(in) % 5;
    int rc;

    take(in, leaves, nl * sizeof(leaves[0]));
    take(in, msrs, nm * sizeof(msrs[0]));
    rc = policy_from_leaves(p, leaves, nl, msrs, nm, &r);
    CHECK((rc == 0) == (r.count == 0));
    check_faults(&r);
}

/* The slots of leaves that live in their own arrays are not used, and nothing ever writes them. */
static void clear_unused(struct cpu_policy *p)
{
    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        if (policy_leaf_has_subleaves(i))
            p->basic[i] = (struct cpuid_regs){0};
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        if (policy_leaf_has_subleaves(0x80000000u + i))
            p->extd[i] = (struct cpuid_regs){0};
}

/* A real processor, with words changed at places that the input chooses. */
static void mutated_policy(struct input *in, struct cpu_policy *p)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    unsigned int changes;

    *p = cpus[byte(in) % n].policy;
    for (changes = byte(in) % 16; changes; changes--) {
        uint32_t at, value;

        take(in, &at, sizeof(at));
        take(in, &value, sizeof(value));
        if (byte(in) & 1) {
            struct featureset fs;

            policy_to_featureset(p, &fs);
            featureset_drop(&fs, at % FEATURESET_BITS);
            policy_from_featureset(p, &fs);
        } else {
            ((uint32_t *)p)[at % (sizeof(*p) / sizeof(uint32_t))] ^= 1u << (value % 32);
        }
    }
    clear_unused(p);
    switch (byte(in) % 4) {
    case 0:
        policy_trim(p);
        break;
    case 1:
        policy_close(p, NULL);
        break;
    case 2:
        policy_trim(p);
        policy_close(p, NULL);
        break;
    default:
        break;
    }
}

static bool verified(const struct cpu_policy *p)
{
    struct policy_report r = {faults, NR_FAULTS, 0};
    bool good = policy_verify(p, &r) == 0;

    CHECK(good == (r.count == 0));
    CHECK(r.count < NR_FAULTS);
    last_count = r.count;
    check_faults(&r);
    return good;
}

/* A hypervisor's limit has hazards of every CPU: what is not there cannot be told. */
static bool fits(const struct cpu_policy *guest, const struct cpu_policy *host)
{
    static struct cpu_policy max;
    struct policy_host h = {&max, host};
    struct featureset fs;
    struct policy_report r = {faults, NR_FAULTS, 0};
    bool good;

    max = *host;
    policy_to_featureset(host, &fs);
    for (size_t i = 0; i < FEATURESET_WORDS; i++)
        if (i != FEATURESET_Ab)
            fs.w[i] |= featureset_merge_mask(MERGE_HAZARD)->w[i];
    policy_from_featureset(&max, &fs);
    good = policy_check(guest, &h, &r) == 0;
    CHECK(good == (r.count == 0));
    CHECK(r.count < NR_FAULTS);
    last_count = r.count;
    check_faults(&r);
    return good;
}

/* Has it widths and limits that a guest can have? */
static bool widths(const struct cpu_policy *p)
{
    uint32_t phys = p->extd[8].a & 0xff, linear = p->extd[8].a >> 8 & 0xff;
    bool wide = policy_has(p, X86_FEATURE_PAE) || policy_has(p, X86_FEATURE_PSE36);

    return p->hv_limit <= 0xff && p->hv2_limit <= 0xff &&
           (policy_max_extd(p) < EXTD_FIRST + 8 ||
            (linear >= policy_linear_bits(p) && phys >= (wide ? 36 : 32)));
}

/* What AMD says twice, and nobody else: the vendor in leaf 80000000, 1.EAX and 1.EDX in leaf
 * 80000001.  Here as CPUs have it, and as a hypervisor makes it for a guest. */
static bool copies(const struct cpu_policy *p)
{
    const struct cpuid_regs *first = &p->basic[0], *second = &p->extd[0];
    uint32_t mirror = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];
    bool amd = vendor_is_amd_like(policy_vendor_id(p));
    uint32_t copy = p->extd[1].d & mirror;

    if (amd ? second->b != first->b || second->c != first->c || second->d != first->d
            : second->b || second->c || second->d)
        return false;
    if (amd && second->a > EXTD_FIRST && p->extd[1].a != p->basic[1].a)
        return false;
    return !copy || (amd && copy == (p->basic[1].d & mirror));
}

/* Would a hypervisor leave it as it is?  A CPU need not be so, a guest is. */
static bool closed(const struct cpu_policy *p)
{
    struct cpu_policy copy = *p;
    struct featureset dropped;

    policy_close(&copy, &dropped);
    return copies(p) && widths(p) && featureset_empty(&dropped) &&
           copy.xstate[0].a == p->xstate[0].a && copy.xstate[0].d == p->xstate[0].d;
}

static void check_alone(struct cpu_policy *p)
{
    char text[64];
    unsigned int a, b, c;

    policy_brand(p, text);
    CHECK(strlen(text) <= 48);
    policy_vendor(p, text);
    CHECK(strlen(text) <= 12);
    policy_signature(p, &a, &b, &c);
    check_round_trip(p);
    if (verified(p) && closed(p))
        CHECK(tell(fits(p, p), "fits(p, p)")); /* every CPU that can exist can run on itself */
}

/*
 * What hosts share: every one of them can run it; it can exist when they can; a second levelling
 * changes nothing.
 */
static void check_level(const struct cpu_policy *a, const struct cpu_policy *b)
{
    static struct cpu_policy level, again, guest;
    const struct policy_host both[2] = {{a, a}, {b, b}}, more[2] = {{&level, &level}, {b, b}};
    bool good = verified(a) && verified(b) && copies(a) && copies(b) && widths(a) && widths(b);
    struct featureset fl, fa, fb, dropped, lost;
    size_t culprit = 7;

    if (policy_level(both, 2, &level, &lost, &culprit)) {
        CHECK(culprit < 2);
        return;
    }
    check_round_trip(&level);
    policy_to_featureset(&level, &fl);
    policy_to_featureset(a, &fa);
    policy_to_featureset(b, &fb);
    for (size_t i = 0; i < FEATURESET_WORDS; i++) {
        uint32_t capability = featureset_merge_mask(MERGE_CAPABILITY)->w[i];

        CHECK(!(fl.w[i] & capability & ~(fa.w[i] & fb.w[i])));
        CHECK(!(lost.w[i] & (fl.w[i] | ~(fa.w[i] | fb.w[i]))));
    }
    if (!good)
        return;
    CHECK(tell(verified(&level), "verified(&level)"));
    CHECK(tell(fits(&level, a), "fits(&level, a)"));
    CHECK(tell(fits(&level, b), "fits(&level, b)"));
    CHECK(policy_level(more, 2, &again, NULL, NULL) == 0);
    CHECK(!memcmp(&again, &level, sizeof(level)));

    guest = *a;
    CHECK(policy_apply_level(&guest, &level, &dropped) == 0);
    CHECK(tell(verified(&guest), "verified(&guest)"));
    CHECK(tell(fits(&guest, b), "fits(&guest, b)"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cpu_policy a, b;
    struct input in = {data, size};
    unsigned int how = byte(&in);

    if (how & 1)
        raw_policy(&in, &a);
    else
        mutated_policy(&in, &a);
    if (how & 2)
        raw_policy(&in, &b);
    else
        mutated_policy(&in, &b);
    check_alone(&a);
    check_alone(&b);
    (void)fits(&a, &b);
    check_level(&a, &b);
    return 0;
}
