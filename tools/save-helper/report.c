/* SPDX-License-Identifier: MIT */
/*
 * What the gate says, and to whom: the person at the terminal (standard error) and the logs
 * (syslog, and the file XENLEVEL_LOG when it is set).  libxl is told in control.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"
#include "text.h"
#include "xc_text.h"

void report_open(void)
{
    openlog("xenlevel-save-helper", LOG_PID, LOG_DAEMON);
}

unsigned int report_width(void)
{
    struct winsize ws;

    if (isatty(STDERR_FILENO) && ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40)
        return ws.ws_col;
    return 100;
}

/* All of it or as much as goes; nobody is left to tell when it does not. */
static int write_all(int fd, const void *buf, size_t size)
{
    const char *b = buf;

    while (size) {
        ssize_t n = write(fd, b, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        b += n;
        size -= (size_t)n;
    }
    return 0;
}

static void to_file(const char *text)
{
    const char *path = getenv("XENLEVEL_LOG");
    char stamp[64];
    struct tm tm;
    time_t now = time(NULL);
    size_t n;
    int fd;

    if (!path || !path[0])
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return;
    n = localtime_r(&now, &tm) ? strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S%z ", &tm) : 0;
    (void)snprintf(stamp + n, sizeof(stamp) - n, "[%ld] ", (long)getpid());
    (void)write_all(fd, stamp, strlen(stamp));
    (void)write_all(fd, text, strlen(text));
    close(fd);
}

static void to_logs(int priority, const char *text)
{
    to_file(text);
    for (const char *s = text; *s;) {
        size_t n = strcspn(s, "\n");

        if (n)
            syslog(priority, "%.*s", (int)n, s);
        s += n;
        s += *s == '\n';
    }
}

void report_text(int priority, const char *text)
{
    (void)write_all(STDERR_FILENO, text, strlen(text));
    to_logs(priority, text);
}

static void line_text(char *out, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void line_text(char *out, size_t size, const char *fmt, va_list ap)
{
    char line[2048];
    struct text t;

    (void)xc_text_vprint(line, sizeof(line), fmt, ap);
    text_init(&t, out, size, report_width());
    text_line(&t, 4, "xenlevel: %s", line);
}

void report_line(int priority, const char *fmt, ...)
{
    char out[4096];
    va_list ap;

    va_start(ap, fmt);
    line_text(out, sizeof(out), fmt, ap);
    va_end(ap);
    report_text(priority, out);
}

void report_log(int priority, const char *fmt, ...)
{
    char out[4096];
    va_list ap;

    va_start(ap, fmt);
    line_text(out, sizeof(out), fmt, ap);
    va_end(ap);
    to_logs(priority, out);
}
