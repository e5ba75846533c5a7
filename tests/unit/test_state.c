/* SPDX-License-Identifier: MIT */
/* A vCPU's registers against its policy: each bit with its feature, and without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <cpuid-policy/state.h>
#include <features-gen.h>
#include <xen/errno.h>

#define CR4  0xffffffffu /* in place of an MSR's number */
#define EFER 0xc0000080u

static struct state_fault faults[64];
static struct state_report report;

static struct state_report *fresh(void)
{
    report = (struct state_report){faults, 64, 0};
    return &report;
}

/* Every finding, a line each. */
static const char *said(void)
{
    static char all[64 * STATE_FAULT_TEXT];
    char text[STATE_FAULT_TEXT];

    all[0] = '\0';
    for (size_t i = 0; i < report.count && i < 64; i++) {
        strcat(all, state_fault_text(&faults[i], text, sizeof(text)));
        strcat(all, "\n");
    }
    return all;
}

static int check(const struct cpu_policy *p, uint32_t reg, uint64_t value)
{
    return reg == CR4 ? state_check_cr4(p, false, value, fresh())
                      : state_check_msr(p, reg, value, fresh());
}

/* A policy with these features and nothing else, of AMD (LMSLE is AMD's). */
static struct cpu_policy with(const uint16_t *features, size_t n)
{
    struct cpu_policy p = {.basic[0] = {24, 0x68747541, 0x444d4163, 0x69746e65},
                           .extd[0] = {.a = 0x80000028}};
    struct featureset fs = {{0}};

    for (size_t i = 0; i < n; i++)
        featureset_set(&fs, features[i]);
    policy_from_featureset(&p, &fs);
    return p;
}

/* SDM vol. 3A, 2.5 and vol. 4, table 2-2; APM vol. 2, 3.1.3 and 3.1.7.  Each of the features alone
 * brings the bits. */
