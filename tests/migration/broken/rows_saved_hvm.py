# SPDX-License-Identifier: MIT
"""Rows: a PVH guest that the engine saved, in the order of the stream.  Lengths and limits: one beyond what is allowed."""

from broken.edits import claim, drop, edit, first, odd_padding, optional_run, put, put_header, resize, retype, twice
from broken.table import Accepts, BIG_ENDIAN, BODY, ENTRIES, NO_ACCOUNT, NO_OPTIONAL, OPTIONAL_HEAD, OPTIONAL_STOCK, WALKS
from streambuilder import (CHECKSUM, CPUID_POLICY, END, HVM_CONTEXT, HVM_PARAMS, MSR_POLICY, P2M_FRAMES, PAGE_DATA, PV_INFO,
                           STATIC_DATA_END, TOOLSTACK, TSC_INFO)

# How much is missing, less the last digits: a LAPIC entry has 24 or 32 bytes, as the headers of Xen have it.
SHORT_OF_PAGES, SHORT_OF_CONTEXT = "the image ends here, 1342055", "the image ends here, 167732"
HOST_LIMIT = Accepts("the format's limit is 2^40; that no host has so much memory is the engine's own")

edit("saved-hvm", "marker", put_header(0, b'\x00\x00\x00\x00\x00\x00\x00\x00'),
     head="not a Xen migration stream: the marker of 8 bytes 0xff", engine="is no migration stream",
     show="neither an image made by `xl save` nor a stream of libxc",
     stock="Bad image marker: Expected 0xffffffffffffffff, got 0x0")
edit("saved-hvm", "ident", put_header(8, b'\x00\x00\x00\x00'), head="not a Xen migration stream: its id is 0x00000000, not",
     engine="not XENF", stock="Bad image id: Expected 0x58454e46, got 0x0")
edit("saved-hvm", "version", put_header(15, b'\x04'), head="version 4 of the stream; 2 and 3 are known", engine="version 4",
     stock="Unknown image version: Expected 2 <= ver <= 3, got 4")
edit("saved-hvm", "version", put_header(15, b'\x01'), head="version 1 of the stream; 2 and 3 are known", engine="version 1",
     stock="Unknown image version: Expected 2 <= ver <= 3, got 1")
edit("saved-hvm", "endian", put_header(17, b'\x01'), head="the stream is big-endian", engine="big-endian", stock=BIG_ENDIAN)
edit("saved-hvm", "reserved", put_header(18, b'\x01'), head="reserved bytes of the image header are not zero",
     engine="reserved bits", stock="Reserved bits set in image header: 0x0100:0x00000000")
edit("saved-hvm", "reserved", put_header(20, b'\x01\x00\x00\x00'), head="reserved bytes of the image header are not zero",
     engine="reserved bits", stock="Reserved bits set in image header: 0x0000:0x01000000")
edit("saved-hvm", "guest-type", put_header(24, b'\x03\x00\x00\x00'), head="guest type 3; 1 (x86 PV) and 2 (x86 HVM) are known",
     engine="guest type 3", stock="Unrecognised domain type 0x3")
edit("saved-hvm", "order", put_header(24, b'\x01\x00\x00\x00'), head="the head of a PV guest ends without X86_PV_INFO",
     engine="it is a PV domain's", stock=NO_ACCOUNT)
edit("saved-hvm", "page-shift", put_header(28, b'\r\x00'), head="pages of 2^13 bytes; x86 has 2^12", engine="2^13",
     stock="Page shift expected to be 12.  Got 13")
edit("saved-hvm", "reserved", put_header(30, b'\x01\x00'), head="the reserved field of the domain header is not zero",
     engine="guest type", stock="Reserved bits set in domain header 0x0001")
edit("saved-hvm", "length", resize(CPUID_POLICY, 0), head="length 0 is not a multiple of 24 above zero", engine="it has 1 to",
     stock="Record length 0, expected multiple of 24")
edit("saved-hvm", "length", resize(CPUID_POLICY, 23), head="length 23 is not a multiple of 24 above zero", engine="it has 1 to",
     stock="Record length 23, expected multiple of 24")
edit("saved-hvm", "policy-too-many", resize(CPUID_POLICY, 4344), head="181 entries; no policy has more than 180",
     engine="it has 1 to", stock=ENTRIES)
edit("saved-hvm", "twice", twice(CPUID_POLICY), head="stands here a second time", engine="a second time", stock=NO_ACCOUNT)
edit("saved-hvm", "policy-incomplete", drop(CPUID_POLICY), head="the head ends with X86_MSR_POLICY and without",
     engine="X86_MSR_POLICY, and no X86_CPUID_POLICY", stock=ENTRIES)
edit("saved-hvm", "policy-leaf-range", put(CPUID_POLICY, 0, "<I", 0x12345678),
     head="entry 0 (leaf 12345678): no policy has this leaf", engine="cannot be", stock=ENTRIES)
