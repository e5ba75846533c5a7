/* SPDX-License-Identifier: MIT */
/*
 * usage: derive-level FILE
 *
 * Prints a named level's file with the features that its machines share today: how a new version is
 * made.  The file has at least [level].
 */
#include <stdio.h>
#include <stdlib.h>

#include "derive_level.h"

int main(int argc, char **argv)
{
    struct named_level l;
    char *why = NULL;

    if (argc != 2 || named_read(argv[1], &l, &why)) {
        (void)fprintf(stderr, "%s\n", why ? why : "usage: derive-level FILE");
        free(why);
        return 2;
    }
    for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++) {
        l.have[type] = true;
        derive_features(&l, type, &l.features[type]);
    }
    named_write(stdout, &l);
    named_free(&l);
    return 0;
}
