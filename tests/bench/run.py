#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print the performance tables: an optimised build of its own, each peer measured in the same run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build-bench"


def build():
    argv = ["meson", "setup", str(BUILD), "--buildtype=release"]
    if (BUILD / "build.ninja").exists():
        argv.append("--reconfigure")
    for step in (argv, ["ninja", "-C", str(BUILD)]):
        r = subprocess.run(step, cwd=ROOT, capture_output=True, text=True)
        if r.returncode:
            sys.exit(f"{' '.join(step)} failed:\n{r.stdout}{r.stderr}")


def main():
    if sys.stdout.isatty():
        print("building ...", end="\r", flush=True)
    build()
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"On {model}, {os.cpu_count()} CPUs\n", flush=True)
    failed = 0
    env = dict(os.environ, XENLEVEL_BUILD=str(BUILD))
    for argv in ([str(BUILD / "tests/bench/bench_policy")],
                 [str(BUILD / "tests/bench/bench_cpuid")],
                 [str(BUILD / "tests/bench/bench_switch")],
                 [str(BUILD / "tests/bench/bench_sim")],
                 [str(BUILD / "tests/bench/bench_pool")],
                 [str(BUILD / "tests/bench/bench_fleet")],
                 [sys.executable, "tests/bench/bench_relay.py", "--build", str(BUILD)],
                 [sys.executable, "tests/bench/bench_verify.py"],
                 [sys.executable, "tests/bench/bench_migrate.py"],
                 [sys.executable, "tests/bench/bench_lab.py", "--build", str(BUILD)]):
        failed |= subprocess.run(argv, cwd=ROOT, env=env).returncode
        print(flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
