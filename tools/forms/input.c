/* SPDX-License-Identifier: MIT */
/*
 * Files as they come: compressed, in UTF-16, with line ends of any kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "forms-private.h"

enum {
    MAX_LINES = 4000000,
    XZ_MEMORY = 128 << 20, /* what a dictionary may take */
};

/* Bytes that grow. */
struct buffer {
    char *bytes;
    size_t len, room;
};

static int refuse_input(char *why, size_t size, int err, const char *what)
{
    (void)snprintf(why, size, "%s", what);
    errno = err;
    return -1;
}

static int refuse_size(char *why, size_t size)
{
    return refuse_input(why, size, EFBIG, "more than 64 MiB: too large for a file with CPUs in it");
}

/* Room for `more` bytes, within the limit. */
static int make_room(struct buffer *b, size_t more, char *why, size_t size)
{
    size_t room = b->room ? b->room : 4096;
    char *bytes;

    if (more > FORM_MAX_BYTES - b->len)
        return refuse_size(why, size);
    while (room - b->len < more + 1)
        room *= 2;
    if (room == b->room)
        return 0;
    bytes = realloc(b->bytes, room);
    if (!bytes)
        return refuse_input(why, size, ENOMEM, "out of memory");
    b->bytes = bytes;
    b->room = room;
    return 0;
}

static int read_all(int fd, struct buffer *b, char *why, size_t size)
{
    for (;;) {
        ssize_t n;

        if (b->len == FORM_MAX_BYTES)
            return refuse_size(why, size);
        if (make_room(b, b->room - b->len > 1 ? 1 : 65536, why, size))
            return -1;
        n = read(fd, b->bytes + b->len,
                 b->room - b->len - 1 < FORM_MAX_BYTES - b->len ? b->room - b->len - 1
                                                                : FORM_MAX_BYTES - b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse_input(why, size, errno, strerror(errno));
        if (!n)
            return 0;
        b->len += (size_t)n;
    }
}

/* ---- compression ---- */

static int unpack_gzip(const char *in, size_t len, struct buffer *out, char *why, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len};
    int rc = inflateInit2(&z, 15 + 16), result = 0;

    if (rc != Z_OK)
        return refuse_input(why, size, ENOMEM, "out of memory");
    while (!result) {
        result = make_room(out, 65536, why, size);
        if (result)
            break;
        z.next_out = (Bytef *)out->bytes + out->len;
        z.avail_out = 65536;
        rc = inflate(&z, Z_NO_FLUSH);
        out->len += 65536 - z.avail_out;
        if (rc == Z_STREAM_END && z.avail_in >= 18 && z.next_in[0] == 0x1f)
            rc = inflateReset(&z); /* several members, one behind the other */
        else if (rc == Z_STREAM_END)
            break;
        if (rc != Z_OK || (!z.avail_in && z.avail_out))
            result = refuse_input(why, size, EINVAL, "gzip: damaged, or cut short");
    }
    (void)inflateEnd(&z);
    return result;
}

static int unpack_xz(const char *in, size_t len, struct buffer *out, char *why, size_t size)
{
    lzma_stream x = LZMA_STREAM_INIT;
    lzma_ret rc = lzma_stream_decoder(&x, XZ_MEMORY, LZMA_CONCATENATED);
    int result = 0;

    if (rc != LZMA_OK)
        return refuse_input(why, size, ENOMEM, "out of memory");
    x.next_in = (const uint8_t *)in;
    x.avail_in = len;
    while (!result) {
        result = make_room(out, 65536, why, size);
        if (result)
            break;
        x.next_out = (uint8_t *)out->bytes + out->len;
        x.avail_out = 65536;
        rc = lzma_code(&x, LZMA_FINISH);
        out->len += 65536 - x.avail_out;
        if (rc == LZMA_STREAM_END)
            break;
        if (rc != LZMA_OK)
            result = refuse_input(why, size, EINVAL, "xz: damaged, or cut short");
    }
    lzma_end(&x);
    return result;
}

static int unpack_zstd(const char *in, size_t len, struct buffer *out, char *why, size_t size)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer from = {in, len, 0};
    int result = 0;
    size_t rc = 1;

    if (!z)
        return refuse_input(why, size, ENOMEM, "out of memory");
    (void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 27);
    while (!result) {
        ZSTD_outBuffer to;

        result = make_room(out, 65536, why, size);
        if (result)
            break;
        to = (ZSTD_outBuffer){out->bytes + out->len, 65536, 0};
        rc = ZSTD_decompressStream(z, &to, &from);
        out->len += to.pos;
        if (ZSTD_isError(rc) || (rc && from.pos == from.size && to.pos < to.size))
            result = refuse_input(why, size, EINVAL, "zstd: damaged, or cut short");
        else if (!rc && from.pos == from.size)
            break;
    }
    (void)ZSTD_freeDStream(z);
    return result;
}

struct packing {
    const char *magic;
    size_t len;
    int (*unpack)(const char *in, size_t len, struct buffer *out, char *why, size_t size);
};

static const struct packing packings[] = {
    {"\x1f\x8b\x08", 3, unpack_gzip},
    {"\xfd"
     "7zXZ\0",
     6, unpack_xz},
    {"\x28\xb5\x2f\xfd", 4, unpack_zstd},
};

