/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine as the core's platform.  See platform.h, here and in xen/include.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hypervisor.h>
#include <sim/platform.h>

#include <xen/errno.h>

#define PAGE_SIZE_    4096u
#define CONSOLE_BYTES (64u << 10)

/* What the hypervisor takes for its machine-to-physical table comes on top. */
static uint64_t with_m2p(uint64_t nr_pages)
{
    uint64_t chunks = 1;

    while (chunks * M2P_CHUNK_FRAMES * M2P_PER_FRAME < nr_pages + chunks * M2P_CHUNK_FRAMES)
        chunks++;
    return nr_pages + chunks * M2P_CHUNK_FRAMES;
}

int sim_platform_init(struct platform *p, unsigned int nr_pcpus, uint64_t nr_pages)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int err;

    if (!nr_pcpus || nr_pcpus > PLATFORM_MAX_PCPUS || !nr_pages || nr_pages > UINT32_MAX) {
        errno = EINVAL;
        return -1;
    }
    p->nr_pcpus = nr_pcpus;
    p->nr_pages = nr_pages = with_m2p(nr_pages);
    p->memory = MAP_FAILED;
    for (unsigned int i = 0; i < nr_pcpus; i++)
        sim_pcpu_reset(&p->pcpus[i], &p->model, i);
    p->console.size = CONSOLE_BYTES;
    p->console.text = malloc(CONSOLE_BYTES);
    /* Sealed, so that whoever is given the descriptor cannot take pages from under us. */
    p->memory_fd = memfd_create("sim-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (p->console.text && p->memory_fd >= 0 &&
        !ftruncate(p->memory_fd, (off_t)(nr_pages * PAGE_SIZE_)) &&
        !fcntl(p->memory_fd, F_ADD_SEALS, seals))
        p->memory = mmap(NULL, nr_pages * PAGE_SIZE_, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_NORESERVE, p->memory_fd, 0);
    if (p->memory != MAP_FAILED)
        return 0;
    err = errno;
    if (p->memory_fd >= 0)
        (void)close(p->memory_fd);
    free(p->console.text);
    p->console.text = NULL;
    p->memory_fd = -1;
    errno = err;
    return -1;
}

void sim_platform_fini(struct platform *p)
{
    (void)munmap(p->memory, p->nr_pages * PAGE_SIZE_);
    (void)close(p->memory_fd);
    free(p->console.text);
    p->memory = NULL;
    p->memory_fd = -1;
    p->console.text = NULL;
}

/* Count one access; is it the one that has to fail? */
static bool must_fail(struct sim_fault *fault)
{
    return ++fault->count == fault->at;
}

unsigned int platform_nr_pcpus(const struct platform *p)
{
    return p->nr_pcpus;
}

void platform_cpuid(struct platform *p, unsigned int pcpu, uint32_t leaf, uint32_t subleaf,
                    struct cpuid_regs *regs)
{
    (void)sim_pcpu_cpuid(&p->pcpus[pcpu], 0, leaf, subleaf, regs); /* ring 0 never faults */
}

int platform_rdmsr(struct platform *p, unsigned int pcpu, uint32_t msr, uint32_t edi,
                   uint64_t *value)
{
    *value = 0;
    if (must_fail(&p->fail_msr) || !sim_pcpu_rdmsr(&p->pcpus[pcpu], msr, edi, value))
        return -XEN_EFAULT;
    return 0;
}

int platform_wrmsr(struct platform *p, unsigned int pcpu, uint32_t msr, uint32_t edi,
                   uint64_t value)
{
    if (must_fail(&p->fail_msr) || !sim_pcpu_wrmsr(&p->pcpus[pcpu], msr, edi, value))
        return -XEN_EFAULT;
    return 0;
}

void platform_write_cr4(struct platform *p, unsigned int pcpu, uint64_t cr4)
{
    p->pcpus[pcpu].cr4 = cr4;
}

void platform_write_xcr0(struct platform *p, unsigned int pcpu, uint64_t xcr0)
{
    /* XSETBV without CR4.OSXSAVE raises #UD, and XCR0 is as it was. */
    if (p->pcpus[pcpu].cr4 & CR4_OSXSAVE)
        p->pcpus[pcpu].xcr0 = xcr0;
}

void *platform_alloc(struct platform *p, size_t size)
{
    void *memory = must_fail(&p->fail_alloc) ? NULL : calloc(1, size ? size : 1);

    p->allocated += memory != NULL;
    return memory;
}

void platform_free(struct platform *p, void *memory)
{
    p->allocated -= memory != NULL;
    free(memory);
}

uint64_t platform_nr_pages(const struct platform *p)
{
    return p->nr_pages;
}

void *platform_page(struct platform *p, uint64_t mfn)
{
    return p->memory + mfn * PAGE_SIZE_;
}

/* Where [addr, addr + size) of the caller is here, or NULL. */
static uint8_t *in_window(const struct platform *p, uint64_t addr, size_t size)
{
    for (size_t i = 0; i < p->nr_windows; i++) {
        const struct sim_window *w = &p->windows[i];

        if (addr >= w->base && addr - w->base <= w->size && size <= w->size - (addr - w->base))
            return w->map + (addr - w->base);
    }
    return NULL;
}

int platform_copy_from_guest(struct platform *p, void *dst, uint64_t addr, size_t size)
{
    const uint8_t *src = in_window(p, addr, size);

    if (must_fail(&p->fail_copy) || !src)
        return -XEN_EFAULT;
    memcpy(dst, src, size);
    return 0;
}

int platform_copy_to_guest(struct platform *p, uint64_t addr, const void *src, size_t size)
{
    uint8_t *dst = in_window(p, addr, size);

    if (must_fail(&p->fail_copy) || !dst)
        return -XEN_EFAULT;
    memcpy(dst, src, size);
    return 0;
}

uint64_t platform_now(const struct platform *p)
{
    return p->now;
}

void platform_console(struct platform *p, const char *line, size_t len)
{
    struct sim_console *c = &p->console;

    for (size_t i = 0; i <= len; i++)
        c->text[c->written++ % c->size] = (char)(i < len ? line[i] : '\n');
    if (c->line)
        c->line(c->opaque, line, len);
}
