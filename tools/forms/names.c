/* SPDX-License-Identifier: MIT */
/*
 * What other programs call the features of features.def.  Only names that are not the same ('-' and
 * '_' are) stand here.
 */
#include <string.h>

#include "features-gen.h"
#include "forms-private.h"

enum {
    LINUX = 1u << FORM_NAMES_LINUX,     /* arch/x86/include/asm/cpufeatures.h */
    LIBVIRT = 1u << FORM_NAMES_LIBVIRT, /* libvirt's src/cpu_map/x86_features.xml, QEMU -cpu help */
    BOTH = LINUX | LIBVIRT,
};

static const struct {
    const char *name;
    unsigned int whose, feature;
} aliases[] = {
    {"3dnowprefetch", BOTH, X86_FEATURE_3DNOWPREFETCH},
    {"aes", BOTH, X86_FEATURE_AESNI},
    {"amd-no-ssb", LIBVIRT, X86_FEATURE_SSB_NO},
    {"amd-psfd", LIBVIRT, X86_FEATURE_PSFD},
    {"arch_capabilities", LINUX, X86_FEATURE_ARCH_CAPS},
    {"arch-capabilities", LIBVIRT, X86_FEATURE_ARCH_CAPS},
    {"avx512ifma", BOTH, X86_FEATURE_AVX512_IFMA},
    {"avx512vbmi", BOTH, X86_FEATURE_AVX512_VBMI},
    {"avx512vbmi2", BOTH, X86_FEATURE_AVX512_VBMI2},
    {"avx512vnni", BOTH, X86_FEATURE_AVX512_VNNI},
    {"avx512bitalg", BOTH, X86_FEATURE_AVX512_BITALG},
    {"avx512-vpopcntdq", BOTH, X86_FEATURE_AVX512_VPOPCNTDQ},
    {"bpext", LINUX, X86_FEATURE_DBEXT},
    {"brs", LINUX, X86_FEATURE_BRANCH_SAMPLING},
    {"cid", BOTH, X86_FEATURE_CNXT_ID},
    {"cmt", LIBVIRT, X86_FEATURE_PQM},
    {"core-capability", LIBVIRT, X86_FEATURE_CORE_CAPS},
    {"core_capabilities", LINUX, X86_FEATURE_CORE_CAPS},
    {"cqm", LINUX, X86_FEATURE_PQM},
    {"cr8legacy", LIBVIRT, X86_FEATURE_CR8_LEGACY},
    {"cvt16", LIBVIRT, X86_FEATURE_F16C},
    {"ds_cpl", BOTH, X86_FEATURE_DSCPL},
    {"dtherm", LINUX, X86_FEATURE_DTS},
    {"dts", LINUX, X86_FEATURE_DS},
    {"est", BOTH, X86_FEATURE_EIST},
    {"flush_l1d", LINUX, X86_FEATURE_L1D_FLUSH},
    {"flush-l1d", LIBVIRT, X86_FEATURE_L1D_FLUSH},
    {"fsrc", BOTH, X86_FEATURE_FSRCS},
    {"fxsr_opt", BOTH, X86_FEATURE_FFXSR},
    {"hfi", LINUX, X86_FEATURE_HW_FEEDBACK},
    {"ht", BOTH, X86_FEATURE_HTT},
    {"hybrid_cpu", LINUX, X86_FEATURE_HYBRID},
    {"ibrs-all", LIBVIRT, X86_FEATURE_EIBRS},
    {"ibt", LINUX, X86_FEATURE_CET_IBT},
    {"ida", LINUX, X86_FEATURE_TURBO},
    {"intel-pt", LIBVIRT, X86_FEATURE_PROC_TRACE},
    {"intel_pt", LINUX, X86_FEATURE_PROC_TRACE},
    {"intel_ppin", LINUX, X86_FEATURE_INTEL_PPIN},
    {"invtsc", LIBVIRT, X86_FEATURE_ITSC},
    {"irperf", LINUX, X86_FEATURE_INST_RET_CNT},
    {"lfence-always-serializing", LIBVIRT, X86_FEATURE_LFENCE_DISPATCH},
    {"mwaitx", LINUX, X86_FEATURE_MONITORX},
    {"no-nested-data-bp", LIBVIRT, X86_FEATURE_NO_NEST_BP},
    {"nonstop_tsc", LINUX, X86_FEATURE_ITSC},
    {"null-sel-clr-base", LIBVIRT, X86_FEATURE_NSCB},
    {"pclmuldq", LIBVIRT, X86_FEATURE_PCLMULQDQ},
    {"pdpe1gb", BOTH, X86_FEATURE_PAGE1GB},
    {"pn", BOTH, X86_FEATURE_PSN},
    {"pni", BOTH, X86_FEATURE_SSE3},
    {"prefetchiti", LIBVIRT, X86_FEATURE_PREFETCHI},
    {"pschange-mc-no", LIBVIRT, X86_FEATURE_IF_PSCHANGE_MC_NO},
    {"ptsc", LINUX, X86_FEATURE_PERFTSC},
    {"pts", LINUX, X86_FEATURE_PTM},
    {"rdctl-no", LIBVIRT, X86_FEATURE_RDCL_NO},
    {"rdt_a", LINUX, X86_FEATURE_PQE},
    {"sha_ni", LINUX, X86_FEATURE_SHA},
    {"sha-ni", LIBVIRT, X86_FEATURE_SHA},
    {"skip-l1dfl-vmentry", LIBVIRT, X86_FEATURE_SKIP_L1DFL},
    {"spec-ctrl", LIBVIRT, X86_FEATURE_IBRSB},
    {"ssb-no", LIBVIRT, X86_FEATURE_INTEL_SSB_NO},
    {"sse4.1", LIBVIRT, X86_FEATURE_SSE4_1},
    {"sse4.2", LIBVIRT, X86_FEATURE_SSE4_2},
    {"stibp-always-on", LIBVIRT, X86_FEATURE_STIBP_ALWAYS},
    {"tm", BOTH, X86_FEATURE_TM1},
    {"tsc_deadline_timer", LINUX, X86_FEATURE_TSC_DEADLINE},
    {"tsc-adjust", LIBVIRT, X86_FEATURE_TSC_ADJUST},
    {"user_shstk", LINUX, X86_FEATURE_CET_SS},
    {"xsaveerptr", BOTH, X86_FEATURE_RSTR_FP_ERR_PTRS},
};

int form_feature_by_name(enum form_names whose, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (aliases[i].whose >> whose & 1 && strlen(aliases[i].name) == len &&
            !strncasecmp(aliases[i].name, name, len))
            return (int)aliases[i].feature;
    /* "7b0:5" is a place to us and nothing to others. */
    return len && !memchr(name, ':', len) ? feature_by_name(name, len) : -1;
}
