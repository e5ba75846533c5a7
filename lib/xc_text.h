/* SPDX-License-Identifier: MIT */
/*
 * Foreign text on its way to a terminal, a log or a shell.
 *
 * Names come out of streams, images, policy files, xenstore, dumps and file systems: whoever made
 * them may have written into them what moves a cursor, begins a new line of a log, or turns the
 * order of what is read around.  None of it is printed as it is.
 */
#ifndef XC_TEXT_H
#define XC_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Copy in[0..len) to out, so that it is one line of valid UTF-8 that a terminal only shows: each
 * byte of what is not of that kind becomes \xNN (four characters of ASCII).  Those are
 *  - control characters: 00-1F (TAB, CR and LF too), 7F, and U+0080 to U+009F;
 *  - what turns the direction of text, or ends a line: U+061C, U+200E, U+200F, U+2028 to U+202E,
 *    U+2066 to U+2069 (Unicode Standard Annex 9, and its section 23.2);
 *  - bytes that are no UTF-8 (Unicode Standard, table 3-7: no surrogates, none overlong).
 * All else is as it was, a backslash too: what is safe already is not changed by a second time, and
 * whether a name had an ESC or the four characters \x1b in it is not told apart.
 *
 * out[0..size) gets as much of it as fits, cut between two characters or escapes, and a NUL; with
 * size 0 nothing is written.  Returns the length of all of it, without the NUL, as snprintf() does.
 */
size_t xc_text_safe(const char *in, size_t len, char *out, size_t size);

/* Is all of it UTF-8?  Control characters are. */
bool xc_text_is_utf8(const char *in, size_t len);

/*
 * As vsnprintf(), with every argument of %s and %c made safe; what stands in the format itself is
 * the program's own and not changed, so it may have line ends.  (A precision counts the bytes of
 * the argument: none behind them is read, and a character that is not whole within them is left
 * out.  A width counts the bytes that are printed.)  %n and positions ("%1$s") are not known: the
 * rest of the format is printed as it stands.  Returns the length of all of it.
 */
size_t xc_text_vprint(char *out, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
size_t xc_text_print(char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same as malloc()'ed text.  NULL when there is no memory. */
char *xc_text_vformat(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/*
 * The name as one word for a shell: itself when it has only letters, digits and @%_+=:,./- (and is
 * not empty), else in '...'; with characters that must not be printed in $'...', where the shell
 * turns \xNN back (POSIX.1-2024, 2.2.4; bash, zsh, ksh).  What it evaluates to is the name, byte
 * by byte.  It is cut as xc_text_safe() cuts; returns the length of all of it.
 */
size_t xc_text_shell(const char *name, char *out, size_t size);

#endif /* XC_TEXT_H */
