/* SPDX-License-Identifier: MIT */
/* Featuresets and the table of features, against Xen's header, slower sums, and real processors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/releases.h>

#include "features-gen.h"

/* Every bit of the hypervisor's public header; ABI_MINOR says which Xen's it is. */
static const struct {
    const char *name;
    unsigned int feature;
} abi[] = {
#define XEN_CPUFEATURE(name, value) {#name, value},
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
};

#define N_ABI   (sizeof(abi) / sizeof(abi[0]))
#define ABI_XEN (400 + ABI_MINOR)

/* A small generator of our own: a failure repeats on every machine. */
static uint64_t random_state;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static void random_set(struct featureset *fs)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        uint32_t density = random32() % 3;

        fs->w[i] = random32();
        if (density == 0)
            fs->w[i] &= random32() & random32();
        else if (density == 1)
            fs->w[i] |= random32() | random32() | random32();
    }
}

/* What people see for an identifier: "AVX512_VNNI" -> "avx512-vnni". */
static void spoken(const char *identifier, char *name, size_t size)
{
    size_t i;

    for (i = 0; identifier[i] && i + 1 < size; i++)
        name[i] = identifier[i] == '_' ? '-' : (char)tolower((unsigned char)identifier[i]);
    name[i] = '\0';
}

static void abi_bits_are_in_the_table(void **state)
{
    char name[64];

    (void)state;
    assert_true(N_ABI > 200);
    for (size_t i = 0; i < N_ABI; i++) {
        const struct feature_info *info = feature_info(abi[i].feature);

        if (!info)
            fail_msg("%s (%u) is not in the table", abi[i].name, abi[i].feature);
        spoken(abi[i].name, name, sizeof(name));
        if (!release_feature_name(ABI_XEN, abi[i].feature))
            fail_msg("%s has no name in Xen %d", abi[i].name, ABI_XEN);
        assert_string_equal(release_feature_name(ABI_XEN, abi[i].feature), name);
        assert_int_equal(feature_by_name(name, strlen(name)), abi[i].feature);
        assert_int_equal(info->feature, abi[i].feature);
        assert_true(abi[i].feature < FEATURESET_XEN_WORDS * 32);
    }
}

/* And the table names nothing for that release that its header lacks. */
static void the_table_names_abi_bits_only(void **state)
{
    struct featureset named = *release_names(ABI_XEN);

    (void)state;
    assert_true(release_is_known(ABI_XEN));
    for (size_t i = 0; i < N_ABI; i++)
        featureset_clear(&named, abi[i].feature);
    featureset_andnot(&named, &named, featureset_merge_mask(MERGE_MIRROR));
    if (!featureset_empty(&named))
        fail_msg("%s is not in the header of Xen %d",
                 feature_info((unsigned int)featureset_next(&named, 0))->name, ABI_XEN);
}

/*
 * The masks that the hypervisors of Debian 12 and 13 (4.17.7+13, 4.20.4+63) were compiled with, out
 * of their debug packages' symbols: what they name, and what guests of each type may have, and have
 * by default.
 */
