/* SPDX-License-Identifier: MIT */
/* See scratch.h. */
#include "scratch.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util.h"

static char folder[] = "/tmp/xenlevel-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int scratch_make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? chmod(folder, 0755) : -1;
}

int scratch_remove(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *scratch_path(const char *fmt, ...)
{
    char *name = NULL, *path;
    va_list ap;

    va_start(ap, fmt);
    assert_true(vasprintf(&name, fmt, ap) >= 0);
    va_end(ap);
    path = xasprintf("%s/%s", folder, name);
    free(name);
    return path;
}

void scratch_empty(const char *path)
{
    struct stat st;

    if (!lstat(path, &st))
        assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void scratch_write(const char *path, const void *bytes, unsigned long len)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

char *scratch_read(const char *path, unsigned long *len)
{
    const size_t most = 1 << 22;
    char *bytes = xcalloc(1, most + 1);
    FILE *f = fopen(path, "re");

    assert_non_null(f);
    *len = fread(bytes, 1, most, f);
    (void)fclose(f);
    return bytes;
}
