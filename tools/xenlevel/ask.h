/* SPDX-License-Identifier: MIT */
/*
 * Running another program for what it prints.
 */
#ifndef XENLEVEL_ASK_H
#define XENLEVEL_ASK_H

#include <stddef.h>

struct program_run {
    char *const *argv; /* argv[0] is looked for in PATH when it has no slash */
    char *const *envp; /* NULL: this program's own environment */
    int keep;          /* a descriptor that it is to have, of the same number; -1: none */
};

/*
 * Run it with nothing to read, and with its messages thrown away.  *out: what it printed,
 * malloc'ed, with a NUL behind; *len bytes.  Returns its exit status; or -1 with errno, and *out
 * NULL, when it could not be run, was killed, was silent for a minute or printed more than a
 * megabyte.
 */
int ask_program(const struct program_run *run, char **out, size_t *len);

#endif /* XENLEVEL_ASK_H */
