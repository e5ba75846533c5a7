# SPDX-License-Identifier: MIT
"""What a row of the table is.

    @row("hvm", "tsc-mode", "X86_TSC_INFO", engine="the domain's time", stock=BODY)
    def tsc_mode(s):
        s.find(TSC_INFO).set(0, "<I", 9)
        return s.index(TSC_INFO), 8

A row takes a good stream (BASES), breaks it in one place, and returns that place: a part of the stream and an offset in it.
verify-stream must find exactly this problem there, and name the specification's section.  Every other reader has a column:

    head    the gate's reading of a stream's head: xc_sr_head.c, and whether its policy is a CPU that can exist
    engine  xc_domain_restore() into a domain of a simulated host
    show    `xenlevel stream show`, which reads heads by the same code: there head's text is show's too
    stock   Debian's verify-stream-v2, where it is there

A column is a text that must be in what the reader says when it refuses the stream, or Accepts(reason); of a stream that
verify-stream accepts, Refuses(text, reason).  The head's can be At(text, inside), which is also about the place.  A reader
that never sees the broken place (sees()) accepts the stream, and needs no column.  Anything else is a disagreement that
nobody has given a reason for, and fails.

Rows of one line, for changes that many records can have: edits.py.
"""

import copy
import struct
from functools import cache, partial

from streambuilder import (BUILD, END, HVM_CONTEXT, HVM_PARAMS, LIBXC_CONTEXT, P2M_FRAMES, PAGE_DATA, STATIC_DATA_END, Record,
                           hvm_stream, parse, pv_stream)

ORDER = "Order of records"
UNUSABLE = "unusable"       # in the place of a code: verify-stream finds that it is no stream, or none that it knows
READERS = ["head", "engine", "show", "stock"]


class Accepts:
    """The stated reason for which a reader takes a stream that others refuse."""

    def __init__(self, reason):
        assert reason
        self.reason = reason


class At(str):
    """What the head's reader says, and where: behind so many bytes of the row's part (None: at the row's own place)."""

    def __new__(cls, text, inside=None):
        made = super().__new__(cls, text)
        made.inside = inside
        return made


class Refuses(str):
    """What a reader says of a good stream, and the stated reason for which it refuses that."""

    def __new__(cls, text, reason):
        assert text and reason
        made = super().__new__(cls, text)
        made.reason = reason
        return made


# Reasons that many rows share.
WALKS = Accepts("behind the head it judges each record by records.def: not bodies, nor whether all have come")
POLICY = Accepts("it reads the policy's arrays; whether such a CPU can exist `xenlevel verify` says")
ENTRIES = Accepts("it reads no entries of the policy")
NO_ACCOUNT = Accepts("it keeps no account of which records there have been")
BODY = Accepts("it does not look into that")
STOPS = Accepts("it stops at END")
XL_HEADER = Accepts("it skips xl's header")
BIG_ENDIAN = Accepts("it reads big-endian streams")
HYPERVISOR = Accepts("what that means is the hypervisor's to judge")
OPTIONAL_HEAD = Refuses("more than 32 records in the head", "a head has 32 records at most")
NO_OPTIONAL = "Unrecognised record type"        # it knows no optional records
OPTIONAL_STOCK = Refuses(NO_OPTIONAL, "it knows no optional records")


def load_saved(name, version=3, layer="libxc"):
    """A stream that xc_domain_save() wrote on a simulated host (tests/fuzz/mkstreams.c); the first byte is the fuzzer's."""
    assert version == 3
    s = parse((BUILD / "tests/fuzz" / name).read_bytes()[1:])
    s.layer = layer
    return s


def load_saved_hvm(version=3, layer="libxc"):
    """A PVH guest of 2 vCPUs and 2 pages, with a store."""
    s = load_saved("plain", version, layer)
    s.insert_before(END, Record(HVM_PARAMS, struct.pack("<IIQQ", 1, 0, 1, 3)))
    return s


# Entries of an HVM context that simulated hosts have not got: devices, and a local APIC's timer.
DEVICES = {3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 19}
LAPIC = 5


def for_simulated_host(body):
    """An HVM context without what simulated hosts have not got."""
    kept, at = b"", 0
    while at + 8 <= len(body):
        code, _, length = struct.unpack_from("<HHI", body, at)
        entry = body[at:at + 8 + length]
        if code == LAPIC and length == 24:
            entry = entry[:16] + bytes(16)
        if code not in DEVICES:
            kept += entry
        at += 8 + length
    return kept


