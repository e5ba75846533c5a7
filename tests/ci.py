#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What CI runs: make check, then make check-fresh for Debian 12, and for Debian 13 when it fits.

usage: tests/ci.py      (.ci/run begins it)

All of it may take BUDGET seconds from the start; what is left decides, once the others have ended, whether Debian 13 is begun,
and one line says so.  At LIMIT everything is ended, and what was running has failed.  The last line counts all tests.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from run import end_descendants, heed_signals, read_counts, single

ROOT = Path(__file__).resolve().parents[1]
BUDGET = 60 * 60
LIMIT = 85 * 60         # CI ends what takes 90 minutes, without a word
SLOWER = 1.25           # Debian 13's packages are larger than Debian 12's


def say(text):
    print(text, flush=True)


def read_count(name, lines, code):
    """What a command has counted; one that did not get so far has failed."""
    count = read_counts(lines)
    if not count:
        return single(f"{name}: ended with {code} and counted nothing", 1)
    if code and not count.failed:
        count.add(single(f"{name}: ended with {code}", 1))
    return count


def run(name, argv, until):
    """Run a command, and pass on what it prints; returns its Count and how long it took."""
    begun = time.monotonic()
    say(f"==== {name}: {' '.join(argv)}")
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    late = threading.Event()

    def end():
        late.set()
        os.killpg(process.pid, signal.SIGTERM)      # what it has started it ends itself

    timer = threading.Timer(max(0.0, until - begun), end)
    timer.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            say(lines[-1])
        code = process.wait()
    finally:
        timer.cancel()
        end_descendants()
    if late.is_set():
        return single(f"{name}: ended after {LIMIT // 60} minutes of all", 1), time.monotonic() - begun
    return read_count(name, lines, code), time.monotonic() - begun


def main():
    heed_signals()
    begun = time.monotonic() - max(0.0, time.time() - float(os.environ.get("XENLEVEL_CI_BEGUN") or time.time()))
    total, _ = run("every test", ["make", "check"], begun + LIMIT)
    count, took = run("Debian 12", ["make", "check-fresh", "RELEASE=bookworm"], begun + LIMIT)
    total.add(count)
    left, needed = BUDGET - (time.monotonic() - begun), SLOWER * took
    if left >= needed:
        count, _ = run("Debian 13", ["make", "check-fresh", "RELEASE=trixie"], begun + LIMIT)
        total.add(count)
        not_run = ""
    else:
        not_run = (f"not run: Debian 13 (make check-fresh RELEASE=trixie): it takes about {needed / 60:.0f} minutes, and "
                   f"{max(0.0, left) / 60:.0f} of {BUDGET // 60} are left")
    say("==== all")
    for line in [f"skipped: {skip}" for skip in total.skips] + [f"failed: {failure}" for failure in total.failures]:
        say(line)
    if not_run:
        say(not_run)
    say(f"in {(time.monotonic() - begun) / 60:.0f} minutes")
    say(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
