/* SPDX-License-Identifier: MIT */
/*
 * Scripted guests: all that they are is their registers and memory, they notice what is wrong, and
 * equal seeds give equal histories.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <xen/sched.h>

#include "simhost.h"

#define MACHINE "intel-cascadelake-sp"

static const enum sim_script scripts[] = {SCRIPT_STEADY, SCRIPT_WRITER, SCRIPT_VECTOR};

static struct sim_guest_vcpu notes_of(struct domain *d, uint32_t vcpu)
{
    struct sim_guest_vcpu notes;

    simguest_notes(d, vcpu, &notes);
    return notes;
}

/* A whole guest from MACHINE: it boots and has run a while. */
static struct domain *running_guest(struct sim_host *h, enum sim_script script, bool hvm)
{
    struct domain *d = simguest_start(
        h, &(struct simguest){.script = script, .hvm = hvm, .nr_vcpus = 1, .nr_pages = 80});

    assert_non_null(d);
    assert_int_equal(sim_host_run(h, 40), 40);
    assert_int_equal(notes_of(d, 0).status, GUEST_RUNNING);
    return d;
}

/* ---- all state is the VM's ---- */

/*
 * Moved after every single step, to and fro between hosts with other histories, a guest is in the
 * end, bit for bit, what its twin is that never moved: nothing of it is anywhere else.
 */
static void move_at_every_step(enum sim_script script, bool hvm)
{
    const struct simguest guest = {
        .script = script, .hvm = hvm, .nr_vcpus = 1, .nr_pages = 80, .seed = 7};
    struct sim_host *twins = simhost_boot(MACHINE, 1, 64, 1);
    struct sim_host *hosts[2] = {simhost_boot(MACHINE, 2, 64, 2), simhost_boot(MACHINE, 3, 64, 3)};
    struct domain *twin = simguest_start(twins, &guest), *d = simguest_start(hosts[0], &guest);

    for (unsigned int step = 1; step <= 300; step++) {
        struct domain *next;

        assert_int_equal(sim_host_run(twins, 1), 1);
        assert_int_equal(sim_host_run(hosts[(step - 1) % 2], 1), 1);
        assert_int_equal(notes_of(d, 0).ticks, step);
        assert_int_equal(notes_of(d, 0).status, GUEST_RUNNING);
        assert_true(simguest_digest(d) == simguest_digest(twin));
        next = simguest_copy(d, hosts[step % 2], &d->policy);
        domain_destroy(d);
        d = next;
    }
    if (script != SCRIPT_STEADY)
        assert_true(notes_of(d, 0).work > 20);
    else
        assert_true(notes_of(d, 0).checks > 200);
    simhost_halt(twins);
    simhost_halt(hosts[0]);
    simhost_halt(hosts[1]);
}

static void pv_moves_at_every_step(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 3; i++)
        move_at_every_step(scripts[i], false);
}

static void hvm_moves_at_every_step(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 3; i++)
        move_at_every_step(scripts[i], true);
}

/* Every vCPU goes on, each for itself. */
static void secondary_vcpus_move(void **state)
{
    struct sim_host *hosts[2] = {simhost_boot(MACHINE, 2, 64, 2), simhost_boot(MACHINE, 3, 64, 3)};

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        struct domain *d = simguest_start(
            hosts[0],
            &(struct simguest){
                .script = scripts[i], .hvm = i & 1, .nr_vcpus = 3, .nr_pages = 80, .seed = 11 + i});
        uint64_t ticks = 0;

        for (unsigned int round = 1; round <= 60; round++) {
            struct domain *next;

            assert_int_equal(sim_host_run(hosts[(round - 1) % 2], 7), 7);
            next = simguest_copy(d, hosts[round % 2], &d->policy);
            domain_destroy(d);
            d = next;
        }
        for (uint32_t v = 0; v < 3; v++) {
            assert_int_equal(notes_of(d, v).status, GUEST_RUNNING);
            assert_true(notes_of(d, v).ticks > 60);
            ticks += notes_of(d, v).ticks;
        }
        assert_int_equal(ticks, 60 * 7);
        domain_destroy(d);
    }
    simhost_halt(hosts[0]);
    simhost_halt(hosts[1]);
}

