/* SPDX-License-Identifier: MIT */
/* Memory of domains: frames, reservations, log-dirty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include <xen/memory.h>

#include "core.h"

#define CPU     "intel-cascadelake-sp"
#define HVM_HAP (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)

static struct core *boot(uint64_t nr_pages)
{
    return core_boot(CPU, 1, nr_pages, "");
}

static void frames(void **state)
{
    struct core *c = boot(100);
    struct domain *a = core_domain(c, HVM_HAP, 1, 0), *b = core_domain(c, HVM_HAP, 1, 0);

    (void)state;
    assert_int_equal(memory_populate(a, 5), -XEN_ENOMEM); /* it may have none yet */
    a->memory.max_pages = b->memory.max_pages = 60;
    for (uint64_t gfn = 0; gfn < 60; gfn++) {
        assert_int_equal(memory_mfn(a, gfn * 5000), -XEN_ENOENT);
        assert_int_equal(memory_populate(a, gfn * 5000), 0);
        assert_true(memory_mfn(a, gfn * 5000) >= 0);
    }
    assert_int_equal(memory_populate(a, 7), -XEN_ENOMEM);
    assert_int_equal(memory_populate(a, 5000), -XEN_EEXIST);
    assert_int_equal(memory_populate(b, DOMAIN_MAX_PAGES), -XEN_EINVAL);
    for (uint64_t gfn = 0; gfn < 40; gfn++)
        assert_int_equal(memory_populate(b, gfn), 0);
    assert_int_equal(c->hv.free_pages, 0);
    assert_int_equal(memory_populate(b, 40), -XEN_ENOMEM);
    assert_int_equal(memory_release(a, 7), -XEN_ENOENT);
    assert_int_equal(memory_release(a, 5000), 0);
    assert_int_equal(memory_release(a, 5000), -XEN_ENOENT);
    assert_int_equal(a->memory.tot_pages, 59);
    assert_int_equal(memory_populate(b, 40), 0);
    domain_destroy(a);
    assert_int_equal(c->hv.free_pages, 59);
    /* What a PV domain shares with the hypervisor is a frame too. */
    a = core_domain(c, 0, 1, 0);
    assert_int_equal(c->hv.free_pages, 58);
    assert_int_equal(c->hv.frames[a->shared_info].pfn, FRAME_SHARED);
    domain_destroy(a);
    assert_int_equal(c->hv.free_pages, 59);
    core_halt(c);
}

/* No domain sees what another one left behind. */
static void no_leftovers(void **state)
{
    struct core *c = boot(11);
    struct domain *d = core_domain(c, 0, 1, 10);
    char page[4096];

    (void)state;
    memset(page, 0x5a, sizeof(page));
    for (uint64_t gfn = 0; gfn < 10; gfn++)
        assert_int_equal(memory_write(d, gfn * 4096, page, sizeof(page)), 0);
    domain_destroy(d);
    d = core_domain(c, 0, 1, 10);
    for (uint64_t gfn = 0; gfn < 10; gfn++) {
        assert_int_equal(memory_read(d, gfn * 4096, page, sizeof(page)), 0);
        for (size_t i = 0; i < sizeof(page); i++)
            assert_int_equal(page[i], 0);
    }
    core_halt(c);
}

static void access_across_pages(void **state)
{
    struct core *c = boot(100);
    struct domain *d = core_domain(c, 0, 1, 3);
    char text[5000], back[5000];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    /* Frames in an order that is not the machine's. */
    assert_int_equal(memory_release(d, 1), 0);
    assert_int_equal(memory_release(d, 0), 0);
    assert_int_equal(memory_populate(d, 1), 0);
    assert_int_equal(memory_populate(d, 0), 0);
    assert_int_equal(memory_write(d, 4000, text, sizeof(text)), 0);
    assert_int_equal(memory_read(d, 4000, back, sizeof(back)), 0);
    assert_memory_equal(text, back, sizeof(text));
    assert_int_equal(memory_read(d, 3 * 4096 - 10, back, 10), 0);
    assert_int_equal(memory_read(d, 3 * 4096 - 10, back, 11), -XEN_EFAULT);
    assert_int_equal(memory_write(d, ~0ull, text, 2), -XEN_EFAULT);
    core_halt(c);
}

