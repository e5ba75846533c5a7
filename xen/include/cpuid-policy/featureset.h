/* SPDX-License-Identifier: MIT */
/*
 * Featuresets: every CPUID (and MSR) feature bit as one position in a bitmap.
 *
 * Words 0..18 are the hypervisor's public ABI, in its order (xen/arch-x86/cpufeatureset.h).
 * Words 19..24 are Xenlevel's own: the leaves that the ABI does not cover.  The bits themselves,
 * with what each needs, who may be offered it and how it merges, are one table: features.def.
 *
 * Freestanding: nothing here allocates, keeps state, or runs longer than the table is long.
 */
#ifndef CPUID_POLICY_FEATURESET_H
#define CPUID_POLICY_FEATURESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Word numbers.  The comment is the register the word mirrors. */
enum featureset_word {
    FEATURESET_1d = 0,     /* 1.EDX */
    FEATURESET_1c = 1,     /* 1.ECX */
    FEATURESET_e1d = 2,    /* 80000001.EDX */
    FEATURESET_e1c = 3,    /* 80000001.ECX */
    FEATURESET_Da1 = 4,    /* D.1.EAX */
    FEATURESET_7b0 = 5,    /* 7.0.EBX */
    FEATURESET_7c0 = 6,    /* 7.0.ECX */
    FEATURESET_e7d = 7,    /* 80000007.EDX */
    FEATURESET_e8b = 8,    /* 80000008.EBX */
    FEATURESET_7d0 = 9,    /* 7.0.EDX */
    FEATURESET_7a1 = 10,   /* 7.1.EAX */
    FEATURESET_e21a = 11,  /* 80000021.EAX */
    FEATURESET_7b1 = 12,   /* 7.1.EBX */
    FEATURESET_7d2 = 13,   /* 7.2.EDX */
    FEATURESET_7c1 = 14,   /* 7.1.ECX */
    FEATURESET_7d1 = 15,   /* 7.1.EDX */
    FEATURESET_m10Al = 16, /* MSR 10A, bits 31:0 */
    FEATURESET_m10Ah = 17, /* MSR 10A, bits 63:32 */
    FEATURESET_e21c = 18,  /* 80000021.ECX */
    FEATURESET_XEN_WORDS = 19,

    FEATURESET_6a = 19,  /* 6.EAX */
    FEATURESET_6c = 20,  /* 6.ECX */
    FEATURESET_Aa = 21,  /* A.EAX: four 8-bit numbers, not bits */
    FEATURESET_Ab = 22,  /* A.EBX: a set bit means "event not available" */
    FEATURESET_Fd0 = 23, /* F.0.EDX */
    FEATURESET_Fd1 = 24, /* F.1.EDX */
    FEATURESET_WORDS = 25,
};

#define FEATURESET_BITS (FEATURESET_WORDS * 32u)

struct featureset {
    uint32_t w[FEATURESET_WORDS];
};

/* Guest types, in the order of growing freedom: what PV may have, shadow may; what shadow, HAP. */
enum guest_type {
    GUEST_PV,
    GUEST_HVM_SHADOW,
    GUEST_HVM_HAP,
    GUEST_TYPES,
};

/* How a bit of several hosts becomes one bit of their level, and how a guest's is compared. */
enum feature_merge {
    MERGE_CAPABILITY, /* only where every host has it: AND; a guest's must be in the host's */
    MERGE_HAZARD,     /* as soon as one host has it: OR; a host's must be in the guest's */
    MERGE_ACCUMULATE, /* OR as well, where every host can give it; a guest's must be in the host's
                       */
    MERGE_DYNAMIC,    /* follows run-time or vCPU state: never compared, level takes AND */
    MERGE_MIRROR,     /* AMD's copy of a 1.EDX bit in 80000001.EDX: derived, never compared */
};

/* One row of features.def. */
struct feature_info {
    const char *name;        /* lower case, '-' between words: "avx512-vnni" */
    const char *description; /* a few words for people */
    uint16_t feature;        /* word * 32 + bit */
    uint8_t merge;           /* enum feature_merge */
    uint8_t guests_max;      /* bit (1 << enum guest_type): may be given, by Xen 4.17 */
    uint8_t guests_default;  /* bit (1 << enum guest_type): is given without being asked for */
    bool protects;           /* a guest that is not told leaves out a protection */
};

/* Where a word lives.  For the MSR words leaf and subleaf are UINT32_MAX and msr is set. */
struct featureset_word_info {
    const char *name;     /* "7b0", as in Xen's sources */
    const char *location; /* "7.0.ebx", as a person reads it; "msr 10a.eax" */
    uint32_t leaf;
    uint32_t subleaf; /* UINT32_MAX when the leaf has none */
    uint32_t msr;     /* UINT32_MAX for a CPUID word */
    uint8_t reg;      /* 0 eax, 1 ebx, 2 ecx, 3 edx; MSR: 0 low half, 3 high half */
};

