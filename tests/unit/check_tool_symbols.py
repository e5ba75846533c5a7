#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A toolstack's program has nothing of the hypervisor in it.

usage: check_tool_symbols.py NM PROGRAM PROOF ARCHIVE...

No global symbol that one of the archives defines may be in the program.  PROOF is a symbol that is there: nm must see it.
"""

import re
import subprocess
import sys

# What ASan and UBSan put into every object.
SANITIZERS = re.compile(r"^___?(asan|ubsan|sanitizer|odr_asan)_|^asan\.")


def defined(nm, file):
    """The global symbols that a program or an archive defines."""
    out = subprocess.run([nm, "--defined-only", "--extern-only", file], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in out.splitlines() if len(line.split()) == 3}
    return {name for name in names if not SANITIZERS.match(name)}


def main():
    nm, program, proof, *archives = sys.argv[1:]
    mine = defined(nm, program)
    core = {name for archive in archives for name in defined(nm, archive)}
    bad = sorted(mine & core)
    for name in bad:
        print(f"{program} has {name} of the hypervisor")
    print(f"{len(mine)} symbols in the program, {len(core)} in the hypervisor, {len(bad)} in both")
    if proof not in mine:
        print(f"{program} has no {proof}: its symbols cannot be seen")
    # No archive, or an empty one, would prove nothing.
    return 1 if bad or proof not in mine or len(core) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
