/* SPDX-License-Identifier: MIT */
/*
 * Save and restore between simulated hosts in one process: what arrives is what left, what is
 * refused has changed nothing.  (What fails: test_sr_faults.c.)
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
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xc_sr.h>
#include <xc_sr_stream_format.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

#include "inproc.h"
#include "srpair.h"

static struct srpair p;

/* ---- what arrives is what left ---- */

static void at_every_step(void **state)
{
    static const enum sim_script scripts[] = {SCRIPT_STEADY, SCRIPT_WRITER, SCRIPT_VECTOR};
    const struct xc_save_options options = {.checksums = true};

    (void)state;
    srpair_boot(&p, "intel-cascadelake-sp", "intel-cascadelake-sp");
    for (size_t i = 0; i < 3; i++)
        for (unsigned int step = 0; step < 60; step++) {
            struct domain *d = srpair_guest(&p, scripts[i], NULL), *there;
            struct xc_restore_result result;
            uint64_t ticks;
            int rc;

            (void)sim_host_run(p.src, step);
            assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
            there = srpair_receive(&p, d, false, &rc, &result);
            if (rc)
                fail_msg("script %zu, step %u: %s", i, step, inproc_log());
            assert_true(simguest_digest(there) == simguest_digest(d));
            ticks = srguest_notes(d, 0).ticks;
            domain_destroy(d);
            assert_int_equal(domain_unpause(there), 0);
            srguest_require_goes_on(p.dst, there, ticks);
            domain_destroy(there);
        }
    srpair_halt(&p);
}

static void live(void **state)
{
    struct xc_sr_stats stats;

    (void)state;
    srpair_boot(&p, "intel-sandybridge-ep", "intel-ivybridge-ep");
    for (unsigned int steps = 1; steps < 200; steps += 13) {
        const struct xc_save_options options = {
            .live = true, .checksums = steps % 2, .dirty_threshold = 1, .max_rounds = 4};
        struct domain *d = srpair_guest(&p, SCRIPT_WRITER, NULL), *there;
        struct xc_restore_result result;
        int rc;

        (void)sim_host_run(p.src, 500);
        assert_int_equal(srpair_save(&p, d, &options, steps, 0, &stats), 0);
        assert_true(stats.round >= 2 && stats.round <= 5);
        assert_true(stats.sent_pages > SRPAIR_PAGES && stats.bytes > stats.sent_pages * 4096);
        assert_false(d->memory.log_dirty);
        there = srpair_receive(&p, d, false, &rc, &result);
        if (rc)
            fail_msg("%s", inproc_log());
        assert_true(simguest_digest(there) == simguest_digest(d));
        assert_int_equal(result.stats.sent_pages, stats.sent_pages);
        assert_int_equal(domain_unpause(there), 0);
        srguest_require_goes_on(p.dst, there, srguest_notes(d, 0).ticks);
        domain_destroy(d);
        domain_destroy(there);
    }
    srpair_halt(&p);
}

/* ---- over every kind of descriptor ---- */

struct changing {
    struct domain *d;
    unsigned int dirty_seen; /* rounds that have ended */
};

static int suspend_changing(void *data)
{
    struct changing *c = data;

    domain_shutdown(c->d, SHUTDOWN_suspend);
    return 0;
}

struct pump {
    int from, to;
};

/* All that comes, in odd pieces; the end of the one is the end of the other. */
static void *pump(void *data)
{
    const struct pump *q = data;
    static char buf[30011];
    ssize_t n;

    while ((n = read(q->from, buf, sizeof(buf))) > 0)
        for (ssize_t done = 0, w; n > done; done += w)
            if ((w = write(q->to, buf + done, (size_t)(n - done))) <= 0)
                break;
    (void)close(q->to);
    return NULL;
}

static void ends(bool is_socket, int fds[2])
{
    if (is_socket)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    else
        assert_int_equal(pipe(fds), 0);
}

/* A save into a pipe, a socket or a file that is opened to append, with another thread behind it
 * that reads slower; `stream` is then what came out. */
