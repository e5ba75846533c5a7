/* SPDX-License-Identifier: MIT */
/* See json_read.h. */
#include "json_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

static int open_level(void *arg)
{
    unsigned int *depth = arg;

    return ++*depth <= JSON_READ_DEPTH;
}

static int close_level(void *arg)
{
    unsigned int *depth = arg;

    --*depth;
    return 1;
}

static unsigned int count_line(const char *text, size_t at)
{
    unsigned int line = 1;

    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

/* One line of what the parser says of the byte: "parse error: premature EOF\n". */
static void say_error(yajl_handle parser, const char *text, size_t at, char *why, size_t size)
{
    unsigned char *said = yajl_get_error(parser, 0, (const unsigned char *)text, at);

    (void)snprintf(why, size, "line %u: %.*s", count_line(text, at),
                   said ? (int)strcspn((const char *)said, "\n") : 0,
                   said ? (const char *)said : "");
    if (said)
        yajl_free_error(parser, said);
}

/* 0; -1 with why[] when it is no JSON, or too deep to be read. */
static int check_text(const char *text, size_t len, char *why, size_t size)
{
    static const yajl_callbacks callbacks = {
        .yajl_start_map = open_level,
        .yajl_end_map = close_level,
        .yajl_start_array = open_level,
        .yajl_end_array = close_level,
    };
    unsigned int depth = 0;
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &depth);
    yajl_status status;
    size_t at;

    if (!parser) {
        (void)snprintf(why, size, "out of memory");
        return -1;
    }
    yajl_config(parser, yajl_allow_comments, 1); /* as yajl_tree_parse() does */
    status = yajl_parse(parser, (const unsigned char *)text, len);
    at = status == yajl_status_ok ? len : yajl_get_bytes_consumed(parser);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(parser);
    if (status == yajl_status_client_canceled)
        (void)snprintf(why, size, "line %u: nested deeper than %d", count_line(text, at),
                       JSON_READ_DEPTH);
    else if (status != yajl_status_ok)
        say_error(parser, text, at, why, size);
    yajl_free(parser);
    return status == yajl_status_ok ? 0 : -1;
}

yajl_val json_read(const char *text, size_t len, char *why, size_t size)
{
    yajl_val root = NULL;
    char *copy;

    if (memchr(text, '\0', len)) {
        (void)snprintf(why, size, "it has a NUL in it");
        return NULL;
    }
    if (check_text(text, len, why, size))
        return NULL;
    copy = strndup(text, len);
    if (copy)
        root = yajl_tree_parse(copy, NULL, 0);
    if (!root)
        (void)snprintf(why, size, "out of memory");
    free(copy);
    return root;
}

yajl_val json_find(yajl_val object, const char *key, yajl_type type)
{
    const char *path[] = {key, NULL};

    return yajl_tree_get(object, path, type);
}

const char *json_find_string(yajl_val object, const char *key)
{
    return YAJL_GET_STRING(json_find(object, key, yajl_t_string));
}

size_t json_count(yajl_val list)
{
    return YAJL_IS_ARRAY(list) ? YAJL_GET_ARRAY(list)->len : 0;
}
