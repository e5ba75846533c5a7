# SPDX-License-Identifier: MIT
"""HVM_CONTEXT: the entries of <xen/arch-x86/hvm/save.h>, one behind the other, each with type, instance and length."""

import struct

from . import state, xstate

SECTION = "HVM_CONTEXT"
MAGIC, VERSION = 0x54381286, 1
DESCRIPTOR = 8

END, HEADER, CPU, LAPIC, MTRR, XSAVE, MSR = 0, 1, 2, 5, 14, 16, 20

# typecode: (name, sizes, each of which is right).  CPU: of today, before Xen 4.7 (no flags), before 3.4 (no TSC_AUX).
# LAPIC: of 4.17, and with pending_esr since 4.18.5, 4.19.2, 4.20.1 and 4.21.
ENTRIES = {
    END: ("END", (0,)), HEADER: ("HEADER", (24,)), CPU: ("CPU", (1032, 1024, 1016)), 3: ("PIC", (8,)), 4: ("IOAPIC", (400,)),
    LAPIC: ("LAPIC", (24, 32)), 6: ("LAPIC_REGS", (1024,)), 7: ("PCI_IRQ", (16,)), 8: ("ISA_IRQ", (8,)), 9: ("PCI_LINK", (8,)),
    10: ("PIT", (56,)), 11: ("RTC", (24,)), 12: ("HPET", (1048,)), 13: ("PMTIMER", (8,)), MTRR: ("MTRR", (240,)),
    15: ("VIRIDIAN_DOMAIN", (32,)), XSAVE: ("CPU_XSAVE", None), 17: ("VIRIDIAN_VCPU", (216,)), 18: ("VMCE_VCPU", (32,)),
    19: ("TSC_ADJUST", (8,)), MSR: ("CPU_MSR", None),
}
# Xen fills these up with zeros when an older one saved less.
EXTENDED = {LAPIC, 11, 15, 17, 18}

# Offsets in struct hvm_hw_cpu.
CR0, CR4, EFER, TSC_AUX = 656, 680, 992, 1000
CPU_FLAGS, CPU_PAD = 1024, 1028

# What a fault in a register is called, by its kind.
CODES = {state.FEATURE: "state-policy", state.COMPONENT: "state-policy", state.RESERVED: "hvm-reserved-bit",
         state.VALUE: "hvm-value"}


