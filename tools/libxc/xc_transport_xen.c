/* SPDX-License-Identifier: MIT */
/*
 * The transport to a real hypervisor: libxencall, libxenforeignmemory and libxenstore.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xencall.h>
#include <xenforeignmemory.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "xc_transport.h"

#include <xen/xen.h>
#include <xen/memory.h>

struct xen_state {
    xencall_handle *call;
    xenforeignmemory_handle *memory; /* opened when first needed, as the next one */
    struct xs_handle *store;
    xentoollog_logger_stdiostream *quiet;
};

struct xen_mapping {
    void *base;
    size_t n;
};

static void explain_open(int err, char *why, size_t size)
{
    /* libxencall looks at both places; /proc/xen is where older kernels have it. */
    if (access("/dev/xen/privcmd", F_OK) && access("/proc/xen/privcmd", F_OK))
        (void)snprintf(
            why, size,
            "no Xen here: there is neither /dev/xen/privcmd nor /proc/xen/privcmd (this must "
            "run in dom0 of a Xen host)");
    else if (err == EACCES || err == EPERM)
        (void)snprintf(why, size, "Xen's privcmd device cannot be opened: %s (root is needed)",
                       strerror(err));
    else
        (void)snprintf(why, size, "no Xen here: its privcmd device cannot be opened: %s",
                       strerror(err));
}

static int xen_open(void **state, const char *where, char *why, size_t why_size)
{
    struct xen_state *s;
    int err;

    if (where) {
        (void)snprintf(why, why_size, "the Xen transport takes no address ('%s')", where);
        errno = EINVAL;
        return -1;
    }
    s = calloc(1, sizeof(*s));
    if (!s) {
        (void)snprintf(why, why_size, "out of memory");
        return -1;
    }
    /* libxencall reports each device it tried; explain_open() says it once, and better. */
    s->quiet = xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    s->call = xencall_open((struct xentoollog_logger *)s->quiet, 0);
    if (s->call) {
        *state = s;
        return 0;
    }
    err = errno ? errno : EIO;
    explain_open(err, why, why_size);
    if (s->quiet)
        xtl_logger_destroy((struct xentoollog_logger *)s->quiet);
    free(s);
    errno = err;
    return -1;
}

static void xen_close(void *state)
{
    struct xen_state *s = state;

    /* Nothing can be done about failures. */
    if (s->memory)
        (void)xenforeignmemory_close(s->memory);
    if (s->store)
        xs_close(s->store);
    (void)xencall_close(s->call);
    if (s->quiet)
        xtl_logger_destroy((struct xentoollog_logger *)s->quiet);
    free(s);
}

static void *xen_alloc(void *state, size_t size)
{
    struct xen_state *s = state;
    void *buffer = xencall_alloc_buffer(s->call, size);

    if (buffer)
        memset(buffer, 0, size);
    else if (!errno)
        errno = ENOMEM;
    return buffer;
}

static void xen_release(void *state, void *buffer)
{
    struct xen_state *s = state;

    if (buffer)
        xencall_free_buffer(s->call, buffer);
}

static long xen_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    struct xen_state *s = state;

    /* Its answers may be frame numbers, of which an int holds those below 8 TiB. */
    if (op == __HYPERVISOR_memory_op)
        return xencall2L(s->call, op, args[0], args[1]);
    return xencall5(s->call, op, args[0], args[1], args[2], args[3], args[4]);
}

static const char *xen_why(void *state)
{
    (void)state;
    return NULL;
}

static int open_store(struct xen_state *s)
{
    if (!s->store)
        s->store = xs_open(0);
    if (s->store)
        return 0;
    if (!errno)
        errno = EIO;
    return -1;
}

static int xen_store_read(void *state, const char *path, char **value)
{
    struct xen_state *s = state;

    *value = NULL;
    if (open_store(s))
        return -1;
    *value = xs_read(s->store, XBT_NULL, path, NULL);
    return *value ? 0 : -1;
}

static int xen_store_write(void *state, const char *path, const char *value)
{
    struct xen_state *s = state;

    if (open_store(s))
        return -1;
    if (value)
        return xs_write(s->store, XBT_NULL, path, value, (unsigned int)strlen(value)) ? 0 : -1;
    return xs_rm(s->store, XBT_NULL, path) || errno == ENOENT ? 0 : -1;
}

static void *xen_map(void *state, uint32_t domid, const uint64_t *gfns, size_t n, bool write,
                     void **pages)
{
    struct xen_state *s = state;
    struct xen_mapping *m = malloc(sizeof(*m));
    int *errors = calloc(n, sizeof(*errors));
    int err;

    _Static_assert(sizeof(xen_pfn_t) == sizeof(*gfns), "frame numbers have 64 bits");
    if (!s->memory)
        s->memory = xenforeignmemory_open((struct xentoollog_logger *)s->quiet, 0);
    if (!m || !errors || !s->memory)
        goto fail;
    m->n = n;
    m->base = xenforeignmemory_map(s->memory, domid, write ? PROT_READ | PROT_WRITE : PROT_READ, n,
                                   (const xen_pfn_t *)gfns, errors);
    if (!m->base)
        goto fail;
    for (size_t i = 0; i < n; i++)
        pages[i] = errors[i] ? NULL : (char *)m->base + i * 4096;
    free(errors);
    return m;
fail:
    err = errno ? errno : EIO;
    free(errors);
    free(m);
    errno = err;
    return NULL;
}

static void xen_unmap(void *state, void *mapping)
{
    struct xen_state *s = state;
    struct xen_mapping *m = mapping;

    /* The hypervisor marks dirty what dom0 maps to write. */
    (void)xenforeignmemory_unmap(s->memory, m->base, m->n);
    free(m);
}

static void xen_leave(void *state, void *mapping)
{
    (void)state;
    free(mapping);
}

static void *xen_map_grants(void *state, uint32_t domid, void **page)
{
    struct xen_state *s = state;

    if (!s->memory)
        s->memory = xenforeignmemory_open((struct xentoollog_logger *)s->quiet, 0);
    if (!s->memory)
        return NULL;
    *page = NULL;
    return xenforeignmemory_map_resource(s->memory, (domid_t)domid, XENMEM_resource_grant_table,
                                         XENMEM_resource_grant_table_id_shared, 0, 1, page,
                                         PROT_READ | PROT_WRITE, 0);
}

static void xen_unmap_grants(void *state, void *mapping)
{
    struct xen_state *s = state;

    (void)xenforeignmemory_unmap_resource(s->memory, mapping);
}

const struct xc_transport_ops xc_transport_xen = {
    .name = "Xen",
    .open = xen_open,
    .close = xen_close,
    .alloc = xen_alloc,
    .release = xen_release,
    .hypercall = xen_hypercall,
    .why = xen_why,
    .store_read = xen_store_read,
    .store_write = xen_store_write,
    .map = xen_map,
    .unmap = xen_unmap,
    .leave = xen_leave,
    .map_grants = xen_map_grants,
    .unmap_grants = xen_unmap_grants,
};
