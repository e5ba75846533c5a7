/* SPDX-License-Identifier: MIT */
/*
 * A line that stalls, and savers that are not alone with their domain: the domain goes on where it
 * was, and is what it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xen/sched.h>

#include "inproc.h"
#include "srpair.h"

static struct srpair pair;
static struct domain *saving;

static int suspend(void *data)
{
    const int *reason = data;

    domain_shutdown(saving, (uint8_t)*reason);
    return 0;
}

static int save_to(int fd, struct domain *d, bool live, unsigned int patience, int reason)
{
    const struct xc_save_options options = {
        .live = live, .by_reference = live, .dirty_threshold = 1, .patience = patience};
    const struct xc_save_callbacks cb = {.suspend = suspend, .data = &reason};

    saving = d;
    inproc_forget();
    return xc_domain_save(pair.xsrc, fd, d->id, &options, &cb, NULL);
}

/* One that has no room for the stream, also when it is made as large as it can be. */
static void small_pipe(int ends[2])
{
    static const char filling[900 << 10];

    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
    assert_int_equal(write(ends[1], filling, sizeof(filling)), sizeof(filling));
}

/* Nobody reads: wherever it is in the stream when the line is full. */
static void nobody_reads(void **state)
{
    static const int kinds[] = {0, SOCK_STREAM};

    (void)state;
    srpair_boot(&pair, "intel-haswell-ep", "intel-haswell-ep");
    for (unsigned int i = 0; i < 4; i++) {
        struct domain *d = srpair_guest(&pair, SCRIPT_WRITER, NULL);
        int ends[2], rc, flags;

        if (kinds[i % 2])
            assert_int_equal(socketpair(AF_UNIX, kinds[i % 2], 0, ends), 0);
        else
            small_pipe(ends);
        (void)sim_host_run(pair.src, 300);
        flags = fcntl(ends[1], F_GETFL);
        rc = save_to(ends[1], d, i / 2, 60, SHUTDOWN_suspend);
        assert_int_equal(rc, -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_true(inproc_said("the line is stalled, it has taken nothing for 60 ms"));
        assert_int_equal(fcntl(ends[1], F_GETFL), flags); /* others have it too */
        assert_false(d->memory.log_dirty);
        srguest_require_goes_on(pair.src, d, srguest_notes(d, 0).ticks);
        domain_destroy(d);
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
    srpair_halt(&pair);
}

/* Nobody writes, from any byte on: what has come so far has not run. */
static void nobody_writes(void **state)
{
    static const size_t after[] = {0, 3, 24, 39, 100, 3000, 9000, 60000};
    const struct xc_save_options options = {.checksums = true};
    const struct xc_restore_options patient = {.patience = 30};
    const struct xc_restore_callbacks cb = {.data = NULL};
    struct xc_restore_result result;
    struct domain *d, *there;
    uint8_t *bytes;
    size_t size;

    (void)state;
    srpair_boot(&pair, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&pair, SCRIPT_STEADY, NULL);
    (void)sim_host_run(pair.src, 100);
    assert_int_equal(srpair_save(&pair, d, &options, 0, 0, NULL), 0);
    bytes = srpair_contents(&pair, &size);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], bytes, after[i]), after[i]);
        there = srpair_make(&pair, d);
        inproc_forget();
        assert_int_equal(xc_domain_restore(pair.xdst, ends[0], there->id, &patient, &cb, &result),
                         -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_true(inproc_said("nothing has come for 30 ms"));
        assert_int_equal(there->pause_count, 1); /* as it was made */
        domain_destroy(there);
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
    free(bytes);
    srpair_halt(&pair);
}

/* It crashes when it is to suspend: that is not undone by resuming it. */
static void a_crash_stays_one(void **state)
{
    (void)state;
    srpair_boot(&pair, "intel-haswell-ep", "intel-haswell-ep");
    for (int live = 0; live < 2; live++) {
        struct domain *d = srpair_guest(&pair, SCRIPT_STEADY, NULL);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)sim_host_run(pair.src, 100);
        assert_int_equal(save_to(null, d, live, 0, SHUTDOWN_crash), -1);
        assert_true(inproc_said("is not suspended"));
        assert_true(d->shutdown);
        assert_int_equal(d->shutdown_reason, SHUTDOWN_crash);
        assert_false(d->memory.log_dirty);
        (void)close(null);
    }
    srpair_halt(&pair);
}

/* A saver that was killed has left the log on. */
static void a_log_that_was_left_on(void **state)
{
    const struct xc_save_options options = {.live = true, .dirty_threshold = 1};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    srpair_boot(&pair, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&pair, SCRIPT_WRITER, NULL);
    (void)sim_host_run(pair.src, 300);
    assert_int_equal(log_dirty_enable(d), 0);
    (void)sim_host_run(pair.src, 100);
    assert_int_equal(srpair_save(&pair, d, &options, 5, 0, NULL), 0);
    assert_false(d->memory.log_dirty);
    there = srpair_receive(&pair, d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_true(simguest_digest(there) == simguest_digest(d));
    assert_int_equal(domain_unpause(there), 0);
    srguest_require_goes_on(pair.dst, there, srguest_notes(d, 0).ticks);
    srpair_halt(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_reads),
        cmocka_unit_test(nobody_writes),
        cmocka_unit_test(a_crash_stays_one),
        cmocka_unit_test(a_log_that_was_left_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
