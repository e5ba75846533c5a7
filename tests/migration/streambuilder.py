# SPDX-License-Identifier: MIT
"""Builds migration streams for tests: valid ones, which a test then breaks in one place.

It is written from the published format and shares nothing with any reader: the numbers below are its own.  Every test that
needs a stream takes it from here; tests in C read files that write_streams.py wrote with it.
"""

import lzma
import os
import struct
import subprocess
import zlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build")
STREAMS = Path(__file__).parent / "streams"      # what stock Xen wrote
PAGE = 4096
PV, HVM = 1, 2
MARKER = b"\xff" * 8 + b"XENF"
XL_MAGIC = b"Xen saved domain, xl format\n \0 \r"

# libxc's records
END, PAGE_DATA, PV_INFO, P2M_FRAMES, VCPU_BASIC, VCPU_EXTENDED, VCPU_XSAVE, SHARED_INFO, TSC_INFO, HVM_CONTEXT = range(10)
HVM_PARAMS, TOOLSTACK, VCPU_MSRS, VERIFY, CHECKPOINT, DIRTY_PFN_LIST, STATIC_DATA_END, CPUID_POLICY, MSR_POLICY = range(10, 19)
OPTIONAL = 0x80000000
CHECKSUM = OPTIONAL | 0x584C01
# libxl's
LIBXL_END, LIBXC_CONTEXT, XENSTORE_DATA, EMULATOR_CONTEXT, CHECKPOINT_END, CHECKPOINT_STATE = range(6)
HEAD_CHECKSUM = OPTIONAL | 0x584C02
# An entry of an HVM context.
HVM_XSAVE = 16
# Types of pages: tables of a level and pinned ones, and what has no contents.
PIN, BROKEN, XALLOC, XTAB = 8, 13, 14, 15
# Where registers stand in X86_PV_VCPU_BASIC's context of a 64-bit guest.
RDX_OF_CONTEXT, CR_OF_CONTEXT, SIZE_OF_CONTEXT = 616, 4984, 5168
CR4_OF_CONTEXT = CR_OF_CONTEXT + 4 * 8


# ---- pieces ----

def image_header(version=3, options=0):
    return MARKER + struct.pack(">IHHI", version, options, 0, 0)


def domain_header(guest=HVM, minor=17):
    return struct.pack("<IHHII", guest, 12, 0, 4, minor)


def headers(version=3, guest=HVM, minor=17):
    return image_header(version) + domain_header(guest, minor)


def xl_header(optional=b"", flags=3):
    return XL_MAGIC + struct.pack("<4I", 0x01020304, flags, 0, len(optional)) + optional


def counted(data):
    """As a configuration stands in xl's optional data."""
    return struct.pack("<I", len(data)) + data


def libxl_header(version=2, options=0):
    return b"LibxlFmt" + struct.pack(">II", version, options)


class Record:
    """One record; `length` and `padding` can be made to lie."""

    def __init__(self, kind, body=b"", length=None, padding=None):
        self.kind, self.body, self.length, self.padding = kind, bytearray(body), length, padding

    def raw(self):
        length = len(self.body) if self.length is None else self.length
        padding = bytes(-len(self.body) % 8) if self.padding is None else self.padding
        return struct.pack("<II", self.kind, length) + bytes(self.body) + padding

    def set(self, offset, layout, *values):
        struct.pack_into(layout, self.body, offset, *values)


def record(kind, body=b"", **lies):
    return Record(kind, body, **lies).raw()


