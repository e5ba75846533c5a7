/* SPDX-License-Identifier: MIT */
/*
 * xenlevel-save-helper: the gate.  libxl starts it in the place of its own save helper (environment
 * variable LIBXL_SAVE_HELPER).  On restore it reads the head of the stream, audits the CPU policy
 * in it against this host, has the hypervisor try it (trial.c), and refuses, or lets the stock
 * helper restore (child.c) and looks at the domain's CPU once more.  On save it warns at most, and
 * becomes the stock helper.  With XENLEVEL_STREAM=xenlevel it does that one's work itself
 * (engine.c).
 *
 * It fails closed on restore: whatever goes wrong here, nothing reaches the stock helper.  On save
 * the reverse: whatever goes wrong, the stock helper runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "engine.h"
#include "gate.h"
#include "gatemark.h"
#include "trial.h"
#include "util.h"
#include "xc_text.h"

/* Positions in argv, as libxl fills it. */
enum {
    ARG_MODE = 1,
    ARG_STREAM_FD = 2,
    ARG_DOMID = 4,
    ARG_STORE_EVTCHN = 5, /* restore, up to ARG_RESTORE_CALLBACKS */
    ARG_STORE_DOMID = 6,
    ARG_CONSOLE_EVTCHN = 7,
    ARG_CONSOLE_DOMID = 8,
    ARG_RESTORE_CALLBACKS = 9,
    ARG_XCFLAGS = 5, /* save, the next too */
    ARG_SAVE_CALLBACKS = 6,
    ARGS_RESTORE = 11, /* the last one: is the stream checkpointed? */
    ARGS_SAVE = 8,     /* the same */
};

#define XCFLAGS_LIVE  1u /* the domain runs while its memory is sent */
#define XCFLAGS_DEBUG 2u /* xl migrate --debug: all of it a second time, to be compared */

/* `xenlevel status`, and another gate, know this program by it. */
static const char mark[] __attribute__((used)) = GATE_MARK_FIRST GATE_MARK_SECOND;

/* Large, and there is one of each: kept off the stack. */
static struct gate_host host;
static struct xc_sr_head head;
static struct audit verdict;
static uint8_t raw[XC_SR_HEAD_MAX];
static struct trial trial;
static struct child_surroundings surroundings;

static int print_usage(FILE *f, int rc)
{
    (void)fprintf(
        f, "usage: LIBXL_SAVE_HELPER=/path/to/xenlevel-save-helper xl restore|migrate|save ...\n"
           "Started by libxl, with the arguments of libxl-save-helper:\n"
           "  --restore-domain STREAM_FD BACK_FD DOMID STORE_EVTCHN STORE_DOMID\n"
           "                   CONSOLE_EVTCHN CONSOLE_DOMID CBFLAGS CHECKPOINTED\n"
           "  --save-domain STREAM_FD BACK_FD DOMID XCFLAGS CBFLAGS CHECKPOINTED\n"
           "Environment: XENLEVEL_ALLOW, XENLEVEL_LOG, XENLEVEL_PV, XENLEVEL_STOCK_HELPER,\n"
           "XENLEVEL_STREAM, XENLEVEL_CHECKSUMS; see xenlevel-save-helper(8).\n");
    return rc;
}

static int parse_number(const char *text, unsigned long max, unsigned long *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    *value = strtoul(text, &end, 10);
    return errno || *end || *value > max ? -1 : 0;
}

/* Only returns when it cannot be done, with errno. */
static void become_helper(char **argv, char *path)
{
    argv[0] = path;
    (void)sigaction(SIGPIPE, &surroundings.pipe, NULL);
    (void)sigaction(SIGCHLD, &surroundings.child, NULL);
    (void)execv(path, argv);
}

/* ---- restore ---- */

struct restore {
    int stream;
    uint32_t domid;
    off_t start; /* where the stream begins in its file; -1 when it cannot be wound back */
    bool taken;  /* the head is no longer in the stream */
    bool own;    /* this program restores, not the stock helper */
    char path[PATH_MAX];
    struct audit_allow allow;
    struct audit_case c;
};

/* Says what `verdict` holds, to everybody; the exit status. */
static int say_refusal(void)
{
    report_text(LOG_ERR, verdict.text);
    control_refuse(verdict.summary, EOPNOTSUPP);
    return 1;
}

static int refuse_broken(const struct restore *r, const char *reason)
{
    audit_broken(&r->c, reason, &verdict);
    return say_refusal();
}

static bool handed_on; /* libxl reads no messages any more */