class Base:
    """A good stream, and the domain that it can be restored into."""

    def __init__(self, make, machine, guest, vcpus):
        self.make, self.machine, self.guest, self.vcpus = make, machine, guest, vcpus


BASES = {
    # What stock Xen wrote, but for its memory.
    "hvm": Base(hvm_stream, "intel-cascadelake-sp", "hvm", 1),
    "pv": Base(pv_stream, "intel-cascadelake-sp", "pv", 1),
    # What Xenlevel's engine wrote.
    "saved-hvm": Base(load_saved_hvm, "intel-haswell-ep", "hvm", 2),
    "saved-pv": Base(partial(load_saved, "pv"), "intel-haswell-ep", "pv", 2),
}


class Row:
    """name; base: a key of BASES; code, section: verify-stream's (code None: the stream is good; Accepts: it takes a bad one);
    columns: of the other readers."""

    def __init__(self, name, base, code, section, options, columns, break_it):
        self.name, self.base, self.code, self.section = name, BASES[base], code, section
        self.version, self.layer = options.pop("version", 3), options.pop("layer", "libxc")
        self.place, self.checksums = options.pop("place", None), options.pop("checksums", False)
        assert not options, options
        self.columns, self.break_it = columns, break_it

    def good(self):
        return self.base.make(self.version, self.layer)

    @cache
    def broken(self, simulated=False):
        """(the Stream, the part that is broken, the offset in it); simulated: as a simulated host can have it"""
        s = self.good()
        for r in s.records if simulated else []:
            if r.kind == HVM_CONTEXT:
                r.body[:] = for_simulated_host(bytes(r.body))
        if self.checksums:
            s.checksummed()
        return s, *(self.break_it(s) or (None, None))

    def is_good(self):
        return self.code is None

    def bytes_for(self, reader):
        """The stream as this reader is given it: images begin with xl's header, where there is a layer of libxl's."""
        s = copy.copy(self.broken(reader == "engine")[0])
        if s.layer != "libxc" and reader in ("head", "show"):
            s.layer = "xl"
        return s.raw()


ROWS = []


def add_row(name, base, code, section, options, break_it):
    columns = {reader: options.pop(reader) for reader in READERS if reader in options}
    assert code or all(isinstance(column, Refuses) for column in columns.values()), "a good stream is refused only with a reason"
    assert name not in {r.name for r in ROWS}, f"two rows are called {name}"
    ROWS.append(Row(name, base, code, section, options, columns, break_it))


def row(base, code, section, **options):
    """Registers a function that breaks a stream."""
    def register(function):
        add_row(function.__name__, base, code, section, options, function)
        return function
    return register


def end_of_head(s):
    """The number of the record that ends the head: STATIC_DATA_END, or the first memory of version 2."""
    ends = (STATIC_DATA_END,) if s.image[15] == 3 else (PAGE_DATA, P2M_FRAMES)
    return next((i for i, r in enumerate(s.records) if r.kind in ends), len(s.records))


def sees(reader, s, part, inside):
    """Does the reader see this place of the stream?"""
    if reader == "head":
        if isinstance(part, int):
            return part <= end_of_head(s)
        if isinstance(part, tuple):
            return part[0] == "before" and part[1] <= [r.kind for r in s.before].index(LIBXC_CONTEXT)
        return part != "trailing"
    if reader == "engine":      # it begins behind libxl's header, and what follows END is libxl's
        return isinstance(part, int) or part in ("image", "domain")
    if reader == "show":        # behind the head only the records' own headers
        return sees("head", s, part, inside) or part == "trailing" or inside is None or inside < 8
    return True


def expected(r, reader):
    """A text, Accepts, or None: the reader sees what is wrong, and the row does not say what becomes of it."""
    s, part, inside = r.broken()
    if reader in r.columns:
        return r.columns[reader]
    if part is not None and not sees(reader, s, part, inside):
        return Accepts("it never sees that")
    if reader == "show" and not isinstance(r.columns.get("head", Accepts("-")), Accepts):
        return r.columns["head"]
    return Accepts("it is a good stream") if r.is_good() else None
