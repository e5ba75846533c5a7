/* SPDX-License-Identifier: MIT */
/*
 * What a scripted guest remembers of CPUID: every answer, in a page of its memory.
 */
#include <string.h>

#include "guest-private.h"

/* Ranges of leaves without subleaves, and of subleaves of one leaf. */
static const struct {
    uint32_t leaf, n;
    bool subleaves;
} asked[] = {
    {0x0, 4, false},         {0x4, 8, true},          {0x5, 2, false},
    {0x7, 3, true},          {0x8, 3, false},         {0xb, 3, true},
    {0xd, 20, true},         {0xf, 2, true},          {0x14, 3, false},
    {0x19, 2, false},        {0x1d, 2, true},         {0x1e, 1, true},
    {0x1f, 4, true},         {0x24, 2, true},         {0x40000000, 3, false},
    {0x80000000u, 9, false}, {0x8000000au, 1, false}, {0x80000019u, 6, false},
    {0x80000021u, 2, false},
};
#define NR_ASKED    (sizeof(asked) / sizeof(asked[0]))
#define MAX_ANSWERS (4096 / sizeof(struct cpuid_regs))

struct answers {
    struct cpuid_regs regs[MAX_ANSWERS];
};

/* Answers that are the vCPU's place or the pCPU's, not the CPU's: a PV guest ignores them. */
static void ignore_place(const struct guest_run *run, uint32_t leaf, struct cpuid_regs *r)
{
    if (run->v->domain->hvm)
        return;
    if (leaf == 1)
        r->b &= 0x00ffffffu;
    else if (leaf == 0xb || leaf == 0x1f)
        r->d = 0;
    else if (leaf == 0x8000001eu)
        *r = (struct cpuid_regs){0};
}

static bool is_beyond(uint32_t leaf, const uint32_t limits[3])
{
    return leaf >= 0x80000000u   ? leaf > limits[2]
           : leaf >= 0x40000000u ? leaf > limits[1]
                                 : leaf > limits[0];
}

/* All of them, as a program would ask: nothing above the maxima that CPUID itself names. */
static size_t ask_all(struct guest_run *run, struct answers *answers)
{
    uint32_t limits[3];
    struct cpuid_regs r;
    size_t n = 0;

    for (unsigned int i = 0; i < 3; i++) {
        guest_ask(run, i * 0x40000000u, 0, &r);
        limits[i] = r.a;
    }
    memset(answers, 0, sizeof(*answers));
    for (unsigned int i = 0; i < NR_ASKED; i++)
        for (uint32_t k = 0; k < asked[i].n && n < MAX_ANSWERS; k++, n++) {
            uint32_t leaf = asked[i].subleaves ? asked[i].leaf : asked[i].leaf + k;

            if (is_beyond(leaf, limits))
                continue;
            guest_ask(run, leaf, asked[i].subleaves ? k : 0, &answers->regs[n]);
            ignore_place(run, leaf, &answers->regs[n]);
        }
    return n;
}

static uint64_t digest_of(const struct answers *answers)
{
    const uint32_t *w = &answers->regs[0].a;
    uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

    for (size_t i = 0; i < MAX_ANSWERS * 4; i++)
        h = (h ^ w[i]) * 0x100000001b3ull;
    return h;
}

static uint64_t address(const struct guest_run *run)
{
    return (run->v->regs.rip & ~0xfffull) + 4096ull * (1 + run->v->id);
}

void guest_remember_cpuid(struct guest_run *run)
{
    struct answers now;

    (void)ask_all(run, &now);
    run->me.digest = digest_of(&now);
    /* Without the page (a small domain with many vCPUs) there is still the digest. */
    (void)guest_write(run, address(run), &now, sizeof(now));
}

/* Which answer it is, by its place. */
static void name_answer(size_t n, uint64_t *leaf, uint64_t *subleaf)
{
    for (unsigned int i = 0; i < NR_ASKED; i++) {
        if (n < asked[i].n) {
            *leaf = asked[i].subleaves ? asked[i].leaf : asked[i].leaf + n;
            *subleaf = asked[i].subleaves ? n : 0;
            return;
        }
        n -= asked[i].n;
    }
}

bool guest_compare_cpuid(struct guest_run *run)
{
    struct answers now, then;
    size_t n = ask_all(run, &now);

    run->me.checks++;
    if (digest_of(&now) == run->me.digest)
        return true;
    run->me.status = GUEST_CPU_CHANGED;
    if (guest_read(run, address(run), &then, sizeof(then)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const uint32_t *was = &then.regs[i].a, *is = &now.regs[i].a;

        for (unsigned int reg = 0; reg < 4; reg++)
            if (was[reg] != is[reg]) {
                name_answer(i, &run->me.changed_leaf, &run->me.changed_subleaf);
                run->me.expected = was[reg];
                run->me.seen = is[reg];
                return false;
            }
    }
    return false;
}