static long reservation(struct core *c, unsigned int cmd, const struct domain *d,
                        const xen_pfn_t *gfns, uint64_t n, unsigned int order)
{
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = d->id};

    core_reset(c);
    HANDLE_SET(r.extent_start, core_put(c, gfns, n * sizeof(*gfns)));
    return core_call(c, __HYPERVISOR_memory_op, cmd, core_put(c, &r, sizeof(r)));
}

static long ask(struct core *c, unsigned int cmd, uint16_t domid)
{
    struct xen_memory_domain which = {domid};

    core_reset(c);
    return core_call(c, __HYPERVISOR_memory_op, cmd, core_put(c, &which, sizeof(which)));
}

static void reservations(void **state)
{
    struct core *c = boot(1000);
    struct domain *d = core_domain(c, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, 1, 0);
    struct domain *pv = core_domain(c, 0, 1, 0);
    const xen_pfn_t gfns[] = {512, 1024, 16, 0};

    (void)state;
    d->memory.max_pages = 600;
    pv->memory.max_pages = 10;
    assert_int_equal(ask(c, XENMEM_maximum_gpfn, d->id), 0);
    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, gfns, 1, 9), 1);
    assert_int_equal(d->memory.tot_pages, 512);
    assert_int_equal(ask(c, XENMEM_current_reservation, d->id), 512);
    assert_int_equal(ask(c, XENMEM_maximum_reservation, d->id), 600);
    assert_int_equal(ask(c, XENMEM_maximum_gpfn, d->id), 1023);
    /* An extent that does not fit leaves nothing of itself. */
    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, gfns + 1, 1, 9), 0);
    assert_int_equal(d->memory.tot_pages, 512);
    assert_int_equal(memory_mfn(d, 1024), -XEN_ENOENT);
    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, gfns + 1, 3, 4), 3);
    assert_int_equal(d->memory.tot_pages, 560);
    assert_int_equal(reservation(c, XENMEM_decrease_reservation, d, gfns, 4, 4), 4);
    assert_int_equal(d->memory.tot_pages, 496);
    assert_int_equal(reservation(c, XENMEM_decrease_reservation, d, gfns + 2, 2, 4), 0);

    /* A PV guest is told its machine frames, and has single frames only. */
    assert_int_equal(reservation(c, XENMEM_populate_physmap, pv, gfns, 4, 0), 4);
    assert_int_equal(*(xen_pfn_t *)core_at(c, CORE_WINDOW_BASE), memory_mfn(pv, 512));
    assert_int_equal(reservation(c, XENMEM_populate_physmap, pv, gfns, 1, 1), 0);

    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, gfns, 1, 19), 0);
    assert_int_equal(ask(c, XENMEM_current_reservation, 999), -XEN_ESRCH);
    assert_int_equal(ask(c, XENMEM_current_reservation, DOMID_SELF), 0);
    /* The machine-to-physical table is memory as well. */
    assert_int_equal(ask(c, XENMEM_maximum_ram_page, 0), 999 + M2P_CHUNK_FRAMES);
    assert_int_equal(ask(c, XENMEM_machine_memory_map, 0), -XEN_ENOSYS);
    core_halt(c);
}

/* Counts and addresses that nobody honest sends. */
static void hostile_reservations(void **state)
{
    struct core *c = boot(1000);
    struct domain *d = core_domain(c, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, 1, 0);
    struct xen_memory_reservation r = {.nr_extents = ~0ull, .domid = d->id};
    const xen_pfn_t wild[] = {~0ull, DOMAIN_MAX_PAGES - 1};
    uint64_t at;

    (void)state;
    d->memory.max_pages = 600;
    at = core_put(c, &r, sizeof(r));
    assert_int_equal(core_call(c, __HYPERVISOR_memory_op, XENMEM_populate_physmap, at), -XEN_E2BIG);
    assert_int_equal(core_call(c, __HYPERVISOR_memory_op, XENMEM_populate_physmap, 64),
                     -XEN_EFAULT);
    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, wild, 1, 0), 0);
    assert_int_equal(reservation(c, XENMEM_populate_physmap, d, wild + 1, 1, 1), 0);
    assert_int_equal(reservation(c, XENMEM_decrease_reservation, d, wild, 1, 0), 0);
    assert_int_equal(d->memory.tot_pages, 0);
    core_halt(c);
}

/* ---- log-dirty ---- */

