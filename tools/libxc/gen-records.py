#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn records.def into C names and a table, JSON for the verifier, and the specification's tables.

usage: gen-records.py records.def OUT.h OUT.c [--json FILE] [--markdown FILE]
       gen-records.py records.def [--json FILE] [--markdown FILE]

The grammar is in records.def itself.  Anything that is not in it is an error with file and line.
"""

import argparse
import json
import re
import sys

OPTIONAL = 1 << 31
MOST = (1 << 32) - 1    # a body's length is 32 bits
MOST_ROWS = 32          # of a layer: sets of them are 32 bits, struct xc_sr_order

LAYERS = {"libxc": "REC_", "libxl": "LIBXL_REC_"}   # and how C names its types
GUESTS = {"none": 0, "pv": 1, "hvm": 2, "both": 3}
PLACES = {"libxc": ["STATIC", "STATIC_END", "MEMORY", "LATER", "ANYWHERE", "RETIRED", "BACK_CHANNEL"],
          "libxl": ["FIRST", "LATER", "CHECKPOINTED"]}
NOWHERE = {"RETIRED", "BACK_CHANNEL"}               # the places of records that no sender writes
VERSIONS = {"libxc": (2, 3), "libxl": (2,)}
OFTEN = ["once", "checkpoint", "vcpu", "any"]
OWNERS = ["XEN", "OURS"]

NAME = r"[A-Z0-9][A-Z0-9_]*"
RECORD_ROW = re.compile(rf"RECORD\(({NAME}), 0x([0-9a-f]{{8}}), (\w+), (\w+), ([A-Z_]+), (\d+), (\w+), "
                        rf'([a-z0-9.+*]+), ([A-Z]+), "([^"\\]+)"\)')
BEHIND_ROW = re.compile(rf"BEHIND\(({NAME}), ({NAME})\)")
NOT_BEHIND_ROW = re.compile(rf"NOT_BEHIND\(({NAME})((?:, {NAME})+)\)")
NEEDED_ROW = re.compile(rf"NEEDED\(({NAME}(?:, {NAME})*)\)")
BYTES = re.compile(r"empty|(\d+)(?:\.\.(\d+)?|(\*)|\+(\d+)\*)?")


class TableError(Exception):
    def __init__(self, where, text):
        super().__init__(f"{where}: error: {text}")


class Record:
    """A row.  A body has `low` bytes and a multiple of `step`, up to `high`."""

    def __init__(self, row, name, type_, layer, guests, place, since, often, size, owner, body):
        self.row, self.name, self.type, self.layer = row, name, type_, layer    # row: its number in its layer
        self.guests, self.place, self.since, self.often = guests, place, since, often
        self.size, self.owner, self.body = size, owner, body
        self.low = self.step = self.high = 0
        self.behind, self.not_behind, self.needed = [], [], False

    @property
    def optional(self):
        return bool(self.type & OPTIONAL)

    @property
    def c_name(self):
        return LAYERS[self.layer] + self.name

    def in_text(self):
        """Whose streams have it, for people."""
        if self.place == "BACK_CHANNEL":
            return "back-channel"
        guests = self.guests if self.guests in ("both", "none") else self.guests.upper()
        return guests + (f", version {self.since}" if self.since > min(VERSIONS[self.layer]) else "")

    def often_text(self):
        return {"once": "stream", "checkpoint": "checkpoint", "vcpu": "vCPU", "any": ""}[self.often]

    def place_text(self):
        return {"STATIC": "static: ", "RETIRED": "retired: "}.get(self.place, "")

    def size_text(self):
        if self.size == "empty":
            return "none"
        if self.step == 0:
            return str(self.low)
        if self.step == 1:
            return f"{self.low} to {self.high}" if self.high < MOST else f"{self.low} or more" if self.low else "any"
        return f"{self.low} + {self.step} x n" if "+" in self.size else f"{self.step} x n"

    def owner_text(self):
        return "Xenlevel's: " if self.owner == "OURS" else ""


class Table:
    """records.def, read and checked."""

    def __init__(self, path):
        self.records = {layer: {} for layer in LAYERS}      # by name, in the order of the file
        self.needed = []                                    # records of libxc's layer, in the order of the list
        with open(path, encoding="ascii") as file:
            self.parse(path, file.read())

    def parse(self, path, text):
        comment = None
        for number, line in enumerate(text.split("\n"), 1):
            where = f"{path}:{number}"
            if comment is None and line.startswith("/*"):
                comment = where
            if comment is not None:
                end = line.find("*/")
                if end >= 0:
                    if line[end + 2:]:
                        raise TableError(where, "text after a comment")
                    comment = None
            elif line:
                self.row(where, line)
        if comment is not None:
            raise TableError(comment, "comment without end")

    def row(self, where, line):
        if match := RECORD_ROW.fullmatch(line):
            self.add_record(where, *match.groups())
        elif match := BEHIND_ROW.fullmatch(line):
            record, (other,) = self.rule(where, match[1], [match[2]])
            if record.behind:
                raise TableError(where, f"{record.name} has such a row already")
            record.behind.append(other)
        elif match := NOT_BEHIND_ROW.fullmatch(line):
            record, others = self.rule(where, match[1], match[2][2:].split(", "))
            if record.not_behind:
                raise TableError(where, f"{record.name} has such a row already")
            record.not_behind += others
        elif match := NEEDED_ROW.fullmatch(line):
            if self.needed:
                raise TableError(where, "what is needed has a row already")
            for name in match[1].split(", "):
                record = self.known(where, name)
                if record.needed:
                    raise TableError(where, f"{name} is there twice")
                record.needed = True
                self.needed.append(record)
        else:
            raise TableError(where, f"not a row: {line!r}")

    def known(self, where, name):
        if name not in self.records["libxc"]:
            raise TableError(where, f"no record {name} in libxc's layer")
        return self.records["libxc"][name]

    def rule(self, where, name, names):
        record, others = self.known(where, name), [self.known(where, other) for other in names]
        for i, other in enumerate(others):
            if other in others[:i]:
                raise TableError(where, f"{other.name} is there twice")
            if not GUESTS[record.guests] & GUESTS[other.guests]:
                raise TableError(where, f"no guest has {record.name} and {other.name}")
        return record, others

    def add_record(self, where, name, type_, layer, guests, place, since, often, size, owner, body):
        type_, since = int(type_, 16), int(since)
        if layer not in LAYERS:
            raise TableError(where, f"{name}: no layer {layer}")
        rows = self.records[layer]
        if name in rows:
            raise TableError(where, f"{name} is there twice")
        for other in rows.values():
            if other.type >= type_:
                raise TableError(where, f"{name}: type {type_:#x} stands behind {other.type:#x}")
        if len(rows) == MOST_ROWS:
            raise TableError(where, f"more than {MOST_ROWS} records in {layer}'s layer")
        for what, word, words in (("guests", guests, GUESTS), ("place", place, PLACES[layer]),
                                  ("version", since, VERSIONS[layer]), ("frequency", often, OFTEN), ("owner", owner, OWNERS)):
            if word not in words:
                raise TableError(where, f"{name}: no {what} {word}")
        if (guests == "none") != (place in NOWHERE):
            raise TableError(where, f"{name}: place {place} with guests {guests}")
        if owner == "OURS" and not type_ & OPTIONAL:
            raise TableError(where, f"{name}: ours, and not optional")
        if often == "vcpu" and guests != "pv":
            raise TableError(where, f"{name}: only PV guests have records of vCPUs")
        record = Record(len(rows), name, type_, layer, guests, place, since, often, size, owner, body)
        self.set_bytes(where, record)
        rows[name] = record

    @staticmethod
    def set_bytes(where, record):
        match = BYTES.fullmatch(record.size)
        if not match:
            raise TableError(where, f"{record.name}: no size {record.size}")
        low, high, multiple, step = match.groups()
        if low is None:             # empty
            return
        record.low = int(low)
        if multiple:                # N*
            record.step, record.high = record.low, MOST
        elif step:                  # N+M*
            record.step, record.high = int(step), MOST
        elif ".." in record.size:   # N.. and N..M
            record.step, record.high = 1, int(high) if high else MOST
        else:
            record.high = record.low
        if record.size != "0.." and (not record.low or record.step == 1 and record.high <= record.low
                                     or not record.step and record.size.endswith("*")):
            raise TableError(where, f"{record.name}: no size {record.size}")

    def in_order(self, layer):
        return list(self.records[layer].values())


def banner(path):
    return ["/* SPDX-License-Identifier: MIT */",
            f"/* Made by gen-records.py from {path.split('/')[-1]}: change that, not this. */"]


def c_enum(table, layer, name, comment):
    """The mandatory types are an enum; with bit 31 set a type is no int."""
    lines = [f"/* {comment} */", f"enum {name} {{"]
    names = {r.name: f"{r.c_name} = {r.type:#010x}," for r in table.in_order(layer) if not r.optional}
    width = max(map(len, names.values()), default=0)
    lines += [f"    {names[r.name]:{width}} /* {r.place_text()}{r.body} */" for r in table.in_order(layer) if not r.optional]
    lines += ["};", ""]
    lines += [f"#define {r.c_name} {r.type:#010x}u /* optional, {r.owner_text()}{r.body} */"
              for r in table.in_order(layer) if r.optional]
    mandatory = [r.type for r in table.in_order(layer) if not r.optional]
    prefix = "XC_SR_" if layer == "libxc" else "XC_SR_LIBXL_"
    return lines + [f"/* Every mandatory type is below {prefix}TYPES; rows of {layer}'s table. */",
                    f"#define {prefix}TYPES {max(mandatory, default=-1) + 1}u",
                    f"#define {prefix}RECORDS {len(table.records[layer])}u", ""]


def write_header(table, source, out):
    lines = banner(source) + ["#ifndef XC_SR_RECORDS_H", "#define XC_SR_RECORDS_H", ""]
    lines += c_enum(table, "libxc", "xc_sr_record_type", "Records of libxc's layer.")
    lines += c_enum(table, "libxl", "xc_sr_libxl_record_type",
                    "Records of libxl's layer.  Their headers are struct xc_sr_rhdr, too.")
    lines += ["#endif /* XC_SR_RECORDS_H */"]
    out.write("\n".join(lines) + "\n")


def c_set(records):
    return f"{sum(1 << r.row for r in records):#x}u"


def c_rows(table, layer, declaration):
    lines = [f"const struct xc_sr_record {declaration} = {{"]
    for r in table.in_order(layer):
        lines += [f'    {{.type = {r.c_name}, .name = "{r.name}",',
                  f"     .guests = {GUESTS[r.guests]}u << XC_SR_GUEST_PV, .since = {r.since},",
                  f"     .place = XC_SR_PLACE_{r.place}, .often = XC_SR_OFTEN_{r.often.upper()},",
                  f"     .low = {r.low}, .step = {r.step}, .high = {r.high}u,",
                  f"     .behind = {c_set(r.behind)}, .not_behind = {c_set(r.not_behind)}}},"]
    return lines + ["};", ""]


def write_source(table, source, header, out):
    lines = banner(source) + ['#include "xc_sr_rules.h"', "",
                              "/* The guests of a row are bits 1 << enum xc_sr_guest. */",
                              '_Static_assert(XC_SR_GUEST_HVM == XC_SR_GUEST_PV + 1, "guest types");', ""]
    lines += c_rows(table, "libxc", "xc_sr_records[XC_SR_RECORDS]")
    lines += c_rows(table, "libxl", "xc_sr_libxl_records[XC_SR_LIBXL_RECORDS]")
    out.write("\n".join(lines))


def write_json(table, out):
    json.dump({
        layer: [{"name": r.name, "type": r.type, "guests": r.guests, "place": r.place.lower().replace("_", "-"),
                 "since": r.since, "often": r.often, "low": r.low, "step": r.step, "high": r.high,
                 "owner": r.owner.lower(), "behind": [o.name for o in r.behind],
                 "not_behind": [o.name for o in r.not_behind], "body": r.body}
                for r in table.in_order(layer)] for layer in LAYERS
    } | {"needed": [r.name for r in table.needed]}, out, indent=1)
    out.write("\n")


def write_markdown(table, out):
    """For people: the specification has the same tables (tests/unit/test_spec.py).  They have to fit on paper."""
    lines = ["| type | name | in | body |", "| --- | --- | --- | --- |"]
    lines += [f"| {r.type:#010x} | {r.name} | {r.in_text()} | {r.owner_text()}{r.place_text()}{r.body} |"
              for r in table.in_order("libxc")]
    lines += ["", "| name | once in a | bytes |", "| --- | --- | --- |"]
    lines += [f"| {r.name} | {r.often_text()} | {r.size_text()} |" for r in table.in_order("libxc") if r.place not in NOWHERE]
    lines += ["", "| type | name | once in a | bytes | body |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.type:#010x} | {r.name} | {r.often_text()} | {r.size_text()} | {r.owner_text()}{r.body} |"
              for r in table.in_order("libxl")]
    out.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table")
    parser.add_argument("c_files", nargs="*", metavar="OUT.h OUT.c")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    if len(options.c_files) not in (0, 2):
        parser.error("a header and a source, or neither")
    try:
        table = Table(options.table)
    except (TableError, OSError, UnicodeDecodeError) as error:
        sys.exit(str(error))

    def write(path, writer, *arguments):
        with open(path, "w", encoding="ascii") as out:
            writer(table, *arguments, out)

    if options.c_files:
        write(options.c_files[0], write_header, options.table)
        write(options.c_files[1], write_source, options.table, options.c_files[0])
    if options.json:
        write(options.json, write_json)
    if options.markdown:
        write(options.markdown, write_markdown)


if __name__ == "__main__":
    main()
