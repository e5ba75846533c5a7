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

/* All return 0, or -1 with errno.  Call outfile_close() whatever happens: it frees *o, and removes
 * what has not been committed. */

/*
 * Begin a file that will stand at `path` with this mode.  Nothing is written through a link, or
 * over a file, that somebody else has put into a sticky folder to which everybody may write: EACCES
 * (see xc_path.h).  A file that is replaced limits the mode, and keeps its owner and group where we
 * may give them.
 */
int outfile_open(struct outfile *o, const char *path, mode_t mode);
/* Change the mode, within the same limit. */
int outfile_allow(struct outfile *o, mode_t mode);
/* Append bytes[len]. */
int outfile_write(struct outfile *o, const void *bytes, size_t len);
/* Put the file on the disk and in its place. */
int outfile_commit(struct outfile *o);
void outfile_close(struct outfile *o);

/* Write bytes[len] to a file, all of the above at once, with the mode that the umask leaves of
 * 0666. */
int outfile_save(const char *path, const void *bytes, size_t len);

#endif /* COMMON_OUTFILE_H */
