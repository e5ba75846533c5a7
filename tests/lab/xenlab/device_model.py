# SPDX-License-Identifier: MIT
"""Debian's QEMU for Xen in a dom0, and the firmware: what a guest of type "hvm" needs. 25 MB, so only for those who ask."""

from .host import HostError

QEMU = "usr/libexec/xen-qemu-system-i386"


def files(packages):
    """{path in dom0: file here} for Host.install(); fetches what the cache lacks."""
    release = packages.release
    packages.add(release.device_model)
    data, bios = packages.root("qemu-system-data") / "usr/share/qemu", packages.root("seabios") / "usr/share/seabios"
    found = {
        "/" + QEMU: packages.root("qemu-system-xen") / QEMU,
        "/usr/share/seabios/bios-256k.bin": bios / "bios-256k.bin",
        f"/{release.xen_dir}/boot/hvmloader": packages.root(f"xen-utils-{release.xen}") / release.xen_dir / "boot/hvmloader",
        "/usr/share/qemu/keymaps/en-us": data / "keymaps/en-us",
        "/usr/share/qemu/kvmvapic.bin": data / "kvmvapic.bin",
        # QEMU wants the one that copies the kernel by DMA, and has no DMA there on a machine of Xen's.
        "/usr/share/qemu/multiboot_dma.bin": data / "multiboot.bin",
    }
    missing = [str(f) for f in found.values() if not f.exists()]
    if missing:
        raise HostError(f"not in Debian's packages: {' '.join(missing)}")
    return found
