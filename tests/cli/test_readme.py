# SPDX-License-Identifier: MIT
"""README's scene on simulated hosts, typed as it stands there: it prints what the README says that it prints."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))

sys.path.insert(0, str(ROOT / "tests/fresh"))

import readme   # noqa: E402


def await_sockets(shell, directory, names):
    deadline = time.monotonic() + 120
    while not all((directory / name).exists() for name in names):
        assert shell.poll() is None and time.monotonic() < deadline, f"no socket in {names}"
        time.sleep(0.02)


def test_scene(tmp_path):
    tools = [BUILD / "tools/xl", BUILD / "tools/xenlevel", BUILD / "xen/sim"]
    env = dict(os.environ, PATH=":".join(map(str, tools)) + ":" + os.environ["PATH"])
    commands = readme.read_scene((ROOT / "README.md").read_text())
    assert len(commands) > 10
    out = tmp_path / "out"
    wrong = []
    with open(out, "wb") as sink:
        shell = subprocess.Popen(["/bin/bash"], stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.STDOUT, text=True, env=env,
                                 cwd=tmp_path)
    try:
        for number, command in enumerate(commands):
            done = tmp_path / f"done{number}"
            begun = out.stat().st_size
            shell.stdin.write(f"{command.text}\n: >{done}\n")
            shell.stdin.flush()
            await_sockets(shell, tmp_path, [done.name] + readme.find_sockets(command))
            seen = out.read_bytes()[begun:].decode()
            difference = readme.find_difference(command.expected, seen.splitlines())
            if difference:
                wrong.append(f"README.md:{command.line}: $ {command.text}\n{difference}")
    finally:
        shell.stdin.write("kill $(jobs -p); wait\n")
        shell.stdin.close()
        shell.wait(600)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("expected, seen, same", [
    (["a", "..."], ["a", "b"], True),
    (["a"], ["a", "b"], False),
    (["...", "b"], ["a", "b"], True),
    (["...", "c"], ["a", "b"], False),
    (["48 features"], ["47 features"], False),
    (["'w' runs there: 1 pages in 2 rounds, 3 MB/s, downtime 4.5 ms"], ["'w' runs there: 9 pages in 8 rounds, 7 GB/s, downtime 6 ms"], True),
    (["'w' runs there: 1 pages in 2 rounds, 3 MB/s, downtime 4.5 ms"], ["'w' went there: 1 pages in 2 rounds, 3 MB/s, downtime 4.5 ms"], False),
    (["0     40480  40480   0     0.809600  running"], ["0     1  1   0     0.1  running"], True),
    (["0     40480  40480   0     0.809600  running"], ["0     1  1   2     0.1  running"], False),
    (["0     40480  40480   0     0.809600  running"], ["0     1  1   0     0.1  cpu-changed"], False),
])
def test_the_comparison(expected, seen, same):
    assert (readme.find_difference(expected, seen) is None) == same


def test_the_first_commands():
    """What the fresh folders type: comments are none."""
    assert [c.text for c in readme.read_setup((ROOT / "README.md").read_text())] == ["make demo", "make check"]
