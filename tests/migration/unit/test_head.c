/* SPDX-License-Identifier: MIT */
/*
 * The head of a migration stream: what is taken, and what is read of it.  The streams are built by
 * ../streambuilder.py, from the published format, by code that shares nothing with the parser; what
 * is refused is a table, ../broken.
 *
 * usage: test-head DIRECTORY (of NAME.head)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "xc_sr_head.h"

/* ---- the streams ---- */

static const char config[] = "{\n    \"c_info\": {\n        \"type\": \"pvh\",\n        \"name\": "
                             "\"we\\\"b1\",\n        \"uuid\": 1 } }";

static const char *directory;
static uint8_t stream[1 << 20];
static size_t length;

/* The head of that name in streambuilder.py's heads(), into stream[0..length). */
static void load_head(const char *name)
{
    char path[1024];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s.head", directory, name);
    f = fopen(path, "re");
    assert_non_null(f);
    length = fread(stream, 1, sizeof(stream), f);
    assert_true(length > 0 && feof(f));
    (void)fclose(f);
}

/* ---- running ---- */

static struct xc_sr_head head;
static struct xc_sr_parser parser;

/* Feed it in pieces; 0 when the head is complete. */
static int run(enum xc_sr_layer layer, size_t size, size_t piece)
{
    size_t at = 0;

    xc_sr_parser_init(&parser, layer, &head);
    while (at < size && xc_sr_needs(&parser)) {
        size_t n = size - at < piece ? size - at : piece;
        ssize_t used = xc_sr_feed(&parser, stream + at, n);

        if (used < 0)
            return -1;
        at += (size_t)used;
    }
    return xc_sr_end(&parser);
}

static void takes(enum xc_sr_layer layer)
{
    static const size_t pieces[] = {1, 2, 3, 7, 8, 24, 100, sizeof(stream)};
    size_t end = length;

    memset(stream + length, 0xa5, 64); /* what is behind the head must not be looked at */
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (run(layer, end + 64, pieces[i]))
            fail_msg("in pieces of %zu: %s", pieces[i], parser.fault.text);
        assert_int_equal(head.length, end);
    }
}

/* ---- what is taken ---- */

static void test_hvm(void **state)
{
    (void)state;
    load_head("hvm");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.version, 3);
    assert_int_equal(head.guest, XC_SR_GUEST_HVM);
    assert_int_equal(head.xen_major, 4);
    assert_int_equal(head.xen_minor, 17);
    assert_true(head.has_cpuid && head.has_msrs && !head.has_pv_info && !head.inferred_end);
    assert_int_equal(head.nr_leaves, 3);
    assert_int_equal(head.leaves_offset, 48);
    assert_int_equal(head.leaves[1].leaf, 1);
    assert_int_equal(head.leaves[1].subleaf, POLICY_NONE);
    assert_int_equal(head.leaves[1].a, 0x306c3);
    assert_int_equal(head.leaves[1].d, 0x33);
    assert_int_equal(head.nr_msrs, 2);
    assert_int_equal(head.msrs[0].idx, 0xce);
    assert_int_equal(head.msrs[0].val, 0x80000000);
    assert_int_equal(head.msrs[1].idx, 0x10a);
    assert_int_equal(head.msrs[1].val, 0x1000);
    assert_int_equal(head.msrs_offset, 48 + 72 + 8);
    assert_int_equal(head.nr_records, 3);
}

static void test_pv(void **state)
{
    (void)state;
    load_head("pv");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.guest, XC_SR_GUEST_PV);
    assert_true(head.has_pv_info);
    assert_int_equal(head.pv_width, 8);
    assert_int_equal(head.pv_levels, 4);

    load_head("pv-32");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.pv_width, 4);
}

static void test_no_msrs(void **state)
{
    (void)state;
    load_head("no-msrs");
    takes(XC_SR_LIBXC);
    assert_true(head.has_cpuid && !head.has_msrs);
}

