/* SPDX-License-Identifier: MIT */
/* Where the machine files are: see machines-dir.h. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sim/machines-dir.h>

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* A path that begins where this program's file is; "" when that cannot be said. */
static void path_from_program(const char *relative, char path[static PATH_MAX])
{
    char program[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

    path[0] = '\0';
    if (n <= 0 || !*relative)
        return;
    program[n] = '\0';
    *strrchr(program, '/') = '\0'; /* the kernel's answer is absolute */
    (void)snprintf(joined, sizeof(joined), "%s/%s", program, relative);
    if (!realpath(joined, path))
        path[0] = '\0';
}

int sim_machines_dir(char *dir, size_t size)
{
    char installed[PATH_MAX];
    const char *found = MACHINES_DIR;
    int len;

    path_from_program(MACHINES_FROM_PROGRAM, installed);
    if (is_folder(installed))
        found = installed;
    else if (is_folder(MACHINES_SOURCE))
        found = MACHINES_SOURCE;
    len = snprintf(dir, size, "%s", found);
    if (len >= 0 && (size_t)len < size)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}