static const struct {
    unsigned int xen;
    const char *named, *max[GUEST_TYPES], *deflt[GUEST_TYPES];
} compiled[] = {
    {417,
     "bfebfbff:fffef3ff:ee500800:2469bfff:0000000f:ffbfffff:3a405fdf:00000780:779fd205:fc91ef1c:"
     "00001c30:f8000164:00000001:00000037:00000000:00040000:1fbeffff:40000000:00000006",
     {"1fc9cbf5:f6d83203:ea500800:042109e3:00000007:fdaf0b39:1a405f43:00000100:64001005:ac01451c:"
      "00001c30:78000064:00000000:00000021:00000000:00000000:1d12e173:40000000:00000006",
      "1fcbfbff:f7f83203:ea500800:042109f3:0000000f:fdbf4bbb:1a405f47:00000100:751fd005:bc01451c:"
      "00001c30:78000064:00000000:00000037:00000000:00000000:1d12e173:40000000:00000006",
      "1fcbfbff:f7fa3223:ee500800:042109f7:0000000f:fdbf4fbb:1a405f4f:00000100:751fd005:bc01451c:"
      "00001c30:78000064:00000000:00000037:00000000:00000000:1d12e173:40000000:00000006"},
     {"1fc9cbf5:f6d83203:ea500800:042109e3:00000007:fdaf0b29:02405f43:00000000:64001005:ac00441c:"
      "00001c30:78000064:00000000:00000021:00000000:00000000:1d12e173:40000000:00000006",
      "1fcbfbff:f7f83203:ea500800:042109f3:0000000f:fdbf0bab:02405f47:00000000:751fd005:bc00441c:"
      "00001c30:78000064:00000000:00000037:00000000:00000000:1d12e173:40000000:00000006",
      "1fcbfbff:f7fa3203:ee500800:042109f3:0000000f:fdbf0fab:02405f4f:00000000:751fd005:bc00441c:"
      "00001c30:78000064:00000000:00000037:00000000:00000000:1d12e173:40000000:00000006"}},
    {420,
     "bfebfbff:fffefbff:ee500800:6469bfff:0000001f:ffbfffff:fb417fff:00000780:779fd205:ffddef3e:"
     "00aa1cb7:f81e0d67:00000001:0000003f:00000000:00044530:1fbeffff:40000001:00000006",
     {"1fc9cbf5:f6d83203:ea500800:442109e3:00000007:f1af0b39:1a405f43:00000100:64001005:ac814510:"
      "00801cb7:781c0c65:00000000:00000021:00000000:00004430:1d12e173:40000000:00000006",
      "1fcbfbff:f7f83203:ea500800:442109f3:0000000f:f1bf4bbb:1a405f47:00000100:751fd005:bc814510:"
      "00881cb7:781c0d67:00000000:00000037:00000000:00004430:1d12e173:40000000:00000006",
      "1fcbfbff:f7fa3223:ee500800:442109f7:0000000f:f1bf4fbb:9a405f4f:00000100:751fd005:bc814510:"
      "00881cb7:781c0d67:00000000:00000037:00000000:00004430:1d12e173:40000000:00000006"},
     {"1fc9cbf5:f6d83203:ea500800:442109e3:00000007:f1af0b29:02405f43:00000000:64001005:ac804410:"
      "00801c37:781c0c65:00000000:00000021:00000000:00004430:1d12e173:40000000:00000006",
      "1fcbfbff:f7f83203:ea500800:442109f3:0000000f:f1bf0bab:02405f47:00000000:751fd005:bc804410:"
      "00881c37:781c0d67:00000000:00000037:00000000:00004430:1d12e173:40000000:00000006",
      "1fcbfbff:f7fa3203:ee500800:442109f3:0000000f:f1bf0fab:82405f4f:00000000:751fd005:bc804410:"
      "00881c37:781c0d67:00000000:00000037:00000000:00004430:1d12e173:40000000:00000006"}},
};

/* Mirrors are in no header, so in no mask. */
static void assert_mask(const struct featureset *ours, const char *xen)
{
    struct featureset fs;
    char text[FEATURESET_WORDS * 9];

    featureset_andnot(&fs, ours, featureset_merge_mask(MERGE_MIRROR));
    assert_true(featureset_format(&fs, FEATURESET_XEN_WORDS, text, sizeof(text)) > 0);
    assert_string_equal(text, xen);
    assert_true(featureset_length(&fs) <= FEATURESET_XEN_WORDS);
}

static void release_masks_are_the_compiled_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(compiled) / sizeof(compiled[0]); i++) {
        assert_mask(release_names(compiled[i].xen), compiled[i].named);
        for (enum guest_type type = GUEST_PV; type < GUEST_TYPES; type++) {
            assert_mask(release_guest_max(compiled[i].xen, type), compiled[i].max[type]);
            assert_mask(release_guest_default(compiled[i].xen, type), compiled[i].deflt[type]);
        }
    }
}

static void spelled_by_release(void **state)
{
    static const struct {
        unsigned int feature, xen;
        const char *name;
    } rows[] = {
        {X86_FEATURE_AVX2, 417, "avx2"},
        {X86_FEATURE_BUS_LOCK_DETECT, 417, NULL},
        {X86_FEATURE_BUS_LOCK_DETECT, 418, "bld"},
        {X86_FEATURE_BUS_LOCK_DETECT, 422, "bld"},
        {X86_FEATURE_ADDR_MASK_EXT, 418, NULL},
        {X86_FEATURE_ADDR_MASK_EXT, 419, "addr-msk-ext"},
        {X86_FEATURE_MCU_ENUM, 420, NULL},
        {X86_FEATURE_MCU_ENUM, 421, "mcu-ext"},
        {X86_FEATURE_LA57, 419, NULL},
        {X86_FEATURE_LA57, 420, "la57"},
        {X86_FEATURE_APX_F, 422, NULL},
        {X86_FEATURE_HWP, 422, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = release_feature_name(rows[i].xen, rows[i].feature);

        if (!rows[i].name)
            assert_null(name);
        else
            assert_string_equal(name, rows[i].name);
    }
    assert_int_equal(feature_by_name("bld", 3), X86_FEATURE_BUS_LOCK_DETECT);
    assert_int_equal(feature_by_name("No_Invd", 7), X86_FEATURE_INVD_DISABLE);
    assert_int_equal(feature_by_name("bl", 2), -ENOENT);
    assert_int_equal(feature_by_name("", 0), -ENOENT);
}

/* What a release does not know counts as the nearest that is known. */
static void releases_have_ends(void **state)
{
    (void)state;
    assert_false(release_is_known(XEN_OLDEST - 1));
    assert_false(release_is_known(XEN_NEWEST + 1));
    assert_false(release_is_known(0));
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        char text[8];

        assert_true(release_is_known(xen));
        snprintf(text, sizeof(text), "%u.%u", xen / 100, xen % 100);
        assert_non_null(strstr(XEN_RELEASES_TEXT, text));
        /* What is named stays so. */
        assert_true(featureset_subset(release_names(xen - 1), release_names(xen)));
        for (enum guest_type type = GUEST_PV; type < GUEST_TYPES; type++) {
            assert_true(
                featureset_subset(release_guest_default(xen, type), release_guest_max(xen, type)));
            assert_true(featureset_subset(release_guest_max(xen, type), release_names(xen)));
            if (type != GUEST_PV)
                assert_true(featureset_subset(release_guest_max(xen, type - 1),
                                              release_guest_max(xen, type)));
        }
    }
    assert_ptr_equal(release_names(0), release_names(XEN_OLDEST));
    assert_ptr_equal(release_guest_max(9999, GUEST_PV), release_guest_max(XEN_NEWEST, GUEST_PV));
}

