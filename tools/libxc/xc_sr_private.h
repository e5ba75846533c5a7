/* SPDX-License-Identifier: MIT */
/*
 * What saving and restoring share: the writer and the reader of a stream's bytes, and the records
 * that all types of guests have.  Unless a comment says otherwise, a function that returns int
 * returns 0, or -1 with errno after it has logged why.
 */
#ifndef XC_SR_PRIVATE_H
#define XC_SR_PRIVATE_H

#include <sys/uio.h>

#include "xc_private.h"
#include "xc_sr.h"
#include "xc_sr_stream_format.h"

#pragma GCC visibility push(hidden)

#define PAGE_SIZE        4096u
#define SR_BATCH         1024u        /* most pages in a PAGE_DATA record, and in a hypercall */
#define SR_MAX_PFN       (1ull << 36) /* no domain has memory beyond it: 256 TiB */
#define SR_MAX_CONTEXT   (16u << 20)  /* most bytes in HVM_CONTEXT */
#define SR_MAX_HVM_PARAM 64u
#define SR_MAX_TOLD      8u /* how many differences VERIFY logs one by one */

/* Sums the bytes so far: CRC-32 and count, since the last CHECKSUM and since the beginning. */
struct sr_sum {
    uint32_t batch, whole;
    uint64_t batch_bytes, whole_bytes;
};

/* ---- xc_sr_splice.c: moves pages inside the kernel, without copying them through us ---- */

/* A range of the file that holds a simulated host's memory. */
struct sr_run {
    int file;
    off_t at;
    size_t size;
};

struct sr_splice {
    enum sr_splice_how {
        SR_SPLICE_UNKNOWN, /* not tried yet */
        SR_SPLICE_NEVER,   /* the stream's descriptor cannot do it */
        SR_SPLICE_DIRECT,  /* the stream is a pipe: splice() to or from it */
        SR_SPLICE_THROUGH, /* splice() through a pipe of our own */
    } how;
    xc_handle *xch;
    unsigned int patience; /* ms, as in struct sr_writer and sr_reader */
    bool told;             /* the failure has been logged */
    int pipe[2];
    size_t nr_runs;
    struct sr_run runs[SR_BATCH];
};

/*
 * Finds where in the file pages[0..n) are, for sr_splice_write() or sr_splice_read() on fd. pages[]
 * is as sr_add_page() fills it, with at most SR_BATCH pages.  by_reference: the reader may see a
 * page as it is when it reads it.  Returns false if these pages cannot be spliced: then the caller
 * uses writev() or readv().
 */
bool sr_splice_find(struct sr_splice *s, xc_handle *xch, int fd, bool by_reference,
                    const struct iovec *pages, size_t n);
/* Writes all pages that sr_splice_find() has found to fd. */
int sr_splice_write(struct sr_splice *s, int fd);
/*
 * Reads all pages that sr_splice_find() has found from fd.  Returns 1; 0 if the stream ends before
 * that; -1 with errno, logged; SR_SPLICE_REFUSED if fd cannot be spliced: nothing has been read,
 * and sr_splice_find() returns false from now on.
 */
#define SR_SPLICE_REFUSED 2
ssize_t sr_splice_read(struct sr_splice *s, int fd);
/* Closes the pipe of our own, if there is one.  Keeps errno. */
void sr_splice_close(struct sr_splice *s);

/* ---- xc_sr_zero.c ---- */

/* Remembers the last range of the memory's file that was looked at.  All zeros at first. */
struct sr_zero {
    int file;
    off_t from, to;
    bool hole; /* nobody has ever written to the range */
};

/*
 * Returns whether `page`, which map() gave, holds zeros.  If the domain runs, the answer may be a
 * moment old, because it can come from an earlier call about a page near by.
 */
bool sr_zero_find(struct sr_zero *z, xc_handle *xch, const void *page);
/* Returns whether the 4096 bytes at `page` are zeros. */
bool sr_page_is_zero(const void *page);

/* ---- xc_sr_io.c ---- */

#define SR_MAX_LEFT (1ull << 20)
/*
 * Unmaps a mapping of n frames, or leaves it until the process exits if *leave, the number of
 * frames that may be left, allows it: *leave then becomes smaller by n.  Leaving is much cheaper in
 * a PV dom0, because Xen emulates each write that clears an entry of a page table in use.
 * SR_MAX_LEFT frames need 8 MiB of page tables.
 */
void sr_unmap(xc_handle *xch, void *mapping, size_t n, uint64_t *leave);

/* Writes a stream. */
struct sr_writer {
    xc_handle *xch;
    int fd;
    bool checksums;
    unsigned int patience; /* ms to wait while fd accepts nothing; 0: for ever */
    int fd_flags;          /* fd's flags before sr_be_patient(); -1: it has not changed them */
    bool by_reference;     /* see struct xc_save_options */
    struct sr_splice splice;
    struct sr_sum sum; /* whole_bytes counts even without checksums */
};

/* Sets w->patience, and makes w->fd O_NONBLOCK if it is not 0. */
int sr_be_patient(struct sr_writer *w, unsigned int patience);
/* Restores w->fd's flags. */
void sr_writer_done(struct sr_writer *w);

/* Appends a page to iov[0..*n): as a new entry, or to the last one if the page follows it in
 * memory. */
static inline void sr_add_page(struct iovec *iov, size_t *n, void *page)
{
    struct iovec *last = *n ? &iov[*n - 1] : NULL;

    if (last && (char *)last->iov_base + last->iov_len == page)
        last->iov_len += PAGE_SIZE;
    else
        iov[(*n)++] = (struct iovec){page, PAGE_SIZE};
}

