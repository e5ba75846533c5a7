/* SPDX-License-Identifier: MIT */
/* Folders for tests that write files. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

/* As a group's setup and teardown: a folder for all of its tests, which others may look into. */
int scratch_make(void **state);
int scratch_remove(void **state);
/* Return the path of something in it, as printf() does; malloc'ed. */
char *scratch_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Remove a path with all that is below; nothing if it is not there. */
void scratch_empty(const char *path);
/* Write a file, in the place of what is there; read one, with a NUL behind it, malloc'ed. */
void scratch_write(const char *path, const void *bytes, unsigned long len);
char *scratch_read(const char *path, unsigned long *len);

#endif
