/* SPDX-License-Identifier: MIT */
/*
 * Firecracker's CPU templates: JSON with "cpuid_modifiers" and "msr_modifiers", in which a bit is
 * '0', '1' or 'x' (as the host gives it); by yajl.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "forms-private.h"
#include "json_read.h"

static unsigned int looks_like_firecracker(const struct form_text *t)
{
    const char *s = t->bytes + strspn(t->bytes, " \t\r\n");

    if (*s != '{')
        return 0;
    return strstr(s, "\"cpuid_modifiers\"") || strstr(s, "\"msr_modifiers\"") ? 95 : 0;
}

/* "0x7", or a number. */
static bool get_number(yajl_val object, const char *key, uint32_t *number)
{
    yajl_val value = json_find(object, key, yajl_t_any);
    const char *s = YAJL_IS_NUMBER(value) ? YAJL_GET_NUMBER(value) : YAJL_GET_STRING(value);
    unsigned long long n;
    char *end;

    if (!s || !isdigit((unsigned char)*s))
        return false;
    n = strtoull(s, &end, 0);
    *number = (uint32_t)n;
    return !*end && n <= UINT32_MAX;
}

/* "0bx1x0...", the most significant bit first; a shorter one is of the low bits. */
static bool get_bitmap(yajl_val object, uint64_t *mask, uint64_t *bits)
{
    const char *s = json_find_string(object, "bitmap");
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

static bool take_register(struct form_cpu *c, uint32_t leaf, uint32_t subleaf, yajl_val m)
{
    static const char *const registers[4] = {"eax", "ebx", "ecx", "edx"};
    const char *name = json_find_string(m, "register");
    uint64_t mask, bits;

    if (!name || !get_bitmap(m, &mask, &bits))
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

static int take_modifiers(struct form *f, size_t at, uint32_t leaf, uint32_t subleaf, yajl_val list)
{
    for (size_t i = 0; i < json_count(list); i++)
        if (!take_register(&f->guest, leaf, subleaf, YAJL_GET_ARRAY(list)->values[i]))
            return form_fail(f,
                             "cpuid_modifiers, entry %zu, modifier %zu: not a register and a "
                             "bitmap of 0, 1 and x",
                             at, i);
    return 0;
}

static int take_leaves(struct form *f, yajl_val list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        yajl_val entry = YAJL_GET_ARRAY(list)->values[i];
        uint32_t leaf, subleaf = 0;

        if (!get_number(entry, "leaf", &leaf) ||
            (json_find(entry, "subleaf", yajl_t_any) && !get_number(entry, "subleaf", &subleaf)))
            return form_fail(f, "cpuid_modifiers, entry %zu: its leaf or subleaf is no number", i);
        if (take_modifiers(f, i, leaf, subleaf, json_find(entry, "modifiers", yajl_t_array)))
            return -1;
    }
    return 0;
}

static int take_msrs(struct form *f, yajl_val list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        yajl_val entry = YAJL_GET_ARRAY(list)->values[i];
        uint64_t mask, bits;
        uint32_t msr;

        if (!get_number(entry, "addr", &msr) || !get_bitmap(entry, &mask, &bits))
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
    char why[256];
    yajl_val root = json_read(t->bytes, t->len, why, sizeof(why));
    int rc;

    if (!root)
        return form_fail(f, "%s", why);
    f->kind = FORM_GUEST;
    f->guest_type = FORM_GUEST_HVM;
    f->partial = true;
    form_cpu_init(&f->guest);
    rc = take_leaves(f, json_find(root, "cpuid_modifiers", yajl_t_array));
    if (!rc)
        rc = take_msrs(f, json_find(root, "msr_modifiers", yajl_t_array));
    yajl_tree_free(root);
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
