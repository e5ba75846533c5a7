/* SPDX-License-Identifier: MIT */
/*
 * What a host says of itself to its pool: besides its CPUs what they depend on, its domains, and
 * the images of saved domains on its disk.
 */
#ifndef XENLEVEL_HOST_FACTS_H
#define XENLEVEL_HOST_FACTS_H

#include "cpu_policy.pb-c.h"
#include "pool.pb-c.h"
#include "xc.h"

/*
 * Fill in what a host's record says of microcode, BIOS, machine, Xen, its command line, kernel,
 * memory and dom0.  /proc and /sys are those below root ("": this machine's own; of a simulated
 * host those say nothing, and are not read then).  What cannot be found out is left empty: not
 * known.  The strings are malloc'ed.  Returns 0; or -1, after a message, when Xen does not answer.
 */
int host_facts_read(xc_handle *xch, const char *root, Xenlevel__PoolHost *host);

/* One domain, or image, with its CPU. */
struct host_domain {
    Xenlevel__Domain *record; /* ->policy is still empty */
    struct cpu_policy *cpu;   /* NULL: it could not be read */
};

struct host_domains {
    struct host_domain *list;
    size_t n;
};

/*
 * Add the domains of a host, without dom0, what is dying, and the two halves of a migration that is
 * under way.  A domain whose CPU cannot be read is there without one.  Returns 0; or -1 after a
 * message.  Call host_domains_free() in both cases.
 */
int host_domains_read(xc_handle *xch, struct host_domains *d);
/*
 * Add the images of saved domains that are files in a folder, as record->image says, where the
 * folder is called as `shown`.  One whose CPU
 * cannot be read is there without it; what is no image is left out.  Returns 0; or -1 with errno
 * when the folder cannot be read.
 */
int host_images_read(const char *folder, const char *shown, struct host_domains *d);
/* Sort them by name, then UUID, then image. */
void host_domains_sort(struct host_domains *d);
void host_domains_free(struct host_domains *d);

#endif /* XENLEVEL_HOST_FACTS_H */
