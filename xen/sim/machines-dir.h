/* SPDX-License-Identifier: MIT */
/*
 * Where the machine files are that are known by name.
 */
#ifndef SIM_MACHINES_DIR_H
#define SIM_MACHINES_DIR_H

#include <stddef.h>

/*
 * Find the folder of the machine files: where they are installed, seen from this program's own
 * file; else in the source tree that it was built from, so that it runs out of its build folder;
 * else where they were to be installed.  Writes the first of these that is there, or the last one,
 * as an absolute path into dir[].  0; or -1 with ENAMETOOLONG.
 */
int sim_machines_dir(char *dir, size_t size);

#endif /* SIM_MACHINES_DIR_H */
