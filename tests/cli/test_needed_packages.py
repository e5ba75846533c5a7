# SPDX-License-Identifier: MIT
"""scripts/packages.txt names what the build uses: a machine that has it by chance does not show that it is missing."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read_group(group):
    lines = (ROOT / "scripts/packages.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(group + ":")).split()[1:]


def test_libraries_of_the_build():
    wanted = set()
    files = subprocess.run(["git", "ls-files", "*meson.build"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in files.split():
        wanted |= set(re.findall(r"\bdependency\('([^']+)'", (ROOT / file).read_text()))
    assert len(wanted) > 8
    for library in wanted:
        where = subprocess.run(["pkg-config", "--path", library], capture_output=True, text=True, check=True).stdout.strip()
        owner = subprocess.run(["dpkg", "-S", where], capture_output=True, text=True, check=True).stdout.split(":")[0]
        assert owner in read_group("build"), f"dependency('{library}') is in {owner}"
