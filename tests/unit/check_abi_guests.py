#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare features.def with the comments of the hypervisor's public header: who may have which bit.

usage: check_abi_guests.py features.json [cpufeatureset.h]

The header is Debian's (libxen-dev).  Its guest letters are not part of the ABI and no compiler
checks them, so every difference is reported here unless ALLOWED gives a reason.
"""

import json
import re
import sys

HEADER = "/usr/include/xen/arch-x86/cpufeatureset.h"

# identifier -> (letter in the header, letter in features.def, why they differ)
ALLOWED = {}

ROW = re.compile(r"^XEN_CPUFEATURE\((\w+),\s*(\d+)\*32\+\s*(\d+)\)\s*/\*(\S*).*\*/", re.M)


def header_rows(text):
    """(identifier, position, letter) for every feature of the header."""
    for name, word, bit, attributes in ROW.findall(text):
        letters = attributes.replace("!", "")
        if letters not in ("", "A", "a", "S", "s", "H", "h"):
            sys.exit(f"{name}: attributes {attributes!r} are of a kind that was not seen before")
        yield name, int(word) * 32 + int(bit), letters


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        table = json.load(file)
    with open(sys.argv[2] if len(sys.argv) > 2 else HEADER, encoding="utf-8") as file:
        text = file.read()
    ours = {f["identifier"]: f for f in table["features"]}
    at = {f["word"] * 32 + f["bit"]: f for f in table["features"]}
    rows = list(header_rows(text))
    wrong = []
    # Every use of the macro in the header must have been understood.
    uses = len(re.findall(r"^XEN_CPUFEATURE\(", text, re.M))
    if not rows or len(rows) != uses:
        wrong.append(f"{len(rows)} of the header's {uses} features were understood")
    for name, position, letter in rows:
        if position not in at or at[position]["identifier"] != name:
            wrong.append(f"{name}: not at {position // 32}*32+{position % 32} in features.def")
            continue
        mine = ours[name]["guests"]
        if mine != letter and ALLOWED.get(name, ())[:2] != (letter, mine):
            wrong.append(f"{name}: the header says {letter!r}, features.def {mine!r}")
    named = {position for _, position, _ in rows}
    for name, (letter, mine, why) in ALLOWED.items():
        if (name, letter) not in {(n, l) for n, _, l in rows} or ours[name]["guests"] != mine:
            wrong.append(f"{name}: allowed to differ ({why}), but does not")
    for position, feature in at.items():
        if position not in named and feature["guests"] and feature["merge"] != "mirror":
            wrong.append(f"{feature['identifier']}: offered to guests, but the header lacks it")
    for line in wrong:
        print(line)
    print(f"{len(rows)} features compared, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
