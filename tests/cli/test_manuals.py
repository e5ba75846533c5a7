# SPDX-License-Identifier: MIT
"""The manual pages as a terminal of 80 columns shows them: lintian refuses packages whose pages do not fit."""

import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs/man").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_fits_and_is_what_was_meant(page):
    made = subprocess.run(["pandoc", "--standalone", "--from", "markdown-smart", "--to", "man", page], capture_output=True,
                          check=True, timeout=600).stdout
    shown = subprocess.run(["groff", "-t", "-K", "utf8", "-man", "-Tutf8", "-rLL=80n", "-P-c"], input=made, capture_output=True,
                           check=True, timeout=600)
    assert shown.stderr.decode() == ""
    text = shown.stdout.decode()
    assert len(text) > 2000 and "**" not in text and "_FEATURE_" not in text
