/* SPDX-License-Identifier: MIT */
/*
 * What libxl does to a domain around its save helper, on the simulated host that XENLEVEL_HOST
 * names: simdom create (says the new domain's number), simdom suspend|resume|unpause|destroy DOMID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xc.h"

static int create(xc_handle *xch)
{
    const struct xc_domain_config config = {.type = XC_DOMAIN_PVH, .hap = true, .max_vcpus = 1};
    uint32_t domid;

    if (xc_domain_create(xch, &config, &domid) || xc_domain_max_vcpus(xch, domid, 1) ||
        xc_domain_max_mem(xch, domid, 64 << 10))
        return 1;
    (void)printf("%u\n", domid);
    return 0;
}

static int act(xc_handle *xch, const char *what, uint32_t domid)
{
    static const struct {
        const char *name;
        int (*call)(xc_handle *xch, uint32_t domid);
    } acts[] = {
        {"suspend", xc_domain_suspend},
        {"resume", xc_domain_resume},
        {"unpause", xc_domain_unpause},
        {"destroy", xc_domain_destroy},
    };

    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (!strcmp(what, acts[i].name))
            return acts[i].call(xch, domid) ? 1 : 0;
    return 2;
}

int main(int argc, char **argv)
{
    xc_handle *xch = argc >= 2 ? xc_interface_open(NULL) : NULL;
    int rc = 2;

    if (xch && argc == 2 && !strcmp(argv[1], "create"))
        rc = create(xch);
    else if (xch && argc == 3)
        rc = act(xch, argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
    xc_interface_close(xch);
    return rc;
}
