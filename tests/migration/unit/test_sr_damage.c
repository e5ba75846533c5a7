/* SPDX-License-Identifier: MIT */
/*
 * Streams that are not what was sent, at every record's boundary and at places decided by chance:
 * with checksums nothing is taken but what was sent; without them nothing of another structure.
 * Whatever comes, what is received has not run, and nothing of what is refused stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libdeflate.h>
#include <unistd.h>
#include <xc_sr_stream_format.h>
#include <xen/hvm/params.h>

#include "inproc.h"
#include "property.h"
#include "srpair.h"

#define HEADERS      (sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr))
#define RECORD       sizeof(struct xc_sr_rhdr)
#define MAX_RECORDS  256u
#define REC_FOREIGN  0xc0ffee01u /* optional, and nobody's */
#define REC_MANDATED 0x0000007eu /* nobody's, and not optional */

/* ---- streams ---- */

struct record {
    size_t at, size; /* with its padding */
    uint32_t type, length;
};

struct stream {
    uint8_t *bytes;
    size_t size;
    struct record records[MAX_RECORDS];
    unsigned int n;
};

static void parse(struct stream *s)
{
    s->n = 0;
    for (size_t at = HEADERS; at < s->size; at += s->records[s->n++].size) {
        struct xc_sr_rhdr h;

        require(s->n < MAX_RECORDS && s->size - at >= RECORD, "a stream of too many records");
        memcpy(&h, s->bytes + at, sizeof(h));
        s->records[s->n] = (struct record){at, RECORD + ((h.length + 7) & ~7u), h.type, h.length};
    }
}

/* The k-th record of a type; NULL: there are not so many. */
static const struct record *nth(const struct stream *s, uint32_t type, unsigned int k)
{
    for (unsigned int i = 0; i < s->n; i++)
        if (s->records[i].type == type && !k--)
            return &s->records[i];
    return NULL;
}

/* Which one of its type it is. */
static unsigned int ordinal(const struct stream *s, unsigned int i)
{
    unsigned int k = 0;

    for (unsigned int j = 0; j < i; j++)
        k += s->records[j].type == s->records[i].type;
    return k;
}

/* ---- the hosts, and a domain that is away ---- */

static struct srpair pair;
static struct domain *away;
static uint64_t digest;
static bool summed;               /* with checksums */
static struct stream sent, other; /* the same guest's, of some steps later */
static uint8_t *made;             /* the stream that is tried: at most twice as long, and a page */

static struct {
    unsigned long tried, taken;
} count;

enum expected {
    MAY, /* nobody can know */
    REFUSED,
    TAKEN /* and it is what was sent */
};

/* What comes of these bytes at the destination. */
static void try_bytes(const uint8_t *bytes, size_t size, enum expected e, const char *what,
                      unsigned int at)
{
    uint64_t free_pages = pair.dst->hv.free_pages;
    struct xc_restore_result result;
    struct domain *there;
    int rc;

    srpair_replace(&pair, bytes, size);
    there = srpair_receive(&pair, away, false, &rc, &result);
    count.tried++;
    count.taken += !rc;
    require(!rc || inproc_log()[0], "%s at %u: refused without a word", what, at);
    require(rc || e != REFUSED, "%s at %u: it was taken", what, at);
    require(!rc || e != TAKEN, "%s at %u: it was refused: %s", what, at, inproc_log());
    if (e == TAKEN)
        require(simguest_digest(there) == digest, "%s at %u: what was taken is not what was sent",
                what, at);
    if (!rc && summed)
        require(simguest_digest(there) == digest, "%s at %u: checksums, and another domain", what,
                at);
    /* Neither side runs it: there nobody has said so yet, here it is suspended. */
    require(!there->created && there->pause_count == 1 && away->shutdown, "%s at %u: it runs", what,
            at);
    domain_destroy(there);
    require(pair.dst->hv.free_pages == free_pages, "%s at %u: memory is lost", what, at);
}

