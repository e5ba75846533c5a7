# SPDX-License-Identifier: MIT
"""Some of these tests need streams, and the gate's tests: tests/migration has them."""

import ctypes
import sys
from pathlib import Path

import pytest

MIGRATION = Path(__file__).resolve().parents[1] / "migration"
sys.path[:0] = [str(MIGRATION), str(MIGRATION / "cli")]


@pytest.fixture(scope="session")
def libxl():
    """The library that will read the lines."""
    for name in ("libxenlight.so.4.17", "libxenlight.so.4.20", "libxenlight.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    pytest.fail("libxenlight is not installed: scripts/packages.txt has its package")
