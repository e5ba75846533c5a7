# SPDX-License-Identifier: MIT
"""Rows: TSC, parameters, and the HVM context."""

import struct

from broken.table import BODY, HYPERVISOR, row
from migration import hvm
from streambuilder import HVM_CONTEXT, HVM_PARAMS, TSC_INFO, entry_of, hvm_context, hvm_entries, xsave_entry


# ---- TSC, parameters ----

@row("hvm", "length", "X86_TSC_INFO", engine="32 bytes, must be 24", show="length 32, must be 24",
     stock="Length should be 24 bytes")
def tsc_length(s):
    s.find(TSC_INFO).body += bytes(8)
    return s.index(TSC_INFO), 4


@row("hvm", "tsc-mode", "X86_TSC_INFO", engine="the domain's time: Invalid argument", stock=BODY)
def tsc_mode(s):
    s.find(TSC_INFO).set(0, "<I", 9)
    return s.index(TSC_INFO), 8


@row("hvm", "reserved", "X86_TSC_INFO", engine="a reserved field is not zero",
     stock="Reserved bits set in X86_TSC_INFO: 0x00000009")
def tsc_reserved(s):
    s.find(TSC_INFO).set(20, "<I", 9)
    return s.index(TSC_INFO), 8 + 20


@row("hvm", "length", "HVM_PARAMS", engine="144 bytes for 8 parameters, of which there can be 64",
     show="length 144 is not 8 and a multiple of 16", stock="Length should be 136 bytes")
def params_length(s):
    s.find(HVM_PARAMS).body += bytes(8)
    return s.index(HVM_PARAMS), 4


@row("hvm", "length", "HVM_PARAMS", engine="4 bytes, at least 8 are needed", show="length 4 is not 8 and a multiple of 16",
     stock="Length should be at least 8 bytes")
def params_short(s):
    s.find(HVM_PARAMS).body[4:] = b""
    return s.index(HVM_PARAMS), 4


@row("hvm", "reserved", "HVM_PARAMS", engine="136 bytes for 8 parameters, of which there can be 64",
     stock="Reserved field not zero (0x0001)")
def params_reserved(s):
    s.find(HVM_PARAMS).set(4, "<I", 1)
    return s.index(HVM_PARAMS), 12


@row("hvm", "hvm-param", "HVM_PARAMS", engine="the hypervisor does not take parameter 39: Invalid", stock=BODY)
def params_index(s):
    s.find(HVM_PARAMS).set(8 + 16, "<Q", 39)
    return s.index(HVM_PARAMS), 16 + 16


@row("hvm", "hvm-param", "HVM_PARAMS", engine="is there twice", stock=BODY)
def params_index_twice(s):
    body = s.find(HVM_PARAMS).body
    body[8 + 16:8 + 32] = body[8:8 + 16]
    return s.index(HVM_PARAMS), 16 + 16


# ---- HVM context ----

def context_row(code, section="HVM_CONTEXT", **columns):
    """The function gets the entries, and returns (entry, offset behind its descriptor)."""
    def register(function):
        def break_it(s):
            record = s.find(HVM_CONTEXT)
            entries = hvm_entries(record.body)
            entry, inside = function(entries)
            record.body[:] = hvm_context(entries)
            at = sum(8 + len(data) for _, _, data in entries[:entry])
            return s.index(HVM_CONTEXT), 8 + at + inside
        break_it.__name__ = function.__name__
        row("hvm", code, section, **columns)(break_it)
        return function
    return register


@row("hvm", "length", "HVM_CONTEXT", engine="0 bytes; 1 to 16777216 can be", show="length 0, must be at least 1",
     stock="Zero length HVM context")
def context_empty(s):
    s.find(HVM_CONTEXT).body.clear()
    return s.index(HVM_CONTEXT), 4


@context_row("hvm-magic", engine="entry 0 (HEADER, instance 0): it is not of this format", stock=BODY)
def context_magic(entries):
    entries[0][2][0] ^= 1
    return 0, 8


