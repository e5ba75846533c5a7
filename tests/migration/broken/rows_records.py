# SPDX-License-Identifier: MIT
"""Rows: Records as such, and END."""

from broken.table import BODY, NO_OPTIONAL, STOPS, WALKS, row
from streambuilder import END, HVM_CONTEXT, PAGE_DATA, Record, TSC_INFO


# ---- records as such ----

@row("hvm", "unknown-record", "Records", engine="no such record (0x13) can be in a stream",
     show="a mandatory record that is not known", stock="Unrecognised record type 0x13")
def unknown_record(s):
    return s.insert_before(TSC_INFO, Record(0x13, bytes(24))), 0


@row("hvm", "padding", "Records", engine="its padding is not zero", stock=NO_OPTIONAL)
def padding(s):
    i = s.insert_before(TSC_INFO, Record(0x90000001, b"optional", padding=b""))
    s.records[i] = Record(0x90000001, b"odd", padding=b"\0\0\0\7\0")
    return i, 8 + 3


@row("hvm", "truncated", "Records", engine="the stream ends before its end", show="the image ends here, 4 bytes short",
     stock="Stream truncated")
def cut_in_a_body(s):
    i = s.index(HVM_CONTEXT)
    del s.records[i + 1:]
    s.records[i] = Record(HVM_CONTEXT, s.records[i].body[:-4], length=len(s.records[i].body), padding=b"")
    # Where the bytes end; what has been lost is the end of the last entry.
    return i, 8 + len(s.records[i].body)


@row("hvm", "length", "PAGE_DATA", engine="12336 bytes for 4 entries and 3 pages", show=WALKS,
     stock="Expected 8 + 32 + 12288, got 12336")
def page_data_with_half_a_page(s):
    s.find(PAGE_DATA).body += bytes(8)
    return s.index(PAGE_DATA), 4


@row("pv", "page-frame", "PAGE_DATA", engine="frame 200000000 is beyond the 1024 of its", stock=BODY)
def page_frame_beyond_the_p2m_and_32_bits(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 1 << 33 | 1 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 2


@row("hvm", "page-frame", "PAGE_DATA", engine="entry 2: frame 10000000000 is beyond all memory", stock=BODY)
def page_frame_first_too_high(s):
    s.find(PAGE_DATA).set(8 + 16, "<Q", (1 << 40) | 15 << 60)
    return s.index(PAGE_DATA), 16 + 16


@row("pv", "page-type", "PAGE_DATA", engine="no pages of type 6",
     stock="Invalid type value in pfn[5]: 0x6000000000000000")
def page_type_unknown_without_data(s):
    """Of a type that nobody knows nobody can say whether it has data; the last frame is the guest's."""
    s.find(PAGE_DATA).set(8 + 8 * 5, "<Q", 1023 | 6 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 5


@row("hvm", "no-end", "END", place=("libxc", None), engine="the stream ends before its end",
     show="the image ends here, without libxc's END", stock="Stream truncated")
def no_end(s):
    s.remove(END)
    return "trailing", 0


@row("hvm", "length", "END", engine="it has a body", show="has a body of 8 bytes, must have none",
     stock="End record with non-zero length")
def end_with_body(s):
    s.find(END).body += bytes(8)
    return s.index(END), 4


@row("hvm", "trailing", "END", place=("input", None), show="1 bytes stand behind the end of the image", stock=STOPS)
def trailing(s):
    s.trailing = b"\0"
    return "trailing", 0
