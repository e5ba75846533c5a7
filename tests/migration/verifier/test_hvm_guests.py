# SPDX-License-Identifier: MIT
"""HVM guests: contexts of older and newer Xen, sizes, parameters."""

import struct

import pytest

from harness import lines, problems, verify
from migration import hvm, libxc, pv, xstate
from streambuilder import HVM_CONTEXT, HVM_PARAMS, TSC_INFO, entry_of, hvm_context, hvm_entries, hvm_stream, xsave_entry


def test_context_of_a_few_bytes():
    s = hvm_stream()
    s.find(HVM_CONTEXT).body += b"abc"
    body = s.find(HVM_CONTEXT).body
    del body[-11:-3]            # END
    v = verify(s.raw())
    assert ("hvm-cut", s.at(s.index(HVM_CONTEXT)) + 8 + len(body) - 3) in [(p.code, p.offset) for p in v.report.problems]


def test_padding_that_a_newer_xen_may_use():
    s = hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    struct.pack_into("<I", entries[entry_of(entries, hvm.CPU)][2], hvm.CPU_PAD, 1)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    assert [code for code, _, _ in problems(s)] == ["reserved"]
    struct.pack_into("<I", s.domain, 12, 21)
    assert problems(s) == []


@pytest.mark.parametrize("size", [1024, 1016])
def test_registers_of_an_older_xen(size):
    s = hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    del entries[entry_of(entries, hvm.CPU)][2][size:]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    assert problems(s) == []


def test_xsave_areas_that_xen_takes():
    """Too long but zero: Xen up to 4.3 wrote that."""
    s = hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    xsave_entry(entries, size=832)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    v = verify(s.raw())
    assert v.report.valid, lines(v)


@pytest.mark.parametrize("xcr0, possible", [
    (1, True), (3, True), (7, True), (0x1f, True), (0xe7, True), (0x60207, True), (0x600e7, True), (0x203, True),
    (0, False), (2, False), (5, False), (0xb, False), (0x13, False), (0x27, False), (0x67, False), (0xc7, False), (0xe3, False),
    (0x200e7, False), (0x400e7, False)])
def test_xcr0(xcr0, possible):
    """What XSETBV takes (SDM vol. 2D); the tile components stand alone there, and what they need is the policy's."""
    assert (xstate.impossible_xcr0(xcr0) is None) == possible


