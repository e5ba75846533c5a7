/* SPDX-License-Identifier: MIT */
/*
 * The stock helper as a child of the gate: it has every descriptor, so that no byte passes through
 * here, and the gate waits.  libxl must not be able to tell: it signals the gate's process and
 * judges by how that ends (Xen, tools/libs/light/libxl_save_callout.c: helper_stop, helper_failed,
 * helper_exited).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"

/* The handler's.  0: there is no child that could be signalled. */
static volatile sig_atomic_t child_pid;

static void pass_on(int sig)
{
    int err = errno;

    if (child_pid)
        (void)kill((pid_t)child_pid, sig);
    errno = err;
}

void child_prepare(struct child_surroundings *s)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN}, by_default = {.sa_handler = SIG_DFL};

    /* A reader that has gone must not end the gate in the middle of a sentence. */
    (void)sigaction(SIGPIPE, &ignore, &s->pipe);
    /* Where libxl's process ignores it, which is inherited, nobody's end could be waited for. */
    (void)sigaction(SIGCHLD, &by_default, &s->child);
}

/* In the child.  `failure` closes when the program has begun, or else receives errno. */
static void begin_child(const char *path, char **argv, const struct child_surroundings *s,
                        const sigset_t *mask, pid_t parent, int failure) __attribute__((noreturn));

static void begin_child(const char *path, char **argv, const struct child_surroundings *s,
                        const sigset_t *mask, pid_t parent, int failure)
{
    int err = ECHILD;

    /* The gate may have been killed before it was asked for: then nobody would tell. */
    if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent) {
        (void)sigaction(SIGPIPE, &s->pipe, NULL);
        (void)sigaction(SIGCHLD, &s->child, NULL);
        (void)sigprocmask(SIG_SETMASK, mask, NULL);
        (void)execv(path, argv);
        err = errno;
    }
    (void)!write(failure, &err, sizeof(err));
    _exit(127);
}

/* 0 when the child's program runs; else its errno. */
static int await_begin(int failure)
{
    int err = 0;
    ssize_t n;

    do
        n = read(failure, &err, sizeof(err));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(err) ? err : 0;
}

/* Fork with SIGTERM held back, so that it finds either no child or one that has a number. */
static pid_t fork_child(const char *path, char **argv, const struct child_surroundings *s,
                        int failure)
{
    const struct sigaction sa = {.sa_handler = pass_on};
    pid_t parent = getpid(), pid;
    sigset_t term, before;
    int err;

    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, &before);
    pid = fork();
    if (pid == 0)
        begin_child(path, argv, s, &before, parent, failure);
    err = errno;
    if (pid > 0) {
        child_pid = pid;
        (void)sigaction(SIGTERM, &sa, NULL);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return pid;
}

/* Wait until it has ended, and only then let go of its number, which may be used again. */
static int reap_child(pid_t pid)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    siginfo_t info;
    int status, rc;

    do
        rc = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    while (rc < 0 && errno == EINTR);
    child_pid = 0;
    (void)sigaction(SIGTERM, &by_default, NULL);
    do
        rc = (int)waitpid(pid, &status, 0);
    while (rc < 0 && errno == EINTR);
    /* Nobody can say how it ended: not well. */
    return rc < 0 ? SIGKILL : status;
}

int child_run(const char *path, char **argv, int stream, const struct child_surroundings *s)
{
    int failure[2], err;
    pid_t pid;

    if (pipe2(failure, O_CLOEXEC))
        return -1;
    pid = fork_child(path, argv, s, failure[1]);
    err = errno;
    (void)close(failure[1]);
    if (pid > 0)
        err = await_begin(failure[0]);
    (void)close(failure[0]);
    if (pid > 0 && err)
        (void)reap_child(pid);
    if (pid < 0 || err) {
        errno = err;
        return -1;
    }
    /* Or whoever writes it, the relay too, would not see that the child has gone. */
    (void)close(stream);
    return reap_child(pid);
}

int child_end_as(int status)
{
    const struct rlimit no_core = {0, 0};
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t set;
    int sig;

    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    sig = WTERMSIG(status);
    (void)setrlimit(RLIMIT_CORE, &no_core); /* the child has left one, if it was to */
    (void)sigaction(sig, &by_default, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, sig);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(sig);
    return 128 + sig;
}
