/* SPDX-License-Identifier: MIT */
/*
 * xl-sim migrate, migrate-receive.
 *
 * The sender starts the receiver, over ssh or whatever -S names, and both talk over its standard
 * input and output:
 *
 *   receiver: "xl-sim: ready\n"
 *   sender:   an image (image.h): head, libxc's stream, tail
 *   receiver: 'R' when the domain is there, complete and paused; 'N' when this host cannot give it
 *             its CPU; 'F' when anything else failed.  After 'N' and 'F' nothing is left there.
 *   sender:   'G': its own copy is suspended, and will not run again unless the receiver says so
 *   receiver: 'A' when the domain runs; 'F' when it does not and is gone
 *
 * Until the sender has sent 'G' only its copy may run; the receiver without a 'G' destroys its own,
 * and says 'F'.  After 'G' only the receiver's may: a sender that hears neither 'A' nor 'F' keeps
 * its copy suspended, and says so.  A receiver says 'F' only when its copy is certainly gone.
 *
 * Nobody waits longer than the timeout for data or an answer, nor for room to write.  A signal cuts
 * the line, for both.  Who is killed outright leaves his copy as it is: the sender's runs, or is
 * suspended (--resume); the receiver's is paused and called NAME--incoming until 'G' has come.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "environment.h"
#include "image.h"
#include "json.h"
#include "line.h"
#include "out.h"
#include "programs.h"
#include "receive.h"
#include "util.h"
#include "view.h"
#include "xc_clock.h"
#include "xl.h"

#define SOCKET_BUFFER (4 << 20) /* that we ask for; the system may give less */

static const char banner[] = "xl-sim: ready\n";

/* ---- the receiver's process ---- */

struct peer {
    pid_t pid;
    int to, from;
    int patience; /* ms that an answer may take */
};

