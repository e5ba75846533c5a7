/* SPDX-License-Identifier: MIT */
/*
 * Whether AppArmor lets libvirt's daemon start the gate where it is.  What libvirt's profiles
 * allow: /etc/apparmor.d/usr.sbin.libvirtd of Debian's libvirt-daemon-system.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apparmor.h"
#include "util.h"

#define FOLDER "/etc/apparmor.d"

static const char *const allowed[] = {
    "/usr/lib/xen-*/bin/libxl-save-helper",
    "/usr/libexec/xen-*/bin/libxl-save-helper",
    "/usr/lib/xen/bin/*",
    "/usr/lib64/xen/bin/*",
    "/usr/libexec/xen/bin/*",
    "/usr/bin/*",
    "/usr/sbin/*",
    "/bin/*",
    "/sbin/*",
};

/* Does a line of the file that is no comment hold this text? */
static bool find_text(const char *root, const char *path, const char *text)
{
    char *whole = xasprintf("%s%s", root, path), *line = NULL;
    FILE *f = fopen(whole, "re");
    size_t size = 0;
    bool found = false;

    free(whole);
    while (f && !found && getline(&line, &size, f) > 0)
        found = line[strspn(line, " \t")] != '#' && strstr(line, text);
    free(line);
    if (f)
        (void)fclose(f);
    return found;
}

char *apparmor_local(const char *service)
{
    return xasprintf(FOLDER "/local/usr.sbin.%s", service);
}

bool apparmor_forbids(const char *root, const char *service, const char *program)
{
    char *profile = xasprintf("%s" FOLDER "/usr.sbin.%s", root, service);
    char *local = apparmor_local(service);
    bool forbids = find_text(root, "/sys/module/apparmor/parameters/enabled", "Y") &&
                   !access(profile, F_OK) && !find_text(root, local, program);

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        forbids = forbids && fnmatch(allowed[i], program, FNM_PATHNAME) != 0;
    free(local);
    free(profile);
    return forbids;
}
