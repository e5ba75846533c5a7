/* SPDX-License-Identifier: MIT */
/*
 * A file that is written whole or not at all: without a name until it is complete and on the disk,
 * then put in the place of what was there.  A program that is killed meanwhile leaves nothing.
 */
#ifndef COMMON_OUTFILE_H
#define COMMON_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct outfile {
    int fd;
    char *path;              /* as it was given, for messages */
    int folder;              /* where it will be: links were followed */
    char name[NAME_MAX + 1]; /* its name there */
    char *temp;              /* its name until then; NULL when it has none */
    bool replaces;           /* there is a file of that name */
    struct stat before;      /* that file */
    mode_t most;             /* what may be allowed at most */
};

/* All: 0, or -1 with errno.  Whatever happens, outfile_close() gives it back, and takes away what
 * has not been committed. */

/*
 * Nothing is written through a link, or over a file, that somebody else has put into a sticky
 * folder which everybody may write to: EACCES (see xc_path.h).  A file that is replaced sets the
 * limit of `mode`, and keeps its owner and group where we may give them.
 */
int outfile_open(struct outfile *o, const char *path, mode_t mode);
/* Allow that much instead, within the same limit. */
int outfile_allow(struct outfile *o, mode_t mode);
int outfile_write(struct outfile *o, const void *bytes, size_t len);
int outfile_commit(struct outfile *o);
void outfile_close(struct outfile *o);

#endif /* COMMON_OUTFILE_H */
