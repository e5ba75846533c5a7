/* SPDX-License-Identifier: MIT */
/*
 * PV domains of simulated hosts, saved and restored: their page tables, p2m and start info name
 * other machine frames there, and the guest finds all of them right, or the stream is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sim/guest-pv.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xc_sr_stream_format.h>
#include <xen/sched.h>

#include "inproc.h"
#include "srpair.h"

static struct srpair pair = {.stream = -1};

static struct domain *guest(enum sim_script script, bool tree)
{
    const struct simguest g = {
        .script = script, .tree = tree, .nr_vcpus = 2, .nr_pages = SRPAIR_PAGES, .seed = 5};

    return srpair_start(&pair, &g);
}

static void boot(const char *from, const char *to)
{
    srpair_boot(&pair, from, to);
    /* Other machine frames there than here. */
    (void)srpair_guest(&pair, SCRIPT_STEADY, NULL);
}

static void halt(void)
{
    srpair_halt(&pair);
}

static uint64_t frame_of(struct domain *d, uint64_t pfn)
{
    int64_t mfn = memory_mfn(d, pfn);

    assert_true(mfn >= 0);
    return (uint64_t)mfn;
}

static uint64_t *page_of(struct sim_host *h, struct domain *d, uint64_t pfn)
{
    return platform_page(&h->platform, frame_of(d, pfn));
}

/* Otherwise nothing of this would be a test. */
static void require_other_frames(struct domain *a, struct domain *b)
{
    uint64_t same = 0;

    for (uint64_t pfn = 0; pfn < SRPAIR_PAGES; pfn++)
        same += frame_of(a, pfn) == frame_of(b, pfn);
    assert_true(same < SRPAIR_PAGES / 4);
}

static void at_every_step(void **state)
{
    static const enum sim_script scripts[] = {SCRIPT_STEADY, SCRIPT_WRITER, SCRIPT_VECTOR};
    const struct xc_save_options options = {.checksums = true};

    (void)state;
    boot("intel-cascadelake-sp", "intel-cascadelake-sp");
    for (size_t i = 0; i < 3; i++)
        for (unsigned int step = 0; step < 40; step++) {
            struct domain *d = guest(scripts[i], step % 2), *there;
            struct xc_restore_result result;
            int rc;

            (void)sim_host_run(pair.src, step);
            if (srpair_save(&pair, d, &options, 0, 0, NULL))
                fail_msg("script %zu, step %u: %s", i, step, inproc_log());
            there = srpair_receive(&pair, d, false, &rc, &result);
            if (rc)
                fail_msg("script %zu, step %u: %s", i, step, inproc_log());
            require_other_frames(d, there);
            assert_true(simguest_digest(there) == simguest_digest(d));
            domain_destroy(d);
            assert_int_equal(domain_unpause(there), 0);
            srguest_require_goes_on(pair.dst, there, srguest_notes(there, 0).ticks);
            domain_destroy(there);
        }
    halt();
}

/* ---- while it runs ---- */

static void live(void **state)
{
    struct xc_sr_stats stats;

    (void)state;
    boot("intel-skylake-sp", "intel-skylake-sp");
    for (unsigned int steps = 1; steps < 200; steps += 13) {
        const struct xc_save_options options = {
            .live = true, .checksums = steps % 2, .dirty_threshold = 1, .max_rounds = 4};
        struct domain *d = guest(SCRIPT_WRITER, steps % 3 == 0), *there;
        struct xc_restore_result result;
        int rc;

        (void)sim_host_run(pair.src, 500);
        if (srpair_save(&pair, d, &options, steps, 0, &stats))
            fail_msg("%u steps: %s", steps, inproc_log());
        assert_true(stats.round >= 2 && stats.sent_pages > d->memory.tot_pages);
        assert_false(d->memory.log_dirty);
        there = srpair_receive(&pair, d, false, &rc, &result);
        if (rc)
            fail_msg("%u steps: %s", steps, inproc_log());
        assert_true(simguest_digest(there) == simguest_digest(d));
        assert_int_equal(domain_unpause(there), 0);
        srguest_require_goes_on(pair.dst, there, srguest_notes(d, 0).ticks);
        domain_destroy(d);
        domain_destroy(there);
    }
    halt();
}

