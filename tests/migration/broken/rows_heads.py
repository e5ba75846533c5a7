# SPDX-License-Identifier: MIT
"""Rows: heads, each with the place where the gate's reader finds what is wrong."""

import struct

from broken.edits import claim, drop, edit, insert, put, put_header, put_layer, resize, twice
from broken.table import Accepts, At, BIG_ENDIAN, BODY, ENTRIES, NO_ACCOUNT, NO_OPTIONAL, UNUSABLE, XL_HEADER, row
from streambuilder import (CHECKSUM, CPUID_POLICY, DIRTY_PFN_LIST, END, HEAD_CHECKSUM, HVM_CONTEXT, HVM_PARAMS, MSR_POLICY,
                           OPTIONAL, P2M_FRAMES, PAGE_DATA, PV_INFO, Record, SHARED_INFO, STATIC_DATA_END, TOOLSTACK, TSC_INFO,
                           VCPU_BASIC, VERIFY, captured_records, pv_info, xl_header)

HEAD_MAX, OPTIONAL_MAX, RECORDS_MAX = 262144, 65536, 32     # of a head
POLICY = captured_records("pvh-cascadelake")[CPUID_POLICY]
MSRS = captured_records("pvh-cascadelake")[MSR_POLICY]
NO_SUCH = At("a version 2 stream has no such record")
LEGACY = Accepts("it only remarks that a stream was converted")
LIMIT = Accepts("how long a head can be is for its readers alone")
AGAIN = At("a second time")


# ---- headers ----

@row("hvm", UNUSABLE, None, head=At("not a Xen migration stream", 0),
     engine="this is no migration stream, or an image of Xen 4.5 or",
     show="neither an image made by `xl save` nor a stream of libxc", stock="Bad image marker: Expected 0xffffffffffffffff, got")
def garbage(s):
    s.image[:], s.domain[:] = b"G" * 24, b"G" * 76
    del s.records[:]
    return "image", 0


edit("hvm", "ident", put_header(11, b"G"), head=At("id is 0x58454e47", 8), engine="its id is not XENF",
     stock="Bad image id: Expected 0x58454e46, got 0x58454e47")
edit("hvm", "version", put_header(12, b"\0\0\0\1"), head=At("version 1 of the stream"), engine="version 1; 2 and 3 are known",
     stock="Unknown image version: Expected 2 <= ver <= 3, got 1")
edit("hvm", "version", put_header(12, b"\0\0\0\4"), head=At("version 4 of the stream"), engine="version 4; 2 and 3 are known",
     stock="Unknown image version: Expected 2 <= ver <= 3, got 4")
edit("hvm", "endian", put_header(17, b"\1"), head=At("big-endian", 16),
     engine="it is big-endian, or reserved bits of its header are", stock=BIG_ENDIAN)
edit("hvm", "reserved", put_header(16, b"\x80"), head=At("options 0x8000"),
     engine="it is big-endian, or reserved bits of its header are", stock="Reserved bits set in image options field: 0x8000")
edit("hvm", "reserved", put_header(18, b"\1"), head=At("reserved bytes"),
     engine="it is big-endian, or reserved bits of its header are", stock="Reserved bits set in image header: 0x0100:0x00000000")
edit("hvm", "reserved", put_header(23, b"\1"), head=At("reserved bytes", 18),
     engine="it is big-endian, or reserved bits of its header are", stock="Reserved bits set in image header: 0x0000:0x00000001")
edit("hvm", "guest-type", put_header(24, b"\4\0\0\0"), head=At("guest type 4"), engine="guest type 4 with pages of 2^12 bytes",
     stock="Unrecognised domain type 0x4")
edit("hvm", "guest-type", put_header(24, b"\0\0\0\0"), head=At("guest type 0"), engine="guest type 0 with pages of 2^12 bytes",
     stock="Unrecognised domain type 0x0")
