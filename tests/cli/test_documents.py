# SPDX-License-Identifier: MIT
"""What the pages for operators tell their reader to type: the commands have the options that stand there."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
XENLEVEL = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build")) / "tools/xenlevel/xenlevel"
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"\b(?:xenlevel ((?:pool )?[a-z]+)|verify-stream)\b([^`|#\n]*)")


@cache
def help_of(*command):
    return subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=600).stdout


def rows(text):
    return set(re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE))


@cache
def subcommands():
    return rows(help_of(XENLEVEL)) | {f"pool {name}" for name in rows(help_of(XENLEVEL, "pool"))}


def options(text):
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page):
    assert len(subcommands()) > 10
    found = 0
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        for said in COMMAND.finditer(line):
            subcommand, rest = said.groups()
            if subcommand and subcommand not in subcommands():
                assert not options(rest), f"{page}:{number}: xenlevel has no {subcommand}"
                continue
            known = help_of(XENLEVEL, *subcommand.split()) if subcommand else help_of(ROOT / "tools/python/verify-stream")
            for option in options(rest):
                assert re.search(rf"{option}\b", known), f"{page}:{number}: {said[0]}"
            found += 1
    assert found
