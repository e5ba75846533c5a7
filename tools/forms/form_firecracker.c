/* SPDX-License-Identifier: MIT */
/*
 * Firecracker's CPU templates: JSON with "cpuid_modifiers" and "msr_modifiers", in which a bit is
 * '0', '1' or 'x' (as the host gives it); by jansson.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "forms-private.h"

static unsigned int looks_like_firecracker(const struct form_text *t)
{
    const char *s = t->bytes + strspn(t->bytes, " \t\r\n");

    if (*s != '{')
        return 0;
    return strstr(s, "\"cpuid_modifiers\"") || strstr(s, "\"msr_modifiers\"") ? 95 : 0;
}

/* "0x7", or a number. */
static bool get_number(const json_t *value, uint32_t *number)
{
    const char *s = json_string_value(value);
    unsigned long long n;
    char *end;

    if (json_is_integer(value)) {
        *number = (uint32_t)json_integer_value(value);
        return json_integer_value(value) >= 0 && json_integer_value(value) <= UINT32_MAX;
    }
    if (!s)
        return false;
    n = strtoull(s, &end, 0);
    *number = (uint32_t)n;
    return end != s && !*end && n <= UINT32_MAX;
}

/* "0bx1x0...", the most significant bit first; a shorter one is of the low bits. */
static bool get_bitmap(const json_t *value, uint64_t *mask, uint64_t *bits)
{
    const char *s = json_string_value(value);
    unsigned int n = 0;

    *mask = *bits = 0;
    s = s ? form_after(s, "0b") : NULL;
    for (; s && *s; s++) {
        if (*s == '_')
            continue;
        if (++n > 64 || !strchr("01x", *s))
            return false;
        *mask = *mask << 1 | (*s != 'x');
        *bits = *bits << 1 | (*s == '1');
    }
    return s && n;
}

static bool take_register(struct form_cpu *c, uint32_t leaf, uint32_t subleaf, const json_t *m)
{
    static const char *const registers[4] = {"eax", "ebx", "ecx", "edx"};
    const char *name = json_string_value(json_object_get(m, "register"));
    uint64_t mask, bits;

    if (!name || !get_bitmap(json_object_get(m, "bitmap"), &mask, &bits))
        return false;
    if (!policy_leaf_has_subleaves(leaf))
        subleaf = POLICY_NONE;
    for (unsigned int reg = 0; reg < 4; reg++)
        if (!strcmp(registers[reg], name)) {
            /* What no policy holds is passed over. */
            (void)form_know_bits(c, leaf, subleaf, reg, (uint32_t)mask, (uint32_t)bits);
            return true;
        }
    return false;
}

static int take_leaves(struct form *f, const json_t *list)
{
    size_t i, k;
    const json_t *entry, *m;

    json_array_foreach(list, i, entry)
    {
        const json_t *modifiers = json_object_get(entry, "modifiers");
        uint32_t leaf, subleaf = 0;

        if (!get_number(json_object_get(entry, "leaf"), &leaf) ||
            (json_object_get(entry, "subleaf") &&
             !get_number(json_object_get(entry, "subleaf"), &subleaf)))
            return form_fail(f, "cpuid_modifiers, entry %zu: its leaf or subleaf is no number", i);
        json_array_foreach(
            modifiers, k,
            m) if (!take_register(&f->guest, leaf, subleaf,
                                  m)) return form_fail(f,
                                                       "cpuid_modifiers, entry %zu, modifier %zu: "
                                                       "not a register and a "
                                                       "bitmap of 0, 1 and x",
                                                       i, k);
    }
    return 0;
}

static int take_msrs(struct form *f, const json_t *list)
{
    size_t i;
    const json_t *entry;

    json_array_foreach(list, i, entry)
    {
        uint64_t mask, bits;
        uint32_t msr;

        if (!get_number(json_object_get(entry, "addr"), &msr) ||
            !get_bitmap(json_object_get(entry, "bitmap"), &mask, &bits))
            return form_fail(f, "msr_modifiers, entry %zu: not a number and a bitmap", i);
        if (msr == MSR_ARCH_CAPABILITIES) {
            f->guest.policy.arch_caps |= bits;
            f->guest.unknown.arch_caps &= ~mask;
        } else if (msr == MSR_INTEL_PLATFORM_INFO) {
            f->guest.policy.platform_info |= bits;
            f->guest.unknown.platform_info &= ~mask;
        }
    }
    return 0;
}

static int read_firecracker(const struct form_text *t, struct form *f)
{
    json_error_t error;
    json_t *root = json_loadb(t->bytes, t->len, 0, &error);
    int rc;

    if (!root)
        return form_fail(f, "line %d: %s", error.line, error.text);
    f->kind = FORM_GUEST;
    f->guest_type = FORM_GUEST_HVM;
    f->partial = true;
    form_cpu_init(&f->guest);
    rc = take_leaves(f, json_object_get(root, "cpuid_modifiers"));
    if (!rc)
        rc = take_msrs(f, json_object_get(root, "msr_modifiers"));
    json_decref(root);
    if (rc)
        return -1;
    form_fit_numbers(&f->guest);
    form_note(f, "a bit 'x' of the template is as the host where it starts gives it: unknown here");
    return 0;
}

const struct form_reader form_firecracker = {
    .name = "Firecracker CPU template",
    .looks_like = looks_like_firecracker,
    .read = read_firecracker,
};
