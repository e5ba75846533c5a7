/* SPDX-License-Identifier: MIT */
/* What a guest has used of its CPU: the comparison, and the records that it comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <errno.h>

#include <features-gen.h>

#include "cpus.h"
#include "usage.h"
#include "xc_vcpu_state.h"

#include <xen/hvm/save.h>

#define CASCADE "intel-cascadelake-sp"

#define X87     1u
#define SSE     2u
#define AVX     4u
#define MPX     0x18u
#define AVX512  0xe0u
#define PKRU    0x200u
#define OSXSAVE (1u << 18)

#define SPEC_CTRL 0x48u
#define TSC_AUX   0xc0000103u

/* One vCPU that is on, and has what a test gives it. */
static struct xc_vcpu_state vcpu(uint64_t cr4, uint64_t xcr0, uint64_t accum, uint64_t bv)
{
    return (struct xc_vcpu_state){.have_regs = true,
                                  .have_xsave = true,
                                  .cr4 = cr4,
                                  .xcr0 = xcr0,
                                  .xcr0_accum = accum,
                                  .xstate_bv = bv};
}

static struct usage found;

static void find(const struct cpu_policy *p, bool pv, const struct xc_vcpu_state *v, size_t n)
{
    const struct xc_domain_state s = {pv, n, (struct xc_vcpu_state *)(uintptr_t)v};

    usage_find(p, &s, &found);
}

/* "never accumulated XCR0[5]" of a feature; "-": there is no finding. */
static const char *said(unsigned int feature)
{
    const struct usage_finding *f = usage_of(&found, feature);
    static char text[128];

    if (!f)
        return "-";
    (void)snprintf(text, sizeof(text), "%s%s%s%s", usage_name(f->verdict), f->where[0] ? " " : "",
                   f->where, f->told ? "" : " (not told)");
    return text;
}

/* ---- state components ---- */

static void components(void **state)
{
    static const struct {
        uint64_t xcr0, accum, bv;
        const char *avx, *avx2, *avx512f, *avx512bw, *pku;
    } rows[] = {
        {0, 0, 0, "never accumulated XCR0[2]", "never accumulated XCR0[2]",
         "never accumulated XCR0[5]", "never accumulated XCR0[5]", "never accumulated XCR0[9]"},
        {X87 | SSE | AVX, X87 | SSE | AVX, X87 | SSE, "on XCR0[2]", "on XCR0[2]",
         "never accumulated XCR0[5]", "never accumulated XCR0[5]", "never accumulated XCR0[9]"},
        {X87 | SSE | AVX, X87 | SSE | AVX | AVX512, AVX, "in-use XSTATE_BV[2]",
         "shared XSTATE_BV[2]", "was-on accumulated XCR0[5]", "was-on accumulated XCR0[5]",
         "never accumulated XCR0[9]"},
        {X87 | SSE | AVX | AVX512 | PKRU, X87 | SSE | AVX | AVX512 | PKRU, 0x40 | PKRU,
         "on XCR0[2]", "on XCR0[2]", "in-use XSTATE_BV[6]", "shared XSTATE_BV[6]",
         "in-use XSTATE_BV[9]"},
    };
    const struct cpu_policy *p = test_cpu(CASCADE);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct xc_vcpu_state v = vcpu(0, rows[i].xcr0, rows[i].accum, rows[i].bv);

        find(p, false, &v, 1);
        assert_string_equal(said(X86_FEATURE_AVX), rows[i].avx);
        assert_string_equal(said(X86_FEATURE_AVX2), rows[i].avx2);
        assert_string_equal(said(X86_FEATURE_AVX512F), rows[i].avx512f);
        assert_string_equal(said(X86_FEATURE_AVX512BW), rows[i].avx512bw);
        assert_string_equal(said(X86_FEATURE_PKU), rows[i].pku);
        /* Silence is not no. */
        assert_string_equal(said(X86_FEATURE_BMI1), "untraced");
        assert_string_equal(said(X86_FEATURE_MOVBE), "untraced");
    }
}

