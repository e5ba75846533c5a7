/* SPDX-License-Identifier: MIT */
/* See pool-conf.h. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "out.h"
#include "outfile.h"
#include "pool-conf.h"
#include "store_config.h"
#include "util.h"
#include "xc_text.h"

#define MARK STATE_DIR "/drift.txt"

static const char *reason(void)
{
    return strerror(errno); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* ---- pool.conf ---- */

static char *read_where(void)
{
    struct store_config config;
    char why[512] = "", *where = NULL;

    if (store_config_read(&config, why, sizeof(why)))
        warn("%s", why);
    else if (config.store)
        where = xstrdup(config.store);
    else
        warn("which registry?  --pool WHERE, XENLEVEL_POOL, or store = in %s", config.path);
    store_config_free(&config);
    return where;
}

char *pool_conf_where(const char *option)
{
    const char *set = getenv("XENLEVEL_POOL"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char *where, *whole;

    where = option ? xstrdup(option) : set && *set ? xstrdup(set) : read_where();
    if (!where || !strncmp(where, "etcd:", 5))
        return where;
    whole = realpath(where, NULL);
    if (!whole)
        return where;
    free(where);
    return whole;
}

char *pool_conf_host(void)
{
    struct store_config config;
    char why[512], *host = NULL;

    if (!store_config_read(&config, why, sizeof(why)) && config.host)
        host = xstrdup(config.host);
    store_config_free(&config);
    return host;
}

static char *make_text(const char *where, const char *host)
{
    return xasprintf("# Which pool this host is a member of: xenlevel pool refresh reads it.\n"
                     "store = %s\nhost = %s\n",
                     where, host);
}

/* A whole small file as text; NULL with errno. */
static char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    int err;

    if (!f)
        return NULL;
    n = getdelim(&text, &size, '\0', f);
    err = errno;
    if (n < 0 && !ferror(f)) {
        free(text);
        text = xstrdup("");
    } else if (n < 0) {
        free(text);
        text = NULL;
    }
    (void)fclose(f);
    errno = err;
    return text;
}

char *pool_conf_check(const char *root, const char *where, const char *host)
{
    const char *named = getenv("XENLEVEL_POOL_CONF"); /* NOLINT(concurrency-mt-unsafe) */
    char *path = named && *named ? xstrdup(named) : xasprintf("%s" POOL_CONF, root);
    char *there = read_text(path), *text = make_text(where, host);
    bool other = there ? strcmp(there, text) != 0 : errno != ENOENT;

    if (other && there)
        warn("%s is there and says something else: what this host needs is store = %s and "
             "host = %s",
             path, where, host);
    else if (other)
        warn("%s: %s", path, reason());
    free(there);
    free(text);
    if (!other)
        return path;
    free(path);
    return NULL;
}

/* The folder that a file is in; its own folder is there. */
static int make_folder(const char *path)
{
    char *copy = xstrdup(path);
    int rc = mkdir(dirname(copy), 0755);

    free(copy);
    return rc && errno != EEXIST ? -1 : 0;
}

static int write_text(const char *path, const char *text)
{
    struct outfile o;
    int rc = -1;

    if (make_folder(path))
        return -1;
    if (!outfile_open(&o, path, 0644) && !outfile_write(&o, text, strlen(text)) &&
        !outfile_commit(&o))
        rc = 0;
    outfile_close(&o);
    return rc;
}

int pool_conf_write(const char *path, const char *where, const char *host)
{
    char *text = make_text(where, host);
    int rc = write_text(path, text);

    if (rc)
        warn("%s: %s", path, reason());
    free(text);
    return rc;
}

/* ---- what the last refresh said ---- */

static const char *const keys[] = {"pool", "registry", "host", "refreshed", "drift"};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void list_fields(struct pool_mark *mark, char **fields[static KEYS])
{
    fields[0] = &mark->pool;
    fields[1] = &mark->registry;
    fields[2] = &mark->host;
    fields[3] = &mark->refreshed;
    fields[4] = &mark->drift;
}

int pool_mark_write(const char *root, const struct pool_mark *mark)
{
    char *path = xasprintf("%s" MARK, root), *text = xstrdup(""), **fields[KEYS];
    struct pool_mark copy = *mark;
    int rc;

    list_fields(&copy, fields);
    for (unsigned int i = 0; i < KEYS; i++) {
        char safe[1024], *longer;

        /* A name out of a registry has no line ends here. */
        (void)xc_text_print(safe, sizeof(safe), "%s", *fields[i]);
        longer = xasprintf("%s%s: %s\n", text, keys[i], safe);
        free(text);
        text = longer;
    }
    rc = write_text(path, text);
    if (rc)
        warn("%s: %s", path, reason());
    free(text);
    free(path);
    return rc;
}

int pool_mark_read(const char *root, struct pool_mark *mark)
{
    char *path = xasprintf("%s" MARK, root), *text = read_text(path), **fields[KEYS], *next;
    int err = errno;

    memset(mark, 0, sizeof(*mark));
    free(path);
    errno = err;
    if (!text)
        return errno == ENOENT ? 0 : -1;
    list_fields(mark, fields);
    for (char *line = text; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        for (unsigned int i = 0; i < KEYS; i++) {
            size_t n = strlen(keys[i]);

            if (!strncmp(line, keys[i], n) && !strncmp(line + n, ": ", 2) && !*fields[i])
                *fields[i] = xstrdup(line + n + 2);
        }
    }
    free(text);
    for (unsigned int i = 0; i < KEYS; i++)
        if (!*fields[i]) {
            errno = EINVAL;
            return -1;
        }
    return 1;
}

void pool_mark_free(struct pool_mark *mark)
{
    char **fields[KEYS];

    list_fields(mark, fields);
    for (unsigned int i = 0; i < KEYS; i++) {
        free(*fields[i]);
        *fields[i] = NULL;
    }
}