/* ---- they notice ---- */

/* The disease of the real world: AVX-512 was there at boot and is not any more. */
static void vector_dies_where_its_extension_is_not(void **state)
{
    (void)state;
    for (unsigned int hvm = 0; hvm < 2; hvm++) {
        struct sim_host *from = simhost_boot(MACHINE, 1, 64, 1);
        struct sim_host *good = simhost_boot("intel-skylake-sp", 1, 64, 1);
        struct sim_host *bad = simhost_boot("intel-haswell-ep", 1, 64, 1);
        struct domain *d = running_guest(from, SCRIPT_VECTOR, hvm);
        struct domain *lives = simguest_copy(d, good, &d->policy);
        struct domain *dies = simguest_copy(d, bad, &d->policy);

        assert_int_equal(notes_of(d, 0).level, 0); /* AVX-512F, the first of its list */
        assert_int_equal(sim_host_run(good, 40), 40);
        assert_int_equal(notes_of(lives, 0).status, GUEST_RUNNING);

        assert_int_equal(sim_host_run(bad, 40), 1);
        assert_int_equal(notes_of(dies, 0).status, GUEST_DIED_UD);
        assert_true(dies->shutdown);
        assert_int_equal(dies->shutdown_reason, SHUTDOWN_crash);
        assert_true(simhost_said(bad, "d1v0: #UD in its vector loop"));
        simhost_halt(from);
        simhost_halt(good);
        simhost_halt(bad);
    }
}

/* It takes what its policy says, not what the silicon has. */
static void vector_chooses_by_policy(void **state)
{
    static const struct {
        const char *machine;
        uint32_t level;
    } known[] = {{"intel-granite-rapids", 0}, {"intel-haswell-ep", 1},  {"amd-castle-peak", 1},
                 {"intel-sandybridge-ep", 2}, {"intel-nehalem-ep", 3},  {"intel-penryn", 4},
                 {"amd-shanghai", 4},         {"amd-granite-ridge", 0}, {"amd-k8-santa-rosa", 4}};

    (void)state;
    for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_host *h = simhost_boot(known[i].machine, 1, 64, 1);
        struct domain *d = running_guest(h, SCRIPT_VECTOR, false);

        if (notes_of(d, 0).level != known[i].level)
            fail_msg("%s: level %u, expected %u", known[i].machine, notes_of(d, 0).level,
                     known[i].level);
        simhost_halt(h);
    }
}

/* Clamped without a word, as stock hypervisors do it: the guest sees it at its next step. */
static void steady_sees_another_cpu(void **state)
{
    (void)state;
    for (unsigned int hvm = 0; hvm < 2; hvm++) {
        struct sim_host *from = simhost_boot(MACHINE, 1, 64, 1);
        struct sim_host *to = simhost_boot("intel-haswell-ep", 1, 64, 1);
        struct domain *d = running_guest(from, SCRIPT_STEADY, hvm);
        struct cpu_policy clamped = d->policy;
        struct sim_guest_vcpu n;

        clamped.feat[0].b &= ~(1u << 16); /* AVX512F */
        d = simguest_copy(d, to, &clamped);
        assert_int_equal(sim_host_run(to, 40), 1); /* and then it waits to be looked at */
        n = notes_of(d, 0);
        assert_int_equal(n.status, GUEST_CPU_CHANGED);
        assert_int_equal(n.changed_leaf, 7);
        assert_int_equal(n.changed_subleaf, 0);
        assert_int_equal(n.expected ^ n.seen, 1u << 16);
        assert_false(d->shutdown);
        simhost_halt(from);
        simhost_halt(to);
    }
}

