/* SPDX-License-Identifier: MIT */
/*
 * Takes features from a domain that has never run, behind everybody's back.
 * usage: drop-feature DOMID FEATURE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xc_audit.h>

int main(int argc, char **argv)
{
    xc_handle *xch = xc_interface_open(NULL);
    struct cpu_policy p;
    struct featureset fs;
    struct xc_leaves l;
    uint32_t domid;

    if (argc < 3 || !xch)
        return 2;
    domid = (uint32_t)strtoul(argv[1], NULL, 10);
    if (xc_domain_policy(xch, domid, &p))
        return 1;
    policy_to_featureset(&p, &fs);
    for (int i = 2; i < argc; i++) {
        int feature = feature_by_name(argv[i], strlen(argv[i]));

        if (feature < 0)
            return 2;
        featureset_drop(&fs, (unsigned int)feature);
    }
    policy_from_featureset(&p, &fs);
    policy_close(&p, NULL);
    if (xc_policy_to_leaves(&p, &l) || xc_set_domain_cpu_policy(xch, domid, &l, NULL))
        return 1;
    xc_leaves_free(&l);
    xc_interface_close(xch);
    return 0;
}
