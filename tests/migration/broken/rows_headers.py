# SPDX-License-Identifier: MIT
"""Rows: libxc's image header and domain header."""

import struct

from broken.table import BIG_ENDIAN, row


# ---- headers ----

@row("hvm", "marker", "Image header", head="not a Xen migration stream: the marker of 8 bytes 0xff",
     engine="this is no migration stream, or an image of Xen 4.5 or",
     show="neither an image made by `xl save` nor a stream of libxc", stock="Bad image marker: Expected 0xffffffffffffffff, got")
def marker(s):
    s.image[3] = 0
    return "image", 0


@row("hvm", "ident", "Image header", head="not a Xen migration stream: its id is 0x58654e46, not", engine="its id is not XENF",
     stock="Bad image id: Expected 0x58454e46, got 0x58654e46")
def ident(s):
    s.image[9] ^= 0x20
    return "image", 8


@row("hvm", "version", "Image header", head="version 4 of the stream; 2 and 3 are known", engine="version 4; 2 and 3 are known",
     stock="Unknown image version: Expected 2 <= ver <= 3, got 4")
def version(s):
    struct.pack_into(">I", s.image, 12, 4)
    return "image", 12


@row("hvm", "reserved", "Image header", head="options 0x0002: reserved bits are not zero",
     engine="it is big-endian, or reserved bits of its header are", stock="Reserved bits set in image options field: 0x2")
def image_options(s):
    struct.pack_into(">H", s.image, 16, 2)
    return "image", 16


@row("hvm", "reserved", "Image header", head="reserved bytes of the image header are not zero",
     engine="it is big-endian, or reserved bits of its header are", stock="Reserved bits set in image header: 0x0000:0x00000001")
def image_reserved(s):
    s.image[23] = 1
    return "image", 16


@row("hvm", "endian", "Image header", head="the stream is big-endian",
     engine="it is big-endian, or reserved bits of its header are", stock=BIG_ENDIAN)
def big_endian(s):
    struct.pack_into(">H", s.image, 16, 1)
    return "image", 16


@row("hvm", "guest-type", "Domain header", head="guest type 4; 1 (x86 PV) and 2 (x86 HVM) are known",
     engine="guest type 4 with pages of 2^12 bytes", stock="Unrecognised domain type 0x4")
def guest_type(s):
    struct.pack_into("<I", s.domain, 0, 4)
    return "domain", 0


@row("hvm", "page-shift", "Domain header", head="pages of 2^16 bytes; x86 has 2^12",
     engine="guest type 2 with pages of 2^16 bytes", stock="Page shift expected to be 12.  Got 16")
def page_shift(s):
    struct.pack_into("<H", s.domain, 4, 16)
    return "domain", 4


@row("hvm", "reserved", "Domain header", head="the reserved field of the domain header is not zero",
     engine="guest type 2 with pages of 2^12 bytes", stock="Reserved bits set in domain header 0x0001")
def domain_reserved(s):
    struct.pack_into("<H", s.domain, 6, 1)
    return "domain", 6
