# SPDX-License-Identifier: MIT
"""Rows: a PV guest of 8 frames and 2 vCPUs.  PFN 1 has the p2m, 5 is the top of the page tables."""

from broken.edits import drop, edit, first, put, put_header, resize, retype, twice
from broken.table import Accepts, BODY, NO_ACCOUNT, WALKS
from streambuilder import (END, HVM_CONTEXT, P2M_FRAMES, PAGE_DATA, PV_INFO, SHARED_INFO, STATIC_DATA_END, TSC_INFO, VCPU_BASIC,
                           VCPU_EXTENDED, VCPU_XSAVE)

WIDTH = Accepts("that the registers are a 64-bit guest's stands behind what it reads; nor does it restore 32-bit guests")
WHOLE_LIST = Accepts("it takes a list in parts; the engine wants it from frame 0 on, as Xen writes it")
PAGES = Accepts("it reads no pages")

edit("saved-pv", "guest-type", put_header(24, b'\x02\x00\x00\x00'), head="in the stream of an HVM guest",
     engine="it is a HVM domain's", stock=NO_ACCOUNT)
edit("saved-pv", "length", resize(PV_INFO, 7), head="length 7, must be 8", engine="7 bytes",
     stock="x86_pv_info: expected length of 8, got 7")
edit("saved-pv", "pv-info", put(PV_INFO, 0, "<B", 4), head="words of 4 bytes with 4 page table levels; x86 has 4",
     engine="words of 4", stock=BODY)
edit("saved-pv", "pv-info", put(PV_INFO, 1, "<B", 5), head="words of 8 bytes with 5 page table levels; x86 has 4",
     engine="5 levels", stock="Expected levels of 3 or 4, got 5")
edit("saved-pv", "length", put(PV_INFO, 0, "<H", 0x304), head=WIDTH, engine="32-bit PV", show=WIDTH, stock=BODY)
edit("saved-pv", "reserved", put(PV_INFO, 7, "<B", 1), head="its reserved bytes are not zero", engine="reserved",
     stock="Reserved bits set in X86_PV_INFO: 0x0000 0x01000000")
edit("saved-pv", "twice", twice(PV_INFO), head="stands here a second time", engine="a second time", stock=NO_ACCOUNT)
edit("saved-pv", "order", drop(PV_INFO), head="the head of a PV guest ends without X86_PV_INFO", engine="no X86_PV_INFO",
     stock=NO_ACCOUNT)
edit("saved-pv", "order", drop(STATIC_DATA_END), head="stands before STATIC_DATA_END", engine="before STATIC_DATA_END",
     stock=NO_ACCOUNT)
edit("saved-pv", "order", first(P2M_FRAMES), head="stands before STATIC_DATA_END", engine="before STATIC_DATA_END",
     stock=NO_ACCOUNT)
edit("saved-pv", "length", resize(P2M_FRAMES, 4, 7), engine="4 bytes", show="length 4 is not a multiple of 8 above zero",
     stock="x86_pv_p2m_frames: record length must be at least 8")
edit("saved-pv", "length", resize(P2M_FRAMES, 24), engine="24 bytes for", show=WALKS, stock=BODY)
edit("saved-pv", "length", put(P2M_FRAMES, 4, "<I", 0xffffffff), engine="bytes for the 8388608", stock=BODY)
edit("saved-pv", "p2m-range", put(P2M_FRAMES, 0, "<I", 9), engine="frames 9 to 7", stock=BODY)
edit("saved-pv", WHOLE_LIST, put(P2M_FRAMES, 0, "<Q", 0x3e800000200), engine="begins at frame 200", stock=BODY)
edit("saved-pv", "p2m-frame", put(P2M_FRAMES, 8, "<Q", 8), engine="frame 8 is beyond the 8", stock=BODY)
edit("saved-pv", "p2m-frame", put(P2M_FRAMES, 15, "<B", 0xff), engine="is beyond the 8", stock=BODY)
edit("saved-pv", "order", drop(P2M_FRAMES), engine="it stands here without X86_PV_P2M_FRAMES before it",
     show="stands here without X86_PV_P2M_FRAMES before it", stock=NO_ACCOUNT)
