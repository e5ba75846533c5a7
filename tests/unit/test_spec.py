#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The specification's record tables, the code's and the verifier's are one.

usage: test_spec.py SPECIFICATION STREAM_FORMAT_H PACKAGE_DIRECTORY FEATURES_MD RECORDS_H RECORDS_MD
"""

import re
import sys
from pathlib import Path


def tables(text):
    """The two tables of records in the text: {number: name}."""
    rows = [(int(m[1], 16), m[2]) for m in re.finditer(r"^\| (0x[0-9a-f]{8}) \| (\w+) \|", text, re.M)]
    second = next(i for i, row in enumerate(rows) if i and row[0] == 0)
    return dict(rows[:second]), dict(rows[second:])


def enum(header, name, prefix):
    body = re.search(rf"enum {name} {{(.*?)}};", header, re.S)[1]
    return {int(m[2], 16): m[1] for m in re.finditer(rf"{prefix}(\w+) = (0x[0-9a-f]+)", body)}


def sizes(text):
    """Of each section the bytes that its table of fields names, where all sizes are numbers."""
    found = {}
    for section in re.split(r"^#+ ", text, flags=re.M)[1:]:
        rows = re.findall(r"^\| (\d+) \| (\d+) \|", section, re.M)
        found[section.splitlines()[0]] = [(int(a), int(b)) for a, b in rows]
    return found


def field_rules(text, page):
    """The specification's table of fields is the one that is generated from features.def, line for line."""
    generated = page[page.index("| bits | vendors |"):].strip()
    lines = generated.splitlines()
    for line in lines:
        assert line in text.splitlines(), f"the specification lacks: {line}"
    assert generated in text, "the rows of the specification's table of fields stand in another order, or there are more"
    return len(lines) - 2


def same_rows(text, page):
    """The specification's tables of records are those that are generated from records.def, line for line."""
    for table in page.strip().split("\n\n"):
        for line in table.splitlines():
            assert line in text.splitlines(), f"the specification lacks: {line}"
        assert f"\n\n{table}\n\n" in text, "the specification's records stand in another order, or there are more"


def record_sizes(reader, structs):
    """A record that has a struct begins with it: its shortest body is that struct."""
    found = 0
    for kind, (low, step, _) in reader.TABLE.size.items():
        name = reader.NAMES[kind]
        if name.startswith("X86_PV_VCPU_"):
            name = "X86_PV_VCPU_*"
        elif name.startswith("EMULATOR_"):
            name = "EMULATOR_*"
        if name in structs:     # a context has a byte at least behind that
            assert low in (structs[name], structs[name] + (reader.NAMES[kind] == "EMULATOR_CONTEXT")), (name, low)
            found += 1
    return found


def main(spec, header, package, features, records_h, records_md):
    text, code, records = (Path(path).read_text() for path in (spec, header, records_h))
    libxc, libxl = tables(text)
    same_rows(text, Path(records_md).read_text())
    optional = int(re.search(r"#define REC_CHECKSUM (0x[0-9a-f]+)u", records)[1], 16)
    assert libxc == {**enum(records, "xc_sr_record_type", "REC_"), optional: "CHECKSUM"}, libxc
    optional = int(re.search(r"#define LIBXL_REC_HEAD_CHECKSUM (0x[0-9a-f]+)u", records)[1], 16)
    assert libxl == {**enum(records, "xc_sr_libxl_record_type", "LIBXL_REC_"), optional: "HEAD_CHECKSUM"}, libxl

    sys.path.insert(0, str(Path(package).parent))
    from migration import libxc as reader, libxl as outer
    assert libxc == reader.NAMES, set(libxc.items()) ^ set(reader.NAMES.items())
    assert libxl == outer.NAMES, set(libxl.items()) ^ set(outer.NAMES.items())

    # The layouts: fields follow each other without a gap, and add up to the struct.
    structs = {name: int(size) for size, name in re.findall(r'== (\d+), "([^"]+)"', code)}
    for section, struct in (("Image header", "image header"), ("Domain header", "domain header"), ("X86_PV_INFO", "X86_PV_INFO"),
                            ("X86_TSC_INFO", "X86_TSC_INFO"), ("CHECKSUM", "CHECKSUM"), ("HEAD_CHECKSUM", "HEAD_CHECKSUM"),
                            ("xl header", "xl header")):
        at = 0
        for offset, size in sizes(text)[section]:
            assert offset == at, f"{section}: a field at {offset}, the one before ends at {at}"
            at = offset + size
        assert at == structs[struct], f"{section}: {at} bytes, the struct has {structs[struct]}"
    assert record_sizes(reader, structs) == 10 and record_sizes(outer, structs) == 3
    limit = eval(re.search(r"XC_SR_MAX_LENGTH +\((.*?)\)", code)[1].replace("u", ""))
    assert f"`{limit:#x}`" in text and limit == reader.MAX_LENGTH
    limit = int(re.search(r"XC_SR_MAX_OPTIONAL_RUN +(\d+)u", code)[1])
    assert f"At most {limit} optional" in text and limit == reader.MAX_OPTIONAL_RUN
    rules = field_rules(text, Path(features).read_text())
    print(f"{len(libxc)} and {len(libxl)} records, 7 layouts, {rules} rules for fields: one table")


if __name__ == "__main__":
    main(*sys.argv[1:])
