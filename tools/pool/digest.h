/* SPDX-License-Identifier: MIT */
/*
 * SHA-256, by OpenSSL's libcrypto: what equal values are kept once by.
 */
#ifndef POOL_DIGEST_H
#define POOL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32u /* bytes */
#define DIGEST_TEXT 65u /* lower case hexadecimal, and a NUL */

/* Compute the digest of bytes[len].  Ends the program when libcrypto cannot, which is when there is
 * no memory. */
void digest_bytes(const void *bytes, size_t len, unsigned char digest[static DIGEST_SIZE]);
/* Do the same, as text. */
void digest_text(const void *bytes, size_t len, char text[static DIGEST_TEXT]);

#endif /* POOL_DIGEST_H */
