/* SPDX-License-Identifier: MIT */
/* What scripted guests and their states are called: see <sim-abi/guest.h>. */
#include <sim-abi/guest.h>

#include <stddef.h>

const char *sim_guest_status_name(uint32_t status)
{
    static const char *const names[] = {
        [GUEST_FRESH] = "fresh",
        [GUEST_RUNNING] = "running",
        [GUEST_CPU_CHANGED] = "cpu-changed",
        [GUEST_MEMORY_BAD] = "memory-bad",
        [GUEST_DIED_UD] = "died-ud",
        [GUEST_REGISTER_BAD] = "register-bad",
        [GUEST_PROGRAMS_CHANGED] = "programs-cpu-changed",
    };

    return status < sizeof(names) / sizeof(names[0]) ? names[status] : "unknown";
}

const char *sim_script_name(uint32_t script)
{
    switch (script) {
    case SCRIPT_STEADY:
        return "steady";
    case SCRIPT_WRITER:
        return "writer";
    case SCRIPT_VECTOR:
        return "vector";
    default:
        return NULL;
    }
}
