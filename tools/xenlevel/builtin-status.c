/* SPDX-License-Identifier: MIT */
/*
 * xenlevel status: is the check really on, on this host?
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apparmor.h"
#include "capture.h"
#include "commands.h"
#include "describe.h"
#include "environ.h"
#include "gatemark.h"
#include "json.h"
#include "kept.h"
#include "livepatch.h"
#include "logger.h"
#include "out.h"
#include "places.h"
#include "pool-conf.h"
#include "rehearse.h"
#include "status.h"
#include "subject.h"
#include "util.h"

#define VARIABLE   "LIBXL_SAVE_HELPER"
#define HOST_FILE  STATE_DIR "/host.xlp"
#define PATCH_UNIT "xenlevel-livepatch.service"

static const struct cmd_option options[] = {
    {'H', "host", "FILE", "what was captured of this host (default: " HOST_FILE ")"},
    {'n', "no-trial", NULL, "do not try the gate: no line of it in the logs"},
    {'r', "root", "DIR", "look at the files below DIR, and ask no systemd"},
    CMD_JSON,
    CMD_END,
};

enum answer {
    ANSWER_YES,
    ANSWER_NO,
    ANSWER_UNKNOWN,
    ANSWER_UNUSED, /* it is not here, or nobody asked for it */
};

static const char *const answer_names[] = {"yes", "no", "not known", "-"};
static const char *const answer_words[] = {"yes", "no", "unknown", "unused"};

enum { MAX_CHECKS = 40 };

struct check {
    const char *id; /* for programs */
    char *what;     /* for people */
    enum answer answer;
    char *text;
};

struct status {
    const char *root, *host_file;
    xc_handle *xch; /* NULL: no hypervisor answers */
    struct xc_version xen;
    char *why_not; /* it does not */
    struct places places;
    struct check checks[MAX_CHECKS];
    size_t n;
};

/* Takes `what` and `text` over. */
static void add_check(struct status *s, const char *id, char *what, enum answer answer, char *text)
{
    if (s->n == MAX_CHECKS) {
        free(what);
        free(text);
        return;
    }
    s->checks[s->n++] = (struct check){id, what, answer, text};
}

/* ---- the places of libxl's helper ---- */

static char *name_place(const struct place *place)
{
    return place->xen[0] ? xasprintf("Xen %s", place->xen) : xstrdup("Xen");
}

/* Is the gate there, and will it stay? */
static enum answer judge_place(const struct place *place, char **text)
{
    enum answer answer = ANSWER_NO;

    if (place->state == PLACE_UNKNOWN) {
        *text = xasprintf("%s cannot be looked at", place->path);
        answer = ANSWER_UNKNOWN;
    } else if (place->state == PLACE_EMPTY) {
        *text = xasprintf("%s is not there, so nothing can be saved or restored", place->path);
    } else if (place->state == PLACE_STOCK) {
        *text = xasprintf("%s is Xen's own", place->path);
    } else if (!place->has_stock) {
        *text = xasprintf("%s is the gate, but Xen's own is not beside it as %s", place->path,
                          "libxl-save-helper" GATE_STOCK_SUFFIX);
    } else if (place->packaged && !place->diverted) {
        *text = xasprintf("%s is the gate, but not by a diversion: the next upgrade of Xen takes "
                          "its place",
                          place->path);
    } else {
        *text = xasprintf("%s is the gate%s", place->path,
                          place->diverted ? ", by a diversion of dpkg's" : "");
        answer = ANSWER_YES;
    }
    return answer;
}

/* Who uses libxl without the variable; *text says why, and of which place. */
static enum answer judge_places(const struct status *s, char **text)
{
    char *why;

    for (size_t i = 0; i < s->places.n; i++) {
        enum answer answer = judge_place(&s->places.list[i], &why);

        if (answer != ANSWER_YES) {
            *text = why;
            return answer;
        }
        free(why);
    }
    *text = s->places.n ? xstrdup("the helper that its libxl has is the gate")
                        : xstrdup("no Xen's save helper was found here");
    return s->places.n ? ANSWER_YES : ANSWER_UNKNOWN;
}