/* There and back and there again: what one restore has left behind the next save finds. */
static void many_times(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    boot("amd-castle-peak", "amd-castle-peak");
    d = guest(SCRIPT_VECTOR, true);
    for (unsigned int turn = 0; turn < 10; turn++) {
        (void)sim_host_run(pair.src, 7);
        if (srpair_save(&pair, d, &options, 3, 0, NULL))
            fail_msg("turn %u: %s", turn, inproc_log());
        there = srpair_receive(&pair, d, false, &rc, &result);
        if (rc)
            fail_msg("turn %u: %s", turn, inproc_log());
        assert_int_equal(domain_unpause(there), 0);
        srguest_require_goes_on(pair.dst, there, srguest_notes(d, 0).ticks);
        domain_destroy(d);
        d = there;
        srpair_swap(&pair);
    }
    srpair_halt(&pair);
}

static void another_cpu_is_refused_by_name(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    boot("intel-cascadelake-sp", "intel-haswell-ep");
    d = guest(SCRIPT_VECTOR, false);
    (void)sim_host_run(pair.src, 100);
    assert_int_equal(srpair_save(&pair, d, &options, 10, 0, NULL), 0);
    there = srpair_receive(&pair, d, false, &rc, &result);
    assert_int_equal(rc, -1);
    assert_int_equal(errno, EPERM);
    assert_true(inproc_said("avx512f"));
    assert_int_equal(there->memory.tot_pages, 0);
    domain_destroy(there);
    domain_resume(d);
    srguest_require_goes_on(pair.src, d, srguest_notes(d, 0).ticks);
    halt();
}

/* An entry of a page table that is not the domain's frame, as a running one may have it for a
 * moment: of the hypervisor here, where its L1 tables have nothing. */
struct moment {
    struct domain *d;
    uint64_t *entry;
    bool stays;
};

static int come(void *data, const struct xc_sr_stats *stats)
{
    struct moment *m = data;

    if (stats->round == 0)
        *m->entry = (pair.src->hv.nr_pages << 12) | 1;
    return 0;
}

static int go(void *data)
{
    struct moment *m = data;

    if (!m->stays)
        *m->entry = 0;
    domain_shutdown(m->d, SHUTDOWN_suspend);
    return 0;
}

static int save_with(struct moment *m)
{
    const struct xc_save_options options = {.live = true};
    const struct xc_save_callbacks cb = {.suspend = go, .progress = come, .data = m};

    if (pair.stream >= 0)
        (void)close(pair.stream);
    pair.stream = memfd_create("stream", MFD_CLOEXEC);
    inproc_forget();
    return xc_domain_save(pair.xsrc, pair.stream, m->d->id, &options, &cb, NULL);
}