static int start_receiver(struct peer *p, const char *command)
{
    int down[2] = {-1, -1}, up[2] = {-1, -1};
    const int buffer = SOCKET_BUFFER;

    /* The stream goes through a socket, whose end can be closed while the answers' pipe is open. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, down) || pipe2(up, O_CLOEXEC)) {
        warn("a way to the receiver: %s", strerror(errno));
        return -1;
    }
    /* The larger, the longer the sender goes on while the receiver makes room for a batch. */
    (void)setsockopt(down[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    p->pid = fork();
    if (!p->pid) {
        (void)signal(SIGPIPE, SIG_DFL);
        if (dup2(down[0], STDIN_FILENO) >= 0 && dup2(up[1], STDOUT_FILENO) >= 0)
            (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    p->to = down[1];
    p->from = up[0];
    if (p->pid > 0)
        return 0;
    warn("starting the receiver: %s", strerror(errno));
    return -1;
}

/* No more is said: whoever waits for more sees the end. */
static void hang_up(struct peer *p)
{
    if (p->to >= 0)
        line_close(p->to);
    p->to = -1;
}

static bool has_ended(const struct peer *p)
{
    for (int tries = 50; tries; tries--) {
        if (waitpid(p->pid, NULL, WNOHANG))
            return true;
        (void)poll(NULL, 0, 20);
    }
    return false;
}

static void end_receiver(struct peer *p)
{
    hang_up(p);
    (void)close(p->from);
    /* It ends when its input does; what does not is ended. */
    if (has_ended(p))
        return;
    (void)kill(p->pid, SIGTERM);
    if (has_ended(p))
        return;
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
}

/* One byte of the protocol; 0 when the other side has gone, or is silent for too long (-1: never
 * too long). */
static char hear_answer(int fd, int patience)
{
    char c;

    if (line_read(fd, &c, 1, patience))
        return '\0';
    return c;
}

/* The banner, byte by byte: silence is an answer too. */
static bool hear_banner(const struct peer *p)
{
    for (size_t i = 0; i < sizeof(banner) - 1; i++)
        if (hear_answer(p->from, p->patience) != banner[i])
            return false;
    return true;
}

/* ---- sending ---- */

struct migration {
    xc_handle *xch;
    uint32_t domid;
    struct image_config config;
    struct xc_sr_stats stats;
    struct save_view view;
    uint64_t begun; /* ns */
    bool live, checksums;
};

static int send_image(struct migration *m, const struct peer *p, bool *suspended)
{
    /* It stays suspended until the receiver, which is ours, has answered that it has everything. */
    const struct xc_save_options options = {.live = m->live,
                                            .checksums = m->checksums,
                                            .by_reference = true,
                                            .zero_pages = environment_zero_pages(true),
                                            .patience = (unsigned int)p->patience};
    const struct xc_save_callbacks callbacks = {
        .suspend = view_suspend, .progress = view_progress, .data = &m->view};
    int rc;

    m->view = (struct save_view){.xch = m->xch, .domid = m->domid};
    m->begun = xc_now_ns();
    if (image_write_head(p->to, p->patience, &m->config))
        return -1;
    rc = xc_domain_save(m->xch, p->to, m->domid, &options, &callbacks, &m->stats);
    out_line_end();
    *suspended = !rc; /* on failure it goes on already */
    return rc ? rc : image_write_tail(p->to, p->patience, m->checksums ? &m->config : NULL);
}

/* It is there, complete.  The last word is given, and the last answer heard. */
static int hand_over(struct migration *m, const struct peer *p)
{
    char answer;

    if (line_write(p->to, "G", 1, p->patience))
        answer = 'F'; /* one byte that was not written was not read */
    else
        answer = hear_answer(p->from, p->patience);
    if (answer == 'A') {
        /* As whoever uses it sees it: until it runs there, not until the last byte has left. */
        m->stats.elapsed_ns = xc_now_ns() - m->begun;
        m->stats.downtime_ns = xc_now_ns() - m->view.suspended;
        return xc_domain_destroy(m->xch, m->domid) ? STATUS_TROUBLE : STATUS_YES;
    }
    if (answer == 'F') {
        if (!xc_domain_resume(m->xch, m->domid))
            warn("'%s' does not run there; it goes on here", m->config.name);
        return STATUS_TROUBLE;
    }
    warn("the receiver was told to let '%s' run and has not answered: it may run there. Here it is "
         "kept suspended. Look there: if it does not run, `xl-sim migrate --resume %u` here; if it "
         "does, `xl-sim destroy %u`",
         m->config.name, m->domid, m->domid);
    return STATUS_TROUBLE;
}

/* What a receiver that has not got all of it has to say about that, ms. */
#define LAST_WORDS 3000

static int send_domain(struct migration *m, struct peer *p)
{
    int patience = p->patience;
    bool suspended = false;
    char answer;

    if (!hear_banner(p)) {
        warn("the receiver does not answer; '%s' goes on here", m->config.name);
        return STATUS_TROUBLE;
    }
    if (send_image(m, p, &suspended)) {
        /* A receiver that refuses has said so before all was sent: its answer counts. */
        hang_up(p);
        patience = patience < LAST_WORDS ? patience : LAST_WORDS;
        if (suspended && xc_domain_resume(m->xch, m->domid))
            return STATUS_TROUBLE;
        suspended = false;
    }
    answer = hear_answer(p->from, patience);
    if (answer == 'R' && suspended)
        return hand_over(m, p);
    if (suspended && xc_domain_resume(m->xch, m->domid))
        return STATUS_TROUBLE;
    warn("'%s' was not migrated and goes on here%s", m->config.name,
         answer == 'N'   ? ": the other host cannot give it its CPU"
         : answer == 'F' ? ": the other host says why"
                         : ": the receiver has gone");
    return answer == 'N' ? STATUS_NO : STATUS_TROUBLE;
}

static void print_report(const struct migration *m, bool json)
{
    const struct xc_sr_stats *st = &m->stats;
    struct json *j;

    if (!json) {
        out_print(stdout, "'%s' runs there: %llu pages in %u rounds, %llu MB/s, downtime %.1f ms\n",
                  m->config.name, (unsigned long long)st->sent_pages, st->round + 1,
                  (unsigned long long)(st->bytes_per_second / 1000000),
                  (double)st->downtime_ns / 1e6);
        return;
    }
    j = json_begin();
    json_object(j, NULL);
    json_string(j, "name", m->config.name);
    json_number(j, "pages", st->sent_pages);
    json_number(j, "zero_pages", st->zero_pages);
    json_number(j, "rounds", st->round + 1);
    json_number(j, "bytes", st->bytes);
    json_number(j, "elapsed_ns", st->elapsed_ns);
    json_number(j, "downtime_ns", st->downtime_ns);
    json_close_object(j);
    (void)json_end(j);
}

/* The receiver names what the programs of a PV domain read there; and here? */
static void look_at_programs(const struct migration *m)
{
    struct programs programs;

    if (m->config.type != XC_DOMAIN_PV)
        return;
    (void)programs_look_at(m->xch, m->domid, &programs);
    programs_print(stderr, &programs, m->config.name);
    if (!programs_exact(&programs))
        out_text(stderr, 2, 4, "Wherever it goes, they may read something else again.");
}

static int migrate_domain(struct migration *m, const char *command, uint64_t seconds, bool json)
{
    struct peer p = {.patience = (int)seconds * 1000};
    int status = STATUS_TROUBLE;

    if (image_config_of(m->xch, m->domid, &m->config))
        return STATUS_TROUBLE;
    look_at_programs(m);
    if (!start_receiver(&p, command) && !line_cut_by_signals(p.to, true)) {
        status = send_domain(m, &p);
        end_receiver(&p);
    }
    if (!status)
        print_report(m, json);
    image_config_free(&m->config);
    return status;
}

static const struct cmd_option migrate_options[] = {
    {'S', "ssh", "COMMAND",
     "what reaches the other host, as in \"ssh other\"; default: it is here"},
    {'n', "no-live", NULL, "suspend it first"},
    {'k', "checksums", NULL, "with checksums over every byte"},
    {'t', "timeout", "SECONDS", "how long an answer may take, and data be on its way (60)"},
    {'r', "resume", NULL, "no migration: let a domain go on that a failed one left suspended"},
    CMD_JSON,
    CMD_END,
};

/* A word for the shell, in single quotes; malloc'ed. */
static char *quote_word(const char *word)
{
    char *text = xcalloc(strlen(word) + 1, 4), *at = text;

    *at++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') { /* out of the quotes, one by itself, and in again */
            *at++ = '\'';
            *at++ = '\\';
            *at++ = '\'';
        }
        *at++ = *word;
    }
    *at = '\'';
    return text;
}

static int parse_timeout(const struct command *cmd, const char *value, uint64_t *seconds)
{
    if (!xl_number(value, 3600, seconds) && *seconds)
        return 0;
    (void)cmd_usage(cmd, "--timeout is a number of seconds, 1 to 3600");
    return -1;
}

/* What starts it; malloc'ed. */
static char *receiver_command(const char *over, const char *where, uint64_t seconds)
{
    char *socket = quote_word(where);
    char *program = over ? xstrdup("xl-sim") : quote_word(xl_program());
    char *command = xasprintf("%s %s -s %s migrate-receive -t %llu", over ? over : "exec", program,
                              socket, (unsigned long long)seconds);

    free(program);
    free(socket);
    return command;
}

static int let_go_on(xc_handle *xch, uint32_t domid)
{
    struct xc_domain_info info;

    if (xc_domain_getinfo(xch, domid, &info))
        return STATUS_TROUBLE;
    if (!info.shutdown || info.shutdown_reason != XC_SHUTDOWN_SUSPEND) {
        warn("domain %u is %s: there is nothing to resume", domid, xl_domain_state(&info));
        return STATUS_TROUBLE;
    }
    return xc_domain_resume(xch, domid) ? STATUS_TROUBLE : STATUS_YES;
}

static int run_migrate(const struct command *cmd, int argc, char **argv)
{
    struct migration m = {.live = true};
    const char *value, *over = NULL;
    bool json = false, resume = false;
    int letter, first, status = STATUS_TROUBLE;
    uint64_t seconds = 60;
    char *command;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'S')
            over = value;
        else if (letter == 'n')
            m.live = false;
        else if (letter == 'k')
            m.checksums = true;
        else if (letter == 't' && !parse_timeout(cmd, value, &seconds))
            continue;
        else if (letter == 'r')
            resume = true;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first != (resume ? 1 : 2))
        return cmd_usage(cmd, resume ? "a domain is needed"
                                     : "a domain and the other host's socket are needed");
    m.xch = xl_open();
    if (!m.xch)
        return STATUS_TROUBLE;
    if (!xc_domain_resolve(m.xch, argv[first], &m.domid) && !xl_claim(m.domid)) {
        if (resume) {
            status = let_go_on(m.xch, m.domid);
        } else {
            command = receiver_command(over, argv[first + 1], seconds);
            status = migrate_domain(&m, command, seconds, json);
            free(command);
        }
    }
    xc_interface_close(m.xch);
    return status;
}

