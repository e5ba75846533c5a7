# SPDX-License-Identifier: MIT
"""Rows: The policy's arrays, and a CPU that can exist (verifier/test_policy.py has the rest of its rules)."""

import struct

from broken.table import ENTRIES, POLICY, row
from streambuilder import CPUID_POLICY, MSR_POLICY


# ---- the policy as arrays ----

@row("hvm", "length", "X86_CPUID_POLICY", head="length 920 is not a multiple of 24 above zero",
     engine="920 bytes; it has 1 to 180 entries of 24", stock="Record length 920, expected multiple of 24")
def cpuid_policy_length(s):
    s.find(CPUID_POLICY).body += bytes(8)
    return s.index(CPUID_POLICY), 4


@row("hvm", "length", "X86_MSR_POLICY", head="length 0 is not a multiple of 16 above zero",
     engine="0 bytes; it has 1 to 2 entries of 16", stock="Record length 0, expected multiple of 16")
def msr_policy_empty(s):
    s.find(MSR_POLICY).body.clear()
    body = s.find(CPUID_POLICY).body
    for at in range(0, len(body), 24):      # the MSR's bits stand on it
        if struct.unpack_from("<II", body, at) == (7, 0):
            struct.pack_into("<I", body, at + 20, struct.unpack_from("<I", body, at + 20)[0] & ~(1 << 29))
    return s.index(MSR_POLICY), 4


def leaf_at(s, leaf, subleaf=0xffffffff):
    body = s.find(CPUID_POLICY).body
    return next(at for at in range(0, len(body), 24) if struct.unpack_from("<II", body, at) == (leaf, subleaf))


@row("hvm", "policy-duplicate", "X86_CPUID_POLICY", head="entry 2 (leaf 1) is there twice",
     engine="entry 2 (leaf 1) is there twice", stock=ENTRIES)
def leaf_twice(s):
    body, at = s.find(CPUID_POLICY).body, leaf_at(s, 1)
    body[at:at] = body[at:at + 24]
    return s.index(CPUID_POLICY), 8 + at + 24


@row("hvm", "policy-duplicate", "X86_MSR_POLICY", head="entry 1 (MSR 0xce) is there twice",
     engine="entry 1 (MSR 0xce) is there twice", stock=ENTRIES)
def msr_twice(s):
    body = s.find(MSR_POLICY).body
    body[16:] = body[:16]
    return s.index(MSR_POLICY), 8 + 16


@row("hvm", "policy-unsorted", "X86_MSR_POLICY", head="entry 1 (MSR 0xce) stands before the entry in front of",
     engine="entry 1 (MSR 0xce) stands before the entry in front of", stock=ENTRIES)
def msrs_unsorted(s):
    body = s.find(MSR_POLICY).body
    body[:] = body[16:] + body[:16]
    return s.index(MSR_POLICY), 8 + 16


@row("hvm", "policy-unsorted", "X86_CPUID_POLICY", head="entry 2 (leaf 1) stands before the entry in front of it",
     engine="entry 2 (leaf 1) stands before the entry in front of it", stock=ENTRIES)
def leaves_unsorted(s):
    body, at = s.find(CPUID_POLICY).body, leaf_at(s, 1)
    body[at:at + 48] = body[at + 24:at + 48] + body[at:at + 24]
    return s.index(CPUID_POLICY), 8 + at + 24


@row("hvm", "policy-leaf-range", "X86_CPUID_POLICY", head="entry 38 (leaf 80000100): no policy has this leaf",
     engine="entry 38 (leaf 80000100): no policy has this leaf", stock=ENTRIES)
def leaf_unknown(s):
    s.find(CPUID_POLICY).body += struct.pack("<6I", 0x80000100, 0xffffffff, 0, 0, 0, 0)
    return s.index(CPUID_POLICY), 8 + len(s.find(CPUID_POLICY).body) - 24


