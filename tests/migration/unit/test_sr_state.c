/* SPDX-License-Identifier: MIT */
/*
 * Registers in a stream against the policy at its head: what is not the domain's CPU is refused by
 * name, before the hypervisor has been given any register of any vCPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xc_sr.h>
#include <xc_sr_stream_format.h>
#include <xen/hvm/save.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

#include "inproc.h"
#include "simhost.h"

#define MACHINE "intel-cascadelake-sp"
#define PAGES   64u
#define VCPUS   2u

static struct sim_host *src, *dst;
static xc_handle *xsrc, *xdst;

/* A stream of a domain that uses everything that is checked, in memory. */
static uint8_t *stream;
static size_t stream_size;
/* HVM_CONTEXT in it. */
static uint8_t *context;
static uint32_t context_size;
static uint64_t context_start;
static unsigned int context_record;

static int suspend(void *data)
{
    domain_shutdown(data, SHUTDOWN_suspend);
    return 0;
}

static void find_context(void)
{
    size_t at = sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr);
    struct xc_sr_rhdr header = {0};

    for (context_record = 0; at < stream_size; context_record++) {
        memcpy(&header, stream + at, sizeof(header));
        if (header.type == REC_HVM_CONTEXT)
            break;
        at += sizeof(header) + ((header.length + 7) & ~7u);
    }
    assert_true(at < stream_size);
    context_start = at;
    context = stream + at + sizeof(header);
    context_size = header.length;
}

static void save_one(bool checksums)
{
    const struct simguest g = {
        .script = SCRIPT_VECTOR, .hvm = true, .nr_vcpus = VCPUS, .nr_pages = PAGES, .seed = 11};
    const struct xc_save_options options = {.checksums = checksums};
    struct xc_save_callbacks cb = {.suspend = suspend};
    int fd = memfd_create("stream", MFD_CLOEXEC);
    struct domain *d = simguest_start(src, &g);
    struct stat st;

    assert_true(fd >= 0 && d);
    (void)sim_host_run(src, 100);
    for (unsigned int i = 0; i < VCPUS; i++) {
        d->vcpus[i]->regs.misc_features_enables = 1;
        d->vcpus[i]->regs.tsc_aux = i;
    }
    cb.data = d;
    assert_int_equal(xc_domain_save(xsrc, fd, d->id, &options, &cb, NULL), 0);
    assert_int_equal(fstat(fd, &st), 0);
    stream_size = (size_t)st.st_size;
    stream = malloc(stream_size);
    assert_non_null(stream);
    assert_int_equal(pread(fd, stream, stream_size, 0), stream_size);
    (void)close(fd);
    domain_destroy(d);
    find_context();
}

static void boot(bool checksums)
{
    src = simhost_boot(MACHINE, 2, 64, 1);
    dst = simhost_boot(MACHINE, 2, 64, 2);
    xsrc = inproc_open(src);
    xdst = inproc_open(dst);
    assert_true(xsrc && xdst);
    inproc_fail_at(0);
    save_one(checksums);
}

static void halt(void)
{
    inproc_close(xsrc);
    inproc_close(xdst);
    simhost_halt(src);
    simhost_halt(dst);
    free(stream);
}

/* Restore these bytes into a new domain; it is gone again afterwards.  The domain may have got no
 * register when it fails. */
