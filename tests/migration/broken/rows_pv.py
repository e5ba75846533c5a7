# SPDX-License-Identifier: MIT
"""Rows: What only PV guests have."""

import struct

from broken.table import BODY, NO_ACCOUNT, ORDER, WALKS, row
from harness import pv_registers
from streambuilder import (CR4_OF_CONTEXT, P2M_FRAMES, PV_INFO, Record, SHARED_INFO, VCPU_BASIC, VCPU_EXTENDED, VCPU_MSRS,
                           VCPU_XSAVE)


# ---- PV ----

@row("pv", "length", "X86_PV_INFO", head="length 16, must be 8", engine="16 bytes",
     stock="x86_pv_info: expected length of 8, got 16")
def pv_info_length(s):
    s.find(PV_INFO).body += bytes(8)
    return s.index(PV_INFO), 4


@row("pv", "pv-info", "X86_PV_INFO", head="words of 8 bytes with 3 page table levels; x86 has 4",
     engine="a guest with words of 8 bytes and 3 levels of page", stock=BODY)
def pv_info_combination(s):
    s.find(PV_INFO).body[1] = 3
    return s.index(PV_INFO), 8


@row("pv", "reserved", "X86_PV_INFO", head="its reserved bytes are not zero", engine="reserved bytes are not zero",
     stock="Reserved bits set in X86_PV_INFO: 0x0000 0x00000100")
def pv_info_reserved(s):
    s.find(PV_INFO).body[5] = 1
    return s.index(PV_INFO), 10


@row("pv", "twice", ORDER, head="stands here a second time", engine="it stands here a second time", stock=NO_ACCOUNT)
def pv_info_twice(s):
    s.records.insert(1, Record(PV_INFO, s.records[0].body))
    return 1, 0


@row("pv", "p2m-range", "X86_PV_P2M_FRAMES", engine="frames 3ff to 200", stock=BODY)
def p2m_backwards(s):
    s.find(P2M_FRAMES).set(0, "<II", 1023, 512)
    return s.index(P2M_FRAMES), 8


@row("pv", "length", "X86_PV_P2M_FRAMES", engine="16 bytes for the 2 frames of 0 to 3ff", show=WALKS, stock=BODY)
def p2m_too_few_frames(s):
    s.find(P2M_FRAMES).body[-8:] = b""
    return s.index(P2M_FRAMES), 4


@row("pv", "length", "X86_PV_P2M_FRAMES", engine="4 bytes", show="length 4 is not a multiple of 8 above zero",
     stock="x86_pv_p2m_frames: record length must be at least 8")
def p2m_short(s):
    """Without its range the frames cannot be bounded."""
    i = s.index(P2M_FRAMES)
    s.records.insert(i + 1, Record(P2M_FRAMES, bytes(4)))
    return i + 1, 4


@row("pv", "p2m-frame", "X86_PV_P2M_FRAMES", engine="frame 400 is beyond the 1024 of its X86_PV_P2M_FRAMES", stock=BODY)
def p2m_frame_beyond(s):
    s.find(P2M_FRAMES).set(16, "<Q", 1024)
    return s.index(P2M_FRAMES), 8 + 16


@row("pv", "length", "SHARED_INFO", engine="4104 bytes", show="length 4104, must be 4096",
     stock="Length expected to be 4906 bytes, not 4104")
def shared_info_length(s):
    s.find(SHARED_INFO).body += bytes(8)
    return s.index(SHARED_INFO), 4


@row("pv", "length", "X86_PV_VCPU_BASIC", engine="vCPU 0: 5176 bytes", show=WALKS, stock=BODY)
def vcpu_basic_length(s):
    s.find(VCPU_BASIC).body += bytes(8)
    return s.index(VCPU_BASIC), 4


@row("pv", "pv-frame", "X86_PV_VCPU_BASIC", engine="start info would be in frame 400, which is not there", stock=BODY)
def vcpu_start_info(s):
    return pv_registers(s, 616, 1024)


@row("pv", "pv-frame", "X86_PV_VCPU_BASIC", engine="start info would be in frame 100000000, which is not", stock=BODY)
def vcpu_start_info_beyond_32_bits(s):
    return pv_registers(s, 616, 1 << 32)