/* With the variable in use everywhere a stock helper in its place is as it should be. */
static void check_places(struct status *s)
{
    for (size_t i = 0; i < s->places.n; i++) {
        char *text;
        enum answer answer = judge_place(&s->places.list[i], &text);

        if (s->places.list[i].state == PLACE_STOCK)
            answer = ANSWER_UNUSED;
        add_check(s, "place", name_place(&s->places.list[i]), answer, text);
    }
    if (!s->places.n)
        add_check(s, "place", xstrdup("Xen"), ANSWER_UNKNOWN,
                  xstrdup("no save helper of any Xen at the usual places"));
}

/* ---- the ways to it ---- */

static enum answer judge_variable(const struct status *s, const char *value, char **text)
{
    char *path = xasprintf("%s%s", s->root, value);
    int gate = gatemark_find(path);

    if (gate > 0)
        *text = xasprintf(VARIABLE " is the gate, %s", value);
    else if (!gate)
        *text = xasprintf(VARIABLE " is %s, which is not the gate", value);
    else
        *text = xasprintf(VARIABLE " is %s: %s", value, /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                          strerror(errno));
    free(path);
    return gate > 0 ? ANSWER_YES : !gate ? ANSWER_NO : ANSWER_UNKNOWN;
}

/* What is started with this environment. */
static enum answer judge_environment(const struct status *s, const struct environ_list *l,
                                     char **text)
{
    const char *helper = environ_get(l, VARIABLE), *allow = environ_get(l, "XENLEVEL_ALLOW");
    enum answer answer =
        helper && *helper ? judge_variable(s, helper, text) : judge_places(s, text);

    if (allow && *allow) {
        char *more = xasprintf("%s; but XENLEVEL_ALLOW gives up %s there", *text, allow);

        free(*text);
        *text = more;
    }
    return answer;
}

static void check_login(struct status *s)
{
    char *path = xasprintf("%s/etc/environment", s->root), *text;
    struct environ_list l = {NULL, 0};
    enum answer answer;

    if (environ_read_file(&l, path)) {
        answer = ANSWER_UNKNOWN;
        text = xasprintf("%s cannot be read", path);
    } else {
        answer = judge_environment(s, &l, &text);
    }
    add_check(s, "login", xstrdup("xl, and xl migrate by ssh"), answer, text);
    environ_free(&l);
    free(path);
}

/* From where this command was started: only worth a line when it is another. */
static void check_here(struct status *s)
{
    const char *value = getenv(VARIABLE); /* NOLINT(concurrency-mt-unsafe): one thread */
    char *text;
    enum answer answer;

    if (*s->root || !value || !*value)
        return;
    answer = judge_variable(s, value, &text);
    add_check(s, "here", xstrdup("xl from this shell"), answer, text);
}

/* The variable is right, but the daemon may not start what it names. */
static enum answer judge_confinement(const struct status *s, const char *name,
                                     const struct environ_list *l, char **text)
{
    const char *helper = environ_get(l, VARIABLE);
    char *local;

    if (!helper || !*helper || !apparmor_forbids(s->root, name, helper))
        return ANSWER_YES;
    local = apparmor_local(name);
    free(*text);
    *text = xasprintf("AppArmor's profile of %s does not let it start %s: allow that in %s", name,
                      helper, local);
    free(local);
    return ANSWER_NO;
}

