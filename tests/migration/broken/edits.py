# SPDX-License-Identifier: MIT
"""Changes of a stream that rows of one line are made of: each a description, and a function that makes it and returns the
place."""

import struct

from broken.table import add_row
from streambuilder import OPTIONAL, Record

NAMES = {}


def name_of(kind):
    import streambuilder
    if not NAMES:
        NAMES.update({streambuilder.__dict__[n]: n for n in (
            "END PAGE_DATA PV_INFO P2M_FRAMES VCPU_BASIC VCPU_EXTENDED VCPU_XSAVE SHARED_INFO TSC_INFO HVM_CONTEXT HVM_PARAMS "
            "TOOLSTACK VCPU_MSRS VERIFY CHECKPOINT STATIC_DATA_END CPUID_POLICY MSR_POLICY CHECKSUM DIRTY_PFN_LIST").split()})
    return NAMES.get(kind, hex(kind))


def edit(base, code, change, **options):
    """A row of one line.  verify-stream's first problem must be of that code, wherever it finds it."""
    description, function = change
    variant = "".join(f" ({options[name]})" for name in ("version", "layer") if name in options)
    add_row(f"{base}{variant}: {description}", base, code, None, options, function)


def put_header(at, data):
    """Bytes of the 40 that both headers of libxc's have."""
    def change(s):
        both = s.image + s.domain
        both[at:at + len(data)] = data
        s.image[:], s.domain[:] = both[:24], both[24:]
        return ("image", at) if at < 24 else ("domain", at - 24)
    return f"header[{at}] = {data.hex()}", change


def put(kind, at, layout, value):
    """A value in the first record of that type."""
    def change(s):
        s.find(kind).set(at, layout, value)
        return s.index(kind), 8 + at
    return f"{name_of(kind)}[{at}] = {value:#x}", change


def resize(kind, size, count=None):
    """The body gets that many bytes, zeros at its end or cut; count: what its first field says then."""
    def change(s):
        body = s.find(kind).body
        body[:] = bytes(body[:size]).ljust(size, b"\0")
        if count is not None:
            struct.pack_into("<I", body, 0, count)
        return s.index(kind), 4
    return f"{name_of(kind)} of {size} bytes" + (f" for {count}" if count is not None else ""), change


def claim(kind, length):
    """The header says so, and nothing else changes."""
    def change(s):
        s.find(kind).length = length
        return s.index(kind), 4
    return f"{name_of(kind)} that claims {length} bytes", change


def retype(kind, new):
    def change(s):
        i = s.index(kind)
        s.records[i].kind = new
        return i, 0
    return f"{name_of(kind)} becomes {name_of(new)}", change


def drop(kind):
    def change(s):
        return s.remove(kind), 0
    return f"no {name_of(kind)}", change


def twice(kind):
    def change(s):
        i = s.index(kind)
        s.records.insert(i, Record(kind, s.records[i].body))
        return i + 1, 0
    return f"{name_of(kind)} twice", change


def first(kind):
    """It stands before all others."""
    def change(s):
        s.records.insert(0, s.records.pop(s.index(kind)))
        return 0, 0
    return f"{name_of(kind)} first", change


def odd_padding(kind):
    """One byte longer, and its padding is not zero."""
    def change(s):
        r = s.find(kind)
        r.body.append(0)
        r.padding = b"\1" * (-len(r.body) % 8)
        return s.index(kind), 8 + len(r.body)
    return f"{name_of(kind)} with padding of ones", change


def optional_run(kind, n):
    """n optional records of nothing in front of the first record of that type."""
    def change(s):
        i = s.index(kind)
        s.records[i:i] = [Record(OPTIONAL | 5)] * n
        return i + n - 1, 0
    return f"{n} optional records before {name_of(kind)}", change


def insert(kind, body, before, n=1, **lies):
    """n records in front of the first one of that type; the place is the last of them."""
    def change(s):
        i = s.index(before)
        s.records[i:i] = [Record(kind, body, **lies) for _ in range(n)]
        return i + n - 1, 0
    lying = "".join(f", {name} {lie.hex() if isinstance(lie, bytes) else lie}" for name, lie in lies.items())
    return f"{n} {name_of(kind)} of {len(body)} bytes{lying} before {name_of(before)}", change


def put_layer(layer, at, data):
    """Bytes of xl's or libxl's header."""
    def change(s):
        header = getattr(s, layer)
        header[at:at + len(data)] = data
        return layer, at
    return f"{layer} header[{at}] = {data.hex()}", change
