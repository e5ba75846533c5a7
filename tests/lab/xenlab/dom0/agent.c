/* SPDX-License-Identifier: MIT */
/*
 * The lab's hand inside dom0: runs commands and carries their streams over one virtio-serial port.
 *
 * The port is a byte pipe that never ends, so every end is said in a frame. A frame is a 12-byte
 * header (native byte order: little endian, both ends are x86) and `len` bytes:
 *
 *     u32 len   u32 channel   u8 type   u8 stream   u16 0
 *
 * A channel is either a command that the lab started (EXEC; number chosen by the lab, below 2^31)
 * or a program in dom0 that asked for a connection to the outside (`agent connect ARG...`, the
 * lab's ssh; number chosen here, 2^31 and up). Streams are named from the program's view: 0 is what
 * it reads, 1 and 2 are what it writes. A connecting program's streams are seen the other way
 * round, because the lab plays the command: 1 and 2 go to it, 0 comes from it. DATA with no bytes
 * is the end of that stream. A sender may be WINDOW bytes ahead of the ACKs, so a stream that
 * nobody reads cannot stop the others. EXIT is a channel's last frame.
 *
 * As process 1 it also collects orphans.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { T_HELLO = 1, T_EXEC, T_DATA, T_ACK, T_KILL, T_EXIT, T_OPEN, T_POWEROFF };

enum {
    WINDOW = 256 * 1024, /* bytes a stream may be ahead of its reader */
    CHUNK = 32 * 1024,   /* payload of one DATA frame */
    CHANNELS = 64,
    OUT_MAX = 1024 * 1024, /* bytes waiting for the port */
    STRINGS = 1024,        /* argv and environment entries of one command */
};

#define SOCKET_PATH "/run/xenlab.sock"
#define FIRST_LOCAL 0x80000000u

struct header {
    uint32_t len, channel;
    uint8_t type, stream;
    uint16_t zero;
};

struct sink {   /* bytes on their way to a file descriptor of ours */
    int fd;     /* -1: none, or gone */
    int shared; /* someone else's open file: must stay blocking, so write in small pieces */
    int ended;  /* close after the last byte */
    uint8_t *buf;
    size_t head, len;
};

struct source { /* bytes on their way to the lab */
    int fd;
    size_t credit;
};

struct channel {
    uint32_t id;
    int used;
    pid_t pid; /* command: the process; 0 once it was waited for */
    int status, exited;
    int sock;            /* connection: the waiting program */
    struct sink sink[3]; /* by stream number */
    struct source source[3];
};

static struct channel channels[CHANNELS];
static uint8_t out[OUT_MAX], in[sizeof(struct header) + OUT_MAX];
static size_t out_len, in_len;
static uint32_t next_local = FIRST_LOCAL;
static int port = -1;

static void die(const char *what)
{
    fprintf(stderr, "xenlab agent: %s: %s\n", what, strerror(errno));
    sleep(1);
    exit(1);
}

