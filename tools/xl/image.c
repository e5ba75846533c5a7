/* SPDX-License-Identifier: MIT */
/*
 * A saved domain as xl keeps it.  See image.h.
 */
#include "image.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#include "cmd.h"
#include "line.h"
#include "out.h"
#include "util.h"
#include "xc_clock.h"
#include "xl.h"
#include "xl_programs.h"

#define MAX_CONFIG 65536u
#define MAX_VCPUS  128u

/* ---- what the domain is ---- */

int image_config_of(xc_handle *xch, uint32_t domid, struct image_config *c)
{
    struct xc_domain_info info;

    memset(c, 0, sizeof(*c));
    if (xc_domain_getinfo(xch, domid, &info))
        return -1;
    c->name = xc_domain_name(xch, domid);
    if (!c->name)
        c->name = xasprintf("domain-%u", domid);
    c->type = info.type;
    c->hap = info.hap;
    c->vcpus = info.nr_vcpus;
    c->memory_kib = info.tot_pages * 4;
    return 0;
}

void image_config_free(struct image_config *c)
{
    free(c->name);
    c->name = NULL;
}

/* In the form of libxl's JSON, as far as it goes; hap stands beside. */
static void put_number(yajl_gen g, const char *key, uint64_t value)
{
    (void)yajl_gen_string(g, (const unsigned char *)key, strlen(key));
    (void)yajl_gen_integer(g, (long long)value);
}

static void put_string(yajl_gen g, const char *key, const char *value)
{
    (void)yajl_gen_string(g, (const unsigned char *)key, strlen(key));
    (void)yajl_gen_string(g, (const unsigned char *)value, strlen(value));
}

static const char *const type_names[] = {
    [XC_DOMAIN_PV] = "pv", [XC_DOMAIN_HVM] = "hvm", [XC_DOMAIN_PVH] = "pvh"};

static yajl_gen config_json(const struct image_config *c, const unsigned char **text, size_t *len)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    if (!g)
        return NULL;
    (void)yajl_gen_map_open(g);
    (void)yajl_gen_string(g, (const unsigned char *)"c_info", 6);
    (void)yajl_gen_map_open(g);
    put_string(g, "type", type_names[c->type]);
    put_string(g, "name", c->name);
    put_number(g, "hap", c->hap);
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_string(g, (const unsigned char *)"b_info", 6);
    (void)yajl_gen_map_open(g);
    put_number(g, "max_vcpus", c->vcpus);
    put_number(g, "max_memkb", c->memory_kib);
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_map_close(g);
    if (yajl_gen_get_buf(g, text, len) == yajl_gen_status_ok)
        return g;
    yajl_gen_free(g);
    return NULL;
}

static uint64_t get_number(yajl_val tree, const char *outer, const char *key)
{
    const char *path[] = {outer, key, NULL};
    yajl_val v = yajl_tree_get(tree, path, yajl_t_number);

    return v && YAJL_IS_INTEGER(v) && YAJL_GET_INTEGER(v) >= 0 ? (uint64_t)YAJL_GET_INTEGER(v) : 0;
}

static const char *get_string(yajl_val tree, const char *outer, const char *key)
{
    const char *path[] = {outer, key, NULL};
    yajl_val v = yajl_tree_get(tree, path, yajl_t_string);

    return v ? YAJL_GET_STRING(v) : NULL;
}

static int parse_config(const char *text, const char *what, struct image_config *c)
{
    char error[256] = "";
    yajl_val tree = yajl_tree_parse(text, error, sizeof(error));
    const char *name = tree ? get_string(tree, "c_info", "name") : NULL;
    const char *type = tree ? get_string(tree, "c_info", "type") : NULL;
    int rc = -1;

    memset(c, 0, sizeof(*c));
    if (tree && name && type) {
        c->hap = get_number(tree, "c_info", "hap");
        c->vcpus = (uint32_t)get_number(tree, "b_info", "max_vcpus");
        c->memory_kib = get_number(tree, "b_info", "max_memkb");
        for (int i = XC_DOMAIN_PV; i <= XC_DOMAIN_PVH; i++)
            if (!strcmp(type, type_names[i])) {
                c->type = (enum xc_domain_type)i;
                rc = 0;
            }
    }
    if (rc || !c->vcpus || c->vcpus > MAX_VCPUS || !c->memory_kib || !*name || strchr(name, '/')) {
        warn("%s: its configuration is not of a domain of a simulated host", what);
        rc = -1;
    } else {
        c->name = xstrdup(name);
    }
    yajl_tree_free(tree);
    return rc;
}