static void save_through(struct domain *d, int how, bool by_reference, struct xc_sr_stats *stats)
{
    const struct xc_save_options options = {.by_reference = by_reference};
    struct changing c = {d, 0};
    const struct xc_save_callbacks cb = {.suspend = suspend_changing, .data = &c};
    char path[] = "/tmp/test-sr-XXXXXX";
    struct pump q = {-1, -1};
    pthread_t thread;
    int fds[2] = {-1, -1}, out;

    if (p.stream >= 0)
        (void)close(p.stream);
    if (how < 2) {
        ends(how == 1, fds);
        p.stream = memfd_create("stream", MFD_CLOEXEC);
        q = (struct pump){fds[0], dup(p.stream)};
        out = fds[1];
        assert_int_equal(pthread_create(&thread, NULL, pump, &q), 0);
    } else {
        p.stream = mkstemp(path);
        out = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(p.stream >= 0 && out >= 0);
    assert_int_equal(xc_domain_save(p.xsrc, out, d->id, &options, &cb, stats), 0);
    (void)close(out);
    if (how < 2) {
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)close(fds[0]);
    }
}

static void every_kind_of_descriptor(void **state)
{
    (void)state;
    srpair_boot(&p, "intel-skylake-sp", "intel-skylake-sp");
    for (int how = 0; how < 3; how++)
        for (int to = 0; to < 4; to++) {
            struct domain *d = srpair_guest(&p, SCRIPT_WRITER, NULL), *there;
            struct xc_restore_result result;
            struct xc_sr_stats stats;
            struct pump q;
            pthread_t thread;
            struct stat st;
            int fds[2], rc;

            (void)sim_host_run(p.src, 700);
            save_through(d, how, to & 1, &stats);
            assert_int_equal(fstat(p.stream, &st), 0);
            assert_int_equal(st.st_size, stats.bytes);
            ends(to >= 2, fds);
            assert_int_equal(lseek(p.stream, 0, SEEK_SET), 0);
            q = (struct pump){p.stream, fds[1]};
            p.stream = fds[0];
            assert_int_equal(pthread_create(&thread, NULL, pump, &q), 0);
            there = srpair_receive(&p, d, false, &rc, &result);
            assert_int_equal(pthread_join(thread, NULL), 0);
            (void)close(q.from);
            if (rc)
                fail_msg("descriptors %d, %d: %s", how, to, inproc_log());
            assert_true(simguest_digest(there) == simguest_digest(d));
            domain_destroy(d);
            domain_destroy(there);
        }
    srpair_halt(&p);
}

/* ---- frames of zeros ---- */

#define ZERO_GFN  (SRPAIR_PAGES - 1) /* the script leaves it alone */
#define OTHER_GFN (SRPAIR_PAGES - 2)

static void write_last_word(struct domain *d, uint64_t gfn, uint64_t word)
{
    assert_int_equal(memory_write(d, (gfn << 12) + 4088, &word, sizeof(word)), 0);
}

/* After round 0 something, after round 1 zeros again. */
static int change_meanwhile(void *data, const struct xc_sr_stats *stats)
{
    struct changing *c = data;

    if (stats->round == c->dirty_seen || c->d->shutdown)
        return 0;
    c->dirty_seen = stats->round;
    write_last_word(c->d, ZERO_GFN, stats->round == 1 ? 0x1234 : 0);
    write_last_word(c->d, OTHER_GFN, 0);
    return 0;
}

/* Zeros, something, zeros again; and something, then zeros: what arrives is what it was last. */
static void zeros_come_and_go(void **state)
{
    (void)state;
    srpair_boot(&p, "intel-skylake-sp", "intel-skylake-sp");
    for (unsigned int rounds = 1; rounds <= 5; rounds++)
        for (int how = 0; how < 4; how++) {
            const struct xc_save_options options = {.live = how & 1,
                                                    .checksums = how & 2,
                                                    .zero_pages = true,
                                                    .dirty_threshold = 1,
                                                    .max_rounds = rounds};
            struct domain *d = srpair_guest(&p, SCRIPT_STEADY, NULL), *there;
            struct changing c = {d, 0};
            const struct xc_save_callbacks cb = {
                .suspend = suspend_changing, .progress = change_meanwhile, .data = &c};
            struct xc_restore_result result;
            struct xc_sr_stats stats;
            int rc;

            (void)sim_host_run(p.src, 100);
            write_last_word(d, OTHER_GFN, 0x5678);
            if (p.stream >= 0)
                (void)close(p.stream);
            p.stream = memfd_create("stream", MFD_CLOEXEC);
            inproc_forget();
            assert_int_equal(xc_domain_save(p.xsrc, p.stream, d->id, &options, &cb, &stats), 0);
            assert_true(stats.zero_pages > SRPAIR_PAGES / 2 && stats.sent_pages > 0);
            there = srpair_receive(&p, d, false, &rc, &result);
            if (rc)
                fail_msg("%s", inproc_log());
            assert_int_equal(result.stats.zero_pages, stats.zero_pages);
            assert_int_equal(result.stats.sent_pages, stats.sent_pages);
            assert_int_equal(there->memory.tot_pages, d->memory.tot_pages);
            assert_true(simguest_digest(there) == simguest_digest(d));
            domain_destroy(d);
            domain_destroy(there);
        }
    srpair_halt(&p);
}

