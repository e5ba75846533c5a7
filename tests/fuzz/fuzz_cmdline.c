/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: the hypervisor's command line.  The first byte chooses the release, the second a
 * processor; the rest is the line.  What it says is told within the line, and whatever was taken of
 * it makes policies that narrow from the host to those who are born there.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "cpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

struct line {
    size_t length, notes;
};

static void note(void *data, enum host_option_note what, size_t at, size_t len)
{
    struct line *l = data;

    CHECK(what <= HOST_OPTION_MICROCODE);
    CHECK(len && at < l->length && len <= l->length - at);
    l->notes++;
}

/* Whoever is born there has nothing that may not come there. */
static void check_policies(const struct host_options *options, unsigned int cpu)
{
    static const char *const cpus[] = {"intel-nehalem-ep", "intel-icelake-sp", "amd-k8-santa-rosa",
                                       "amd-bergamo"};
    static struct cpu_policy p[HOST_POLICIES];
    bool has_hvm, has_hap;

    p[0] = *test_cpu(cpus[cpu % 4]);
    host_policies_derive(p, options, &has_hvm, &has_hap);
    for (unsigned int i = 2; i <= 3; i++) {
        struct featureset max, born;

        policy_to_featureset(&p[i], &max);
        policy_to_featureset(&p[i + 2], &born);
        /* but for what warns of this very CPU */
        featureset_andnot(&born, &born, &max);
        CHECK(featureset_count(&born) <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host_options options, again;
    struct line l = {0};
    const struct host_option_listener listener = {note, &l};
    unsigned int xen;
    size_t where = SIZE_MAX;
    char *text;
    int rc;

    if (size < 2)
        return 0;
    xen = 417 + data[0] % 6;
    text = strndup((const char *)data + 2, size - 2);
    CHECK(text);
    l.length = strlen(text);
    rc = host_options_read(&options, xen, text, &listener, &where);
    CHECK(rc ? where <= l.length : where == SIZE_MAX);
    CHECK(options.xen == xen && l.notes <= l.length);
    CHECK(host_options_read(&again, xen, text, NULL, &where) == rc);
    CHECK(!memcmp(&options, &again, sizeof(options)));
    if (!rc)
        check_policies(&options, data[1]);
    free(text);
    return 0;
}