static int restore_as(bool unverified, const uint8_t *bytes, size_t size, uint32_t nr_vcpus)
{
    const struct xc_domain_config config = {
        .type = XC_DOMAIN_PVH, .hap = true, .max_vcpus = nr_vcpus};
    const struct xc_restore_options options = {.unverified = unverified};
    const struct xc_restore_callbacks cb = {.data = NULL};
    int fd = memfd_create("stream", MFD_CLOEXEC), rc, err;
    struct vcpu_regs before[VCPUS];
    struct xc_restore_result result;
    struct domain *d;
    uint32_t domid;

    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(xc_domain_create(xdst, &config, &domid), 0);
    assert_int_equal(xc_domain_max_vcpus(xdst, domid, nr_vcpus), 0);
    assert_int_equal(xc_domain_max_mem(xdst, domid, PAGES * 4 + 64), 0);
    d = domain_by_id(&dst->hv, (uint16_t)domid);
    for (uint32_t i = 0; i < nr_vcpus; i++)
        before[i] = d->vcpus[i]->regs;
    inproc_forget();
    rc = xc_domain_restore(xdst, fd, domid, &options, &cb, &result);
    err = errno;
    for (uint32_t i = 0; i < nr_vcpus; i++) {
        assert_int_equal(d->vcpus[i]->online, !rc);
        if (rc)
            assert_memory_equal(&d->vcpus[i]->regs, &before[i], sizeof(before[i]));
    }
    domain_destroy(d);
    (void)close(fd);
    errno = err;
    return rc;
}

static int restore(const uint8_t *bytes, size_t size, uint32_t nr_vcpus)
{
    return restore_as(false, bytes, size, nr_vcpus);
}

/* Refused with this errno and this sentence behind where the record stands. */
static void refused_at(uint32_t nr_vcpus, int err, const char *says)
{
    char line[256];
    int rc = restore(stream, stream_size, nr_vcpus);

    (void)snprintf(line, sizeof(line), "stream, offset %llu, record %u (HVM_CONTEXT): %s",
                   (unsigned long long)context_start, context_record, says);
    if (!rc || errno != err || !inproc_said(line))
        fail_msg("%s: %d, errno %d, and said:\n%s", says, rc, errno, inproc_log());
    /* The hypervisor was not asked. */
    assert_false(inproc_said("does not take"));
    assert_false(simhost_said(dst, "HVM context"));
    assert_false(simhost_said(dst, "is not in its CPU policy"));
    assert_false(simhost_said(dst, "cannot be"));
}

/* The entry of this type and vCPU: its descriptor. */
static uint8_t *entry(uint16_t typecode, uint16_t instance)
{
    struct hvm_save_descriptor desc;

    for (uint8_t *at = context; at < context + context_size; at += sizeof(desc) + desc.length) {
        memcpy(&desc, at, sizeof(desc));
        if (desc.typecode == typecode && desc.instance == instance)
            return at;
    }
    fail_msg("no entry %u of vCPU %u", typecode, instance);
    return NULL;
}

/* ---- another CPU's, and nobody's ---- */

struct damage {
    uint16_t code;
    size_t offset; /* in the entry */
    uint64_t flip; /* in the 8 bytes there */
    int err;
    const char *says;
};
#define CPU_AT(f)   HVM_SAVE_CODE(CPU), offsetof(struct hvm_hw_cpu, f)
#define XSAVE_AT(f) CPU_XSAVE_CODE, offsetof(struct hvm_hw_cpu_xsave, f)
#define MSR_AT(f)   CPU_MSR_CODE, offsetof(struct hvm_msr, f)

