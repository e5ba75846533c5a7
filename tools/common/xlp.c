/* SPDX-License-Identifier: MIT */
/*
 * Policy files: framing, checksum, validation, and writing them whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "outfile.h"
#include "unknown.h"
#include "util.h"
#include "xc_text.h"
#include "xlp.h"

#define MAGIC_SIZE 9    /* a tag and eight bytes */
#define END_SIZE   5    /* a tag and four bytes */
#define END_TAG    0x7d /* field 15, fixed32 */
#define NO_OFFSET  ((size_t)-1)

static const unsigned char magic[MAGIC_SIZE] = {0x09, 'X', 'E', 'N', 'L', 'E', 'V', 'E', 'L'};

static int set_error(struct xlp_error *error, int err, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int set_error(struct xlp_error *error, int err, size_t offset, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)xc_text_vprint(error->text, sizeof(error->text), fmt, ap);
    va_end(ap);
    error->offset = offset;
    errno = err;
    return -1;
}

/* ---- framing: the top level's fields, one after the other ---- */

struct cursor {
    const unsigned char *bytes;
    size_t len, at;
};

/* A base-128 number.  0; -1: the bytes end in it; -2: it is no number. */
static int take_varint(struct cursor *c, uint64_t *value)
{
    *value = 0;
    for (unsigned int shift = 0; shift < 70; shift += 7) {
        unsigned char byte;

        if (c->at >= c->len)
            return -1;
        byte = c->bytes[c->at++];
        if (shift == 63 && byte > 1)
            return -2;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return 0;
    }
    return -2;
}

/* Behind one field, whose tag has been taken.  The result as above; *number for wire type 0. */
static int skip_field(struct cursor *c, unsigned int wire, uint64_t *number)
{
    uint64_t size;
    int rc;

    switch (wire) {
    case 0:
        return take_varint(c, number);
    case 1:
        size = 8;
        break;
    case 2:
        rc = take_varint(c, &size);
        if (rc)
            return rc;
        break;
    case 5:
        size = 4;
        break;
    default:
        return -2;
    }
    if (size > c->len - c->at)
        return -1;
    c->at += size;
    return 0;
}

static int set_truncated(const char *name, size_t len, struct xlp_error *error)
{
    return set_error(error, EINVAL, len,
                     "%s: truncated: the file ends at byte %zu, without its end mark", name, len);
}

static int check_version(const char *name, uint64_t version, size_t at, struct xlp_error *error)
{
    if (version > XLP_VERSION)
        return set_error(error, EPROTONOSUPPORT, at,
                         "%s: byte %zu: version %llu of the file format; this program knows %u",
                         name, at, (unsigned long long)version, XLP_VERSION);
    if (version < XLP_VERSION)
        return set_error(error, EINVAL, at,
                         "%s: byte %zu: there is no version %llu of the file format", name, at,
                         (unsigned long long)version);
    return 0;
}

/*
 * Go over the fields of the top level.  The version is looked at first of all: of a newer file
 * nothing else is known for sure.
 */
static int check_framing(const char *name, const unsigned char *bytes, size_t len,
                         struct xlp_error *error)
{
    struct cursor c = {.bytes = bytes, .len = len};
    bool version_seen = false;
    uint64_t tag = 0, number = 0;
    size_t start = 0;

    if (len < MAGIC_SIZE && !memcmp(bytes, magic, len))
        return set_truncated(name, len, error);
    for (size_t i = 0; i < MAGIC_SIZE; i++)
        if (bytes[i] != magic[i])
            return set_error(error, EINVAL, i, "%s: byte %zu: not a Xenlevel policy file", name, i);

    while (c.at < len) {
        int rc;

        start = c.at;
        rc = take_varint(&c, &tag);
        if (!rc && tag >> 3 == 0)
            rc = -2;
        if (!rc)
            rc = skip_field(&c, tag & 7, &number);
        if (rc == -1)
            return set_truncated(name, len, error);
        if (rc)
            return set_error(error, EINVAL, start, "%s: byte %zu: damaged: no field begins here",
                             name, start);
        if (tag == (2 << 3 | 0)) {
            if (check_version(name, number, start, error))
                return -1;
            version_seen = true;
        }
        if (tag == END_TAG && c.at < len)
            return set_error(error, EINVAL, c.at,
                             "%s: byte %zu: there is something behind the end mark", name, c.at);
    }
    if (tag != END_TAG)
        return set_truncated(name, len, error);
    if (!version_seen)
        return set_error(error, EINVAL, MAGIC_SIZE, "%s: byte %d: the version is missing", name,
                         MAGIC_SIZE);
    return 0;
}

static uint32_t compute_checksum(const void *bytes, size_t len)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, len);
}

/* ---- what is inside ---- */

