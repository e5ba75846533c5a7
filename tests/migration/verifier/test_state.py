# SPDX-License-Identifier: MIT
"""The verifier and the restoring side judge the registers of a stream alike, and by the same names."""

import os
import random
import re
import struct
import subprocess

import pytest

import streambuilder
from harness import lines, verify
from migration import features, hvm, libxc
from migration.libxc import HVM_CONTEXT, VCPU_BASIC, VCPU_MSRS, VCPU_XSAVE
from streambuilder import hvm_context, hvm_entries, hvm_stream, pv_stream

SEED = int(os.environ.get("XENLEVEL_SEED") or 20261129)
CHANGES = 250       # of each kind of guest
HVM_POLICIES = ["pvh-cascadelake", "pvh-amd-rich"]
POLICY_CODES = {"state-policy", "xstate-policy", "xstate-bv"}


@pytest.fixture(scope="module")
def reader(build, tmp_path_factory):
    """A function: streams to [(verdict, [what it says])]."""
    directory = tmp_path_factory.mktemp("state")

    def judge(streams):
        paths = []
        for i, data in enumerate(streams):
            paths.append(directory / f"{i}.stream")
            paths[-1].write_bytes(data)
        r = subprocess.run([build / "tests/migration/unit/stream-state", *paths], capture_output=True, text=True, check=True)
        found, said = [], []
        for line in r.stdout.splitlines():
            verdict = re.fullmatch(r"(ok|EPERM|EILSEQ) .*\.stream", line)
            if verdict:
                found.append((verdict[1], said))
                said = []
            else:
                said.append(line)
        assert len(found) == len(streams), r.stderr
        return found
    return judge


def test_what_stock_xen_wrote_passes(captured, build):
    for path in captured.values():
        r = subprocess.run([build / "tests/migration/unit/stream-state", path], capture_output=True, text=True, check=True)
        assert r.stdout == f"ok {path}\n"


def test_cpu_entries_of_older_xen(reader):
    """Without flags (before 4.7), and with the time where TSC_AUX is now (before 3.4)."""
    entries = base_entries("pvh-cascadelake")
    cpu = next(e for e in entries if e[0] == hvm.CPU)
    now = bytes(cpu[2])
    for data in (now[:1024], now[:1000] + struct.pack("<Q", 1 << 50) + now[1016:1024]):
        cpu[2] = bytearray(data)
        stream = hvm_with("pvh-cascadelake", hvm_context(entries))
        assert reader([stream]) == [("ok", [])] and verify(stream).report.valid


def test_what_pv_guests_see_of_xen(reader):
    """Machine checks are on in CR4, and the policy has none."""
    s = pv_stream()
    leaves = s.find(libxc.CPUID_POLICY).body
    at = next(i for i in range(0, len(leaves), 24) if struct.unpack_from("<I", leaves, i)[0] == 1)
    edx, = struct.unpack_from("<I", leaves, at + 20)
    struct.pack_into("<I", leaves, at + 20, edx & ~(1 << 7 | 1 << 14))
    s.find(VCPU_BASIC).set(8 + libxc.CR4_OF_CONTEXT, "<Q", 0x660)
    assert reader([s.raw()]) == [("ok", [])] and verify(s.raw()).report.valid


def test_a_value_that_no_register_holds(reader):
    """EFER.LMA without LME: it does not depend on the policy, so it is no EPERM, and has a name of its own."""
    s = pv_stream()
    s.find(VCPU_MSRS).set(8, "<IIQ", 0xc0000080, 0, 1 << 10)
    (verdict, said), = reader([s.raw()])
    assert verdict == "EILSEQ" and "vCPU 0: EFER: 0x400 cannot be" in said[0]
    assert [p.code for p in verify(s.raw()).report.problems] == ["pv-value"]
    entries = base_entries("pvh-cascadelake")
    struct.pack_into("<Q", next(e for e in entries if e[0] == hvm.CPU)[2], hvm.EFER, 1 << 10)
    (verdict, said), = reader([hvm_with("pvh-cascadelake", hvm_context(entries))])
    assert verdict == "EILSEQ", said
    assert "hvm-value" in {p.code for p in verify(hvm_with("pvh-cascadelake", hvm_context(entries))).report.problems}


# ---- changes ----

def xsave_entry(components, size):
    data = bytearray(24 + size)
    struct.pack_into("<QQQ", data, 0, components, components, components)
    struct.pack_into("<Q", data, 24 + 512, components)
    return data


def base_entries(name):
    """A context with an XSAVE area and an MSR, which the probe does not have by itself."""
    real = streambuilder.captured_records(name)
    entries = hvm_entries(real[HVM_CONTEXT])
    components, size = (0x203, 0xa88) if name == "pvh-cascadelake" else (0x207, 0xa88)
    entries[-1:] = [[hvm.XSAVE, 0, xsave_entry(components, size)],
                    [hvm.MSR, 0, bytearray(struct.pack("<IIIIQ", 1, 0, 0x140, 0, 1))], entries[-1]]
    return entries


def hvm_with(name, context):
    s = hvm_stream()
    real = streambuilder.captured_records(name)
    for kind in (libxc.CPUID_POLICY, libxc.MSR_POLICY):
        s.find(kind).body[:] = real[kind]
    s.find(HVM_CONTEXT).body[:] = context
    return s.raw()


