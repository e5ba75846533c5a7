/* SPDX-License-Identifier: MIT */
/* See pool-base.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "out.h"
#include "pool-base.h"
#include "util.h"
#include "xlp.h"

/* Is it what its digest says? */
static bool is_whole(const struct store_value *value, const char *digest, struct xlp_error *error)
{
    char there[DIGEST_TEXT];

    digest_text(value->bytes, value->len, there);
    if (!strcmp(there, digest))
        return true;
    (void)snprintf(error->text, sizeof(error->text), "damaged: its SHA-256 is %s", there);
    return false;
}

/* One capture out of the registry.  NULL after a message. */
static Xenlevel__File *read_capture(struct store *store, const char *digest)
{
    char *key = pool_key("capture", digest);
    struct xlp_error error = {"it is not there", 0};
    struct store_value value;
    Xenlevel__File *file = NULL;

    if (store_get(store, key, &value)) {
        warn("%s", store_error(store));
    } else {
        if (value.revision && is_whole(&value, digest, &error))
            file = xlp_decode(key, value.bytes, value.len, &error);
        if (file && file->content_case != XENLEVEL__FILE__CONTENT_HOST) {
            xlp_free(file);
            file = NULL;
            (void)snprintf(error.text, sizeof(error.text), "it is no host");
        }
        if (!file)
            warn("the record of a host names %s (%s): %s", key, store_name(store), error.text);
        store_value_free(&value);
    }
    free(key);
    return file;
}

int pool_base_open(struct store *store, const struct pool *p, size_t host, struct pool_base *base)
{
    const struct pool_host *h = &p->hosts[host];
    const ProtobufCBinaryData *before = &h->record->before;
    Xenlevel__File *file;

    memset(base, 0, sizeof(*base));
    base->moment = (struct pool_moment){&p->captures[h->capture], h->record};
    if (!before->len)
        return 0;
    base->record = xenlevel__pool_host__unpack(NULL, before->len, before->data);
    if (!base->record) {
        warn("%s: the record of host '%s': what it was before cannot be read", store_name(store),
             h->record->name);
        return -1;
    }
    base->moment.record = base->record;
    if (!strcmp(base->record->capture, h->record->capture))
        return 0;
    file = read_capture(store, base->record->capture);
    if (!file) {
        pool_base_close(base);
        return -1;
    }
    pool_capture_take(&base->capture, file);
    base->moment.capture = &base->capture;
    return 0;
}

void pool_base_close(struct pool_base *base)
{
    if (base->capture.file)
        pool_capture_clear(&base->capture);
    if (base->record)
        xenlevel__pool_host__free_unpacked(base->record, NULL);
    base->capture.file = NULL;
    base->record = NULL;
}
