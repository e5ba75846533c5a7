#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gen-features.py must refuse what is not a table, and say where."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

GENERATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         "../../xen/arch/x86/cpuid-policy/gen-features.py")

PAE = 'FEATURE(PAE, 1d, 6, "A", CAPABILITY, "x")'
LM = 'FEATURE(LM, e1d, 29, "A", CAPABILITY, "x")'
SMEP = 'FEATURE(SMEP, 7b0, 7, "S", CAPABILITY, "x")'
VMX = 'FEATURE(VMX, 1c, 5, "a", CAPABILITY, "x")'
MIRROR = 'FEATURE(E1D_PAE, e1d, 6, "A", MIRROR, "x")'
CR4 = "REGISTER(CR4, none)"
CLEAR = 'FEATURE(MD_CLEAR, 7d0, 10, "A", ACCUMULATE, "x")'
CACHES = "FAMILY(4, cache, 8)"
FRED = 'FEATURE(FRED, 7a1, 17, "", CAPABILITY, "x")'
HWP = 'FEATURE(HWP, 6a, 7, "", CAPABILITY, "x")'

# (rows, the line at fault, a part of the message)
BAD = [
    (["FEATURE(PAE)"], 1, "not a row"),
    ([PAE + " "], 1, "not a row"),
    ([" " + PAE], 1, "not a row"),
    ([PAE + ";"], 1, "not a row"),
    ([PAE + " /* no */"], 1, "not a row"),
    (["// " + PAE], 1, "not a row"),
    ([PAE.replace(", 6", ",6")], 1, "not a row"),
    ([PAE.replace("PAE", "pae")], 1, "not a row"),
    ([PAE.replace('"x"', '""')], 1, "not a row"),
    ([PAE.replace('"x"', '"a"b"')], 1, "not a row"),
    ([PAE.replace('"x"', '"\\\\"')], 1, "not a row"),
    (["", PAE.replace("6", "-1")], 2, "not a row"),
    ([PAE.replace("6", "32")], 1, "no bit 32"),
    ([PAE.replace("1d", "1x")], 1, "no word 1x"),
    ([PAE.replace("1d", "0")], 1, "no word 0"),
    ([PAE.replace("CAPABILITY", "CAPABLE")], 1, "no merge rule CAPABLE"),
    ([PAE.replace('"A"', '"B"')], 1, 'no guests "B"'),
    ([PAE.replace('"A"', '"AS"')], 1, 'no guests "AS"'),
    ([PAE.replace('"A"', '"!A"')], 1, 'no guests "!A"'),
    ([PAE, PAE.replace("6", "7")], 2, "PAE is there twice"),
    ([PAE, PAE.replace("PAE", "PEA")], 2, "1d:6 is PAE already"),
    ([PAE, 'FIELD(N, 1d, 5, 3, "x")'], 2, "1d:6 is PAE already"),
    (['FIELD(N, 1d, 0, 0, "x")'], 1, "no width 0"),
    (['FIELD(N, 1d, 0, 32, "x")'], 1, "no width 32"),
    (['FIELD(N, 1d, 30, 3, "x")'], 1, "no bit 32"),
    (['FIELD(N, 1d, 0, 2, "x")', 'FIELD(N, 1d, 8, 2, "x")'], 2, "N is there twice"),
    (['FIELD(N, 1d, 0, 2, "x")', 'FIELD(M, 1d, 1, 2, "x")'], 2, "1d:1 is N already"),
    ([PAE, "NEEDS(PAE)"], 2, "not a row"),
    ([PAE, LM, "NEEDS(LM,PAE)"], 3, "not a row"),
    ([PAE, "NEEDS(PAE, LM)"], 2, "no feature LM"),
    ([PAE, "NEEDS(LM, PAE)"], 2, "no feature LM"),
    ([PAE, 'FIELD(N, 1c, 5, 3, "x")', "NEEDS(PAE, N)"], 3, "no feature N"),
    ([PAE, LM, "NEEDS(LM, PAE, PAE)"], 3, "LM needs PAE twice"),
    ([PAE, LM, "NEEDS(LM, PAE)", "", "NEEDS(LM, PAE)"], 5, "LM needs PAE twice"),
    ([PAE, "NEEDS(PAE, PAE)"], 2, "a cycle: PAE -> PAE"),
    ([PAE, LM, "NEEDS(LM, PAE)", "NEEDS(PAE, LM)"], 4, "a cycle: PAE -> LM -> PAE"),
    ([PAE, SMEP, "NEEDS(PAE, SMEP)"], 3, "PAE is offered to guests that SMEP is not"),
    ([PAE, VMX, "NEEDS(PAE, VMX)"], 3, "PAE is offered to guests that VMX is not"),
    ([VMX, SMEP, "NEEDS(VMX, SMEP)"], 3, "VMX is offered to guests that SMEP is not"),
    ([PAE, MIRROR.replace("6", "7"), "NEEDS(E1D_PAE, PAE)"], 2, "mirrors no bit"),
    ([PAE, MIRROR.replace('"A"', '"S"'), "NEEDS(E1D_PAE, PAE)"], 2, "mirrors no bit"),
    ([MIRROR], 1, "mirrors no bit"),
    ([PAE, MIRROR], 2, "E1D_PAE does not need PAE"),
    ([PAE.replace("CAPABILITY", "MIRROR")], 1, "E1D_ is for mirrors"),
    ([MIRROR.replace("MIRROR", "HAZARD")], 1, "E1D_ is for mirrors"),
    (["REGISTER(CR4)"], 1, "not a row"),
    (["REGISTER(CR4, 10)"], 1, "not a row"),
    (["REGISTER(CR4, 0x100000000)"], 1, "CR4: no MSR 0x100000000"),
    ([CR4, CR4], 2, "CR4 is there twice"),
    (["REGISTER(A, 0x10)", "REGISTER(B, 0x10)"], 2, "MSR 0x10 is there twice"),
    ([PAE, "BITS(CR4, 5, 1, PAE)"], 2, "no register CR4"),
    ([CR4, "BITS(CR4, 5, 1, PAE)"], 2, "no feature PAE"),
    ([CR4, "BITS(CR4, 5)"], 2, "not a row"),
    ([CR4, "BITS(CR4, 5, 0)"], 2, "no 0 bits at 5"),
    ([CR4, "BITS(CR4, 63, 2)"], 2, "no 2 bits at 63"),
    ([CR4, "BITS(CR4, 5, 2)", "BITS(CR4, 6, 1)"], 3, "some of these bits are there twice"),
    ([PAE, CR4, "BITS(CR4, 5, 1, PAE, PAE, PAE, PAE, PAE)"], 3, "more than 4 features"),
    (['LEAF(0, -, a, 0, 32, all, EQUAL)'], 1, "not a row"),
    (['LEAF(0, -, e, 0, 32, all, EQUAL, "x")'], 1, "not a row"),
    (['LEAF(25, -, a, 0, 32, all, EQUAL, "x")'], 1, "no policy has leaf 25"),
    (['LEAF(2..1, -, a, 0, 32, all, EQUAL, "x")'], 1, "leaf 2 is above 1"),
    ([CACHES, 'LEAF(3..4, -, a, 0, 32, all, EQUAL, "x")'], 2, "leaf 4 has subleaves"),
    (['LEAF(3, *, a, 0, 32, all, EQUAL, "x")'], 1, "leaf 3 has no subleaves"),
    (['LEAF(0, -, a, 30, 3, all, EQUAL, "x")'], 1, "no bits 30, 3 wide"),
    (['LEAF(0, -, a, 0, 32, via, EQUAL, "x")'], 1, "no vendors via"),
    (['LEAF(0, -, a, 0, 32, all, LIKE, "x")'], 1, "no rule LIKE"),
    (['LEAF(0, -, a, 0, 32, all, EQUAL, PAE, "x")'], 1, "no feature PAE"),
    (['LEAF(2, -, a, 0, 32, all, EQUAL, "x")', 'LEAF(1, -, a, 0, 32, all, EQUAL, "x")'], 2, "leaf 1 stands behind 2"),
    (['LEAF(0, -, ab, 0, 9, amd, EQUAL, "x")', 'LEAF(0, -, b, 8, 1, all, FREE, "x")'], 2, "bits 00000100 have a rule already"),
    ([PAE, LM, "XEN_NEEDS(LM)"], 3, "not a row"),
    ([PAE, LM, "XEN_NEEDS(LM, PEA)"], 3, "no feature PEA"),
    ([PAE, LM, "NEEDS(LM, PAE)", "XEN_NEEDS(LM, PAE)"], 4, "LM needs PAE twice"),
    ([PAE, LM, "XEN_NEEDS(LM, PAE)", "XEN_NEEDS(LM, PAE)"], 4, "LM needs PAE twice"),
    ([PAE, LM, "NEEDS(LM, PAE)", "XEN_NEEDS(PAE, LM)"], 4, "a cycle: PAE -> LM -> PAE"),
    ([PAE, SMEP, "XEN_NEEDS(PAE, SMEP)"], 3, "PAE is offered to guests that SMEP is not"),
    ([PAE, MIRROR, "XEN_NEEDS(E1D_PAE, PAE)"], 2, "E1D_PAE does not need PAE"),
    (["FAMILY(4, cache)"], 1, "not a row"),
    (["FAMILY(25, cache, 8)"], 1, "leaf 25 can have no subleaves"),
    (["FAMILY(4, cache, 0)"], 1, "leaf 4: no count 0"),
    ([CACHES, CACHES], 2, "leaf 4 stands behind 4"),
    ([PAE, "COMPONENT(X87, 0)"], 2, "not a row"),
    ([PAE, "COMPONENT(X87, 0, LM)"], 2, "no feature LM"),
    (["COMPONENT(X87, 64, none)"], 1, "X87: no component 64 behind -1"),
    (["COMPONENT(X87, 1, none)", "COMPONENT(SSE, 1, none)"], 2, "SSE: no component 1 behind 1"),
    (["COMPONENT(X87, 1, none)", "COMPONENT(X87, 2, none)"], 2, "X87 is there twice"),
    (["PROTECTS(PAE)"], 1, "no feature PAE"),
    ([PAE, "PROTECTS(PAE)"], 2, "PAE does not accumulate"),
    ([CLEAR, "PROTECTS(MD_CLEAR, MD_CLEAR)"], 2, "MD_CLEAR is there twice"),
    ([FRED, "SINCE(4.19)"], 2, "not a row"),
    ([FRED, "SINCE(4.17, FRED)"], 2, "no release 4.17: 4.18, 4.19, 4.20, 4.21, 4.22"),
    ([FRED, "SINCE(4.99, FRED)"], 2, "no release 4.99"),
    ([FRED, "SINCE(4.19, FERD)"], 2, "no feature FERD"),
    ([FRED, "SINCE(4.19, FRED, FRED)"], 2, "FRED has a first release already"),
    ([FRED, "SINCE(4.19, FRED)", "SINCE(none, FRED)"], 3, "FRED has a first release already"),
    ([SMEP, "SINCE(4.19, SMEP)"], 2, "SMEP is offered to guests before it is named"),
    ([HWP, "SINCE(4.19, HWP)"], 2, "HWP is in no header"),
    ([PAE, MIRROR, "NEEDS(E1D_PAE, PAE)", 'GUESTS(4.19, "S", E1D_PAE)'], 4, "E1D_PAE is in no header"),
    ([FRED, 'GUESTS(4.19, "B", FRED)'], 2, 'no guests "B"'),
    ([FRED, 'GUESTS(4.19, "", FRED)'], 2, 'FRED is for guests "" already'),
    ([FRED, 'GUESTS(4.19, "A", FRED)', 'GUESTS(4.20, "A", FRED)'], 3, 'FRED is for guests "A" already'),
    ([FRED, 'GUESTS(4.19, "A", FRED)', 'GUESTS(4.18, "S", FRED)'], 3, "FRED: 4.18 stands behind 4.19"),
    ([FRED, "SINCE(4.20, FRED)", 'GUESTS(4.19, "A", FRED)'], 1, "FRED is not named in 4.19"),
    ([FRED, "SINCE(none, FRED)", 'GUESTS(4.19, "A", FRED)'], 1, "FRED is not named in 4.19"),
    ([FRED, "SINCE(4.20, FRED)", "SPELLED(4.19, FRED, X)"], 1, "FRED is not named in 4.19"),
    ([FRED, "SPELLED(4.19, FRED)"], 2, "not a row"),
    ([FRED, PAE, "SPELLED(4.19, FRED, PAE)"], 3, "PAE is the name of a feature already"),
    ([FRED, PAE, "SPELLED(4.19, FRED, X)", "SPELLED(4.19, PAE, X)"], 4, "X is the name of a feature already"),
    ([FRED, "SPELLED(4.19, FRED, X)", "SPELLED(4.20, FRED, Y)"], 3, "FRED has another spelling already"),
    ([FRED, "ACCUMULATES(4.19, FRED)"], 2, "FRED does not accumulate"),
    ([CLEAR, "ACCUMULATES(4.19, MD_CLEAR, MD_CLEAR)"], 2, "MD_CLEAR is there twice"),
    (["/* one */ " + PAE], 1, "text after a comment"),
    (["/* one", "two */ x"], 2, "text after a comment"),
    ([PAE, "/* one", PAE], 2, "comment without end"),
]


