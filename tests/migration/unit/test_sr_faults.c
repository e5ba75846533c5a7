/* SPDX-License-Identifier: MIT */
/*
 * Each allocation, read, write and hypercall of a save and of a restore is made to fail, one at a
 * time, for each kind of guest and of save.  What fails says so in one line and has changed
 * nothing: the domain goes on where it was, and nothing is left of it where it did not arrive. What
 * only takes longer (a signal, a few bytes at a time) changes nothing at all.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <xc_sr_stream_format.h>

#include "faults.h"
#include "inproc.h"
#include "srpair.h"

#define MACHINE "intel-broadwell-e"

static struct srpair p;

/* ---- what is tried ---- */

static const struct guest {
    const char *name;
    struct simguest guest;
} guests[] = {
    {"PVH, writing",
     {.script = SCRIPT_WRITER, .hvm = true, .nr_vcpus = 2, .nr_pages = SRPAIR_PAGES, .seed = 11}},
    {"PVH, with vectors",
     {.script = SCRIPT_VECTOR, .hvm = true, .nr_vcpus = 1, .nr_pages = SRPAIR_PAGES, .seed = 12}},
    {"PV, writing", {.script = SCRIPT_WRITER, .nr_vcpus = 2, .nr_pages = SRPAIR_PAGES, .seed = 13}},
    {"PV, found by a tree",
     {.script = SCRIPT_STEADY, .tree = true, .nr_vcpus = 1, .nr_pages = SRPAIR_PAGES, .seed = 14}},
};

static const struct way {
    const char *name;
    struct xc_save_options options;
    unsigned int steps; /* that the guest makes meanwhile */
} ways[] = {
    {"plain", {.live = false}, 0},
    {"plain, with sums", {.checksums = true}, 0},
    {"live", {.live = true, .dirty_threshold = 1}, 3},
    {"live, with sums", {.live = true, .checksums = true, .dirty_threshold = 1}, 3},
    {"live, and idle", {.live = true, .checksums = true}, 0},
};

/* Each of these is the end of it. */
static const struct fault fatal_out[] = {
    {FAULT_ALLOC, ENOMEM, 0}, {FAULT_WRITE, EIO, 0}, {FAULT_WRITE, ENOSPC, 0},
    {FAULT_WRITE, EPIPE, 0},  {FAULT_HOST, 0, 0},
};
static const struct fault fatal_in[] = {
    {FAULT_ALLOC, ENOMEM, 0},
    {FAULT_READ, EIO, 0},
    {FAULT_READ, 0, 0},
    {FAULT_HOST, 0, 0},
};
/* And these are not. */
static const struct fault harmless_out[] = {{FAULT_WRITE, EINTR, 0},
                                            {FAULT_WRITE, EAGAIN, 0}, /* it waits (poll) */
                                            {FAULT_WRITE, 0, 1}};