/* A number inside a word (leaf A.EAX): compared guest <= host, levelled by minimum. */
struct featureset_field_info {
    const char *name;
    const char *description;
    uint8_t word;
    uint8_t shift;
    uint8_t width; /* bits */
};

/*
 * Import n words.  A shorter array is zero-extended.  A longer one is taken only when what is
 * beyond FEATURESET_WORDS is zero; else returns -E2BIG and leaves *fs zeroed up to the known part.
 */
int featureset_from_words(struct featureset *fs, const uint32_t *words, size_t n);

/* Returns the number of words up to and including the last that is not zero (0 for an empty set).
 */
size_t featureset_length(const struct featureset *fs);

void featureset_and(struct featureset *dst, const struct featureset *a, const struct featureset *b);
void featureset_or(struct featureset *dst, const struct featureset *a, const struct featureset *b);
void featureset_andnot(struct featureset *dst, const struct featureset *a,
                       const struct featureset *b);
bool featureset_subset(const struct featureset *a, const struct featureset *of);
bool featureset_equal(const struct featureset *a, const struct featureset *b);
bool featureset_empty(const struct featureset *fs);
unsigned int featureset_count(const struct featureset *fs);

static inline bool featureset_test(const struct featureset *fs, unsigned int feature)
{
    return feature < FEATURESET_BITS && ((fs->w[feature / 32] >> (feature % 32)) & 1u);
}

static inline void featureset_set(struct featureset *fs, unsigned int feature)
{
    if (feature < FEATURESET_BITS)
        fs->w[feature / 32] |= 1u << (feature % 32);
}

static inline void featureset_clear(struct featureset *fs, unsigned int feature)
{
    if (feature < FEATURESET_BITS)
        fs->w[feature / 32] &= ~(1u << (feature % 32));
}

/* Returns the first set feature at or after `from`, or -1.  for (f = next(fs, 0); f >= 0; f =
 * next(fs, f + 1)) */
int featureset_next(const struct featureset *fs, unsigned int from);

/*
 * Write the first `words` words into buf as Xen does, 8 hex digits a word, ':' between words
 * ("178bfbff:80802001:..."), and a NUL.  Returns the length without NUL; -ENOSPC when that is more
 * than size.
 */
int featureset_format(const struct featureset *fs, size_t words, char *buf, size_t size);

/* The table.  feature_info: NULL for a bit that has no name.  feature_by_name: -ENOENT if unknown;
 * '_' and '-' and letter case are not distinguished.  How a newer Xen spells it ("bld") and
 * "7b0:22" style positions are also accepted.
 */
const struct feature_info *feature_info(unsigned int feature);
int feature_by_name(const char *name, size_t len);
const struct featureset_word_info *featureset_word_info(unsigned int word);
/* Returns field number i (0, 1, ...) of the table; NULL past the last. */
const struct featureset_field_info *featureset_field_info(unsigned int i);

/* Write "7.0.ebx[5]" or "msr 10a.edx[30]"; returns the length or -ENOSPC.  32 bytes suffice. */
int feature_location(unsigned int feature, char *buf, size_t size);

/* Return masks computed from the table when the library is built.  What guests get is Xen 4.17's;
 * of every release: releases.h. */
const struct featureset *featureset_known(void); /* every named bit */
const struct featureset *featureset_merge_mask(enum feature_merge merge);
const struct featureset *featureset_guest_max(enum guest_type type);
const struct featureset *featureset_guest_default(enum guest_type type);
/* Returns what only HVM guests with hardware-assisted paging get, in any release. */
const struct featureset *featureset_only_hap(void);

/*
 * Dependencies.  feature_dependents: everything that falls, directly or not, when `feature` falls
 * (without itself); NULL when nothing does.  feature_needs: everything it stands on (without
 * itself); NULL when nothing.
 */
const struct featureset *feature_dependents(unsigned int feature);
const struct featureset *feature_needs(unsigned int feature);

/* Returns every feature that something stands on: those with a feature_dependents() set. */
const struct featureset *featureset_prerequisites(void);
/* Returns every bit that belongs to a number (featureset_field_info) and so is not a feature. */
const struct featureset *featureset_number_bits(void);

/* Clear `feature` and all its dependents. */
void featureset_drop(struct featureset *fs, unsigned int feature);

/*
 * Clear everything whose prerequisites are not all there.  *dropped (may be NULL) receives what
 * was cleared.  A named feature standing on a cleared one falls with it: one pass, no fixed point
 * needed, because the dependents' sets are already transitive.
 */
void featureset_close(struct featureset *fs, struct featureset *dropped);

#endif /* CPUID_POLICY_FEATURESET_H */
