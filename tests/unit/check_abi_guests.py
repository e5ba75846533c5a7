#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare features.def with the hypervisor's public header: which release names which bit, and who may have it.

usage: check_abi_guests.py features.json RELEASE [cpufeatureset.h]

The header is Debian's (libxen-dev), of the Xen that RELEASE says ("4.17.0").  Its attributes are not part of the ABI and
no compiler checks them, so every difference is reported here unless ALLOWED gives a reason.
"""

import json
import re
import sys

HEADER = "/usr/include/xen/arch-x86/cpufeatureset.h"

# identifier -> (letter in the header, letter in features.def, why they differ)
ALLOWED = {}

ROW = re.compile(r"^XEN_CPUFEATURE\((\w+),\s*(\d+)\*32\+\s*(\d+)\)\s*/\*(\S*).*\*/", re.M)


def header_rows(text):
    """(identifier, position, letter, does it accumulate) for every feature of the header."""
    for name, word, bit, attributes in ROW.findall(text):
        letters = attributes.replace("!", "").replace("|", "")
        if letters not in ("", "A", "a", "S", "s", "H", "h"):
            sys.exit(f"{name}: attributes {attributes!r} are of a kind that was not seen before")
        yield name, int(word) * 32 + int(bit), letters, "|" in attributes


class OfRelease:
    """A feature of the table as a release has it."""

    def __init__(self, feature, releases, release):
        def reached(since):
            return since is not None and releases.index(since) <= releases.index(release)

        self.identifier, self.merge = feature["identifier"], feature["merge"]
        self.named = reached(feature["since"])
        self.letter = feature["guests"]
        for since, letter in feature["guests_since"].items():
            self.letter = letter if reached(since) else self.letter
        self.name = next((name for since, name in feature["spelled"].items() if reached(since)), self.identifier)
        self.accumulates = reached(feature["accumulates_since"])


def compare(at, rows):
    """What differs between the table (position -> OfRelease) and the header's rows, a line each."""
    named = set()
    for name, position, letter, accumulates in rows:
        mine = at.get(position)
        named.add(position)
        if mine is None or mine.name != name:
            yield f"{name}: not at {position // 32}*32+{position % 32} in features.def"
            continue
        if not mine.named:
            yield f"{name}: features.def says that this Xen does not name it"
        if mine.letter != letter and ALLOWED.get(name, ())[:2] != (letter, mine.letter):
            yield f"{name}: the header says {letter!r}, features.def {mine.letter!r}"
        if mine.accumulates != accumulates:
            yield f"{name}: the header says {'|' if accumulates else 'no |'}, features.def does not"
    for name, (letter, mine, why) in ALLOWED.items():
        if not any((n, l) == (name, letter) and at[p].letter == mine for n, p, l, _ in rows if p in at):
            yield f"{name}: allowed to differ ({why}), but does not"
    for position, feature in at.items():
        if position not in named and feature.merge != "mirror" and (feature.letter or feature.named):
            yield f"{feature.identifier}: named or offered to guests, but the header lacks it"


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        table = json.load(file)
    release = ".".join(sys.argv[2].split(".")[:2])
    if release not in table["releases"]:
        sys.exit(f"features.def knows nothing of Xen {sys.argv[2]}, only of {', '.join(table['releases'])}")
    with open(sys.argv[3] if len(sys.argv) > 3 else HEADER, encoding="utf-8") as file:
        text = file.read()
    at = {f["word"] * 32 + f["bit"]: OfRelease(f, table["releases"], release) for f in table["features"]}
    rows = list(header_rows(text))
    wrong = list(compare(at, rows))
    # Every use of the macro in the header must have been understood.
    uses = len(re.findall(r"^XEN_CPUFEATURE\(", text, re.M))
    if not rows or len(rows) != uses:
        wrong.append(f"{len(rows)} of the header's {uses} features were understood")
    for line in wrong:
        print(line)
    print(f"Xen {release}: {len(rows)} features compared, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
