/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: a hostile migration stream, restored on a simulated host.  The first byte of an input
 * chooses the domain and what its toolstack wants; the rest is the stream.  Whatever it says: what
 * is refused for its CPU has got no memory, what is accepted is a CPU that the host may give, and
 * when the domain is gone nothing is left of it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xc_sr.h>
#include <xen/sysctl.h>

#include "core_check.h"
#include "inproc.h"
#include "simhost.h"

#define NR_VCPUS  2u
#define MAX_PAGES 96u
#define NR_STEPS  30u

/* Bits of the first byte. */
enum {
    IS_PV = 1 << 0,
    UNVERIFIED = 1 << 1,
    REFUSE_STATIC = 1 << 2, /* the toolstack does */
    CALL_OFF = 1 << 3,
    WITH_ENDS = 1 << 4, /* there are daemons at its rings */
};

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "line %d: %s; it said: %s\n", __LINE__, #x, inproc_log());             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct {
    struct sim_host *host;
    xc_handle *xch;
    int fd;
    uint64_t free_pages, allocated; /* without the domain */
} m;

static void power_on(void)
{
    m.host = simhost_boot("intel-haswell-ep", 2, 8, 1);
    m.xch = inproc_open(m.host);
    m.fd = memfd_create("stream", MFD_CLOEXEC);
    if (!m.xch || m.fd < 0)
        abort();
    m.free_pages = m.host->hv.free_pages;
    m.allocated = m.host->platform.allocated;
}

static void feed(const uint8_t *data, size_t size)
{
    CHECK(!ftruncate(m.fd, 0) && lseek(m.fd, 0, SEEK_SET) == 0);
    CHECK(pwrite(m.fd, data, size, 0) == (ssize_t)size);
}

static struct domain *make(bool pv)
{
    const struct xc_domain_config config = {
        .type = pv ? XC_DOMAIN_PV : XC_DOMAIN_PVH, .hap = !pv, .max_vcpus = NR_VCPUS};
    uint32_t domid;

    CHECK(!xc_domain_create(m.xch, &config, &domid));
    CHECK(!xc_domain_max_vcpus(m.xch, domid, NR_VCPUS));
    CHECK(!xc_domain_max_mem(m.xch, domid, MAX_PAGES * 4));
    return domain_by_id(&m.host->hv, (uint16_t)domid);
}

static int static_data_done(void *data, unsigned int missing)
{
    CHECK(missing < 4);
    return *(const uint8_t *)data & REFUSE_STATIC;
}

static int progress(void *data, const struct xc_sr_stats *stats)
{
    (void)stats;
    return *(const uint8_t *)data & CALL_OFF;
}

/* Is it the CPU of a guest that may be on this host? */
static void check_policy(const struct domain *d)
{
    const struct cpu_policy *policies = m.host->hv.policies;
    const struct policy_host here = {
        &policies[d->hvm ? XEN_SYSCTL_cpu_policy_hvm_max : XEN_SYSCTL_cpu_policy_pv_max],
        &policies[d->hvm ? XEN_SYSCTL_cpu_policy_hvm_default : XEN_SYSCTL_cpu_policy_pv_default]};
    struct policy_fault faults[1];
    struct policy_report report = {faults, 1, 0};

    CHECK(!policy_verify(&d->policy, &report));
    CHECK(!policy_check(&d->policy, &here, &report));
}

static void check_hypervisor(void)
{
    const char *what = core_check(&m.host->hv);

    if (what) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xc_guest_ends ends = {1, 2, 0, 0};
    struct xc_restore_options options;
    struct xc_restore_callbacks cb;
    struct xc_restore_result result;
    struct domain *d;
    uint8_t how;
    int rc;

    if (!size)
        return 0;
    if (!m.host)
        power_on();
    how = data[0];
    options = (struct xc_restore_options){.unverified = how & UNVERIFIED,
                                          .ends = how & WITH_ENDS ? &ends : NULL};
    cb = (struct xc_restore_callbacks){static_data_done, progress, &how};
    feed(data + 1, size - 1);
    d = make(how & IS_PV);
    inproc_forget();
    rc = xc_domain_restore(m.xch, m.fd, d->id, &options, &cb, &result);
    /* Before the static data has been accepted there is no memory. */
    CHECK(!(how & REFUSE_STATIC) || (rc && !d->memory.tot_pages));
    CHECK(!inproc_said("nothing was taken") || (rc && !d->memory.tot_pages));
    CHECK(!inproc_said("default CPU") || how & UNVERIFIED);
    if (rc) {
        CHECK(rc == -1 && errno && inproc_log()[0]);
        CHECK(!result.nr_faults || !d->memory.tot_pages);
    } else {
        CHECK(!(how & CALL_OFF) || !result.stats.sent_pages);
        CHECK(result.hvm == d->hvm && result.nr_faults == 0);
        check_policy(d);
    }
    check_hypervisor();
    if (!rc) {
        CHECK(!domain_unpause(d));
        (void)sim_host_run(m.host, NR_STEPS);
        check_hypervisor();
    }
    domain_destroy(d);
    CHECK(m.host->hv.free_pages == m.free_pages);
    CHECK(m.host->platform.allocated == m.allocated);
    return 0;
}
