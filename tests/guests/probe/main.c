/* SPDX-License-Identifier: MIT */
/*
 * The probe: a PVH (or HVM) guest that keeps asking itself whether it still is the machine it
 * booted on.
 *
 * Each tick it compares all of CPUID, a pattern in memory and one in the vector registers with what
 * they were, says so probe:NAME: tick N cpuid=DIGEST mem=ok regs=ok probe:NAME: changed leaf 7.0
 * ebx 01880329 -> 01880201 and looks whether the toolstack wants it to suspend, power off or
 * reboot. Options on the command line: name=WORD       up to 15 characters (default "-") tick_ms=N
 * time between ticks (default 250) mb=N            megabytes of memory under watch beyond 256 KB,
 * up to 255 (default 0) dirty           rewrite 32 pages each tick noavx           do not enable
 * XSAVE, and leave the AVX registers alone dump            say all of CPUID at boot
 */
#include "probe.h"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/sched.h>

#define EXTRA_START 0x400000ull /* behind the image and what the domain builder puts after it */

static struct {
    unsigned int tick_ms, mb;
    bool dirty, noavx, dump;
} option = {.tick_ms = 250};

struct gate {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
};
static struct gate idt[32];

/* Nothing here expects an exception outside guarded(): say what it was and let the toolstack see a
 * crash. */
void fault(const uint64_t *frame);
void fault(const uint64_t *frame)
{
    uint64_t cr2;

    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    print("fault %u error %x at %X address %X", (unsigned int)frame[0], (unsigned int)frame[1],
          frame[2], cr2);
    xen_shutdown(SHUTDOWN_crash);
}

static void install_idt(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(idt) - 1, (uintptr_t)idt};

    for (int i = 0; i < 32; i++) {
        uint64_t stub = (uintptr_t)fault_stubs[i];

        idt[i] = (struct gate){stub, 8, 0x8e00, stub >> 16, stub >> 32, 0};
    }
    asm volatile("lidt %0" ::"m"(pointer));
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Does `word` begin with `prefix`? Then what follows, else NULL. */
static const char *after(const char *word, const char *prefix)
{
    while (*prefix)
        if (*word++ != *prefix++)
            return NULL;
    return word;
}

static unsigned int number(const char *s)
{
    unsigned int n = 0;

    while (*s >= '0' && *s <= '9')
        n = n * 10 + (*s++ - '0');
    return n;
}

static void read_option(const char *word)
{
    const char *value;

    if ((value = after(word, "tick_ms=")))
        option.tick_ms = number(value) ? number(value) : 1;
    else if ((value = after(word, "mb=")))
        option.mb = number(value);
    else if ((value = after(word, "name=")))
        for (size_t i = 0; i < sizeof(print_name) - 1; i++)
            print_name[i] = *value ? *value++ : '\0';
    else if (same(word, "dirty"))
        option.dirty = true;
    else if (same(word, "noavx"))
        option.noavx = true;
    else if (same(word, "dump"))
        option.dump = true;
}

static void read_options(const char *line)
{
    char word[64];

    while (line && *line) {
        size_t n = 0;

        while (*line == ' ')
            line++;
        for (; *line && *line != ' '; line++)
            if (n < sizeof(word) - 1)
                word[n++] = *line;
        word[n] = '\0';
        read_option(word);
    }
}

/* The end of the RAM that EXTRA_START lies in. */
static uint64_t ram_end(const struct hvm_start_info *info)
{
    const struct hvm_memmap_table_entry *e = (void *)(uintptr_t)info->memmap_paddr;

    for (uint32_t i = 0; info->version >= 1 && i < info->memmap_entries; i++)
        if (e[i].type == XEN_HVM_MEMMAP_TYPE_RAM && e[i].addr <= EXTRA_START &&
            e[i].addr + e[i].size > EXTRA_START)
            return e[i].addr + e[i].size;
    return EXTRA_START;
}

static unsigned int fill_memory(const struct hvm_start_info *info)
{
    uint64_t end = EXTRA_START + ((uint64_t)option.mb << 20), ram = ram_end(info);

    return pattern_fill(EXTRA_START, end < ram ? end : ram);
}

static void suspend(void)
{
    long cancelled;

    if (!store_write("control/shutdown", ""))
        return;
    cancelled = xen_shutdown(SHUTDOWN_suspend);
    xen_connect();
    console_connect();
    store_connect();
    print(cancelled ? "suspend cancelled" : "resumed");
    if (!same(pattern_check(true), "ok"))
        print("memory did not survive");
}

static void obey(void)
{
    char wish[32];

    if (!store_read("control/shutdown", wish, sizeof(wish)) || !wish[0])
        return;
    if (same(wish, "suspend")) {
        suspend();
        return;
    }
    store_write("control/shutdown", "");
    print("told to %s", wish);
    if (same(wish, "poweroff") || same(wish, "halt"))
        xen_shutdown(SHUTDOWN_poweroff);
    else if (same(wish, "reboot"))
        xen_shutdown(SHUTDOWN_reboot);
}

void probe_main(const struct hvm_start_info *info);
void probe_main(const struct hvm_start_info *info)
{
    unsigned int kb;

    install_idt();
    read_options((const char *)(uintptr_t)info->cmdline_paddr);
    xen_first();
    console_connect();
    store_connect();
    regs_fill(!option.noavx);
    cpuid_boot(option.dump);
    kb = fill_memory(info);
    print("boot watching %u KB, registers %s", kb, regs_have_avx() ? "sse avx" : "sse");
    for (unsigned int tick = 1;; tick++) {
        uint64_t d = cpuid_check();
        const char *mem = pattern_check(false), *regs = regs_check();

        print("tick %u cpuid=%X mem=%s regs=%s", tick, d, mem, regs);
        if (option.dirty)
            pattern_dirty();
        obey();
        /* Only now: time is the host's own, and this may be another host than a moment ago. */
        xen_wait(0, xen_now_ns() + option.tick_ms * 1000000ull);
    }
}
