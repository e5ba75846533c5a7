#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Capture the streams of this directory anew: stock Xen hosts of the lab save the probe (PVH) and a Linux (PV).

usage: capture.py OUTPUT-DIRECTORY [hosts] [pvh] [hvm] [hvm-level] [pv] [live]

What is written: HOST.xlp of each host, pvh-, hvm- and pv-HOST.save.xz as `xl save` made them, live-pvh-HOST.save.xz
as `xl migrate --debug` sent it.  The HVM guest has a device model, Debian's QEMU; hvm-level-HOST.save.xz is one at the level of
HOST and sandybridge.  A PV guest needs a whole Linux, so the *contents* of its ordinary pages are zeroed, except those that hold the p2m (page tables,
types and everything else stay): such a stream is one that Xen wrote, but nothing to boot.
"""

import lzma
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lab"))

from xenlab import Lab, device_model    # noqa: E402
from xenlab.tools import our_files  # noqa: E402

HOSTS = ["cascadelake", "sandybridge", "amd-rich"]
PVH_ON = ["cascadelake", "amd-rich"]
PV_ON = "cascadelake"
LINUX_MB = 96
PAGE = 4096
# Most of an image are frame numbers that count up: their differences compress.
FILTERS = [{"id": lzma.FILTER_DELTA, "dist": 8}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
WITH_DATA = set(range(0, 5)) | set(range(9, 13))


def libxc_records(image):
    """(type, offset of the body, length) of every libxc record of a plain `xl save` image."""
    at = image.index(b"\xff" * 8 + b"XENF") + 24 + 16
    while True:
        kind, length = struct.unpack_from("<II", image, at)
        yield kind, at + 8, length
        if kind == 0:
            return
        at += 8 + (length + 7 & ~7)


def zero_pages(image):
    """Zero the ordinary pages of a PV guest."""
    image = bytearray(image)
    keep = set()
    for kind, body, length in libxc_records(bytes(image)):
        if kind == 3:
            keep |= set(struct.unpack_from(f"<{length // 8 - 1}Q", image, body + 8))
        if kind != 1:
            continue
        count, = struct.unpack_from("<I", image, body)
        data = body + 8 + 8 * count
        for entry in struct.unpack_from(f"<{count}Q", image, body + 8):
            if entry >> 60 in WITH_DATA:
                if entry >> 60 == 0 and entry not in keep:
                    image[data:data + PAGE] = bytes(PAGE)
                data += PAGE
    return bytes(image)


def save(path, image):
    path.write_bytes(lzma.compress(image, filters=FILTERS))
    print(f"{path.name}: {len(image)} bytes, {path.stat().st_size} compressed", flush=True)


def capture_host(host, out):
    host.run(["xenlevel", "host", "-n", host.name, "-o", "/root/host.xlp"]).check()
    (out / f"{host.name}.xlp").write_bytes(host.get("/root/host.xlp"))


def capture_pvh(host, out):
    host.create_probe("probe").check()
    host.save("probe", "/root/probe.save").check()
    save(out / f"pvh-{host.name}.save.xz", host.get("/root/probe.save"))
    host.cleanup()


def capture_hvm(host, out):
    host.install(device_model.files(host.packages))
    host.create_hvm_probe("hvm").check()
    host.save("hvm", "/root/hvm.save").check()
    save(out / f"hvm-{host.name}.save.xz", host.get("/root/hvm.save"))
    host.cleanup()


def capture_hvm_level(host, other, out):
    """The firmware starts it: a minute, and three when the machine is busy."""
    for each in (host, other):
        each.run(["xenlevel", "host", "-n", each.name, "-o", "/root/host.xlp"]).check()
    host.put("/root/other.xlp", other.get("/root/host.xlp"), 0o644)
    host.run("xenlevel level /root/host.xlp /root/other.xlp -o /root/pool.xlp").check()
    host.install(device_model.files(host.packages))
    host.create_hvm_probe("hvm", paused=True).check()
    host.run("xenlevel apply hvm /root/pool.xlp && xl unpause hvm").check()
    host.wait_probe("hvm", timeout=180)
    host.save("hvm", "/root/hvm.save").check()
    save(out / f"hvm-level-{host.name}.save.xz", host.get("/root/hvm.save"))
    host.cleanup()


def capture_pv(host, out):
    host.create_pv_linux("linux", memory=LINUX_MB).check()
    host.wait_pv_tick("linux", 1)
    host.save("linux", "/root/linux.save").check()
    save(out / f"pv-{host.name}.save.xz", zero_pages(host.get("/root/linux.save")))
    host.cleanup()


def capture_live(lab, source, target, out):
    """What goes over the line of a live migration; --debug sends the memory twice, behind a VERIFY record."""
    source.run('p=$(which xenlab-ssh) && mv $p $p.real && printf "#!/bin/sh\\ntee /root/live.img | $p.real \\"\\$@\\"\\n" > $p && '
               "chmod 755 $p").check()
    source.create_probe("probe", dirty=True).check()
    result = lab.migrate(source, target, "probe", options=["--debug"])
    result.src.check()
    save(out / f"live-pvh-{source.name}.save.xz", source.get("/root/live.img"))


def main(out, which):
    out.mkdir(parents=True, exist_ok=True)
    with Lab(verbose=True) as lab:
        # The one with the PV guest needs room for its image.
        hosts = {name: lab.add(name, files=our_files(ROOT / "build"), memory=1536 if name == PV_ON else 1024,
                               dom0=900 if name == PV_ON else 512) for name in HOSTS}
        for host in hosts.values():
            host.wait_ready()
        if "hosts" in which:
            for host in hosts.values():
                capture_host(host, out)
        if "pvh" in which:
            for name in PVH_ON:
                capture_pvh(hosts[name], out)
        if "hvm" in which:
            capture_hvm(hosts[PV_ON], out)
        if "hvm-level" in which:
            capture_hvm_level(hosts[PV_ON], hosts["sandybridge"], out)
        if "pv" in which:
            capture_pv(hosts[PV_ON], out)
        if "live" in which:
            target = lab.add("target", PV_ON, files=our_files(ROOT / "build")).wait_ready()
            capture_live(lab, hosts[PV_ON], target, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["hosts", "pvh", "hvm", "hvm-level", "pv", "live"])
