/* SPDX-License-Identifier: MIT */
/* See host-self.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "host-self.h"
#include "logger.h"
#include "out.h"
#include "subject.h"
#include "util.h"
#include "xc_sim.h"

/* Where xendomains saves to when the host goes down (XENDOMAINS_SAVE of Xen's default
 * configuration). */
#define SAVED_DOMAINS "/var/lib/xen/save"

static void begin(struct host_self *self)
{
    memset(self, 0, sizeof(*self));
    self->facts = xcalloc(1, sizeof(*self->facts));
    xenlevel__pool_host__init(self->facts);
}

/* Below a root, or of a real host: a simulated one saves nowhere by itself. */
static int read_images(struct host_self *self, const struct host_self_options *o)
{
    char *folder = NULL;
    int rc;

    if (o->images)
        folder = xstrdup(o->images);
    else if (*o->root || !self->is_sim)
        folder = xasprintf("%s" SAVED_DOMAINS, o->root);
    if (!folder)
        return 0;
    rc = host_images_read(folder, o->images ? folder : SAVED_DOMAINS, &self->domains);
    if (rc && !o->images && errno == ENOENT)
        rc = 0;
    if (rc) /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
        warn("the folder of saved domains, %s: cannot be read: %s", folder, strerror(errno));
    free(folder);
    return rc;
}

/* A Xen without live patches has none of ours; what else goes wrong is said. */
static int read_born(struct host_self *self, xc_handle *xch)
{
    struct logger silent;
    struct xentoollog_logger *logger;
    int rc;

    if (xc_is_sim(xch))
        return 0;
    logger = xc_set_logger(xch, logger_init(&silent, NULL, NULL));
    rc = born_now_read(xch, &self->born);
    (void)xc_set_logger(xch, logger);
    if (rc && errno != EOPNOTSUPP)
        warn("%s", xc_last_error(xch));
    return rc && errno != EOPNOTSUPP ? -1 : 0;
}

static int read_all(struct host_self *self, xc_handle *xch, const struct host_self_options *o)
{
    Xenlevel__File *file = capture_xen(xch, o->name);

    if (!file)
        return -1;
    self->name = xstrdup(file->host->name);
    pool_capture_take(&self->cpu, file);
    if (host_facts_read(xch, o->root, self->facts) || host_domains_read(xch, &self->domains) ||
        read_images(self, o) || read_born(self, xch))
        return -1;
    host_domains_sort(&self->domains);
    return 0;
}

int host_self_read(struct host_self *self, const struct host_self_options *options)
{
    xc_handle *xch;
    int rc;

    begin(self);
    xch = xc_interface_open(out_logger());
    if (!xch)
        return -1;
    self->is_sim = xc_is_sim(xch);
    rc = read_all(self, xch, options);
    xc_interface_close(xch);
    return rc;
}

int host_self_from_file(struct host_self *self, const char *path, const char *name)
{
    struct subject *s = xcalloc(1, sizeof(*s));
    int rc = -1;

    begin(self);
    self->is_file = true;
    if (subject_open(path, s)) {
        /* it has said why */
    } else if (s->kind != SUBJECT_HOST || !s->file) {
        warn("%s is not a host: xenlevel host makes a file of one", path);
    } else {
        pool_capture_take(&self->cpu, s->file);
        s->file = NULL;
        self->name = xstrdup(name ? name : self->cpu.file->host->name);
        self->facts->xen_version = xstrdup(self->cpu.file->host->xen_version);
        self->facts->xen_build_id = xstrdup(self->cpu.file->host->xen_build_id);
        rc = 0;
    }
    subject_close(s);
    free(s);
    return rc;
}

void host_self_close(struct host_self *self)
{
    free(self->name);
    if (self->cpu.file)
        pool_capture_clear(&self->cpu);
    if (self->facts)
        xenlevel__pool_host__free_unpacked(self->facts, NULL);
    host_domains_free(&self->domains);
    memset(self, 0, sizeof(*self));
}
