/* SPDX-License-Identifier: MIT */
/* Featuresets: bitmaps of features, their text forms, and questions to features.def. */
#include <cpuid-policy/featureset.h>

#include "features-gen.h"
#include "private.h"

int featureset_from_words(struct featureset *fs, const uint32_t *words, size_t n)
{
    size_t known = n < FEATURESET_WORDS ? n : FEATURESET_WORDS;

    *fs = (struct featureset){{0}};
    for (size_t i = known; i < n; i++)
        if (words[i])
            return -E2BIG;
    for (size_t i = 0; i < known; i++)
        fs->w[i] = words[i];
    return 0;
}

size_t featureset_length(const struct featureset *fs)
{
    size_t n = FEATURESET_WORDS;

    while (n > 0 && !fs->w[n - 1])
        n--;
    return n;
}

void featureset_and(struct featureset *dst, const struct featureset *a, const struct featureset *b)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        dst->w[i] = a->w[i] & b->w[i];
}

void featureset_or(struct featureset *dst, const struct featureset *a, const struct featureset *b)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        dst->w[i] = a->w[i] | b->w[i];
}

void featureset_andnot(struct featureset *dst, const struct featureset *a,
                       const struct featureset *b)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        dst->w[i] = a->w[i] & ~b->w[i];
}

bool featureset_subset(const struct featureset *a, const struct featureset *of)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        if (a->w[i] & ~of->w[i])
            return false;
    return true;
}

bool featureset_equal(const struct featureset *a, const struct featureset *b)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        if (a->w[i] != b->w[i])
            return false;
    return true;
}

bool featureset_empty(const struct featureset *fs)
{
    return featureset_length(fs) == 0;
}

unsigned int featureset_count(const struct featureset *fs)
{
    unsigned int count = 0;

    /* One step a set bit: a compiler's popcount may be a call into a library that is not there. */
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        for (uint32_t rest = fs->w[i]; rest; rest &= rest - 1)
            count++;
    return count;
}

int featureset_next(const struct featureset *fs, unsigned int from)
{
    uint32_t mask = ~0u << (from % 32);

    for (unsigned int i = from / 32; i < FEATURESET_WORDS; i++, mask = ~0u)
        if (fs->w[i] & mask)
            return (int)(i * 32 + (unsigned int)__builtin_ctz(fs->w[i] & mask));
    return -1;
}

int featureset_format(const struct featureset *fs, size_t words, char *buf, size_t size)
{
    size_t len = 0;

    /* 9 characters a word: the last one's separator is the NUL. */
    if (size == 0 || words > size / 9 || words > INT32_MAX / 9)
        return -ENOSPC;
    for (size_t i = 0; i < words; i++) {
        uint32_t word = i < FEATURESET_WORDS ? fs->w[i] : 0;

        if (i)
            buf[len++] = ':';
        for (int shift = 28; shift >= 0; shift -= 4)
            buf[len++] = "0123456789abcdef"[(word >> shift) & 0xf];
    }
    buf[len] = '\0';
    return (int)len;
}

const struct feature_info *feature_info(unsigned int feature)
{
    unsigned int row = feature < FEATURESET_BITS ? feature_row_at[feature] : 0;

    return row ? &feature_rows[row - 1] : NULL;
}

/* Names are compared in lower case, with '-' for '_'. */
static char fold_letter(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if (c == '_')
        return '-';
    return c;
}

/* < 0, 0, > 0: the given name before, equal to, after the NUL-terminated one. */
static int compare_name(const char *given, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++) {
        int difference = (unsigned char)fold_letter(given[i]) - (unsigned char)fold_letter(name[i]);

        /* A NUL inside the given name equals the end of the other: it must not run past it. */
        if (difference || !name[i])
            return difference ? difference : 1;
    }
    return name[len] ? -1 : 0;
}

