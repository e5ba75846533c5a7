/* SPDX-License-Identifier: MIT */
/* What the policy library's own sources share: error numbers without a libc. */
#ifndef CPUID_POLICY_PRIVATE_H
#define CPUID_POLICY_PRIVATE_H

/*
 * The hypervisor's public error numbers, which are x86 Linux's.  The short names serve freestanding
 * code, which has no errno.h; only the library's sources include this header, never its users.
 */
#include <xen/errno.h>

#define ENOENT  XEN_ENOENT
#define E2BIG   XEN_E2BIG
#define EXDEV   XEN_EXDEV
#define EINVAL  XEN_EINVAL
#define ENOSPC  XEN_ENOSPC
#define ERANGE  XEN_ERANGE
#define ENOBUFS XEN_ENOBUFS

#endif /* CPUID_POLICY_PRIVATE_H */
