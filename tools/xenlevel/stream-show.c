/* SPDX-License-Identifier: MIT */
/*
 * What is in a save image, to look at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "describe.h"
#include "json.h"
#include "out.h"
#include "stream-show.h"
#include "util.h"

/* ---- one walk ---- */

static struct tally *tally_of(struct image_summary *sum, const struct image_item *it)
{
    if (it->layer == IMAGE_LIBXC && it->type == REC_CHECKSUM)
        return &sum->checksum;
    if (it->type & REC_OPTIONAL)
        return &sum->optional[it->layer];
    return it->layer == IMAGE_LIBXC ? &sum->libxc[it->type] : &sum->libxl[it->type];
}

int image_summarise(struct image *im, struct image_summary *sum)
{
    struct image_item it;
    int more;

    memset(sum, 0, sizeof(*sum));
    image_rewind(im);
    while ((more = image_next(im, &it)) > 0) {
        struct tally *t;

        if (it.header)
            continue;
        t = tally_of(sum, &it);
        if (!t->count)
            t->first = it.offset;
        t->count++;
        t->bytes += it.length;
        sum->pages += it.pages;
    }
    return more;
}

/* ---- the summary ---- */

typedef void visit(void *data, enum image_layer layer, const char *name, const struct tally *t);

/* Every type that is there, libxl's first. */
static void each_tally(const struct image_summary *sum, visit *fn, void *data)
{
    for (uint32_t i = 0; i < NR_LIBXL_TYPES; i++)
        if (sum->libxl[i].count)
            fn(data, IMAGE_LIBXL, xc_sr_libxl_record_name(i), &sum->libxl[i]);
    if (sum->optional[IMAGE_LIBXL].count)
        fn(data, IMAGE_LIBXL, "optional", &sum->optional[IMAGE_LIBXL]);
    for (uint32_t i = 0; i < NR_LIBXC_TYPES; i++)
        if (sum->libxc[i].count)
            fn(data, IMAGE_LIBXC, xc_sr_record_name(i), &sum->libxc[i]);
    if (sum->checksum.count)
        fn(data, IMAGE_LIBXC, "CHECKSUM", &sum->checksum);
    if (sum->optional[IMAGE_LIBXC].count)
        fn(data, IMAGE_LIBXC, "optional", &sum->optional[IMAGE_LIBXC]);
}

static void tally_row(void *data, enum image_layer layer, const char *name, const struct tally *t)
{
    char count[24], bytes[24], first[24];

    (void)snprintf(count, sizeof(count), "%" PRIu64, t->count);
    (void)snprintf(bytes, sizeof(bytes), "%" PRIu64, t->bytes);
    (void)snprintf(first, sizeof(first), "%" PRIu64, t->first);
    table_row(data, image_layer_name(layer), name, count, bytes, first);
}

static void tally_json(void *data, enum image_layer layer, const char *name, const struct tally *t)
{
    struct json *j = data;

    json_object(j, NULL);
    json_string(j, "layer", image_layer_name(layer));
    json_string(j, "name", name);
    json_number(j, "count", t->count);
    json_number(j, "bytes", t->bytes);
    json_number(j, "first", t->first);
    json_close_object(j);
}

/* ---- each record ---- */

/* Not a table, which would keep every row. */
static void print_record(const struct image_item *it)
{
    if (it->header)
        (void)printf("  %14" PRIu64 "  %-5s  %9s  %-25s  %10" PRIu64 "\n", it->offset,
                     image_layer_name(it->layer), "", "header", it->end - it->offset);
    else
        (void)printf("  %14" PRIu64 "  %-5s  %9u  %-25s  %10u\n", it->offset,
                     image_layer_name(it->layer), it->record, image_record_name(it), it->length);
}

static void record_json(struct json *j, const struct image_item *it)
{
    json_object(j, NULL);
    json_number(j, "offset", it->offset);
    json_string(j, "layer", image_layer_name(it->layer));
    if (it->header) {
        json_string(j, "name", "header");
        json_number(j, "length", it->end - it->offset);
    } else {
        json_number(j, "record", it->record);
        json_string(j, "name", image_record_name(it));
        json_hex(j, "type", it->type);
        json_number(j, "length", it->length);
        if (it->type == REC_PAGE_DATA && it->layer == IMAGE_LIBXC)
            json_number(j, "pages", it->pages);
    }
    json_close_object(j);
    json_flush(j);
}

static int each_record(struct image *im, struct json *j)
{
    struct image_item it;
    int more;

    image_rewind(im);
    while ((more = image_next(im, &it)) > 0)
        if (j)
            record_json(j, &it);
        else
            print_record(&it);
    return more;
}

/* ---- all of it ---- */