/* Of several vCPUs the one that says most counts; one that says nothing is no "never". */
static void several_vcpus(void **state)
{
    const struct cpu_policy *p = test_cpu(CASCADE);
    struct xc_vcpu_state v[3] = {vcpu(OSXSAVE, 7, 7, 0), vcpu(OSXSAVE, 0xe7, 0xe7, 0x40),
                                 vcpu(OSXSAVE, 7, 7, 4)};
    char *line;

    (void)state;
    find(p, true, v, 3);
    assert_string_equal(said(X86_FEATURE_AVX), "in-use XSTATE_BV[2]");
    assert_string_equal(said(X86_FEATURE_AVX512F), "in-use XSTATE_BV[6]");
    assert_int_equal(found.vcpus, 3);
    assert_int_equal(found.unread, 0);
    line = usage_line(&found);
    assert_non_null(strstr(line, "on: avx avx512f; never on: "));
    free(line);

    v[1] = (struct xc_vcpu_state){.have_regs = false}; /* offline */
    find(p, true, v, 3);
    assert_string_equal(said(X86_FEATURE_AVX512F), "never accumulated XCR0[5]");
    assert_int_equal(found.unread, 1);

    v[0].have_xsave = v[2].have_xsave = false; /* nobody says */
    find(p, true, v, 3);
    assert_string_equal(said(X86_FEATURE_AVX512F), "untraced");
    assert_string_equal(said(X86_FEATURE_AVX), "untraced");
    line = usage_line(&found);
    assert_string_equal(line, "nothing that tells");
    free(line);

    find(p, true, NULL, 0);
    assert_string_equal(said(X86_FEATURE_AVX), "untraced");
}

/* ---- registers ---- */

static void control_registers(void **state)
{
    const struct cpu_policy *p = test_cpu(CASCADE);
    struct xc_vcpu_state v = vcpu(OSXSAVE | 1u << 20 | 1u << 5, 7, 7, 0);

    (void)state;
    v.efer = 1 | 1u << 8 | 1u << 10;
    v.have_apic = true;
    find(p, false, &v, 1);
    assert_string_equal(said(X86_FEATURE_XSAVE), "in-use CR4[18]");
    assert_string_equal(said(X86_FEATURE_SMEP), "in-use CR4[20]");
    assert_string_equal(said(X86_FEATURE_SMAP), "off CR4[21]");
    assert_string_equal(said(X86_FEATURE_PCID), "off CR4[17]");
    assert_string_equal(said(X86_FEATURE_PAE), "in-use CR4[5]");
    assert_string_equal(said(X86_FEATURE_SYSCALL), "in-use EFER[0]");
    assert_string_equal(said(X86_FEATURE_LM), "in-use EFER[8]");
    assert_string_equal(said(X86_FEATURE_NX), "off EFER[11]");
    assert_string_equal(said(X86_FEATURE_X2APIC), "off APIC_BASE[10]");
    assert_string_equal(said(X86_FEATURE_TSC), "untraced"); /* CR4.TSD takes it away */
    assert_string_equal(said(X86_FEATURE_XSAVEOPT), "untraced");

    v.cr4 = 0; /* no XSAVE, so none of its like */
    v.apic_base = 1u << 10;
    find(p, false, &v, 1);
    assert_string_equal(said(X86_FEATURE_XSAVEOPT), "off CR4[18]");
    assert_string_equal(said(X86_FEATURE_X2APIC), "in-use APIC_BASE[10]");

    /* What a PV guest sees of these is Xen's. */
    v.cr4 = OSXSAVE | 1u << 5 | 1u << 9 | 1u << 10;
    find(p, true, &v, 1);
    assert_string_equal(said(X86_FEATURE_PAE), "untraced");
    assert_string_equal(said(X86_FEATURE_FXSR), "untraced");
    assert_string_equal(said(X86_FEATURE_NX), "untraced");
    assert_string_equal(said(X86_FEATURE_X2APIC), "untraced");
    assert_string_equal(said(X86_FEATURE_XSAVE), "in-use CR4[18]");
}

