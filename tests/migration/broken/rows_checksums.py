# SPDX-License-Identifier: MIT
"""Rows: Checksums."""

from broken.table import NO_OPTIONAL, WALKS, row
from streambuilder import CHECKSUM, END, PAGE_DATA


# ---- checksums ----

@row("hvm", "order", "CHECKSUM", engine="the first checksum of a stream stands before its memory", show=WALKS, stock=NO_OPTIONAL)
def checksum_first_behind_memory(s):
    """Who has met memory without one need not sum."""
    s.checksummed(behind=(PAGE_DATA,))
    return s.index(CHECKSUM), 0


@row("hvm", "length", "CHECKSUM", checksums=True, engine="40 bytes, must be 32", show="length 40, must be 32", stock=NO_OPTIONAL)
def checksum_length(s):
    """The next one does not cover what nobody could read."""
    i = s.index(CHECKSUM, len([r for r in s.records if r.kind == CHECKSUM]) - 1)
    s.records[i].body += bytes(8)
    return i, 4


@row("hvm", "checksum-algorithm", "CHECKSUM", checksums=True, engine="algorithm 2 is not known, or a reserved field is not",
     stock=NO_OPTIONAL)
def checksum_algorithm(s):
    i = s.index(CHECKSUM, 3)
    assert s.records[i + 1].kind == END
    s.records[i].set(0, "<I", 2)
    return i, 8


@row("hvm", "reserved", "CHECKSUM", checksums=True, engine="algorithm 1 is not known, or a reserved field is not",
     stock=NO_OPTIONAL)
def checksum_reserved(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(28, "<I", 2)
    return i, 8 + 28


@row("hvm", "checksum-bytes", "CHECKSUM", checksums=True, engine="it is about 7 and 15040 bytes",
     stock=NO_OPTIONAL)
def checksum_batch_bytes(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(8, "<Q", 7)
    return i, 8 + 8


@row("hvm", "checksum-bytes", "CHECKSUM", checksums=True, engine="it is about 1544 and 7 bytes",
     stock=NO_OPTIONAL)
def checksum_whole_bytes(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(16, "<Q", 7)
    return i, 8 + 16


@row("hvm", "checksum-uncovered", "CHECKSUM", checksums=True, engine="1544 bytes before it are in no checksum", show=WALKS,
     stock=NO_OPTIONAL)
def checksum_not_before_end(s):
    i = s.index(CHECKSUM, 3)
    del s.records[i]
    return s.index(END), 0
