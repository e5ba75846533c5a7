/* SPDX-License-Identifier: MIT */
/* See xc_sr_envelope.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xc_sr_envelope.h"

#define LIBVIRT_MAGIC "libvirt-xml\n \0 \r"
#define XAPI_MAGIC    "XenSavedDomv2-\n"
#define XAPI_LEGACY   "XenSavedDomain\n"
#define LIBXL_MAGIC   "LibxlFmt"

enum {
    LIBVIRT_MAGIC_SIZE = 16,
    LIBVIRT_HEADER = 64,
    LIBVIRT_VERSION = 2,
    MAX_XML = 64 << 20,
    XAPI_MAGIC_SIZE = 15,
    XAPI_MAX_RECORDS = 64,
    XAPI_MAX_LENGTH = 64 << 20,
    /* types of XAPI's records */
    XAPI_XENOPS = 0x000f,
    XAPI_LIBXC = 0x00f0,
    XAPI_LIBXL = 0x00f1,
    XAPI_LIBXC_LEGACY = 0x00f2,
    XAPI_END = 0xffff,
};

static int refuse_image(char *why, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse_image(char *why, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, size, fmt, ap);
    va_end(ap);
    errno = EINVAL;
    return -1;
}

/* All of buf, or fewer bytes at the end.  -1 with why[]. */
static ssize_t read_at(int fd, uint64_t offset, void *buf, size_t len, char *why, size_t size)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = pread(fd, (char *)buf + have, len - have, (off_t)(offset + have));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int err = errno;

            (void)refuse_image(why, size, "reading failed: %s", strerror(err));
            errno = err;
            return -1;
        }
        if (!n)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static uint32_t le32(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t le64(const unsigned char *b)
{
    return le32(b) | (uint64_t)le32(b + 4) << 32;
}

/* Which stream begins there. */
static int recognise_stream(int fd, struct xc_sr_envelope *e, char *why, size_t size)
{
    unsigned char first[8];
    ssize_t n = read_at(fd, e->offset, first, sizeof(first), why, size);

    if (n < 0)
        return -1;
    if (n < (ssize_t)sizeof(first))
        return refuse_image(why, size,
                            "%s's image ends at byte %" PRIu64 ", where its stream begins",
                            e->whose, e->offset + (uint64_t)n);
    if (!memcmp(first, LIBXL_MAGIC, sizeof(first)))
        e->layer = XC_SR_LIBXL;
    else if (!memcmp(first, "\xff\xff\xff\xff\xff\xff\xff\xff", sizeof(first)))
        e->layer = XC_SR_LIBXC;
    else
        return refuse_image(why, size,
                            "%s's image has no stream at byte %" PRIu64
                            ": neither \"LibxlFmt\" nor "
                            "libxc's marker (one of Xen 4.5 and older holds no CPU policy)",
                            e->whose, e->offset);
    return 0;
}

static int open_libvirt(int fd, const unsigned char *header, struct xc_sr_envelope *e, char *why,
                        size_t size)
{
    uint32_t version = le32(header + 16), length = le32(header + 20);

    e->whose = "libvirt";
    if (!version || version > LIBVIRT_VERSION)
        return refuse_image(why, size,
                            "byte 16: version %u of libvirt's header; %d is the newest known",
                            version, LIBVIRT_VERSION);
    if (length > MAX_XML)
        return refuse_image(why, size, "byte 20: XML of %u bytes; at most %d are taken", length,
                            MAX_XML);
    e->offset = LIBVIRT_HEADER + (uint64_t)length;
    return recognise_stream(fd, e, why, size);
}

static int open_xapi(int fd, struct xc_sr_envelope *e, char *why, size_t size)
{
    uint64_t at = XAPI_MAGIC_SIZE;

    e->whose = "XAPI";
    for (unsigned int i = 0; i < XAPI_MAX_RECORDS; i++) {
        unsigned char record[16];
        ssize_t n = read_at(fd, at, record, sizeof(record), why, size);
        uint64_t type, length;

        if (n < 0)
            return -1;
        if (n < (ssize_t)sizeof(record))
            return refuse_image(why, size,
                                "XAPI's image ends at byte %" PRIu64 ", before libxc's stream",
                                at + (uint64_t)n);
        type = le64(record);
        length = le64(record + 8);
        e->offset = at + sizeof(record);
        if (type == XAPI_LIBXC || type == XAPI_LIBXL)
            return recognise_stream(fd, e, why, size);
        if (type == XAPI_LIBXC_LEGACY)
            return refuse_image(why, size,
                                "byte %" PRIu64 ": XAPI's image has a legacy stream, of Xen "
                                "4.5 or older: it holds no CPU policy",
                                at);
        if (type == XAPI_END)
            return refuse_image(why, size, "byte %" PRIu64 ": XAPI's image has no stream of libxc",
                                at);
        if (length > XAPI_MAX_LENGTH)
            return refuse_image(why, size,
                                "byte %" PRIu64 ": XAPI's record 0x%" PRIx64 " of %" PRIu64
                                " bytes; at most %d are taken",
                                at, type, length, XAPI_MAX_LENGTH);
        at = e->offset + length;
    }
    return refuse_image(why, size, "XAPI's image has %d records before libxc's stream",
                        XAPI_MAX_RECORDS);
}

int xc_sr_find_stream(int fd, struct xc_sr_envelope *e, char *why, size_t size)
{
    unsigned char first[LIBVIRT_HEADER];
    ssize_t n = read_at(fd, 0, first, sizeof(first), why, size);

    memset(e, 0, sizeof(*e));
    if (n < 0)
        return -1;
    if (n >= XAPI_MAGIC_SIZE && !memcmp(first, XAPI_LEGACY, XAPI_MAGIC_SIZE))
        return refuse_image(why, size,
                            "a legacy image of XAPI, of Xen 4.5 or older: it holds no CPU "
                            "policy");
    if (n >= XAPI_MAGIC_SIZE && !memcmp(first, XAPI_MAGIC, XAPI_MAGIC_SIZE))
        return open_xapi(fd, e, why, size);
    if (n < LIBVIRT_MAGIC_SIZE || memcmp(first, LIBVIRT_MAGIC, LIBVIRT_MAGIC_SIZE) != 0)
        return 0;
    if (n < LIBVIRT_HEADER)
        return refuse_image(why, size, "libvirt's image ends at byte %zd, in its header", n);
    return open_libvirt(fd, first, e, why, size);
}