@row("hvm", "policy-subleaf-expected", "X86_CPUID_POLICY", head="entry 11 (leaf 7): the leaf has subleaves, the entry",
     engine="entry 11 (leaf 7): the leaf has subleaves, the entry", stock=ENTRIES)
def subleaf_missing(s):
    at = leaf_at(s, 7, 0)
    s.find(CPUID_POLICY).set(at + 4, "<I", 0xffffffff)
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-subleaf-unexpected", "X86_CPUID_POLICY", head="entry 9 (leaf 5 subleaf 1): the leaf has no subleaves",
     engine="entry 9 (leaf 5 subleaf 1): the leaf has no subleaves", stock=ENTRIES)
def subleaf_too_many(s):
    at = leaf_at(s, 5)
    s.find(CPUID_POLICY).set(at + 4, "<I", 1)
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-msr-range", "X86_MSR_POLICY", head="entry 1 (MSR 0x10b): no policy has this MSR",
     engine="entry 1 (MSR 0x10b): no policy has this MSR", stock=ENTRIES)
def msr_unknown(s):
    s.find(MSR_POLICY).set(16, "<I", 0x10b)
    return s.index(MSR_POLICY), 8 + 16


@row("hvm", "policy-msr-flags", "X86_MSR_POLICY", head="entry 0 (MSR 0xce): reserved flags are set",
     engine="entry 0 (MSR 0xce): reserved flags are set", stock=ENTRIES)
def msr_flags(s):
    s.find(MSR_POLICY).set(4, "<I", 1)
    return s.index(MSR_POLICY), 8


# ---- a CPU that can exist (test_policy.py has the rest of its rules) ----

@row("hvm", "policy-vendor-unknown", "A CPU that can exist", head="the vendor in leaf 0 is not one that makes these CPUs",
     engine="the vendor in leaf 0 is not one that makes these CPUs", show=POLICY, stock=ENTRIES)
def vendor(s):
    at = leaf_at(s, 0)
    s.find(CPUID_POLICY).set(at + 12, "<I", 0x41414141)
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-prerequisite", "A CPU that can exist", head="sse4-2  1.ecx[20]  SSE4.2 instructions; needs sse4-1 ",
     engine="sse4-2  1.ecx[20]  SSE4.2 instructions; needs sse4-1 ", show=POLICY, stock=ENTRIES)
def prerequisite(s):
    """POPCNT and all that stands on nothing stays; SSE4.2 loses SSE4.1."""
    at = leaf_at(s, 1)
    ecx, = struct.unpack_from("<I", s.find(CPUID_POLICY).body, at + 16)
    assert ecx >> 19 & 3 == 3
    s.find(CPUID_POLICY).set(at + 16, "<I", ecx & ~(1 << 19))
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-xstate-total", "A CPU that can exist", head="leaf d subleaf 0: the XSAVE area is said to have 4096",
     engine="leaf d subleaf 0: the XSAVE area is said to have 4096", show=POLICY, stock=ENTRIES)
def xstate_total(s):
    at = leaf_at(s, 0xd, 0)
    s.find(CPUID_POLICY).set(at + 16, "<I", 4096)
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-maxphysaddr", "A CPU that can exist", head="physical addresses: the guest has 60 bits, the host 52",
     engine="physical addresses: the guest has 60 bits, the host 52", show=POLICY, stock=ENTRIES)
def maxphysaddr(s):
    at = leaf_at(s, 0x80000008)
    s.find(CPUID_POLICY).set(at + 8, "<B", 60)
    return s.index(CPUID_POLICY), 8 + at


@row("hvm", "policy-msr-reserved", "A CPU that can exist", head="MSR 0xce has bits 0x1 that no policy may have",
     engine="MSR 0xce has bits 0x1 that no policy may have", show=POLICY, stock=ENTRIES)
def msr_reserved(s):
    s.find(MSR_POLICY).set(8, "<Q", 1)
    return s.index(MSR_POLICY), 8
