/* SPDX-License-Identifier: MIT */
/*
 * What libxenlevel logs, a line at a time.
 */
#ifndef COMMON_LOGGER_H
#define COMMON_LOGGER_H

#include <xentoollog.h>

/*
 * Take one line, without a line end and made safe (xc_text.h).  err: an errno, or -1 for none;
 * context: which library or function speaks, or NULL.
 */
typedef void logger_line(xentoollog_level level, int err, const char *context, const char *line);
/* Take how far something is: `done` of `total`. */
typedef void logger_progress(const char *doing, unsigned long done, unsigned long total);

struct logger {
    struct xentoollog_logger vtable; /* first: libxenlevel is given a pointer to it */
    logger_line *line;
    logger_progress *progress;
};

/*
 * Fill *l, which must outlive every handle that logs there.  line, progress: NULL takes nothing.
 * Returns what xc_interface_open() wants.
 */
struct xentoollog_logger *logger_init(struct logger *l, logger_line *line,
                                      logger_progress *progress);

#endif /* COMMON_LOGGER_H */
