/* SPDX-License-Identifier: MIT */
/*
 * The sections of docs/messages.md, which gen-messages.py makes a table of: what each message
 * means.
 */
#ifndef XENLEVEL_MESSAGES_H
#define XENLEVEL_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

/* One way in which a message is worded.  `pieces`, up to NULL, is what stands in it every time. */
struct message_said {
    const char *text; /* with <...> for what differs; NULL behind the last one */
    const char *const *pieces;
};

struct message {
    const char *const *names; /* the section's, then what else is explained there, up to NULL */
    const struct message_said *says;
    const char *const *text; /* paragraphs; those that begin with four blanks are examples */
};

extern const struct message messages[];
extern const size_t nr_messages;

/* Return the message that has this name, or NULL. */
const struct message *message_by_name(const char *name);

/*
 * Say whether `text` has a message in it.  Blanks and line ends count as one blank, so that text
 * may have been wrapped; of what differs there may be 300 bytes between two pieces.  `text` is what
 * message_flatten() made.
 */
bool message_is_in(const struct message *m, const char *text);

/* Make of text[0..len) what message_is_in() takes: every run of blanks, line ends and NULs becomes
 * one blank.  In place; ends with a NUL, for which there must be room at text[len]. */
void message_flatten(char *text, size_t len);

#endif /* XENLEVEL_MESSAGES_H */
