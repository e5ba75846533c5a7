/* SPDX-License-Identifier: MIT */
/*
 * A line to another process, or a file: bytes in full, with a patience; and what a signal does.
 */
#ifndef XL_SIM_LINE_H
#define XL_SIM_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* Exactly so many bytes.  patience: ms that nothing may move; -1: for ever.  -1 with errno: EPIPE:
 * the line has been cut, or a file ends; ETIMEDOUT.  What line_write() could not write whole may
 * have been written in part, a single byte not. */
int line_write(int fd, const void *buf, size_t size, int patience);
int line_read(int fd, void *buf, size_t size, int patience);

/*
 * From now on a signal that would end this program (SIGINT, SIGTERM, SIGHUP) cuts this line
 * instead: it ends, or breaks, at once, for both sides.  Then happens what happens when a line is
 * cut: the domain goes on where it was, or what has been received is destroyed.  And SIGPIPE and
 * SIGXFSZ are errors of write().  One line a program; -1 after a message.
 */
int line_cut_by_signals(int fd, bool writing);
/* Close it; signals have nothing to cut any more. */
void line_close(int fd);

#endif /* XL_SIM_LINE_H */