static void rows_have_names_that_lead_back(void **state)
{
    unsigned int rows = 0;

    (void)state;
    for (unsigned int f = 0; f < FEATURESET_BITS + 64; f++) {
        const struct feature_info *info = feature_info(f);
        char other[64], position[32];
        int len;

        assert_int_equal(featureset_test(featureset_known(), f), info != NULL);
        if (!info)
            continue;
        rows++;
        assert_int_equal(info->feature, f);
        assert_int_equal(feature_by_name(info->name, strlen(info->name)), f);
        assert_true(info->description[0] != '\0');
        for (size_t i = 0; i <= strlen(info->name); i++)
            other[i] = info->name[i] == '-' ? '_' : (char)toupper((unsigned char)info->name[i]);
        assert_int_equal(feature_by_name(other, strlen(other)), f);
        len = snprintf(position, sizeof(position), "%s:%u", featureset_word_info(f / 32)->name,
                       f % 32);
        assert_int_equal(feature_by_name(position, (size_t)len), f);
        for (unsigned int g = 0; g < f; g++)
            if (feature_info(g))
                assert_string_not_equal(info->name, feature_info(g)->name);
    }
    assert_int_equal(rows, NR_FEATURES);
    assert_int_equal(featureset_count(featureset_known()), NR_FEATURES);
}

static void names_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",        "-",      "fp",     "fpuu",   "avx512-", "zzz",    "0",      ":",     "7b0",
        "7b0:",    "7b0:32", "7b0:99", "7b0:-1", "7b0:1x",  "7b0:1/", "7b0:/1", "7b9:1", ":5",
        "7b0:001", "7b0 :1", "7b0::1", "x7b0:1", "7b:0",    " fpu",   "fpu ",   "fpu\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (feature_by_name(bad[i], strlen(bad[i])) != -ENOENT)
            fail_msg("\"%s\" is taken for a feature", bad[i]);
    /* The length counts, not a NUL; a NUL inside is a character like another. */
    assert_int_equal(feature_by_name("fpuxyz", 3), X86_FEATURE_FPU);
    assert_int_equal(feature_by_name("fpu\0", 4), -ENOENT);
    assert_int_equal(feature_by_name("fpu\0x", 5), -ENOENT);
    assert_int_equal(feature_by_name("7b0:22", 6), 5 * 32 + 22);
    assert_int_equal(feature_by_name("DA1:3", 5), X86_FEATURE_XSAVES);
    assert_int_equal(feature_by_name("m10ah:30", 8), X86_FEATURE_ITS_NO);
    assert_int_equal(feature_by_name("7b0:22x", 6), 5 * 32 + 22);
}

