/* SPDX-License-Identifier: MIT */
/* Foreign text on its way to a terminal, a log or a shell: see xc_text.h. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xc_text.h"

/* What was written to a buffer, and would have been had there been room. */
struct sink {
    char *out;
    size_t size, len;
    bool full; /* something did not fit: nothing behind it is written either */
};

/* Add a unit that must not be cut. */
static void put_unit(struct sink *s, const char *unit, size_t n)
{
    s->full |= n >= s->size || s->len > s->size - 1 - n;
    if (!s->full)
        memcpy(s->out + s->len, unit, n);
    else if (s->len < s->size)
        s->size = s->len + 1; /* the NUL goes here */
    s->len += n;
}

static size_t finish_text(const struct sink *s)
{
    if (s->size)
        s->out[s->len < s->size ? s->len : s->size - 1] = '\0';
    return s->len;
}

/*
 * Decode the character at p[0..n), n > 0.  Returns its length and *c; 0 when these bytes are no
 * UTF-8 (Unicode Standard, table 3-7).
 */
static size_t decode_char(const unsigned char *p, size_t n, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (len == 1) {
        *c = p[0];
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
        return 0;
    *c = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (p[i] & 0x3f);
    }
    return *c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : len;
}

/* Does a terminal, or a reader of lines, do something else with it than show it? */
static bool is_active(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_escaped(struct sink *s, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 0xf]};

    put_unit(s, escape, sizeof(escape));
}

static void put_safe(struct sink *s, const char *in, size_t len)
{
    const unsigned char *p = (const unsigned char *)in;

    while (len) {
        uint32_t c;
        size_t n = decode_char(p, len, &c);

        if (n && !is_active(c)) {
            put_unit(s, (const char *)p, n);
        } else {
            n = n ? n : 1;
            for (size_t i = 0; i < n; i++)
                put_escaped(s, p[i]);
        }
        p += n;
        len -= n;
    }
}

size_t xc_text_safe(const char *in, size_t len, char *out, size_t size)
{
    struct sink s = {out, size, 0, false};

    put_safe(&s, in, len);
    return finish_text(&s);
}

bool xc_text_is_utf8(const char *in, size_t len)
{
    const unsigned char *p = (const unsigned char *)in;
    uint32_t c;

    for (size_t n; len; p += n, len -= n) {
        n = decode_char(p, len, &c);
        if (!n)
            return false;
    }
    return true;
}

/* ---- formats ---- */

/* A conversion specification, taken apart. */
struct spec {
    char flags[8];
    int width, precision; /* -1: none */
    enum { SIZE_INT, SIZE_LONG, SIZE_LLONG, SIZE_SIZE, SIZE_MAX_T, SIZE_PTRDIFF } size;
    char conversion;
};

/* A va_list that can be handed on by address, whatever the ABI makes of one. */
struct arguments {
    va_list ap;
};

static int parse_number(const char **fmt, struct arguments *args)
{
    int n = 0;

    if (**fmt == '*') {
        (*fmt)++;
        return va_arg(args->ap, int);
    }
    for (; isdigit((unsigned char)**fmt) && n < 100000; (*fmt)++)
        n = n * 10 + (**fmt - '0');
    return n;
}

static void parse_size(const char **fmt, struct spec *s)
{
    for (;; (*fmt)++) {
        switch (**fmt) {
        case 'h': /* promoted to int by the caller */
            break;
        case 'l':
            s->size = s->size == SIZE_LONG ? SIZE_LLONG : SIZE_LONG;
            break;
        case 'z':
            s->size = SIZE_SIZE;
            break;
        case 'j':
            s->size = SIZE_MAX_T;
            break;
        case 't':
            s->size = SIZE_PTRDIFF;
            break;
        default:
            return;
        }
    }
}

/* *fmt stands behind the '%', and then behind the conversion. */
static struct spec parse_spec(const char **fmt, struct arguments *args)
{
    struct spec s = {.width = -1, .precision = -1};
    size_t n = strspn(*fmt, "-+ #0");

