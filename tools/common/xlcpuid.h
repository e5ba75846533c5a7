/* SPDX-License-Identifier: MIT */
/*
 * xl.cfg's cpuid= setting: both of its forms, and what libxl makes of a domain's CPU with them.
 *
 * "host,avx2=0,family=0x6" is names and values; [ "0x7,0:ebx=xxxx...", ... ] is one string of 32
 * characters a register, the most significant bit first.  Each bit: '0', '1', 'x' as this host
 * gives by default, 'k' or 's' as the host itself has it.  Facts: xl.cfg(5), and libxl 4.14
 * to 4.22.
 */
#ifndef COMMON_XLCPUID_H
#define COMMON_XLCPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cpuid-policy/policy.h>

enum { XLCPUID_MAX_LEAVES = 64 };

/* One leaf's registers; a register that is not set is "". */
struct xlcpuid_leaf {
    uint32_t leaf, subleaf; /* subleaf POLICY_NONE: the setting names none */
    char bits[4][33];
};

struct xlcpuid {
    struct xlcpuid_leaf leaves[XLCPUID_MAX_LEAVES];
    size_t n;
    char arch_caps[65]; /* MSR 10A likewise, 64 characters; "" when not set */
};

/*
 * Parse one item of the list, "0x7,0:ebx=...,ecx=...", or the whole string of names, and add it:
 * what comes later wins.  0; or -1 with EINVAL and in why[size] what is wrong, safe to print, in
 * half a sentence that names the item.
 */
int xlcpuid_add_bits(struct xlcpuid *c, const char *item, char *why, size_t size);
int xlcpuid_add_names(struct xlcpuid *c, const char *names, char *why, size_t size);

/*
 * Read what a configuration sets cpuid to.  1: that is in *c; 0: it sets none, *c is empty; or -1
 * after a message, which names the configuration: `path`; NULL when the
 * setting may come from elsewhere.
 */
struct settings;
int xlcpuid_from_settings(const char *path, struct settings *s, struct xlcpuid *c);

/*
 * Make of *p, the policy that a domain is born with, what libxl asks the hypervisor for.  deflt and
 * host: the host's default policy for the type of guest, and its own ('x', 'k').  0; or -1 with
 * EINVAL and why[size] when libxl itself would refuse: a leaf is not in these policies.
 */
int xlcpuid_apply(const struct xlcpuid *c, const struct cpu_policy *deflt,
                  const struct cpu_policy *host, struct cpu_policy *p, char *why, size_t size);

/*
 * Do what stock Xen does in silence with a policy that it is asked for: features that max lacks go,
 * and what stands on them.  *taken receives the features that went.
 */
void xlcpuid_clamp(struct cpu_policy *p, const struct cpu_policy *max, struct featureset *taken);

#endif /* COMMON_XLCPUID_H */