static void check_unit(struct status *s, const char *name)
{
    struct unit u;
    char *text;
    enum answer answer;

    unit_open(s->root, name, &u);
    if (u.state == UNIT_ABSENT) {
        answer = ANSWER_UNUSED;
        text = xstrdup("not installed");
    } else if (u.state == UNIT_UNKNOWN) {
        answer = ANSWER_UNKNOWN;
        text = xasprintf("the environment of %s.service cannot be found out", name);
    } else {
        answer = judge_environment(s, &u.list, &text);
        if (answer == ANSWER_YES && u.runs) {
            char *now;

            answer = judge_environment(s, &u.running, &now);
            if (answer != ANSWER_YES) {
                free(text);
                text = xasprintf("it runs since before: restart it (%s)", now);
            }
            free(now);
        }
        if (answer == ANSWER_YES)
            answer = judge_confinement(s, name, &u.list, &text);
    }
    add_check(s, name, xstrdup(name), answer, text);
    unit_close(&u);
}

/* ---- the trial ---- */

static void try_program(struct status *s, const char *program)
{
    char *path = xasprintf("%s%s", s->root, program), why[512];
    enum rehearsal r;

    if (s->xch)
        r = rehearse_refusal(s->xch, path, why, sizeof(why));
    else
        r = REHEARSAL_UNKNOWN;
    add_check(s, "refuses", xstrdup("it refuses"),
              r == REHEARSAL_REFUSED  ? ANSWER_YES
              : r == REHEARSAL_PASSED ? ANSWER_NO
                                      : ANSWER_UNKNOWN,
              s->xch ? xasprintf("%s: %s", program, why)
                     : xasprintf("%s: not tried: %s", program, s->why_not));
    free(path);
}

/* The variable as a service is given it (NULL: a login), malloc'ed; NULL when it is not set. */
static char *read_variable(const struct status *s, const char *service)
{
    char *file = xasprintf("%s/etc/environment", s->root), *copy;
    struct unit u = {.state = UNIT_ABSENT};
    const char *value;

    if (service)
        unit_open(s->root, service, &u);
    else
        (void)environ_read_file(&u.list, file);
    value = environ_get(&u.list, VARIABLE);
    copy = value && *value ? xstrdup(value) : NULL;
    unit_close(&u);
    free(file);
    return copy;
}

/* Is it a gate, and neither in a place of Xen's nor among tried[n]? */
static bool is_new_gate(const struct status *s, const char *program, char *const *tried, size_t n)
{
    char *path = xasprintf("%s%s", s->root, program);
    bool gate = gatemark_find(path) == 1;

    free(path);
    for (size_t i = 0; i < n && gate; i++)
        gate = !tried[i] || strcmp(tried[i], program) != 0;
    for (size_t i = 0; i < s->places.n && gate; i++)
        gate = strcmp(s->places.list[i].path, program) != 0;
    return gate;
}

/* Each gate that some way leads to, once.  Nothing else is started. */
static void check_refusal(struct status *s)
{
    static const char *const services[] = {NULL, "xendomains", "libvirtd", "virtxend"};
    enum { SERVICES = sizeof(services) / sizeof(services[0]) };
    char *tried[SERVICES];

    for (size_t i = 0; i < s->places.n; i++)
        if (s->places.list[i].state == PLACE_GATE)
            try_program(s, s->places.list[i].path);
    for (size_t i = 0; i < SERVICES; i++) {
        tried[i] = read_variable(s, services[i]);
        if (tried[i] && is_new_gate(s, tried[i], tried, i))
            try_program(s, tried[i]);
    }
    for (size_t i = 0; i < SERVICES; i++)
        free(tried[i]);
}

/* ---- the live patch ---- */

/* Is the unit that loads it wanted by anything? */
static bool is_enabled(const struct status *s)
{
    char *pattern = xasprintf("%s/etc/systemd/system/*.wants/" PATCH_UNIT, s->root);
    glob_t g;
    bool enabled = !glob(pattern, 0, NULL, &g);

    if (enabled)
        globfree(&g);
    free(pattern);
    return enabled;
}

/* Will whatever can be booted find a payload for itself?  What runs now may be gone by then. */
static enum answer judge_boot(const struct status *s, char **text)
{
    enum answer answer = ANSWER_YES;
    struct hypervisors h;
    char *why;

