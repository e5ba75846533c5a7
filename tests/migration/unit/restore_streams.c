/* SPDX-License-Identifier: MIT */
/*
 * usage: restore-streams MACHINE hvm|pv VCPUS verified|unverified STREAM...
 *
 * Restores each stream into a new domain of a simulated host with that machine, and prints of each
 * "ok PAGES STORE-FRAME" or "refused PAGES" (the pages that the domain had by then), and the lines
 * that were logged, also by the hypervisor, indented.  What stands before libxc's stream is passed
 * over.  The program fails when a domain's memory was not given back.  For the table of broken
 * streams (../broken).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xc_sr.h>
#include <xen/sched.h>

#include "inproc.h"
#include "simhost.h"

#define MAX_PAGES 65536u

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "restore-streams: %s: %s\n", what, why);
    exit(2);
}

/* A descriptor at the beginning of libxc's stream. */
static int open_stream(const char *path)
{
    static const uint8_t marker[] = "\xff\xff\xff\xff\xff\xff\xff\xffXENF";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const uint8_t *bytes, *image;
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        die(path, "cannot be read");
    if (!st.st_size)
        return fd;
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        die(path, "cannot be mapped");
    image = memmem(bytes, (size_t)st.st_size, marker, sizeof(marker) - 1);
    if (image && lseek(fd, image - bytes, SEEK_SET) < 0)
        die(path, "cannot be read");
    (void)munmap((void *)(uintptr_t)bytes, (size_t)st.st_size);
    return fd;
}

static struct domain *create_domain(xc_handle *xch, struct sim_host *host, bool hvm, uint32_t vcpus)
{
    const struct xc_domain_config config = {
        .type = hvm ? XC_DOMAIN_PVH : XC_DOMAIN_PV, .hap = hvm, .max_vcpus = vcpus};
    uint32_t domid;

    if (xc_domain_create(xch, &config, &domid) || xc_domain_max_vcpus(xch, domid, vcpus) ||
        xc_domain_max_mem(xch, domid, (uint64_t)MAX_PAGES * 4))
        die("no domain", inproc_log());
    return domain_by_id(&host->hv, (uint16_t)domid);
}

/* What the hypervisor logged about one stream. */
static char said[1 << 16];
static size_t said_length;

static void keep_console(void *opaque, const char *text, size_t length)
{
    (void)opaque;
    if (said_length + length + 2 > sizeof(said))
        return;
    memcpy(said + said_length, text, length);
    said_length += length;
    said[said_length++] = '\n';
    said[said_length] = '\0';
}

static void print_lines(const char *line)
{
    while (*line) {
        size_t length = strcspn(line, "\n");

        (void)printf("  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

/* How each stream is restored. */
struct plan {
    bool hvm, unverified;
    uint32_t vcpus;
};

static void restore(xc_handle *xch, struct sim_host *host, const struct plan *plan,
                    const char *path)
{
    const struct xc_restore_options options = {.unverified = plan->unverified};
    const struct xc_restore_callbacks callbacks = {.data = NULL};
    uint64_t frames = host->hv.free_pages;
    struct xc_restore_result result;
    struct domain *d = create_domain(xch, host, plan->hvm, plan->vcpus);
    int fd = open_stream(path), rc;

    inproc_forget();
    said[said_length = 0] = '\0';
    rc = xc_domain_restore(xch, fd, d->id, &options, &callbacks, &result);
    if (rc)
        (void)printf("refused %llu\n", (unsigned long long)d->memory.tot_pages);
    else
        (void)printf("ok %llu %llu\n", (unsigned long long)d->memory.tot_pages,
                     (unsigned long long)result.store_gfn);
    print_lines(inproc_log());
    print_lines(said);
    domain_destroy(d);
    if (host->hv.free_pages != frames)
        die(path, "its memory was not given back");
    (void)close(fd);
}

int main(int argc, char **argv)
{
    struct sim_host *host;
    struct plan plan;
    xc_handle *xch;

    if (argc < 6 || (strcmp(argv[2], "hvm") != 0 && strcmp(argv[2], "pv") != 0))
        die("usage", "restore-streams MACHINE hvm|pv VCPUS verified|unverified STREAM...");
    plan.hvm = argv[2][0] == 'h';
    plan.vcpus = (uint32_t)strtoul(argv[3], NULL, 10);
    plan.unverified = argv[4][0] == 'u';
    host = simhost_boot(argv[1], 2, 64, 1);
    host->platform.console.line = keep_console;
    xch = inproc_open(host);
    for (int i = 5; i < argc; i++)
        restore(xch, host, &plan, argv[i]);
    inproc_close(xch);
    simhost_halt(host);
    return 0;
}
