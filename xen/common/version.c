/* SPDX-License-Identifier: MIT */
/*
 * Which hypervisor this is: XENVER_*.  The version is that of the ABI which the core speaks.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/version.h>

#define PAGE_SIZE 4096

/* The answers that are text, each in a buffer of its size in the ABI. */
static long give_text(struct hypervisor *hv, uint64_t arg, const char *text, size_t size)
{
    char buf[sizeof(xen_capabilities_info_t)] = {0};

    (void)format_text(buf, size, "%s", text);
    return platform_copy_to_guest(hv->platform, arg, buf, size) ? -XEN_EFAULT : 0;
}

static long compile_info(struct hypervisor *hv, uint64_t arg)
{
    struct xen_compile_info info = {.compiler = __VERSION__};

    return platform_copy_to_guest(hv->platform, arg, &info, sizeof(info)) ? -XEN_EFAULT : 0;
}

static long get_features(struct hypervisor *hv, uint64_t arg)
{
    xen_feature_info_t info;

    if (platform_copy_from_guest(hv->platform, &info, arg, sizeof(info)))
        return -XEN_EFAULT;
    if (info.submap_idx != 0)
        return -XEN_EINVAL;
    info.submap = 1u << XENFEAT_dom0;
    return platform_copy_to_guest(hv->platform, arg, &info, sizeof(info)) ? -XEN_EFAULT : 0;
}

static long guest_handle(struct hypervisor *hv, uint64_t arg)
{
    const struct domain *dom0 = domain_by_id(hv, 0);

    return platform_copy_to_guest(hv->platform, arg, dom0->config.handle,
                                  sizeof(dom0->config.handle))
               ? -XEN_EFAULT
               : 0;
}

long do_xen_version(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    static const xen_platform_parameters_t no_parameters;

    switch (cmd) {
    case XENVER_version:
        return XEN_MAJOR << 16 | XEN_MINOR;
    case XENVER_extraversion:
        return give_text(hv, arg, "-xenlevel", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return compile_info(hv, arg);
    case XENVER_capabilities:
        return give_text(hv, arg,
                         hv->has_hvm ? "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p "
                                       "hvm-3.0-x86_64 "
                                     : "xen-3.0-x86_64 ",
                         sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return give_text(hv, arg, "", sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return platform_copy_to_guest(hv->platform, arg, &no_parameters, sizeof(no_parameters))
                   ? -XEN_EFAULT
                   : 0;
    case XENVER_get_features:
        return get_features(hv, arg);
    case XENVER_pagesize:
        return PAGE_SIZE;
    case XENVER_guest_handle:
        return guest_handle(hv, arg);
    case XENVER_commandline:
        return give_text(hv, arg, hv->cmdline, sizeof(xen_commandline_t));
    case XENVER_build_id:
        return -XEN_ENODATA; /* there is no linked image that could have one */
    default:
        return -XEN_ENOSYS;
    }
}
