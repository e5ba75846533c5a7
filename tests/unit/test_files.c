/* SPDX-License-Identifier: MIT */
/*
 * Policy files: what is written comes back, what is damaged in any way does not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "unknown.h"
#include "util.h"
#include "xlp.h"

/* ---- files to damage ---- */

static Xenlevel__Policy *sample_policy(void)
{
    struct cpu_policy p = {0};

    p.basic[0] = (struct cpuid_regs){0xd, 0x756e6547, 0x6c65746e, 0x49656e69};
    p.basic[1] = (struct cpuid_regs){0x306f2, 0x800, 0x80000001, 0x078bfbff};
    p.feat[0].b = 0x20;
    p.extd[0].a = 0x80000008;
    p.extd[8].a = 0x302e;
    p.arch_caps = 0x8000000000000001ull;
    return xlp_policy_from(&p);
}

static Xenlevel__File *sample_host(void)
{
    Xenlevel__File *file = xlp_new();
    Xenlevel__Host *host = xcalloc(1, sizeof(*host));
    const uint32_t words[] = {1, 2, 3};

    xenlevel__host__init(host);
    file->content_case = XENLEVEL__FILE__CONTENT_HOST;
    file->host = host;
    host->name = xstrdup("alpha");
    host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
    host->levelling_caps = 0; /* known to be none: not the same as unknown */
    host->n_featuresets = 1;
    host->featuresets = xcalloc(1, sizeof(Xenlevel__HostFeatureset *));
    host->featuresets[0] = xcalloc(1, sizeof(*host->featuresets[0]));
    xenlevel__host_featureset__init(host->featuresets[0]);
    host->featuresets[0]->featureset = xlp_featureset_new(words, 3);
    host->n_policies = 2;
    host->policies = xcalloc(2, sizeof(Xenlevel__HostPolicy *));
    for (unsigned int i = 0; i < 2; i++) {
        host->policies[i] = xcalloc(1, sizeof(*host->policies[i]));
        xenlevel__host_policy__init(host->policies[i]);
        host->policies[i]->index = i;
        host->policies[i]->policy = sample_policy();
    }
    return file;
}

/* Serialised, with room for a few bytes more. */
static unsigned char *sample_bytes(size_t *len)
{
    Xenlevel__File *file = sample_host();
    unsigned char *bytes = xlp_encode(file, len);

    xlp_free(file);
    return xrealloc(bytes, *len + 64);
}

/* Make the end mark right again for the first `len - 5` bytes. */
static void reseal(unsigned char *bytes, size_t len)
{
    uint32_t sum = (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, len - 5);

    bytes[len - 5] = 0x7d;
    for (unsigned int i = 0; i < 4; i++)
        bytes[len - 4 + i] = (unsigned char)(sum >> (8 * i));
}

/* Put `n` bytes at `at`, and the end mark right again. */
static void insert(unsigned char *bytes, size_t *len, size_t at, const void *more, size_t n)
{
    memmove(bytes + at + n, bytes + at, *len - at);
    memcpy(bytes + at, more, n);
    *len += n;
    reseal(bytes, *len);
}

static void refused(const unsigned char *bytes, size_t len, int err, size_t offset,
                    const char *words)
{
    /* A copy of exactly that size, so that a read beyond it is seen. */
    unsigned char *copy = xcalloc(1, len);
    struct xlp_error error = {.text = ""};
    Xenlevel__File *file;

    if (len)
        memcpy(copy, bytes, len);
    errno = 0;
    file = xlp_decode("sample", copy, len, &error);
    free(copy);
    assert_null(file);
    assert_int_equal(errno, err);
    if (offset != (size_t)-2)
        assert_int_equal(error.offset, offset);
    if (!strstr(error.text, words))
        fail_msg("'%s' does not say '%s'", error.text, words);
    assert_ptr_equal(strstr(error.text, "sample: "), error.text);
}

/* ---- what is written comes back ---- */

static void test_round_trip(void **state)
{
    struct xlp_error error;
    struct cpu_policy p;
    size_t len, again_len;
    unsigned char *bytes = sample_bytes(&len), *again;
    Xenlevel__File *file;

    (void)state;
    file = xlp_decode("sample", bytes, len, &error);
    assert_non_null(file);
    assert_string_equal(file->host->name, "alpha");
    assert_int_equal(file->host->levelling_case, XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS);
    assert_int_equal(file->host->featuresets[0]->featureset->words[2], 3);
    xlp_policy_get(file->host->policies[1]->policy, &p);
    assert_int_equal(p.basic[1].d, 0x078bfbff);
    assert_int_equal(p.feat[0].b, 0x20);
    assert_true(p.arch_caps == 0x8000000000000001ull);
    again = xlp_encode(file, &again_len);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, bytes, len);
    free(again);
    free(bytes);
    xlp_free(file);
}

