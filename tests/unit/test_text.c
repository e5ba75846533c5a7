/* SPDX-License-Identifier: MIT */
/* Foreign text on its way to a terminal, a log or a shell (xc_text.h). */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "xc_text.h"

static const struct {
    const char *in, *safe, *shell;
} names[] = {
    {"web1", "web1", "web1"},
    {"", "", "''"},
    {"a b", "a b", "'a b'"},
    {"it's", "it's", "'it'\\''s'"},
    {"$(reboot)", "$(reboot)", "'$(reboot)'"},
    {"a;b&c|d`e`", "a;b&c|d`e`", "'a;b&c|d`e`'"},
    {"*", "*", "'*'"},
    {"~root", "~root", "'~root'"},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
     "'\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'"},
    {"a\\x1b", "a\\x1b", "'a\\x1b'"},
    /* Control characters. */
    {"\x1b[2J", "\\x1b[2J", "$'\\x1b[2J'"},
    {"a\nb", "a\\x0ab", "$'a\\x0a'$'b'"},
    {"a\rz", "a\\x0dz", "$'a\\x0dz'"},
    {"\tz\x7f", "\\x09z\\x7f", "$'\\x09z\\x7f'"},
    {"\x01'\\", "\\x01'\\", "$'\\x01\\x27\\x5c'"},
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m", "$'\\xc2\\x9b'$'31m'"},
    {"\xc2\xa0", "\xc2\xa0", "'\xc2\xa0'"},
    /* Direction, and ends of lines. */
    {"\xe2\x80\xae", "\\xe2\\x80\\xae", "$'\\xe2\\x80\\xae'"},
    {"\xe2\x81\xa6", "\\xe2\\x81\\xa6", "$'\\xe2\\x81\\xa6'"},
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8", "$'\\xe2\\x80\\xa8'"},
    {"\xd8\x9c", "\\xd8\\x9c", "$'\\xd8\\x9c'"},
    {"\xe2\x80\x8f", "\\xe2\\x80\\x8f", "$'\\xe2\\x80\\x8f'"},
    /* No UTF-8: alone, cut, overlong, a surrogate, too large. */
    {"\x80", "\\x80", "$'\\x80'"},
    {"\xff", "\\xff", "$'\\xff'"},
    {"\xc3", "\\xc3", "$'\\xc3'"},
    {"\xe2\x82", "\\xe2\\x82", "$'\\xe2\\x82'"},
    {"\xc0\x9b", "\\xc0\\x9b", "$'\\xc0\\x9b'"},
    {"\xe0\x80\x9b", "\\xe0\\x80\\x9b", "$'\\xe0\\x80\\x9b'"},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80", "$'\\xed\\xa0\\x80'"},
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "$'\\xf4\\x90\\x80\\x80'"},
    {"\xe2\x82z", "\\xe2\\x82z", "$'\\xe2\\x82z'"},
};

#define NR_NAMES (sizeof(names) / sizeof(names[0]))

static void test_safe(void **state)
{
    char out[256], again[256];

    (void)state;
    for (size_t i = 0; i < NR_NAMES; i++) {
        size_t n = xc_text_safe(names[i].in, strlen(names[i].in), out, sizeof(out));

        assert_string_equal(out, names[i].safe);
        assert_int_equal(n, strlen(out));
        /* A second time changes nothing. */
        assert_int_equal(xc_text_safe(out, n, again, sizeof(again)), n);
        assert_string_equal(again, out);
    }
    assert_true(xc_text_is_utf8("a\x1b\xe2\x82\xac", 5));
    assert_false(xc_text_is_utf8("a\xc0\x9b", 3));
    assert_false(xc_text_is_utf8("\xe2\x82\xac", 2));
    assert_int_equal(xc_text_safe("a\0b", 3, out, sizeof(out)), 6);
    assert_string_equal(out, "a\\x00b");
}

/* What does not fit is cut between characters and escapes, and nothing behind the cut is written.
 */
static void test_cut(void **state)
{
    static const char in[] = "\xe2\x82\xac\x1bz"; /* 3 + 4 + 1 bytes */
    static const size_t lengths[] = {0, 0, 0, 0, 3, 3, 3, 3, 7, 8, 8};

    (void)state;
    for (size_t size = 0; size < sizeof(lengths) / sizeof(lengths[0]); size++) {
        char out[16];

        memset(out, '#', sizeof(out));
        assert_int_equal(xc_text_safe(in, sizeof(in) - 1, out, size), 8);
        if (size)
            assert_int_equal(strlen(out), lengths[size]);
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], '#');
    }
}

static void test_shell(void **state)
{
    char out[256];

    (void)state;
    for (size_t i = 0; i < NR_NAMES; i++) {
        assert_int_equal(xc_text_shell(names[i].in, out, sizeof(out)), strlen(names[i].shell));
        assert_string_equal(out, names[i].shell);
    }
}