/* A host whose new frames are not zeros, as of a debug build: the reader clears them. */
static void zeros_on_a_host_that_does_not_clear(void **state)
{
    const struct xc_save_options options = {.zero_pages = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-skylake-sp", "intel-skylake-sp");
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
    memset(p.dst->platform.memory, 0xc2, p.dst->platform.nr_pages * 4096);
    there = srpair_receive(&p, d, false, &rc, &result);
    if (rc)
        fail_msg("%s", inproc_log());
    assert_true(result.stats.zero_pages > SRPAIR_PAGES / 2);
    assert_true(simguest_digest(there) == simguest_digest(d));
    srpair_halt(&p);
}

/* ---- what is refused ---- */

static void another_cpu_is_refused_by_name(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-cascadelake-sp", "intel-sandybridge-ep");
    d = srpair_guest(&p, SCRIPT_VECTOR, NULL);
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 10, 0, NULL), 0);
    there = srpair_receive(&p, d, false, &rc, &result);
    assert_int_equal(rc, -1);
    assert_int_equal(errno, EPERM);
    assert_true(inproc_said("avx2") && inproc_said("nothing was taken"));
    assert_true(result.nr_faults > 5);
    assert_int_equal(there->memory.tot_pages, 0); /* before a byte of memory */
    domain_destroy(there);
    /* Home again. */
    domain_resume(d);
    srguest_require_goes_on(p.src, d, srguest_notes(d, 0).ticks);
    srpair_halt(&p);
}

static void a_level_moves_both_ways(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct policy_host hosts[2];
    struct xc_restore_result result;
    struct cpu_policy level;
    struct domain *d, *there;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-cascadelake-sp", "intel-sandybridge-ep");
    for (unsigned int i = 0; i < 2; i++) {
        const struct cpu_policy *policies = i ? p.src->hv.policies : p.dst->hv.policies;

        hosts[i] = (struct policy_host){&policies[XEN_SYSCTL_cpu_policy_hvm_max],
                                        &policies[XEN_SYSCTL_cpu_policy_hvm_default]};
    }
    assert_int_equal(policy_level(hosts, 2, &level, NULL, NULL), 0);
    for (unsigned int way = 0; way < 4; way++) {
        d = srpair_guest(&p, SCRIPT_VECTOR, &level);
        (void)sim_host_run(p.src, 300);
        assert_int_equal(srpair_save(&p, d, &options, 5, 0, NULL), 0);
        there = srpair_receive(&p, d, false, &rc, &result);
        if (rc)
            fail_msg("%s", inproc_log());
        assert_int_equal(domain_unpause(there), 0);
        srguest_require_goes_on(p.dst, there, srguest_notes(d, 0).ticks);
        domain_destroy(d);
        domain_destroy(there);
        srpair_swap(&p); /* and back */
    }
    srpair_halt(&p);
}

static void without_a_policy(void **state)
{
    struct {
        struct xc_sr_ihdr image;
        struct xc_sr_dhdr domain;
        struct xc_sr_rhdr end;
    } head = {{XC_SR_MARKER, __builtin_bswap32(XC_SR_IDENT), __builtin_bswap32(3), 0, 0, 0},
              {XC_SR_GUEST_HVM, XC_SR_PAGE_SHIFT, 0, 4, 17},
              {REC_STATIC_DATA_END, 0}};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-nehalem-ep", "intel-nehalem-ep");
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    for (int unverified = 0; unverified < 2; unverified++) {
        p.stream = memfd_create("stream", MFD_CLOEXEC);
        assert_int_equal(write(p.stream, &head, sizeof(head)), sizeof(head));
        there = srpair_receive(&p, d, unverified, &rc, &result);
        assert_int_equal(rc, -1);
        assert_int_equal(errno, unverified ? EILSEQ : EPERM); /* it goes on, and ends too early */
        assert_true(inproc_said("which CPU") || inproc_said("default CPU"));
        domain_destroy(there);
        (void)close(p.stream);
        p.stream = -1;
    }
    srpair_halt(&p);
}

