/* SPDX-License-Identifier: MIT */
/*
 * Text: the few conversions that the hypervisor needs, and its console.
 */
#include <hypervisor.h>

#include <stdarg.h>

#define LINE_MAX 256u

struct text {
    char *buf;
    size_t size, len; /* len may pass size: what does not fit is only counted */
};

static void put_char(struct text *t, char c)
{
    if (t->len + 1 < t->size)
        t->buf[t->len] = c;
    t->len++;
}

/* Strings come from outside as well: what is not printable must not reach a terminal. */
static void put_string(struct text *t, const char *s, unsigned int width)
{
    unsigned int n = 0;

    for (; s[n] && n < LINE_MAX; n++)
        put_char(t, (char)(s[n] >= ' ' && s[n] <= '~' ? s[n] : '?'));
    for (; n < width; n++)
        put_char(t, ' ');
}

struct conversion {
    unsigned int width;
    bool zero, wide;
};

static void put_number(struct text *t, uint64_t value, bool negative, unsigned int base,
                       const struct conversion *c)
{
    char digits[24];
    unsigned int n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative && c->zero)
        put_char(t, '-');
    for (unsigned int i = n + negative; i < c->width && i < LINE_MAX; i++)
        put_char(t, c->zero ? '0' : ' ');
    if (negative && !c->zero)
        put_char(t, '-');
    while (n)
        put_char(t, digits[--n]);
}

/* What stands between '%' and the letter; returns where the letter is. */
static const char *parse_conversion(const char *fmt, struct conversion *c)
{
    *c = (struct conversion){0};
    if (*fmt == '0')
        c->zero = true;
    for (; *fmt >= '0' && *fmt <= '9'; fmt++)
        if (c->width < LINE_MAX)
            c->width = c->width * 10 + (unsigned int)(*fmt - '0');
    for (; *fmt == 'l' || *fmt == 'z'; fmt++)
        c->wide = true;
    return fmt;
}

static void format_conversions(struct text *t, const char *fmt, va_list ap)
{
    for (; *fmt; fmt++) {
        struct conversion c;
        int64_t number;

        if (*fmt != '%') {
            put_char(t, *fmt);
            continue;
        }
        fmt = parse_conversion(fmt + 1, &c);
        switch (*fmt) {
        case 's':
            put_string(t, va_arg(ap, const char *), c.width);
            break;
        case 'c':
            put_char(t, (char)va_arg(ap, int));
            break;
        case 'd':
            number = c.wide ? va_arg(ap, long) : va_arg(ap, int);
            put_number(t, number < 0 ? -(uint64_t)number : (uint64_t)number, number < 0, 10, &c);
            break;
        case 'u':
        case 'x':
            put_number(t, c.wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int), false,
                       *fmt == 'x' ? 16 : 10, &c);
            break;
        case '\0':
            return;
        default: /* '%' itself; nothing else is ever written */
            put_char(t, *fmt);
            break;
        }
    }
}

static size_t finish_text(struct text *t)
{
    if (t->len >= t->size)
        t->len = t->size ? t->size - 1 : 0;
    if (t->size)
        t->buf[t->len] = '\0';
    return t->len;
}

int format_text(char *buf, size_t size, const char *fmt, ...)
{
    struct text t = {buf, size, 0};
    va_list ap;

    va_start(ap, fmt);
    format_conversions(&t, fmt, ap);
    va_end(ap);
    return (int)finish_text(&t);
}

static void ring_put(struct hypervisor *hv, char c)
{
    hv->console[hv->console_produced++ % CONSOLE_RING] = c;
    /* A reader that is a whole ring behind loses the oldest byte. */
    if (hv->console_produced - hv->console_consumed > CONSOLE_RING)
        hv->console_consumed = hv->console_produced - CONSOLE_RING;
}

void printk(struct hypervisor *hv, const char *fmt, ...)
{
    char line[LINE_MAX];
    struct text t = {line, sizeof(line), 0};
    va_list ap;
    size_t len;

    va_start(ap, fmt);
    format_conversions(&t, fmt, ap);
    va_end(ap);
    len = finish_text(&t);

    for (size_t i = 0; i < len; i++)
        ring_put(hv, line[i]);
    ring_put(hv, '\n');
    platform_console(hv->platform, line, len);
}
