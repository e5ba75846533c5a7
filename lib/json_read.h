/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON that somebody else wrote, or edited: by yajl, of bounded depth.
 */
#ifndef LIB_JSON_READ_H
#define LIB_JSON_READ_H

#include <stddef.h>

#include <yajl/yajl_tree.h>

/* How deep objects and lists may be in each other: yajl frees a tree by calling itself, so that a
 * file of nothing but brackets would use up the stack. */
#define JSON_READ_DEPTH 64

/* Read a document, bytes that need not end in a NUL.  Returns its tree, for yajl_tree_free(); NULL
 * with one line in why[], which names the line of the text: it is no JSON, nested too deeply, has a
 * NUL in it, or memory ran out. */
yajl_val json_read(const char *text, size_t len, char *why, size_t size);

/* Find the member of an object: of the type, or of any (yajl_t_any).  NULL when it is not there, or
 * `object` is NULL or no object. */
yajl_val json_find(yajl_val object, const char *key, yajl_type type);

/* Return the text of that member; NULL where it is not there, or no text. */
const char *json_find_string(yajl_val object, const char *key);

/* Count the items of a list; 0 for NULL and what is no list. */
size_t json_count(yajl_val list);

#endif
