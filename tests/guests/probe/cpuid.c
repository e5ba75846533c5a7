/* SPDX-License-Identifier: MIT */
/* The whole of CPUID as it was at boot, and what is different now. */
#include "probe.h"

enum { MAX_LEAVES = 512, MAX_SUBLEAVES = 64, LEAVES_PER_RANGE = 0x40 };

struct entry {
    uint32_t leaf, subleaf;
    bool has_subleaves;
    struct cpuid_regs regs;
};

struct snapshot {
    unsigned int n;
    struct entry entry[MAX_LEAVES];
};

static struct snapshot boot, now;
static uint64_t last_digest;

static void add(struct snapshot *s, uint32_t leaf, uint32_t subleaf, bool has_subleaves,
                struct cpuid_regs regs)
{
    if (s->n < MAX_LEAVES)
        s->entry[s->n++] = (struct entry){leaf, subleaf, has_subleaves, regs};
}

/* Is subleaf `i` there, given subleaf 0 and itself? The ways to tell are the SDM's (vol. 2A, CPUID)
 * and the APM's (vol. 3, E). */
static bool has_subleaf(uint32_t leaf, uint32_t i, const struct cpuid_regs *first,
                        const struct cpuid_regs *r)
{
    switch (leaf) {
    case 0x4:
    case 0x8000001d:
        return r->reg[0] & 0x1f; /* cache type */
    case 0xb:
    case 0x1f:
    case 0x80000026:
        return r->reg[2] & 0xff00; /* level type */
    case 0x7:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1d:
    case 0x20:
    case 0x23:
    case 0x24:
        return i <= first->reg[0]; /* highest subleaf */
    case 0xd:
        return true; /* a component may be anywhere */
    case 0xf:
    case 0x1e:
        return i <= 1;
    case 0x10:
    case 0x12:
    case 0x19:
    case 0x1b:
    case 0x80000020:
        return i <= 4;
    }
    return false;
}

static bool has_subleaves(uint32_t leaf)
{
    static const uint32_t leaves[] = {
        0x4,  0x7,  0xb,  0xd,  0xf,  0x10, 0x12, 0x14,       0x17,       0x18,       0x19,
        0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x23, 0x24, 0x8000001d, 0x80000020, 0x80000026,
    };

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        if (leaves[i] == leaf)
            return true;
    return false;
}

static void take_leaf(struct snapshot *s, uint32_t leaf)
{
    struct cpuid_regs first = cpuid(leaf, 0), r = first;

    if (!has_subleaves(leaf)) {
        add(s, leaf, 0, false, first);
        return;
    }
    add(s, leaf, 0, true, first);
    for (uint32_t i = 1; i < MAX_SUBLEAVES; i++) {
        r = cpuid(leaf, i);
        if (!has_subleaf(leaf, i, &first, &r))
            break;
        if (r.reg[0] | r.reg[1] | r.reg[2] | r.reg[3])
            add(s, leaf, i, true, r);
    }
}

static void take_range(struct snapshot *s, uint32_t base)
{
    uint32_t max = cpuid(base, 0).reg[0];

    if (max < base || max - base >= LEAVES_PER_RANGE)
        max = max < base ? base : base + LEAVES_PER_RANGE - 1;
    for (uint32_t leaf = base; leaf <= max; leaf++)
        take_leaf(s, leaf);
}

/* The hypervisor's own leaves (0x4000xxxx) are left out: they describe the host's clock. */
static void take(struct snapshot *s)
{
    s->n = 0;
    take_range(s, 0);
    if (cpuid(0x80000000, 0).reg[0] >> 16 == 0x8000)
        take_range(s, 0x80000000);
}

/* FNV-1a, 64 bit */
static uint64_t digest(const struct snapshot *s)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (unsigned int i = 0; i < s->n; i++) {
        const struct entry *e = &s->entry[i];
        const uint32_t words[6] = {e->leaf,        e->subleaf,     e->regs.reg[0],
                                   e->regs.reg[1], e->regs.reg[2], e->regs.reg[3]};

        for (int w = 0; w < 6; w++)
            for (int b = 0; b < 32; b += 8)
                h = (h ^ ((words[w] >> b) & 0xff)) * 0x100000001b3ull;
    }
    return h;
}

static const struct entry *find(const struct snapshot *s, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned int i = 0; i < s->n; i++)
        if (s->entry[i].leaf == leaf && s->entry[i].subleaf == subleaf)
            return &s->entry[i];
    return NULL;
}

/* Leaves that are not there read as zeros. */
static void name_difference(const struct entry *a, const struct entry *b)
{
    static const char *const names[4] = {"eax", "ebx", "ecx", "edx"};
    static const struct cpuid_regs none;
    const struct entry *e = a ? a : b;
    const struct cpuid_regs *x = a ? &a->regs : &none, *y = b ? &b->regs : &none;

    for (int i = 0; i < 4; i++) {
        if (x->reg[i] == y->reg[i])
            continue;
        if (e->has_subleaves)
            print("changed leaf %x.%x %s %w -> %w", e->leaf, e->subleaf, names[i], x->reg[i],
                  y->reg[i]);
        else
            print("changed leaf %x %s %w -> %w", e->leaf, names[i], x->reg[i], y->reg[i]);
    }
}

static void name_differences(void)
{
    for (unsigned int i = 0; i < boot.n; i++)
        name_difference(&boot.entry[i], find(&now, boot.entry[i].leaf, boot.entry[i].subleaf));
    for (unsigned int i = 0; i < now.n; i++)
        if (!find(&boot, now.entry[i].leaf, now.entry[i].subleaf))
            name_difference(NULL, &now.entry[i]);
}

void cpuid_boot(bool dump)
{
    take(&boot);
    last_digest = digest(&boot);
    for (unsigned int i = 0; dump && i < boot.n; i++) {
        const struct entry *e = &boot.entry[i];

        print("leaf %x.%x %w %w %w %w", e->leaf, e->subleaf, e->regs.reg[0], e->regs.reg[1],
              e->regs.reg[2], e->regs.reg[3]);
    }
}

uint64_t cpuid_check(void)
{
    uint64_t d;

    take(&now);
    d = digest(&now);
    if (d != last_digest) {
        name_differences();
        if (d == digest(&boot))
            print("cpuid is again what it was at boot");
        last_digest = d;
    }
    return d;
}
