#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keep the best of what a fuzzer has found: keep.py TARGET [BYTES]

Of build-fuzz/corpus/TARGET, its seeds and what is kept already: the smallest inputs that together
reach nearly every place that any of them reaches, as far as BYTES (200000) go, into tests/fuzz/corpus/TARGET.
`meson test` replays them without a fuzzer.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
FEWEST = 4  # new places that are worth a file
BUILD = FUZZ.parents[1] / "build-asan"
FOUND = FUZZ.parents[1] / "build-fuzz"


def places(target, directories):
    """What each input reaches, from the control file of libFuzzer's merge."""
    with tempfile.TemporaryDirectory() as work:
        new, control = Path(work) / "new", Path(work) / "control"
        new.mkdir()
        subprocess.run([BUILD / f"tests/fuzz/fuzz-{target}", "-merge=1", f"-merge_control_file={control}",
                        "-max_len=60000", new, *directories], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        lines = control.read_text().splitlines()
    n = int(lines[0])
    files, reached = [Path(line) for line in lines[2:2 + n]], {}
    for line in lines[2 + n:]:
        kind, number, *rest = line.split()
        if kind == "COV":
            reached[files[int(number)]] = set(rest)
    return reached


def choose(reached, bytes):
    """Greedily: most new places for its size, first; few files rather than every last place."""
    left, seen, chosen = dict(reached), set(), []
    while left:
        file = max(left, key=lambda f: (len(left[f] - seen) / (f.stat().st_size + 4000), f.name))
        new, size = left.pop(file) - seen, file.stat().st_size
        if len(new) < FEWEST:
            break
        if size <= bytes:
            bytes -= size
            seen |= new
            chosen.append(file)
    missing = set().union(*reached.values()) - seen
    print(f"{len(chosen)} of {len(reached)} inputs, {sum(f.stat().st_size for f in chosen)} bytes, "
          f"{len(seen)} places, without {len(missing)}")
    return chosen


def main():
    target, bytes = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200000
    kept = FUZZ / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    reached = places(target, [FOUND / "seeds" / target, FOUND / "corpus" / target, kept])
    chosen = [f.read_bytes() for f in choose(reached, bytes)]
    for file in kept.iterdir():
        file.unlink()
    for data in chosen:
        (kept / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


if __name__ == "__main__":
    main()
