# SPDX-License-Identifier: MIT
"""What a host boots: the hypervisor, dom0's kernel and dom0's initramfs, built once for each set of inputs.

Everything is left uncompressed: under software emulation unpacking costs seconds, copying does not.
"""

import gzip
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import elf
from .cpio import Cpio
from .packages import PackageError

HERE = Path(__file__).parent
XEN_BIN = "usr/lib/xen-4.17/bin"
PROGRAMS = ["xl", "xenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "libxl-save-helper", "xen-cpuid",
            "xen-livepatch", "xenstore-control"]
STORE_TOOLS = ["xenstore-ls", "xenstore-read", "xenstore-write", "xenstore-rm", "xenstore-list"]
MODULES = ["xen/xen-privcmd", "xen/xenfs/xenfs", "xen/xen-evtchn", "xen/xen-gntdev", "xen/xen-gntalloc",
           "virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci", "char/virtio_console"]     # in loading order
APPLETS = """sh mount umount ls cat sleep usleep insmod mkdir rm cp mv ln chmod dmesg grep sed awk cut head tail tr sort
             wc od dd ps kill echo printf test [ true false env date stat sync touch find xargs timeout cmp md5sum
             sha256sum free uname mkfifo tee seq gzip gunzip zcat cpio""".split()
DIRECTORIES = "proc sys dev run tmp root etc/xen/auto var/log/xen/console var/lib/xen/dump var/lib/xenstored var/lib/xen/userdata-d".split()


@dataclass(frozen=True)
class Image:
    """A built set of files, all in one directory of the cache."""
    directory: Path

    @property
    def xen(self):
        return self.directory / "xen"

    @property
    def kernel(self):
        return self.directory / "vmlinux"

    @property
    def initrd(self):
        return self.directory / "dom0.cpio"

    @property
    def guest_kernel(self):
        return self.directory / "vmlinux.gz"

    @property
    def guest_initrd(self):
        return self.directory / "guest.cpio.gz"


def build(packages, say=lambda text: None):
    """The image for these packages; from the cache when it holds one made of the same inputs."""
    sources = [HERE / "image.py", HERE / "cpio.py", HERE / "elf.py", HERE / "dom0" / "agent.c", HERE / "dom0" / "init",
               HERE / "dom0" / "guest-init"]
    key = hashlib.sha256(packages.identity().encode())
    for source in sources:
        key.update(hashlib.sha256(source.read_bytes()).digest())
    directory = packages.cache / "images" / key.hexdigest()[:16]
    if not directory.is_dir():
        say("building the dom0 image")
        directory.parent.mkdir(parents=True, exist_ok=True)
        tmp = Path(tempfile.mkdtemp(dir=directory.parent))
        try:
            _build(packages, tmp)
            os.rename(tmp, directory)
        except BaseException:
            shutil.rmtree(tmp, ignore_errors=True)
            if not directory.is_dir():              # another run may have been faster
                raise
    return Image(directory)


def _build(packages, out):
    (out / "xen").write_bytes(gzip.decompress(packages.find("boot/xen-4.17-amd64.gz").read_bytes()))
    vmlinux = unpack_kernel(packages.find("boot/vmlinuz-*").read_bytes())
    (out / "vmlinux").write_bytes(vmlinux)
    (out / "vmlinux.gz").write_bytes(gzip.compress(vmlinux, 1))
    agent = _compile(HERE / "dom0" / "agent.c", out / "agent")
    (out / "dom0.cpio").write_bytes(_dom0(packages, agent))
    guest = _guest(packages)
    (out / "guest.cpio.gz").write_bytes(gzip.compress(guest, 6))


def unpack_kernel(bzimage):
    """The ELF kernel inside a bzImage (x86 boot protocol 2.08: payload_offset and payload_length)."""
    setup_sects = bzimage[0x1f1] or 4
    if bzimage[0x202:0x206] != b"HdrS":
        raise PackageError("the kernel is no bzImage")
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sects + 1) * 512 + offset
    payload = bzimage[start:start + length]
    if payload[:6] != b"\xfd7zXZ\0":
        raise PackageError("the kernel is not packed with xz: teach image.py the new form")
    vmlinux = lzma.LZMADecompressor().decompress(payload)   # four bytes of length follow the stream
    if vmlinux[:4] != b"\x7fELF":
        raise PackageError("the kernel's payload is no ELF image")
    return vmlinux


