/* SPDX-License-Identifier: MIT */
/* The probe's hypercalls: time, events, parameters, shutdown. */
#include "probe.h"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define SHARED_INFO_GFN 0xfe000ul /* no RAM there: Xen's special pages begin above */

static struct shared_info *const shared = (void *)(SHARED_INFO_GFN << 12);

static long hypercall(unsigned int number, unsigned long a, const void *b)
{
    long ret;

    asm volatile("call *%[entry]"
                 : "=a"(ret), "+D"(a), "+S"(b)
                 : [entry] "r"(hypercall_page + number * 32)
                 : "memory", "rcx", "rdx", "r8", "r9", "r10", "r11");
    return ret;
}

static void set_param(uint32_t index, uint64_t value)
{
    struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index, .value = value};

    hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, &p);
}

uint64_t xen_param(uint32_t index)
{
    struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index};

    return hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, &p) ? 0 : p.value;
}

static void install_hypercall_page(void)
{
    struct cpuid_regs r;
    uint32_t base;
    uint64_t page = (uintptr_t)hypercall_page;

    for (base = 0x40000000; base < 0x40010000; base += 0x100) {
        r = cpuid(base, 0);
        if (r.reg[1] == 0x566e6558 && r.reg[2] == 0x65584d4d &&
            r.reg[3] == 0x4d4d566e) /* XenVMMXenVMM */
            break;
    }
    r = cpuid(base + 2, 0);
    asm volatile("wrmsr" ::"c"(r.reg[1]), "a"((uint32_t)page), "d"((uint32_t)(page >> 32))
                 : "memory");
}

void xen_first(void)
{
    install_hypercall_page();
    xen_connect();
}

void xen_connect(void)
{
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .gpfn = SHARED_INFO_GFN};

    install_hypercall_page(); /* the new host's way into the hypervisor may be another instruction
                               */
    hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, &map);
    for (size_t i = 0; i < sizeof(shared->evtchn_mask) / sizeof(shared->evtchn_mask[0]); i++)
        shared->evtchn_mask[i] = ~0ul;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    /*
     * A callback vector that is never delivered, for interrupts are off. It makes Xen's tools take
     * us for a guest that knows about suspend: a cancelled one then returns 1.
     */
    set_param(HVM_PARAM_CALLBACK_IRQ, (2ull << 56) | 0xf3);
}

static uint64_t scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

uint64_t xen_now_ns(void)
{
    const volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
    uint32_t version, low, high;
    uint64_t now;

    do {
        version = t->version;
        asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
        now = t->system_time + scale((((uint64_t)high << 32) | low) - t->tsc_timestamp,
                                     t->tsc_to_system_mul, t->tsc_shift);
        asm volatile("" ::: "memory");
    } while ((version & 1) || version != t->version);
    return now;
}

void xen_wait(evtchn_port_t port, uint64_t until_ns)
{
    struct sched_poll poll = {.nr_ports = port ? 1 : 0, .timeout = until_ns};

    set_xen_guest_handle(poll.ports, &port);
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll);
    if (port)
        __atomic_and_fetch(&shared->evtchn_pending[port / 64], ~(1ul << (port % 64)),
                           __ATOMIC_SEQ_CST);
}

void xen_notify(evtchn_port_t port)
{
    struct evtchn_send send = {.port = port};

    hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &send);
}

long xen_shutdown(unsigned int reason)
{
    struct sched_shutdown s = {.reason = reason};

    return hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &s);
}
