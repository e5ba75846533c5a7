/* SPDX-License-Identifier: MIT */
/*
 * libxenlevel: what a toolstack asks a hypervisor about CPUs, and tells it.
 *
 * The names are those of Xen's toolstack library, the types are not: this header and Xen's own
 * <xenctrl.h> cannot be included together, and the check below says so.  The structs and numbers
 * are the hypervisor's public ABI, from Debian's libxen-dev.
 *
 * Every function that can fail returns -1 with errno set, after exactly one line to the handle's
 * logger; xc_last_error() gives that line again.  A handle belongs to one thread at a time.
 */
#ifndef XENLEVEL_XC_H
#define XENLEVEL_XC_H

#ifdef XENCTRL_H
#error "xenlevel's xc.h and Xen's xenctrl.h use the same names: include one of them"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xentoollog.h>

#include <cpuid-policy/policy.h>

struct xc_transport_ops;

typedef struct xc_interface xc_handle;

/* ---- the handle (xc_core.c) ---- */

/*
 * Open the hypervisor that this machine runs under; or, when XENLEVEL_HOST is in the environment,
 * the simulated host whose socket it names.  logger: receives one line for every failure;
 * NULL: they go to standard error.  It must outlive the handle.  NULL with errno on failure:
 * ENOENT: no Xen here.  EACCES, EPERM: not privileged.  EIO: the simulated host does not answer.
 */
xc_handle *xc_interface_open(struct xentoollog_logger *logger);
/* The same over a given transport; `where` goes to its open(). */
xc_handle *xc_interface_open_transport(const struct xc_transport_ops *ops, const char *where,
                                       struct xentoollog_logger *logger);
/* NULL is allowed; errno is kept. */
void xc_interface_close(xc_handle *xch);

/* Let another logger have the lines from now on; returns the one that had them. */
struct xentoollog_logger *xc_set_logger(xc_handle *xch, struct xentoollog_logger *logger);

/* The line of the latest failure, "" when there was none.  Valid until the next call. */
const char *xc_last_error(const xc_handle *xch);

/* ---- the hypervisor itself (xc_version.c) ---- */

struct xc_version {
    unsigned int major, minor;
    char extra[16];          /* ".4-pre": what follows major.minor */
    char text[40];           /* "4.17.4-pre" */
    char build_id[65];       /* hexadecimal, "" when the binary has none */
    char capabilities[1024]; /* "xen-3.0-x86_64 hvm-3.0-x86_64 " */
};

int xc_version(xc_handle *xch, struct xc_version *v);

/* Get the command line that it was booted with: XENVER_commandline, which has 1024 bytes and cuts
 * what is longer. */
#define XC_COMMAND_LINE 1024
int xc_command_line(xc_handle *xch, char text[static XC_COMMAND_LINE]);

/* ---- the machine (xc_physinfo.c) ---- */

/*
 * Gets the levelling capabilities: what the hypervisor can hide from PV guests,
 * XEN_SYSCTL_CPU_LEVELCAP_*.  -1 with ENOSYS or EOPNOTSUPP, which is not logged, when it does not
 * say (Xen 4.22): host_policy_levelling_caps() works them out from the CPU.
 */
int xc_get_cpu_levelling_caps(xc_handle *xch, uint32_t *caps);

/*
 * "faulting 1.ecx 7.0.ebx", in the order of the bits; "none" for 0; a bit without a name as "bit
 * 9".  Returns the length, or -1 with ENOSPC.  XC_LEVELCAPS_TEXT bytes always suffice.
 */
#define XC_LEVELCAPS_TEXT 256
int xc_levelling_caps_text(uint32_t caps, char *buf, size_t size);
/* The name of capability bit i, or NULL. */
const char *xc_levelling_cap_name(unsigned int bit);

struct xc_physinfo {
    uint32_t threads_per_core, cores_per_socket;
    uint32_t nr_cpus, nr_nodes;
    uint32_t cpu_khz;
    uint64_t total_pages, free_pages;
    bool pv, hvm, hap, shadow;
    uint32_t levelling_caps; /* XEN_SYSCTL_CPU_LEVELCAP_* */
    bool levelling_known;    /* false: the hypervisor does not say (Xen 4.22) */
};

int xc_physinfo(xc_handle *xch, struct xc_physinfo *info);

/* ---- featuresets and policies (xc_cpuid.c) ---- */

enum xc_featureset_index { /* XEN_SYSCTL_cpu_featureset_* */
                           XC_FEATURESET_RAW,
                           XC_FEATURESET_HOST,
                           XC_FEATURESET_PV,
                           XC_FEATURESET_HVM,
                           XC_FEATURESET_PV_MAX,
                           XC_FEATURESET_HVM_MAX,
                           XC_FEATURESETS,
};