static void words_and_locations(void **state)
{
    static const struct {
        unsigned int feature;
        const char *location;
    } known[] = {
        {X86_FEATURE_FPU, "1.edx[0]"},
        {X86_FEATURE_HYPERVISOR, "1.ecx[31]"},
        {X86_FEATURE_LM, "80000001.edx[29]"},
        {X86_FEATURE_SVM, "80000001.ecx[2]"},
        {X86_FEATURE_XSAVES, "d.1.eax[3]"},
        {X86_FEATURE_AVX2, "7.0.ebx[5]"},
        {X86_FEATURE_CLZERO, "80000008.ebx[0]"},
        {X86_FEATURE_ITSC, "80000007.edx[8]"},
        {X86_FEATURE_CNXT_ID, "1.ecx[10]"},
        {X86_FEATURE_SGX, "7.0.ebx[2]"},
        {X86_FEATURE_UMIP, "7.0.ecx[2]"},
        {X86_FEATURE_SSBD, "7.0.edx[31]"},
        {X86_FEATURE_FRED, "7.1.eax[17]"},
        {X86_FEATURE_INTEL_PPIN, "7.1.ebx[0]"},
        {X86_FEATURE_MSR_IMM, "7.1.ecx[5]"},
        {X86_FEATURE_AVX10, "7.1.edx[19]"},
        {X86_FEATURE_MCDT_NO, "7.2.edx[5]"},
        {X86_FEATURE_CPUID_USER_DIS, "80000021.eax[17]"},
        {X86_FEATURE_TSA_L1_NO, "80000021.ecx[2]"},
        {X86_FEATURE_RDCL_NO, "msr 10a.eax[0]"},
        {X86_FEATURE_ITS_NO, "msr 10a.edx[30]"},
        {X86_FEATURE_HWP, "6.eax[7]"},
        {X86_FEATURE_EPB, "6.ecx[3]"},
        {X86_FEATURE_NO_EVENT_CYCLES, "a.ebx[0]"},
        {X86_FEATURE_CMT_L3, "f.0.edx[1]"},
        {X86_FEATURE_MBM_LOCAL, "f.1.edx[2]"},
        {5 * 32 + 22, "7.0.ebx[22]"}, /* no name, a place all the same */
    };
    static const char *const registers[] = {"eax", "ebx", "ecx", "edx"};
    char text[32], tight[32];

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t len = strlen(known[i].location);

        assert_int_equal(feature_location(known[i].feature, text, sizeof(text)), len);
        assert_string_equal(text, known[i].location);
        memset(tight, '#', sizeof(tight));
        assert_int_equal(feature_location(known[i].feature, tight, len), -ENOSPC);
        assert_int_equal(tight[0], '#');
        assert_int_equal(feature_location(known[i].feature, tight, len + 1), len);
        assert_int_equal(tight[len + 1], '#');
    }
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        const char *word = featureset_word_info(f / 32)->location;

        snprintf(tight, sizeof(tight), "%s[%u]", word, f % 32);
        assert_int_equal(feature_location(f, text, sizeof(text)), strlen(tight));
        assert_string_equal(text, tight);
    }
    assert_int_equal(feature_location(FEATURESET_BITS, text, sizeof(text)), -EINVAL);
    assert_null(featureset_word_info(FEATURESET_WORDS));
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        const struct featureset_word_info *info = featureset_word_info(i);
        bool is_msr = i == FEATURESET_m10Al || i == FEATURESET_m10Ah;

        assert_int_equal(info->msr, is_msr ? 0x10a : UINT32_MAX);
        assert_int_equal(info->leaf == UINT32_MAX, is_msr);
        assert_int_equal(info->subleaf != UINT32_MAX,
                         info->leaf == 7 || info->leaf == 0xd || info->leaf == 0xf);
        /* What people read and what programs use say the same. */
        if (is_msr)
            snprintf(text, sizeof(text), "msr %x.%s", info->msr, registers[info->reg]);
        else if (info->subleaf != UINT32_MAX)
            snprintf(text, sizeof(text), "%x.%x.%s", info->leaf, info->subleaf,
                     registers[info->reg]);
        else
            snprintf(text, sizeof(text), "%x.%s", info->leaf, registers[info->reg]);
        assert_string_equal(info->location, text);
    }
}

static void fields_are_numbers_beside_bits(void **state)
{
    const struct featureset_field_info *field;
    struct featureset bits = {{0}};
    unsigned int n = 0;

    (void)state;
    for (; (field = featureset_field_info(n)); n++) {
        assert_true(field->word < FEATURESET_WORDS);
        assert_true(field->width > 1 && field->shift + field->width <= 32);
        for (unsigned int bit = 0; bit < field->width; bit++) {
            assert_null(feature_info(field->word * 32u + field->shift + bit));
            featureset_set(&bits, field->word * 32u + field->shift + bit);
        }
    }
    assert_true(featureset_equal(&bits, featureset_number_bits()));
    assert_int_equal(n, NR_FEATURE_FIELDS);
    assert_null(featureset_field_info(UINT32_MAX));
    /* SDM vol. 2A, leaf A: version, counters, width, length of the EBX vector. */
    for (unsigned int i = 0; i < 4; i++) {
        field = featureset_field_info(FEATURE_FIELD_PMU_VERSION + i);
        assert_int_equal(field->word, FEATURESET_Aa);
        assert_int_equal(field->shift, 8 * i);
        assert_int_equal(field->width, 8);
    }
    assert_string_equal(featureset_field_info(FEATURE_FIELD_PMU_VERSION)->name, "pmu-version");
}

