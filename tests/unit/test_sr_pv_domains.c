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
#include <xc_sr_stream_format.h>
#include <xen/sched.h>

#include "inproc.h"
#include "srpair.h"

static struct srpair pair = {.stream = -1};

static struct domain *guest(enum sim_script script, bool tree)
{
    const struct simguest g = {.script = script,
                               .tree = tree,
                               .nr_vcpus = 2,
                               .nr_pages = SRPAIR_PAGES,
                               .seed = 5};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_step),
    };

    (void)page_of;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