/* ---- receiving ---- */

static void send_answer(char c)
{
    (void)line_write(STDOUT_FILENO, &c, 1, -1); /* whoever does not hear it has gone */
}

/* It does not run here and never will: then, and only then, the sender may hear so. */
static void give_up(xc_handle *xch, uint32_t domid)
{
    if (!xc_domain_destroy(xch, domid))
        send_answer('F');
    else
        warn("domain %u is left behind: `xl-sim destroy %u`", domid, domid);
}

static int receive_and_answer(xc_handle *xch, int patience)
{
    const struct image_source from = {
        .fd = STDIN_FILENO, .patience = patience, .what = "the stream"};
    struct xc_restore_result *result = xcalloc(1, sizeof(*result));
    struct image_config c = {.name = NULL};
    uint32_t domid;
    int status = receive_domain(xch, &from, &domid, &c, result);

    free(result);
    if (status) {
        send_answer(status == STATUS_NO ? 'N' : 'F');
    } else {
        send_answer('R');
        if (hear_answer(STDIN_FILENO, patience) != 'G') {
            warn("the sender has not let go of its copy: this one is destroyed");
            status = STATUS_TROUBLE;
        } else if (receive_take_name(xch, domid, &c) || xc_domain_unpause(xch, domid)) {
            status = STATUS_TROUBLE;
        }
        if (status)
            give_up(xch, domid);
        else
            send_answer('A');
    }
    image_config_free(&c);
    return status;
}

