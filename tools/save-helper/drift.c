/* SPDX-License-Identifier: MIT */
/*
 * Has this host lost features since it joined its pool?  `xenlevel pool refresh` leaves its answer
 * in a small file, a line "drift: none" or "drift: WHAT".
 */
#include <stdio.h>
#include <string.h>

#include "gate.h"

enum { DRIFT_LINES = 64 };

bool gate_host_drifted(void)
{
    static const char key[] = "drift: ", none[] = "drift: none\n";
    bool drifted = false, whole = true;
    FILE *f = fopen(gate_drift_file(), "re");
    char line[256];

    /* A line may be longer than that: what is left of it is no line of its own. */
    for (unsigned int i = 0; f && i < DRIFT_LINES && fgets(line, sizeof(line), f); i++) {
        if (whole && !strncmp(line, key, sizeof(key) - 1))
            drifted = strcmp(line, none) != 0;
        whole = strchr(line, '\n') != NULL;
    }
    if (f)
        (void)fclose(f);
    return drifted;
}