static void import_of_any_length(void **state)
{
    uint32_t words[FEATURESET_WORDS + 2];
    struct featureset fs;

    (void)state;
    for (size_t n = 0; n <= FEATURESET_WORDS + 1; n++) {
        for (size_t i = 0; i < FEATURESET_WORDS + 2; i++)
            words[i] = i < FEATURESET_WORDS ? 0x10001u * (uint32_t)(i + 1) : 0;
        memset(&fs, 0xff, sizeof(fs));
        assert_int_equal(featureset_from_words(&fs, words, n), 0);
        for (size_t i = 0; i < FEATURESET_WORDS; i++)
            assert_int_equal(fs.w[i], i < n ? words[i] : 0);
        assert_int_equal(featureset_length(&fs), n < FEATURESET_WORDS ? n : FEATURESET_WORDS);
        assert_int_equal(featureset_empty(&fs), n == 0);
    }
    for (size_t beyond = 0; beyond < 2; beyond++) {
        memset(&fs, 0xff, sizeof(fs));
        memset(words, 0, sizeof(words));
        words[FEATURESET_WORDS + beyond] = 0x80000000u;
        words[0] = 1;
        assert_int_equal(featureset_from_words(&fs, words, FEATURESET_WORDS + 2), -E2BIG);
        assert_true(featureset_empty(&fs));
        /* What n does not reach is not read. */
        assert_int_equal(featureset_from_words(&fs, words, FEATURESET_WORDS + beyond), 0);
        assert_int_equal(fs.w[0], 1);
    }
    assert_int_equal(featureset_from_words(&fs, NULL, 0), 0);
}

/* Every verb, bit by bit, on sets of every density. */
static void verbs_bit_by_bit(void **state)
{
    (void)state;
    random_state = 0x9e3779b97f4a7c15u;
    for (unsigned int round = 0; round < 200; round++) {
        struct featureset a, b, both, either, only;
        unsigned int count = 0;
        bool subset = true;
        int next;

        random_set(&a);
        random_set(&b);
        if (round % 4 == 0)
            featureset_or(&b, &b, &a);
        featureset_and(&both, &a, &b);
        featureset_or(&either, &a, &b);
        featureset_andnot(&only, &a, &b);
        next = featureset_next(&a, 0);
        for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
            bool in_a = a.w[f / 32] >> (f % 32) & 1, in_b = b.w[f / 32] >> (f % 32) & 1;

            assert_int_equal(featureset_test(&a, f), in_a);
            assert_int_equal(featureset_test(&both, f), in_a && in_b);
            assert_int_equal(featureset_test(&either, f), in_a || in_b);
            assert_int_equal(featureset_test(&only, f), in_a && !in_b);
            count += in_a;
            subset &= !in_a || in_b;
            if (in_a) {
                assert_int_equal(next, f);
                assert_int_equal(featureset_next(&a, f), f);
                next = featureset_next(&a, f + 1);
            }
        }
        assert_int_equal(next, -1);
        assert_int_equal(featureset_count(&a), count);
        assert_int_equal(featureset_subset(&a, &b), subset);
        assert_true(featureset_subset(&both, &a) && featureset_subset(&a, &either));
        assert_true(featureset_equal(&a, &a));
        assert_int_equal(featureset_equal(&a, &b), !memcmp(&a, &b, sizeof(a)));
        featureset_and(&a, &a, &b); /* in place */
        assert_true(featureset_equal(&a, &both));
    }
}

/* One bit in one word must be enough for each of the questions. */
static void one_bit_matters(void **state)
{
    static const struct featureset none;

    (void)state;
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        struct featureset fs = none;

        featureset_set(&fs, f);
        assert_true(featureset_test(&fs, f));
        assert_false(featureset_empty(&fs));
        assert_false(featureset_equal(&fs, &none));
        assert_false(featureset_subset(&fs, &none));
        assert_true(featureset_subset(&none, &fs));
        assert_int_equal(featureset_count(&fs), 1);
        assert_int_equal(featureset_next(&fs, 0), f);
        assert_int_equal(featureset_next(&fs, f), f);
        assert_int_equal(featureset_next(&fs, f + 1), -1);
        assert_int_equal(featureset_length(&fs), f / 32 + 1);
        featureset_clear(&fs, f);
        assert_true(featureset_empty(&fs));
    }
    for (unsigned int f = FEATURESET_BITS; f < FEATURESET_BITS + 40; f++) {
        struct featureset fs = none;

        featureset_set(&fs, f);
        featureset_clear(&fs, f);
        assert_true(featureset_empty(&fs));
        assert_false(featureset_test(&fs, f));
        assert_null(feature_info(f));
        assert_null(feature_needs(f));
        assert_null(feature_dependents(f));
        featureset_drop(&fs, f);
    }
    assert_int_equal(featureset_next(&none, UINT32_MAX), -1);
}

/* Read the text word by word. */
static void read_back(const char *text, size_t words, struct featureset *fs)
{
    *fs = (struct featureset){{0}};
    for (size_t i = 0; i < words; i++) {
        char *end;
        unsigned long word = strtoul(text + 9 * i, &end, 16);

        assert_ptr_equal(end, text + 9 * i + 8);
        assert_int_equal(*end, i + 1 < words ? ':' : 0);
        if (i < FEATURESET_WORDS)
            fs->w[i] = (uint32_t)word;
    }
}

