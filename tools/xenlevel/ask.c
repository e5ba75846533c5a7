/* SPDX-License-Identifier: MIT */
/*
 * Running another program for what it prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "util.h"

enum { SILENCE_MS = 60000, MOST = 1 << 20, PIECE = 4096 };

/* Start it with `to` as its standard output.  Returns 0, or an errno. */
static int start_program(const struct program_run *run, int to, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int err = posix_spawn_file_actions_init(&actions);

    if (err)
        return err;
    err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    if (!err)
        err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    /* On itself: without close-on-exec. */
    if (!err && run->keep >= 0)
        err = posix_spawn_file_actions_adddup2(&actions, run->keep, run->keep);
    if (!err)
        err = posix_spawnp(pid, run->argv[0], &actions, NULL, run->argv,
                           run->envp ? run->envp : environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* All that comes from fd.  Returns 0, or an errno. */
static int read_all(int fd, char **out, size_t *len)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, SILENCE_MS);
        ssize_t n;

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready ? errno : ETIMEDOUT;
        if (*len > MOST)
            return EFBIG;
        *out = xrealloc(*out, *len + PIECE + 1);
        n = read(fd, *out + *len, PIECE);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return 0;
        *len += n > 0 ? (size_t)n : 0;
    }
}

static int await_end(pid_t pid)
{
    int status;
    pid_t rc;

    do
        rc = waitpid(pid, &status, 0);
    while (rc < 0 && errno == EINTR);
    return rc == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int ask_program(const struct program_run *run, char **out, size_t *len)
{
    int fds[2], err, status;
    pid_t pid = -1;

    *out = NULL;
    *len = 0;
    if (pipe2(fds, O_CLOEXEC))
        return -1;
    err = start_program(run, fds[1], &pid);
    (void)close(fds[1]);
    if (!err) {
        err = read_all(fds[0], out, len);
        if (err)
            (void)kill(pid, SIGKILL);
        status = await_end(pid);
        if (!err && status < 0)
            err = ECHILD;
    }
    (void)close(fds[0]);
    if (err) {
        free(*out);
        *out = NULL;
        errno = err;
        return -1;
    }
    (*out)[*len] = '\0';
    return status;
}
