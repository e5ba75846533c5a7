/* SPDX-License-Identifier: MIT */
/* Lines of text. Xen's log cuts them at 78 characters, so they are kept short. */
#include "probe.h"

#include <stdarg.h>

char print_name[16] = "-";

static char line[160];
static size_t used;

static void put(char c)
{
    if (used < sizeof(line) - 1)
        line[used++] = c;
}

static void put_string(const char *s)
{
    while (*s)
        put(*s++);
}

static void put_number(uint64_t v, unsigned int base, unsigned int digits)
{
    char buf[20];
    unsigned int n = 0;

    do {
        buf[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v || n < digits);
    while (n)
        put(buf[--n]);
}

void print(const char *fmt, ...)
{
    va_list ap;

    used = 0;
    put_string("probe:");
    put_string(print_name);
    put_string(": ");
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        switch (*++fmt) {
        case 's':
            put_string(va_arg(ap, const char *));
            break;
        case 'u':
            put_number(va_arg(ap, unsigned int), 10, 1);
            break;
        case 'x':
            put_number(va_arg(ap, unsigned int), 16, 1);
            break;
        case 'w':
            put_number(va_arg(ap, unsigned int), 16, 8);
            break;
        case 'X':
            put_number(va_arg(ap, uint64_t), 16, 16);
            break;
        }
    }
    va_end(ap);
    line[used++] = '\n';
    console_line(line, used);
}