enum xc_policy_index { /* XEN_SYSCTL_cpu_policy_* */
                       XC_POLICY_RAW,
                       XC_POLICY_HOST,
                       XC_POLICY_PV_MAX,
                       XC_POLICY_HVM_MAX,
                       XC_POLICY_PV_DEFAULT,
                       XC_POLICY_HVM_DEFAULT,
                       XC_POLICIES,
};

/* "raw", "host", "pv", "hvm", "pv-max", "hvm-max" and "raw", "host", "pv-max", ...; NULL past them.
 */
const char *xc_featureset_name(enum xc_featureset_index index);
const char *xc_policy_name(enum xc_policy_index index);

/*
 * One featureset, as long as this hypervisor has them: *words is malloc'ed (free() it), *n counts
 * 32-bit words.  EOPNOTSUPP when the hypervisor does not run guests of that type.
 */
int xc_get_cpu_featureset(xc_handle *xch, enum xc_featureset_index index, uint32_t **words,
                          size_t *n);

/* A policy in the hypervisor's form: leaves and MSRs in ascending order. */
struct xc_leaves {
    xen_cpuid_leaf_t *leaves;
    size_t nr_leaves;
    xen_msr_entry_t *msrs;
    size_t nr_msrs;
};

/* Free what is in it, and zero it. */
void xc_leaves_free(struct xc_leaves *l);

/* Both fill *l, to be given back with xc_leaves_free().  On failure *l is empty. */
int xc_get_system_cpu_policy(xc_handle *xch, enum xc_policy_index index, struct xc_leaves *l);
int xc_get_domain_cpu_policy(xc_handle *xch, uint32_t domid, struct xc_leaves *l);

/* What the hypervisor objected to; each is POLICY_NONE when it did not say. */
struct xc_policy_error {
    uint32_t leaf, subleaf, msr;
};

/*
 * Give a domain its CPU.  EEXIST: the domain has run already.  On any failure *err (may be NULL)
 * holds what was objected to, and the line that is logged names it: "leaf 7 subleaf 0".
 */
int xc_set_domain_cpu_policy(xc_handle *xch, uint32_t domid, const struct xc_leaves *l,
                             struct xc_policy_error *err);
/* "leaf 7 subleaf 0", "MSR 0x10a", "" when nothing was named.  64 bytes suffice. */
void xc_policy_error_text(const struct xc_policy_error *err, char *buf, size_t size);

/* To and from the library's form.  `what` names the policy in messages.  xch may be NULL in
 * xc_policy_from_leaves: then nothing is logged, and why[] (may be NULL) has the first fault. */
int xc_policy_from_leaves(xc_handle *xch, const char *what, const struct xc_leaves *l,
                          struct cpu_policy *p, char *why, size_t why_size);
int xc_policy_to_leaves(const struct cpu_policy *p, struct xc_leaves *l);

/* ---- live patches (xc_livepatch.c) ---- */

enum xc_livepatch_state {
    XC_LIVEPATCH_ABSENT,
    XC_LIVEPATCH_CHECKED, /* uploaded, not in effect */
    XC_LIVEPATCH_APPLIED,
};

struct xc_livepatch_status {
    enum xc_livepatch_state state;
    int error; /* errno of the last action; EAGAIN while one is under way; 0 */
};

enum xc_livepatch_action {
    XC_LIVEPATCH_APPLY,
    XC_LIVEPATCH_REVERT,
    XC_LIVEPATCH_UNLOAD,
};

/* EOPNOTSUPP: this hypervisor has no live patches.  That one is not there is no failure of _get. */
int xc_livepatch_get(xc_handle *xch, const char *name, struct xc_livepatch_status *status);
int xc_livepatch_upload(xc_handle *xch, const char *name, const void *image, size_t size);
/* Returns when it is done, or has failed. */
int xc_livepatch_action(xc_handle *xch, const char *name, enum xc_livepatch_action action);

/* Read what an applied live patch says of itself: buf, "" when it says nothing, or is not there. */
int xc_livepatch_says(xc_handle *xch, const char *name, char *buf, size_t size);

/* ---- default policies that a live patch of ours has narrowed to a level (xc_born.c) ---- */

#define XC_BORN_FILE "/run/xenlevel/born"

/*
 * Make a default policy, as the hypervisor said it, what it was before it was narrowed: as the file
 * at `path` (XC_BORN_FILE) tells.  Returns 1: it is that now (a level may have
 * changed nothing of it); 0: it stays as it is, since there is
 * no such file (or this program may not look), it is none of ours, or the policy has not what the
 * file says that it was given; -1 with errno when the file cannot be read.
 */
