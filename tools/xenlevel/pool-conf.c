/* SPDX-License-Identifier: MIT */
/* See pool-conf.h: pool.conf. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>

#include "out.h"
#include "outfile.h"
#include "pool-conf.h"
#include "store_config.h"
#include "util.h"

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

char *pool_read_text(const char *path)
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

struct settings {
    char *store, *host; /* NULL: not there */
};

/* inih calls it for each setting. */
static int take_setting(void *arg, const char *section, const char *name, const char *value)
{
    struct settings *s = arg;
    char **field = strcmp(name, "store") ? strcmp(name, "host") ? NULL : &s->host : &s->store;

    if (*section || !field)
        return 1;
    free(*field);
    *field = xstrdup(value);
    return 1;
}

static void read_settings(const char *text, struct settings *s)
{
    *s = (struct settings){NULL, NULL};
    (void)ini_parse_string(text, take_setting, s);
}

static void free_settings(struct settings *s)
{
    free(s->store);
    free(s->host);
}

/* What the file becomes, with what is missing in front of what is there. */
static char *make_text(const char *there, const char *where, const char *host)
{
    struct settings s;
    char *text;

    read_settings(there, &s);
    text = xasprintf("%s%s%s%s%s%s%s%s",
                     s.store && s.host ? "" : "# xenlevel pool join --write-config:\n",
                     s.store ? "" : "store = ", s.store ? "" : where, s.store ? "" : "\n",
                     s.host ? "" : "host = ", s.host ? "" : host, s.host ? "" : "\n", there);
    free_settings(&s);
    return text;
}

/* Does it already name another registry, or another host? */
static bool is_other(const char *there, const char *where, const char *host)
{
    struct settings s;
    bool other;

    read_settings(there, &s);
    other = (s.store && strcmp(s.store, where) != 0) || (s.host && strcmp(s.host, host) != 0);
    free_settings(&s);
    return other;
}

/* Does the file that would be written say just that, to whoever reads it?  A line end, a ';' or
 * blanks at the end of a name would be something else there. */
static bool can_be_written(const char *there, const char *where, const char *host)
{
    char *text = make_text(there, where, host);
    struct settings s;
    bool can;

    read_settings(text, &s);
    can = s.store && s.host && !strcmp(s.store, where) && !strcmp(s.host, host);
    free_settings(&s);
    free(text);
    return can;
}

char *pool_conf_check(const char *root, const char *where, const char *host)
{
    const char *named = getenv("XENLEVEL_POOL_CONF"); /* NOLINT(concurrency-mt-unsafe) */
    char *path = *root || !named || !*named ? xasprintf("%s" POOL_CONF, root) : xstrdup(named);
    char *there = pool_read_text(path);
    bool failed = there ? is_other(there, where, host) : errno != ENOENT;

    if (failed && there)
        warn("%s says something else: what this host needs is store = %s and host = %s", path,
             where, host);
    else if (failed)
        warn("%s: %s", path, reason());
    if (!failed && !can_be_written(there ? there : "", where, host)) {
        warn(
            "%s cannot have store = %s and host = %s in it: write them yourself, or choose another "
            "name",
            path, where, host);
        failed = true;
    }
    free(there);
    if (!failed)
        return path;
    free(path);
    return NULL;
}

/* The folders that a file is in, as far as they are missing. */
static int make_folders(const char *path)
{
    char *copy = xstrdup(path);
    int rc = 0;

    for (char *slash = strchr(copy + 1, '/'); slash && !rc; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = mkdir(copy, 0755) && errno != EEXIST ? -1 : 0;
        *slash = '/';
    }
    free(copy);
    return rc;
}

int pool_write_text(const char *path, const char *text)
{
    struct outfile o;
    int rc = -1;

    if (make_folders(path))
        return -1;
    if (!outfile_open(&o, path, 0644) && !outfile_write(&o, text, strlen(text)) &&
        !outfile_commit(&o))
        rc = 0;
    outfile_close(&o);
    return rc;
}

int pool_conf_write(const char *path, const char *where, const char *host)
{
    char *there = pool_read_text(path), *text;
    int rc = -1;

    if (!there && errno != ENOENT) {
        warn("%s: %s", path, reason());
        return -1;
    }
    text = make_text(there ? there : "", where, host);
    rc = there && !strcmp(there, text) ? 0 : pool_write_text(path, text);
    if (rc)
        warn("%s: %s", path, reason());
    free(text);
    free(there);
    return rc;
}