static void a_foreign_entry_for_a_moment(void **state)
{
    struct xc_restore_result result;
    struct sim_pv_layout l;
    struct domain *there;
    struct moment m;
    int rc;

    (void)state;
    boot("intel-haswell-ep", "intel-haswell-ep");
    m.d = guest(SCRIPT_STEADY, false);
    assert_int_equal(sim_pv_layout_of(m.d, &l), 0);
    m.entry = page_of(pair.src, m.d, l.l1) + 511;
    (void)sim_host_run(pair.src, 50);
    for (int stays = 1; stays >= 0; stays--) {
        m.stays = stays;
        /* There from the beginning: the first round has to leave the table out. */
        *m.entry = (pair.src->hv.nr_pages << 12) | 1;
        rc = save_with(&m);
        if (stays) {
            assert_int_equal(rc, -1);
            assert_true(inproc_said("entry 511 names a frame that is not the domain's"));
            *m.entry = 0;
            srguest_require_goes_on(pair.src, m.d, srguest_notes(m.d, 0).ticks);
        } else {
            assert_int_equal(rc, 0);
        }
    }
    there = srpair_receive(&pair, m.d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_int_equal(domain_unpause(there), 0);
    srguest_require_goes_on(pair.dst, there, srguest_notes(m.d, 0).ticks);
    halt();
}

/* It builds its p2m anew while it is being saved: the frames that are known of it are old ones. */
static int suspend_with_another_p2m(void *data)
{
    struct domain *d = data;
    struct shared_info *shared = platform_page(&pair.src->platform, d->shared_info);

    shared->arch.p2m_generation += 2;
    domain_shutdown(d, SHUTDOWN_suspend);
    return 0;
}

static void a_p2m_that_changes_meanwhile(void **state)
{
    struct xc_save_callbacks cb = {.suspend = suspend_with_another_p2m};
    struct domain *d;

    (void)state;
    boot("intel-haswell-ep", "intel-haswell-ep");
    cb.data = d = guest(SCRIPT_STEADY, false);
    (void)sim_host_run(pair.src, 50);
    for (int live_too = 0; live_too < 2; live_too++) {
        const struct xc_save_options options = {.live = live_too};
        uint64_t ticks = srguest_notes(d, 0).ticks;
        int stream = memfd_create("stream", MFD_CLOEXEC);

        inproc_forget();
        assert_int_equal(xc_domain_save(pair.xsrc, stream, d->id, &options, &cb, NULL), -1);
        assert_int_equal(errno, EAGAIN);
        assert_true(inproc_said("has changed the shape of its p2m"));
        srguest_require_goes_on(pair.src, d, ticks);
        (void)close(stream);
    }
    halt();
}

/* ---- a guest that lies about its p2m ---- */

static void lies(struct domain *d, const struct arch_shared_info *truth, const char *says)
{
    const struct xc_save_options options = {.live = false};
    struct shared_info *shared = platform_page(&pair.src->platform, d->shared_info);
    uint64_t ticks = srguest_notes(d, 0).ticks;

    if (!srpair_save(&pair, d, &options, 0, 0, NULL))
        fail_msg("it was saved, and should not: %s", says);
    if (!inproc_said(says))
        fail_msg("'%s' was not said, but: %s", says, inproc_log());
    shared->arch = *truth;
    srguest_require_goes_on(pair.src, d, ticks);
}

static void a_guest_that_lies(void **state)
{
    struct arch_shared_info truth, *a;
    struct sim_pv_layout l;
    struct domain *d;
    uint64_t *entry, before;

    (void)state;
    boot("intel-haswell-ep", "intel-haswell-ep");
    d = guest(SCRIPT_STEADY, false);
    assert_int_equal(sim_pv_layout_of(d, &l), 0);
    a = &((struct shared_info *)platform_page(&pair.src->platform, d->shared_info))->arch;
    truth = *a;
    a->max_pfn = 0;
    lies(d, &truth, "says that it has 0 frames");
    a->max_pfn = 1ull << 40;
    lies(d, &truth, "frames");
    a->max_pfn = l.nr_pfns * 512; /* the tables do not reach so far */
    lies(d, &truth, "its p2m is not mapped at");
    a->p2m_cr3 = xen_pfn_to_cr3(1ull << 30);
    lies(d, &truth, "which there is not");
    a->p2m_cr3 = xen_pfn_to_cr3(d->shared_info + 1 + 4000);
    lies(d, &truth, "not its own");
    a->p2m_cr3 = 0;
    a->pfn_to_mfn_frame_list_list = 0;
    lies(d, &truth, "has not said where its p2m is");
    a->p2m_cr3 = 0;
    a->pfn_to_mfn_frame_list_list = pair.src->hv.nr_pages; /* the hypervisor's */
    lies(d, &truth, "not its own");
    a->p2m_cr3 = 0;
    a->max_pfn = 1ull << 31;
    a->pfn_to_mfn_frame_list_list = frame_of(d, l.list_list);
    lies(d, &truth, "a tree of them");
    /* An entry of the p2m that is another domain's frame, and one that is twice there. */
    entry = page_of(pair.src, d, l.p2m) + l.gdt;
    before = *entry;
    *entry = frame_of(domain_by_id(&pair.src->hv, 1), 3);
    lies(d, &truth, "names a frame that is not the domain's");
    *entry = frame_of(d, 1);
    lies(d, &truth, "names a frame that is not the domain's");
    *entry = before;
    halt();
}

/* ---- damaged on purpose ---- */

/* The body of the n-th record of this type, from 0, in a stream without the layers around it. */
static uint8_t *record(uint8_t *bytes, size_t size, uint32_t type, unsigned int n)
{
    for (size_t at = sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr); at < size;) {
        struct xc_sr_rhdr header;

        memcpy(&header, bytes + at, sizeof(header));
        if (header.type == type && n-- == 0)
            return bytes + at + sizeof(header);
        at += sizeof(header) + ((header.length + 7) & ~7u);
    }
    fail_msg("no record of type %u", type);
    return NULL;
}

