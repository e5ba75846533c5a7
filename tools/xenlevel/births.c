/* SPDX-License-Identifier: MIT */
/* See births.h. */
#include "births.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host-policy.h>

#include "check.h"
#include "commands.h"
#include "describe.h"
#include "out.h"
#include "settings.h"
#include "util.h"
#include "xlcpuid.h"

#define LOOKED_AT 65536 /* bytes of a file that show whether it is a configuration */

struct config {
    char *name;
    enum subject_type type;
    const char *type_name;
    struct xlcpuid cpuid;
};

/* ---- the file ---- */

static bool is_key(const char *key, size_t len)
{
    static const char *const keys[] = {"name",   "type",   "builder", "kernel",
                                       "memory", "maxmem", "vcpus",   "cpuid",
                                       "disk",   "vif",    "uuid",    "bootloader"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strlen(keys[i]) == len && !strncmp(keys[i], key, len))
            return true;
    return false;
}

bool config_is(const char *path)
{
    char *text = xcalloc(LOOKED_AT + 1, 1);
    const char *at = text, *key;
    unsigned int line = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n = -1;
    size_t len;
    bool is = false;

    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
        n = pread(fd, text, LOOKED_AT, 0);
    if (fd >= 0)
        (void)close(fd);
    if (n > 0 && strlen(text) == (size_t)n)
        while (!is && (len = settings_next_key(&at, &key, &line)) != 0) {
            const char *behind = key + len + strspn(key + len, " \t");

            is = *behind == '=' && is_key(key, len);
        }
    free(text);
    return is;
}

/* type=, or builder= as it was written before Xen 4.10; xl's own default is PV. */
static int get_type(struct settings *s, struct config *c)
{
    char *type = NULL, *builder = NULL;
    int rc = settings_string(s, "type", &type) || settings_string(s, "builder", &builder) ? -1 : 0;
    const char *word = type ? type : builder && !strcmp(builder, "hvm") ? "hvm" : "pv";

    if (!rc && strcmp(word, "pv") != 0 && strcmp(word, "hvm") != 0 && strcmp(word, "pvh") != 0) {
        warn("type = '%s': it is pv, pvh or hvm", word);
        rc = -1;
    }
    c->type = !strcmp(word, "pv") ? TYPE_PV : TYPE_HVM;
    c->type_name = c->type == TYPE_PV ? "PV" : !strcmp(word, "pvh") ? "PVH" : "HVM";
    free(type);
    free(builder);
    return rc;
}

/* 0; or -1 after a message. */
static int read_config(const char *path, struct config *c)
{
    struct settings *s = settings_read(path, 0, NULL, NULL);
    int rc = -1;

    *c = (struct config){.name = NULL};
    if (!s)
        return -1;
    if (!settings_string(s, "name", &c->name) && !get_type(s, c) &&
        xlcpuid_from_settings(path, s, &c->cpuid) >= 0)
        rc = 0;
    if (!c->name)
        c->name = base_name(path, ".cfg");
    settings_free(s);
    return rc;
}

/* ---- a birth ---- */

struct birth {
    const struct subject *host;
    bool offered;  /* guests of that type can run there at all */
    char why[256]; /* libxl would refuse; "" when not */
    struct subject guest;
    struct featureset hidden; /* that the host gives by default, and cpuid= takes */
    struct featureset taken;  /* that cpuid= asks for, and Xen does not give */
};

static void bear_guest(const struct config *c, const struct subject *host, struct birth *b)
{
    enum xc_policy_index deflt = subject_default(c->type), max = subject_max(c->type);
    struct featureset before, after;
    struct cpu_policy own;

    memset(b, 0, sizeof(*b));
    b->host = host;
    b->offered = host->have[deflt] && host->have[max];
    if (!b->offered)
        return;
    b->guest.kind = SUBJECT_GUEST;
    b->guest.name = c->name;
    b->guest.origin = host->origin;
    b->guest.type = c->type;
    b->guest.type_name = c->type_name;
    b->guest.xen = host->xen;
    b->guest.domid = POLICY_NONE;
    b->guest.guest_unknown = host->unknown[deflt];
    own = host->policy[deflt];
    host_policy_for_domain(&own);
    policy_to_featureset(&own, &before);
    b->guest.guest = own;
    if (xlcpuid_apply(&c->cpuid, &own, &host->policy[XC_POLICY_HOST], &b->guest.guest, b->why,
                      sizeof(b->why)))
        return;
    own = host->policy[max];
    host_policy_for_domain(&own);
    xlcpuid_clamp(&b->guest.guest, &own, &b->taken);
    policy_to_featureset(&b->guest.guest, &after);
    featureset_andnot(&b->hidden, &before, &after);
    featureset_andnot(&b->taken, &b->taken, &before);
    show_comparable(&b->hidden);
    show_comparable(&b->taken);
}

