/* SPDX-License-Identifier: MIT */
/*
 * How a program file is known to be the gate: it holds a mark.  The gate stands in the place of the
 * stock helper as a second name or a copy of its file, so neither the name nor the inode says it.
 */
#ifndef COMMON_GATEMARK_H
#define COMMON_GATEMARK_H

/* In two halves: whoever looks for the mark must not hold it. */
#define GATE_MARK_FIRST  "xenlevel-save-helper "
#define GATE_MARK_SECOND "stands here for libxl-save-helper"

/* What a package or an administrator calls the stock helper when the gate has its name. */
#define GATE_STOCK_SUFFIX ".stock"

/* Look for the mark in a program file.  Returns 1 when it is the gate, 0 when it is not; or -1 with
 * errno when that cannot be seen (no such file, no file with contents, not readable). */
int gatemark_find(const char *path);

#endif /* COMMON_GATEMARK_H */
