/* SPDX-License-Identifier: MIT */
/*
 * Build-ids in ELF files, read with libelf.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "out.h"
#include "payload.h"
#include "util.h"

enum {
    MAX_PAYLOAD = 2 * 1024 * 1024, /* what the hypervisor takes at most */
    MAX_IMAGE = 64 * 1024 * 1024,  /* of a hypervisor, unpacked: ten times what one has */
};

/* The first build-id note of a section, in hexadecimal. */
static int note_id(Elf_Data *data, char id[static BUILD_ID_TEXT])
{
    size_t offset = 0, name_at, desc_at;
    GElf_Nhdr note;

    while ((offset = gelf_getnote(data, offset, &note, &name_at, &desc_at)) > 0) {
        const uint8_t *desc = (const uint8_t *)data->d_buf + desc_at;

        if (note.n_type != NT_GNU_BUILD_ID || !note.n_descsz ||
            note.n_descsz > (BUILD_ID_TEXT - 1) / 2)
            continue;
        for (size_t i = 0; i < note.n_descsz; i++)
            (void)snprintf(id + 2 * i, 3, "%02x", desc[i]);
        return 0;
    }
    return -1;
}

static int section_id(Elf *elf, const char *wanted, char id[static BUILD_ID_TEXT])
{
    Elf_Scn *section = NULL;
    size_t strings;

    if (elf_getshdrstrndx(elf, &strings))
        return -1;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        const char *name;
        Elf_Data *data;

        if (!gelf_getshdr(section, &header))
            continue;
        name = elf_strptr(elf, strings, header.sh_name);
        if (!name || strcmp(name, wanted) != 0)
            continue;
        data = elf_getdata(section, NULL);
        return data ? note_id(data, id) : -1;
    }
    return -1;
}

/* Takes `elf` over. */
static int elf_id(Elf *elf, const char *section, char id[static BUILD_ID_TEXT])
{
    int rc = elf && elf_kind(elf) == ELF_K_ELF ? section_id(elf, section, id) : -1;

    (void)elf_end(elf);
    return rc;
}

int elf_build_id(const char *path, char id[static BUILD_ID_TEXT])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return -1;
    (void)elf_version(EV_CURRENT);
    rc = elf_id(elf_begin(fd, ELF_C_READ, NULL), ".note.gnu.build-id", id);
    (void)close(fd);
    return rc;
}

int image_build_id(const char *path, char id[static BUILD_ID_TEXT])
{
    gzFile f = gzopen(path, "re"); /* which reads what is not packed as it is */
    char *image = NULL;
    size_t size = 0;
    int n, rc = -1;

    if (!f)
        return -1;
    do {
        image = xrealloc(image, size + MAX_PAYLOAD);
        n = gzread(f, image + size, MAX_PAYLOAD);
        size += n > 0 ? (size_t)n : 0;
    } while (n > 0 && size < MAX_IMAGE);
    (void)gzclose(f);
    (void)elf_version(EV_CURRENT);
    if (n == 0)
        rc = elf_id(elf_memory(image, size), ".note", id);
    free(image);
    return rc;
}

int payload_read(const char *path, struct payload *p)
{
    struct stat st;
    FILE *f;

    memset(p, 0, sizeof(*p));
    f = fopen(path, "re");
    if (!f || fstat(fileno(f), &st)) {
        warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        if (f)
            (void)fclose(f);
        return -1;
    }
    if (st.st_size <= 0 || st.st_size > MAX_PAYLOAD) {
        warn("%s: a payload has 1 to %d bytes, this has %lld", path, MAX_PAYLOAD,
             (long long)st.st_size);
        (void)fclose(f);
        return -1;
    }
    p->size = (size_t)st.st_size;
    p->image = xcalloc(1, p->size);
    if (fread(p->image, 1, p->size, f) != p->size) {
        warn("%s: cannot be read", path);
        (void)fclose(f);
        payload_free(p);
        return -1;
    }
    (void)fclose(f);
    /* Of the very bytes that will be uploaded: the file may change meanwhile. */
    (void)elf_version(EV_CURRENT);
    if (elf_id(elf_memory((char *)p->image, p->size), ".livepatch.xen_depends", p->xen_build_id)) {
        warn("%s: not a live patch: it does not say which hypervisor it is for", path);
        payload_free(p);
        return -1;
    }
    return 0;
}

/* The place of a section's bytes in the image; 0: there is none of that name and size. */
static size_t find_section(Elf *elf, const char *wanted, size_t size)
{
    Elf_Scn *section = NULL;
    size_t strings;

    if (!elf || elf_getshdrstrndx(elf, &strings))
        return 0;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        const char *name;

        if (!gelf_getshdr(section, &header))
            continue;
        name = elf_strptr(elf, strings, header.sh_name);
        if (name && !strcmp(name, wanted))
            return header.sh_type == SHT_PROGBITS && header.sh_size == size ? header.sh_offset : 0;
    }
    return 0;
}

uint8_t *payload_section(struct payload *p, const char *name, size_t size)
{
    Elf *elf = elf_memory((char *)p->image, p->size);
    size_t offset = find_section(elf, name, size);

    (void)elf_end(elf);
    return offset && size <= p->size && offset <= p->size - size ? p->image + offset : NULL;
}

void payload_free(struct payload *p)
{
    free(p->image);
    memset(p, 0, sizeof(*p));
}