static void test_version_2(void **state)
{
    (void)state;
    load_head("v2");
    takes(XC_SR_LIBXC);
    assert_true(head.inferred_end && !head.has_cpuid);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
    assert_int_equal(head.next_length, 4112);

    load_head("v2-pv");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_X86_PV_P2M_FRAMES);

    /* The head goes on to the memory, whatever stands before it. */
    load_head("v2-state");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
    assert_int_equal(head.nr_records, 4);
}

static void test_optional_records(void **state)
{
    (void)state;
    load_head("optional");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.nr_records, 5);

    load_head("v2-optional");
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
}

static void test_xl_image(void **state)
{
    (void)state;
    load_head("xl");
    takes(XC_SR_XL);
    assert_string_equal(head.name, "we\"b1");
    assert_int_equal(head.config_length, sizeof(config));
    assert_string_equal(head.config, config);
    assert_int_equal(head.xl_flags, 3);
    assert_int_equal(head.libxc_offset, 48 + 4 + sizeof(config) + 16 + 8);
    assert_int_equal(head.leaves_offset, head.libxc_offset + 48);
}

static void test_xl_image_variants(void **state)
{
    (void)state;
    load_head("xl-no-config");
    takes(XC_SR_XL);
    assert_string_equal(head.name, "");

    load_head("xl-long-config");
    takes(XC_SR_XL);
    assert_int_equal(head.config_length, 100000);
    assert_int_equal(strlen(head.config), XC_SR_MAX_CONFIG);
}

/* ---- what is refused: more in ../broken/rows_heads.py ---- */

/* Cut at every byte: always said to be cut, always at the place where it was. */
static void cut_everywhere(enum xc_sr_layer layer)
{
    size_t end = length;

    for (size_t size = 0; size < end; size++) {
        assert_int_equal(run(layer, size, 5), -1);
        assert_true(parser.fault.truncated);
        assert_int_equal(parser.fault.offset, size);
    }
    assert_int_equal(run(layer, end, 5), 0);
}

static void test_truncated(void **state)
{
    (void)state;
    load_head("hvm");
    cut_everywhere(XC_SR_LIBXC);
    load_head("pv");
    cut_everywhere(XC_SR_LIBXC);
    load_head("v2");
    cut_everywhere(XC_SR_LIBXC);
    load_head("xl");
    cut_everywhere(XC_SR_XL);
}

/* Every byte of a good stream changed in every bit: taken or refused, never more than the head. */
static void test_every_bit(void **state)
{
    (void)state;
    load_head("pv");
    for (size_t i = 0, end = length; i < end; i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            load_head("pv");
            stream[i] ^= (uint8_t)(1u << bit);
            if (run(XC_SR_LIBXC, end, 1 + i % 9) == 0)
                assert_true(head.length <= end);
            else
                assert_true(strlen(parser.fault.text) > 10);
        }
    }
}

/* ---- the policy inside ---- */

static void fault_of_leaves(const char *name, enum policy_fault_kind kind, uint32_t index)
{
    static struct cpu_policy policy;
    struct policy_fault faults[4];
    struct policy_report r = {faults, 4, 0};

    load_head(name);
    assert_int_equal(run(XC_SR_LIBXC, length, 3), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, &r), -1);
    assert_true(r.count >= 1);
    assert_int_equal(faults[0].kind, kind);
    assert_int_equal(faults[0].index, index);
}

static void test_policy_entries(void **state)
{
    (void)state;
    fault_of_leaves("leaves-unsorted", FAULT_UNSORTED, 1);
    fault_of_leaves("leaves-duplicate", FAULT_DUPLICATE, 1);
    fault_of_leaves("leaves-range", FAULT_LEAF_RANGE, 1);
    fault_of_leaves("leaves-subleaf-missing", FAULT_SUBLEAF_EXPECTED, 1);
    fault_of_leaves("leaves-subleaf-unexpected", FAULT_SUBLEAF_UNEXPECTED, 0);
}