def test_entry_sizes_are_those_of_the_public_headers(tmp_path):
    """The compiler on libxen-dev's structs against our tables."""
    import subprocess
    structs = {"HEADER": "save_header", "CPU": "hw_cpu", "PIC": "hw_vpic", "IOAPIC": "hw_vioapic", "LAPIC": "hw_lapic",
               "LAPIC_REGS": "hw_lapic_regs", "PCI_IRQ": "hw_pci_irqs", "ISA_IRQ": "hw_isa_irqs", "PCI_LINK": "hw_pci_link",
               "PIT": "hw_pit", "RTC": "hw_rtc", "HPET": "hw_hpet", "PMTIMER": "hw_pmtimer", "MTRR": "hw_mtrr",
               "VIRIDIAN_DOMAIN": "viridian_domain_context", "VIRIDIAN_VCPU": "viridian_vcpu_context", "VMCE_VCPU": "vmce_vcpu",
               "TSC_ADJUST": "tsc_adjust"}
    source = ["#include <stddef.h>", "#include <stdint.h>", "#include <xen/xen.h>", "#include <xen/hvm/save.h>",
              "#include <xen/hvm/params.h>"]
    for code, (name, sizes) in hvm.ENTRIES.items():
        if name in structs:
            source += [f'_Static_assert({" || ".join(f"sizeof(struct hvm_{structs[name]}) == {size}" for size in sizes)}, "{name}");',
                       f'_Static_assert(HVM_SAVE_CODE({name}) == {code}, "{name}");']
    source += [f'_Static_assert(sizeof(struct hvm_hw_cpu_compat) == {hvm.ENTRIES[hvm.CPU][1][2]}, "old CPU");',
               f'_Static_assert(offsetof(struct hvm_hw_cpu, flags) == {hvm.ENTRIES[hvm.CPU][1][1]}, "CPU before 4.7");',
               f'_Static_assert(HVM_SAVE_CODE_MAX == {max(hvm.ENTRIES)}, "newest entry");',
               f'_Static_assert(CPU_XSAVE_CODE == {hvm.XSAVE} && CPU_MSR_CODE == {hvm.MSR}, "codes");',
               f'_Static_assert(HVM_NR_PARAMS == {libxc.HVM_NR_PARAMS}, "parameters");',
               f'_Static_assert(HVM_FILE_MAGIC == {hvm.MAGIC}u && HVM_FILE_VERSION == {hvm.VERSION}, "header");',
               f'_Static_assert(offsetof(struct vcpu_guest_context, ctrlreg[4]) == {libxc.CR4_OF_CONTEXT}, "CR4 of PV");']
    for width, struct_name in ((8, "vcpu_guest_context_x86_64"), (4, "vcpu_guest_context_x86_32")):
        layout = pv.LAYOUTS[width]
        source += [f"#include <xen/foreign/x86_{8 * width}.h>",
                   f'_Static_assert(sizeof(struct {struct_name}) == {layout.size}, "registers of PV");']
        source += [f'_Static_assert(offsetof(struct {struct_name}, {field}) == {offset}, "{field}");' for field, offset in (
            (f"user_regs.{layout.start_info.lower()}", layout.rdx), ("gdt_frames[0]", layout.gdt_frames),
            ("gdt_ents", layout.gdt_ents), ("ctrlreg[0]", layout.ctrlreg), ("ctrlreg[1]", layout.ctrlreg + width))]
    for field, offset in (("cr0", hvm.CR0), ("cr4", hvm.CR4), ("msr_efer", hvm.EFER), ("msr_tsc_aux", hvm.TSC_AUX),
                          ("flags", hvm.CPU_FLAGS), ("pad0", hvm.CPU_PAD)):
        source.append(f'_Static_assert(offsetof(struct hvm_hw_cpu, {field}) == {offset}, "{field}");')
    assert len(structs) == len([1 for name, sizes in hvm.ENTRIES.values() if sizes]) - 1      # all but END
    (tmp_path / "sizes.c").write_text("\n".join(source) + "\n")
    r = subprocess.run(["gcc", "-D__XEN_TOOLS__", "-fsyntax-only", "sizes.c"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("code, size, right", [
    (hvm.LAPIC, 0, False), (hvm.LAPIC, 16, True), (hvm.LAPIC, 25, False), (hvm.LAPIC, 31, False), (hvm.LAPIC, 32, True),
    (hvm.LAPIC, 33, False), (hvm.MTRR, 239, False), (3, 7, False), (18, 31, True),
    (hvm.CPU, 1031, False), (hvm.CPU, 1033, False)])
def test_sizes_of_save_entries(code, size, right):
    """Xen fills up what an older one saved less of, where it grew; others have one size."""
    s = hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    if code not in [e[0] for e in entries]:
        entries.insert(1, [code, 0, bytearray()])
    i = entry_of(entries, code)
    entries[i][2][:] = (entries[i][2] + bytes(2000))[:size]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    at = s.at(s.index(HVM_CONTEXT)) + 8 + sum(8 + len(e[2]) for e in entries[:i]) + 4
    assert problems(s) == ([] if right else [("hvm-size", at, s.index(HVM_CONTEXT))])


def test_xsave_longer_than_its_components():
    """Xen up to 4.3: zeros behind them; what they hold is theirs."""
    s = hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    size = xstate.expected_size(0x203, verify(s.raw()).libxc.policy)
    i = xsave_entry(entries, xcr0=0x203, accumulated=0x203, size=size + 5000, bv=0x203)
    for at, right in ((size - 1, True), (size, False), (size + 4999, False)):
        entries[i][2][24 + 576:] = bytes(size + 5000 - 576)
        entries[i][2][24 + at] = 1
        s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
        assert [code for code, _, _ in problems(s)] == ([] if right else ["xstate-size"]), at


@pytest.mark.parametrize("mode, right", [(0, True), (1, True), (2, True), (3, False)])
def test_tsc_modes(mode, right):
    s = hvm_stream()
    s.find(TSC_INFO).set(0, "<I", mode)
    assert (problems(s) == []) == right


def test_no_parameters():
    s = hvm_stream()
    s.find(HVM_PARAMS).body[:] = bytes(8)
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == ["an empty HVM_PARAMS record"]
