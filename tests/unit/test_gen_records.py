#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The generator of records: every error names its line, and a good table comes out as it went in."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

GENERATOR = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../tools/libxc/gen-records.py")

END = 'RECORD(END, 0x00000000, libxc, both, LATER, 2, once, empty, XEN, "x")'
DATA = 'RECORD(DATA, 0x00000001, libxc, both, MEMORY, 2, any, 8.., XEN, "x")'
INFO = 'RECORD(INFO, 0x00000002, libxc, pv, STATIC, 3, once, 8, XEN, "x")'
VCPU = 'RECORD(VCPU, 0x00000003, libxc, pv, LATER, 2, vcpu, 8+16*, XEN, "x")'
STATE = 'RECORD(STATE, 0x00000004, libxc, hvm, LATER, 2, checkpoint, 24*, XEN, "x")'
OLD = 'RECORD(OLD, 0x00000005, libxc, none, RETIRED, 2, any, 0.., XEN, "x")'
SUM = 'RECORD(SUM, 0x80000001, libxc, both, ANYWHERE, 2, any, 4..8, OURS, "x")'
OUTER = 'RECORD(END, 0x00000000, libxl, both, FIRST, 2, once, empty, XEN, "x")'

# (rows, the line at fault, a part of the message)
BAD = [
    (["RECORD(END)"], 1, "not a row"),
    ([END + " "], 1, "not a row"),
    ([" " + END], 1, "not a row"),
    ([END + ";"], 1, "not a row"),
    ([END + " /* no */"], 1, "not a row"),
    (["// " + END], 1, "not a row"),
    ([END.replace(", 2", ",2")], 1, "not a row"),
    ([END.replace("END", "end")], 1, "not a row"),
    ([END.replace("0x00000000", "0x0")], 1, "not a row"),
    ([END.replace("0x00000000", "0x0000000A")], 1, "not a row"),
    ([END.replace("0x00000000", "0")], 1, "not a row"),
    ([END.replace('"x"', '""')], 1, "not a row"),
    ([END.replace('"x"', '"a"b"')], 1, "not a row"),
    (["", END.replace(", XEN", "")], 2, "not a row"),
    (["/* one */ " + END], 1, "text after a comment"),
    ([END, "/* one", DATA], 2, "comment without end"),
    ([END.replace("libxc", "xl")], 1, "no layer xl"),
    ([END, END.replace("00,", "01,")], 2, "END is there twice"),
    ([END, DATA.replace("01,", "00,")], 2, "type 0x0 stands behind 0x0"),
    ([DATA, END], 2, "type 0x0 stands behind 0x1"),
    ([END.replace("both", "all")], 1, "no guests all"),
    ([END.replace("LATER", "SOON")], 1, "no place SOON"),
    ([END.replace("LATER", "FIRST")], 1, "no place FIRST"),
    ([OUTER.replace("FIRST", "STATIC")], 1, "no place STATIC"),
    ([END.replace(" 2,", " 4,")], 1, "no version 4"),
    ([OUTER.replace(" 2,", " 3,")], 1, "no version 3"),
    ([END.replace("once", "twice")], 1, "no frequency twice"),
    ([END.replace("XEN", "THEIRS")], 1, "no owner THEIRS"),
    ([END.replace("XEN", "OURS")], 1, "ours, and not optional"),
    ([OLD.replace("none", "both")], 1, "place RETIRED with guests both"),
    ([END.replace("both", "none")], 1, "place LATER with guests none"),
    ([VCPU.replace("pv", "both")], 1, "only PV guests have records of vCPUs"),
    ([END.replace("empty", "none")], 1, "no size none"),
    ([END.replace("empty", "0")], 1, "no size 0"),
    ([END.replace("empty", "0*")], 1, "no size 0*"),
    ([END.replace("empty", "8+0*")], 1, "no size 8+0*"),
    ([END.replace("empty", "0+8*")], 1, "no size 0+8*"),
    ([END.replace("empty", "0..8")], 1, "no size 0..8"),
    ([END.replace("empty", "8..8")], 1, "no size 8..8"),
    ([END.replace("empty", "9..8")], 1, "no size 9..8"),
    ([END.replace("empty", "8+8")], 1, "no size 8+8"),
    ([END, "BEHIND(END)"], 2, "not a row"),
    ([END, DATA, "BEHIND(END, DATA, DATA)"], 3, "not a row"),
    ([END, "BEHIND(END, DATA)"], 2, "no record DATA in libxc's layer"),
    ([DATA, "BEHIND(END, DATA)"], 2, "no record END in libxc's layer"),
    ([OUTER, DATA, "BEHIND(END, DATA)"], 3, "no record END in libxc's layer"),
    ([END, DATA, "BEHIND(END, DATA)", "BEHIND(END, DATA)"], 4, "END has such a row already"),
    ([INFO, STATE, "BEHIND(STATE, INFO)"], 3, "no guest has STATE and INFO"),
    ([END, DATA, "NOT_BEHIND(DATA, END, END)"], 3, "END is there twice"),
    ([END, DATA, "NOT_BEHIND(DATA, END)", "NOT_BEHIND(DATA, END)"], 4, "DATA has such a row already"),
    ([END, "NEEDED(END, DATA)"], 2, "no record DATA in libxc's layer"),
    ([END, "NEEDED(END, END)"], 2, "END is there twice"),
    ([END, "NEEDED(END)", "NEEDED(END)"], 3, "has a row already"),
    ([f'RECORD(R{i}, {i:#010x}, libxc, both, LATER, 2, any, empty, XEN, "x")' for i in range(33)], 33, "more than 32 records"),
]