@row("pv", "pv-frame", "X86_PV_VCPU_BASIC", engine="vCPU 0: its page table would be in frame 400, which is", stock=BODY)
def vcpu_page_table(s):
    return pv_registers(s, 4984 + 24, 1024 << 12)


@row("pv", "pv-frame", "X86_PV_VCPU_BASIC", engine="vCPU 0: its user page table would be in frame 400", stock=BODY)
def vcpu_user_page_table(s):
    return pv_registers(s, 4984 + 8, 1024 << 12 | 1)


@row("pv", "pv-user-table", "X86_PV_VCPU_BASIC", engine="vCPU 0: 0x9000 for its user page table: no frame of the", stock=BODY)
def vcpu_user_page_table_without_its_bit(s):
    """As it was read from the hypervisor: a machine frame, maybe."""
    return pv_registers(s, 4984 + 8, 9 << 12)


@row("pv", "pv-frame", "X86_PV_VCPU_BASIC", engine="vCPU 0: its GDT would be in frame 3ff, which is not", stock=BODY)
def vcpu_descriptor_tables(s):
    pv_registers(s, 4960, 513)
    pv_registers(s, 4832, 1023)
    pv_registers(s, 4832 + 16, 5000)        # of no meaning: 513 descriptors are in two frames
    return pv_registers(s, 4832 + 8, 1024)


@row("pv", "pv-gdt", "X86_PV_VCPU_BASIC", engine="vCPU 0: a GDT of 8193 entries", stock=BODY)
def vcpu_descriptors(s):
    return pv_registers(s, 4960, 8193)


@row("pv", "reserved", "X86_PV_VCPU_BASIC", engine="a reserved field is not zero",
     stock="Reserved bits set in x86_pv_vcpu_basic record 0x0007")
def vcpu_reserved(s):
    s.find(VCPU_BASIC).set(4, "<I", 7)
    return s.index(VCPU_BASIC), 12


@row("pv", "vcpu", "X86_PV_VCPU_EXTENDED", engine="vCPU 8192; the domain has 1", stock=BODY)
def vcpu_number(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, struct.pack("<II", 8192, 0) + bytes(64)))
    return i, 8


@row("pv", "length", "X86_PV_VCPU_EXTENDED", engine="vCPU 0: 136 bytes", show="length 144, must be 8 to 136", stock=BODY)
def vcpu_extended_length(s):
    s.find(VCPU_EXTENDED).body += bytes(72)
    return s.index(VCPU_EXTENDED), 4


@row("pv", "length", "X86_PV_VCPU_EXTENDED", engine="4 bytes", show="length 4, must be 8 to 136",
     stock="X86_PV_VCPU_extended record length must be at least 8")
def vcpu_without_header(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, bytes(4)))
    return i, 4


@row("pv", "state-policy", "X86_PV_VCPU_BASIC", engine="vCPU 0: CR4: smep is not in its CPU policy", stock=BODY)
def vcpu_basic_cr4(s):
    s.find(VCPU_BASIC).set(8 + CR4_OF_CONTEXT, "<Q", 0x660 | 1 << 20)     # SMEP, and what is Xen's
    return s.index(VCPU_BASIC), 16 + CR4_OF_CONTEXT


@row("pv", "reserved", "X86_PV_VCPU_BASIC", engine="vCPU 0: CR4: bit 63 is reserved", stock=BODY)
def vcpu_basic_cr4_bit(s):
    s.find(VCPU_BASIC).set(8 + CR4_OF_CONTEXT, "<Q", 1 << 63)
    return s.index(VCPU_BASIC), 16 + CR4_OF_CONTEXT


@row("pv", "state-policy", "X86_PV_VCPU_MSRS", engine="vCPU 0: TSC_AUX: rdtscp is not in its CPU policy", stock=BODY)
def vcpu_msrs_policy(s):
    s.find(VCPU_MSRS).set(16, "<Q", 5)
    return s.index(VCPU_MSRS), 8 + 16


