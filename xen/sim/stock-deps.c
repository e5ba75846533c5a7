/* SPDX-License-Identifier: MIT */
/*
 * Which feature falls with which, in stock Xen's own opinion: 4.17's table, and what newer ones
 * have beyond it (xen/tools/gen-cpuid.py there).  It is not ours (features.def), which has what the
 * manuals say; a level has to stand by both.
 */
#include <sim/stock.h>

#include "features-gen.h"

#define F(name) X86_FEATURE_##name

/* Without `feature` there is none of `falls` (0 ends the list: FPU stands on nothing). */
static const struct dependency {
    uint16_t feature;
    uint8_t since; /* Xen 4.`since` */
    uint16_t falls[13];
} table[] = {
    {F(FPU), 17, {F(MMX), F(RSTR_FP_ERR_PTRS)}},
    {F(PSE), 17, {F(PSE36)}},
    {F(PAE), 17, {F(LM), F(NX)}},
    {F(TSC), 17, {F(TSC_DEADLINE), F(RDTSCP), F(TSC_ADJUST), F(ITSC)}},
    {F(APIC), 17, {F(X2APIC), F(TSC_DEADLINE), F(EXTAPIC)}},
    {F(CLFLUSH), 21, {F(CLZERO)}},
    {F(MMX), 17, {F(MMXEXT), F(3DNOW)}},
    {F(FXSR), 17, {F(FFXSR), F(SSE)}},
    {F(SSE), 17, {F(SSE2), F(MISALIGNSSE)}},
    {F(SSE2), 17, {F(SSE3), F(LM), F(AESNI), F(PCLMULQDQ), F(SHA), F(GFNI)}},
    {F(SSE3), 17, {F(SSSE3), F(SSE4A)}},
    {F(SSSE3), 17, {F(SSE4_1)}},
    {F(SSE4_1), 17, {F(SSE4_2)}},
    {F(PCLMULQDQ), 17, {F(VPCLMULQDQ)}},
    {F(AESNI), 17, {F(VAES)}},
    {F(XSAVE), 17, {F(XSAVEOPT), F(XSAVEC), F(XGETBV1), F(XSAVES), F(AVX), F(MPX), F(PKU), F(LWP)}},
    {F(XSAVE), 20, {F(AMX_TILE)}},
    {F(AVX), 17, {F(FMA), F(FMA4), F(F16C), F(AVX2), F(XOP)}},
    {F(AVX), 18, {F(AVX_NE_CONVERT)}},
    {F(AVX), 19, {F(SM3)}},
    {F(AVX2), 17, {F(AVX512F), F(VAES), F(VPCLMULQDQ), F(AVX_VNNI)}},
    {F(AVX2), 18, {F(AVX_IFMA), F(AVX_VNNI_INT8)}},
    {F(AVX2), 19, {F(AVX_VNNI_INT16), F(SHA512), F(SM4)}},
    {F(AVX512F),
     17,
     {F(AVX512DQ), F(AVX512_IFMA), F(AVX512PF), F(AVX512ER), F(AVX512CD), F(AVX512BW), F(AVX512VL),
      F(AVX512_4VNNIW), F(AVX512_4FMAPS), F(AVX512_VNNI), F(AVX512_VPOPCNTDQ),
      F(AVX512_VP2INTERSECT)}},
    {F(AVX512BW),
     17,
     {F(AVX512_VBMI), F(AVX512_VBMI2), F(AVX512_BITALG), F(AVX512_BF16), F(AVX512_FP16)}},
    {F(AVX512BW), 22, {F(AVX512_BMM)}},
    {F(AMX_TILE), 20, {F(AMX_BF16), F(AMX_INT8), F(AMX_FP16), F(AMX_COMPLEX)}},
    {F(NX), 17, {F(SMAP)}},
    {F(LM), 17, {F(CX16), F(PCID), F(LAHF_LM), F(PAGE1GB), F(PKU), F(NO_LMSL)}},
    {F(LM), 20, {F(AMX_TILE), F(CMPCCXADD)}},
    {F(LM), 22, {F(LKGS)}},
    {F(3DNOW), 17, {F(3DNOWEXT)}},
    {F(RTM), 17, {F(TSXLDTRK)}},
    {F(IBRSB),
     17,
     {F(STIBP), F(SSBD), F(INTEL_PSFD), F(EIBRS), F(IPRED_CTRL), F(RRSBA_CTRL), F(BHI_CTRL)}},
    {F(IBRS),
     17,
     {F(AMD_STIBP), F(AMD_SSBD), F(PSFD), F(IBRS_ALWAYS), F(IBRS_FAST), F(IBRS_SAME_MODE)}},
    {F(IBRS), 18, {F(AUTO_IBRS)}},
    {F(AMD_STIBP), 17, {F(STIBP_ALWAYS)}},
    {F(PSFD), 19, {F(EPSF)}},
    {F(IBPB), 17, {F(IBPB_RET), F(SBPB), F(IBPB_BRTYPE)}},
    {F(EIBRS), 17, {F(RRSBA)}},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

/* Falls anything with this row's feature? */
static bool apply_row(const struct dependency *d, struct featureset *fs)
{
    bool fell = false;

    for (unsigned int i = 0; i < sizeof(d->falls) / sizeof(d->falls[0]) && d->falls[i]; i++) {
        fell |= featureset_test(fs, d->falls[i]);
        featureset_clear(fs, d->falls[i]);
    }
    return fell;
}

void stock_close(struct featureset *fs, unsigned int minor)
{
    bool again = true;

    while (again) { /* every round but the last clears a bit */
        again = false;
        for (unsigned int i = 0; i < ROWS; i++)
            if (table[i].since <= minor && !featureset_test(fs, table[i].feature))
                again |= apply_row(&table[i], fs);
        /* The register as a whole. */
        if (!featureset_test(fs, X86_FEATURE_ARCH_CAPS))
            fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = 0;
    }
}
