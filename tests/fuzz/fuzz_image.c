/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: a hostile save image, shown and rewritten (`xenlevel stream`), its registers looked at
 * (`xenlevel usage`).  The first byte of an input chooses what is done with it.  What can be
 * rewritten can be read again, has what it had, and is what the edit says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "evidence.h"
#include "rewrite.h"
#include "stream-show.h"

/* Bits of the first byte. */
enum { STRIP = 1 << 0, SET_POLICY = 1 << 1, JSON = 1 << 2, RECORDS = 1 << 3 };

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "line %d: %s\n", __LINE__, #x);                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The image, and what it is rewritten to: in memory. */
static int fd = -1;
static char path[64], directory[] = "/dev/shm/fuzz-image-XXXXXX", output[64];
static struct edit edit;

static void leave(void)
{
    (void)unlink(output);
    (void)rmdir(directory);
}

static void begin(void)
{
    fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || !mkdtemp(directory) || atexit(leave))
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)snprintf(output, sizeof(output), "%s/output", directory);
}

/* The policy that it has, written back; a reader takes more MSRs than a policy has. */
static void fill_edit(const struct image *im, uint8_t how)
{
    const struct xc_sr_head *h = im->head;

    edit.strip = how & STRIP;
    edit.set_policy = how & SET_POLICY && h->version >= XC_SR_VERSION && h->nr_leaves;
    edit.nr_leaves = h->nr_leaves;
    edit.nr_msrs = h->nr_msrs < POLICY_MAX_MSRS ? h->nr_msrs : POLICY_MAX_MSRS;
    memcpy(edit.leaves, h->leaves, edit.nr_leaves * sizeof(edit.leaves[0]));
    memcpy(edit.msrs, h->msrs, edit.nr_msrs * sizeof(edit.msrs[0]));
    if (!edit.nr_msrs)
        edit.msrs[edit.nr_msrs++] = (xen_msr_entry_t){.idx = 0xce};
}

static uint64_t nr_optional(const struct image_summary *sum)
{
    return sum->checksum.count + sum->optional[IMAGE_LIBXL].count +
           sum->optional[IMAGE_LIBXC].count;
}

/* Are its checksums right?  Stripping looks at them all. */
static bool strips(struct image *im, const struct image_summary *sum)
{
    edit.strip = true;
    edit.set_policy = false;
    if (rewrite_image(im, &edit, sum->checksum.count, output))
        return false;
    CHECK(edit.dropped == nr_optional(sum));
    return true;
}

/* sound: the image's checksums were right. */
static void check_output(const struct image_summary *before, bool sound)
{
    struct image_summary after;
    struct image im;

    CHECK(!image_open(&im, output) && !image_summarise(&im, &after));
    CHECK(after.pages == before->pages);
    CHECK(edit.dropped == (edit.strip ? nr_optional(before) : 0));
    CHECK(nr_optional(&after) == nr_optional(before) - edit.dropped);
    if (edit.set_policy) {
        CHECK(im.head->nr_leaves == edit.nr_leaves && im.head->nr_msrs == edit.nr_msrs);
        CHECK(!memcmp(im.head->leaves, edit.leaves, edit.nr_leaves * sizeof(edit.leaves[0])));
    }
    CHECK(strips(&im, &after) == sound); /* no damage is hidden, and none made */
    image_close(&im);
}

/* What its guest has used of its CPU (`xenlevel usage`). */
static void look_at_usage(const struct image *im)
{
    static struct usage u;
    struct xc_domain_state state = {.pv = false};
    struct cpu_policy policy;
    char *line;

    if (!xc_sr_head_policy(im->head, &policy, NULL) && !evidence_read_image(path, &state)) {
        usage_find(&policy, &state, &u);
        line = usage_line(&u);
        CHECK(*line && u.vcpus + u.unread == state.nr_vcpus);
        free(line);
        usage_print(stdout, &u);
    }
    xc_domain_state_free(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_summary sum;
    struct image im;

    if (!size)
        return 0;
    if (fd < 0)
        begin();
    CHECK(!ftruncate(fd, 0) && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1));
    if (image_open(&im, path))
        return 0;
    (void)stream_show(&im, data[0] & RECORDS, data[0] & JSON);
    look_at_usage(&im);
    if (!image_summarise(&im, &sum)) {
        bool sound = strips(&im, &sum);

        fill_edit(&im, data[0]);
        if (!rewrite_image(&im, &edit, sum.checksum.count, output))
            check_output(&sum, sound);
    }
    image_close(&im);
    return 0;
}
