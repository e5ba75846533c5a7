/* SPDX-License-Identifier: MIT */
/*
 * Memory of domains: which machine frame is behind which guest frame, and which were written to.
 *
 * Guest frames are mapped by chunks of CHUNK, so that a domain costs what it uses.
 */
#include <hypervisor.h>

#include <xen/errno.h>

#define CHUNK     1024u
#define PAGE_SIZE 4096u

int memory_init(struct hypervisor *hv)
{
    uint64_t total = platform_nr_pages(hv->platform), chunks;

    if (total >= UINT32_MAX) /* frame numbers are kept in 32 bits, plus one */
        total = UINT32_MAX - 1;
    chunks = (total + M2P_PER_FRAME * M2P_CHUNK_FRAMES - 1) / (M2P_PER_FRAME * M2P_CHUNK_FRAMES);
    hv->nr_m2p = chunks * M2P_CHUNK_FRAMES;
    if (total <= hv->nr_m2p)
        return -XEN_ENOMEM;
    hv->nr_pages = hv->free_pages = total - hv->nr_m2p;
    hv->next_page = hv->nr_free_list = 0;
    hv->free_list = platform_alloc(hv->platform, (hv->nr_pages + 1) * sizeof(*hv->free_list));
    hv->frames = platform_alloc(hv->platform, hv->nr_pages * sizeof(*hv->frames));
    if (hv->free_list && hv->frames)
        return 0;
    memory_fini(hv);
    return -XEN_ENOMEM;
}

void memory_fini(struct hypervisor *hv)
{
    platform_free(hv->platform, hv->free_list);
    platform_free(hv->platform, hv->frames);
    hv->free_list = NULL;
    hv->frames = NULL;
}

static void set_m2p(struct hypervisor *hv, uint64_t mfn, uint64_t pfn)
{
    uint64_t *page = platform_page(hv->platform, hv->nr_pages + mfn / M2P_PER_FRAME);

    page[mfn % M2P_PER_FRAME] = pfn;
}

/* A frame that another domain had is cleared before this one sees it; the others are clear since
 * power-on. */
static int64_t frame_alloc(struct domain *d, uint32_t pfn)
{
    struct hypervisor *hv = d->hv;
    uint64_t mfn;

    if (!hv->free_pages)
        return -XEN_ENOMEM;
    hv->free_pages--;
    if (hv->nr_free_list) {
        mfn = hv->free_list[--hv->nr_free_list];
        __builtin_memset(platform_page(hv->platform, mfn), 0, PAGE_SIZE);
    } else {
        mfn = hv->next_page++;
    }
    hv->frames[mfn] = (struct frame){.owner = d, .pfn = pfn};
    set_m2p(hv, mfn, d->hvm || pfn == FRAME_SHARED ? M2P_INVALID : pfn);
    return (int64_t)mfn;
}

static void frame_free(struct hypervisor *hv, uint32_t mfn)
{
    hv->frames[mfn] = (struct frame){.owner = NULL};
    set_m2p(hv, mfn, M2P_INVALID);
    hv->free_list[hv->nr_free_list++] = mfn;
    hv->free_pages++;
}

/* The mapping of gfn, or NULL when its chunk is not there. */
static uint32_t *slot_of(const struct domain *d, uint64_t gfn)
{
    uint64_t chunk = gfn / CHUNK;

    if (chunk >= d->memory.nr_chunks || !d->memory.chunks[chunk])
        return NULL;
    return &d->memory.chunks[chunk][gfn % CHUNK];
}

/* Make the table of chunks reach this one. */
static int grow_table(struct domain *d, uint32_t chunk)
{
    struct domain_memory *m = &d->memory;
    struct platform *p = d->hv->platform;
    uint32_t n = m->nr_chunks ? m->nr_chunks : 1;
    uint32_t **chunks;

    while (n <= chunk)
        n *= 2; /* chunk is below DOMAIN_MAX_PAGES / CHUNK */
    chunks = platform_alloc(p, n * sizeof(*chunks));
    if (!chunks)
        return -XEN_ENOMEM;
    for (uint32_t i = 0; i < m->nr_chunks; i++)
        chunks[i] = m->chunks[i];
    platform_free(p, m->chunks);
    m->chunks = chunks;
    m->nr_chunks = n;
    return 0;
}

