# SPDX-License-Identifier: MIT
"""Named levels: those that are shipped never change, and what `xenlevel level` makes of them."""

import hashlib
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ROOT / "tools/pool/levels"


def test_shipped_levels_never_change():
    """A change is a new version, in a file of its own; its digest is added to the list."""
    listed = {}
    for line in (ROOT / "tests/data/levels.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in LEVELS.iterdir()}
    assert there == listed