def page_data(entries, contents=None):
    """A PAGE_DATA body of (type, pfn); contents(pfn): 4096 bytes, where a page has any."""
    contents = contents or (lambda pfn: pfn.to_bytes(8, "little") * (PAGE // 8))
    data = b"".join(contents(pfn) for kind, pfn in entries if kind not in (BROKEN, XALLOC, XTAB))
    return struct.pack(f"<II{len(entries)}Q", len(entries), 0, *(kind << 60 | pfn for kind, pfn in entries)) + data


def pv_info(width=8, levels=4):
    return struct.pack("<BBHI", width, levels, 0, 0)


def leaf(number, subleaf=0xffffffff, a=0, b=0x11, c=0x22, d=0x33):
    return struct.pack("<6I", number, subleaf, a, b, c, d)


def msr(number, value=0):
    return struct.pack("<IIQ", number, 0, value)


@cache
def policy(what, cpu, have="", drop=""):
    """The body of a policy record: "leaves" or "msrs" of one of xen/sim/machines, with these features and without those."""
    tool = BUILD / "tests/migration/gate/mkpolicy"
    return subprocess.run([tool, what, cpu, have, drop], check=True, stdout=subprocess.PIPE).stdout


def hvm_entries(body):
    """[[typecode, instance, data]] of an HVM context."""
    found, at = [], 0
    while at < len(body):
        code, instance, length = struct.unpack_from("<HHI", body, at)
        found.append([code, instance, bytearray(body[at + 8:at + 8 + length])])
        at += 8 + length
    return found


def hvm_context(entries):
    return b"".join(struct.pack("<HHI", code, instance, len(data)) + data for code, instance, data in entries)


def entry_of(entries, typecode):
    """The number of the first entry of that type."""
    return next(i for i, e in enumerate(entries) if e[0] == typecode)


def xsave_entry(entries, xcr0=3, accumulated=3, size=576, bv=3):
    """An XSAVE entry in front of END: the probe leaves these registers alone, so its own has none."""
    entries[:] = [e for e in entries if e[0] != HVM_XSAVE]
    data = bytearray(24 + size)
    struct.pack_into("<QQQ", data, 0, accumulated, xcr0, accumulated)
    if size >= 576:
        struct.pack_into("<Q", data, 24 + 512, bv)
    entries.insert(len(entries) - 1, [HVM_XSAVE, 0, data])
    return len(entries) - 2


# ---- checksums ----

class Sums:
    """What CHECKSUM records say of the bytes that are written so far."""

    def __init__(self, data=b""):
        self.whole = self.batch = self.bytes = self.covered = 0
        self.add(data)

    def add(self, data):
        self.bytes += len(data)
        self.whole, self.batch = zlib.crc32(data, self.whole), zlib.crc32(data, self.batch)

    def record(self):
        made = Record(CHECKSUM, struct.pack("<IIQQII", 1, self.batch, self.bytes - self.covered, self.bytes, self.whole, 0))
        self.add(made.raw())
        self.covered, self.batch = self.bytes, 0
        return made


def head_checksum(head):
    """libxl's record over what stands before libxc's stream."""
    return Record(HEAD_CHECKSUM, struct.pack("<IIQ", 1, zlib.crc32(head), len(head)))


# ---- streams as bytes ----

def stream_of(records, version=3, guest=HVM):
    """libxc's, of (type, body), a CHECKSUM where a None is."""
    return put_records(headers(version, guest), records, b"")


def put_records(before, records, after):
    """Records behind what ends with libxc's headers, a CHECKSUM where a None is, and what follows END."""
    out = bytearray(before)
    sums = Sums(before[before.index(MARKER):])
    for r in records:
        if r is None:
            out += sums.record().raw()
        else:
            raw = record(*r)
            sums.add(raw)
            out += raw
    return bytes(out + after)


def inside_xl(stream, before=b"", after=b"", optional=b""):
    """What `xl save` puts around libxc's stream; before, after: libxl's records."""
    return xl_header(optional) + libxl_header() + before + record(LIBXC_CONTEXT) + stream + after + record(LIBXL_END)


def split(image):
    """(what stands before the records of libxc, [(offset, type, body)], what stands behind END)"""
    at = image.index(MARKER) + 40
    before, found = image[:at], []
    while True:
        kind, length = struct.unpack_from("<II", image, at)
        found.append((at, kind, image[at + 8:at + 8 + length]))
        at += 8 + (length + 7 & ~7)
        if kind == END:
            return before, found, image[at:]


@cache
def captured_image(name):
    return lzma.decompress((STREAMS / f"{name}.save.xz").read_bytes())


@cache
def captured_records(name):
    """{type: body} of the records of a captured stream, but for memory; of several the last."""
    return {kind: body for _, kind, body in split(captured_image(name))[1] if kind != PAGE_DATA}


# ---- streams that are changed ----

class Stream:
    """A libxc stream, optionally inside libxl's and xl's."""

    def __init__(self, records, guest, version=3, layer="libxc"):
        self.records, self.layer = records, layer
        self.image = bytearray(image_header(version))
        self.domain = bytearray(domain_header(guest))
        self.xl = bytearray(xl_header(counted(b'{"c_info": {"type": "pvh", "name": "synthetic"}}\0')))
        self.libxl = bytearray(libxl_header())
        self.before = [Record(LIBXC_CONTEXT)]       # libxl's records
        self.after = [Record(LIBXL_END)]
        self.trailing = b""

    def parts(self):
        if self.layer == "xl":
            yield "xl", bytes(self.xl)
        if self.layer != "libxc":
            yield "libxl", bytes(self.libxl)
            for i, r in enumerate(self.before):
                yield ("before", i), r.raw()
        yield "image", bytes(self.image)
        yield "domain", bytes(self.domain)
        for i, r in enumerate(self.records):
            yield i, r.raw()
        if self.layer != "libxc":
            for i, r in enumerate(self.after):
                yield ("after", i), r.raw()
        yield "trailing", self.trailing

    def raw(self):
        return b"".join(data for _, data in self.parts())

    def at(self, part):
        """Where a part begins: "image", "domain", "xl", "libxl", a record's number, ("after", n)."""
        offset = 0
        for name, data in self.parts():
            if name == part:
                return offset
            offset += len(data)
        raise KeyError(part)

    def index(self, kind, nth=0):
        return [i for i, r in enumerate(self.records) if r.kind == kind][nth]

    def find(self, kind, nth=0):
        return self.records[self.index(kind, nth)]

    def insert_before(self, kind, new):
        i = self.index(kind)
        self.records.insert(i, new)
        return i

    def remove(self, kind):
        i = self.index(kind)
        del self.records[i]
        return i

    def checksummed(self, behind=(STATIC_DATA_END, PAGE_DATA)):
        """Put CHECKSUM records where writers do."""
        records, self.records = self.records, []
        sums = Sums(bytes(self.image + self.domain))
        for r in records:
            if r.kind == END:
                self.records.append(sums.record())
            self.records.append(r)
            sums.add(r.raw())
            if r.kind in behind:
                self.records.append(sums.record())
        return self


def parse(image):
    """The Stream that these bytes of libxc's layer are."""
    before, records, after = split(image)
    s = Stream([Record(kind, body) for _, kind, body in records], HVM)
    s.image[:], s.domain[:], s.trailing = before[:24], before[24:], after
    return s


def static_records(real):
    return [Record(CPUID_POLICY, real[CPUID_POLICY]), Record(MSR_POLICY, real[MSR_POLICY]), Record(STATIC_DATA_END)]


def hvm_stream(version=3, layer="libxc"):
    real = captured_records("pvh-cascadelake")
    records = static_records(real) if version == 3 else []
    records += [Record(PAGE_DATA, page_data([(0, 0), (0, 1), (XTAB, 2), (0, 3)])),
                Record(PAGE_DATA, page_data([(XTAB, 4), (XTAB, 5)])),
                Record(TSC_INFO, real[TSC_INFO]), Record(HVM_CONTEXT, real[HVM_CONTEXT]), Record(HVM_PARAMS, real[HVM_PARAMS]),
                Record(END)]
    return Stream(records, HVM, version, layer)


def pv_stream(version=3, layer="libxc"):
    real = captured_records("pv-cascadelake")
    records = [Record(PV_INFO, pv_info())] + (static_records(real) if version == 3 else [])
    records += [Record(P2M_FRAMES, struct.pack("<II2Q", 0, 1023, 6, 7)),
                Record(PAGE_DATA, page_data([(0, 6), (0, 7), (1, 8), (9, 9), (12, 10), (XTAB, 11), (BROKEN, 12)])),
                Record(TSC_INFO, real[TSC_INFO]), Record(SHARED_INFO, bytes(PAGE)),
                Record(VCPU_BASIC, struct.pack("<II", 0, 0) + bytes(SIZE_OF_CONTEXT)),
                Record(VCPU_EXTENDED, struct.pack("<IIII", 0, 0, 0, 64) + bytes(56)),
                Record(VCPU_XSAVE, real[VCPU_XSAVE]),
                Record(VCPU_MSRS, struct.pack("<II", 0, 0) + msr(0xc0000103)), Record(END)]
    s = Stream(records, PV, version, layer)
    s.find(VCPU_BASIC).set(8 + CR_OF_CONTEXT + 3 * 8, "<Q", 10 << 12)      # the pinned table
    return s


def checkpointed(layer):
    """The bytes of two checkpoints and an end: what Remus writes."""
    s = hvm_stream(layer=layer)
    tail = [Record(r.kind, r.body) for r in s.records if r.kind in (TSC_INFO, HVM_CONTEXT, HVM_PARAMS)]
    end = s.records.pop()
    parts = [s.image + s.domain + b"".join(r.raw() for r in s.records + [Record(CHECKPOINT)])]
    parts += [b"".join(r.raw() for r in [Record(PAGE_DATA, page_data([(0, n)])), *tail, last])
              for n, last in ((1, Record(CHECKPOINT)), (2, end))]
    if layer == "libxc":
        return b"".join(parts)
    between = b"".join(r.raw() for r in (Record(EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3"),
                                         Record(CHECKPOINT_END), Record(CHECKPOINT_STATE, struct.pack("<II", 0, 0))))
    return s.xl + s.libxl + s.before[0].raw() + between.join(parts) + s.after[0].raw()


def small_pv_stream(parts):
    """A PV guest of 8 frames whose other records are these bytes': what the engine writes before its memory, TSC_INFO and END.

    PFN 1 has the p2m, 2 to 4 are start info and the rings, and 5 to 7 are page tables of four levels, the lowest of which
    names a frame that has no contents.
    """
    p2m, start_info, store, console, top, nr = 1, 2, 3, 4, 5, 8
    frames = [bytearray(PAGE) for _ in range(nr)]
    struct.pack_into("<Q8xQ", frames[start_info], 56, store, console)
    types = {top: PIN | 4, top + 1: 3, top + 2: 2}
    for table in (top, top + 1):
        struct.pack_into("<Q", frames[table], 0, table + 1 << 12 | 7)
    context = bytearray(SIZE_OF_CONTEXT)
    struct.pack_into("<Q", context, RDX_OF_CONTEXT, start_info)
    struct.pack_into("<Q", context, CR_OF_CONTEXT + 3 * 8, top << 12)
    s = parse(parts)
    i = s.index(TSC_INFO)
    s.records[i:i] = [Record(P2M_FRAMES, struct.pack("<IIQ", 0, nr - 1, p2m)),
                      Record(PAGE_DATA, page_data([(types.get(pfn, 0), pfn) for pfn in range(nr)], lambda pfn: frames[pfn]))]
    s.records[-1:] = [Record(SHARED_INFO, bytes(PAGE)), Record(VCPU_BASIC, bytes(8) + context),
                      Record(VCPU_XSAVE, struct.pack("<IIQQ", 0, 0, 3, 3) + bytes(576)), Record(END)]
    return s.raw()


# ---- streams that C tests read ----

def small_policy(*leaves):
    """A policy of a few leaves, which is whole when it says itself that they are all."""
    return Record(CPUID_POLICY, b"".join(leaves))


def heads():
    """{name: bytes} of the heads that test_head.c reads."""
    cpu = small_policy(leaf(0, a=1), leaf(1, a=0x306c3), leaf(0x80000000, a=0x80000000))
    msrs = Record(MSR_POLICY, msr(0xce, 0x80000000) + msr(0x10a, 0x1000))
    end, info, nothing = Record(STATIC_DATA_END), Record(PV_INFO, pv_info()), Record(OPTIONAL | 5)

    def memory(kind, length):       # the head goes on to its header
        return Record(kind, length=length)

    def make(*records, version=3, guest=HVM):
        return headers(version, guest) + b"".join(r.raw() for r in records)
    config = counted(b'{\n    "c_info": {\n        "type": "pvh",\n        "name": "we\\"b1",\n        "uuid": 1 } }\0')
    context = record(LIBXC_CONTEXT)
    longest = make(cpu) + record(OPTIONAL, bytes(65536)) * 3
    full = make() + record(OPTIONAL, bytes(65536)) * 3
    full += record(OPTIONAL, bytes(262144 - len(full) - 16))        # what is behind it has no room in a head
    made = {
        "hvm": make(cpu, msrs, end),
        "pv": make(info, cpu, msrs, end, guest=PV),
        "pv-32": make(cpu, Record(PV_INFO, pv_info(4, 3)), end, guest=PV),
        "no-msrs": make(cpu, end),
        "v2": make(memory(PAGE_DATA, 4112), version=2),
        "v2-pv": make(info, memory(P2M_FRAMES, 16), version=2, guest=PV),
        "v2-state": make(Record(TSC_INFO, bytes(24)), Record(OPTIONAL | 9, bytes(5)), Record(HVM_CONTEXT, bytes(70001)),
                         memory(PAGE_DATA, 8), version=2),
        "optional": make(nothing, Record(OPTIONAL | 5, bytes(13)), cpu, Record(0xffffffff, bytes(65536)), end),
        "v2-optional": make(Record(OPTIONAL | 5, bytes(16)), memory(PAGE_DATA, 8), version=2),
        "xl": xl_header(config) + libxl_header() + context + make(cpu, msrs, end),
        "xl-no-config": xl_header() + libxl_header() + record(OPTIONAL | 1, bytes(5)) + context + make(cpu, end),
        "xl-long-config": xl_header(counted(b" " * 100000) + b" " * 50) + libxl_header() + context + make(cpu, end),
        "no-leaf-2": make(small_policy(leaf(0, a=2), leaf(1, a=0x306c3), leaf(0x80000000, a=0x80000000)), msrs, end),
        "no-extended": make(small_policy(leaf(0, a=0)), msrs, end),
        "longest": longest + record(OPTIONAL, bytes(262144 - len(longest) - 16)) + end.raw(),
        "too-long": full + cpu.raw() + end.raw(),
    }
    wrong = {"unsorted": [(1,), (0,)], "duplicate": [(1,), (1,)], "range": [(0,), (0x12345,)], "subleaf-missing": [(0,), (7,)],
             "subleaf-unexpected": [(0, 0), (1,)]}
    return made | {f"leaves-{name}": make(small_policy(*(leaf(*l) for l in leaves)), end) for name, leaves in wrong.items()}


def write_large_image(path, mib, pages=None):
    """A stream of that much memory in records as Xen writes them; `pages`: 4 MiB for each, else they are holes of the file."""
    s = hvm_stream(layer="xl")
    first, second = s.at(s.index(PAGE_DATA)), s.at(s.index(TSC_INFO))
    data = s.raw()
    with open(path, "wb") as file:
        file.write(data[:first])
        for n in range(mib // 4):
            file.write(struct.pack("<IIII1024Q", PAGE_DATA, 8 + 8192 + (4 << 20), 1024, 0, *range(n * 1024, n * 1024 + 1024)))
            if pages:
                file.write(pages)
            else:
                file.seek(4 << 20, os.SEEK_CUR)
        file.write(data[second:])
