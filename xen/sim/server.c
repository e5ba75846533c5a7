/* SPDX-License-Identifier: MIT */
/*
 * The socket of a simulated host.  Everything that arrives is checked; a client that breaks the
 * protocol, or does not read its replies, is dropped with one line on standard error, and the
 * others do not notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sim-abi/protocol.h>
#include <sim/server.h>
#include <sim/store.h>

#include <xen/xen.h>

#include "xc_clock.h"
#include "xc_text.h"

#define MAX_CLIENTS   64u
#define MAX_RUN       10000000u /* steps that one request may ask for */
#define MAX_FDS       4u        /* that a packet may carry before it is cut */
#define STEPS_AT_ONCE 64u
#define BUSY_NS       200000ll /* guests run for so long before requests are looked at */

struct client {
    int fd;    /* -1: this place is free */
    pid_t pid; /* whose it is */
    unsigned long number;
    unsigned long last_asked; /* the host's count of requests then */
    bool running;             /* waits for the end of its SIM_RUN */
    uint64_t steps_left;      /* ... which is so far away */
    struct sim_window window; /* map NULL: has not said hello */
};

struct sim_server {
    struct sim_host *host;
    char machine[64];
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    bool stepped, off;
    bool asleep; /* nothing is runnable and nothing will be without a request */
    int listener;
    unsigned long clients_seen, requests_seen;
    unsigned int turn; /* the client whose SIM_RUN went on last */
    struct client clients[MAX_CLIENTS];
    struct store store;
    uint64_t begun; /* xc_now_ns() when it was switched on */
    struct sim_request request;
    struct sim_reply reply;
};

/* ---- clients ---- */

static void drop_client(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void drop_client(struct client *c, const char *fmt, ...)
{
    va_list ap;

    if (fmt) {
        char why[256];

        va_start(ap, fmt);
        (void)xc_text_vprint(why, sizeof(why), fmt, ap);
        va_end(ap);
        (void)fprintf(stderr, "xen-sim: client %lu is dropped: %s\n", c->number, why);
    }
    (void)close(c->fd);
    if (c->window.map)
        (void)munmap(c->window.map, c->window.size);
    *c = (struct client){.fd = -1};
}

/* How many connections this process has. */
static unsigned int count_connections(const struct sim_server *s, pid_t pid)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < MAX_CLIENTS; i++)
        n += s->clients[i].fd >= 0 && s->clients[i].pid == pid;
    return n;
}

/*
 * Make room when all places are taken: of the process with most connections the one goes that has
 * asked for nothing for the longest time.  So idle clients keep nobody out, and cost nobody but
 * their own process.  NULL: all of them wait for answers.
 */
static struct client *evict_idle(struct sim_server *s)
{
    struct client *idlest = NULL;
    unsigned int most = 0;

    for (struct client *c = s->clients; c < s->clients + MAX_CLIENTS; c++) {
        unsigned int n = c->running ? 0 : count_connections(s, c->pid);

        if (n > most || (n && n == most && c->last_asked < idlest->last_asked)) {
            idlest = c;
            most = n;
        }
    }
    if (idlest)
        drop_client(idlest, "there are %u, and it has been idle for the longest time", MAX_CLIENTS);
    return idlest;
}

static struct client *find_place(struct sim_server *s)
{
    for (struct client *c = s->clients; c < s->clients + MAX_CLIENTS; c++)
        if (c->fd < 0)
            return c;
    return evict_idle(s);
}

static void accept_client(struct sim_server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    unsigned long number;
    struct client *c;

    if (fd < 0)
        return; /* it has gone again */
    number = ++s->clients_seen;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        struct client stranger = {.fd = fd, .number = number};

        drop_client(&stranger, "it belongs to another user");
        return;
    }
    c = find_place(s);
    if (!c) {
        (void)fprintf(stderr, "xen-sim: a client is refused: %u are waiting for their steps\n",
                      MAX_CLIENTS);
        (void)close(fd);
        return;
    }
    *c = (struct client){
        .fd = fd, .pid = peer.pid, .number = number, .last_asked = ++s->requests_seen};
}

/* Bytes of a reply after which `member` is complete. */
#define UP_TO(member) (offsetof(struct sim_reply, member) + sizeof(((struct sim_reply *)0)->member))

/* memory_fd: goes with it; -1: none does. */
static void send_reply(struct sim_server *s, struct client *c, size_t size, int memory_fd)
{
    struct iovec iov = {&s->reply, s->reply.result < 0 ? sizeof(s->reply.result) : size};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (memory_fd >= 0) {
        struct cmsghdr *h;

        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &memory_fd, sizeof(memory_fd));
    }
    if (sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        drop_client(c, "it does not read its replies");
    else
        drop_client(c, NULL); /* it has gone */
}

