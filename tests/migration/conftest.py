# SPDX-License-Identifier: MIT
"""Where what the tests of streams share is: streambuilder, the table of broken streams, verify-stream's package."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tools/python"), str(HERE / "verifier"), str(HERE)]
sys.dont_write_bytecode = True
BUILD = Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build")
os.environ.setdefault("XENLEVEL_PROTO", str(BUILD / "tools/python/cpu_policy.desc"))
