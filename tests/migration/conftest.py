# SPDX-License-Identifier: MIT
"""Puts what the tests of streams share where they can import it: streambuilder, the table of broken streams, its readers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