void xlp_policy_leaves(const Xenlevel__Policy *policy, struct xc_leaves *l)
{
    l->nr_leaves = policy->n_leaves;
    l->nr_msrs = policy->n_msrs;
    l->leaves = xcalloc(l->nr_leaves, sizeof(*l->leaves));
    l->msrs = xcalloc(l->nr_msrs, sizeof(*l->msrs));
    for (size_t i = 0; i < l->nr_leaves; i++) {
        const Xenlevel__Leaf *leaf = policy->leaves[i];

        l->leaves[i] = (xen_cpuid_leaf_t){
            .leaf = leaf->leaf,
            .subleaf = leaf->where_case == XENLEVEL__LEAF__WHERE_SUBLEAF ? leaf->subleaf
                                                                         : XEN_CPUID_NO_SUBLEAF,
            .a = leaf->eax,
            .b = leaf->ebx,
            .c = leaf->ecx,
            .d = leaf->edx,
        };
    }
    for (size_t i = 0; i < l->nr_msrs; i++)
        l->msrs[i] =
            (xen_msr_entry_t){.idx = policy->msrs[i]->index, .val = policy->msrs[i]->value};
}

Xenlevel__Policy *xlp_policy_new(const struct xc_leaves *l)
{
    Xenlevel__Policy *policy = xcalloc(1, sizeof(*policy));

    xenlevel__policy__init(policy);
    policy->n_leaves = l->nr_leaves;
    policy->leaves = xcalloc(l->nr_leaves, sizeof(Xenlevel__Leaf *));
    for (size_t i = 0; i < l->nr_leaves; i++) {
        Xenlevel__Leaf *leaf = xcalloc(1, sizeof(*leaf));

        xenlevel__leaf__init(leaf);
        leaf->leaf = l->leaves[i].leaf;
        if (l->leaves[i].subleaf != XEN_CPUID_NO_SUBLEAF) {
            leaf->where_case = XENLEVEL__LEAF__WHERE_SUBLEAF;
            leaf->subleaf = l->leaves[i].subleaf;
        }
        leaf->eax = l->leaves[i].a;
        leaf->ebx = l->leaves[i].b;
        leaf->ecx = l->leaves[i].c;
        leaf->edx = l->leaves[i].d;
        policy->leaves[i] = leaf;
    }
    policy->n_msrs = l->nr_msrs;
    policy->msrs = xcalloc(l->nr_msrs, sizeof(Xenlevel__Msr *));
    for (size_t i = 0; i < l->nr_msrs; i++) {
        Xenlevel__Msr *msr = xcalloc(1, sizeof(*msr));

        xenlevel__msr__init(msr);
        msr->index = l->msrs[i].idx;
        msr->value = l->msrs[i].val;
        policy->msrs[i] = msr;
    }
    return policy;
}

Xenlevel__Featureset *xlp_featureset_new(const uint32_t *words, size_t n)
{
    Xenlevel__Featureset *fs = xcalloc(1, sizeof(*fs));

    xenlevel__featureset__init(fs);
    fs->n_words = n;
    fs->words = xcalloc(n, sizeof(*fs->words));
    if (n)
        memcpy(fs->words, words, n * sizeof(*words));
    return fs;
}

void xlp_policy_get(const Xenlevel__Policy *policy, struct cpu_policy *p)
{
    struct xc_leaves l;

    xlp_policy_leaves(policy, &l);
    (void)xc_policy_from_leaves(NULL, "", &l, p, NULL, 0);
    xc_leaves_free(&l);
}

Xenlevel__Policy *xlp_policy_from(const struct cpu_policy *p)
{
    Xenlevel__Policy *policy;
    struct xc_leaves l;

    if (xc_policy_to_leaves(p, &l))
        l = (struct xc_leaves){.leaves = xcalloc(1, sizeof(*l.leaves))};
    policy = xlp_policy_new(&l);
    xc_leaves_free(&l);
    return policy;
}

/* ---- what is not known: the leaves and MSRs of the mask that are not zero ---- */

static void add_place(const struct unknown_place *place, void *arg)
{
    struct xc_leaves *l = arg;

    if (place->msr != POLICY_NONE) {
        l->msrs[l->nr_msrs++] = (xen_msr_entry_t){
            .idx = place->msr, .val = place->bits[0] | (uint64_t)place->bits[1] << 32};
        return;
    }
    l->leaves[l->nr_leaves++] = (xen_cpuid_leaf_t){
        .leaf = place->leaf,
        .subleaf = place->subleaf,
        .a = place->bits[0],
        .b = place->bits[1],
        .c = place->bits[2],
        .d = place->bits[3],
    };
}

