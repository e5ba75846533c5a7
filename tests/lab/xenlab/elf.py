# SPDX-License-Identifier: MIT
"""Just enough ELF to know which shared libraries a program needs (what ldd knows, without running anything)."""

import os
import struct
from pathlib import Path

SYSTEM_DIRS = [Path("/lib/x86_64-linux-gnu"), Path("/usr/lib/x86_64-linux-gnu"), Path("/lib64"), Path("/usr/local/lib")]
LIB_DIRS = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]


def _segments(image):
    phoff, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for i in range(count):
        kind, _, offset, addr, _, filesz, _, _ = struct.unpack_from("<IIQQQQQQ", image, phoff + i * size)
        yield kind, offset, addr, filesz


def needed(image):
    """Names of the libraries (DT_NEEDED) and of the interpreter of a 64-bit ELF image; [] for anything else."""
    if image[:5] != b"\x7fELF\x02":
        return []
    segments, names, strtab = list(_segments(image)), [], None
    offsets = []
    for kind, offset, _, size in segments:
        if kind == 3:                                           # PT_INTERP
            names.append(image[offset:offset + size].rstrip(b"\0").decode())
        if kind == 2:                                           # PT_DYNAMIC
            for at in range(offset, offset + size, 16):
                tag, value = struct.unpack_from("<qQ", image, at)
                if tag == 0:
                    break
                if tag == 1:
                    offsets.append(value)
                if tag == 5:
                    strtab = value
    for kind, offset, addr, size in segments:
        if kind == 1 and strtab is not None and addr <= strtab < addr + size:
            base = offset + strtab - addr
            names += [image[base + o:image.index(b"\0", base + o)].decode() for o in offsets]
    return names


def find_library(name, roots):
    if name.startswith("/"):            # the interpreter: that of the packages' libc, if they have one
        return next((p for root in roots for p in (root / name[1:], root / "usr" / name[1:]) if p.exists()), Path(name))
    for directory in [root / d for root in roots for d in LIB_DIRS] + SYSTEM_DIRS:
        if (directory / name).exists():
            return directory / name
    raise FileNotFoundError(f"shared library {name}: not in the packages and not on this machine")


def libraries(images, roots=()):
    """{path in the host: file here} for all that these ELF images need, and what that needs in turn."""
    found, todo = {}, [n for image in images for n in needed(image)]
    while todo:
        name = todo.pop()
        target = name if name.startswith("/") else f"/lib/x86_64-linux-gnu/{os.path.basename(name)}"
        if target in found:
            continue
        found[target] = find_library(name, roots)
        todo += needed(found[target].read_bytes())
    return found
