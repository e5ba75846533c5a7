/* SPDX-License-Identifier: MIT */
/* Preloaded: there is no memory to put words together in.  For what the gate says then. */
#include <errno.h>
#include <stdio.h>

FILE *open_memstream(char **text, size_t *size)
{
    (void)text;
    (void)size;
    errno = ENOMEM;
    return NULL;
}
