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

/* Each of these returns 0; or -1 with one sentence in why[GATE_WHY].  Close also after a failure.
 */
/* Connect to the hypervisor; read its version and the processor's name. */
int gate_host_open(struct gate_host *h, char *why);
/* Connect again after gate_host_close(). */
int gate_host_reopen(struct gate_host *h, char *why);
/* Read what the domain is, and its name. */
int gate_host_domain(struct gate_host *h, uint32_t domid, char *why);
/* Read the limits for guests of the type of h->domain. */
int gate_host_policies(struct gate_host *h, char *why);
/* Verify the domain's own policy; -1 also when it is not a CPU that can exist. */
int gate_host_verify_domain(struct gate_host *h, uint32_t domid, char *why);
/*
 * Do the trial; take the last look (xc_audit.h).  They return XC_GIVEN_AS_TOLD or
 * XC_GIVEN_OTHERWISE; or -1 with one sentence in why[GATE_WHY]: it could not be tried, or the
 * hypervisor refuses that CPU.
 */
int gate_host_trial(struct gate_host *h, uint32_t domid, const struct xc_leaves *leaves,
                    const struct cpu_policy *told, struct cpu_policy *given,
                    struct policy_report *r, char *why);
int gate_host_last_look(struct gate_host *h, uint32_t domid, const struct cpu_policy *expected,
                        struct policy_report *r, char *why);
/* Read the policy that the domain has. */
int gate_host_domain_policy(struct gate_host *h, uint32_t domid, struct cpu_policy *p, char *why);
void gate_host_close(struct gate_host *h);

/* Write "web1" from xenstore, or "domain 7", to buf[size].  The host is open. */
void gate_domain_name(const struct gate_host *h, uint32_t domid, char *buf, size_t size);

/*
 * Which hypervisor is asked, and its store for names of domains.  transport_xen.c has the real one;
 * the tests link their own file in its place.  Never chosen at run time: whoever could choose
 * would be past the gate.
 */
extern const struct xc_transport_ops *const gate_transport;

/* ---- what a PV guest's programs will read (pv.c) ---- */

/*
 * Warn of what the programs of a domain that the audit has let pass will read here beyond or short
 * of its policy.  Returns true when XENLEVEL_PV=strict refuses it for that, with the refusal in
 * a->text and a->summary.
 */
bool pv_refuses(const struct gate_host *h, const struct audit_case *c, struct audit *a);

/* ---- release.c ---- */

/*
 * Refuse, in a->text and a->summary, an HVM or PVH domain of a newer Xen whose save records this
 * host's Xen does not take; or add to what is given up when XENLEVEL_ALLOW has "release".
 */
bool release_refuses(const struct gate_host *h, const struct audit_case *c, struct audit *a);
/* Warn when a domain is saved whose programs do not read its policy here, and so may notice that it
 * moves. */
void pv_leaves(const struct gate_host *h, uint32_t domid, const char *name);

/* ---- drift.c ---- */

/* Return whether the last refresh of this host's record in its pool found that it has lost features
 * that the pool counts on; false where there is none, or it cannot be read. */
bool gate_host_drifted(void);
/* Return where that refresh leaves its answer: /var/lib/xenlevel/drift.txt (transport_xen.c), or
 * where the tests say. */
const char *gate_drift_file(void);

/* ---- the stock helper (helper.c) ---- */

/*
 * Find it: beside the gate as libxl-save-helper.stock where the gate has its name, else under its
 * own.  major, minor: the running Xen's, or 0, 0 when it is not known.  Returns 0 and its path;
 * or -1 with why[GATE_WHY] when there is none, or when it is a gate.
 */
int gate_find_helper(unsigned int major, unsigned int minor, char path[PATH_MAX], char *why);

/* ---- the stock helper as a child (child.c) ---- */

/* How libxl started this process: its helper is to find itself in the same surroundings. */
struct child_surroundings {
    struct sigaction pipe, child; /* SIGPIPE, SIGCHLD */
};

/* Remember them, and have children waited for.  Call this first of all. */
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

/* End as the child has ended: return its exit status, or die by its signal. */
int child_end_as(int status);

/* ---- the head, without taking it (peek.c) ---- */

/*
 * Look at the head of the stream on fd without taking a byte from it.  Returns true when *head is
 * complete; false when the head must be read: this is no pipe or socket, the head is wrong or cut,
 * or it came too slowly.
 */
bool peek_head(int fd, struct xc_sr_head *head);
/* Return where syslog listens: /dev/log (transport_xen.c), or where the tests say. */
const char *gate_syslog(void);
/* Return whether peek_head() may look: always true in the real gate (transport_xen.c); the tests
 * want to see the other way too. */
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
 * Start the process that hands the stream on.  Returns its id, and in *out the descriptor to read
 * from (close-on-exec); or -1 with errno.  That process dies with the caller; it takes no byte from
 * the stream beyond the END record.
 */
pid_t relay_start(const struct relay *r, int *out);

/* ---- words (report.c) ---- */

/* Connect to syslog. */
void report_open(void);
/* Return how many columns the terminal on standard error has; 100 when it is none. */
unsigned int report_width(void);
/*
 * Write a message of several lines, already wrapped, to standard error and the logs: syslog, and
 * the file XENLEVEL_LOG when it is set.  Never waits for a reader.  Returns 0; or -1 when no log
 * has taken it.
 */
int report_text(int priority, const char *text);
/* Write one line, wrapped, with "xenlevel: " in front; the same otherwise. */
int report_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Write such a line to the logs only. */
void report_log(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* GATE_H */
