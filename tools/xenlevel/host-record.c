/* SPDX-License-Identifier: MIT */
/* See host-record.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-record.h"
#include "pool-commands.h"
#include "util.h"

enum { NAMED_GUESTS = 50 };

/* ---- protobuf-c's strings ---- */

static void set_text(char **field, const char *text)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = *text ? xstrdup(text) : (char *)protobuf_c_empty_string;
}

static void *pack(const ProtobufCMessage *message, size_t *len)
{
    void *bytes = xcalloc(protobuf_c_message_get_packed_size(message) + 1, 1);

    *len = protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void *copy_message(const ProtobufCMessage *message)
{
    size_t len;
    void *bytes = pack(message, &len);
    ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, len, bytes);

    free(bytes);
    if (!copy)
        out_of_memory();
    return copy;
}

static bool is_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t n, m;
    void *x = pack(a, &n), *y = pack(b, &m);
    bool same = n == m && !memcmp(x, y, n);

    free(x);
    free(y);
    return same;
}

/* ---- what is said of a change ---- */

static void add_detail(struct host_refresh *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add_detail(struct host_refresh *r, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        out_of_memory();
    va_end(ap);
    r->details = xrealloc((void *)r->details, (r->n_details + 1) * sizeof(*r->details));
    r->details[r->n_details++] = text;
}

void host_refresh_free(struct host_refresh *r)
{
    for (size_t i = 0; i < r->n_details; i++)
        free(r->details[i]);
    free((void *)r->details);
    free(r->drift);
    memset(r, 0, sizeof(*r));
}

/* ---- domains ---- */

static enum guest_type policy_type(const Xenlevel__Domain *d)
{
    return d->type == XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV ? GUEST_PV : GUEST_HVM_HAP;
}

/* The newest level whose CPU a domain has exactly; NULL: it has none's. */
static const char *find_born_level(const struct pool *p, const Xenlevel__Domain *d,
                                   struct cpu_policy *cpu)
{
    bool pv = policy_type(d) == GUEST_PV;
    struct pool_capture as_host = {.file = NULL};
    const char *found = NULL;

    /* As if a host had it for its default. */
    for (unsigned int i = pv ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX; i < XC_POLICIES; i += 2) {
        as_host.have[i] = true;
        as_host.policy[i] = cpu;
    }
    for (size_t i = 0; i < p->n_levels; i++) {
        struct pool_level only = p->levels[i];
        struct pool_birth born;

        only.have[pv ? POOL_HVM : POOL_PV] = false;
        if (!only.have[pv ? POOL_PV : POOL_HVM])
            continue;
        pool_born(&as_host, &only, &born);
        if (born.exactly == VERDICT_YES)
            found = p->levels[i].name;
    }
    return found;
}

/* The same domain, or image, in the host's earlier record; NULL. */
static const Xenlevel__Domain *find_earlier(const struct pool *p, size_t host,
                                            const Xenlevel__Domain *d)
{
    size_t first = host == POOL_NONE ? 0 : p->hosts[host].first_domain;
    size_t n = host == POOL_NONE ? 0 : p->hosts[host].n_domains;

    for (size_t i = first; i < first + n; i++) {
        const Xenlevel__Domain *e = p->domains[i].record;

        if (strcmp(e->image, d->image) != 0)
            continue;
        if (*d->image ||
            (*d->uuid ? !strcmp(e->uuid, d->uuid) : !*e->uuid && !strcmp(e->name, d->name)))
            return e;
    }
    return NULL;
}

/* What goes into the registry of one domain. */
static Xenlevel__Domain *make_domain(struct pool_change *c, const struct pool *p, size_t host,
                                     const struct host_domain *d, const char *now)
{
    const Xenlevel__Domain *earlier = find_earlier(p, host, d->record);
    Xenlevel__Domain *r = copy_message(&d->record->base);
    char digest[65] = "";

    if (d->cpu)
        pool_put_policy(c, policy_type(r), d->cpu, NULL, digest);
    set_text(&r->policy, digest);
    set_text(&r->since, earlier ? earlier->since : now);
    set_text(&r->first_seen, earlier ? earlier->first_seen : now);
    if (earlier && !strcmp(earlier->policy, digest)) {
        set_text(&r->born_level, earlier->born_level);
        if (!*r->usage)
            set_text(&r->usage, earlier->usage);
    }
    if (d->cpu && !*r->born_level) {
        const char *level = find_born_level(p, r, d->cpu);

        set_text(&r->born_level, level ? level : "");
    }
    return r;
}

static const char *kind_of(const Xenlevel__Domain *d)
{
    return d->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED ? "image of " : "";
}

static const char *state_word(const Xenlevel__Domain *d)
{
    return d->state == XENLEVEL__DOMAIN_STATE__DOMAIN_PAUSED    ? "paused"
           : d->state == XENLEVEL__DOMAIN_STATE__DOMAIN_RUNNING ? "running"
                                                                : "neither running nor paused";
}

/* One that was there before: what is another now. */
static void compare_domain(const Xenlevel__Domain *d, const Xenlevel__Domain *earlier,
                           struct host_refresh *r)
{
    const char *kind = kind_of(d);

    if (strcmp(d->policy, earlier->policy) != 0)
        add_detail(r, "%s%s: its policy %s", kind, d->name,
                   *d->policy ? "is another" : "is not known any more");
    else if (strcmp(d->usage, earlier->usage) != 0 && *d->usage)
        add_detail(r, "%s%s: what it has used of its CPU: %s", kind, d->name, d->usage);
    else if (strcmp(d->born_level, earlier->born_level) != 0 && *d->born_level)
        add_detail(r, "%s%s has exactly the CPU of %s", kind, d->name, d->born_level);
    else if (d->state != earlier->state)
        add_detail(r, "%s%s is %s", kind, d->name, state_word(d));
    else if (!is_same(&d->base, &earlier->base))
        add_detail(r, "%s%s is not what it was", kind, d->name);
}

/* Which of them are new, other than before, or gone. */
static void compare_domains(const struct pool *p, size_t host, const Xenlevel__Domains *now,
                            struct host_refresh *r)
{
    const struct pool_host *h = &p->hosts[host];
    bool *kept = xcalloc(h->n_domains + 1, sizeof(*kept));

    for (size_t i = 0; i < now->n_domains; i++) {
        const Xenlevel__Domain *d = now->domains[i], *earlier = find_earlier(p, host, d);

        if (!earlier) {
            add_detail(r, "%s%s is here%s", kind_of(d), d->name,
                       *d->policy ? "" : "; its policy is not known");
            continue;
        }
        for (size_t k = 0; k < h->n_domains; k++)
            if (p->domains[h->first_domain + k].record == earlier)
                kept[k] = true;
        compare_domain(d, earlier, r);
    }
    for (size_t k = 0; k < h->n_domains; k++)
        if (!kept[k])
            add_detail(r, "%s%s has gone", kind_of(p->domains[h->first_domain + k].record),
                       p->domains[h->first_domain + k].record->name);
    free(kept);
}

static void make_domains(struct pool_change *c, const struct pool *p, size_t host,
                         const struct host_self *self, const char *now, Xenlevel__Domains *out)
{
    xenlevel__domains__init(out);
    out->domains = xcalloc(self->domains.n + 1, sizeof(Xenlevel__Domain *));
    for (size_t i = 0; i < self->domains.n; i++)
        out->domains[out->n_domains++] = make_domain(c, p, host, &self->domains.list[i], now);
    set_text(&out->when, now);
}

static void free_domains(Xenlevel__Domains *d)
{
    for (size_t i = 0; i < d->n_domains; i++)
        xenlevel__domain__free_unpacked(d->domains[i], NULL);
    free((void *)d->domains);
    set_text(&d->when, "");
}

/* ---- the record ---- */

/* The live patch says which level it has; the registry's name of it, where it is one of the pool's.
 */
static void set_born_patched(Xenlevel__PoolHost *r, const struct pool *p,
                             const struct born_now *born)
{
    const char *name = born->name;

    for (size_t i = 0; i < p->n_levels; i++)
        if (p->levels[i].file->end == born->check)
            name = p->levels[i].name;
    set_text(&r->born, "live patch");
    set_text(&r->born_level, name);
}

/* How what is born there by itself comes to be on the level. */
static void set_born(Xenlevel__PoolHost *r, const struct pool *p, const struct host_self *self)
{
    struct pool_birth birth;

    set_text(&r->born, "");
    set_text(&r->born_level, "");
    if (self->born.name[0]) {
        set_born_patched(r, p, &self->born);
        return;
    }
    if (p->level == POOL_NONE)
        return;
    pool_born(&self->cpu, &p->levels[p->level], &birth);
    if (birth.exactly != VERDICT_YES)
        return;
    set_text(&r->born, strstr(self->facts->xen_cmdline, "cpuid=") ? "command line" : "by itself");
    set_text(&r->born_level, p->levels[p->level].name);
}

static void set_facts(Xenlevel__PoolHost *r, const Xenlevel__PoolHost *facts)
{
    set_text(&r->microcode, facts->microcode);
    set_text(&r->bios_vendor, facts->bios_vendor);
    set_text(&r->bios_version, facts->bios_version);
    set_text(&r->bios_date, facts->bios_date);
    set_text(&r->machine, facts->machine);
    set_text(&r->xen_version, facts->xen_version);
    set_text(&r->xen_build_id, facts->xen_build_id);
    set_text(&r->xen_cmdline, facts->xen_cmdline);
    set_text(&r->kernel, facts->kernel);
    set_text(&r->dom0_type, facts->dom0_type);
    set_text(&r->gate, facts->gate);
    r->memory = facts->memory;
    r->memory_free = facts->memory_free;
}

void host_record_join(struct pool_change *c, const struct pool *p, const struct host_self *self)
{
    Xenlevel__PoolHost *r = copy_message(&self->facts->base);
    Xenlevel__Domains domains;
    char now[21], digest[65];

    date_now(now);
    pool_put_capture(c, self->cpu.file, digest);
    set_text(&r->name, self->name);
    set_text(&r->capture, digest);
    set_text(&r->captured, now);
    set_text(&r->joined, now);
    set_born(r, p, self);
    pool_put_host(c, r);
    make_domains(c, p, POOL_NONE, self, now, &domains);
    pool_put_domains(c, self->name, &domains);
    if (!self->is_file)
        pool_put_seen(c, self->name, POOL_SEEN_SECONDS);
    free_domains(&domains);
    xenlevel__pool_host__free_unpacked(r, NULL);
}

/* Memory that is free goes up and down all the time: so much of it is a change. */
static bool is_memory_changed(const Xenlevel__PoolHost *a, const Xenlevel__PoolHost *b)
{
    uint64_t change = a->memory_free > b->memory_free ? a->memory_free - b->memory_free
                                                      : b->memory_free - a->memory_free;

    return change > a->memory / 32;
}

static const char *none(const char *text)
{
    return *text ? text : "none";
}

static void describe_drift(const struct pool *p, const struct pool_drift *d, struct host_refresh *r)
{
    for (size_t i = 0; i < d->n_facts; i++)
        add_detail(r, "%s: %s -> %s", d->facts[i].what, none(d->facts[i].was),
                   none(d->facts[i].now));
    if (d->changed && !*r->drift) {
        char *text = pool_drift_text(d, p);

        add_detail(r, "its CPU is another%s%s", *text ? ": " : "", text);
        free(text);
    }
}

/* By name: after a reboot nobody else knows any more what ran here. */
static void name_stranded(const struct pool *p, const struct pool_drift *d, struct host_refresh *r)
{
    for (size_t i = 0; i < d->n_stranded && i < NAMED_GUESTS; i++) {
        const Xenlevel__Domain *one = p->domains[d->stranded[i]].record;

        add_detail(r, "%s%s cannot %s here any more", kind_of(one), one->name,
                   *one->image ? "be restored" : "start as it was");
    }
    if (d->n_stranded > NAMED_GUESTS)
        add_detail(r, "nor can %zu %s", d->n_stranded - NAMED_GUESTS,
                   d->n_stranded - NAMED_GUESTS == 1 ? "other" : "others");
}

/* In order again, or still not: drift stays until all is back, or an admin accepts it. */
static void judge_drift(const struct pool *p, const Xenlevel__PoolHost *old,
                        const struct pool_moment *base, const struct pool_moment *now,
                        struct host_refresh *r)
{
    struct pool_drift d;

    pool_drift_compare(p, base, now, &d);
    if (pool_is_drift(&d) || (*old->drift && pool_has_lost(&d)))
        r->drift = pool_drift_text(&d, p);
    else
        r->drift = xstrdup("");
    if (*r->drift && strcmp(r->drift, old->drift) != 0) {
        add_detail(r, "it is not what it was: %s", r->drift);
        name_stranded(p, &d, r);
    }
    pool_drift_free(&d);
    if (!*r->drift && *old->drift)
        add_detail(r, "it is in order again");
}

static void set_bytes(ProtobufCBinaryData *field, void *bytes, size_t len)
{
    free(field->data);
    field->data = bytes;
    field->len = len;
}

static void set_drift(Xenlevel__PoolHost *r, const Xenlevel__PoolHost *base, const char *drift)
{
    Xenlevel__PoolHost before = *base;
    void *bytes;
    size_t len;

    set_text(&r->drift, drift);
    if (!*drift) {
        set_bytes(&r->before, NULL, 0);
        return;
    }
    before.before = (ProtobufCBinaryData){0, NULL};
    bytes = pack(&before.base, &len);
    set_bytes(&r->before, bytes, len);
}

/* What the record becomes; the domains are those of the refresh. */
static Xenlevel__PoolHost *make_record(struct pool_change *c, const struct pool *p, size_t host,
                                       const struct host_self *self, const char *now)
{
    const Xenlevel__PoolHost *old = p->hosts[host].record;
    Xenlevel__PoolHost *r = copy_message(&old->base);
    char digest[65];

    pool_put_capture(c, self->cpu.file, digest);
    if (strcmp(digest, old->capture) != 0) {
        set_text(&r->capture, digest);
        set_text(&r->captured, now);
    }
    set_facts(r, self->facts);
    if (!is_memory_changed(old, r))
        r->memory_free = old->memory_free;
    set_born(r, p, self);
    return r;
}

static void put_refresh(struct pool_change *c, const Xenlevel__PoolHost *record,
                        const Xenlevel__Domains *domains, const struct host_refresh *r)
{
    if (r->changed) {
        pool_change_event(c, *r->drift ? "drift" : "refresh", record->name, NULL);
        for (size_t i = 0; i < r->n_details; i++)
            pool_change_detail(c, "%s", r->details[i]);
        pool_put_host(c, record);
        pool_put_domains(c, record->name, domains);
    }
    pool_put_seen(c, record->name, POOL_SEEN_SECONDS);
}

/* Say what is another than in the record until now. */
static void describe_changes(const struct pool *p, size_t host, const struct pool_moment *now,
                             struct host_refresh *r)
{
    const struct pool_host *h = &p->hosts[host];
    const struct pool_moment was = {&p->captures[h->capture], h->record};
    char was_free[32], is_free[32];
    struct pool_drift d;

    pool_drift_compare(p, &was, now, &d);
    describe_drift(p, &d, r);
    pool_drift_free(&d);
    if (strcmp(now->record->born, h->record->born) != 0 ||
        strcmp(now->record->born_level, h->record->born_level) != 0)
        add_detail(r, "new domains are born %s%s%s%s",
                   *now->record->born_level ? "on " : "on no level", now->record->born_level,
                   *now->record->born ? ": " : "", now->record->born);
    if (strcmp(now->record->gate, h->record->gate) != 0)
        add_detail(r, "its gate is on: %s",
                   *now->record->gate ? now->record->gate : "that is not known");
    if (is_memory_changed(h->record, now->record))
        add_detail(r, "free memory: %s -> %s", pool_size_text(h->record->memory_free, was_free),
                   pool_size_text(now->record->memory_free, is_free));
}

void host_record_refresh(struct pool_change *c, const struct pool *p, size_t host,
                         const struct host_self *self, const struct pool_moment *base,
                         struct host_refresh *r)
{
    const Xenlevel__PoolHost *old = p->hosts[host].record;
    Xenlevel__PoolHost *record;
    struct pool_moment moment = {&self->cpu, NULL};
    Xenlevel__Domains domains;
    char now[21];

    host_refresh_free(r);
    date_now(now);
    moment.record = record = make_record(c, p, host, self, now);
    make_domains(c, p, host, self, now, &domains);
    judge_drift(p, old, base, &moment, r);
    set_drift(record, base->record, r->drift);
    describe_changes(p, host, &moment, r);
    compare_domains(p, host, &domains, r);
    r->changed = r->n_details || !is_same(&record->base, &old->base);
    put_refresh(c, record, &domains, r);
    free_domains(&domains);
    xenlevel__pool_host__free_unpacked(record, NULL);
}
