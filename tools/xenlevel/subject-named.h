/* SPDX-License-Identifier: MIT */
/* Arguments that are named levels: a part of subject_open(). */
#ifndef XENLEVEL_SUBJECT_NAMED_H
#define XENLEVEL_SUBJECT_NAMED_H

#include "subject.h"

/* Open a level that is shipped.  0; 1 where there is none of that name, which may be a domain's
 * (`only`: a message, and -1); -1 after a message. */
int subject_open_named(const char *name, bool only, struct subject *s);
/* Open the text of one.  0; -1 after a message. */
int subject_open_named_text(const char *path, struct subject *s);
/* Warn where a file is called as a level that is shipped: the file is taken. */
void subject_warn_of_named(const char *path);

#endif /* XENLEVEL_SUBJECT_NAMED_H */