/* ---- damage ---- */

/* With checksums no byte can be another, and none can be missing. */
static void no_damage_passes(void **state)
{
    const struct xc_save_options options = {.checksums = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    uint8_t *bytes;
    size_t size;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&p, SCRIPT_VECTOR, NULL);
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
    bytes = srpair_contents(&p, &size);
    for (size_t i = 0; i < size; i += i < 4096 || i > size - 4096 ? 5 : 1021) {
        bytes[i] ^= 0x10;
        srpair_replace(&p, bytes, size);
        there = srpair_receive(&p, d, false, &rc, &result);
        if (!rc)
            fail_msg("byte %zu of %zu was another, and nobody noticed", i, size);
        assert_true(inproc_log()[0]);
        domain_destroy(there);
        bytes[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < size; cut += cut < 4096 || cut > size - 4096 ? 7 : 4093) {
        srpair_replace(&p, bytes, cut);
        there = srpair_receive(&p, d, false, &rc, &result);
        if (!rc)
            fail_msg("the stream was cut at %zu of %zu", cut, size);
        domain_destroy(there);
    }
    /* Without its last checksum (40 bytes in front of END's 8) what it covered is in none. */
    memmove(bytes + size - 48, bytes + size - 8, 8);
    srpair_replace(&p, bytes, size - 40);
    there = srpair_receive(&p, d, false, &rc, &result);
    assert_int_equal(rc, -1);
    assert_true(inproc_said("in no checksum"));
    free(bytes);
    srpair_halt(&p);
}

/* ---- whatever fails: one side runs it ---- */

/* Take the static records away, bytes[] in place; the size that is left. */
static size_t without_static(uint8_t *bytes, size_t size)
{
    size_t from = sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr), to = from;

    for (size_t length; from < size; from += length) {
        struct xc_sr_rhdr header;

        memcpy(&header, bytes + from, sizeof(header));
        length = sizeof(header) + ((header.length + 7) & ~7u);
        if (header.type >= REC_STATIC_DATA_END && header.type <= REC_X86_MSR_POLICY)
            continue;
        memmove(bytes + to, bytes + from, length);
        to += length;
    }
    return to;
}

static void memory_before_the_policy_is_refused(void **state)
{
    const struct xc_save_options options = {.live = false};
    struct xc_restore_result result;
    struct domain *d, *there;
    uint8_t *bytes;
    size_t size;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
    bytes = srpair_contents(&p, &size);
    size = without_static(bytes, size);
    srpair_replace(&p, bytes, size);
    there = srpair_receive(&p, d, true, &rc, &result);
    assert_int_equal(rc, -1);
    assert_true(inproc_said("before STATIC_DATA_END"));
    assert_int_equal(there->memory.tot_pages, 0);
    domain_destroy(there);
    /* The same as version 2, which has no static data: only unverified. */
    bytes[15] = 2;
    srpair_replace(&p, bytes, size);
    for (int unverified = 0; unverified < 2; unverified++) {
        there = srpair_receive(&p, d, unverified, &rc, &result);
        assert_int_equal(rc, unverified ? 0 : -1);
        assert_true(inproc_said(unverified ? "default CPU" : "which CPU"));
        if (unverified) {
            assert_int_equal(domain_unpause(there), 0);
            srguest_require_goes_on(p.dst, there,
                                    srguest_notes(d, 0).ticks); /* the hosts are equal */
        }
        domain_destroy(there);
    }
    free(bytes);
    srpair_halt(&p);
}