edit("saved-hvm", "length", resize(MSR_POLICY, 15), head="length 15 is not a multiple of 16 above zero", engine="it has 1 to",
     stock="Record length 15, expected multiple of 16")
edit("saved-hvm", "policy-too-many", resize(MSR_POLICY, 48), head="3 entries, a policy has 2 at most", engine="it has 1 to",
     stock=ENTRIES)
edit("saved-hvm", "twice", twice(MSR_POLICY), head="stands here a second time", engine="a second time", stock=NO_ACCOUNT)
edit("saved-hvm", "policy-incomplete", drop(MSR_POLICY), head="MSR CE is not named", engine="MSR CE is not named", stock=ENTRIES)
edit("saved-hvm", "length", resize(STATIC_DATA_END, 8), head="has a body of 8 bytes, must have none", engine="it has a body",
     stock="End record with non-zero length")
edit("saved-hvm", "twice", twice(STATIC_DATA_END), engine="does not belong here", show="stands behind the end of the static data",
     stock=NO_ACCOUNT)
edit("saved-hvm", "order", first(STATIC_DATA_END), head="X86_CPUID_POLICY is not in it", engine="does not say which CPU",
     show="stands behind the end of the static data", stock=NO_ACCOUNT)
edit("saved-hvm", "order", drop(STATIC_DATA_END), head="stands before STATIC_DATA_END", engine="before STATIC_DATA_END",
     stock=NO_ACCOUNT)
edit("saved-hvm", "guest-type", retype(STATIC_DATA_END, PV_INFO), head="in the stream of an HVM guest",
     engine="no such record (0x2) can be in an HVM domain's stream", stock="x86_pv_info: expected length of 8, got 0")
edit("saved-hvm", "order", first(PAGE_DATA), head="stands before STATIC_DATA_END", engine="before STATIC_DATA_END",
     stock=NO_ACCOUNT)
edit("saved-hvm", "order", first(TSC_INFO), head="stands before STATIC_DATA_END", engine="before STATIC_DATA_END",
     stock=NO_ACCOUNT)
edit("saved-hvm", "length", claim(PAGE_DATA, 134217729), engine="are the most", show=SHORT_OF_PAGES, stock="Stream truncated")
edit("saved-hvm", "length", resize(PAGE_DATA, 4, 1), engine="4 bytes", show="length 4, must be at least 8",
     stock="PAGE_DATA record must be at least 8 bytes long")
edit("saved-hvm", "page-count", resize(PAGE_DATA, 8, 1), engine="1 pages in 8 bytes", show=WALKS,
     stock="PAGE_DATA record must be at least 8 bytes long")
edit("saved-hvm", "page-count", put(PAGE_DATA, 0, "<I", 0), engine="0 pages", stock="Expected 8 + 0 + 0, got 8216")
edit("saved-hvm", "length", resize(PAGE_DATA, 8208, 1025), engine="1025 pages", show=WALKS,
     stock="Expected 8 + 8200 + 4198400, got 8208")
edit("saved-hvm", "reserved", put(PAGE_DATA, 4, "<I", 1), engine="pages in", stock="Reserved bits set in PAGE_DATA record 0x0001")
edit("saved-hvm", "page-reserved", put(PAGE_DATA, 14, "<B", 0x10), engine="reserved bits",
     stock="Reserved bits set in pfn[0]: 0x0010000000000000")
edit("saved-hvm", HOST_LIMIT, put(PAGE_DATA, 12, "<B", 0x10), engine="beyond all memory", stock=BODY)
edit("saved-hvm", "page-type", put(PAGE_DATA, 15, "<B", 0x10), engine="no pages of type 1", stock=BODY)
edit("saved-hvm", "page-type", put(PAGE_DATA, 15, "<B", 0xc0), engine="no pages of type 12", stock=BODY)
edit("saved-hvm", "page-type", put(PAGE_DATA, 15, "<B", 0x50), engine="no pages of type 5",
     stock="Invalid type value in pfn[0]: 0x5000000000000000")
edit("saved-hvm", "length", put(PAGE_DATA, 15, "<B", 0xf0), engine="bytes for", stock="Expected 8 + 16 + 4096, got 8216")
edit("saved-hvm", "guest-type", retype(PAGE_DATA, P2M_FRAMES), engine="an HVM domain's stream",
     show="in the stream of an HVM guest", stock=NO_ACCOUNT)
edit("saved-hvm", "obsolete", retype(PAGE_DATA, TOOLSTACK), engine="no such record",
     show="no stream from a sender to a receiver has it", stock="Please fix me")
edit("saved-hvm", "unknown-record", retype(PAGE_DATA, 0x13), engine="no such record (0x13)",
     show="a mandatory record that is not known", stock="Unrecognised record type 0x13")
