/* SPDX-License-Identifier: MIT */
/*
 * The configuration of registries, by inih.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "store_config.h"
#include "util.h"
#include "xc_text.h"

#define DEFAULT_PATH "/etc/xenlevel/pool.conf"
#define MAX_SECONDS  3600u

struct reader {
    struct store_config *config;
    char *why; /* "no setting 'x' is known", malloc'ed; NULL: all is well */
};

static int set_text(struct reader *r, char **where, const char *name, const char *value)
{
    if (*where) {
        r->why = xasprintf("%s is said twice", name);
        return 0;
    }
    *where = value[0] ? xstrdup(value) : NULL;
    return 1;
}

/* Whoever reads the file may be in any folder. */
static int set_store(struct reader *r, char **where, const char *name, const char *value)
{
    if (value[0] && value[0] != '/' && strncmp(value, "etcd:", 5) != 0) {
        r->why = xasprintf("%s: a folder's path from / on, or etcd:..., is needed", name);
        return 0;
    }
    return set_text(r, where, name, value);
}

static int set_seconds(struct reader *r, unsigned int *where, const char *name, const char *value)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (errno || end == value || *end || n < 1 || n > MAX_SECONDS) {
        r->why = xasprintf("%s: seconds from 1 to %u are needed", name, MAX_SECONDS);
        return 0;
    }
    *where = (unsigned int)n;
    return 1;
}

/* inih calls it for each setting; 0 makes that line the one that is wrong. */
static int take_setting(void *arg, const char *section, const char *name, const char *value)
{
    struct reader *r = arg;
    struct store_config *c = r->config;
    const struct {
        const char *section, *name;
        char **text;
        unsigned int *seconds;
        /* clang-format off */
    } settings[] = {
        {"", "store", &c->store, NULL},
        {"", "host", &c->host, NULL},
        {"folder", "wait", NULL, &c->wait},
        {"etcd", "cacert", &c->cacert, NULL},
        {"etcd", "cert", &c->cert, NULL},
        {"etcd", "key", &c->key, NULL},
        {"etcd", "user", &c->user, NULL},
        {"etcd", "password_file", &c->password_file, NULL},
        {"etcd", "timeout", NULL, &c->timeout},
    };
    /* clang-format on */

    if (r->why)
        return 1;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcmp(settings[i].section, section) != 0 || strcmp(settings[i].name, name) != 0)
            continue;
        if (settings[i].text == &c->store)
            return set_store(r, settings[i].text, name, value);
        return settings[i].text ? set_text(r, settings[i].text, name, value)
                                : set_seconds(r, settings[i].seconds, name, value);
    }
    r->why = section[0] ? xasprintf("there is no setting '%s' in [%s]", name, section)
                        : xasprintf("there is no setting '%s' in front of the sections", name);
    return 0;
}

int store_config_read(struct store_config *config, char *why, size_t size)
{
    const char *named = getenv("XENLEVEL_POOL_CONF");
    struct reader r = {.config = config};
    FILE *f;
    bool failed;
    int line;

    *config = (struct store_config){.path = xstrdup(named && named[0] ? named : DEFAULT_PATH)};
    f = fopen(config->path, "re");
    if (!f && errno == ENOENT && !(named && named[0]))
        return 0;
    if (!f) {
        int err = errno;

        (void)xc_text_print(why, size, "%s: %s", config->path, strerror(err));
        errno = err;
        return -1;
    }
    line = ini_parse_file(f, take_setting, &r);
    failed = line < 0 || ferror(f); /* a folder can be opened, too */
    if (line > 0)
        (void)xc_text_print(why, size, "%s:%d: %s", config->path, line,
                            r.why ? r.why : "neither [SECTION] nor NAME = VALUE");
    else if (failed)
        (void)xc_text_print(why, size, "%s: it cannot be read", config->path);
    (void)fclose(f);
    free(r.why);
    if (!line && !failed)
        return 0;
    errno = EINVAL;
    return -1;
}

void store_config_free(struct store_config *config)
{
    free(config->path);
    free(config->store);
    free(config->host);
    free(config->cacert);
    free(config->cert);
    free(config->key);
    free(config->user);
    free(config->password_file);
    *config = (struct store_config){0};
}