edit("hvm", "page-shift", put_header(28, b"\x10\0"), head=At("pages of 2^16 bytes"),
     engine="guest type 2 with pages of 2^16 bytes", stock="Page shift expected to be 12.  Got 16")
edit("hvm", "reserved", put_header(31, b"\1"), head=At("reserved field", 6), engine="guest type 2 with pages of 2^12 bytes",
     stock="Reserved bits set in domain header 0x0100")

# ---- records of version 3 ----

edit("hvm", "unknown-record", insert(0x13, b"", MSR_POLICY), head=At("a mandatory record that is not known"),
     engine="no such record (0x13) can be in a stream", stock="Unrecognised record type 0x13")
edit("hvm", "order", insert(PAGE_DATA, bytes(8), MSR_POLICY), head=At("stands before STATIC_DATA_END"),
     engine="it stands before STATIC_DATA_END", stock="PAGE_DATA record must be at least 8 bytes long")
edit("hvm", "order", insert(END, b"", CPUID_POLICY), head=At("stands before STATIC_DATA_END"),
     engine="it stands before STATIC_DATA_END", stock=NO_ACCOUNT)
edit("hvm", "twice", twice(CPUID_POLICY), head=AGAIN, engine="it stands here a second time", stock=NO_ACCOUNT)
edit("hvm", "twice", twice(MSR_POLICY), head=AGAIN, engine="it stands here a second time", stock=NO_ACCOUNT)
edit("pv", "twice", twice(PV_INFO), head=AGAIN, engine="it stands here a second time", stock=NO_ACCOUNT)
edit("hvm", "length", resize(CPUID_POLICY, 0), head=At("length 0", 0), engine="0 bytes; it has 1 to 180 entries of 24",
     stock="Record length 0, expected multiple of 24")
edit("hvm", "length", resize(CPUID_POLICY, 25), head=At("length 25 is not a multiple of 24", 0),
     engine="25 bytes; it has 1 to 180 entries of 24", stock="Record length 25, expected multiple of 24")
edit("hvm", "policy-too-many", resize(CPUID_POLICY, 181 * 24), head=At("no policy has more than", 0),
     engine="4344 bytes; it has 1 to 180 entries of 24", stock=ENTRIES)
edit("hvm", "length", claim(CPUID_POLICY, 0xfffffff0), head=At("no policy has more than", 0),
     engine="a body of 4294967280 bytes; 134217728 are the most", stock="Stream truncated")
edit("hvm", "length", resize(MSR_POLICY, 8), head=At("length 8", 0), engine="8 bytes; it has 1 to 2 entries of 16",
     stock="Record length 8, expected multiple of 16")
edit("hvm", "policy-too-many", resize(MSR_POLICY, 17 * 16), head=At("no policy has more than 16", 0),
     engine="272 bytes; it has 1 to 2 entries of 16", stock=ENTRIES)
edit("hvm", "guest-type", insert(PV_INFO, pv_info(), CPUID_POLICY), head=At("in the stream of an HVM guest"),
     engine="no such record (0x2) can be in an HVM domain's stream", stock=NO_ACCOUNT)
edit("pv", "length", resize(PV_INFO, 4), head=At("length 4, must be 8", 0), engine="4 bytes",
     stock="x86_pv_info: expected length of 8, got 4")
edit("pv", "pv-info", put(PV_INFO, 1, "<B", 3), head=At("words of 8 bytes with 3", 8),
     engine="a guest with words of 8 bytes and 3 levels of page", stock=BODY)
edit("pv", "reserved", put(PV_INFO, 7, "<B", 1), head=At("reserved bytes", 10), engine="reserved bytes are not zero",
     stock="Reserved bits set in X86_PV_INFO: 0x0000 0x01000000")
edit("hvm", "length", resize(STATIC_DATA_END, 8), head=At("body of 8 bytes", 0), engine="it has a body",
     stock="End record with non-zero length")
