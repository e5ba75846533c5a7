#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""verify-stream beside Debian's verify-stream-v2 on the same image, in the same run.

usage: bench_verify.py [--gib N] [--rounds N] [--sparse]

The image is a stream of `xl save` with 4 MiB page records as Xen makes them, random data on disk (--sparse: holes of the
file, where there is no room).  First rounds are not counted.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools/python"), str(ROOT / "tests/migration")]
sys.dont_write_bytecode = True

from broken.readers import find_stock_verifier    # noqa: E402
from streambuilder import write_large_image     # noqa: E402

AIM = 30                # times faster
AIM_MEMORY = 50         # MB
AIM_START = 0.05        # s of processor time that does not depend on the image
AIM_CHECKSUMS = 2.0     # GB/s, or what reading and zlib alone come to, should that be less
PIECE = 1 << 18         # bytes, as verify-stream reads them


# What a process takes from its parent's size until it execs counts as its own, so a small one starts it.
LAUNCH = """
import os, resource, sys, time
begun = time.monotonic()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status)
"""


def measure(command, env, image, rounds, cached):
    """(seconds, MB, CPU seconds): the median, the most and the least of some rounds; raises when the image is not accepted."""
    env = {**os.environ, **env}
    env.pop("PYTHONDONTWRITEBYTECODE", None)        # neither is to be compiled anew each time
    seconds, memory, used = [], [], []
    for n in range(rounds + 1):
        if not cached:
            forget(image)
        r = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *command, str(image)], env=env, stdout=subprocess.PIPE, text=True,
                           check=True)
        time_taken, processor_time, kib, status = r.stdout.split()[-4:]
        if status != "0":
            raise RuntimeError(f"{' '.join(command)} ended with status {status}\n{r.stdout}")
        if n:
            seconds.append(float(time_taken))
            memory.append(int(kib) / 1024)
            used.append(float(processor_time))
    return statistics.median(seconds), max(memory), min(used)


def forget(image):
    """Take the image out of the page cache."""
    fd = os.open(image, os.O_RDWR)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def row(name, seconds, memory, more=""):
    print(f"    {name:34}{seconds:8.3f} s {memory:7.1f} MB  {more}".rstrip(), flush=True)


def compare(ours, stock, image, rounds, cached):
    """Both tools; how many times faster ours is (None without the other), and its MB."""
    seconds, memory, _ = measure([ours, "-q"], {}, image, rounds, cached)
    if stock:
        command, env = [sys.executable, str(stock / "bin/verify-stream-v2")], {"PYTHONPATH": str(stock / "lib/python")}
        theirs, their_memory, _ = measure([*command, "-f", "xl", "-i"], env, image, 2, cached)
        row("Debian's verify-stream-v2", theirs, their_memory)
        row("verify-stream", seconds, memory, f"{theirs / seconds:.0f} times faster")
        return theirs / seconds, memory
    print("    Debian's verify-stream-v2         not installed (cd tests/lab && python3 -m xenlab fetch)")
    row("verify-stream", seconds, memory)
    return None, memory


def only_sum(image):
    """CPU seconds of reading the image and of zlib's CRC-32, and of nothing else."""
    fd, crc = os.open(image, os.O_RDONLY), 0
    begun = time.process_time()
    while data := os.read(fd, PIECE):
        crc = zlib.crc32(data, crc)
    os.close(fd)
    return time.process_time() - begun


def processor_time(ours, image, directory, rounds):
    """Start-up and --checksums, by the processor's time, which other load changes little.  True when both aims are reached."""
    small = Path(directory) / "small.save"
    write_large_image(small, 4, os.urandom(4 << 20))
    _, _, start = measure([ours, "-q"], {}, small, 4 * rounds, True)
    seconds, memory, used = measure([ours, "-q", "--checksums"], {}, image, rounds, True)
    row("verify-stream --checksums", seconds, memory, "reads it all")
    size = image.stat().st_size / 1e9
    rate, most = size / (used - start), size / min(only_sum(image) for _ in range(rounds))
    aim = min(AIM_CHECKSUMS, 0.9 * most)
    print(f"  by the processor's time, load average {os.getloadavg()[0]:.1f}:")
    print(f"    start-up, whatever the image      {start:8.3f} s   aim: below {AIM_START} s")
    print(f"    --checksums without start-up      {rate:8.2f} GB/s   aim: {aim:.2f}; reading and zlib alone: {most:.2f}")
    return start < AIM_START and rate >= aim


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gib", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sparse", action="store_true")
    options = parser.parse_args()
    ours, stock = str(ROOT / "tools/python/verify-stream"), find_stock_verifier()
    print(f"Verifying an image of {options.gib} GiB (aim: {AIM} times faster than Debian's, below {AIM_MEMORY} MB)")
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as directory:
        image = Path(directory) / "image.save"
        room = shutil.disk_usage(directory).free > (options.gib + 2) << 30
        write_large_image(image, options.gib * 1024, None if options.sparse or not room else os.urandom(4 << 20))
        print("  not in the page cache, as an image is that a dom0 has no room for:", flush=True)
        ratio, memory = compare(ours, stock, image, options.rounds, cached=False)
        print("  wholly in the page cache:", flush=True)
        _, cached_memory = compare(ours, stock, image, options.rounds, cached=True)
        quick = processor_time(ours, image, directory, options.rounds)
    if not quick or max(memory, cached_memory) >= AIM_MEMORY or ratio is not None and ratio < AIM:
        print("  the aim was missed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