static const struct damage damages[] = {
    {CPU_AT(cr4), 1u << 13, EPERM, "vCPU 1: CR4: vmx is not in its CPU policy"},
    {CPU_AT(cr4), 1u << 12, EPERM, "vCPU 1: CR4: la57 is not in its CPU policy"},
    {CPU_AT(cr4), 1ull << 40, EILSEQ, "vCPU 1: CR4: bit 40 is reserved"},
    {CPU_AT(cr4), 1u << 13 | 1ull << 40, EPERM, "vCPU 1: CR4: bit 40 is reserved"},
    {CPU_AT(msr_efer), 1u << 12, EPERM, "vCPU 1: EFER: svm is not in its CPU policy"},
    {CPU_AT(msr_efer), 1u << 14, EPERM, "vCPU 1: EFER: ffxsr is not in its CPU policy"},
    {CPU_AT(msr_efer), 1u << 13, EILSEQ, "vCPU 1: EFER: bit 13 is reserved"},
    {CPU_AT(cr0), 1ull << 63, EILSEQ, "vCPU 1: CR0: bit 63 is reserved"},
    {CPU_AT(msr_tsc_aux), 1ull << 32, EILSEQ, "vCPU 1: TSC_AUX: bit 32 is reserved"},
    {HVM_SAVE_CODE(LAPIC), 0, 1ull << 50, EILSEQ, "vCPU 1: APIC_BASE: bit 50 is reserved"},
    {XSAVE_AT(xcr0), 3u << 17, EPERM,
     "vCPU 1: XCR0: component 17 (amx-tile) is not in its CPU policy"},
    {XSAVE_AT(xcr0), 1, EILSEQ, "vCPU 1: XCR0: 0x"},
    {XSAVE_AT(xcr0_accum), 1ull << 62, EPERM,
     "vCPU 1: accumulated XCR0: component 62 (lwp) is not in its CPU policy"},
    {XSAVE_AT(save_area.xsave_hdr.xstate_bv), 1u << 8, EPERM,
     "vCPU 1: XSTATE_BV: component 8 is not in its CPU policy"},
    {XSAVE_AT(save_area.xsave_hdr.xcomp_bv), 1ull << 63, EILSEQ, "vCPU 1: XCOMP_BV: 0x80"},
    {XSAVE_AT(save_area.xsave_hdr.reserved), 1, EILSEQ, "vCPU 1: XSAVE header"},
    {MSR_AT(msr[0].val), 2, EILSEQ, "vCPU 1: MISC_FEATURES_ENABLES: bit 1 is reserved"},
    {MSR_AT(msr[0].index), 0x140 ^ 0xd90, EPERM, "vCPU 1: BNDCFGS: mpx is not in its CPU policy"},
    {MSR_AT(msr[0].index), 0x140 ^ 0xda0, EPERM, "vCPU 1: XSS: component 0 (xsave) is not"},
    {MSR_AT(msr[0].index), 0x140ull ^ 0xc0011027, EPERM,
     "vCPU 1: DR0_ADDR_MASK: dbext is not in its CPU policy"},
    {MSR_AT(msr[0].index), 0x140 ^ 0x122, EPERM, "vCPU 1: TSX_CTRL: tsx-ctrl is not"},
    {MSR_AT(msr[0].index), 1ull << 32, EILSEQ, "vCPU 1: MSR 0x140: a reserved field"},
    {MSR_AT(count), 3, EILSEQ, "entry 10 (CPU_MSR, instance 1): its length is 24 bytes"},
    {HVM_SAVE_CODE(HEADER), 0, 1, EILSEQ, "entry 0 (HEADER, instance 0): it is not of this format"},
    {HVM_SAVE_CODE(HEADER), 4, 2, EILSEQ, "entry 0 (HEADER, instance 0): it is not of this format"},
};

static void flip(uint8_t *at, uint64_t bits)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    v ^= bits;
    memcpy(at, &v, sizeof(v));
}

static void registers_are_refused_by_name(void **state)
{
    (void)state;
    boot(false);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const struct damage *m = &damages[i];
        uint8_t *at = entry(m->code, m->code != HVM_SAVE_CODE(HEADER)) +
                      sizeof(struct hvm_save_descriptor) + m->offset;

        flip(at, m->flip);
        refused_at(VCPUS, m->err, m->says);
        flip(at, m->flip);
    }
    assert_int_equal(restore(stream, stream_size, VCPUS), 0);
    halt();
}

/* With checksums a flipped bit is damage, and not another CPU. */
static void damage_is_seen_first(void **state)
{
    (void)state;
    boot(true);
    flip(entry(HVM_SAVE_CODE(CPU), 0) + sizeof(struct hvm_save_descriptor) +
             offsetof(struct hvm_hw_cpu, cr4),
         1u << 13);
    assert_int_equal(restore(stream, stream_size, VCPUS), -1);
    assert_int_equal(errno, EILSEQ);
    assert_true(inproc_said("the stream is damaged"));
    assert_false(inproc_said("CR4"));
    halt();
}