@context_row("hvm-version", engine="entry 0 (HEADER, instance 0): it is not of this format", stock=BODY)
def context_version(entries):
    entries[0][2][4] = 2
    return 0, 12


@context_row("hvm-order", engine="entry 0 (CPU, instance 0): HEADER is not first, or", stock=BODY)
def context_header_not_first(entries):
    entries[0], entries[1] = entries[1], entries[0]
    return 0, 0


@context_row("hvm-twice", engine="entry 3 (LAPIC, instance 0): it is there a second time", stock=BODY)
def context_instance_twice(entries):
    i = entry_of(entries, hvm.LAPIC)
    entries.insert(i, [hvm.LAPIC, 0, bytearray(entries[i][2])])
    return i + 1, 0


@context_row("hvm-unknown", engine="HVM context: record 21: not known here", stock=BODY)
def context_unknown(entries):
    entries.insert(1, [21, 0, bytearray(4)])
    return 1, 0


@context_row("hvm-size", engine="HVM context: record 14: wrong length", stock=BODY)
def context_size(entries):
    i = entry_of(entries, hvm.MTRR)
    entries[i][2].append(0)
    return i, 4


@context_row("hvm-no-end", engine="it ends without an END", stock=BODY)
def context_no_end(entries):
    assert entries.pop()[0] == hvm.END
    return len(entries), 0


@context_row("hvm-after-end", engine="16 bytes stand behind its END", stock=BODY)
def context_after_end(entries):
    entries.append([3, 1, bytearray(8)])
    return len(entries) - 1, 0


@context_row("hvm-missing", engine="there is no CPU entry in it", stock=BODY)
def context_no_cpu(entries):
    del entries[entry_of(entries, hvm.CPU)]
    return 0, 0


@row("hvm", "hvm-size", "HVM_CONTEXT", engine="entry 4 (CPU_MSR, instance 0): its length is 4 bytes", stock=BODY)
def context_msr_short(s):
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    i = msr_entry(entries)
    del entries[i][2][4:]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    return s.index(HVM_CONTEXT), 8 + sum(8 + len(e[2]) for e in entries[:i]) + 4


@row("hvm", "xstate-size", "HVM_CONTEXT", engine="vCPU 0: XSAVE area: 64 bytes; its components need 576", stock=BODY)
def context_xsave_no_area(s):
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    i = xsave_entry(entries, size=64)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    return s.index(HVM_CONTEXT), 8 + sum(8 + len(e[2]) for e in entries[:i]) + 8 + 24


@row("hvm", "hvm-cut", "HVM_CONTEXT", engine="its length is 100 bytes", stock=BODY)
def context_cut(s):
    body = s.find(HVM_CONTEXT).body
    body += struct.pack("<HHI", 3, 0, 100)      # in front of END, which moves
    at = len(body) - 16
    body[at:at + 8], body[at + 8:] = body[at + 8:], bytes(0)
    return s.index(HVM_CONTEXT), 8 + at


@context_row("hvm-cr0", engine="vCPU 0: CR0: 0x80000000 cannot be", stock=BODY)
def context_cr0(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR0, 0x80000000)
    return i, 8 + hvm.CR0


@context_row("hvm-reserved-bit", engine="vCPU 0: CR4: bit 40 is reserved", stock=BODY)
def context_cr4_reserved(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR4, 1 << 40)
    return i, 8 + hvm.CR4


@context_row("state-policy", engine="vCPU 0: CR4: smap is not in its CPU policy", stock=BODY)
def context_cr4_policy(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR4, 1 << 21)     # SMAP, which the lab takes away
    return i, 8 + hvm.CR4


@context_row("state-policy", engine="vCPU 0: EFER: ffxsr is not in its CPU policy", stock=BODY)
def context_efer_policy(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.EFER, 1 << 14)    # FFXSR, which is AMD's
    return i, 8 + hvm.EFER


@context_row("hvm-value", engine="vCPU 0: EFER: 0x400 cannot be", stock=BODY)
def context_efer_value(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.EFER, 1 << 10)    # LMA without LME
    return i, 8 + hvm.EFER


