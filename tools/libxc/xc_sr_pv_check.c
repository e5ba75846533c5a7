/* SPDX-License-Identifier: MIT */
/* A PV vCPU's records before the hypervisor gets them.  See xc_sr_check.h. */
#include <string.h>

#include "xc_sr_check.h"

int sr_pv_check_basic(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes)
{
    const vcpu_guest_context_t *c = bytes;
    struct sr_findings f;

    (void)state_check_cr4(p, true, c->ctrlreg[4], sr_findings(&f));
    return sr_refuse_state(r, at, vcpu, &f);
}

/* XCR0, all of it that was ever on, and the area; without one there is nothing to restore. */
int sr_pv_check_xsave(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                      uint32_t vcpu, const void *bytes, uint32_t size)
{
    uint64_t head[2];
    struct state_xsave x = {
        .area = (const uint8_t *)bytes + sizeof(head), .size = size - sizeof(head), .exact = true};
    struct sr_findings f;

    if (!x.size)
        return 0;
    memcpy(head, bytes, sizeof(head));
    x.xcr0 = head[0];
    x.xcr0_accum = head[1];
    (void)state_check_xsave(p, &x, sr_findings(&f));
    return sr_refuse_state(r, at, vcpu, &f);
}