/* ---- the layers around libxc's stream ---- */

struct head {
    struct xc_sr_xl_hdr xl;
    uint32_t config_length;
};

struct libxl_head {
    struct xc_sr_libxl_hdr libxl;
    struct xc_sr_rhdr context;
};

static void add_to_sum(struct image_config *c, const void *bytes, size_t n)
{
    c->sum.crc = libdeflate_crc32(c->sum.crc, bytes, n);
    c->sum.bytes += n;
}

static int put(int fd, int patience, struct image_config *c, const void *bytes, size_t n)
{
    add_to_sum(c, bytes, n);
    return line_write(fd, bytes, n, patience);
}

int image_write_head(int fd, int patience, struct image_config *c)
{
    struct head head = {.xl = {.byteorder = XC_SR_XL_BYTEORDER,
                               .mandatory_flags = XC_SR_XL_FLAG_JSON | XC_SR_XL_FLAG_STREAM_V2}};
    const struct libxl_head inner = {.libxl = {.ident = __builtin_bswap64(XC_SR_LIBXL_IDENT),
                                               .version = __builtin_bswap32(XC_SR_LIBXL_VERSION)},
                                     .context = {.type = LIBXL_REC_LIBXC_CONTEXT}};
    const unsigned char *text;
    size_t len;
    yajl_gen json = config_json(c, &text, &len);
    int rc = -1;

    memcpy(head.xl.magic, XC_SR_XL_MAGIC, sizeof(head.xl.magic));
    c->sum = (struct xc_sr_head_checksum){.algorithm = XC_SR_CHECKSUM_CRC32};
    if (json) {
        head.config_length = (uint32_t)len + 1; /* its NUL too, as libxl writes it */
        head.xl.optional_length = (uint32_t)sizeof(head.config_length) + head.config_length;
        if (!put(fd, patience, c, &head, sizeof(head)) && !put(fd, patience, c, text, len) &&
            !put(fd, patience, c, "", 1))
            rc = put(fd, patience, c, &inner, sizeof(inner));
        yajl_gen_free(json);
    }
    if (rc)
        warn("writing the image's head: %s", strerror(errno));
    return rc;
}

int image_write_tail(int fd, int patience, const struct image_config *summed)
{
    const struct {
        struct xc_sr_rhdr header;
        struct xc_sr_head_checksum body;
    } sum = {.header = {LIBXL_REC_HEAD_CHECKSUM, sizeof(sum.body)},
             .body = summed ? summed->sum : (struct xc_sr_head_checksum){.algorithm = 0}};
    const struct xc_sr_rhdr end = {.type = LIBXL_REC_END};

    if ((!summed || !line_write(fd, &sum, sizeof(sum), patience)) &&
        !line_write(fd, &end, sizeof(end), patience))
        return 0;
    warn("writing the image's end: %s", strerror(errno));
    return -1;
}

static int bad_head(const char *what, const char *why)
{
    warn("%s: %s", what, why);
    return -1;
}

