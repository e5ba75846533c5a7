# SPDX-License-Identifier: MIT
"""libxc's layer: image header, domain header, records."""

import struct

from . import hvm, policy as cpu_policy, pv, state, xstate
from .crc import between
from .pagedata import Pages
from .records import LIBXC as TABLE, NEEDED, OPTIONAL
from .source import Body, GivenUp, Truncated


def _types(*names):
    return (TABLE.types[name] for name in names)


# Numbers of records, as this package calls them.
END, PAGE_DATA, SHARED_INFO, HVM_CONTEXT, HVM_PARAMS, TOOLSTACK, VERIFY, CHECKPOINT, STATIC_DATA_END, CHECKSUM = _types(
    "END", "PAGE_DATA", "SHARED_INFO", "HVM_CONTEXT", "HVM_PARAMS", "TOOLSTACK", "VERIFY", "CHECKPOINT", "STATIC_DATA_END",
    "CHECKSUM")
PV_INFO, P2M_FRAMES, VCPU_BASIC, VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS, TSC_INFO, CPUID_POLICY, MSR_POLICY = _types(
    "X86_PV_INFO", "X86_PV_P2M_FRAMES", "X86_PV_VCPU_BASIC", "X86_PV_VCPU_EXTENDED", "X86_PV_VCPU_XSAVE", "X86_PV_VCPU_MSRS",
    "X86_TSC_INFO", "X86_CPUID_POLICY", "X86_MSR_POLICY")
DIRTY_PFN_LIST = TABLE.types["CHECKPOINT_DIRTY_PFN_LIST"]
NAMES, record_name = TABLE.names, TABLE.record_name

MARKER, IDENT = 0xffffffffffffffff, 0x58454e46
PV, HVM = 1, 2
GUESTS = {PV: "x86 PV", HVM: "x86 HVM"}
MAX_LENGTH = 128 << 20      # of a record's body: what Xen's reader takes
MAX_OPTIONAL_RUN = 1024     # optional records one behind the other, in either layer
MAX_VCPUS = 8192
PAGE = 4096
QUEUE = 64                  # records that are asked for ahead
AHEAD = 1 << 18             # bytes: smaller records are near enough

VCPU_RECORDS = TABLE.once_a_vcpu
ORDER = "Order of records"
CR4_OF_CONTEXT = pv.LAYOUTS[8].ctrlreg + 4 * 8
# What a fault in a PV vCPU's register is called, by its kind.
REGISTER_CODES = {state.FEATURE: "state-policy", state.COMPONENT: "state-policy", state.RESERVED: "reserved",
                  state.VALUE: "pv-value"}
TSC_MODES = 3
HVM_NR_PARAMS = 39


def check_run(run, kind, start, section, report):
    """How many optional records stand one behind the other, this one included. Too many are not read to their end."""
    if not kind & OPTIONAL:
        return 0
    if run == MAX_OPTIONAL_RUN:
        report.problem("optional-run", start, section, f"more than {run} optional records one behind the other")
        raise GivenUp
    return run + 1


