/* SPDX-License-Identifier: MIT */
/*
 * libxl's control pipes: messages to it on standard output, its answers on standard input.
 *
 * A message is a length (16 bits), a type (16 bits) and the arguments, in native byte order and
 * not padded; a string is its size with the NUL (32 bits) and its bytes.  Some types are answered,
 * by one int.  (Xen, tools/libs/light: libxl_save_msgs_gen.pl.)
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"

enum {
    MSG_LOG = 1,
    MSG_PROGRESS = 2,
    MSG_SUSPEND = 3,
    MSG_SWITCH_QEMU_LOGDIRTY = 7,
    MSG_STATIC_DATA_DONE = 8,
    MSG_RESTORE_RESULTS = 9,
    MSG_COMPLETE = 10,
};

enum { TEXT_MAX = 8192 }; /* of one string; the rest of a longer one is cut */

/* A message under construction; send_message() fills in its length. */
struct message {
    uint8_t buf[TEXT_MAX + 512];
    size_t len;
};

static void add_bytes(struct message *m, const void *data, size_t size)
{
    if (size > sizeof(m->buf) - m->len)
        size = sizeof(m->buf) - m->len;
    memcpy(m->buf + m->len, data, size);
    m->len += size;
}

static void add_u32(struct message *m, uint32_t v)
{
    add_bytes(m, &v, sizeof(v));
}

static void add_string(struct message *m, const char *s, size_t max)
{
    size_t n = strnlen(s, max - 1);

    add_u32(m, (uint32_t)n + 1);
    add_bytes(m, s, n);
    add_bytes(m, "", 1);
}

static void begin_message(struct message *m, uint16_t type)
{
    m->len = sizeof(uint16_t);
    add_bytes(m, &type, sizeof(type));
}

static int send_message(struct message *m)
{
    uint16_t length = (uint16_t)(m->len - sizeof(uint16_t));
    const uint8_t *p = m->buf;

    memcpy(m->buf, &length, sizeof(length));
    while (m->len) {
        ssize_t n = write(STDOUT_FILENO, p, m->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        p += n;
        m->len -= (size_t)n;
    }
    return 0;
}

/* libxl's answer; -1 with errno when it does not come: libxl is gone. */
static int read_answer(int *reply)
{
    uint8_t *p = (uint8_t *)reply;
    size_t have = 0;

    while (have < sizeof(*reply)) {
        ssize_t n = read(STDIN_FILENO, p + have, sizeof(*reply) - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                errno = EPIPE;
            return -1;
        }
        have += (size_t)n;
    }
    return 0;
}

static int ask_libxl(struct message *m, int *reply)
{
    return send_message(m) ? -1 : read_answer(reply);
}

void control_log(xentoollog_level level, int err, const char *context, const char *text)
{
    struct message m;

    begin_message(&m, MSG_LOG);
    add_u32(&m, level);
    add_u32(&m, (uint32_t)err);
    add_string(&m, context ? context : "", 256);
    add_string(&m, text, TEXT_MAX);
    (void)send_message(&m);
}

void control_progress(const char *doing, unsigned long done, unsigned long total)
{
    struct message m;

    begin_message(&m, MSG_PROGRESS);
    add_string(&m, "xenlevel", 256);
    add_string(&m, doing, 256);
    add_bytes(&m, &done, sizeof(done));
    add_bytes(&m, &total, sizeof(total));
    (void)send_message(&m);
}

int control_suspend(void)
{
    struct message m;
    int suspended;

    begin_message(&m, MSG_SUSPEND);
    if (ask_libxl(&m, &suspended))
        return -1;
    if (!suspended)
        errno = EIO;
    return suspended ? 0 : -1;
}

int control_switch_qemu_logdirty(uint32_t domid, bool enable)
{
    struct message m;
    int failed;

    begin_message(&m, MSG_SWITCH_QEMU_LOGDIRTY);
    add_u32(&m, domid);
    add_u32(&m, enable);
    if (ask_libxl(&m, &failed))
        return -1;
    if (failed)
        errno = EIO;
    return failed ? -1 : 0;
}

int control_static_data_done(unsigned int missing)
{
    struct message m;
    int failed;

    begin_message(&m, MSG_STATIC_DATA_DONE);
    add_u32(&m, missing);
    if (ask_libxl(&m, &failed))
        return -1;
    if (failed)
        errno = EIO;
    return failed ? -1 : 0;
}

int control_restore_results(unsigned long store_gfn, unsigned long console_gfn)
{
    struct message m;

    begin_message(&m, MSG_RESTORE_RESULTS);
    add_bytes(&m, &store_gfn, sizeof(store_gfn));
    add_bytes(&m, &console_gfn, sizeof(console_gfn));
    return send_message(&m);
}

void control_complete(int retval, int err)
{
    struct message m;
    int ignored;

    begin_message(&m, MSG_COMPLETE);
    add_bytes(&m, &retval, sizeof(retval));
    add_bytes(&m, &err, sizeof(err));
    /* Its answer is waited for: leaving before would show as a broken pipe there. */
    (void)ask_libxl(&m, &ignored);
}

void control_refuse(const char *summary, int err)
{
    control_log(XTL_ERROR, -1, "xenlevel", summary);
    (void)control_restore_results(0, 0); /* libxl wants them whatever came of it */
    control_complete(-1, err);
}
