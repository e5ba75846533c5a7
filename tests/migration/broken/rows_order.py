# SPDX-License-Identifier: MIT
"""Rows: The order of records."""

import struct

from broken.table import NO_ACCOUNT, ORDER, WALKS, row
from streambuilder import (CHECKPOINT, CPUID_POLICY, DIRTY_PFN_LIST, END, HVM_CONTEXT, HVM_PARAMS, MSR_POLICY, P2M_FRAMES,
                           PAGE_DATA, Record, SHARED_INFO, STATIC_DATA_END, TOOLSTACK, TSC_INFO, VCPU_BASIC, VCPU_EXTENDED,
                           VERIFY, captured_records, page_data)


# ---- order ----

@row("hvm", "order", ORDER, head="stands before STATIC_DATA_END", engine="it stands before STATIC_DATA_END", stock=NO_ACCOUNT)
def memory_before_static_data_end(s):
    i = s.insert_before(STATIC_DATA_END, Record(PAGE_DATA, page_data([(0, 77)])))
    return i, 0


@row("hvm", "missing", ORDER, head="X86_CPUID_POLICY is not in it",
     engine="the stream does not say which CPU the domain was told", show=WALKS, stock=NO_ACCOUNT)
def static_data_end_missing(s):
    """Noticed where memory begins, and at END."""
    s.remove(STATIC_DATA_END)
    s.records.insert(0, Record(STATIC_DATA_END))
    policy, msrs = s.remove(CPUID_POLICY), s.remove(MSR_POLICY)
    assert (policy, msrs) == (1, 1)
    s.remove(TSC_INFO)
    return s.index(END), 0


@row("hvm", "twice", ORDER, engine="it does not belong here", show="stands behind the end of the static data", stock=NO_ACCOUNT)
def static_data_end_twice(s):
    return s.insert_before(TSC_INFO, Record(STATIC_DATA_END)), 0


@row("hvm", "length", "STATIC_DATA_END", head="has a body of 16 bytes, must have none", engine="it has a body",
     stock="End record with non-zero length")
def static_data_end_with_body(s):
    s.find(STATIC_DATA_END).body += bytes(16)
    return s.index(STATIC_DATA_END), 4


@row("hvm", "version", "X86_CPUID_POLICY", version=2, head="a version 2 stream has no such record",
     engine="it does not belong here", stock="x86 CPUID policy record found in v2 stream")
def policy_in_version_2(s):
    s.records.insert(0, Record(CPUID_POLICY, captured_records("pvh-cascadelake")[CPUID_POLICY]))
    return 0, 0


@row("hvm", "version", "STATIC_DATA_END", version=2, head="a version 2 stream has no such record",
     engine="it does not belong here", stock="Static data end record found in v2 stream")
def static_data_end_in_version_2(s):
    s.records.insert(0, Record(STATIC_DATA_END))
    return 0, 0


@row("hvm", "twice", ORDER, engine="it stands here a second time", show="stands here a second time", stock=NO_ACCOUNT)
def tsc_info_twice(s):
    i = s.index(TSC_INFO)
    s.records.insert(i, Record(TSC_INFO, s.records[i].body))
    return i + 1, 0


@row("hvm", "twice", ORDER, engine="it stands here a second time", show="stands here a second time", stock=NO_ACCOUNT)
def hvm_params_twice(s):
    i = s.index(HVM_PARAMS)
    s.records.insert(i, Record(HVM_PARAMS, s.records[i].body))
    return i + 1, 0


@row("hvm", "guest-type", "SHARED_INFO", engine="no such record (0x7) can be in an HVM domain's stream",
     show="in the stream of an HVM guest", stock=NO_ACCOUNT)
def pv_record_in_hvm(s):
    return s.insert_before(TSC_INFO, Record(SHARED_INFO, bytes(4096))), 0


@row("pv", "guest-type", "HVM_PARAMS", engine="no such record (0xa) can be in a PV domain's stream",
     show="in the stream of a PV guest", stock=NO_ACCOUNT)
def hvm_record_in_pv(s):
    return s.insert_before(TSC_INFO, Record(HVM_PARAMS, struct.pack("<IIQQ", 1, 0, 1, 5))), 0


@row("hvm", "obsolete", "TOOLSTACK", engine="no such record (0xb) can be in a stream",
     show="no stream from a sender to a receiver has it", stock="Please fix me")
def toolstack(s):
    return s.insert_before(TSC_INFO, Record(TOOLSTACK, bytes(8))), 0


