# SPDX-License-Identifier: MIT
"""Rows: Memory."""

from broken.table import BODY, WALKS, row
from streambuilder import PAGE_DATA


# ---- memory ----

@row("hvm", "length", "PAGE_DATA", engine="4 bytes", show="length 4, must be at least 8",
     stock="PAGE_DATA record must be at least 8 bytes long")
def page_data_short(s):
    s.find(PAGE_DATA).body[4:] = b""
    return s.index(PAGE_DATA), 4


@row("hvm", "page-count", "PAGE_DATA", engine="0 pages in 8 bytes; 1 to 1024 can be",
     stock="PAGE_DATA record must be at least 8 bytes long")
def page_data_no_pages(s):
    s.find(PAGE_DATA, 1).body[:] = bytes(8)
    return s.index(PAGE_DATA, 1), 8


@row("hvm", "page-count", "PAGE_DATA", engine="536870912 pages in 12328 bytes; 1 to 1024 can be",
     stock="PAGE_DATA record must contain a pfn record for each")
def page_data_count_too_high(s):
    s.find(PAGE_DATA).set(0, "<I", 0x20000000)
    return s.index(PAGE_DATA), 8


@row("hvm", "reserved", "PAGE_DATA", engine="4 pages in 12328 bytes; 1 to 1024 can be",
     stock="Reserved bits set in PAGE_DATA record 0x0001")
def page_data_reserved(s):
    s.find(PAGE_DATA).set(4, "<I", 1)
    return s.index(PAGE_DATA), 12


@row("hvm", "page-reserved", "PAGE_DATA", engine="entry 3: reserved bits are not zero",
     stock="Reserved bits set in pfn[3]: 0x0200000000000000")
def page_reserved_bits(s):
    s.find(PAGE_DATA).set(8 + 8 * 3, "<Q", 3 | 1 << 57)
    return s.index(PAGE_DATA), 16 + 8 * 3


@row("hvm", "page-reserved", "PAGE_DATA", engine="entry 2: reserved bits are not zero",
     stock="Reserved bits set in pfn[2]: 0x0020000000000000")
def page_reserved_bits_of_a_hole(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 2 | 15 << 60 | 1 << 53)
    return s.index(PAGE_DATA), 16 + 8 * 2


@row("pv", "page-type", "PAGE_DATA", engine="no pages of type 5",
     stock="Invalid type value in pfn[0]: 0x5000000000000000")
def page_type_unknown(s):
    s.find(PAGE_DATA).set(8, "<Q", 6 | 5 << 60)
    return s.index(PAGE_DATA), 16


@row("hvm", "page-type", "PAGE_DATA", engine="no pages of type 2", stock=BODY)
def page_type_of_pv_in_hvm(s):
    s.find(PAGE_DATA).set(8, "<Q", 0 | 2 << 60)
    return s.index(PAGE_DATA), 16


@row("hvm", "length", "PAGE_DATA", engine="8232 bytes for 4 entries and 3 pages", show=WALKS,
     stock="Expected 8 + 32 + 12288, got 8232")
def page_missing(s):
    s.find(PAGE_DATA).body[-4096:] = b""
    return s.index(PAGE_DATA), 4


@row("hvm", "length", "PAGE_DATA", engine="16424 bytes for 4 entries and 3 pages", show=WALKS,
     stock="Expected 8 + 32 + 12288, got 16424")
def page_too_many(s):
    s.find(PAGE_DATA).body += bytes(4096)
    return s.index(PAGE_DATA), 4


@row("hvm", "page-frame", "PAGE_DATA", engine="entry 0: frame 20000000000 is beyond all memory", stock=BODY)
def page_frame_too_high(s):
    s.find(PAGE_DATA).set(8, "<Q", 1 << 41)
    return s.index(PAGE_DATA), 16


@row("pv", "page-frame", "PAGE_DATA", engine="frame 400 is beyond the 1024 of its X86_PV_P2M_FRAMES", stock=BODY)
def page_frame_beyond_the_p2m(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 1024 | 1 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 2