static const struct {
    uint32_t reg;
    uint64_t bits;
    const char *text; /* without */
    uint16_t features[4];
} rules[] = {
    {CR4, 1u << 0, "CR4: vme", {X86_FEATURE_VME}},
    {CR4, 1u << 1, "CR4: vme", {X86_FEATURE_VME}},
    {CR4, 1u << 2, "CR4: tsc", {X86_FEATURE_TSC}},
    {CR4, 1u << 3, "CR4: de", {X86_FEATURE_DE}},
    {CR4, 1u << 4, "CR4: pse", {X86_FEATURE_PSE}},
    {CR4, 1u << 5, "CR4: pae", {X86_FEATURE_PAE}},
    {CR4, 1u << 6, "CR4: mce", {X86_FEATURE_MCE, X86_FEATURE_MCA}},
    {CR4, 1u << 7, "CR4: pge", {X86_FEATURE_PGE}},
    {CR4, 1u << 9, "CR4: fxsr", {X86_FEATURE_FXSR}},
    {CR4, 1u << 10, "CR4: sse", {X86_FEATURE_SSE}},
    {CR4, 1u << 11, "CR4: umip", {X86_FEATURE_UMIP}},
    {CR4, 1u << 12, "CR4: la57", {X86_FEATURE_LA57}},
    {CR4, 1u << 13, "CR4: vmx", {X86_FEATURE_VMX}},
    {CR4, 1u << 14, "CR4: smx", {X86_FEATURE_SMX}},
    {CR4, 1u << 16, "CR4: fsgsbase", {X86_FEATURE_FSGSBASE}},
    {CR4, 1u << 17, "CR4: pcid", {X86_FEATURE_PCID}},
    {CR4, 1u << 18, "CR4: xsave", {X86_FEATURE_XSAVE}},
    {CR4, 1u << 19, "CR4: keylocker", {X86_FEATURE_KEYLOCKER}},
    {CR4, 1u << 20, "CR4: smep", {X86_FEATURE_SMEP}},
    {CR4, 1u << 21, "CR4: smap", {X86_FEATURE_SMAP}},
    {CR4, 1u << 22, "CR4: pku", {X86_FEATURE_PKU}},
    {CR4, 1u << 23, "CR4: cet-ss", {X86_FEATURE_CET_SS, X86_FEATURE_CET_IBT}},
    {CR4, 1u << 24, "CR4: pks", {X86_FEATURE_PKS}},
    {CR4, 1u << 25, "CR4: uintr", {X86_FEATURE_UINTR}},
    {CR4, 1u << 27, "CR4: lass", {X86_FEATURE_LASS}},
    {CR4, 1u << 28, "CR4: lam", {X86_FEATURE_LAM}},
    {CR4, 1ull << 32, "CR4: fred", {X86_FEATURE_FRED}},
    {EFER, 1u << 0, "EFER: syscall", {X86_FEATURE_SYSCALL, X86_FEATURE_LM}},
    {EFER, 1u << 8, "EFER: lm", {X86_FEATURE_LM}},
    {EFER, 5u << 8, "EFER: lm", {X86_FEATURE_LM}},
    {EFER, 1u << 11, "EFER: nx", {X86_FEATURE_NX}},
    {EFER, 1u << 12, "EFER: svm", {X86_FEATURE_SVM}},
    {EFER, 1u << 13, "EFER: lm", {X86_FEATURE_LM}},
    {EFER, 1u << 14, "EFER: ffxsr", {X86_FEATURE_FFXSR}},
    {EFER, 1u << 15, "EFER: tce", {X86_FEATURE_TCE}},
    {EFER, 1u << 17, "EFER: mcommit", {X86_FEATURE_MCOMMIT}},
    {EFER, 1u << 18, "EFER: int-wbinvd", {X86_FEATURE_INT_WBINVD}},
    {EFER, 1u << 20, "EFER: upper-addr-ignore", {X86_FEATURE_UPPER_ADDR_IGNORE}},
    {EFER, 1u << 21, "EFER: auto-ibrs", {X86_FEATURE_AUTO_IBRS}},
    {0x1b, 0xfee00c00, "APIC_BASE: x2apic", {X86_FEATURE_X2APIC}},
    {0x48, 1, "SPEC_CTRL: ibrsb", {X86_FEATURE_IBRSB, X86_FEATURE_IBRS}},
    {0x48,
     2,
     "SPEC_CTRL: stibp",
     {X86_FEATURE_STIBP, X86_FEATURE_AMD_STIBP, X86_FEATURE_IBRSB, X86_FEATURE_IBRS}},
    {0x48, 4, "SPEC_CTRL: ssbd", {X86_FEATURE_SSBD, X86_FEATURE_AMD_SSBD}},
    {0x48, 0x18, "SPEC_CTRL: ipred-ctrl", {X86_FEATURE_IPRED_CTRL}},
    {0x48, 0x60, "SPEC_CTRL: rrsba-ctrl", {X86_FEATURE_RRSBA_CTRL}},
    {0x48, 0x80, "SPEC_CTRL: intel-psfd", {X86_FEATURE_INTEL_PSFD, X86_FEATURE_PSFD}},
    {0x48, 0x100, "SPEC_CTRL: ddpd-u", {X86_FEATURE_DDPD_U}},
    {0x48, 0x400, "SPEC_CTRL: bhi-ctrl", {X86_FEATURE_BHI_CTRL}},
    {0xc001011f, 4, "VIRT_SPEC_CTRL: virt-ssbd", {X86_FEATURE_VIRT_SSBD}},
    {0x122, 3, "TSX_CTRL: tsx-ctrl", {X86_FEATURE_TSX_CTRL}},
    {0x6e1, 0xffffffff, "PKRS: pks", {X86_FEATURE_PKS}},
    {0xd90, 0x7fff00001003, "BNDCFGS: mpx", {X86_FEATURE_MPX}},
    {0xc0000103, 0xffffffff, "TSC_AUX: rdtscp", {X86_FEATURE_RDTSCP, X86_FEATURE_RDPID}},
    {0xc0011019, 0xffffffff, "DR1_ADDR_MASK: dbext", {X86_FEATURE_DBEXT}},
    {0xc001101a, 0xfff, "DR2_ADDR_MASK: dbext", {X86_FEATURE_DBEXT}},
    {0xc001101b, 1, "DR3_ADDR_MASK: dbext", {X86_FEATURE_DBEXT}},
    {0xc0011027, 1u << 31, "DR0_ADDR_MASK: dbext", {X86_FEATURE_DBEXT}},
};
#define NR_RULES (sizeof(rules) / sizeof(rules[0]))

