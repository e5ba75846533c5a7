/* SPDX-License-Identifier: MIT */
/* See libvirt-names.h. */
#include "libvirt-names.h"

#include <cpuid-policy/featureset.h>

#include "features-gen.h"

static const struct {
    const char *name;
    unsigned int feature;
} own_names[] = {
    {"cx16", X86_FEATURE_CX16},
    {"cid", X86_FEATURE_CNXT_ID},
    {"ds_cpl", X86_FEATURE_DSCPL},
    {"pclmuldq", X86_FEATURE_PCLMULQDQ},
    {"pni", X86_FEATURE_SSE3},
    {"ht", X86_FEATURE_HTT},
    {"pn", X86_FEATURE_PSN},
    {"clflush", X86_FEATURE_CLFLUSH},
    {"sep", X86_FEATURE_SEP},
    {"cx8", X86_FEATURE_CX8},
    {"nodeid_msr", X86_FEATURE_NODEID_MSR},
    {"cr8legacy", X86_FEATURE_CR8_LEGACY},
    {"lahf_lm", X86_FEATURE_LAHF_LM},
    {"cmp_legacy", X86_FEATURE_CMP_LEGACY},
    {"fxsr_opt", X86_FEATURE_FFXSR},
    {"pdpe1gb", X86_FEATURE_PAGE1GB},
    {"spec-ctrl", X86_FEATURE_IBRSB},
};
#define COUNT (sizeof(own_names) / sizeof(own_names[0]))

const char *libvirt_feature_name(unsigned int feature)
{
    const struct feature_info *info = feature_info(feature);

    for (size_t i = 0; i < COUNT; i++)
        if (own_names[i].feature == feature)
            return own_names[i].name;
    return info && feature / 32 < FEATURESET_XEN_WORDS ? info->name : NULL;
}