def _compile(source, out):
    p = subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", str(out), str(source)], capture_output=True, text=True)
    if p.returncode:
        raise PackageError(f"{source.name} does not compile (needs gcc and libc6-dev):\n{p.stderr}")
    return out.read_bytes()


def _dom0(packages, agent):
    utils, kernel = packages.root("xen-utils-4.17"), packages.root(packages.kernel)
    cpio = Cpio()
    for directory in DIRECTORIES:
        cpio.directory(directory)
    cpio.device("/dev/console", 5, 1)
    cpio.symlink("/var/run", "/run")
    cpio.symlink("/var/lock", "/run/lock")
    cpio.file("/init", (HERE / "dom0" / "init").read_bytes())
    cpio.file("/sbin/xenlab-agent", agent)
    cpio.file("/usr/bin/xenlab-ssh", b'#!/bin/sh\nexec /sbin/xenlab-agent connect "$@"\n')
    cpio.file("/etc/xen/xl.conf", b"", 0o644)
    cpio.file("/bin/busybox", packages.find("bin/busybox").read_bytes())
    for applet in APPLETS:
        cpio.symlink(f"/bin/{applet}", "busybox")
    programs = [utils / XEN_BIN / name for name in PROGRAMS]
    programs += [packages.root("xen-utils-common") / "usr/bin" / n for n in STORE_TOOLS
                 if (packages.root("xen-utils-common") / "usr/bin" / n).exists()]
    for program in programs:
        root = utils if utils in program.parents else packages.root("xen-utils-common")
        cpio.file("/" + str(program.relative_to(root)), program.read_bytes())
    libraries = elf.libraries([p.read_bytes() for p in programs], packages.roots())
    # pthread_cancel() loads it when it is first called
    libraries["/lib/x86_64-linux-gnu/libgcc_s.so.1"] = elf.find_library("libgcc_s.so.1", [])
    for target, source in sorted(libraries.items()):
        cpio.file(target, source.read_bytes())
    for module in MODULES:
        path = next(kernel.glob(f"lib/modules/*/kernel/drivers/{module}.ko"))
        cpio.file(f"/modules/{path.name}", path.read_bytes(), 0o644)
    cpio.file("/modules/order", "\n".join(Path(m).name + ".ko" for m in MODULES).encode() + b"\n", 0o644)
    return cpio.finish()


def _guest(packages):
    """The initramfs of the PV Linux guest: busybox and a loop that ticks."""
    cpio = Cpio()
    for directory in ("proc", "sys", "dev"):
        cpio.directory(directory)
    cpio.device("/dev/console", 5, 1)
    cpio.file("/init", (HERE / "dom0" / "guest-init").read_bytes())
    cpio.file("/bin/busybox", packages.find("bin/busybox").read_bytes())
    for applet in ("sh", "mount", "sleep", "usleep", "cat", "md5sum", "dd", "poweroff", "cut"):
        cpio.symlink(f"/bin/{applet}", "busybox")
    return cpio.finish()


def overlay(files, packages):
    """An archive of files a test wants in dom0: {path there: bytes, or a path here}; libraries come along.

    Executables keep their mode, bytes become 0755.
    """
    cpio, images = Cpio(), []
    for target, source in sorted(files.items()):
        if isinstance(source, (bytes, bytearray)):
            data, mode = bytes(source), 0o755
        else:
            data, mode = Path(source).read_bytes(), Path(source).stat().st_mode & 0o777
        images.append(data)
        cpio.file(target, data, mode)
    for target, source in sorted(elf.libraries(images, packages.roots()).items()):
        if target not in files:
            cpio.file(target, source.read_bytes())
    return cpio.finish()
