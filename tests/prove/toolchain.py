# SPDX-License-Identifier: MIT
"""CBMC and its SAT solver: Debian 13's packages, checked against Debian's keys, unpacked into a cache, never installed.

Debian 12 has no cbmc.  The programs run under their own libc, which lies beside them, and use the
machine's gcc as preprocessor.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
from xenlab.apt import Apt, AptError, unpack        # noqa: E402

SUITE = "trixie"
PACKAGES = ["cbmc", "minisat", "cadical", "libc6", "libgcc-s1", "libstdc++6"]


class ToolchainError(Exception):
    """CBMC is neither in the cache nor to be had."""


def cache_dir():
    if os.environ.get("XENLEVEL_PROVE_CACHE"):
        return Path(os.environ["XENLEVEL_PROVE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xenlevel" / "prove"


class Toolchain:
    def __init__(self, say=print):
        self.home = cache_dir() / SUITE
        self.root = self.home / "root"
        self.done = self.home / "unpacked"
        self.say = say
        if not self.done.exists():
            self._fetch()
        self.cadical = self.home / "cadical.sh"
        self.cadical.write_text("#!/bin/sh\nexec " + " ".join(self.argv("cadical")) + ' -q "$@"\n')
        self.cadical.chmod(0o755)

    def argv(self, program):
        """How to start one of its programs."""
        lib = self.root / "usr/lib"
        return [str(self.root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path",
                f"{lib}/x86_64-linux-gnu:{lib}", str(self.root / "usr/bin" / program)]

    def version(self):
        p = subprocess.run([*self.argv("cbmc"), "--version"], capture_output=True, text=True)
        if p.returncode:
            raise ToolchainError(f"cbmc --version: {p.stderr.strip() or p.stdout.strip()}")
        return p.stdout.strip()

    def _fetch(self):
        debs = self.home / "debs"
        for directory in (debs, self.root):
            directory.mkdir(parents=True, exist_ok=True)
        self.say(f"fetching {', '.join(PACKAGES)} of Debian {SUITE} into {self.home}")
        apt = Apt(SUITE, self.home)
        try:
            apt.update()
            apt.download(PACKAGES, debs)
            for deb in sorted(debs.glob("*.deb")):
                unpack(deb, self.root)
        except AptError as e:
            raise ToolchainError(str(e))
        self.done.touch()
