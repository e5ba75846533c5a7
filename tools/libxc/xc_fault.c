/* SPDX-License-Identifier: MIT */
/*
 * What the policy library finds, in one line of words each.  Every tool says it the same way.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xc.h"

static const char *reg_of_msr(uint32_t msr)
{
    switch (msr) {
    case MSR_INTEL_PLATFORM_INFO:
        return "platform info";
    case MSR_ARCH_CAPABILITIES:
        return "arch capabilities";
    default:
        return "";
    }
}

const char *xc_register_name(uint32_t reg)
{
    static const char *const names[] = {"eax", "ebx", "ecx", "edx"};

    return reg < 4 ? names[reg] : "";
}

int xc_feature_text(unsigned int feature, char *buf, size_t size)
{
    const struct feature_info *info = feature_info(feature);
    char place[32] = "?";

    (void)feature_location(feature, place, sizeof(place));
    if (!info)
        return snprintf(buf, size, "(no name)  %s", place);
    return snprintf(buf, size, "%s  %s  %s", info->name, place, info->description);
}

/* "leaf 7 subleaf 0", "leaf 80000001", "MSR 0x10a", with the array index when there is one. */
static void place_text(const struct policy_fault *f, char *buf, size_t size)
{
    char where[64] = "the policy";

    if (f->msr != POLICY_NONE)
        (void)snprintf(where, sizeof(where), "MSR %#x", f->msr);
    else if (f->leaf != POLICY_NONE && f->subleaf != POLICY_NONE)
        (void)snprintf(where, sizeof(where), "leaf %x subleaf %x", f->leaf, f->subleaf);
    else if (f->leaf != POLICY_NONE)
        (void)snprintf(where, sizeof(where), "leaf %x", f->leaf);
    if (f->index != POLICY_NONE)
        (void)snprintf(buf, size, "entry %u (%s)", f->index, where);
    else
        (void)snprintf(buf, size, "%s", where);
}

/* Faults of the arrays themselves. */
static int array_text(const struct policy_fault *f, const char *place, char *buf, size_t size)
{
    switch (f->kind) {
    case FAULT_UNSORTED:
        return snprintf(buf, size, "%s stands before the entry in front of it", place);
    case FAULT_DUPLICATE:
        return snprintf(buf, size, "%s is there twice", place);
    case FAULT_LEAF_RANGE:
        return snprintf(buf, size, "%s: no policy has this leaf", place);
    case FAULT_SUBLEAF_EXPECTED:
        return snprintf(buf, size, "%s: the leaf has subleaves, the entry names none", place);
    case FAULT_SUBLEAF_UNEXPECTED:
        return snprintf(buf, size, "%s: the leaf has no subleaves, the entry names one", place);
    case FAULT_MSR_RANGE:
        return snprintf(buf, size, "%s: no policy has this MSR", place);
    case FAULT_MSR_FLAGS:
        return snprintf(buf, size, "%s: reserved flags are set", place);
    case FAULT_TOO_MANY:
        return snprintf(buf, size, "%" PRIu64 " entries, a policy has %" PRIu64 " at most",
                        f->guest, f->host);
    default:
        return -1;
    }
}

/* What a policy does not say. */
static int not_named_text(const struct policy_fault *f, char *buf, size_t size)
{
    if (f->msr != POLICY_NONE)
        return snprintf(buf, size, "incomplete: MSR %X is not named", f->msr);
    if (f->subleaf != POLICY_NONE)
        return snprintf(buf, size, "incomplete: leaf %X, subleaf %X is not named", f->leaf,
                        f->subleaf);
    return snprintf(buf, size, "incomplete: leaf %X is not named", f->leaf);
}

/* "leaf A, EDX[4:0]: the guest has 0x8, the host 0x4". */
static int leaf_text(const struct policy_fault *f, char *buf, size_t size)
{
    const struct feature_info *needs = f->needs == POLICY_NONE ? NULL : feature_info(f->needs);
    char where[48] = "", bits[16] = "", more[64] = "", reg[4];

    (void)snprintf(reg, sizeof(reg), "%s", xc_register_name(f->reg));
    for (char *c = reg; *c; c++)
        *c = (char)toupper((unsigned char)*c);

    if (f->subleaf != POLICY_NONE)
        (void)snprintf(where, sizeof(where), ", subleaf %X", f->subleaf);
    if (f->width == 1)
        (void)snprintf(bits, sizeof(bits), "[%u]", f->shift);
    else if (f->width < 32)
        (void)snprintf(bits, sizeof(bits), "[%u:%u]", f->shift + f->width - 1u, f->shift);
    if (needs)
        (void)snprintf(more, sizeof(more), ", which says nothing without %s", needs->name);
    return snprintf(buf, size,
                    "leaf %X%s, %s%s: the guest has %#" PRIx64 ", the host %#" PRIx64 "%s", f->leaf,
                    where, reg, bits, f->guest, f->host, more);
}

