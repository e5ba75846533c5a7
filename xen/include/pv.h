/* SPDX-License-Identifier: MIT */
/*
 * PV domains: their page tables and machine frames, and their vCPUs' state as toolstacks read and
 * write it.
 */
#ifndef PV_H
#define PV_H

#include <hypervisor.h>

/* ---- page tables: arch/x86/pv-tables.c ---- */

/* Find a frame that the domain has and that is no shared info; NULL: it has not. */
struct frame *pv_frame(const struct domain *d, uint64_t mfn);
/* Check that the frame can be a page table of that level (1 to 4): nothing in it is forbidden to
 * the domain.  Then it is one from now on.  0; or -EINVAL, and the console says why. */
int pv_check_table(struct domain *d, uint64_t mfn, unsigned int level);
/* Check that the frame can be one of descriptors, in the same way. */
int pv_check_gdt(struct domain *d, uint64_t mfn);
/* Do __HYPERVISOR_mmuext_op for a toolstack: MMUEXT_{PIN_L*,UNPIN}_TABLE. */
long do_mmuext_op(struct hypervisor *hv, uint64_t ops, unsigned int count, uint64_t done,
                  uint32_t domid);
/*
 * Find, read and write the guest's own memory by virtual address, as its page tables say.
 * pv_translate() returns the machine frame that is mapped there.  -EFAULT: a page fault.
 */
int64_t pv_translate(const struct vcpu *v, uint64_t address, bool write);
int pv_memory_read(const struct vcpu *v, uint64_t address, void *dst, size_t size);
int pv_memory_write(const struct vcpu *v, uint64_t address, const void *src, size_t size);

/* ---- for toolstacks ---- */

/* Do XEN_DOMCTL_getpageframeinfo3: frame numbers in, XEN_DOMCTL_PFINFO_* out.  arch/x86/page-info.c
 */
long get_page_info(struct domain *d, const struct xen_domctl_getpageframeinfo3 *op);
/* Do XEN_DOMCTL_{get,set}vcpucontext, for PV.  arch/x86/pv-context.c */
long pv_get_context(struct domain *d, const struct xen_domctl_vcpucontext *op);
long pv_set_context(struct domain *d, const struct xen_domctl_vcpucontext *op);
/* Get and set the other three parts of a PV vCPU's state: XEN_DOMCTL_{get,set}_ext_vcpucontext,
 * {get,set}vcpuextstate, {get,set}_vcpu_msrs.  arch/x86/pv-state.c */
long pv_get_ext_context(struct domain *d, struct xen_domctl_ext_vcpucontext *op);
long pv_set_ext_context(struct domain *d, const struct xen_domctl_ext_vcpucontext *op);
long pv_get_xstate(struct domain *d, struct xen_domctl_vcpuextstate *op);
long pv_set_xstate(struct domain *d, const struct xen_domctl_vcpuextstate *op);
long pv_get_msrs(struct domain *d, struct xen_domctl_vcpu_msrs *op);
long pv_set_msrs(struct domain *d, const struct xen_domctl_vcpu_msrs *op);

#endif /* PV_H */
