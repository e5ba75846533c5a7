/* SPDX-License-Identifier: MIT */
/*
 * Transports: how a hypercall reaches a hypervisor.  Above this nobody knows which one it is.
 */
#ifndef XC_TRANSPORT_H
#define XC_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#define XC_HYPERCALL_ARGS 5

/*
 * Every member must be implemented, even as a function that does nothing.  `state` is whatever
 * open() made.  A handle is used by one thread at a time, so no member needs a lock.
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
    int (*hypercall)(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS]);
};

/* A real host, over libxencall.  `where` must be NULL. */
extern const struct xc_transport_ops xc_transport_xen;

#endif /* XC_TRANSPORT_H */