/* For out_of_memory(): whatever was being said, the domain does not come in. */
static void refuse_without_memory(void)
{
    char summary[512];

    (void)xc_text_print(summary, sizeof(summary), "refused: '%s': the gate is out of memory",
                        host.name);
    report_line(LOG_ERR, "%s", summary);
    if (!handed_on)
        control_refuse(summary, ENOMEM);
    _exit(1);
}

/* Of argv[first] up to argv[first + n - 1]. */
static int parse_numbers(char **argv, int first, int n, uint32_t *values)
{
    for (int i = 0; i < n; i++) {
        unsigned long value;

        if (parse_number(argv[first + i], UINT32_MAX, &value))
            return -1;
        values[i] = (uint32_t)value;
    }
    return 0;
}

static int parse_arguments(struct restore *r, int argc, char **argv, char *why)
{
    unsigned long stream, domid, checkpointed;

    if (argc < ARGS_RESTORE || parse_number(argv[ARG_STREAM_FD], INT_MAX, &stream) ||
        parse_number(argv[ARG_DOMID], UINT32_MAX, &domid) ||
        parse_number(argv[argc - 1], ULONG_MAX, &checkpointed)) {
        (void)snprintf(why, GATE_WHY, "started with arguments that are not libxl's");
        return -1;
    }
    r->stream = (int)stream;
    r->domid = (uint32_t)domid;
    if (stream <= STDERR_FILENO || fcntl(r->stream, F_GETFD) < 0) {
        (void)snprintf(why, GATE_WHY, "the stream is not on descriptor %d", r->stream);
        return -1;
    }
    /* COLO and Remus: after END the stream goes on, and a second policy could come with it. */
    if (checkpointed) {
        (void)snprintf(
            why, GATE_WHY,
            "a checkpointed stream (COLO or Remus, %lu): the gate cannot vouch for those",
            checkpointed);
        return -1;
    }
    return 0;
}

static bool same_guest(const struct restore *r, char *why)
{
    bool pv = host.domain.type == XC_DOMAIN_PV;

    if ((head.guest == XC_SR_GUEST_PV) == pv)
        return true;
    (void)snprintf(why, GATE_WHY, "the stream is that of a %s guest, domain %u is %s",
                   head.guest == XC_SR_GUEST_PV ? "PV" : "HVM", r->domid,
                   xc_domain_type_name(host.domain.type));
    return false;
}

/* A file can be wound back and given to the stock helper as it was: no process in between. */
static off_t start_of_file(int fd)
{
    struct stat st;

    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
        return -1;
    return lseek(fd, 0, SEEK_CUR);
}

/* Everything that must be known before the stream is touched. */
static int prepare_restore(struct restore *r, char *why)
{
    const char *list = getenv("XENLEVEL_ALLOW");

    if (audit_allow_parse(list, &r->allow, why, GATE_WHY) || engine_wanted(&r->own, why))
        return -1;
    if (gate_host_open(&host, why))
        return -1;
    r->c.host = host.brand;
    if (gate_host_domain(&host, r->domid, why))
        return -1;
    r->c.domain = host.name;
    r->c.type = xc_domain_type_name(host.domain.type);
    r->c.guest = xc_domain_guest_type(&host.domain);
    if (gate_host_policies(&host, why))
        return -1;
    return r->own ? 0 : gate_find_helper(host.version.major, host.version.minor, r->path, why);
}

/* Each is logged, one by one; -1: no log takes it, so it must not be given up. */
static int say_given_up(void)
{
    int rc = 0;

    for (char *s = verdict.allowed; *s;) {
        size_t n = strcspn(s, "\n");

        rc |= report_line(LOG_WARNING, "'%s': %.*s", host.name, (int)n, s);
        s += n + (s[n] == '\n');
    }
    if (!verdict.clamped)
        return rc;
    rc |= report_line(
        LOG_WARNING,
        "'%s': restored all the same, as XENLEVEL_ALLOW says; Xen silently cuts its CPU down "
        "to this host's, so the domain will see another CPU than the one it has been using",
        host.name);
    return rc;
}

/* Put the head back into the stream: wound back, or by a process that hands it and the rest on. */
static int put_back(struct restore *r, pid_t *pid, char *why)
{
    struct relay relay = {
        .stream = r->stream,
        .raw = raw,
        .raw_size = head.length,
        .in_record = head.inferred_end,
        .type = head.next_type,
        .length = head.next_length,
        .domain = host.name,
    };
    int out;

    *pid = -1;
    if (r->start >= 0 && lseek(r->stream, r->start, SEEK_SET) == r->start)
        return 0;
    if (!r->taken)
        return 0;
    *pid = relay_start(&relay, &out);
    if (*pid > 0 && dup2(out, r->stream) >= 0) {
        close(out);
        return 0;
    }
    (void)snprintf(why, GATE_WHY, "handing the stream on: %s", strerror(errno));
    if (*pid > 0)
        (void)kill(*pid, SIGKILL);
    return -1;
}