class Stream:
    """One libxc stream. `run()` reads to END, CHECKPOINT (and can then go on), or the end of the bytes."""

    def __init__(self, source, report, checksums=False, on_policy=None):
        self.source, self.report = source, report
        self.checksums = checksums or not source.seekable
        self.on_policy = on_policy or (lambda stream: None)
        self.version = self.guest = self.xen = None
        self.record = -1
        self.run_length = 0         # optional records up to here, one behind the other
        self.types = {}             # record type: (count, bytes of bodies)
        self.pages = Pages()
        self._stride = self._asked = 0
        self.static_end = False
        self.seen = set()           # since the beginning
        self.checkpoints = 0
        self._new_epoch()
        self.width = self.end_pfn = self.vcpu = None
        self.policy, self.policy_faults = None, None
        self._leaves = self._msrs = None
        self._policy_record = {}
        self._can_be_whole = True   # nothing else is wrong that would make the policy incomplete
        self._policy_done = False
        self.hvm_entries = {}
        self.params = []
        self.tsc = None
        # Checksums: bytes of this layer, whatever stands between two parts of it.
        self._origin = None
        self._elsewhere = 0         # bytes of other layers since the origin
        self._covered = None        # mark at the end of the last CHECKSUM
        self.checksum_records = 0

    def _new_epoch(self):
        """A checkpoint's records may come again."""
        self.epoch = set()
        self.vcpus = {kind: bytearray(MAX_VCPUS // 8) for kind in VCPU_RECORDS}

    def add(self, code, offset, section, text):
        self.report.problem(code, offset, section, text)

    # ---- headers ----

    def headers(self):
        """False when nothing after them can be read."""
        self.report.place("libxc", None, None)
        at = self.source.offset
        self._origin = at
        if self.checksums:
            self.source.start_crc()
        marker, ident, version, options, reserved, reserved2 = struct.unpack(">QIIHHI", self.source.read(24))
        section = "Image header"
        if marker != MARKER:
            self.add("marker", at, section, f"the marker is {marker:#018x}, must be eight bytes 0xff")
        if ident != IDENT:
            self.add("ident", at + 8, section, f"the id is {ident:#010x}, must be \"XENF\"")
        if marker != MARKER and ident != IDENT:
            return False
        if version not in (2, 3):
            self.add("version", at + 12, section, f"version {version}; 2 and 3 are known, read as 3")
        self.version = version if version == 2 else 3
        if options & 1:
            self.add("endian", at + 16, section, "the stream is big-endian; no x86 host writes or reads that")
            return False
        if options or reserved or reserved2:
            self.add("reserved", at + 16, section, "reserved bits are not zero")
        return self._domain_header()

    def _domain_header(self):
        at = self.source.offset
        guest, shift, reserved, major, minor = struct.unpack("<IHHII", self.source.read(16))
        section = "Domain header"
        if guest not in GUESTS:
            self.add("guest-type", at, section, f"guest type {guest}; 1 (x86 PV) and 2 (x86 HVM) are known")
        self.guest = guest
        if shift != 12:
            self.add("page-shift", at + 4, section, f"pages of 2^{shift} bytes; x86 has 2^12")
        if reserved:
            self.add("reserved", at + 6, section, "reserved bits are not zero")
        self.xen = (major, minor)
        if not major:
            self.report.note("converted from a legacy stream")
        return True

    # ---- records ----

    def run(self):
        """Read records: "end", "checkpoint", or "cut" when the bytes end where a record should begin."""
        while True:
            if self.source.at_end():
                self._cut()
                return "cut"
            kind = self._one()
            if kind == END:
                return "end"
            if kind == CHECKPOINT:
                self.checkpoints += 1
                self._new_epoch()
                return "checkpoint"

    def _cut(self):
        self.report.place("libxc", None, None)
        self.add("no-end", self.source.offset, "END", "the stream ends here, between two records, without an END: it is cut off")
        self.finish_policy()

    def _one(self):
        source = self.source
        start = source.offset
        mark = source.crc.mark() if source.crc else None
        self.record += 1
        kind, length = struct.unpack("<II", self._record_header())
        self.report.place("libxc", self.record, record_name(kind))
        self.run_length = check_run(self.run_length, kind, start, "Records", self.report)
        count, size = self.types.get(kind, (0, 0))
        if (count, size) != (0, 0) or len(self.types) < 1000:       # hostile streams have many types
            self.types[kind] = (count + 1, size + length)
        if length > MAX_LENGTH:
            self.add("length", start + 4, "Records", f"a body of {length} bytes; {MAX_LENGTH} are the most")
        body = Body(source, length)
        self._order(kind, start)
        if kind in TABLE.empty and length:
            self.add("length", start + 4, NAMES[kind], f"a body of {length} bytes, must have none")
        handler = self.HANDLERS.get(kind)
        if kind == CHECKSUM:
            self._checksum(body, start, mark)
        elif handler:
            handler(self, body, start)
        elif kind == END:
            self._end(start)
        elif kind == CHECKPOINT:
            self._checkpoint(start)
        if kind in NAMES:
            self.seen.add(kind)
            self.epoch.add(kind)
        body.skip()
        self._padding(length)
        if kind == CHECKSUM:
            self._covered = (source.crc.mark() if source.crc else None, self._position(source.offset))
        if kind == STATIC_DATA_END:
            self._end_of_static()
        return kind

    def _padding(self, length):
        pad = -length % 8
        if pad:
            at = self.source.offset
            if self.source.read(pad).count(0) != pad:
                self.add("padding", at, "Records", "padding is not zero")

    def _record_header(self):
        try:
            return self.source.read(8)
        except Truncated:
            self.report.place("libxc", self.record, None)     # not the one before
            raise

    def _order(self, kind, start):
        """Whether such a record may stand here."""
        add = self.add
        if kind not in NAMES:
            if not kind & OPTIONAL:
                add("unknown-record", start, "Records", f"no mandatory record has type {kind:#x}")
            return
        name = NAMES[kind]
        if TABLE.since[kind] > self.version:
            add("version", start, name, f"a version {self.version} stream has no such record")
        if kind in TABLE.only_pv and self.guest == HVM or kind in TABLE.only_hvm and self.guest == PV:
            add("guest-type", start, name, f"in the stream of an {GUESTS[self.guest]} guest")
        if kind in TABLE.once and kind in self.seen or kind in TABLE.once_a_checkpoint and kind in self.epoch:
            add("twice", start, ORDER, "stands here a second time")
        if kind in TABLE.retired:
            add("obsolete", start, name, "no stream has it any more")
        if kind in TABLE.back_channel:
            add("back-channel", start, name, "travels from the receiver to the sender only")
        self._order_of_static(kind, name, start)
        self._order_of_neighbours(kind, start)

    def _order_of_static(self, kind, name, start):
        if kind in TABLE.static:
            if self.static_end:
                self.add("order", start, ORDER, "stands after the end of the static data")
        elif kind in TABLE.static_end or kind in TABLE.anywhere:
            pass
        elif not self.static_end:
            if self.version < 3:
                if kind in TABLE.memory:
                    self._end_of_static()
            else:
                self.add("order", start, ORDER, "stands before STATIC_DATA_END")
                self._end_of_static()

    def _order_of_neighbours(self, kind, start):
        """What must have come before it, and what must not. What comes again and again is said once."""
        for other in TABLE.behind.get(kind, ()):
            if other not in self.seen and kind not in self.epoch and self._can_have(other):
                self.add("order", start, ORDER, f"stands before {NAMES[other]}")
        if self.epoch.intersection(TABLE.not_behind.get(kind, ())):
            self.add("order", start, ORDER, "stands after the vCPUs' records")

    def _can_have(self, kind):
        return self.guest == PV or kind not in TABLE.only_pv

    def _end_of_static(self):
        if self.static_end:
            return
        self.static_end = True
        self._can_be_whole &= self.version >= 3
        self.finish_policy()

    # ---- static data ----

    def _pv_info(self, body, start):
        at = body.offset
        if body.length != 8:
            self.add("length", start + 4, "X86_PV_INFO", f"a body of {body.length} bytes, must be 8")
        if body.length < 8:
            return
        width, levels, reserved, reserved2 = struct.unpack("<BBHI", body.read(8))
        if (width, levels) not in ((4, 3), (8, 4)):
            self.add("pv-info", at, "X86_PV_INFO", f"words of {width} bytes with {levels} page table levels; x86 has 4 with 3 "
                                                   "and 8 with 4")
        elif self.width is None:
            self.width = width
        if reserved or reserved2:
            self.add("reserved", at + 2, "X86_PV_INFO", "reserved bits are not zero")

    def _policy_array(self, body, start, name, size, most, layout):
        """Entries of one of the policy records; None when there are none to take. Never more than a policy has, and one."""
        if not body.length or body.length % size:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, not a multiple of {size} above zero")
            self._can_be_whole = False
        count = body.length // size
        data = body.read(min(count, most) * size)
        self._policy_record[name] = (self.record, start + 8, size)
        return list(struct.iter_unpack(layout, data)), count

    def _cpuid_policy(self, body, start):
        taken = self._policy_array(body, start, "X86_CPUID_POLICY", 24, cpu_policy.MAX_LEAVES, "<6I")
        self._leaves = self._leaves or taken

    def _msr_policy(self, body, start):
        taken = self._policy_array(body, start, "X86_MSR_POLICY", 16, cpu_policy.MAX_MSRS, "<IIQ")
        self._msrs = self._msrs or taken

    def finish_policy(self):
        """Both arrays are there: is it a CPU that can exist?"""
        if self._policy_done:
            return
        self._can_be_whole &= self.static_end       # a stream that is cut off has more to say
        self._policy_done = True
        here = self.report.layer, self.report.record, self.report.type
        if self._leaves:
            leaves, nr_leaves = self._leaves
            msrs, nr_msrs = self._msrs or ([], 0)
            policy, faults = cpu_policy.from_arrays(leaves, msrs, nr_leaves, nr_msrs)
            if self._can_be_whole:
                faults = faults or cpu_policy.whole(policy)
            self.policy, self.policy_faults = policy, faults
            for fault in faults:
                self.policy_problem(fault, "policy-")
            for fault in cpu_policy.verify(policy) if not faults else ():
                self.policy_problem(fault, "policy-", "A CPU that can exist")
        elif self._msrs and self._can_be_whole:
            record, at, _ = self._policy_record["X86_MSR_POLICY"]
            self.report.place("libxc", record, "X86_MSR_POLICY")
            self.add("policy-incomplete", at - 8, "X86_MSR_POLICY", "stands here without X86_CPUID_POLICY")
        elif self.version == 2:
            self.report.note("a version 2 stream holds no CPU policy: the receiver can only guess what CPU the guest has")
        else:
            self.report.note("no CPU policy: the receiver can only guess what CPU the guest has")
        self.on_policy(self)
        self.report.place(*here)

    def policy_problem(self, fault, prefix, section=None, host=None):
        """A fault of the policy, at the entry that it is about; returns its words."""
        text, at, lead = self._policy_place(fault, section, host)
        self.report.problem(prefix + fault.kind, at, section or self.report.type, f"{lead} {host}: {text}" if host else text, each=True)
        return text

    def policy_doubt(self, fault, section, host):
        """What may be a fault on a host of which not all is known; returns its words."""
        text, at, _ = self._policy_place(fault, section, host)
        self.report.problem("host-unknown", at, section, f"cannot say of {host}: {text}", each=True)
        return text

    def _policy_place(self, fault, section, host):
        """(words, offset of the entry, how a host's fault begins); the report stands at the record."""
        about_msr = fault.msr != cpu_policy.NONE
        name = "X86_MSR_POLICY" if about_msr and "X86_MSR_POLICY" in self._policy_record else "X86_CPUID_POLICY"
        record, at, size = self._policy_record[name]
        index = fault.index
        if index == cpu_policy.NONE:
            key = ("msr", fault.msr) if about_msr else (fault.leaf, fault.subleaf)
            index = self.policy.entry.get(key, 0)
        if (self.report.record, self.report.type) != (record, name):
            self.report.place("libxc", record, name)
        lead = {"feature-missing": "missing on", "hazard-untold": "the guest was not told of a hazard on"}.get(fault.kind, "on")
        return cpu_policy.fault_text(fault), at + size * index, lead

    # ---- memory ----

    def _page_data(self, body, start):
        self._look_ahead(start, body.length)
        self.pages.record(body, start, self.guest, self.end_pfn, self.add)

    def _look_ahead(self, start, length):
        """Memory comes in records of one size: ask for the heads of those to come, so that the disk has many at once."""
        stride = 8 + (length + 7 & ~7)
        if stride != self._stride:
            self._stride, self._asked = stride, start
        elif stride > AHEAD:
            for _ in range(2):      # until it is far enough ahead
                if self._asked < start + QUEUE * stride:
                    self._asked = max(self._asked, start) + stride
                    self.source.will_need(self._asked)

    def _p2m_frames(self, body, start):
        name, at = "X86_PV_P2M_FRAMES", body.offset
        if body.length < 8:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, at least 8 are needed")
            return
        first, last = struct.unpack("<II", body.read(8))
        if first > last:
            self.add("p2m-range", at, name, f"the range begins at {first:#x} and ends at {last:#x}")
            return
        self.end_pfn = max(last, self.end_pfn or 0)
        per_frame = PAGE // (self.width or 8)
        frames = last // per_frame - first // per_frame + 1
        if body.length != 8 + 8 * frames:
            self.add("length", start + 4, name, f"a body of {body.length} bytes; {frames} frames need {8 + 8 * frames}")
        while body.left >= 8:
            entry = body.offset
            for i, (pfn,) in enumerate(struct.iter_unpack("<Q", body.read(min(body.left & ~7, 65536)))):
                if pfn > self.end_pfn:
                    self.add("p2m-frame", entry + 8 * i, name, f"frame {pfn:#x} is beyond the last, {self.end_pfn:#x}")

    # ---- vCPUs and the rest of the state ----

    def _vcpu(self, body, start, kind):
        """The common beginning of the vCPU records: the bytes behind it, or None when there is nothing to look at."""
        name = NAMES[kind]
        if body.length < 8:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, at least 8 are needed")
            return None
        at = body.offset
        vcpu, reserved = struct.unpack("<II", body.read(8))
        if reserved:
            self.add("reserved", at + 4, name, "reserved bits are not zero")
        if vcpu >= MAX_VCPUS:
            self.add("vcpu", at, name, f"vCPU {vcpu}; no guest has more than {MAX_VCPUS}")
            return None
        self.vcpu = vcpu
        if not body.left:       # old senders wrote them
            self.report.note(f"empty {name} records")
            return None
        seen = self.vcpus[kind]
        if seen[vcpu >> 3] >> (vcpu & 7) & 1:
            self.add("twice", start, ORDER, f"vCPU {vcpu} has one already")
        seen[vcpu >> 3] |= 1 << (vcpu & 7)
        return body.left

    def _vcpu_basic(self, body, start):
        name, size = NAMES[VCPU_BASIC], self._vcpu(body, start, VCPU_BASIC)
        if size is None or not self.width:
            return
        layout = pv.LAYOUTS[self.width]
        if size != layout.size:
            self.add("length", start + 4, name, f"{size} bytes of registers, must be {layout.size}")
            return
        at, data = body.offset, body.read(size)
        pv.check(data, at, layout, self.vcpu, self.end_pfn, lambda code, o, text: self.add(code, o, name, text))
        if self.width == 8:
            cr4, = struct.unpack_from("<Q", data, CR4_OF_CONTEXT)
            self._registers(state.check("CR4", cr4, self.policy, pv=True), at + CR4_OF_CONTEXT, name)

    def _registers(self, faults, at, name):
        for kind, text in faults:
            self.add(REGISTER_CODES[kind], at, name, text)

    def _vcpu_extended(self, body, start):
        size = self._vcpu(body, start, VCPU_EXTENDED)
        if size is not None and size > 128:
            self.add("length", start + 4, NAMES[VCPU_EXTENDED], f"{size} bytes; 128 are the most")

    def _vcpu_msrs(self, body, start):
        name, size = NAMES[VCPU_MSRS], self._vcpu(body, start, VCPU_MSRS)
        if size is None:
            return
        if size % 16:
            self.add("length", start + 4, name, f"{size} bytes, not a multiple of 16")
            return
        while body.left:
            at = body.offset
            index, reserved, value = struct.unpack("<IIQ", body.read(16))
            if reserved:
                self.add("reserved", at + 4, name, f"MSR {index:#x}: the reserved field is not zero")
            self._registers(state.check_msr(index, value, self.policy), at + 8, name)

    def _vcpu_xsave(self, body, start):
        name, size = NAMES[VCPU_XSAVE], self._vcpu(body, start, VCPU_XSAVE)
        if size is None:
            return
        if size < 16:
            self.add("length", start + 4, name, f"{size} bytes, at least 16 are needed")
            return
        at = body.offset
        xcr0, accumulated = struct.unpack("<QQ", body.read(16))
        size -= 16
        if not size:
            return
        area = body.read(min(size, xstate.XSTATE_AREA))
        where = {"xcr0": at, "accumulated": at + 8, "area": at + 16}
        xstate.check(xcr0, accumulated, area, size, self.policy, where, lambda code, o, text: self.add(code, o, name, text))
        expected = xstate.expected_size(accumulated, self.policy)
        if expected is not None and size >= xstate.XSTATE_AREA and size != expected:
            self.add("xstate-size", start + 4, name, f"an XSAVE area of {size} bytes; its components need {expected}")

    def _shared_info(self, body, start):
        if body.length != PAGE:
            self.add("length", start + 4, "SHARED_INFO", f"a body of {body.length} bytes, must be {PAGE}")

    def _tsc_info(self, body, start):
        name, at = "X86_TSC_INFO", body.offset
        if body.length != 24:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, must be 24")
            return
        mode, khz, nsec, incarnation, reserved = struct.unpack("<IIQII", body.read(24))
        if mode >= TSC_MODES:
            self.add("tsc-mode", at, name, f"TSC mode {mode}; 0 to {TSC_MODES - 1} are known")
        if reserved:
            self.add("reserved", at + 20, name, "reserved bits are not zero")
        self.tsc = {"mode": mode, "khz": khz, "nsec": nsec, "incarnation": incarnation}

    def _hvm_context(self, body, start):
        if not body.length:
            self.add("length", start + 4, "HVM_CONTEXT", "has no body")
            return
        context = hvm.Context(body, self.report, self.policy, self.xen)
        context.read()
        self.hvm_entries = {hvm.ENTRIES[code][0]: n for code, n in sorted(context.count.items())}

    def _hvm_params(self, body, start):
        name, at = "HVM_PARAMS", body.offset
        if body.length < 8:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, at least 8 are needed")
            return
        count, reserved = struct.unpack("<II", body.read(8))
        if reserved:
            self.add("reserved", at + 4, name, "reserved bits are not zero")
        if body.length != 8 + 16 * count:
            self.add("length", start + 4, name, f"a body of {body.length} bytes; {count} parameters need {8 + 16 * count}")
        if not count:
            self.report.note("an empty HVM_PARAMS record")
        seen = 0
        for i in range(min(count, body.left // 16)):
            entry = body.offset
            index, _ = struct.unpack("<QQ", body.read(16))
            if index >= HVM_NR_PARAMS:
                self.add("hvm-param", entry, name, f"param[{i}]: there is no parameter {index}")
            elif seen >> index & 1:
                self.add("hvm-param", entry, name, f"param[{i}]: parameter {index} is there twice")
            else:
                seen |= 1 << index

    # ---- ends ----

    def _missing(self):
        """Records without which nothing can run, by name."""
        guests = {PV: TABLE.only_hvm, HVM: TABLE.only_pv}.get(self.guest, NEEDED)   # whose records it does not need
        return [NAMES[kind] for kind in NEEDED
                if kind not in guests and TABLE.since[kind] <= self.version and kind not in self.seen]

    def _checkpoint(self, start):
        """Everything since the last one must make a guest that can run."""
        if not self.static_end:
            return      # said already
        for kind in (TSC_INFO, HVM_CONTEXT) if self.guest == HVM else (TSC_INFO, SHARED_INFO, VCPU_BASIC):
            if kind not in self.epoch:
                self.add("missing", start, ORDER, f"there was no {NAMES[kind]} record for this checkpoint")

    def _end(self, start):
        for name in self._missing():
            self.add("missing", start, ORDER, f"there was no {name} record")
        if self.guest == PV:
            basic = self.vcpus[VCPU_BASIC]
            if not basic[0] & 1 and not self.checkpoints:
                self.add("missing", start, ORDER, "there was no X86_PV_VCPU_BASIC record of vCPU 0")
            for kind in VCPU_RECORDS[1:]:
                for i in range(len(basic)):
                    if self.vcpus[kind][i] & ~basic[i]:
                        lonely = self.vcpus[kind][i] & ~basic[i]
                        vcpu = i * 8 + (lonely & -lonely).bit_length() - 1
                        self.add("missing", start, ORDER, f"vCPU {vcpu} has {NAMES[kind]} and no X86_PV_VCPU_BASIC")
                        break
        self.finish_policy()
        if self._covered and self._position(start) != self._covered[1]:
            self.add("checksum-uncovered", start, "CHECKSUM",
                     f"{self._position(start) - self._covered[1]} bytes in front of END are in no checksum")

    # ---- checksums ----

    def _position(self, offset):
        """Bytes of this layer up to there."""
        return offset - self._origin - self._elsewhere

    def resume(self, left_at):
        """Another layer had the bytes since `left_at`."""
        self._elsewhere += self.source.offset - left_at

    def _checksum(self, body, start, mark):
        name, at = "CHECKSUM", body.offset
        if not self.checksum_records and PAGE_DATA in self.seen:
            self.add("order", start, name, "the first one of the stream, and it stands behind memory")
        self.checksum_records += 1
        if body.length != 32:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, must be 32")
            return
        algorithm, batch_crc, batch_bytes, whole_bytes, whole_crc, reserved = struct.unpack("<IIQQII", body.read(32))
        if reserved:
            self.add("reserved", at + 28, name, "reserved bits are not zero")
        if algorithm != 1:
            self.add("checksum-algorithm", at, name, f"algorithm {algorithm}; 1 (CRC-32) is known")
            return
        whole = self._position(start)
        batch = whole - (self._covered[1] if self._covered else 0)
        for field, value, right in (("batch", batch_bytes, batch), ("whole", whole_bytes, whole)):
            if value != right:
                self.add("checksum-bytes", at + (8 if field == "batch" else 16), name,
                         f"the {field} was written with {value} bytes, and has {right}: something was cut out or put in")
        if mark:
            begin = self._covered[0] if self._covered else (0, 0)
            for field, value, right in (("batch", batch_crc, between(begin, mark)), ("whole", whole_crc, mark[0])):
                if value != right:
                    what = "what stands since the last CHECKSUM" if field == "batch" else "the stream up to here"
                    self.add("checksum", at + (4 if field == "batch" else 24), name,
                             f"{what} is damaged: it was written with the CRC-32 {value:08x}, and has {right:08x}")

    HANDLERS = {
        PAGE_DATA: _page_data, PV_INFO: _pv_info, P2M_FRAMES: _p2m_frames, VCPU_BASIC: _vcpu_basic,
        VCPU_EXTENDED: _vcpu_extended, VCPU_XSAVE: _vcpu_xsave, VCPU_MSRS: _vcpu_msrs, SHARED_INFO: _shared_info,
        TSC_INFO: _tsc_info, HVM_CONTEXT: _hvm_context, HVM_PARAMS: _hvm_params, CPUID_POLICY: _cpuid_policy,
        MSR_POLICY: _msr_policy,
    }
