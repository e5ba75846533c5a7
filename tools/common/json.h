/* SPDX-License-Identifier: MIT */
/*
 * What programs read: JSON, by yajl (which every dom0 has, since xl uses it).
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <levelling-view.h>

#include "programs.h"
#include "xc.h"

struct json;

/* Begin one document on standard output, indented, with a line end behind it. */
struct json *json_begin(void);
/* Begin one on f, without blanks and line ends. */
struct json *json_begin_compact(FILE *f);
/* Do the same for a script element of HTML: no string can end it ("</script>"), or begin a comment
 * in it ("<!--"), because '<', '>' and '&' are escaped as JSON allows. */
struct json *json_begin_script(FILE *f);
/* Write it and free *j; f stays open.  Returns 0; or 2 after a message when it was not written. */
int json_end(struct json *j);

/* Write what there is so far, so that a long document needs no memory. */
void json_flush(struct json *j);

/* key: in an object its member's name; NULL in an array. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_close_object(struct json *j);
void json_close_array(struct json *j);
void json_string(struct json *j, const char *key, const char *value); /* NULL: null */
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* Write a share of 0 to 1 as a number of six decimals. */
void json_share(struct json *j, const char *key, double value);
/* Write a string "0x8000001f": easier to read for registers and leaves, and exact in every reader.
 */
void json_hex(struct json *j, const char *key, uint64_t value);

/* Write things that several commands say the same way. */
void json_feature(struct json *j, unsigned int feature); /* an object in an array */
void json_features(struct json *j, const char *key, const struct featureset *fs);
/* Write the members "stays_visible", "cannot_be_shown", "identity_changes", "other_leaves"; of a
 * move "appears" and "vanishes" in the place of the first two. */
void json_pv_change(struct json *j, const struct pv_change *c, bool move);
/* Add a member "programs": what the programs of a PV domain read. */
void json_programs(struct json *j, const struct programs *p);
void json_fault(struct json *j, const struct policy_fault *fault);
void json_levelling_caps(struct json *j, const char *key, uint32_t caps);
void json_leaves(struct json *j, const struct xc_leaves *l); /* members "leaves" and "msrs" */
void json_policy(struct json *j, const char *key, const struct cpu_policy *p, bool leaves);
/* Do the same of a policy of which not all is known (unknown.h): "features" are those that it has
 * for sure, "unknown" has those of which nobody knows, and the masks of the places that they are
 * in.  A register or MSR of which a bit is not known is null. */
void json_policy_known(struct json *j, const char *key, const struct cpu_policy *p,
                       const struct cpu_policy *mask, bool leaves);

#endif /* COMMON_JSON_H */
