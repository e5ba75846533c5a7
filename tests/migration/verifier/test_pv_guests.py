# SPDX-License-Identifier: MIT
"""PV guests: what is right, and what is said once though it is wrong twice."""

import struct

import pytest

from harness import missing, problems, pv_registers, verify
from migration import libxc, pv
from streambuilder import (CHECKPOINT, END, P2M_FRAMES, PAGE_DATA, PV_INFO, Record, SHARED_INFO, TSC_INFO, VCPU_BASIC,
                           VCPU_EXTENDED, VCPU_MSRS, VCPU_XSAVE, page_data, pv_stream)


def test_pv_info_missing():
    s = pv_stream()
    s.remove(PV_INFO)
    p2m, end = s.index(P2M_FRAMES), s.index(END)
    assert problems(s) == [("order", s.at(p2m), p2m), ("missing", s.at(end), end)]


def test_vcpu_0_missing():
    s = pv_stream()
    s.find(VCPU_BASIC).set(0, "<I", 1)
    for kind in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS):
        s.find(kind).set(0, "<I", 1)
    v = verify(s.raw())
    end = s.index(END)
    assert [(p.code, p.offset, p.record) for p in v.report.problems] == [("missing", s.at(end), end)]
    assert "vCPU 0" in v.report.problems[0].text


def pv32_stream():
    """A 32-bit guest: two frames of its list name as many frames as four do of a 64-bit one."""
    s = pv_stream()
    s.find(PV_INFO).set(0, "<BB", 4, 3)
    s.find(P2M_FRAMES).set(0, "<II", 0, 2047)
    s.find(VCPU_BASIC).body[8:] = bytes(2800)
    return s


def test_32_bit_guests():
    assert problems(pv32_stream()) == []
    layout = pv.LAYOUTS[4]
    for offset, value, code in ((layout.rdx, 2048, "pv-frame"), (layout.rdx, 2047, None), (layout.ctrlreg + 12, 2047 << 12, None),
                                (layout.ctrlreg + 12, 2048 << 12, "pv-frame"), (layout.ctrlreg + 12, 1, "pv-frame"),
                                (layout.gdt_ents, 8193, "pv-gdt"), (layout.ctrlreg + 4, 7 << 12, None)):
        s = pv32_stream()
        part, inside = pv_registers(s, offset, value, layout)
        assert problems(s) == ([(code, s.at(part) + inside, part)] if code else []), (offset, value)


def test_registers_of_a_64_bit_guest_that_are_right():
    """The last frame, the most descriptors; start info is vCPU 0's."""
    s = pv_stream()
    for offset, value in ((616, 1023), (4984 + 24, 1023 << 12 | 0x18), (4984 + 8, 1023 << 12 | 1), (4960, 8192)):
        pv_registers(s, offset, value)
    assert problems(s) == []
    other = bytearray(s.find(VCPU_BASIC).body)
    struct.pack_into("<I", other, 0, 1)
    struct.pack_into("<Q", other, 8 + 616, 1 << 40)
    s.insert_before(VCPU_EXTENDED, Record(VCPU_BASIC, other))
    assert problems(s) == []


def test_xsave_without_a_policy():
    """x87 and SSE have one size; of others only the policy tells."""
    s = pv_stream(2)
    s.find(VCPU_XSAVE).body[24 + 576:] = b""
    for accumulated, size, code in ((3, 576, None), (3, 640, "xstate-size"), (7, 640, None), (7, 832, None)):
        s.find(VCPU_XSAVE).set(8, "<QQ", accumulated, accumulated)
        s.find(VCPU_XSAVE).body[24:] = bytes(size)
        assert [c for c, _, _ in problems(s)] == ([code] if code else []), (accumulated, size)


def test_xsave_that_never_was_on():
    """16 bytes and no area."""
    s = pv_stream()
    del s.find(VCPU_XSAVE).body[24:]
    assert problems(s) == []


def test_pv_info_of_a_few_bytes():
    s = pv_stream()
    del s.find(PV_INFO).body[4:]
    assert problems(s)[0] == ("length", s.at(0) + 4, 0)


@pytest.mark.parametrize("at", range(2, 8))
def test_reserved_bytes_of_pv_info(at):
    s = pv_stream()
    s.find(PV_INFO).body[at] = 0x80
    assert problems(s) == [("reserved", s.at(0) + 10, 0)]


def test_lists_of_frames_that_are_right():
    """One entry; and the last frame can hold a part of the list."""
    s = pv_stream()
    s.find(P2M_FRAMES).body[:] = struct.pack("<IIQ", 0, 1023, 1023) + struct.pack("<Q", 7)
    assert problems(s) == []
    s.find(P2M_FRAMES).body[:] = struct.pack("<IIQ", 12, 12, 6)
    assert problems(s) == []


def test_memory_before_its_list_is_said_once():
    s = pv_stream()
    i = s.index(P2M_FRAMES)
    for _ in range(2):
        s.records.insert(i, Record(PAGE_DATA, page_data([(0, 6)])))
    assert problems(s) == [("order", s.at(i), i)]


def test_empty_records_of_old_senders():
    s = pv_stream()
    for kind in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS):
        del s.find(kind).body[8:]
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == [f"empty {libxc.NAMES[k]} records" for k in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS)]
    del s.find(VCPU_BASIC).body[8:]
    assert [code for code, _, _ in problems(s)] == ["missing"]


@pytest.mark.parametrize("size, right", [(120, True), (121, True), (128, True), (129, False)])
def test_sizes_of_vcpu_extended(size, right):
    s = pv_stream()
    s.find(VCPU_EXTENDED).body[8:] = bytes(size)
    assert (problems(s) == []) == right


def test_small_xsave_areas_are_said_once():
    s = pv_stream()
    del s.find(VCPU_XSAVE).body[8 + 16 + 100:]
    i = s.index(VCPU_XSAVE)
    assert problems(s) == [("xstate-size", s.at(i) + 8 + 8 + 16, i)]


def test_pv_checkpoints():
    s = pv_stream()
    state = [Record(r.kind, r.body) for r in s.records if r.kind in (TSC_INFO, SHARED_INFO, *libxc.VCPU_RECORDS)]
    s.records[-1:] = [Record(CHECKPOINT), Record(P2M_FRAMES, s.find(P2M_FRAMES).body), Record(PAGE_DATA, page_data([(0, 6)])), *state,
                      Record(CHECKPOINT), Record(END)]
    assert problems(s) == []
    s.records = [r for r in s.records if r.kind != VCPU_BASIC or r is s.find(VCPU_BASIC)]
    v = verify(s.raw())
    assert missing(v) == ["there was no X86_PV_VCPU_BASIC record for this checkpoint"]
    s.records.insert(0, Record(CHECKPOINT))
    assert problems(s)[0] == ("order", s.at(0), 0)
