#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of the fuzzers: corpus.py MKPOLICY MKSTREAMS DIRECTORY.

Streams of real processors for fuzz_head; pairs of processors and arrays of leaves for fuzz_policy;
the lives of domains for fuzz_hypercall; whole streams of small domains for fuzz_restore, and images
of them for fuzz_image.
"""

import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "migration"))

from streambuilder import (CPUID_POLICY, HVM_CONTEXT, LIBXC_CONTEXT, MSR_POLICY, OPTIONAL, P2M_FRAMES, PAGE_DATA,  # noqa: E402
                           PV, PV_INFO, STATIC_DATA_END, TSC_INFO, counted, headers, libxl_header, msr, pv_info, record,
                           small_pv_stream, xl_header)
from write_streams import IS_PV     # noqa: E402

HEAD_MAX = 262144   # bytes of a head: XC_SR_HEAD_MAX
FORMS = Path(__file__).resolve().parents[1] / "data" / "forms"    # fuzz_forms: a file of each form
CPUS = Path(__file__).resolve().parents[2] / "xen" / "sim" / "machines"


def xl(libxc):
    return xl_header(counted(b'{"c_info":{"name":"web1"}}\0')) + libxl_header() + record(LIBXC_CONTEXT) + libxc


def policy(mkpolicy, what, cpu):
    return subprocess.run([mkpolicy, what, cpu, "", ""], check=True, stdout=subprocess.PIPE).stdout


def heads(mkpolicy):
    leaves, msrs = policy(mkpolicy, "leaves", "intel-haswell-ep"), msr(0xCE, 1 << 31)
    info = record(PV_INFO, pv_info())
    static = record(CPUID_POLICY, leaves) + record(MSR_POLICY, msrs) + record(STATIC_DATA_END)
    memory = record(PAGE_DATA, bytes(16))
    optional = OPTIONAL | 1
    yield headers() + static
    yield headers(guest=PV) + info + static
    yield headers() + record(optional, b"x" * 9) + record(CPUID_POLICY, leaves[:48]) + record(STATIC_DATA_END)
    yield headers(2) + memory
    yield headers(2) + record(TSC_INFO, bytes(24)) + record(HVM_CONTEXT, bytes(100)) + memory
    yield headers(2) + record(TSC_INFO, bytes(24)) + record(CPUID_POLICY, leaves) + memory
    longest = headers() + record(optional, bytes(65536)) * 3
    longest += record(optional, bytes(HEAD_MAX - len(longest) - 16))
    yield longest + record(STATIC_DATA_END)
    yield longest + static     # longer than what is kept
    yield headers(2, PV) + info + record(P2M_FRAMES, bytes(16))


def lives():
    """Domains as a toolstack would make them, in fuzz_hypercall's operations."""

    def domctl(index, arguments=b"", domain=1):
        return bytes([0, index + 22, domain + 8]) + arguments

    def at(offset):
        return struct.pack("<BH", 16, offset)

    populate = bytes([5, 9, 0, 9, 20, 0]) + at(0x8000)
    policy = bytes([200, 2]) + at(0x1000) + at(0x3000)
    for kind in range(4):  # PV, HVM with shadow paging, (refused), HVM
        born = domctl(0, bytes([kind, 2, 99])) + domctl(1, b"\2") + domctl(2, b"\xff\xff") + populate
        born += bytes([9, 9, 0, 8]) + bytes([9, 9, 1, 8])  # both vCPUs up
        if kind:
            context = domctl(14, struct.pack("<H", 0x4000) + at(0x4000)) + domctl(15, struct.pack("<H", 2200) + at(0x4000))
        else:
            context = domctl(13, b"\0" + at(0x4000)) + domctl(12, b"\0" + at(0x4000)) + domctl(13, b"\1" + at(0x4000))
        dirty = domctl(17, bytes([1, 0, 0, 0])) + domctl(17, bytes([2, 0, 255, 0]) + at(0x7000))
        run = domctl(3) + bytes([8, 100, 0, 0]) + bytes([9, 9, 0, 1, 20, 0]) + bytes([8, 0, 9, 1]) + domctl(4)
        for index in range(6):  # the host's policies, most of which this domain must not have
            yield bytes([index % 5, 0]) + born + bytes([4, 7, index]) + policy + domctl(10, policy) + run
        for cpu in range(5):
            yield bytes([cpu, 0]) + born + domctl(9, policy) + domctl(10, policy) + context + dirty + run + domctl(5)


def images(restore):
    """Of fuzz_restore's seeds, as xl would save them and as libxc writes them; each way to rewrite them."""
    for path in sorted(restore.iterdir()):
        stream = path.read_bytes()[1:]
        for how in range(4):
            yield f"libxc-{path.name}-{how}", bytes([how | 12]) + stream
            yield f"xl-{path.name}-{how}", bytes([how]) + xl(stream) + record(3, bytes(8)) + record(0)


LINES = (b"console=com1 dom0_mem=512M noreboot ucode=scan smt=0 -- quiet",
         b"cpuid=no-avx,rdrand=1,hle=off xsave=0 no-smep smap=hvm pku=0 nolapic",
         b"spec-ctrl=no,msr-sc=pv=0,no-xen,gds-mit=0,bp-spec-reduce,unpriv-mmio,ibpb,bti-thunk=jmp no-tsx",
         b"cpuid_mask_ecx=0x1 cpuid_mask_l7s0_ebx=5 cpuid_mask_cpu=fam_0f_rev_c hap=0 vpmu=bts,arch watchdog=0")


def main():
    mkpolicy, mkstreams, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    for name in ("head", "policy", "cmdline", "hypercall", "restore", "image", "forms"):
        (out / name).mkdir(parents=True, exist_ok=True)
    subprocess.run([mkstreams, out / "restore"], check=True)
    for path in FORMS.iterdir():
        (out / "forms" / path.name).write_bytes(path.read_bytes())
    parts = out / "restore" / "pv.parts"
    (out / "restore" / "pv").write_bytes(IS_PV + small_pv_stream(parts.read_bytes()))
    parts.unlink()
    for name, data in images(out / "restore"):
        (out / "image" / name).write_bytes(data)
    for i, data in enumerate(heads(mkpolicy)):
        for piece in (0, 16, 254):
            (out / "head" / f"libxc-{i}-{piece}").write_bytes(bytes([piece]) + data)
            (out / "head" / f"xl-{i}-{piece}").write_bytes(bytes([piece | 1]) + xl(data))
    names = sorted(p.stem for p in CPUS.glob("*.cpuid"))
    for i in range(len(names)):
        for j in range(i, len(names)):
            for closing in (2, 3):
                (out / "policy" / f"pair-{i}-{j}-{closing}").write_bytes(bytes([0, i, 0, closing, j, 0, closing]))
    for i, line in enumerate(LINES):
        for xen in (0, 5):
            (out / "cmdline" / f"line-{i}-{xen}").write_bytes(bytes([xen, i]) + line)
    for i, data in enumerate(lives()):
        (out / "hypercall" / f"life-{i}").write_bytes(data)
    for name in names[::4]:
        leaves = policy(mkpolicy, "leaves", name)
        (out / "policy" / f"raw-{name}").write_bytes(bytes([1, len(leaves) // 24, 0]) + leaves + bytes([0, 0, 2]))


if __name__ == "__main__":
    main()
