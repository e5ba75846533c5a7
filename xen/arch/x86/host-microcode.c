/* SPDX-License-Identifier: MIT */
/* See host-microcode.h.  Intel's advisories are "INTEL-SA-...", AMD's bulletins "AMD-SB-...". */
#include "host-private.h"

#include <host-microcode.h>

#include "features-gen.h"

#define SPECTRE   "INTEL-SA-00088"
#define SSB       "INTEL-SA-00115"
#define L1TF      "INTEL-SA-00161"
#define MDS       "INTEL-SA-00233"
#define TSX_ABORT "INTEL-SA-00270"
#define IFU       "INTEL-SA-00210"
#define SRBDS     "INTEL-SA-00320"
#define TSX_ORDER "INTEL: TSX memory ordering, document 604224"
#define BHI       "INTEL-SA-00598"
#define MMIO      "INTEL-SA-00615"
#define APIC_LEAK "INTEL-SA-00657"
#define PBRSB     "INTEL-SA-00706"
#define GDS       "INTEL-SA-00828"
#define RFDS      "INTEL-SA-00898"
#define ITS       "INTEL-SA-01153"
#define AMD_V2    "AMD: indirect branch control extension, 2018"
#define AMD_SSB   "AMD: speculative store bypass disable, 2018"
#define INCEPTION "AMD-SB-7005"
#define AMD_TSA   "AMD-SB-7029"

/*
 * All of MSR 10A is in it, for the MSR itself comes by microcode to CPUs older than it.  Ordered by
 * feature is not needed: it is short.
 */
static const struct microcode_bit bits[] = {
    {X86_FEATURE_IBRSB, "2018-01", SPECTRE},
    {X86_FEATURE_STIBP, "2018-01", SPECTRE},
    {X86_FEATURE_SSBD, "2018-05", SSB},
    {X86_FEATURE_L1D_FLUSH, "2018-08", L1TF},
    {X86_FEATURE_ARCH_CAPS, "2018-01", SPECTRE},
    {X86_FEATURE_RDCL_NO, "2018-01", SPECTRE},
    {X86_FEATURE_EIBRS, "2018-01", SPECTRE},
    {X86_FEATURE_RSBA, "2018-01", SPECTRE},
    {X86_FEATURE_SKIP_L1DFL, "2018-08", L1TF},
    {X86_FEATURE_INTEL_SSB_NO, "2018-05", SSB},
    {X86_FEATURE_MD_CLEAR, "2019-05", MDS},
    {X86_FEATURE_MDS_NO, "2019-05", MDS},
    {X86_FEATURE_TSX_FORCE_ABORT, "2019-03", TSX_ORDER},
    {X86_FEATURE_IF_PSCHANGE_MC_NO, "2019-11", IFU},
    {X86_FEATURE_TSX_CTRL, "2019-11", TSX_ABORT},
    {X86_FEATURE_TAA_NO, "2019-11", TSX_ABORT},
    {X86_FEATURE_SRBDS_CTRL, "2020-06", SRBDS},
    {X86_FEATURE_MCU_CTRL, "2020-06", SRBDS},
    {X86_FEATURE_MISC_PKG_CTRL, "2020-11", "INTEL-SA-00389"},
    {X86_FEATURE_ENERGY_FILTERING, "2020-11", "INTEL-SA-00389"},
    {X86_FEATURE_RTM_ALWAYS_ABORT, "2021-06", TSX_ORDER},
    {X86_FEATURE_INTEL_PSFD, "2022-03", BHI},
    {X86_FEATURE_IPRED_CTRL, "2022-03", BHI},
    {X86_FEATURE_RRSBA_CTRL, "2022-03", BHI},
    {X86_FEATURE_BHI_CTRL, "2022-03", BHI},
    {X86_FEATURE_RRSBA, "2022-03", BHI},
    {X86_FEATURE_BHI_NO, "2022-03", BHI},
    {X86_FEATURE_DOITM, "2022-06", MMIO},
    {X86_FEATURE_SBDR_SSDP_NO, "2022-06", MMIO},
    {X86_FEATURE_FBSDP_NO, "2022-06", MMIO},
    {X86_FEATURE_PSDP_NO, "2022-06", MMIO},
    {X86_FEATURE_FB_CLEAR, "2022-06", MMIO},
    {X86_FEATURE_FB_CLEAR_CTRL, "2022-06", MMIO},
    {X86_FEATURE_XAPIC_STATUS, "2022-08", APIC_LEAK},
    {X86_FEATURE_PBRSB_NO, "2022-08", PBRSB},
    {X86_FEATURE_MCU_ENUM, "2022-08", APIC_LEAK},
    {X86_FEATURE_MCU_EXTENDED, "2022-08", APIC_LEAK},
    {X86_FEATURE_OVRCLK_STATUS, "2022-08", APIC_LEAK},
    {X86_FEATURE_GDS_CTRL, "2023-08", GDS},
    {X86_FEATURE_GDS_NO, "2023-08", GDS},
    {X86_FEATURE_RFDS_NO, "2024-03", RFDS},
    {X86_FEATURE_RFDS_CLEAR, "2024-03", RFDS},
    {X86_FEATURE_IGN_UMONITOR, "2024-03", RFDS},
    {X86_FEATURE_MON_UMON_MITG, "2024-03", RFDS},
    {X86_FEATURE_ITS_NO, "2025-05", ITS},
    {X86_FEATURE_IBPB, "2018-01", AMD_V2},
    {X86_FEATURE_IBRS, "2018-01", AMD_V2},
    {X86_FEATURE_AMD_STIBP, "2018-01", AMD_V2},
    {X86_FEATURE_AMD_SSBD, "2018-05", AMD_SSB},
    {X86_FEATURE_VIRT_SSBD, "2018-05", AMD_SSB},
    {X86_FEATURE_IBPB_BRTYPE, "2023-08", INCEPTION},
    {X86_FEATURE_SBPB, "2023-08", INCEPTION},
    {X86_FEATURE_VERW_CLEAR, "2025-07", AMD_TSA},
};

