/* SPDX-License-Identifier: MIT */
/*
 * A guest for QEMU to migrate: it fills its memory with numbers, then writes RATE pages of it a
 * second, one after the other, and looks whether each still has what was written there.
 *
 * It is what the script `writer` of simulated hosts is.  MIB and RATE come from the compiler's
 * command line.  What it has done stands at NOTES, for QEMU's monitor to read.
 */
#include <stdint.h>

#define PAGE      4096u
#define FIRST     (2u << 20)         /* below are its own code and the firmware's things */
#define LAST      ((MIB - 1u) << 20) /* above are the firmware's tables */
#define NR_PAGES  ((LAST - FIRST) / PAGE)
#define PM_TIMER  0x608u /* of QEMU's PIIX4, as SeaBIOS places it: 24 bits, 3579545 Hz */
#define PM_HZ     3579545u
#define PIT_HZ    1193182u
#define TICK_HZ   1000u
#define INTERRUPT 32u

struct notes {
    uint32_t filled;  /* 1: it is through with that */
    uint32_t written; /* pages since then */
    uint32_t bad;     /* pages that were not what they should be */
};
#define NOTES ((volatile struct notes *)0x7000)

void tick(void);
void dirty_main(void);

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t pm_timer(void)
{
    uint32_t value;

    __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(PM_TIMER));
    return value & 0xffffff;
}

/* ---- a tick a millisecond, so that it need not spin ---- */

struct __attribute__((packed)) gate {
    uint16_t low, selector;
    uint16_t type;
    uint16_t high;
};

static void start_ticks(void)
{
    static struct gate idt[INTERRUPT + 1];
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } idtr = {sizeof(idt) - 1, (uint32_t)idt};
    uint32_t handler = (uint32_t)tick;
    uint16_t cs;

    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    idt[INTERRUPT] = (struct gate){(uint16_t)handler, cs, 0x8e00, (uint16_t)(handler >> 16)};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    outb(0x20, 0x11); /* the first PIC: ICW1 to ICW4, interrupt 0 at INTERRUPT, the others masked */
    outb(0x21, INTERRUPT);
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0x21, 0xfe);
    outb(0xa1, 0xff);
    outb(0x43, 0x34); /* the PIT: counter 0, both bytes, a rate */
    outb(0x40, (uint8_t)(PIT_HZ / TICK_HZ));
    outb(0x40, (uint8_t)(PIT_HZ / TICK_HZ >> 8));
}

/* ---- its work ---- */

static uint64_t *page(uint32_t n)
{
    return (uint64_t *)(uintptr_t)(FIRST + n * PAGE);
}

/* No two words are alike, and none is 0. */
static void fill(void)
{
    uint64_t x = 1;

    for (uint32_t n = 0; n < NR_PAGES; n++) {
        for (uint32_t i = 1; i < PAGE / 8; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            page(n)[i] = x;
        }
        page(n)[0] = (uint64_t)n << 32 | 1;
    }
}

/* The first word of a page says which it is and how often it was written. */
static void write_next(uint32_t *n, uint32_t *version)
{
    volatile uint64_t *word = page(*n);

    if (*word != ((uint64_t)*n << 32 | *version))
        NOTES->bad++;
    *word = (uint64_t)*n << 32 | (*version + 1);
    NOTES->written++;
    if (++*n == NR_PAGES) {
        *n = 0;
        ++*version;
    }
}

void dirty_main(void)
{
    uint32_t n = 0, version = 1, then;
    uint64_t due = 0; /* pages, times PM_HZ */

    NOTES->filled = NOTES->written = NOTES->bad = 0;
    fill();
    start_ticks();
    NOTES->filled = 1;
    then = pm_timer();
    for (;;) {
        uint32_t now = pm_timer();

        due += (uint64_t)((now - then) & 0xffffff) * RATE;
        for (then = now; due >= PM_HZ; due -= PM_HZ)
            write_next(&n, &version);
        __asm__ volatile("sti; hlt; cli");
    }
}
