# SPDX-License-Identifier: MIT
"""HVM_CONTEXT: the entries of <xen/arch-x86/hvm/save.h>, one behind the other, each with type, instance and length."""

import struct

from . import features, xstate

SECTION = "HVM_CONTEXT"
MAGIC, VERSION = 0x54381286, 1
DESCRIPTOR = 8
MAX_ENTRY = 1 << 20         # bytes: more than any entry can have

END, HEADER, CPU, LAPIC, MTRR, XSAVE, MSR = 0, 1, 2, 5, 14, 16, 20

# typecode: (name, sizes, each of which is right).  CPU: of today, before Xen 4.7 (no flags), before 3.4 (no TSC_AUX).
ENTRIES = {
    END: ("END", (0,)), HEADER: ("HEADER", (24,)), CPU: ("CPU", (1032, 1024, 1016)), 3: ("PIC", (8,)), 4: ("IOAPIC", (400,)),
    LAPIC: ("LAPIC", (24,)), 6: ("LAPIC_REGS", (1024,)), 7: ("PCI_IRQ", (16,)), 8: ("ISA_IRQ", (8,)), 9: ("PCI_LINK", (8,)),
    10: ("PIT", (56,)), 11: ("RTC", (24,)), 12: ("HPET", (1048,)), 13: ("PMTIMER", (8,)), MTRR: ("MTRR", (240,)),
    15: ("VIRIDIAN_DOMAIN", (32,)), XSAVE: ("CPU_XSAVE", None), 17: ("VIRIDIAN_VCPU", (216,)), 18: ("VMCE_VCPU", (32,)),
    19: ("TSC_ADJUST", (8,)), MSR: ("CPU_MSR", None),
}
# Xen fills these up with zeros when an older one saved less.
EXTENDED = {LAPIC, 11, 15, 17, 18}
PER_VCPU = {CPU, LAPIC, 6, MTRR, XSAVE, 17, 18, 19, MSR}

# Offsets in struct hvm_hw_cpu.
CR0, CR4, EFER = 656, 680, 992
CPU_FLAGS, CPU_PAD = 1024, 1028

CR0_PE, CR0_PG, CR0_NW, CR0_CD = 1 << 0, 1 << 31, 1 << 29, 1 << 30
# CR4 bit: (name, feature); SDM vol. 3A 2.5, APM vol. 2 3.1.3.  None: no feature is needed.
CR4_BITS = {0: ("VME", "vme"), 1: ("PVI", "vme"), 2: ("TSD", "tsc"), 3: ("DE", "de"), 4: ("PSE", "pse"), 5: ("PAE", "pae"),
            6: ("MCE", "mce"), 7: ("PGE", "pge"), 8: ("PCE", None), 9: ("OSFXSR", "fxsr"), 10: ("OSXMMEXCPT", "sse"),
            11: ("UMIP", "umip"), 12: ("LA57", "la57"), 13: ("VMXE", "vmx"), 14: ("SMXE", "smx"), 16: ("FSGSBASE", "fsgsbase"),
            17: ("PCIDE", "pcid"), 18: ("OSXSAVE", "xsave"), 20: ("SMEP", "smep"), 21: ("SMAP", "smap"), 22: ("PKE", "pku"),
            23: ("CET", "cet-ss"), 24: ("PKS", "pks"), 25: ("UINTR", "uintr"), 27: ("LASS", "lass"), 28: ("LAM_SUP", "lam"),
            32: ("FRED", "fred")}
# EFER bit: (name, feature); APM vol. 2 3.1.7.
EFER_BITS = {0: ("SCE", "syscall"), 8: ("LME", "lm"), 10: ("LMA", "lm"), 11: ("NXE", "nx"), 12: ("SVME", "svm"),
             13: ("LMSLE", None), 14: ("FFXSE", "ffxsr"), 15: ("TCE", "tce"), 20: ("UAIE", "upper-addr-ignore"),
             21: ("AIBRSE", "auto-ibrs")}


class Context:
    """One HVM_CONTEXT record, read entry by entry: what is kept does not grow with it."""

    def __init__(self, body, report, policy, xen):
        self.body, self.report, self.policy, self.xen = body, report, policy, xen
        self.fs = policy.featureset() if policy else None
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
        for code in (HEADER, CPU):
            if not self.seen.get(code, b"\0")[0] & 1:
                self.report.problem("hvm-missing", self.body.start, SECTION,
                                    f"no {ENTRIES[code][0]} entry of instance 0")

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
        if cr0 >> 32 or (cr0 & CR0_PG and not cr0 & CR0_PE) or (cr0 & CR0_NW and not cr0 & CR0_CD):
            self.add("hvm-cr0", at + CR0, f"CR0 {cr0:#x} is one that no CPU takes")
        if length == 1032 and struct.unpack_from("<I", data, CPU_FLAGS)[0] & ~1:
            self.add("reserved", at + CPU_FLAGS, "reserved flags are set")
        # A newer Xen may have found a use for it.
        if length == 1032 and self.xen <= (4, 17) and struct.unpack_from("<I", data, CPU_PAD)[0]:
            self.add("reserved", at + CPU_PAD, "padding is not zero")
        self._control("CR4", cr4, CR4_BITS, at + CR4)
        self._control("EFER", efer, EFER_BITS, at + EFER)

    def _control(self, register, value, known, at):
        for bit in features.bits(value):
            if bit not in known:
                self.add("hvm-reserved-bit", at, f"{register} {value:#x}: bit {bit} is reserved")
                continue
            name, feature = known[bit]
            if feature and self.fs is not None and not self.fs >> features.table().number(feature) & 1:
                self.add("state-policy", at, f"{register}.{name} is set, and the CPU policy has no {feature}")

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
            index, reserved, _ = struct.unpack("<IIQ", self.body.read(16))
            if reserved:
                self.add("reserved", entry + 4, f"MSR {index:#x}: the reserved field is not zero")

    READERS = {HEADER: _header, CPU: _cpu, XSAVE: _xsave, MSR: _msrs}