/* One stream, and what is where in it. */
struct image {
    uint8_t *bytes;
    size_t size;
    struct sim_pv_layout l;
    uint64_t *entries; /* of the one PAGE_DATA record */
    uint8_t *contents;
    vcpu_guest_context_t *vcpu[2];
    struct xc_sr_p2m_frames *p2m;
    struct domain *d;
};

static void image_of(struct image *m)
{
    const struct xc_save_options options = {.live = false};
    uint8_t *pages;

    m->d = guest(SCRIPT_STEADY, false);
    (void)sim_host_run(pair.src, 50);
    assert_int_equal(sim_pv_layout_of(m->d, &m->l), 0);
    assert_int_equal(srpair_save(&pair, m->d, &options, 0, 0, NULL), 0);
    m->bytes = srpair_contents(&pair, &m->size);
    pages = record(m->bytes, m->size, REC_PAGE_DATA, 0);
    m->entries = (uint64_t *)(void *)(pages + sizeof(struct xc_sr_page_data));
    m->contents = (uint8_t *)(m->entries + m->l.nr_pfns);
    for (unsigned int i = 0; i < 2; i++)
        m->vcpu[i] = (void *)(record(m->bytes, m->size, REC_X86_PV_VCPU_BASIC, i) +
                              sizeof(struct xc_sr_vcpu));
    m->p2m = (void *)record(m->bytes, m->size, REC_X86_PV_P2M_FRAMES, 0);
}

/* The contents of a frame in the stream. */
static uint64_t *in_stream(const struct image *m, uint64_t pfn)
{
    for (uint64_t i = 0; i < m->l.nr_pfns; i++)
        if ((m->entries[i] & XC_SR_PFN_MASK) == pfn)
            return (uint64_t *)(void *)(m->contents + i * 4096);
    fail_msg("frame %lu is not in the stream", (unsigned long)pfn);
    return NULL;
}

/* It is refused with these words, there is nothing left of it, and then the right one is taken. */
static void refused(const struct image *m, const char *says)
{
    uint64_t free_pages = pair.dst->hv.free_pages;
    struct xc_restore_result result;
    struct domain *there;
    int rc;

    srpair_replace(&pair, m->bytes, m->size);
    there = srpair_receive(&pair, m->d, false, &rc, &result);
    if (!rc)
        fail_msg("it was taken, and should not: %s", says);
    if (!inproc_said(says) && !simhost_said(pair.dst, says))
        fail_msg("'%s' was not said, but: %s", says, inproc_log());
    assert_int_equal(srguest_notes(m->d, 0).ticks > 0, 1);
    domain_destroy(there);
    assert_int_equal(pair.dst->hv.free_pages, free_pages);
}

/* `value` there, then refused, then as it was. */
#define REFUSED_WITH(m, lvalue, value, says)                                                       \
    do {                                                                                           \
        typeof(lvalue) was_ = (lvalue);                                                            \
        (lvalue) = (typeof(lvalue))(value);                                                        \
        refused((m), (says));                                                                      \
        (lvalue) = was_;                                                                           \
    } while (0)

static void page_tables(struct image *m)
{
    uint64_t *l1 = in_stream(m, m->l.l1), *l2 = in_stream(m, m->l.l2);
    uint64_t *l4 = in_stream(m, m->l.l4);

    REFUSED_WITH(m, l1[7], l1[7] | 0xfffffull << 12, "entry 7 is fffff");
    REFUSED_WITH(m, l2[0], l2[0] | 0x80, "entry 0 is");
    REFUSED_WITH(m, l1[511], (m->l.l1 << 12) | 3, "level 1: entry 511");
    REFUSED_WITH(m, l2[1], (5ull << 12) | 0x67, "the domain can write to it");
    REFUSED_WITH(m, l4[1], (m->l.l4 << 12) | 0x67, "it is one of another level");
    REFUSED_WITH(m, l4[2], (m->l.l2 << 12) | 0x67, "it is one of another level");
    /* A table that says it is none: its entries are frame numbers of the other host. */
    for (uint64_t i = 0; i < m->l.nr_pfns; i++)
        if ((m->entries[i] & XC_SR_PFN_MASK) == m->l.l1)
            REFUSED_WITH(m, m->entries[i], m->l.l1, "a page table of level 1: entry");
}

