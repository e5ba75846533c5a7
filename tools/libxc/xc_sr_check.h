/* SPDX-License-Identifier: MIT */
/*
 * What a stream holds of its vCPUs, against the CPU policy that came at its head: before any of it
 * is given to the hypervisor.  The rules are the policy library's, <cpuid-policy/state.h>.
 *
 * Each returns 0; or -1 after a line for everything that is wrong with one record of one vCPU, with
 * errno EPERM when the policy does not have what is in it, EILSEQ when no CPU could.
 */
#ifndef XC_SR_CHECK_H
#define XC_SR_CHECK_H

#include <cpuid-policy/state.h>

#include "xc_sr_private.h"

#pragma GCC visibility push(hidden)

/* ---- xc_sr_check.c ---- */

#define SR_MAX_FAULTS 16u

/* Room for a record's faults. */
struct sr_findings {
    struct state_report report;
    struct state_fault faults[SR_MAX_FAULTS];
};

/* Empty it. */
struct state_report *sr_findings(struct sr_findings *f);
/* Log them, if there are any. */
int sr_refuse_state(struct sr_reader *r, const struct sr_place *at, uint32_t vcpu,
                    const struct sr_findings *f);
/* Of struct hvm_one_msr and xen_domctl_vcpu_msr, which are one: MSRs, one behind the other. */
int sr_check_msrs(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                  uint32_t vcpu, const uint8_t *msrs, uint32_t n);

/* ---- xc_sr_hvm_check.c ---- */

/* HVM_CONTEXT: its entries from HEADER to END, and those of them that are about registers. */
int sr_hvm_check(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                 uint32_t nr_vcpus, const void *context, size_t size);

/* ---- xc_sr_pv_check.c ---- */

/* A vCPU's records' bodies behind their struct xc_sr_vcpu, their sizes already checked
 * (xc_sr_pv_restore.c). */
int sr_pv_check_basic(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes);
int sr_pv_check_xsave(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes, uint32_t size);

#pragma GCC visibility pop

#endif /* XC_SR_CHECK_H */
