#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gate beside `cat`: the same stream, the same reader, in the same run.

Mostly the gate looks at the head in the buffer of the pipe or socket and then stands aside ("looks"); a slow sender
makes it take the head, and relay the rest ("relays").

usage: bench_relay.py --build DIR [--gib N] [--rounds N]

A stream of 4 MiB page records, as Xen makes them, goes from this process over a pipe or a socket to the gate (or cat)
and from there to a reader that throws it away.  The gate is the test build (a fake hypervisor, everything else real).
"""

import argparse
import ctypes
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "migration"))

from streambuilder import CPUID_POLICY, END, MSR_POLICY, PAGE_DATA, STATIC_DATA_END, record, stream_of  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
CPU = "intel-cascadelake-sp"
PAGES = 1024                        # in one record: 4 MiB of memory
AIM = 0.95                          # of cat's rate
AIM_CPU = 0.85                      # of the processor time with cat, of sender, gate and reader together


def head(tools):
    policy, msrs = (subprocess.run([tools / "mkpolicy", what, CPU, "", ""], check=True, stdout=subprocess.PIPE).stdout
                    for what in ("leaves", "msrs"))
    return stream_of([(CPUID_POLICY, policy), (MSR_POLICY, msrs), (STATIC_DATA_END, b"")])


def write_stream(fd, first, body, n):
    """The whole stream, then the end of the file."""
    try:
        for data in (first, *[body] * n, record(END)):
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left):]
    except BrokenPipeError:
        pass
    os.close(fd)


def channel(how):
    if how == "pipe":
        return os.pipe()
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def reap_relay():
    """The CPU seconds of what was left behind: the relay, whose parent, the gate, has ended."""
    used = 0.0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return used
        if not pid:
            time.sleep(0.001)
            continue
        used += usage.ru_utime + usage.ru_stime


def processor_time():
    """CPU seconds of this process, which is the sender, and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def run(how, via, tools, first, body, n):
    """One stream: (seconds, CPU seconds of what stood in between, CPU seconds of all)."""
    used_before = processor_time()
    read_fd, write_fd = channel(how)
    env = dict(os.environ, FAKE_XEN_CPU=CPU, FAKE_HELPER_MODE="discard",
               XENLEVEL_STOCK_HELPER=str(tools / "fake-helper"))
    env.pop("FAKE_HELPER_OUT", None)
    if via == "relays":
        env["FAKE_GATE_RELAY"] = "1"
    writer = threading.Thread(target=write_stream, args=(write_fd, first, body, n))
    args = ["--restore-domain", "FD", "-1", "3", "1", "0", "2", "0", "768", "0"]
    begun = time.monotonic()
    if via != "cat":
        args[1] = str(read_fd)
        p = subprocess.Popen([tools / "gate-under-test", *args], env=env, pass_fds=[read_fd], stdin=subprocess.DEVNULL)
        os.close(read_fd)
        writer.start()
        used = None
    else:
        r, w = os.pipe()
        cat = subprocess.Popen(["cat"], stdin=read_fd, stdout=w)
        os.close(read_fd)
        os.close(w)
        args[1] = str(r)
        p = subprocess.Popen([tools / "fake-helper", *args], env=env, pass_fds=[r], stdin=subprocess.DEVNULL)
        os.close(r)
        writer.start()
        _, status, usage = os.wait4(cat.pid, 0)
        cat.returncode = os.waitstatus_to_exitcode(status)
        used = usage.ru_utime + usage.ru_stime
    rc = p.wait()
    seconds = time.monotonic() - begun
    writer.join()
    if rc:
        sys.exit(f"the reader behind {via} ended with {rc}")
    between = reap_relay() if used is None else used
    return seconds, between, processor_time() - used_before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--gib", type=float, default=4, help="length of a stream")
    parser.add_argument("--rounds", type=int, default=5, help="of which the fastest counts")
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    tools = args.build / "tests" / "migration" / "gate"
    first = head(tools)
    body = record(PAGE_DATA, struct.pack("<II", PAGES, 0) + bytes(8 * PAGES) + os.urandom(4096) * PAGES)
    n = max(1, int(args.gib * 2**30 / len(body)))
    size = n * len(body)
    print(f"The gate beside cat, {n} records of {len(body) / 2**20:.1f} MiB, load average {os.getloadavg()[0]:.1f}")
    print("                           GB/s    cat   ratio   CPU s/GB    cat   of all    cat   ratio")
    good = True
    for how in ("pipe", "socket"):
        # Turn about, so that all see the same machine; the least of each figure is what others disturbed least.
        kinds = ("looks", "relays", "cat")
        runs = [[run(how, via, tools, first, body, n) for via in kinds] for _ in range(args.rounds)]
        best = {via: [min(r[i][figure] for r in runs) for figure in range(3)] for i, via in enumerate(kinds)}
        for via in ("looks", "relays"):
            ours, cat = best[via], best["cat"]
            rate, cpu = cat[0] / ours[0], ours[2] / cat[2]
            good &= rate >= AIM and cpu <= AIM_CPU
            print(f"  {via:7} over a {how:6} {size / ours[0] / 1e9:7.2f} {size / cat[0] / 1e9:6.2f} {rate:7.2f}"
                  f" {ours[1] / size * 1e9:10.3f} {cat[1] / size * 1e9:6.3f} {ours[2] / size * 1e9:8.3f} {cat[2] / size * 1e9:6.3f}"
                  f" {cpu:7.2f}")
    print(f"  aims: at least {AIM} of cat's rate, at most {AIM_CPU} of the processor time with it"
          + ("" if good else ": NOT REACHED"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
