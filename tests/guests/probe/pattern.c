/* SPDX-License-Identifier: MIT */
/* Memory that holds what can be computed again: every word from its page, the page's generation and
 * its place. */
#include "probe.h"

enum {
    PAGE = 4096,
    OWN_PAGES = 64, /* 256 KB in the image */
    MAX_PAGES = OWN_PAGES + 255 * 256,
    DIRTY_PER_TICK = 32,
    SHARES = 8, /* a tick looks at one share of the further memory */
};

static uint64_t own[OWN_PAGES][PAGE / 8] __attribute__((aligned(PAGE)));
static uint64_t extra; /* physical address of the further pages */
static uint32_t pages;
static uint16_t generation[MAX_PAGES];
static uint32_t next_dirty, share;

static uint64_t *page_at(uint32_t page)
{
    return page < OWN_PAGES ? own[page] : (uint64_t *)(extra + (uint64_t)(page - OWN_PAGES) * PAGE);
}

static uint64_t seed(uint32_t page)
{
    return (page + 1) * 0x9e3779b97f4a7c15ull + generation[page] * 0xc2b2ae3d27d4eb4full;
}

static void fill(uint32_t page)
{
    uint64_t *p = page_at(page), v = seed(page);

    for (int i = 0; i < PAGE / 8; i++, v += 0x165667b19e3779f9ull)
        p[i] = v;
}

static bool right(uint32_t page)
{
    const uint64_t *p = page_at(page);
    uint64_t v = seed(page), wrong = 0;

    for (int i = 0; i < PAGE / 8; i++, v += 0x165667b19e3779f9ull)
        wrong |= p[i] ^ v;
    return !wrong;
}

unsigned int pattern_fill(uint64_t start, uint64_t end)
{
    extra = (start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    pages = OWN_PAGES + (end > extra ? (end - extra) / PAGE : 0);
    if (pages > MAX_PAGES)
        pages = MAX_PAGES;
    for (uint32_t i = 0; i < pages; i++)
        fill(i);
    return pages * (PAGE / 1024);
}

const char *pattern_check(bool all)
{
    for (uint32_t i = 0; i < pages; i++) {
        if (!all && i >= OWN_PAGES && i % SHARES != share)
            continue;
        if (!right(i)) {
            print("memory at %X is wrong", (uint64_t)(uintptr_t)page_at(i));
            return "BAD";
        }
    }
    share = (share + 1) % SHARES;
    return "ok";
}

void pattern_dirty(void)
{
    for (int i = 0; i < DIRTY_PER_TICK; i++, next_dirty = (next_dirty + 1) % pages) {
        generation[next_dirty]++;
        fill(next_dirty);
    }
}
