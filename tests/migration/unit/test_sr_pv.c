/* SPDX-License-Identifier: MIT */
/* Page tables between machine frames and pseudo-physical ones, and where those are kept.  The rest
 * of PV's save and restore is tested on real Xen: tests/migration/lab/test_stream.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <xc_sr_pv.h>

#define PRESENT 1ull
#define NX      (1ull << 63)

struct map {
    uint64_t add, none; /* frame + add; `none` cannot be translated */
};

static bool shift(void *data, uint64_t from, uint64_t *to)
{
    const struct map *m = data;

    *to = from + m->add;
    return from != m->none;
}

static void there_and_back(void **state)
{
    uint64_t in[SR_PV_PER_FRAME], mid[SR_PV_PER_FRAME], out[SR_PV_PER_FRAME];
    struct map up = {1000, UINT64_MAX}, down = {(uint64_t)-1000, UINT64_MAX};
    unsigned int bad;

    (void)state;
    for (unsigned int level = 1; level <= 4; level++) {
        for (unsigned int i = 0; i < SR_PV_PER_FRAME; i++)
            in[i] = i % 3 == 2 ? (uint64_t)i << 12 | 0x60 /* not present: anything */
                               : NX | (uint64_t)(i + 7) << 12 | 0x67 | PRESENT;
        assert_int_equal(sr_pv_translate_table(level, in, mid, shift, &up, &bad), 0);
        for (unsigned int i = 0; i < SR_PV_PER_FRAME; i++)
            if (level == 4 && i >= 256 && i < 272)
                assert_int_equal(mid[i], 0);
            else
                assert_int_equal(mid[i], i % 3 == 2 ? in[i] : in[i] + (1000ull << 12));
        assert_int_equal(sr_pv_translate_table(level, mid, out, shift, &down, &bad), 0);
        for (unsigned int i = 0; i < SR_PV_PER_FRAME; i++)
            assert_int_equal(out[i], level == 4 && i >= 256 && i < 272 ? 0 : in[i]);
    }
}

static void a_frame_that_is_not_there(void **state)
{
    uint64_t in[SR_PV_PER_FRAME] = {0}, out[SR_PV_PER_FRAME];
    struct map m = {0, 42};
    unsigned int bad = 0;

    (void)state;
    in[511] = 42ull << 12 | PRESENT;
    for (unsigned int level = 1; level <= 4; level++) {
        assert_int_equal(sr_pv_translate_table(level, in, out, shift, &m, &bad), -1);
        assert_int_equal(bad, 511);
    }
    in[511] = 42ull << 12; /* not present: no frame */
    assert_int_equal(sr_pv_translate_table(1, in, out, shift, &m, &bad), 0);
    in[260] = 42ull << 12 | PRESENT; /* Xen's own, of the top level only */
    assert_int_equal(sr_pv_translate_table(4, in, out, shift, &m, &bad), 0);
    assert_int_equal(sr_pv_translate_table(3, in, out, shift, &m, &bad), -1);
    assert_int_equal(bad, 260);
}

static void large_pages(void **state)
{
    uint64_t in[SR_PV_PER_FRAME] = {0}, out[SR_PV_PER_FRAME];
    struct map m = {5, UINT64_MAX};
    unsigned int bad;

    (void)state;
    in[3] = 9ull << 12 | 0x80 | PRESENT;
    assert_int_equal(sr_pv_translate_table(1, in, out, shift, &m, &bad), 0); /* PAT there */
    assert_int_equal(out[3], 14ull << 12 | 0x80 | PRESENT);
    for (unsigned int level = 2; level <= 4; level++) {
        assert_int_equal(sr_pv_translate_table(level, in, out, shift, &m, &bad), -1);
        assert_int_equal(bad, 3);
    }
}

static void levels(void **state)
{
    static const uint8_t of[16] = {0, 1, 2, 3, 4, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0};

    (void)state;
    for (unsigned int type = 0; type < 16; type++)
        assert_int_equal(sr_pv_level(type), of[type]);
}

/* Numbers that are far apart are kept apart, and where none was is 0. */
static void sparse(void **state)
{
    static const uint64_t at[] = {0, 63, 64, 511, 4096, 1ull << 24, 1ull << 32, SR_SPARSE_MAX - 1};
    struct sr_sparse s = {.last = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        uint64_t *v = sr_sparse_at(&s, at[i]);

        assert_non_null(v);
        assert_int_equal(*v, 0);
        *v = i + 1;
        assert_int_equal(sr_sparse_get(&s, at[i] ^ 0x200000), 0);
    }
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        assert_int_equal(sr_sparse_get(&s, at[i]), i + 1);
        assert_int_equal(sr_sparse_get(&s, at[i] ^ 1), 0);
        assert_int_equal(*sr_sparse_at(&s, at[i]), i + 1);
    }
    sr_sparse_free(&s);
    assert_int_equal(sr_sparse_get(&s, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(a_frame_that_is_not_there),
        cmocka_unit_test(large_pages),    cmocka_unit_test(levels),
        cmocka_unit_test(sparse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