/* Valid records, of which the message must not say that there are none such. */
static void what_only_stock_xen_restores_is_named(void **state)
{
    static const struct {
        uint32_t type;
        const char *said;
    } cases[] = {{REC_CHECKPOINT, "checkpointed"}};
    const struct xc_save_options options = {.live = false};
    struct xc_restore_result result;
    struct domain *d;
    uint8_t *bytes;
    size_t size;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
    bytes = srpair_contents(&p, &size);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(bytes + size - sizeof(struct xc_sr_rhdr), &cases[i].type, sizeof(cases[i].type));
        srpair_replace(&p, bytes, size);
        domain_destroy(srpair_receive(&p, d, false, &rc, &result));
        assert_int_equal(rc, -1);
        assert_true(inproc_said(cases[i].said));
        assert_true(inproc_said("only stock Xen's own restore"));
    }
    free(bytes);
    srpair_halt(&p);
}

/* SR_STREAM=FILE keeps a stream, for verify-stream. */
static void a_stream_to_keep(void **state)
{
    const struct xc_save_options options = {
        .live = true, .checksums = !getenv("SR_PLAIN"), .dirty_threshold = 1};
    const char *path = getenv("SR_STREAM");
    struct domain *d;
    uint8_t *bytes;
    size_t size;
    FILE *f;

    (void)state;
    srpair_boot(&p, "intel-sapphire-rapids", "amd-bergamo");
    d = srpair_guest(&p, SCRIPT_WRITER, NULL);
    (void)sim_host_run(p.src, 300);
    assert_int_equal(srpair_save(&p, d, &options, 3, 0, NULL), 0);
    bytes = srpair_contents(&p, &size);
    f = fopen(path ? path : "/dev/null", "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    free(bytes);
    srpair_halt(&p);
}

/* ---- memory with holes ---- */

static uint8_t *page_of(struct sim_host *h, const struct domain *d, uint64_t gfn)
{
    int64_t mfn = memory_mfn(d, gfn);

    assert_true(mfn >= 0);
    return platform_page(&h->platform, (uint64_t)mfn);
}

/* Frames at both ends and in the middle of a large space: all arrive, and where there is nothing
 * between the ends nobody looks. */
static void frames_far_apart(void **state)
{
    static const uint64_t middle[] = {0, 1023, 1024, 70000, 500000, 998977, 999999};
    const struct xc_save_options options = {.live = false};

    (void)state;
    for (size_t k = 0; k < sizeof(middle) / sizeof(middle[0]); k++) {
        const uint64_t gfns[] = {999997, 1000000, middle[k]};
        struct xc_restore_result result;
        struct domain *d, *e;
        int rc;

        srpair_boot(&p, "intel-haswell-ep", "intel-haswell-ep");
        d = srpair_guest(&p, SCRIPT_STEADY, NULL);
        d->memory.max_pages = SRPAIR_PAGES + 3;
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(memory_mfn(d, gfns[i]) < 0 ? memory_populate(d, gfns[i]) : 0, 0);
            assert_int_equal(memory_write(d, gfns[i] * 4096, "far", 3), 0);
        }
        (void)sim_host_run(p.src, 100);
        assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
        if (middle[k] <= 1024 || middle[k] > 998976)
            assert_true(p.calls < 10);
        else
            assert_true(p.calls > 50); /* it had to be found */
        e = srpair_receive(&p, d, false, &rc, &result);
        assert_int_equal(rc, 0);
        assert_int_equal(e->memory.tot_pages, d->memory.tot_pages);
        assert_int_equal(simguest_digest(e), simguest_digest(d));
        for (size_t i = 0; i < 3; i++)
            assert_memory_equal(page_of(p.dst, e, gfns[i]), page_of(p.src, d, gfns[i]), 4096);
        srpair_halt(&p);
    }
}

/* Whoever suspended it makes it go on. */
static int resumed(void *data)
{
    ++*(unsigned int *)data;
    return 0;
}

static int suspend_it(void *data)
{
    (void)data;
    domain_shutdown(domain_by_id(&p.src->hv, 1), SHUTDOWN_suspend);
    return 0;
}