/* Without a policy nobody knows which CPU the registers are of: it is the hypervisor's to say. */
static void unverified_is_not_checked(void **state)
{
    const uint32_t skipped = REC_X86_CPUID_POLICY | REC_OPTIONAL;
    const uint32_t skipped_msrs = REC_X86_MSR_POLICY | REC_OPTIONAL;
    uint8_t *first;

    (void)state;
    boot(false);
    first = stream + sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr);
    memcpy(first, &skipped, sizeof(skipped));
    first += 8 + (*(const uint32_t *)(const void *)(first + 4) + 7u) / 8u * 8u;
    memcpy(first, &skipped_msrs, sizeof(skipped_msrs)); /* MSRs alone are refused */
    assert_int_equal(restore_as(true, stream, stream_size, VCPUS), 0);
    flip(entry(HVM_SAVE_CODE(CPU), 0) + sizeof(struct hvm_save_descriptor) +
             offsetof(struct hvm_hw_cpu, cr4),
         1u << 13);
    assert_int_equal(restore_as(true, stream, stream_size, VCPUS), -1);
    assert_true(inproc_said("does not take the domain's registers"));
    assert_true(simhost_said(dst, "CR4: vmx is not in its CPU policy"));
    assert_false(inproc_said("CR4"));
    halt();
}

/* ---- the entries themselves ---- */

static void descriptors(void **state)
{
    static const struct {
        uint16_t code, instance;
        struct hvm_save_descriptor becomes; /* 0xffff, 0xffffffff: as it was */
        const char *says;
    } cases[] = {
        {HVM_SAVE_CODE(CPU), 1, {0xffff, 7, UINT32_MAX}, "entry 6 (CPU) is of vCPU 7, and"},
        {CPU_XSAVE_CODE, 1, {0xffff, 8191, UINT32_MAX}, "entry 9 (CPU_XSAVE) is of vCPU 8191"},
        {HVM_SAVE_CODE(LAPIC), 1, {0xffff, 65535, UINT32_MAX}, "entry 7 (LAPIC) is of vCPU 65535"},
        {CPU_MSR_CODE, 1, {0xffff, 2, UINT32_MAX}, "entry 10 (CPU_MSR) is of vCPU 2"},
        {HVM_SAVE_CODE(CPU),
         1,
         {0xffff, 0, UINT32_MAX},
         "entry 6 (CPU, instance 0): it is there a"},
        {CPU_MSR_CODE, 1, {0xffff, 0, UINT32_MAX}, "entry 10 (CPU_MSR, instance 0): it is there a"},
        {HVM_SAVE_CODE(HEADER), 0, {2, 0, UINT32_MAX}, "entry 0 (CPU, instance 0): HEADER is not"},
        {HVM_SAVE_CODE(LAPIC),
         0,
         {1, 0, UINT32_MAX},
         "entry 2 (HEADER, instance 0): HEADER is not"},
        {HVM_SAVE_CODE(HEADER),
         0,
         {0xffff, 0, 23},
         "entry 0 (HEADER, instance 0): its length is 23"},
        {HVM_SAVE_CODE(CPU), 0, {0xffff, 0, 1031}, "entry 1 (CPU, instance 0): its length is 1031"},
        {HVM_SAVE_CODE(CPU), 0, {0xffff, 0, 0}, "entry 1 (CPU, instance 0): its length is 0"},
        {HVM_SAVE_CODE(LAPIC), 0, {0xffff, 0, 0}, "entry 2 (LAPIC, instance 0): its length is 0"},
        {HVM_SAVE_CODE(LAPIC), 0, {0xffff, 0, 25}, "entry 2 (LAPIC, instance 0): its length is 25"},
        {HVM_SAVE_CODE(LAPIC), 0, {0xffff, 0, 33}, "entry 2 (LAPIC, instance 0): its length is 33"},
        {CPU_XSAVE_CODE, 0, {0xffff, 0, 23}, "entry 4 (CPU_XSAVE, instance 0): its length is 23"},
        {CPU_XSAVE_CODE, 0, {0xffff, 0, 24 + 575}, "vCPU 0: XSAVE area: 575 bytes"},
        {CPU_MSR_CODE, 0, {0xffff, 0, 7}, "entry 5 (CPU_MSR, instance 0): its length is 7"},
        {CPU_MSR_CODE, 0, {0xffff, 0, 25}, "entry 5 (CPU_MSR, instance 0): its length is 25"},
        {CPU_MSR_CODE,
         1,
         {0xffff, 1, UINT32_MAX - 1},
         "entry 10 (CPU_MSR, instance 1): its length"},
        {HVM_SAVE_CODE(END), 0, {20, 9, UINT32_MAX}, "entry 11 (CPU_MSR) is of vCPU 9"},
        {HVM_SAVE_CODE(END), 0, {99, 9, UINT32_MAX}, "it ends without an END, behind 12 entries"},
        {HVM_SAVE_CODE(END), 0, {0xffff, 0, 1}, "entry 11 (END, instance 0): its length is 1"},
        {HVM_SAVE_CODE(CPU), 1, {0, 0, 0}, " bytes stand behind its END"},
        {HVM_SAVE_CODE(CPU), 0, {0, 0, 0}, " bytes stand behind its END"},
    };

    (void)state;
    boot(false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *at = entry(cases[i].code, cases[i].instance);
        struct hvm_save_descriptor desc, was;

        memcpy(&was, at, sizeof(was));
        desc = cases[i].becomes;
        desc.typecode = desc.typecode == 0xffff ? was.typecode : desc.typecode;
        desc.length = desc.length == UINT32_MAX ? was.length : desc.length;
        memcpy(at, &desc, sizeof(desc));
        if (cases[i].says[0] == ' ') { /* the number in front is how many */
            assert_int_equal(restore(stream, stream_size, VCPUS), -1);
            assert_int_equal(errno, EILSEQ);
            assert_true(inproc_said(cases[i].says));
        } else {
            refused_at(VCPUS, EILSEQ, cases[i].says);
        }
        memcpy(at, &was, sizeof(was));
    }
    refused_at(1, EILSEQ, "entry 6 (CPU) is of vCPU 1, and the domain has 1");
    halt();
}

