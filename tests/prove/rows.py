# SPDX-License-Identifier: MIT
"""The LEAF rows of features.def as statements of harness/rows.c, one a row.

They are made of the table's JSON, which is what the documentation and the Python tools read, and
not of the C tables that the library goes by.  What a rule means is written by hand in the harness.
"""

import json

# The rules that compare a guest's field with the host's, by their names in the JSON.  Any other
# must be known here, or a new rule would be proved by silence.
COMPARED = ("equal", "at-most", "subset", "told", "offered")
OTHERS = ("features", "copy", "state", "vcpu", "xen", "free")

EXTD = 0x80000000
# Arrays of struct cpu_policy for the leaves that have subleaves.
MEMBERS = {0x4: "cache", 0x7: "feat", 0xB: "topo", 0xD: "xstate", 0xF: "monitor", 0x1D: "tile", 0x1E: "tmul",
           0x1F: "topo_v2", 0x24: "avx10"}
VENDORS = {"intel": "AS_INTEL", "amd": "AS_AMD", "all": "AS_INTEL | AS_AMD"}


class RowsError(Exception):
    pass


def _statement(row, leaf, register):
    mask = ((1 << row["width"]) - 1) << row["shift"]
    feature = f"X86_FEATURE_{row['feature'].upper().replace('-', '_')}" if row["feature"] else "POLICY_NONE"
    name = f"{leaf:x}.{register}[{row['shift'] + row['width'] - 1}:{row['shift']}] {row['rule']}"
    rule = row["rule"] if row["rule"] in COMPARED else "any"    # with its feature; without it is zero
    return (f"ROW({rule.replace('-', '_')}, {row['low']}, {row['high']}, {register}, {mask:#010x}u, "
            f'{VENDORS[row["vendors"]]}, {feature}, "{name}")')


def write_rows(table_json, groups, out):
    """One macro for each group (name, first leaf, last leaf): ROWS_name.  Every leaf with a rule is in one."""
    rows = json.loads(table_json.read_text())["leaves"]
    lines = {name: {} for name, _, _ in groups}
    for row in rows:
        if row["rule"] not in COMPARED + OTHERS:
            raise RowsError(f"no meaning is written for the rule {row['rule']}")
        if row["rule"] in OTHERS and not row["feature"]:
            continue
        for leaf in range(row["first"], row["last"] + 1):
            found = [name for name, first, last in groups if first <= leaf <= last]
            if len(found) != 1:
                raise RowsError(f"leaf {leaf:x} is in {len(found)} proofs of fields, not in one")
            lines[found[0]].setdefault(leaf, []).extend(_statement(row, leaf, r) for r in row["registers"])
    text = ["/* Made by rows.py from the table's JSON. */"]
    for name, first, last in groups:
        if not lines[name]:
            raise RowsError(f"no row has anything to compare in leaves {first:x} to {last:x}")
        text += [f"#define ROWS_{name} \\"]
        for leaf, statements in lines[name].items():
            count = f"NR_OF({MEMBERS[leaf]})" if leaf in MEMBERS else "1u"
            text += [f"    LEAF_BEGIN({leaf:#x}u, {count}) \\", *(f"        {s} \\" for s in statements),
                     "    LEAF_END \\"]
        text += [""]
    out.write_text("\n".join(text) + "\n")
