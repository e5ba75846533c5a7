# SPDX-License-Identifier: MIT
"""What is said of a stream with many problems, and of one that ends too early."""

import struct

import pytest

from broken.table import ORDER
from harness import found, lines, missing, problems, verify
from streambuilder import (CPUID_POLICY, END, HVM, PAGE_DATA, PV, Record, SHARED_INFO, Stream, TSC_INFO, VCPU_BASIC, VCPU_XSAVE,
                           hvm_stream, page_data, pv_stream)


def test_all_problems_at_once():
    s = pv_stream()
    struct.pack_into("<H", s.domain, 6, 1)
    s.find(PAGE_DATA).set(8, "<Q", 6 | 5 << 60)
    s.find(TSC_INFO).set(0, "<I", 9)
    unknown = s.insert_before(SHARED_INFO, Record(99, bytes(24)))
    s.find(VCPU_BASIC).set(4, "<I", 7)
    s.find(VCPU_XSAVE).body[24 + 540] = 1
    s.remove(SHARED_INFO)
    s.trailing = b"x"
    assert found(verify(s.raw())) == [
        ("reserved", s.at("domain") + 6, "libxc", None, "Domain header"),
        ("page-type", s.at(s.index(PAGE_DATA)) + 16, "libxc", s.index(PAGE_DATA), "PAGE_DATA"),
        ("tsc-mode", s.at(s.index(TSC_INFO)) + 8, "libxc", s.index(TSC_INFO), "X86_TSC_INFO"),
        ("unknown-record", s.at(unknown), "libxc", unknown, "Records"),
        ("reserved", s.at(s.index(VCPU_BASIC)) + 12, "libxc", s.index(VCPU_BASIC), "X86_PV_VCPU_BASIC"),
        ("reserved", s.at(s.index(VCPU_XSAVE)) + 8 + 24 + 528, "libxc", s.index(VCPU_XSAVE), "X86_PV_VCPU_XSAVE"),
        ("missing", s.at(s.index(END)), "libxc", s.index(END), ORDER),
        ("trailing", s.at("trailing"), "input", None, "END")]


def test_length_above_the_limit():
    s = hvm_stream()
    i = s.insert_before(TSC_INFO, Record(0x80000001, length=(128 << 20) + 1))
    assert problems(s)[0] == ("length", s.at(i) + 4, i)


def test_many_alike_are_counted():
    s = hvm_stream()
    s.find(PAGE_DATA).body[:] = page_data([(15, n | 1 << 54) for n in range(1000)])
    v = verify(s.raw())
    assert v.report.count == 1000
    assert [p.code for p in v.report.problems] == ["page-reserved"] * 9
    assert "992 more" in v.report.problems[-1].text


def test_cut_everywhere(captured):
    """Wherever a stream ends too early, that is said, and nothing else goes wrong."""
    for data in (hvm_stream(layer="xl").raw(), pv_stream().checksummed().raw()):
        steps = {*range(0, 2000, 7), *range(2000, len(data), 997)}
        for cut in sorted(steps):
            v = verify(data[:cut])
            if v.report.unusable is None:
                assert {p.code for p in v.report.problems} & {"truncated", "no-end"}, (cut, lines(v))
                assert v.report.count == 1, (cut, lines(v))


def test_cut_says_what_was_being_read():
    s = hvm_stream(layer="xl")
    for part, inside, section in (("xl", 40, "xl header"), ("libxl", 9, "libxl header"), (("before", 0), 4, "libxl records"),
                                  ("image", 20, "Image header"), ("domain", 7, "Domain header"), (0, 100, "Records")):
        v = verify(s.raw()[:s.at(part) + inside])
        assert [(p.code, p.offset, p.section) for p in v.report.problems] == [("truncated", s.at(part) + inside, section)]
    for i in (0, 4):
        v = verify(s.raw()[:s.at(i) + 3])
        assert [(p.record, p.type) for p in v.report.problems] == [(i, None)]


@pytest.mark.parametrize("kind", [CPUID_POLICY, PAGE_DATA, END])
def test_a_run_of_optional_records(kind):
    """1024 are skipped; behind the next one nothing is read, however much there is."""
    s = hvm_stream(layer="libxl")
    at = s.index(kind)
    s.records[at:at] = [Record(0x80000077)] * 1024
    assert problems(s) == []
    s.records[at:at] = [Record(0x80000077)] * 4096
    for pipe in (False, True):
        v = verify(s.raw(), pipe=pipe)
        assert found(v) == [("optional-run", s.at("domain") + 16 + sum(len(r.raw()) for r in s.records[:at]) + 8 * 1024, "libxc",
                             at + 1024, "Records")]
        assert v.libxc.record == at + 1024      # and no further


def test_one_damaged_word_of_the_image_header():
    """Then the rest can be read; with two it is no stream of libxc's."""
    for damaged, codes in (((0,), ["marker", "tsc-mode"]), ((9,), ["ident", "tsc-mode"]), ((0, 9), ["marker", "ident"])):
        s = hvm_stream()
        s.find(TSC_INFO).set(0, "<I", 9)
        for at in damaged:
            s.image[at] ^= 0x10
        assert [code for code, _, _ in problems(s, format_="libxc")] == codes


@pytest.mark.parametrize("at", range(18, 24))
def test_reserved_bytes_of_the_image_header(at):
    s = hvm_stream()
    s.image[at] = 0x80
    assert problems(s) == [("reserved", 16, None)]


def test_converted_streams():
    s = hvm_stream()
    struct.pack_into("<I", s.domain, 8, 0)
    assert verify(s.raw()).report.notes == ["converted from a legacy stream"]
    struct.pack_into("<I", s.domain, 8, 1)
    assert verify(s.raw()).report.notes == []


def test_all_that_is_missing_is_named():
    for guest, version, names in (
            (HVM, 3, ["STATIC_DATA_END", "PAGE_DATA", "X86_TSC_INFO", "HVM_CONTEXT"]),
            (HVM, 2, ["PAGE_DATA", "X86_TSC_INFO", "HVM_CONTEXT"]),
            (PV, 3, ["X86_PV_INFO", "STATIC_DATA_END", "X86_PV_P2M_FRAMES", "PAGE_DATA", "SHARED_INFO", "X86_TSC_INFO",
                            "X86_PV_VCPU_BASIC"])):
        found_ = missing(verify(Stream([Record(END)], guest, version).raw()))
        assert [text.split()[3] for text in found_] == names