static void the_caller_resumes(void **state)
{
    const struct xc_save_options options = {.live = false};
    unsigned int times = 0;
    const struct xc_save_callbacks cb = {.suspend = suspend_it, .resume = resumed, .data = &times};
    struct domain *d;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC),
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    srpair_boot(&p, "intel-haswell-ep", "intel-haswell-ep");
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    assert_int_equal(d->id, 1);
    assert_int_equal(xc_domain_save(p.xsrc, fd, d->id, &options, &cb, NULL), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(times, 0); /* it was never stopped */
    (void)close(fd);
    for (unsigned int at = 1, before = 0;; at++, before = times) {
        int rc;

        inproc_fail_at(at);
        rc = xc_domain_save(p.xsrc, null, d->id, &options, &cb, NULL);
        if (inproc_calls() < at)
            break; /* nothing was left that could fail */
        inproc_fail_at(0);
        if (rc)
            assert_int_equal(times - before, d->shutdown); /* and nobody else has resumed it */
        if (d->shutdown)
            domain_resume(d);
    }
    inproc_fail_at(0);
    assert_true(times > 1);
    (void)close(null);
    srpair_halt(&p);
}

/* Where a record of this type begins in the stream that was saved. */
static off_t record_at(uint32_t type)
{
    off_t at = 40;
    struct xc_sr_rhdr h;

    for (;; at += 8 + (off_t)((h.length + 7) & ~7u)) {
        assert_int_equal(pread(p.stream, &h, sizeof(h), at), sizeof(h));
        if (h.type == type)
            return at;
        assert_int_not_equal(h.type, REC_END);
    }
}

/* Memory behind VERIFY is compared and never written; what differs is told. */
static void verified(void **state)
{
    const struct xc_save_options options = {.live = true, .verify = true};
    struct xc_restore_result result;
    struct xc_sr_page_data head;
    struct domain *d, *there;
    uint8_t byte;
    off_t at, page;
    int rc;

    (void)state;
    srpair_boot(&p, "intel-cascadelake-sp", "intel-cascadelake-sp");
    d = srpair_guest(&p, SCRIPT_WRITER, NULL);
    (void)sim_host_run(p.src, 50);
    assert_int_equal(srpair_save(&p, d, &options, 3, 0, NULL), 0);
    there = srpair_receive(&p, d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_false(inproc_said("the sender has"));
    assert_true(simguest_digest(there) == simguest_digest(d));
    domain_destroy(there);

    at = record_at(REC_VERIFY) + 8;
    assert_int_equal(pread(p.stream, &head, sizeof(head), at + 8), sizeof(head));
    page = at + 8 + (off_t)(sizeof(head) + head.count * sizeof(uint64_t));
    for (off_t i = 0; i < 2; i++) {
        assert_int_equal(pread(p.stream, &byte, 1, page + i * 4096), 1);
        byte ^= 1;
        assert_int_equal(pwrite(p.stream, &byte, 1, page + i * 4096), 1);
    }
    there = srpair_receive(&p, d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_true(inproc_said("2 frames are not what the sender has"));
    assert_true(simguest_digest(there) == simguest_digest(d));
    domain_destroy(there);
    srpair_halt(&p);
}

static void called_off(void **state)
{
    const struct xc_save_options options = {.live = true, .dirty_threshold = 1};
    struct domain *d;
    int rc = -1;

    (void)state;
    srpair_boot(&p, "amd-castle-peak", "amd-castle-peak");
    d = srpair_guest(&p, SCRIPT_WRITER, NULL);
    (void)sim_host_run(p.src, 200);
    for (unsigned int at = 1; rc; at++) {
        uint64_t ticks = srguest_notes(d, 0).ticks;

        rc = srpair_save(&p, d, &options, 3, at, NULL);
        if (rc) {
            assert_int_equal(errno, ECANCELED);
            assert_false(d->memory.log_dirty);
            srguest_require_goes_on(p.src, d, ticks);
        }
    }
    srpair_halt(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_step),
        cmocka_unit_test(live),
        cmocka_unit_test(every_kind_of_descriptor),
        cmocka_unit_test(zeros_come_and_go),
        cmocka_unit_test(zeros_on_a_host_that_does_not_clear),
        cmocka_unit_test(another_cpu_is_refused_by_name),
        cmocka_unit_test(a_level_moves_both_ways),
        cmocka_unit_test(without_a_policy),
        cmocka_unit_test(no_damage_passes),
        cmocka_unit_test(memory_before_the_policy_is_refused),
        cmocka_unit_test(what_only_stock_xen_restores_is_named),
        cmocka_unit_test(a_stream_to_keep),
        cmocka_unit_test(verified),
        cmocka_unit_test(called_off),
        cmocka_unit_test(frames_far_apart),
        cmocka_unit_test(the_caller_resumes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
