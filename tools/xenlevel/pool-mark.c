/* SPDX-License-Identifier: MIT */
/* See pool-conf.h: what the last refresh said. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-record.h"
#include "out.h"
#include "pool-commands.h"
#include "pool-conf.h"
#include "util.h"
#include "xc_text.h"

#define MARK STATE_DIR "/drift.txt"

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
    rc = pool_write_text(path, text);
    if (rc)
        warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    free(text);
    free(path);
    return rc;
}

int pool_mark_read(const char *root, struct pool_mark *mark)
{
    char *path = xasprintf("%s" MARK, root), *text = pool_read_text(path), **fields[KEYS], *next;
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

/* A host that is to refresh, and did not lately; malloc'ed, "" for none. */
static char *judge_age(const struct pool_mark *mark)
{
    char *age = pool_age_text(mark->refreshed);
    char *text = pool_age_seconds(mark->refreshed) > (long)POOL_SEEN_SECONDS
                     ? xasprintf("its last refresh was %s: is xenlevel-pool-refresh.timer on?", age)
                     : xstrdup("");

    free(age);
    return text;
}

int pool_mark_judge(const char *root, char **text)
{
    char *conf = xasprintf("%s" POOL_CONF, root), *late, *age;
    bool member = !access(conf, F_OK), drifted;
    struct pool_mark mark;
    int there = pool_mark_read(root, &mark), err = errno;

    free(conf);
    if (there <= 0) {
        if (there < 0) /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
            *text = xasprintf(MARK " cannot be read: %s", strerror(err));
        else
            *text = xstrdup(member ? "it has not refreshed its record yet" : "");
        pool_mark_free(&mark);
        return there < 0 || member ? -1 : 2;
    }
    late = judge_age(&mark);
    age = pool_age_text(mark.refreshed);
    drifted = strcmp(mark.drift, "none") != 0;
    if (drifted)
        *text = xasprintf("%s in pool %s: drift: %s: xenlevel pool drift", mark.host, mark.pool,
                          mark.drift);
    else
        *text = xasprintf("%s in pool %s (%s): %s%s%s", mark.host, mark.pool, mark.registry,
                          *late ? late : "refreshed ", *late ? "" : age, *late ? "" : ", no drift");
    there = drifted || *late ? 0 : 1;
    free(late);
    free(age);
    pool_mark_free(&mark);
    return there;
}
