/* SPDX-License-Identifier: MIT */
/*
 * The audit that stands in for the hypervisor's x86_cpu_policies_are_compatible().
 *
 * XEN_DOMCTL_set_cpu_policy calls it with the maximum policy for the domain's type and the policy
 * that would be installed.  Stock Xen compares three maximum leaves and one MSR bit, and clamps the
 * rest in silence; this compares everything, and refuses.
 */
#include "born.h"
#include "payload.h"

#include <xen/errno.h>

#define MAX_FAULTS 64

/* What this host can do for one type of guest: the hypervisor's own objects, which are made at boot
 * and never again, but for what born.c does to the default ones. */
static const struct {
    const uint8_t *max, *deflt;
} hosts[] = {[BORN_PV] = {pv_max_cpu_policy, pv_def_cpu_policy},
             [BORN_HVM] = {hvm_max_cpu_policy, hvm_def_cpu_policy}};

/* Xen's stacks are small: working space is here, one audit at a time. */
static struct {
    struct cpu_policy guest, max, deflt; /* converted anew for each audit: room is dear */
    struct policy_fault faults[MAX_FAULTS];
    char line[120];
    struct audit_stats stats;
    uint32_t lock;
} work;

static void take_lock(void)
{
    while (__atomic_exchange_n(&work.lock, 1u, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&work.lock, __ATOMIC_RELAXED))
            __asm__ volatile("pause");
}

static void release_lock(void)
{
    __atomic_store_n(&work.lock, 0u, __ATOMIC_RELEASE);
}

static void copy_regs(struct cpuid_regs *to, const uint8_t *from, size_t count)
{
    const struct cpuid_regs *regs = (const struct cpuid_regs *)(const void *)from;

    for (size_t i = 0; i < count; i++)
        to[i] = regs[i];
}

void convert_policy(struct cpu_policy *to, const void *from)
{
    const uint8_t *p = from;

    _Static_assert(LAYOUT_NR_BASIC <= POLICY_NR_BASIC && LAYOUT_NR_FEAT <= POLICY_NR_FEAT &&
                       LAYOUT_NR_XSTATE <= POLICY_NR_XSTATE && LAYOUT_NR_EXTD <= POLICY_NR_EXTD,
                   "the hypervisor's policy has more leaves than ours");
    copy_regs(to->basic, p, LAYOUT_NR_BASIC);
    copy_regs(to->feat, p + LAYOUT_FEAT, LAYOUT_NR_FEAT);
    copy_regs(to->xstate, p + LAYOUT_XSTATE, LAYOUT_NR_XSTATE);
    copy_regs(to->extd, p + LAYOUT_EXTD, LAYOUT_NR_EXTD);
    to->platform_info = *(const uint32_t *)(const void *)(p + LAYOUT_PLATFORM_INFO);
    to->arch_caps = *(const uint64_t *)(const void *)(p + LAYOUT_ARCH_CAPS);
}

void audit_prepare(void)
{
    take_lock();
    work.stats = (struct audit_stats){0};
    release_lock();
}

/* ---- the log ---- */

/* Append to the line; what does not fit is left out. */
static size_t append_text(size_t at, const char *text)
{
    while (*text && at + 1 < sizeof(work.line))
        work.line[at++] = *text++;
    work.line[at] = '\0';
    return at;
}

static const char *fault_label(const struct policy_fault *f)
{
    const struct feature_info *info;

    if (f->kind != FAULT_FEATURE_MISSING && f->kind != FAULT_HAZARD_UNTOLD)
        return policy_fault_name(f->kind);
    info = feature_info(f->feature);
    return info ? info->name : "unnamed-bit";
}

/* One kind of difference: its features by name, as many to a line as fit. */
static void log_group(unsigned int domid, const char *what, size_t kept, bool features,
                      enum policy_fault_kind kind)
{
    size_t at = 0;

