/* SPDX-License-Identifier: MIT */
/* What the probe guest's files have from each other. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
#include <xen/event_channel.h>

/* xen.c: the hypervisor. xen_connect() is repeated after each resume: nothing it found survives a
 * migration. */
void xen_first(void);
void xen_connect(void);
uint64_t xen_now_ns(void);
void xen_wait(evtchn_port_t port, uint64_t until_ns); /* port 0: only the time counts */
void xen_notify(evtchn_port_t port);
long xen_shutdown(unsigned int reason);
uint64_t xen_param(uint32_t index);

/* console.c: Xen's debug port and the PV console */
void console_connect(void);
void console_line(const char *line, size_t len);

/* print.c: one line at a time, prefixed "probe:NAME: "; knows %s %u %x (32 bit), %X (64 bit, 16
 * digits), %w (32 bit, 8 digits) */
extern char print_name[16];
void print(const char *fmt, ...);

/* store.c: xenstore; a key is relative to this domain's home */
void store_connect(void);
bool store_read(const char *key, char *value, size_t size);
bool store_write(const char *key, const char *value);

/* cpuid.c */
void cpuid_boot(bool dump);
uint64_t cpuid_check(void); /* digest of now; names what changed */

/* regs.c: SSE and AVX registers */
void regs_fill(bool use_avx);
const char *regs_check(void);
bool regs_have_avx(void);

/* pattern.c: memory */
unsigned int pattern_fill(uint64_t start, uint64_t end); /* returns KB under watch */
const char *pattern_check(bool all);
void pattern_dirty(void);

/* entry.S */
extern uint8_t hypercall_page[4096];
extern void *fault_stubs[32];
extern char image_end[];
/* Runs `f`; 0, or the vector of the exception that ended it plus one. */
int guarded(void (*f)(void *arg), void *arg);
void sse_load(const void *regs);
void sse_store(void *regs);
void avx_load(void *regs);
void avx_store(void *regs);

struct cpuid_regs {
    uint32_t reg[4];
}; /* eax, ebx, ecx, edx */

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    asm volatile("cpuid"
                 : "=a"(r.reg[0]), "=b"(r.reg[1]), "=c"(r.reg[2]), "=d"(r.reg[3])
                 : "a"(leaf), "c"(subleaf));
    return r;
}

#endif
