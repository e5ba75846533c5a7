/* SPDX-License-Identifier: MIT */
/*
 * usage: stream-state STREAM...
 *
 * The restoring side's verdict on the registers of streams, without a host: of each one the lines
 * that it would log, and "ok", "EPERM" or "EILSEQ" and the stream's name.  For tests that hold
 * verify-stream against it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xc_sr_check.h>
#include <xc_transport.h>

#define EVERY_VCPU 8192u

static int no_open(void **state, const char *where, char *why, size_t why_size)
{
    (void)where;
    (void)why;
    (void)why_size;
    *state = NULL;
    return 0;
}

static void no_close(void *state)
{
    (void)state;
}

static const struct xc_transport_ops ops = {.name = "none", .open = no_open, .close = no_close};

static void die(const char *path, const char *why)
{
    (void)fprintf(stderr, "stream-state: %s: %s\n", path, why);
    exit(2);
}

static uint8_t *contents(const char *path, size_t *size)
{
    FILE *f = fopen(path, "re");
    uint8_t *bytes = NULL;
    size_t room = 0;

    if (!f)
        die(path, strerror(errno));
    for (*size = 0;;) {
        size_t got;

        if (*size == room) {
            room = room ? room * 2 : 1u << 20;
            bytes = realloc(bytes, room);
            if (!bytes)
                die(path, "out of memory");
        }
        got = fread(bytes + *size, 1, room - *size, f);
        if (!got)
            break;
        *size += got;
    }
    (void)fclose(f);
    return bytes;
}

/* What is read of one stream. */
struct reading {
    struct sr_reader r;
    const uint8_t *leaves, *msrs;
    uint32_t leaves_size, msrs_size;
    struct cpu_policy policy;
};

static int pv_vcpu(struct reading *s, const struct sr_place *at, const uint8_t *body,
                   uint32_t length)
{
    struct xc_sr_vcpu head;

    if (length < sizeof(head))
        return 0;
    memcpy(&head, body, sizeof(head));
    body += sizeof(head);
    length -= (uint32_t)sizeof(head);
    if (at->type == REC_X86_PV_VCPU_BASIC && length == sizeof(vcpu_guest_context_t))
        return sr_pv_check_basic(&s->r, at, &s->policy, head.vcpu_id, body);
    if (at->type == REC_X86_PV_VCPU_XSAVE && length >= 16)
        return sr_pv_check_xsave(&s->r, at, &s->policy, head.vcpu_id, body, length);
    if (at->type == REC_X86_PV_VCPU_MSRS)
        return sr_check_msrs(&s->r, at, &s->policy, head.vcpu_id, body,
                             length / (uint32_t)sizeof(xen_domctl_vcpu_msr_t));
    return 0;
}

static int record(struct reading *s, const struct sr_place *at, const uint8_t *body,
                  uint32_t length)
{
    switch (at->type) {
    case REC_X86_CPUID_POLICY:
        s->leaves = body;
        s->leaves_size = length;
        return 0;
    case REC_X86_MSR_POLICY:
        s->msrs = body;
        s->msrs_size = length;
        return 0;
    case REC_STATIC_DATA_END:
        return policy_from_leaves(&s->policy, (const xen_cpuid_leaf_t *)(const void *)s->leaves,
                                  s->leaves_size / sizeof(xen_cpuid_leaf_t),
                                  (const xen_msr_entry_t *)(const void *)s->msrs,
                                  s->msrs_size / sizeof(xen_msr_entry_t), NULL);
    case REC_HVM_CONTEXT:
        return sr_hvm_check(&s->r, at, &s->policy, EVERY_VCPU, body, length);
    default:
        return pv_vcpu(s, at, body, length);
    }
}

/* All records up to END. */
static int judge(xc_handle *xch, const char *path, const uint8_t *bytes, size_t size)
{
    struct reading *s = calloc(1, sizeof(*s));
    struct xc_sr_rhdr header = {.type = REC_PAGE_DATA};
    size_t pos = sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr);
    int rc = 0;

    if (!s)
        die(path, "out of memory");
    s->r.xch = xch;
    for (uint32_t n = 0; !rc && header.type != REC_END; n++) {
        struct sr_place at = {pos, n, 0};

        if (size < pos || size - pos < sizeof(header))
            die(path, "it ends without an END");
        memcpy(&header, bytes + pos, sizeof(header));
        at.type = header.type;
        pos += sizeof(header);
        if (header.length > size - pos)
            die(path, "a record is longer than the rest");
        rc = record(s, &at, bytes + pos, header.length);
        pos += (header.length + 7) & ~7u;
    }
    free(s);
    return rc;
}

int main(int argc, char **argv)
{
    static const uint8_t marker[] = "\xff\xff\xff\xff\xff\xff\xff\xffXENF";
    xentoollog_logger *logger = (xentoollog_logger *)xtl_createlogger_stdiostream(
        stdout, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
    xc_handle *xch = xc_interface_open_transport(&ops, NULL, logger);

    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *bytes = contents(argv[i], &size);
        const uint8_t *image = memmem(bytes, size, marker, sizeof(marker) - 1);
        int rc;

        if (!xch || !image)
            die(argv[i], "no stream is in it");
        rc = judge(xch, argv[i], image, size - (size_t)(image - bytes));
        (void)printf("%s %s\n", !rc ? "ok" : errno == EPERM ? "EPERM" : "EILSEQ", argv[i]);
        free(bytes);
    }
    xc_interface_close(xch);
    xtl_logger_destroy(logger);
    return 0;
}
