# SPDX-License-Identifier: MIT
"""CBMC and its SAT solver: Debian 13's packages, checked against Debian's keys, unpacked into a cache, never installed.

Debian 12 has no cbmc.  The programs run under their own libc, which lies beside them, and use the
machine's gcc as preprocessor.
"""

import os
import subprocess
from pathlib import Path

SUITE = "trixie"
PACKAGES = ["cbmc", "minisat", "cadical", "libc6", "libgcc-s1", "libstdc++6"]
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

SOURCES = f"""Types: deb
URIs: http://deb.debian.org/debian
Suites: {SUITE}
Components: main
Signed-By: {KEYRING}
"""

# Lists and status of its own: what this machine has installed does not count, and is not touched.
APT_CONF = """APT::Sandbox::User "";
Dir::Etc::sourcelist "{home}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{home}/lists";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
"""


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
        return self._run([*self.argv("cbmc"), "--version"], {}).strip()

    def _run(self, argv, env, cwd=None):
        p = subprocess.run(argv, env={**os.environ, **env}, cwd=cwd, capture_output=True, text=True)
        if p.returncode:
            raise ToolchainError(f"{' '.join(argv)}: {p.stderr.strip() or p.stdout.strip()}")
        return p.stdout

    def _fetch(self):
        if not KEYRING.exists():
            raise ToolchainError(f"no {KEYRING}: install debian-archive-keyring")
        for name in ("lists/partial", "cache/archives/partial", "debs", "root"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        (self.home / "debian.sources").write_text(SOURCES)
        conf = self.home / "apt.conf"
        conf.write_text(APT_CONF.format(home=self.home))
        self.say(f"fetching {', '.join(PACKAGES)} of Debian {SUITE} into {self.home}")
        env = {"APT_CONFIG": str(conf)}
        self._run(["apt-get", "update", "-qq"], env)
        self._run(["apt-get", "download", "-qq", *PACKAGES], env, cwd=self.home / "debs")
        for deb in sorted((self.home / "debs").glob("*.deb")):
            self._run(["dpkg", "-x", str(deb), str(self.root)], {})
        self.done.touch()