/* A PV guest's CPUID is the hardware's where it cannot fault: a policy alone does not hide it. */
static void steady_sees_the_hardware(void **state)
{
    struct sim_host *from = simhost_boot("intel-nehalem-ep", 1, 64, 1);
    struct sim_host *to = simhost_boot("virtual-skylake-sp", 1, 64, 1);
    struct domain *pv = running_guest(from, SCRIPT_STEADY, false);
    struct domain *hvm = running_guest(from, SCRIPT_STEADY, true);
    uint64_t ticks;

    (void)state;
    pv = simguest_copy(pv, to, &pv->policy);
    hvm = simguest_copy(hvm, to, &hvm->policy);
    (void)sim_host_run(to, 40);
    /* Its kernel asks the hypervisor, finds what it knows, and goes on. */
    assert_int_equal(notes_of(pv, 0).status, GUEST_PROGRAMS_CHANGED);
    ticks = notes_of(pv, 0).ticks;
    (void)sim_host_run(to, 40);
    assert_true(notes_of(pv, 0).ticks > ticks);
    assert_int_equal(notes_of(pv, 0).status, GUEST_PROGRAMS_CHANGED);
    assert_int_equal(notes_of(hvm, 0).status, GUEST_RUNNING);
    simhost_halt(from);
    simhost_halt(to);
}

static void a_lost_register_is_seen(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);

    (void)state;
    for (unsigned int i = 0; i < 3; i++)
        for (unsigned int reg = 0; reg < 16; reg += 5) {
            struct domain *d = running_guest(h, scripts[i], true);

            d->vcpus[0]->regs.gpr[reg] ^= 1ull << 40;
            (void)sim_host_run(h, 20);
            assert_int_equal(notes_of(d, 0).status, GUEST_REGISTER_BAD);
            domain_destroy(d);
        }
    simhost_halt(h);
}

static void a_lost_vector_register_is_seen(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);
    struct domain *d = running_guest(h, SCRIPT_VECTOR, true);

    (void)state;
    /* Everything beyond the legacy area, where AVX-512's components are. */
    memset(d->vcpus[0]->regs.xsave + 576, 0, VCPU_XSAVE_SIZE - 576);
    (void)sim_host_run(h, 20);
    assert_int_equal(notes_of(d, 0).status, GUEST_REGISTER_BAD);
    simhost_halt(h);
}

static void a_lost_page_is_seen(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);
    struct domain *d = running_guest(h, SCRIPT_WRITER, true);
    uint64_t bad = SIMGUEST_WRITER_GFN + 2, was;

    (void)state;
    assert_true(notes_of(d, 0).work > 2 * SIMGUEST_WRITER_GFNS); /* has written each one */
    assert_int_equal(memory_read(d, (bad << 12) + 4088, &was, sizeof(was)), 0);
    was ^= 1;
    assert_int_equal(memory_write(d, (bad << 12) + 4088, &was, sizeof(was)), 0);
    (void)sim_host_run(h, 20);
    assert_int_equal(notes_of(d, 0).status, GUEST_MEMORY_BAD);
    assert_int_equal(notes_of(d, 0).changed_leaf, bad);
    simhost_halt(h);
}

static void without_a_program_it_crashes(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);
    struct domain *d = running_guest(h, SCRIPT_STEADY, true);
    struct domain *lost = running_guest(h, SCRIPT_STEADY, false);
    const uint64_t zero = 0;

    (void)state;
    assert_int_equal(memory_write(d, SIM_GUEST_GFN << 12, &zero, sizeof(zero)), 0);
    assert_int_equal(memory_release(lost, SIM_GUEST_GFN), 0);
    (void)sim_host_run(h, 40);
    assert_true(d->shutdown && lost->shutdown);
    assert_int_equal(d->shutdown_reason, SHUTDOWN_crash);
    assert_int_equal(lost->shutdown_reason, SHUTDOWN_crash);
    assert_true(simhost_said(h, "d1v0: no program at 10000"));
    simhost_halt(h);
}

/* ---- the writer's rate, and what is logged of it ---- */

static void writer_keeps_its_rate(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);
    struct domain *d = running_guest(h, SCRIPT_WRITER, true);
    struct sim_guest_vcpu n;

    (void)state;
    (void)sim_host_run(h, 5000);
    n = notes_of(d, 0);
    /* 100000 pages a second: one in 10 us of the time that it has run. */
    assert_in_range(n.work, n.time_ns / 10000 - 64, n.time_ns / 10000);
    simhost_halt(h);
}

