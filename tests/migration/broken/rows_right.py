# SPDX-License-Identifier: MIT
"""Rows: streams that are right, though they are seldom seen: what a reader refuses of them has a stated reason."""

import struct

from broken.edits import edit, put, resize
from broken.table import OPTIONAL_STOCK, Refuses, add_row, row
from migration import hvm
from streambuilder import (CHECKPOINT, END, HVM_CONTEXT, HVM_PARAMS, OPTIONAL, P2M_FRAMES, PAGE_DATA, PV_INFO, Record, TSC_INFO,
                           VCPU_BASIC, VCPU_EXTENDED, VCPU_MSRS, VCPU_XSAVE, VERIFY, entry_of, hvm_context, hvm_entries,
                           page_data, xsave_entry)


@row("hvm", None, None)
def good_hvm(s):
    return None


@row("hvm", None, None, version=2)
def good_hvm_of_version_2(s):
    return None


@row("hvm", None, None, layer="xl")
def good_image(s):
    return None


@row("pv", None, None)
def good_pv(s):
    return None


@row("pv", None, None, version=2)
def good_pv_of_version_2(s):
    return None


@row("hvm", None, None, checksums=True, stock=OPTIONAL_STOCK)
def checksummed_hvm(s):
    return None


@row("pv", None, None, checksums=True, stock=OPTIONAL_STOCK)
def checksummed_pv(s):
    return None


edit("hvm", None, put(TSC_INFO, 0, "<I", 0))
edit("hvm", None, put(TSC_INFO, 0, "<I", 1))
edit("hvm", None, put(TSC_INFO, 0, "<I", 2))
edit("hvm", None, resize(HVM_PARAMS, 8, 0))


@row("hvm", None, None)
def context_behind_the_parameters(s):
    context, params = s.index(HVM_CONTEXT), s.index(HVM_PARAMS)
    s.records[context], s.records[params] = s.records[params], s.records[context]


@row("hvm", None, None)
def verify_and_memory_again(s):
    """What a live migration with --debug sends."""
    s.insert_before(TSC_INFO, Record(VERIFY))
    s.insert_before(TSC_INFO, Record(PAGE_DATA, s.find(PAGE_DATA).body))


@row("hvm", None, None)
def a_frame_twice(s):
    s.insert_before(TSC_INFO, Record(PAGE_DATA, page_data([(0, 1), (0, 1)])))


@row("hvm", None, None, stock=OPTIONAL_STOCK)
def optional_record_of_an_odd_length(s):
    s.insert_before(TSC_INFO, Record(OPTIONAL | 0x77, b"odd"))


@row("hvm", None, None, engine=Refuses("only stock Xen's own restore can read", "it takes no checkpointed streams"))
def checkpointed(s):
    s.insert_before(END, Record(CHECKPOINT))


OLDER = Refuses("wrong length", "simulated hosts take what today's Xen writes")


def context_right(**columns):
    """The function gets the entries of the HVM context."""
    def register(function):
        def change(s):
            record = s.find(HVM_CONTEXT)
            entries = hvm_entries(record.body)
            function(entries)
            record.body[:] = hvm_context(entries)
        add_row(function.__name__, "hvm", None, None, columns, change)
        return function
    return register


@context_right(engine=OLDER)
def registers_before_xen_4_7(entries):
    del entries[entry_of(entries, hvm.CPU)][2][1024:]


@context_right(engine=OLDER)
def registers_before_xen_3_4(entries):
    del entries[entry_of(entries, hvm.CPU)][2][1016:]


@context_right(engine=OLDER)
def apic_of_16_bytes(entries):
    del entries[entry_of(entries, hvm.LAPIC)][2][16:]


@context_right()
def xsave_of_x87_and_sse(entries):
    xsave_entry(entries)


@context_right()
def xsave_longer_and_zero(entries):
    """Xen up to 4.3 wrote that."""
    xsave_entry(entries, size=832)


@row("pv", None, None)
def p2m_of_one_frame_beyond(s):
    s.find(P2M_FRAMES).body[:] = struct.pack("<IIQQ", 0, 1023, 1023, 7)


@row("pv", None, None)
def p2m_again_behind_memory(s):
    s.insert_before(TSC_INFO, Record(P2M_FRAMES, s.find(P2M_FRAMES).body))


@row("pv", None, None, engine=Refuses("XSAVE area: 0 bytes", "simulated hosts have always an area"))
def vcpu_xsave_never_on(s):
    """16 bytes and no area."""
    del s.find(VCPU_XSAVE).body[24:]


edit("pv", None, resize(VCPU_XSAVE, 8))
edit("pv", None, resize(VCPU_MSRS, 8))
edit("pv", None, resize(VCPU_EXTENDED, 8))
edit("pv", None, resize(VCPU_EXTENDED, 128))


@row("pv", None, None, engine=Refuses("32-bit PV", "it restores PV guests of 64 bits"))
def guest_of_32_bits(s):
    s.find(PV_INFO).set(0, "<BB", 4, 3)
    s.find(P2M_FRAMES).set(0, "<II", 0, 2047)
    s.find(VCPU_BASIC).body[8:] = bytes(2800)