static uint32_t *slot_make(struct domain *d, uint64_t gfn)
{
    struct domain_memory *m = &d->memory;
    uint32_t chunk = (uint32_t)(gfn / CHUNK);

    if (chunk >= m->nr_chunks && grow_table(d, chunk))
        return NULL;
    if (!m->chunks[chunk])
        m->chunks[chunk] = platform_alloc(d->hv->platform, CHUNK * sizeof(**m->chunks));
    return slot_of(d, gfn);
}

static int dirty_grow(struct domain *d, uint64_t gfn);

int memory_populate(struct domain *d, uint64_t gfn)
{
    struct domain_memory *m = &d->memory;
    uint32_t *where;
    int64_t mfn;

    if (gfn >= DOMAIN_MAX_PAGES || d->dying)
        return -XEN_EINVAL;
    where = slot_of(d, gfn);
    if (where && *where)
        return -XEN_EEXIST;
    if (m->tot_pages >= m->max_pages)
        return -XEN_ENOMEM;
    where = slot_make(d, gfn);
    if (!where || (m->log_dirty && dirty_grow(d, gfn)))
        return -XEN_ENOMEM;
    mfn = frame_alloc(d, (uint32_t)gfn);
    if (mfn < 0)
        return -XEN_ENOMEM;

    *where = (uint32_t)mfn + 1;
    m->tot_pages++;
    if (gfn >= m->nr_gfns)
        m->nr_gfns = gfn + 1;
    memory_mark_dirty(d, gfn);
    return 0;
}

int memory_release(struct domain *d, uint64_t gfn)
{
    uint32_t *where = slot_of(d, gfn);

    if (!where || !*where)
        return -XEN_ENOENT;
    frame_free(d->hv, *where - 1);
    *where = 0;
    d->memory.tot_pages--;
    memory_mark_dirty(d, gfn); /* the copy elsewhere has to lose it as well */
    return 0;
}

int64_t memory_mfn(const struct domain *d, uint64_t gfn)
{
    const uint32_t *where = slot_of(d, gfn);

    return where && *where ? (int64_t)*where - 1 : -XEN_ENOENT;
}

void memory_free_all(struct domain *d)
{
    struct domain_memory *m = &d->memory;
    struct platform *p = d->hv->platform;

    log_dirty_disable(d);
    /* From the top: the last to be freed is the first to be given, so frames that followed each
     * other do so again in the next domain, which is cheaper to save. */
    for (uint32_t i = m->nr_chunks; i-- > 0;) {
        if (!m->chunks[i])
            continue;
        for (unsigned int j = CHUNK; j-- > 0;)
            if (m->chunks[i][j])
                frame_free(d->hv, m->chunks[i][j] - 1);
        platform_free(p, m->chunks[i]);
    }
    platform_free(p, m->chunks);
    m->chunks = NULL;
    m->nr_chunks = 0;
    m->tot_pages = m->nr_gfns = 0;
    if (d->shared_info != INVALID_MFN_)
        frame_free(d->hv, (uint32_t)d->shared_info);
    d->shared_info = INVALID_MFN_;
}

int memory_share_info(struct domain *d)
{
    int64_t mfn = frame_alloc(d, FRAME_SHARED);

    if (mfn < 0)
        return -XEN_ENOMEM;
    d->shared_info = (uint64_t)mfn;
    return 0;
}

/* ---- by the toolstack ---- */

int64_t memory_foreign_frame(struct hypervisor *hv, uint32_t domid, uint64_t frame)
{
    const struct domain *d;

    if (domid == DOMID_XEN)
        return frame >= hv->nr_pages && frame - hv->nr_pages < hv->nr_m2p ? (int64_t)frame
                                                                          : -XEN_ENOENT;
    d = domid < DOMID_FIRST_RESERVED ? domain_by_id(hv, (uint16_t)domid) : NULL;
    if (!d)
        return -XEN_ENOENT;
    if (d->hvm)
        return frame < DOMAIN_MAX_PAGES ? memory_mfn(d, frame) : -XEN_ENOENT;
    if (frame >= hv->nr_pages)
        return -XEN_ENOENT;
    frame = index_nospec((uint32_t)frame, (uint32_t)hv->nr_pages);
    return hv->frames[frame].owner == d ? (int64_t)frame : -XEN_ENOENT;
}

