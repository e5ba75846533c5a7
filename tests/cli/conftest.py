# SPDX-License-Identifier: MIT
"""Some of these tests need streams, and the gate's tests: tests/migration has them."""

import sys
from pathlib import Path

MIGRATION = Path(__file__).resolve().parents[1] / "migration"
sys.path[:0] = [str(MIGRATION), str(MIGRATION / "cli")]