static void msrs(void **state)
{
    const struct cpu_policy *p = test_cpu(CASCADE);
    struct xc_vcpu_state v = vcpu(0, 0, 0, 0);

    (void)state;
    find(p, false, &v, 1); /* none that is not 0: that tells nothing */
    assert_string_equal(said(X86_FEATURE_IBRSB), "untraced");
    assert_string_equal(said(X86_FEATURE_RDTSCP), "untraced");

    v.msrs[v.nr_msrs++] = (struct xc_msr_value){SPEC_CTRL, 4};
    v.msrs[v.nr_msrs++] = (struct xc_msr_value){TSC_AUX, 3};
    find(p, false, &v, 1);
    assert_string_equal(said(X86_FEATURE_SSBD), "in-use SPEC_CTRL[2]");
    assert_string_equal(said(X86_FEATURE_IBRSB), "untraced");
    assert_string_equal(said(X86_FEATURE_RDTSCP), "in-use TSC_AUX[0]");

    v.msrs[0].value = 2; /* STIBP, which IBRS brings as well */
    find(p, false, &v, 1);
    assert_string_equal(said(X86_FEATURE_STIBP), "shared SPEC_CTRL[1]");
    assert_string_equal(said(X86_FEATURE_IBRSB), "shared SPEC_CTRL[1]");
}

/* An image that was forced onto a poorer policy. */
static void beyond_the_policy(void **state)
{
    const struct cpu_policy *p = test_cpu("intel-sandybridge-ep");
    struct xc_vcpu_state v = vcpu(OSXSAVE | 1u << 21, 0xe7, 0xe7, 0x40);
    size_t untold = 0;

    (void)state;
    find(p, false, &v, 1);
    assert_string_equal(said(X86_FEATURE_AVX512F), "in-use XSTATE_BV[6] (not told)");
    assert_string_equal(said(X86_FEATURE_SMAP), "in-use CR4[21] (not told)");
    assert_string_equal(said(X86_FEATURE_SMEP), "-");
    assert_string_equal(said(X86_FEATURE_AVX), "on XCR0[2]");
    for (size_t i = 0; i < found.n; i++)
        untold += !found.findings[i].told;
    assert_int_equal(untold, 2);
}

/* Every CPU that we know, with whatever its registers may be: ordered, complete, and never a
 * "never" of what is on. */
static void any_state(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    uint64_t x = 12345;

    (void)state;
    for (unsigned int round = 0; round < 400; round++) {
        const struct cpu_policy *p = &cpus[round % n].policy;
        struct xc_vcpu_state v[2];
        struct featureset fs;

        for (size_t i = 0; i < sizeof(v); i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            ((uint8_t *)v)[i] = (uint8_t)(x >> 33);
        }
        for (unsigned int i = 0; i < 2; i++) {
            v[i].have_regs = x >> (20 + i) & 1;
            v[i].have_apic = x >> (22 + i) & 1;
            v[i].have_xsave = x >> (24 + i) & 1;
            v[i].nr_msrs %= XC_STATE_MAX_MSRS + 1;
        }
        find(p, round & 1, v, 2);
        policy_to_featureset(p, &fs);
        for (size_t i = 0; i < found.n; i++) {
            const struct usage_finding *f = &found.findings[i];

            assert_true(!i || f[-1].feature < f->feature);
            assert_int_equal(f->told, featureset_test(&fs, f->feature));
            assert_int_equal(!f->where[0], f->verdict == USAGE_UNTRACED);
            assert_true(f->told || f->verdict > USAGE_OFF);
        }
        for (unsigned int i = 0; i < 2; i++)
            if (v[i].have_xsave && v[i].xcr0_accum & AVX && usage_of(&found, X86_FEATURE_AVX))
                assert_int_not_equal(usage_of(&found, X86_FEATURE_AVX)->verdict, USAGE_NEVER);
    }
}

