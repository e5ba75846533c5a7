#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The live patch's part of the policy library stands alone, and leaves room for the rest.

The payload itself can be built only for a hypervisor whose symbols are there (tests/lab); this needs
none: what policy_check() calls must be among the sources that build.py takes.
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path

XEN = Path(__file__).resolve().parents[2] / "xen"
POLICY = XEN / "arch/x86/cpuid-policy"
sys.path.insert(0, str(XEN / "livepatch"))
import build  # noqa: E402

# What audit.c, born.c and hooks.c call.
ROOTS = ["policy_check", "policy_verify", "policy_fault_name", "feature_info", "feature_location", "policy_to_featureset"]
# The payload's own code, its level and its working space are another 30 KiB, and 6 KiB stay free: gcc 14 makes more of it than
# gcc 12.
MAX_SIZE = build.MAX_SIZE - 36 * 1024


class Sources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        tmp = Path(folder.name)
        build.run(sys.executable, POLICY / "gen-features.py", POLICY / "features.def", tmp / "features-gen.h",
                  tmp / "features-gen.c")
        objects = []
        for source in [POLICY / name for name in build.POLICY_SOURCES] + [tmp / "features-gen.c"]:
            objects.append(tmp / (source.stem + ".o"))
            build.run("gcc", *build.CFLAGS, "-I", tmp, "-I", XEN / "include", "-I", POLICY, "-c", source, "-o",
                      objects[-1])
        self.result = tmp / "library"
        build.run("ld", "-r", "--gc-sections", f"--entry={ROOTS[0]}", *(f"--undefined={name}" for name in ROOTS),
                  *objects, "-o", self.result)
        build.run("strip", "--strip-unneeded", self.result)

    def test_nothing_is_missing_and_it_is_small(self):
        undefined = set(build.run("nm", "-u", self.result).split()) - {"U", "_GLOBAL_OFFSET_TABLE_"}
        self.assertEqual(undefined, set())
        self.assertLessEqual(int(build.run("size", self.result).splitlines()[1].split()[3]), MAX_SIZE)

    def test_all_sources_are_installed(self):
        text = (XEN / "livepatch/meson.build").read_text()
        installed = set(re.findall(r"'([\w.-]+)'", text))
        self.assertEqual({name for name in build.POLICY_SOURCES if name not in installed}, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