    for (size_t i = 0; i < kept; i++) {
        const struct policy_fault *f = &work.faults[i];
        bool feature = f->kind == FAULT_FEATURE_MISSING || f->kind == FAULT_HAZARD_UNTOLD;
        char place[32];

        if (features ? f->kind != kind : feature)
            continue;
        if (at > 60) {
            printk(LOG_REFUSAL "xenlevel: d%u: %s%s\n", domid, what, work.line);
            at = 0;
        }
        at = append_text(at, " ");
        at = append_text(at, fault_label(f));
        if (feature && feature_location(f->feature, place, sizeof(place)) > 0) {
            at = append_text(at, "(");
            at = append_text(at, place);
            at = append_text(at, ")");
        }
    }
    if (at)
        printk(LOG_REFUSAL "xenlevel: d%u: %s%s\n", domid, what, work.line);
}

static void log_refusal(unsigned int domid, const struct policy_report *r)
{
    size_t kept = r->count < r->max ? r->count : r->max;

    printk(LOG_REFUSAL "xenlevel: d%u: policy refused, %zu difference%s from what this host can "
                       "honour\n",
           domid, r->count, r->count == 1 ? "" : "s");
    log_group(domid, "missing here:", kept, true, FAULT_FEATURE_MISSING);
    log_group(domid, "hazards it was not told of:", kept, true, FAULT_HAZARD_UNTOLD);
    log_group(domid, "also:", kept, false, FAULT_MSR);
}

/* ---- the audit ---- */

static int check_policy(const void *max, const void *guest, struct policy_report *r)
{
    const struct policy_host host = {&work.max, &work.deflt};

    for (unsigned int i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (hosts[i].max != max)
            continue;
        convert_policy(&work.guest, guest);
        convert_policy(&work.max, hosts[i].max);
        convert_policy(&work.deflt, hosts[i].deflt);
        born_widen(i, &work.deflt); /* a level's hazards are not this host's */
        return policy_check(&work.guest, &host, r);
    }
    /* A maximum that this hypervisor did not have when the payload was built: nothing is known of
     * it. */
    work.faults[0] = (struct policy_fault){.kind = FAULT_VENDOR_UNKNOWN,
                                           .leaf = POLICY_NONE,
                                           .subleaf = POLICY_NONE,
                                           .msr = POLICY_NONE};
    r->count = 1;
    return -XEN_EINVAL;
}

int audit_policy(const void *max, const void *guest, struct audit_where *where, const void *domain)
{
    struct policy_report r = {work.faults, MAX_FAULTS, 0};
    struct audit_where at = {POLICY_NONE, POLICY_NONE, POLICY_NONE};
    uint64_t begun, cycles;
    int rc;

    take_lock();
    begun = read_tsc();
    rc = check_policy(max, guest, &r);
    cycles = read_tsc() - begun;

    work.stats.calls++;
    work.stats.cycles_total += cycles;
    if (cycles > work.stats.cycles_max)
        work.stats.cycles_max = cycles;
    if (rc) {
        work.stats.refused++;
        at = (struct audit_where){work.faults[0].leaf, work.faults[0].subleaf, work.faults[0].msr};
        if (domain)
            log_refusal(*(const uint16_t *)domain, &r);
    }
    release_lock();

    if (where)
        *where = at;
    return rc ? -XEN_EINVAL : 0;
}

void audit_statistics(struct audit_stats *stats)
{
    take_lock();
    *stats = work.stats;
    release_lock();
}

/*
 * update_domain_cpu_policy() keeps its domain in %rbx across the call, which gen-layout.py has
 * checked in this very build; the audit has no argument for it.
 */
__asm__(".pushsection .text.audit_entry, \"ax\", @progbits\n"
        ".balign 16\n"
        ".globl audit_entry\n"
        ".hidden audit_entry\n"
        ".type audit_entry, @function\n"
        "audit_entry:\n"
        "    endbr64\n"
        "    mov %rbx, %rcx\n"
        "    jmp audit_policy\n"
        ".size audit_entry, . - audit_entry\n"
        ".popsection\n");