@context_row("state-policy", engine="vCPU 0: TSC_AUX: rdtscp is not in its CPU policy", stock=BODY)
def context_tsc_aux(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.TSC_AUX, 5)       # no RDTSCP in the lab
    return i, 8 + hvm.TSC_AUX


@context_row("hvm-reserved-bit", engine="vCPU 0: APIC_BASE: bit 60 is reserved", stock=BODY)
def context_apic_base(entries):
    i = entry_of(entries, hvm.LAPIC)
    struct.pack_into("<Q", entries[i][2], 0, 1 << 60)
    return i, 8


@context_row("reserved", engine=HYPERVISOR, stock=BODY)
def context_cpu_flags(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<I", entries[i][2], hvm.CPU_FLAGS, 3)
    return i, 8 + hvm.CPU_FLAGS


@context_row("reserved", engine=HYPERVISOR, stock=BODY)
def context_cpu_padding(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<I", entries[i][2], hvm.CPU_PAD, 1)
    return i, 8 + hvm.CPU_PAD


@context_row("xstate-policy", engine="vCPU 0: accumulated XCR0: component 62 (lwp) is not in", stock=BODY)
def context_xsave_policy(entries):
    return xsave_entry(entries, accumulated=3 | 1 << 62), 8 + 16


@context_row("xstate-xcr0", engine="vCPU 0: XCR0: 0x2 cannot be", stock=BODY)
def context_xsave_xcr0(entries):
    return xsave_entry(entries, xcr0=2), 8 + 8


@context_row("xstate-size", engine="vCPU 0: XSAVE area: 640 bytes; its components need 2696", stock=BODY)
def context_xsave_too_short(entries):
    i = xsave_entry(entries, xcr0=0x203, accumulated=0x203, size=640)       # PKRU
    return i, 4


@context_row("xstate-size", engine="vCPU 0: XSAVE area: 640 bytes; its components need 576", stock=BODY)
def context_xsave_longer_and_not_zero(entries):
    i = xsave_entry(entries, size=640)
    entries[i][2][-1] = 1
    return i, 4


@context_row("hvm-size", engine="entry 4 (CPU_XSAVE, instance 0): its length is 16 bytes", stock=BODY)
def context_xsave_no_header(entries):
    i = xsave_entry(entries)
    del entries[i][2][16:]
    return i, 4


def msr_entry(entries):
    entries[:] = [e for e in entries if e[0] != hvm.MSR]
    entries.insert(len(entries) - 1, [hvm.MSR, 0, bytearray(struct.pack("<IIIIQ", 1, 0, 0xda0, 0, 0))])
    return len(entries) - 2


@context_row("hvm-size", engine="entry 4 (CPU_MSR, instance 0): its length is 24 bytes", stock=BODY)
def context_msr_count(entries):
    i = msr_entry(entries)
    entries[i][2][0] = 2
    return i, 4


@context_row("reserved", engine="vCPU 0: MSR 0xda0: a reserved field is not zero", stock=BODY)
def context_msr_reserved(entries):
    i = msr_entry(entries)
    entries[i][2][12] = 1
    return i, 8 + 12


@context_row("state-policy", engine="vCPU 0: XSS: xsaves is not in its CPU policy", stock=BODY)
def context_msr_policy(entries):
    i = msr_entry(entries)
    entries[i][2][16] = 1
    return i, 8 + 16


@context_row("hvm-reserved-bit", engine="vCPU 0: MISC_FEATURES_ENABLES: bit 1 is reserved", stock=BODY)
def context_msr_bit(entries):
    i = msr_entry(entries)
    struct.pack_into("<IIQ", entries[i][2], 8, 0x140, 0, 2)
    return i, 8 + 16


@context_row("xstate-size", engine="XSAVE area: 0 bytes", stock=BODY)
def context_xsave_without_an_area(entries):
    """Xen wants 576 bytes of it at least; of PV guests there can be none."""
    return xsave_entry(entries, size=0), 8 + 24