static void nonblock(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static size_t out_room(void)
{
    return sizeof(out) - out_len;
}

/* Queue a frame. Callers that queue data have looked at out_room(); control frames have the reserve
 * kept by them. */
static void frame(uint8_t type, uint32_t channel, uint8_t stream, const void *data, size_t len)
{
    struct header h = {.len = len, .channel = channel, .type = type, .stream = stream};

    if (out_room() < sizeof(h) + len) {
        errno = ENOBUFS;
        die("output queue");
    }
    memcpy(out + out_len, &h, sizeof(h));
    if (len)
        memcpy(out + out_len + sizeof(h), data, len);
    out_len += sizeof(h) + len;
}

static void flush_port(void)
{
    size_t done = 0;

    while (done < out_len) {
        size_t n = out_len - done;
        ssize_t w = write(port, out + done, n > CHUNK ? CHUNK : n);

        if (w <= 0)
            break;
        done += w;
    }
    memmove(out, out + done, out_len - done);
    out_len -= done;
}

static struct channel *find(uint32_t id)
{
    for (int i = 0; i < CHANNELS; i++)
        if (channels[i].used && channels[i].id == id)
            return &channels[i];
    return NULL;
}

static struct channel *new_channel(uint32_t id)
{
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *c = &channels[i];

        if (c->used)
            continue;
        memset(c, 0, sizeof(*c));
        c->used = 1;
        c->id = id;
        c->sock = -1;
        for (int s = 0; s < 3; s++) {
            c->sink[s].fd = c->source[s].fd = -1;
            c->source[s].credit = WINDOW;
        }
        return c;
    }
    return NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void free_channel(struct channel *c)
{
    for (int s = 0; s < 3; s++) {
        close_fd(&c->sink[s].fd);
        close_fd(&c->source[s].fd);
        free(c->sink[s].buf);
    }
    close_fd(&c->sock);
    c->used = 0;
}

static void exit_frame(uint32_t id, int status)
{
    uint32_t code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

    frame(T_EXIT, id, 0, &code, sizeof(code));
}

static void ack(struct channel *c, int s, uint32_t n)
{
    frame(T_ACK, c->id, s, &n, sizeof(n));
}

/* ---- from us to programs ---- */

/* The reader is gone: swallow what is still coming, so that the sender's window does not stay shut.
 */
static void sink_broken(struct channel *c, int s)
{
    struct sink *k = &c->sink[s];

    close_fd(&k->fd);
    if (k->len)
        ack(c, s, k->len);
    k->len = 0;
}

static void sink_put(struct channel *c, int s, const uint8_t *data, size_t len)
{
    struct sink *k = &c->sink[s];

    if (k->fd < 0) {
        if (len)
            ack(c, s, len);
        return;
    }
    if (!len) {
        k->ended = 1;
        if (!k->len)
            close_fd(&k->fd);
        return;
    }
    if (!k->buf && !(k->buf = malloc(WINDOW)))
        die("no memory");
    if (len > WINDOW - k->len) {
        errno = EOVERFLOW;
        die("the lab overran a window");
    }
    for (size_t i = 0, at = (k->head + k->len) % WINDOW; i < len;) {
        size_t n = WINDOW - at < len - i ? WINDOW - at : len - i;

        memcpy(k->buf + at, data + i, n);
        i += n;
        at = (at + n) % WINDOW;
    }
    k->len += len;
}

static void sink_write(struct channel *c, int s)
{
    struct sink *k = &c->sink[s];
    size_t n = WINDOW - k->head < k->len ? WINDOW - k->head : k->len;
    ssize_t w;

    if (k->shared && n > 4096)
        n = 4096; /* PIPE_BUF: never blocks after POLLOUT */
    w = write(k->fd, k->buf + k->head, n);
    if (w < 0) {
        if (errno != EAGAIN && errno != EINTR)
            sink_broken(c, s);
        return;
    }
    k->head = (k->head + w) % WINDOW;
    k->len -= w;
    ack(c, s, w);
    if (!k->len && k->ended)
        close_fd(&k->fd);
}

/* ---- from programs to us ---- */

static void source_read(struct channel *c, int s)
{
    static uint8_t buf[CHUNK];
    struct source *r = &c->source[s];
    ssize_t n = read(r->fd, buf, r->credit < CHUNK ? r->credit : CHUNK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_fd(&r->fd);
        n = 0;
    }
    r->credit -= n;
    frame(T_DATA, c->id, s, buf, n);
}

/* ---- commands ---- */

static void refuse(uint32_t id, const char *why)
{
    frame(T_DATA, id, 2, why, strlen(why));
    frame(T_DATA, id, 1, NULL, 0);
    frame(T_DATA, id, 2, NULL, 0);
    exit_frame(id, 127 << 8);
}

static void child(int p[3][2], char **argv, char **envp)
{
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    dup2(p[0][0], 0);
    dup2(p[1][1], 1);
    dup2(p[2][1], 2);
    for (int i = 3; i < 1024; i++)
        close(i);
    while (*envp)
        putenv(*envp++);
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Payload: u32 argc, then NUL-terminated strings: the arguments, then NAME=VALUE for the rest. */
static void do_exec(uint32_t id, char *data, size_t len)
{
    char *strings[STRINGS + 2] = {0}, *argv[STRINGS + 2] = {0};
    uint32_t argc, n = 0;
    struct channel *c;
    int p[3][2];
    pid_t pid;

    if (len < 5 || data[len - 1]) {
        refuse(id, "xenlab agent: malformed command\n");
        return;
    }
    memcpy(&argc, data, 4);
    for (char *s = data + 4; s < data + len && n < STRINGS; s += strlen(s) + 1)
        strings[n++] = s;
    if (!argc || argc > n || !(c = new_channel(id))) {
        refuse(id, "xenlab agent: malformed command, or too many at once\n");
        return;
    }
    memcpy(argv, strings, argc * sizeof(*argv));
    for (int i = 0; i < 3; i++) {
        if (pipe2(p[i], O_CLOEXEC))
            die("pipe");
        fcntl(p[i][0], F_SETPIPE_SZ,
              WINDOW / 2); /* fewer wakeups; the default will do where it fails */
    }
    pid = fork();
    if (pid < 0)
        die("fork");
    if (!pid)
        child(p, argv, strings + argc);
    close(p[0][0]);
    close(p[1][1]);
    close(p[2][1]);
    c->pid = pid;
    c->sink[0].fd = p[0][1];
    c->source[1].fd = p[1][0];
    c->source[2].fd = p[2][0];
    nonblock(p[0][1]);
    nonblock(p[1][0]);
    nonblock(p[2][0]);
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < CHANNELS; i++)
            if (channels[i].used && channels[i].pid == pid) {
                channels[i].pid = 0;
                channels[i].status = status;
                channels[i].exited = 1;
            }
}

/*
 * A command is over when it exited and what it wrote has been read. Daemons it left behind (xl
 * create makes one) may hold its stdout for ever: what is in the pipe at the time of the exit is
 * all that counts.
 */
static void finish_commands(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *c = &channels[i];
        int busy = 0;

        if (!c->used || !c->exited || c->sock >= 0)
            continue;
        sink_broken(c, 0);
        for (int s = 1; s < 3; s++) {
            struct source *r = &c->source[s];
            struct pollfd f = {.fd = r->fd, .events = POLLIN};

            if (r->fd < 0)
                continue;
            if (poll(&f, 1, 0) > 0) {
                busy = 1; /* data, or its end: the main loop fetches it */
            } else {
                close_fd(&r->fd);
                frame(T_DATA, c->id, s, NULL, 0);
            }
        }
        if (busy)
            continue;
        exit_frame(c->id, c->status);
        free_channel(c);
    }
}