Xenlevel__Policy *xlp_unknown_from(const struct cpu_policy *mask)
{
    struct xc_leaves l = {0};
    Xenlevel__Policy *unknown;

    if (!unknown_any(mask))
        return NULL;
    l.leaves = xcalloc(POLICY_MAX_LEAVES, sizeof(*l.leaves));
    l.msrs = xcalloc(POLICY_MAX_MSRS, sizeof(*l.msrs));
    unknown_each(mask, add_place, &l);
    unknown = xlp_policy_new(&l);
    xc_leaves_free(&l);
    return unknown;
}

void xlp_unknown_get(const Xenlevel__Policy *unknown, struct cpu_policy *mask)
{
    memset(mask, 0, sizeof(*mask));
    if (unknown)
        xlp_policy_get(unknown, mask);
}

/* It has the shape of a policy, but it is no CPU: nothing more is asked of it. */
static int check_unknown(const char *name, const char *owner, const char *which,
                         const Xenlevel__Policy *unknown, struct xlp_error *error)
{
    struct cpu_policy mask;
    struct xc_leaves l;
    char why[XC_FAULT_TEXT];
    int rc;

    if (!unknown)
        return 0;
    xlp_policy_leaves(unknown, &l);
    rc = xc_policy_from_leaves(NULL, "", &l, &mask, why, sizeof(why));
    xc_leaves_free(&l);
    if (!rc)
        return 0;
    return set_error(error, EINVAL, NO_OFFSET, "%s: '%s', what is not known of policy %s: %s", name,
                     owner, which, why);
}

static int check_policy(const char *name, const char *what, const char *owner, const char *which,
                        const Xenlevel__Policy *policy, struct xlp_error *error)
{
    struct policy_fault fault;
    struct policy_report report = {.faults = &fault, .max = 1};
    struct cpu_policy p;
    struct xc_leaves l;
    char why[XC_FAULT_TEXT];
    int rc;

    if (!policy)
        return 0;
    xlp_policy_leaves(policy, &l);
    rc = xc_policy_from_leaves(NULL, "", &l, &p, why, sizeof(why));
    if (!rc && policy_whole(l.leaves, l.nr_leaves, l.msrs, l.nr_msrs, &report)) {
        (void)xc_fault_text(&fault, why, sizeof(why));
        rc = -1;
    }
    xc_leaves_free(&l);
    if (!rc)
        return 0;
    return set_error(error, EINVAL, NO_OFFSET, "%s: %s '%s', policy %s: %s", name, what, owner,
                     which, why);
}

static int check_words(const char *name, const char *owner, const Xenlevel__Featureset *fs,
                       struct xlp_error *error)
{
    struct featureset known;

    if (!fs || !featureset_from_words(&known, fs->words, fs->n_words))
        return 0;
    return set_error(
        error, EINVAL, NO_OFFSET,
        "%s: '%s': a featureset of %zu words has features that this program does not know", name,
        owner, fs->n_words);
}

static int check_host(const char *name, const Xenlevel__Host *host, struct xlp_error *error)
{
    unsigned int seen = 0;

    for (size_t i = 0; i < host->n_policies; i++) {
        uint32_t index = host->policies[i]->index;
        const char *which = xc_policy_name(index);

        if (!which) /* a kind that a newer program knows: kept, not used */
            continue;
        if (seen & 1u << index)
            return set_error(error, EINVAL, NO_OFFSET, "%s: host '%s' has policy %s twice", name,
                             host->name, which);
        seen |= 1u << index;
        if (!host->policies[i]->policy)
            return set_error(error, EINVAL, NO_OFFSET, "%s: host '%s', policy %s is empty", name,
                             host->name, which);
        if (check_policy(name, "host", host->name, which, host->policies[i]->policy, error) ||
            check_unknown(name, host->name, which, host->policies[i]->unknown, error))
            return -1;
    }
    for (size_t i = 0; i < host->n_featuresets; i++)
        if (host->featuresets[i]->index < XC_FEATURESETS &&
            check_words(name, host->name, host->featuresets[i]->featureset, error))
            return -1;
    return 0;
}

static int check_content(const char *name, const Xenlevel__File *file, struct xlp_error *error)
{
    const Xenlevel__Level *level;

    switch (file->content_case) {
    case XENLEVEL__FILE__CONTENT_HOST:
        return check_host(name, file->host, error);
    case XENLEVEL__FILE__CONTENT_GUEST:
        if (!file->guest->policy)
            return set_error(error, EINVAL, NO_OFFSET, "%s: guest '%s' has no policy", name,
                             file->guest->name);
        if (check_unknown(name, file->guest->name, "of the guest", file->guest->unknown, error))
            return -1;
        return check_policy(name, "guest", file->guest->name, "of the guest", file->guest->policy,
                            error);
    case XENLEVEL__FILE__CONTENT_LEVEL:
        level = file->level;
        if (check_policy(name, "level", level->name, "PV", level->pv, error) ||
            check_policy(name, "level", level->name, "HVM", level->hvm, error))
            return -1;
        for (size_t i = 0; i < level->n_members; i++)
            if (check_words(name, level->members[i]->name, level->members[i]->pv_given_up, error) ||
                check_words(name, level->members[i]->name, level->members[i]->hvm_given_up,
                            error) ||
                check_words(name, level->members[i]->name, level->members[i]->pv_left_out, error) ||
                check_words(name, level->members[i]->name, level->members[i]->hvm_left_out, error))
                return -1;
        return 0;
    default:
        return set_error(
            error, EINVAL, NO_OFFSET,
            "%s: neither a host nor a level nor a guest (or of a kind that this program "
            "does not know)",
            name);
    }
}

