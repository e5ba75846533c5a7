/* SPDX-License-Identifier: MIT */
/*
 * Which form a file is of, and who reads it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms-private.h"
#include "xc_text.h"

/* In doubt the first of two that are as sure reads the file: what says most stands first. */
static const struct form_reader *const readers[] = {
    &form_cpuid_policy, &form_libvirt, &form_firecracker, &form_lscpu_json, &form_libcpuid,
    &form_vmware,       &form_decoded, &form_instlat,     &form_cpuid_r,    &form_featuresets,
    &form_xl_info,      &form_xapi,    &form_lscpu,       &form_cpuinfo,    &form_bare_featureset,
};

enum { NR_READERS = sizeof(readers) / sizeof(readers[0]) };

/* ---- what nobody can read ---- */

static const struct {
    const char *magic;
    size_t len;
    const char *what;
} strangers[] = {
    {"\x7f"
     "ELF",
     4, "a program (ELF)"},
    {"PK\3\4", 4, "a ZIP archive: unpack it first"},
    {"BZh", 3, "bzip2: unpack it first"},
    {"\x89PNG", 4, "a picture (PNG)"},
    {"\xff\xd8\xff", 3, "a picture (JPEG)"},
    {"GIF8", 4, "a picture (GIF)"},
    {"%PDF", 4, "a PDF"},
    {"\x09XENLEVEL", 9, "a policy file of Xenlevel, which is no file of somebody else's"},
    {"Xen saved domain", 16, "a save image"},
    {"XenSavedDom", 11, "a save image of XAPI"},
    {"LibvirtQemudSave", 16, "a save image of QEMU, by libvirt"},
    {"libvirt-xml", 11, "a save image of libvirt's Xen driver"},
    {"<!DOCTYPE html", 14, "a web page"},
    {"<html", 5, "a web page"},
};

static bool is_utf8(const struct form_text *t)
{
    return !t->n_lines || xc_text_is_utf8(t->lines[0], strlen(t->lines[0]));
}

/* The first line, cut, when it is text; else which bytes it begins with. */
static void describe_start(const struct form_text *t, char *out, size_t size)
{
    size_t bad = 0, n = t->len < 512 ? t->len : 512;
    unsigned char c;

    for (size_t i = 0; i < n; i++) {
        c = (unsigned char)t->bytes[i];
        bad += c < 0x20 && !isspace(c);
    }
    if (bad > n / 10 || (n && !is_utf8(t))) {
        (void)snprintf(out, size, "no text: it begins with the bytes");
        for (size_t i = 0; i < 4 && i < n; i++)
            (void)snprintf(out + strlen(out), size - strlen(out), " %02x",
                           (unsigned char)t->bytes[i]);
        return;
    }
    for (size_t i = 0; i < t->n_lines; i++) {
        const char *end, *s = form_trim(t->lines[i], &end);
        int len = end - s > 60 ? 60 : (int)(end - s);

        if (end == s)
            continue;
        (void)xc_text_print(out, size, "text that begins with '%.*s%s'", len, s,
                            end - s > 60 ? "..." : "");
        return;
    }
    (void)snprintf(out, size, "blank");
}

/* A setting of xl.cfg(5). */
static bool is_configuration(const struct form_text *t)
{
    static const char *const keys[] = {"cpuid", "name", "type", "memory", "vcpus"};

    for (size_t i = 0; i < t->n_lines; i++)
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            const char *s = form_value(t->lines[i], keys[k]);

            if (s && s > t->lines[i] && strchr("\"'[0123456789", *s) &&
                memchr(t->lines[i], '=', (size_t)(s - t->lines[i])))
                return true;
        }
    return false;
}

static void describe_file(const struct form_text *t, char *out, size_t size)
{
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        if (t->len >= strangers[i].len && !memcmp(t->bytes, strangers[i].magic, strangers[i].len)) {
            (void)snprintf(out, size, "%s", strangers[i].what);
            return;
        }
    if (!t->len)
        (void)snprintf(out, size, "empty");
    else if (is_configuration(t))
        (void)snprintf(out, size, "a configuration of xl, which only `xenlevel check` takes");
    else
        describe_start(t, out, size);
}

static int refuse_file(const struct form_text *t, struct form *f)
{
    char names[400] = "", what[160];

    for (size_t i = 0; i < NR_READERS; i++)
        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "",
                       readers[i]->name);
    describe_file(t, what, sizeof(what));
    return form_fail(f, "byte 0: not a CPUID dump: it is %s; forms that are read: %s", what, names);
}

/* ---- reading ---- */

static const struct form_reader *choose_reader(const struct form_text *t)
{
    const struct form_reader *best = NULL;
    unsigned int score = 0;

    for (size_t i = 0; i < NR_READERS; i++) {
        unsigned int sure = readers[i]->looks_like(t);

        if (sure > score) {
            score = sure;
            best = readers[i];
        }
    }
    return best;
}

/* Put the file's name in front of the error. */
static int name_error(const char *name, struct form *f, const char *form)
{
    char why[sizeof(f->error)];
    int err = errno;

    (void)snprintf(why, sizeof(why), "%s", f->error);
    if (form)
        (void)xc_text_print(f->error, sizeof(f->error), "%s: taken for %s: %s", name, form, why);
    else
        (void)xc_text_print(f->error, sizeof(f->error), "%s: %s", name, why);
    errno = err;
    return -1;
}

static int read_text(const char *name, const struct form_text *t, struct form *f)
{
    const struct form_reader *r = choose_reader(t);

    if (!r) {
        (void)refuse_file(t, f);
        return name_error(name, f, NULL);
    }
    f->name = r->name;
    return r->read(t, f) ? name_error(name, f, r->name) : 0;
}

int form_read_bytes(const char *name, const void *bytes, size_t len, struct form *f)
{
    struct form_text t;
    int rc;

    form_begin(f);
    if (form_text_from_bytes(bytes, len, &t, f->error, sizeof(f->error)))
        return name_error(name, f, NULL);
    rc = read_text(name, &t, f);
    form_text_free(&t);
    return rc;
}

int form_read(const char *path, struct form *f)
{
    const char *name = strcmp(path, "-") != 0 ? path : "standard input";
    struct form_text t;
    int rc;

    form_begin(f);
    if (form_text_load(path, &t, f->error, sizeof(f->error)))
        return name_error(name, f, NULL);
    rc = read_text(name, &t, f);
    form_text_free(&t);
    return rc;
}

void form_free(struct form *f)
{
    free(f->cpus);
    for (size_t i = 0; i < f->n_notes; i++)
        free(f->notes[i]);
    form_begin(f);
}