/* ---- requests ---- */

static int64_t map_window(struct client *c, uint64_t base, uint64_t size, int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS); /* fails for what is no memfd */
    void *map;

    if (!size || size > SIM_MAX_BUFFER || base + size < base)
        return -EINVAL;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) || (uint64_t)st.st_size < size)
        return -EBADF;
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    c->window = (struct sim_window){base, size, map};
    return 0;
}

static void answer_hello(struct sim_server *s, struct client *c, int fd)
{
    s->reply.result = map_window(c, s->request.u.hello.base, s->request.u.hello.size, fd);
    s->reply.u.hello.nr_pages = s->host->platform.nr_pages;
    send_reply(s, c, UP_TO(u.hello), s->reply.result < 0 ? -1 : s->host->platform.memory_fd);
}

static int domain_alive(void *opaque, uint32_t domid)
{
    struct sim_server *s = opaque;

    return domid < DOMID_FIRST_RESERVED && domain_by_id(&s->host->hv, (uint16_t)domid) != NULL;
}

static int64_t do_hypercall(struct sim_server *s, const struct client *c)
{
    struct platform *p = &s->host->platform;
    uint32_t before = s->host->hv.nr_domains;
    int64_t rc;

    p->windows = &c->window;
    p->nr_windows = 1;
    rc = hypercall(&s->host->hv, s->request.u.hypercall.op, s->request.u.hypercall.args);
    p->windows = NULL;
    p->nr_windows = 0;
    if (s->host->hv.nr_domains < before)
        store_sweep(&s->store, domain_alive, s);
    return rc;
}

/* SIM_TRANSLATE and SIM_DIRTIED. */
static int64_t answer_frames(struct sim_server *s, bool dirtied)
{
    uint32_t domid = s->request.u.frames.domid, count = s->request.u.frames.count;
    struct hypervisor *hv = &s->host->hv;

    if (count > SIM_TRANSLATE_MAX)
        return -E2BIG;
    if (domid != DOMID_XEN && !domain_alive(s, domid))
        return -ESRCH;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t frame = s->request.u.frames.gfns[i];
        int64_t mfn = memory_foreign_frame(hv, domid, frame);

        if (dirtied)
            memory_foreign_written(hv, domid, frame);
        else
            s->reply.u.frames.mfns[i] = mfn < 0 ? UINT64_MAX : (uint64_t)mfn;
    }
    return 0;
}

static int64_t store_request(struct sim_server *s)
{
    const char *path = s->request.u.store.path, *value = s->request.u.store.value;
    const char *found;
    int n;

    if (!memchr(path, 0, SIM_STORE_PATH) || !memchr(value, 0, SIM_STORE_VALUE))
        return -EINVAL;
    switch (s->request.kind) {
    case SIM_STORE_WRITE:
        return *value ? store_write(&s->store, path, value) : store_remove(&s->store, path);
    case SIM_STORE_READ:
        found = store_read(&s->store, path);
        if (!found)
            return -ENOENT;
        s->reply.u.store.size = (uint32_t)strlen(found); /* < SIM_STORE_VALUE: it came that way */
        memcpy(s->reply.u.store.value, found, s->reply.u.store.size);
        return 0;
    default:
        n = store_list(&s->store, path, s->reply.u.store.value, sizeof(s->reply.u.store.value));
        s->reply.u.store.size = n < 0 ? 0 : (uint32_t)n;
        return n < 0 ? n : 0;
    }
}

/* Steps are made between other clients' requests (run_slice): the answer comes behind the last. */
static int64_t begin_run(struct sim_server *s, struct client *c)
{
    if (!s->stepped)
        return -EINVAL;
    if (s->request.u.run.steps > MAX_RUN)
        return -E2BIG;
    c->running = true;
    c->steps_left = s->request.u.run.steps;
    return 0;
}

static void fill_info(struct sim_server *s)
{
    s->reply.u.info.steps = s->host->steps;
    s->reply.u.info.now_ns = s->host->platform.now;
    s->reply.u.info.seed = s->host->seed;
    s->reply.u.info.stepped = s->stepped;
    memcpy(s->reply.u.info.machine, s->machine, sizeof(s->reply.u.info.machine));
}