/* What was sent, with the bytes [from, to) replaced by others. */
static void try_with(size_t from, size_t to, const void *bytes, size_t n, enum expected e,
                     const char *what, unsigned int at)
{
    memcpy(made, sent.bytes, from);
    memcpy(made + from, bytes, n);
    memcpy(made + from + n, sent.bytes + to, sent.size - to);
    n += sent.size - (to - from);
    if (n == sent.size && !memcmp(made, sent.bytes, n))
        e = TAKEN; /* nothing has changed */
    try_bytes(made, n, e, what, at);
}

static enum expected when_summed(enum expected otherwise)
{
    return summed ? REFUSED : otherwise;
}

/* ---- damage at a record ---- */

static void flip(size_t at, enum expected e, const char *what, unsigned int i)
{
    uint8_t byte = (uint8_t)(sent.bytes[at] ^ 1u << property_below(8));

    try_with(at, at + 1, &byte, 1, e, what, i);
}

static void flips(unsigned int i)
{
    const struct record *r = &sent.records[i];
    size_t body = r->at + RECORD;

    for (size_t k = 0; k < RECORD; k++)
        flip(r->at + k, when_summed(MAY), "a bit of a header", i);
    for (size_t at = body + r->length; at < r->at + r->size; at++)
        flip(at, r->type & REC_OPTIONAL ? when_summed(MAY) : REFUSED, "a bit of the padding", i);
    if (!r->length)
        return;
    flip(body, when_summed(MAY), "a bit of the first byte", i);
    flip(body + r->length - 1, when_summed(MAY), "a bit of the last byte", i);
    flip(body + property_below(r->length), when_summed(MAY), "a bit", i);
}

static void cuts(unsigned int i)
{
    const struct record *r = &sent.records[i];

    try_bytes(sent.bytes, r->at, REFUSED, "a cut before a record", i);
    try_bytes(sent.bytes, r->at + 1 + property_below(RECORD - 1), REFUSED, "a cut in a header", i);
    if (r->length)
        try_bytes(sent.bytes, r->at + RECORD + property_below((unsigned int)r->length), REFUSED,
                  "a cut in a body", i);
}

/* Without it the domain is not complete. */
static bool is_needed(uint32_t type)
{
    return type == REC_X86_CPUID_POLICY || type == REC_STATIC_DATA_END ||
           type == REC_X86_TSC_INFO || type == REC_HVM_CONTEXT || type == REC_END;
}

/* A second one is one too many. */
static bool is_single(uint32_t type)
{
    return type == REC_X86_CPUID_POLICY || type == REC_X86_MSR_POLICY ||
           type == REC_STATIC_DATA_END || type == REC_X86_TSC_INFO || type == REC_HVM_CONTEXT ||
           type == REC_HVM_PARAMS;
}

static bool is_static(uint32_t type)
{
    return type == REC_X86_CPUID_POLICY || type == REC_X86_MSR_POLICY;
}

static void order(unsigned int i)
{
    const struct record *r = &sent.records[i], *next = r + 1;
    bool twice_is_once = r->type == REC_PAGE_DATA || r->type == REC_END;
    uint8_t *pair_of;

    try_with(r->at, r->at + r->size, "", 0, when_summed(is_needed(r->type) ? REFUSED : MAY),
             "a record that is gone", i);
    /* What stands behind END is not libxc's. */
    try_with(r->at, r->at, sent.bytes + r->at, r->size,
             r->type == REC_END   ? TAKEN
             : summed             ? REFUSED
             : is_single(r->type) ? REFUSED
             : twice_is_once      ? TAKEN
                                  : MAY,
             "a record twice", i);
    if (i + 1 == sent.n)
        return;
    pair_of = malloc(r->size + next->size);
    require(pair_of, "no memory");
    memcpy(pair_of, sent.bytes + next->at, next->size);
    memcpy(pair_of + next->size, sent.bytes + r->at, r->size);
    try_with(r->at, next->at + next->size, pair_of, r->size + next->size,
             summed                                                       ? REFUSED
             : is_static(r->type) && is_static(next->type)                ? MAY
             : is_static(r->type) || r->type == REC_STATIC_DATA_END       ? REFUSED
             : r->type == REC_HVM_CONTEXT && next->type == REC_HVM_PARAMS ? TAKEN
             : next->type == REC_END && is_needed(r->type)                ? REFUSED
                                                                          : MAY,
             "two records in the other order", i);
    free(pair_of);
}

