/* SPDX-License-Identifier: MIT */
/*
 * Where a file that is to be written really is, found without going through what somebody else has
 * put into a folder that everybody may write to.
 */
#ifndef XC_PATH_H
#define XC_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#pragma GCC visibility push(hidden)

/*
 * Walk the path, following links, up to the folder in which its last name stands.  Returns a
 * descriptor (O_PATH) of the folder, and in name[] what is not a link there, or is not there, or is
 * a descriptor of ours (/dev/stderr leads to one) that has no path: a pipe, a socket, a deleted
 * file; for xc_path_openat().  -1 with errno:
 *  EACCES  a link on the way stands in a sticky folder that everybody may write to, and belongs
 *          neither to us nor to the folder's owner.  Linux's fs.protected_symlinks says so too, but
 *          may be off, and knows nothing of links that a program reads itself.
 *  EISDIR  the path ends in a slash, "." or "..";  ELOOP, ENOENT, ENOTDIR, ...: as of open().
 */
int xc_path_open(const char *path, char name[NAME_MAX + 1]);

/*
 * Open what xc_path_open() has found, as openat() does, with O_CLOEXEC.  No link is followed, but
 * that of a descriptor of ours is: what is behind it is opened once more.
 */
int xc_path_openat(int folder, const char *name, int flags, mode_t mode);

/*
 * Open a log, to add lines at its end; it is made, with mode 0600, when it is not there.  A FIFO
 * that nobody reads is not waited for (ENXIO), and neither is one that is full (O_NONBLOCK).
 * Returns a descriptor; or -1 with errno, EACCES where somebody else's link leads, for a file that
 * somebody else has put there, and for one that has two names in a folder that everybody may write
 * to: it may be any file there.
 */
int xc_path_open_log(const char *path);

/*
 * May somebody else have put there what *st says, to see what we do with it?  It is in such a
 * folder and belongs neither to us nor to the folder's owner (as with fs.protected_regular).
 */
bool xc_path_is_planted(int folder, const struct stat *st);

#pragma GCC visibility pop

#endif /* XC_PATH_H */
