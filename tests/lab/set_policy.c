/* SPDX-License-Identifier: MIT */
/*
 * Gives a domain its own policy, and one that no emulated host can honour, in turn, many times.
 * usage: set-policy DOMID ROUNDS     prints: good ACCEPTED of ROUNDS, bad REFUSED of ROUNDS
 */
#include <stdio.h>
#include <stdlib.h>

#include <xc.h>

#include "features-gen.h"

static void quiet(struct xentoollog_logger *l, xentoollog_level level, int err, const char *context,
                  const char *format, va_list al)
{
    (void)l, (void)level, (void)err, (void)context, (void)format, (void)al;
}

static void no_progress(struct xentoollog_logger *l, const char *context, const char *what,
                        int percent, unsigned long done, unsigned long total)
{
    (void)l, (void)context, (void)what, (void)percent, (void)done, (void)total;
}

static void destroy(struct xentoollog_logger *l)
{
    (void)l;
}

int main(int argc, char **argv)
{
    static struct xentoollog_logger logger = {quiet, no_progress, destroy};
    struct xc_leaves good = {0}, bad = {0};
    struct cpu_policy p;
    unsigned int accepted = 0, refused = 0, rounds;
    uint32_t domid;
    xc_handle *xch;

    if (argc != 3)
        return 2;
    domid = (uint32_t)strtoul(argv[1], NULL, 10);
    rounds = (unsigned int)strtoul(argv[2], NULL, 10);
    xch = xc_interface_open(&logger);
    if (!xch || xc_get_domain_cpu_policy(xch, domid, &good) ||
        xc_policy_from_leaves(xch, "domain", &good, &p, NULL, 0))
        return 2;
    p.basic[1].c |= 1u << X86_FEATURE_MONITOR % 32; /* no guest is offered MONITOR */
    if (xc_policy_to_leaves(&p, &bad))
        return 2;
    for (unsigned int i = 0; i < rounds; i++) {
        accepted += !xc_set_domain_cpu_policy(xch, domid, &good, NULL);
        refused += !!xc_set_domain_cpu_policy(xch, domid, &bad, NULL);
    }
    printf("good %u of %u accepted, bad %u of %u refused\n", accepted, rounds, refused, rounds);
    xc_leaves_free(&good);
    xc_leaves_free(&bad);
    xc_interface_close(xch);
    return 0;
}
