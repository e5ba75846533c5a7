/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a simulated guest: xl.cfg's syntax, read by xl's own library.
 */
#ifndef XL_SIM_CONFIG_H
#define XL_SIM_CONFIG_H

#include <sim-abi/guest.h>
#include <topology.h>

#include "xc.h"
#include "xlcpuid.h"

struct guest_config {
    char *name;
    enum xc_domain_type type;
    int hap; /* 1, 0; -1: as the host has it */
    uint32_t vcpus;
    uint64_t memory_mib;

    uint32_t script; /* enum sim_script */
    uint64_t seed;
    uint64_t rate;  /* writer: pages a second */
    uint64_t pages; /* writer: how many it dirties; 0: all that it can have */

    char *cpu_policy; /* path, or NULL */
    bool has_cpuid;
    struct xlcpuid cpuid;
    bool has_topology;
    struct cpu_topology topology;
};

/*
 * Read a configuration file, and n settings of the command line ("memory=64"), which come before
 * what the file says.  0; or -1 after a message that names the file and the line.  config_free() is
 * due in both cases.
 */
int config_read(const char *path, int n, char **settings, struct guest_config *c);
void config_free(struct guest_config *c);

#endif /* XL_SIM_CONFIG_H */