/* The words mean to a shell what they are to mean. */
static void test_shell_reads_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_NAMES; i++) {
        char word[256], command[512], got[256];
        FILE *bash;
        size_t n;

        (void)xc_text_shell(names[i].in, word, sizeof(word));
        (void)snprintf(command, sizeof(command), "exec bash -c 'printf %%s \"$0\"' %s", word);
        (void)setenv("WORD", command, 1);
        bash = popen("exec bash -c \"$WORD\"", "re"); /* NOLINT(cert-env33-c) */
        assert_non_null(bash);
        n = fread(got, 1, sizeof(got) - 1, bash);
        got[n] = '\0';
        assert_int_equal(pclose(bash), 0);
        assert_string_equal(got, names[i].in);
    }
}

static void compare_formats(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* As vsnprintf() has it, where no argument is foreign. */
static void compare_formats(const char *fmt, ...)
{
    char ours[512], theirs[512], *allocated;
    va_list ap, second, third;
    int n;

    va_start(ap, fmt);
    va_copy(second, ap);
    va_copy(third, ap);
    n = vsnprintf(theirs, sizeof(theirs), fmt, ap);
    assert_int_equal(xc_text_vprint(ours, sizeof(ours), fmt, second), n);
    allocated = xc_text_vformat(fmt, third);
    va_end(third);
    va_end(second);
    va_end(ap);
    assert_string_equal(ours, theirs);
    assert_non_null(allocated);
    assert_string_equal(allocated, theirs);
    free(allocated);
}

static void test_formats(void **state)
{
    (void)state;
    compare_formats("plain\n\ttext: 100%%");
    compare_formats("%s|%10s|%-10s|%.2s|%*s|%-*s|%.*s|", "a", "bc", "de", "fgh", 5, "i", -5, "j", 2,
                    "klm");
    compare_formats("%d %i %5d %-5d| %05d %+d % d %.3d", 1, -2, 3, 4, 5, 6, 7, 8);
    compare_formats("%u %x %X %#x %08x %#o %#010x", 1u, 0xabcu, 0xdefu, 16u, 17u, 8u, 9u);
    compare_formats("%ld %lu %lx %lld %llu %llx", -1l, 2ul, 3ul, -4ll, 5ull, ULLONG_MAX);
    compare_formats("%zu %zd %jd %ju %td %hu %hhu", (size_t)-1, (ssize_t)-2, (intmax_t)-3,
                    (uintmax_t)-4, (ptrdiff_t)-5, (unsigned short)6, (unsigned char)7);
    compare_formats("%.1f %6.2f %g %e %f", 1.25, 3.14159, 1e9, 0.5, -2.0);
    compare_formats("%c%c %p", 'a', 'z', (void *)state);
    compare_formats("%0*d %-+8.3f|", 7, 42, 2.5);
}

static void test_foreign_arguments(void **state)
{
    char out[64];

    (void)state;
    (void)xc_text_print(out, sizeof(out), "'%s'\n%d: %.3s%c", "a\nb", 7, "\x1b[2J", '\r');
    assert_string_equal(out, "'a\\x0ab'\n7: \\x1b[2\\x0d");
    (void)xc_text_print(out, sizeof(out), "[%6s] [%-6s]", "\x1b", "\x1b");
    assert_string_equal(out, "[  \\x1b] [\\x1b  ]");
    /* A precision never leaves half a character. */
    (void)xc_text_print(out, sizeof(out), "%.4s|%.5s", "ab\xe2\x82\xac", "ab\xe2\x82\xac");
    assert_string_equal(out, "ab|ab\xe2\x82\xac");
    /* Nor does the end of the buffer. */
    assert_int_equal(xc_text_print(out, 6, "%s", "abc\x1b"), 7);
    assert_string_equal(out, "abc");
}

/* A text without a NUL, at the end of all memory: a precision looks at no byte behind it. */
static void test_precision_is_the_end(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"ab", "ab"},
                 {"ab\xe2", "ab"},
                 {"ab\xe2\x82", "ab"},
                 {"ab\xe2\x82\xac", "ab\xe2\x82\xac"},
                 {"\xf0\x9f\x98", ""},
                 {"a\xc3\xff", "a\\xc3\\xff"},
                 {"a\x80\x80\x80\x80", "a\\x80\\x80\\x80\\x80"}};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].in);
        char out[64];

        memcpy(memory + page - n, cases[i].in, n);
        (void)xc_text_print(out, sizeof(out), "%.*s", (int)n, memory + page - n);
        assert_string_equal(out, cases[i].out);
    }
    assert_int_equal(munmap(memory, 2 * page), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_shell),
        cmocka_unit_test(test_shell_reads_it),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_foreign_arguments),
        cmocka_unit_test(test_precision_is_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
