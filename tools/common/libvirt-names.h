/* SPDX-License-Identifier: MIT */
/*
 * Names of features in libvirt's XML.  Its Xen driver knows 17 that libxl calls otherwise, and
 * hands every other name to libxl as it is (libvirt's translation of CPU features for xl).
 */
#ifndef COMMON_LIBVIRT_NAMES_H
#define COMMON_LIBVIRT_NAMES_H

/* Return libvirt's name of a feature (its XML is read by tools/forms/names.c, which knows the names
 * that other drivers have as well); NULL when neither libvirt nor libxl has one. */
const char *libvirt_feature_name(unsigned int feature);

#endif /* COMMON_LIBVIRT_NAMES_H */