/*
 * The stock helper has restored the domain and told libxl so, which now waits for this process: a
 * status that is not 0 makes the restore fail all the same.  libxl reads no messages any more.
 */
static int look_again(struct restore *r)
{
    char why[GATE_WHY];

    handed_on = true;
    if (gate_host_reopen(&host, why))
        audit_not_given(&r->c, why, true, &verdict);
    else if (trial_last_look(&host, r->domid, &r->c, &trial, &verdict)) {
        gate_host_close(&host);
        return 0;
    }
    report_text(LOG_ERR, verdict.text);
    return 1;
}

static int hand_on(struct restore *r, char **argv)
{
    char why[GATE_WHY];
    pid_t pid;
    int status;

    if (put_back(r, &pid, why))
        return refuse_broken(r, why);
    argv[0] = r->path;
    status = child_run(r->path, argv, r->stream, &surroundings);
    if (status < 0) {
        (void)snprintf(why, sizeof(why), "starting %.300s: %.120s", r->path, strerror(errno));
        if (pid > 0)
            (void)kill(pid, SIGKILL);
        return refuse_broken(r, why);
    }
    if (status)
        return child_end_as(status);
    return look_again(r);
}

/* What the administrator has given up only the stock helper gives up; 32-bit PV is for it, too. */
static bool is_for_stock(const struct restore *r)
{
    bool without_policy = !head.has_cpuid && r->allow.unverified;

    return (head.has_pv_info && head.pv_width != 8) || (verdict.given_up && !without_policy);
}

static int restore_here(struct restore *r, char **argv)
{
    struct engine_restore e = {.stream = r->stream,
                               .domid = r->domid,
                               .unverified = !head.has_cpuid && r->allow.unverified,
                               .name = host.name};
    uint32_t v[ARG_RESTORE_CALLBACKS - ARG_STORE_EVTCHN + 1];
    char why[GATE_WHY];
    pid_t pid;

    if (parse_numbers(argv, ARG_STORE_EVTCHN, sizeof(v) / sizeof(v[0]), v))
        return refuse_broken(r, "started with arguments that are not libxl's");
    e.ends = (struct xc_guest_ends){
        .store_evtchn = v[0], .store_domid = v[1], .console_evtchn = v[2], .console_domid = v[3]};
    e.callbacks = v[4];
    if (put_back(r, &pid, why))
        return refuse_broken(r, why);
    return engine_restore(&e);
}

static int restore_domain(int argc, char **argv)
{
    static struct restore r;
    struct xc_sr_fault fault;
    char why[GATE_WHY] = "";
    char name[32] = "the domain";

    r.c = (struct audit_case){.domain = name,
                              .type = "guest",
                              .host = "",
                              .width = report_width(),
                              .head = &head,
                              .max = &host.limits.max,
                              .deflt = &host.limits.deflt,
                              .allow = &r.allow};
    set_out_of_memory(refuse_without_memory);
    if (parse_arguments(&r, argc, argv, why))
        return refuse_broken(&r, why);
    (void)snprintf(name, sizeof(name), "domain %u", r.domid);
    r.start = start_of_file(r.stream);
    r.c.from_file = r.start >= 0;
    r.c.drifted = gate_host_drifted();
    if (prepare_restore(&r, why))
        return refuse_broken(&r, why);

    r.taken = !peek_head(r.stream, &head);
    if (r.taken && xc_sr_head_read(r.stream, XC_SR_LIBXC, &head, &raw, &fault)) {
        audit_bad_stream(&r.c, &fault, &verdict);
        return say_refusal();
    }
    if (!same_guest(&r, why))
        return refuse_broken(&r, why);
    audit_run(&r.c, &verdict);
    if (verdict.refused || release_refuses(&host, &r.c, &verdict) ||
        pv_refuses(&host, &r.c, &verdict))
        return say_refusal();
    if (!trial_run(&host, r.domid, &r.c, &trial, &verdict))
        return say_refusal();
    if (verdict.given_up && say_given_up())
        return refuse_broken(
            &r, "what XENLEVEL_ALLOW gives up must be logged, and neither syslog nor the "
                "file XENLEVEL_LOG takes it");
    if (!verdict.given_up)
        report_log(LOG_INFO, "passed: '%s' (%s, from Xen %u.%u) can run on this host", r.c.domain,
                   r.c.type, head.xen_major, head.xen_minor);
    if (r.own && is_for_stock(&r)) {
        report_log(LOG_INFO, "'%s' is left to the stock helper", r.c.domain);
        r.own = false;
        if (gate_find_helper(host.version.major, host.version.minor, r.path, why))
            return refuse_broken(&r, why);
    }
    gate_host_close(&host);
    return r.own ? restore_here(&r, argv) : hand_on(&r, argv);
}