static void each_bit_with_its_feature(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_RULES; i++) {
        const struct cpu_policy bare = with(NULL, 0);
        const size_t length = strlen(rules[i].text);

        for (size_t k = 0; k < 4 && (!k || rules[i].features[k]); k++) {
            struct cpu_policy p = with(&rules[i].features[k], 1);

            if (check(&p, rules[i].reg, rules[i].bits))
                fail_msg("%s, and feature %u is there: %s", rules[i].text, rules[i].features[k],
                         said());
        }
        assert_int_not_equal(check(&bare, rules[i].reg, rules[i].bits), 0);
        if (strncmp(said(), rules[i].text, length) != 0 ||
            strcmp(said() + length, " is not in its CPU policy\n") != 0)
            fail_msg("%s: %s", rules[i].text, said());
        assert_true(state_is_of_another_cpu(&faults[0]));
    }
}

/* A bit that is in no rule is reserved, though the policy has everything. */
static void all_others_are_reserved(void **state)
{
    static const uint64_t always[][2] = {{CR4, 1u << 8}, {0x1b, 0x000ffffffffff900}};
    struct cpu_policy p = with(NULL, 0);
    struct featureset all = *featureset_known();

    (void)state;
    featureset_clear(&all, X86_FEATURE_NO_LMSL);
    policy_from_featureset(&p, &all);
    p.extd[8].a = 52;
    for (size_t i = 0; i < NR_RULES; i++) {
        uint64_t known = 0;

        for (size_t k = 0; k < NR_RULES; k++)
            known |= rules[k].reg == rules[i].reg ? rules[k].bits : 0;
        for (size_t k = 0; k < 2; k++)
            known |= always[k][0] == rules[i].reg ? always[k][1] : 0;
        if (rules[i].reg >= 0xc0011019 && rules[i].reg <= 0xc0011027)
            known = UINT32_MAX;
        if (rules[i].reg == 0xd90)
            known |= ~0xfffull;
        for (unsigned int bit = 0; bit < 64; bit++) {
            int rc = check(&p, rules[i].reg, 1ull << bit);
            bool alone =
                !(rules[i].reg == EFER && bit == 10) && !(rules[i].reg == 0x1b && bit == 10);
            char text[32];

            if (!alone) /* LMA without LME, x2APIC without APIC */
                continue;
            (void)snprintf(text, sizeof(text), ": bit %u is reserved\n", bit);
            if (rc ? known >> bit & 1 || !strstr(said(), text) : !(known >> bit & 1))
                fail_msg("%s, bit %u: %d %s", rules[i].text, bit, rc, said());
            if (rc)
                assert_false(state_is_of_another_cpu(&faults[0]));
        }
    }
}

static void what_cannot_be_together(void **state)
{
    static const uint16_t lm[] = {X86_FEATURE_LM, X86_FEATURE_X2APIC};
    struct cpu_policy p = with(lm, 2);

    (void)state;
    assert_int_equal(check(&p, EFER, 0x400), -XEN_EINVAL);
    assert_string_equal(said(), "EFER: 0x400 cannot be\n");
    assert_int_equal(check(&p, 0x1b, 0xfee00400), -XEN_EINVAL);
    assert_string_equal(said(), "APIC_BASE: 0xfee00400 cannot be\n");
    assert_int_equal(state_check_cr0(0x80050033, NULL), 0);
    assert_int_equal(state_check_cr0(0x80000000, fresh()), -XEN_EINVAL);
    assert_string_equal(said(), "CR0: 0x80000000 cannot be\n");
    assert_int_equal(state_check_cr0(1ull << 29, fresh()), -XEN_EINVAL);
    assert_int_equal(state_check_cr0(1ull << 32, fresh()), -XEN_EINVAL);
    assert_string_equal(said(), "CR0: bit 32 is reserved\n");
}