edit("saved-hvm", "length", retype(PAGE_DATA, CHECKSUM), engine="must be 32", show="length 8216, must be 32", stock=NO_OPTIONAL)
edit("saved-hvm", "length", resize(TSC_INFO, 16), engine="must be 24", show="length 16, must be 24",
     stock="Length should be 24 bytes")
edit("saved-hvm", "length", resize(TSC_INFO, 32), engine="must be 24", show="length 32, must be 24",
     stock="Length should be 24 bytes")
edit("saved-hvm", "reserved", put(TSC_INFO, 20, "<I", 1), engine="reserved",
     stock="Reserved bits set in X86_TSC_INFO: 0x00000001")
edit("saved-hvm", "twice", twice(TSC_INFO), engine="a second time", show="stands here a second time", stock=NO_ACCOUNT)
edit("saved-hvm", "missing", drop(TSC_INFO), engine="no X86_TSC_INFO", show=WALKS, stock=NO_ACCOUNT)
edit("saved-hvm", "length", resize(HVM_CONTEXT, 0), engine="0 bytes", show="length 0, must be at least 1",
     stock="Zero length HVM context")
edit("saved-hvm", "hvm-after-end", claim(HVM_CONTEXT, 16777217), engine="can be", show=SHORT_OF_CONTEXT,
     stock="Stream truncated")
edit("saved-hvm", "twice", twice(HVM_CONTEXT), engine="a second time", show="stands here a second time", stock=NO_ACCOUNT)
edit("saved-hvm", "missing", drop(HVM_CONTEXT), engine="no HVM_CONTEXT", show=WALKS, stock=NO_ACCOUNT)
edit("saved-hvm", "hvm-after-end", odd_padding(HVM_CONTEXT), engine="padding is not zero",
     stock="Padding containing non0 bytes found")
edit("saved-hvm", "hvm-order", put(HVM_CONTEXT, 0, "<H", 0xffff), engine="HEADER is not first", stock=BODY)
edit("saved-hvm", "length", resize(HVM_PARAMS, 4, 1), engine="at least 8", show="length 4 is not 8 and a multiple of 16",
     stock="Length should be at least 8 bytes")
edit("saved-hvm", "hvm-param", resize(HVM_PARAMS, 1048, 65), engine="65 parameters", show=WALKS, stock=BODY)
edit("saved-hvm", "length", put(HVM_PARAMS, 0, "<I", 2), engine="2 parameters", stock="Length should be 40 bytes")
edit("saved-hvm", "reserved", put(HVM_PARAMS, 4, "<I", 1), engine="parameters", stock="Reserved field not zero (0x0001)")
edit("saved-hvm", "twice", twice(HVM_PARAMS), engine="a second time", show="stands here a second time", stock=NO_ACCOUNT)
edit("saved-hvm", "hvm-param", put(HVM_PARAMS, 8, "<I", 0xffff), engine="parameter 65535", stock=BODY)
edit("saved-hvm", "hvm-param", put(HVM_PARAMS, 12, "<I", 1), engine="there is none", stock=BODY)
edit("saved-hvm", "length", resize(END, 8), engine="it has a body", show="has a body of 8 bytes, must have none",
     stock="End record with non-zero length")
edit("saved-hvm", "no-end", drop(END), engine="ends before its end",
     show="the image ends here, without libxc's END", stock="Stream truncated")
edit("saved-hvm", "optional-run", optional_run(CPUID_POLICY, 1025), head="more than 32 records in the head",
     engine="more than 1024 optional records one behind the other", stock=NO_OPTIONAL)
edit("saved-hvm", None, optional_run(CPUID_POLICY, 1024), head=OPTIONAL_HEAD, stock=OPTIONAL_STOCK)
edit("saved-hvm", "optional-run", optional_run(STATIC_DATA_END, 1025), head="more than 32 records in the head",
     engine="more than 1024 optional records one behind the other", stock=NO_OPTIONAL)
edit("saved-hvm", None, optional_run(STATIC_DATA_END, 1024), head=OPTIONAL_HEAD, stock=OPTIONAL_STOCK)
edit("saved-hvm", "optional-run", optional_run(PAGE_DATA, 1025), engine="more than 1024 optional records one behind the other",
     show="more than 1024 optional records one behind the other", stock=NO_OPTIONAL)
edit("saved-hvm", None, optional_run(PAGE_DATA, 1024), stock=OPTIONAL_STOCK)
edit("saved-hvm", "optional-run", optional_run(TSC_INFO, 1025), engine="more than 1024 optional records one behind the other",
     show="more than 1024 optional records one behind the other", stock=NO_OPTIONAL)
edit("saved-hvm", None, optional_run(TSC_INFO, 1024), stock=OPTIONAL_STOCK)
edit("saved-hvm", "optional-run", optional_run(END, 1025), engine="more than 1024 optional records one behind the other",
     show="more than 1024 optional records one behind the other", stock=NO_OPTIONAL)
edit("saved-hvm", None, optional_run(END, 1024), stock=OPTIONAL_STOCK)
