#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Save, restore and live migration between simulated hosts, beside dd of the same bytes and QEMU's own migration.

usage: bench_migrate.py [--build DIR] [--mib N] [--rate N] [--rounds N]

The guest has written all of its memory, with numbers that no two pages share, and goes on writing RATE pages a second.
Everything is measured in turns, and the median counts.  QEMU migrates a guest that does the same (tests/guests/dirty) over
a Unix socket, at no limit of bandwidth; ours goes over one too.  Downtime: QEMU's is what query-migrate says, up to the
last byte that it has sent; ours ends when the guest runs there.
"""

import argparse
import contextlib
import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))

import qemu_migrate as qemu                             # noqa: E402

AIM_FILE = 0.8          # of dd's throughput
AIM_LIVE = 3            # times QEMU's throughput
AIM_DOWNTIME = 5        # its downtime by this
PAGE = 4096
MACHINE = ROOT / "xen/sim/machines/intel-cascadelake-sp.ini"


class Sim:
    """A simulated host with the guest on it, or none yet."""

    def __init__(self, build, directory, name, mib):
        self.xl, self.socket = build / "tools/xl/xl-sim", Path(directory) / f"{name}.sock"
        self.process = subprocess.Popen([build / "xen/sim/xen-sim", "--machine", MACHINE, "--socket", self.socket, "--memory",
                                         str(mib + 64)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if "ready" not in self.process.stdout.readline():
            raise RuntimeError("xen-sim does not start")

    def run(self, *args):
        begun = time.monotonic()
        r = subprocess.run([self.xl, "-s", self.socket, *map(str, args)], capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(f"xl-sim {args[0]}: {r.stdout}{r.stderr}")
        return time.monotonic() - begun, r.stdout

    def create(self, mib, rate):
        # It counts its own time, and rests a fifth of the time.
        self.run("create", "/dev/null", "name=g", "type=pvh", "guest=writer", f"memory={mib}", f"guest_rate={rate * 5 // 4}")

    def written(self):
        """Pages that it has written; it has noticed nothing."""
        (vcpu,) = json.loads(self.run("status", "--json", "g")[1])["vcpus"]
        if vcpu["status"] != "running":
            raise RuntimeError(f"the guest: {vcpu}")
        return vcpu["work"]

    def rate(self, seconds=1.0):
        begun, before = time.monotonic(), self.written()
        time.sleep(seconds)
        return (self.written() - before) / (time.monotonic() - begun)

    def wait_filled(self, mib, timeout=600):
        deadline = time.monotonic() + timeout
        while self.written() < (mib - 1) * 256:
            if time.monotonic() > deadline:
                raise RuntimeError("the guest does not get through with filling its memory")
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def row(name, size, seconds, more=""):
    print(f"    {name:36}{size / seconds / 1e6:8.0f} MB/s {seconds:8.3f} s   {more}".rstrip(), flush=True)


WARM = """
import mmap, sys
memory = mmap.mmap(-1, int(sys.argv[1]))
memory.madvise(mmap.MADV_HUGEPAGE)
for at in range(0, len(memory), 4096):
    memory[at] = 1
"""


def warm(size):
    """Have as much free memory as the next run takes that was used a moment ago: where this is a virtual machine itself, memory
    that was not comes from the hypervisor below, page by page, and nothing else would be measured."""
    subprocess.run([sys.executable, "-S", "-c", WARM, str(size + (size >> 2))], check=True)


# ---- files ----

def roomy(size):
    """Where there is room for three of them: in memory, or else on a disk."""
    for place in ("/dev/shm", tempfile.gettempdir()):
        if os.path.isdir(place) and shutil.disk_usage(place).free > 3 * size:
            return place
    sys.exit("bench_migrate: no room for three images")


def dd(image, copy):
    copy.unlink(missing_ok=True)
    warm(image.stat().st_size)
    begun = time.monotonic()
    subprocess.run(["dd", f"if={image}", f"of={copy}", "bs=4M", "conv=fsync", "status=none"], check=True)
    seconds = time.monotonic() - begun
    copy.unlink()
    return seconds


def copy_memory(size):
    """memcpy of as much into memory that is fresh, as a restored guest's is."""
    piece = os.urandom(1 << 20)
    size -= size % len(piece)
    source, fresh = mmap.mmap(-1, size), mmap.mmap(-1, size)
    for at in range(0, size, len(piece)):
        source[at:at + len(piece)] = piece
    warm(size)
    begun = time.monotonic()
    fresh[:] = source       # one memcpy, of the buffer
    seconds = time.monotonic() - begun
    source.close()
    fresh.close()
    return seconds