class Context:
    """One HVM_CONTEXT record, read entry by entry: what is kept does not grow with it."""

    def __init__(self, body, report, policy, xen):
        self.body, self.report, self.policy, self.xen = body, report, policy, xen
        self.seen = {}          # typecode: bitmap of instances
        self.count = {}
        self.index = 0

    def add(self, code, offset, text):
        self.report.problem(code, offset, SECTION, f"save entry {self.index} ({self.name}, instance {self.instance}): {text}")

    def read(self):
        ended = False
        body = self.body
        self.index = -1
        while body.left and not ended:
            self.index += 1
            self.name, self.instance = "?", 0
            at = body.offset
            if body.left < DESCRIPTOR:
                self.report.problem("hvm-cut", at, SECTION, f"{body.left} bytes after the last save entry are no descriptor")
                return
            code, self.instance, length = struct.unpack("<HHI", body.read(DESCRIPTOR))
            self.name = ENTRIES.get(code, (f"type {code}",))[0]
            if length > body.left:
                self.add("hvm-cut", at, f"{length} bytes, and {body.left} are left in the record")
                return
            ended = code == END
            self._entry(code, at, length)
        self._whole(ended)

    def _whole(self, ended):
        """What must be there, once the record ends."""
        end = self.body.offset
        if self.body.left:
            self.report.problem("hvm-after-end", end, SECTION, f"{self.body.left} bytes after the END entry")
        if not ended:
            self.report.problem("hvm-no-end", end, SECTION, "no END entry")
        for code in (HEADER, CPU):          # a vCPU that is down has none, and that can be vCPU 0
            if code not in self.seen:
                self.report.problem("hvm-missing", self.body.start, SECTION, f"no {ENTRIES[code][0]} entry")

    def _entry(self, code, at, length):
        seen = self.seen.setdefault(code, bytearray(8192)) if code in ENTRIES else None
        if self.index == 0 and code != HEADER:
            self.add("hvm-order", at, "the first entry is not HEADER")
        if seen is None:
            self.add("hvm-unknown", at, f"no entry has type {code}")
            self.body.skip(length)
            return
        if seen[self.instance >> 3] >> (self.instance & 7) & 1:
            self.add("hvm-twice", at, "is there a second time")
        seen[self.instance >> 3] |= 1 << (self.instance & 7)
        self.count[code] = self.count.get(code, 0) + 1
        sizes = ENTRIES[code][1]
        if sizes and length not in sizes and not (code in EXTENDED and 0 < length < sizes[0]):
            self.add("hvm-size", at + 4, f"{length} bytes, must be {' or '.join(map(str, sizes))}")
            self.body.skip(length)
            return
        reader = self.READERS.get(code)
        left = self.body.left
        if reader:
            reader(self, length)
        self.body.skip(length - (left - self.body.left))

    # ---- entries ----

    def _header(self, length):
        at = self.body.offset
        magic, version = struct.unpack("<II", self.body.read(8))
        if magic != MAGIC:
            self.add("hvm-magic", at, f"magic {magic:#x}, must be {MAGIC:#x}")
        if version != VERSION:
            self.add("hvm-version", at + 4, f"version {version}, must be {VERSION}")

    def _cpu(self, length):
        at = self.body.offset
        data = self.body.read(length)
        cr0, = struct.unpack_from("<Q", data, CR0)
        cr4, = struct.unpack_from("<Q", data, CR4)
        efer, = struct.unpack_from("<Q", data, EFER)
        for _, text in state.check_cr0(cr0):
            self.add("hvm-cr0", at + CR0, text)
        if length == 1032 and struct.unpack_from("<I", data, CPU_FLAGS)[0] & ~1:
            self.add("reserved", at + CPU_FLAGS, "reserved flags are set")
        # A newer Xen may have found a use for it.
        if length == 1032 and self.xen <= (4, 17) and struct.unpack_from("<I", data, CPU_PAD)[0]:
            self.add("reserved", at + CPU_PAD, "padding is not zero")
        self._registers(state.check("CR4", cr4, self.policy), at + CR4)
        self._registers(state.check("EFER", efer, self.policy), at + EFER)
        if length > ENTRIES[CPU][1][2]:     # the oldest ones have none
            self._registers(state.check("TSC_AUX", struct.unpack_from("<Q", data, TSC_AUX)[0], self.policy), at + TSC_AUX)

    def _lapic(self, length):
        at = self.body.offset
        data = self.body.read(length).ljust(24, b"\0")
        self._registers(state.check("APIC_BASE", int.from_bytes(data[:8], "little"), self.policy), at)

    def _registers(self, faults, at):
        for kind, text in faults:
            self.add(CODES[kind], at, text)

    def _xsave(self, length):
        at = self.body.offset
        if length < 24:
            self.add("hvm-size", at - 4, f"{length} bytes, at least 24 are needed")
            return
        _, xcr0, accumulated = struct.unpack("<QQQ", self.body.read(24))
        size = length - 24
        area = self.body.read(min(size, xstate.XSTATE_AREA))
        where = {"xcr0": at + 8, "accumulated": at + 16, "area": at + 24}
        xstate.check(xcr0, accumulated, area, size, self.policy, where, self.add)
        if not size:
            self.add("xstate-size", where["area"], f"no XSAVE area; {xstate.XSTATE_AREA} bytes are the least")
        expected = xstate.expected_size(accumulated, self.policy)
        if expected is None or size < xstate.XSTATE_AREA:
            return
        if size < expected:
            self.add("xstate-size", at - 4, f"an XSAVE area of {size} bytes; its components need {expected}")
        elif size > expected:       # Xen up to 4.3 sent too much, of zeros
            self.body.skip(expected - len(area))
            left = size - expected
            while left:
                data = self.body.read(min(left, 4096))
                if data.count(0) != len(data):
                    self.add("xstate-size", at - 4, f"an XSAVE area of {size} bytes; its components need {expected}, and what "
                                                    "is beyond is not zero")
                    break
                left -= len(data)

    def _msrs(self, length):
        at = self.body.offset
        if length < 8:
            self.add("hvm-size", at - 4, f"{length} bytes, at least 8 are needed")
            return
        count, pad = struct.unpack("<II", self.body.read(8))
        if length != 8 + 16 * count:
            self.add("hvm-size", at - 4, f"{length} bytes, {count} MSRs need {8 + 16 * count}")
            return
        for _ in range(count):
            entry = self.body.offset
            index, reserved, value = struct.unpack("<IIQ", self.body.read(16))
            if reserved:
                self.add("reserved", entry + 4, f"MSR {index:#x}: the reserved field is not zero")
            self._registers(state.check_msr(index, value, self.policy), entry + 8)

    READERS = {HEADER: _header, CPU: _cpu, LAPIC: _lapic, XSAVE: _xsave, MSR: _msrs}
