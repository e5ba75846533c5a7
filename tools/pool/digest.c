/* SPDX-License-Identifier: MIT */
/*
 * SHA-256, by OpenSSL's libcrypto.
 */
#include <stdio.h>

#include <openssl/evp.h>

#include "digest.h"
#include "util.h"

void digest_bytes(const void *bytes, size_t len, unsigned char digest[static DIGEST_SIZE])
{
    if (!EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL))
        out_of_memory();
}

void digest_text(const void *bytes, size_t len, char text[static DIGEST_TEXT])
{
    unsigned char digest[DIGEST_SIZE];

    digest_bytes(bytes, len, digest);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
}
