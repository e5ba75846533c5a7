/* SPDX-License-Identifier: MIT */
/*
 * Checks the registers in a stream against the CPU policy at its head, before the hypervisor is
 * given any of them.  The rules are the policy library's, <cpuid-policy/state.h>.
 *
 * Each function that returns int returns 0; or -1 after it has logged a line for everything that is
 * wrong with one record of one vCPU, with errno EPERM if the policy does not allow it, EILSEQ if no
 * CPU could have it.
 */
#ifndef XC_SR_CHECK_H
#define XC_SR_CHECK_H

#include <cpuid-policy/state.h>

#include "xc_sr_private.h"

#pragma GCC visibility push(hidden)

/* ---- xc_sr_check.c ---- */

#define SR_MAX_FAULTS 16u

/* Collects the faults of one record. */
struct sr_findings {
    struct state_report report;
    struct state_fault faults[SR_MAX_FAULTS];
};

/* Empties f, and returns its report for the checks to fill. */
struct state_report *sr_findings(struct sr_findings *f);
/* Logs the faults in f; returns 0 if there are none. */
int sr_refuse_state(struct sr_reader *r, const struct sr_place *at, uint32_t vcpu,
                    const struct sr_findings *f);
/* Checks an array of n MSRs: struct hvm_one_msr or xen_domctl_vcpu_msr, which are the same. */
int sr_check_msrs(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                  uint32_t vcpu, const uint8_t *msrs, uint32_t n);

/* ---- xc_sr_hvm_check.c ---- */

/* Checks an HVM_CONTEXT of `size` bytes: the order and lengths of its entries, and those that hold
 * registers. */
int sr_hvm_check(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                 uint32_t nr_vcpus, const void *context, size_t size);

/* ---- xc_sr_pv_check.c ---- */

/* Check the body of a vCPU's record, behind its struct xc_sr_vcpu; xc_sr_pv_restore.c has checked
 * its size. */
int sr_pv_check_basic(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes);
int sr_pv_check_xsave(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes, uint32_t size);

#pragma GCC visibility pop

#endif /* XC_SR_CHECK_H */
