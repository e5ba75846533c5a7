/* SPDX-License-Identifier: MIT */
/*
 * What saving and restoring share: a stream's two ends, with its checksums.
 */
#ifndef XC_SR_PRIVATE_H
#define XC_SR_PRIVATE_H

#include <sys/uio.h>

#include "xc_private.h"
#include "xc_sr.h"
#include "xc_sr_stream_format.h"

#pragma GCC visibility push(hidden)

#define PAGE_SIZE        4096u
#define SR_BATCH         1024u        /* pages of a PAGE_DATA record, and of a hypercall */
#define SR_MAX_PFN       (1ull << 36) /* beyond it no domain has memory: 256 TiB */
#define SR_MAX_CONTEXT   (16u << 20)  /* of HVM_CONTEXT */
#define SR_MAX_HVM_PARAM 64u
#define SR_MAX_TOLD      8u /* pages that VERIFY finds different, told one by one */

/* CRC-32 of what has gone by, as CHECKSUM counts it. */
struct sr_sum {
    uint32_t batch, whole;
    uint64_t batch_bytes, whole_bytes;
};

/* ---- xc_sr_splice.c: pages that are moved inside the kernel ---- */

/* A piece of the file that a host's memory is. */
struct sr_run {
    int file;
    off_t at;
    size_t size;
};

struct sr_splice {
    enum sr_splice_how {
        SR_SPLICE_UNKNOWN,
        SR_SPLICE_NEVER,
        SR_SPLICE_DIRECT,  /* the stream is a pipe */
        SR_SPLICE_THROUGH, /* a pipe of ours stands between */
    } how;
    xc_handle *xch;
    unsigned int patience; /* as the writer's and the reader's */
    bool told;             /* what has failed was logged */
    int pipe[2];
    size_t nr_runs;
    struct sr_run runs[SR_BATCH];
};

/*
 * Where these pages (at most SR_BATCH, as sr_add_page() joins them) are, for the two below.  False:
 * they must be read or written.  by_reference: the other end may see a page as it is when it comes
 * to it.
 */
bool sr_splice_find(struct sr_splice *s, xc_handle *xch, int fd, bool by_reference,
                    const struct iovec *pages, size_t n);
/* All of them into the stream.  -1 with errno, logged. */
int sr_splice_write(struct sr_splice *s, int fd);
/* All of them from the stream: 1; 0: it ends before; -1 with errno, logged; SR_SPLICE_REFUSED:
 * nothing was taken, and it must be read, from now on. */
#define SR_SPLICE_REFUSED 2
ssize_t sr_splice_read(struct sr_splice *s, int fd);
void sr_splice_close(struct sr_splice *s);

/*
 * Done with a mapping of n frames.  *leave: how many may stay mapped until the process ends, which
 * costs a PV dom0 much less: as long as page tables are in use, Xen emulates the clearing of each
 * entry; of a process that has ended they are not.  SR_MAX_LEFT of them have 8 MiB of page tables.
 */
void sr_unmap(xc_handle *xch, void *mapping, size_t n, uint64_t *leave);
#define SR_MAX_LEFT (1ull << 20)

/* ---- xc_sr_zero.c ---- */

/* What was found out last about the file that the memory is.  Begins as zeros. */
struct sr_zero {
    int file;
    off_t from, to; /* this piece ... */
    bool hole;      /* ... was never written */
};

/* Does this page, which map() gave, hold zeros?  In a running domain: or did a moment ago, since
 * the answer may be of the first call about its neighbours. */
bool sr_zero_find(struct sr_zero *z, xc_handle *xch, const void *page);
bool sr_page_is_zero(const void *page);

struct sr_writer {
    xc_handle *xch;
    int fd;
    bool checksums;
    unsigned int patience; /* ms without progress; 0: for ever */
    int fd_flags;          /* -1: fd's have not been changed */
    bool by_reference;     /* see struct xc_save_options */
    struct sr_splice splice;
    struct sr_sum sum; /* whole_bytes counts without checksums too */
};

/* With a patience the descriptor must not block; and back to what it was.  -1 with errno, logged.
 */
int sr_be_patient(struct sr_writer *w, unsigned int patience);
void sr_writer_done(struct sr_writer *w);

/* One page more behind iov[0..*n): it joins the last when it stands behind it in memory too. */
static inline void sr_add_page(struct iovec *iov, size_t *n, void *page)
{
    struct iovec *last = *n ? &iov[*n - 1] : NULL;

    if (last && (char *)last->iov_base + last->iov_len == page)
        last->iov_len += PAGE_SIZE;
    else
        iov[(*n)++] = (struct iovec){page, PAGE_SIZE};
}

