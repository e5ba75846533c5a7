/* SPDX-License-Identifier: MIT */
/* See srpair.h. */
#include "srpair.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xen/sched.h>
/* after those that it needs */
#include <cmocka.h>

#include "inproc.h"

/* ---- the hosts ---- */

void srpair_boot(struct srpair *p, const char *from, const char *to)
{
    *p = (struct srpair){.stream = -1};
    p->src = simhost_boot(from, 2, 64, 1);
    p->dst = simhost_boot(to, 2, 64, 2);
    p->xsrc = inproc_open(p->src);
    p->xdst = inproc_open(p->dst);
    assert_non_null(p->xsrc);
    assert_non_null(p->xdst);
    inproc_fail_at(0);
}

void srpair_halt(struct srpair *p)
{
    inproc_close(p->xsrc);
    inproc_close(p->xdst);
    simhost_halt(p->src);
    simhost_halt(p->dst);
    if (p->stream >= 0)
        (void)close(p->stream);
    p->stream = -1;
}

void srpair_swap(struct srpair *p)
{
    struct sim_host *h = p->src;
    xc_handle *x = p->xsrc;

    p->src = p->dst;
    p->xsrc = p->xdst;
    p->dst = h;
    p->xdst = x;
}

struct domain *srpair_start(struct srpair *p, const struct simguest *g)
{
    struct domain *d = simguest_start(p->src, g);

    assert_non_null(d);
    return d;
}

struct domain *srpair_guest(struct srpair *p, enum sim_script script,
                            const struct cpu_policy *policy)
{
    const struct simguest g = {.script = script,
                               .hvm = true,
                               .nr_vcpus = 2,
                               .nr_pages = SRPAIR_PAGES,
                               .seed = 11,
                               .policy = policy};

    return srpair_start(p, &g);
}

/* ---- a migration ---- */

static int suspend(void *data)
{
    struct srpair *p = data;

    inproc_enter();
    domain_shutdown(p->saving, SHUTDOWN_suspend);
    inproc_leave();
    return 0;
}

static int run_meanwhile(void *data, const struct xc_sr_stats *stats)
{
    struct srpair *p = data;

    (void)stats;
    inproc_enter();
    if (p->steps)
        (void)sim_host_run(p->src, p->steps);
    inproc_leave();
    return ++p->calls == p->cancel;
}

int srpair_save(struct srpair *p, struct domain *d, const struct xc_save_options *options,
                unsigned int steps, unsigned int cancel, struct xc_sr_stats *stats)
{
    const struct xc_save_callbacks cb = {.suspend = suspend, .progress = run_meanwhile, .data = p};

    p->saving = d;
    p->steps = steps;
    p->cancel = cancel;
    p->calls = 0;
    if (p->stream >= 0)
        (void)close(p->stream);
    p->stream = memfd_create("stream", MFD_CLOEXEC);
    assert_true(p->stream >= 0);
    inproc_forget();
    return xc_domain_save(p->xsrc, p->stream, d->id, options, &cb, stats);
}

struct domain *srpair_make(struct srpair *p, const struct domain *from)
{
    const struct xc_domain_config config = {.type = from->hvm ? XC_DOMAIN_PVH : XC_DOMAIN_PV,
                                            .hap = from->hap,
                                            .max_vcpus = from->max_vcpus};
    uint32_t domid;

    assert_int_equal(xc_domain_create(p->xdst, &config, &domid), 0);
    assert_int_equal(xc_domain_max_vcpus(p->xdst, domid, from->max_vcpus), 0);
    assert_int_equal(xc_domain_max_mem(p->xdst, domid, SRPAIR_PAGES * 4 + 64), 0);
    return domain_by_id(&p->dst->hv, (uint16_t)domid);
}

int srpair_restore(struct srpair *p, const struct domain *into, bool unverified,
                   struct xc_restore_result *result)
{
    const struct xc_restore_options options = {.unverified = unverified};
    const struct xc_restore_callbacks cb = {.data = NULL};

    (void)lseek(p->stream, 0, SEEK_SET); /* a pipe cannot, and need not */
    inproc_forget();
    return xc_domain_restore(p->xdst, p->stream, into->id, &options, &cb, result);
}

struct domain *srpair_receive(struct srpair *p, const struct domain *from, bool unverified, int *rc,
                              struct xc_restore_result *result)
{
    struct domain *d = srpair_make(p, from);

    *rc = srpair_restore(p, d, unverified, result);
    return d;
}

/* ---- the stream ---- */

uint8_t *srpair_contents(const struct srpair *p, size_t *size)
{
    struct stat st;
    uint8_t *bytes;

    assert_int_equal(fstat(p->stream, &st), 0);
    *size = (size_t)st.st_size;
    bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(pread(p->stream, bytes, *size, 0), *size);
    return bytes;
}

void srpair_replace(const struct srpair *p, const uint8_t *bytes, size_t size)
{
    assert_int_equal(ftruncate(p->stream, 0), 0);
    assert_int_equal(pwrite(p->stream, bytes, size, 0), size);
}

/* ---- the guest ---- */

struct sim_guest_vcpu srguest_notes(struct domain *d, uint32_t n)
{
    struct sim_guest_vcpu v;

    simguest_notes(d, n, &v);
    return v;
}

void srguest_require_running(struct domain *d)
{
    for (uint32_t n = 0; n < d->max_vcpus; n++) {
        struct sim_guest_vcpu v = srguest_notes(d, n);

        if (v.status != GUEST_RUNNING)
            fail_msg("vCPU %u: %s, leaf %llx", n, sim_guest_status_name(v.status),
                     (unsigned long long)v.changed_leaf);
    }
}

void srguest_require_goes_on(struct sim_host *h, struct domain *d, uint64_t ticks)
{
    assert_false(d->shutdown);
    (void)sim_host_run(h, 400);
    srguest_require_running(d);
    assert_true(srguest_notes(d, 0).ticks > ticks);
}
