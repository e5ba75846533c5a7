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
#include <yajl/yajl_tree.h>

#include "json.h"
#include "line.h"
#include "out.h"
#include "util.h"
#include "xc_sr_rules.h"

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

static const char *const type_names[] = {
    [XC_DOMAIN_PV] = "pv", [XC_DOMAIN_HVM] = "hvm", [XC_DOMAIN_PVH] = "pvh"};

/* In the form of libxl's JSON, as far as it goes; hap stands beside.  malloc'ed; NULL with errno.
 */
static char *config_text(const struct image_config *c)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    struct json *j;
    int rc;

    if (!f)
        return NULL;
    j = json_begin_compact(f);
    json_object(j, NULL);
    json_object(j, "c_info");
    json_string(j, "type", type_names[c->type]);
    json_string(j, "name", c->name);
    json_number(j, "hap", c->hap);
    json_close_object(j);
    json_object(j, "b_info");
    json_number(j, "max_vcpus", c->vcpus);
    json_number(j, "max_memkb", c->memory_kib);
    json_close_object(j);
    json_close_object(j);
    rc = json_end(j);
    if (!fclose(f) && !rc)
        return text;
    free(text);
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

static int put_bytes(int fd, int patience, struct image_config *c, const void *bytes, size_t n)
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
    char *text = config_text(c);
    int rc = -1;

    memcpy(head.xl.magic, XC_SR_XL_MAGIC, sizeof(head.xl.magic));
    c->sum = (struct xc_sr_head_checksum){.algorithm = XC_SR_CHECKSUM_CRC32};
    if (text) {
        const size_t len = strlen(text) + 1;

        head.config_length = (uint32_t)len; /* its NUL too, as libxl writes it */
        head.xl.optional_length = (uint32_t)sizeof(head.config_length) + head.config_length;
        if (!put_bytes(fd, patience, c, &head, sizeof(head)) &&
            !put_bytes(fd, patience, c, text, len))
            rc = put_bytes(fd, patience, c, &inner, sizeof(inner));
        free(text);
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
    enum xc_sr_header_wrong outer;
    char *text;
    int rc;

    memset(c, 0, sizeof(*c));
    if (line_read(from->fd, &head, sizeof(head), from->patience))
        return bad_head(what, errno == EPIPE ? "it ends within its head" : strerror(errno));
    outer = xc_sr_check_xl_header(&head.xl).what;
    if (outer == XC_SR_HEADER_MAGIC)
        return bad_head(what, "offset 0: this is not a domain that xl saved");
    if (outer || !(head.xl.mandatory_flags & XC_SR_XL_FLAG_JSON))
        return bad_head(what, "offset 32: its flags are not those of libxl's stream version 2");
    if (head.config_length < 2 || head.config_length > MAX_CONFIG ||
        head.xl.optional_length != sizeof(head.config_length) + head.config_length)
        return bad_head(what, "offset 44: its configuration has no length that can be");
    text = xcalloc(1, head.config_length + 1);
    rc = line_read(from->fd, text, head.config_length, from->patience) ||
         line_read(from->fd, &inner, sizeof(inner), from->patience);
    if (rc)
        (void)bad_head(what, errno == EPIPE ? "it ends within its head" : strerror(errno));
    else if (xc_sr_check_libxl_header(&inner.libxl).what ||
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