def files(host, build, directory, mib, rounds):
    """The ratios of save and restore."""
    place = roomy(mib << 20)
    taken = {"save": [], "restore": [], "dd": [], "memcpy": []}
    with tempfile.TemporaryDirectory(prefix="bench-migrate-", dir=place) as images:
        image, copy = Path(images) / "g.save", Path(images) / "copy"
        for _ in range(rounds):
            image.unlink(missing_ok=True)
            warm(mib << 20)
            taken["save"].append(host.run("save", "-c", "g", image)[0])
            size = image.stat().st_size
            taken["dd"].append(dd(image, copy))
            other = Sim(build, directory, "other", mib)
            warm(mib << 20)
            try:
                taken["restore"].append(other.run("restore", "-p", image)[0])
            finally:
                other.stop()
            taken["dd"].append(dd(image, copy))
            taken["memcpy"].append(copy_memory(size))
    best = {what: median(seconds) for what, seconds in taken.items()}
    print(f"  an image of {size / 1e6:.0f} MB in {place} (aim: {AIM_FILE} of dd)")
    row("dd bs=4M", size, best["dd"])
    row("memcpy into fresh memory", size, best["memcpy"])
    for what in ("save", "restore"):
        row(f"xl-sim {what}", size, best[what], f"{best['dd'] / best[what]:.2f} of dd, "
                                                f"{best['memcpy'] / best[what]:.2f} of memcpy")
    return [best["dd"] / best[what] for what in ("save", "restore")]


# ---- live ----

def ours(build, directory, source, mib, n):
    """One migration to a host that was just switched on, which is then the source."""
    target = Sim(build, directory, f"target{n}", mib)
    warm(mib << 20)
    answer = json.loads(source.run("migrate", "--json", "g", target.socket)[1])
    target.written()
    source.stop()
    return target, {"seconds": answer["elapsed_ns"] / 1e9, "downtime": answer["downtime_ns"] / 1e9, "pages": answer["pages"],
                    "rounds": answer["rounds"]}


def theirs(elf, directory, mib, n):
    """One of QEMU's, from a guest that has filled its memory."""
    path = Path(directory) / f"qemu{n}.sock"
    source = qemu.Machine(elf, mib)
    target = None
    try:
        source.wait_filled()
        target = qemu.Machine(elf, mib, path)
        while not path.exists():
            time.sleep(0.05)
        rate = source.rate()
        warm(mib << 20)
        answer = qemu.migrate(source, path)
        time.sleep(0.1)
        bad = target.notes()[2]
    finally:
        source.stop()
        if target:
            target.stop()
    return {"seconds": answer["total-time"] / 1e3, "downtime": answer["downtime"] / 1e3, "pages": answer["ram"]["normal"],
            "rounds": answer["ram"]["dirty-sync-count"], "rate": rate, "bad": bad}


def middle(runs):
    return {what: median(r[what] for r in runs) for what in runs[0]}


def live_row(name, size, m):
    row(name, size, m["seconds"], f"downtime {m['downtime'] * 1e3:6.1f} ms, {m['pages']:.0f} pages in {m['rounds']:.0f} rounds, "
                                  f"{m['rate']:.0f} pages/s dirtied")


def live(source, build, directory, mib, rate, rounds):
    """(times the throughput, times less downtime), None without QEMU."""
    size = mib << 20
    elf = qemu.build_guest(directory, mib, rate) if qemu.installed() else None
    mine, other = [], []
    print(f"  live, over a Unix socket (aim: {AIM_LIVE} times QEMU's throughput, {1 / AIM_DOWNTIME} of its downtime)", flush=True)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: source.stop())
        for n in range(rounds):
            if elf:
                other.append(theirs(elf, directory, mib, n))
            dirtied = source.rate()
            source, result = ours(build, directory, source, mib, n)
            mine.append({**result, "rate": dirtied})
    m = middle(mine)
    if not elf:
        print("    QEMU                                not installed")
        live_row("xl-sim migrate", size, m)
        return None
    q = middle(other)
    live_row(f"QEMU {qemu.version()}, TCG", size, q)
    if q["bad"]:
        print(f"      (its guest found {q['bad']:.0f} pages there that were not what it had written)")
    ratios = q["seconds"] / m["seconds"], q["downtime"] / m["downtime"]
    live_row("xl-sim migrate", size, m)
    print(f"      {ratios[0]:.1f} times the throughput, {1 / ratios[1]:.2f} of the downtime")
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build")))
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rate", type=int, default=20000, help="pages that the guest writes a second")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"A simulated host's guest of {args.mib} MiB, all of it written, {args.rate} pages/s dirtied; median of {args.rounds}",
          flush=True)
    missed = False
    with tempfile.TemporaryDirectory(prefix="bm", dir="/tmp") as directory:        # a socket's path has 107 characters
        host = Sim(args.build, directory, "host", args.mib)
        try:
            host.create(args.mib, args.rate)
            host.wait_filled(args.mib)
            missed |= min(files(host, args.build, directory, args.mib, args.rounds)) < AIM_FILE
        except BaseException:
            host.stop()
            raise
        ratios = live(host, args.build, directory, args.mib, args.rate, args.rounds)
    missed |= ratios is not None and (ratios[0] < AIM_LIVE or ratios[1] < AIM_DOWNTIME)
    if missed:
        print("  an aim was missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