Xenlevel__File *xlp_decode(const char *name, const void *bytes, size_t len, struct xlp_error *error)
{
    const unsigned char *b = bytes;
    Xenlevel__File *file;
    uint32_t stored;

    if (check_framing(name, b, len, error))
        return NULL;
    stored = (uint32_t)b[len - 4] | (uint32_t)b[len - 3] << 8 | (uint32_t)b[len - 2] << 16 |
             (uint32_t)b[len - 1] << 24;
    if (stored != compute_checksum(b, len - END_SIZE)) {
        (void)set_error(error, EINVAL, len - 4,
                        "%s: byte %zu: damaged: the checksum does not match what is in front of it",
                        name, len - 4);
        return NULL;
    }
    file = xenlevel__file__unpack(NULL, len, bytes);
    if (!file) {
        (void)set_error(error, EINVAL, MAGIC_SIZE,
                        "%s: behind byte %d: the content is not what the format says", name,
                        MAGIC_SIZE);
        return NULL;
    }
    if (check_content(name, file, error)) {
        int err = errno;

        xlp_free(file);
        errno = err;
        return NULL;
    }
    return file;
}

void *xlp_encode(const Xenlevel__File *file, size_t *len)
{
    Xenlevel__File copy = *file;
    unsigned char *bytes;
    uint32_t sum;
    size_t n;

    /* proto3 leaves a zero out: the end mark is appended, behind unknown fields too. */
    copy.end = 0;
    n = xenlevel__file__get_packed_size(&copy);
    bytes = xcalloc(1, n + END_SIZE);
    (void)xenlevel__file__pack(&copy, bytes);
    sum = compute_checksum(bytes, n);
    bytes[n] = END_TAG;
    for (unsigned int i = 0; i < 4; i++)
        bytes[n + 1 + i] = (unsigned char)(sum >> (8 * i));
    *len = n + END_SIZE;
    return bytes;
}

Xenlevel__File *xlp_new(void)
{
    Xenlevel__File *file = xcalloc(1, sizeof(*file));

    xenlevel__file__init(file);
    file->magic = XLP_MAGIC;
    file->version = XLP_VERSION;
    return file;
}

void xlp_free(Xenlevel__File *file)
{
    if (file)
        xenlevel__file__free_unpacked(file, NULL);
}

/* ---- disk ---- */

/* The whole of fd, malloc'ed.  NULL and errno; EFBIG above XLP_MAX_SIZE. */
static unsigned char *read_all(int fd, size_t *len)
{
    size_t room = 65536;
    unsigned char *bytes = xcalloc(1, room);

    *len = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + *len, room - *len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return bytes;
        if (n > 0)
            *len += (size_t)n;
        if (n < 0 || *len > XLP_MAX_SIZE) {
            int err = n < 0 ? errno : EFBIG;

            free(bytes);
            errno = err;
            return NULL;
        }
        if (*len == room) {
            room *= 2;
            bytes = xrealloc(bytes, room);
        }
    }
}

Xenlevel__File *xlp_load(const char *path, struct xlp_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Xenlevel__File *file;
    unsigned char *bytes;
    size_t len;
    int err;

    if (fd < 0) {
        (void)set_error(error, errno, NO_OFFSET, "%s: %s", path, strerror(errno));
        return NULL;
    }
    bytes = read_all(fd, &len);
    err = errno;
    (void)close(fd);
    if (!bytes) {
        (void)set_error(error, err, NO_OFFSET, "%s: %s", path,
                        err == EFBIG ? "too large for a policy file" : strerror(err));
        return NULL;
    }
    file = xlp_decode(path, bytes, len, error);
    err = errno;
    free(bytes);
    errno = err;
    return file;
}

int xlp_save(const char *path, const Xenlevel__File *file, struct xlp_error *error)
{
    size_t len;
    unsigned char *bytes = xlp_encode(file, &len);
    int rc = outfile_save(path, bytes, len), err = errno;

    free(bytes);
    if (rc)
        return set_error(error, err, NO_OFFSET, "%s: cannot be written: %s", path, strerror(err));
    return 0;
}