def load_generator():
    spec = importlib.util.spec_from_file_location("gen_records", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.table = os.path.join(self.folder.name, "records.def")

    def write(self, rows):
        with open(self.table, "w", encoding="ascii") as file:
            file.write("\n".join(rows) + "\n")

    def run_on(self, rows, *options):
        self.write(rows)
        return subprocess.run([sys.executable, GENERATOR, self.table, *options],
                              capture_output=True, text=True, check=False)

    def read(self, name):
        with open(os.path.join(self.folder.name, name), encoding="ascii") as file:
            return file.read()

    def test_bad_tables(self):
        generator = load_generator()
        for rows, line, message in BAD:
            with self.subTest(rows=rows):
                self.write(rows)
                with self.assertRaises(generator.TableError) as raised:
                    generator.Table(self.table)
                self.assertTrue(str(raised.exception).startswith(f"{self.table}:{line}: error: "),
                                raised.exception)
                self.assertIn(message, str(raised.exception))

    def test_an_error_ends_the_build(self):
        header = os.path.join(self.folder.name, "out.h")
        result = self.run_on([END, "RECORD(DATA)"], header, header.replace(".h", ".c"))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"{self.table}:2: error: not a row: 'RECORD(DATA)'\n")
        self.assertFalse(os.path.exists(header))

    def test_good_table(self):
        rows = ["/* one", " * two */", END, DATA, INFO, VCPU, STATE, OLD, SUM, "", OUTER, "BEHIND(DATA, INFO)",
                "NOT_BEHIND(DATA, VCPU, STATE)", "NEEDED(INFO, DATA)"]
        paths = [os.path.join(self.folder.name, name) for name in ("out.h", "out.c", "out.json", "out.md")]
        result = self.run_on(rows, *paths[:2], "--json", paths[2], "--markdown", paths[3])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        data = json.loads(self.read("out.json"))
        by_name = {row["name"]: row for row in data["libxc"]}
        self.assertEqual(list(by_name), ["END", "DATA", "INFO", "VCPU", "STATE", "OLD", "SUM"])
        self.assertEqual([row["name"] for row in data["libxl"]], ["END"])
        self.assertEqual(by_name["INFO"], {
            "name": "INFO", "type": 2, "guests": "pv", "place": "static", "since": 3, "often": "once", "low": 8, "step": 0,
            "high": 8, "owner": "xen", "behind": [], "not_behind": [], "body": "x"})
        self.assertEqual((by_name["DATA"]["behind"], by_name["DATA"]["not_behind"]), (["INFO"], ["VCPU", "STATE"]))
        self.assertEqual(data["needed"], ["INFO", "DATA"])
        most = 0xffffffff
        self.assertEqual([tuple(row[key] for key in ("low", "step", "high")) for row in data["libxc"]],
                         [(0, 0, 0), (8, 1, most), (8, 0, 8), (8, 16, most), (24, 24, most), (0, 1, most), (4, 1, 8)])
        page = self.read("out.md")
        for line in ("| 0x00000000 | END | both | x |", "| 0x00000002 | INFO | PV, version 3 | static: x |",
                     "| 0x00000004 | STATE | HVM | x |", "| 0x00000005 | OLD | none | retired: x |",
                     "| 0x80000001 | SUM | both | Xenlevel's: x |", "| END | stream | none |", "| DATA |  | 8 or more |",
                     "| INFO | stream | 8 |", "| VCPU | vCPU | 8 + 16 x n |", "| STATE | checkpoint | 24 x n |",
                     "| SUM |  | 4 to 8 |", "| 0x00000000 | END | stream | none | x |"):
            self.assertIn(line + "\n", page)
        header, source = self.read("out.h"), self.read("out.c")
        for text in ("REC_VCPU = 0x00000003,", "#define REC_SUM 0x80000001u", "LIBXL_REC_END = 0x00000000,",
                     "#define XC_SR_TYPES 6u", "#define XC_SR_RECORDS 7u", "#define XC_SR_LIBXL_TYPES 1u"):
            self.assertIn(text, header)
        self.assertIn(".behind = 0x4u, .not_behind = 0x18u", source)

    def test_a_header_alone_is_refused(self):
        header = os.path.join(self.folder.name, "out.h")
        self.assertNotEqual(self.run_on([END], header).returncode, 0)
        self.assertFalse(os.path.exists(header))


if __name__ == "__main__":
    unittest.main()
