# SPDX-License-Identifier: MIT
"""Damaged streams: never an exception, never a hang, never much memory; a pipe always says what the file says."""

import os
import random
import resource
import struct
import time

import pytest

import streambuilder
from harness import found, verify
from migration import libxc
from migration.report import KEPT
from streambuilder import Record

pytestmark = pytest.mark.slow       # not part of `make check-quick`

SEED = int(os.environ.get("XENLEVEL_SEED") or 20261129)
SECONDS = float(os.environ.get("XENLEVEL_FUZZ_SECONDS") or 20)
MUCH = 64 << 20         # bytes of resident memory that a run of thousands may grow by
SLOW = 5                # seconds for one input of some hundred kilobytes


def starting_points():
    small = [streambuilder.hvm_stream(), streambuilder.hvm_stream(layer="xl"), streambuilder.pv_stream(), streambuilder.pv_stream(2, "libxl"),
             streambuilder.hvm_stream().checksummed()]
    return [s.raw() for s in small]


def interesting(rng):
    return rng.choice([0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0x80584C01, 0xfffffff8, 0xffffffff,
                       rng.getrandbits(32), rng.randrange(20), 4096])


def mutate(rng, data, others):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if len(data) < 16:
            break
        how, at = rng.randrange(9), rng.randrange(len(data) - 8)
        if rng.random() < 0.6:      # the heads are where the structure is
            at = min(at % 3000, len(data) - 8)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            struct.pack_into("<I", data, at & ~3, interesting(rng))
        elif how == 2:
            struct.pack_into("<Q", data, at & ~7, rng.getrandbits(64))
        elif how == 3:
            del data[at:at + rng.choice([1, 4, 8, 24, 4096])]
        elif how == 4:
            data[at:at] = rng.randbytes(rng.choice([1, 4, 8, 24]))
        elif how == 5:
            del data[at:]
        elif how == 6:              # a piece of another
            other = rng.choice(others)
            begin = rng.randrange(len(other))
            data[at & ~7:at & ~7] = other[begin & ~7:(begin & ~7) + rng.choice([8, 64, 1024, 8192])]
        elif how == 7:
            data += data[at:at + 4096]
        else:
            size = rng.choice([8, 16, 32])
            to = rng.randrange(len(data) - 8) & ~7
            data[to:to + size] = data[at & ~7:(at & ~7) + size]
    return bytes(data)


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_mutations():
    print(f"XENLEVEL_SEED={SEED}")
    rng = random.Random(SEED)
    seeds = starting_points()
    for data in seeds:
        verify(data)
    before, end, n, kinds = resident(), time.monotonic() + SECONDS, 0, set()
    while time.monotonic() < end:
        data = mutate(rng, rng.choice(seeds), seeds)
        begun = time.process_time()
        try:
            v = verify(data)
        except Exception as error:
            raise AssertionError(f"input {n}, XENLEVEL_SEED={SEED}") from error
        assert time.process_time() - begun < SLOW, f"input {n}, XENLEVEL_SEED={SEED}"
        assert v.report.unusable is None or not v.report.count
        kinds.update(p.code for p in v.report.problems)
        if n % 8 == 0:
            piped = [p for p in found(verify(data, pipe=True)) if p[0] != "checksum"]
            plain = found(v)
            # A file's size is known: it ends where it ends, not where the reading did.
            assert piped == plain, f"input {n}, XENLEVEL_SEED={SEED}"
        n += 1
    assert resident() - before < MUCH
    print(f"{n} inputs, {len(kinds)} kinds of problems")
    assert n > 100 * SECONDS / 20 and len(kinds) > 40 * min(1, SECONDS / 20)


HOSTILE = {
    "a million wrong frame numbers": lambda: one_record(libxc.PAGE_DATA, struct.pack("<II", 1 << 20, 0) + b"\x55" * (8 << 20)),
    "records without end": lambda: stream_of(Record(0x70000000).raw() * 200000),
    "a type of its own for each record": lambda: stream_of(b"".join(
        struct.pack("<II", 0x80000000 + n, 0) for n in range(300000))),
    "checkpoints without end": lambda: stream_of(Record(libxc.CHECKPOINT).raw() * 100000),
    "vCPUs without end": lambda: stream_of(b"".join(
        struct.pack("<IIII", libxc.VCPU_EXTENDED, 8, n, 0) for n in range(200000)), streambuilder.PV),
    "a huge save context": lambda: one_record(libxc.HVM_CONTEXT, struct.pack("<HHI", 3, 1, 8) * 500000),
    "instances without end": lambda: one_record(libxc.HVM_CONTEXT, b"".join(
        struct.pack("<HHIQ", 5 + n % 16, n & 0xffff, 8, 0) for n in range(300000))),
    "parameters without end": lambda: one_record(libxc.HVM_PARAMS, struct.pack("<II", 300000, 0) + bytes(16 * 300000)),
    "a policy without end": lambda: one_record(libxc.CPUID_POLICY, bytes(24 * 300000)),
    "frames of the p2m": lambda: one_record(libxc.P2M_FRAMES, struct.pack("<II", 0, 0xffffffff) + b"\xee" * (4 << 20), streambuilder.PV),
    "a length of 4 GiB": lambda: stream_of(struct.pack("<II", libxc.PAGE_DATA, 0xffffffff) + bytes(1 << 20)),
    "a nested configuration": lambda: b"Xen saved domain, xl format\n \0 \r" + struct.pack(
        "<5I", 0x01020304, 3, 0, 250004, 250000) + b"[" * 250000 + streambuilder.hvm_stream(layer="libxl").raw(),
}


def stream_of(records, guest=streambuilder.HVM):
    s = streambuilder.Stream([], guest)
    return bytes(s.image + s.domain) + records


def one_record(kind, body, guest=streambuilder.HVM):
    return stream_of(Record(kind, body).raw(), guest)


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name, pipe):
    data = HOSTILE[name]()
    before, begun = resident(), time.process_time()
    v = verify(data, pipe=pipe)
    assert time.process_time() - begun < 30
    assert not v.report.valid and len(v.report.problems) <= KEPT
    assert resident() - before < MUCH


def test_memory_does_not_follow_the_image(tmp_path):
    """4 GiB, sparse: the same memory as for nothing, and almost nothing read."""
    import subprocess
    import sys
    from pathlib import Path
    path = tmp_path / "large.save"
    streambuilder.write_large_image(path, 4096)
    program = Path(__file__).resolve().parents[3] / "tools/python/verify-stream"
    code = ("import resource, subprocess, sys; r = subprocess.run(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r.returncode)")
    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    r = subprocess.run([sys.executable, "-c", code, str(program), "-q", str(path)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    assert int(r.stdout) < 50 * 1024
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun < 10      # however busy the machine is
