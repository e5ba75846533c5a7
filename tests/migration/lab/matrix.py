#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README's table of moves between releases of Xen: what the tests of this folder saw, and nothing else.

usage: matrix.py [BUILD]    put into README what the last run of test_matrix.py saw (BUILD/check/matrix.json)
"""

import datetime
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
BEGIN, END = "<!-- matrix.py: from here -->\n", "<!-- matrix.py: to here -->\n"
HEAD = ["guest", "move", "CPUs", "stock Xen", "stock helper behind the gate", "our engine"]


def line(cells):
    return "| " + " | ".join(cells) + " |\n"


def in_readme():
    """The lines of README's table."""
    _, begun, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    table, ended, _ = rest.partition(END)
    assert begun and ended, f"README has no lines {BEGIN.strip()} and {END.strip()}"
    return [row for row in table.splitlines(keepends=True) if row.startswith("| ") and row.count("|") == len(HEAD) + 1]


class Matrix:
    """The rows that this run has seen, kept for matrix.py to put into README."""

    def __init__(self, build, versions):
        self.path = Path(build) / "check" / "matrix.json"
        self.seen = {"date": datetime.date.today().isoformat(), "versions": versions, "rows": []}

    def see(self, guest, move, cpus, stock, gate, ours):
        """One row was seen."""
        self.seen["rows"].append(line([guest, move, cpus, stock, gate, ours]))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.seen, indent=1))

    def compare(self, guest, *cpus):
        """All rows of that guest between such CPUs were seen: README must have these, and no others."""
        def belongs(row):
            cells = [cell.strip() for cell in row.strip("| \n").split("|")]
            return cells[0] == guest and cells[2] in cpus

        seen, said = ([row for row in rows if belongs(row)] for rows in (self.seen["rows"], in_readme()))
        assert said == seen, f"README's rows are not what was seen; matrix.py puts these there:\n{''.join(seen)}"


def main(build):
    seen = json.loads((Path(build) / "check" / "matrix.json").read_text())
    table = [line(HEAD), line(["---"] * len(HEAD)), *seen["rows"],
             f"\nSeen on {seen['date']} with {' and '.join(seen['versions'])}.\n"]
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + "".join(table) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else ROOT / "build")
