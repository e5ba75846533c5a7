/* SPDX-License-Identifier: MIT */
/*
 * What a scripted guest remembers of CPUID: every answer that a policy can hold, in a page of its
 * memory.
 */
#include <string.h>

#include "guest-private.h"

/* Ranges of leaves without subleaves, and of subleaves of one leaf. */
static const struct {
    uint32_t leaf, n;
    bool subleaves;
} asked[] = {
    {0x0, 4, false}, {0x4, 8, true},         {0x5, 2, false},
    {0x7, 4, true},  {0x8, 3, false},        {0xb, 3, true},
    {0xc, 1, false}, {0xd, 20, true},        {0xe, 1, false},
    {0xf, 2, true},  {0x10, 13, false},      {0x1d, 2, true},
    {0x1e, 2, true}, {0x1f, 4, true},        {0x20, 4, false},
    {0x24, 2, true}, {0x40000000, 3, false}, {0x80000000u, 0x29, false},
};
#define NR_ASKED    (sizeof(asked) / sizeof(asked[0]))
#define MAX_ANSWERS (2048 / sizeof(struct cpuid_regs))

struct answers {
    struct cpuid_regs regs[MAX_ANSWERS];
};
_Static_assert(2 * sizeof(struct answers) == 4096, "both views are in one page");

enum view { KERNEL, PROGRAMS };

static void ask_view(struct guest_run *run, enum view view, uint32_t leaf, uint32_t subleaf,
                     struct cpuid_regs *r)
{
    if (view == KERNEL)
        guest_kernel_ask(run, leaf, subleaf, r);
    else
        guest_ask(run, leaf, subleaf, r);
}

/* Answers that are the vCPU's place or the pCPU's, not the CPU's: a PV guest ignores them. */
static void ignore_place(const struct guest_run *run, uint32_t leaf, struct cpuid_regs *r)
{
    if (run->v->domain->hvm)
        return;
    if (leaf == 1)
        r->b &= 0x00ffffffu;
    else if (leaf == 0xb || leaf == 0x1f || leaf == 0x80000026u)
        r->d = 0;
    else if (leaf == 0x8000001eu)
        *r = (struct cpuid_regs){.b = r->b & 0xffffff00u, .c = r->c & 0xffffff00u};
}

static bool is_beyond(uint32_t leaf, const uint32_t limits[3])
{
    return leaf >= 0x80000000u   ? leaf > limits[2]
           : leaf >= 0x40000000u ? leaf > limits[1]
                                 : leaf > limits[0];
}

/* The highest leaves of the three ranges.  Who is not told of a hypervisor asks for none of its
 * leaves, and what is no range has none: a CPU without them answers with anything. */
static void ask_limits(struct guest_run *run, enum view view, uint32_t limits[3])
{
    struct cpuid_regs r;

    for (uint32_t i = 0; i < 3; i++) {
        ask_view(run, view, i * 0x40000000u, 0, &r);
        limits[i] = r.a < (i + 1) * 0x40000000u && r.a >= i * 0x40000000u ? r.a : 0;
    }
    ask_view(run, view, 1, 0, &r);
    if (!(r.c >> 31))
        limits[1] = 0;
}

/* All of them, as a kernel or a program would ask: nothing above the maxima that CPUID names. */
static size_t ask_all(struct guest_run *run, enum view view, struct answers *answers)
{
    uint32_t limits[3];
    size_t n = 0;

    ask_limits(run, view, limits);
    memset(answers, 0, sizeof(*answers));
    for (unsigned int i = 0; i < NR_ASKED; i++)
        for (uint32_t k = 0; k < asked[i].n && n < MAX_ANSWERS; k++, n++) {
            uint32_t leaf = asked[i].subleaves ? asked[i].leaf : asked[i].leaf + k;

            if (is_beyond(leaf, limits))
                continue;
            ask_view(run, view, leaf, asked[i].subleaves ? k : 0, &answers->regs[n]);
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

static uint64_t address_of_view(const struct guest_run *run, enum view view)
{
    return (run->v->regs.rip & ~0xfffull) + 4096ull * (1 + run->v->id) +
           (view == PROGRAMS ? sizeof(struct answers) : 0);
}

void guest_remember_cpuid(struct guest_run *run)
{
    struct answers now;

    (void)ask_all(run, KERNEL, &now);
    run->me.digest = digest_of(&now);
    /* Without the page (a small domain with many vCPUs) there is still the digest. */
    (void)guest_write(run, address_of_view(run, KERNEL), &now, sizeof(now));
    if (run->v->domain->hvm)
        return;
    (void)ask_all(run, PROGRAMS, &now);
    (void)guest_write(run, address_of_view(run, PROGRAMS), &now, sizeof(now));
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

/* Note down the first answer that is another one. */
static void note_change(struct guest_run *run, const struct answers *then,
                        const struct answers *now, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t *was = &then->regs[i].a, *is = &now->regs[i].a;

        for (unsigned int reg = 0; reg < 4; reg++)
            if (was[reg] != is[reg]) {
                name_answer(i, &run->me.changed_leaf, &run->me.changed_subleaf);
                run->me.expected = was[reg];
                run->me.seen = is[reg];
                return;
            }
    }
}

static void compare_programs(struct guest_run *run)
{
    struct answers now, then;
    size_t n;

    if (run->v->domain->hvm || run->me.status != GUEST_RUNNING ||
        guest_read(run, address_of_view(run, PROGRAMS), &then, sizeof(then)))
        return;
    n = ask_all(run, PROGRAMS, &now);
    if (!memcmp(&now, &then, sizeof(now)))
        return;
    run->me.status = GUEST_PROGRAMS_CHANGED;
    note_change(run, &then, &now, n);
}

void guest_compare_cpuid(struct guest_run *run)
{
    struct answers now, then;
    size_t n = ask_all(run, KERNEL, &now);

    run->me.checks++;
    if (digest_of(&now) == run->me.digest) {
        compare_programs(run);
        return;
    }
    run->me.status = GUEST_CPU_CHANGED;
    if (!guest_read(run, address_of_view(run, KERNEL), &then, sizeof(then)))
        note_change(run, &then, &now, n);
}