edit("pv", "order", drop(PV_INFO), version=2, head=At("without X86_PV_INFO"),
     engine="it stands here without X86_PV_INFO before it", stock=NO_ACCOUNT)


@row("hvm", "policy-incomplete", None, head=At("ends with X86_MSR_POLICY and without X86_CPUID_POLICY"),
     engine="there was X86_MSR_POLICY, and no X86_CPUID_POLICY", stock=ENTRIES)
def msr_policy_alone(s):
    s.remove(CPUID_POLICY)
    return s.index(STATIC_DATA_END), 0


@row("pv", "order", None, head=At("without X86_PV_INFO"), engine="there was no X86_PV_INFO", stock=NO_ACCOUNT)
def pv_without_pv_info(s):
    s.remove(PV_INFO)
    return s.index(STATIC_DATA_END), 0


# ---- version 2: the head goes on to the first memory ----

edit("hvm", "version", insert(CPUID_POLICY, POLICY, PAGE_DATA), version=2, head=NO_SUCH, engine="it does not belong here",
     stock="x86 CPUID policy record found in v2 stream")
edit("hvm", "version", insert(MSR_POLICY, MSRS, PAGE_DATA), version=2, head=NO_SUCH, engine="it does not belong here",
     stock="x86 MSR policy record found in v2 stream")
edit("hvm", "version", insert(STATIC_DATA_END, b"", PAGE_DATA), version=2, head=NO_SUCH, engine="it does not belong here",
     stock="Static data end record found in v2 stream")
edit("hvm", "unknown-record", insert(0x7fffffff, b"", PAGE_DATA), version=2, head=At("a mandatory record that is not known"),
     engine="no such record (0x7fffffff) can be in a stream", stock="Unrecognised record type 0x7fffffff")
edit("hvm", "length", insert(HVM_CONTEXT, b"", PAGE_DATA, length=0xffffffff), version=2, head=At("the head is longer than"),
     engine="a body of 4294967295 bytes; 134217728 are the most", stock="Stream truncated")
edit("hvm", "hvm-cut", insert(HVM_CONTEXT, b"1", PAGE_DATA, padding=b"\1" + bytes(6)), version=2,
     head=At("padding is not zero", 9), engine="its padding is not zero", stock="Padding containing non0 bytes found")


@row("hvm", "version", None, version=2, head=NO_SUCH, engine="it does not belong here",
     stock="x86 CPUID policy record found in v2 stream")
def policy_behind_another_record(s):
    """Xen's reader takes such a policy: it applies what it has when the first memory comes."""
    s.records[:0] = [Record(TSC_INFO, bytes(24)), Record(CPUID_POLICY, POLICY)]
    return 1, 0


@row("pv", "version", None, version=2, head=NO_SUCH, engine="it does not belong here",
     stock="x86 MSR policy record found in v2 stream")
def policy_of_a_pv_guest_behind_another_record(s):
    i = s.index(P2M_FRAMES)
    s.records[i:i] = [Record(SHARED_INFO, bytes(4096)), Record(MSR_POLICY, MSRS)]
    return i + 1, 0


@row("hvm", "missing", None, version=2, head=At("stands before any memory"), engine="it stands before any memory",
     stock=NO_ACCOUNT)
def no_memory(s):
    s.records[:] = [Record(TSC_INFO, bytes(24)), Record(END)]
    return 1, 0


@row("hvm", "hvm-size", None, version=2, head=At("the head is longer than"), engine="the stream ends before its end",
     stock=NO_OPTIONAL)
def long_head_of_version_2(s):
    s.records[:0] = [Record(OPTIONAL, bytes(40000)), Record(HVM_CONTEXT, length=HEAD_MAX - 40000 - 40 - 24 + 1)]
    return 1, 0


edit("hvm", "obsolete", insert(TOOLSTACK, b"", PAGE_DATA), version=2, head=At("no stream from a sender"),
     engine="no such record (0xb) can be in a stream", stock="Please fix me")
