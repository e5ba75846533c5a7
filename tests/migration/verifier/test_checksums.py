# SPDX-License-Identifier: MIT
"""Checksums over what is read, and over checkpoints."""

import zlib

from harness import found, lines, verify
from streambuilder import (CHECKPOINT, CHECKPOINT_END, CHECKSUM, HVM_CONTEXT, HVM_PARAMS, PAGE_DATA, Record, Sums, TSC_INFO,
                           hvm_stream, page_data)


def test_checksum_of_the_data():
    """A flipped bit in a page: in its batch, and in every whole behind it."""
    s = hvm_stream().checksummed()
    s.find(PAGE_DATA).body[5000] ^= 4
    data = s.raw()
    assert verify(data).report.valid                # page data is not read
    checksums = [i for i, r in enumerate(s.records) if r.kind == CHECKSUM]
    first = next(i for i in checksums if i > s.index(PAGE_DATA))
    expected = [("checksum", s.at(first) + 8 + 4, "libxc", first, "CHECKSUM")]
    expected += [("checksum", s.at(i) + 8 + 24, "libxc", i, "CHECKSUM") for i in checksums if i >= first]
    for options in ({"checksums": True}, {"pipe": True}):
        assert found(verify(data, **options)) == expected


def checksum_record(parts, covered):
    """The record behind these, when all before `covered` is in earlier ones."""
    whole = b"".join(parts)
    sums = Sums(whole[:covered])
    sums.record()
    sums.bytes, sums.covered, sums.batch, sums.whole = covered, covered, 0, zlib.crc32(whole[:covered])
    sums.add(whole[covered:])
    return sums.record().raw()


def test_checksums_over_checkpoints():
    """Bytes of libxl's layer are in none."""
    s = hvm_stream(layer="libxl")
    end = s.records.pop()
    tail = b"".join(r.raw() for r in s.records if r.kind in (TSC_INFO, HVM_CONTEXT, HVM_PARAMS))
    head = s.index(PAGE_DATA)
    first = [bytes(s.image + s.domain) + b"".join(r.raw() for r in s.records[:head])]
    first.append(checksum_record(first, 0))
    covered = sum(map(len, first))
    first += [b"".join(r.raw() for r in s.records[head:]), Record(CHECKPOINT).raw()]
    again = [Record(PAGE_DATA, page_data([(0, 1)])).raw() + tail]
    last = checksum_record(first + again, covered)
    between = Record(CHECKPOINT_END).raw()
    data = bytes(s.libxl) + s.before[0].raw() + b"".join(first) + between + b"".join(again) + last + end.raw() + s.after[0].raw()
    for options in ({}, {"checksums": True}, {"pipe": True}):
        v = verify(data, **options)
        assert v.report.valid and v.libxc.checksum_records == 2, lines(v)
    at = len(s.libxl) + len(s.before[0].raw()) + covered + 100      # in the first page
    wrong = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    assert {p.code for p in verify(wrong, checksums=True).report.problems} == {"checksum"}
