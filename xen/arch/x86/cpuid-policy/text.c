/* SPDX-License-Identifier: MIT */
/* What a policy says of the CPU's identity, and the names of faults. */
#include "policy-private.h"

const char *policy_fault_name(enum policy_fault_kind kind)
{
    static const char *const names[] = {
        [FAULT_UNSORTED] = "unsorted",
        [FAULT_DUPLICATE] = "duplicate",
        [FAULT_LEAF_RANGE] = "leaf-range",
        [FAULT_SUBLEAF_EXPECTED] = "subleaf-expected",
        [FAULT_SUBLEAF_UNEXPECTED] = "subleaf-unexpected",
        [FAULT_MSR_RANGE] = "msr-range",
        [FAULT_MSR_FLAGS] = "msr-flags",
        [FAULT_TOO_MANY] = "too-many",
        [FAULT_NOT_NAMED] = "incomplete",
        [FAULT_VENDOR_UNKNOWN] = "vendor-unknown",
        [FAULT_MAX_LEAF] = "max-leaf",
        [FAULT_BEYOND_MAX] = "beyond-max",
        [FAULT_PREREQUISITE] = "prerequisite",
        [FAULT_MAXPHYSADDR] = "maxphysaddr",
        [FAULT_LINEARADDR] = "linearaddr",
        [FAULT_XSTATE_FEATURE] = "xstate-feature",
        [FAULT_XSTATE_LAYOUT] = "xstate-layout",
        [FAULT_XSTATE_TOTAL] = "xstate-total",
        [FAULT_MSR_RESERVED] = "msr-reserved",
        [FAULT_VENDOR] = "vendor",
        [FAULT_FEATURE_MISSING] = "feature-missing",
        [FAULT_HAZARD_UNTOLD] = "hazard-untold",
        [FAULT_FIELD] = "field",
        [FAULT_CLFLUSH] = "clflush",
        [FAULT_XSTATE_MISSING] = "xstate-missing",
        [FAULT_XSTATE_SIZE] = "xstate-size",
        [FAULT_XSTATE_OFFSET] = "xstate-offset",
        [FAULT_XSTATE_FLAGS] = "xstate-flags",
        [FAULT_MSR] = "msr",
        [FAULT_LEAF] = "leaf",
        [FAULT_GIVEN_OTHERWISE] = "given-otherwise",
    };

    if ((unsigned int)kind >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[kind];
}

static void put_reg(char *to, uint32_t reg)
{
    for (unsigned int i = 0; i < 4; i++)
        to[i] = (char)(unsigned char)(reg >> (8 * i));
}

void policy_vendor(const struct cpu_policy *p, char buf[static 13])
{
    put_reg(buf, p->basic[0].b);
    put_reg(buf + 4, p->basic[0].d);
    put_reg(buf + 8, p->basic[0].c);
    buf[12] = '\0';
    for (unsigned int i = 0; i < 12; i++)
        if (buf[i] < ' ' || buf[i] > '~') /* not for a terminal to interpret */
            buf[i] = buf[i] ? '?' : '\0';
}

/* Four letters as a register holds them. */
static uint32_t pack_letters(const char name[static 4])
{
    return (uint32_t)(unsigned char)name[0] | (uint32_t)(unsigned char)name[1] << 8 |
           (uint32_t)(unsigned char)name[2] << 16 | (uint32_t)(unsigned char)name[3] << 24;
}

static bool vendor_equals(const struct cpu_policy *p, const char name[static 13])
{
    return p->basic[0].b == pack_letters(name) && p->basic[0].d == pack_letters(name + 4) &&
           p->basic[0].c == pack_letters(name + 8);
}

/* Asked by every audit: registers are compared, not texts. */
enum cpu_vendor policy_vendor_id(const struct cpu_policy *p)
{
    if (vendor_equals(p, "GenuineIntel"))
        return CPU_VENDOR_INTEL;
    if (vendor_equals(p, "AuthenticAMD"))
        return CPU_VENDOR_AMD;
    if (vendor_equals(p, "HygonGenuine"))
        return CPU_VENDOR_HYGON;
    if (vendor_equals(p, "CentaurHauls"))
        return CPU_VENDOR_CENTAUR;
    if (vendor_equals(p, "  Shanghai  "))
        return CPU_VENDOR_SHANGHAI;
    return CPU_VENDOR_UNKNOWN;
}

void policy_brand(const struct cpu_policy *p, char buf[static 49])
{
    char raw[49];
    unsigned int from = 0, len = 0;

    buf[0] = '\0';
    if (policy_max_extd(p) < EXTD_FIRST + 4)
        return;
    for (unsigned int leaf = 0; leaf < 3; leaf++) {
        const struct cpuid_regs *r = &p->extd[2 + leaf];
        char *to = &raw[(size_t)leaf * 16];

        put_reg(to, r->a);
        put_reg(to + 4, r->b);
        put_reg(to + 8, r->c);
        put_reg(to + 12, r->d);
    }
    raw[48] = '\0';
    while (raw[from] == ' ')
        from++;
    /* Runs of blanks, which old Xeons have in the middle, become one. */
    for (; from < 48 && raw[from]; from++) {
        char c = raw[from];

        if (c < ' ' || c > '~')
            c = '?';
        if (c == ' ' && len && buf[len - 1] == ' ')
            continue;
        buf[len++] = c;
    }
    while (len && buf[len - 1] == ' ')
        len--;
    buf[len] = '\0';
}

void policy_signature(const struct cpu_policy *p, unsigned int *family, unsigned int *model,
                      unsigned int *stepping)
{
    uint32_t sig = p->basic[1].a;

    *family = (sig >> 8) & 0xf;
    *model = (sig >> 4) & 0xf;
    *stepping = sig & 0xf;
    if (*family == 0xf || *family == 6)
        *model |= (sig >> 12) & 0xf0;
    if (*family == 0xf)
        *family += (sig >> 20) & 0xff;
}