int image_read_head(const struct image_source *from, struct image_config *c)
{
    const char *what = from->what;
    struct head head;
    struct libxl_head inner;
    char *text;
    int rc;

    memset(c, 0, sizeof(*c));
    if (line_read(from->fd, &head, sizeof(head), from->patience))
        return bad_head(what, errno == EPIPE ? "it ends within its head" : strerror(errno));
    if (memcmp(head.xl.magic, XC_SR_XL_MAGIC, sizeof(head.xl.magic)) != 0)
        return bad_head(what, "offset 0: this is not a domain that xl saved");
    if (head.xl.byteorder != XC_SR_XL_BYTEORDER ||
        head.xl.mandatory_flags != (XC_SR_XL_FLAG_JSON | XC_SR_XL_FLAG_STREAM_V2))
        return bad_head(what, "offset 32: its flags are not those of libxl's stream version 2");
    if (head.config_length < 2 || head.config_length > MAX_CONFIG ||
        head.xl.optional_length != sizeof(head.config_length) + head.config_length)
        return bad_head(what, "offset 44: its configuration has no length that can be");
    text = xcalloc(1, head.config_length + 1);
    rc = line_read(from->fd, text, head.config_length, from->patience) ||
         line_read(from->fd, &inner, sizeof(inner), from->patience);
    if (rc)
        (void)bad_head(what, errno == EPIPE ? "it ends within its head" : strerror(errno));
    else if (inner.libxl.ident != __builtin_bswap64(XC_SR_LIBXL_IDENT) ||
             inner.libxl.version != __builtin_bswap32(XC_SR_LIBXL_VERSION) ||
             inner.context.type != LIBXL_REC_LIBXC_CONTEXT || inner.context.length)
        rc = bad_head(what, "libxl's stream does not begin behind its configuration");
    else
        rc = parse_config(text, what, c);
    c->sum.algorithm = XC_SR_CHECKSUM_CRC32;
    add_to_sum(c, &head, sizeof(head));
    add_to_sum(c, text, head.config_length);
    add_to_sum(c, &inner, sizeof(inner));
    free(text);
    return rc ? -1 : 0;
}

/* Behind libxc's stream: its own checksums say nothing of the head. */
static int compare_sum(const struct image_source *from, const struct image_config *c,
                       uint32_t length)
{
    struct xc_sr_head_checksum sum;

    if (length != sizeof(sum))
        return bad_head(from->what, "HEAD_CHECKSUM has another length");
    if (line_read(from->fd, &sum, sizeof(sum), from->patience))
        return bad_head(from->what, errno == EPIPE ? "libxl's END is missing" : strerror(errno));
    if (memcmp(&sum, &c->sum, sizeof(sum)) != 0)
        return bad_head(from->what, "its head is damaged: the checksum is another");
    return 0;
}

int image_read_tail(const struct image_source *from, const struct image_config *c)
{
    struct xc_sr_rhdr header;

    for (bool summed = false;; summed = true) {
        if (line_read(from->fd, &header, sizeof(header), from->patience))
            return bad_head(from->what,
                            errno == EPIPE ? "libxl's END is missing" : strerror(errno));
        if (header.type == LIBXL_REC_END && !header.length)
            return 0;
        if (header.type != LIBXL_REC_HEAD_CHECKSUM || summed)
            return bad_head(from->what,
                            "what stands behind libxc's stream is of no simulated host");
        if (compare_sum(from, c, header.length))
            return -1;
    }
}

/* ---- seeing it ---- */

#define BAR_WIDTH  20u
#define SHOW_EVERY 100000000u /* ns */

uint64_t view_now(void)
{
    return xc_now_ns();
}

int view_suspend(void *data)
{
    struct save_view *v = data;

    v->suspended = view_now();
    return xc_domain_suspend(v->xch, v->domid);
}

