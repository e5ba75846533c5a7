/* SPDX-License-Identifier: MIT */
/* A pattern that lives in the SSE and AVX registers from boot on; no C code here uses them for
 * anything else. */
#include "probe.h"

static struct {
    uint64_t q[4];
} want[16], got[16] __attribute__((aligned(32)));
static struct {
    uint64_t q[2];
} low[16] __attribute__((aligned(16)));
static bool avx;

bool regs_have_avx(void)
{
    return avx;
}

/* Must come before the first look at CPUID, whose OSXSAVE bit and leaf 0xD mirror what is set up
 * here. */
static void enable_avx(void)
{
    uint64_t cr4;
    uint32_t components, ecx = cpuid(1, 0).reg[2];

    if (!(ecx & (1u << 26)) || cpuid(0, 0).reg[0] < 0xd) /* XSAVE */
        return;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" ::"r"(cr4 | (1u << 18)));
    components = cpuid(0xd, 0).reg[0] & 7; /* x87, SSE, AVX */
    asm volatile("xsetbv" ::"c"(0), "a"(components), "d"(0));
    avx = (ecx & (1u << 28)) && components == 7;
}

void regs_fill(bool use_avx)
{
    if (use_avx)
        enable_avx();
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 4; j++)
            want[i].q[j] = 0x9e3779b97f4a7c15ull * (uint64_t)(i * 4 + j + 1);
        low[i].q[0] = want[i].q[0];
        low[i].q[1] = want[i].q[1];
    }
    sse_load(low);
    if (avx && guarded(avx_load, want))
        avx = false;
}

/* "ok", or which part is wrong. An AVX instruction that worked at boot and now faults is told as
 * avx-gone. */
const char *regs_check(void)
{
    sse_store(low);
    for (int i = 0; i < 16; i++)
        if (low[i].q[0] != want[i].q[0] || low[i].q[1] != want[i].q[1])
            return "BAD-sse";
    if (!avx)
        return "ok";
    if (guarded(avx_store, got))
        return "avx-gone";
    for (int i = 0; i < 16; i++)
        if (got[i].q[2] != want[i].q[2] || got[i].q[3] != want[i].q[3])
            return "BAD-avx";
    return "ok";
}