/* Unpack *b when it is packed; once, for nobody packs twice. */
static int unpack_buffer(struct buffer *b, char *why, size_t size)
{
    for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
        struct buffer out = {0};
        int rc;

        if (b->len < packings[i].len || memcmp(b->bytes, packings[i].magic, packings[i].len) != 0)
            continue;
        rc = packings[i].unpack(b->bytes, b->len, &out, why, size);
        free(b->bytes);
        *b = out;
        return rc;
    }
    return 0;
}

/* ---- characters ---- */

/* Which UTF-16 it is: by its mark, or by the zeros of ASCII's upper bytes.  NULL: it is none. */
static const char *utf16_of(const struct buffer *b)
{
    const unsigned char *s = (const unsigned char *)b->bytes;

    if (b->len < 4 || b->len % 2)
        return NULL;
    if ((s[0] == 0xff && s[1] == 0xfe) || (s[0] && !s[1] && s[2] && !s[3]))
        return "UTF-16LE";
    if ((s[0] == 0xfe && s[1] == 0xff) || (!s[0] && s[1] && !s[2] && s[3]))
        return "UTF-16BE";
    return NULL;
}

static int decode_utf16(struct buffer *b, const char *from, char *why, size_t size)
{
    iconv_t cd = iconv_open("UTF-8", from);
    struct buffer out = {0};
    char *in = b->bytes, *to;
    size_t left = b->len, room = 2 * b->len + 4; /* UTF-8 of UTF-16 is at most 3 bytes for 2 */
    size_t all = room, rc;

    if (cd == (iconv_t)-1)
        return refuse_input(why, size, errno, "UTF-16 cannot be converted on this system");
    if (make_room(&out, room, why, size)) {
        (void)iconv_close(cd);
        return -1;
    }
    to = out.bytes;
    rc = iconv(cd, &in, &left, &to, &room);
    (void)iconv_close(cd);
    out.len = all - room;
    free(b->bytes);
    *b = out;
    if (rc == (size_t)-1)
        return refuse_input(why, size, EINVAL, "begins as UTF-16 does, and is none");
    return 0;
}

/* Behind the "> > " of a mail that somebody has answered. */
static char *skip_quotes(char *line)
{
    while (*line == '>')
        line += line[1] == ' ' ? 2 : 1;
    return line;
}

/* A copy with each line's end made a NUL, and where the lines begin. */
static int split_lines(struct form_text *t, char *why, size_t size)
{
    size_t n = 1;

    t->copy = malloc(t->len + 1);
    for (size_t i = 0; t->copy && i < t->len; i++)
        n += t->bytes[i] == '\n' || t->bytes[i] == '\r';
    if (n > MAX_LINES)
        return refuse_input(why, size, EFBIG, "more than four million lines");
    t->lines = calloc(n, sizeof(*t->lines));
    if (!t->copy || !t->lines)
        return refuse_input(why, size, ENOMEM, "out of memory");
    memcpy(t->copy, t->bytes, t->len);
    t->copy[t->len] = '\0';
    for (size_t i = 0, begin = 0; i <= t->len; i++) {
        bool cr = i < t->len && t->copy[i] == '\r';

        if (i < t->len && t->copy[i] != '\n' && !cr)
            continue;
        t->copy[i] = '\0';
        t->lines[t->n_lines++] = skip_quotes(t->copy + begin);
        if (cr && i + 1 < t->len && t->copy[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
    return 0;
}

/* Make text of what was read, and own it. */
static int take_buffer(struct buffer *b, struct form_text *t, char *why, size_t size)
{
    const char *from;
    int rc = unpack_buffer(b, why, size);

    from = rc ? NULL : utf16_of(b);
    if (from)
        rc = decode_utf16(b, from, why, size);
    if (!rc)
        rc = make_room(b, 0, why, size);
    if (rc) {
        free(b->bytes);
        return -1;
    }
    b->bytes[b->len] = '\0';
    if (b->len >= 3 && !memcmp(b->bytes, "\xef\xbb\xbf", 3)) {
        b->len -= 3;
        memmove(b->bytes, b->bytes + 3, b->len + 1);
    }
    t->bytes = b->bytes;
    t->len = b->len;
    rc = split_lines(t, why, size);
    if (rc)
        form_text_free(t);
    return rc;
}

int form_text_load(const char *path, struct form_text *t, char *why, size_t size)
{
    bool input = !strcmp(path, "-");
    struct buffer b = {0};
    struct stat st;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), rc;

    memset(t, 0, sizeof(*t));
    if (fd < 0)
        return refuse_input(why, size, errno, strerror(errno));
    if (!input && !fstat(fd, &st) && S_ISDIR(st.st_mode)) {
        (void)close(fd);
        return refuse_input(why, size, EISDIR, "not a file");
    }
    rc = read_all(fd, &b, why, size);
    if (!input)
        (void)close(fd);
    if (rc) {
        free(b.bytes);
        return -1;
    }
    return take_buffer(&b, t, why, size);
}

int form_text_from_bytes(const void *bytes, size_t len, struct form_text *t, char *why, size_t size)
{
    struct buffer b = {0};

    memset(t, 0, sizeof(*t));
    if (make_room(&b, len, why, size))
        return -1;
    if (len)
        memcpy(b.bytes, bytes, len);
    b.len = len;
    return take_buffer(&b, t, why, size);
}

void form_text_free(struct form_text *t)
{
    free((void *)(uintptr_t)t->bytes);
    free(t->lines);
    free(t->copy);
    memset(t, 0, sizeof(*t));
}