int xc_widen_default(const char *path, enum xc_policy_index index, struct cpu_policy *p);
/* The same of this very host, logged by xch; a simulated one has no live patches. */
int xc_widen_own(xc_handle *xch, enum xc_policy_index index, struct cpu_policy *p);

/* ---- domains (xc_domain.c, xc_name.c) ---- */

enum xc_domain_type {
    XC_DOMAIN_PV,
    XC_DOMAIN_HVM,
    XC_DOMAIN_PVH, /* an HVM guest without the emulated PC */
};

enum { /* SHUTDOWN_* of <xen/sched.h> */
       XC_SHUTDOWN_POWEROFF,
       XC_SHUTDOWN_REBOOT,
       XC_SHUTDOWN_SUSPEND,
       XC_SHUTDOWN_CRASH,
};

struct xc_domain_info {
    uint32_t domid;
    enum xc_domain_type type;
    bool hap;
    bool paused, dying, running, blocked;
    bool shutdown;
    unsigned int shutdown_reason; /* XC_SHUTDOWN_*, when `shutdown` */
    /*
     * A guess from what the hypervisor tells: a domain that has used no processor time has not run
     * on this host.  (One that was just restored, paused, has run elsewhere.)
     */
    bool has_run;
    uint64_t cpu_time_ns;
    uint64_t tot_pages;
    uint32_t nr_online_vcpus;
    uint32_t nr_vcpus;        /* that it has, online or not */
    uint32_t emulation_flags; /* XEN_X86_EMU_* */
    uint64_t max_pages;       /* that it may have; UINT64_MAX >> 12 and more: no limit */
    uint8_t uuid[16];         /* all 0: the toolstack gave it none */
};

/* "PV", "HVM", "PVH". */
const char *xc_domain_type_name(enum xc_domain_type type);
/* The guest type of a domain, for featureset masks. */
enum guest_type xc_domain_guest_type(const struct xc_domain_info *info);
/* "poweroff", "reboot", "suspend", "crash", ...; "unknown". */
const char *xc_shutdown_reason_name(unsigned int reason);

/* ESRCH when there is no such domain. */
int xc_domain_getinfo(xc_handle *xch, uint32_t domid, struct xc_domain_info *info);
/* PV: how many bits its words have, 32 or 64.  -1 with errno. */
int xc_domain_get_address_size(xc_handle *xch, uint32_t domid, unsigned int *bits);
/* All domains, ascending; *list is malloc'ed. */
int xc_domain_list(xc_handle *xch, struct xc_domain_info **list, size_t *n);

/*
 * A domain by number ("7") or by its name in the host's store.  Numbers are tried first, as xl
 * does.  ESRCH when there is none.
 */
int xc_domain_resolve(xc_handle *xch, const char *name_or_id, uint32_t *domid);
/* The domain's name in the store, malloc'ed; NULL with errno when it has none (not logged). */
char *xc_domain_name(xc_handle *xch, uint32_t domid);
/* Give it one; NULL takes it away. */
int xc_domain_set_name(xc_handle *xch, uint32_t domid, const char *name);

/* ---- making domains (xc_domain_build.c) ---- */

struct xc_domain_config {
    enum xc_domain_type type;
    bool hap; /* HVM and PVH: on hardware-assisted paging */
    uint32_t max_vcpus;
    uint8_t uuid[16];
};

/* A new domain, paused, without memory and vCPUs; its CPU is the default of its type. */
int xc_domain_create(xc_handle *xch, const struct xc_domain_config *config, uint32_t *domid);
int xc_domain_destroy(xc_handle *xch, uint32_t domid);
int xc_domain_pause(xc_handle *xch, uint32_t domid);
int xc_domain_unpause(xc_handle *xch, uint32_t domid);
/* From outside: shut down with XC_SHUTDOWN_SUSPEND, its state complete (xc_suspend.c); and called
 * off, so that it goes on. */
int xc_domain_suspend(xc_handle *xch, uint32_t domid);
int xc_domain_resume(xc_handle *xch, uint32_t domid);
/* All of its vCPUs, at once: as many as it was created for. */
int xc_domain_max_vcpus(xc_handle *xch, uint32_t domid, uint32_t max);
/* The most memory that it may have. */
int xc_domain_max_mem(xc_handle *xch, uint32_t domid, uint64_t kib);
/* Zeroed frames at first_gfn .. first_gfn + n - 1.  ENOMEM: the host has not so many, or the
 * domain may not have them; it keeps those that it got. */
