# SPDX-License-Identifier: MIT
"""PAGE_DATA: frame numbers with types, then the contents of those that have any.

A stream of 4 GiB has a million of them, so whole records are judged by their bytes' columns; only a record in which
something is odd is gone through entry by entry.
"""

import struct
import sys

SECTION = "PAGE_DATA"
PAGE = 4096
PIECE = 8192            # entries looked at at a time
NR_TYPES = 16
TYPE_NAMES = {0: "NOTAB", 1: "L1TAB", 2: "L2TAB", 3: "L3TAB", 4: "L4TAB", 9: "L1TAB_PIN", 10: "L2TAB_PIN", 11: "L3TAB_PIN",
              12: "L4TAB_PIN", 13: "BROKEN", 14: "XALLOC", 15: "XTAB"}
WITHOUT_DATA = (13, 14, 15)
TABLES = (1, 2, 3, 4, 9, 10, 11, 12)
PV = 1
PFN = (1 << 52) - 1
MAX_PFN = 1 << 40       # x86 has 52 address bits

_TYPES = bytes(range(0, 256, 16))
# Bytes 63..56 of an entry that are right: the type with no reserved bit.
_LEGAL_PV = bytes(t << 4 for t in TYPE_NAMES)
_LEGAL_HVM = bytes(t << 4 for t in TYPE_NAMES if t not in TABLES)


class Pages:
    """All PAGE_DATA records of a stream."""

    def __init__(self):
        self.types = [0] * NR_TYPES

    @property
    def entries(self):
        return sum(self.types)

    @property
    def with_data(self):
        return sum(n for t, n in enumerate(self.types) if t in TYPE_NAMES and t not in WITHOUT_DATA)

    def as_dict(self):
        return {TYPE_NAMES.get(t, f"type {t}"): n for t, n in enumerate(self.types) if n}

    def record(self, body, start, guest, end_pfn, add):
        if body.length < 8:
            add("length", start + 4, SECTION, f"a body of {body.length} bytes, at least 8 are needed")
            return
        at = body.offset
        count, reserved = struct.unpack("<II", body.read(8))
        if reserved:
            add("reserved", at + 4, SECTION, "reserved bits are not zero")
        if not count:
            add("page-count", at, SECTION, "a count of 0; at least one page is needed")
        if count * 8 > body.left:
            add("page-count", at, SECTION, f"a count of {count}, and there is room for {body.left // 8} frame numbers")
            return
        data, odd = self._entries(body, count, guest, end_pfn, add)
        # Of a type that no one knows nobody can say whether it has data.
        if not body.left % PAGE and data <= body.left // PAGE <= data + odd:
            return
        add("length", start + 4, SECTION, f"a body of {body.length} bytes; {count} frame numbers and {data} pages need "
                                          f"{8 + 8 * count + PAGE * data}")

    def _entries(self, body, count, guest, end_pfn, add):
        """(entries with data, entries of unknown type)"""
        legal = _LEGAL_PV if guest == PV else _LEGAL_HVM
        limit = end_pfn if guest == PV else None
        with_data = odd = index = 0
        while index < count:
            n = min(count - index, PIECE)
            at = body.offset
            data = body.read(8 * n)
            top = data[7::8]
            if (top.translate(None, legal) or data[6::8].count(0) != n or data[5::8].count(0) != n
                    or limit is not None and self._highest(data) > limit):
                self._slowly(data, index, at, guest, limit, add)
            if top.count(0) == n:
                self.types[0] += n
                with_data += n
            else:
                w, o = self._count_types(top)
                with_data += w
                odd += o
            index += n
        return with_data, odd

    def _count_types(self, top):
        with_data = odd = 0
        if top.translate(None, _TYPES):         # reserved bits are in the way
            top = bytes(b & 0xf0 for b in top)
        for t in range(NR_TYPES):
            n = top.count(t << 4)
            self.types[t] += n
            if t not in TYPE_NAMES:
                odd += n
            elif t not in WITHOUT_DATA:
                with_data += n
        return with_data, odd

    @staticmethod
    def _highest(data):
        """The highest frame number below 2^32; more when there are higher ones."""
        if data[4::8].count(0) * 8 != len(data) or sys.byteorder != "little":
            return 1 << 32
        return max(memoryview(data).cast("I")[::2])

    @staticmethod
    def _slowly(data, index, at, guest, limit, add):
        for i, (entry,) in enumerate(struct.iter_unpack("<Q", data)):
            offset, which = at + 8 * i, f"pfn[{index + i}]"
            kind, pfn = entry >> 60, entry & PFN
            if entry >> 52 & 0xff:
                add("page-reserved", offset, SECTION, f"{which}: reserved bits {entry >> 52 & 0xff:#x} are set")
            if kind not in TYPE_NAMES:
                add("page-type", offset, SECTION, f"{which}: no page has type {kind:#x}")
            elif kind in TABLES and guest != PV:
                add("page-type", offset, SECTION, f"{which}: type {TYPE_NAMES[kind]}, which only PV guests have")
            if limit is not None and pfn > limit:
                add("page-frame", offset, SECTION, f"{which}: frame {pfn:#x} is beyond the guest's last, {limit:#x}")
            elif pfn >= MAX_PFN:
                add("page-frame", offset, SECTION, f"{which}: frame {pfn:#x} is beyond what an x86 CPU can address")