void memory_foreign_written(struct hypervisor *hv, uint32_t domid, uint64_t frame)
{
    int64_t mfn = memory_foreign_frame(hv, domid, frame);

    if (mfn >= 0 && domid != DOMID_XEN)
        memory_mark_dirty(hv->frames[mfn].owner, hv->frames[mfn].pfn);
}

/* ---- access by guest-physical address ---- */

/* The bytes of one page from gpa on; *size is cut to what is left of the page. */
static uint8_t *page_at(struct domain *d, uint64_t gpa, size_t *size)
{
    int64_t mfn = memory_mfn(d, gpa / PAGE_SIZE);
    size_t offset = gpa % PAGE_SIZE;

    if (mfn < 0)
        return NULL;
    if (*size > PAGE_SIZE - offset)
        *size = PAGE_SIZE - offset;
    return (uint8_t *)platform_page(d->hv->platform, (uint64_t)mfn) + offset;
}

int memory_read(struct domain *d, uint64_t gpa, void *dst, size_t size)
{
    uint8_t *to = dst;

    while (size) {
        size_t n = size;
        const uint8_t *from = page_at(d, gpa, &n);

        if (!from)
            return -XEN_EFAULT;
        __builtin_memcpy(to, from, n);
        to += n;
        gpa += n;
        size -= n;
    }
    return 0;
}

int memory_write(struct domain *d, uint64_t gpa, const void *src, size_t size)
{
    const uint8_t *from = src;

    while (size) {
        size_t n = size;
        uint8_t *to = page_at(d, gpa, &n);

        if (!to)
            return -XEN_EFAULT;
        __builtin_memcpy(to, from, n);
        memory_mark_dirty(d, gpa / PAGE_SIZE);
        from += n;
        gpa += n;
        size -= n;
    }
    return 0;
}

/* ---- log-dirty ---- */

void memory_mark_dirty(struct domain *d, uint64_t gfn)
{
    struct domain_memory *m = &d->memory;
    uint64_t bit = 1ull << (gfn % 64);

    if (!m->log_dirty || gfn >= m->nr_dirty_bits || (m->dirty[gfn / 64] & bit))
        return;
    m->dirty[gfn / 64] |= bit;
    m->dirty_count++;
}

/* Make the bitmap reach gfn; it doubles, so that a domain that grows page by page copies little. */
static int dirty_grow(struct domain *d, uint64_t gfn)
{
    struct domain_memory *m = &d->memory;
    uint64_t bits = m->nr_dirty_bits ? m->nr_dirty_bits : 64;
    uint64_t *dirty;

    if (gfn < m->nr_dirty_bits)
        return 0;
    while (bits <= gfn)
        bits *= 2;
    dirty = platform_alloc(d->hv->platform, bits / 8);
    if (!dirty)
        return -XEN_ENOMEM;
    for (uint64_t i = 0; i < m->nr_dirty_bits / 64; i++)
        dirty[i] = m->dirty[i];
    platform_free(d->hv->platform, m->dirty);
    m->dirty = dirty;
    m->nr_dirty_bits = bits;
    return 0;
}

int log_dirty_enable(struct domain *d)
{
    struct domain_memory *m = &d->memory;

    if (m->log_dirty)
        return -XEN_EINVAL;
    if (dirty_grow(d, m->nr_gfns ? m->nr_gfns - 1 : 0))
        return -XEN_ENOMEM;
    m->dirty_count = 0;
    m->log_dirty = true;
    return 0;
}

void log_dirty_disable(struct domain *d)
{
    struct domain_memory *m = &d->memory;

    platform_free(d->hv->platform, m->dirty);
    m->dirty = NULL;
    m->nr_dirty_bits = m->dirty_count = 0;
    m->log_dirty = false;
}