    hypervisors_bootable(s->root, &h);
    *text = NULL;
    for (size_t i = 0; i < h.n && !*text; i++) {
        if (kept_is_good(s->root, h.list[i].build_id, &why))
            continue;
        *text = xasprintf("%s: %s", h.list[i].path, why);
        answer = ANSWER_NO;
        free(why);
    }
    if (!h.n) {
        *text = xstrdup("no hypervisor at /boot/xen*.gz: what will be booted is not known");
        answer = ANSWER_UNKNOWN;
    } else if (!*text) {
        *text = xstrdup("a payload is there for each hypervisor in /boot, and loaded at boot");
    }
    hypervisors_free(&h);
    return answer;
}

static void check_patch_now(struct status *s, bool enabled, bool *loaded)
{
    struct xc_livepatch_status patch;
    enum answer answer = ANSWER_UNKNOWN;
    char *text;

    *loaded = false;
    if (!s->xch) {
        text = xstrdup(s->why_not);
    } else if (xc_livepatch_get(s->xch, "xenlevel", &patch)) {
        answer = errno == EOPNOTSUPP ? ANSWER_UNUSED : ANSWER_UNKNOWN;
        text = xstrdup(xc_last_error(s->xch));
    } else {
        *loaded = patch.state == XC_LIVEPATCH_APPLIED;
        answer = *loaded ? ANSWER_YES : enabled ? ANSWER_NO : ANSWER_UNUSED;
        text = xasprintf("%s Xen %s, build-id %s", *loaded ? "in" : "not in", s->xen.text,
                         s->xen.build_id);
    }
    add_check(s, "livepatch", xstrdup("live patch"), answer, text);
}

/* Is the level that is kept the one that new domains are born on?  No row where there is neither.
 */
static void check_born(struct status *s, bool loaded)
{
    char *path = xasprintf("%s%s", s->root, LEVEL_FILE), *text;
    const bool kept = !access(path, F_OK);
    struct subject *level = xcalloc(1, sizeof(*level));
    struct born_now now = {.name = ""};
    enum answer answer = ANSWER_NO;

    if (s->xch && loaded && born_now_read(s->xch, &now)) {
        answer = ANSWER_UNKNOWN;
        text = xstrdup(xc_last_error(s->xch));
    } else if (kept && subject_open(path, level)) {
        text = xasprintf("%s cannot be read", path);
    } else if (!now.name[0]) {
        text = xasprintf("not on the level of '%s', which is in %s", kept ? level->name : "", path);
    } else if (kept && !born_now_is(&now, level)) {
        text = xasprintf("on the level of '%s', but in %s is '%s': `xenlevel livepatch load`",
                         now.name, path, level->name);
    } else {
        answer = now.known ? ANSWER_YES : ANSWER_NO;
        text = xasprintf("on the level of '%s'%s", now.name,
                         now.known ? "" : ", but " XC_BORN_FILE " is gone");
    }
    if (kept || now.name[0] || answer == ANSWER_UNKNOWN)
        add_check(s, "born", xstrdup("new domains are born"), answer, text);
    else
        free(text);
    subject_close(level);
    free(level);
    free(path);
}

static void check_patch_boot(struct status *s, bool enabled, bool loaded)
{
    enum answer answer = loaded ? ANSWER_NO : ANSWER_UNUSED;
    char *text;

    if (enabled)
        answer = judge_boot(s, &text);
    else
        text = xstrdup(PATCH_UNIT " is not enabled: nothing loads it at boot");
    add_check(s, "livepatch-at-boot", xstrdup("live patch after a reboot"), answer, text);
}

/* ---- what was captured of this host ---- */

/* The names of what is in one and not in the other, as many as fit. */
static void list_features(const struct cpu_policy *a, const struct cpu_policy *b, const char *word,
                          char *buf, size_t size)
{
    struct featureset fa, fb, gone;
    size_t len = strlen(buf);

    policy_to_featureset(a, &fa);
    policy_to_featureset(b, &fb);
    featureset_andnot(&gone, &fa, &fb);
    for (int f = featureset_next(&gone, 0); f >= 0;
         f = featureset_next(&gone, (unsigned int)f + 1)) {
        char name[64];

        feature_word((unsigned int)f, name, sizeof(name));
        if (len + strlen(name) + 2 < size)
            len += (size_t)snprintf(buf + len, size - len, "%s%s", word, name);
        word = " ";
    }
}

