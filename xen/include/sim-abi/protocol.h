/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack and a simulated host say to each other over the host's Unix socket
 * (SOCK_SEQPACKET: a message is a packet).  Both ends run on one machine as one user: native byte
 * order and sizes.  Every request gets one reply, in order.
 *
 * Hypercall buffers live in a memfd that the client makes, seals against shrinking
 * (F_SEAL_SHRINK: or else it could make the host fault) and passes with SIM_HELLO.  Guest memory is
 * in a memfd of the host's, sealed the same way, which SIM_HELLO's reply passes back: frame mfn is
 * at mfn * 4096.  Whoever may open the socket is dom0, and may read all memory, as on a real host.
 */
#ifndef SIM_ABI_PROTOCOL_H
#define SIM_ABI_PROTOCOL_H

#include <stdint.h>

#define SIM_PROTOCOL_VERSION 2u
#define SIM_MAX_BUFFER       (64u << 20) /* of the client's memfd */
#define SIM_STORE_PATH       256u
#define SIM_STORE_VALUE      1024u

enum sim_request_kind {
    SIM_HELLO = 1, /* with the client's memfd; the reply comes with the host's */
    SIM_HYPERCALL,
    /* Up to SIM_TRANSLATE_MAX frames of a domain to mfns, to map them: gfns of an HVM domain, mfns
     * of a PV one; with DOMID_XEN those of the machine-to-physical table. */
    SIM_TRANSLATE,
    SIM_DIRTIED,     /* those frames were written by the toolstack */
    SIM_STORE_READ,  /* a small xenstore: /local/domain/N/name and the like */
    SIM_STORE_WRITE, /* an empty value removes the node */
    SIM_STORE_LIST,  /* children of a path, each ended by a NUL */
    SIM_RUN,         /* make n guest steps now; for hosts started with --stepped */
    SIM_INFO,        /* steps so far, simulated ns, seed, machine name */
    SIM_POWER_OFF,
};

#define SIM_TRANSLATE_MAX 1024u /* a batch of a migration stream */

struct sim_request {
    uint32_t kind;    /* enum sim_request_kind */
    uint32_t version; /* SIM_PROTOCOL_VERSION */
    union {
        struct {
            uint64_t base; /* where the client has mapped its memfd */
            uint64_t size;
        } hello;
        struct {
            uint32_t op; /* __HYPERVISOR_* */
            uint32_t reserved;
            uint64_t args[5];
        } hypercall;
        struct {
            uint32_t domid;
            uint32_t count;
            uint64_t gfns[SIM_TRANSLATE_MAX];
        } frames; /* SIM_TRANSLATE, SIM_DIRTIED */
        struct {
            char path[SIM_STORE_PATH]; /* NUL-terminated */
            char value[SIM_STORE_VALUE];
        } store;
        struct {
            uint64_t steps;
        } run;
    } u;
};

struct sim_reply {
    int64_t result; /* >= 0, or a negative errno */
    union {
        struct {
            uint64_t nr_pages;
        } hello;
        struct {
            uint64_t mfns[SIM_TRANSLATE_MAX]; /* ~0: nothing there */
        } frames;
        struct {
            uint32_t size;
            char value[4 * SIM_STORE_VALUE];
        } store;
        struct {
            uint64_t steps, now_ns, seed;
            uint32_t stepped;
            char machine[64];
        } info; /* SIM_RUN too */
    } u;
};

#endif /* SIM_ABI_PROTOCOL_H */
