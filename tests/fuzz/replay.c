/* SPDX-License-Identifier: MIT */
/* A fuzz target without a fuzzer: replay DIRECTORY: each file in it is one input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *directory, const char *name)
{
    static uint8_t input[MAX_SIZE];
    char path[1024];
    uint8_t *exact;
    size_t size;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fprintf(stderr, "%s\n", path); /* the last line is who crashed */
    f = fopen(path, "re");
    size = f ? fread(input, 1, MAX_SIZE, f) : 0;
    exact = malloc(size ? size : 1); /* so that ASan sees what is read behind it */
    if (!size || !exact) {
        perror(path);
        return -1;
    }
    (void)fclose(f);
    memcpy(exact, input, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **names;
    int n = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1, bad = 0, done = 0;

    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            bad |= replay(argv[1], names[i]->d_name);
            done++;
        }
        free(names[i]);
    }
    if (n < 0 || !done) {
        fprintf(stderr, "usage: replay DIRECTORY, with files in it\n");
        return 2;
    }
    free(names);
    return bad ? 1 : 0;
}
