# SPDX-License-Identifier: MIT
"""Streams that want more than they should have, given to our restore in a real Xen: the domain never runs, xl says why, the
host lives, and the next good restore works."""

import struct

import pytest

from test_captured_streams import kept, put
from test_stream import LOG, OWN

KEPT = "/root/kept-pv"          # put there once for all of these
PAGE_DATA, P2M_FRAMES, VCPU_BASIC = 1, 3, 4
NOTAB, L1, L4 = 0, 1, 4
WITH_CONTENTS = {0, 1, 2, 3, 4, 9, 10, 11, 12}
# In a vCPU record, behind the vCPU's number: struct vcpu_guest_context, 64 bits (libxen-dev, arch-x86/xen.h).
RDX, GDT_FRAMES, CR3 = 8 + 616, 8 + 4832, 8 + 5008
PRESENT, WRITABLE = 1, 0x67


class Image:
    """Where things are in an image of a PV domain."""

    def __init__(self, data):
        self.data = data
        self.pages = {}         # by pfn, (type, offset of its contents)
        self.entries = {}       # by pfn, the offset of what PAGE_DATA says of it
        self.records = {}       # by type, the offset of the first one's body
        at = data.index(b"\xff" * 8 + b"XENF") + 40
        while True:
            kind, size = struct.unpack_from("<II", data, at)
            self.records.setdefault(kind, at + 8)
            if kind == PAGE_DATA:
                self._pages(at + 8)
            if kind == 0:
                return
            at += 8 + (size + 7 & ~7)

    def _pages(self, body):
        count, = struct.unpack_from("<I", self.data, body)
        at = body + 8 + 8 * count
        for i, entry in enumerate(struct.unpack_from(f"<{count}Q", self.data, body + 8)):
            self.entries[entry & (1 << 52) - 1] = body + 8 + 8 * i
            if entry >> 60 in WITH_CONTENTS:
                self.pages[entry & (1 << 52) - 1] = entry >> 60, at
                at += 4096

    def first(self, kind):
        """A page of that type (pinned or not): (pfn, offset)."""
        return next((pfn, at) for pfn, (t, at) in self.pages.items() if t & 7 == kind)

    def entry(self, level):
        """A present entry of a page table of that level: its offset."""
        for kind, at in self.pages.values():
            if kind & 7 == level:
                for i, value in enumerate(struct.unpack_from("<512Q", self.data, at)):
                    if value & PRESENT:
                        return at + 8 * i
        raise AssertionError("no such entry")


@pytest.fixture(scope="module")
def image():
    return Image(kept("pv-cascadelake"))


@pytest.fixture
def host(cascadelake, image):
    if cascadelake.run(f"[ -e {KEPT} ]").rc:
        put(cascadelake, KEPT, image.data)
    cascadelake.run(f"rm -f {LOG}")
    return cascadelake


def patch(host, offset, data):
    host.run(f"dd of={KEPT} bs=1 seek={offset} conv=notrunc 2>/dev/null", stdin=data).check()


def q(value):
    return struct.pack("<Q", value)


def foreign_frame(image):
    return image.entry(L1), q(0xFFFFFF << 12 | WRITABLE)


def table_in_disguise(image):
    """Said to be an ordinary page, so that what it names are not the domain's frames but frames of the machine."""
    pfn, _ = image.first(L1)
    return image.entries[pfn], q(pfn)


def start_info_is_a_table(image):
    return image.records[VCPU_BASIC] + RDX, q(image.first(L4)[0])


def cr3_is_no_table(image):
    return image.records[VCPU_BASIC] + CR3, q(image.first(NOTAB)[0] << 12)


def gdt_out_of_range(image):
    return image.records[VCPU_BASIC] + GDT_FRAMES, q(1 << 40)


def p2m_in_a_table(image):
    """Where our list of machine frames would be written."""
    return image.records[P2M_FRAMES] + 8, q(image.first(L4)[0])


@pytest.mark.parametrize("make,words", [
    (foreign_frame, "a page table of level 1: entry "),
    (table_in_disguise, "the hypervisor does not take"),
    (start_info_is_a_table, "start info would be in frame"),
    (cr3_is_no_table, "which is no top-level table"),
    (gdt_out_of_range, "its GDT would be in frame"),
    (p2m_in_a_table, "the p2m would be in frame"),
])
def test_refused(host, image, make, words):
    offset, data = make(image)
    patch(host, offset, data)
    try:
        r = host.run(f"xl restore {KEPT}", env=OWN, timeout=120)
    finally:
        patch(host, offset, image.data[offset:offset + len(data)])
    assert r.rc != 0 and words in r.err, r.err
    assert host.domains() == {}
    assert not any(line.startswith("Panic") for line in host.xen_log())


def test_the_next_one_is_restored(host, image):
    """Paused: nothing boots from this image, whose ordinary pages are empty."""
    host.run(f"xl restore -p {KEPT}", env=OWN, timeout=120).check()
    assert host.domains().keys() == {"linux"}
    host.run(f"rm {KEPT}")
