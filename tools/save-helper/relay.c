/* SPDX-License-Identifier: MIT */
/*
 * The stream behind its head, handed on without a copy.
 *
 * A process of its own walks the records: it reads the 8 bytes of a record's header, writes them
 * on, and lets the kernel move the body (splice).  It stops after the END record, because what
 * follows on the same descriptor is libxl's to read.  It is a child of the gate, beside the stock
 * helper (child.c) that reads from it, and ends with the gate at the latest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate.h"
#include "xc_bytes.h"

enum {
    PIPE_SIZE = 1 << 18, /* larger ones outgrow a processor's cache, and cost more */
    RELAY_IN = 3,        /* the descriptors of the relaying process */
    RELAY_OUT = 4,
};

struct walk {
    const char *domain;
    uint64_t offset; /* in libxc's stream */
    uint64_t record; /* how many headers came by here */
    uint32_t run;    /* optional records that have come one behind the other */
    uint32_t type;
    bool copy; /* this kind of stream cannot be spliced */
    unsigned int splice_flags;
};

/*
 * After EAGAIN: until there is something to read, and then until there is room for it (unless that
 * is not asked).  Returns early when the helper has gone.
 */
static int wait_for(bool room)
{
    struct pollfd in[2] = {{.fd = RELAY_IN, .events = POLLIN}, {.fd = RELAY_OUT, .events = 0}};
    struct pollfd out = {.fd = RELAY_OUT, .events = POLLOUT};

    if (poll(in, 2, -1) < 0 && errno != EINTR)
        return -1;
    if (room && poll(&out, 1, -1) < 0 && errno != EINTR)
        return -1;
    return 0;
}