static void places(struct image *m)
{
    struct start_info *start = (void *)in_stream(m, m->l.start_info);
    uint64_t *p2m_frames = (uint64_t *)(m->p2m + 1);

    REFUSED_WITH(m, m->vcpu[0]->user_regs.rdx, m->l.l4, "start info would be in frame");
    REFUSED_WITH(m, m->vcpu[0]->user_regs.rdx, 1ull << 40, "which is not there");
    REFUSED_WITH(m, start->store_mfn, m->l.nr_pfns, "xenstore's ring");
    REFUSED_WITH(m, start->console.domU.mfn, m->l.l1, "the console's ring");
    REFUSED_WITH(m, p2m_frames[0], m->l.l2, "the p2m would be in frame");
    REFUSED_WITH(m, p2m_frames[0], ~0ull, "is beyond the");
    REFUSED_WITH(m, m->p2m->start_pfn, m->p2m->end_pfn + 1, "frames");
    REFUSED_WITH(m, m->p2m->end_pfn, 600, "bytes for the");
    REFUSED_WITH(m, m->p2m->end_pfn, 3, "is beyond the 4 of its");
    REFUSED_WITH(m, m->p2m->end_pfn, UINT32_MAX, "bytes for the");
}

static void vcpus(struct image *m)
{
    struct xc_sr_vcpu *head = (void *)record(m->bytes, m->size, REC_X86_PV_VCPU_BASIC, 1);
    struct xc_sr_vcpu *xsave = (void *)record(m->bytes, m->size, REC_X86_PV_VCPU_XSAVE, 0);
    uint64_t *xcr0 = (uint64_t *)(xsave + 1);

    REFUSED_WITH(m, m->vcpu[1]->ctrlreg[3], xen_pfn_to_cr3(3), "no top-level table");
    REFUSED_WITH(m, m->vcpu[1]->ctrlreg[3], xen_pfn_to_cr3(m->l.l3), "no top-level table");
    REFUSED_WITH(m, m->vcpu[0]->ctrlreg[1], xen_pfn_to_cr3(3) | 1, "no top-level table");
    REFUSED_WITH(m, m->vcpu[0]->ctrlreg[1], (1ull << 40) | 1, "its user page table");
    REFUSED_WITH(m, m->vcpu[0]->gdt_frames[0], m->l.nr_pfns, "its GDT would be in frame");
    REFUSED_WITH(m, m->vcpu[0]->gdt_frames[0], m->l.l1, "it is one of another level");
    REFUSED_WITH(m, m->vcpu[0]->gdt_ents, 8193, "a GDT of 8193 entries");
    REFUSED_WITH(m, m->vcpu[0]->gdt_ents, ~0ul, "a GDT of");
    REFUSED_WITH(m, m->vcpu[0]->ctrlreg[4], m->vcpu[0]->ctrlreg[4] | 1ull << 40, "CR4");
    REFUSED_WITH(m, head->vcpu_id, 2, "vCPU 2; the domain has 2");
    REFUSED_WITH(m, head->vcpu_id, 0, "it stands here a second time");
    REFUSED_WITH(m, head->reserved, 1, "a reserved field");
    REFUSED_WITH(m, *xcr0, *xcr0 | 1ull << 9, "XCR0");
}

static void hostile_streams(void **state)
{
    struct xc_restore_result result;
    struct domain *there;
    struct image m;
    int rc;

    (void)state;
    boot("intel-haswell-ep", "intel-haswell-ep");
    image_of(&m);
    page_tables(&m);
    places(&m);
    vcpus(&m);
    /* Nothing of all that stands in the way of the right one. */
    srpair_replace(&pair, m.bytes, m.size);
    there = srpair_receive(&pair, m.d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_int_equal(domain_unpause(there), 0);
    srguest_require_goes_on(pair.dst, there, srguest_notes(m.d, 0).ticks);
    free(m.bytes);
    halt();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_step),
        cmocka_unit_test(live),
        cmocka_unit_test(many_times),
        cmocka_unit_test(another_cpu_is_refused_by_name),
        cmocka_unit_test(a_foreign_entry_for_a_moment),
        cmocka_unit_test(a_p2m_that_changes_meanwhile),
        cmocka_unit_test(a_guest_that_lies),
        cmocka_unit_test(hostile_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
