/* SPDX-License-Identifier: MIT */
/*
 * libxl's control protocol: what a save/restore program tells libxl, and what it asks of it.
 * Functions that return int return 0; or -1 with errno: EIO when libxl says no; anything else when
 * libxl is gone.
 */
#ifndef GATE_CONTROL_H
#define GATE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <xentoollog.h>

/* The callbacks that libxl listens to, bits of its argument CBFLAGS. */
#define CONTROL_SUSPEND              (1u << 3)
#define CONTROL_SWITCH_QEMU_LOGDIRTY (1u << 7)
#define CONTROL_STATIC_DATA_DONE     (1u << 8)
#define CONTROL_RESTORE_RESULTS      (1u << 9)

/* Log a line there.  err: an errno, or -1 for none.  xl always prints errors, the rest when it is
 * asked to. */
void control_log(xentoollog_level level, int err, const char *context, const char *text);
/* Say how far something is: `done` of `total`. */
void control_progress(const char *doing, unsigned long done, unsigned long total);

/* Save: ask that the domain stop with SHUTDOWN_suspend; answered when it has. */
int control_suspend(void);
/* Save: ask that the device model log, or no longer log, what it writes. */
int control_switch_qemu_logdirty(uint32_t domid, bool enable);
/* Restore: say that the static data is there; `missing`: bit 0 the CPUID policy, bit 1 the MSR
 * policy. */
int control_static_data_done(unsigned int missing);
/* Restore: tell the frames of xenstore's and the console's rings. */
int control_restore_results(unsigned long store_gfn, unsigned long console_gfn);
/* Send the last message of all: retval 0, or -1 with err, an errno. */
void control_complete(int retval, int err);

/* End a restore with an error for the user. */
void control_refuse(const char *summary, int err);

#endif /* GATE_CONTROL_H */
