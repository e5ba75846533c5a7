# SPDX-License-Identifier: MIT
"""xl's and libxl's layers, and what is no stream at all: what more is said than a verdict, and what is right."""

import struct

import pytest

from harness import found, lines, verify
from migration import libxc, libxl
from streambuilder import (CHECKPOINT_END, CHECKPOINT_STATE, EMULATOR_CONTEXT, HEAD_CHECKSUM, LIBXL_END, OPTIONAL, Record,
                           TSC_INFO, XENSTORE_DATA, checkpointed, counted, head_checksum, hvm_stream, xl_header)


@pytest.mark.parametrize("layer", ["libxl", "xl"])
def test_head_checksum(layer):
    s = hvm_stream(layer=layer)
    s.after.insert(0, head_checksum(s.raw()[:s.at("image")]))
    for pipe in (False, True):
        assert found(verify(s.raw(), pipe)) == [], lines(verify(s.raw(), pipe))
    at = s.at(("after", 0)) + 8
    data = bytearray(s.raw())
    for offset, code in ((0, "checksum-algorithm"), (4, "checksum"), (8, "checksum-bytes")):
        data[at + offset] ^= 2
        assert [(p[0], p[1], p[4]) for p in found(verify(bytes(data)))] == [(code, at + offset, "HEAD_CHECKSUM")]
        data[at + offset] ^= 2
    if layer == "xl":
        data[s.at("libxl") - 3] ^= 1        # in its configuration
        assert ("checksum", at + 4) in [p[:2] for p in found(verify(bytes(data)))]
    s.after.insert(0, Record(HEAD_CHECKSUM, bytes(8)))
    assert {"length", "twice"} <= {p[0] for p in found(verify(s.raw()))}


def test_libxc_context_twice():
    s = hvm_stream(layer="libxl")
    again = s.before[0].raw() + s.raw()[s.at("image"):s.at(("after", 0))]
    s.after.insert(0, Record(0x80000001))
    v = verify(s.raw()[:s.at(("after", 0))] + again + s.after[1].raw())
    assert [(p.code, p.offset, p.record) for p in v.report.problems] == [("twice", s.at(("after", 0)), 1)]


def test_checkpoints_of_libxl():
    """What stands between two checkpoints, wrong."""
    whole = bytes(checkpointed("xl"))
    state = Record(CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw()
    at = whole.index(Record(CHECKPOINT_END).raw() + state) + 8
    for wrong, code, offset in ((struct.pack("<IIII", 5, 8, 4, 0), "checkpoint-state", at + 8),
                                (struct.pack("<IIIIQ", 5, 16, 0, 0, 0), "length", at + 4)):
        v = verify(whole[:at] + wrong + whole[at + 16:])
        assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [(code, offset, "libxl")]
    v = verify(whole[:at - 8] + Record(LIBXL_END).raw())
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("order", at - 8, "libxl")]


@pytest.mark.parametrize("layer", ["libxc", "xl"])
def test_checkpoints(layer):
    for pipe in (False, True):
        v = verify(bytes(checkpointed(layer)), pipe)
        assert v.report.valid, lines(v)
        assert v.libxc.checkpoints == 2


def test_legacy_conversion_is_remarked():
    s = hvm_stream(layer="libxl")
    struct.pack_into(">I", s.libxl, 12, 2)
    struct.pack_into("<I", s.domain, 8, 0)
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == ["converted from a legacy stream"]


def test_names_of_records():
    s = hvm_stream(layer="libxl")
    s.after.insert(0, Record(OPTIONAL | 0x77))
    s.after.insert(0, Record(0x77))
    s.insert_before(TSC_INFO, Record(0x80000077, bytes(8)))
    v = verify(s.raw())
    assert [libxl.record_name(k) for k in sorted(v.libxl.types)] == ["END", "LIBXC_CONTEXT", "unknown 0x77",
                                                                     "optional 0x80000077"]
    assert [libxc.record_name(k) for k in v.libxc.types][-5:-3] == ["optional 0x80000077", "X86_TSC_INFO"]
    assert v.report.count == 1


def test_a_run_of_libxls_optional_records():
    for before in (True, False):
        s = hvm_stream(layer="libxl")
        records = s.before if before else s.after
        records[0:0] = [Record(0x80000077)] * 1024
        assert verify(s.raw()).report.valid
        records.insert(0, Record(0x80000077))
        v = verify(s.raw())
        assert [p.code for p in v.report.problems][-1] == "optional-run"
        assert v.libxl.record == (1024 if before else 1025)


