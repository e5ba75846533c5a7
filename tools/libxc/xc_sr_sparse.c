/* SPDX-License-Identifier: MIT */
/*
 * A large array of numbers, nearly all of which are 0.
 *
 * What a stream says about a frame has to be found by the frame's number, and who wrote the stream
 * chooses the number: a flat array would let an entry of 8 bytes make us take gigabytes.  This is
 * a tree of four levels as page tables are.
 */
#include <stdlib.h>
#include <string.h>

#include "xc_sr_private.h"

#define LEAF_BITS 6u
#define LEAF      (1u << LEAF_BITS)
#define TOP_SHIFT (LEAF_BITS + 2 * SR_SPARSE_BITS)

_Static_assert(1ull << (TOP_SHIFT + SR_SPARSE_BITS) == SR_SPARSE_MAX, "levels");

/* Where the piece is named that has number i; or, where the first table on the way there is that
 * does not exist: then *size is what it would have. */
static void **find_slot(struct sr_sparse *s, uint64_t i, size_t *size)
{
    void **table = s->top;

    for (unsigned int shift = TOP_SHIFT;; shift -= SR_SPARSE_BITS) {
        void **slot = &table[(i >> shift) % SR_SPARSE_TABLE];

        *size = shift == LEAF_BITS ? LEAF * sizeof(uint64_t) : SR_SPARSE_TABLE * sizeof(void *);
        if (!*slot || shift == LEAF_BITS)
            return slot;
        table = *slot;
    }
}

/* The piece with number i, or NULL.  The last one is at hand: frames come in their order. */
static uint64_t *leaf_of(struct sr_sparse *s, uint64_t i)
{
    size_t size;

    if (!s->last || i / LEAF != s->last_index) {
        s->last = *find_slot(s, i, &size);
        s->last_index = i / LEAF;
    }
    return s->last;
}

uint64_t *sr_sparse_at(struct sr_sparse *s, uint64_t i)
{
    uint64_t *leaf;

    while (!(leaf = leaf_of(s, i))) {
        size_t size;
        void **slot = find_slot(s, i, &size);

        *slot = calloc(1, size);
        if (!*slot)
            return NULL;
    }
    return leaf + i % LEAF;
}

uint64_t sr_sparse_get(struct sr_sparse *s, uint64_t i)
{
    const uint64_t *leaf = leaf_of(s, i);

    return leaf ? leaf[i % LEAF] : 0;
}

static void free_table(void **table, unsigned int shift)
{
    for (size_t i = 0; i < SR_SPARSE_TABLE; i++) {
        if (table[i] && shift > LEAF_BITS)
            free_table(table[i], shift - SR_SPARSE_BITS);
        free(table[i]);
    }
}

void sr_sparse_free(struct sr_sparse *s)
{
    free_table(s->top, TOP_SHIFT);
    memset(s, 0, sizeof(*s));
}
