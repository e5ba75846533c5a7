/* SPDX-License-Identifier: MIT */
/*
 * What can be asked of a simulated host and of no real one.  Each function returns -1 with
 * EOPNOTSUPP for a handle of a real host.
 */
#ifndef XENLEVEL_XC_SIM_H
#define XENLEVEL_XC_SIM_H

#include "xc.h"

struct xc_sim_info {
    char machine[64]; /* "intel-penryn" */
    uint64_t steps;   /* that its guests have made since it was switched on */
    uint64_t now_ns;  /* simulated time since then */
    uint64_t seed;
    bool stepped; /* its guests run only when xc_sim_run() is called */
};

/* Is this handle one of a simulated host? */
bool xc_is_sim(const xc_handle *xch);
int xc_sim_info(xc_handle *xch, struct xc_sim_info *info);
/* Let its guests make `steps` steps, or as many as they can; *info (may be NULL): afterwards.
 * A host that runs by itself answers EINVAL. */
int xc_sim_run(xc_handle *xch, uint64_t steps, struct xc_sim_info *info);
/* Switch it off. */
int xc_sim_power_off(xc_handle *xch);

#endif /* XENLEVEL_XC_SIM_H */