static void strangers(unsigned int i)
{
    uint64_t foreign[1 + 8] = {0};
    uint32_t length = property_below(60);
    struct xc_sr_rhdr h = {REC_FOREIGN, length};
    size_t at = sent.records[i].at, size = RECORD + ((length + 7) & ~7u);

    for (uint32_t k = 0; k < length; k++)
        ((uint8_t *)foreign)[RECORD + k] = (uint8_t)property_random();
    memcpy(foreign, &h, sizeof(h));
    try_with(at, at, foreign, size, when_summed(TAKEN), "an optional record of nobody's", i);
    if (length % 8) {
        ((uint8_t *)foreign)[size - 1] = 1;
        try_with(at, at, foreign, size, REFUSED, "padding that is not zero", i);
        ((uint8_t *)foreign)[size - 1] = 0;
    }
    h.type = REC_MANDATED;
    memcpy(foreign, &h, sizeof(h));
    try_with(at, at, foreign, size, REFUSED, "a record of nobody's", i);
}

/* From the other stream: this record, or all from here on. */
static void splices(unsigned int i)
{
    const struct record *r = &sent.records[i], *o = nth(&other, r->type, ordinal(&sent, i));
    size_t rest;

    if (!o)
        return;
    try_with(r->at, r->at + r->size, other.bytes + o->at, o->size, when_summed(MAY),
             "a record of another stream", i);
    rest = other.size - o->at;
    memcpy(made, sent.bytes, r->at);
    memcpy(made + r->at, other.bytes + o->at, rest);
    /* Before the first difference it is the other stream, whole. */
    if (r->at == o->at && !memcmp(sent.bytes, other.bytes, r->at))
        return;
    if (rest == sent.size - r->at && !memcmp(made, sent.bytes, sent.size))
        return;
    try_bytes(made, r->at + rest, when_summed(MAY), "the rest of another stream", i);
}

/* ---- damage anywhere ---- */

static void anywhere(void)
{
    for (unsigned int k = 0; k < 40; k++) {
        size_t at = property_random() % sent.size;
        size_t n = 1 + property_random() % (sent.size - at), from = property_random() % sent.size;

        flip(at, when_summed(MAY), "a bit at random", (unsigned int)at);
        try_bytes(sent.bytes, at, REFUSED, "a cut at random", (unsigned int)at);
        if (k % 4)
            continue;
        n = n > sent.size - from ? sent.size - from : n;
        try_with(at, at + n, "", 0, when_summed(MAY), "bytes that are gone", (unsigned int)at);
        try_with(at, at, sent.bytes + from, n, at == sent.size ? TAKEN : when_summed(MAY),
                 "bytes twice", (unsigned int)at);
        try_with(at, at + (n > sent.size - at ? 0 : n), sent.bytes + from, n, when_summed(MAY),
                 "bytes from elsewhere", (unsigned int)at);
    }
}

/* All CHECKSUM records made anew, for what made[] now is. */
static void sum_again(size_t size)
{
    size_t covered = 0;

    for (size_t at = HEADERS; at < size;) {
        struct xc_sr_checksum c = {.algorithm = XC_SR_CHECKSUM_CRC32};
        struct xc_sr_rhdr h;

        memcpy(&h, made + at, sizeof(h));
        if (h.type == REC_CHECKSUM) {
            c.batch_bytes = at - covered;
            c.whole_bytes = at;
            c.batch_crc = libdeflate_crc32(0, made + covered, at - covered);
            c.whole_crc = libdeflate_crc32(0, made, at);
            memcpy(made + at + RECORD, &c, sizeof(c));
        }
        at += RECORD + ((h.length + 7) & ~7u);
        if (h.type == REC_CHECKSUM)
            covered = at;
    }
}