    memcpy(s.flags, *fmt, n < sizeof(s.flags) ? n : sizeof(s.flags) - 1);
    *fmt += n;
    if (**fmt == '*' || isdigit((unsigned char)**fmt))
        s.width = parse_number(fmt, args);
    if (s.width < -1) { /* a negative argument: to the left */
        s.width = -s.width;
        s.flags[strlen(s.flags) < sizeof(s.flags) - 1 ? strlen(s.flags) : 0] = '-';
    }
    if (**fmt == '.') {
        (*fmt)++;
        s.precision = parse_number(fmt, args);
    }
    parse_size(fmt, &s);
    s.conversion = **fmt;
    *fmt += **fmt != '\0';
    return s;
}

/* "%-*.*" and what stands behind it; the width and the precision are arguments. */
static void rebuild_spec(const struct spec *s, const char *size, char text[static 24])
{
    (void)snprintf(text, 24, "%%%s*.*%s%c", s->flags, size, s->conversion);
}

/* How many bytes the character has that begins with this one; 1 when none does. */
static size_t length_of(unsigned char first)
{
    return first < 0xc2 || first > 0xf4 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/*
 * Of in[0..n), n > 0, the bytes before a character that has only begun.  What stands behind them
 * may not be looked at: a precision is how a text without a NUL is printed.
 */
static size_t whole_characters(const char *in, size_t n)
{
    for (size_t back = 1; back < 4 && back <= n; back++) {
        unsigned char byte = (unsigned char)in[n - back];

        if ((byte & 0xc0) != 0x80)
            return length_of(byte) > back ? n - back : n;
    }
    return n;
}

static void put_string(struct sink *o, const struct spec *s, const char *in)
{
    size_t n, len, pad;

    if (!in)
        in = "(null)";
    n = s->precision >= 0 ? strnlen(in, (size_t)s->precision) : strlen(in);
    if (n == (size_t)s->precision)
        n = whole_characters(in, n);
    len = xc_text_safe(in, n, NULL, 0);
    pad = s->width > 0 && (size_t)s->width > len ? (size_t)s->width - len : 0;
    for (size_t i = 0; i < pad && !strchr(s->flags, '-'); i++)
        put_unit(o, " ", 1);
    put_safe(o, in, n);
    for (size_t i = 0; i < pad && strchr(s->flags, '-'); i++)
        put_unit(o, " ", 1);
}

/* NOLINTBEGIN(bugprone-branch-clone): types that are one only on this ABI */
static intmax_t signed_argument(const struct spec *s, struct arguments *args)
{
    switch (s->size) {
    case SIZE_LONG:
        return va_arg(args->ap, long);
    case SIZE_LLONG:
        return va_arg(args->ap, long long);
    case SIZE_SIZE:
        return va_arg(args->ap, ssize_t);
    case SIZE_MAX_T:
        return va_arg(args->ap, intmax_t);
    case SIZE_PTRDIFF:
        return va_arg(args->ap, ptrdiff_t);
    default:
        return va_arg(args->ap, int);
    }
}

static uintmax_t unsigned_argument(const struct spec *s, struct arguments *args)
{
    switch (s->size) {
    case SIZE_LONG:
        return va_arg(args->ap, unsigned long);
    case SIZE_LLONG:
        return va_arg(args->ap, unsigned long long);
    case SIZE_SIZE:
        return va_arg(args->ap, size_t);
    case SIZE_MAX_T:
        return va_arg(args->ap, uintmax_t);
    case SIZE_PTRDIFF:
        return (uintmax_t)va_arg(args->ap, ptrdiff_t);
    default:
        return va_arg(args->ap, unsigned int);
    }
}
/* NOLINTEND(bugprone-branch-clone) */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* One conversion.  false when it is none that is known here. */
static bool put_one(struct sink *o, const struct spec *s, struct arguments *args)
{
    char format[24], text[512], c;
    int n, width = s->width > 0 ? s->width : 0;

    switch (s->conversion) {
    case 's':
        put_string(o, s, va_arg(args->ap, const char *));
        return true;
    case 'c':
        c = (char)va_arg(args->ap, int);
        put_safe(o, &c, 1);
        return true;
    case '%':
        put_unit(o, "%", 1);
        return true;
    case 'd':
    case 'i':
        rebuild_spec(s, "j", format);
        n = snprintf(text, sizeof(text), format, width, s->precision, signed_argument(s, args));
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        rebuild_spec(s, "j", format);
        n = snprintf(text, sizeof(text), format, width, s->precision, unsigned_argument(s, args));
        break;
    case 'f':
    case 'e':
    case 'g':
        rebuild_spec(s, "", format);
        n = snprintf(text, sizeof(text), format, width, s->precision, va_arg(args->ap, double));
        break;
    case 'p':
        (void)snprintf(format, sizeof(format), "%%p");
        n = snprintf(text, sizeof(text), format, va_arg(args->ap, void *));
        break;
    default:
        return false;
    }
    for (int i = 0; i < n && i < (int)sizeof(text) - 1; i++)
        put_unit(o, text + i, 1);
    return true;
}

#pragma GCC diagnostic pop

/* Up to the next '%': the program's own characters, whole. */
static const char *put_literal(struct sink *o, const char *fmt)
{
    while (*fmt && *fmt != '%') {
        uint32_t c;
        size_t n = decode_char((const unsigned char *)fmt, strnlen(fmt, 4), &c);

        put_unit(o, fmt, n ? n : 1);
        fmt += n ? n : 1;
    }
    return fmt;
}

size_t xc_text_vprint(char *out, size_t size, const char *fmt, va_list ap)
{
    struct sink o = {out, size, 0, false};
    struct arguments args;

    va_copy(args.ap, ap);
    for (fmt = put_literal(&o, fmt); *fmt; fmt = put_literal(&o, fmt)) {
        const char *begin = fmt++;
        struct spec s = parse_spec(&fmt, &args);

        if (put_one(&o, &s, &args))
            continue;
        put_unit(&o, begin, strlen(begin));
        break;
    }
    va_end(args.ap);
    return finish_text(&o);
}

size_t xc_text_print(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = xc_text_vprint(out, size, fmt, ap);
    va_end(ap);
    return n;
}

char *xc_text_vformat(const char *fmt, va_list ap)
{
    size_t size = xc_text_vprint(NULL, 0, fmt, ap) + 1;
    char *text = malloc(size);

    if (text)
        (void)xc_text_vprint(text, size, fmt, ap);
    return text;
}

/* ---- a word for a shell ---- */

/* $'...': each character that the shell, or a terminal, reads otherwise is an escape. */
static void put_ansi_c(struct sink *s, const char *name)
{
    const unsigned char *p = (const unsigned char *)name;

    put_unit(s, "$'", 2);
    while (*p) {
        uint32_t c;
        size_t n = decode_char(p, strnlen((const char *)p, 4), &c);

        if (n && !is_active(c) && c != '\'' && c != '\\') {
            put_unit(s, (const char *)p, n);
        } else {
            n = n ? n : 1;
            for (size_t i = 0; i < n; i++)
                put_escaped(s, p[i]);
            /* \xNN takes as many digits as there are: one that follows must not be taken for one */
            if (isxdigit(p[n]))
                put_unit(s, "'$'", 3);
        }
        p += n;
    }
    put_unit(s, "'", 1);
}

static void put_quoted(struct sink *s, const char *name)
{
    put_unit(s, "'", 1);
    for (size_t n; *name; name += n) {
        uint32_t c;

        n = decode_char((const unsigned char *)name, strnlen(name, 4), &c);
        n = n ? n : 1;
        if (*name == '\'')
            put_unit(s, "'\\''", 4);
        else
            put_unit(s, name, n);
    }
    put_unit(s, "'", 1);
}

size_t xc_text_shell(const char *name, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%_+=:,./-";
    struct sink s = {out, size, 0, false};
    size_t len = strlen(name);

    if (len && strspn(name, plain) == len)
        put_unit(&s, name, len);
    else if (xc_text_safe(name, len, NULL, 0) != len)
        put_ansi_c(&s, name);
    else
        put_quoted(&s, name);
    return finish_text(&s);
}