static void answer_request(struct sim_server *s, struct client *c)
{
    size_t size = sizeof(s->reply.result);

    switch (s->request.kind) {
    case SIM_HYPERCALL:
        s->reply.result = do_hypercall(s, c);
        break;
    case SIM_TRANSLATE:
    case SIM_DIRTIED:
        s->reply.result = answer_frames(s, s->request.kind == SIM_DIRTIED);
        if (s->request.kind == SIM_TRANSLATE)
            size = UP_TO(u.frames);
        break;
    case SIM_STORE_READ:
    case SIM_STORE_WRITE:
    case SIM_STORE_LIST:
        s->reply.result = store_request(s);
        size = UP_TO(u.store);
        break;
    case SIM_RUN:
        s->reply.result = begin_run(s, c);
        if (c->running)
            return;
        break;
    case SIM_INFO:
        fill_info(s);
        size = UP_TO(u.info);
        break;
    case SIM_POWER_OFF:
        s->off = true;
        break;
    default:
        drop_client(c, "there is no request %u", s->request.kind);
        return;
    }
    send_reply(s, c, size, -1);
}

/* What came with a packet: the first descriptor, and how many there were; the others are closed. */
static unsigned int take_fds(struct msghdr *m, int *first)
{
    unsigned int n = 0;

    *first = -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++, n++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
            if (n == 0)
                *first = fd;
            else
                (void)close(fd);
        }
    }
    return n;
}

/* The packet is whole: whose turn is it, and does it keep to the protocol? */
static void dispatch_request(struct sim_server *s, struct client *c, unsigned int fds, int fd)
{
    bool greets = s->request.kind == SIM_HELLO;

    memset(&s->reply, 0, sizeof(s->reply));
    if (s->request.version != SIM_PROTOCOL_VERSION)
        drop_client(c, "it speaks version %u of the protocol, this host %u", s->request.version,
                    SIM_PROTOCOL_VERSION);
    else if (fds != (greets ? 1 : 0))
        drop_client(c, "%u file descriptors with request %u", fds, s->request.kind);
    else if (greets == (c->window.map != NULL))
        drop_client(c, greets ? "it greets twice" : "it has not greeted");
    else if (greets)
        answer_hello(s, c, fd);
    else
        answer_request(s, c);
}