static void text_there_and_back(void **state)
{
    static const struct featureset bits = {{0x178bfbff, 0x80802001, 0, 0xf}};
    char text[FEATURESET_WORDS * 9 + 32];

    (void)state;
    assert_int_equal(featureset_format(&bits, 2, text, sizeof(text)), 17);
    assert_string_equal(text, "178bfbff:80802001");
    assert_int_equal(featureset_format(&bits, 0, text, 1), 0);
    assert_string_equal(text, "");
    assert_int_equal(featureset_format(&bits, 0, text, 0), -ENOSPC);
    assert_int_equal(featureset_format(&bits, SIZE_MAX, text, sizeof(text)), -ENOSPC);
    assert_int_equal(featureset_format(&bits, SIZE_MAX / 9 + 1, text, SIZE_MAX), -ENOSPC);
    assert_int_equal(featureset_format(&bits, INT32_MAX / 9 + 1, text, SIZE_MAX), -ENOSPC);
    random_state = 42;
    for (size_t words = 1; words <= FEATURESET_WORDS + 1; words++) {
        struct featureset fs, back;
        size_t len = words * 9 - 1;

        random_set(&fs);
        for (size_t i = words; i < FEATURESET_WORDS; i++)
            fs.w[i] = 0;
        memset(text, '#', sizeof(text));
        assert_int_equal(featureset_format(&fs, words, text, len), -ENOSPC);
        assert_int_equal(featureset_format(&fs, words, text, len + 1), len);
        assert_int_equal(strlen(text), len);
        assert_int_equal(text[len + 1], '#');
        read_back(text, words, &back);
        assert_true(featureset_equal(&fs, &back));
    }
}

static void merge_masks_divide_the_table(void **state)
{
    static const unsigned int hazards[] = {X86_FEATURE_RSBA, X86_FEATURE_RRSBA,
                                           X86_FEATURE_FDP_EXCP_ONLY, X86_FEATURE_NO_FPU_SEL};
    static const unsigned int dynamic[] = {X86_FEATURE_OSXSAVE, X86_FEATURE_OSPKE, X86_FEATURE_APIC,
                                           X86_FEATURE_HTT, X86_FEATURE_CMP_LEGACY};
    struct featureset all = {{0}}, overlap;

    (void)state;
    for (int merge = MERGE_CAPABILITY; merge <= MERGE_MIRROR; merge++) {
        const struct featureset *mask = featureset_merge_mask((enum feature_merge)merge);

        featureset_and(&overlap, &all, mask);
        assert_true(featureset_empty(&overlap));
        featureset_or(&all, &all, mask);
        for (unsigned int f = 0; f < FEATURESET_BITS; f++)
            if (feature_info(f))
                assert_int_equal(featureset_test(mask, f), feature_info(f)->merge == merge);
    }
    assert_true(featureset_equal(&all, featureset_known()));
    for (size_t i = 0; i < sizeof(hazards) / sizeof(hazards[0]); i++)
        assert_int_equal(feature_info(hazards[i])->merge, MERGE_HAZARD);
    for (size_t i = 0; i < sizeof(dynamic) / sizeof(dynamic[0]); i++)
        assert_int_equal(feature_info(dynamic[i])->merge, MERGE_DYNAMIC);
    assert_int_equal(featureset_count(featureset_merge_mask(MERGE_DYNAMIC)), 5);
    /* "Not available" is a warning. */
    assert_int_equal(featureset_merge_mask(MERGE_HAZARD)->w[FEATURESET_Ab], 0x1fff);
    /* APM vol. 3, 80000001h EDX: bits 9:0, 17:12, 23 and 24 repeat those of 1 EDX. */
    assert_int_equal(featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d], 0x0183f3ff);
    assert_int_equal(featureset_count(featureset_merge_mask(MERGE_MIRROR)), 18);
}

static void guest_masks_grow_with_freedom(void **state)
{
    const struct featureset *deflt[GUEST_TYPES], *max[GUEST_TYPES];

    (void)state;
    for (int type = GUEST_PV; type < GUEST_TYPES; type++) {
        deflt[type] = featureset_guest_default((enum guest_type)type);
        max[type] = featureset_guest_max((enum guest_type)type);
        assert_true(featureset_subset(deflt[type], max[type]));
        assert_true(featureset_subset(max[type], featureset_known()));
        for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
            const struct feature_info *info = feature_info(f);

            if (!info)
                continue;
            assert_int_equal(featureset_test(max[type], f), info->guests_max >> type & 1);
            assert_int_equal(featureset_test(deflt[type], f), info->guests_default >> type & 1);
        }
        if (type == GUEST_PV)
            continue;
        assert_true(featureset_subset(max[type - 1], max[type]));
        assert_true(featureset_subset(deflt[type - 1], deflt[type]));
        assert_false(featureset_equal(max[type - 1], max[type]));
    }
    /* The public ABI does not reach the last words: no hypervisor hands them out. */
    for (unsigned int i = FEATURESET_XEN_WORDS; i < FEATURESET_WORDS; i++)
        assert_int_equal(max[GUEST_HVM_HAP]->w[i], 0);
    assert_true(featureset_test(deflt[GUEST_PV], X86_FEATURE_AVX2));
    assert_false(featureset_test(max[GUEST_PV], X86_FEATURE_SMEP));
    assert_true(featureset_test(deflt[GUEST_HVM_SHADOW], X86_FEATURE_SMEP));
    assert_false(featureset_test(max[GUEST_HVM_SHADOW], X86_FEATURE_PCID));
    assert_true(featureset_test(deflt[GUEST_HVM_HAP], X86_FEATURE_PCID));
    assert_true(featureset_test(max[GUEST_HVM_HAP], X86_FEATURE_VMX));
    assert_false(featureset_test(deflt[GUEST_HVM_HAP], X86_FEATURE_VMX));
    assert_true(featureset_test(max[GUEST_PV], X86_FEATURE_ITSC));
    assert_false(featureset_test(deflt[GUEST_PV], X86_FEATURE_ITSC));
}