int xc_domain_populate(xc_handle *xch, uint32_t domid, uint64_t first_gfn, uint64_t n);

/*
 * Memory of a domain, n frames of 4096 bytes, n at least 1: pages[i] is frame gfns[i], the
 * domain's own and not a copy; NULL where it has none.  Valid until the mapping that is returned
 * has been given back (NULL is allowed there); what was mapped for writing then counts as dirtied.
 * NULL on failure.
 */
void *xc_map_foreign_pages(xc_handle *xch, uint32_t domid, const uint64_t *gfns, size_t n,
                           bool write, void **pages);
void xc_unmap_foreign_pages(xc_handle *xch, void *mapping);

/*
 * The features that a PV domain's programs see though its policy lacks them, and whether running
 * it beside others costs writes of masking MSRs.  Hypervisors with our extension say (a simulated
 * one); others fail with ENOSYS or EOPNOTSUPP, which is not logged: then levelling_visible() is the
 * answer.
 */
int xc_domain_get_visible(xc_handle *xch, uint32_t domid, struct featureset *visible,
                          bool *costs_switches);

/* ---- vCPUs (xc_vcpu.c) ---- */

/*
 * Ask what a vCPU reads with CPUID now (of a PV domain: its kernel), in its place in the topology:
 * the registers of the n leaves whose numbers are in leaves[].  Hypervisors with our extension say
 * (a simulated one); others fail with ENOSYS or EOPNOTSUPP.  ESRCH: no such domain, or vCPU.
 */
int xc_vcpu_get_cpuid(xc_handle *xch, uint32_t domid, uint32_t vcpu, xen_cpuid_leaf_t *leaves,
                      size_t n);

/* ---- PV domains, which see machine frames ---- */

/* Memory for n PFNs: PFNs in, their machine frames out.  -1 with errno, and what was given stays.
 */
int xc_pv_populate(xc_handle *xch, uint32_t domid, uint64_t *frames, size_t n);
/* <xen/xen.h>'s MMUEXT_PIN_L1..4_TABLE, n of them: the hypervisor looks at every entry. */
struct mmuext_op;
int xc_pv_pin(xc_handle *xch, uint32_t domid, const struct mmuext_op *ops, unsigned int n);
/* The machine frame of its struct shared_info. */
int xc_pv_shared_frame(xc_handle *xch, uint32_t domid, uint64_t *mfn);
/* Where a guest has some PFNs, as it says itself: PFNs in, machine frames out.  EAGAIN: it has not
 * said yet; ENOENT: nowhere. */
int xc_pv_frames(xc_handle *xch, uint32_t domid, uint64_t *frames, size_t n);

/* What a PV vCPU begins with besides its address.  Machine frames. */
struct xc_pv_start {
    uint64_t rip;
    uint64_t l4, user_l4; /* top-level page tables, of kernel and user mode */
    uint64_t gdt;         /* one frame of descriptors */
    uint64_t start_info;  /* in RDX of vCPU 0, as when it asks to be suspended */
};

/* Registers of a fresh kernel, in 64-bit mode, that begins at rip: of one vCPU of a PV domain,
 * which is online then; of all vCPUs of an HVM or PVH domain. */
int xc_vcpu_start_pv(xc_handle *xch, uint32_t domid, uint32_t vcpu,
                     const struct xc_pv_start *start);
int xc_vcpus_start_hvm(xc_handle *xch, uint32_t domid, uint32_t nr_vcpus, uint64_t rip);

/* ---- the hypervisor's log (xc_console.c) ---- */

#define XC_CONSOLE_MAX (16u << 20) /* not read beyond it */

/* What is in it: *text is malloc'ed and ends with a NUL.  clear: and empty it. */
int xc_readconsole(xc_handle *xch, bool clear, char **text, size_t *len);

/* ---- findings in words (xc_fault.c) ---- */

/*
 * One line for one finding, without a newline: for a feature its name, place and description
 * ("avx2  7.0.ebx[5]  256-bit integer SIMD").  Always ends with a NUL; returns the length it
 * would have had, like snprintf.  XC_FAULT_TEXT bytes suffice.
 */
#define XC_FAULT_TEXT 256
int xc_fault_text(const struct policy_fault *fault, char *buf, size_t size);
/* Write "avx2  7.0.ebx[5]  256-bit integer SIMD", for a feature by number; the same. */
int xc_feature_text(unsigned int feature, char *buf, size_t size);
/* Return "eax", "ebx", "ecx" or "edx" for 0 to 3 (struct policy_fault), "" for any other number. */
const char *xc_register_name(uint32_t reg);

#endif /* XENLEVEL_XC_H */
