/* SPDX-License-Identifier: MIT */
/* See host-facts.h: domains, and images of saved ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evidence.h"
#include "host-facts.h"
#include "logger.h"
#include "util.h"
#include "xc_audit.h"
#include "xc_sr_envelope.h"

#define PAGE_BYTES 4096u

static struct host_domain *add_domain(struct host_domains *d)
{
    struct host_domain *one;

    d->list = xrealloc(d->list, (d->n + 1) * sizeof(*d->list));
    one = &d->list[d->n++];
    one->record = xcalloc(1, sizeof(*one->record));
    xenlevel__domain__init(one->record);
    one->cpu = NULL;
    return one;
}

static struct cpu_policy *copy_cpu(const struct cpu_policy *p)
{
    struct cpu_policy *copy = xcalloc(1, sizeof(*copy));

    *copy = *p;
    return copy;
}

/* ---- domains ---- */

static uint32_t guest_type_of(enum xc_domain_type type)
{
    switch (type) {
    case XC_DOMAIN_PV:
        return XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV;
    case XC_DOMAIN_HVM:
        return XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM;
    case XC_DOMAIN_PVH:
        return XENLEVEL__GUEST_TYPE__GUEST_TYPE_PVH;
    }
    return XENLEVEL__GUEST_TYPE__GUEST_UNKNOWN;
}

/* "2f0c..-..-..-..-............"; "" for none. */
static char *format_uuid(const uint8_t uuid[16])
{
    static const uint8_t none[16];
    char text[37];
    size_t at = 0;

    if (!memcmp(uuid, none, sizeof(none)))
        return xstrdup("");
    for (unsigned int i = 0; i < 16; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    return xstrdup(text);
}

/* libxl calls the two halves of a domain that moves by these names until it is done. */
static bool is_half_moved(const char *name)
{
    return ends_with(name, "--incoming") || ends_with(name, "--migratedaway");
}

static Xenlevel__DomainState state_of(const struct xc_domain_info *info)
{
    if (info->shutdown)
        return XENLEVEL__DOMAIN_STATE__DOMAIN_STATE_UNKNOWN;
    return info->paused ? XENLEVEL__DOMAIN_STATE__DOMAIN_PAUSED
                        : XENLEVEL__DOMAIN_STATE__DOMAIN_RUNNING;
}

/* Takes `name` over. */
static void take_domain(xc_handle *xch, const struct xc_domain_info *info, char *name,
                        struct host_domains *d)
{
    struct host_domain *one = add_domain(d);
    Xenlevel__Domain *r = one->record;
    uint64_t pages = info->max_pages;
    struct cpu_policy policy;
    char *usage;

    r->name = name;
    r->uuid = format_uuid(info->uuid);
    r->type = guest_type_of(info->type);
    if (pages > UINT64_MAX / PAGE_BYTES || pages < info->tot_pages)
        pages = info->tot_pages; /* no limit is set: what it has */
    r->memory = pages * PAGE_BYTES;
    r->vcpus = info->nr_vcpus;
    r->state = state_of(info);
    if (xc_domain_policy(xch, info->domid, &policy))
        return;
    one->cpu = copy_cpu(&policy);
    usage = evidence_domain_line(xch, info, &policy);
    if (usage)
        r->usage = usage;
}

int host_domains_read(xc_handle *xch, struct host_domains *d)
{
    struct xc_domain_info *list;
    struct xentoollog_logger *logger;
    struct logger silent;
    size_t n;

    if (xc_domain_list(xch, &list, &n))
        return -1;
    /* That a policy cannot be read is part of the answer. */
    logger = xc_set_logger(xch, logger_init(&silent, NULL, NULL));
    for (size_t i = 0; i < n; i++) {
        char *name;

        if (!list[i].domid || list[i].dying)
            continue;
        name = xc_domain_name(xch, list[i].domid);
        if (!name)
            name = xasprintf("domain-%u", list[i].domid);
        if (is_half_moved(name))
            free(name);
        else
            take_domain(xch, &list[i], name, d);
    }
    (void)xc_set_logger(xch, logger);
    free(list);
    return 0;
}

/* ---- images ---- */

/* Where in the file a stream begins, which the file's position becomes.  Whether there is one. */
static bool find_stream(int fd, enum xc_sr_layer *layer)
{
    static const char xl_magic[] = "Xen saved domain, xl format\n";
    static const char libxc_marker[] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    struct xc_sr_envelope e;
    char first[32] = "", why[256];

    if (pread(fd, first, sizeof(first), 0) < (ssize_t)sizeof(first))
        return false;
    *layer = XC_SR_XL;
    if (!memcmp(first, xl_magic, sizeof(xl_magic) - 1))
        return true;
    *layer = XC_SR_LIBXC;
    if (!memcmp(first, libxc_marker, sizeof(libxc_marker) - 1))
        return true;
    if (xc_sr_find_stream(fd, &e, why, sizeof(why)) || !e.whose)
        return false;
    *layer = e.layer;
    return lseek(fd, (off_t)e.offset, SEEK_SET) >= 0;
}

/* Fill in what an image's head says; without a CPU where it says none that can be. */
static void read_head(int fd, enum xc_sr_layer layer, struct host_domain *one)
{
    struct xc_sr_head *head = xcalloc(1, sizeof(*head));
    struct policy_report report = {.max = 0};
    struct xc_sr_fault where = {0};
    struct cpu_policy policy;

    if (!xc_sr_head_read(fd, layer, head, NULL, &where)) {
        one->record->type = head->guest == XC_SR_GUEST_PV ? XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV
                                                          : XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM;
        one->record->xen_version = xasprintf("%u.%u", head->xen_major, head->xen_minor);
        if (head->name[0])
            one->record->name = xstrdup(head->name);
        if (head->has_cpuid && !xc_sr_head_policy(head, &policy, &report))
            one->cpu = copy_cpu(&policy);
    }
    free(head);
}

static void take_file(const char *folder, const char *shown, const char *name,
                      struct host_domains *d)
{
    char *path = xasprintf("%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    enum xc_sr_layer layer;
    struct host_domain *one;
    struct stat st;

    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && find_stream(fd, &layer)) {
        one = add_domain(d);
        one->record->state = XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
        one->record->image = xasprintf("%s/%s", shown, name);
        read_head(fd, layer, one);
        if (!*one->record->name)
            one->record->name = xstrdup(name);
    }
    if (fd >= 0)
        (void)close(fd);
    free(path);
}

int host_images_read(const char *folder, const char *shown, struct host_domains *d)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir)
        return -1;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and a stream of its own */
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            take_file(folder, shown, entry->d_name, d);
    (void)closedir(dir);
    return 0;
}

static int compare_domains(const void *a, const void *b)
{
    const Xenlevel__Domain *x = ((const struct host_domain *)a)->record;
    const Xenlevel__Domain *y = ((const struct host_domain *)b)->record;
    int c = strcmp(x->name, y->name);

    if (!c)
        c = strcmp(x->uuid, y->uuid);
    return c ? c : strcmp(x->image, y->image);
}

void host_domains_sort(struct host_domains *d)
{
    if (d->n)
        qsort(d->list, d->n, sizeof(*d->list), compare_domains);
}

void host_domains_free(struct host_domains *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->list[i].record)
            xenlevel__domain__free_unpacked(d->list[i].record, NULL);
        free(d->list[i].cpu);
    }
    free(d->list);
    *d = (struct host_domains){NULL, 0};
}
