#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What CI runs: make check, then make check-fresh for Debian 12, and for Debian 13 when it fits.

usage: tests/ci.py      (.ci/run begins it)

All of it may take BUDGET seconds from the start; what is left decides, once the others have ended, whether Debian 13 is begun.
At LIMIT everything is ended.  make check has failed then; a release of Debian has failed when it had ENOUGH time or a step of it
had failed, else the machine was slow.  What was not run, or not to its end, is said in a line each before the last one, and is no
failure; nor is it one that the machine has no place for a release ("cannot be run here").  The last line counts all tests.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from run import CANNOT, Count, end_descendants, heed_signals, read_counts, single

ROOT = Path(__file__).resolve().parents[1]
BUDGET = 60 * 60
LIMIT = 85 * 60         # CI ends what takes 90 minutes, without a word
SLOWER = 1.25           # Debian 13's packages are larger than Debian 12's
LEAST = 5 * 60          # with less left before LIMIT no release is begun
ENOUGH = 40 * 60        # a release takes 10 to 20 minutes
GRACE = 60              # for what is told to end, to remove its folder
FRESH = {"Debian 12": "bookworm", "Debian 13": "trixie"}


@dataclass
class Ended:
    """How a command ended: what it printed, its exit status, how many seconds it took, and whether LIMIT ended it."""
    lines: list
    code: int
    took: float
    late: bool


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
    """Run a command, and pass on what it prints."""
    begun = time.monotonic()
    say(f"==== {name}: {' '.join(argv)}")
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    late, over = threading.Event(), threading.Event()

    def end():
        late.set()
        os.killpg(process.pid, signal.SIGTERM)      # what it has started it ends itself
        if not over.wait(GRACE):
            end_descendants()

    timer = threading.Timer(max(0.0, until - begun), end)
    timer.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            say(lines[-1])
        code = process.wait()
    finally:
        over.set()
        timer.cancel()
        end_descendants()
    return Ended(lines, code, time.monotonic() - begun, late.is_set())


def judge(name, ended):
    """The Count of a command that must run to its end."""
    if ended.late:
        return single(f"{name}: ended after {LIMIT // 60} minutes of all", 1)
    return read_count(name, ended.lines, ended.code)


def judge_release(name, ended, had):
    """The Count of a release that had so many seconds, and why it was not run, or not to its end, or None."""
    cannot = [line[len(CANNOT):] for line in ended.lines if line.startswith(CANNOT)]
    if cannot and not ended.late:
        return read_counts(ended.lines) or Count(), "; ".join(cannot)
    failed = any(re.match(r" *FAILED|== .*: FAILED", line) for line in ended.lines)
    if ended.late and had < ENOUGH and not failed:
        return Count(), f"it had {had / 60:.0f} minutes when it was ended, after {LIMIT // 60} of all"
    return judge(name, ended), None


def run_release(name, begun, within, needed):
    """Run the README in a release of Debian, when `needed` seconds are left of `within`.

    Returns its Count, a line that says why it was not run or not to its end, or None, and how long it took."""
    argv, gone = ["make", "check-fresh", f"RELEASE={FRESH[name]}"], time.monotonic() - begun
    if within - gone < needed:
        count, took = Count(), 0.0
        why = (f"it takes about {needed / 60:.0f} minutes, and {max(0.0, within - gone) / 60:.0f} of {within // 60} are left")
    else:
        ended = run(name, argv, begun + LIMIT)
        took = ended.took
        count, why = judge_release(name, ended, LIMIT - gone)
    return count, why and f"not run: {name} ({' '.join(argv)}): {why}", took


def main():
    heed_signals()
    begun = time.monotonic() - max(0.0, time.time() - float(os.environ.get("XENLEVEL_CI_BEGUN") or time.time()))
    total = judge("every test", run("every test", ["make", "check"], begun + LIMIT))
    count, first, took = run_release("Debian 12", begun, LIMIT, LEAST)
    total.add(count)
    count, second, _ = run_release("Debian 13", begun, BUDGET, SLOWER * took)
    total.add(count)
    say("==== all")
    for line in [f"skipped: {skip}" for skip in total.skips] + [f"failed: {failure}" for failure in total.failures]:
        say(line)
    for line in filter(None, (first, second)):
        say(line)
    say(f"in {(time.monotonic() - begun) / 60:.0f} minutes")
    say(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