static void serve_client(struct sim_server *s, struct client *c)
{
    struct iovec iov = {&s->request, sizeof(s->request)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    unsigned int fds;
    int fd;

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        drop_client(c, NULL); /* it has gone */
        return;
    }
    c->last_asked = ++s->requests_seen;
    fds = take_fds(&m, &fd);
    if ((size_t)n != sizeof(s->request) || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        drop_client(c, "a packet that is no request (%zd bytes, %u file descriptors)", n, fds);
    else
        dispatch_request(s, c, fds, fd);
    if (fd >= 0)
        (void)close(fd); /* what it was for is mapped */
}

/* ---- time ---- */

/* Real time since the host was switched on, ns. */
static long long elapsed_ns(const struct sim_server *s)
{
    return (long long)(xc_now_ns() - s->begun);
}

/* Guests run until simulated time is real time, or for a while when it cannot keep up. */
static void run_guests(struct sim_server *s)
{
    long long now = elapsed_ns(s), until = now + BUSY_NS;

    while ((long long)s->host->platform.now < now) {
        if (!sim_host_run(s->host, STEPS_AT_ONCE) && !sched_next_wakeup(&s->host->hv)) {
            s->asleep = true;
            s->host->platform.now = (uint64_t)now;
            return;
        }
        if (elapsed_ns(s) > until)
            return;
    }
}

/* The next client that waits for steps, after the one whose turn it was; NULL: none does. */
static struct client *next_running(struct sim_server *s)
{
    for (unsigned int i = 1; i <= MAX_CLIENTS; i++) {
        unsigned int n = (s->turn + i) % MAX_CLIENTS;

        if (s->clients[n].running) {
            s->turn = n;
            return &s->clients[n];
        }
    }
    return NULL;
}

/*
 * Go on with one client's SIM_RUN for a while, and answer when it is through or nothing is left to
 * run.  A run is the same in slices as in one piece, as long as nobody asks for a change meanwhile.
 */
static void run_slice(struct sim_server *s)
{
    struct client *c = next_running(s);
    long long until = elapsed_ns(s) + BUSY_NS;

    if (!c)
        return;
    while (c->steps_left) {
        uint64_t n = c->steps_left < STEPS_AT_ONCE ? c->steps_left : STEPS_AT_ONCE;

        if (sim_host_run(s->host, n) < n) {
            c->steps_left = 0;
            break;
        }
        c->steps_left -= n;
        if (elapsed_ns(s) > until)
            break;
    }
    if (c->steps_left)
        return;
    c->running = false;
    memset(&s->reply, 0, sizeof(s->reply));
    fill_info(s);
    send_reply(s, c, UP_TO(u.info), -1);
}

/* Milliseconds to wait for requests: -1: for ever. */
static int wait_ms(const struct sim_server *s)
{
    long long ahead;

    for (unsigned int i = 0; i < MAX_CLIENTS; i++)
        if (s->clients[i].running)
            return 0;
    if (s->stepped || s->asleep)
        return -1;
    ahead = (long long)s->host->platform.now - elapsed_ns(s);
    return ahead <= 0 ? 0 : (int)(ahead / 1000000) + 1;
}

/* What poll() says of a client.  One that waits for its steps is not read from before it has its
 * answer; when it has gone, nobody needs them. */
static void serve_events(struct sim_server *s, struct client *c)
{
    s->asleep = false; /* whatever it asks for may wake somebody */
    if (c->running)
        drop_client(c, NULL);
    else
        serve_client(s, c);
}

int sim_server_run(struct sim_server *s, int signal_fd)
{
    struct pollfd fds[MAX_CLIENTS + 2];

    while (!s->off) {
        for (unsigned int i = 0; i < MAX_CLIENTS; i++)
            fds[i] = (struct pollfd){.fd = s->clients[i].fd,
                                     .events = s->clients[i].running ? 0 : POLLIN};
        fds[MAX_CLIENTS] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        fds[MAX_CLIENTS + 1] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        if (poll(fds, MAX_CLIENTS + 2, wait_ms(s)) < 0 && errno != EINTR)
            return -1;
        if (fds[MAX_CLIENTS + 1].revents)
            return 0;
        for (unsigned int i = 0; i < MAX_CLIENTS; i++)
            if (fds[i].revents && s->clients[i].fd == fds[i].fd)
                serve_events(s, &s->clients[i]);
        if (fds[MAX_CLIENTS].revents)
            accept_client(s);
        run_slice(s);
        if (!s->stepped && !s->asleep)
            run_guests(s);
    }
    return 0;
}

/* ---- opening and closing ---- */

/* A socket file that is left over from a host that died: nobody listens there. */
static int remove_stale(const struct sockaddr_un *address, char *why, size_t why_size)
{
    struct stat st;
    int fd, rc;

    if (lstat(address->sun_path, &st))
        return 0; /* nothing there */
    if (!S_ISSOCK(st.st_mode)) {
        (void)snprintf(why, why_size, "%s is there and is no socket", address->sun_path);
        errno = EEXIST;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)address, sizeof(*address));
    if (fd >= 0)
        (void)close(fd);
    if (rc && errno == ECONNREFUSED && !unlink(address->sun_path))
        return 0;
    (void)snprintf(why, why_size, "%s: %s", address->sun_path,
                   rc ? strerror(errno) : "a host is running there");
    errno = EADDRINUSE;
    return -1;
}

static int listen_at(struct sim_server *s, const char *path, char *why, size_t why_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before;
    int rc;

    if (strlen(path) >= sizeof(address.sun_path)) {
        (void)snprintf(why, why_size, "%s: a socket's path has at most %zu characters", path,
                       sizeof(address.sun_path) - 1);
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (remove_stale(&address, why, why_size))
        return -1;
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    before = umask(0177); /* 0600 from its first moment */
    rc = s->listener < 0 ? -1 : bind(s->listener, (struct sockaddr *)&address, sizeof(address));
    (void)umask(before);
    if (!rc)
        memcpy(s->path, path, strlen(path) + 1);
    if (!rc && !listen(s->listener, 16))
        return 0;
    (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    return -1;
}

struct sim_server *sim_server_open(struct sim_host *host, const char *machine, const char *path,
                                   bool stepped, char *why, size_t why_size)
{
    struct sim_server *s = calloc(1, sizeof(*s));
    int err;

    if (!s) {
        (void)snprintf(why, why_size, "out of memory");
        return NULL;
    }
    s->host = host;
    s->stepped = stepped;
    s->listener = -1;
    (void)snprintf(s->machine, sizeof(s->machine), "%s", machine);
    for (unsigned int i = 0; i < MAX_CLIENTS; i++)
        s->clients[i].fd = -1;
    s->begun = xc_now_ns();
    if (!listen_at(s, path, why, why_size))
        return s;
    err = errno;
    sim_server_close(s);
    errno = err;
    return NULL;
}

void sim_server_close(struct sim_server *s)
{
    for (unsigned int i = 0; i < MAX_CLIENTS; i++)
        if (s->clients[i].fd >= 0)
            drop_client(&s->clients[i], NULL);
    if (s->path[0])
        (void)unlink(s->path);
    if (s->listener >= 0)
        (void)close(s->listener);
    store_free(&s->store);
    free(s);
}
