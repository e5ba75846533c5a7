/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring with libxenlevel's own code, as libxl wants it done: it suspends the domain
 * when asked, and it lets it go on when a save has failed.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "gate.h"
#include "logger.h"

int engine_wanted(bool *own, char *why)
{
    const char *value = getenv("XENLEVEL_STREAM");

    *own = value && !strcmp(value, "xenlevel");
    if (!value || !value[0] || *own || !strcmp(value, "stock"))
        return 0;
    (void)snprintf(why, GATE_WHY, "XENLEVEL_STREAM is '%.64s'; it can be xenlevel or stock", value);
    return -1;
}

/* ---- what libxenlevel says ---- */

static void tell_line(xentoollog_level level, int err, const char *context, const char *line)
{
    control_log(level, err, context, line);
    if (level >= XTL_WARN)
        report_log(level >= XTL_ERROR ? LOG_ERR : LOG_WARNING, "%s", line);
}

static struct logger logger;

/* The end: libxl is told, and whoever reads the logs. */
static int tell_end(const char *doing, const char *name, int rc, int err)
{
    if (rc)
        report_log(LOG_ERR, "%s '%s' failed: %s", doing, name, strerror(err));
    control_complete(rc, rc ? err : 0);
    return 0; /* a failure has been told, which is all that libxl wants of its helper */
}

/* libxl draws no bar; it wants to know now and then. */
static void tell_progress(const char *doing, const struct xc_sr_stats *st, unsigned int *last)
{
    uint64_t total = st->round_pages ? st->round_pages : 1;
    unsigned int percent = (unsigned int)(st->sent_in_round * 100 / total);
    unsigned int now = st->round << 8 | (percent < 100 ? percent / 10 : 10);

    if (now == *last)
        return;
    *last = now;
    control_progress(doing, st->sent_in_round, total);
}

/* ---- save ---- */

/*
 * libxl calls a save off with SIGTERM.  The stream's descriptor then becomes one that cannot be
 * written, so that the save fails at its next byte, wherever it is, and undoes what it has done.
 */
static volatile sig_atomic_t called_off;
static int unwritable = -1, stream = -1;

static void call_off(int sig)
{
    int err = errno;

    (void)sig;
    called_off = 1;
    (void)dup2(unwritable, stream);
    errno = err;
}

static int heed_sigterm(int fd)
{
    const struct sigaction sa = {.sa_handler = call_off};

    stream = fd;
    unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return unwritable < 0 ? -1 : sigaction(SIGTERM, &sa, NULL);
}

struct saving {
    const struct engine_save *e;
    unsigned int last;
};

static int on_suspend(void *data)
{
    (void)data;
    return control_suspend();
}

/* libxl makes it go on itself, and tells the guest that it was not moved. */
static int on_resume(void *data)
{
    (void)data;
    return 0;
}

static int on_logdirty(void *data, bool enable)
{
    const struct saving *s = data;

    return control_switch_qemu_logdirty(s->e->domid, enable);
}

static int on_save_progress(void *data, const struct xc_sr_stats *stats)
{
    struct saving *s = data;

    tell_progress("Frames", stats, &s->last);
    return called_off;
}

static bool is_on(const char *variable)
{
    const char *value = getenv(variable);

    return value && value[0] == '1';
}

int engine_save(const struct engine_save *e)
{
    struct saving s = {.e = e, .last = UINT32_MAX};
    const struct xc_save_options options = {.live = e->live,
                                            .ends_soon = true,
                                            .checksums = is_on("XENLEVEL_CHECKSUMS"),
                                            .verify = e->verify,
                                            .zero_pages = is_on("XENLEVEL_ZERO_PAGES")};
    struct xc_save_callbacks cb = {
        .suspend = on_suspend,
        .resume = on_resume,
        .progress = on_save_progress,
        .data = &s,
    };
    struct xc_sr_stats stats;
    xc_handle *xch;
    int rc, err;

    if (e->callbacks & CONTROL_SWITCH_QEMU_LOGDIRTY)
        cb.switch_qemu_logdirty = on_logdirty;
    if (heed_sigterm(e->stream))
        return tell_end("saving", e->name, -1, errno);
    xch = xc_interface_open_transport(gate_transport, NULL,
                                      logger_init(&logger, tell_line, control_progress));
    if (!xch)
        return tell_end("saving", e->name, -1, errno);
    rc = xc_domain_save(xch, e->stream, e->domid, &options, &cb, &stats);
    err = rc && called_off ? ECANCELED : errno;
    if (!rc)
        report_log(LOG_INFO, "saved '%s': %llu pages in %u rounds, %llu bytes, stopped for %llu ms",
                   e->name, (unsigned long long)stats.sent_pages, stats.round + 1,
                   (unsigned long long)stats.bytes,
                   (unsigned long long)(stats.downtime_ns / 1000000));
    xc_interface_close(xch);
    return tell_end("saving", e->name, rc, err);
}

/* ---- restore ---- */

static int on_static_data_done(void *data, unsigned int missing)
{
    (void)data;
    return control_static_data_done(missing);
}

int engine_restore(const struct engine_restore *e)
{
    const struct xc_restore_options options = {
        .unverified = e->unverified, .ends_soon = true, .ends = &e->ends};
    struct xc_restore_callbacks cb = {0};
    static struct xc_restore_result result;
    xc_handle *xch = xc_interface_open_transport(gate_transport, NULL,
                                                 logger_init(&logger, tell_line, control_progress));
    int rc, err;

    if (!xch)
        return tell_end("restoring", e->name, -1, errno);
    if (e->callbacks & CONTROL_STATIC_DATA_DONE)
        cb.static_data_done = on_static_data_done;
    rc = xc_domain_restore(xch, e->stream, e->domid, &options, &cb, &result);
    err = errno;
    xc_interface_close(xch);
    /* libxl wants results whatever came of it. */
    if (e->callbacks & CONTROL_RESTORE_RESULTS &&
        control_restore_results(result.store_gfn, result.console_gfn))
        return tell_end("restoring", e->name, -1, errno);
    if (rc)
        return tell_end("restoring", e->name, rc, err);
    report_log(LOG_INFO, "restored '%s': %llu pages, %llu bytes, %llu ms", e->name,
               (unsigned long long)result.stats.sent_pages, (unsigned long long)result.stats.bytes,
               (unsigned long long)(result.stats.elapsed_ns / 1000000));
    return tell_end("restoring", e->name, 0, 0);
}
