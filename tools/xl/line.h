/* SPDX-License-Identifier: MIT */
/*
 * A line to another process, or a file: bytes in full, with a patience; and what a signal does.
 */
#ifndef XL_SIM_LINE_H
#define XL_SIM_LINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Write and read exactly `size` bytes.  patience: how many ms nothing may move; -1: for ever.
 * 0; or -1 with errno: EPIPE: the line has been cut, or the file ends; ETIMEDOUT.  What
 * line_write() could not write whole may have been written in part; a single byte has not.
 */
int line_write(int fd, const void *buf, size_t size, int patience);
int line_read(int fd, void *buf, size_t size, int patience);

/*
 * Let signals that would end this program (SIGINT, SIGTERM, SIGHUP) cut this line instead, from now
 * on: reading (or `writing`) ends at once, for both sides.  Then the domain goes on where it was,
 * or what has been received is destroyed, as when the other side has gone.  SIGPIPE and SIGXFSZ
 * become errors of write().  One line a program.  0; or -1 after a message.
 */
int line_cut_by_signals(int fd, bool writing);
/* Close a line; signals have nothing to cut any more. */
void line_close(int fd);

#endif /* XL_SIM_LINE_H */