/* ---- connections ---- */

/* A program hands over its stdin, stdout and stderr with its arguments, and then waits for one
 * byte: its exit code. */
static void do_accept(int listener)
{
    static char args[16384];
    char control[CMSG_SPACE(3 * sizeof(int))];
    struct iovec io = {args, sizeof(args)};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), fds[3];
    struct cmsghdr *cm;
    struct channel *c;
    ssize_t n;

    if (fd < 0)
        return;
    n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    cm = CMSG_FIRSTHDR(&m);
    if (n <= 0 || !cm || cm->cmsg_type != SCM_RIGHTS || cm->cmsg_len != CMSG_LEN(sizeof(fds)) ||
        !(c = new_channel(next_local++))) {
        close(fd);
        return;
    }
    memcpy(fds, CMSG_DATA(cm), sizeof(fds));
    c->sock = fd;
    c->source[0].fd = fds[0];
    c->sink[1].fd = fds[1];
    c->sink[2].fd = fds[2];
    c->sink[1].shared = c->sink[2].shared = 1;
    frame(T_OPEN, c->id, 0, args, n);
}

/* The lab says how the command it played ended; what it wrote goes out first. */
static void finish_connections(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *c = &channels[i];
        uint8_t code = c->status;

        if (!c->used || c->sock < 0)
            continue;
        if (c->exited && !(c->sink[1].fd >= 0 && c->sink[1].len) &&
            !(c->sink[2].fd >= 0 && c->sink[2].len)) {
            send(c->sock, &code, 1, MSG_NOSIGNAL); /* it may not have waited for us */
            free_channel(c);
        }
    }
}

static int connect_main(int argc, char **argv)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    char control[CMSG_SPACE(3 * sizeof(int))] = {0}, args[16384];
    struct iovec io = {args, 0};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
    int fds[3] = {0, 1, 2}, s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    uint8_t code;

    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;

        if (io.iov_len + n > sizeof(args))
            return 255;
        memcpy(args + io.iov_len, argv[i], n);
        io.iov_len += n;
    }
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(cm), fds, sizeof(fds));
    if (s < 0 || connect(s, (void *)&a, sizeof(a)) || sendmsg(s, &m, 0) < 0) {
        perror("xenlab connect");
        return 255;
    }
    /* Our copies must go, or the other side of the pipes never sees an end. */
    close(0);
    close(1);
    close(2);
    return read(s, &code, 1) == 1 ? code : 255;
}

/* ---- the port ---- */

static void handle(const struct header *h, uint8_t *data)
{
    struct channel *c = find(h->channel);
    uint32_t value = 0;

    if (h->len >= 4)
        memcpy(&value, data, 4);
    if (h->type == T_EXEC) {
        do_exec(h->channel, (char *)data, h->len);
        return;
    }
    if (h->type == T_HELLO) {
        frame(T_HELLO, 0, 0, "1", 1);
        return;
    }
    if (h->type == T_POWEROFF) {
        sync();
        reboot(RB_POWER_OFF);
        return;
    }
    if (h->stream > 2 || !c) {
        /* A frame that crossed the channel's end: nothing to do. */
        return;
    }
    switch (h->type) {
    case T_DATA:
        sink_put(c, h->stream, data, h->len);
        break;
    case T_ACK:
        c->source[h->stream].credit += value;
        break;
    case T_KILL:
        if (c->pid)
            kill(-c->pid, value);
        break;
    case T_EXIT:
        c->status = value;
        c->exited = 1;
        break;
    }
}