static const struct cmd_option receive_options[] = {
    {'t', "timeout", "SECONDS", "how long nothing may come (60)"},
    CMD_END,
};

static int run_receive(const struct command *cmd, int argc, char **argv)
{
    int letter, first, status = STATUS_TROUBLE;
    uint64_t seconds = 60;
    const char *value;
    xc_handle *xch;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1)
        if (letter != 't' || parse_timeout(cmd, value, &seconds))
            return STATUS_TROUBLE;
    if (argc != first)
        return cmd_usage(cmd, "takes no arguments");
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    if (!line_cut_by_signals(STDIN_FILENO, false) &&
        !line_write(STDOUT_FILENO, banner, sizeof(banner) - 1, -1))
        status = receive_and_answer(xch, (int)seconds * 1000);
    xc_interface_close(xch);
    return status;
}

const struct command cmd_migrate = {
    .name = "migrate",
    .args = "DOMAIN SOCKET",
    .summary = "move a domain to another simulated host while it runs",
    .about =
        "Moves a domain to the host behind SOCKET: its CPU first, which that host gives it "
        "exactly or refuses by name (status 1); then its memory, in rounds while it runs; "
        "then its registers. Of a PV domain both hosts name what its programs read there "
        "beyond or short of its policy. At every moment it is runnable on one side. What fails "
        "leaves it running here.",
    .options = migrate_options,
    .run = run_migrate,
};

const struct command cmd_migrate_receive = {
    .name = "migrate-receive",
    .args = "",
    .summary = "the other end of migrate, which starts it",
    .about = "Takes a domain from standard input. It is started by `xl-sim migrate`.",
    .options = receive_options,
    .run = run_receive,
};
