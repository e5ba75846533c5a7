/* SPDX-License-Identifier: MIT */
/*
 * Save and restore between simulated hosts in one process: what arrives is what left, what is
 * refused has changed nothing, and exactly one side runs the domain, whatever fails.
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xc_sr.h>
#include <xc_sr_stream_format.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

#include "inproc.h"
#include "simhost.h"

#define PAGES 64u

static struct sim_host *src, *dst;
static xc_handle *xsrc, *xdst;
static int stream = -1;

/* ---- a migration ---- */

struct saving {
    struct domain *d;
    unsigned int steps;  /* that the guest makes after each piece of a live save */
    unsigned int cancel; /* call it off at this call of progress(); 0: never */
    unsigned int calls;  /* of progress() */
};

static int suspend(void *data)
{
    struct saving *s = data;

    domain_shutdown(s->d, SHUTDOWN_suspend);
    return 0;
}

static int run_meanwhile(void *data, const struct xc_sr_stats *stats)
{
    struct saving *s = data;

    (void)stats;
    if (s->steps)
        (void)sim_host_run(src, s->steps);
    return ++s->calls == s->cancel;
}

static struct saving saved; /* how the last one went */

static int save(struct domain *d, const struct xc_save_options *options, unsigned int steps,
                unsigned int cancel, struct xc_sr_stats *stats)
{
    const struct xc_save_callbacks cb = {
        .suspend = suspend, .progress = run_meanwhile, .data = &saved};

    saved = (struct saving){d, steps, cancel, 0};

    if (stream >= 0)
        (void)close(stream);
    stream = memfd_create("stream", MFD_CLOEXEC);
    assert_true(stream >= 0);
    inproc_forget();
    return xc_domain_save(xsrc, stream, d->id, options, &cb, stats);
}

/* A new domain there, as the toolstack makes it. */
static struct domain *receive(const struct domain *from, bool unverified, int *rc,
                              struct xc_restore_result *result)
{
    const struct xc_domain_config config = {
        .type = XC_DOMAIN_PVH, .hap = true, .max_vcpus = from->max_vcpus};
    const struct xc_restore_options options = {.unverified = unverified};
    const struct xc_restore_callbacks cb = {.data = NULL};
    uint32_t domid;

    inproc_fail_at(0);
    assert_int_equal(xc_domain_create(xdst, &config, &domid), 0);
    assert_int_equal(xc_domain_max_vcpus(xdst, domid, from->max_vcpus), 0);
    assert_int_equal(xc_domain_max_mem(xdst, domid, PAGES * 4 + 64), 0);
    assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
    inproc_forget();
    *rc = xc_domain_restore(xdst, stream, domid, &options, &cb, result);
    return domain_by_id(&dst->hv, (uint16_t)domid);
}

static void boot(const char *from, const char *to)
{
    src = simhost_boot(from, 2, 64, 1);
    dst = simhost_boot(to, 2, 64, 2);
    xsrc = inproc_open(src);
    xdst = inproc_open(dst);
    assert_non_null(xsrc);
    assert_non_null(xdst);
    inproc_fail_at(0);
}

static void halt(void)
{
    inproc_close(xsrc);
    inproc_close(xdst);
    simhost_halt(src);
    simhost_halt(dst);
    (void)close(stream);
    stream = -1;
}

static struct domain *guest(enum sim_script script, const struct cpu_policy *policy)
{
    const struct simguest g = {script, true, 2, PAGES, 11, policy};
    struct domain *d = simguest_start(src, &g);

    assert_non_null(d);
    return d;
}

static struct sim_guest_vcpu notes(struct domain *d, uint32_t n)
{
    struct sim_guest_vcpu v;

    simguest_notes(d, n, &v);
    return v;
}

static void require_running(struct domain *d)
{
    for (uint32_t n = 0; n < 2; n++)
        if (notes(d, n).status != GUEST_RUNNING)
            fail_msg("vCPU %u: %s, leaf %llx", n, sim_guest_status_name(notes(d, n).status),
                     (unsigned long long)notes(d, n).changed_leaf);
}

/* The domain goes on there: it notices nothing and gets further than it was. */
static void require_goes_on(struct sim_host *h, struct domain *d, uint64_t ticks)
{
    assert_false(d->shutdown);
    (void)sim_host_run(h, 400);
    require_running(d);
    assert_true(notes(d, 0).ticks > ticks);
}

/* ---- what arrives is what left ---- */

