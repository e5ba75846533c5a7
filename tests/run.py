#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every test of the project and count them.

usage: tests/run.py [--quick] [STEP...]     the steps are listed by --help; all of them by default

Two steps run side by side; each is a process of its own and prints one block when it ends.  A step leaves JUnit results or
is itself one test.  The last line is the count.

A step has no time limit: each test has one (pytest.ini, Meson, tests/tidy.py, libFuzzer), which says what the test was doing.
"""

import argparse
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "check"
PYTHON = "/usr/bin/python3"
FUZZ_SECONDS = 15               # all targets at once, from the kept corpus; for longer: tests/fuzz/run.sh SECONDS
FUZZERS = sorted(f"tests/fuzz/{source.stem.replace('_', '-')}" for source in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
# Programs of which some source is in no unit test: clang is to see it with warnings as errors, once.
CLANG_TOO = ["tools/xenlevel/xenlevel", "tools/save-helper/xenlevel-save-helper", "xen/sim/xen-sim", "tools/xl/xl-sim"]
POOL_TOO = ["tests/pool/store-client", "tests/unit/draw-pool", "tests/migration/gate/engine-under-test"]    # of tests/pool
SIDE_BY_SIDE = 2                # steps
PATIENT = 4                     # times the limits that Meson has for its tests: they are for an idle machine
LAB_MEMORY = 8 << 20            # KiB
PR_SET_PDEATHSIG = 1            # <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 5                    # seconds between SIGTERM and SIGKILL
CANNOT = "cannot be run here: "     # tests/fresh/fresh.py says it of a machine, and tests/ci.py reads it
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
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


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def heed_signals():
    """Whatever a step starts stays our descendant, also when its parent ends, or it makes a session of its own; and a signal
    that ends us ends them."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)

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


def end_descendants(process=None):
    """With a step ends everything that it has started: two simulated hosts once ran on for hours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        told, late = set(), False
        while not late:
            late = time.monotonic() > deadline      # each is told once, however slow the machine is
            if process:
                process.poll()
            left = descendants()
            if not left:
                return
            for pid in left:
                try:
                    if pid not in told:
                        os.kill(pid, number)
                    if not process or pid != process.pid:
                        os.waitpid(pid, os.WNOHANG)     # it is ours when its parent has ended
                except (ProcessLookupError, ChildProcessError):
                    pass
            told |= left
            time.sleep(0.02)


def run(argv, timeout=None, env=None, cwd=ROOT, log=None):
    """Run one command; its output goes to the log."""
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


def lab_workers():
    """pytest's options for two processes, each with hosts of its own, where there is memory for ten hosts."""
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    return ["-n", "2", "--dist", "loadfile"] if available > LAB_MEMORY else []


