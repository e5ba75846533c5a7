/* SPDX-License-Identifier: MIT */
/*
 * Names of features in libvirt's XML.  Its Xen driver knows 17 that libxl calls otherwise, and
 * hands every other name to libxl as it is (libvirt's translation of CPU features for xl).
 */
#ifndef COMMON_LIBVIRT_NAMES_H
#define COMMON_LIBVIRT_NAMES_H

#include <stddef.h>

/* Return libvirt's name of a feature; NULL when neither libvirt nor libxl has one. */
const char *libvirt_feature_name(unsigned int feature);

/* Return the number of the feature that libvirt calls so, or -1: its own names and ours, '_' and
 * '-' alike. */
int libvirt_feature_by_name(const char *name, size_t len);

#endif /* COMMON_LIBVIRT_NAMES_H */
