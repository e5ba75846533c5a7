#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The core needs the platform and nothing else.

usage: check_core_symbols.py NM ARCHIVE...

What no object of the archives defines has to be a platform_* function of xen/include/platform.h, or
one of the four that a freestanding compiler may call.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COMPILER = {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
# What ASan and UBSan put into every object.
SANITIZERS = re.compile(r"^__(asan|ubsan|sanitizer|odr_asan)_|^asan\.")


def main():
    nm, archives = sys.argv[1], sys.argv[2:]
    defined, wanted = set(), {}
    for archive in archives:
        out = subprocess.run([nm, "-A", archive], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            fields = line.rsplit(":", 1)[1].split()
            kind, name = fields[-2:]
            if kind == "U":
                wanted.setdefault(name, line.rsplit(":", 1)[0])
            elif kind.isupper():
                defined.add(name)
    allowed = COMPILER | set(re.findall(r"\b(platform_\w+)\(", (ROOT / "xen/include/platform.h").read_text()))
    bad = {n: o for n, o in wanted.items() if n not in defined | allowed and not SANITIZERS.match(n)}
    for name, where in sorted(bad.items()):
        print(f"{where} needs {name}")
    used = sum(n.startswith("platform_") for n in wanted)
    print(f"{len(defined)} symbols defined, {used} of the platform's used")
    # No archive, or an empty one, would prove nothing.
    return 1 if bad or len(defined) < 100 or not used else 0


if __name__ == "__main__":
    sys.exit(main())
