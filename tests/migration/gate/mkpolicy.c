/* SPDX-License-Identifier: MIT */
/*
 * mkpolicy leaves|msrs CPU SET DROP: the body of a policy record, on standard output.  CPU is one
 * of xen/sim/machines; SET and DROP are lists of features, "" for none.
 */
#include <stdio.h>
#include <string.h>

#include "cpus.h"
#include "edit.h"

int main(int argc, char **argv)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    static xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    static struct cpu_policy p;
    size_t nr_leaves = POLICY_MAX_LEAVES, nr_msrs = POLICY_MAX_MSRS;

    if (argc != 5)
        return 2;
    p = *test_cpu(argv[2]);
    edit_policy(&p, argv[3], argv[4][0] ? argv[4] : NULL);
    if (policy_to_leaves(&p, leaves, &nr_leaves, msrs, &nr_msrs))
        return 1;
    if (!strcmp(argv[1], "leaves"))
        (void)fwrite(leaves, sizeof(leaves[0]), nr_leaves, stdout);
    else
        (void)fwrite(msrs, sizeof(msrs[0]), nr_msrs, stdout);
    return 0;
}