/* 0, or -1 when the helper is gone. */
static int put_bytes(const void *buf, size_t size)
{
    const uint8_t *b = buf;

    while (size) {
        ssize_t n = write(RELAY_OUT, b, size);

        if (n > 0) {
            b += n;
            size -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* One read: > 0, 0 at the end of the stream, -1 with errno. */
static ssize_t get_some(void *buf, size_t size)
{
    for (;;) {
        ssize_t n = read(RELAY_IN, buf, size);

        if (n >= 0)
            return n;
        if (errno == EAGAIN ? wait_for(false) : errno != EINTR)
            return -1;
    }
}

static int say_end(const struct walk *w, ssize_t n)
{
    if (n == 0)
        report_line(LOG_ERR,
                    "'%s': the stream ended at offset %" PRIu64 ", inside record %" PRIu64 " (%s)",
                    w->domain, w->offset, w->record, xc_sr_record_name(w->type));
    else
        report_line(LOG_ERR, "'%s': reading the stream at offset %" PRIu64 ": %s", w->domain,
                    w->offset, strerror(errno));
    return -1;
}

static int get_header(struct walk *w, uint8_t header[8])
{
    for (size_t have = 0; have < 8;) {
        ssize_t n = get_some(header + have, 8 - have);

        if (n <= 0)
            return say_end(w, n);
        have += (size_t)n;
        w->offset += (size_t)n;
    }
    return 0;
}

/* Some of a body from the stream to the helper: > 0, 0 at the end, -1 (EPIPE: helper gone). */
static ssize_t move_some(struct walk *w, uint64_t left)
{
    static uint8_t buffer[65536];
    size_t want = left < (1u << 30) ? (size_t)left : 1u << 30;
    ssize_t n;

    if (!w->copy) {
        n = splice(RELAY_IN, NULL, RELAY_OUT, NULL, want, w->splice_flags);
        if (n >= 0 || errno != EINVAL)
            return n;
        w->copy = true;
    }
    n = get_some(buffer, want < sizeof(buffer) ? want : sizeof(buffer));
    if (n > 0 && put_bytes(buffer, (size_t)n))
        return -1;
    return n;
}

static int move_body(struct walk *w, uint64_t left)
{
    while (left) {
        ssize_t n = move_some(w, left);

        if (n > 0) {
            left -= (uint64_t)n;
            w->offset += (uint64_t)n;
        } else if (n == 0) {
            return say_end(w, 0);
        } else if (errno == EAGAIN) {
            if (wait_for(true))
                return say_end(w, -1);
        } else if (errno == EPIPE) {
            return -1; /* the helper has gone, and has said why */
        } else if (errno != EINTR) {
            return say_end(w, -1);
        }
    }
    return 0;
}

/* Say why the stream is handed on no further.  Always -1. */
static int stop_relay(const struct walk *w, const char *why)
{
    report_line(LOG_ERR, "'%s': stopped: record %s at offset %" PRIu64 ", %s", w->domain,
                xc_sr_record_name(w->type), w->offset - sizeof(struct xc_sr_rhdr), why);
    return -1;
}

/* May such a record stand behind the head? */
static int judge_header(struct walk *w)
{
    const struct xc_sr_record *record = xc_sr_find_record(w->type);

    /* A policy that comes after the audit would be a policy that nobody audited. */
    if (record && (record->place == XC_SR_PLACE_STATIC || record->place == XC_SR_PLACE_STATIC_END))
        return stop_relay(w, "behind the head of the stream");
    w->run = w->type & REC_OPTIONAL ? w->run + 1 : 0;
    if (w->run > XC_SR_MAX_OPTIONAL_RUN)
        return stop_relay(w, "behind 1024 optional ones");
    return 0;
}

/*
 * A splice that waits for a socket holds the pipe's lock meanwhile (seen with Linux 6.18), and the
 * helper could not even read what is in the pipe already.  Between pipes there is no such thing.
 */
static unsigned int splice_flags(void)
{
    struct stat st;

    if (fstat(RELAY_IN, &st) == 0 && S_ISFIFO(st.st_mode))
        return SPLICE_F_MOVE | SPLICE_F_MORE;
    return SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_NONBLOCK;
}

/*
 * Make room for more in a pipe.  With the usual 64 KiB both sides wake each other for every 64 KiB,
 * and on a busy machine each waits for its turn.  Slower, but right, where it is not granted; a
 * socket has no such size.
 */
static void widen_pipe(int fd)
{
    int size = fcntl(fd, F_GETPIPE_SZ);

    if (size >= 0 && size < PIPE_SIZE)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

/* Everything up to END.  0 when END came by. */
static int walk_records(const struct relay *r)
{
    struct walk w = {.domain = r->domain, .offset = r->raw_size, .type = r->type};
    uint32_t length = r->length;
    bool in_record = r->in_record;

    w.splice_flags = splice_flags();
    widen_pipe(RELAY_IN);
    if (put_bytes(r->raw, r->raw_size))
        return -1;
    for (;; in_record = false) {
        if (!in_record) {
            uint8_t header[8];

            if (get_header(&w, header))
                return -1;
            w.type = le32(header);
            length = le32(header + 4);
            w.record++;
            if (judge_header(&w) || put_bytes(header, sizeof(header)))
                return -1;
        }
        if (move_body(&w, ((uint64_t)length + 7) & ~7ull))
            return -1;
        if (w.type == REC_END)
            return 0;
    }
}

/*
 * Keep the stream, the pipe and standard error; everything else belongs to the helper, and libxl
 * must see its control pipe close when the helper goes.
 */
static int arrange_descriptors(int stream, int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int in = fcntl(stream, F_DUPFD_CLOEXEC, 10);

    out = fcntl(out, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || in < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0 || dup2(in, RELAY_IN) < 0 || dup2(out, RELAY_OUT) < 0)
        return -1;
    return close_range(RELAY_OUT + 1, ~0u, 0);
}

static void relay_main(const struct relay *r, int out, pid_t parent) __attribute__((noreturn));

static void relay_main(const struct relay *r, int out, pid_t parent)
{
    /* It lives no longer than the gate does.  A ^C at the terminal is for the helper to judge. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(1);
    (void)prctl(PR_SET_NAME, "xenlevel-relay");
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    closelog();
    if (arrange_descriptors(r->stream, out)) {
        report_line(LOG_ERR, "'%s': preparing to hand the stream on: %s", r->domain,
                    strerror(errno));
        _exit(1);
    }
    _exit(walk_records(r) ? 1 : 0);
}

pid_t relay_start(const struct relay *r, int *out)
{
    pid_t parent = getpid(), pid;
    int fds[2], err;

    if (pipe2(fds, O_CLOEXEC))
        return -1;
    widen_pipe(fds[1]);
    pid = fork();
    if (pid == 0)
        relay_main(r, fds[1], parent);
    err = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        errno = err;
        return -1;
    }
    *out = fds[0];
    return pid;
}
