# SPDX-License-Identifier: MIT
"""Save images of XAPI and of libvirt's Xen driver: the stream in them is found, and judged as any other."""

import json
import lzma
import os
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
VERIFY = ROOT / "tools" / "python" / "verify-stream"
HOST = ROOT / "tests" / "migration" / "streams" / "cascadelake.xlp"
SAVED = lzma.decompress((ROOT / "tests" / "migration" / "streams" / "pvh-cascadelake.save.xz").read_bytes())
LIBXL = SAVED[SAVED.index(b"LibxlFmt"):]
LIBXC = SAVED[SAVED.index(b"\xff" * 8 + b"XENF"):]
XML = b"<domain type='xen'><name>web1</name></domain>\0"


def libvirt(stream=LIBXL, version=2, xml=XML, length=None):
    return b"libvirt-xml\n \0 \r" + struct.pack("<II40x", version, len(xml) if length is None else length) + xml + stream


def libxc_alone():
    """Its stream up to END: what follows is libxl's."""
    at = 24 + 16
    while True:
        kind, length = struct.unpack_from("<II", LIBXC, at)
        at += 8 + (length + 7 & ~7)
        if kind == 0:
            return LIBXC[:at]


def xapi(stream=None, kind=0xF0, before=((0x0F, b"(state)"),), behind=struct.pack("<QQ", 0xF01, 4) + b"qemu"):
    records = b"".join(struct.pack("<QQ", k, len(data)) + data for k, data in before)
    return b"XenSavedDomv2-\n" + records + struct.pack("<QQ", kind, 0) + (libxc_alone() if stream is None else stream) + behind


def run(*args, status=0):
    done = subprocess.run(args, capture_output=True, text=True, timeout=600, env={**os.environ, "XENLEVEL_BUILD": str(BUILD)})
    assert done.returncode == status, (args, done.stdout, done.stderr)
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(params=["libvirt", "XAPI"])
def image(request, tmp_path):
    path = tmp_path / "web1.save"
    path.write_bytes({"libvirt": libvirt, "XAPI": xapi}[request.param]())
    return request.param, path


def test_commands_open_them(image):
    whose, path = image
    assert "can run on" in run(XENLEVEL, "check", path, HOST)
    assert "ARCH_CAPABILITIES MSR" in run(XENLEVEL, "show", path)
    assert f"format {whose}, " in run(XENLEVEL, "stream", "show", path)
    answer = json.loads(run(XENLEVEL, "stream", "show", "--json", path))
    assert answer["layers"][-1] == "libxc"


def test_policy_comes_out(image, tmp_path):
    run(XENLEVEL, "stream", "extract-policy", image[1], "-o", tmp_path / "out.xlp")
    whole = tmp_path / "whole.save"
    whole.write_bytes(SAVED)
    assert run(XENLEVEL, "diff", tmp_path / "out.xlp", whole)


def test_images_are_not_written_anew(image, tmp_path):
    assert f"an image of {image[0]}" in run(XENLEVEL, "stream", "strip", image[1], "-o", tmp_path / "x", status=2)
    assert not (tmp_path / "x").exists()


def test_verify_stream_opens_them(image):
    whose, path = image
    text = run(VERIFY, path)
    assert f"in an image of {whose}" in text
    cut = path.with_suffix(".cut")
    cut.write_bytes(path.read_bytes()[:-len(path.read_bytes()) // 2])
    assert "cut off" in run(VERIFY, cut, status=1)


REFUSED = [
    ("version", libvirt(version=3), "version 3 of libvirt's header"),
    ("xml", libvirt(length=1 << 27), "XML of 134217728 bytes"),
    ("no-stream", libvirt(stream=b"something else"), "libvirt's image has no stream"),
    ("ends", libvirt(stream=b""), "ends at byte"),
    ("short", libvirt()[:40], "libvirt"),
    ("legacy", xapi(kind=0xF2), "legacy"),
    ("none", xapi(before=((0xFFFF, b""),)), "no stream of libxc"),
    ("cut", xapi()[:20], "ends at byte"),
    ("many", xapi(before=((0x0F, b""),) * 64), "64 records"),
    ("long", b"XenSavedDomv2-\n" + struct.pack("<QQ", 0x0F, 1 << 40), "bytes; at most"),
    ("old", b"XenSavedDomain\n" + bytes(64), "legacy image of XAPI"),
]


@pytest.mark.parametrize("content, why", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_by_name(content, why, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(content)
    assert why in run(XENLEVEL, "check", path, HOST, status=2)
    assert why in run(XENLEVEL, "stream", "show", path, status=2)
    assert run(VERIFY, path, status=2)
