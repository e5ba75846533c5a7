/* SPDX-License-Identifier: MIT */
/*
 * Policy files (.xlp): proto/cpu_policy.proto on disk.
 *
 * In memory a file is protobuf-c's message, so that fields this program does not know travel with
 * it and are there again when it is written.
 */
#ifndef COMMON_XLP_H
#define COMMON_XLP_H

#include <stddef.h>
#include <stdint.h>

#include "cpu_policy.pb-c.h"
#include "xc.h"

#define XLP_SUFFIX   ".xlp"
#define XLP_MAGIC    0x4c4556454c4e4558ull /* "XENLEVEL" in the file */
#define XLP_VERSION  1u
#define XLP_MAX_SIZE (16u << 20) /* no honest file comes near it */

/* What is wrong with a file, in one sentence that begins with its name. */
struct xlp_error {
    char text[512];
    size_t offset; /* of the byte that is wrong; (size_t)-1 when it is not about bytes */
};

/*
 * Decode a file in memory, and validate everything in it: framing, version, checksum, and every
 * policy.  `name` is for messages.  Returns what xlp_free() frees; or NULL with errno EINVAL
 * (EPROTONOSUPPORT for a newer version) and *error when anything is wrong.
 */
Xenlevel__File *xlp_decode(const char *name, const void *bytes, size_t len,
                           struct xlp_error *error);
/* Encode a file.  Returns its bytes, malloc'ed, and *len.  Unknown fields are kept. */
void *xlp_encode(const Xenlevel__File *file, size_t *len);

/* Read a file and decode it; as xlp_decode(). */
Xenlevel__File *xlp_load(const char *path, struct xlp_error *error);
/* Write a file, whole or not at all (outfile.h).  Returns 0; or -1 with errno and *error. */
int xlp_save(const char *path, const Xenlevel__File *file, struct xlp_error *error);

/* Return an empty file of this version. */
Xenlevel__File *xlp_new(void);
/* Free a file; NULL is allowed. */
void xlp_free(Xenlevel__File *file);

/* Make messages of policies and featuresets, and the reverse.  The new ones belong to the message
 * tree. */
Xenlevel__Policy *xlp_policy_new(const struct xc_leaves *l);
void xlp_policy_leaves(const Xenlevel__Policy *policy, struct xc_leaves *l);
Xenlevel__Featureset *xlp_featureset_new(const uint32_t *words, size_t n);
/* Convert a policy that xlp_decode() has let pass, which cannot fail; and the reverse. */
void xlp_policy_get(const Xenlevel__Policy *policy, struct cpu_policy *p);
Xenlevel__Policy *xlp_policy_from(const struct cpu_policy *p);
/* Make a message of what is not known of a policy (unknown.h), and the reverse.  NULL stands for
 * "all is known". */
Xenlevel__Policy *xlp_unknown_from(const struct cpu_policy *mask);
void xlp_unknown_get(const Xenlevel__Policy *unknown, struct cpu_policy *mask);

#endif /* COMMON_XLP_H */
