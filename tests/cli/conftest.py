# SPDX-License-Identifier: MIT
"""The streams that tests of files and of hostile names print come from the tests of streams and of the gate."""

import sys
from pathlib import Path

MIGRATION = Path(__file__).resolve().parents[1] / "migration"
sys.path[:0] = [str(MIGRATION / "cli"), str(MIGRATION)]
