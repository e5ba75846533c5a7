/* SPDX-License-Identifier: MIT */
/*
 * Build-ids in ELF files: which hypervisor a file is, and which one a payload is for.
 */
#ifndef XENLEVEL_PAYLOAD_H
#define XENLEVEL_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_TEXT 65

/* A payload, whole in memory. */
struct payload {
    uint8_t *image;
    size_t size;
    char xen_build_id[BUILD_ID_TEXT]; /* of the hypervisor that it is for */
};

/* Read a payload.  Returns 0; or -1 after a message: it is not there, not ELF, not a payload, or
 * larger than any is. */
int payload_read(const char *path, struct payload *p);
/* Find a section of that very size.  Returns its bytes in the image; or NULL without a message. */
uint8_t *payload_section(struct payload *p, const char *name, size_t size);
void payload_free(struct payload *p);

/* Write the build-id of an ELF file in hexadecimal to id.  Returns 0; or -1 without a message when
 * it has none. */
int elf_build_id(const char *path, char id[static BUILD_ID_TEXT]);

/* Do the same for a hypervisor as it is booted: packed with gzip or not, its notes in a section of
 * their own. */
int image_build_id(const char *path, char id[static BUILD_ID_TEXT]);

#endif /* XENLEVEL_PAYLOAD_H */