@row("pv", "state-policy", "X86_PV_VCPU_MSRS", engine="vCPU 0: MISC_FEATURES_ENABLES: cpuid-faulting is not in", stock=BODY)
def vcpu_msrs_faulting(s):
    s.find(VCPU_MSRS).set(8, "<IIQ", 0x140, 0, 1)       # no CPUID faulting in PLATFORM_INFO
    return s.index(VCPU_MSRS), 8 + 16


@row("pv", "length", "X86_PV_VCPU_MSRS", engine="vCPU 0: 24 bytes", show="length 32 is not 8 and a multiple of 16", stock=BODY)
def vcpu_msrs_length(s):
    s.find(VCPU_MSRS).body += bytes(8)
    return s.index(VCPU_MSRS), 4


@row("pv", "reserved", "X86_PV_VCPU_MSRS", engine="vCPU 0: MSR 0xc0000103: a reserved field is not zero", stock=BODY)
def vcpu_msrs_reserved(s):
    s.find(VCPU_MSRS).set(8 + 4, "<I", 1)
    return s.index(VCPU_MSRS), 8 + 12


@row("pv", "length", "X86_PV_VCPU_XSAVE", engine="vCPU 0: 8 bytes", show=WALKS, stock=BODY)
def vcpu_xsave_short(s):
    s.find(VCPU_XSAVE).body[16:] = b""
    return s.index(VCPU_XSAVE), 4


@row("pv", "xstate-policy", "X86_PV_VCPU_XSAVE", engine="vCPU 0: accumulated XCR0: component 2 (avx) is not in", stock=BODY)
def vcpu_xsave_beyond_the_policy(s):
    s.find(VCPU_XSAVE).set(16, "<Q", 1 << 62 | 7)      # no AVX and no LWP there
    return s.index(VCPU_XSAVE), 8 + 16


@row("pv", "xstate-xcr0", "X86_PV_VCPU_XSAVE", engine="vCPU 0: XCR0: 0x2 cannot be", stock=BODY)
def vcpu_xsave_xcr0(s):
    s.find(VCPU_XSAVE).set(8, "<Q", 2)
    return s.index(VCPU_XSAVE), 8 + 8


@row("pv", "xstate-accumulated", "X86_PV_VCPU_XSAVE", engine="vCPU 0: accumulated XCR0: 0x1 cannot be", stock=BODY)
def vcpu_xsave_accumulated(s):
    s.find(VCPU_XSAVE).set(8, "<QQ", 3, 1)
    s.find(VCPU_XSAVE).set(24 + 512, "<Q", 1)
    return s.index(VCPU_XSAVE), 8 + 16


@row("pv", "xstate-bv", "X86_PV_VCPU_XSAVE", engine="vCPU 0: XSTATE_BV: component 9 (pku) is not in its CPU", stock=BODY)
def vcpu_xsave_bv(s):
    s.find(VCPU_XSAVE).set(24 + 512, "<Q", 1 << 9)
    return s.index(VCPU_XSAVE), 8 + 24 + 512


@row("pv", "xstate-compacted", "X86_PV_VCPU_XSAVE", engine="vCPU 0: XCOMP_BV: 0x8000000000000000 cannot be", stock=BODY)
def vcpu_xsave_compacted(s):
    s.find(VCPU_XSAVE).set(24 + 520, "<Q", 1 << 63)
    return s.index(VCPU_XSAVE), 8 + 24 + 520


@row("pv", "reserved", "X86_PV_VCPU_XSAVE", engine="vCPU 0: XSAVE header's reserved bytes: 0x1 cannot be", stock=BODY)
def vcpu_xsave_header_reserved(s):
    s.find(VCPU_XSAVE).body[24 + 540] = 1
    return s.index(VCPU_XSAVE), 8 + 24 + 528


@row("pv", "xstate-size", "X86_PV_VCPU_XSAVE", engine="vCPU 0: XSAVE area: 640 bytes; its components need 576", show=WALKS,
     stock=BODY)
def vcpu_xsave_size(s):
    s.find(VCPU_XSAVE).body += bytes(64)
    return s.index(VCPU_XSAVE), 4