LEGACY = {
    "libxc, 64 bits, PV": struct.pack("<QQ", 0x8000, 0xffffffffffffffff) + bytes(64),
    "libxc, 64 bits, HVM": struct.pack("<Qi", 0xff000, 1024) + bytes(64),
    "libxc, 32 bits, PV": struct.pack("<II", 0x8000, 0xffffffff) + bytes(64),
    "xm": b"LinuxGuestRecord" + bytes(64),
    "xl": b"Xen saved domain, xl format\n \0 \r" + struct.pack("<4I", 0x01020304, 1, 0, 0) + bytes(64),
}


@pytest.mark.parametrize("name", LEGACY)
def test_legacy(name):
    v = verify(LEGACY[name])
    assert "4.5" in v.report.unusable


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), b"hello world" * 10, bytes(100), b"\x09XENLEVEL"])
def test_not_a_stream(data):
    assert verify(data).report.unusable


def xl_stream(optional, flags=3):
    """With this optional data in xl's header."""
    s = hvm_stream(layer="xl")
    s.xl[:] = xl_header(optional, flags)
    return s


def test_xl_configurations():
    """None; one that is not JSON, and is not said to be; a huge one; something behind it; names that are no strings."""
    json = b'{"c_info": {"name": "web", "type": "pvh"}}'
    for optional, flags, name in ((b"", 2, None), (b"", 3, None), (counted(b"\1\2\3"), 2, None), (counted(json), 3, "web"),
                                  (counted(json + b" " * (1 << 18)), 3, None), (counted(json) + b"more", 3, "web"),
                                  (counted(b'{"c_info": {"name": 5, "type": [1]}}'), 3, None), (counted(b"{}"), 3, None)):
        s = xl_stream(optional, flags)
        v = verify(s.raw())
        assert v.report.valid and v.xl.name == name, (optional[:60], lines(v))
        assert v.xl.domain_type == ("pvh" if name else None)


def test_libxl_without_libxc():
    s = hvm_stream(layer="libxl")
    v = verify(bytes(s.libxl))
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("no-end", 16, "libxl")]
    v = verify(bytes(s.libxl) + Record(CHECKPOINT_END).raw())
    assert [(p.code, p.offset) for p in v.report.problems] == [("order", 16), ("no-end", 24)]


def test_libxl_ends_between_checkpoints():
    whole = bytes(checkpointed("libxl"))
    at = whole.index(Record(CHECKPOINT_END).raw() + Record(CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw())
    v = verify(whole[:at])
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("no-end", at, "libxl")]


def test_nothing_is_read_behind_headers_that_say_nothing():
    """Of a big-endian stream no record; that is one problem, also inside libxl's layer."""
    for layer in ("libxc", "libxl", "xl"):
        s = hvm_stream(layer=layer)
        struct.pack_into(">H", s.image, 16, 1)
        for pipe in (False, True):
            assert [code for code, *_ in found(verify(s.raw(), pipe=pipe))] == ["endian"], layer


def test_emulators():
    s = hvm_stream(layer="libxl")
    s.after[:0] = [Record(XENSTORE_DATA, struct.pack("<II", 2, 0) + b"physmap/0/name\0a value, with blanks\0empty\0\0"),
                   Record(XENSTORE_DATA, struct.pack("<II", 1, 7)), Record(EMULATOR_CONTEXT, struct.pack("<II", 1, 7) + b"x")]
    v = verify(s.raw())
    assert v.report.valid, lines(v)
    assert [(e["record"], e["emulator"], e["index"], e["bytes"]) for e in v.libxl.emulators] == [
        ("EMULATOR_XENSTORE_DATA", "QEMU", 0, 43), ("EMULATOR_XENSTORE_DATA", "QEMU traditional", 7, 0),
        ("EMULATOR_CONTEXT", "QEMU traditional", 7, 1)]
    s.after[0].body[8:] = b"\0value\0"
    assert [(p.code, p.offset) for p in verify(s.raw()).report.problems] == [("xenstore", s.at(("after", 0)) + 16)]


@pytest.mark.parametrize("state", range(4))
def test_colo_states(state):
    whole = bytes(checkpointed("libxl"))
    said = Record(CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw()
    assert whole.count(said) == 2
    for other in (struct.pack("<II", state, 0), struct.pack("<I", state)):
        assert verify(whole.replace(said, Record(CHECKPOINT_STATE, other).raw())).report.valid
