/* SPDX-License-Identifier: MIT */
/*
 * A doctored stream through the real path.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "describe.h"
#include "rehearse.h"
#include "ask.h"
#include "util.h"
#include "xc_audit.h"
#include "xc_sr_stream_format.h"

/* What a pipe holds at least: the head is in it as a whole before anybody reads. */
enum { HEAD_ROOM = 60000, ENVIRONMENT = 256 };

struct doctored {
    struct xc_domain_info self;
    struct xc_version xen;
    struct xc_guest_limits limits;
    struct cpu_policy policy;
    int feature; /* that the host does not have */
    uint8_t head[HEAD_ROOM];
    size_t size;
};

/* ---- the CPU ---- */

/* Would the only thing wrong with the policy be that this feature is not here? */
static bool is_good_lie(const struct doctored *d, unsigned int feature)
{
    const struct policy_host host = xc_limits_host(&d->limits);
    struct policy_fault faults[4];
    struct policy_report r = {faults, sizeof(faults) / sizeof(faults[0]), 0};

    (void)xc_audit_policy(NULL, &d->policy, &host, &r, NULL);
    return r.count == 1 && faults[0].kind == FAULT_FEATURE_MISSING && faults[0].feature == feature;
}

/* The most that a guest can have here, and one feature more. */
static int doctor_policy(struct doctored *d)
{
    const struct featureset *known = featureset_known();
    struct featureset fs, with;

    policy_to_featureset(&d->limits.max, &fs);
    for (int f = featureset_next(known, 0); f >= 0;
         f = featureset_next(known, (unsigned int)f + 1)) {
        if (featureset_test(&fs, (unsigned int)f))
            continue;
        with = fs;
        featureset_set(&with, (unsigned int)f);
        d->policy = d->limits.max;
        policy_from_featureset(&d->policy, &with);
        d->feature = f;
        if (is_good_lie(d, (unsigned int)f))
            return 0;
    }
    return -1;
}

/* ---- the stream ---- */

static void add_bytes(struct doctored *d, const void *bytes, size_t n)
{
    if (n > sizeof(d->head) - d->size)
        n = sizeof(d->head) - d->size;
    memcpy(d->head + d->size, bytes, n);
    d->size += n;
}

static void add_record(struct doctored *d, uint32_t type, const void *body, size_t n)
{
    const struct xc_sr_rhdr header = {type, (uint32_t)n};
    const uint8_t zeros[XC_SR_RECORD_ALIGN] = {0};

    add_bytes(d, &header, sizeof(header));
    if (n)
        add_bytes(d, body, n);
    add_bytes(d, zeros, -n % XC_SR_RECORD_ALIGN);
}

static int write_head(struct doctored *d)
{
    bool pv = d->self.type == XC_DOMAIN_PV;
    const struct xc_sr_ihdr image = {.marker = htobe64(XC_SR_MARKER),
                                     .id = htobe32(XC_SR_IDENT),
                                     .version = htobe32(XC_SR_VERSION)};
    const struct xc_sr_dhdr domain = {.type = pv ? XC_SR_GUEST_PV : XC_SR_GUEST_HVM,
                                      .page_shift = XC_SR_PAGE_SHIFT,
                                      .xen_major = d->xen.major,
                                      .xen_minor = d->xen.minor};
    const struct xc_sr_pv_info info = {.guest_width = 8, .pt_levels = 4};
    struct xc_leaves l;

    if (xc_policy_to_leaves(&d->policy, &l))
        return -1;
    add_bytes(d, &image, sizeof(image));
    add_bytes(d, &domain, sizeof(domain));
    if (pv)
        add_record(d, REC_X86_PV_INFO, &info, sizeof(info));
    add_record(d, REC_X86_CPUID_POLICY, l.leaves, l.nr_leaves * sizeof(*l.leaves));
    add_record(d, REC_X86_MSR_POLICY, l.msrs, l.nr_msrs * sizeof(*l.msrs));
    add_record(d, REC_STATIC_DATA_END, NULL, 0);
    xc_leaves_free(&l);
    return d->size < sizeof(d->head) ? 0 : -1;
}

