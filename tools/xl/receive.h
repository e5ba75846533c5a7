/* SPDX-License-Identifier: MIT */
/*
 * A domain made from an image: for restore, and at the receiving end of a migration.
 */
#ifndef XL_SIM_RECEIVE_H
#define XL_SIM_RECEIVE_H

#include "image.h"

/* Ends the name of a domain that is not complete yet, and must not run. */
#define RECEIVE_INCOMING "--incoming"

/*
 * Make the domain that comes from *from, and fill it.  It is left paused, claimed (xl_claim), and
 * called NAME--incoming; *domid, *c (image_config_free() in any case) and *result say what it is.
 * Returns STATUS_YES; STATUS_NO: this host cannot give it its CPU, which it names; STATUS_TROUBLE
 * after a message.  On failure nothing is left of it.
 */
int receive_domain(xc_handle *xch, const struct image_source *from, uint32_t *domid,
                   struct image_config *c, struct xc_restore_result *result);
/* Give it its own name, c->name: from now on it may run.  0; or -1 after a message: another domain
 * has taken the name meanwhile. */
int receive_take_name(xc_handle *xch, uint32_t domid, const struct image_config *c);

#endif /* XL_SIM_RECEIVE_H */