/* Those that nobody looks into may be there; a vCPU that is down has none; but not all of them. */
static void which_entries(void **state)
{
    const uint16_t cpu = HVM_SAVE_CODE(CPU), other = 99;

    (void)state;
    boot(false);
    memcpy(entry(HVM_SAVE_CODE(CPU), 0), &other, sizeof(other));
    memcpy(entry(HVM_SAVE_CODE(CPU), 1), &other, sizeof(other));
    refused_at(VCPUS, EILSEQ, "there is no CPU entry in it");
    memcpy(entry(other, 1), &cpu, sizeof(cpu));
    assert_int_equal(restore(stream, stream_size, VCPUS), -1);
    assert_true(inproc_said("does not take the domain's registers")); /* no host knows 99 */
    halt();
}

/* Cut at every byte, in a record that is right otherwise. */
static void cut_anywhere(void **state)
{
    (void)state;
    boot(false);
    for (uint32_t n = 1; n < context_size; n += n < 64 || n > context_size - 32 ? 1 : 13) {
        size_t before = (size_t)(context - stream), padded = (n + 7) & ~7u;
        size_t behind = (context_size + 7) & ~7u;
        uint8_t *cut = calloc(1, stream_size);
        size_t left = stream_size - before - behind;

        assert_non_null(cut);
        memcpy(cut, stream, before + n);
        memcpy(cut + before - 4, &n, sizeof(n));
        memcpy(cut + before + padded, context + behind, left);
        if (!restore(cut, before + padded + left, VCPUS) || errno != EILSEQ ||
            inproc_said("does not take"))
            fail_msg("cut at %u: %s", n, inproc_log());
        free(cut);
    }
    halt();
}

/* ---- PV ---- */

