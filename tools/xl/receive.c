/* SPDX-License-Identifier: MIT */
/* A domain made from an image: see receive.h. */
#include "receive.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd.h"
#include "name.h"
#include "out.h"
#include "programs.h"
#include "util.h"
#include "view.h"
#include "xl.h"

static int fill_domain(xc_handle *xch, const struct image_source *from, uint32_t domid,
                       const struct image_config *c, struct xc_restore_result *result)
{
    const struct xc_restore_options options = {
        .unverified = from->unverified,
        .patience = from->patience > 0 ? (unsigned int)from->patience : 0};
    struct restore_view view = {.pages = c->memory_kib / 4};
    const struct xc_restore_callbacks callbacks = {.progress = from->show ? view_restore : NULL,
                                                   .data = &view};
    int rc;

    if (xc_domain_max_vcpus(xch, domid, c->vcpus) || xc_domain_max_mem(xch, domid, c->memory_kib))
        return STATUS_TROUBLE;
    rc = xc_domain_restore(xch, from->fd, domid, &options, &callbacks, result);
    out_line_end();
    if (rc)
        return errno == EPERM ? STATUS_NO : STATUS_TROUBLE;
    return image_read_tail(from, c) ? STATUS_TROUBLE : STATUS_YES;
}

int receive_take_name(xc_handle *xch, uint32_t domid, const struct image_config *c)
{
    return name_is_taken(xch, c->name) || xc_domain_set_name(xch, domid, c->name) ? -1 : 0;
}

static int make_domain(xc_handle *xch, const struct image_source *from, const char *incoming,
                       uint32_t *domid, const struct image_config *c,
                       struct xc_restore_result *result)
{
    const struct xc_domain_config config = {.type = c->type, .hap = c->hap, .max_vcpus = c->vcpus};
    int status = STATUS_TROUBLE;

    if (name_is_taken(xch, c->name) || name_is_taken(xch, incoming) ||
        xc_domain_create(xch, &config, domid))
        return STATUS_TROUBLE;
    if (!xl_claim(*domid) && !xc_domain_set_name(xch, *domid, incoming))
        status = fill_domain(xch, from, *domid, c, result);
    if (status && xc_domain_destroy(xch, *domid))
        warn("domain %u is left behind, paused: `xl-sim destroy %u`", *domid, *domid);
    return status;
}

int receive_domain(xc_handle *xch, const struct image_source *from, uint32_t *domid,
                   struct image_config *c, struct xc_restore_result *result)
{
    char *incoming;
    int status;

    if (image_read_head(from, c))
        return STATUS_TROUBLE;
    incoming = xasprintf("%s" RECEIVE_INCOMING, c->name);
    status = make_domain(xch, from, incoming, domid, c, result);
    free(incoming);
    if (!status && c->type == XC_DOMAIN_PV) {
        struct programs programs;

        (void)programs_look_at(xch, *domid, &programs);
        programs_print(stderr, &programs, c->name);
    }
    return status;
}