/* All of it, in this order; iov[] is used up.  -1 with errno, logged. */
int sr_writev(struct sr_writer *w, struct iovec *iov, size_t n);
/* A record: the body is n pieces; header and padding are added.  iov[] has room for n + 2. */
int sr_write_record(struct sr_writer *w, uint32_t type, struct iovec *iov, size_t n);
/* A PAGE_DATA record: its head and its entries, then pages of the domain (sr_add_page()). */
int sr_write_pages(struct sr_writer *w, struct iovec *iov, size_t n);
/* A CHECKSUM record, when they are wanted. */
int sr_write_checksum(struct sr_writer *w);

struct sr_reader {
    xc_handle *xch;
    int fd;
    unsigned int patience; /* ms without a byte; 0: for ever */
    bool checksums_seen;
    bool unsummed;    /* memory came before any checksum: there are none */
    uint64_t covered; /* bytes up to the end of the last CHECKSUM */
    struct sr_splice splice;
    struct sr_sum sum;
    uint32_t record; /* number of the record that is being read */
    uint32_t run;    /* optional records that have come one behind the other */
    uint64_t start;  /* where it begins, in this stream */
    uint32_t type;
};

/* A record that has been read. */
struct sr_place {
    uint64_t start;
    uint32_t record, type;
};

static inline struct sr_place sr_here(const struct sr_reader *r)
{
    return (struct sr_place){r->start, r->record, r->type};
}

/* Fail: "stream, offset 1234, record 5 (HVM_CONTEXT): ..."; -1 with this errno. */
int sr_refuse(struct sr_reader *r, const struct sr_place *at, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Fail, about the record that is being read; -1 with EILSEQ. */
int sr_bad(struct sr_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Exactly so many bytes; the stream must not end before.  -1 with errno, logged. */
int sr_read(struct sr_reader *r, void *buf, size_t size);
int sr_readv(struct sr_reader *r, struct iovec *iov, size_t n);
/* The same into pages of the domain. */
int sr_read_pages(struct sr_reader *r, struct iovec *pages, size_t n);
/* The next record's header.  A CHECKSUM is compared on the way, and other optional ones that are
 * not known are skipped: neither is returned. */
int sr_next(struct sr_reader *r, struct xc_sr_rhdr *header);
/* The zeros behind a body of this length. */
int sr_read_padding(struct sr_reader *r, uint32_t length);

/* ---- xc_sr_cpuid.c: the policy records ---- */

int sr_write_policy(struct sr_writer *w, uint32_t domid);

/* What came of it before STATIC_DATA_END. */
struct sr_policy {
    struct xc_leaves leaves;
    bool have_cpuid, have_msr;
    struct cpu_policy *guest; /* when it has been applied; NULL: unverified */
};

int sr_take_policy(struct sr_reader *r, struct sr_policy *p, const struct xc_sr_rhdr *header);
/* Verify, audit against this host, set and compare what came of it.  EPERM: result->faults.  No
 * policy: refused, unless `unverified`. */
int sr_apply_policy(struct sr_reader *r, struct sr_policy *p, uint32_t domid, bool unverified,
                    struct xc_restore_result *result);
/* At the end: does the domain still have that CPU?  EPERM: result->faults. */
int sr_look_again(struct sr_reader *r, const struct sr_policy *p, uint32_t domid,
                  struct xc_restore_result *result);

/* ---- xc_sr_sparse.c: a large array of numbers, nearly all of which are 0 ---- */

#define SR_SPARSE_BITS  9u
#define SR_SPARSE_TABLE (1u << SR_SPARSE_BITS)
#define SR_SPARSE_MAX   (1ull << 33) /* indices are below it */

/* All zero: it is empty. */
struct sr_sparse {
    void *top[SR_SPARSE_TABLE];
    uint64_t *last; /* the piece that was used last ... */
    uint64_t last_index;
};

/* Number i, to be changed.  NULL: out of memory, nothing is logged.  Each costs less than 9 KiB at
 * worst, 8 bytes where all its neighbours are set too. */
uint64_t *sr_sparse_at(struct sr_sparse *s, uint64_t i);
/* Number i. */
uint64_t sr_sparse_get(struct sr_sparse *s, uint64_t i);
void sr_sparse_free(struct sr_sparse *s);

/* ---- xc_sr_tsc.c: its time ---- */

struct sr_tsc {
    struct xc_sr_tsc_info info;
    bool have;
};

int sr_write_tsc(struct sr_writer *w, uint32_t domid);
int sr_take_tsc(struct sr_reader *r, struct sr_tsc *t, uint32_t length);
int sr_apply_tsc(struct sr_reader *r, const struct sr_tsc *t, uint32_t domid);

#pragma GCC visibility pop

#endif /* XC_SR_PRIVATE_H */
