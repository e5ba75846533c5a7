# SPDX-License-Identifier: MIT
"""tests/run.py itself: with a step ends all that the step has started, however the step ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Prints the exit status of a step, and that only when run() has come back.
DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
run.PATIENCE = 0.5
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
        self.log, told = tmp_path / "log", tmp_path / "told"
        os.mkfifo(told)
        fd = os.open(told, os.O_RDWR)   # no end of file before the first has opened it
        self.process = subprocess.Popen([sys.executable, "-c", DRIVER, ROOT / "tests", self.log, str(timeout),
                                         "sh", "-c", f"exec 3>{told}\n{STEP}\n{end}"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(fd, encoding="ascii") as file:
            self.pids = [int(file.readline()) for _ in range(PROCESSES)]

    def finish(self):
        out, err = self.process.communicate(timeout=60)
        left = [pid for pid in self.pids if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left
        return out, err


@pytest.fixture
def driven(tmp_path):
    return lambda end, timeout=60: Driven(tmp_path, end, timeout)


def test_a_step_that_runs_out_of_time(driven):
    run = driven("wait", timeout=1)
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