/* Do the two differ in a bit that the source of the first one says? */
static bool is_changed(const struct cpu_policy *was, const struct cpu_policy *unknown,
                       const struct cpu_policy *now)
{
    const uint8_t *a = (const uint8_t *)was, *b = (const uint8_t *)now;
    const uint8_t *u = (const uint8_t *)unknown;

    for (size_t i = 0; i < sizeof(*was); i++)
        if ((a[i] ^ b[i]) & ~u[i])
            return true;
    return false;
}

static enum answer compare_hosts(const struct subject *was, const struct subject *now, char **text)
{
    char changes[512] = "";

    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        if (was->have[i] != now->have[i]) {
            *text = xasprintf("policy %s was %s then", xc_policy_name(i),
                              was->have[i] ? "there" : "not there");
            return ANSWER_NO;
        }
        if (!was->have[i] || !is_changed(&was->policy[i], &was->unknown[i], &now->policy[i]))
            continue;
        list_features(&was->policy[i], &now->policy[i], ": gone ", changes, sizeof(changes));
        list_features(&now->policy[i], &was->policy[i], ": new ", changes, sizeof(changes));
        *text = xasprintf("policy %s is another now (captured under Xen %s, this is Xen %s)%s",
                          xc_policy_name(i), was->xen, now->xen, changes);
        return ANSWER_NO;
    }
    if (was->caps_known && now->caps_known && was->caps != now->caps) {
        *text = xstrdup("it can hide other things from PV guests now");
        return ANSWER_NO;
    }
    *text = xasprintf("as captured as '%s', %s", was->name, was->file->host->date);
    return ANSWER_YES;
}

static void check_host_file(struct status *s)
{
    char *path = xasprintf("%s%s", s->root, s->host_file), *text;
    struct subject *was = xcalloc(2, sizeof(*was)), *now = &was[1];
    enum answer answer = ANSWER_UNKNOWN;
    Xenlevel__File *file = NULL;

    if (access(path, F_OK)) {
        answer = ANSWER_UNUSED;
        text = xasprintf("%s is not there: `xenlevel host -o %s` makes it", path, path);
    } else if (!s->xch) {
        text = xstrdup(s->why_not);
    } else if (subject_open(path, was)) {
        text = xasprintf("%s cannot be read", path);
    } else if (was->kind != SUBJECT_HOST) {
        answer = ANSWER_NO;
        text = xasprintf("%s is no host", path);
    } else if (!(file = capture_xen(s->xch, NULL))) {
        text = xstrdup("this host cannot be captured");
    } else {
        subject_from_file(now, file, "this host");
        answer = compare_hosts(was, now, &text);
    }
    add_check(s, "host", xstrdup(s->host_file), answer, text);
    subject_close(&was[0]);
    subject_close(&was[1]);
    free(was);
    free(path);
}

/* ---- its pool ---- */

/* Only where it is a member of one. */
static void check_pool(struct status *s)
{
    static const enum answer answers[] = {ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES};
    char *text;
    int rc = pool_mark_judge(s->root, &text);

    if (rc <= 1)
        add_check(s, "pool", xstrdup("pool"), answers[rc + 1], text);
    else
        free(text);
}

/* ---- all of it ---- */

static bool is_on(const struct status *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->checks[i].answer == ANSWER_NO || s->checks[i].answer == ANSWER_UNKNOWN)
            return false;
    return true;
}

static int print_json(const struct status *s)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_bool(j, "on", is_on(s));
    json_array(j, "checks");
    for (size_t i = 0; i < s->n; i++) {
        json_object(j, NULL);
        json_string(j, "check", s->checks[i].id);
        json_string(j, "subject", s->checks[i].what);
        json_string(j, "answer", answer_words[s->checks[i].answer]);
        json_string(j, "text", s->checks[i].text);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
    return json_end(j);
}

