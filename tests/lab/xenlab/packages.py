# SPDX-License-Identifier: MIT
"""Debian packages for the hosts: downloaded once, unpacked into a cache, never installed."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .apt import Apt, AptError, machine_suite, unpack

XEN_LIBS = ("libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1",
            "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1")
KERNEL_META = "linux-image-amd64"               # the -cloud- kernel has no CONFIG_XEN_DOM0
KERNEL = re.compile(r"linux-image-\d[\w.+-]*-amd64")


@dataclass(frozen=True)
class Release:
    """A Xen that a host can have, and the Debian it comes from. `xen` is also how Debian numbers its packages and paths."""
    xen: str
    suite: str
    folder: str             # of the cache
    xen_packages: tuple     # all from Xen's own source, so of one version
    other: tuple
    libraries: tuple        # of Xen's tools, where they are not this machine's
    dbg_package: str        # symbols and sizes of the hypervisor: for livepatches
    device_model: tuple     # QEMU, firmware and what QEMU is linked with
    libvirt: tuple = ()     # libvirtd, its driver for Xen, virsh, and what they are linked with; (): not known

    @property
    def xen_dir(self):
        return f"usr/lib/xen-{self.xen}"


RELEASES = {r.xen: r for r in (
    Release("4.17", "bookworm", "", dbg_package="xen-hypervisor-4.17-amd64-dbg",
            xen_packages=("xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xen-utils-common", "libxenmisc4.17", *XEN_LIBS),
            other=("libyajl2", "busybox-static"),
            # Without the libc: programs that were built here may need the newer one.
            libraries=("libncurses6", "libtinfo6", "libext2fs2", "libcom-err2", "liblzma5", "libuuid1", "libzstd1", "zlib1g"),
            # After the third, as far as a machine that has qemu-system-x86 may lack it.
            device_model=("qemu-system-xen", "qemu-system-data", "seabios",
                          "libspice-server1", "libusb-1.0-0", "libgstreamer1.0-0", "libgstreamer-plugins-base1.0-0", "libopus0",
                          "liborc-0.4-0", "libdw1", "libelf1", "libunwind8", "libssl3", "liblz4-1", "libsasl2-2"),
            libvirt=("libvirt-daemon", "libvirt-daemon-driver-xen", "libvirt0", "libvirt-clients", "libssh-4", "libacl1",
                     "libapparmor1", "libaudit1", "libblkid1", "libbrotli1", "libcap-ng0", "libcom-err2", "libcurl3-gnutls",
                     "libffi8", "libglib2.0-0", "libgmp10", "libgnutls30", "libgssapi-krb5-2", "libhogweed6", "libicu72",
                     "libidn2-0", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap-2.5-0", "libmount1",
                     "libnettle8", "libnghttp2-14", "libnl-3-200", "libnuma1", "libp11-kit0", "libpcre2-8-0", "libpsl5",
                     "libreadline8", "librtmp1", "libsasl2-2", "libselinux1", "libssh2-1", "libssl3", "libstdc++6",
                     "libtasn1-6", "libtinfo6", "libtirpc3", "libunistring2", "libuuid1", "libxml2", "libzstd1", "zlib1g")),
    Release("4.20", "trixie", "4.20", dbg_package="xen-hypervisor-4.20-amd64-dbg",
            xen_packages=("xen-hypervisor-4.20-amd64", "xen-utils-4.20", "xen-utils-common", "libxenmisc4.20", *XEN_LIBS),
            other=("libyajl2", "busybox-static"),
            # With the libc: Xen's tools need a newer one than Debian 12 has.
            libraries=("libc6", "libgcc-s1", "libncurses6", "libtinfo6", "libext2fs2t64", "libcom-err2", "liblzma5", "libuuid1",
                       "libzstd1", "zlib1g"),
            # All that QEMU is linked with: its glib is newer than Debian 12's.
            device_model=("qemu-system-xen", "qemu-system-data", "seabios", "libfdt1", "libglib2.0-0t64", "libjpeg62-turbo",
                          "libpixman-1-0", "libspice-server1", "libusb-1.0-0", "libpcre2-8-0", "libatomic1", "libffi8",
                          "libgstreamer1.0-0", "libgstreamer-plugins-base1.0-0", "libopus0", "liborc-0.4-0t64", "libssl3t64",
                          "liblz4-1", "libsasl2-2", "libudev1", "libcap2", "libstdc++6", "libxxhash0")),
)}
DEFAULT = "4.17"


def machine_release():
    """The release of the Debian that runs here, or the default."""
    return next((r.xen for r in RELEASES.values() if r.suite == machine_suite()), DEFAULT)


def split_host(name, default=DEFAULT):
    """("cascadelake", "4.20") for "cascadelake@4.20"; without a release it is `default`."""
    cpu, at, release = name.rpartition("@")
    if not at:
        return name, default
    if release not in RELEASES:
        raise PackageError(f"{name}: no release {release} of Xen: it is one of {', '.join(RELEASES)}")
    return cpu, release


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

    def __init__(self, cache=None, say=lambda text: None, release=DEFAULT):
        self.release = RELEASES[release]
        self.cache = Path(cache or cache_dir())             # of all releases
        self.home = self.cache / self.release.folder
        self.debs = self.home / "debs"
        self.apt = Apt(self.release.suite, self.home / "apt")
        self.say = say
        self.base = [*self.release.xen_packages, *self.release.other]       # all that dom0's image is made of, but the kernel
        if self.release.suite != machine_suite():
            self.base += self.release.libraries
        self.names = list(self.base)
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
        hits = [p for root in self.roots() for where in (pattern, f"usr/{pattern}") for p in root.glob(where)]  # merged /usr
        if len(hits) != 1:
            raise PackageError(f"the packages hold {len(hits)} files {pattern}, not one; remove {self.home} and fetch anew")
        return hits[0]

    def identity(self):
        """What was used, as text: part of the key of everything built from it."""
        return "\n".join(f"{n} {self.version[n]}" for n in sorted([*self.base, self.kernel]))

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

    def _kernel_name(self):
        try:
            said = self.apt.depends(KERNEL_META)
        except AptError as e:
            said = [str(e)]
        for word in said:
            if KERNEL.fullmatch(word):
                return word
        raise PackageError(f"cannot tell which kernel {KERNEL_META} of Debian {self.release.suite} stands for: "
                           f"apt-cache depends said {' '.join(said) or 'nothing'!r}; "
                           f"run `apt-get update`, or put its linux-image-*-amd64 .deb into {self.debs}")

    def _download(self, names):
        self.say(f"downloading {' '.join(names)}")
        have, said = {}, ""
        for renew in (True, False):
            with tempfile.TemporaryDirectory(dir=self.home) as tmp:
                try:
                    self.apt.download([n for n in names if n not in have], tmp)
                except AptError as e:
                    said = str(e)
                for deb in Path(tmp).glob("*.deb"):
                    shutil.move(str(deb), self.debs / deb.name)
            have = self._cached()
            if all(n in have for n in names) or not (renew and self._renew_lists()):
                break
        missing = [n for n in names if n not in have]
        if missing:
            raise PackageError(f"missing packages: {' '.join(missing)}\n{said}\n"
                               f"run `apt-get update`, or on another machine of Debian {self.release.suite} "
                               f"`apt-get download {' '.join(missing)}` and copy the files to {self.debs}")

    def _renew_lists(self):
        """Old package lists name files that are gone from the mirror."""
        self.say("renewing the package lists")
        try:
            return self.apt.update()
        except AptError as e:
            self.say(str(e))
            return False

    def _unpack(self, name, deb):
        root = self.home / "unpacked" / deb.stem
        if root.is_dir():
            return root
        root.parent.mkdir(parents=True, exist_ok=True)
        self.say(f"unpacking {deb.name}")
        tmp = tempfile.mkdtemp(dir=root.parent)
        try:
            unpack(deb, tmp)
        except AptError as e:
            shutil.rmtree(tmp)
            deb.unlink()
            raise PackageError(f"{e}; it was dropped: fetch again")
        try:
            os.rename(tmp, root)
        except OSError:             # another run was faster
            shutil.rmtree(tmp)
        return root

    def _check_versions(self):
        versions = {self.version[n] for n in self.names if n in (*self.release.xen_packages, self.release.dbg_package)}
        if len(versions) > 1:
            raise PackageError(f"the cached Xen packages are of different versions ({', '.join(sorted(versions))}): "
                               f"remove {self.debs} and fetch anew")
