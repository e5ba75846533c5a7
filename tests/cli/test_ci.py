# SPDX-License-Identifier: MIT
"""What CI runs, with a make that only says what it counted: the sum, the clock, and failures."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import ci as ci_module   # noqa: E402

CI = Path(__file__).resolve().parents[1] / "ci.py"
MAKE = """#!/bin/sh
case "$*" in
check) {check} ;;
"check-fresh RELEASE=bookworm") {bookworm} ;;
"check-fresh RELEASE=trixie") {trixie} ;;
esac
"""
GOOD = {"check": "echo '3 passed, 0 failed'", "bookworm": "echo '10 passed, 0 failed'", "trixie": "echo '20 passed, 0 failed'"}


@pytest.fixture
def ci(tmp_path):
    def run(minutes=0, **what):
        make = tmp_path / "make"
        make.write_text(MAKE.format(**{**GOOD, **what}))
        make.chmod(0o755)
        env = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}", XENLEVEL_CI_BEGUN=str(time.time() - 60 * minutes))
        r = subprocess.run(["/usr/bin/python3", CI], env=env, capture_output=True, text=True, timeout=600)
        return r.returncode, r.stdout.splitlines()
    return run


def test_all_are_summed(ci):
    status, lines = ci()
    assert status == 0 and lines[-1] == "33 passed, 0 failed" and not any("not run" in line for line in lines)


def test_the_second_release_is_not_begun_when_it_does_not_fit(ci):
    status, lines = ci(minutes=60.5)
    assert status == 0 and lines[-1] == "13 passed, 0 failed"
    assert any(line.startswith("not run: Debian 13 (make check-fresh RELEASE=trixie)") for line in lines)


@pytest.mark.parametrize("what, count, failed", [
    ({"check": "echo 'failed: unit x'; echo '2 passed, 1 failed, 1 skipped'; echo 'make: *** [check] Error 1'; exit 1"},
     "32 passed, 1 failed, 1 skipped", "unit x"),
    ({"trixie": "echo '19 passed, 0 failed'; exit 1"}, "32 passed, 1 failed", "Debian 13: ended with 1"),
    ({"bookworm": "echo killed; kill -9 $$"}, "23 passed, 1 failed", "Debian 12: ended with -9 and counted nothing"),
    ({"check": "exit 2"}, "30 passed, 1 failed", "every test: ended with 2 and counted nothing"),
])
def test_failures(ci, what, count, failed):
    status, lines = ci(**what)
    assert status == 1 and lines[-1] == count and f"failed: {failed}" in lines


def test_what_hangs_is_ended(ci):
    status, lines = ci(minutes=84.98, check="sleep 1000")
    assert status == 1 and "failed: every test: ended after 85 minutes of all" in lines


def test_what_this_machine_has_no_place_for_is_said_and_is_no_failure(ci):
    cannot = "echo 'cannot be run here: bookworm: 12 MB are free'; echo '0 passed, 0 failed'; exit 2"
    status, lines = ci(bookworm=cannot)
    assert status == 0 and lines[-1] == "23 passed, 0 failed"
    assert "not run: Debian 12 (make check-fresh RELEASE=bookworm): bookworm: 12 MB are free" in lines
    status, lines = ci(bookworm="echo 'failed: bookworm demo'; " + cannot.replace("0 failed", "1 failed"))
    assert status == 1 and lines[-1] == "23 passed, 1 failed" and "failed: bookworm demo" in lines


def test_a_release_that_has_no_time_is_not_begun(ci):
    status, lines = ci(minutes=81, bookworm="echo '1 passed, 1 failed'; exit 1")
    assert status == 0 and lines[-1] == "3 passed, 0 failed"
    assert [line.split(":")[1] for line in lines if line.startswith("not run: ")] == [
        " Debian 12 (make check-fresh RELEASE=bookworm)", " Debian 13 (make check-fresh RELEASE=trixie)"]


@pytest.mark.parametrize("printed, minutes, failed", [
    ([], 39, 0),                                            # a slow machine
    ([], 41, 1),                                            # it hangs
    (["== bookworm: demo: x", "   FAILED  (3 s; log in y)"], 39, 1),
    (["== bookworm: FAILED: no space"], 39, 1),
])
def test_what_a_release_that_was_ended_says(printed, minutes, failed):
    ended = ci_module.Ended(printed, -15, 60.0 * minutes, True)
    count, why = ci_module.judge_release("Debian 12", ended, 60 * minutes)
    assert (count.passed, count.failed) == (0, failed)
    assert why is None if failed else "39 minutes" in why
