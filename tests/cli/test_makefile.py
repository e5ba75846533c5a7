# SPDX-License-Identifier: MIT
"""The Makefile's targets, with a ninja that does what the test wants."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make(tmp_path):
    """make TARGET, where building is that shell command."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build/build.ninja").touch()

    def run(target, building, *variables):
        ninja = tmp_path / "ninja"
        ninja.write_text(f"#!/bin/sh\n{building}\n")
        ninja.chmod(0o755)
        return subprocess.run(["make", "-C", ROOT, "--no-print-directory", target, f"BUILD={tmp_path}/build", "PYTHON=echo ran",
                               *variables],
                              env=dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}", MAKEFLAGS=""),
                              capture_output=True, text=True, timeout=600)
    return run


def test_demo_shows_why_its_build_failed(make):
    done = make("demo", "echo 'FAILED: x.o'; echo 'x.c:3: error: no such thing' >&2; exit 1")
    assert done.returncode == 2
    assert "FAILED: x.o" in done.stderr and "x.c:3: error: no such thing" in done.stderr
    assert "ran" not in done.stdout


def test_demo_says_nothing_of_a_build_that_works(make):
    done = make("demo", "echo '[1/2] Compiling'")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("ran tests/lab/demo.py")
    assert "Compiling" not in done.stdout


def test_demo_takes_a_release_of_xen(make):
    assert make("demo", "true", "XEN=4.20").stdout.endswith(" --xen 4.20\n")
    assert "--xen" not in make("demo", "true").stdout
