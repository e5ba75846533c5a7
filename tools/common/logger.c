/* SPDX-License-Identifier: MIT */
/* See logger.h. */
#include "logger.h"
#include "xc_text.h"

static void log_vmessage(struct xentoollog_logger *vtable, xentoollog_level level, int err,
                         const char *context, const char *format, va_list al)
    __attribute__((format(printf, 5, 0)));

static void log_vmessage(struct xentoollog_logger *vtable, xentoollog_level level, int err,
                         const char *context, const char *format, va_list al)
{
    const struct logger *l = (const struct logger *)vtable;
    char line[8192];

    if (!l->line)
        return;
    (void)xc_text_vprint(line, sizeof(line), format, al);
    l->line(level, err, context, line);
}

static void log_progress(struct xentoollog_logger *vtable, const char *context, const char *doing,
                         int percent, unsigned long done, unsigned long total)
{
    const struct logger *l = (const struct logger *)vtable;

    (void)context;
    (void)percent;
    if (l->progress)
        l->progress(doing, done, total);
}

static void log_destroy(struct xentoollog_logger *vtable)
{
    (void)vtable;
}

struct xentoollog_logger *logger_init(struct logger *l, logger_line *line,
                                      logger_progress *progress)
{
    *l = (struct logger){{log_vmessage, log_progress, log_destroy}, line, progress};
    return &l->vtable;
}