static long shadow_op(struct core *c, struct domain *d, uint32_t op, uint64_t to, uint64_t *pages,
                      uint32_t *dirty)
{
    struct xen_domctl ctl = {.cmd = XEN_DOMCTL_shadow_op, .domain = d->id};
    long rc;

    ctl.u.shadow_op.op = op;
    ctl.u.shadow_op.pages = pages ? *pages : 0;
    HANDLE_SET(ctl.u.shadow_op.dirty_bitmap, to);
    rc = core_domctl(c, &ctl);
    if (pages)
        *pages = ctl.u.shadow_op.pages;
    if (dirty)
        *dirty = ctl.u.shadow_op.stats.dirty_count;
    return rc;
}

static void log_dirty(void **state)
{
    struct core *c = boot(1000);
    struct domain *d = core_domain(c, 0, 1, 200);
    uint64_t bitmap = core_put(c, NULL, 64), pages = 200;
    uint8_t *bits = core_at(c, bitmap);
    uint32_t dirty;

    (void)state;
    d->memory.max_pages = 1000;
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, &pages, NULL), -XEN_EINVAL);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL, NULL), 0);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL, NULL),
                     -XEN_EINVAL);
    assert_int_equal(memory_write(d, 3 * 4096 + 4095, "xy", 2), 0); /* 3 and 4 */
    assert_int_equal(memory_write(d, 3 * 4096, "x", 1), 0);
    memory_mark_dirty(d, 199);
    memory_mark_dirty(d, 1u << 30);
    memset(bits, 0xff, 64);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, &pages, &dirty), 0);
    assert_int_equal(pages, 200);
    assert_int_equal(dirty, 3);
    assert_int_equal(bits[0], 0x18);
    assert_int_equal(bits[24], 0x80);
    assert_int_equal(bits[1] | bits[12] | bits[23], 0);
    assert_int_equal(bits[25], 0xff); /* the caller's 200 bits end before */

    /* A part of it, not in whole bytes: the rest is neither told nor lost. */
    pages = 4;
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap, &pages, &dirty), 0);
    assert_int_equal(bits[0], 0x08);
    pages = 400; /* more than there is reads as clean */
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap, &pages, &dirty), 0);
    assert_int_equal(dirty, 2);
    assert_int_equal(pages, 400);
    assert_int_equal(bits[0], 0x10);
    assert_int_equal(bits[24], 0x80);
    assert_int_equal(bits[49], 0);
    assert_int_equal(bits[50], 0xff);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, &pages, &dirty), 0);
    assert_int_equal(dirty | bits[0] | bits[24], 0);

    /* A page that comes while logging is dirty, wherever it comes; so is one that goes. */
    assert_int_equal(memory_populate(d, 350), 0);
    assert_int_equal(memory_release(d, 8), 0);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, &pages, &dirty), 0);
    assert_int_equal(dirty, 2);
    assert_int_equal(bits[350 / 8], 1u << 350 % 8);
    assert_int_equal(bits[1], 1);

    /* What did not arrive is not cleaned. */
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_CLEAN, 64, &pages, NULL), -XEN_EFAULT);
    assert_int_equal(d->memory.dirty_count, 2);
    /* Without a buffer: only cleaned. */
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, &pages, &dirty), 0);
    assert_int_equal(dirty, 2);
    assert_int_equal(d->memory.dirty_count, 0);

    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL, NULL), 0);
    memory_mark_dirty(d, 3);
    assert_int_equal(d->memory.dirty_count, 0);
    assert_int_equal(shadow_op(c, d, 99, 0, NULL, NULL), -XEN_EOPNOTSUPP);
    assert_int_equal(shadow_op(c, domain_by_id(&c->hv, 0), XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL, NULL),
                     -XEN_EINVAL);
    core_halt(c);
}

/* A huge `pages` is cut, not believed. */
static void log_dirty_hostile(void **state)
{
    struct core *c = boot(1000);
    struct domain *d = core_domain(c, 0, 1, 10);
    uint64_t bitmap = core_put(c, NULL, 64), pages = ~0ull;

    (void)state;
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL, NULL), 0);
    assert_int_equal(shadow_op(c, d, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, &pages, NULL), 0);
    assert_int_equal(pages, DOMAIN_MAX_PAGES); /* 2 MiB of bitmap */
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(no_leftovers),
        cmocka_unit_test(access_across_pages),
        cmocka_unit_test(reservations),
        cmocka_unit_test(hostile_reservations),
        cmocka_unit_test(log_dirty),
        cmocka_unit_test(log_dirty_hostile),
    };

    return cmocka_run_group_tests_name("core: memory", tests, NULL, NULL);
}
