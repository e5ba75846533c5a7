/* SPDX-License-Identifier: MIT */
/* The least xenstore client: one request at a time over the ring in the store frame, and its
 * answer. */
#include "probe.h"

#include <xen/hvm/params.h>
#include <xen/io/xs_wire.h>

#define ANSWER_NS 5000000000ull /* after that the store is taken for dead */

static volatile struct xenstore_domain_interface *ring;
static evtchn_port_t port;
static uint32_t request_id;

void store_connect(void)
{
    ring = (void *)(uintptr_t)(xen_param(HVM_PARAM_STORE_PFN) << 12);
    port = xen_param(HVM_PARAM_STORE_EVTCHN);
}

static bool ring_write(const void *data, size_t len, uint64_t deadline)
{
    const char *p = data;

    while (len) {
        uint32_t prod = ring->req_prod;

        if (prod - ring->req_cons >= XENSTORE_RING_SIZE) {
            if (xen_now_ns() > deadline)
                return false;
            xen_notify(port);
            xen_wait(port, xen_now_ns() + 100000000);
            continue;
        }
        ring->req[MASK_XENSTORE_IDX(prod)] = *p++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ring->req_prod = prod + 1;
        len--;
    }
    return true;
}

/* data may be NULL: the bytes are dropped. */
static bool ring_read(void *data, size_t len, uint64_t deadline)
{
    char *p = data;

    while (len) {
        uint32_t cons = ring->rsp_cons;

        if (cons == ring->rsp_prod) {
            if (xen_now_ns() > deadline)
                return false;
            xen_notify(port);
            xen_wait(port, xen_now_ns() + 100000000);
            continue;
        }
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (p)
            *p++ = ring->rsp[MASK_XENSTORE_IDX(cons)];
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ring->rsp_cons = cons + 1;
        len--;
    }
    return true;
}

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

/* Returns true when the store said yes; *len: in the room in `value`, out the bytes of the answer.
 */
static bool request(uint32_t type, const char *key, const char *arg, char *value, size_t *len)
{
    struct xsd_sockmsg m = {
        .type = type, .req_id = ++request_id, .len = length(key) + 1 + (arg ? length(arg) : 0)};
    uint64_t deadline;
    size_t take;

    if (!ring || !port)
        return false;
    deadline = xen_now_ns() + ANSWER_NS;
    if (!ring_write(&m, sizeof(m), deadline) || !ring_write(key, length(key) + 1, deadline) ||
        (arg && !ring_write(arg, length(arg), deadline)))
        return false;
    xen_notify(port);
    do {
        if (!ring_read(&m, sizeof(m), deadline))
            return false;
        take = m.req_id == request_id && m.len < *len ? m.len : 0;
        if (!ring_read(value, take, deadline) || !ring_read(NULL, m.len - take, deadline))
            return false;
        xen_notify(port);
    } while (m.req_id != request_id); /* an answer that came too late for its request */
    *len = take;
    return m.type == type;
}

bool store_read(const char *key, char *value, size_t size)
{
    size_t len = size - 1;
    bool ok = request(XS_READ, key, NULL, value, &len);

    value[ok ? len : 0] = '\0';
    return ok;
}

bool store_write(const char *key, const char *value)
{
    char answer[16];
    size_t len = sizeof(answer);

    return request(XS_WRITE, key, value, answer, &len);
}
