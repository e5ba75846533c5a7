# SPDX-License-Identifier: MIT
"""Rows: xl's and libxl's layers around libxc's stream."""

import struct

from broken.table import Accepts, BIG_ENDIAN, BODY, NO_ACCOUNT, STOPS, WALKS, XL_HEADER, row
from streambuilder import CHECKPOINT_END, EMULATOR_CONTEXT, Record, XENSTORE_DATA


XLS_OWN = Accepts("optional flags, and what the configuration says, are xl's own")

# ---- xl ----

@row("hvm", "magic", "xl header", layer="xl", head="not a Xen migration stream: the marker of 8 bytes 0xff",
     show="neither an image made by `xl save` nor a stream of libxc", stock="No xl header")
def xl_magic(s):
    s.xl[5] ^= 1
    return "xl", 5


@row("hvm", "flags", "xl header", layer="xl", head="unknown mandatory flags 0x10 of xl: saved by a newer one", stock=XL_HEADER)
def xl_mandatory_flags(s):
    struct.pack_into("<I", s.xl, 36, 0x13)
    return "xl", 36


@row("hvm", "flags", "xl header", layer="xl", head=XLS_OWN, show=XLS_OWN, stock=XL_HEADER)
def xl_optional_flags(s):
    struct.pack_into("<I", s.xl, 40, 1)
    return "xl", 40


@row("hvm", "config", "xl header", layer="xl", head="configuration of 53 bytes in optional data of 49", stock=XL_HEADER)
def xl_config_longer_than_its_room(s):
    size = struct.unpack_from("<I", s.xl, 44)[0]
    struct.pack_into("<I", s.xl, 48, size)
    return "xl", 48


@row("hvm", "config", "xl header", layer="xl", head=XLS_OWN, show=XLS_OWN, stock=XL_HEADER)
def xl_config_not_json(s):
    s.xl[52] = ord("[")
    return "xl", 52


@row("hvm", "config", "xl header", layer="xl", head="optional data of 2 bytes cannot hold a length", stock=XL_HEADER)
def xl_optional_data_too_short(s):
    del s.xl[50:]
    struct.pack_into("<I", s.xl, 44, 2)
    return "xl", 44


@row("hvm", "endian", "xl header", layer="xl", head="byte order is 0x04030201, not 0x01020304: saved on", stock=XL_HEADER)
def xl_byte_order(s):
    struct.pack_into(">I", s.xl, 32, 0x01020304)
    return "xl", 32


@row("hvm", "ident", "libxl header", layer="libxl", place=("libxl", None),
     head="libxl's stream does not begin here: no \"LibxlFmt\"", stock="Bad image id: Expected 0x4c6962786c466d74, got")
def libxl_ident(s):
    s.libxl[1] ^= 1
    return "libxl", 0


@row("hvm", "version", "libxl header", layer="libxl", head="version 3 of libxl's stream; only 2 is known",
     stock="Unknown image version: Expected 2, got 3")
def libxl_version(s):
    struct.pack_into(">I", s.libxl, 8, 3)
    return "libxl", 8


@row("hvm", "reserved", "libxl header", layer="libxl", head="options 0x00000004: reserved bits are not zero",
     stock="Reserved bits set in image options field: 0x4")
def libxl_reserved(s):
    struct.pack_into(">I", s.libxl, 12, 4)
    return "libxl", 12


@row("hvm", "endian", "libxl header", layer="libxl", head="libxl's stream is big-endian", stock=BIG_ENDIAN)
def libxl_big_endian(s):
    struct.pack_into(">I", s.libxl, 12, 1)
    return "libxl", 12


@row("hvm", "length", "LIBXC_CONTEXT", layer="libxl", head="has a body of 8 bytes, must have none",
     stock="Libxc context record with non-zero length")
def libxl_context_with_body(s):
    s.before[0].body += bytes(8)
    return ("before", 0), 4