static void at_every_step(void **state)
{
    static const enum sim_script scripts[] = {SCRIPT_STEADY, SCRIPT_WRITER, SCRIPT_VECTOR};
    const struct xc_save_options options = {.checksums = true};

    (void)state;
    boot("intel-cascadelake-sp", "intel-cascadelake-sp");
    for (size_t i = 0; i < 3; i++)
        for (unsigned int step = 0; step < 60; step++) {
            struct domain *d = guest(scripts[i], NULL), *there;
            struct xc_restore_result result;
            uint64_t ticks;
            int rc;

            (void)sim_host_run(src, step);
            assert_int_equal(save(d, &options, 0, 0, NULL), 0);
            there = receive(d, false, &rc, &result);
            if (rc)
                fail_msg("script %zu, step %u: %s", i, step, inproc_log());
            assert_true(simguest_digest(there) == simguest_digest(d));
            ticks = notes(d, 0).ticks;
            domain_destroy(d);
            assert_int_equal(domain_unpause(there), 0);
            require_goes_on(dst, there, ticks);
            domain_destroy(there);
        }
    halt();
}

static void live(void **state)
{
    struct xc_sr_stats stats;

    (void)state;
    boot("intel-skylake-sp", "intel-cascadelake-sp");
    for (unsigned int steps = 1; steps < 200; steps += 13) {
        const struct xc_save_options options = {
            .live = true, .checksums = steps % 2, .dirty_threshold = 1, .max_rounds = 4};
        struct domain *d = guest(SCRIPT_WRITER, NULL), *there;
        struct xc_restore_result result;
        int rc;

        (void)sim_host_run(src, 500);
        assert_int_equal(save(d, &options, steps, 0, &stats), 0);
        assert_true(stats.round >= 2 && stats.round <= 5);
        assert_true(stats.sent_pages > PAGES && stats.bytes > stats.sent_pages * 4096);
        assert_false(d->memory.log_dirty);
        there = receive(d, false, &rc, &result);
        if (rc)
            fail_msg("%s", inproc_log());
        assert_true(simguest_digest(there) == simguest_digest(d));
        assert_int_equal(result.stats.sent_pages, stats.sent_pages);
        assert_int_equal(domain_unpause(there), 0);
        require_goes_on(dst, there, notes(d, 0).ticks);
        domain_destroy(d);
        domain_destroy(there);
    }
    halt();
}

/* ---- what is refused ---- */

static void another_cpu_is_refused_by_name(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    int rc;

    (void)state;
    boot("intel-cascadelake-sp", "intel-sandybridge-ep");
    d = guest(SCRIPT_VECTOR, NULL);
    (void)sim_host_run(src, 100);
    assert_int_equal(save(d, &options, 10, 0, NULL), 0);
    there = receive(d, false, &rc, &result);
    assert_int_equal(rc, -1);
    assert_int_equal(errno, EPERM);
    assert_true(inproc_said("avx2") && inproc_said("nothing was taken"));
    assert_true(result.nr_faults > 5);
    assert_int_equal(there->memory.tot_pages, 0); /* before a byte of memory */
    domain_destroy(there);
    /* Home again. */
    domain_resume(d);
    require_goes_on(src, d, notes(d, 0).ticks);
    halt();
}

static void a_level_moves_both_ways(void **state)
{
    const struct xc_save_options options = {.live = true};
    const struct cpu_policy *hosts[2];
    struct xc_restore_result result;
    struct cpu_policy level;
    struct domain *d, *there;
    int rc;

    (void)state;
    boot("intel-cascadelake-sp", "intel-sandybridge-ep");
    hosts[0] = &dst->hv.policies[XEN_SYSCTL_cpu_policy_hvm_default];
    hosts[1] = &src->hv.policies[XEN_SYSCTL_cpu_policy_hvm_default];
    assert_int_equal(policy_level(hosts, 2, &level, NULL), 0);
    for (unsigned int way = 0; way < 4; way++) {
        struct sim_host *h = src;
        xc_handle *x = xsrc;

        d = guest(SCRIPT_VECTOR, &level);
        (void)sim_host_run(src, 300);
        assert_int_equal(save(d, &options, 5, 0, NULL), 0);
        there = receive(d, false, &rc, &result);
        if (rc)
            fail_msg("%s", inproc_log());
        assert_int_equal(domain_unpause(there), 0);
        require_goes_on(dst, there, notes(d, 0).ticks);
        domain_destroy(d);
        domain_destroy(there);
        src = dst; /* and back */
        xsrc = xdst;
        dst = h;
        xdst = x;
    }
    halt();
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
    boot("intel-nehalem-ep", "intel-nehalem-ep");
    d = guest(SCRIPT_STEADY, NULL);
    for (int unverified = 0; unverified < 2; unverified++) {
        stream = memfd_create("stream", MFD_CLOEXEC);
        assert_int_equal(write(stream, &head, sizeof(head)), sizeof(head));
        there = receive(d, unverified, &rc, &result);
        assert_int_equal(rc, -1);
        assert_int_equal(errno, unverified ? EILSEQ : EPERM); /* it goes on, and ends too early */
        assert_true(inproc_said("which CPU") || inproc_said("default CPU"));
        domain_destroy(there);
        (void)close(stream);
        stream = -1;
    }
    halt();
}