static void test_first_and_last_bytes(void **state)
{
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    assert_memory_equal(bytes, "\x09XENLEVEL\x10\x01", 11);
    assert_int_equal(bytes[len - 5], 0x7d);
    free(bytes);
}

/* ---- what is damaged does not ---- */

static void test_truncated_at_every_byte(void **state)
{
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    for (size_t n = 0; n < len; n++)
        refused(bytes, n, EINVAL, n, "truncated: the file ends at byte");
    free(bytes);
}

/* Not one bit of a file can change unnoticed. */
static void test_every_bit_flipped(void **state)
{
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    for (size_t i = 0; i < len; i++)
        for (unsigned int bit = 0; bit < 8; bit++) {
            struct xlp_error error;

            bytes[i] ^= (unsigned char)(1u << bit);
            if (xlp_decode("sample", bytes, len, &error))
                fail_msg("byte %zu, bit %u: accepted", i, bit);
            assert_true(error.text[0]);
            bytes[i] ^= (unsigned char)(1u << bit);
        }
    free(bytes);
}

/* The same behind a checksum that is right: nothing may crash, whatever it decides. */
static void test_every_byte_replaced_and_resealed(void **state)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    for (size_t i = 0; i < len - 5; i++) {
        unsigned char before = bytes[i];

        for (size_t v = 0; v < sizeof(values); v++) {
            struct xlp_error error;

            bytes[i] = values[v];
            reseal(bytes, len);
            xlp_free(xlp_decode("sample", bytes, len, &error));
        }
        bytes[i] = before;
    }
    free(bytes);
}

static void test_foreign(void **state)
{
    static const unsigned char elf[] = "\x7f"
                                       "ELF\x02\x01\x01";
    static const unsigned char almost[] = "\x09XENLEVIL\x10\x01";

    (void)state;
    refused(elf, sizeof(elf), EINVAL, 0, "byte 0: not a Xenlevel policy file");
    refused(almost, sizeof(almost), EINVAL, 7, "byte 7: not a Xenlevel policy file");
}

static void test_version(void **state)
{
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    bytes[10] = 2;
    refused(bytes, len, EPROTONOSUPPORT, 9, "version 2 of the file format; this program knows 1");
    bytes[10] = 0;
    refused(bytes, len, EINVAL, 9, "there is no version 0");
    bytes[9] = 7 << 3; /* the version is another field now */
    bytes[10] = 1;
    reseal(bytes, len);
    refused(bytes, len, EINVAL, 9, "the version is missing");
    free(bytes);
}

static void test_behind_the_end(void **state)
{
    size_t len;
    unsigned char *bytes = sample_bytes(&len);

    (void)state;
    bytes[len] = 0x50;
    bytes[len + 1] = 1;
    refused(bytes, len + 2, EINVAL, len, "something behind the end mark");
    free(bytes);
}