static void take_frames(void)
{
    size_t at = 0;
    struct header h;

    while (in_len - at >= sizeof(h)) {
        memcpy(&h, in + at, sizeof(h));
        if (h.len > OUT_MAX) {
            errno = EPROTO;
            die("the port lost its framing");
        }
        if (in_len - at < sizeof(h) + h.len)
            break;
        handle(&h, in + at + sizeof(h));
        at += sizeof(h) + h.len;
        if (out_room() < OUT_MAX / 4)
            flush_port();
    }
    memmove(in, in + at, in_len - at);
    in_len -= at;
}

/* The port gives at most a page at a time: take many at once, system calls are what costs under
 * emulation. */
static void read_port(void)
{
    for (int i = 0; i < 32; i++) {
        ssize_t n = read(port, in + in_len, sizeof(in) - in_len);

        if (n <= 0)
            break;
        in_len += n;
        if (in_len >= 2 * CHUNK)
            take_frames();
    }
    take_frames();
}

struct target {
    struct channel *c;
    int stream, what;
};
enum { W_PORT, W_SIGNAL, W_LISTEN, W_SINK, W_SOURCE, W_SOCK };

static int watch(struct pollfd *f, struct target *t, int n, int fd, short events, struct channel *c,
                 int s, int what)
{
    f[n] = (struct pollfd){.fd = fd, .events = events};
    t[n] = (struct target){c, s, what};
    return n + 1;
}

static int watch_all(struct pollfd *f, struct target *t, int sigfd, int listener)
{
    int n = 0;

    n = watch(f, t, n, port, POLLIN | (out_len ? POLLOUT : 0), NULL, 0, W_PORT);
    n = watch(f, t, n, sigfd, POLLIN, NULL, 0, W_SIGNAL);
    n = watch(f, t, n, listener, POLLIN, NULL, 0, W_LISTEN);
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *c = &channels[i];

        if (!c->used)
            continue;
        for (int s = 0; s < 3; s++) {
            if (c->sink[s].fd >= 0)
                n = watch(f, t, n, c->sink[s].fd, c->sink[s].len ? POLLOUT : 0, c, s, W_SINK);
            if (c->source[s].fd >= 0 && c->source[s].credit && out_room() > OUT_MAX / 2)
                n = watch(f, t, n, c->source[s].fd, POLLIN, c, s, W_SOURCE);
        }
        if (c->sock >= 0)
            n = watch(f, t, n, c->sock, POLLIN, c, 0, W_SOCK);
    }
    return n;
}

/* A connecting program that dies before the lab has finished is a closed line for the lab. */
static void sock_event(struct channel *c)
{
    exit_frame(c->id, 255 << 8);
    free_channel(c);
}

static void serve(const struct pollfd *f, const struct target *t, int listener)
{
    struct signalfd_siginfo si;

    switch (t->what) {
    case W_PORT:
        if (f->revents & POLLIN)
            read_port();
        break;
    case W_SIGNAL:
        if (read(f->fd, &si, sizeof(si)) > 0)
            reap();
        break;
    case W_LISTEN:
        do_accept(listener);
        break;
    case W_SINK:
        if (t->c->sink[t->stream].fd != f->fd)
            break;
        if (f->revents & (POLLERR | POLLNVAL))
            sink_broken(t->c, t->stream);
        else if (t->c->sink[t->stream].len)
            sink_write(t->c, t->stream);
        break;
    case W_SOURCE:
        if (t->c->source[t->stream].fd == f->fd)
            source_read(t->c, t->stream);
        break;
    case W_SOCK:
        if (t->c->sock == f->fd)
            sock_event(t->c);
        break;
    }
}

int main(int argc, char **argv)
{
    static struct pollfd f[3 + CHANNELS * 7];
    static struct target t[3 + CHANNELS * 7];
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    sigset_t mask;
    int sigfd, listener;

    if (argc > 1 && !strcmp(argv[1], "connect"))
        return connect_main(argc - 2, argv + 2);
    if (argc < 2 || (port = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)
        die("port");
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    unlink(SOCKET_PATH);
    if (sigfd < 0 || listener < 0 || bind(listener, (void *)&a, sizeof(a)) || listen(listener, 8))
        die("socket");
    frame(T_HELLO, 0, 0, "1", 1);
    for (;;) {
        int n = watch_all(f, t, sigfd, listener);

        if (poll(f, n, out_len ? 100 : 1000) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < n; i++)
            if (f[i].revents)
                serve(&f[i], &t[i], listener);
        reap();
        finish_commands();
        finish_connections();
        flush_port();
    }
}