const struct microcode_bit *host_microcode_row(unsigned int i)
{
    return i < sizeof(bits) / sizeof(bits[0]) ? &bits[i] : NULL;
}

const struct microcode_bit *host_microcode_bit(unsigned int feature)
{
    for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (bits[i].feature == feature)
            return &bits[i];
    return NULL;
}

/*
 * Which models get what by an update: family 6 of Intel (the microcode guidance of each advisory,
 * and Intel's table of affected processors), by what the update brings.
 */
static const uint8_t spectre_models[] = {0x1a, 0x1e, 0x25, 0x2c, 0x2e, 0x2f, 0x2a, 0x2d,
                                         0x3a, 0x3e, 0x3c, 0x3f, 0x45, 0x46, 0x3d, 0x47,
                                         0x4f, 0x56, 0x4e, 0x5e, 0x55, 0x8e, 0x9e};
static const uint8_t mds_models[] = {0x2a, 0x2d, 0x3a, 0x3e, 0x3c, 0x3f, 0x45, 0x46, 0x3d,
                                     0x47, 0x4f, 0x56, 0x4e, 0x5e, 0x55, 0x8e, 0x9e};
static const uint8_t arch_caps_models[] = {0x4e, 0x5e, 0x55, 0x8e, 0x9e};

static const struct {
    uint16_t feature;
    const uint8_t *models;
    uint8_t n;
    uint16_t unless; /* a CPU that says this has no need of it; 0: none */
} updates[] = {
    {X86_FEATURE_IBRSB, spectre_models, sizeof(spectre_models), 0},
    {X86_FEATURE_STIBP, spectre_models, sizeof(spectre_models), 0},
    {X86_FEATURE_SSBD, spectre_models, sizeof(spectre_models), 0},
    {X86_FEATURE_L1D_FLUSH, spectre_models, sizeof(spectre_models), X86_FEATURE_SKIP_L1DFL},
    {X86_FEATURE_MD_CLEAR, mds_models, sizeof(mds_models), X86_FEATURE_MDS_NO},
    {X86_FEATURE_ARCH_CAPS, arch_caps_models, sizeof(arch_caps_models), 0},
    {X86_FEATURE_GDS_CTRL, host_gds_models, sizeof(host_gds_models), X86_FEATURE_GDS_NO},
};

void host_microcode_missing(const struct cpu_policy *raw, struct featureset *missing)
{
    unsigned int family, model, stepping;
    struct featureset fs;

    __builtin_memset(missing, 0, sizeof(*missing));
    policy_signature(raw, &family, &model, &stepping);
    policy_to_featureset(raw, &fs);
    if (featureset_test(&fs, X86_FEATURE_HYPERVISOR))
        return;
    /* Zen 3 and Zen 4 get both by the update of 2023; Zen 1 and 2 never say them. */
    if (is_amd(raw) && family == 0x19 && !featureset_test(&fs, X86_FEATURE_SBPB) &&
        !featureset_test(&fs, X86_FEATURE_IBPB_BRTYPE)) {
        featureset_set(missing, X86_FEATURE_SBPB);
        featureset_set(missing, X86_FEATURE_IBPB_BRTYPE);
    }
    if (!is_intel(raw) || family != 6)
        return;
    for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++)
        if (is_model_of(model, updates[i].models, updates[i].n) &&
            !featureset_test(&fs, updates[i].feature) &&
            !(updates[i].unless && featureset_test(&fs, updates[i].unless)))
            featureset_set(missing, updates[i].feature);
}
