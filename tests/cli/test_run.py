# SPDX-License-Identifier: MIT
"""tests/run.py itself: with a step ends all that the step has started, however the step ends; and steps run side by side."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANGS = 600     # seconds after which something hangs, and is not only slow

# Prints the exit status of a step, and that only when run() has come back.  Its time does not begin to run before it has
# started all that it starts.
DRIVER = """
import sys
import time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
run.PATIENCE = 0.5

class Popen(run.subprocess.Popen):
    def wait(self, timeout=None):
        if timeout == 0.2:
            sys.stdin.readline()
        return super().wait(timeout)

run.subprocess.Popen = Popen
run.heed_signals()
print(run.run(sys.argv[4:], float(sys.argv[3]), log=Path(sys.argv[2])))
"""

# Grandchildren of each kind: with a parent, without one, in a session of their own, deaf to SIGTERM.
STEP = """
sleep 1000 & echo $! >&3
(sleep 1000 & echo $! >&3)
(setsid sh -c 'echo $$ >&3; exec sleep 1000' &)
(setsid sh -c 'trap "" TERM; sleep 1000 & echo $! >&3; echo $$ >&3; wait' &)
"""
PROCESSES = 5


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Driven:
    def __init__(self, tmp_path, end, timeout):
        self.log, told, go = tmp_path / "log", tmp_path / "told", tmp_path / "go"
        os.mkfifo(told)
        os.mkfifo(go)
        fd = os.open(told, os.O_RDWR)   # no end of file before the first has opened it
        self.process = subprocess.Popen([sys.executable, "-c", DRIVER, ROOT / "tests", self.log, str(timeout),
                                         "sh", "-c", f"exec 3>{told}\n{STEP}\nread all <{go}\n{end}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(fd, encoding="ascii") as file:
            self.pids = [int(file.readline()) for _ in range(PROCESSES)]
        self.process.stdin.write("on\n")
        self.process.stdin.flush()
        go.write_text("on\n", encoding="ascii")    # it does not end before it has started them all

    def finish(self):
        out, err = self.process.communicate(timeout=HANGS)
        end = time.monotonic() + HANGS
        while any(alive(pid) for pid in self.pids) and time.monotonic() < end:
            time.sleep(0.01)    # they have been killed, and may need a moment to be dead
        left = [pid for pid in self.pids if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left
        return out, err


@pytest.fixture
def driven(tmp_path):
    return lambda end, timeout=HANGS: Driven(tmp_path, end, timeout)


@pytest.mark.slow
def test_a_step_that_runs_out_of_time(driven):
    run = driven("wait", timeout=0.2)
    assert run.finish()[0] == "124\n" and "timed out" in run.log.read_text()


@pytest.mark.parametrize("status", [0, 3])
def test_a_step_that_ends(driven, status):
    """Not held up by what it has left, either."""
    assert driven(f"exit {status}").finish()[0] == f"{status}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_us(driven, number):
    run = driven("wait")
    run.process.send_signal(number)
    assert run.finish() == ("", "") and run.process.returncode == 128 + number


# ---- the whole: steps side by side ----

# Two steps instead of the real ones; `first` waits for `second`, which it can only see when they run at once.
STEPS = """
import os, pathlib, subprocess, sys, time
sys.path.insert(0, sys.argv.pop(1))
import run
run.WORK = pathlib.Path(os.environ["WORK"])
run.__file__ = __file__         # what a step is run by

class Steps(run.Steps):
    NEEDS = {"second": ["build"], "third": ["fetch"]}

    def build(self):
        "build"
        return run.Count()

    def fetch(self):
        "fetch"
        print("no network")
        return run.single("fetch", 1)

    def first(self):
        "waits"
        while not (run.WORK / "second-ran").exists():
            time.sleep(0.01)
        return run.Count(passed=3)

    def second(self):
        "comes later"
        (run.WORK / "second-ran").touch()
        print("a line of second")
        return run.Count(passed=1, failed=1, failures=["one of second"])

    def third(self):
        "needs what fails"

    def dies(self):
        "ends without a word"
        os._exit(7)

    def hangs(self):
        "runs on"
        sleepers = [subprocess.Popen(["setsid", "sleep", "1000"]) for _ in range(2)]
        (run.WORK / "pids").write_text(" ".join(str(p.pid) for p in sleepers))
        (run.WORK / "pids").rename(run.WORK / "told")
        sleepers[0].wait()

run.Steps = Steps
run.STEPS = ["first", "second", "third", "dies", "hangs"]
sys.exit(run.main())
"""


@pytest.fixture
def steps(tmp_path):
    def start(*names):
        script = tmp_path / "steps.py"
        script.write_text(STEPS.replace("sys.argv.pop(1)", repr(str(ROOT / "tests"))))
        return subprocess.Popen([sys.executable, script, *names], env=dict(os.environ, WORK=str(tmp_path)),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return start


def test_two_steps_run_at_once_and_each_prints_one_block(steps):
    process = steps("first", "second")
    out, err = process.communicate(timeout=HANGS)
    assert err == "" and process.returncode == 1
    assert "== second: comes later\na line of second\n   1 passed, 1 failed, 0 skipped  (" in out
    assert "== first: waits\n   3 passed, 0 failed, 0 skipped  (" in out
    assert "\nfailed: one of second\n" in out and out.splitlines()[-1] == "4 passed, 1 failed"


def test_all_passed(steps):
    process = steps("build")
    assert process.communicate(timeout=HANGS)[0].splitlines()[-1] == "0 passed, 0 failed" and process.returncode == 0


def test_a_step_whose_needs_failed_is_not_run(steps):
    process = steps("third")
    out, _ = process.communicate(timeout=HANGS)
    assert "no network" in out and "== third: not run, because fetch failed" in out
    assert out.splitlines()[-1] == "0 passed, 1 failed" and process.returncode == 1


def test_a_step_that_dies_is_a_failure(steps):
    process = steps("dies")
    out, _ = process.communicate(timeout=HANGS)
    assert "failed: dies: ended with 7 and left no result" in out
    assert out.splitlines()[-1] == "0 passed, 1 failed" and process.returncode == 1


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_with_the_whole_end_all_steps(steps, tmp_path, number, status):
    """Also when it is killed, and can do nothing about it."""
    process = steps("hangs", "hangs")
    while not (tmp_path / "told").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    pids = [int(pid) for pid in (tmp_path / "told").read_text().split()]
    process.send_signal(number)
    process.communicate(timeout=HANGS)
    assert process.returncode == status
    end = time.monotonic() + HANGS
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, "it runs on"
        time.sleep(0.01)
