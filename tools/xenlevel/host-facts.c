/* SPDX-License-Identifier: MIT */
/* See host-facts.h: the host itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-facts.h"
#include "status.h"
#include "util.h"
#include "xc_sim.h"

#define PAGE_BYTES 4096u
#define LINE_BYTES 1024

/* protobuf-c's empty string is not malloc'ed; what stands here was empty before. */
static void set_text(char **field, char *text)
{
    *field = text;
}

/* The first line of a small file, without blanks around it; "" when it cannot be read. */
static char *read_line(const char *root, const char *path)
{
    char *full = xasprintf("%s%s", root, path), line[LINE_BYTES] = "";
    FILE *f = fopen(full, "re");
    size_t len, first;

    free(full);
    if (!f)
        return xstrdup("");
    if (!fgets(line, sizeof(line), f))
        line[0] = '\0';
    (void)fclose(f);
    len = strcspn(line, "\n");
    while (len && line[len - 1] == ' ')
        len--;
    line[len] = '\0';
    first = strspn(line, " ");
    return xstrdup(line + first);
}

/* "microcode\t: 0x5003604", the first of /proc/cpuinfo (Linux, arch/x86/kernel/cpu/proc.c): all
 * processors have the same one. */
static char *read_microcode(const char *root)
{
    char *path = xasprintf("%s/proc/cpuinfo", root), line[LINE_BYTES], value[32];
    FILE *f = fopen(path, "re");
    char *found = NULL;

    free(path);
    while (f && !found && fgets(line, sizeof(line), f))
        if (sscanf(line, "microcode : %31s", value) == 1)
            found = xstrdup(value);
    if (f)
        (void)fclose(f);
    return found ? found : xstrdup("");
}

/* "HPE ProLiant DL380 Gen10"; firmware writes filler where it knows nothing, which stays. */
static char *read_machine(const char *root)
{
    char *vendor = read_line(root, "/sys/class/dmi/id/sys_vendor");
    char *product = read_line(root, "/sys/class/dmi/id/product_name");
    char *both = xasprintf("%s%s%s", vendor, *vendor && *product ? " " : "", product);

    free(vendor);
    free(product);
    return both;
}

static void read_files(const char *root, Xenlevel__PoolHost *host)
{
    set_text(&host->microcode, read_microcode(root));
    set_text(&host->bios_vendor, read_line(root, "/sys/class/dmi/id/bios_vendor"));
    set_text(&host->bios_version, read_line(root, "/sys/class/dmi/id/bios_version"));
    set_text(&host->bios_date, read_line(root, "/sys/class/dmi/id/bios_date"));
    set_text(&host->machine, read_machine(root));
    set_text(&host->kernel, read_line(root, "/proc/sys/kernel/osrelease"));
}

int host_facts_read(xc_handle *xch, const char *root, Xenlevel__PoolHost *host)
{
    char cmdline[XC_COMMAND_LINE];
    struct xc_domain_info dom0;
    struct xc_physinfo info;
    struct xc_version v;

    if (xc_version(xch, &v) || xc_command_line(xch, cmdline) || xc_physinfo(xch, &info))
        return -1;
    set_text(&host->xen_version, xstrdup(v.text));
    set_text(&host->xen_build_id, xstrdup(v.build_id));
    set_text(&host->xen_cmdline, xstrdup(cmdline));
    host->memory = info.total_pages * PAGE_BYTES;
    host->memory_free = info.free_pages * PAGE_BYTES;
    if (!xc_domain_getinfo(xch, 0, &dom0))
        set_text(&host->dom0_type, xstrdup(xc_domain_type_name(dom0.type)));
    if (*root || !xc_is_sim(xch)) {
        read_files(root, host);
        set_text(&host->gate, xstrdup(status_gate(root)));
    }
    return 0;
}