@row("hvm", "order", "libxl records", layer="libxl", head="stands before LIBXC_CONTEXT", stock=NO_ACCOUNT)
def libxl_emulator_before_context(s):
    s.before.insert(0, Record(XENSTORE_DATA, struct.pack("<II", 2, 0)))
    return ("before", 0), 0


@row("hvm", "unknown-record", "libxl records", layer="libxl", show="a mandatory record that is not known",
     stock="Unrecognised record type 4d")
def libxl_unknown(s):
    s.after.insert(0, Record(77, bytes(16)))
    return ("after", 0), 0


@row("hvm", "padding", "libxl records", layer="libxl", stock="Padding containing non0 bytes found")
def libxl_padding(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3state", padding=b"\0\0\1"))
    return ("after", 0), 8 + 21


@row("hvm", "emulator", "EMULATOR_CONTEXT", layer="libxl", stock="Unrecognised emulator id 0x9")
def libxl_emulator_unknown(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 9, 0) + bytes(8)))
    return ("after", 0), 8


@row("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl", stock=BODY)
def libxl_emulator_magic(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVN\0\0\0\3" + bytes(80)))
    return ("after", 0), 16


@row("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl", stock=BODY)
def libxl_emulator_version(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\2" + bytes(80)))
    return ("after", 0), 16


@row("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl", stock=BODY)
def libxl_emulator_cut(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM"))
    return ("after", 0), 16


@row("hvm", "length", "EMULATOR_CONTEXT", layer="libxl", show="length 4, must be at least 9",
     stock="Length must be at least 8 bytes, got 4")
def libxl_emulator_short(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, bytes(4)))
    return ("after", 0), 4


@row("hvm", "length", "EMULATOR_CONTEXT", layer="libxl", show="length 8, must be at least 9", stock=BODY)
def libxl_emulator_empty(s):
    s.after.insert(0, Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0)))
    return ("after", 0), 4


@row("hvm", "length", "EMULATOR_XENSTORE_DATA", layer="libxl", show="length 4, must be at least 8",
     stock="Length must be at least 8 bytes, got 4")
def libxl_xenstore_short(s):
    s.after.insert(0, Record(XENSTORE_DATA, bytes(4)))
    return ("after", 0), 4


@row("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl", stock="Data not NUL terminated")
def libxl_xenstore_unterminated(s):
    s.after.insert(0, Record(XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value"))
    return ("after", 0), 8 + 8 + 8


@row("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl", stock="Data not NUL terminated")
def libxl_xenstore_odd(s):
    s.after.insert(0, Record(XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0other\0"))
    return ("after", 0), 16


@row("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl", stock="Data not NUL terminated")
def libxl_xenstore_key(s):
    s.after.insert(0, Record(XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0o her\0x\0"))
    return ("after", 0), 16 + 10


@row("hvm", "length", "EMULATOR_XENSTORE_DATA", layer="libxl", show=WALKS, stock="Data not NUL terminated")
def libxl_xenstore_long(s):
    s.after.insert(0, Record(XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0" * 150000))
    return ("after", 0), 4


@row("hvm", "order", "libxl records", layer="libxl", show="no CHECKPOINT of libxc stands before it", stock=NO_ACCOUNT)
def libxl_checkpoint_end_without_checkpoint(s):
    s.after.insert(0, Record(CHECKPOINT_END))
    return ("after", 0), 0


@row("hvm", "no-end", "libxl END", layer="libxl", place=("libxl", None), show="the image ends here, without libxl's END",
     stock="Stream truncated")
def libxl_no_end(s):
    del s.after[0]
    return "trailing", 0


@row("hvm", "length", "libxl END", layer="libxl", show="has a body of 8 bytes, must have none",
     stock="End record with non-zero length")
def libxl_end_with_body(s):
    s.after[0].body += bytes(8)
    return ("after", 0), 4


@row("hvm", "trailing", "END", layer="libxl", place=("input", None), show="4 bytes stand behind the end of the image",
     stock=STOPS)
def libxl_trailing(s):
    s.trailing = b"more"
    return "trailing", 0
