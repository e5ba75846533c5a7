/* SPDX-License-Identifier: MIT */
/*
 * usage: read-heads STREAM...
 *
 * What the gate says of each stream's head before it asks this host: "ok LENGTH", or "refused
 * OFFSET RECORD TYPE" (-1: none) and, indented, what is wrong.  The head is read in pieces of one
 * byte, of a few and whole, and by xc_sr_head_read(): they must say the same.  For the table of
 * broken streams (../broken).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xc.h>
#include <xc_sr_head.h>

#define MAX_FAULTS 8u

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "read-heads: %s: %s\n", what, why);
    exit(2);
}

/* The beginning of a file, more than any head of libxc's. */
static uint8_t *read_beginning(int fd, const char *path, size_t *size)
{
    size_t room = XC_SR_MAX_OPTDATA + 2 * (size_t)XC_SR_HEAD_MAX, at = 0;
    uint8_t *bytes;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st))
        die(path, "cannot be read");
    if ((size_t)st.st_size < room)
        room = (size_t)st.st_size;
    bytes = malloc(room + 1);
    if (!bytes)
        die(path, "out of memory");
    while (at < room && (n = pread(fd, bytes + at, room - at, (off_t)at)) > 0)
        at += (size_t)n;
    *size = at;
    return bytes;
}

/* Feed a head in pieces.  Returns 0 when it is complete, else -1 with parser->fault. */
static int feed_pieces(struct xc_sr_parser *parser, struct xc_sr_head *head, enum xc_sr_layer layer,
                       const uint8_t *bytes, size_t size, size_t piece)
{
    size_t at = 0;

    xc_sr_parser_init(parser, layer, head);
    while (at < size && xc_sr_needs(parser)) {
        ssize_t used = xc_sr_feed(parser, bytes + at, size - at < piece ? size - at : piece);

        if (used < 0)
            return -1;
        at += (size_t)used;
    }
    return xc_sr_end(parser);
}

static void print_fault(const struct xc_sr_fault *f)
{
    (void)printf("refused %llu %d %d\n  %s\n", (unsigned long long)f->offset, (int)f->record,
                 (int)f->type, f->text);
}

/* The policy of a complete head: whole, and a CPU that can exist? */
static void judge_policy(const struct xc_sr_head *head)
{
    static struct cpu_policy policy;
    struct policy_fault faults[MAX_FAULTS];
    struct policy_report report = {faults, MAX_FAULTS, 0};
    bool none = xc_sr_head_policy(head, &policy, &report) && !report.count;

    if (none && head->version >= XC_SR_VERSION) {
        (void)printf("refused 0 -1 -1\n  X86_CPUID_POLICY is not in it\n");
        return;
    }
    if (!none && !report.count)
        (void)policy_verify(&policy, &report);
    if (none || !report.count) {
        (void)printf("ok %llu\n", (unsigned long long)head->length);
        return;
    }
    (void)printf("refused 0 -1 -1\n");
    for (size_t i = 0; i < report.count && i < MAX_FAULTS; i++) {
        char line[XC_FAULT_TEXT];

        (void)xc_fault_text(&faults[i], line, sizeof(line));
        (void)printf("  %s\n", line);
    }
}

static void read_head(const char *path)
{
    static struct xc_sr_parser parser, other;
    static struct xc_sr_head head;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    size_t size;
    uint8_t *bytes = read_beginning(fd, path, &size);
    bool xl = size >= 8 && !memcmp(bytes, "Xen save", 8);
    enum xc_sr_layer layer = xl ? XC_SR_XL : XC_SR_LIBXC;
    struct xc_sr_fault fault;

    if (feed_pieces(&other, &head, layer, bytes, size, 1))
        fault = other.fault;
    else
        memset(&fault, 0, sizeof(fault));
    for (size_t piece = 7; piece <= 7000000; piece *= 1000) {
        (void)feed_pieces(&parser, &head, layer, bytes, size, piece);
        if (strcmp(parser.fault.text, fault.text) != 0)
            die(path, "what is wrong depends on the pieces that it comes in");
    }
    rc = xc_sr_head_read(fd, layer, &head, NULL, &fault);
    if (strcmp(parser.fault.text, fault.text) != 0)
        die(path, "xc_sr_head_read() says something else");
    if (rc)
        print_fault(&fault);
    else
        judge_policy(&head);
    free(bytes);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        read_head(argv[i]);
    return 0;
}
