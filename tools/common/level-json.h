/* SPDX-License-Identifier: MIT */
/*
 * A pool's level as JSON that a person can edit, and read back.
 *
 *   { "xenlevel": "level", "name": "pool",
 *     "hvm": { "features": ["fpu", ...], "max_leaf": "0xd", "max_leaf7_subleaf": "0x1",
 *              "max_extended_leaf": "0x8000001f", "physical_address_bits": "0x2e",
 *              "leaves": [{"leaf": "0x1", "subleaf": "0x0", "eax": "0x0", ...}], "msrs": [...] },
 *     "pv": { ... },
 *     "members": [{"name": "a", "cpu": "Intel...", "hvm_given_up": ["avx2"], "pv_given_up": []}] }
 *
 * "features" and the numbers beside it are what counts; their bits in "leaves" are ignored when it
 * is read, and what stands on a feature that is gone goes too.  Numbers are strings, since JSON
 * has no hexadecimal ones.
 */
#ifndef COMMON_LEVEL_JSON_H
#define COMMON_LEVEL_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "xlp.h"

/* Write it to standard output.  Returns 0; or 2 after a message. */
int level_to_json(const Xenlevel__Level *level);

/* Say whether text[0..len) looks like such a level: an object that has a member "xenlevel". */
bool level_json_is(const char *text, size_t len);

/*
 * Read one.  `name` is for messages.  Returns what xlp_free() frees; or NULL with errno EINVAL and
 * *error: what is no JSON, a member that is missing or of another type, a feature that is not
 * known, a CPU that cannot exist.
 */
Xenlevel__File *level_from_json(const char *name, const char *text, size_t len,
                                struct xlp_error *error);

#endif /* COMMON_LEVEL_JSON_H */
