/* SPDX-License-Identifier: MIT */
/*
 * xl's own reader of configurations, of whatever release of Xen is installed.
 *
 * libxlutil has the release in its name (libxlutil.so.4.17), so a program that is linked against it
 * works with that one alone.  The functions that are used here have been the same since Xen 4.5
 * (libxlutil.h).
 */
#ifndef COMMON_XLU_H
#define COMMON_XLU_H

#include <libxlutil.h>

struct xlu {
    void *library;
    __typeof__(xlu_cfg_init) *init;
    __typeof__(xlu_cfg_readdata) *readdata;
    __typeof__(xlu_cfg_destroy) *destroy;
    __typeof__(xlu_cfg_get_string) *get_string;
    __typeof__(xlu_cfg_get_long) *get_long;
    __typeof__(xlu_cfg_get_list) *get_list;
    __typeof__(xlu_cfg_get_listitem) *get_listitem;
};

/* Load the library of the newest release that is installed.  0; or -1 after a message. */
int xlu_open(struct xlu *xlu);
/* Let go of it; *xlu may be zero. */
void xlu_close(struct xlu *xlu);

#endif /* COMMON_XLU_H */
