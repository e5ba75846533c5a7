/* SPDX-License-Identifier: MIT */
/*
 * The versions of Xen's control interfaces that this program speaks, whatever it was built on.
 *
 * XEN_DOMCTL_INTERFACE_VERSION and XEN_SYSCTL_INTERFACE_VERSION of Xen's public headers:
 *
 *   Xen      4.17   4.18   4.19   4.20   4.21   4.22
 *   domctl   0x15   0x16   0x17   0x17   0x17   0x18
 *   sysctl   0x15   0x15   0x15   0x15   0x16   0x16
 *
 * Every operation that libxc uses on a real Xen has the same number, and its struct the same fields
 * at the same places, in all of them: compared field by field in the headers of 4.17.6 to 4.22.0.
 * xc_abi.c holds the installed headers against that table, so a build with others does not succeed
 * by chance.  XEN_DOMCTL_createdomain has changed (altp2m_opts in 4.20); only simulated hosts are
 * asked for it, and they are built from the same headers.
 */
#ifndef XC_ABI_H
#define XC_ABI_H

#define XC_DOMCTL_OLDEST 0x15u
#define XC_DOMCTL_NEWEST 0x18u
#define XC_SYSCTL_OLDEST 0x15u
#define XC_SYSCTL_NEWEST 0x16u

/* Gone from the headers of 4.22, and from its hypervisor.  Its answer: one uint32_t of
 * XEN_SYSCTL_CPU_LEVELCAP_* at the beginning of the union. */
#define XC_SYSCTL_GET_CPU_LEVELLING_CAPS 25u

#endif /* XC_ABI_H */
