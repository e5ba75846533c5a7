/* SPDX-License-Identifier: MIT */
/*
 * In the place of the stock save helper.  Reads a stream as that one does: headers, then records up
 * to END, not a byte more.  What it saw goes into the directory FAKE_HELPER_OUT: pid, argv, fds,
 * stream.  FAKE_HELPER_MODE says how it ends:
 *
 *   exit:N     after END, with status N (exit:0 is the default)
 *   kill:N     after END, by signal N
 *   early:N    with status 7 after N bytes
 *   hang       never: it reads the headers and waits for a signal
 *   control    as exit:0, after sending "ping" to libxl and reading 4 bytes, into the file control
 *   discard    as exit:0, and keeps nothing of the stream
 *   save       writes "saved" to the stream and ends with status 0
 * Status 3: the stream ended too early.  Status 4: something unexpected.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stream, record = -1;
static long long budget = -1; /* bytes until an early end */
static uint8_t buffer[(4 << 20) + (1 << 16)];

static void die(const char *what)
{
    perror(what);
    exit(4);
}

/* Libxl's descriptors block; a test's may not, and what is sent may still be on its way. */
static ssize_t read_some(void *buf, size_t size)
{
    for (;;) {
        struct pollfd p = {.fd = stream, .events = POLLIN};
        ssize_t n = read(stream, buf, size);

        if (n >= 0 || errno != EAGAIN)
            return n;
        (void)poll(&p, 1, -1);
    }
}

static int out_file(const char *name)
{
    const char *dir = getenv("FAKE_HELPER_OUT");
    char path[4096];
    int fd;

    if (!dir)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path);
    return fd;
}

static void put(int fd, const void *data, size_t size)
{
    if (fd >= 0 && write(fd, data, size) != (ssize_t)size)
        die("write");
}

static void note(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(const char *name, const char *fmt, ...)
{
    char line[4096];
    int fd = out_file(name);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    put(fd, line, strlen(line));
    if (fd >= 0)
        close(fd);
}

/* "0 1 2 7": which descriptors came through exec. */
static void note_fds(void)
{
    char list[4096] = "";
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;

    if (!dir)
        die("/proc/self/fd");
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
            (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\n", e->d_name);
    closedir(dir);
    note("fds", "%s", list);
}

static void note_argv(int argc, char **argv)
{
    int fd = out_file("argv");

    for (int i = 0; i < argc; i++)
        put(fd, argv[i], strlen(argv[i]) + 1);
    if (fd >= 0)
        close(fd);
}

static void get(size_t size)
{
    size_t have = 0;

    if (size > sizeof(buffer))
        exit(4);
    while (have < size) {
        size_t want = size - have;
        ssize_t n;

        if (budget >= 0 && (long long)want > budget)
            want = (size_t)budget;
        if (!want)
            exit(7);
        n = read_some(buffer + have, want);
        if (n == 0)
            exit(3);
        if (n < 0)
            die("read");
        put(record, buffer + have, (size_t)n);
        have += (size_t)n;
        if (budget >= 0)
            budget -= n;
    }
}

static void read_stream(void)
{
    uint32_t header[2];

    get(24 + 16);
    do {
        get(8);
        memcpy(header, buffer, sizeof(header));
        get(((size_t)header[1] + 7) & ~(size_t)7);
    } while (header[0] != 0);
}

static void control(void)
{
    char reply[5] = "";

    put(STDOUT_FILENO, "ping", 4);
    for (size_t have = 0; have < 4;) {
        ssize_t n = read(STDIN_FILENO, reply + have, 4 - have);

        if (n <= 0)
            die("control");
        have += (size_t)n;
    }
    note("control", "%s", reply);
}

int main(int argc, char **argv)
{
    const char *mode = getenv("FAKE_HELPER_MODE") ? getenv("FAKE_HELPER_MODE") : "exit:0";

    if (argc < 5)
        return 4;
    stream = atoi(argv[2]);
    note_fds();
    note_argv(argc, argv);
    note("sigchld", "%s", signal(SIGCHLD, SIG_DFL) == SIG_IGN ? "ignored" : "default");
    note("sigpipe", "%s", signal(SIGPIPE, SIG_IGN) == SIG_IGN ? "ignored" : "default");
    (void)signal(SIGPIPE, SIG_DFL);
    note("pid", "%ld", (long)getpid());
    if (!strcmp(mode, "save")) {
        put(stream, "saved", 5);
        return 0;
    }
    if (strcmp(mode, "discard"))
        record = out_file("stream");
    if (!strncmp(mode, "early:", 6))
        budget = atoll(mode + 6);
    if (!strcmp(mode, "hang")) {
        get(40);
        note("hanging", "%s", "yes");
        for (;;)
            (void)pause();
    }
    read_stream();
    if (!strcmp(mode, "control"))
        control();
    if (!strncmp(mode, "kill:", 5))
        (void)raise(atoi(mode + 5));
    return !strncmp(mode, "exit:", 5) ? atoi(mode + 5) : 0;
}
