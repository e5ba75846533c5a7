/* SPDX-License-Identifier: MIT */
/* See messages.h. */
#include "messages.h"

#include <ctype.h>
#include <string.h>

#define MAX_BETWEEN 300 /* bytes of what differs, between two pieces of one message */

const struct message *message_by_name(const char *name)
{
    for (size_t i = 0; i < nr_messages; i++)
        for (const char *const *own = messages[i].names; *own; own++)
            if (!strcmp(*own, name))
                return &messages[i];
    return NULL;
}

void message_flatten(char *text, size_t len)
{
    size_t to = 0;

    for (size_t i = 0; i < len; i++) {
        bool blank = !text[i] || isspace((unsigned char)text[i]);

        if (!blank)
            text[to++] = text[i];
        else if (to && text[to - 1] != ' ')
            text[to++] = ' ';
    }
    text[to] = '\0';
}

/* Do the pieces follow each other from here on?  *next is where to look again when they do not. */
static bool pieces_follow(const char *text, const char *const *pieces, const char **next)
{
    const char *at = strstr(text, *pieces);

    *next = at ? at + 1 : NULL;
    while (at && *++pieces) {
        const char *behind = at + strlen(pieces[-1]);

        at = strstr(behind, *pieces);
        if (at && at - behind > MAX_BETWEEN)
            return false;
    }
    return at != NULL;
}

bool message_is_in(const struct message *m, const char *text)
{
    for (const struct message_said *said = m->says; said->text; said++)
        for (const char *at = text; at;)
            if (pieces_follow(at, said->pieces, &at))
                return true;
    return false;
}