/* A CPU that cannot exist. */
static int verify_text(const struct policy_fault *f, const char *place, char *buf, size_t size)
{
    switch (f->kind) {
    case FAULT_VENDOR_UNKNOWN:
        return snprintf(buf, size, "the vendor in leaf 0 is not one that makes these CPUs");
    case FAULT_MAX_LEAF:
        return snprintf(buf, size,
                        "%s: the highest leaf it names, %#" PRIx64 ", is above %#" PRIx64, place,
                        f->guest, f->host);
    case FAULT_BEYOND_MAX:
        return snprintf(buf, size, "%s is above the highest leaf, and not zero", place);
    case FAULT_LINEARADDR:
        return snprintf(buf, size, "virtual addresses of %" PRIu64 " bits%s", f->guest,
                        f->host ? ", more than the host has" : " are out of range");
    case FAULT_XSTATE_FEATURE:
        return snprintf(buf, size, "%s: state component %u and its feature disagree", place,
                        f->subleaf);
    case FAULT_XSTATE_LAYOUT:
        return snprintf(buf, size,
                        "%s: the place of state component %u in the XSAVE area is "
                        "impossible",
                        place, f->subleaf);
    case FAULT_XSTATE_TOTAL:
        return snprintf(buf, size,
                        "%s: the XSAVE area is said to have %" PRIu64
                        " bytes, its components make %" PRIu64,
                        place, f->guest, f->host);
    case FAULT_MSR_RESERVED:
        return snprintf(buf, size, "%s has bits %#" PRIx64 " that no policy may have", place,
                        f->guest);
    default:
        return -1;
    }
}

static int vendor_text(const struct policy_fault *f, char *buf, size_t size)
{
    (void)f;
    return snprintf(buf, size, "another vendor's CPU: nothing else was compared");
}

/* Two features in one line: what stands on what. */
static int prerequisite_text(const struct policy_fault *f, char *buf, size_t size)
{
    char feature[160];
    const struct feature_info *needs = feature_info(f->needs);
    char place[32] = "?";

    (void)xc_feature_text(f->feature, feature, sizeof(feature));
    (void)feature_location(f->needs, place, sizeof(place));
    return snprintf(buf, size, "%s; needs %s  %s, which is not there", feature,
                    needs ? needs->name : "(no name)", place);
}

/* What a hypervisor made of a policy: "without avx2 ...", "leaf a eax: told 0x7, given 0". */
static int given_text(const struct policy_fault *f, const char *place, char *buf, size_t size)
{
    const char *reg = xc_register_name(f->reg);
    char feature[160];

    if (f->feature == POLICY_NONE)
        return snprintf(buf, size, "%s%s%s: told %#" PRIx64 ", given %#" PRIx64, place,
                        reg[0] ? " " : "", reg, f->guest, f->host);
    (void)xc_feature_text(f->feature, feature, sizeof(feature));
    return snprintf(buf, size, "%s %s", f->guest ? "without" : "with", feature);
}

/* What differs between a guest and a host. */
static int check_text(const struct policy_fault *f, const char *place, char *buf, size_t size)
{
    const struct featureset_field_info *field;

    switch (f->kind) {
    case FAULT_FIELD:
        field = featureset_field_info(f->feature);
        return snprintf(buf, size, "%s  %s: the guest has %" PRIu64 ", the host %" PRIu64,
                        field ? field->name : "field", field ? field->description : place, f->guest,
                        f->host);
    case FAULT_MAXPHYSADDR:
        if (f->host)
            return snprintf(buf, size,
                            "physical addresses: the guest has %" PRIu64 " bits, the host %" PRIu64,
                            f->guest, f->host);
        return snprintf(buf, size, "physical addresses of %" PRIu64 " bits are out of range",
                        f->guest);
    case FAULT_CLFLUSH:
        return snprintf(buf, size,
                        "CLFLUSH line: %" PRIu64 " bytes in the guest, %" PRIu64 " in the host",
                        f->guest, f->host);
    case FAULT_XSTATE_MISSING:
        return snprintf(buf, size, "XSAVE state component %u is missing", f->subleaf);
    case FAULT_XSTATE_SIZE:
        return snprintf(buf, size,
                        "XSAVE state component %u: %" PRIu64 " bytes in the guest, %" PRIu64
                        " in the host",
                        f->subleaf, f->guest, f->host);
    case FAULT_XSTATE_OFFSET:
        return snprintf(buf, size,
                        "XSAVE state component %u: at byte %" PRIu64 " in the guest, at %" PRIu64
                        " in the host",
                        f->subleaf, f->guest, f->host);
    case FAULT_XSTATE_FLAGS:
        return snprintf(buf, size,
                        "XSAVE state component %u: alignment or supervisor flags "
                        "differ",
                        f->subleaf);
    case FAULT_MSR:
        return snprintf(buf, size,
                        "%s (%s): the guest has bits %#" PRIx64 " that the host cannot give", place,
                        reg_of_msr(f->msr), f->guest & ~f->host);
    default:
        return -1;
    }
}

int xc_fault_text(const struct policy_fault *fault, char *buf, size_t size)
{
    char place[96];
    int len;

    place_text(fault, place, sizeof(place));
    switch (fault->kind) {
    case FAULT_PREREQUISITE:
        return prerequisite_text(fault, buf, size);
    case FAULT_LEAF:
        return leaf_text(fault, buf, size);
    case FAULT_NOT_NAMED:
        return not_named_text(fault, buf, size);
    case FAULT_VENDOR:
        return vendor_text(fault, buf, size);
    case FAULT_FEATURE_MISSING:
    case FAULT_HAZARD_UNTOLD:
        return xc_feature_text(fault->feature, buf, size);
    case FAULT_GIVEN_OTHERWISE:
        return given_text(fault, place, buf, size);
    default:
        break;
    }
    len = array_text(fault, place, buf, size);
    if (len < 0)
        len = verify_text(fault, place, buf, size);
    if (len < 0)
        len = check_text(fault, place, buf, size);
    if (len < 0)
        len = snprintf(buf, size, "%s at %s", policy_fault_name(fault->kind), place);
    return len;
}
