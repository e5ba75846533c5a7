# SPDX-License-Identifier: MIT
"""Writes cpio archives ("newc"), the form of an initramfs."""

import stat
from pathlib import PurePosixPath


class Cpio:
    def __init__(self):
        self._out = bytearray()
        self._dirs = set()
        self._ino = 0

    def _entry(self, path, mode, data=b"", rdev=(0, 0)):
        self._ino += 1
        name = path.lstrip("/").encode() + b"\0"
        fields = (self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name), 0)
        self._out += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        self._pad()
        self._out += data
        self._pad()

    def _pad(self):
        self._out += b"\0" * (-len(self._out) % 4)

    def directory(self, path):
        for parent in reversed(PurePosixPath(path).parents):
            self._one_directory(str(parent))
        self._one_directory(path)

    def _one_directory(self, path):
        path = "/" + path.strip("/")
        if path != "/" and path not in self._dirs:
            self._dirs.add(path)
            self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o755):
        self.directory(str(PurePosixPath(path).parent))
        self._entry(path, stat.S_IFREG | mode, data)

    def symlink(self, path, target):
        self.directory(str(PurePosixPath(path).parent))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor):
        self.directory(str(PurePosixPath(path).parent))
        self._entry(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def finish(self):
        """The archive, padded so that another one may follow."""
        self._entry("TRAILER!!!", 0)
        self._out += b"\0" * (-len(self._out) % 512)
        return bytes(self._out)
