/* SPDX-License-Identifier: MIT */
/*
 * The gate's mark in a program file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatemark.h"

/* Any program is smaller: this much is looked through at most. */
#define MAX_PROGRAM ((off_t)64 << 20)

static int find_in(int fd)
{
    char mark[sizeof(GATE_MARK_FIRST) + sizeof(GATE_MARK_SECOND)];
    struct stat st;
    size_t size;
    void *bytes;
    int found;

    if (fstat(fd, &st))
        return -1;
    if (!S_ISREG(st.st_mode) || !st.st_size) {
        errno = EINVAL;
        return -1;
    }
    size = (size_t)(st.st_size < MAX_PROGRAM ? st.st_size : MAX_PROGRAM);
    bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -1;
    (void)snprintf(mark, sizeof(mark), "%s%s", GATE_MARK_FIRST, GATE_MARK_SECOND);
    found = memmem(bytes, size, mark, strlen(mark)) != NULL;
    (void)munmap(bytes, size);
    return found;
}

int gatemark_find(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), found, err;

    if (fd < 0)
        return -1;
    found = find_in(fd);
    err = errno;
    (void)close(fd);
    errno = err;
    return found;
}
