/* SPDX-License-Identifier: MIT */
/*
 * Scripted guests: booting, the registers that every one of them carries, and CPUID as they see it.
 * The scripts are in guest-scripts.c.
 */
#include <string.h>

#include <pv.h>
#include <sim/guest.h>

#include "guest-private.h"

#include <xen/sched.h>

#define STEP_NS 20000u

uint64_t guest_mix(uint64_t a, uint64_t b, uint64_t c)
{
    /* splitmix64 over what identifies the value. */
    uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1) + 0xd1b54a32d192ed03ull * (c + 1);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void sim_guest_cpuid(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint32_t leaf,
                     uint32_t subleaf, struct cpuid_regs *regs)
{
    const struct sim_pcpu *cpu = &hv->platform->pcpus[pcpu];

    /* An HVM guest exits.  All of a PV guest runs at CPL 3 (SDM vol. 3A, 6.5: 64-bit guests have
     * no other ring left), where CPUID may fault. */
    if (v->domain->hvm || !sim_pcpu_cpuid(cpu, 3, leaf, subleaf, regs))
        guest_cpuid(v, leaf, subleaf, regs);
}

void sim_guest_kernel_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *regs)
{
    guest_cpuid(v, leaf, subleaf, regs);
}

/* ---- memory ---- */

int guest_read(const struct guest_run *run, uint64_t address, void *dst, size_t size)
{
    return run->v->domain->hvm ? memory_read(run->v->domain, address, dst, size)
                               : pv_memory_read(run->v, address, dst, size);
}

int guest_write(const struct guest_run *run, uint64_t address, const void *src, size_t size)
{
    return run->v->domain->hvm ? memory_write(run->v->domain, address, src, size)
                               : pv_memory_write(run->v, address, src, size);
}

/* ---- registers ---- */

/* A PV guest is at every step ready to be suspended: RDX of its first vCPU is what real ones call
 * the hypervisor with then, the frame of their start info (SCHEDOP_shutdown, <xen/sched.h>). */
static bool is_taken(const struct guest_run *run, unsigned int gpr)
{
    return gpr == GPR_RDX && run->v->id == 0 && !run->v->domain->hvm;
}

/* RSP and the others between two steps: what the script left there, told apart by tick. */
static void leave_registers(struct guest_run *run)
{
    for (unsigned int i = 0; i < NR_GPRS; i++)
        if (!is_taken(run, i))
            run->v->regs.gpr[i] =
                guest_mix(run->page.seed, (uint64_t)run->v->id << 32 | i, run->me.ticks);
}

static bool registers_are_there(const struct guest_run *run)
{
    for (unsigned int i = 0; i < NR_GPRS; i++)
        if (!is_taken(run, i) &&
            run->v->regs.gpr[i] !=
                guest_mix(run->page.seed, (uint64_t)run->v->id << 32 | i, run->me.ticks))
            return false;
    return true;
}

/* As an operating system: what the CPU offers of XSAVE is turned on. */
static void turn_xsave_on(struct guest_run *run)
{
    struct cpuid_regs one, d;

    guest_kernel_ask(run, 1, 0, &one);
    if (!(one.c >> 26 & 1)) /* XSAVE */
        return;
    if (vcpu_write_cr4(run->v, run->v->regs.cr4 | CR4_OSXSAVE))
        return;
    guest_kernel_ask(run, 0xd, 0, &d);
    /* x87, SSE, AVX and AVX-512, where they are offered. */
    (void)vcpu_write_xcr0(run->v, (uint64_t)(d.a & 0xe7u) | 1);
}

/* ---- one step ---- */

static uint64_t address_of_me(const struct guest_run *run)
{
    return run->v->regs.rip + sizeof(run->page) + run->v->id * sizeof(run->me);
}

static bool load_guest(struct guest_run *run)
{
    return !guest_read(run, run->v->regs.rip, &run->page, sizeof(run->page)) &&
           run->page.magic == SIM_GUEST_MAGIC && sim_script_name(run->page.script) &&
           run->v->id < SIM_GUEST_MAX_VCPUS &&
           !guest_read(run, address_of_me(run), &run->me, sizeof(run->me));
}

static void boot_guest(struct guest_run *run)
{
    turn_xsave_on(run);
    run->me.status = GUEST_RUNNING;
    guest_remember_cpuid(run);
    if (run->page.script == SCRIPT_VECTOR)
        guest_vector_boot(run);
}

static void run_script(struct guest_run *run)
{
    switch (run->page.script) {
    case SCRIPT_STEADY:
        guest_steady(run);
        break;
    case SCRIPT_WRITER:
        guest_writer(run);
        break;
    default:
        guest_vector(run);
        break;
    }
}

void sim_guest_step(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint64_t *ns)
{
    struct guest_run run = {.hv = hv, .pcpu = pcpu, .v = v};
    struct domain *d = v->domain;

    *ns = STEP_NS;
    if (!load_guest(&run)) {
        /* A triple fault: there is no program where RIP points. */
        printk(hv, "d%uv%u: no program at %lx", d->id, v->id, v->regs.rip);
        domain_shutdown(d, SHUTDOWN_crash);
        return;
    }
    if (run.me.status == GUEST_FRESH)
        boot_guest(&run);
    else if (!registers_are_there(&run))
        run.me.status = GUEST_REGISTER_BAD;
    if (guest_is_well(run.me.status) && !d->hvm)
        guest_pv_look_around(&run);
    if (guest_is_well(run.me.status))
        run_script(&run);
    run.me.ticks++;
    run.me.time_ns += *ns;
    leave_registers(&run);
    (void)guest_write(&run, address_of_me(&run), &run.me,
                      sizeof(run.me)); /* load_guest() read it there */
    if (run.me.status == GUEST_DIED_UD) {
        printk(hv, "d%uv%u: #UD in its vector loop", d->id, v->id);
        domain_shutdown(d, SHUTDOWN_crash);
    } else if (!guest_is_well(run.me.status)) {
        /* It has noticed, and waits to be looked at. */
        vcpu_block(v, 0);
    } else if (run.page.script != SCRIPT_VECTOR && run.me.ticks % 16 == 0) {
        vcpu_block(v, platform_now(hv->platform) + *ns * 3);
    }
}
