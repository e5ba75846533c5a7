/* SPDX-License-Identifier: MIT */
/* Where the probe's lines go: port 0xE9 (Xen's log) and the PV console. */
#include "probe.h"

#include <xen/hvm/params.h>
#include <xen/io/console.h>

static volatile struct xencons_interface *ring;
static evtchn_port_t port;

void console_connect(void)
{
    ring = (void *)(uintptr_t)(xen_param(HVM_PARAM_CONSOLE_PFN) << 12);
    port = xen_param(HVM_PARAM_CONSOLE_EVTCHN);
}

/* A full ring loses characters: nobody reads, and the probe must not wait for that. */
static void ring_put(char c)
{
    uint32_t prod = ring->out_prod;

    if (prod - ring->out_cons >= sizeof(ring->out))
        return;
    ring->out[MASK_XENCONS_IDX(prod, ring->out)] = c;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring->out_prod = prod + 1;
}

void console_line(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        asm volatile("outb %0, %1" ::"a"(line[i]), "Nd"((uint16_t)0xe9));
    if (!ring)
        return;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\n')
            ring_put('\r');
        ring_put(line[i]);
    }
    if (port)
        xen_notify(port);
}
