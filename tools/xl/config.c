/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a simulated guest: what its settings mean.
 */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "out.h"
#include "settings.h"
#include "util.h"

static const char *const known_keys[] = {
    "name", "type",       "hap",   "memory",  "vcpus", "guest", "guest_rate", "guest_pages",
    "seed", "cpu_policy", "cpuid", "threads", "cores", "dies",  "sockets",    NULL,
};

static int get_count(struct settings *s, const char *key, uint32_t max, uint32_t *value)
{
    uint64_t number = *value;

    if (settings_number(s, key, 1, max, &number))
        return -1;
    *value = (uint32_t)number;
    return 0;
}

static int get_type(struct settings *s, enum xc_domain_type *type)
{
    static const struct {
        const char *name;
        enum xc_domain_type type;
    } types[] = {{"pv", XC_DOMAIN_PV}, {"pvh", XC_DOMAIN_PVH}, {"hvm", XC_DOMAIN_HVM}};
    char *text = NULL;
    int rc = settings_string(s, "type", &text);

    *type = XC_DOMAIN_PV; /* as xl has it */
    for (size_t i = 0; !rc && text; i++) {
        if (i == sizeof(types) / sizeof(types[0])) {
            warn("type = '%s': it must be pv, pvh or hvm", text);
            rc = -1;
        } else if (!strcmp(types[i].name, text)) {
            *type = types[i].type;
            break;
        }
    }
    free(text);
    return rc;
}

static int get_script(struct settings *s, uint32_t *script)
{
    char *text = NULL;
    int rc = settings_string(s, "guest", &text);

    *script = SCRIPT_STEADY;
    for (uint32_t i = SCRIPT_STEADY; !rc && text; i++) {
        const char *name = sim_script_name(i);

        if (!name) {
            warn("guest = '%s': it must be steady, writer or vector", text);
            rc = -1;
        } else if (!strcmp(name, text)) {
            *script = i;
            break;
        }
    }
    free(text);
    return rc;
}

/* threads, cores and dies are 1 where others are set; sockets are as many as the vCPUs need. */
static int get_topology(struct settings *s, struct guest_config *c)
{
    struct cpu_topology *t = &c->topology;
    uint64_t per_socket;

    *t = (struct cpu_topology){1, 1, 1, 0};
    if (get_count(s, "threads", c->vcpus, &t->threads) ||
        get_count(s, "cores", c->vcpus, &t->cores) || get_count(s, "dies", c->vcpus, &t->dies) ||
        get_count(s, "sockets", c->vcpus, &t->sockets))
        return -1;
    c->has_topology = settings_has(s, "threads") || settings_has(s, "cores") ||
                      settings_has(s, "dies") || settings_has(s, "sockets");
    per_socket = (uint64_t)t->threads * t->cores * t->dies;
    if (!t->sockets && per_socket <= c->vcpus)
        t->sockets = c->vcpus / (uint32_t)per_socket;
    if (!c->has_topology || per_socket * t->sockets == c->vcpus)
        return 0;
    warn("a topology of %u threads, %u cores, %u dies and %u sockets does not have %u vCPUs",
         t->threads, t->cores, t->dies, t->sockets, c->vcpus);
    return -1;
}

static int get_name(struct settings *s, char **name)
{
    if (settings_string(s, "name", name))
        return -1;
    if (!*name || !**name) {
        warn("a guest needs a name: name = 'web1'");
        return -1;
    }
    /* A number would be taken for one; the rest goes into terminals and into paths. */
    if (isdigit((unsigned char)**name) || strlen(*name) > 255) {
        warn("name = '%s': a name does not begin with a digit, and has 255 characters at most",
             *name);
        return -1;
    }
    for (const char *p = *name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-.+", *p)) {
            warn("name = '%s': a name has letters, digits and _ - . + only", *name);
            return -1;
        }
    return 0;
}

static int get_all(struct settings *s, struct guest_config *c)
{
    uint64_t hap = UINT64_MAX;
    int cpuid;

    c->vcpus = 1;
    c->memory_mib = 128; /* as xl has it */
    c->seed = 1;
    c->rate = 1000;
    if (get_name(s, &c->name) || get_type(s, &c->type) || settings_number(s, "hap", 0, 1, &hap) ||
        get_count(s, "vcpus", SIM_GUEST_MAX_VCPUS, &c->vcpus) ||
        settings_number(s, "memory", 1, SIM_GUEST_MAX_PAGES >> 8, &c->memory_mib) ||
        get_script(s, &c->script) || settings_number(s, "seed", 0, LONG_MAX, &c->seed) ||
        settings_number(s, "guest_rate", 1, 1000000000, &c->rate) ||
        settings_number(s, "guest_pages", 1, SIM_GUEST_MAX_PAGES, &c->pages) ||
        settings_string(s, "cpu_policy", &c->cpu_policy) || get_topology(s, c))
        return -1;
    c->hap = hap == UINT64_MAX ? -1 : (int)hap;
    cpuid = xlcpuid_from_settings(NULL, s, &c->cpuid);
    c->has_cpuid = cpuid > 0;
    if (c->has_cpuid && c->cpu_policy) {
        warn("cpuid and cpu_policy exclude each other");
        return -1;
    }
    return cpuid < 0 ? -1 : 0;
}

int config_read(const char *path, int n, char **settings, struct guest_config *c)
{
    struct settings *s = settings_read(path, n, settings, known_keys);
    int rc = -1;

    memset(c, 0, sizeof(*c));
    if (s)
        rc = get_all(s, c);
    settings_free(s);
    return rc;
}

void config_free(struct guest_config *c)
{
    free(c->name);
    free(c->cpu_policy);
    memset(c, 0, sizeof(*c));
}