/* What a stream does not name is not zero there: it is what the domain was born with. */
static void incomplete(uint32_t leaf_number, uint32_t msr)
{
    static struct cpu_policy policy;
    struct policy_fault faults[4];
    struct policy_report r = {faults, 4, 0};

    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, &r), -1);
    assert_int_equal(r.count, msr == POLICY_NONE ? 1 : 2);
    assert_int_equal(faults[0].kind, FAULT_NOT_NAMED);
    assert_int_equal(faults[0].leaf, leaf_number);
    assert_int_equal(faults[0].msr, msr);
}

static void test_incomplete(void **state)
{
    (void)state;
    load_head("no-msrs");
    incomplete(POLICY_NONE, 0xce);
    load_head("no-leaf-2");
    incomplete(2, POLICY_NONE);
    load_head("no-extended");
    incomplete(0x80000000, POLICY_NONE);
}

static void test_policy(void **state)
{
    static struct cpu_policy policy;

    (void)state;
    load_head("hvm");
    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, NULL), 0);
    assert_int_equal(policy.basic[1].a, 0x306c3);
    assert_int_equal(policy.platform_info, 0x80000000);
    assert_int_equal(policy.arch_caps, 0x1000);

    load_head("v2");
    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, NULL), -1);
}

/* ---- the file descriptor ---- */

static void test_read(void **state)
{
    static uint8_t raw[XC_SR_HEAD_MAX];
    struct xc_sr_fault fault;
    char rest[8] = "";
    int fds[2];

    (void)state;
    load_head("pv");
    memcpy(stream + length, "behind", 6);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], stream, length + 6), length + 6);
    close(fds[1]);
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), 0);
    assert_int_equal(head.length, length);
    assert_memory_equal(raw, stream, length);
    assert_int_equal(read(fds[0], rest, sizeof(rest)), 6);
    assert_string_equal(rest, "behind");
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_true(fault.truncated);
    close(fds[0]);
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_non_null(strstr(fault.text, "reading failed"));
}

/* As long as a head can be, and one record more: what is kept of it is what it is said to be. */
static void test_read_longest(void **state)
{
    static uint8_t raw[XC_SR_HEAD_MAX];
    struct xc_sr_fault fault;
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    load_head("longest");
    assert_int_equal(length, XC_SR_HEAD_MAX);
    takes(XC_SR_LIBXC);
    assert_int_equal(fwrite(stream, 1, length, f), length);
    rewind(f);
    assert_int_equal(xc_sr_head_read(fileno(f), XC_SR_LIBXC, &head, &raw, &fault), 0);
    assert_int_equal(head.length, sizeof(raw));
    assert_memory_equal(raw, stream, length);

    load_head("too-long");
    rewind(f);
    assert_int_equal(fwrite(stream, 1, length, f), length);
    rewind(f);
    assert_int_equal(xc_sr_head_read(fileno(f), XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_non_null(strstr(fault.text, "the head is longer than 262144 bytes"));
    (void)fclose(f);
}

static void test_names(void **state)
{
    (void)state;
    for (uint32_t t = 0; t <= REC_X86_MSR_POLICY; t++)
        assert_true(strlen(xc_sr_record_name(t)) > 2);
    assert_string_equal(xc_sr_record_name(0x11), "X86_CPUID_POLICY");
    assert_string_equal(xc_sr_record_name(0x13), "unknown");
    assert_string_equal(xc_sr_record_name(REC_OPTIONAL), "optional");
    assert_string_equal(xc_sr_libxl_record_name(1), "LIBXC_CONTEXT");
    assert_string_equal(xc_sr_libxl_record_name(77), "unknown");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hvm),
        cmocka_unit_test(test_pv),
        cmocka_unit_test(test_no_msrs),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_optional_records),
        cmocka_unit_test(test_xl_image),
        cmocka_unit_test(test_xl_image_variants),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_policy_entries),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_longest),
        cmocka_unit_test(test_names),
    };

    if (argc != 2)
        return 2;
    directory = argv[1];
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