static void print_table(const struct status *s)
{
    struct table t;

    table_init(&t, 3, 0);
    for (size_t i = 0; i < s->n; i++)
        table_row(&t, s->checks[i].what, answer_names[s->checks[i].answer], s->checks[i].text);
    table_print(&t, stdout);
}

static void free_checks(struct status *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->checks[i].what);
        free(s->checks[i].text);
    }
    places_free(&s->places);
}

/* here: from this shell too. */
static void check_ways(struct status *s, bool here)
{
    check_places(s);
    check_login(s);
    if (here)
        check_here(s);
    check_unit(s, "xendomains");
    check_unit(s, "libvirtd");
    check_unit(s, "virtxend");
}

const char *status_gate(const char *root)
{
    struct status s = {.root = strcmp(root, "/") != 0 ? root : ""};
    const char *word = "yes";

    places_find(s.root, &s.places);
    check_ways(&s, false);
    for (size_t i = 0; i < s.n; i++) {
        if (s.checks[i].answer == ANSWER_NO)
            word = "no";
        else if (s.checks[i].answer == ANSWER_UNKNOWN && strcmp(word, "no") != 0)
            word = "";
    }
    free_checks(&s);
    return word;
}

static void open_status(struct status *s, struct logger *silent)
{
    s->xch = xc_interface_open(logger_init(silent, NULL, NULL));
    if (s->xch && xc_version(s->xch, &s->xen)) {
        xc_interface_close(s->xch);
        s->xch = NULL;
    }
    s->why_not = xstrdup("no Xen answers here");
    places_find(s->root, &s->places);
}

static void close_status(struct status *s)
{
    free_checks(s);
    free(s->why_not);
    if (s->xch)
        xc_interface_close(s->xch);
}

static void run_checks(struct status *s, bool trial)
{
    bool enabled = is_enabled(s), loaded;

    check_ways(s, true);
    if (trial)
        check_refusal(s);
    check_patch_now(s, enabled, &loaded);
    check_born(s, loaded);
    check_patch_boot(s, enabled, loaded);
    check_host_file(s);
    check_pool(s);
}

static int run_status(const struct command *cmd, int argc, char **argv)
{
    struct status s = {.root = "", .host_file = HOST_FILE};
    bool json = false, trial = true;
    struct logger silent;
    const char *value;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'H')
            s.host_file = value;
        else if (letter == 'n')
            trial = false;
        else if (letter == 'r')
            s.root = value;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (first != argc)
        return cmd_usage(cmd, "it takes no argument");
    if (*s.root && access(s.root, X_OK))
        return complain("%s: %s", s.root, strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
    if (!strcmp(s.root, "/"))
        s.root = "";
    open_status(&s, &silent);
    run_checks(&s, trial);
    if (!json)
        print_table(&s);
    status = json && print_json(&s) ? STATUS_TROUBLE : is_on(&s) ? STATUS_YES : STATUS_NO;
    close_status(&s);
    return status;
}

const struct command cmd_status = {
    .name = "status",
    .args = "",
    .summary = "is the check really on, on this host?",
    .about =
        "Says of every way that leads to a restore (xl in a login and by ssh, xendomains, "
        "libvirtd, "
        "virtxend) whether the gate is in it: by its place, or by LIBXL_SAVE_HELPER in the "
        "environment that counts there. It starts each gate that it finds as libxl would, with the "
        "head of a stream whose domain has a feature that this host has not got, and says whether "
        "that is refused by name; nothing is created. Then: is the live patch in the hypervisor, "
        "and "
        "will it be after a reboot; and is what was captured of this host still true?\n\n"
        "Status 0: everything that is in use is as it should be; 1: something is not, or is not "
        "known.",
    .options = options,
    .run = run_status,
};
