/* SPDX-License-Identifier: MIT */
/* See poolstore.h. */
#include "poolstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static void set_text(char **text, const char *value)
{
    if (*text != protobuf_c_empty_string)
        free(*text);
    *text = xstrdup(value);
}

static void put_host(struct pool_change *c, struct pool *p, const struct pool_host *h,
                     char (*policies)[65], char (*captures)[65])
{
    Xenlevel__Domains domains = XENLEVEL__DOMAINS__INIT;
    char when[] = "2026-01-01T00:00:00Z";

    set_text(&h->record->capture, captures[h->capture]);
    pool_put_host(c, h->record);
    domains.n_domains = h->n_domains;
    domains.domains = xcalloc(h->n_domains, sizeof(Xenlevel__Domain *));
    domains.when = when;
    for (size_t i = 0; i < h->n_domains; i++) {
        struct pool_domain *d = &p->domains[h->first_domain + i];

        if (d->policy != POOL_NONE)
            set_text(&d->record->policy, policies[d->policy]);
        domains.domains[i] = d->record;
    }
    pool_put_domains(c, h->record->name, &domains);
    pool_put_seen(c, h->record->name, 0);
    free((void *)domains.domains);
}

static enum pool_decision put_all(struct pool_change *c, const struct pool *there, void *arg)
{
    struct pool *p = arg;
    char(*captures)[65] = xcalloc(p->n_captures, sizeof(*captures));
    char(*policies)[65] = xcalloc(p->n_policies, sizeof(*policies));

    (void)there;
    pool_change_event(c, "test", "all", NULL);
    for (size_t i = 0; i < p->n_captures; i++)
        pool_put_capture(c, p->captures[i].file, captures[i]);
    for (size_t i = 0; i < p->n_policies; i++)
        pool_put_policy(c, p->policies[i].type, &p->policies[i].policy, NULL, policies[i]);
    for (size_t i = 0; i < p->n_hosts; i++)
        put_host(c, p, &p->hosts[i], policies, captures);
    free(captures);
    free(policies);
    return POOL_COMMIT;
}

void poolstore_put(struct store *store, struct pool *p)
{
    if (pool_create(store, p->record->name, NULL) || pool_change_run(store, NULL, put_all, p))
        exit(2);
}
