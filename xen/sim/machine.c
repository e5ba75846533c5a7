/* SPDX-License-Identifier: MIT */
/*
 * Machine files: an INI file, read with libinih, that names a CPUID dump beside it.
 */
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim/machine.h>

#include "dump.h"

#define MAX_MEMORY_MIB (1u << 22) /* 4 TiB: frame numbers fit 32 bits */

struct loader {
    struct sim_machine_file *m;
    char cpuid[PATH_MAX];
    char what[160]; /* what is wrong; libinih says where */
    bool have_platform_info, have_arch_caps;
    uint64_t platform_info, arch_caps;
};

static int note_wrong(struct loader *l, const char *what, const char *value)
{
    if (!*l->what)
        (void)snprintf(l->what, sizeof(l->what), "%s '%.60s'", what, value);
    return 0; /* to libinih: an error on this line */
}

static int parse_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return *text && *text != '-' && !*end && !errno && *value <= max;
}

static int take_text(struct loader *l, char *dst, size_t size, const char *value)
{
    if (!*value || strlen(value) >= size)
        return note_wrong(l, "empty or too long:", value);
    (void)snprintf(dst, size, "%s", value);
    return 1;
}

static int machine_key(struct loader *l, const char *name, const char *value)
{
    struct sim_machine_file *m = l->m;
    uint64_t n;

    if (!strcmp(name, "name"))
        return take_text(l, m->name, sizeof(m->name), value);
    if (!strcmp(name, "source"))
        return take_text(l, m->source, sizeof(m->source), value);
    if (!strcmp(name, "cpuid"))
        return take_text(l, l->cpuid, sizeof(l->cpuid), value);
    if (!strcmp(name, "pcpus")) {
        if (!parse_number(value, PLATFORM_MAX_PCPUS, &n) || !n)
            return note_wrong(l, "pcpus is a number from 1 to 64, not", value);
        m->nr_pcpus = (unsigned int)n;
        return 1;
    }
    if (!strcmp(name, "memory")) {
        if (!parse_number(value, MAX_MEMORY_MIB, &n) || !n)
            return note_wrong(l, "memory is a number of MiB, not", value);
        m->memory_mib = n;
        return 1;
    }
    if (!strcmp(name, "virtualised")) {
        m->model.virtualised = !strcmp(value, "yes");
        return m->model.virtualised || !strcmp(value, "no")
                   ? 1
                   : note_wrong(l, "virtualised is yes or no, not", value);
    }
    return note_wrong(l, "[machine] has no key", name);
}

static int msr_key(struct loader *l, const char *name, const char *value)
{
    uint64_t msr, n;

    if (!parse_number(name, UINT32_MAX, &msr) ||
        (msr != MSR_INTEL_PLATFORM_INFO && msr != MSR_ARCH_CAPABILITIES))
        return note_wrong(l, "[msr] takes 0xce and 0x10a, not", name);
    if (!parse_number(value, UINT64_MAX, &n))
        return note_wrong(l, "an MSR's value is a number of 64 bits, not", value);
    if (msr == MSR_INTEL_PLATFORM_INFO) {
        l->platform_info = n;
        l->have_platform_info = true;
    } else {
        l->arch_caps = n;
        l->have_arch_caps = true;
    }
    return 1;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    struct loader *l = user;

    if (!strcmp(section, "machine"))
        return machine_key(l, name, value);
    if (!strcmp(section, "msr"))
        return msr_key(l, name, value);
    return note_wrong(l, "there is no section", section);
}

static int fail_load(char *why, size_t size, const char *path, const char *what)
{
    (void)snprintf(why, size, "%s: %s", path, what);
    errno = EINVAL;
    return -1;
}

/* The dump's path is relative to the machine file. */
static int load_cpuid(struct loader *l, const char *path, char *why, size_t why_size)
{
    char full[2 * PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct dump *dump;
    FILE *f;
    int rc;

    if (l->cpuid[0] == '/' || !slash)
        (void)snprintf(full, sizeof(full), "%s", l->cpuid);
    else
        (void)snprintf(full, sizeof(full), "%.*s/%s", (int)(slash - path), path, l->cpuid);
    f = fopen(full, "re");
    dump = calloc(1, sizeof(*dump));
    if (!f || !dump) {
        int err = errno;

        (void)snprintf(why, why_size, "%s: %s: %s", path, full, strerror(err));
        if (f)
            (void)fclose(f);
        free(dump);
        errno = err;
        return -1;
    }
    rc = dump_read(f, dump);
    if (rc) {
        (void)snprintf(why, why_size, "%s: %s", full, dump->error);
    } else {
        l->m->model.cpuid = dump->cpus[0].policy;
        (void)dump_complete(&l->m->model.cpuid);
    }
    (void)fclose(f); /* it was only read */
    dump_free(dump);
    free(dump);
    return rc;
}

int sim_machine_load(const char *path, struct sim_machine_file *m, char *why, size_t why_size)
{
    struct loader l = {.m = m};
    char what[256];
    int line;

    memset(m, 0, sizeof(*m));
    m->nr_pcpus = 1;
    m->memory_mib = 1024;
    errno = 0;
    line = ini_parse(path, take_key, &l);
    if (line == -1) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (line) {
        (void)snprintf(what, sizeof(what), "line %d: %s", line,
                       *l.what ? l.what : "neither [section], key = value, nor ; comment");
        return fail_load(why, why_size, path, what);
    }
    if (!*m->name || !*m->source || !*l.cpuid)
        return fail_load(why, why_size, path, "[machine] needs name, source and cpuid");
    if (load_cpuid(&l, path, why, why_size))
        return -1;
    if (l.have_platform_info)
        m->model.cpuid.platform_info = l.platform_info;
    if (l.have_arch_caps)
        m->model.cpuid.arch_caps = l.arch_caps;
    sim_cpu_model_init(&m->model);
    return 0;
}
