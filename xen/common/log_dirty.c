/* SPDX-License-Identifier: MIT */
/*
 * XEN_DOMCTL_shadow_op: which pages of a domain were written since the last look.
 */
#include <hypervisor.h>

#include <xen/errno.h>

/* Zeroes for the part of the caller's bitmap that is beyond ours. */
static int zero_guest(struct platform *p, uint64_t addr, uint64_t size)
{
    static const uint8_t zeroes[1024];

    while (size) {
        uint64_t n = size < sizeof(zeroes) ? size : sizeof(zeroes);

        if (platform_copy_to_guest(p, addr, zeroes, n))
            return -XEN_EFAULT;
        addr += n;
        size -= n;
    }
    return 0;
}

/* The first `bits` of the bitmap, in whole bytes; the caller's beyond ours reads as clean. */
static int copy_bitmap(struct domain *d, uint64_t to, uint64_t bits)
{
    struct platform *p = d->hv->platform;
    const uint8_t *dirty = (const uint8_t *)d->memory.dirty;
    uint64_t ours = bits < d->memory.nr_dirty_bits ? bits : d->memory.nr_dirty_bits;

    if (platform_copy_to_guest(p, to, dirty, ours / 8))
        return -XEN_EFAULT;
    if (ours % 8) {
        uint8_t last = (uint8_t)(dirty[ours / 8] & ((1u << ours % 8) - 1));

        if (platform_copy_to_guest(p, to + ours / 8, &last, 1))
            return -XEN_EFAULT;
    }
    return zero_guest(p, to + (ours + 7) / 8, (bits + 7) / 8 - (ours + 7) / 8);
}

/* Not the compiler's: without POPCNT that is a call into its library. */
static uint64_t count_bits(uint64_t bits)
{
    uint64_t n = 0;

    for (; bits; bits &= bits - 1)
        n++;
    return n;
}

static void clean_bits(struct domain_memory *m, uint64_t bits)
{
    uint64_t ours = bits < m->nr_dirty_bits ? bits : m->nr_dirty_bits;

    for (uint64_t i = 0; i < ours / 64; i++) {
        m->dirty_count -= count_bits(m->dirty[i]);
        m->dirty[i] = 0;
    }
    if (ours % 64) {
        uint64_t mask = (1ull << ours % 64) - 1;

        m->dirty_count -= count_bits(m->dirty[ours / 64] & mask);
        m->dirty[ours / 64] &= ~mask;
    }
}

/* Without a buffer: statistics only, and for CLEAN the whole bitmap is cleaned unseen. */
static int look_at_bitmap(struct domain *d, struct xen_domctl_shadow_op *op, bool *copyback)
{
    struct domain_memory *m = &d->memory;
    uint64_t to = HANDLE(op->dirty_bitmap);

    if (op->mode & ~(uint32_t)XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)
        return -XEN_EINVAL;
    if (!m->log_dirty)
        return -XEN_EINVAL;
    if (op->pages > DOMAIN_MAX_PAGES)
        op->pages = DOMAIN_MAX_PAGES;
    op->stats.fault_count = 0; /* writes are seen without faults here */
    op->stats.dirty_count = (uint32_t)m->dirty_count;
    if (to && copy_bitmap(d, to, op->pages))
        return -XEN_EFAULT;
    /* Only after the caller has it all: a bitmap that failed to arrive is not lost. */
    if (op->op == XEN_DOMCTL_SHADOW_OP_CLEAN)
        clean_bits(m, to ? op->pages : m->nr_dirty_bits);
    *copyback = true;
    return 0;
}

int log_dirty_op(struct domain *d, struct xen_domctl_shadow_op *op, bool *copyback)
{
    if (d->id == 0)
        return -XEN_EINVAL;
    switch (op->op) {
    case XEN_DOMCTL_SHADOW_OP_OFF:
        log_dirty_disable(d);
        return 0;
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        if (op->mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY)
            return -XEN_EINVAL;
        return log_dirty_enable(d);
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return log_dirty_enable(d);
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        return look_at_bitmap(d, op, copyback);
    default: /* shadow page tables: there are none */
        return -XEN_EOPNOTSUPP;
    }
}
