/* SPDX-License-Identifier: MIT */
/*
 * The platform: everything that the core needs and does not have itself.
 *
 * The core (xen/arch/x86, xen/common) is freestanding; these functions are the only symbols that
 * it leaves undefined (and memcpy, memset, memcmp, memmove, which a freestanding compiler may
 * call).  A simulated machine (xen/sim) provides them.
 *
 * A platform is one machine.  pCPUs are numbered from 0; pCPU 0 boots.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <cpuid-policy/policy.h>

struct platform;

/* More pCPUs than this a platform must not have. */
#define PLATFORM_MAX_PCPUS 64u

/* Returns how many pCPUs this machine has, 1 .. PLATFORM_MAX_PCPUS. */
unsigned int platform_nr_pcpus(const struct platform *p);

/*
 * The CPUID instruction as this pCPU's hardware answers it to ring 0: with whatever its masking
 * MSRs, CR4 and XCR0 hold now.  Cannot fail.
 */
void platform_cpuid(struct platform *p, unsigned int pcpu, uint32_t leaf, uint32_t subleaf,
                    struct cpuid_regs *regs);

/*
 * RDMSR and WRMSR on that pCPU; `edi` is the value of EDI meanwhile (AMD before family 0x10 wants
 * 0x9C5A203A there for its override MSRs; else 0).  Returns 0; -EFAULT when the access raised #GP:
 * then nothing has changed and *value is 0.
 */
int platform_rdmsr(struct platform *p, unsigned int pcpu, uint32_t msr, uint32_t edi,
                   uint64_t *value);
int platform_wrmsr(struct platform *p, unsigned int pcpu, uint32_t msr, uint32_t edi,
                   uint64_t value);

/* Write CR4 or XCR0 of that pCPU.  The caller asks only for what the CPU has. */
void platform_write_cr4(struct platform *p, unsigned int pcpu, uint64_t cr4);
void platform_write_xcr0(struct platform *p, unsigned int pcpu, uint64_t xcr0);

/* `size` zeroed bytes, 16-byte aligned; NULL when there are none.  free() takes NULL. */
void *platform_alloc(struct platform *p, size_t size);
void platform_free(struct platform *p, void *memory);

/* Machine memory: frames 0 .. nr - 1 of 4096 bytes; the frame's address is valid until the end. */
uint64_t platform_nr_pages(const struct platform *p);
void *platform_page(struct platform *p, uint64_t mfn);

/*
 * The memory of whoever makes the current hypercall: `addr` is what it put into a guest handle.
 * Returns 0, or -EFAULT when any part of the range is not its to use; then nothing was copied.
 * That memory is shared and may change at any time: copy once, then check what was copied.
 */
int platform_copy_from_guest(struct platform *p, void *dst, uint64_t addr, size_t size);
int platform_copy_to_guest(struct platform *p, uint64_t addr, const void *src, size_t size);

/* Returns nanoseconds since boot, never going back. */
uint64_t platform_now(const struct platform *p);

/* Print one line on the console, given without its newline. */
void platform_console(struct platform *p, const char *line, size_t len);

#endif /* PLATFORM_H */