edit("hvm", "back-channel", insert(DIRTY_PFN_LIST, bytes(8), PAGE_DATA), version=2, head=At("no stream from a sender"),
     engine="no such record (0xf) can be in a stream", stock="Found checkpoint dirty pfn list record in stream")
edit("hvm", "twice", insert(TSC_INFO, bytes(24), PAGE_DATA, 2), version=2, head=AGAIN, engine="it stands here a second time",
     stock=NO_ACCOUNT)
edit("hvm", "order", insert(VERIFY, b"", PAGE_DATA), version=2, head=At("without PAGE_DATA before it"),
     engine="it stands here without PAGE_DATA before it", stock=NO_ACCOUNT)
edit("hvm", "length", insert(TSC_INFO, bytes(32), PAGE_DATA), version=2, head=At("length 32, must be 24"),
     engine="32 bytes, must be 24", stock="Length should be 24 bytes")
edit("hvm", "length", insert(HVM_PARAMS, bytes(16), PAGE_DATA), version=2, head=At("length 16 is not 8 and a multiple of 16"),
     engine="16 bytes for 0 parameters, of which there can be 64", stock="Length should be 8 bytes")
edit("hvm", "length", resize(PAGE_DATA, 7), version=2, head=At("length 7, must be at least 8", 0), engine="7 bytes",
     stock="PAGE_DATA record must be at least 8 bytes long")
edit("pv", "guest-type", insert(HVM_CONTEXT, bytes(8), P2M_FRAMES), version=2, head=At("in the stream of a PV guest"),
     engine="no such record (0x9) can be in a PV domain's stream", stock=NO_ACCOUNT)
edit("pv", "order", insert(VCPU_BASIC, bytes(8), P2M_FRAMES), version=2, head=At("without X86_PV_P2M_FRAMES before it"),
     engine="it stands here without X86_PV_P2M_FRAMES before it", stock=NO_ACCOUNT)
edit("hvm", "length", insert(CHECKSUM, bytes(24), CPUID_POLICY), head=At("length 24, must be 32"), engine="24 bytes, must be 32",
     stock=NO_OPTIONAL)

# ---- optional records ----

edit("hvm", "padding", insert(OPTIONAL, bytes(13), CPUID_POLICY, padding=b"\0\0\1"), head=At("padding is not zero", 8 + 15),
     engine="its padding is not zero", stock=NO_OPTIONAL)
edit("hvm", LIMIT, insert(OPTIONAL, bytes(OPTIONAL_MAX + 1), CPUID_POLICY), head=At("at most 65536 are taken"), engine=LIMIT,
     stock=NO_OPTIONAL)
edit("hvm", "length", insert(OPTIONAL, b"", CPUID_POLICY, length=0xffffffff), head=At("of 4294967295 bytes"),
     engine="a body of 4294967295 bytes; 134217728 are the most", stock=NO_OPTIONAL)
edit("hvm", LIMIT, insert(OPTIONAL, bytes(8), CPUID_POLICY, RECORDS_MAX + 1), head=At("more than 32 records"), engine=LIMIT,
     stock=NO_OPTIONAL)
edit("hvm", LIMIT, insert(OPTIONAL, bytes(OPTIONAL_MAX), CPUID_POLICY, 4), head=At("the head is longer than"), engine=LIMIT,
     stock=NO_OPTIONAL)


def fill_head(s, kind):
    """As many optional records in front of this one as a head can hold."""
    s.records[:0] = [Record(OPTIONAL, bytes(OPTIONAL_MAX)) for _ in range(3)]
    s.records.insert(3, Record(OPTIONAL, bytes(HEAD_MAX - 40 - 3 * (8 + OPTIONAL_MAX) - 16)))
    assert s.records[4].kind == kind and s.at(4) == HEAD_MAX - 8
    return 4, 0


