#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes streams for tests in C: write_streams.py heads DIRECTORY; write_streams.py pv PARTS FILE (fuzz_restore's seed)."""

import sys
from pathlib import Path

from streambuilder import heads, small_pv_stream

IS_PV = b"\1"      # the first byte of a seed of fuzz_restore: what is done with it


def main():
    if sys.argv[1] == "heads":
        for name, data in heads().items():
            (Path(sys.argv[2]) / f"{name}.head").write_bytes(data)
    else:
        Path(sys.argv[3]).write_bytes(IS_PV + small_pv_stream(Path(sys.argv[2]).read_bytes()))


if __name__ == "__main__":
    main()