/* What stands on more than a feature bit. */
static void other_rules(void **state)
{
    static const uint16_t f[] = {X86_FEATURE_LM, X86_FEATURE_NO_LMSL, X86_FEATURE_XSAVES,
                                 X86_FEATURE_XFD};
    struct cpu_policy p = with(f, 2), q;

    (void)state;
    assert_int_equal(check(&p, EFER, 1u << 13), -XEN_EINVAL);
    assert_string_equal(said(), "EFER: bit 13 is reserved\n");
    p = with(f, 1);
    p.basic[0] = (struct cpuid_regs){24, 0x756e6547, 0x6c65746e, 0x49656e69};
    assert_int_equal(check(&p, EFER, 1u << 13), -XEN_EINVAL);

    assert_int_equal(check(&p, 0x140, 1), -XEN_EINVAL);
    assert_string_equal(said(), "MISC_FEATURES_ENABLES: cpuid-faulting is not in its CPU policy\n");
    p.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(check(&p, 0x140, 1), 0);
    assert_int_equal(check(&p, 0x140, 2), -XEN_EINVAL);

    p.extd[8].a = 39; /* bits of a physical address */
    assert_int_equal(check(&p, 0x1b, 0x7ffffff900), 0);
    assert_int_equal(check(&p, 0x1b, 0x8000000900), -XEN_EINVAL);
    assert_string_equal(said(), "APIC_BASE: bit 39 is reserved\n");
    p.extd[8].a = 0;
    assert_int_equal(check(&p, 0x1b, 1ull << 36), -XEN_EINVAL);

    p = with(f + 2, 2);
    q = with(f + 2, 0);
    p.xstate[1].c = q.xstate[1].c = 1u << 11;
    assert_int_equal(check(&p, 0xda0, 1u << 11), 0);
    assert_int_equal(check(&q, 0xda0, 3u << 11), -XEN_EINVAL);
    assert_string_equal(said(), "XSS: xsaves is not in its CPU policy\n");
    assert_int_equal(check(&p, 0xda0, 3u << 11), -XEN_EINVAL);
    assert_string_equal(said(), "XSS: component 12 is not in its CPU policy\n");
    p.xstate[0].a = 3u << 17 | 3;
    assert_int_equal(check(&p, 0x1c4, 1u << 18), 0);
    assert_int_equal(check(&p, 0x1c5, 1u << 18 | 1u << 19), -XEN_EINVAL);
    assert_string_equal(said(), "XFD_ERR: component 19 (apx-f) is not in its CPU policy\n");
}

/* What an MSR has that nobody knows, or that is what it would be anyhow. */
static void msrs_that_pass(void **state)
{
    struct cpu_policy bare = with(NULL, 0);

    (void)state;
    for (uint32_t msr = 0; msr < 0x2000; msr++)
        assert_int_equal(check(&bare, msr, 0), 0);
    assert_int_equal(check(&bare, 0x10, UINT64_MAX), 0); /* TSC */
    assert_int_equal(state_check_msr(&bare, UINT32_MAX, UINT64_MAX, fresh()), 0);
    assert_int_equal(check(&bare, 0xc0000082, UINT64_MAX), 0);
}

