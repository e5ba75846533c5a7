# SPDX-License-Identifier: MIT
"""MSRs that travel with a vCPU, in CPU_MSR (HVM) and X86_PV_VCPU_MSRS: each once, and against the policy (state.py). Those
that no feature brings are the hypervisor's to judge."""

import struct

from . import state


def check(body, count, policy, add, registers):
    """Entries of 16 bytes: faults go to add(code, offset, text), those of values to registers(faults, offset)."""
    seen = set()
    for _ in range(count):
        at = body.offset
        index, reserved, value = struct.unpack("<IIQ", body.read(16))
        if reserved:
            add("reserved", at + 4, f"MSR {index:#x}: the reserved field is not zero")
        if index in seen:
            add("msr-twice", at, f"MSR {index:#x} is there twice")
        seen.add(index)
        registers(state.check_msr(index, value, policy), at + 8)
