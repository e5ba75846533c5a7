/* SPDX-License-Identifier: MIT */
/*
 * What a live patch has made of the default policies, and what they were before.
 *
 * Xen has no place for a default policy that nobody is born with any more.  Whoever narrows it
 * leaves in a file what was changed (struct born_level); the file counts only where the running
 * hypervisor has, in every place, what it says that it was changed to.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <born.h>

#include "xc_private.h"
#include "xc_sim.h"

/* 1: there is a table that can be used.  0: there is none, or it is nobody's.  -1 and errno: it
 * cannot be read.  Nothing is allocated: the gate asks for this when there may be no memory. */
static int read_table(const char *path, struct born_level *b)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err;
    ssize_t n;

    /* A program that may not look here is one that AppArmor confines: it gets the stricter
     * answer, the hazards of the level. */
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM ? 0 : -1;
    do
        n = read(fd, b, sizeof(*b));
    while (n < 0 && errno == EINTR);
    err = errno;
    (void)close(fd);
    errno = err;
    if (n < 0)
        return -1;
    if (n != (ssize_t)sizeof(*b) || b->magic != BORN_MAGIC || b->size != sizeof(*b))
        return 0;
    return b->n[BORN_PV] <= BORN_MAX && b->n[BORN_HVM] <= BORN_MAX;
}

/* The registers of an entry, of a policy. */
static struct cpuid_regs get_regs(const struct cpu_policy *p, const struct born_entry *e)
{
    const struct cpuid_regs *r = policy_leaf_const(p, e->leaf, e->subleaf);
    uint64_t msr = e->subleaf == MSR_ARCH_CAPABILITIES ? p->arch_caps : p->platform_info;

    if (e->leaf == POLICY_NONE)
        return (struct cpuid_regs){(uint32_t)msr, (uint32_t)(msr >> 32), 0, 0};
    return r ? *r : (struct cpuid_regs){0};
}

static void set_regs(struct cpu_policy *p, const struct born_entry *e, const struct cpuid_regs *to)
{
    struct cpuid_regs *r = policy_leaf(p, e->leaf, e->subleaf);
    uint64_t msr = to->a | (uint64_t)to->b << 32;

    if (e->leaf != POLICY_NONE) {
        if (r)
            *r = *to;
    } else if (e->subleaf == MSR_ARCH_CAPABILITIES) {
        p->arch_caps = msr;
    } else {
        p->platform_info = msr;
    }
}

/* Whether the policy has, in every place of the table, what it was changed to; a level that changes
 * nothing of it has no places. */
static bool is_narrowed(const struct born_level *b, unsigned int type, const struct cpu_policy *p)
{
    for (uint32_t i = 0; i < b->n[type]; i++) {
        struct cpuid_regs now = get_regs(p, &b->entries[type][i]);

        if (memcmp(&now, &b->entries[type][i].to, sizeof(now)) != 0)
            return false;
    }
    return true;
}

int xc_widen_default(const char *path, enum xc_policy_index index, struct cpu_policy *p)
{
    const unsigned int type = index == XC_POLICY_PV_DEFAULT ? BORN_PV : BORN_HVM;
    struct born_level b;
    int rc;

    if (index != XC_POLICY_PV_DEFAULT && index != XC_POLICY_HVM_DEFAULT)
        return 0;
    rc = read_table(path, &b);
    if (rc <= 0)
        return rc;
    if (!is_narrowed(&b, type, p))
        return 0;
    for (uint32_t i = 0; i < b.n[type]; i++)
        set_regs(p, &b.entries[type][i], &b.entries[type][i].from);
    return 1;
}

int xc_widen_own(xc_handle *xch, enum xc_policy_index index, struct cpu_policy *p)
{
    const int before = errno;
    int rc = xc_is_sim(xch) ? 0 : xc_widen_default(XC_BORN_FILE, index, p);

    if (rc >= 0)
        errno = before; /* that there is no such file is nobody's failure */
    return rc < 0 ? xc_fail(xch, errno, "%s: %s", XC_BORN_FILE, xc_reason(xch, errno)) : rc;
}