/* Xen shows a PV guest four bits of its own, whatever the policy says. */
static void pv_cr4(void **state)
{
    struct cpu_policy bare = with(NULL, 0);

    (void)state;
    assert_int_equal(state_check_cr4(&bare, true, 0x660, NULL), 0);
    assert_int_equal(state_check_cr4(&bare, false, 0x660, NULL), -XEN_EINVAL);
    assert_int_equal(state_check_cr4(&bare, true, 0x10660, fresh()), -XEN_EINVAL);
    assert_string_equal(said(), "CR4: fsgsbase is not in its CPU policy\n");
    /* All are named; those without room are counted. */
    assert_int_equal(state_check_cr4(&bare, true, 0x350660, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 4);
    report = (struct state_report){faults, 1, 0};
    assert_int_equal(state_check_cr4(&bare, true, 0x350660, &report), -XEN_EINVAL);
    assert_int_equal(report.count, 4);
}

/* ---- XSAVE ---- */

/* x87, SSE, AVX, AVX-512 and PKRU, as Skylake has them; no MPX. */
static struct cpu_policy with_states(void)
{
    static const uint16_t f[] = {X86_FEATURE_XSAVE, X86_FEATURE_AVX, X86_FEATURE_AVX512F,
                                 X86_FEATURE_PKU};
    struct cpu_policy p = with(f, 4);

    p.xstate[0].a = 0x2e7;
    p.xstate[2] = (struct cpuid_regs){.a = 256, .b = 576};
    p.xstate[5] = (struct cpuid_regs){.a = 64, .b = 1088};
    p.xstate[6] = (struct cpuid_regs){.a = 512, .b = 1152};
    p.xstate[7] = (struct cpuid_regs){.a = 1024, .b = 1664};
    p.xstate[9] = (struct cpuid_regs){.a = 8, .b = 2688};
    return p;
}

static uint8_t area[4096];

static struct state_xsave xsave(uint64_t xcr0, uint64_t accum, uint64_t bv, size_t size)
{
    memset(area, 0, sizeof(area));
    memcpy(area + 512, &bv, sizeof(bv));
    return (struct state_xsave){xcr0, accum, area, size, false};
}

static const struct {
    uint64_t xcr0, accum, bv;
    size_t size;
    const char *text; /* "": nothing is wrong */
} areas[] = {
    {3, 3, 3, 576, ""},
    {1, 3, 0, 576, ""},
    {7, 7, 4, 832, ""},
    {3, 7, 4, 832, ""}, /* AVX was on once */
    {0x2e7, 0x2e7, 0x2e7, 2696, ""},
    {0x207, 0x207, 0x205, 2696, ""},
    {7, 7, 7, 3000, ""}, /* longer, of zeros: old writers did that */
    {7, 7, 7, 831, "XSAVE area: 831 bytes; its components need 832\n"},
    {7, 7, 7, 575, "XSAVE area: 575 bytes; its components need 832\n"},
    {3, 3, 3, 0, "XSAVE area: 0 bytes; its components need 576\n"},
    {0x1f, 0x1f, 7, 832,
     "XCR0: component 3 (mpx) is not in its CPU policy\n"
     "XCR0: component 4 (mpx) is not in its CPU policy\n"
     "accumulated XCR0: component 3 (mpx) is not in its CPU policy\n"
     "accumulated XCR0: component 4 (mpx) is not in its CPU policy\n"},
    {3, 1ull << 62 | 3, 3, 576, "accumulated XCR0: component 62 (lwp) is not in its CPU policy\n"},
    /* How long it would have to be nobody knows then. */
    {7, 1ull << 62 | 7, 3, 576, "accumulated XCR0: component 62 (lwp) is not in its CPU policy\n"},
    {3u << 17 | 3, 3, 3, 576,
     "XCR0: component 17 (amx-tile) is not in its CPU policy\n"
     "XCR0: component 18 (amx-tile) is not in its CPU policy\n"},
    {3, 0x103, 3, 576, "accumulated XCR0: component 8 is not in its CPU policy\n"},
    {3, 3, 1ull << 17 | 3, 576, "XSTATE_BV: component 17 (amx-tile) is not in its CPU policy\n"},
    {3, 3, 7, 576, "XSTATE_BV: 0x7 cannot be\n"}, /* never on */
    {7, 3, 3, 576, "accumulated XCR0: 0x3 cannot be\n"},
    {2, 3, 3, 576, "XCR0: 0x2 cannot be\n"},         /* x87 is always there */
    {5, 7, 3, 832, "XCR0: 0x5 cannot be\n"},         /* AVX without SSE */
    {0x27, 0xe7, 3, 2688, "XCR0: 0x27 cannot be\n"}, /* AVX-512 by thirds */
    {0xe3, 0xe7, 3, 2688, "XCR0: 0xe3 cannot be\n"}, /* without AVX */
    {5, 3, 3, 576,
     "XCR0: 0x5 cannot be\n"
     "accumulated XCR0: 0x3 cannot be\n"},
    {4, 8, 0, 576,
     "XCR0: 0x4 cannot be\n"
     "accumulated XCR0: component 3 (mpx) is not in its CPU policy\n"
     "accumulated XCR0: 0x8 cannot be\n"},
    {3, 0x43, 3, 1664, "accumulated XCR0: 0x43 cannot be\n"},
};

static void areas_of_xsave(void **state)
{
    const struct cpu_policy p = with_states();

    (void)state;
    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
        struct state_xsave x = xsave(areas[i].xcr0, areas[i].accum, areas[i].bv, areas[i].size);
        int rc = state_check_xsave(&p, &x, fresh());

        assert_int_equal(rc, areas[i].text[0] ? -XEN_EINVAL : 0);
        if (strcmp(said(), areas[i].text) != 0)
            fail_msg("%zu: %s", i, said());
    }
}