/* ---- damage ---- */

static uint8_t *contents(size_t *size)
{
    struct stat st;
    uint8_t *bytes;

    assert_int_equal(fstat(stream, &st), 0);
    *size = (size_t)st.st_size;
    bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(pread(stream, bytes, *size, 0), *size);
    return bytes;
}

static void replace(const uint8_t *bytes, size_t size)
{
    assert_int_equal(ftruncate(stream, 0), 0);
    assert_int_equal(pwrite(stream, bytes, size, 0), size);
}

/* With checksums no octet can be another, and none can be missing. */
static void no_damage_passes(void **state)
{
    const struct xc_save_options options = {.checksums = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    uint8_t *bytes;
    size_t size;
    int rc;

    (void)state;
    boot("intel-haswell-ep", "intel-haswell-ep");
    d = guest(SCRIPT_VECTOR, NULL);
    (void)sim_host_run(src, 100);
    assert_int_equal(save(d, &options, 0, 0, NULL), 0);
    bytes = contents(&size);
    for (size_t i = 0; i < size; i += i < 4096 || i > size - 4096 ? 5 : 1021) {
        bytes[i] ^= 0x10;
        replace(bytes, size);
        there = receive(d, false, &rc, &result);
        if (!rc)
            fail_msg("octet %zu of %zu was another, and nobody noticed", i, size);
        assert_true(inproc_log()[0]);
        domain_destroy(there);
        bytes[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < size; cut += cut < 4096 || cut > size - 4096 ? 7 : 4093) {
        replace(bytes, cut);
        there = receive(d, false, &rc, &result);
        if (!rc)
            fail_msg("the stream was cut at %zu of %zu", cut, size);
        domain_destroy(there);
    }
    /* Without its last checksum (40 octets in front of END's 8) what it covered is in none. */
    memmove(bytes + size - 48, bytes + size - 8, 8);
    replace(bytes, size - 40);
    there = receive(d, false, &rc, &result);
    assert_int_equal(rc, -1);
    assert_true(inproc_said("in no checksum"));
    free(bytes);
    halt();
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
    boot("intel-haswell-ep", "intel-haswell-ep");
    d = guest(SCRIPT_STEADY, NULL);
    (void)sim_host_run(src, 100);
    assert_int_equal(save(d, &options, 0, 0, NULL), 0);
    bytes = contents(&size);
    size = without_static(bytes, size);
    replace(bytes, size);
    there = receive(d, true, &rc, &result);
    assert_int_equal(rc, -1);
    assert_true(inproc_said("before STATIC_DATA_END"));
    assert_int_equal(there->memory.tot_pages, 0);
    domain_destroy(there);
    /* The same as version 2, which has no static data: only unverified. */
    bytes[15] = 2;
    replace(bytes, size);
    for (int unverified = 0; unverified < 2; unverified++) {
        there = receive(d, unverified, &rc, &result);
        assert_int_equal(rc, unverified ? 0 : -1);
        assert_true(inproc_said(unverified ? "default CPU" : "which CPU"));
        if (unverified) {
            assert_int_equal(domain_unpause(there), 0);
            require_goes_on(dst, there, notes(d, 0).ticks); /* the hosts are equal */
        }
        domain_destroy(there);
    }
    free(bytes);
    halt();
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
    boot("intel-sapphire-rapids", "amd-bergamo");
    d = guest(SCRIPT_WRITER, NULL);
    (void)sim_host_run(src, 300);
    assert_int_equal(save(d, &options, 3, 0, NULL), 0);
    bytes = contents(&size);
    f = fopen(path ? path : "/dev/null", "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    free(bytes);
    halt();
}

static void every_call_of_a_save_fails_once(void **state)
{
    const struct xc_save_options options = {.live = true, .dirty_threshold = 1};
    struct domain *d;

    (void)state;
    boot("intel-broadwell-e", "intel-broadwell-e");
    d = guest(SCRIPT_WRITER, NULL);
    (void)sim_host_run(src, 200);
    for (unsigned long at = 1;; at++) {
        uint64_t ticks = notes(d, 0).ticks;
        unsigned long calls;
        int rc;

        inproc_fail_at(at);
        rc = save(d, &options, 3, 0, NULL);
        calls = inproc_calls();
        inproc_fail_at(0);
        if (rc)
            assert_true(inproc_log()[0]);
        /* Failed or not: called off, it goes on.  (The resume itself may be what failed.) */
        if (!rc || inproc_said("does not go on"))
            domain_resume(d);
        if (d->memory.log_dirty)
            log_dirty_disable(d); /* turning it off is what failed */
        require_goes_on(src, d, ticks);
        if (calls < at)
            break;
    }
    halt();
}

static void every_call_of_a_restore_fails_once(void **state)
{
    const struct xc_save_options options = {.checksums = false};
    const struct xc_restore_options ropt = {.unverified = false};
    const struct xc_restore_callbacks cb = {.data = NULL};
    struct domain *d;

    (void)state;
    boot("intel-broadwell-e", "intel-broadwell-e");
    d = guest(SCRIPT_STEADY, NULL);
    (void)sim_host_run(src, 200);
    assert_int_equal(save(d, &options, 0, 0, NULL), 0);
    for (unsigned long at = 1;; at++) {
        const struct xc_domain_config config = {.type = XC_DOMAIN_PVH, .hap = true, .max_vcpus = 2};
        struct xc_restore_result result;
        unsigned long calls;
        uint32_t domid;
        int rc;

        inproc_fail_at(0);
        assert_int_equal(xc_domain_create(xdst, &config, &domid), 0);
        assert_int_equal(xc_domain_max_vcpus(xdst, domid, 2), 0);
        assert_int_equal(xc_domain_max_mem(xdst, domid, PAGES * 4 + 64), 0);
        assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
        inproc_forget();
        inproc_fail_at(at);
        rc = xc_domain_restore(xdst, stream, domid, &ropt, &cb, &result);
        calls = inproc_calls();
        inproc_fail_at(0);
        if (calls >= at && !rc)
            fail_msg("call %lu failed, and the restore did not", at);
        if (rc)
            assert_true(inproc_log()[0]);
        domain_destroy(domain_by_id(&dst->hv, (uint16_t)domid));
        if (calls < at) {
            assert_int_equal(rc, 0);
            break;
        }
    }
    domain_resume(d);
    require_goes_on(src, d, notes(d, 0).ticks);
    halt();
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

        boot("intel-haswell-ep", "intel-haswell-ep");
        d = guest(SCRIPT_STEADY, NULL);
        d->memory.max_pages = PAGES + 3;
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(memory_mfn(d, gfns[i]) < 0 ? memory_populate(d, gfns[i]) : 0, 0);
            assert_int_equal(memory_write(d, gfns[i] * 4096, "far", 3), 0);
        }
        (void)sim_host_run(src, 100);
        assert_int_equal(save(d, &options, 0, 0, NULL), 0);
        if (middle[k] <= 1024 || middle[k] > 998976)
            assert_true(saved.calls < 10);
        else
            assert_true(saved.calls > 50); /* it had to be found */
        e = receive(d, false, &rc, &result);
        assert_int_equal(rc, 0);
        assert_int_equal(e->memory.tot_pages, d->memory.tot_pages);
        assert_int_equal(simguest_digest(e), simguest_digest(d));
        for (size_t i = 0; i < 3; i++)
            assert_memory_equal(page_of(dst, e, gfns[i]), page_of(src, d, gfns[i]), 4096);
        halt();
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
    domain_shutdown(domain_by_id(&src->hv, 1), SHUTDOWN_suspend);
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
    boot("intel-haswell-ep", "intel-haswell-ep");
    d = guest(SCRIPT_STEADY, NULL);
    assert_int_equal(d->id, 1);
    assert_int_equal(xc_domain_save(xsrc, fd, d->id, &options, &cb, NULL), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(times, 0); /* it was never stopped */
    (void)close(fd);
    for (unsigned int at = 1, before = 0;; at++, before = times) {
        int rc;

        inproc_fail_at(at);
        rc = xc_domain_save(xsrc, null, d->id, &options, &cb, NULL);
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
    halt();
}

static void called_off(void **state)
{
    const struct xc_save_options options = {.live = true, .dirty_threshold = 1};
    struct domain *d;
    int rc = -1;

    (void)state;
    boot("amd-castle-peak", "amd-castle-peak");
    d = guest(SCRIPT_WRITER, NULL);
    (void)sim_host_run(src, 200);
    for (unsigned int at = 1; rc; at++) {
        uint64_t ticks = notes(d, 0).ticks;

        rc = save(d, &options, 3, at, NULL);
        if (rc) {
            assert_int_equal(errno, ECANCELED);
            assert_false(d->memory.log_dirty);
            require_goes_on(src, d, ticks);
        }
    }
    halt();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_step),
        cmocka_unit_test(live),
        cmocka_unit_test(another_cpu_is_refused_by_name),
        cmocka_unit_test(a_level_moves_both_ways),
        cmocka_unit_test(without_a_policy),
        cmocka_unit_test(no_damage_passes),
        cmocka_unit_test(memory_before_the_policy_is_refused),
        cmocka_unit_test(a_stream_to_keep),
        cmocka_unit_test(every_call_of_a_save_fails_once),
        cmocka_unit_test(every_call_of_a_restore_fails_once),
        cmocka_unit_test(called_off),
        cmocka_unit_test(frames_far_apart),
        cmocka_unit_test(the_caller_resumes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