/* needs[f][p]: f stands on p, found by applying the rows until nothing changes. */
static bool needs[FEATURESET_BITS][FEATURESET_BITS];

static void follow_rules_slowly(void)
{
    bool changed = true;

    memset(needs, 0, sizeof(needs));
    while (changed) {
        changed = false;
        for (size_t i = 0; i < NR_FEATURE_NEEDS; i++) {
            unsigned int high = feature_needs_direct[i].feature,
                         low = feature_needs_direct[i].needs;

            for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
                if ((f == low || needs[low][f]) && !needs[high][f]) {
                    needs[high][f] = true;
                    changed = true;
                }
            }
        }
    }
}

static void closures_on_all_pairs(void **state)
{
    unsigned int pairs = 0;

    (void)state;
    follow_rules_slowly();
    for (unsigned int high = 0; high < FEATURESET_BITS; high++) {
        const struct featureset *below = feature_needs(high);

        assert_false(needs[high][high]);
        assert_int_equal(featureset_test(featureset_prerequisites(), high),
                         feature_dependents(high) != NULL);
        assert_true(!below || !featureset_empty(below));
        for (unsigned int low = 0; low < FEATURESET_BITS; low++) {
            const struct featureset *above = feature_dependents(low);

            assert_true(!above || !featureset_empty(above));
            assert_int_equal(below && featureset_test(below, low), needs[high][low]);
            assert_int_equal(above && featureset_test(above, high), needs[high][low]);
            pairs += needs[high][low];
        }
    }
    assert_true(pairs > NR_FEATURE_NEEDS);
    /* Chains that a person knows. */
    assert_true(needs[X86_FEATURE_AVX512_VBMI2][X86_FEATURE_XSAVE]);
    assert_true(needs[X86_FEATURE_AMX_INT8][X86_FEATURE_PAE]);
    assert_true(needs[X86_FEATURE_ITS_NO][X86_FEATURE_ARCH_CAPS]);
    assert_true(needs[X86_FEATURE_OSPKE][X86_FEATURE_LM]);
    /* A 32-bit program on an Intel CPU does not see it. */
    assert_null(feature_dependents(X86_FEATURE_SYSCALL));
}

/* Whoever looks only at the words that the table names must miss nothing. */
static void words_of_dependents(void **state)
{
    (void)state;
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        const struct featureset *set = feature_dependents(f);

        for (unsigned int i = 0; set && i < FEATURESET_WORDS; i++)
            assert_int_equal(feature_dependents_words[feature_dependents_at[f] - 1] >> i & 1,
                             set->w[i] != 0);
    }
}

/* What may be offered must be able to stand. */
static void guest_masks_are_closed(void **state)
{
    (void)state;
    for (int type = GUEST_PV; type < GUEST_TYPES; type++) {
        const struct featureset *masks[] = {featureset_guest_max((enum guest_type)type),
                                            featureset_guest_default((enum guest_type)type)};

        for (int i = 0; i < 2; i++) {
            struct featureset closed = *masks[i];

            featureset_close(&closed, NULL);
            assert_true(featureset_equal(&closed, masks[i]));
        }
    }
}

static void close_slowly(struct featureset *fs)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < NR_FEATURE_NEEDS; i++) {
            if (featureset_test(fs, feature_needs_direct[i].feature) &&
                !featureset_test(fs, feature_needs_direct[i].needs)) {
                featureset_clear(fs, feature_needs_direct[i].feature);
                changed = true;
            }
        }
    }
}

static void close_is_the_fixed_point(void **state)
{
    static const struct featureset none;
    struct featureset all;

    (void)state;
    memset(&all, 0xff, sizeof(all));
    random_state = 7;
    for (unsigned int round = 0; round < 1000; round++) {
        struct featureset fs, slow, fast, quiet, dropped, lost;

        random_set(&fs);
        if (round >= 2) { /* nearly everything there: long chains fall */
            for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
                fs.w[i] = ~(fs.w[i] & random32() & random32() & random32());
        }
        if (round < 2)
            fs = round ? all : none;
        slow = fast = quiet = fs;
        close_slowly(&slow);
        memset(&dropped, 0xff, sizeof(dropped));
        featureset_close(&fast, &dropped);
        featureset_close(&quiet, NULL);
        assert_true(featureset_equal(&slow, &fast));
        assert_true(featureset_equal(&slow, &quiet));
        featureset_andnot(&lost, &fs, &slow);
        assert_true(featureset_equal(&lost, &dropped));
        featureset_close(&fast, &dropped);
        assert_true(featureset_empty(&dropped));
    }
}

