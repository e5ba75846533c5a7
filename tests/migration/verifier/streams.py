# SPDX-License-Identifier: MIT
"""What the tests and the benchmark share: a large image that needs no room, and Debian's verifier."""

import glob
import os
import struct
import sys
from pathlib import Path

import streambuilder
from migration import libxc


def stock_verifier():
    """Debian's verify-stream-v2, from the lab's cache or the system; None when there is none."""
    cache = Path(os.environ.get("XENLAB_CACHE") or
                 Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xenlevel/lab")
    for pattern in (str(cache / "unpacked/xen-utils-4*/usr/lib/xen-*"), "/usr/lib/xen-*"):
        for directory in sorted(glob.glob(pattern), reverse=True):
            if os.path.exists(f"{directory}/bin/verify-stream-v2"):
                return [sys.executable, f"{directory}/bin/verify-stream-v2"], {"PYTHONPATH": f"{directory}/lib/python"}
    return None


def large_image(path, mib, pages=None):
    """A stream of that much memory in records as Xen writes them; `pages`: 4 MiB for each, else they are holes of the file."""
    s = streambuilder.hvm_stream(layer="xl")
    memory = s.index(libxc.PAGE_DATA)
    first, second = s.at(memory), s.at(s.index(libxc.TSC_INFO))
    data = s.raw()
    with open(path, "wb") as file:
        file.write(data[:first])
        for n in range(mib // 4):
            file.write(struct.pack("<IIII1024Q", libxc.PAGE_DATA, 8 + 8192 + (4 << 20), 1024, 0,
                                   *range(n * 1024, n * 1024 + 1024)))
            if pages:
                file.write(pages)
            else:
                file.seek(4 << 20, os.SEEK_CUR)
        file.write(data[second:])