static int prepare_lie(xc_handle *xch, struct doctored *d, char *why, size_t size)
{
    if (xc_domain_getinfo(xch, 0, &d->self) || xc_version(xch, &d->xen) ||
        xc_guest_limits(xch, xc_domain_guest_type(&d->self), &d->limits))
        (void)snprintf(why, size, "not tried: %s", xc_last_error(xch));
    else if (doctor_policy(d))
        (void)snprintf(why, size, "not tried: no feature is missing here that could be asked for");
    else if (write_head(d))
        (void)snprintf(why, size, "not tried: out of memory");
    else
        return 0;
    return -1;
}

/* ---- the run ---- */

/* This program's environment without what would change the answer, and with no stock helper that
 * could do anything. */
static char **rehearsal_environment(void)
{
    char **env = xcalloc(ENVIRONMENT + 3, sizeof(*env));
    size_t n = 0;

    for (char **e = environ; *e && n < ENVIRONMENT; e++)
        if (strncmp(*e, "XENLEVEL_", 9) != 0 || !strncmp(*e, "XENLEVEL_HOST=", 14))
            env[n++] = *e;
    env[n++] = "XENLEVEL_STOCK_HELPER=/bin/false";
    env[n] = NULL;
    return env;
}

/* The same numbers that libxl gives; domain 0 and no event channels. */
static int start_gate(const char *program, int stream, char **out, size_t *len)
{
    char fd[16], *copy = xstrdup(program), **env = rehearsal_environment();
    char *const argv[] = {copy, "--restore-domain", fd, "-1", "0", "0", "0", "0", "0", "768", "0",
                          NULL};
    const struct program_run run = {.argv = argv, .envp = env, .keep = stream};
    int status;

    (void)snprintf(fd, sizeof(fd), "%d", stream);
    status = ask_program(&run, out, len);
    free((void *)env);
    free(copy);
    return status;
}

static enum rehearsal judge_answer(int status, const char *out, size_t len, const char *feature,
                                   char *why, size_t size)
{
    if (status < 0) {
        (void)snprintf(why, size, "it could not be started: %s",
                       strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        return REHEARSAL_UNKNOWN;
    }
    if (status == 1 && memmem(out, len, "refused: ", 9) &&
        memmem(out, len, feature, strlen(feature))) {
        (void)snprintf(why, size,
                       "a domain with %s, which this host has not got, is refused by name",
                       feature);
        return REHEARSAL_REFUSED;
    }
    (void)snprintf(why, size,
                   "a domain with %s, which this host has not got, was not refused for it (exit "
                   "status %d)",
                   feature, status);
    return REHEARSAL_PASSED;
}

/* A pipe with the head in it, from which fds[0] reads to its end.  0; or -1 with why[].  A pipe
 * that is too small for it (pipe-user-pages-soft of Linux) must not block: nobody reads yet. */
static int fill_pipe(const struct doctored *d, int fds[static 2], char *why, size_t size)
{
    ssize_t n = -1;

    if (pipe2(fds, O_CLOEXEC)) {
        (void)snprintf(why, size, "not tried: no pipe: %s",
                       strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        return -1;
    }
    if (!fcntl(fds[1], F_SETFL, O_NONBLOCK))
        n = write(fds[1], d->head, d->size);
    (void)close(fds[1]);
    if (n == (ssize_t)d->size)
        return 0;
    (void)snprintf(why, size, "not tried: the pipe does not hold the stream's head");
    (void)close(fds[0]);
    return -1;
}

static enum rehearsal send_lie(const struct doctored *d, const char *program, char *why,
                               size_t size)
{
    enum rehearsal result;
    char feature[64], *out;
    int fds[2], status;
    size_t len;

    feature_word((unsigned int)d->feature, feature, sizeof(feature));
    if (fill_pipe(d, fds, why, size))
        return REHEARSAL_UNKNOWN;
    status = start_gate(program, fds[0], &out, &len);
    result = judge_answer(status, out, len, feature, why, size);
    (void)close(fds[0]);
    free(out);
    return result;
}

enum rehearsal rehearse_refusal(xc_handle *xch, const char *program, char *why, size_t size)
{
    struct doctored *d = xcalloc(1, sizeof(*d));
    enum rehearsal result = REHEARSAL_UNKNOWN;

    if (!prepare_lie(xch, d, why, size))
        result = send_lie(d, program, why, size);
    free(d);
    return result;
}