/* ---- save ---- */

struct save {
    uint32_t domid;
    bool open; /* the hypervisor answers */
    char name[256];
};

/* Warns of what it finds; the domain is saved all the same. */
static void look_at_domain(struct save *s)
{
    char why[GATE_WHY];

    if (gate_host_open(&host, why)) {
        report_line(LOG_WARNING, "saving domain %u without a look at its CPU: %s", s->domid, why);
        return;
    }
    s->open = true;
    gate_domain_name(&host, s->domid, s->name, sizeof(s->name));
    if (gate_host_verify_domain(&host, s->domid, why))
        report_line(LOG_WARNING, "saving '%s': %s", s->name, why);
    pv_leaves(&host, s->domid, s->name);
    /* Version 3 of the stream, the first with a policy in it, came with Xen 4.14. */
    if (host.version.major < 4 || (host.version.major == 4 && host.version.minor < 14))
        report_line(LOG_WARNING,
                    "saving '%s': Xen %u.%u writes no CPU policy into the stream; a host with the "
                    "gate will not take it",
                    s->name, host.version.major, host.version.minor);
}

/* Is the save wanted from, and one for, our own code?  Fills *e. */
static bool is_ours(struct save *s, char **argv, struct engine_save *e)
{
    uint32_t v[ARGS_SAVE - ARG_XCFLAGS];
    unsigned long fd;
    unsigned int bits;
    char why[GATE_WHY];
    bool own;

    if (engine_wanted(&own, why)) {
        report_line(LOG_WARNING, "saving '%s': %s; the stock helper does it", s->name, why);
        return false;
    }
    if (!own || !s->open)
        return false;
    if (parse_number(argv[ARG_STREAM_FD], INT_MAX, &fd) ||
        parse_numbers(argv, ARG_XCFLAGS, ARGS_SAVE - ARG_XCFLAGS, v))
        return false;
    /* Checkpoints (Remus, COLO) and 32-bit PV are the stock helper's. */
    if (gate_host_domain(&host, s->domid, why) || v[2] ||
        (host.domain.type == XC_DOMAIN_PV &&
         (xc_domain_get_address_size(host.xch, s->domid, &bits) || bits != 64))) {
        report_log(LOG_INFO, "'%s' is left to the stock helper", s->name);
        return false;
    }
    *e = (struct engine_save){.stream = (int)fd,
                              .domid = s->domid,
                              .live = v[0] & XCFLAGS_LIVE,
                              .verify = v[0] & XCFLAGS_DEBUG,
                              .callbacks = v[1],
                              .name = s->name};
    return true;
}

static int save_domain(int argc, char **argv)
{
    char path[PATH_MAX], why[GATE_WHY];
    static struct save s;
    struct engine_save e;
    unsigned long domid;

    if (argc >= ARGS_SAVE && !parse_number(argv[ARG_DOMID], UINT32_MAX, &domid)) {
        s.domid = (uint32_t)domid;
        look_at_domain(&s);
    } else {
        report_line(LOG_WARNING, "saving with arguments that are not libxl's; nothing was checked");
    }
    if (s.open && is_ours(&s, argv, &e)) {
        gate_host_close(&host);
        return engine_save(&e);
    }
    if (s.open)
        gate_host_close(&host);
    if (gate_find_helper(host.version.major, host.version.minor, path, why)) {
        report_line(LOG_ERR, "saving: %s", why);
        return 1;
    }
    become_helper(argv, path);
    report_line(LOG_ERR, "saving: starting %s: %s", path, strerror(errno));
    return 1;
}

/*
 * libxl calls its helper off with SIGTERM.  Whoever uses libxl may have it blocked or ignored
 * (a daemon that waits for its signals), which would be inherited.
 */
static void heed_sigterm(void)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t set;

    (void)sigaction(SIGTERM, &by_default, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[ARG_MODE], "--version")) {
        (void)printf("xenlevel-save-helper %s\n", XENLEVEL_VERSION);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[ARG_MODE], "--help"))
        return print_usage(stdout, 0);

    child_prepare(&surroundings);
    heed_sigterm();
    report_open();
    if (argc > ARG_MODE && !strcmp(argv[ARG_MODE], "--restore-domain"))
        return restore_domain(argc, argv);
    if (argc > ARG_MODE && !strcmp(argv[ARG_MODE], "--save-domain"))
        return save_domain(argc, argv);
    return print_usage(stderr, 2);
}