/* "[#####...............] 25%  812 MB/s" */
static void show_bar(const char *what, uint64_t done, uint64_t all, uint64_t bytes_per_second,
                     const char *more)
{
    uint64_t percent = done < all ? done * 100 / all : 100;
    char bar[BAR_WIDTH + 1] = "";

    for (unsigned int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < percent * BAR_WIDTH / 100 ? '#' : '.';
    out_line("%s[%s] %llu%%  %llu MB/s%s", what, bar, (unsigned long long)percent,
             (unsigned long long)(bytes_per_second / 1000000), more);
}

/* "round 1 [#####...............] 25%  812 MB/s  20012 pages/s dirtied  downtime 31.0 ms" */
int view_progress(void *data, const struct xc_sr_stats *st)
{
    struct save_view *v = data;
    uint64_t now = view_now();
    char round[32], dirty[96] = "";

    if (v->shown && v->round == st->round && now - v->shown < SHOW_EVERY)
        return 0;
    v->shown = now;
    v->round = st->round;
    (void)snprintf(round, sizeof(round), "round %u ", st->round);
    /* Before the first round has ended nobody knows. */
    if (st->round)
        (void)snprintf(dirty, sizeof(dirty), "  %llu pages/s dirtied  downtime %.1f ms",
                       (unsigned long long)st->dirty_pages_per_second,
                       (double)st->expected_downtime_ns / 1e6);
    show_bar(round, st->sent_in_round, st->round_pages, st->bytes_per_second, dirty);
    return 0;
}

struct restore_view {
    uint64_t pages; /* that the domain may have */
    uint64_t shown;
};

static int view_restore(void *data, const struct xc_sr_stats *st)
{
    struct restore_view *v = data;
    uint64_t now = view_now(), rate = 0;

    if (v->shown && now - v->shown < SHOW_EVERY)
        return 0;
    v->shown = now;
    if (st->elapsed_ns)
        rate = (uint64_t)((double)st->bytes * 1e9 / (double)st->elapsed_ns);
    show_bar("", st->sent_pages + st->zero_pages, v->pages, rate, "");
    return 0;
}

/* ---- restoring ---- */

static int fill(xc_handle *xch, const struct image_source *from, uint32_t domid,
                const struct image_config *c, struct xc_restore_result *result)
{
    const struct xc_restore_options options = {
        .unverified = from->unverified,
        .patience = from->patience > 0 ? (unsigned int)from->patience : 0};
    struct restore_view view = {.pages = c->memory_kib / 4};
    const struct xc_restore_callbacks callbacks = {.progress = from->show ? view_restore : NULL,
                                                   .data = &view};
    int rc;

    if (xc_domain_max_vcpus(xch, domid, c->vcpus) || xc_domain_max_mem(xch, domid, c->memory_kib))
        return STATUS_TROUBLE;
    rc = xc_domain_restore(xch, from->fd, domid, &options, &callbacks, result);
    out_line_end();
    if (rc)
        return errno == EPERM ? STATUS_NO : STATUS_TROUBLE;
    return image_read_tail(from, c) ? STATUS_TROUBLE : STATUS_YES;
}

/* Has a domain here that name?  -1 after a message. */
static int name_is_taken(xc_handle *xch, const char *name)
{
    struct xc_domain_info *list;
    size_t n;
    int taken = 0;

    if (xc_domain_list(xch, &list, &n))
        return -1;
    for (size_t i = 0; i < n && !taken; i++) {
        char *other = xc_domain_name(xch, list[i].domid);

        taken = other && !strcmp(other, name);
        free(other);
    }
    free(list);
    if (taken)
        warn("there is a domain '%s' here already", name);
    return taken;
}

int image_take_name(xc_handle *xch, uint32_t domid, const struct image_config *c)
{
    return name_is_taken(xch, c->name) || xc_domain_set_name(xch, domid, c->name) ? -1 : 0;
}

static int make(xc_handle *xch, const struct image_source *from, const char *incoming,
                uint32_t *domid, const struct image_config *c, struct xc_restore_result *result)
{
    const struct xc_domain_config config = {.type = c->type, .hap = c->hap, .max_vcpus = c->vcpus};
    int status = STATUS_TROUBLE;

    if (name_is_taken(xch, c->name) || name_is_taken(xch, incoming) ||
        xc_domain_create(xch, &config, domid))
        return STATUS_TROUBLE;
    if (!xl_claim(*domid) && !xc_domain_set_name(xch, *domid, incoming))
        status = fill(xch, from, *domid, c, result);
    if (status && xc_domain_destroy(xch, *domid))
        warn("domain %u is left behind, paused: `xl-sim destroy %u`", *domid, *domid);
    return status;
}

int image_restore(xc_handle *xch, const struct image_source *from, uint32_t *domid,
                  struct image_config *c, struct xc_restore_result *result)
{
    char *incoming;
    int status;

    if (image_read_head(from, c))
        return STATUS_TROUBLE;
    incoming = xasprintf("%s" IMAGE_INCOMING, c->name);
    status = make(xch, from, incoming, domid, c, result);
    free(incoming);
    if (!status && c->type == XC_DOMAIN_PV) {
        struct xl_programs programs;

        (void)xl_programs_look(xch, *domid, &programs);
        xl_programs_print(stderr, &programs, c->name);
    }
    return status;
}

bool image_zero_pages(bool otherwise)
{
    const char *value =
        getenv("XENLEVEL_ZERO_PAGES"); /* NOLINT(concurrency-mt-unsafe): one thread */

    return value && (value[0] == '0' || value[0] == '1') ? value[0] == '1' : otherwise;
}