@row("hvm", LIMIT, None, head=At("the head is longer than 262144 bytes"), engine=LIMIT, stock=NO_OPTIONAL)
def head_too_long_by_its_policy(s):
    return fill_head(s, CPUID_POLICY)


@row("pv", LIMIT, None, head=At("the head is longer than 262144 bytes"), engine=LIMIT, stock=NO_OPTIONAL)
def head_too_long_by_its_pv_info(s):
    return fill_head(s, PV_INFO)


# ---- xl's and libxl's layers ----

edit("hvm", "magic", put_layer("xl", 30, b"!"), layer="xl", head=At("not an image made by", 0), stock="No xl header")
edit("hvm", "endian", put_layer("xl", 32, b"\1"), layer="xl", head=At("byte order is"), stock=XL_HEADER)
edit("hvm", "flags", put_layer("xl", 36, b"\7"), layer="xl", head=At("unknown mandatory flags 0x4"), stock=XL_HEADER)
edit("hvm", UNUSABLE, put_layer("xl", 36, b"\1"), layer="xl", head=At("a legacy stream"),
     stock="Bad image marker: Expected 0xffffffffffffffff, got")
edit("hvm", "truncated", put_layer("xl", 44, b"\xff\xff\xff\xff"), layer="xl", head=At("optional data of"),
     stock="Stream truncated")
edit("hvm", "config", put_layer("xl", 44, b"\3\0\0\0"), layer="xl", head=At("cannot hold a length"),
     stock="Bad image id: Expected 0x4c6962786c466d74, got")


@row("hvm", "config", None, layer="xl", head=At("configuration of 17 bytes in optional data of 16"), stock=XL_HEADER)
def configuration_longer_than_its_data(s):
    s.xl[:] = xl_header(struct.pack("<I", 17) + bytes(16))
    return "xl", 48


edit("hvm", "ident", put_layer("libxl", 0, b"M"), layer="libxl", head=At("LibxlFmt"),
     stock="Bad image id: Expected 0x4c6962786c466d74, got")
edit("hvm", "version", put_layer("libxl", 8, b"\0\0\0\3"), layer="libxl", head=At("version 3 of libxl's"),
     stock="Unknown image version: Expected 2, got 3")
edit("hvm", "endian", put_layer("libxl", 12, b"\0\0\0\1"), layer="libxl", head=At("big-endian"), stock=BIG_ENDIAN)
edit("hvm", LEGACY, put_layer("libxl", 12, b"\0\0\0\2"), layer="libxl", head=At("converted from a legacy"), stock=LEGACY)
edit("hvm", "reserved", put_layer("libxl", 12, b"\x80\0\0\0"), layer="libxl", head=At("options 0x80000000"), stock=BODY)


@row("hvm", "padding", None, layer="libxl", head=At("padding is not zero", 8 + 7), stock="Unrecognised record type 80000000")
def libxl_padding_before_the_context(s):
    s.before.insert(0, Record(OPTIONAL, bytes(4), padding=b"\0\0\0\1"))
    return ("before", 0), 8 + 7


@row("hvm", "order", None, layer="libxl", head=At("EMULATOR_XENSTORE_DATA"), stock=NO_ACCOUNT)
def libxl_record_before_the_context(s):
    s.before.insert(0, Record(2, bytes(8)))
    return ("before", 0), 0


@row("hvm", "length", None, layer="libxl", head=At("body of 8 bytes"), stock="Libxc context record with non-zero length")
def libxl_context_of_8_bytes(s):
    s.before[0].body += bytes(8)
    return ("before", 0), 0


@row("hvm", "order", None, layer="libxl", head=At("stands before LIBXC_CONTEXT"), stock="Unrecognised record type 80584c02")
def libxl_checksum_before_the_context(s):
    s.before.insert(0, Record(HEAD_CHECKSUM, bytes(16)))
    return ("before", 0), 0
