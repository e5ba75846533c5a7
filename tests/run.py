#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every test of the project and count them.

usage: tests/run.py [STEP...]     the steps are listed by --help; all of them by default

Each step leaves JUnit results or is itself one test.  The last line is the count.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
FUZZ_SECONDS = 60
STEP_LIMIT = 2700               # seconds: a step that hangs is ended; one on a machine three times slower is not
PR_SET_CHILD_SUBREAPER = 36     # <linux/prctl.h>
PATIENCE = 5                    # seconds between SIGTERM and SIGKILL
NO_TTY = {"CMOCKA_MESSAGE_OUTPUT": "TAP"}


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)
    skips: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips


def heed_signals():
    """Whatever a step starts stays our descendant, also when its parent ends, or it makes a session of its own; and a signal
    that ends us ends them."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")

    def end(number, _):
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)     # once is enough: what a step has left is being ended
        sys.exit(128 + number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, end)


def descendants():
    """All processes that we, or those that we have started, have started."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(entry.name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):   # it has just ended
                pass
    found, more = set(), {os.getpid()}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return found


def end_descendants(process):
    """With a step ends everything that it has started: two simulated hosts once ran on for hours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        told = set()
        while time.monotonic() < deadline:
            process.poll()
            left = descendants()
            if not left:
                return
            for pid in left:
                try:
                    if pid not in told:
                        os.kill(pid, number)
                    if pid != process.pid:
                        os.waitpid(pid, os.WNOHANG)     # it is ours when its parent has ended
                except (ProcessLookupError, ChildProcessError):
                    pass
            told |= left
            time.sleep(0.02)


def run(argv, timeout, env=None, cwd=ROOT, log=None):
    """Run one command; its output goes to the log, and to us when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        process = subprocess.Popen(argv, cwd=cwd, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            out.write(f"\ntimed out after {timeout} s\n".encode())
            code = 124
        finally:
            end_descendants(process)
    return code


def tail(log, lines=60):
    text = log.read_text(errors="replace").splitlines()
    return "\n".join("    " + line for line in text[-lines:])


def read_junit(path):
    """Count the test cases of a JUnit file."""
    count = Count()
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname') or ''} {case.get('name')}".strip()
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
            count.failures.append(name)
        elif (skip := case.find("skipped")) is not None:
            count.skipped += 1
            count.skips.append(f"{name}: {skip.get('message') or skip.text or 'no reason given'}")
        else:
            count.passed += 1
    return count


def single(name, code):
    return Count(passed=1) if code == 0 else Count(failed=1, failures=[name])


class Steps:
    """Each public method is a step, in this order."""

    def __init__(self, work):
        self.work = work

    def _log(self, name):
        return self.work / f"{name}.log"

    def _command(self, name, argv, timeout, env=None):
        code = run(argv, timeout, env=env, log=self._log(name))
        if code:
            print(tail(self._log(name)))
        return single(name, code)

    def _meson(self, name, options):
        """Set up, build and test one build directory; its cmocka tests count one by one."""
        build = ROOT / f"build-{name}" if name != "release" else ROOT / "build"
        log = self._log(f"build-{name}")
        setup = ["meson", "setup", str(build), *options]
        if (build / "build.ninja").exists():
            setup.append("--reconfigure")
        for argv in (setup, ["ninja", "-C", str(build)]):
            if run(argv, STEP_LIMIT, log=log):
                print(tail(log))
                return single(f"build-{name}", 1)
        junit = build / "meson-logs" / "testlog.junit.xml"
        junit.unlink(missing_ok=True)
        env = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", **NO_TTY}
        code = run(["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs"], STEP_LIMIT, env=env,
                   log=self._log(f"unit-{name}"))
        count = read_junit(junit) if junit.exists() else Count()
        if code:
            print(tail(self._log(f"unit-{name}")))
            if not count.failed:
                count.add(single(f"unit-{name}", code))
        elif not count.passed:
            count.add(Count(failed=1, failures=[f"unit-{name}: no test was run"]))
        return count

    def _pytest(self, name, paths, timeout, env=None):
        junit = self.work / f"{name}.xml"
        junit.unlink(missing_ok=True)
        env = {"XENLEVEL_BUILD": str(ROOT / "build"), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        code = run([PYTHON, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", f"--junitxml={junit}", *paths], timeout,
                   env=env, log=self._log(name))
        count = read_junit(junit) if junit.exists() else Count()
        if code:
            print(tail(self._log(name)))
            if not count.failed:
                count.add(single(name, code))
        elif not count.passed:
            count.add(Count(failed=1, failures=[f"{name}: no test was run"]))
        return count

    def format(self):
        """the sources are as clang-format would have them"""
        files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, capture_output=True, text=True,
                               check=True).stdout.split()
        return self._command("format", ["clang-format", "--dry-run", "-Werror", *files], 300)

    def unit(self):
        """build with warnings as errors; unit tests"""
        return self._meson("release", [])

    def sanitizers(self):
        """the same unit tests under ASan and UBSan, built with clang"""
        os.environ["CC"] = "clang"
        try:
            return self._meson("asan", ["-Db_sanitize=address,undefined", "-Db_lundef=false"])
        finally:
            del os.environ["CC"]

    def tidy(self):
        """clang-tidy's bugprone and cert checks"""
        return self._command("tidy", [PYTHON, "tests/tidy.py", "build"], STEP_LIMIT)

    def cli(self):
        """the command and the gate, driven as a user or libxl would"""
        return self._pytest("cli", ["tests/cli", "tests/migration/cli"], STEP_LIMIT)

    def python(self):
        """the stream verifier: real streams, each rule broken once, mutations"""
        return self._pytest("python", ["tests/migration/verifier", "tests/migration/broken"], STEP_LIMIT)

    def fuzz(self):
        """libFuzzer: policies, the stream's head, hypercalls, restoring a stream, images on disk"""
        return self._command("fuzz", ["tests/fuzz/run.sh", str(FUZZ_SECONDS)], STEP_LIMIT)

    def lab(self):
        """real Xen hosts"""
        return self._pytest("lab", ["tests/lab", "tests/migration/lab"], STEP_LIMIT)


def main():
    names = [n for n in vars(Steps) if not n.startswith("_")]
    steps_help = "\n".join(f"  {n:12}{getattr(Steps, n).__doc__}" for n in names)
    parser = argparse.ArgumentParser(description="Run every test of the project and count them.",
                                     epilog="steps:\n" + steps_help,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="*", choices=[*names, []], help="only these steps")
    chosen = parser.parse_args().step or names
    heed_signals()

    work = ROOT / "build" / "check"
    total = Count()
    steps = Steps(work)
    for name in chosen:
        begun = time.monotonic()
        print(f"== {name}: {getattr(Steps, name).__doc__}", flush=True)
        count = getattr(steps, name)()
        print(f"   {count.passed} passed, {count.failed} failed, {count.skipped} skipped"
              f"  ({time.monotonic() - begun:.0f} s)", flush=True)
        total.add(count)

    for skip in total.skips:
        print(f"skipped: {skip}")
    for failure in total.failures:
        print(f"failed: {failure}")
    if total.failed:
        print(f"logs: {work}")
    print(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
