/* SPDX-License-Identifier: MIT */
/*
 * A host as it goes into a registry: captured here and now, or out of a file.
 */
#ifndef XENLEVEL_HOST_SELF_H
#define XENLEVEL_HOST_SELF_H

#include "host-facts.h"
#include "livepatch.h"
#include "pool.h"
#include "xlp.h"

struct host_self {
    char *name;
    struct pool_capture cpu;   /* what it can offer; ->file NULL before it was read */
    Xenlevel__PoolHost *facts; /* what host_facts_read() says */
    struct born_now born;      /* the level that the live patch has new domains born on */
    struct host_domains domains;
    bool is_file; /* nothing is known but what the capture says */
    bool is_sim;  /* a simulated host: this machine's files are not its */
};

struct host_self_options {
    const char *name; /* NULL: the host's own, or the file's */
    const char *root; /* "": this machine's own files */
    const char
        *images; /* a folder of saved domains; NULL: where xendomains keeps them, if it does */
};

/*
 * Ask the hypervisor of this host, /proc and /sys.  Returns 0; or -1 after a message.  Call
 * host_self_close() in both cases.
 */
int host_self_read(struct host_self *self, const struct host_self_options *options);
/* Take a file that says a host, in any form.  The same. */
int host_self_from_file(struct host_self *self, const char *path, const char *name);
void host_self_close(struct host_self *self);

#endif /* XENLEVEL_HOST_SELF_H */