static void test_no_field(void **state)
{
    /* Wire type 3 at the top level; a number of eleven bytes; field 0. */
    static const unsigned char group[] = {0x53, 0x01}, zero[] = {0x02, 0x00},
                               overflow[] = {0x50, 0xff, 0xff, 0xff, 0xff, 0xff,
                                             0xff, 0xff, 0xff, 0xff, 0x02},
                               endless[] = {0x50, 0xff, 0xff, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    size_t len;
    unsigned char *bytes;

    (void)state;
    bytes = sample_bytes(&len);
    insert(bytes, &len, 11, group, sizeof(group));
    refused(bytes, len, EINVAL, 11, "byte 11: damaged: no field begins here");
    free(bytes);
    bytes = sample_bytes(&len);
    insert(bytes, &len, 11, zero, sizeof(zero));
    refused(bytes, len, EINVAL, 11, "byte 11: damaged: no field begins here");
    free(bytes);
    bytes = sample_bytes(&len);
    insert(bytes, &len, 11, overflow, sizeof(overflow));
    refused(bytes, len, EINVAL, 11, "byte 11: damaged: no field begins here");
    free(bytes);
    bytes = sample_bytes(&len);
    insert(bytes, &len, 11, endless, sizeof(endless));
    refused(bytes, len, EINVAL, 11, "byte 11: damaged: no field begins here");
    free(bytes);
}

static void test_empty_content(void **state)
{
    Xenlevel__File *file = xlp_new();
    size_t len;
    unsigned char *bytes = xlp_encode(file, &len);

    (void)state;
    refused(bytes, len, EINVAL, (size_t)-1, "neither a host nor a level nor a guest");
    free(bytes);
    xlp_free(file);
}

/* ---- a newer program's fields ---- */

static void test_unknown_fields_are_kept(void **state)
{
    /* At the top level: field 14, a string.  In the host: field 100, a number. */
    static const unsigned char top[] = {14 << 3 | 2, 3, 'n', 'e', 'w'};
    struct xlp_error error;
    Xenlevel__File *file;
    size_t len, again_len;
    unsigned char *bytes = sample_bytes(&len), *again;
    ProtobufCMessageUnknownField *inner = xcalloc(1, sizeof(*inner));

    (void)state;
    insert(bytes, &len, 11, top, sizeof(top));
    file = xlp_decode("sample", bytes, len, &error);
    assert_non_null(file);
    inner->tag = 100;
    inner->wire_type = PROTOBUF_C_WIRE_TYPE_VARINT;
    inner->len = 1;
    inner->data = xcalloc(1, 1);
    inner->data[0] = 42;
    file->host->base.n_unknown_fields = 1;
    file->host->base.unknown_fields = inner;

    /* Twice through this program. */
    for (unsigned int i = 0; i < 2; i++) {
        again = xlp_encode(file, &again_len);
        xlp_free(file);
        file = xlp_decode("sample", again, again_len, &error);
        free(again);
        assert_non_null(file);
    }
    assert_int_equal(file->base.n_unknown_fields, 1);
    assert_int_equal(file->base.unknown_fields[0].tag, 14);
    assert_memory_equal(file->base.unknown_fields[0].data, "\x03new", 4);
    assert_int_equal(file->host->base.n_unknown_fields, 1);
    assert_int_equal(file->host->base.unknown_fields[0].tag, 100);
    assert_int_equal(file->host->base.unknown_fields[0].data[0], 42);
    xlp_free(file);
    free(bytes);
}

static void test_unknown_policy_kind_is_kept(void **state)
{
    Xenlevel__File *file = sample_host(), *read;
    struct xlp_error error;
    unsigned char *bytes;
    size_t len;

    (void)state;
    file->host->policies[1]->index = 17;
    file->host->policies[1]->policy->leaves[0]->leaf = 0x77; /* not for us to judge */
    bytes = xlp_encode(file, &len);
    read = xlp_decode("sample", bytes, len, &error);
    assert_non_null(read);
    assert_int_equal(read->host->policies[1]->index, 17);
    xlp_free(file);
    xlp_free(read);
    free(bytes);
}

/* ---- policies are looked at ---- */

static void bad_policy(void (*spoil)(Xenlevel__Policy *), const char *words)
{
    Xenlevel__File *file = sample_host();
    unsigned char *bytes;
    size_t len;

    spoil(file->host->policies[1]->policy);
    bytes = xlp_encode(file, &len);
    refused(bytes, len, EINVAL, (size_t)-1, "host 'alpha', policy host: ");
    refused(bytes, len, EINVAL, (size_t)-1, words);
    free(bytes);
    xlp_free(file);
}

static void twice(Xenlevel__Policy *p)
{
    p->leaves[1]->leaf = 0;
}

static void out_of_range(Xenlevel__Policy *p)
{
    p->leaves[p->n_leaves - 1]->leaf = 0x8000ffff;
}

static void without_subleaf(Xenlevel__Policy *p)
{
    for (size_t i = 0; i < p->n_leaves; i++)
        if (p->leaves[i]->leaf == 7)
            p->leaves[i]->where_case = XENLEVEL__LEAF__WHERE__NOT_SET;
}

static void unknown_msr(Xenlevel__Policy *p)
{
    p->msrs[0]->index = 0x1234;
}

/* What is not named is not zero. */
static void without_leaf_1(Xenlevel__Policy *p)
{
    xenlevel__leaf__free_unpacked(p->leaves[1], NULL);
    memmove(&p->leaves[1], &p->leaves[2], (--p->n_leaves - 1) * sizeof(p->leaves[0]));
}

static void without_msrs(Xenlevel__Policy *p)
{
    for (size_t i = 0; i < p->n_msrs; i++)
        xenlevel__msr__free_unpacked(p->msrs[i], NULL);
    p->n_msrs = 0;
}

static void test_policies(void **state)
{
    (void)state;
    bad_policy(twice, "entry 1 (leaf 0");
    bad_policy(out_of_range, "leaf 8000ffff");
    bad_policy(without_subleaf, "leaf 7): the leaf has subleaves");
    bad_policy(unknown_msr, "MSR 0x1234");
    bad_policy(without_leaf_1, "incomplete: leaf 1 is not named");
    bad_policy(without_msrs, "incomplete: MSR CE is not named");
}

static void test_policy_twice(void **state)
{
    Xenlevel__File *file = sample_host();
    unsigned char *bytes;
    size_t len;

    (void)state;
    file->host->policies[1]->index = 0;
    bytes = xlp_encode(file, &len);
    refused(bytes, len, EINVAL, (size_t)-1, "host 'alpha' has policy raw twice");
    free(bytes);
    xlp_free(file);
}

static void test_too_many_words(void **state)
{
    uint32_t words[FEATURESET_WORDS + 1] = {0};
    Xenlevel__File *file = sample_host();
    unsigned char *bytes;
    size_t len;

    (void)state;
    words[FEATURESET_WORDS] = 1;
    xenlevel__featureset__free_unpacked(file->host->featuresets[0]->featureset, NULL);
    file->host->featuresets[0]->featureset = xlp_featureset_new(words, FEATURESET_WORDS + 1);
    bytes = xlp_encode(file, &len);
    refused(bytes, len, EINVAL, (size_t)-1, "a featureset of 26 words has features");
    free(bytes);
    xlp_free(file);
}

/* ---- disk ---- */

static void test_save_and_load(void **state)
{
    char dir[] = "/tmp/xlp-test.XXXXXX";
    Xenlevel__File *file = sample_host(), *read;
    struct xlp_error error;
    struct stat st;
    char *path;

    (void)state;
    assert_non_null(mkdtemp(dir));
    path = xasprintf("%s/a.xlp", dir);
    assert_int_equal(xlp_save(path, file, &error), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0400, 0400);
    read = xlp_load(path, &error);
    assert_non_null(read);
    assert_string_equal(read->host->name, "alpha");
    xlp_free(read);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left there */
    free(path);
    xlp_free(file);
}

/* A file that cannot be written leaves the old one, and no other. */
static void test_save_fails(void **state)
{
    char dir[] = "/tmp/xlp-test.XXXXXX";
    Xenlevel__File *file = sample_host();
    struct xlp_error error;
    char *path, *missing;

    (void)state;
    assert_non_null(mkdtemp(dir));
    missing = xasprintf("%s/none/a.xlp", dir);
    assert_int_equal(xlp_save(missing, file, &error), -1);
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(error.text, "cannot be written"));
    /* The name is taken by a directory: the rename fails, after all was written. */
    path = xasprintf("%s/a.xlp", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(xlp_save(path, file, &error), -1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
    free(path);
    free(missing);
    xlp_free(file);
}

static void test_load_fails(void **state)
{
    struct xlp_error error;

    (void)state;
    assert_null(xlp_load("/nonexistent/a.xlp", &error));
    assert_int_equal(errno, ENOENT);
    assert_null(xlp_load("/tmp", &error));
    assert_int_equal(errno, EISDIR);
    assert_null(xlp_load("/dev/zero", &error));
    assert_int_equal(errno, EFBIG);
}

/* What is not known has the shape of a policy, and is held to it. */
static void test_unknown_masks(void **state)
{
    Xenlevel__File *file = sample_host(), *back;
    struct cpu_policy mask = {0}, read;
    struct xlp_error error;
    size_t len;
    void *bytes;

    (void)state;
    mask.arch_caps = 0xff00;
    mask.basic[5].c = 7;
    mask.basic[6].a = 1;
    file->host->policies[1]->unknown = xlp_unknown_from(&mask);
    bytes = xlp_encode(file, &len);
    back = xlp_decode("f", bytes, len, &error);
    assert_non_null(back);
    xlp_unknown_get(back->host->policies[1]->unknown, &read);
    assert_memory_equal(&read, &mask, sizeof(mask));
    xlp_unknown_get(back->host->policies[0]->unknown, &read);
    assert_false(unknown_any(&read));
    xlp_free(back);
    free(bytes);

    file->host->policies[1]->unknown->leaves[1]->leaf = 5; /* the same leaf twice */
    bytes = xlp_encode(file, &len);
    assert_null(xlp_decode("f", bytes, len, &error));
    assert_non_null(strstr(error.text, "what is not known of policy host"));
    free(bytes);
    xlp_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_first_and_last_bytes),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_every_byte_replaced_and_resealed),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_behind_the_end),
        cmocka_unit_test(test_no_field),
        cmocka_unit_test(test_empty_content),
        cmocka_unit_test(test_unknown_fields_are_kept),
        cmocka_unit_test(test_unknown_policy_kind_is_kept),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_policy_twice),
        cmocka_unit_test(test_unknown_masks),
        cmocka_unit_test(test_too_many_words),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_save_fails),
        cmocka_unit_test(test_load_fails),
    };

    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
