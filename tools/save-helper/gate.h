/* SPDX-License-Identifier: MIT */
/* What the files of the gate share. */
#ifndef GATE_H
#define GATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>
#include <sys/types.h>

#include "audit.h"
#include "xc.h"
#include "xc_transport.h"

enum { GATE_WHY = 512 }; /* one sentence */

/* ---- this host (host.c) ---- */

struct gate_host {
    xc_handle *xch;
    struct xc_version version;
    char brand[49];
    struct xc_domain_info domain;
    char name[256]; /* of the domain, without xl's suffix; "domain 7" when it has none */
    struct cpu_policy max, deflt;
};

/* Each returns 0; or -1 with one sentence in why[GATE_WHY].  Close also after a failure. */
int gate_host_open(struct gate_host *h, char *why);
int gate_host_domain(struct gate_host *h, uint32_t domid, char *why);
int gate_host_policies(struct gate_host *h, char *why); /* for the type of h->domain */
/* The domain's own policy: can it exist?  -1 also when it cannot. */
int gate_host_verify_domain(struct gate_host *h, uint32_t domid, char *why);
void gate_host_close(struct gate_host *h);

/* "web1" from xenstore, or "domain 7".  The host is open. */
void gate_domain_name(const struct gate_host *h, uint32_t domid, char *buf, size_t size);

/*
 * Which hypervisor is asked, and its store for names of domains.  transport_xen.c has the real one;
 * the tests link their own file in its place.  Never chosen at run time: whoever could choose
 * would be past the gate.
 */
extern const struct xc_transport_ops *const gate_transport;

/* ---- the stock helper (helper.c) ---- */

/*
 * Its path.  major, minor: the running Xen's, or 0, 0 when it is not known.  -1 with why[GATE_WHY]
 * when there is none, or when it is this very program.
 */
int gate_find_helper(unsigned int major, unsigned int minor, char path[PATH_MAX], char *why);

/* ---- the head, without taking it (peek.c) ---- */

/*
 * true: *head is complete and not a byte was taken from fd.  false: nothing was taken either, and
 * the head must be read: this is no pipe or socket, it is wrong or cut, or it came too slowly.
 */
bool peek_head(int fd, struct xc_sr_head *head);
/* Where syslog listens: /dev/log (transport_xen.c), or where the tests say. */
const char *gate_syslog(void);
/* Always true in the real gate; the tests want to see the other way too (transport_xen.c). */
bool gate_may_peek(void);

/* ---- the stream behind the head, when it had to be taken (relay.c) ---- */

struct relay {
    int stream;      /* the real stream */
    const void *raw; /* bytes already taken from it */
    size_t raw_size;
    bool in_record;        /* raw ends with the header of a record whose body is still to come */
    uint32_t type, length; /* that record */
    const char *domain;    /* for messages */
};

/*
 * Start the process that hands the stream on.  Returns its id and *out = the descriptor to read
 * from (close-on-exec); -1 with errno.  That process dies with the caller, whatever the caller has
 * become by then; it takes no byte from the stream beyond the END record.
 */
pid_t relay_start(const struct relay *r, int *out);

/* ---- words (report.c) ---- */

void report_open(void);
/* Columns of the terminal on standard error; 100 when it is none. */
unsigned int report_width(void);
/*
 * A message of several lines, already wrapped, to standard error and the logs: syslog, and the file
 * XENLEVEL_LOG when it is set.  Never waits for a reader.  0: a log has it; -1: none.
 */
int report_text(int priority, const char *text);
/* One line, "xenlevel: " put before it.  The same. */
int report_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Only to the logs. */
void report_log(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* GATE_H */
