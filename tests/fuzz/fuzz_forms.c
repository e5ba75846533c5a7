/* SPDX-License-Identifier: MIT */
/*
 * Files of every form: no input crashes a reader or makes it say what is not so in itself.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "dump.h"
#include "forms.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint32_t sum_cpu(const struct form_cpu *c)
{
    return (uint32_t)crc32(0, (const unsigned char *)c, sizeof(*c));
}

/* Is it printable, and in one line? */
static void check_text(const char *text)
{
    for (const char *s = text; *s; s++)
        CHECK((unsigned char)*s >= 0x20 && *s != 0x7f);
}

/* What is said must be there, and defined. */
static void check_form(struct form *f)
{
    uint32_t sum = 0;

    CHECK(f->name && f->name[0]);
    switch (f->kind) {
    case FORM_CPU:
        CHECK(f->n_cpus && f->cpus && f->n_cpus <= FORM_MAX_CPUS);
        for (size_t i = 0; i < f->n_cpus; i++)
            sum += sum_cpu(&f->cpus[i]);
        (void)dump_complete(&f->cpus[0].policy);
        break;
    case FORM_HOST:
        for (unsigned int i = 0; i < XC_POLICIES; i++) {
            sum += f->have[i] ? sum_cpu(&f->policies[i]) : 0;
            CHECK(!f->have[i] || f->policies[i].unknown.hv_limit == 0);
        }
        CHECK(f->have[XC_POLICY_PV_MAX] || f->have[XC_POLICY_HVM_MAX] ||
              f->have[XC_POLICY_PV_DEFAULT] || f->have[XC_POLICY_HVM_DEFAULT]);
        break;
    default:
        sum = sum_cpu(&f->guest);
        break;
    }
    for (size_t i = 0; i < f->n_notes; i++)
        check_text(f->notes[i]);
    CHECK(sum != 0x12345678);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct form f;
    char words[256];

    if (form_read_bytes("input", data, size, &f)) {
        CHECK(f.error[0]);
        check_text(f.error);
    } else {
        check_form(&f);
    }
    form_free(&f);
    if (size < sizeof(words)) {
        memcpy(words, data, size);
        words[size] = '\0';
        if (form_is_featureset(words))
            CHECK(!form_read_featureset(words, &f));
        form_free(&f);
    }
    return 0;
}
