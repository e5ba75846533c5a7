/* SPDX-License-Identifier: MIT */
/*
 * A file that is written whole or not at all: without a name until it is complete and on the disk,
 * then put in the place of what was there.  A program that is killed meanwhile leaves nothing.
 */
#ifndef COMMON_OUTFILE_H
#define COMMON_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct outfile {
    int fd;
    char *path; /* where it will be: of a symbolic link, what it points to */
    char *temp; /* its name until then; NULL when it has none */
};

/* All: 0, or -1 with errno.  Whatever happens, outfile_close() gives it back, and takes away what
 * has not been committed. */
int outfile_open(struct outfile *o, const char *path, mode_t mode);
int outfile_write(struct outfile *o, const void *bytes, size_t len);
int outfile_commit(struct outfile *o);
void outfile_close(struct outfile *o);

#endif /* COMMON_OUTFILE_H */
