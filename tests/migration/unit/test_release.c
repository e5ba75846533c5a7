/* SPDX-License-Identifier: MIT */
/* Which Xen takes the save records of which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "xc_release.h"

#include <string.h>

static const struct {
    const char *text;
    bool readable;
    struct xc_release r;
} texts[] = {
    {"4.17.7", true, {4, 17, 7}},
    {"4.20", true, {4, 20, -1}},
    {"4.17.4-pre", true, {4, 17, -1}},
    {"4.22.0-rc1", true, {4, 22, -1}},
    {"4.17.7-fake", true, {4, 17, 7}},
    {"4.20.4+63-g3c", true, {4, 20, 4}},
    {"4.17-xenlevel", true, {4, 17, -1}},
    {"4.18.", true, {4, 18, -1}},
    {"", false, {0, 0, 0}},
    {"xen", false, {0, 0, 0}},
    {"4.x", false, {0, 0, 0}},
    {"4.99999", false, {0, 0, 0}},
    {"4", false, {0, 0, 0}},
    {NULL, false, {0, 0, 0}},
};

static void releases_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct xc_release r;

        assert_int_equal(xc_read_release(texts[i].text, &r), texts[i].readable);
        if (texts[i].readable && (r.major != texts[i].r.major || r.minor != texts[i].r.minor ||
                                  r.point != texts[i].r.point))
            fail_msg("%s: %u.%u.%d", texts[i].text, r.major, r.minor, r.point);
    }
}

/* What hvm/save.h of each release has.  Seen on real Xen: 4.20.4 to 4.17.7 fails after all memory.
 */
static const struct {
    const char *from, *to, *says;
} pairs[] = {
    {"4.17.7", "4.17.7", NULL},
    {"4.17", "4.17.7", NULL},
    {"4.17.7", "4.20.4", NULL},
    {"4.17.7", "4.22.0", NULL},
    {"4.20.4", "4.17.7", "it writes"},
    {"4.20", "4.17.7", "it may write"},
    {"4.20.0", "4.17.7", NULL},
    {"4.20.1", "4.17.7", "it writes"},
    {"4.19.1", "4.17.7", NULL},
    {"4.19.2", "4.17.7", "it writes"},
    {"4.18.4", "4.17.7", NULL},
    {"4.18.5", "4.17.7", "it writes"},
    {"4.18", "4.17.7", "it may write"},
    {"4.21", "4.17.7", "it writes"},
    {"4.21.0", "4.20.0", "it writes"},
    {"4.21.0", "4.20.1", NULL},
    {"4.22", "4.18.4", "it writes"},
    {"4.22", "4.18.5", NULL},
    {"4.20.4", "4.20.0", "it writes"},
    {"4.20", "4.20.0", NULL},
    {"4.19", "4.20.0", "it may write"},
    {"4.22", "4.20.4", NULL},
    {"4.22.0", "4.20", NULL},
    {"4.23", "4.22.0", "it is newer than all"},
    {"4.23.1", "4.23.0", "it is newer than all"},
    {"4.23", "4.23.0", NULL},
    {"4.22", "4.23.0", NULL},
    {"5.0", "4.22.0", "it is newer than all"},
    {"3.4", "4.17.7", NULL},
};

static void newer_records_are_an_obstacle(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct xc_release from, to;
        const char *says;

        assert_true(xc_read_release(pairs[i].from, &from) && xc_read_release(pairs[i].to, &to));
        says = xc_release_obstacle(&from, &to);
        if (!says != !pairs[i].says ||
            (says && strncmp(says, pairs[i].says, strlen(pairs[i].says)) != 0))
            fail_msg("%s to %s: %s", pairs[i].from, pairs[i].to, says ? says : "(nothing)");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_are_read),
        cmocka_unit_test(newer_records_are_an_obstacle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
