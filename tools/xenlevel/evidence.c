/* SPDX-License-Identifier: MIT */
/* A subject's state.  See evidence.h. */
#include "evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logger.h"
#include "out.h"
#include "util.h"
#include "walk.h"

bool evidence_exists(const struct subject *s)
{
    return s->kind == SUBJECT_GUEST && (s->domid != POLICY_NONE || s->is_image);
}

/* ---- images ---- */

/* The records that have registers, and what reads them. */
static bool is_of_state(const struct image_item *it)
{
    return !it->header && it->layer == IMAGE_LIBXC &&
           (it->type == REC_HVM_CONTEXT || it->type == REC_X86_PV_VCPU_BASIC ||
            it->type == REC_X86_PV_VCPU_XSAVE || it->type == REC_X86_PV_VCPU_MSRS);
}

static int take_record(const struct image *im, const struct image_item *it,
                       struct xc_domain_state *s)
{
    enum xc_state_record which = it->type == REC_X86_PV_VCPU_BASIC   ? XC_STATE_PV_BASIC
                                 : it->type == REC_X86_PV_VCPU_XSAVE ? XC_STATE_PV_XSAVE
                                                                     : XC_STATE_PV_MSRS;
    uint8_t *body = xcalloc(it->length ? it->length : 1, 1);
    xc_state_wrong why = NULL;
    int rc = image_read(im, it->body, body, it->length);

    if (!rc && (it->type == REC_HVM_CONTEXT ? xc_state_take_hvm(s, body, it->length, &why)
                                            : xc_state_take_pv(s, which, body, it->length, &why)))
        rc = image_fault(im, it, it->offset, "%s", why ? why : strerror(errno));
    free(body);
    return rc;
}

int evidence_read_image(const char *path, struct xc_domain_state *s)
{
    struct image_item it;
    struct image im;
    int rc;

    if (image_open(&im, path))
        return -1;
    s->pv = im.head->guest == XC_SR_GUEST_PV;
    while ((rc = image_next(&im, &it)) > 0)
        if (is_of_state(&it) && take_record(&im, &it, s)) {
            rc = -1;
            break;
        }
    image_close(&im);
    return rc;
}

/* ---- domains ---- */

static int read_domain(uint32_t domid, struct xc_domain_state *s)
{
    xc_handle *xch = xc_interface_open(out_logger());
    struct xc_domain_info info;
    int rc = -1;

    if (!xch)
        return -1;
    if (!xc_domain_getinfo(xch, domid, &info))
        rc = xc_domain_get_state(xch, &info, s);
    xc_interface_close(xch);
    return rc;
}

struct usage *evidence_find(const struct subject *s, const char *arg)
{
    struct xc_domain_state state = {.pv = false};
    struct usage *u = NULL;
    int rc =
        s->domid != POLICY_NONE ? read_domain(s->domid, &state) : evidence_read_image(arg, &state);

    if (!rc && !state.nr_vcpus) {
        warn("%s has no registers of any vCPU", s->origin);
    } else if (!rc) {
        u = xcalloc(1, sizeof(*u));
        usage_find(&s->guest, &state, u);
    }
    xc_domain_state_free(&state);
    return u;
}

const struct usage *evidence_get(struct evidence *e, const struct subject *s)
{
    if (!e->asked && e->arg && evidence_exists(s))
        e->usage = evidence_find(s, e->arg);
    e->asked = true;
    return e->usage;
}

char *evidence_domain_line(xc_handle *xch, const struct xc_domain_info *info,
                           const struct cpu_policy *p)
{
    struct xentoollog_logger *logger;
    struct xc_domain_state state;
    struct logger silent;
    struct usage *u;
    char *line = NULL;

    logger = xc_set_logger(xch, logger_init(&silent, NULL, NULL));
    if (!xc_domain_get_state(xch, info, &state) && state.nr_vcpus) {
        u = xcalloc(1, sizeof(*u));
        usage_find(p, &state, u);
        line = usage_line(u);
        free(u);
    }
    xc_domain_state_free(&state);
    (void)xc_set_logger(xch, logger);
    return line;
}
