/* SPDX-License-Identifier: MIT */
/*
 * A simulated host's socket: toolstacks connect, make hypercalls, map memory.  See
 * <sim-abi/protocol.h>.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include <sim/machine.h>

struct sim_server;

/*
 * Listen at `path`, for this user (and root) alone.  A socket that nobody listens at any more is
 * replaced.  stepped: guests run only when a toolstack says so.  NULL with errno and why[];
 * EADDRINUSE: a host is running there.
 */
struct sim_server *sim_server_open(struct sim_host *host, const char *machine, const char *path,
                                   bool stepped, char *why, size_t why_size);
/* Serve until the host is switched off, or until one of the signals that signal_fd waits for
 * arrives.  0; or -1 with errno. */
int sim_server_run(struct sim_server *s, int signal_fd);
/* Drop all clients, remove the socket and free *s. */
void sim_server_close(struct sim_server *s);

#endif /* SIM_SERVER_H */
