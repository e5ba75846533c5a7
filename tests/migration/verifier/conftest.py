# SPDX-License-Identifier: MIT
"""Where verify-stream's package is, the build, and the captured streams."""

import lzma
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STREAMS = ROOT / "tests/migration/streams"
sys.path[:0] = [str(ROOT / "tools/python"), str(Path(__file__).parent)]
sys.dont_write_bytecode = True

BUILD = Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build")
os.environ.setdefault("XENLEVEL_PROTO", str(BUILD / "tools/python/cpu_policy.desc"))


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def captured(tmp_path_factory):
    """{name: path} of the streams that stock Xen wrote, unpacked."""
    directory = tmp_path_factory.mktemp("streams")
    found = {}
    for packed in sorted(STREAMS.glob("*.save.xz")):
        path = directory / packed.name[:-3]
        path.write_bytes(lzma.decompress(packed.read_bytes()))
        found[packed.name[:-len(".save.xz")]] = path
    return found
