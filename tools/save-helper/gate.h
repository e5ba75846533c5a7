/* SPDX-License-Identifier: MIT */
/* What the files of the gate share. */
#ifndef GATE_H
#define GATE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>
#include <sys/types.h>

#include "audit.h"
#include "xc.h"
#include "xc_audit.h"
#include "xc_transport.h"

enum { GATE_WHY = 512 }; /* one sentence */

/* ---- this host (host.c) ---- */

struct gate_host {
    xc_handle *xch;
    struct xc_version version;
    char brand[49];
    struct xc_domain_info domain;
    char name[256]; /* of the domain, without xl's suffix; "domain 7" when it has none */
    struct xc_guest_limits limits;
};

/* Each returns 0; or -1 with one sentence in why[GATE_WHY].  Close also after a failure. */
int gate_host_open(struct gate_host *h, char *why);
/* After gate_host_close(): as it was. */
int gate_host_reopen(struct gate_host *h, char *why);
int gate_host_domain(struct gate_host *h, uint32_t domid, char *why);
int gate_host_policies(struct gate_host *h, char *why); /* for the type of h->domain */
/* The domain's own policy: can it exist?  -1 also when it cannot. */
int gate_host_verify_domain(struct gate_host *h, uint32_t domid, char *why);
/*
 * The trial and the last look (xc_audit.h).  XC_GIVEN_AS_TOLD or XC_GIVEN_OTHERWISE; or -1 with
 * one sentence in why[GATE_WHY]: it could not be tried, or the hypervisor refuses that CPU.
 */
int gate_host_trial(struct gate_host *h, uint32_t domid, const struct xc_leaves *leaves,
                    const struct cpu_policy *told, struct cpu_policy *given,
                    struct policy_report *r, char *why);
int gate_host_last_look(struct gate_host *h, uint32_t domid, const struct cpu_policy *expected,
                        struct policy_report *r, char *why);
int gate_host_domain_policy(struct gate_host *h, uint32_t domid, struct cpu_policy *p, char *why);
void gate_host_close(struct gate_host *h);

/* "web1" from xenstore, or "domain 7".  The host is open. */
void gate_domain_name(const struct gate_host *h, uint32_t domid, char *buf, size_t size);

/*
 * Which hypervisor is asked, and its store for names of domains.  transport_xen.c has the real one;
 * the tests link their own file in its place.  Never chosen at run time: whoever could choose
 * would be past the gate.
 */
extern const struct xc_transport_ops *const gate_transport;

/* ---- what a PV guest's programs will read (pv.c) ---- */

/*
 * The audit has let it pass.  Warns of what its programs will read here beyond or short of its
 * policy.  true: with XENLEVEL_PV=strict that refuses it, in the words of a->text and a->summary.
 */
bool pv_refuses(const struct gate_host *h, const struct audit_case *c, struct audit *a);
/* It is saved: warns when its programs do not read its policy here, and may notice that it moves.
 */
void pv_leaves(const struct gate_host *h, uint32_t domid, const char *name);

/* ---- the stock helper (helper.c) ---- */

/*
 * Its path.  major, minor: the running Xen's, or 0, 0 when it is not known.  -1 with why[GATE_WHY]
 * when there is none, or when it is this very program.
 */
int gate_find_helper(unsigned int major, unsigned int minor, char path[PATH_MAX], char *why);

/* ---- the stock helper as a child (child.c) ---- */

/* How libxl started this process: its helper is to find itself in the same surroundings. */
struct child_surroundings {
    struct sigaction pipe, child; /* SIGPIPE, SIGCHLD */
};

/* To be called first of all: remembers them, and makes children be waited for. */
void child_prepare(struct child_surroundings *s);

/*
 * Run path with argv and this process's descriptors, except `stream`, which is only the child's
 * from then on.  Returns when the child has ended: its wait status; or -1 with errno when it could
 * not be started, and nothing was taken from the stream.
 *
 * A SIGTERM to this process goes to the child; afterwards it ends this process as it ended the
 * child.  Whatever kills this process kills the child.
 */
int child_run(const char *path, char **argv, int stream, const struct child_surroundings *s);

/* End as the child has ended: with its exit status, which is returned, or by its signal. */
int child_end_as(int status);

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
 * from (close-on-exec); -1 with errno.  That process dies with the caller; it takes no byte from
 * the stream beyond the END record.
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