/* A writer of tomorrow: it has records that we do not know, and its checksums cover them. */
static void a_stranger_that_is_covered(unsigned int i)
{
    const struct xc_sr_rhdr h = {REC_FOREIGN, 0};
    size_t at = sent.records[i].at;

    if (!summed || (i && sent.records[i].type == REC_END))
        return; /* behind the last checksum none covers it */
    memcpy(made, sent.bytes, at);
    memcpy(made + at, &h, sizeof(h));
    memcpy(made + at + sizeof(h), sent.bytes + at, sent.size - at);
    sum_again(sent.size + sizeof(h));
    try_bytes(made, sent.size + sizeof(h), TAKEN, "an optional record that is covered", i);
}

/* ---- a history ---- */

static void save(struct domain *d, const struct xc_save_options *options, struct stream *s)
{
    unsigned int during = property_below(20);

    require(!srpair_save(&pair, d, options, during, 0, NULL), "%s", inproc_log());
    s->bytes = srpair_contents(&pair, &s->size);
    parse(s);
}

/* Any machine that has nested paging. */
static void boot(void)
{
    for (;;) {
        const char *machine = property_machine(property_below(property_nr_machines()));

        srpair_boot(&pair, machine, machine);
        if (pair.src->hv.has_hap)
            return;
        srpair_halt(&pair);
    }
}

static void depart(void)
{
    const struct xc_save_options options = {
        .live = property_below(3), .checksums = summed, .dirty_threshold = 1};
    enum sim_script script = 1 + property_below(3);

    boot();
    away = srpair_guest(&pair, script, NULL);
    away->hvm_params[HVM_PARAM_STORE_PFN] = 60;
    (void)sim_host_run(pair.src, property_below(400));
    save(away, &options, &other);
    require(nth(&other, REC_HVM_PARAMS, 0), "no parameters were sent");
    domain_resume(away);
    (void)sim_host_run(pair.src, 1 + property_below(50));
    save(away, &options, &sent);
    digest = simguest_digest(away);
    made = malloc(2 * (sent.size + other.size) + 4096);
    require(made, "no memory");
}

/* Nothing of all that has touched the one that is away: it comes home, or arrives after all. */
static void arrive(void)
{
    struct xc_restore_result result;
    struct domain *there;
    int rc;

    require(simguest_digest(away) == digest, "it has changed while it was away");
    srpair_replace(&pair, sent.bytes, sent.size);
    there = srpair_receive(&pair, away, false, &rc, &result);
    require(!rc && simguest_digest(there) == digest, "what was sent is not taken: %s",
            inproc_log());
    if (property_below(2)) {
        domain_destroy(there);
        domain_resume(away);
        srguest_require_goes_on(pair.src, away, srguest_notes(away, 0).ticks);
    } else {
        domain_destroy(away);
        require(!domain_unpause(there), "it cannot be unpaused");
        srguest_require_goes_on(pair.dst, there, srguest_notes(there, 0).ticks);
    }
}

static void damage(void)
{
    summed = property_seed % 4;
    depart();
    for (size_t at = 0; at < HEADERS; at++)
        flip(at, when_summed(MAY), "a bit of the headers", (unsigned int)at);
    for (unsigned int i = 0; i < sent.n; i++) {
        flips(i);
        cuts(i);
        order(i);
        strangers(i);
        a_stranger_that_is_covered(i);
        splices(i);
    }
    anywhere();
    arrive();
    srpair_halt(&pair);
    free(sent.bytes);
    free(other.bytes);
    free(made);
}

static void damages(void **state)
{
    (void)state;
    memset(&count, 0, sizeof(count));
    property_run(damage, 60);
    print_message("%lu streams, %lu of them taken\n", count.tried, count.taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(damages, property_teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
