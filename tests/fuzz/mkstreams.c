/* SPDX-License-Identifier: MIT */
/*
 * Seeds for fuzz_restore: mkstreams DIRECTORY.  Domains with a few pages, saved on simulated hosts;
 * the first byte of each file is fuzz_restore's.  And pv.parts, of which tests/migration's
 * write_streams.py makes the seed of a PV domain.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xc_sr_pv.h>
#include <xen/sched.h>
#include <xen/xen.h>

#include "inproc.h"
#include "simhost.h"

static const struct seed {
    const char *name, *machine;
    uint32_t nr_vcpus;
    uint64_t nr_pages;
    bool live, checksums;
    uint8_t first; /* fuzz_restore's */
} seeds[] = {
    {"plain", "intel-haswell-ep", 2, 2, false, false, 0},
    {"one-vcpu", "intel-haswell-ep", 1, 1, false, false, 16},
    {"sums", "intel-haswell-ep", 1, 2, false, true, 0},
    {"live", "intel-haswell-ep", 2, 1, true, false, 0},
    {"live-sums", "intel-haswell-ep", 1, 1, true, true, 2},
    {"called-off", "intel-haswell-ep", 1, 1, false, false, 8},
    {"refused", "intel-haswell-ep", 1, 1, false, false, 4}, /* by the toolstack */
    {"older", "intel-sandybridge-ep", 1, 1, false, false, 0},
    {"newer", "intel-cascadelake-sp", 1, 1, false, false, 0}, /* refused there */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int create_file(const char *directory, const char *name)
{
    char path[1024];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die(path);
    return fd;
}

static struct domain *start(struct sim_host *h, bool hvm, uint32_t nr_vcpus, uint64_t nr_pages)
{
    struct domain *d = simdomain_empty(h, hvm, hvm, nr_vcpus, nr_pages);

    for (uint64_t gfn = 0; gfn < nr_pages; gfn++)
        if (memory_populate(d, gfn))
            die("memory_populate");
    for (uint32_t i = 0; i < nr_vcpus; i++) {
        d->vcpus[i]->regs.rip = SIM_GUEST_GFN << 12;
        d->vcpus[i]->online = true;
    }
    if (domain_unpause(d))
        die("domain_unpause");
    return d;
}

static int suspend(void *data)
{
    domain_shutdown(data, SHUTDOWN_suspend);
    return 0;
}

static void save(const char *directory, const struct seed *s)
{
    const struct xc_save_options options = {.live = s->live, .checksums = s->checksums};
    struct sim_host *h = simhost_boot(s->machine, 2, 16, 1);
    struct domain *d = start(h, true, s->nr_vcpus, s->nr_pages);
    const struct xc_save_callbacks cb = {.suspend = suspend, .data = d};
    xc_handle *xch = inproc_open(h);
    int fd = create_file(directory, s->name);

    if (write(fd, &s->first, 1) != 1)
        die(s->name);
    if (xc_domain_save(xch, fd, d->id, &options, &cb, NULL) || close(fd)) {
        fprintf(stderr, "%s: %s", s->name, inproc_log());
        exit(1);
    }
    inproc_close(xch);
    simhost_halt(h);
}

/* ---- what the engine writes of a PV domain but its memory and registers ---- */

static void save_pv_parts(const char *directory)
{
    struct sim_host *h = simhost_boot("intel-haswell-ep", 2, 16, 1);
    struct domain *d = start(h, false, 1, 1);
    xc_handle *xch = inproc_open(h);
    struct sr_writer w = {.xch = xch, .fd = create_file(directory, "pv.parts")};
    struct xc_sr_ihdr image = {.marker = XC_SR_MARKER,
                               .id = __builtin_bswap32(XC_SR_IDENT),
                               .version = __builtin_bswap32(XC_SR_VERSION)};
    struct xc_sr_dhdr domain = {.type = XC_SR_GUEST_PV, .page_shift = XC_SR_PAGE_SHIFT};
    struct iovec headers[2] = {{&image, sizeof(image)}, {&domain, sizeof(domain)}}, end[2];

    if (sr_writev(&w, headers, 2) || sr_pv_write_info(&w) || sr_write_policy(&w, d->id) ||
        sr_write_tsc(&w, d->id) || sr_write_record(&w, REC_END, end, 0) || close(w.fd)) {
        fprintf(stderr, "pv: %s", inproc_log());
        exit(1);
    }
    inproc_close(xch);
    simhost_halt(h);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: mkstreams DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
        save(argv[1], &seeds[i]);
    save_pv_parts(argv[1]);
    return 0;
}
