/* SPDX-License-Identifier: MIT */
/*
 * The transport to a simulated host: xen/include/sim-abi/protocol.h over its Unix socket.
 *
 * The host is another process, which may die, hang or lie.  Whatever it does wrong, the call fails
 * with EIO, why() says what it was, and from then on every call fails in the same way: after a
 * reply that cannot be believed none that follows can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "xc_private.h"
#include "xc_sim.h"
#include "xc_sim_window.h"

#define PAGE           4096u
#define MAX_ERRNO      4095
#define ANSWER_SECONDS 120

struct sim_state {
    int sock;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    bool broken;
    char why[256];

    struct window window;
    int memory_fd;   /* the host's whole memory: frame mfn is at mfn * PAGE */
    uint8_t *memory; /* the same */
    uint64_t nr_pages;

    struct sim_request request;
    struct sim_reply reply;
};

static int set_broken(struct sim_state *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int set_broken(struct sim_state *s, const char *fmt, ...)
{
    int len;
    va_list ap;

    s->broken = true;
    len = snprintf(s->why, sizeof(s->why), "the simulated host at %s ", s->path);
    va_start(ap, fmt);
    (void)vsnprintf(s->why + len, sizeof(s->why) - (size_t)len, fmt, ap);
    va_end(ap);
    errno = EIO;
    return -1;
}

/* ---- one request, one reply ---- */

static int send_request(struct sim_state *s, int fd)
{
    struct iovec iov = {&s->request, sizeof(s->request)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *c;

        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    do
        n = sendmsg(s->sock, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(s->request))
        return 0;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return set_broken(s, "takes no requests");
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        return set_broken(s,
                          "is gone (it was switched off, has crashed, or does not take this user)");
    return set_broken(s, "cannot be reached: %s", n < 0 ? strerror(errno) : "a request was cut");
}

/* The first file descriptor of a message; others, which nobody asked for, are closed. */
static int take_fd(struct msghdr *m)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int one;

            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(one));
            if (fd < 0)
                fd = one;
            else
                (void)close(one);
        }
    }
    return fd;
}

