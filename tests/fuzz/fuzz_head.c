/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: the head of a migration stream.  The first byte of the input chooses the layer and how
 * the rest is cut into pieces; however it is cut, the answer must be the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static struct xc_sr_head whole, cut;
static struct xc_sr_parser parser, pieces;

/* 0, or -1 when it was refused. */
static int feed(struct xc_sr_parser *p, struct xc_sr_head *head, enum xc_sr_layer layer,
                const uint8_t *data, size_t size, size_t piece)
{
    size_t at = 0;

    xc_sr_parser_init(p, layer, head);
    while (at < size && xc_sr_needs(p)) {
        size_t n = size - at < piece ? size - at : piece;
        size_t need = xc_sr_needs(p);
        ssize_t used = xc_sr_feed(p, data + at, n);

        if (used < 0) {
            CHECK(xc_sr_needs(p) == 0);
            break;
        }
        CHECK((size_t)used <= n);
        CHECK((size_t)used >= (need < n ? need : n)); /* what it asked for it takes */
        at += (size_t)used;
    }
    return xc_sr_end(p);
}

static void check_good(const struct xc_sr_head *h, size_t size)
{
    static struct cpu_policy policy;
    static struct policy_fault faults[64];
    struct policy_report r = {faults, 64, 0};

    CHECK(h->version == 2 || h->version == 3);
    CHECK(h->length <= size && h->length >= 40);
    CHECK(h->length - h->libxc_offset <= XC_SR_HEAD_MAX);
    CHECK(h->guest == XC_SR_GUEST_PV || h->guest == XC_SR_GUEST_HVM);
    CHECK(h->has_pv_info == (h->guest == XC_SR_GUEST_PV));
    CHECK(h->inferred_end == (h->version == 2));
    CHECK(h->nr_leaves <= POLICY_MAX_LEAVES && h->nr_msrs <= XC_SR_MAX_MSRS);
    CHECK(strlen(h->name) < sizeof(h->name) && strlen(h->config) <= XC_SR_MAX_CONFIG);
    if (xc_sr_head_policy(h, &policy, &r) == 0)
        (void)policy_verify(&policy, &r);
    else
        CHECK(!h->has_cpuid || r.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum xc_sr_layer layer;
    int rc;

    if (!size)
        return 0;
    layer = data[0] & 1 ? XC_SR_XL : XC_SR_LIBXC;
    rc = feed(&parser, &whole, layer, data + 1, size - 1, SIZE_MAX);
    CHECK(rc == feed(&pieces, &cut, layer, data + 1, size - 1, (size_t)(data[0] >> 1) + 1));
    if (rc == 0) {
        CHECK(!memcmp(&whole, &cut, sizeof(whole)));
        check_good(&whole, size - 1);
    } else {
        CHECK(!strcmp(parser.fault.text, pieces.fault.text));
        CHECK(parser.fault.text[0] && parser.fault.offset <= size - 1);
    }
    return 0;
}
