/* SPDX-License-Identifier: MIT */
/* Preloaded: no stream can be spliced.  For the way that the gate takes then. */
#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>

ssize_t splice(int in, __off64_t *in_offset, int out, __off64_t *out_offset, size_t size,
               unsigned int flags)
{
    (void)in;
    (void)in_offset;
    (void)out;
    (void)out_offset;
    (void)size;
    (void)flags;
    errno = EINVAL;
    return -1;
}
