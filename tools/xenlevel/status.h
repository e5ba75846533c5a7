/* SPDX-License-Identifier: MIT */
/*
 * What `xenlevel status` finds, for others.
 */
#ifndef XENLEVEL_STATUS_H
#define XENLEVEL_STATUS_H

/* Return whether the gate is in every way that leads to a restore here: "yes", "no", or "" where
 * that is not known.  Nothing is started. */
const char *status_gate(const char *root);

#endif /* XENLEVEL_STATUS_H */
