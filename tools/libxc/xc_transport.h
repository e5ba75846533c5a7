/* SPDX-License-Identifier: MIT */
/*
 * Transports: how a hypercall reaches a hypervisor.  Above this nobody knows which one it is.
 */
#ifndef XC_TRANSPORT_H
#define XC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define XC_HYPERCALL_ARGS 5

/*
 * Every member but leave and file must be implemented, even as a function that does nothing.
 * `state` is whatever open() made.  A handle is used by one thread at a time, so no member needs a
 * lock.
 */
struct xc_transport_ops {
    /* Names the transport in messages: "Xen". */
    const char *name;

    /*
     * Called once, before anything else.  `where` says which host, in the transport's own terms
     * (NULL: the default one).  Owes: *state and 0; or -1, errno and one sentence for people in
     * why[], with nothing left open.  Prints nothing.
     */
    int (*open)(void **state, const char *where, char *why, size_t why_size);

    /* Called once, after every buffer was released.  Owes: all resources back.  Cannot fail. */
    void (*close)(void *state);

    /*
     * Called before a hypercall, for each piece of memory that it refers to.  Owes: `size` zeroed
     * bytes that the hypervisor can read and write at this very address while the call lasts (it
     * goes into guest handles as it is), or NULL with errno.
     */
    void *(*alloc)(void *state, size_t size);

    /* Called for each alloc(), in any order, on every path.  `buffer` may be NULL. */
    void (*release)(void *state, void *buffer);

    /*
     * Called with the hypercall's number (__HYPERVISOR_*) and its arguments, unused ones zero;
     * pointers among them come from alloc().  Owes: the hypervisor's own answer: >= 0, or -1 with
     * errno = the hypervisor's error.  EIO when the hypervisor could not be asked at all.
     */
    long (*hypercall)(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS]);

    /*
     * Called after any member has failed with EIO.  Owes: a sentence without a full stop that says
     * what is wrong with the way to the hypervisor ("... has closed the connection"), valid until
     * the next call; or NULL when errno is all there is to say.
     */
    const char *(*why)(void *state);

    /*
     * Called for the toolstack's notes about domains, which live in a tree of small texts beside
     * the hypervisor: "/local/domain/7/name".  Owes: 0 and *value, malloc'ed; or -1 with errno,
     * ENOENT when there is no such node.
     */
    int (*store_read)(void *state, const char *path, char **value);

    /* Called to leave such a note.  `value` is not empty; NULL takes the node away (that it was
     * not there is no failure).  Owes: 0; or -1 with errno. */
    int (*store_write)(void *state, const char *path, const char *value);

    /*
     * Called to reach the memory of a domain, frames gfns[0] .. gfns[n - 1], n at least 1.  Owes:
     * pages[i] = that frame's 4096 bytes (the domain's own, not a copy), readable and, when
     * `write`, writable until unmap(); NULL where the domain has no memory; and something that is
     * not NULL, for unmap().  Or NULL with errno, and nothing in pages[] is valid.
     */
    void *(*map)(void *state, uint32_t domid, const uint64_t *gfns, size_t n, bool write,
                 void **pages);

    /* Called once for each map(), also when the domain is gone meanwhile.  Owes: that what was
     * mapped to be written counts as dirtied. */
    void (*unmap)(void *state, void *mapping);

    /*
     * May stand for unmap() in a process that ends soon; NULL: unmap() does it.  Owes: what it
     * knows of the mapping back.  The mapping itself stays until the process ends.
     */
    void (*leave)(void *state, void *mapping);

    /*
     * Called for any address; NULL: always -1.  Owes: the file that the page there, one that map()
     * gave, is a page of, and *at, its offset (pages that map() put behind each other are so in
     * the file); it stays open until close().  -1: it is of none, as
     * on a real host.
     */
    int (*file)(void *state, const void *page, off_t *at);

    /*
     * Called to write to a domain's grant table (version 1), whose first page then stands at
     * *page; and something that is not NULL, for unmap_grants().  Or NULL with errno: EOPNOTSUPP
     * where domains have none.
     */
    void *(*map_grants)(void *state, uint32_t domid, void **page);

    /* Called once for each map_grants(). */
    void (*unmap_grants)(void *state, void *mapping);
};

/* A real host, over libxencall, libxenforeignmemory and libxenstore.  `where` must be NULL. */
extern const struct xc_transport_ops xc_transport_xen;

/*
 * A simulated host (xen/include/sim-abi/protocol.h).  `where` is the path of its socket.  Hypercall
 * buffers come from 64 MiB that are shared with it: more at one time is ENOMEM.
 */
extern const struct xc_transport_ops xc_transport_sim;

#endif /* XC_TRANSPORT_H */