def read_counts(lines):
    """The Count of a command that ends with main()'s last line, or None; make may have said that it failed behind it."""
    for line in reversed(lines):
        last = re.fullmatch(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", line)
        if last:
            texts = {prefix: [text[len(prefix):] for text in lines if text.startswith(prefix)]
                     for prefix in ("failed: ", "skipped: ")}
            return Count(*(int(n or 0) for n in last.groups()), failures=texts["failed: "], skips=texts["skipped: "])
    return None


def single(name, code):
    return Count(passed=1) if code == 0 else Count(failed=1, failures=[name])


class Steps:
    """Each public method is a step; those in front are begun first."""

    # What has to be done before a step, once, and counts only when it fails.
    NEEDS = {"unit": ["build"], "tidy": ["build"], "cli": ["build"], "python": ["build", "fetch"], "lab": ["build", "fetch"],
             "sanitizers": ["build_asan"], "fuzz": ["build_asan"]}

    def __init__(self, quick=False):
        self.quick = quick

    def _log(self, name):
        return WORK / f"{name}.log"

    def _command(self, name, argv, env=None):
        code = run(argv, env=env, log=self._log(name))
        if code:
            print(tail(self._log(name)))
        return single(name, code)

    def _build(self, directory, options=(), targets=()):
        """Set up one build directory and build it, or these targets; None, or the Count of a failure."""
        build, name = ROOT / directory, f"build of {directory}"
        setup = ["meson", "setup", str(build), *options]
        if (build / "build.ninja").exists():
            setup.append("--reconfigure")
        for argv in (setup, ["ninja", "-C", str(build), *targets]):
            if run(argv, log=self._log(directory)):
                print(tail(self._log(directory)))
                return single(name, 1)
        return None

    def _meson_test(self, name, directory, options=()):
        """The unit tests of one build directory; their cmocka tests count one by one."""
        junit = ROOT / directory / "meson-logs" / "testlog.junit.xml"
        junit.unlink(missing_ok=True)
        env = {**SANITIZERS, **NO_TTY}
        code = run(["meson", "test", "-C", str(ROOT / directory), "--no-rebuild", "--print-errorlogs",
                    "-t", str(PATIENT), *options], env=env,
                   log=self._log(name))
        return self._junit(name, code, junit)

    def _junit(self, name, code, junit):
        count = read_junit(junit) if junit.exists() else Count()
        if code:
            print(tail(self._log(name)))
            if not count.failed:
                count.add(single(name, code))
        elif not count.passed:
            count.add(Count(failed=1, failures=[f"{name}: no test was run"]))
        return count

    def _pytest(self, name, paths, options=(), env=None):
        junit = WORK / f"{name}.xml"
        junit.unlink(missing_ok=True)
        env = {"XENLEVEL_BUILD": str(ROOT / "build"), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        options = [*options, *(["-m", "not slow"] if self.quick else [])]
        code = run([PYTHON, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", f"--junitxml={junit}", *options, *paths],
                   env=env, log=self._log(name))
        return self._junit(name, code, junit)

    def build(self):
        """build/, with warnings as errors"""
        return self._build("build") or Count()

    def build_asan(self):
        """build-asan/, with clang, ASan and UBSan: the unit tests, the fuzzers, and the programs: each source once"""
        os.environ["CC"] = "clang"
        return self._build("build-asan", ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
                           ["meson-test-prereq", *CLANG_TOO, *POOL_TOO, *FUZZERS]) or Count()

    def fetch(self):
        """Debian's packages that the lab and the verifier's tests use, into the cache"""
        argv = [PYTHON, "-m", "xenlab", "fetch", "--with-dbg", "--with-dm", "--with-toolstacks"]
        code = run(argv, cwd=ROOT / "tests/lab", log=self._log("fetch"))
        if code:    # once more: a mirror may be away for a moment; what has come stays
            code = run(argv, cwd=ROOT / "tests/lab", log=self._log("fetch"))
        if code:
            print(tail(self._log("fetch")))
        return single("fetch", code) if code else Count()

    def lab(self):
        """real Xen hosts"""
        # The folder with the long files first: at the end both processes have short ones left.
        return self._pytest("lab", ["tests/migration/lab", "tests/lab"], lab_workers())

    def format(self):
        """the sources are as clang-format would have them"""
        files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, capture_output=True, text=True,
                               check=True).stdout.split()
        return self._command("format", ["clang-format", "--dry-run", "-Werror", *files])

    def unit(self):
        """unit tests"""
        return self._meson_test("unit", "build", ["--no-suite", "slow"] if self.quick else [])

    def cli(self):
        """the commands, pools and the gate, driven as a user or libxl would"""
        return self._pytest("cli", ["tests/cli", "tests/pool", "tests/migration/cli"], ["-n", "2"])

    def sanitizers(self):
        """the same unit tests under ASan and UBSan, built with clang; and the commands, as the tests of pools use them"""
        count = self._meson_test("sanitizers", "build-asan")
        count.add(self._pytest("sanitizers-pool", ["tests/pool", "--ignore=tests/pool/test_report_page.py"], ["-m", "not slow"],
                               {"XENLEVEL_BUILD": str(ROOT / "build-asan"), **SANITIZERS}))
        return count

    def python(self):
        """the stream verifier: real streams, each rule broken once, mutations"""
        return self._pytest("python", ["tests/migration/verifier", "tests/migration/broken"])

    def tidy(self):
        """clang-tidy's bugprone and cert checks"""
        return self._command("tidy", [PYTHON, "tests/tidy.py", "build"])

    def fuzz(self):
        """libFuzzer: policies, the stream's head, hypercalls, restoring a stream, images on disk"""
        return self._command("fuzz", ["tests/fuzz/run.sh", str(FUZZ_SECONDS)])


PREPARATIONS = ("build", "fetch", "build_asan")
STEPS = [name for name in vars(Steps) if not name.startswith("_") and name not in ("NEEDS", *PREPARATIONS)]
QUICK = ["format", "unit", "python", "cli"]


class Worker:
    """A step that runs, in a process of its own: with it ends all that it has started, and nothing else."""

    def __init__(self, name, quick):
        self.name, self.begun = name, time.monotonic()
        self.out, self.result = WORK / f"{name}.out", WORK / f"{name}.json"
        self.result.unlink(missing_ok=True)
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([sys.executable, __file__, "--worker", *["--quick"] * quick, name],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def finish(self, status, cpu_seconds):
        """Print its block; returns its Count."""
        self.process.returncode = os.waitstatus_to_exitcode(status)
        try:
            count = Count(**json.loads(self.result.read_text()))
        except (OSError, ValueError):
            count = single(f"{self.name}: ended with {self.process.returncode} and left no result", 1)
        if self.name not in PREPARATIONS or count.failed:
            print(f"== {self.name}: {getattr(Steps, self.name).__doc__}\n{self.out.read_text(errors='replace')}"
                  f"   {count.passed} passed, {count.failed} failed, {count.skipped} skipped"
                  f"  ({time.monotonic() - self.begun:.0f} s, {cpu_seconds:.0f} s of processor time)", flush=True)
        return count


def work(name, quick):
    """What a Worker's process does."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    heed_signals()
    try:
        count = getattr(Steps(quick), name)()
        (WORK / f"{name}.json").write_text(json.dumps(asdict(count)))
    finally:
        end_descendants()
    return 0


def run_steps(chosen, quick):
    """Run them, SIDE_BY_SIDE at a time, each after what it needs; returns the Count of all."""
    needed = {need for name in chosen for need in Steps.NEEDS.get(name, [])}
    waiting = list(dict.fromkeys([name for name in PREPARATIONS if name in needed] + chosen))
    total, running, done, failed = Count(), {}, set(), set()
    while waiting or running:
        for name in list(waiting):
            needs = set(Steps.NEEDS.get(name, []))
            if needs & failed:
                waiting.remove(name)
                print(f"== {name}: not run, because {' and '.join(sorted(needs & failed))} failed", flush=True)
            elif needs <= done and len(running) < SIDE_BY_SIDE:
                waiting.remove(name)
                worker = Worker(name, quick)
                running[worker.process.pid] = worker
        if not running:
            continue
        pid, status, used = os.wait4(-1, 0)
        worker = running.pop(pid, None)
        if worker:      # else an orphan, which is ours now
            count = worker.finish(status, used.ru_utime + used.ru_stime)    # with all that it has waited for
            total.add(count)
            done.add(worker.name)
            if worker.name in PREPARATIONS and count.failed:
                failed.add(worker.name)
    return total


def parse():
    steps_help = "\n".join(f"  {n:12}{getattr(Steps, n).__doc__}" for n in STEPS)
    parser = argparse.ArgumentParser(description="Run every test of the project and count them.",
                                     epilog="steps:\n" + steps_help,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="*", choices=[*STEPS, *PREPARATIONS, []], metavar="STEP", help="only these steps")
    parser.add_argument("--quick", action="store_true", help=f"without slow tests, and only {', '.join(QUICK)}")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = parse()
    if args.worker:
        return work(args.step[0], args.quick)
    heed_signals()
    WORK.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        total = run_steps(args.step or (QUICK if args.quick else STEPS), args.quick)
    finally:
        end_descendants()
    for skip in total.skips:
        print(f"skipped: {skip}")
    for failure in total.failures:
        print(f"failed: {failure}")
    if total.failed:
        print(f"logs: {WORK}")
    print(f"in {time.monotonic() - begun:.0f} s")
    print(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