static void drop_takes_the_dependents(void **state)
{
    struct featureset all;

    (void)state;
    follow_rules_slowly();
    memset(&all, 0xff, sizeof(all));
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        struct featureset fs = all;

        featureset_drop(&fs, f);
        for (unsigned int g = 0; g < FEATURESET_BITS; g++)
            assert_int_equal(featureset_test(&fs, g), g != f && !needs[g][f]);
    }
}

/* The register of a dump's line that is a word of featuresets goes there. */
static void take_leaf(struct featureset *fs, unsigned int leaf, unsigned int subleaf,
                      const unsigned int regs[4])
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        const struct featureset_word_info *info = featureset_word_info(i);

        if (info->leaf == leaf && (info->subleaf == UINT32_MAX ? 0 : info->subleaf) == subleaf)
            fs->w[i] = regs[info->reg];
    }
}

static void read_dump(const char *path, struct featureset *fs)
{
    FILE *file = fopen(path, "r");
    unsigned int lines = 0;
    char line[256];

    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    *fs = (struct featureset){{0}};
    while (fgets(line, sizeof(line), file)) {
        unsigned int leaf, subleaf, r[4];

        if (sscanf(line, " %x %x: eax=%x ebx=%x ecx=%x edx=%x", &leaf, &subleaf, &r[0], &r[1],
                   &r[2], &r[3]) != 6)
            continue;
        take_leaf(fs, leaf, subleaf, r);
        lines++;
    }
    fclose(file);
    if (lines < 10)
        fail_msg("%s: only %u leaves", path, lines);
}

/* Prints the rules that the processor breaks, and counts them. */
static unsigned int broken_rules(const char *cpu, const struct featureset *fs)
{
    unsigned int broken = 0;

    for (size_t i = 0; i < NR_FEATURE_REAL_NEEDS; i++) {
        unsigned int high = feature_needs_direct[i].feature, low = feature_needs_direct[i].needs;

        if (featureset_test(fs, high) && !featureset_test(fs, low)) {
            print_error("%s: %s without %s\n", cpu, feature_info(high)->name,
                        feature_info(low)->name);
            broken++;
        }
    }
    return broken;
}

/* A rule that a real processor breaks is a wrong rule. */
static void real_processors_keep_the_rules(void **state)
{
    DIR *dir = opendir(TEST_DATA);
    unsigned int dumps = 0, broken = 0;
    struct dirent *entry;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        struct featureset fs, closed, dropped;
        unsigned int here;
        char path[1024];

        if (!strstr(entry->d_name, ".cpuid"))
            continue;
        snprintf(path, sizeof(path), TEST_DATA "/%s", entry->d_name);
        read_dump(path, &fs);
        dumps++;
        /* Read in the right places: each of these processors has 64 bits, and SSE3. */
        assert_true(featureset_test(&fs, X86_FEATURE_LM));
        assert_true(featureset_test(&fs, X86_FEATURE_SSE3));
        here = broken_rules(entry->d_name, &fs);
        /* What falls in a guest falls by Xen's own rules, which Zen 2 alone of them breaks. */
        closed = fs;
        featureset_close(&closed, &dropped);
        assert_int_equal(featureset_empty(&dropped),
                         here == 0 && !strstr(entry->d_name, "castle-peak"));
        broken += here;
    }
    closedir(dir);
    assert_true(dumps >= 21);
    assert_int_equal(broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abi_bits_are_in_the_table),
        cmocka_unit_test(the_table_names_abi_bits_only),
        cmocka_unit_test(release_masks_are_the_compiled_ones),
        cmocka_unit_test(spelled_by_release),
        cmocka_unit_test(releases_have_ends),
        cmocka_unit_test(rows_have_names_that_lead_back),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(words_and_locations),
        cmocka_unit_test(fields_are_numbers_beside_bits),
        cmocka_unit_test(import_of_any_length),
        cmocka_unit_test(verbs_bit_by_bit),
        cmocka_unit_test(one_bit_matters),
        cmocka_unit_test(text_there_and_back),
        cmocka_unit_test(merge_masks_divide_the_table),
        cmocka_unit_test(guest_masks_grow_with_freedom),
        cmocka_unit_test(closures_on_all_pairs),
        cmocka_unit_test(words_of_dependents),
        cmocka_unit_test(guest_masks_are_closed),
        cmocka_unit_test(close_is_the_fixed_point),
        cmocka_unit_test(drop_takes_the_dependents),
        cmocka_unit_test(real_processors_keep_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
