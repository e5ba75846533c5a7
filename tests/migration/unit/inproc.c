/* SPDX-License-Identifier: MIT */
/* See inproc.h. */
#include "inproc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xc_transport.h>
#include <xentoollog.h>

#define MAX_BUFFERS 64

struct inproc {
    struct sim_host *host;
    struct sim_window windows[MAX_BUFFERS];
    size_t nr_windows;
};

static unsigned long fail_at, calls;
static struct sim_host *next_host;
static char lines[1 << 16];

void inproc_fail_at(unsigned long n)
{
    fail_at = n;
    calls = 0;
}

unsigned long inproc_calls(void)
{
    return calls;
}

/* volatile: a compiler knows that calloc() does not look at it, but faults.c's does. */
static volatile unsigned int inside;

void inproc_enter(void)
{
    inside++;
}

void inproc_leave(void)
{
    inside--;
}

bool inproc_inside(void)
{
    return inside;
}

static bool fails(int err)
{
    if (++calls != fail_at)
        return false;
    errno = err;
    return true;
}

static int inproc_state_open(void **state, const char *where, char *why, size_t why_size)
{
    struct inproc *p = calloc(1, sizeof(*p));

    (void)where;
    (void)why;
    (void)why_size;
    if (!p)
        abort();
    p->host = next_host;
    *state = p;
    return 0;
}

static void inproc_state_close(void *state)
{
    free(state);
}

static void *inproc_alloc(void *state, size_t size)
{
    struct inproc *p = state;
    void *buffer;

    if (fails(ENOMEM))
        return NULL;
    inproc_enter();
    buffer = calloc(1, size ? size : 1);
    inproc_leave();
    if (!buffer || p->nr_windows == MAX_BUFFERS)
        abort();
    p->windows[p->nr_windows++] = (struct sim_window){(uintptr_t)buffer, size, buffer};
    return buffer;
}

static void inproc_release(void *state, void *buffer)
{
    struct inproc *p = state;

    for (size_t i = 0; buffer && i < p->nr_windows; i++)
        if (p->windows[i].map == buffer) {
            p->windows[i] = p->windows[--p->nr_windows];
            break;
        }
    free(buffer);
}

static long inproc_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    struct inproc *p = state;
    long rc;

    if (fails(EIO))
        return -1;
    p->host->platform.windows = p->windows;
    p->host->platform.nr_windows = p->nr_windows;
    inproc_enter();
    rc = hypercall(&p->host->hv, op, args);
    inproc_leave();
    p->host->platform.windows = NULL;
    p->host->platform.nr_windows = 0;
    if (rc >= 0)
        return rc;
    errno = (int)-rc;
    return -1;
}

static const char *inproc_why(void *state)
{
    (void)state;
    return "made to fail";
}

static int no_store_read(void *state, const char *path, char **value)
{
    (void)state;
    (void)path;
    *value = NULL;
    errno = ENOENT;
    return -1;
}

static int no_store_write(void *state, const char *path, const char *value)
{
    (void)state;
    (void)path;
    (void)value;
    return 0;
}

struct mapping {
    struct sim_host *host;
    uint32_t domid;
    bool write;
    size_t n;
    uint64_t gfns[];
};

static void *inproc_map(void *state, uint32_t domid, const uint64_t *gfns, size_t n, bool write,
                        void **pages)
{
    struct inproc *p = state;
    struct mapping *m;

    if (fails(ENOMEM))
        return NULL;
    if (domid != DOMID_XEN && !domain_by_id(&p->host->hv, (uint16_t)domid)) {
        errno = ESRCH;
        return NULL;
    }
    inproc_enter();
    m = calloc(1, sizeof(*m) + n * sizeof(*gfns));
    inproc_leave();
    if (!m)
        abort();
    *m = (struct mapping){p->host, domid, write, n};
    memcpy(m->gfns, gfns, n * sizeof(*gfns));
    for (size_t i = 0; i < n; i++) {
        int64_t mfn = memory_foreign_frame(&p->host->hv, domid, gfns[i]);

        pages[i] = mfn < 0 ? NULL : platform_page(&p->host->platform, (uint64_t)mfn);
    }
    return m;
}

static void inproc_unmap(void *state, void *mapping)
{
    struct mapping *m = mapping;

    (void)state;
    for (size_t i = 0; m->write && i < m->n; i++)
        memory_foreign_written(&m->host->hv, m->domid, m->gfns[i]);
    free(m);
}

static int inproc_file(void *state, const void *page, off_t *at)
{
    const struct inproc *p = state;
    const struct platform *machine = &p->host->platform;
    uintptr_t offset = (uintptr_t)page - (uintptr_t)machine->memory;

    *at = (off_t)offset;
    return offset < machine->nr_pages * 4096 ? machine->memory_fd : -1;
}

static void *inproc_map_grants(void *state, uint32_t domid, void **page)
{
    (void)state;
    (void)domid;
    (void)page;
    errno = EOPNOTSUPP;
    return NULL;
}

static void inproc_unmap_grants(void *state, void *mapping)
{
    (void)state;
    (void)mapping;
}

static const struct xc_transport_ops ops = {
    .name = "in process",
    .open = inproc_state_open,
    .close = inproc_state_close,
    .alloc = inproc_alloc,
    .release = inproc_release,
    .hypercall = inproc_hypercall,
    .why = inproc_why,
    .store_read = no_store_read,
    .store_write = no_store_write,
    .map = inproc_map,
    .unmap = inproc_unmap,
    .file = inproc_file,
    .map_grants = inproc_map_grants,
    .unmap_grants = inproc_unmap_grants,
};

/* ---- what is logged ---- */

static void keep(struct xentoollog_logger *logger, xentoollog_level level, int errnoval,
                 const char *context, const char *format, va_list al)
{
    size_t at = strlen(lines);

    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    if (at + 2 >= sizeof(lines))
        return;
    (void)vsnprintf(lines + at, sizeof(lines) - at - 1, format, al);
    strcat(lines, "\n"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy): there is room */
}

static void no_progress(struct xentoollog_logger *logger, const char *context,
                        const char *doing_what, int percent, unsigned long done,
                        unsigned long total)
{
    (void)logger;
    (void)context;
    (void)doing_what;
    (void)percent;
    (void)done;
    (void)total;
}

static void no_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

static struct xentoollog_logger keeper = {keep, no_progress, no_destroy};

xc_handle *inproc_open(struct sim_host *host)
{
    next_host = host;
    return xc_interface_open_transport(&ops, NULL, &keeper);
}

void inproc_close(xc_handle *xch)
{
    xc_interface_close(xch);
}

bool inproc_said(const char *text)
{
    return strstr(lines, text) != NULL;
}

void inproc_forget(void)
{
    lines[0] = '\0';
}

const char *inproc_log(void)
{
    return lines;
}
