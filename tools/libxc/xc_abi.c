/* SPDX-License-Identifier: MIT */
/*
 * The installed headers against what all versions of xc_abi.h have in common: sizes, offsets and
 * numbers as Xen's public headers domctl.h, sysctl.h and hvm/save.h of 4.17.6, 4.18.6, 4.19.6,
 * 4.20.4, 4.21.2 and 4.22.0 have them.  Nothing here is code.
 */
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>

#include <xen/domctl.h>
#include <xen/hvm/save.h>
#include <xen/sysctl.h>

#include "xc_abi.h"

#define SIZE_IS(type, size)                                                                        \
    _Static_assert(sizeof(struct type) == (size), "struct " #type " of this Xen is another one")
#define FIELD_IS(type, field, offset, size)                                                        \
    _Static_assert(offsetof(struct type, field) == (offset) &&                                     \
                       sizeof(((struct type *)0)->field) == (size),                                \
                   #type "." #field " of this Xen is another one")
#define NUMBER_IS(name, value)                                                                     \
    _Static_assert((name) == (value), #name " of this Xen is another one")

_Static_assert(XEN_DOMCTL_INTERFACE_VERSION >= XC_DOMCTL_OLDEST &&
                   XEN_DOMCTL_INTERFACE_VERSION <= XC_DOMCTL_NEWEST,
               "this Xen's domctl interface is not in xc_abi.h");
_Static_assert(XEN_SYSCTL_INTERFACE_VERSION >= XC_SYSCTL_OLDEST &&
                   XEN_SYSCTL_INTERFACE_VERSION <= XC_SYSCTL_NEWEST,
               "this Xen's sysctl interface is not in xc_abi.h");

FIELD_IS(xen_domctl, cmd, 0, 4);
FIELD_IS(xen_domctl, domain, 8, 2);
FIELD_IS(xen_domctl, u, 16, 128);
SIZE_IS(xen_domctl, 144);
FIELD_IS(xen_sysctl, cmd, 0, 4);
FIELD_IS(xen_sysctl, u, 8, 128);
SIZE_IS(xen_sysctl, 136);
SIZE_IS(xen_domctl_getdomaininfo, 112);
FIELD_IS(xen_domctl_getdomaininfo, domain, 0, 2);
FIELD_IS(xen_domctl_getdomaininfo, flags, 4, 4);
FIELD_IS(xen_domctl_getdomaininfo, tot_pages, 8, 8);
FIELD_IS(xen_domctl_getdomaininfo, max_pages, 16, 8);
FIELD_IS(xen_domctl_getdomaininfo, outstanding_pages, 24, 8);
FIELD_IS(xen_domctl_getdomaininfo, shr_pages, 32, 8);
FIELD_IS(xen_domctl_getdomaininfo, paged_pages, 40, 8);
FIELD_IS(xen_domctl_getdomaininfo, shared_info_frame, 48, 8);
FIELD_IS(xen_domctl_getdomaininfo, cpu_time, 56, 8);
FIELD_IS(xen_domctl_getdomaininfo, nr_online_vcpus, 64, 4);
FIELD_IS(xen_domctl_getdomaininfo, max_vcpu_id, 68, 4);
FIELD_IS(xen_domctl_getdomaininfo, handle, 76, 16);
SIZE_IS(xen_domctl_vcpucontext, 16);
FIELD_IS(xen_domctl_vcpucontext, vcpu, 0, 4);
FIELD_IS(xen_domctl_vcpucontext, ctxt, 8, 8);
SIZE_IS(xen_domctl_getvcpuinfo, 24);
SIZE_IS(xen_domctl_shadow_op, 40);
FIELD_IS(xen_domctl_shadow_op, op, 0, 4);
FIELD_IS(xen_domctl_shadow_op, dirty_bitmap, 16, 8);
FIELD_IS(xen_domctl_shadow_op, pages, 24, 8);
FIELD_IS(xen_domctl_shadow_op, stats, 32, 8);
SIZE_IS(xen_domctl_getpageframeinfo3, 16);
SIZE_IS(xen_domctl_max_mem, 8);
SIZE_IS(xen_domctl_max_vcpus, 4);
SIZE_IS(xen_domctl_tsc_info, 24);
FIELD_IS(xen_domctl_tsc_info, elapsed_nsec, 16, 8);
FIELD_IS(xen_domctl_tsc_info, incarnation, 8, 4);
SIZE_IS(xen_domctl_address_size, 4);
SIZE_IS(xen_domctl_hvmcontext, 16);
FIELD_IS(xen_domctl_hvmcontext, buffer, 8, 8);
SIZE_IS(xen_domctl_ext_vcpucontext, 64);
FIELD_IS(xen_domctl_ext_vcpucontext, mcg_cap, 32, 8);
FIELD_IS(xen_domctl_ext_vcpucontext, vmce, 32, 32);
SIZE_IS(xen_domctl_vcpuextstate, 32);
FIELD_IS(xen_domctl_vcpuextstate, buffer, 24, 8);
SIZE_IS(xen_domctl_vcpu_msrs, 16);
FIELD_IS(xen_domctl_vcpu_msrs, msrs, 8, 8);
SIZE_IS(xen_domctl_vcpu_msr, 16);
SIZE_IS(xen_domctl_cpu_policy, 40);
FIELD_IS(xen_domctl_cpu_policy, nr_leaves, 0, 4);
FIELD_IS(xen_domctl_cpu_policy, nr_msrs, 4, 4);
FIELD_IS(xen_domctl_cpu_policy, leaves, 8, 8);
FIELD_IS(xen_domctl_cpu_policy, err_leaf, 24, 4);
FIELD_IS(xen_domctl_cpu_policy, err_msr, 32, 4);
FIELD_IS(xen_domctl_cpu_policy, msrs, 16, 8);
SIZE_IS(xen_cpuid_leaf, 24);
SIZE_IS(xen_msr_entry, 16);
SIZE_IS(xen_sysctl_readconsole, 24);
SIZE_IS(xen_sysctl_physinfo, 112);
FIELD_IS(xen_sysctl_physinfo, nr_cpus, 8, 4);
FIELD_IS(xen_sysctl_physinfo, cpu_khz, 24, 4);
FIELD_IS(xen_sysctl_physinfo, capabilities, 28, 4);
FIELD_IS(xen_sysctl_physinfo, total_pages, 40, 8);
FIELD_IS(xen_sysctl_physinfo, free_pages, 48, 8);
FIELD_IS(xen_sysctl_physinfo, threads_per_core, 0, 4);
FIELD_IS(xen_sysctl_physinfo, nr_nodes, 16, 4);
FIELD_IS(xen_sysctl_physinfo, max_cpu_id, 12, 4);
FIELD_IS(xen_sysctl_physinfo, max_node_id, 20, 4);
FIELD_IS(xen_sysctl_physinfo, arch_capabilities, 32, 4);
FIELD_IS(xen_sysctl_physinfo, scrub_pages, 56, 8);
FIELD_IS(xen_sysctl_physinfo, outstanding_pages, 64, 8);
FIELD_IS(xen_sysctl_physinfo, max_mfn, 72, 8);
FIELD_IS(xen_sysctl_physinfo, cores_per_socket, 4, 4);
SIZE_IS(xen_sysctl_getdomaininfolist, 24);
FIELD_IS(xen_sysctl_getdomaininfolist, buffer, 8, 8);
SIZE_IS(xen_sysctl_cpu_featureset, 16);
FIELD_IS(xen_sysctl_cpu_featureset, features, 8, 8);
SIZE_IS(xen_sysctl_cpu_policy, 32);
FIELD_IS(xen_sysctl_cpu_policy, leaves, 16, 8);
FIELD_IS(xen_sysctl_cpu_policy, msrs, 24, 8);
SIZE_IS(xen_sysctl_livepatch_op, 72);
FIELD_IS(xen_sysctl_livepatch_op, u, 8, 64);
FIELD_IS(xen_sysctl_livepatch_op, u.upload.size, 24, 8);
FIELD_IS(xen_sysctl_livepatch_op, u.get.status, 24, 8);
FIELD_IS(xen_sysctl_livepatch_op, u.action.cmd, 24, 4);
FIELD_IS(xen_sysctl_livepatch_op, u.action.timeout, 28, 4);
FIELD_IS(xen_sysctl_livepatch_op, u.action.pad, 36, 4);
SIZE_IS(hvm_hw_cpu, 1032);
SIZE_IS(hvm_hw_lapic_regs, 1024);
SIZE_IS(hvm_hw_mtrr, 240);
SIZE_IS(hvm_hw_cpu_xsave, 600);
SIZE_IS(vcpu_guest_context, 5168);
SIZE_IS(shared_info, 3136);

NUMBER_IS(XEN_DOMCTL_get_address_size, 0x24);
NUMBER_IS(XEN_DOMCTL_gethvmcontext, 0x21);
NUMBER_IS(XEN_DOMCTL_sethvmcontext, 0x22);
NUMBER_IS(XEN_DOMCTL_gettscinfo, 0x3b);
NUMBER_IS(XEN_DOMCTL_settscinfo, 0x3c);
NUMBER_IS(XEN_DOMCTL_resumedomain, 0x1b);
NUMBER_IS(XEN_DOMCTL_getdomaininfo, 0x5);
NUMBER_IS(XEN_DOMCTL_getpageframeinfo3, 0x3d);
NUMBER_IS(XEN_DOMCTL_getvcpucontext, 0xd);
NUMBER_IS(XEN_DOMCTL_get_ext_vcpucontext, 0x2b);
NUMBER_IS(XEN_DOMCTL_getvcpuextstate, 0x3f);
NUMBER_IS(XEN_DOMCTL_setvcpucontext, 0xc);
NUMBER_IS(XEN_DOMCTL_get_vcpu_msrs, 0x48);
NUMBER_IS(XEN_DOMCTL_getvcpuinfo, 0xe);
NUMBER_IS(XEN_DOMCTL_set_ext_vcpucontext, 0x2a);
NUMBER_IS(XEN_DOMCTL_setvcpuextstate, 0x3e);
NUMBER_IS(XEN_DOMCTL_set_vcpu_msrs, 0x49);
NUMBER_IS(XEN_DOMCTL_pausedomain, 0x3);
NUMBER_IS(XEN_DOMCTL_unpausedomain, 0x4);
NUMBER_IS(XEN_DOMCTL_shadow_op, 0xa);
NUMBER_IS(XEN_DOMCTL_destroydomain, 0x2);
NUMBER_IS(XEN_DOMCTL_max_vcpus, 0xf);
NUMBER_IS(XEN_DOMCTL_max_mem, 0xb);
NUMBER_IS(XEN_DOMCTL_get_cpu_policy, 0x52);
NUMBER_IS(XEN_DOMCTL_set_cpu_policy, 0x53);
NUMBER_IS(XEN_SYSCTL_readconsole, 0x1);
NUMBER_IS(XEN_SYSCTL_getdomaininfolist, 0x6);
NUMBER_IS(XEN_SYSCTL_physinfo, 0x3);
NUMBER_IS(XEN_SYSCTL_get_cpu_featureset, 0x1a);
NUMBER_IS(XEN_SYSCTL_get_cpu_policy, 0x1d);
NUMBER_IS(XEN_SYSCTL_livepatch_op, 0x1b);
NUMBER_IS(XEN_SYSCTL_cpu_policy_raw, 0);
NUMBER_IS(XEN_SYSCTL_cpu_policy_host, 0x1);
NUMBER_IS(XEN_SYSCTL_cpu_policy_pv_max, 0x2);
NUMBER_IS(XEN_SYSCTL_cpu_policy_hvm_max, 0x3);
NUMBER_IS(XEN_SYSCTL_cpu_policy_pv_default, 0x4);
NUMBER_IS(XEN_SYSCTL_cpu_policy_hvm_default, 0x5);
NUMBER_IS(XEN_SYSCTL_PHYSCAP_pv, 0x2);
NUMBER_IS(XEN_SYSCTL_PHYSCAP_hvm, 0x1);
NUMBER_IS(XEN_SYSCTL_PHYSCAP_hap, 0x8);
NUMBER_IS(XEN_SYSCTL_PHYSCAP_shadow, 0x10);
NUMBER_IS(XEN_DOMCTL_SHADOW_OP_OFF, 0);
NUMBER_IS(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0x2);
NUMBER_IS(XEN_DOMCTL_SHADOW_OP_CLEAN, 0xb);
NUMBER_IS(XEN_DOMCTL_SHADOW_OP_PEEK, 0xc);
NUMBER_IS(XEN_DOMINF_dying, 0x1);
NUMBER_IS(XEN_DOMINF_hvm_guest, 0x2);
NUMBER_IS(XEN_DOMINF_shutdown, 0x4);
NUMBER_IS(XEN_DOMINF_paused, 0x8);
NUMBER_IS(XEN_DOMINF_blocked, 0x10);
NUMBER_IS(XEN_DOMINF_running, 0x20);
NUMBER_IS(XEN_DOMINF_hap, 0x100);
NUMBER_IS(XEN_DOMINF_shutdownshift, 0x10);
NUMBER_IS(XEN_DOMINF_shutdownmask, 0xff);