static const char *guest_type(const struct image *im)
{
    return im->head->guest == XC_SR_GUEST_PV ? "PV" : "HVM or PVH";
}

/* NULL when there is none that can be taken; *why is then the reason. */
static struct cpu_policy *policy_of(const struct image *im, char **why)
{
    struct policy_fault fault;
    struct policy_report report = {.faults = &fault, .max = 1};
    struct cpu_policy *p = xcalloc(1, sizeof(*p));
    char text[XC_FAULT_TEXT] = "it cannot be read";

    if (!xc_sr_head_policy(im->head, p, &report))
        return p;
    free(p);
    if (!im->head->has_cpuid) {
        *why = xstrdup("none: nobody can know which CPU the guest was told it has");
        return NULL;
    }
    if (report.count)
        (void)xc_fault_text(&fault, text, sizeof(text));
    *why = xasprintf("faulty: %s", text);
    return NULL;
}

static void show_text(const struct image *im, const struct image_summary *sum)
{
    const struct xc_sr_head *h = im->head;
    char *why = NULL;
    struct cpu_policy *p = policy_of(im, &why);
    struct featureset fs;
    struct table t;

    out_print(stdout, "image      %s, %" PRIu64 " bytes\n", im->path, im->size);
    (void)printf("format     %s%s%slibxc version %u\n", im->whose ? im->whose : "",
                 im->whose ? ", " : "",
                 im->format == XC_SR_XL      ? "xl, libxl version 2, "
                 : im->format == XC_SR_LIBXL ? "libxl version 2, "
                                             : "",
                 h->version);
    out_print(stdout, "guest      %s%s%s, from Xen %u.%u\n", h->name, h->name[0] ? ", " : "",
              guest_type(im), h->xen_major, h->xen_minor);
    if (p) {
        char *cpu = show_cpu(p);
        unsigned int n = 0;

        policy_to_featureset(p, &fs);
        show_comparable(&fs);
        for (int f = featureset_next(&fs, 0); f >= 0; f = featureset_next(&fs, (unsigned int)f + 1))
            n++;
        out_print(stdout, "cpu        %s: %u features in %zu leaves, %zu MSRs\n", cpu, n,
                  h->nr_leaves, h->nr_msrs);
        free(cpu);
    } else {
        out_print(stdout, "cpu        %s\n", why);
    }
    (void)printf("memory     %" PRIu64 " pages, repeated ones counted\n", sum->pages);
    table_init(&t, 5, 0);
    table_row(&t, "\nlayer", "record", "count", "bytes", "first at");
    each_tally(sum, tally_row, &t);
    table_print(&t, stdout);
    free(why);
    free(p);
}

static int show_json(struct image *im, const struct image_summary *sum, bool records)
{
    const struct xc_sr_head *h = im->head;
    char *why = NULL;
    struct cpu_policy *p = policy_of(im, &why);
    struct json *j = json_begin();
    int rc = 0;

    json_object(j, NULL);
    json_string(j, "image", im->path);
    json_number(j, "bytes", im->size);
    json_array(j, "layers");
    for (int layer = im->format == XC_SR_XL      ? IMAGE_XL
                     : im->format == XC_SR_LIBXL ? IMAGE_LIBXL
                                                 : IMAGE_LIBXC;
         layer < IMAGE_LAYERS; layer++)
        json_string(j, NULL, image_layer_name((enum image_layer)layer));
    json_close_array(j);
    json_number(j, "version", h->version);
    json_string(j, "name", h->name[0] ? h->name : NULL);
    json_string(j, "type", guest_type(im));
    json_number(j, "xen_major", h->xen_major);
    json_number(j, "xen_minor", h->xen_minor);
    json_string(j, "no_policy", why);
    if (p)
        json_policy(j, "policy", p, false);
    json_number(j, "pages", sum->pages);
    json_array(j, "types");
    each_tally(sum, tally_json, j);
    json_close_array(j);
    if (records) {
        json_array(j, "records");
        rc = each_record(im, j);
        json_close_array(j);
    }
    json_close_object(j);
    free(why);
    free(p);
    return json_end(j) || rc ? STATUS_TROUBLE : STATUS_YES;
}

int stream_show(struct image *im, bool records, bool as_json)
{
    struct image_summary sum;

    if (image_summarise(im, &sum))
        return STATUS_TROUBLE;
    if (as_json)
        return show_json(im, &sum, records);
    show_text(im, &sum);
    if (!records)
        return STATUS_YES;
    (void)printf("\n  %14s  %-5s  %9s  %-25s  %10s\n", "offset", "layer", "record", "", "bytes");
    return each_record(im, NULL) ? STATUS_TROUBLE : STATUS_YES;
}
