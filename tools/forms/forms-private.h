/* SPDX-License-Identifier: MIT */
/*
 * What the readers of forms share.  Never their users'.
 */
#ifndef FORMS_FORMS_PRIVATE_H
#define FORMS_FORMS_PRIVATE_H

#include "dump.h"
#include "forms.h"

/* Limits of a file: what is larger is no file with a CPU in it. */
enum {
    FORM_MAX_BYTES = 64 << 20, /* packed or not */
};

/*
 * A file in memory: UTF-8 (or bytes that are not known to be something else), unpacked.  `lines`
 * are its lines without their ends, as C strings: a line stops at a NUL byte.
 */
struct form_text {
    const char *bytes;
    size_t len;
    char **lines;
    size_t n_lines;
    char *copy; /* that the lines are in */
};

/* One form: who recognises it, who reads it. */
struct form_reader {
    const char *name; /* as a user knows it; in struct form it may be more exact */
    /* How sure the reader is that the file is of its form: 0 it is not; of several the surest
     * reads it, and of two that are as sure the one that stands first in the table. */
    unsigned int (*looks_like)(const struct form_text *t);
    /* 0; or -1 with errno and f->error (without the file's name). */
    int (*read)(const struct form_text *t, struct form *f);
};

extern const struct form_reader form_cpuid_policy, form_featuresets, form_xl_info, form_xapi,
    form_instlat, form_cpuid_r, form_bare_featureset, form_decoded, form_libcpuid, form_vmware,
    form_cpuinfo, form_lscpu, form_lscpu_json, form_libvirt, form_firecracker, form_xlcfg;

/* ---- input.c ---- */

/* Read all of a descriptor, or unpack bytes: what `t` holds is for form_text_free().  0; or -1 with
 * errno and why[]. */
int form_text_load(const char *path, struct form_text *t, char *why, size_t size);
int form_text_from_bytes(const void *bytes, size_t len, struct form_text *t, char *why,
                         size_t size);
void form_text_free(struct form_text *t);

/* ---- support.c ---- */

/* Set f->error.  Returns -1, with errno EINVAL. */
int form_fail(struct form *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Add a note, one sentence; those above FORM_MAX_NOTES are left out. */
void form_note(struct form *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where the line's text begins; it ends at *end.  Blanks at both ends are left out. */
const char *form_trim(const char *line, const char **end);
/* Does the text begin with the word?  Then returns what is behind it, else NULL. */
const char *form_after(const char *text, const char *word);
/* What is behind "key :" or "key=" (blanks around it are free; letter case is not); else NULL. */
const char *form_value(const char *line, const char *key);

/* A CPU of which nothing is known. */
void form_cpu_init(struct form_cpu *c);
/* The feature (its number) is or is not there. */
void form_know_feature(struct form_cpu *c, unsigned int feature, bool there);
/* Bits of a register (0 EAX .. 3 EDX) are known.  False when no policy holds the leaf. */
bool form_know_bits(struct form_cpu *c, uint32_t leaf, uint32_t subleaf, unsigned int reg,
                    uint32_t mask, uint32_t value);
/* A whole word of a featureset is known. */
void form_know_word(struct form_cpu *c, unsigned int word, uint32_t value);
/*
 * The n words of a featureset that Xen gives guests are known, in the hypervisor's order.  Of a Xen
 * that has fewer words than we know (4.7 had nine) guests are told of nothing beyond them.
 */
void form_know_guest_words(struct form_cpu *c, const uint32_t *words, size_t n);
/* "GenuineIntel": the vendor is known. */
void form_know_vendor(struct form_cpu *c, const char *vendor, size_t len);
/* Family, model, stepping as displayed. */
void form_know_signature(struct form_cpu *c, unsigned int family, unsigned int model,
                         unsigned int stepping);
/* The name of the CPU: leaves 80000002 to 80000004. */
void form_know_brand(struct form_cpu *c, const char *brand, size_t len);
/* Give the numbers that were not said values with which what is known can stand: see forms.h. */
void form_fit_numbers(struct form_cpu *c);

/* Return whether the line, which is no whole one, is the last of a file that stops in the middle of
 * it, behind a CPU; a note says so. */
bool form_is_cut(struct form *f, const struct form_text *t, size_t at, const struct dump *d);

/* Take the CPUs of a dump that is finished as f->cpus; say whose virtual machine it was taken in,
 * and make a guest of a dump that was taken in a domain of Xen.  0; or -1 with f->error. */
int form_from_dump(struct form *f, struct dump *d);
/* Add a CPU to the form, of which nothing is known yet; those that were added before may move.
 * NULL with f->error when there is no memory. */
struct form_cpu *form_add_cpu(struct form *f);
/* Make a guest of the form's first CPU: it was taken inside a domain of Xen. */
void form_make_domain(struct form *f);
/* Make one CPU of the form (FORM_CPU).  0; or -1 with f->error. */
int form_one_cpu(struct form *f, const struct form_cpu *c);

/*
 * Words of eight hexadecimal digits with '-' or ':' between them, from text on.  Returns how many
 * there are, at most max, and *end behind them.
 */
size_t form_take_words(const char *text, uint32_t *words, size_t max, const char **end);

/* ---- names.c ---- */

enum form_names {
    FORM_NAMES_LINUX,   /* /proc/cpuinfo, lscpu */
    FORM_NAMES_LIBVIRT, /* libvirt and QEMU */
    FORM_NAMES_LIBXL,   /* xl.cfg's cpuid= */
};

/* Returns the feature that the program calls so, or -1. */
int form_feature_by_name(enum form_names whose, const char *name, size_t len);

#endif /* FORMS_FORMS_PRIVATE_H */
