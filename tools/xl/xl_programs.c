/* SPDX-License-Identifier: MIT */
/*
 * What the programs of a PV domain read on this host, beyond or short of its policy.
 */
#include <stdio.h>

#include "cpu.h"
#include "out.h"
#include "programs.h"
#include "xc_audit.h"
#include "xl.h"
#include "xl_programs.h"

static void print_line(void *opaque, const char *line)
{
    out_text(opaque, 2, 4, "%s", line);
}

int xl_programs_look(xc_handle *xch, uint32_t domid, struct xl_programs *p)
{
    struct cpu_policy policy;

    p->known = !xc_domain_policy(xch, domid, &policy) && !programs_view(xch, &policy, &p->view);
    return p->known ? 0 : -1;
}

bool xl_programs_exact(const struct xl_programs *p)
{
    return p->known && p->view.exact;
}

void xl_programs_print(FILE *f, const struct xl_programs *p, const char *name)
{
    if (xl_programs_exact(p))
        return;
    if (!p->known) {
        out_text(f, 0, 2, "what the programs of '%s' read on this host is not known", name);
        return;
    }
    out_text(
        f, 0, 2,
        "the kernel of '%s' reads its policy; its programs execute CPUID on the processor, and "
        "read something else on this host:",
        name);
    programs_say(&p->view.beyond, print_line, f);
}

void xl_programs_json(struct json *j, const struct xl_programs *p)
{
    json_object(j, "programs");
    json_bool(j, "known", p->known);
    json_bool(j, "exact", xl_programs_exact(p));
    if (p->known)
        json_pv_change(j, &p->view.beyond, false);
    json_close_object(j);
}