static void headers_of_xsave(void **state)
{
    const struct cpu_policy p = with_states();
    struct state_xsave x = xsave(7, 7, 7, 900);

    (void)state;
    assert_int_equal(state_check_xsave(&p, &x, NULL), 0);
    x.exact = true;
    assert_int_equal(state_check_xsave(&p, &x, NULL), -XEN_EINVAL);
    x = xsave(7, 7, 7, 900);
    area[899] = 1;
    assert_int_equal(state_check_xsave(&p, &x, NULL), -XEN_EINVAL);
    x.size = 899;
    assert_int_equal(state_check_xsave(&p, &x, NULL), 0);
    for (unsigned int at = 520; at < 576; at++) {
        area[at] = 0x80;
        assert_int_equal(state_check_xsave(&p, &x, fresh()), -XEN_EINVAL);
        assert_non_null(strstr(said(), at < 528 ? "XCOMP_BV: 0x80" : "XSAVE header's reserved"));
        area[at] = 0;
    }
    x = xsave(7, 7, 7, 575); /* what stands behind its end is not looked at */
    area[575] = area[520] = 1;
    assert_int_equal(state_check_xsave(&p, &x, fresh()), -XEN_EINVAL);
    assert_string_equal(said(), "XSAVE area: 575 bytes; its components need 832\n");
    x = xsave(7, 7, 7, 900);
    memmove(area + 1, area, 900);
    x.area = area + 1; /* it need not be aligned */
    assert_int_equal(state_check_xsave(&p, &x, NULL), 0);
}

/* Without XSAVE there is x87 and SSE state all the same (PV vCPUs are given XCR0 of 3). */
static void without_xsave(void **state)
{
    const struct cpu_policy bare = with(NULL, 0);
    struct state_xsave x = xsave(3, 3, 3, 576);

    (void)state;
    assert_int_equal(state_check_xsave(&bare, &x, NULL), 0);
    assert_int_equal(state_check_xcr0(&bare, 3, NULL), 0);
    assert_int_equal(state_check_xcr0(&bare, 7, NULL), -XEN_EINVAL);
    assert_int_equal(state_components(&bare), 3);
    assert_int_equal(state_xsave_size(&bare, 0), 576);
}

/* Closing makes what can be, and changes nothing that can. */
static void closed_components(void **state)
{
    struct cpu_policy p = with_states();

    (void)state;
    p.xstate[0].a = UINT32_MAX;
    for (uint64_t bits = 0; bits < 1u << 10; bits++) {
        uint64_t closed = state_close_components(bits);

        assert_int_equal(closed & bits, bits);
        assert_int_equal(state_close_components(closed), closed);
        assert_int_equal(state_check_xcr0(&p, closed, NULL), 0);
        assert_int_equal(state_check_xcr0(&p, bits, NULL), closed == bits ? 0 : -XEN_EINVAL);
    }
    assert_int_equal(state_close_components(1ull << 17), 3ull << 17 | 1);
}

static void text_is_cut(void **state)
{
    const struct state_fault f = {STATE_COMPONENT, "accumulated XCR0", "avx512f", 5, 0, 0};
    const struct state_fault size = {STATE_SIZE, "XSAVE area", NULL, 0, UINT64_MAX, UINT64_MAX};
    char buf[STATE_FAULT_TEXT];

    (void)state;
    for (size_t n = 1; n <= sizeof(buf); n++) {
        memset(buf, 'x', sizeof(buf));
        assert_ptr_equal(state_fault_text(&f, buf, n), buf);
        assert_true(strlen(buf) < n);
    }
    assert_string_equal(buf, "accumulated XCR0: component 5 (avx512f) is not in its CPU policy");
    (void)state_fault_text(&size, buf, sizeof(buf));
    assert_string_equal(
        buf, "XSAVE area: 18446744073709551615 bytes; its components need 18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bit_with_its_feature),
        cmocka_unit_test(all_others_are_reserved),
        cmocka_unit_test(what_cannot_be_together),
        cmocka_unit_test(other_rules),
        cmocka_unit_test(msrs_that_pass),
        cmocka_unit_test(pv_cr4),
        cmocka_unit_test(areas_of_xsave),
        cmocka_unit_test(headers_of_xsave),
        cmocka_unit_test(without_xsave),
        cmocka_unit_test(closed_components),
        cmocka_unit_test(text_is_cut),
    };

    return cmocka_run_group_tests_name("registers against the policy", tests, NULL, NULL);
}
