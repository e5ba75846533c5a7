# SPDX-License-Identifier: MIT
"""The XSAVE state of a vCPU, against itself and against the policy: SDM vol. 1, chapter 13."""

import struct

from . import state
from .features import bits
from .policy import XSTATE_AREA

X87, SSE, YMM = 1 << 0, 1 << 1, 1 << 2
BNDREGS, BNDCSR = 1 << 3, 1 << 4
AVX512 = 7 << 5
TILE = 3 << 17
HEADER = 512        # where the XSAVE header begins in the area


def impossible_xcr0(xcr0):
    """Why XSETBV would fault with this value; None when it would not (SDM vol. 2D, XSETBV)."""
    if not xcr0 & X87:
        return "x87 state is not enabled"
    if xcr0 & YMM and not xcr0 & SSE:
        return "AVX state is enabled without SSE state"
    if bool(xcr0 & BNDREGS) != bool(xcr0 & BNDCSR):
        return "only one of the two MPX components is enabled"
    if xcr0 & AVX512 and (xcr0 & AVX512 != AVX512 or not xcr0 & YMM):
        return "the AVX-512 components are not enabled together and with AVX state"
    if xcr0 & TILE and xcr0 & TILE != TILE:
        return "only one of the two tile components is enabled"
    return None


def _components(mask):
    return ", ".join(map(state.component, bits(mask)))


def _beyond(where, components, at, add):
    if components:
        several = components & components - 1
        add("xstate-policy", at, f"{where}: component{'s' if several else ''} {_components(components)} "
                                 f"{'are' if several else 'is'} not in its CPU policy")


def check(xcr0, accumulated, area, size, policy, at, add):
    """Report through add(code, offset, text).

    `area` holds the first 576 bytes of the XSAVE area (fewer when there are no more), `size` is how long it all is;
    `at` gives the offsets of "xcr0", "accumulated", "area".  `policy` may be None.
    """
    for name, value in (("xcr0", xcr0), ("accumulated", accumulated)):
        why = impossible_xcr0(value)
        if why:
            add("xstate-xcr0", at[name], f"XCR0 {value:#x}{' as accumulated' if name != 'xcr0' else ''}: {why}")
    known = policy.xcr0 | X87 | SSE if policy is not None else state.ALL
    if xcr0 & ~accumulated & known:
        add("xstate-accumulated", at["accumulated"],
            f"components {_components(xcr0 & ~accumulated & known)} are enabled now, and were never")
    if policy is not None:
        _beyond("accumulated XCR0", accumulated & ~known, at["accumulated"], add)
        _beyond("XCR0", xcr0 & ~known & ~accumulated, at["xcr0"], add)
    if size < XSTATE_AREA:
        if size:
            add("xstate-size", at["area"], f"an XSAVE area of {size} bytes; {XSTATE_AREA} are the least")
        return
    xstate_bv, xcomp_bv = struct.unpack_from("<QQ", area, HEADER)
    if xstate_bv & ~accumulated:
        add("xstate-bv", at["area"] + HEADER,
            f"XSTATE_BV has components {_components(xstate_bv & ~accumulated)}, which were never enabled")
    if xcomp_bv:
        add("xstate-compacted", at["area"] + HEADER + 8, f"XCOMP_BV is {xcomp_bv:#x}: streams hold the standard form, not the "
                                                         "compacted one")
    reserved = area[HEADER + 16:HEADER + 64]
    if reserved.count(0) != len(reserved):
        add("reserved", at["area"] + HEADER + 16, "reserved bytes of the XSAVE header are not zero")


def expected_size(accumulated, policy):
    """Bytes of the area that these components need, or None when the policy does not tell."""
    if accumulated & ~(X87 | SSE) == 0:
        return XSTATE_AREA
    if policy is None or accumulated & ~(policy.xcr0 | X87 | SSE):
        return None
    return policy.xstate_size(accumulated)