def flip(data, offset, bit):
    data[offset + bit // 8] ^= 1 << bit % 8


REGISTERS = [(hvm.CPU, hvm.CR0), (hvm.CPU, hvm.CR4), (hvm.CPU, hvm.EFER), (hvm.CPU, hvm.TSC_AUX), (hvm.LAPIC, 0),
             (hvm.XSAVE, 8), (hvm.XSAVE, 16), (hvm.XSAVE, 24 + 512), (hvm.XSAVE, 24 + 520), (hvm.MSR, 16)]


def msr_numbers():
    return [*features.table().register_of_msr, 0x10, 0x174]


def hvm_change(rng):
    """(a stream, what was done to it)"""
    name = rng.choice(HVM_POLICIES)
    entries = base_entries(name)
    by_code = {e[0]: e for e in entries}
    how = rng.choice(["bit", "bit", "bit", "two", "msr", "msr", "length", "cut", "end", "size"])
    if how in ("bit", "two"):
        for _ in range(1 if how == "bit" else 2):
            code, offset = rng.choice(REGISTERS)
            bit = rng.randrange(64)
            flip(by_code[code][2], offset, bit)
            how += f" {hvm.ENTRIES[code][0]}+{offset}[{bit}]"
    elif how == "msr":
        number, value = rng.choice(msr_numbers()), 1 << rng.randrange(64)
        struct.pack_into("<IIQ", by_code[hvm.MSR][2], 8, number, 0, value)
        how += f" {number:#x} = {value:#x}"
    elif how == "length":
        code = rng.choice([hvm.HEADER, hvm.CPU, hvm.XSAVE, hvm.MSR])
        del by_code[code][2][rng.randrange(len(by_code[code][2])):]
    elif how == "size":         # zeros behind the area may be there, anything else not
        by_code[hvm.XSAVE][2].extend(bytes([0, rng.choice([0, 0, 7])]) * rng.randrange(1, 40))
    elif how == "end":
        entries[-1:] = rng.choice([[], [entries[-1], entries[-1]], [[hvm.END, 0, bytearray(8)]], [entries[-2], entries[-1]]])
    context = hvm_context(entries)
    if how == "cut":
        context = context[:rng.randrange(1, len(context))]
    return hvm_with(name, context), f"{name}: {how}"


def pv_change(rng):
    s = pv_stream()
    how = rng.choice(["cr4", "cr4", "xsave", "xsave", "msr", "size"])
    if how == "cr4":
        bit = rng.randrange(64)
        s.find(VCPU_BASIC).set(8 + libxc.CR4_OF_CONTEXT, "<Q", 0x50660 ^ 1 << bit)
        how += f"[{bit}]"
    elif how == "xsave":
        offset, bit = rng.choice([8, 16, 24 + 512, 24 + 520, 24 + 528]), rng.randrange(64)
        flip(s.find(VCPU_XSAVE).body, offset, bit)
        how += f"+{offset}[{bit}]"
    elif how == "msr":
        number, value = rng.choice(msr_numbers()), 1 << rng.randrange(64)
        s.find(VCPU_MSRS).set(8, "<IIQ", number, 0, value)
        how += f" {number:#x} = {value:#x}"
    else:
        body, size = s.find(VCPU_XSAVE).body, rng.choice([0, 100, 575, 576, 577, 640])
        body[:] = body[:24 + size].ljust(24 + size, b"\0")
        how += f" {size}"
    return s.raw(), how


def names(said):
    """What is named in the restoring side's lines: (register, feature or number)."""
    found = set()
    for line in said:
        if m := re.search(r"vCPU 0: ([\w ]+): (?:component (\d+)(?: \(([\w-]+)\))?|([\w-]+)) is not in its CPU policy", line):
            found.add((m[1], m[4] or (f"{m[2]} ({m[3]})" if m[3] else m[2])))
        elif m := re.search(r"vCPU 0: (\w+): bit (\d+) is reserved", line):
            found.add((m[1], f"bit {m[2]}"))
    return found


@pytest.mark.parametrize("change", [hvm_change, pv_change])
def test_both_judge_alike(reader, change):
    rng = random.Random(SEED)
    changed = [change(rng) for _ in range(CHANGES)]
    seen = {"ok": 0, "EPERM": 0, "EILSEQ": 0}
    for (data, how), (verdict, said) in zip(changed, reader([data for data, _ in changed])):
        v = verify(data)
        what = f"seed {SEED}, {how}: {verdict}\n" + "\n".join(said) + "\n" + lines(v)
        seen[verdict] += 1
        assert v.report.valid == (verdict == "ok"), what
        codes = {p.code for p in v.report.problems}
        assert verdict != "EPERM" or codes & POLICY_CODES, what
        assert verdict != "EILSEQ" or not codes <= {"state-policy", "xstate-policy"}, what
        texts = [p.text for p in v.report.problems]
        for register, thing in names(said):
            assert any(register in text and re.search(rf"\b{re.escape(thing)}(?![\w-])", text) for text in texts), (register, thing, what)
    assert min(seen.values()) > CHANGES // 50, seen
