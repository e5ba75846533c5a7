# SPDX-License-Identifier: MIT
"""Writes streams for tests: valid ones, which the tests then break in one place."""

import lzma
import struct
import zlib
from functools import cache
from pathlib import Path

from migration import libxc

STREAMS = Path(__file__).resolve().parents[1] / "streams"
PAGE = 4096
PV, HVM = libxc.PV, libxc.HVM


def pad8(data):
    return data + bytes(-len(data) % 8)


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


@cache
def captured_records(name):
    """{type: body} of the records of a captured stream, but for memory."""
    image = lzma.decompress((STREAMS / f"{name}.save.xz").read_bytes())
    at = image.index(b"\xff" * 8 + b"XENF") + 40
    found = {}
    while True:
        kind, length = struct.unpack_from("<II", image, at)
        if kind != libxc.PAGE_DATA:
            found[kind] = image[at + 8:at + 8 + length]
        if kind == libxc.END:
            return found
        at += 8 + (length + 7 & ~7)


def page_data(entries):
    """A PAGE_DATA body of (type, pfn)."""
    data = bytearray()
    for kind, pfn in entries:
        if kind not in (13, 14, 15):
            data += pfn.to_bytes(8, "little") * (PAGE // 8)
    return struct.pack(f"<II{len(entries)}Q", len(entries), 0, *(kind << 60 | pfn for kind, pfn in entries)) + data


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


class Stream:
    """A libxc stream, optionally inside libxl's and xl's."""

    def __init__(self, records, guest, version=3, layer="libxc"):
        self.records, self.layer = records, layer
        self.image = bytearray(struct.pack(">QIIHHI", libxc.MARKER, libxc.IDENT, version, 0, 0, 0))
        self.domain = bytearray(struct.pack("<IHHII", guest, 12, 0, 4, 17))
        config = b'{"c_info": {"type": "pvh", "name": "synthetic"}}\0'
        self.xl = bytearray(b"Xen saved domain, xl format\n \0 \r" +
                            struct.pack("<4II", 0x01020304, 3, 0, len(config) + 4, len(config)) + config)
        self.libxl = bytearray(struct.pack(">QII", 0x4c6962786c466d74, 2, 0))
        self.before = [Record(1)]       # libxl's records
        self.after = [Record(0)]
        self.trailing = b""

    def parts(self):
        if self.layer == "xl":
            yield "xl", bytes(self.xl)
        if self.layer != "libxc":
            yield "libxl", bytes(self.libxl)
            for i, record in enumerate(self.before):
                yield ("before", i), record.raw()
        yield "image", bytes(self.image)
        yield "domain", bytes(self.domain)
        for i, record in enumerate(self.records):
            yield i, record.raw()
        if self.layer != "libxc":
            for i, record in enumerate(self.after):
                yield ("after", i), record.raw()
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

    def insert_before(self, kind, record):
        i = self.index(kind)
        self.records.insert(i, record)
        return i

    def remove(self, kind):
        i = self.index(kind)
        del self.records[i]
        return i

    def checksummed(self, behind=(libxc.STATIC_DATA_END, libxc.PAGE_DATA)):
        """Put CHECKSUM records where writers do."""
        records, self.records = self.records, []
        data = bytes(self.image + self.domain)
        covered = 0

        def put(record):
            nonlocal data
            self.records.append(record)
            data += record.raw()

        def checksum():
            nonlocal covered
            batch = data[covered:]
            put(Record(libxc.CHECKSUM, struct.pack("<IIQQII", 1, zlib.crc32(batch), len(batch), len(data), zlib.crc32(data), 0)))
            covered = len(data)

        for record in records:
            if record.kind == libxc.END:
                checksum()
            put(record)
            if record.kind in behind:
                checksum()
        return self


def hvm_stream(version=3, layer="libxc"):
    real = captured_records("pvh-cascadelake")
    records = []
    if version == 3:
        records += [Record(libxc.CPUID_POLICY, real[libxc.CPUID_POLICY]), Record(libxc.MSR_POLICY, real[libxc.MSR_POLICY]),
                    Record(libxc.STATIC_DATA_END)]
    records += [Record(libxc.PAGE_DATA, page_data([(0, 0), (0, 1), (15, 2), (0, 3)])),
                Record(libxc.PAGE_DATA, page_data([(15, 4), (15, 5)])),
                Record(libxc.TSC_INFO, real[libxc.TSC_INFO]), Record(libxc.HVM_CONTEXT, real[libxc.HVM_CONTEXT]),
                Record(libxc.HVM_PARAMS, real[libxc.HVM_PARAMS]), Record(libxc.END)]
    return Stream(records, HVM, version, layer)


def pv_stream(version=3, layer="libxc"):
    real = captured_records("pv-cascadelake")
    records = [Record(libxc.PV_INFO, struct.pack("<BBHI", 8, 4, 0, 0))]
    if version == 3:
        records += [Record(libxc.CPUID_POLICY, real[libxc.CPUID_POLICY]), Record(libxc.MSR_POLICY, real[libxc.MSR_POLICY]),
                    Record(libxc.STATIC_DATA_END)]
    records += [Record(libxc.P2M_FRAMES, struct.pack("<II2Q", 0, 1023, 6, 7)),
                Record(libxc.PAGE_DATA, page_data([(0, 6), (0, 7), (1, 8), (9, 9), (12, 10), (15, 11), (13, 12)])),
                Record(libxc.TSC_INFO, real[libxc.TSC_INFO]), Record(libxc.SHARED_INFO, bytes(PAGE)),
                Record(libxc.VCPU_BASIC, struct.pack("<II", 0, 0) + bytes(5168)),
                Record(libxc.VCPU_EXTENDED, struct.pack("<II", 0, 0) + bytes(64)),
                Record(libxc.VCPU_XSAVE, real[libxc.VCPU_XSAVE]),
                Record(libxc.VCPU_MSRS, struct.pack("<IIIIQ", 0, 0, 0xc0000103, 0, 0)), Record(libxc.END)]
    return Stream(records, PV, version, layer)


STREAMS_OF = {"hvm": hvm_stream, "pv": pv_stream}
