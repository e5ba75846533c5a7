# SPDX-License-Identifier: MIT
"""Debian packages for the hosts: downloaded once, unpacked into a cache, never installed."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

XEN = ["xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xen-utils-common", "libxenmisc4.17"]
XEN_LIBS = ["libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1",
            "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1"]
OTHER = ["libyajl2", "busybox-static"]
DEBUG = ["xen-hypervisor-4.17-amd64-dbg"]       # symbols and sizes of the hypervisor: for livepatches
KERNEL_META = "linux-image-amd64"               # the -cloud- kernel has no CONFIG_XEN_DOM0
KERNEL = re.compile(r"linux-image-\d[\w.+-]*-amd64")


class PackageError(Exception):
    """A package is neither in the cache nor to be had; the text says what to do."""


def cache_dir():
    if os.environ.get("XENLAB_CACHE"):
        return Path(os.environ["XENLAB_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xenlevel" / "lab"


def _deb_field(deb, field):
    p = subprocess.run(["dpkg-deb", "-f", str(deb), field], capture_output=True, text=True)
    return p.stdout.strip() if p.returncode == 0 else None


def _newer(a, b):
    return subprocess.run(["dpkg", "--compare-versions", a, "gt", b]).returncode == 0


class Packages:
    """The packages one host is made of. `root(name)` is where that package lies unpacked."""

    def __init__(self, cache=None, debug=False, say=lambda text: None):
        self.cache = Path(cache or cache_dir())
        self.debs = self.cache / "debs"
        self.say = say
        self.names = XEN + XEN_LIBS + OTHER + (DEBUG if debug else [])
        self.version = {}
        self._roots = {}

    def fetch(self):
        """Make all of them available. Touches the network only for what the cache lacks."""
        self.debs.mkdir(parents=True, exist_ok=True)
        have = self._cached()
        missing = [n for n in self.names if n not in have]
        kernels = [n for n in have if KERNEL.fullmatch(n)]
        if not kernels:
            missing.append(self._kernel_name())
        if missing:
            self._download(missing)
            have = self._cached()
            kernels = [n for n in have if KERNEL.fullmatch(n)]
        self.kernel = max(kernels, key=lambda n: [int(x) for x in re.findall(r"\d+", n)])
        for name in self.names + [self.kernel]:
            self.version[name], deb = have[name]
            self._roots[name] = self._unpack(name, deb)
        self._check_versions()
        return self

    def add(self, names):
        """Some more packages, of which no host is made."""
        self.names += [n for n in names if n not in self.names]
        return self.fetch()

    def root(self, name):
        return self._roots[name]

    def roots(self):
        return list(self._roots.values())

    def find(self, pattern):
        """The one file matching a glob below any package's root."""
        hits = [p for root in self.roots() for p in root.glob(pattern)]
        if len(hits) != 1:
            raise PackageError(f"the packages hold {len(hits)} files {pattern}, not one; remove {self.cache} and fetch anew")
        return hits[0]

    def identity(self):
        """What was used, as text: part of the key of everything built from it."""
        return "\n".join(f"{n} {self.version[n]}" for n in sorted([*XEN, *XEN_LIBS, *OTHER, self.kernel]))

    def _cached(self):
        have = {}
        for deb in sorted(self.debs.glob("*.deb")):
            name, version = _deb_field(deb, "Package"), _deb_field(deb, "Version")
            if not name or not version:
                self.say(f"{deb.name} is damaged: dropped from the cache")
                deb.unlink()
            elif name not in have or _newer(version, have[name][0]):
                have[name] = (version, deb)
        return have

    def _renew_lists(self):
        """Old package lists name files that are gone from the mirror; only root can renew them."""
        if os.geteuid() != 0:
            return False
        self.say("renewing the package lists")
        return subprocess.run(["apt-get", "update", "-qq"], capture_output=True).returncode == 0

    def _kernel_name(self):
        p = subprocess.run(["apt-cache", "depends", KERNEL_META], capture_output=True, text=True)
        for word in p.stdout.split():
            if KERNEL.fullmatch(word):
                return word
        raise PackageError(f"cannot tell which kernel {KERNEL_META} stands for: "
                           f"apt-cache depends said {p.stderr.strip() or p.stdout.strip() or 'nothing'!r}; "
                           f"run `apt-get update`, or put a linux-image-6.1.*-amd64 .deb into {self.debs}")

    def _download(self, names):
        self.say(f"downloading {' '.join(names)}")
        have, p = {}, None
        for _ in range(2):
            with tempfile.TemporaryDirectory(dir=self.cache) as tmp:
                p = subprocess.run(["apt-get", "download", "-q", *[n for n in names if n not in have]], cwd=tmp,
                                   capture_output=True, text=True)
                for deb in Path(tmp).glob("*.deb"):
                    shutil.move(str(deb), self.debs / deb.name)
            have = self._cached()
            if all(n in have for n in names) or not self._renew_lists():
                break
        missing = [n for n in names if n not in have]
        if missing:
            raise PackageError(f"missing packages: {' '.join(missing)}\n"
                               f"apt-get download said: {p.stderr.strip()}\n"
                               f"run `apt-get update` (Debian 12, main), or on another machine "
                               f"`apt-get download {' '.join(missing)}` and copy the files to {self.debs}")

    def _unpack(self, name, deb):
        root = self.cache / "unpacked" / deb.stem
        if root.is_dir():
            return root
        root.parent.mkdir(parents=True, exist_ok=True)
        self.say(f"unpacking {deb.name}")
        tmp = tempfile.mkdtemp(dir=root.parent)
        p = subprocess.run(["dpkg", "-x", str(deb), tmp], capture_output=True, text=True)
        if p.returncode:
            shutil.rmtree(tmp)
            deb.unlink()
            raise PackageError(f"{deb.name} does not unpack ({p.stderr.strip()}); it was dropped: fetch again")
        try:
            os.rename(tmp, root)
        except OSError:             # another run was faster
            shutil.rmtree(tmp)
        return root

    def _check_versions(self):
        versions = {self.version[n] for n in self.names if n in XEN + XEN_LIBS + DEBUG}
        if len(versions) > 1:
            raise PackageError(f"the cached Xen packages are of different versions ({', '.join(sorted(versions))}): "
                               f"remove {self.debs} and fetch anew")
