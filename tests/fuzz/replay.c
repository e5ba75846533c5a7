/* SPDX-License-Identifier: MIT */
/* A fuzz target without a fuzzer: replay FILE|DIRECTORY...: each file is one input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    static uint8_t input[MAX_SIZE];
    uint8_t *exact;
    size_t size;
    FILE *f;

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

static int replay_all(const char *directory)
{
    struct dirent **names;
    int n = scandir(directory, &names, NULL, alphasort), bad = n > 2 ? 0 : -1;

    for (int i = 0; i < n; i++) {
        char path[1024];

        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            bad |= replay(path);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = argc > 1 ? 0 : -1;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st)) {
            perror(argv[i]);
            bad = -1;
        } else {
            bad |= S_ISDIR(st.st_mode) ? replay_all(argv[i]) : replay(argv[i]);
        }
    }
    if (bad)
        fprintf(stderr, "usage: replay FILE|DIRECTORY..., and none is empty\n");
    return bad ? 1 : 0;
}
