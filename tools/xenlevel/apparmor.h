/* SPDX-License-Identifier: MIT */
/*
 * Whether AppArmor lets libvirt's daemon start the gate where it is.
 */
#ifndef XENLEVEL_APPARMOR_H
#define XENLEVEL_APPARMOR_H

#include <stdbool.h>

/*
 * Is the service (as in "libvirtd") confined by a profile of its own that says nothing of this
 * program?  libvirt's profiles let it start libxl's helper at Xen's own places and whatever is in
 * the usual folders of programs; more is allowed in a file of the administrator's, which is looked
 * through for the program's path.
 */
bool apparmor_forbids(const char *root, const char *service, const char *program);
/* Return the path of that file, malloc'ed. */
char *apparmor_local(const char *service);

#endif /* XENLEVEL_APPARMOR_H */