/* ---- records ---- */

struct context {
    uint8_t bytes[8192];
    size_t size;
};

static void put(struct context *c, uint16_t type, uint16_t instance, const void *body, uint32_t n)
{
    struct hvm_save_descriptor d = {.typecode = type, .instance = instance, .length = n};

    memcpy(c->bytes + c->size, &d, sizeof(d));
    if (n)
        memcpy(c->bytes + c->size + sizeof(d), body, n);
    c->size += sizeof(d) + n;
}

/* Two vCPUs, the first with AVX on. */
static void fill(struct context *c)
{
    struct hvm_hw_cpu cpu = {.cr4 = OSXSAVE, .msr_efer = 0x501, .msr_tsc_aux = 7};
    uint8_t area[offsetof(struct hvm_hw_cpu_xsave, save_area) + 832] = {0};
    struct hvm_hw_cpu_xsave head = {.xcr0 = 7, .xcr0_accum = 7};
    struct hvm_msr msrs = {.count = 1};
    struct hvm_one_msr msr = {.index = SPEC_CTRL, .val = 1};
    uint8_t record[offsetof(struct hvm_msr, msr) + sizeof(msr)];
    struct hvm_save_header header = {.magic = HVM_FILE_MAGIC};

    memset(c, 0, sizeof(*c));
    memcpy(area, &head, offsetof(struct hvm_hw_cpu_xsave, save_area));
    area[offsetof(struct hvm_hw_cpu_xsave, save_area) + 512] = 4;
    memcpy(record, &msrs, offsetof(struct hvm_msr, msr));
    memcpy(record + offsetof(struct hvm_msr, msr), &msr, sizeof(msr));
    put(c, HVM_SAVE_CODE(HEADER), 0, &header, sizeof(header));
    put(c, HVM_SAVE_CODE(CPU), 1, &cpu, sizeof(cpu));
    put(c, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof(cpu));
    put(c, CPU_XSAVE_CODE, 0, area, sizeof(area));
    put(c, CPU_MSR_CODE, 0, record, sizeof(record));
    put(c, HVM_SAVE_CODE(END), 0, NULL, 0);
}

static void hvm_context(void **state)
{
    struct xc_domain_state s = {.pv = false};
    xc_state_wrong why = NULL;
    struct context c;

    (void)state;
    fill(&c);
    assert_int_equal(xc_state_take_hvm(&s, c.bytes, c.size, &why), 0);
    assert_int_equal(s.nr_vcpus, 2);
    assert_true(s.vcpus[0].have_xsave && s.vcpus[0].xcr0_accum == 7 && s.vcpus[0].xstate_bv == 4);
    assert_true(s.vcpus[0].efer == 0x501 && s.vcpus[0].nr_msrs == 2);
    /* Xen writes no entry for a vCPU that never had anything on. */
    assert_true(s.vcpus[1].have_xsave && !s.vcpus[1].xcr0_accum);
    /* Of several contexts the last one counts. */
    assert_int_equal(xc_state_take_hvm(&s, c.bytes, c.size, &why), 0);
    assert_int_equal(s.vcpus[0].nr_msrs, 2);
    xc_domain_state_free(&s);

    /* Cut anywhere it is refused with a reason. */
    for (size_t size = 0; size < c.size; size++) {
        uint8_t *copy = malloc(size + 1); /* so that a byte too many is found */

        memcpy(copy, c.bytes, size);
        why = NULL;
        assert_int_equal(xc_state_take_hvm(&s, copy, size, &why), -1);
        assert_int_equal(errno, EILSEQ);
        assert_non_null(why);
        free(copy);
        xc_domain_state_free(&s);
    }
}

