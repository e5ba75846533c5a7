# SPDX-License-Identifier: MIT
"""A PV vCPU's registers: the frames that they name are pfns in the stream, and the receiver must find each of them."""

import struct

MAX_GDT = 8192          # descriptors; 512 a frame
HAS_USER_TABLE = 1      # bit 0 of ctrlreg[1] in the stream


class Layout:
    """Where struct vcpu_guest_context has what (<xen/foreign/x86_32.h>, <xen/foreign/x86_64.h>)."""

    def __init__(self, size, word, rdx, gdt_frames, gdt_ents, ctrlreg, start_info):
        self.size, self.word, self.rdx, self.gdt_frames, self.gdt_ents = size, word, rdx, gdt_frames, gdt_ents
        self.ctrlreg, self.start_info = ctrlreg, start_info

    def get(self, data, offset):
        return struct.unpack_from("<Q" if self.word == 8 else "<I", data, offset)[0]

    def frame(self, cr3):
        """CR3's frame number. 32 bits: of 32, folded."""
        return cr3 >> 12 if self.word == 8 else cr3 >> 12 | (cr3 & 0xfff) << 20


LAYOUTS = {8: Layout(5168, 8, 616, 4832, 4960, 4984, "RDX"), 4: Layout(2800, 4, 524, 2640, 2704, 2716, "EDX")}


def check(data, at, layout, vcpu, end_pfn, add):
    """The context of a vCPU that stands at `at`; reports through add(code, offset, text)."""
    def frame(offset, pfn, what):
        if end_pfn is not None and pfn > end_pfn:
            add("pv-frame", at + offset, f"vCPU {vcpu}: {what} would be in frame {pfn:#x}, beyond the guest's last, {end_pfn:#x}")

    if vcpu == 0:
        frame(layout.rdx, layout.get(data, layout.rdx), f"start info ({layout.start_info})")
    entries = layout.get(data, layout.gdt_ents)
    if entries > MAX_GDT:
        add("pv-gdt", at + layout.gdt_ents, f"vCPU {vcpu}: a GDT of {entries} descriptors; {MAX_GDT} are the most")
    for i in range((min(entries, MAX_GDT) + 511) // 512):
        where = layout.gdt_frames + i * layout.word
        frame(where, layout.get(data, where), f"its GDT (part {i})")
    cr3, user = (layout.get(data, layout.ctrlreg + n * layout.word) for n in (3, 1))
    frame(layout.ctrlreg + 3 * layout.word, layout.frame(cr3), "its page table (CR3)")
    if layout.word != 8 or not user:
        return
    if user & 0xfff != HAS_USER_TABLE:
        add("pv-user-table", at + layout.ctrlreg + layout.word,
            f"vCPU {vcpu}: ctrlreg[1] is {user:#x}; a user mode page table is its frame's address with bit 0 set, none is 0")
    else:
        frame(layout.ctrlreg + layout.word, user >> 12, "its user mode page table (ctrlreg[1])")
