/* SPDX-License-Identifier: MIT */
/* See xc_sr_check.h: what HVM's and PV's vCPUs share. */
#include <errno.h>
#include <string.h>

#include "xc_sr_check.h"

#include <xen/hvm/save.h>

_Static_assert(sizeof(struct hvm_one_msr) == sizeof(xen_domctl_vcpu_msr_t) &&
                   offsetof(struct hvm_one_msr, _rsvd) ==
                       offsetof(xen_domctl_vcpu_msr_t, reserved) &&
                   offsetof(struct hvm_one_msr, val) == offsetof(xen_domctl_vcpu_msr_t, value),
               "an MSR");

struct state_report *sr_findings(struct sr_findings *f)
{
    f->report = (struct state_report){f->faults, SR_MAX_FAULTS, 0};
    return &f->report;
}

int sr_refuse_state(struct sr_reader *r, const struct sr_place *at, uint32_t vcpu,
                    const struct sr_findings *f)
{
    const size_t n = f->report.count < SR_MAX_FAULTS ? f->report.count : SR_MAX_FAULTS;
    char text[STATE_FAULT_TEXT];
    int err = EILSEQ;

    for (size_t i = 0; i < n; i++)
        if (state_is_of_another_cpu(&f->faults[i]))
            err = EPERM;
    for (size_t i = 0; i < n; i++)
        (void)sr_refuse(r, at, err, "vCPU %u: %s", vcpu,
                        state_fault_text(&f->faults[i], text, sizeof(text)));
    return n ? -1 : 0;
}

int sr_check_msrs(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                  uint32_t vcpu, const uint8_t *msrs, uint32_t n)
{
    struct sr_findings f;
    struct hvm_one_msr msr;

    (void)sr_findings(&f);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&msr, msrs + i * sizeof(msr), sizeof(msr));
        if (msr._rsvd)
            return sr_refuse(r, at, EILSEQ, "vCPU %u: MSR %#x: a reserved field is not zero", vcpu,
                             msr.index);
        (void)state_check_msr(p, msr.index, msr.val, &f.report);
    }
    return sr_refuse_state(r, at, vcpu, &f);
}
