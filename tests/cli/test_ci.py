# SPDX-License-Identifier: MIT
"""What CI runs, with a make that only says what it counted: the sum, the clock, and failures."""

import os
import subprocess
import time
from pathlib import Path

import pytest

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
        r = subprocess.run(["/usr/bin/python3", CI], env=env, capture_output=True, text=True, timeout=60)
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
