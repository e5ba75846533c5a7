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
PROGRAMS = ["xl", "xenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "libxl-save-helper", "xen-cpuid",
            "xen-livepatch", "xenstore-control"]
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
    (out / "xen").write_bytes(gzip.decompress(packages.find(f"boot/xen-{packages.release.xen}-amd64.gz").read_bytes()))
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
    if payload[:4] == b"\x28\xb5\x2f\xfd":         # RFC 8878; four bytes of length follow the frame
        vmlinux = _run_zstd(payload[:-4])
    elif payload[:6] == b"\xfd7zXZ\0":
        vmlinux = lzma.LZMADecompressor().decompress(payload)   # the same four bytes follow the stream
    else:
        raise PackageError("the kernel is packed neither with xz nor with zstd: teach image.py the new form")
    if vmlinux[:4] != b"\x7fELF":
        raise PackageError("the kernel's payload is no ELF image")
    return vmlinux


def _run_zstd(data):
    try:
        p = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True)
    except FileNotFoundError:
        raise PackageError("the kernel is packed with zstd: apt-get install zstd")
    if p.returncode:
        raise PackageError(f"the kernel does not unpack: {p.stderr.decode(errors='replace').strip()}")
    return p.stdout


def _compile(source, out):
    p = subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", str(out), str(source)], capture_output=True, text=True)
    if p.returncode:
        raise PackageError(f"{source.name} does not compile (needs gcc and libc6-dev):\n{p.stderr}")
    return out.read_bytes()


def _dom0(packages, agent):
    utils = packages.root(f"xen-utils-{packages.release.xen}")
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
    programs = {f"/{packages.release.xen_dir}/bin/{name}": utils / packages.release.xen_dir / "bin" / name for name in PROGRAMS}
    for target, program in programs.items():
        cpio.file(target, program.read_bytes())
    libraries = elf.libraries([p.read_bytes() for p in programs.values()], packages.roots())
    # pthread_cancel() loads it when it is first called
    libraries["/lib/x86_64-linux-gnu/libgcc_s.so.1"] = elf.find_library("libgcc_s.so.1", packages.roots())
    for target, source in sorted(libraries.items()):
        cpio.file(target, source.read_bytes())
    modules = dict(_modules(packages))
    for name, data in modules.items():
        cpio.file(f"/modules/{name}", data, 0o644)
    cpio.file("/modules/order", "\n".join(modules).encode() + b"\n", 0o644)
    return cpio.finish()


def _modules(packages):
    """(name, contents) in loading order of those of MODULES that the kernel does not have built in."""
    directory = packages.find("lib/modules/*/modules.builtin").parent
    builtin = (directory / "modules.builtin").read_text().split()
    for module in MODULES:
        path = directory / "kernel/drivers" / f"{module}.ko"
        packed = path.with_name(path.name + ".xz")
        if packed.exists():
            yield path.name, lzma.decompress(packed.read_bytes())
        elif f"kernel/drivers/{module}.ko" not in builtin:
            yield path.name, path.read_bytes()


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