/* Add a record; where its body is. */
static size_t add(uint32_t type, const void *body, uint32_t length)
{
    const struct xc_sr_rhdr header = {type, length};
    const size_t at = stream_size, padded = (length + 7) & ~7u;

    stream = realloc(stream, at + sizeof(header) + padded);
    assert_non_null(stream);
    memcpy(stream + at, &header, sizeof(header));
    memset(stream + at + sizeof(header), 0, padded);
    if (length)
        memcpy(stream + at + sizeof(header), body, length);
    stream_size = at + sizeof(header) + padded;
    return at + sizeof(header);
}

/* Bodies of vCPU records behind their struct xc_sr_vcpu. */
struct pv_xsave {
    struct xc_sr_vcpu head;
    uint64_t xcr0, accum;
    uint8_t area[832];
};

struct pv_msrs {
    struct xc_sr_vcpu head;
    xen_domctl_vcpu_msr_t msr;
};

struct pv_basic {
    struct xc_sr_vcpu head;
    vcpu_guest_context_t c;
};

static size_t basic_at, xsave_at, msrs_at;

/* A stream with all that is looked at, up to what would have to be a guest's memory. */
static void pv_stream(bool msr_policy)
{
    const struct xc_sr_ihdr image = {
        XC_SR_MARKER, __builtin_bswap32(XC_SR_IDENT), __builtin_bswap32(3), 0, 0, 0};
    const struct xc_sr_dhdr head = {XC_SR_GUEST_PV, XC_SR_PAGE_SHIFT, 0, 4, 17};
    const struct xc_sr_pv_info info = {.guest_width = 8, .pt_levels = 4};
    const struct {
        struct xc_sr_p2m_frames head;
        uint64_t pfn;
    } p2m = {{0, 7}, 3};
    static const uint8_t page[4096];
    const struct xc_sr_tsc_info tsc = {.khz = 2000000};
    static struct pv_basic basic;
    static struct pv_xsave xsave = {.xcr0 = 7, .accum = 7};
    const struct pv_msrs msrs = {.msr = {0x140, 0, 1}};
    struct xc_leaves l;

    stream_size = sizeof(image) + sizeof(head);
    stream = malloc(stream_size);
    assert_non_null(stream);
    memcpy(stream, &image, sizeof(image));
    memcpy(stream + sizeof(image), &head, sizeof(head));
    assert_int_equal(xc_get_system_cpu_policy(xdst, XC_POLICY_PV_DEFAULT, &l), 0);
    (void)add(REC_X86_PV_INFO, &info, sizeof(info));
    (void)add(REC_X86_CPUID_POLICY, l.leaves, (uint32_t)(l.nr_leaves * sizeof(*l.leaves)));
    if (msr_policy)
        (void)add(REC_X86_MSR_POLICY, l.msrs, (uint32_t)(l.nr_msrs * sizeof(*l.msrs)));
    xc_leaves_free(&l);
    (void)add(REC_STATIC_DATA_END, NULL, 0);
    (void)add(REC_X86_PV_P2M_FRAMES, &p2m, sizeof(p2m));
    (void)add(REC_X86_TSC_INFO, &tsc, sizeof(tsc));
    (void)add(REC_SHARED_INFO, page, sizeof(page));
    basic.c.ctrlreg[4] = 0x50660; /* as Xen has it on a Cascade Lake: tests/migration/streams */
    basic_at = add(REC_X86_PV_VCPU_BASIC, &basic, sizeof(basic));
    memcpy(xsave.area + 512, "\7", 1);
    xsave_at = add(REC_X86_PV_VCPU_XSAVE, &xsave, sizeof(xsave));
    msrs_at = add(REC_X86_PV_VCPU_MSRS, &msrs, sizeof(msrs));
    (void)add(REC_END, NULL, 0);
}

