# SPDX-License-Identifier: MIT
"""Debian's packages of a suite, downloaded on any machine that has apt and Debian's keys. Nothing is installed.

On a machine of that very suite its own lists do, and its own mirror; elsewhere lists are kept beside the cache.
"""

import os
import subprocess
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

SOURCES = """Types: deb
URIs: http://deb.debian.org/debian
Suites: {suite} {suite}-updates
Components: main
Signed-By: {keyring}

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: {suite}-security
Components: main
Signed-By: {keyring}
"""

# Lists and status of its own: what this machine has installed does not count, and is not touched.
CONF = """APT::Sandbox::User "";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
Acquire::Languages "none";
Dir::Etc::sourcelist "{home}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{home}/lists";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
"""


class AptError(Exception):
    """apt did not do it; the text is what it said."""


def machine_suite():
    """The suite of the Debian that runs here ("bookworm"), or ""."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields.get("VERSION_CODENAME", "").strip('"') if fields.get("ID") == "debian" else ""


class Apt:
    def __init__(self, suite, home):
        """`home`: where lists of our own are kept, if there must be some."""
        self.suite = suite
        self.home = None if suite == machine_suite() else Path(home)

    def update(self):
        """Renew the lists; those of the machine only root can. False: they are what they were."""
        if self.home is None:
            return os.geteuid() == 0 and self._start(["apt-get", "update", "-qq"]).returncode == 0
        self._configure()
        self._run(["apt-get", "update", "-qq"])
        return True

    def depends(self, name):
        """The words that `apt-cache depends` has for that package."""
        self._need_lists()
        return self._run(["apt-cache", "depends", name]).split()

    def download(self, names, directory):
        """Get the .debs of these packages, checked against Debian's keys, into a directory."""
        self._need_lists()
        self._run(["apt-get", "download", "-q", *names], directory)

    def _need_lists(self):
        if self.home is not None and not any((self.home / "lists").glob("*Packages*")):
            self.update()

    def _configure(self):
        if not KEYRING.exists():
            raise AptError(f"no {KEYRING}: install debian-archive-keyring")
        for name in ("lists/partial", "cache/archives/partial"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        (self.home / "debian.sources").write_text(SOURCES.format(suite=self.suite, keyring=KEYRING))
        (self.home / "apt.conf").write_text(CONF.format(home=self.home))

    def _start(self, argv, directory=None):
        env = {**os.environ, "LC_ALL": "C"}
        if self.home is not None:
            env["APT_CONFIG"] = str(self.home / "apt.conf")
        return subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True)

    def _run(self, argv, directory=None):
        p = self._start(argv, directory)
        if p.returncode:
            raise AptError(f"{' '.join(argv[:2])}: {p.stderr.strip() or p.stdout.strip()}")
        return p.stdout


def unpack(deb, directory):
    """Lay a .deb's files out below a directory."""
    p = subprocess.run(["dpkg", "-x", str(deb), str(directory)], capture_output=True, text=True)
    if p.returncode:
        raise AptError(f"{Path(deb).name} does not unpack: {p.stderr.strip()}")
