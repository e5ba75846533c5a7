#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clang-tidy over every source that a build directory compiles.  usage: tests/tidy.py BUILD"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 600     # seconds for one file, which takes a few


def sources(build):
    """Our own C files, once each; generated ones are in the build directory and stay out."""
    entries = json.loads((build / "compile_commands.json").read_text())
    files = {(build / e["file"]).resolve() for e in entries}
    return sorted(f for f in files if f.is_relative_to(ROOT) and not f.is_relative_to(build)
                  and f.relative_to(ROOT).parts[0] in ("lib", "xen", "tools"))


def tidy(build, file):
    try:
        r = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), "--extra-arg=-Wno-unknown-warning-option", str(file)],
                           cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired as e:
        return file, 1, str(e)
    return file, r.returncode, r.stdout + r.stderr


def main():
    build = (ROOT / sys.argv[1]).resolve()
    files = sources(build)
    bad = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, code, text in pool.map(lambda f: tidy(build, f), files):
            if code:
                bad += 1
                print(text)
    print(f"{len(files)} files, {bad} with findings")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
