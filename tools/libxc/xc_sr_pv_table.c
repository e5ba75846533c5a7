/* SPDX-License-Identifier: MIT */
/*
 * Page tables from machine frames to pseudo-physical ones, and back.  (Intel SDM volume 3A, 4.5:
 * the frame is bits 51..12, bit 0 says that an entry is present, bit 7 of levels 2 and 3 that it is
 * a large page, which a PV guest cannot have.)
 */
#include "xc_sr_pv.h"

#define PTE_PRESENT (1ull << 0)
#define PTE_LARGE   (1ull << 7) /* of levels 2 and 3; in level 1 it is a part of the memory type */
#define PTE_FRAME   0x000ffffffffff000ull

unsigned int sr_pv_level(unsigned int type)
{
    type &= ~(XC_SR_PAGE_L1TAB_PIN - XC_SR_PAGE_L1TAB);
    return type >= XC_SR_PAGE_L1TAB && type <= XC_SR_PAGE_L4TAB ? type : 0;
}

int sr_pv_translate_table(unsigned int level, const uint64_t *in, uint64_t *out,
                          bool (*translate)(void *data, uint64_t from, uint64_t *to), void *data,
                          unsigned int *bad)
{
    for (unsigned int i = 0; i < SR_PV_PER_FRAME; i++) {
        uint64_t e = in[i], frame;

        *bad = i;
        if (level == SR_PV_LEVELS && i >= SR_PV_XEN_FIRST && i < SR_PV_XEN_END) {
            out[i] = 0;
            continue;
        }
        if (e & PTE_PRESENT) {
            if ((level > 1 && e & PTE_LARGE) || !translate(data, (e & PTE_FRAME) >> 12, &frame))
                return -1;
            e = (e & ~PTE_FRAME) | (frame << 12 & PTE_FRAME);
        }
        out[i] = e;
    }
    return 0;
}