edit("saved-pv", "page-frame", put(PAGE_DATA, 8, "<I", 8), engine="frame 8 is beyond the 8", stock=BODY)
edit("saved-pv", "page-type", put(PAGE_DATA, 15, "<B", 0x80), engine="no pages of type 8",
     stock="Invalid type value in pfn[0]: 0x8000000000000000")
edit("saved-pv", "length", put(PAGE_DATA, 15, "<B", 0xe0), engine="bytes for 8 entries",
     stock="Expected 8 + 64 + 28672, got 32840")
edit("saved-pv", PAGES, put(PAGE_DATA, 20552, "<I", 0x8007), engine="entry 0 is 8007", stock=BODY)
edit("saved-pv", PAGES, put(PAGE_DATA, 20552, "<I", 0x6087), engine="level 4: entry 0", stock=BODY)
edit("saved-pv", PAGES, put(PAGE_DATA, 28736, "<Q", 0xffffffffffffffff), engine="level 3: entry 511", stock=BODY)
edit("saved-pv", "guest-type", retype(PAGE_DATA, HVM_CONTEXT), engine="a PV domain's stream", show="in the stream of a PV guest",
     stock=NO_ACCOUNT)
edit("saved-pv", "length", resize(SHARED_INFO, 4095), engine="4095 bytes", show="length 4095, must be 4096",
     stock="Length expected to be 4906 bytes, not 4095")
edit("saved-pv", "length", resize(SHARED_INFO, 4104), engine="4104 bytes", show="length 4104, must be 4096",
     stock="Length expected to be 4906 bytes, not 4104")
edit("saved-pv", "twice", twice(SHARED_INFO), engine="a second time", show="stands here a second time", stock=NO_ACCOUNT)
edit("saved-pv", "missing", drop(SHARED_INFO), engine="no SHARED_INFO", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "length", resize(VCPU_BASIC, 4), engine="4 bytes", show="length 4, must be at least 8",
     stock="X86_PV_VCPU_basic record length must be at least 8")
edit("saved-pv", "missing", resize(VCPU_BASIC, 8), engine="vCPU 0: 0 bytes", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "missing", put(VCPU_BASIC, 0, "<I", 2), engine="vCPU 2; the domain has 2", stock=NO_ACCOUNT)
edit("saved-pv", "vcpu", put(VCPU_BASIC, 0, "<I", 0xffffffff), engine="the domain has 2", stock=BODY)
edit("saved-pv", "reserved", put(VCPU_BASIC, 4, "<I", 1), engine="reserved",
     stock="Reserved bits set in x86_pv_vcpu_basic record 0x0001")
edit("saved-pv", "twice", twice(VCPU_BASIC), engine="a second time", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "missing", drop(VCPU_BASIC), engine="no X86_PV_VCPU_BASIC", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "length", retype(VCPU_BASIC, VCPU_EXTENDED), engine="vCPU 0:", show="length 5176, must be 8 to 136", stock=BODY)
edit("saved-pv", "length", resize(VCPU_XSAVE, 23), engine="vCPU 0: 15 bytes", show=WALKS, stock=BODY)
edit("saved-pv", "xstate-size", resize(VCPU_XSAVE, 16393), engine="vCPU 0: 16385 bytes", show=WALKS, stock=BODY)
edit("saved-pv", "twice", twice(VCPU_XSAVE), engine="a second time", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "missing", drop(TSC_INFO), engine="no X86_TSC_INFO", show=WALKS, stock=NO_ACCOUNT)
edit("saved-pv", "no-end", drop(END), engine="ends before its end",
     show="the image ends here, without libxc's END", stock="Stream truncated")