static int restore_pv(void)
{
    const struct xc_domain_config config = {.type = XC_DOMAIN_PV, .max_vcpus = 1};
    const struct xc_restore_options options = {.unverified = false};
    const struct xc_restore_callbacks cb = {.data = NULL};
    int fd = memfd_create("stream", MFD_CLOEXEC), rc, err;
    struct xc_restore_result result;
    uint32_t domid;

    assert_int_equal(write(fd, stream, stream_size), stream_size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(xc_domain_create(xdst, &config, &domid), 0);
    assert_int_equal(xc_domain_max_vcpus(xdst, domid, 1), 0);
    assert_int_equal(xc_domain_max_mem(xdst, domid, PAGES * 4 + 64), 0);
    inproc_forget();
    rc = xc_domain_restore(xdst, fd, domid, &options, &cb, &result);
    err = errno;
    domain_destroy(domain_by_id(&dst->hv, (uint16_t)domid));
    (void)close(fd);
    errno = err;
    return rc;
}

static void pv_records(void **state)
{
    static const struct {
        size_t *record;
        size_t offset;
        uint64_t flip;
        int err;
        const char *says;
    } cases[] = {
        {&basic_at, offsetof(struct pv_basic, c.ctrlreg[4]), 1u << 20, EPERM,
         "record 7 (X86_PV_VCPU_BASIC): vCPU 0: CR4: smep is not in its CPU policy"},
        {&basic_at, offsetof(struct pv_basic, c.ctrlreg[4]), 1ull << 63, EILSEQ,
         "record 7 (X86_PV_VCPU_BASIC): vCPU 0: CR4: bit 63 is reserved"},
        {&xsave_at, offsetof(struct pv_xsave, accum), 1u << 17, EPERM,
         "record 8 (X86_PV_VCPU_XSAVE): vCPU 0: accumulated XCR0: component 17 (amx-tile) is not"},
        {&xsave_at, offsetof(struct pv_xsave, xcr0), 1u << 9, EPERM,
         "record 8 (X86_PV_VCPU_XSAVE): vCPU 0: XCR0: component 9 (pku) is not"},
        {&xsave_at, offsetof(struct pv_xsave, area) + 512, 1ull << 62, EPERM,
         "record 8 (X86_PV_VCPU_XSAVE): vCPU 0: XSTATE_BV: component 62 (lwp) is not"},
        {&xsave_at, offsetof(struct pv_xsave, accum), 1u << 2, EILSEQ,
         "record 8 (X86_PV_VCPU_XSAVE): vCPU 0: accumulated XCR0: 0x3 cannot be"},
        {&msrs_at, offsetof(struct pv_msrs, msr.index), 0x140 ^ 0x122, EPERM,
         "record 9 (X86_PV_VCPU_MSRS): vCPU 0: TSX_CTRL: tsx-ctrl is not in its CPU policy"},
        {&msrs_at, offsetof(struct pv_msrs, msr.reserved), 1, EILSEQ,
         "record 9 (X86_PV_VCPU_MSRS): vCPU 0: MSR 0x140: a reserved field is not zero"},
    };

    (void)state;
    boot(false);
    free(stream);
    pv_stream(true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *at = stream + *cases[i].record + cases[i].offset;
        char line[256];
        int rc;

        (void)snprintf(line, sizeof(line), "stream, offset %zu, %s",
                       *cases[i].record - sizeof(struct xc_sr_rhdr), cases[i].says);
        flip(at, cases[i].flip);
        rc = restore_pv();
        if (!rc || errno != cases[i].err || !inproc_said(line))
            fail_msg("%s: %d, errno %d, and said:\n%s", line, rc, errno, inproc_log());
        flip(at, cases[i].flip);
    }
    /* As it was, it gets as far as to the memory that it does not have. */
    free(stream);
    pv_stream(true);
    assert_int_equal(restore_pv(), -1);
    assert_false(inproc_said("vCPU"));
    assert_true(inproc_said("start info would be in frame 0"));
    /* Where nobody says what its MSRs were, they would be this host's. */
    free(stream);
    pv_stream(false);
    assert_int_equal(restore_pv(), -1);
    assert_true(inproc_said("incomplete: MSR CE is not named"));
    halt();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_are_refused_by_name),
        cmocka_unit_test(damage_is_seen_first),
        cmocka_unit_test(unverified_is_not_checked),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(which_entries),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(pv_records),
    };

    return cmocka_run_group_tests_name("registers in a stream", tests, NULL, NULL);
}