/* *fd: what came with it, -1 when nothing did. */
static int receive_reply(struct sim_state *s, size_t least, int *fd)
{
    struct iovec iov = {&s->reply, sizeof(s->reply)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    *fd = -1;
    memset(&s->reply, 0, sizeof(s->reply));
    do
        n = recvmsg(s->sock, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        *fd = take_fd(&m);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return set_broken(s,
                          "is gone (it was switched off, has crashed, or does not take this user)");
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return set_broken(s, "has not answered within %d seconds", ANSWER_SECONDS);
    if (n < 0)
        return set_broken(s, "cannot be reached: %s", strerror(errno));
    if (m.msg_flags & MSG_TRUNC)
        return set_broken(s, "answers with more than a reply has");
    if ((size_t)n < sizeof(s->reply.result) || (s->reply.result >= 0 && (size_t)n < least))
        return set_broken(s, "answers with %zd bytes where there should be %zu", n, least);
    return 0;
}

/*
 * Send s->request and have s->reply.  `least`: bytes that a reply without an error has.  0 with
 * *result >= 0; or -1 with the host's errno, or EIO.  *fd_out (may be NULL): what came with it.
 */
static int ask_host(struct sim_state *s, uint32_t kind, int fd_in, int *fd_out, size_t least)
{
    int fd;

    if (s->broken) {
        errno = EIO;
        return -1;
    }
    s->request.kind = kind;
    s->request.version = SIM_PROTOCOL_VERSION;
    if (send_request(s, fd_in))
        return -1;
    if (receive_reply(s, least, &fd)) {
        int err = errno;

        if (fd >= 0)
            (void)close(fd);
        errno = err;
        return -1;
    }
    if (fd >= 0 && (!fd_out || s->reply.result < 0)) {
        (void)close(fd);
        return set_broken(s, "sends a file descriptor that nobody asked for");
    }
    if (fd_out)
        *fd_out = fd;
    if (s->reply.result >= 0)
        return 0;
    if (s->reply.result < -MAX_ERRNO)
        return set_broken(s, "answers with error %lld, which there is not",
                          (long long)s->reply.result);
    errno = (int)-s->reply.result;
    return -1;
}

#define REPLY_BARE      sizeof(int64_t)
#define REPLY_OF(field) (offsetof(struct sim_reply, u) + sizeof(((struct sim_reply *)0)->u.field))

/* ---- connecting ---- */

/* The host must not be able to take its memory away under our feet. */
static int map_memory(struct sim_state *s, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;
    void *memory;

    s->nr_pages = s->reply.u.hello.nr_pages;
    if (!s->nr_pages || s->nr_pages > SIZE_MAX / 2 / PAGE)
        return set_broken(s, "says that it has %llu pages of memory",
                          (unsigned long long)s->nr_pages);
    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        return set_broken(s, "passes memory that is not sealed against shrinking");
    if (fstat(fd, &st) || st.st_size < 0 || (uint64_t)st.st_size / PAGE < s->nr_pages)
        return set_broken(s, "passes less memory than it says it has");
    memory =
        mmap(NULL, s->nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (memory == MAP_FAILED)
        return set_broken(s, "has memory that cannot be mapped: %s", strerror(errno));
    s->memory = memory;
    s->memory_fd = fd;
    return 0;
}

static int greet_host(struct sim_state *s)
{
    int fd = -1, rc;

    memset(&s->request, 0, sizeof(s->request));
    s->request.u.hello.base = (uintptr_t)s->window.base;
    s->request.u.hello.size = SIM_MAX_BUFFER;
    if (ask_host(s, SIM_HELLO, s->window.fd, &fd, REPLY_OF(hello))) {
        if (!s->broken)
            (void)set_broken(s, "does not take this toolstack: %s", strerror(errno));
        return -1;
    }
    if (fd < 0)
        return set_broken(s, "passes no memory");
    rc = map_memory(s, fd);
    if (rc) {
        (void)close(fd);
        errno = EIO;
    }
    return rc;
}

static int refuse_to_open(char *why, size_t why_size, const char *where, int err,
                          const char *reason)
{
    (void)snprintf(why, why_size, "no simulated host at %s: %s", where, reason);
    errno = err;
    return -1;
}

/* -1 with errno and why[]. */
static int connect_to(struct sim_state *s, const char *where, char *why, size_t why_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    struct ucred peer;
    socklen_t size = sizeof(peer);
    int err;

    if (!where || !where[0])
        return refuse_to_open(why, why_size, "nowhere", EINVAL, "the path of its socket is needed");
    if (strlen(where) >= sizeof(address.sun_path))
        return refuse_to_open(why, why_size, where, ENAMETOOLONG,
                              "a socket's path has at most 107 characters");
    memcpy(address.sun_path, where, strlen(where));
    memcpy(s->path, where, strlen(where) + 1);
    s->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (s->sock < 0)
        return refuse_to_open(why, why_size, where, errno, strerror(errno));
    if (connect(s->sock, (struct sockaddr *)&address, sizeof(address))) {
        err = errno;
        return refuse_to_open(why, why_size, where, err,
                              err == ECONNREFUSED ? "nothing listens there any more"
                              : err == EPROTOTYPE ? "that is another kind of socket"
                                                  : strerror(err));
    }
    /* It will read what we put into hypercalls: it must be ours, or root's. */
    if (getsockopt(s->sock, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        return refuse_to_open(why, why_size, where, errno, strerror(errno));
    if (peer.uid != geteuid() && peer.uid != 0)
        return refuse_to_open(why, why_size, where, EACCES, "it belongs to another user");
    if (setsockopt(s->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        setsockopt(s->sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
        return refuse_to_open(why, why_size, where, errno, strerror(errno));
    return 0;
}

static int sim_open(void **state, const char *where, char *why, size_t why_size)
{
    struct sim_state *s = calloc(1, sizeof(*s));
    int err;

    if (!s) {
        (void)snprintf(why, why_size, "out of memory");
        return -1;
    }
    s->sock = -1;
    if (connect_to(s, where, why, why_size))
        goto fail;
    if (window_open(&s->window)) {
        (void)snprintf(why, why_size, "no memory to share with the simulated host: %s",
                       strerror(errno));
        goto fail;
    }
    if (!greet_host(s)) {
        *state = s;
        return 0;
    }
    (void)snprintf(why, why_size, "%s", s->why);
    err = errno;
    window_close(&s->window);
    errno = err;
fail:
    err = errno;
    if (s->sock >= 0)
        (void)close(s->sock);
    free(s);
    errno = err;
    return -1;
}

static void sim_close(void *state)
{
    struct sim_state *s = state;

    (void)close(s->sock);
    (void)munmap(s->memory, s->nr_pages * PAGE);
    (void)close(s->memory_fd);
    window_close(&s->window);
    free(s);
}

/* ---- hypercalls ---- */

static void *sim_alloc(void *state, size_t size)
{
    struct sim_state *s = state;

    return window_alloc(&s->window, size);
}

static void sim_release(void *state, void *buffer)
{
    struct sim_state *s = state;

    window_release(&s->window, buffer);
}

static long sim_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    struct sim_state *s = state;

    memset(&s->request, 0, sizeof(s->request));
    s->request.u.hypercall.op = op;
    memcpy(s->request.u.hypercall.args, args, sizeof(s->request.u.hypercall.args));
    if (ask_host(s, SIM_HYPERCALL, -1, NULL, REPLY_BARE))
        return -1;
    if (s->reply.result > INT_MAX)
        return set_broken(s, "answers a hypercall with %lld", (long long)s->reply.result);
    return (long)s->reply.result;
}

static const char *sim_why(void *state)
{
    struct sim_state *s = state;

    return s->broken ? s->why : NULL;
}

/* ---- the store ---- */

/* 0, or -1 with ENAMETOOLONG. */
static int store_request(struct sim_state *s, const char *path, const char *value)
{
    memset(&s->request, 0, sizeof(s->request));
    if (strlen(path) >= sizeof(s->request.u.store.path) ||
        strlen(value) >= sizeof(s->request.u.store.value)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(s->request.u.store.path, path, strlen(path) + 1);
    memcpy(s->request.u.store.value, value, strlen(value) + 1);
    return 0;
}

static int sim_store_read(void *state, const char *path, char **value)
{
    struct sim_state *s = state;

    *value = NULL;
    if (store_request(s, path, "") || ask_host(s, SIM_STORE_READ, -1, NULL, REPLY_BARE + 4))
        return -1;
    if (s->reply.u.store.size > sizeof(s->reply.u.store.value))
        return set_broken(s, "says that a value of its store has %u bytes", s->reply.u.store.size);
    *value = strndup(s->reply.u.store.value, s->reply.u.store.size);
    return *value ? 0 : -1;
}

static int sim_store_write(void *state, const char *path, const char *value)
{
    struct sim_state *s = state;

    if (store_request(s, path, value ? value : ""))
        return -1;
    if (!ask_host(s, SIM_STORE_WRITE, -1, NULL, REPLY_BARE))
        return 0;
    return !value && errno == ENOENT ? 0 : -1;
}

/* ---- memory of domains ---- */

struct sim_mapping {
    uint32_t domid;
    bool write;
    size_t n;
    uint64_t gfns[]; /* n of them */
};

/* Up to SIM_TRANSLATE_MAX frames in one request. */
static int send_frames(struct sim_state *s, uint32_t kind, uint32_t domid, const uint64_t *gfns,
                       size_t n)
{
    memset(&s->request, 0, sizeof(s->request));
    s->request.u.frames.domid = domid;
    s->request.u.frames.count = (uint32_t)n;
    memcpy(s->request.u.frames.gfns, gfns, n * sizeof(*gfns));
    return ask_host(s, kind, -1, NULL, kind == SIM_TRANSLATE ? REPLY_BARE + n * 8 : REPLY_BARE);
}

static size_t limit_chunk(size_t left)
{
    return left < SIM_TRANSLATE_MAX ? left : SIM_TRANSLATE_MAX;
}

static int translate_frames(struct sim_state *s, uint32_t domid, const uint64_t *gfns, size_t n,
                            void **pages)
{
    if (send_frames(s, SIM_TRANSLATE, domid, gfns, n))
        return -1;
    for (size_t i = 0; i < n; i++) {
        uint64_t mfn = s->reply.u.frames.mfns[i];

        if (mfn != UINT64_MAX && mfn >= s->nr_pages)
            return set_broken(s, "says that a domain has frame %llx, where it has no memory",
                              (unsigned long long)mfn);
        pages[i] = mfn == UINT64_MAX ? NULL : s->memory + mfn * PAGE;
    }
    return 0;
}

static void *sim_map(void *state, uint32_t domid, const uint64_t *gfns, size_t n, bool write,
                     void **pages)
{
    struct sim_state *s = state;
    struct sim_mapping *m = calloc(1, sizeof(*m) + n * sizeof(*gfns));

    if (!m)
        return NULL;
    m->domid = domid;
    m->write = write;
    m->n = n;
    memcpy(m->gfns, gfns, n * sizeof(*gfns));
    for (size_t at = 0; at < n; at += limit_chunk(n - at))
        if (translate_frames(s, domid, gfns + at, limit_chunk(n - at), pages + at)) {
            int err = errno;

            free(m);
            errno = err;
            return NULL;
        }
    return m;
}

static void sim_unmap(void *state, void *mapping)
{
    struct sim_state *s = state;
    struct sim_mapping *m = mapping;
    int err = errno;

    /* A domain that is gone has nothing to be dirty. */
    for (size_t at = 0; m->write && at < m->n; at += limit_chunk(m->n - at))
        (void)send_frames(s, SIM_DIRTIED, m->domid, m->gfns + at, limit_chunk(m->n - at));
    free(m);
    errno = err;
}

static int sim_file(void *state, const void *page, off_t *at)
{
    const struct sim_state *s = state;
    uintptr_t offset = (uintptr_t)page - (uintptr_t)s->memory;

    if (offset >= s->nr_pages * PAGE)
        return -1;
    *at = (off_t)offset;
    return s->memory_fd;
}

/* The guests of simulated hosts have no devices, so nothing is granted. */
static void *sim_map_grants(void *state, uint32_t domid, void **page)
{
    (void)state;
    (void)domid;
    (void)page;
    errno = EOPNOTSUPP;
    return NULL;
}

static void sim_unmap_grants(void *state, void *mapping)
{
    (void)state;
    (void)mapping;
}

const struct xc_transport_ops xc_transport_sim = {
    .name = "simulated host",
    .open = sim_open,
    .close = sim_close,
    .alloc = sim_alloc,
    .release = sim_release,
    .hypercall = sim_hypercall,
    .why = sim_why,
    .store_read = sim_store_read,
    .store_write = sim_store_write,
    .map = sim_map,
    .unmap = sim_unmap,
    .file = sim_file,
    .map_grants = sim_map_grants,
    .unmap_grants = sim_unmap_grants,
};

/* ---- what only a simulated host can be asked (xc_sim.h) ---- */

bool xc_is_sim(const xc_handle *xch)
{
    return xch->ops == &xc_transport_sim;
}

static int sim_only(xc_handle *xch, const char *what, uint32_t kind, uint64_t steps,
                    struct xc_sim_info *info)
{
    struct sim_state *s = xch->state;

    if (!xc_is_sim(xch))
        return xc_fail(xch, EOPNOTSUPP, "%s: this is not a simulated host", what);
    memset(&s->request, 0, sizeof(s->request));
    s->request.u.run.steps = steps;
    if (ask_host(s, kind, -1, NULL, kind == SIM_POWER_OFF ? REPLY_BARE : REPLY_OF(info)))
        return xc_fail(xch, errno, "%s: %s", what, xc_reason(xch, errno));
    if (!info)
        return 0;
    memset(info, 0, sizeof(*info));
    (void)snprintf(info->machine, sizeof(info->machine), "%.*s",
                   (int)sizeof(s->reply.u.info.machine) - 1, s->reply.u.info.machine);
    info->steps = s->reply.u.info.steps;
    info->now_ns = s->reply.u.info.now_ns;
    info->seed = s->reply.u.info.seed;
    info->stepped = s->reply.u.info.stepped != 0;
    return 0;
}

int xc_sim_info(xc_handle *xch, struct xc_sim_info *info)
{
    return sim_only(xch, "asking the simulated host what it is", SIM_INFO, 0, info);
}

int xc_sim_run(xc_handle *xch, uint64_t steps, struct xc_sim_info *info)
{
    return sim_only(xch, "letting the guests run", SIM_RUN, steps, info);
}

int xc_sim_power_off(xc_handle *xch)
{
    return sim_only(xch, "switching the simulated host off", SIM_POWER_OFF, 0, NULL);
}