@row("hvm", "back-channel", "CHECKPOINT_DIRTY_PFN_LIST", engine="no such record (0xf) can be in a stream",
     show="no stream from a sender to a receiver has it", stock="Found checkpoint dirty pfn list record in stream")
def dirty_pfn_list(s):
    return s.insert_before(TSC_INFO, Record(DIRTY_PFN_LIST, bytes(8))), 0


@row("hvm", "order", ORDER, engine="it stands here without PAGE_DATA before it", show="stands here without PAGE_DATA before it",
     stock=NO_ACCOUNT)
def verify_before_memory(s):
    return s.insert_before(PAGE_DATA, Record(VERIFY)), 0


@row("hvm", "length", "VERIFY", engine="it has a body", show="has a body of 8 bytes, must have none",
     stock="Verify record with non-zero length")
def verify_with_body(s):
    return s.insert_before(TSC_INFO, Record(VERIFY, bytes(8))), 4


@row("pv", "order", ORDER, engine="it stands here without X86_PV_P2M_FRAMES before it",
     show="stands here without X86_PV_P2M_FRAMES before it", stock=NO_ACCOUNT)
def memory_before_p2m(s):
    p2m, memory = s.index(P2M_FRAMES), s.index(PAGE_DATA)
    s.records[p2m], s.records[memory] = s.records[memory], s.records[p2m]
    return p2m, 0


@row("pv", "order", ORDER, engine="it stands behind X86_PV_VCPU_BASIC", show="stands behind X86_PV_VCPU_BASIC", stock=NO_ACCOUNT)
def memory_after_vcpus(s):
    return s.insert_before(END, Record(PAGE_DATA, page_data([(0, 20)]))), 0


@row("pv", "missing", ORDER, engine="there was no SHARED_INFO record", show=WALKS, stock=NO_ACCOUNT)
def no_shared_info(s):
    s.remove(SHARED_INFO)
    return s.index(END), 0


@row("pv", "missing", ORDER, engine="there was no X86_TSC_INFO record", show=WALKS, stock=NO_ACCOUNT)
def no_tsc_info(s):
    s.remove(TSC_INFO)
    return s.index(END), 0


@row("hvm", "missing", ORDER, engine="there was no HVM_CONTEXT record", show=WALKS, stock=NO_ACCOUNT)
def no_hvm_context(s):
    s.remove(HVM_CONTEXT)
    return s.index(END), 0


@row("pv", "missing", ORDER, engine="vCPU 3; the domain has 1", show=WALKS, stock=NO_ACCOUNT)
def vcpu_without_basic(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, struct.pack("<II", 3, 0) + bytes(64)))
    return s.index(END), 0


@row("pv", "twice", ORDER, engine="vCPU 0: it stands here a second time", show=WALKS, stock=NO_ACCOUNT)
def vcpu_twice(s):
    i = s.index(VCPU_BASIC)
    s.records.insert(i, Record(VCPU_BASIC, s.records[i].body))
    return i + 1, 0


@row("hvm", "missing", ORDER, engine="the stream is checkpointed (Remus, COLO), which only", show=WALKS, stock=NO_ACCOUNT)
def checkpoint_without_context(s):
    return s.insert_before(HVM_CONTEXT, Record(CHECKPOINT)), 0


@row("hvm", "twice", ORDER, engine="it stands here a second time", show="stands here a second time", stock=NO_ACCOUNT)
def empty_hvm_params_twice(s):
    i = s.index(HVM_PARAMS)
    s.records.insert(i, Record(HVM_PARAMS, bytes(8)))
    s.records[i + 1] = Record(HVM_PARAMS, bytes(8))
    return i + 1, 0


@row("pv", "order", None, engine="it stands here without X86_PV_P2M_FRAMES before it",
     show="stands here without X86_PV_P2M_FRAMES before it", stock=NO_ACCOUNT)
def vcpu_before_p2m(s):
    """And so memory behind a vCPU's."""
    return s.insert_before(P2M_FRAMES, s.records.pop(s.index(VCPU_EXTENDED))), 0


@row("pv", "order", ORDER, engine="it stands behind X86_PV_VCPU_BASIC", show="stands behind X86_PV_VCPU_BASIC", stock=NO_ACCOUNT)
def p2m_after_vcpus(s):
    return s.insert_before(END, Record(P2M_FRAMES, s.find(P2M_FRAMES).body)), 0
