# SPDX-License-Identifier: MIT
"""Streams, and what the tests of migration know of them, serve here too."""

import sys
from pathlib import Path

MIGRATION = Path(__file__).resolve().parents[1] / "migration"
sys.path[:0] = [str(MIGRATION), str(MIGRATION / "cli")]
