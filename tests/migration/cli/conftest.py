# SPDX-License-Identifier: MIT
"""The simulated hosts and lines of tests/cli serve here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))