def load_generator():
    spec = importlib.util.spec_from_file_location("gen_features", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.table = os.path.join(self.folder.name, "features.def")

    def write(self, rows):
        with open(self.table, "w", encoding="ascii") as file:
            file.write("\n".join(rows) + "\n")

    def run_on(self, rows, *options):
        self.write(rows)
        return subprocess.run([sys.executable, GENERATOR, self.table, *options],
                              capture_output=True, text=True, check=False)

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
        result = self.run_on([PAE, "FEATURE(LM)"], header, header.replace(".h", ".c"))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"{self.table}:2: error: not a row: 'FEATURE(LM)'\n")
        self.assertFalse(os.path.exists(header))

    def test_good_table(self):
        path = os.path.join(self.folder.name, "out.json")
        page = os.path.join(self.folder.name, "out.md")
        rows = ["/* one", " * two */", PAE, MIRROR, "NEEDS(E1D_PAE, PAE)", LM, "NEEDS(LM, PAE)", "",
                VMX, 'FIELD(N_X, Aa, 8, 8, "n")', CR4, "BITS(CR4, 5, 1, PAE, LM)", "REGISTER(X_Y, 0x1b)",
                "BITS(X_Y, 0, 64)"]
        result = self.run_on(rows, "--json", path, "--markdown", page)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with open(path, encoding="ascii") as file:
            data = json.load(file)
        lm = data["features"][-1]
        self.assertEqual(len(data["words"]), 25)
        self.assertEqual([f["name"] for f in data["features"]], ["pae", "vmx", "e1d-pae", "lm"])
        self.assertEqual((lm["word"], lm["bit"], lm["location"], lm["needs"]),
                         (2, 29, "80000001.edx[29]", ["pae"]))
        self.assertEqual(data["features"][1]["guests_max"], ["pv", "hvm-shadow", "hvm-hap"])
        self.assertEqual(data["features"][1]["guests_default"], [])
        self.assertEqual(data["fields"][0]["name"], "n-x")
        self.assertEqual(data["registers"], [
            {"name": "CR4", "msr": None, "bits": [{"shift": 5, "width": 1, "features": ["pae", "lm"]}]},
            {"name": "X_Y", "msr": 0x1b, "bits": [{"shift": 0, "width": 64, "features": []}]}])
        with open(page, encoding="ascii") as file:
            text = file.read()
        self.assertIn("| 29 | `lm` | x | all | capability | `pae` |", text)
        self.assertIn("| 15:8 | `n-x` | n |", text)
        self.assertIn("| CR4 | 5 | `pae`, `lm` |", text)
        self.assertIn("| X_Y (MSR 0x1b) | 63:0 | always |", text)

    def test_rules_of_a_hypervisor_alone(self):
        """XEN_NEEDS is in the closure that levels follow, and not in that of real CPUs."""
        path = os.path.join(self.folder.name, "out.json")
        page = os.path.join(self.folder.name, "out.md")
        source = os.path.join(self.folder.name, "out.c")
        rows = [PAE, LM, SMEP, "XEN_NEEDS(LM, PAE)", "NEEDS(SMEP, LM)"]
        result = self.run_on(rows, source.replace(".c", ".h"), source, "--json", path, "--markdown", page)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with open(path, encoding="ascii") as file:
            features = {f["name"]: f for f in json.load(file)["features"]}
        self.assertEqual((features["lm"]["needs"], features["lm"]["xen_needs"]), ([], ["pae"]))
        self.assertEqual((features["smep"]["needs"], features["smep"]["xen_needs"]), (["lm"], []))
        with open(page, encoding="ascii") as file:
            self.assertIn("| 29 | `lm` | x | all | capability | `pae` (Xen) |", file.read())
        with open(source, encoding="ascii") as file:
            text = file.read()
        # Real rules first, then the others; and what stands on PAE by the latter, directly or not.
        self.assertIn("{X86_FEATURE_SMEP, X86_FEATURE_LM},\n    {X86_FEATURE_LM, X86_FEATURE_PAE},", text)
        self.assertRegex(text, r"feature_xen_dependents\[NR_XEN_DEPENDENTS\] = \{\n    \{X86_FEATURE_PAE, \{\{0, 0, 0x20000000, 0, 0, 0x00000080,")
        table = load_generator().Table(self.table)
        self.assertEqual(table.prerequisites, {"LM": {"PAE"}, "SMEP": {"LM", "PAE"}})
        self.assertEqual(table.real_prerequisites, {"SMEP": {"LM"}})

    def test_attributes(self):
        path = os.path.join(self.folder.name, "out.json")
        result = self.run_on([PAE, CLEAR, "PROTECTS(MD_CLEAR)", "COMPONENT(X87, 0, PAE)", "COMPONENT(PT, 8, none)", CACHES],
                             "--json", path)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with open(path, encoding="ascii") as file:
            data = json.load(file)
        self.assertEqual([f["protects"] for f in data["features"]], [False, True])
        self.assertEqual(data["components"], [{"name": "x87", "number": 0, "feature": "pae"},
                                              {"name": "pt", "number": 8, "feature": None}])
        self.assertEqual(data["families"], [{"leaf": 4, "member": "cache", "subleaves": 8}])

    def test_releases(self):
        path, page, source = (os.path.join(self.folder.name, name) for name in ("out.json", "out.md", "releases.c"))
        rows = [FRED, SMEP, CLEAR, HWP, "SINCE(4.19, FRED)", 'GUESTS(4.20, "s", FRED)', 'GUESTS(4.20, "", SMEP)',
                'GUESTS(4.22, "H", FRED)', "SPELLED(4.21, FRED, FLEX_RET)", "ACCUMULATES(4.19, MD_CLEAR)"]
        result = self.run_on(rows, "--json", path, "--markdown", page, "--releases", source)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with open(path, encoding="ascii") as file:
            data = json.load(file)
        self.assertEqual(data["releases"], ["4.17", "4.18", "4.19", "4.20", "4.21", "4.22"])
        features = {f["name"]: [f[key] for key in ("guests", "since", "guests_since", "spelled", "accumulates_since")]
                    for f in data["features"]}
        self.assertEqual(features, {
            "fred": ["", "4.19", {"4.20": "s", "4.22": "H"}, {"4.21": "FLEX_RET"}, None],
            "smep": ["S", "4.17", {"4.20": ""}, {}, None], "hwp": ["", None, {}, {}, None],
            "md-clear": ["A", "4.17", {}, {}, "4.19"]})
        with open(page, encoding="ascii") as file:
            text = file.read()
        self.assertIn("| nobody; 4.20: HVM, on request; 4.22: HVM with HAP, as `flex-ret` since 4.21 |", text)
        self.assertIn("| HVM; 4.20: nobody |", text)
        table = load_generator().Table(self.table)
        fred, smep = 10 * 32 + 17, 5 * 32 + 7
        self.assertEqual([table.features["FRED"].first(), table.features["HWP"].first()], [2, 6])
        self.assertEqual([fred in table.offered(0, 1, r) for r in range(6)], [False, False, False, True, True, False])
        self.assertEqual([fred in table.offered(1, 2, r) for r in range(6)], [False] * 5 + [True])
        self.assertEqual([smep in table.offered(1, 1, r) for r in range(6)], [True] * 3 + [False] * 3)
        self.assertEqual(table.only_hap(), set())       # 4.20 gave FRED to guests without, too

    def test_a_header_alone_is_refused(self):
        header = os.path.join(self.folder.name, "out.h")
        self.assertNotEqual(self.run_on([PAE], header).returncode, 0)
        self.assertFalse(os.path.exists(header))


class Privacy(unittest.TestCase):
    def test_the_private_headers_are_private(self):
        """Nobody outside of the library includes them, but the proofs, which are of its insides."""
        library = os.path.dirname(os.path.abspath(GENERATOR))
        root = os.path.join(library, "../../../..")
        private = ('"policy-private.h"', '"private.h"', '"fields.h"')
        guilty = []
        for top in ("xen", "tools", "tests"):
            for folder, _, names in os.walk(os.path.join(root, top)):
                if os.path.samefile(folder, library) or os.path.join("tests", "prove") in folder:
                    continue
                for name in (n for n in names if n.endswith((".c", ".h"))):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        guilty += [f"{name}: {line.strip()}" for line in file
                                   if line.startswith("#include") and any(p in line for p in private)]
        self.assertEqual(guilty, [])


if __name__ == "__main__":
    unittest.main()