/* "7b0:22" */
static int feature_by_position(const char *name, size_t len)
{
    unsigned int bit = 0;
    size_t colon = 0;

    while (colon < len && name[colon] != ':')
        colon++;
    if (colon + 1 >= len || len - colon > 3)
        return -ENOENT;
    for (size_t i = colon + 1; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -ENOENT;
        bit = bit * 10 + (unsigned int)(name[i] - '0');
    }
    if (bit > 31)
        return -ENOENT;
    for (unsigned int word = 0; word < FEATURESET_WORDS; word++)
        if (!compare_name(name, colon, featureset_words[word].name))
            return (int)(word * 32 + bit);
    return -ENOENT;
}

int feature_by_name(const char *name, size_t len)
{
    unsigned int low = 0, high = NR_FEATURES;

    while (low < high) {
        unsigned int middle = low + (high - low) / 2;
        const struct feature_info *info = &feature_rows[feature_rows_by_name[middle]];
        int order = compare_name(name, len, info->name);

        if (!order)
            return info->feature;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    for (unsigned int i = 0; i < NR_FEATURE_SPELLINGS; i++)
        if (!compare_name(name, len, feature_spellings[i].name))
            return feature_spellings[i].feature;
    return feature_by_position(name, len);
}

const struct featureset_word_info *featureset_word_info(unsigned int word)
{
    return word < FEATURESET_WORDS ? &featureset_words[word] : NULL;
}

const struct featureset_field_info *featureset_field_info(unsigned int i)
{
    return i < NR_FEATURE_FIELDS ? &featureset_fields[i] : NULL;
}

/* -EINVAL for a position outside of every word. */
int feature_location(unsigned int feature, char *buf, size_t size)
{
    unsigned int bit = feature % 32;
    const char *word;
    size_t len = 0;

    if (feature >= FEATURESET_BITS)
        return -EINVAL;
    word = featureset_words[feature / 32].location;
    while (word[len])
        len++;
    /* "[", one or two digits, "]" and NUL */
    if (size < len + (bit < 10 ? 4 : 5))
        return -ENOSPC;
    for (size_t i = 0; i < len; i++)
        buf[i] = word[i];
    buf[len++] = '[';
    if (bit >= 10)
        buf[len++] = (char)('0' + bit / 10);
    buf[len++] = (char)('0' + bit % 10);
    buf[len++] = ']';
    buf[len] = '\0';
    return (int)len;
}

const struct featureset *featureset_known(void)
{
    return &features_known;
}

const struct featureset *featureset_prerequisites(void)
{
    return &features_with_dependents;
}

const struct featureset *featureset_number_bits(void)
{
    return &features_numbers;
}

const struct featureset *featureset_merge_mask(enum feature_merge merge)
{
    return &features_by_merge[merge];
}

const struct featureset *featureset_guest_max(enum guest_type type)
{
    return &features_guest_max[type];
}

const struct featureset *featureset_guest_default(enum guest_type type)
{
    return &features_guest_default[type];
}

const struct featureset *featureset_only_hap(void)
{
    return &features_only_hap;
}

const struct featureset *feature_dependents(unsigned int feature)
{
    unsigned int set = feature < FEATURESET_BITS ? feature_dependents_at[feature] : 0;

    return set ? &feature_dependents_sets[set - 1] : NULL;
}

const struct featureset *feature_needs(unsigned int feature)
{
    unsigned int set = feature < FEATURESET_BITS ? feature_needs_at[feature] : 0;

    return set ? &feature_needs_sets[set - 1] : NULL;
}

void featureset_drop(struct featureset *fs, unsigned int feature)
{
    const struct featureset *dependents = feature_dependents(feature);

    featureset_clear(fs, feature);
    if (dependents)
        featureset_andnot(fs, fs, dependents);
}

/* Asks of what is missing what stands on it: there are fewer such features than needy ones. */
void featureset_close(struct featureset *fs, struct featureset *dropped)
{
    struct featureset missing, falling = {{0}};

    featureset_andnot(&missing, &features_with_dependents, fs);
    for (int f = featureset_next(&missing, 0); f >= 0;
         f = featureset_next(&missing, (unsigned int)f + 1))
        featureset_or(&falling, &falling, feature_dependents((unsigned int)f));
    if (dropped)
        featureset_and(dropped, fs, &falling);
    featureset_andnot(fs, fs, &falling);
}
