/* SPDX-License-Identifier: MIT */
/* JSON as etcd's gateway speaks it: see etcd.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "etcd.h"
#include "util.h"

/* ---- questions ---- */

void etcd_body_begin(struct etcd_body *b)
{
    *b = (struct etcd_body){0};
    b->f = open_memstream(&b->text, &b->len);
    if (!b->f)
        out_of_memory();
    b->j = json_begin_compact(b->f);
    json_object(b->j, NULL);
}

void etcd_body_end(struct etcd_body *b)
{
    json_close_object(b->j);
    if (json_end(b->j) || fclose(b->f))
        out_of_memory();
    b->j = NULL;
    b->f = NULL;
}

void etcd_body_free(struct etcd_body *b)
{
    if (b->text)
        explicit_bzero(b->text, b->len); /* a password may be in it */
    free(b->text);
    *b = (struct etcd_body){0};
}

void etcd_json_bytes(struct json *j, const char *member, const void *bytes, size_t len)
{
    char *text = xcalloc((len + 2) / 3 * 4 + 1, 1);

    (void)EVP_EncodeBlock((unsigned char *)text, bytes, (int)len); /* at most STORE_VALUE_MAX */
    json_string(j, member, text);
    free(text);
}

void etcd_json_key(struct json *j, const char *member, const struct etcd *e, const char *key,
                   bool end)
{
    char *whole = xasprintf("%s%s", e->where.prefix, key);
    size_t len = strlen(whole);

    if (end)
        whole[len - 1]++; /* no key has a byte FF, and the prefix is not empty */
    etcd_json_bytes(j, member, whole, len);
    free(whole);
}

/* ---- answers ---- */

uint64_t etcd_number(yajl_val object, const char *member)
{
    yajl_val v = json_find(object, member, yajl_t_any);
    const char *text = YAJL_IS_STRING(v)   ? YAJL_GET_STRING(v)
                       : YAJL_IS_NUMBER(v) ? YAJL_GET_NUMBER(v)
                                           : NULL;
    uint64_t n;
    char *end;

    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    n = strtoull(text, &end, 10);
    return errno || *end ? 0 : n;
}

bool etcd_true(yajl_val object, const char *member)
{
    return YAJL_IS_TRUE(json_find(object, member, yajl_t_any));
}

int etcd_bytes(yajl_val object, const char *member, char **bytes, size_t *len)
{
    const char *text = json_find_string(object, member);
    size_t n = text ? strlen(text) : 0, padding = 0;
    int got;

    *len = 0;
    *bytes = n % 4 == 0 && n / 4 * 3 <= INT32_MAX ? malloc(n / 4 * 3 + 1) : NULL;
    if (!*bytes) {
        errno = n % 4 == 0 ? ENOMEM : EPROTO;
        return -1;
    }
    while (padding < n && text[n - 1 - padding] == '=')
        padding++;
    got = n ? EVP_DecodeBlock((unsigned char *)*bytes, (const unsigned char *)text, (int)n) : 0;
    if (got < 0 || padding > 2) {
        free(*bytes);
        *bytes = NULL;
        errno = EPROTO;
        return -1;
    }
    *len = (size_t)got - padding;
    (*bytes)[*len] = '\0';
    return 0;
}