/* Writes all of iov[0..n), in this order, and changes iov[] on the way. */
int sr_writev(struct sr_writer *w, struct iovec *iov, size_t n);
/* Writes a record whose body is iov[0..n), with header and padding.  iov[] must have room for n + 2
 * entries; they change. */
int sr_write_record(struct sr_writer *w, uint32_t type, struct iovec *iov, size_t n);
/* Writes a PAGE_DATA record.  iov[0] is its struct xc_sr_page_data, iov[1] its entries, the rest
 * are the domain's pages (sr_add_page()).  iov[] must have room for n + 2 entries; they change. */
int sr_write_pages(struct sr_writer *w, struct iovec *iov, size_t n);
/* Writes a CHECKSUM record, if w->checksums. */
int sr_write_checksum(struct sr_writer *w);

/* Reads a stream. */
struct sr_reader {
    xc_handle *xch;
    int fd;
    unsigned int patience; /* ms to wait for a byte; 0: for ever */
    bool checksums_seen;
    bool unsummed;    /* memory came before any checksum, so the stream has none */
    uint64_t covered; /* bytes up to the end of the last CHECKSUM */
    struct sr_splice splice;
    struct sr_sum sum;
    uint32_t record; /* number of the current record; UINT32_MAX: still in the headers */
    uint32_t run;    /* how many optional records have come in a row */
    uint64_t start;  /* offset of the current record in the stream ... */
    uint32_t type;   /* ... and its type */
};

/* Says where a record is, for messages about it. */
struct sr_place {
    uint64_t start;
    uint32_t record, type;
};

/* Returns the place of the current record. */
static inline struct sr_place sr_here(const struct sr_reader *r)
{
    return (struct sr_place){r->start, r->record, r->type};
}

/* Fails: logs "stream, offset 1234, record 5 (HVM_CONTEXT): ...", sets errno to err, returns -1. */
int sr_refuse(struct sr_reader *r, const struct sr_place *at, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Fails because of the current record, with EILSEQ; returns -1. */
int sr_bad(struct sr_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Reads exactly `size` bytes; fails if the stream ends before that. */
int sr_read(struct sr_reader *r, void *buf, size_t size);
/* Reads all of iov[0..n), and changes iov[] on the way. */
int sr_readv(struct sr_reader *r, struct iovec *iov, size_t n);
/* Reads the domain's pages[0..n) (sr_add_page()), and changes pages[] on the way. */
int sr_read_pages(struct sr_reader *r, struct iovec *pages, size_t n);
/* Reads the header of the next record that the caller has to handle.  Compares CHECKSUM records on
 * the way, and skips other optional ones. */
int sr_next(struct sr_reader *r, struct xc_sr_rhdr *header);
/* Reads the padding behind a body of `length` bytes; fails if it is not zero. */
int sr_read_padding(struct sr_reader *r, uint32_t length);

/* ---- xc_sr_cpuid.c: the policy records ---- */

/* Writes the domain's policy, STATIC_DATA_END and a CHECKSUM. */
int sr_write_policy(struct sr_writer *w, uint32_t domid);

/* Holds the policy of a stream. */
struct sr_policy {
    struct xc_leaves leaves;
    bool have_cpuid, have_msr;
    struct cpu_policy *guest; /* set by sr_apply_policy(); NULL: unverified */
};

/* Reads the body of an X86_CPUID_POLICY or X86_MSR_POLICY record. */
int sr_take_policy(struct sr_reader *r, struct sr_policy *p, const struct xc_sr_rhdr *header);
/*
 * Verifies the policy, audits it against this host, gives it to the domain and compares what Xen
 * made of it.  A stream without a policy is refused, unless `unverified`.  EPERM: this host cannot
 * give the domain that CPU (result->faults).
 */
int sr_apply_policy(struct sr_reader *r, struct sr_policy *p, uint32_t domid, bool unverified,
                    struct xc_restore_result *result);
/* Checks at the end that the domain still has that CPU.  EPERM: it has not (result->faults). */
int sr_look_again(struct sr_reader *r, const struct sr_policy *p, uint32_t domid,
                  struct xc_restore_result *result);

/* ---- xc_sr_sparse.c: large arrays of numbers, nearly all of them 0 ---- */

#define SR_SPARSE_BITS  9u
#define SR_SPARSE_TABLE (1u << SR_SPARSE_BITS)
#define SR_SPARSE_MAX   (1ull << 33) /* indices must be below it */

/* An array; all zeros: it is empty. */
struct sr_sparse {
    void *top[SR_SPARSE_TABLE];
    uint64_t *last;      /* the leaf that was used last ... */
    uint64_t last_index; /* ... and which it is */
};

/*
 * Returns where number i is, so that it can be changed; NULL when out of memory, which is not
 * logged.  A number costs at most 9 KiB of memory, and 8 bytes if its neighbours are there too.
 */
uint64_t *sr_sparse_at(struct sr_sparse *s, uint64_t i);
/* Returns number i. */
uint64_t sr_sparse_get(struct sr_sparse *s, uint64_t i);
/* Frees everything; the array is empty then. */
void sr_sparse_free(struct sr_sparse *s);

/* ---- xc_sr_tsc.c: the domain's time ---- */

struct sr_tsc {
    struct xc_sr_tsc_info info;
    bool have; /* X86_TSC_INFO has come */
};

/* Writes an X86_TSC_INFO record. */
int sr_write_tsc(struct sr_writer *w, uint32_t domid);
/* Reads its body of `length` bytes. */
int sr_take_tsc(struct sr_reader *r, struct sr_tsc *t, uint32_t length);
/* Gives it to the domain; fails if it has not come. */
int sr_apply_tsc(struct sr_reader *r, const struct sr_tsc *t, uint32_t domid);

#pragma GCC visibility pop

#endif /* XC_SR_PRIVATE_H */