static void print_features(const char *heading, const struct featureset *fs)
{
    if (featureset_empty(fs))
        return;
    out_text(stdout, 2, 4, "%s", heading);
    show_features(stdout, 4, fs);
}

static void print_birth(const struct config *c, const struct birth *b)
{
    struct featureset fs;
    char count[32];

    if (!b->offered || b->why[0]) {
        out_text(stdout, 0, 2, "'%s' (%s) cannot be created on %s (%s): %s", c->name, c->type_name,
                 b->host->name, b->host->file->host->cpu,
                 b->why[0] ? b->why : "no guests of that type can");
        return;
    }
    policy_to_featureset(&b->guest.guest, &fs);
    show_comparable(&fs);
    out_text(stdout, 0, 2, "'%s' (%s), created on %s (%s), is told of %s", c->name, c->type_name,
             b->host->name, b->host->file->host->cpu,
             plural(count, sizeof(count), featureset_count(&fs), "feature", "features"));
    print_features("cpuid= hides:", &b->hidden);
    print_features("cpuid= asks for more, which Xen does not give:", &b->taken);
}

static void birth_json(struct json *j, const struct birth *b)
{
    json_object(j, NULL);
    json_string(j, "host", b->host->name);
    json_bool(j, "can_be_created", b->offered && !b->why[0]);
    if (b->why[0])
        json_string(j, "why_not", b->why);
    json_features(j, "hidden", &b->hidden);
    json_features(j, "not_given", &b->taken);
    json_array(j, "hosts");
}

/* Where can it go from there?  STATUS_YES: to every other host. */
static int ask_others(const struct config *c, const struct birth *b, const struct subject *hosts,
                      int n, bool strict, struct json *json)
{
    struct question q = {.guest = &b->guest,
                         .policy = &b->guest.guest,
                         .unknown = &b->guest.guest_unknown,
                         .type = c->type,
                         .type_name = c->type_name,
                         .strict = strict,
                         .home = c->type == TYPE_PV ? b->host : NULL,
                         .json = json};
    int status = STATUS_YES;

    for (int i = 0; i < n; i++)
        if (&hosts[i] != b->host && check_host(&q, &hosts[i]) != STATUS_YES)
            status = STATUS_NO;
    return status;
}

static int answer_births(const struct config *c, const struct subject *hosts, int n, bool strict,
                         bool json)
{
    struct json *j = json ? json_begin() : NULL;
    struct birth *b = xcalloc(1, sizeof(*b));
    int status = STATUS_YES;

    if (j) {
        json_object(j, NULL);
        json_string(j, "config", c->name);
        json_string(j, "type", c->type_name);
        json_array(j, "born");
    }
    for (int i = 0; i < n; i++) {
        bool created;

        bear_guest(c, &hosts[i], b);
        created = b->offered && !b->why[0];
        if (j)
            birth_json(j, b);
        else
            print_birth(c, b);
        if (!created || ask_others(c, b, hosts, n, strict, j) != STATUS_YES)
            status = STATUS_NO;
        if (j) {
            json_close_array(j);
            json_close_object(j);
        }
    }
    free(b);
    if (!j)
        return status;
    json_close_array(j);
    json_bool(j, "can_run_everywhere", status == STATUS_YES);
    json_close_object(j);
    return json_end(j) ? STATUS_TROUBLE : status;
}

int check_births(const char *path, int n, char **hosts, bool strict, bool json)
{
    struct subject *s = xcalloc((size_t)n, sizeof(*s));
    struct config c;
    int status = read_config(path, &c) ? STATUS_TROUBLE : STATUS_YES, opened = 0;

    for (; status == STATUS_YES && opened < n; opened++) {
        if (subject_open(hosts[opened], &s[opened]))
            status = STATUS_TROUBLE;
        else if (s[opened].kind != SUBJECT_HOST)
            status = complain("%s is not a host", s[opened].origin);
    }
    if (status == STATUS_YES)
        status = answer_births(&c, s, n, strict, json);
    for (int i = 0; i < opened; i++)
        subject_close(&s[i]);
    free(s);
    free(c.name);
    return status;
}
