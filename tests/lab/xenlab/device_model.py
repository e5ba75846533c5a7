# SPDX-License-Identifier: MIT
"""Debian's QEMU for Xen in a dom0, and the firmware: what a guest of type "hvm" needs. 25 MB, so only for those who ask."""

from .host import HostError

# The second line is what QEMU is linked with, as far as a machine that has qemu-system-x86 may lack it.
PACKAGES = ["qemu-system-xen", "qemu-system-data", "seabios",
            "libspice-server1", "libusb-1.0-0", "libgstreamer1.0-0", "libgstreamer-plugins-base1.0-0", "libopus0", "liborc-0.4-0",
            "libdw1", "libelf1", "libunwind8", "libssl3", "liblz4-1", "libsasl2-2"]
QEMU = "usr/libexec/xen-qemu-system-i386"


def files(packages):
    """{path in dom0: file here} for Host.install(); fetches what the cache lacks."""
    packages.add(PACKAGES)
    data, bios = packages.root("qemu-system-data") / "usr/share/qemu", packages.root("seabios") / "usr/share/seabios"
    found = {
        "/" + QEMU: packages.root("qemu-system-xen") / QEMU,
        "/usr/share/seabios/bios-256k.bin": bios / "bios-256k.bin",
        "/usr/lib/xen-4.17/boot/hvmloader": packages.root("xen-utils-4.17") / "usr/lib/xen-4.17/boot/hvmloader",
        "/usr/share/qemu/keymaps/en-us": data / "keymaps/en-us",
        "/usr/share/qemu/kvmvapic.bin": data / "kvmvapic.bin",
        # QEMU wants the one that copies the kernel by DMA, and has no DMA there on a machine of Xen's.
        "/usr/share/qemu/multiboot_dma.bin": data / "multiboot.bin",
    }
    missing = [str(f) for f in found.values() if not f.exists()]
    if missing:
        raise HostError(f"not in Debian's packages: {' '.join(missing)}")
    return found