static void writer_is_logged(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 1, 64, 1);
    struct domain *d = running_guest(h, SCRIPT_WRITER, true);
    uint64_t before;

    (void)state;
    assert_int_equal(log_dirty_enable(d), 0);
    before = notes_of(d, 0).work;
    while (notes_of(d, 0).work < before + SIMGUEST_WRITER_GFNS)
        assert_int_equal(sim_host_run(h, 1), 1);
    for (uint64_t gfn = 0; gfn < 80; gfn++) {
        bool written = gfn == SIM_GUEST_GFN || (gfn >= SIMGUEST_WRITER_GFN &&
                                                gfn < SIMGUEST_WRITER_GFN + SIMGUEST_WRITER_GFNS);

        assert_int_equal(d->memory.dirty[gfn / 64] >> (gfn % 64) & 1, written);
    }
    simhost_halt(h);
}

/* ---- determinism ---- */

/* `batch`: steps asked for at once.  The digest of everything that the guests are. */
static uint64_t history(uint64_t seed, uint64_t batch)
{
    struct sim_host *h = simhost_boot(MACHINE, 3, 64, seed);
    struct domain *d[6];
    uint64_t digest = 0;

    for (unsigned int i = 0; i < 6; i++)
        d[i] = simguest_start(h, &(struct simguest){.script = scripts[i % 3],
                                                    .hvm = i >= 3,
                                                    .nr_vcpus = 1 + i % 2,
                                                    .nr_pages = 80,
                                                    .seed = i});
    for (uint64_t n = 0; n < 6000; n += batch)
        assert_int_equal(sim_host_run(h, batch), batch);
    for (unsigned int i = 0; i < 6; i++)
        digest = digest * 31 + simguest_digest(d[i]);
    digest = digest * 31 + h->platform.now;
    simhost_halt(h);
    return digest;
}

static void equal_seeds_equal_histories(void **state)
{
    uint64_t first = history(42, 6000);

    (void)state;
    assert_true(history(42, 6000) == first);
    assert_true(history(42, 1) == first); /* however the steps are asked for */
    assert_true(history(42, 75) == first);
    assert_false(history(43, 6000) == first);
}

static void idle_time_is_jumped_over(void **state)
{
    struct sim_host *h = simhost_boot(MACHINE, 2, 64, 1);
    struct domain *d;
    uint64_t now;

    (void)state;
    assert_int_equal(sim_host_run(h, 10), 0); /* nobody there */
    d = running_guest(h, SCRIPT_STEADY, true);
    now = h->platform.now;
    vcpu_block(d->vcpus[0], now + 3600000000000ull);
    assert_int_equal(sim_host_run(h, 1), 1);
    assert_in_range(h->platform.now, now + 3600000000000ull, now + 3600001000000ull);
    assert_int_equal(domain_pause(d), 0);
    assert_int_equal(sim_host_run(h, 10), 0);
    simhost_halt(h);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(sim_script_name(SCRIPT_WRITER), "writer");
    assert_null(sim_script_name(0));
    assert_null(sim_script_name(4));
    assert_string_equal(sim_guest_status_name(GUEST_DIED_UD), "died-ud");
    assert_string_equal(sim_guest_status_name(99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pv_moves_at_every_step),
        cmocka_unit_test(hvm_moves_at_every_step),
        cmocka_unit_test(secondary_vcpus_move),
        cmocka_unit_test(vector_dies_where_its_extension_is_not),
        cmocka_unit_test(vector_chooses_by_policy),
        cmocka_unit_test(steady_sees_another_cpu),
        cmocka_unit_test(steady_sees_the_hardware),
        cmocka_unit_test(a_lost_register_is_seen),
        cmocka_unit_test(a_lost_vector_register_is_seen),
        cmocka_unit_test(a_lost_page_is_seen),
        cmocka_unit_test(without_a_program_it_crashes),
        cmocka_unit_test(writer_keeps_its_rate),
        cmocka_unit_test(writer_is_logged),
        cmocka_unit_test(equal_seeds_equal_histories),
        cmocka_unit_test(idle_time_is_jumped_over),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
