#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Save and restore on real Xen (the lab, emulated): CPU time of our helper beside the stock helper's.

usage: bench_lab.py [--build DIR] [--rounds N] [--memory MB]

One PVH guest that fills its memory, saved and restored N times with either, in turns, on one host.  The time is what
the helper used, user and system, as the shell that starts it counts (10 ms steps); "xl" is how long xl took in all.
Then what the gate adds to a restore by the stock helper: the trial before memory and the last look behind it.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))

from xenlab import Lab                                  # noqa: E402
from xenlab.tools import GATE, our_files                # noqa: E402

STOCK = "/usr/lib/xen-4.17/bin/libxl-save-helper"
TIMED = '#!/bin/sh\n$HELPER "$@"\nrc=$?\ntimes > /root/cpu\nexit $rc\n'
AIM = 2
AIM_TRIAL_MS = 20


def trial(host, build, rounds=100):
    """Milliseconds of the trial and of the last look, of a domain that has never run."""
    host.install({"/root/time-trial": Path(build) / "tests/bench/time-trial"})
    host.create_probe("new", memory=16, paused=True).check()
    domid = host.run("xl domid new").check().out.strip()
    us = host.run(f"/root/time-trial {domid} {rounds}").check().out.split()
    host.run("xl destroy new").check()
    return [float(v) / 1000 for v in us]


def seconds(times):
    """What a shell's children used, user and system, added: the second line of what its `times` says."""
    return sum(int(m) * 60 + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", times.splitlines()[1]))


def one(host, helper, command):
    env = {"LIBXL_SAVE_HELPER": "/root/timed", "HELPER": helper, "XENLEVEL_STREAM": "xenlevel"}
    r = host.run(command, env=env).check()
    return seconds(host.run("cat /root/cpu").check().out), r.seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=64, metavar="MB")
    args = parser.parse_args()
    taken = {}
    with Lab() as lab:
        (host,) = lab.boot("cascadelake", files=our_files(args.build))
        host.put("/root/timed", TIMED.encode())
        host.create_probe("guest", memory=args.memory, dirty=True).check()
        host.wait_probe("guest", 3)
        for _ in range(args.rounds):
            for name, helper in (("stock", STOCK), ("ours", GATE)):
                for what, command in (("save", "xl save guest /root/g.img"), ("restore", "xl restore /root/g.img")):
                    taken.setdefault((what, name), []).append(one(host, helper, command))
                    if what == "restore":
                        host.wait_probe("guest", 1)
        first, last = trial(host, args.build)
    print(f"Real Xen 4.17 in QEMU (TCG): CPU seconds of the save helper, a PVH guest of {args.memory} MB that writes all of it, "
          f"median of {args.rounds}")
    print(f"{'':10}{'stock':>8}{'ours':>8}{'ratio':>8}   {'xl, stock':>10}{'xl, ours':>10}")
    for what in ("save", "restore"):
        (cpu_stock, xl_stock), (cpu_ours, xl_ours) = (
            [median(column) for column in zip(*taken[what, name])] for name in ("stock", "ours"))
        print(f"{what:10}{cpu_stock:8.2f}{cpu_ours:8.2f}{cpu_ours / cpu_stock:8.2f}   {xl_stock:10.2f}{xl_ours:10.2f}")
    print(f"aim: {1 / AIM} of the stock helper's")
    print(f"added to a restore: trial {first:.2f} ms, last look {last:.2f} ms, together {first + last:.2f} "
          f"(aim: under {AIM_TRIAL_MS}; the stock helper's own {median(c for c, _ in taken['restore', 'stock']) * 1000:.0f})")
    return 0 if first + last < AIM_TRIAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
