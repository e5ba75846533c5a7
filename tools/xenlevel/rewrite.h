/* SPDX-License-Identifier: MIT */
/*
 * A save image written anew with something changed.
 *
 * Memory goes from file to file inside the kernel (or is shared, where the file system can).  The
 * CHECKSUM records that stay are made right without reading what they cover, wherever nothing has
 * changed: the CRC-32 of a whole follows from those of its parts.  So damage that a batch's sum
 * shows is still shown by it afterwards.
 */
#ifndef XENLEVEL_REWRITE_H
#define XENLEVEL_REWRITE_H

#include "walk.h"

struct edit {
    /* Leave out every optional record of libxc's and libxl's layers.  CHECKSUM records are held
     * against the image meanwhile: later nobody can. */
    bool strip;

    bool set_policy;           /* replace the policy records, or put them in; version 3 only */
    size_t nr_leaves, nr_msrs; /* nr_msrs 0: no X86_MSR_POLICY */
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];

    uint64_t dropped; /* out: optional records left out */
};

/* Write im, edited, to `output`, which may be im's own path.  `checksums`: there are CHECKSUM
 * records.  Returns 0; or -1 after a message: then there is no output, or the one that was there
 * before. */
int rewrite_image(struct image *im, struct edit *edit, bool checksums, const char *output);

#endif /* XENLEVEL_REWRITE_H */
