/* SPDX-License-Identifier: MIT */
/* JSON on any stream (tools/common/json.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"

static void test_compact(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    struct json *j = json_begin_compact(f);

    (void)state;
    json_object(j, NULL);
    json_string(j, "name", "a\n\x7f\xc2\x9b\xe2\x80\xae\xc3\xa4");
    json_string(j, "none", NULL);
    json_string(j, "bytes", "\xff");
    json_flush(j);
    json_array(j, "numbers");
    json_number(j, NULL, UINT64_MAX);
    json_hex(j, NULL, 0x8000001f);
    json_bool(j, NULL, true);
    json_close_array(j);
    json_close_object(j);
    assert_int_equal(json_end(j), 0);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, "{\"name\":\"a\\n\\u007f\\u009b\\u202e\xc3\xa4\",\"none\":null,"
                              "\"bytes\":\"\\\\xff\",\"numbers\":[18446744073709551615,"
                              "\"0x8000001f\",true]}");
    free(text);
}

/* What cannot be written is said, and not written a second time. */
static void test_full(void **state)
{
    FILE *f = fopen("/dev/full", "we");
    struct json *j;

    (void)state;
    assert_non_null(f);
    j = json_begin_compact(f);
    json_array(j, NULL);
    json_close_array(j);
    assert_int_equal(json_end(j), 2);
    assert_int_equal(fclose(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