static const struct fault harmless_in[] = {
    {FAULT_READ, EINTR, 0}, {FAULT_READ, EAGAIN, 0}, {FAULT_READ, 0, 1}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *what; /* is tried: for messages */

static void describe(const struct guest *g, const struct way *w, const struct fault *f,
                     unsigned int at)
{
    static const char *const calls[FAULT_CALLS] = {"allocation", "read", "write",
                                                   "call of the host"};
    static char text[160];

    (void)snprintf(text, sizeof(text), "%s, %s: %s %u %s (%zu bytes)", g->name, w->name,
                   calls[f->call], at, f->err ? strerrorname_np(f->err) : "", f->bytes);
    what = text;
}

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            fail_msg("%s: " #x "; it said: %s", what, inproc_log());                               \
    } while (0)

/* One line, which ends. */
static bool one_line(void)
{
    const char *log = inproc_log(), *end = strchr(log, '\n');

    return end && end > log && !end[1];
}

/* ---- the two sides ---- */

/* At the destination: a domain that is made, filled and destroyed leaves nothing. */
static int arrives(struct domain *d, const struct fault *fault, unsigned int at,
                   unsigned int *calls)
{
    uint64_t frames = p.dst->hv.free_pages, blocks = p.dst->platform.allocated, digest, ticks;
    struct domain *there = srpair_make(&p, d);
    struct xc_restore_result result;
    int rc, err;

    if (fault)
        faults_arm(fault, at);
    rc = srpair_restore(&p, there, false, &result);
    err = errno;
    if (fault)
        *calls = faults_disarm();
    if (rc) {
        REQUIRE(rc == -1);
        REQUIRE(one_line());
        REQUIRE(there->pause_count); /* it has not run */
    } else {
        digest = simguest_digest(d);
        ticks = srguest_notes(d, 0).ticks;
        REQUIRE(simguest_digest(there) == digest);
        assert_int_equal(domain_unpause(there), 0);
        srguest_require_goes_on(p.dst, there, ticks);
    }
    domain_destroy(there);
    REQUIRE(p.dst->hv.free_pages == frames);
    REQUIRE(p.dst->platform.allocated == blocks);
    errno = err;
    return rc;
}

/* At the source: a save with this fault in it. */
static int leaves(struct domain *d, const struct way *w, const struct fault *fault, unsigned int at,
                  unsigned int *calls)
{
    int rc, err;

    faults_arm(fault, at);
    rc = srpair_save(&p, d, &w->options, w->steps, 0, NULL);
    err = errno;
    *calls = faults_disarm();
    if (fault->call == FAULT_HOST && !rc && d->memory.log_dirty) {
        REQUIRE(one_line()); /* all was sent: only the log stayed on */
        log_dirty_disable(d);
    }
    REQUIRE(!d->memory.log_dirty);
    errno = err;
    return rc;
}

static struct domain *start(const struct guest *g)
{
    struct domain *d = srpair_start(&p, &g->guest);

    (void)sim_host_run(p.src, 200);
    return d;
}

static unsigned int failed[FAULT_CALLS]; /* how many of each kind */

/* Each kind of guest, saved in each way. */
static void each_way(void (*one)(const struct guest *g, const struct way *w, struct domain *d))
{
    memset(failed, 0, sizeof(failed));
    srpair_boot(&p, MACHINE, MACHINE);
    for (size_t g = 0; g < COUNT(guests); g++)
        for (size_t w = 0; w < COUNT(ways); w++) {
            struct domain *d = start(&guests[g]);

            one(&guests[g], &ways[w], d);
            domain_destroy(d);
        }
    srpair_halt(&p);
}

/* ---- a save ---- */

/* false: there were not as many calls. */
static bool a_save_fails(struct domain *d, const struct way *w, const struct fault *fault,
                         unsigned int at)
{
    uint64_t digest = simguest_digest(d), ticks = srguest_notes(d, 0).ticks;
    unsigned int calls;
    int rc = leaves(d, w, fault, at, &calls);

    if (calls < at || (fault->call == FAULT_HOST && !rc)) {
        REQUIRE(!rc);
        domain_resume(d);
        return calls >= at;
    }
    REQUIRE(rc == -1 && errno && (fault->call == FAULT_HOST || errno == fault->err));
    REQUIRE(one_line());
    /* Then nothing more of it was tried. */
    REQUIRE(calls == at || fault->call == FAULT_ALLOC || fault->call == FAULT_HOST);
    REQUIRE(!d->shutdown);
    REQUIRE(w->steps || simguest_digest(d) == digest);
    if (fault->call == FAULT_WRITE || at % 4 == 0) /* what got out of it is no domain */
        REQUIRE(arrives(d, NULL, 0, NULL) == -1);
    srguest_require_goes_on(p.src, d, ticks);
    return true;
}

static void fail_saves(const struct guest *g, const struct way *w, struct domain *d)
{
    for (size_t f = 0; f < COUNT(fatal_out); f++)
        for (unsigned int at = 1;; at++) {
            describe(g, w, &fatal_out[f], at);
            if (!a_save_fails(d, w, &fatal_out[f], at))
                break;
            failed[fatal_out[f].call]++;
        }
}

static void every_save_fails(void **state)
{
    (void)state;
    each_way(fail_saves);
    print_message("# %u allocations, %u writes and %u calls of the host failed\n",
                  failed[FAULT_ALLOC], failed[FAULT_WRITE], failed[FAULT_HOST]);
    assert_true(failed[FAULT_ALLOC] >= 30);
    assert_true(failed[FAULT_WRITE] >= 400 && failed[FAULT_HOST] >= 400);
}

static void disturb_saves(const struct guest *g, const struct way *w, struct domain *d)
{
    for (size_t f = 0; f < COUNT(harmless_out); f++) {
        unsigned int calls = 0;

        for (unsigned int at = 1; calls + 1 >= at; at++) {
            describe(g, w, &harmless_out[f], at);
            REQUIRE(!leaves(d, w, &harmless_out[f], at, &calls));
            REQUIRE(!arrives(d, NULL, 0, NULL));
            domain_resume(d);
        }
    }
}

static void no_save_minds(void **state)
{
    (void)state;
    each_way(disturb_saves);
}

/* ---- a restore ---- */

/* false: there were not as many calls. */
static bool a_restore_fails(struct domain *d, const struct fault *fault, unsigned int at)
{
    unsigned int calls;
    int rc = arrives(d, fault, at, &calls);

    if (calls < at) {
        REQUIRE(!rc);
        return false;
    }
    REQUIRE(rc == -1 && errno);
    REQUIRE(fault->call == FAULT_HOST || errno == (fault->err ? fault->err : EILSEQ));
    REQUIRE(calls == at || fault->call == FAULT_ALLOC || fault->call == FAULT_HOST);
    return true;
}

static void fail_restores(const struct guest *g, const struct way *w, struct domain *d)
{
    assert_int_equal(srpair_save(&p, d, &w->options, w->steps, 0, NULL), 0);
    for (size_t f = 0; f < COUNT(fatal_in); f++)
        for (unsigned int at = 1;; at++) {
            describe(g, w, &fatal_in[f], at);
            if (!a_restore_fails(d, &fatal_in[f], at))
                break;
            failed[fatal_in[f].call]++;
        }
    /* It was suspended all the time, and goes home. */
    domain_resume(d);
    srguest_require_goes_on(p.src, d, srguest_notes(d, 0).ticks);
}

static void every_restore_fails(void **state)
{
    (void)state;
    each_way(fail_restores);
    print_message("# %u allocations, %u reads and %u calls of the host failed\n",
                  failed[FAULT_ALLOC], failed[FAULT_READ], failed[FAULT_HOST]);
    assert_true(failed[FAULT_ALLOC] >= 40);
    assert_true(failed[FAULT_READ] >= 400 && failed[FAULT_HOST] >= 200);
}

static void disturb_restores(const struct guest *g, const struct way *w, struct domain *d)
{
    assert_int_equal(srpair_save(&p, d, &w->options, w->steps, 0, NULL), 0);
    for (size_t f = 0; f < COUNT(harmless_in); f++) {
        unsigned int calls = 0;

        for (unsigned int at = 1; calls + 1 >= at; at++) {
            describe(g, w, &harmless_in[f], at);
            REQUIRE(!arrives(d, &harmless_in[f], at, &calls));
        }
    }
}

static void no_restore_minds(void **state)
{
    (void)state;
    each_way(disturb_restores);
}

/* ---- slowly, all the way ---- */

static void a_few_bytes_at_a_time(void **state)
{
    static const size_t pieces[] = {1, 7, 4095, 4097, 100000};

    (void)state;
    srpair_boot(&p, MACHINE, MACHINE);
    for (size_t g = 0; g < COUNT(guests); g++)
        for (size_t i = 0; i < COUNT(pieces); i++) {
            const struct fault out = {FAULT_WRITE, 0, pieces[i]}, in = {FAULT_READ, 0, pieces[i]};
            const struct way *w = &ways[i % COUNT(ways)];
            struct domain *d = start(&guests[g]);
            unsigned int written, read;

            describe(&guests[g], w, &out, UINT_MAX);
            REQUIRE(!leaves(d, w, &out, UINT_MAX, &written));
            REQUIRE(!arrives(d, &in, UINT_MAX, &read));
            REQUIRE(written > SRPAIR_PAGES * 4096 / pieces[i]);
            REQUIRE(read > SRPAIR_PAGES * 4096 / pieces[i]);
            domain_destroy(d);
        }
    srpair_halt(&p);
}

/* ---- memory ---- */

/* A PAGE_DATA record that has one frame, without contents, in place of the first one. */
static void one_frame(uint64_t gfn, unsigned int type)
{
    struct {
        struct xc_sr_rhdr header;
        struct xc_sr_page_data head;
        uint64_t entry;
        struct xc_sr_rhdr end;
    } record = {{REC_PAGE_DATA, sizeof(record.head) + sizeof(record.entry)},
                {.count = 1},
                gfn | (uint64_t)type << XC_SR_TYPE_SHIFT,
                {REC_END, 0}};
    size_t size, at = sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr);
    uint8_t *bytes = srpair_contents(&p, &size);
    struct xc_sr_rhdr header;

    for (;; at += sizeof(header) + ((header.length + 7) & ~7u)) {
        assert_true(at + sizeof(record) <= size);
        memcpy(&header, bytes + at, sizeof(header));
        if (header.type == REC_PAGE_DATA)
            break;
    }
    memcpy(bytes + at, &record, sizeof(record));
    srpair_replace(&p, bytes, at + sizeof(record));
    free(bytes);
}

/* A few bytes of a stream do not make its reader take gigabytes, wherever they say a frame is. */
static void a_frame_far_away(void **state)
{
    const struct fault none = {FAULT_ALLOC, 0, 0};

    (void)state;
    srpair_boot(&p, MACHINE, MACHINE);
    for (unsigned int bit = 20; bit <= 36; bit++) {
        struct domain *d = start(&guests[0]);
        unsigned int calls;

        assert_int_equal(srpair_save(&p, d, &ways[0].options, 0, 0, NULL), 0);
        one_frame((1ull << bit) - 1, XC_SR_PAGE_XALLOC);
        what = "one frame far away";
        REQUIRE(arrives(d, &none, 0, &calls) == -1); /* there is nothing else in it */
        REQUIRE(faults_allocated() < 1u << 18);
        domain_destroy(d);
    }
    srpair_halt(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_save_fails),      cmocka_unit_test(no_save_minds),
        cmocka_unit_test(every_restore_fails),   cmocka_unit_test(no_restore_minds),
        cmocka_unit_test(a_few_bytes_at_a_time), cmocka_unit_test(a_frame_far_away),
    };

    return cmocka_run_group_tests_name("save and restore: faults", tests, NULL, NULL);
}
