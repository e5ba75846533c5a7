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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"
#include "out.h"
#include "xc_path.h"
#include "xc_text.h"

void report_open(void)
{
    openlog("xenlevel-save-helper", LOG_PID, LOG_DAEMON);
}

unsigned int report_width(void)
{
    unsigned int width = out_width(stderr);

    return width ? width : 100;
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

/* /dev/null, whatever its name is (Linux, Documentation/admin-guide/devices.txt): it keeps nothing.
 */
static bool is_null(int fd)
{
    struct stat st;

    return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* 0: it is in the file; 1: there is to be none; -1 with errno: it is not there whole. */
static int to_file(const char *text)
{
    const char *path = getenv("XENLEVEL_LOG");
    char stamp[64];
    struct tm tm;
    time_t now = time(NULL);
    int fd, rc, err;
    size_t n;

    if (!path || !path[0])
        return 1;
    fd = xc_path_open_log(path);
    if (fd < 0)
        return -1;
    if (is_null(fd)) {
        close(fd);
        return 1;
    }
    n = localtime_r(&now, &tm) ? strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S%z ", &tm) : 0;
    (void)snprintf(stamp + n, sizeof(stamp) - n, "[%ld] ", (long)getpid());
    rc = write_all(fd, stamp, strlen(stamp)) || write_all(fd, text, strlen(text)) ? -1 : 0;
    err = errno;
    if (close(fd) && !rc) { /* some file systems say only now that there was no room */
        err = errno;
        rc = -1;
    }
    errno = err;
    return rc;
}

/* Does somebody take what syslog() sends?  It does not say. */
static bool syslog_listens(void)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool listens = false;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", gate_syslog());

    for (size_t i = 0; i < 2 && !listens; i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        listens = fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address));
        if (fd >= 0)
            close(fd);
    }
    return listens;
}

static void to_syslog(int priority, const char *text)
{
    for (const char *s = text; *s;) {
        size_t n = strcspn(s, "\n");

        if (n)
            syslog(priority, "%.*s", (int)n, s);
        s += n;
        s += *s == '\n';
    }
}

/* That the file does not take it is said once, to the others. */
static void complain_of_file(int err)
{
    static bool said;
    char line[PATH_MAX + 256];

    if (said)
        return;
    said = true;
    (void)xc_text_print(line, sizeof(line),
                        "xenlevel: XENLEVEL_LOG, %s, cannot be written to: %s\n",
                        getenv("XENLEVEL_LOG"), strerror(err));
    (void)write_all(STDERR_FILENO, line, strlen(line));
    to_syslog(LOG_WARNING, line);
}

static int to_logs(int priority, const char *text)
{
    int filed = to_file(text);

    if (filed < 0)
        complain_of_file(errno);
    to_syslog(priority, text);
    return filed == 0 || syslog_listens() ? 0 : -1;
}

int report_text(int priority, const char *text)
{
    (void)write_all(STDERR_FILENO, text, strlen(text));
    return to_logs(priority, text);
}

/* "xenlevel: ...", in lines; in one where there is no memory to break it. */
static int report_format(int priority, bool terminal, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static int report_format(int priority, bool terminal, const char *fmt, va_list ap)
{
    char line[2048] = "xenlevel: ";
    size_t n = strlen(line);
    char *lines;
    int rc;

    (void)xc_text_vprint(line + n, sizeof(line) - n - 1, fmt, ap);
    lines = out_wrapped(report_width(), 0, 4, line);
    strcat(line, "\n");
    rc = (terminal ? report_text : to_logs)(priority, lines ? lines : line);
    free(lines);
    return rc;
}

int report_line(int priority, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = report_format(priority, true, fmt, ap);
    va_end(ap);
    return rc;
}

void report_log(int priority, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)report_format(priority, false, fmt, ap);
    va_end(ap);
}