/* Any damage: taken or refused, and never a step beyond the end; what is taken can be compared. */
static void damaged_context(void **state)
{
    const struct cpu_policy *p = test_cpu(CASCADE);
    struct xc_domain_state s = {.pv = false};
    xc_state_wrong why;
    struct context c;

    (void)state;
    fill(&c);
    for (size_t at = 0; at < c.size; at++)
        for (unsigned int k = 0; k < 3; k++) {
            uint8_t *copy = malloc(c.size);

            memcpy(copy, c.bytes, c.size);
            copy[at] = k == 0 ? 0xff : (uint8_t)(copy[at] ^ (k == 1 ? 1 : 0x80));
            why = NULL;
            if (xc_state_take_hvm(&s, copy, c.size, &why))
                assert_non_null(why);
            else
                usage_find(p, &s, &found);
            free(copy);
            xc_domain_state_free(&s);
        }
}

static void refused(enum xc_state_record which, const void *body, size_t size, const char *text)
{
    struct xc_domain_state s = {.pv = true};
    xc_state_wrong why = NULL;

    assert_int_equal(xc_state_take_pv(&s, which, body, size, &why), -1);
    assert_int_equal(errno, EILSEQ);
    assert_string_equal(why, text);
    xc_domain_state_free(&s);
}

static void pv_records(void **state)
{
    struct {
        uint32_t vcpu, reserved;
        uint64_t xcr0, accum;
        uint8_t area[832];
    } x = {.vcpu = 1, .xcr0 = 7, .accum = 7};
    struct {
        uint32_t vcpu, reserved;
        vcpu_guest_context_t c;
    } basic = {.vcpu = 1};
    uint8_t many[8 + 16 * (XC_STATE_MAX_MSRS + 1)] = {0};
    struct xc_domain_state s = {.pv = true};
    xc_state_wrong why = NULL;

    (void)state;
    x.area[512] = 4;
    basic.c.ctrlreg[4] = OSXSAVE;
    assert_int_equal(xc_state_take_pv(&s, XC_STATE_PV_BASIC, &basic, sizeof(basic), &why), 0);
    assert_true(s.nr_vcpus == 2 && !s.vcpus[0].have_regs && s.vcpus[1].cr4 == OSXSAVE);
    assert_int_equal(xc_state_take_pv(&s, XC_STATE_PV_XSAVE, &x, sizeof(x), &why), 0);
    assert_true(s.vcpus[1].xcr0_accum == 7 && s.vcpus[1].xstate_bv == 4);
    xc_domain_state_free(&s);

    refused(XC_STATE_PV_BASIC, &basic, 7, "a record without a vCPU's number");
    refused(XC_STATE_PV_BASIC, &basic, sizeof(basic) - 8,
            "registers of a length that a 64-bit guest's do not have");
    refused(XC_STATE_PV_XSAVE, &x, 8 + 15, "XSAVE state that is too short");
    refused(XC_STATE_PV_XSAVE, &x, 8 + 16 + 575, "an XSAVE area without a header");
    refused(XC_STATE_PV_MSRS, many, 8 + 15, "half an MSR");
    refused(XC_STATE_PV_MSRS, many, sizeof(many), "more MSRs than any hypervisor sends");
    x.area[520] = 1;
    refused(XC_STATE_PV_XSAVE, &x, sizeof(x), "an XSAVE area in compacted form");
    x.area[520] = 0;
    x.area[512] = 0x40;
    refused(XC_STATE_PV_XSAVE, &x, sizeof(x), "XSTATE_BV has components that were never on");
    x.xcr0 = 0xe7;
    refused(XC_STATE_PV_XSAVE, &x, sizeof(x),
            "XCR0 has components that its accumulated value lacks");
    x.vcpu = UINT32_MAX;
    refused(XC_STATE_PV_XSAVE, &x, sizeof(x), "a vCPU with a number that no domain has");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components),        cmocka_unit_test(several_vcpus),
        cmocka_unit_test(control_registers), cmocka_unit_test(msrs),
        cmocka_unit_test(beyond_the_policy), cmocka_unit_test(any_state),
        cmocka_unit_test(hvm_context),       cmocka_unit_test(damaged_context),
        cmocka_unit_test(pv_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
