# SPDX-License-Identifier: MIT
"""Where the bytes come from: a file, in which page data is skipped without being read, or a pipe."""

import os
import select
import stat

from .crc import Crc

CHUNK = 8208        # one read is a PAGE_DATA record's head, as Xen writes it: 8 + 8 + 1024 frame numbers
DISCARD = 1 << 18   # what is skipped of a pipe, or for a checksum, is read in pieces of this size


class Truncated(Exception):
    """The bytes end before what is wanted does."""

    def __init__(self, offset, missing):
        super().__init__(f"the stream ends at byte {offset}, {missing} bytes short")
        self.offset, self.missing = offset, missing


class GivenUp(Exception):
    """What is reported already makes reading on pointless."""


class Source:
    """Bytes in order. `offset` counts from where the descriptor stood; `crc` is fed what passes while it is on."""

    def __init__(self, fd, use_seek=True):
        self.fd = fd
        self.offset = 0         # of the next byte that read() returns
        self.size = None        # None when only the end tells
        self.crc = None
        self.bytes_read = 0     # from the descriptor
        self._base = None
        self._buffer, self._at = b"", 0
        mode = os.fstat(fd).st_mode
        if use_seek and (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            try:
                self._base = os.lseek(fd, 0, os.SEEK_CUR)
                self.size = max(0, os.lseek(fd, 0, os.SEEK_END) - self._base)
                os.lseek(fd, self._base, os.SEEK_SET)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)    # what follows a head is not wanted: no readahead
            except OSError:
                self._base = self.size = None

    @property
    def seekable(self):
        return self._base is not None

    def _fill(self, size):
        """Read some more bytes into the empty buffer; b"" at the end."""
        if self._base is None:
            self._buffer = self._read_fd(size)
        else:
            self._buffer = os.pread(self.fd, size, self._base + self.offset)
        self._at = 0
        self.bytes_read += len(self._buffer)
        return self._buffer

    def _read_fd(self, size):
        """read() that waits also on a descriptor somebody made non-blocking."""
        while True:
            try:
                return os.read(self.fd, size)
            except BlockingIOError:
                select.select([self.fd], [], [])

    def read_some(self, n):
        """Up to n bytes; fewer only at the end."""
        end = self._at + n
        if end <= len(self._buffer):
            data = self._buffer[self._at:end]
            self._at = end
            self.offset += n
        else:
            parts, left = [], n
            while left:
                if self._at == len(self._buffer) and not self._fill(max(CHUNK, min(left, DISCARD))):
                    break
                piece = self._buffer[self._at:self._at + left]
                self._at += len(piece)
                self.offset += len(piece)
                left -= len(piece)
                parts.append(piece)
            data = b"".join(parts)
        if self.crc:
            self.crc.feed(data)
        return data

    def read(self, n):
        """Exactly n bytes."""
        data = self.read_some(n)
        if len(data) < n:
            raise Truncated(self.offset, n - len(data))
        return data

    def skip(self, n):
        """Pass over n bytes."""
        if self.crc or self._base is None:
            while n > 0:
                n -= len(self.read(min(n, DISCARD)))
            return
        left = self.size - self.offset
        if n > left:
            self.offset, self._buffer, self._at = self.size, b"", 0
            raise Truncated(self.offset, n - left)
        self.offset += n
        self._at += n
        if self._at > len(self._buffer):
            self._buffer, self._at = b"", 0

    def peek(self, n):
        """The next n bytes (few; fewer at the end), which stay."""
        while len(self._buffer) - self._at < n:
            rest = self._buffer[self._at:]
            if self._base is None:
                more = self._read_fd(CHUNK)
            else:
                more = os.pread(self.fd, CHUNK, self._base + self.offset + len(rest))
            if not more:
                break
            self.bytes_read += len(more)
            self._buffer, self._at = rest + more, 0
        return self._buffer[self._at:self._at + n]

    def skip_to_end(self):
        """Pass over everything that is left."""
        if self._base is not None:
            self.offset, self._buffer, self._at = self.size, b"", 0
            return
        self.crc = None
        while self.read_some(DISCARD):
            pass

    def will_need(self, offset):
        """Have the kernel fetch what may stand there, while we look at something else."""
        if self._base is not None and offset < self.size and not self.crc:
            os.posix_fadvise(self.fd, self._base + offset, CHUNK, os.POSIX_FADV_WILLNEED)

    def at_end(self):
        """Are there no more bytes?"""
        return self._at == len(self._buffer) and not self._fill(CHUNK)

    def start_crc(self):
        self.crc = Crc()


class Nowhere:
    """Of what cannot be read at all."""

    offset = 0


class Body:
    """What one record holds: the source, bounded."""

    def __init__(self, source, length):
        self.source, self.length, self.left = source, length, length
        self.start = source.offset

    @property
    def offset(self):
        return self.source.offset

    def read(self, n):
        if n > self.left:
            raise ValueError("a record read past its end")      # ours to prevent, never the input's to cause
        data = self.source.read(n)
        self.left -= n
        return data

    def skip(self, n=None):
        n = self.left if n is None else n
        if n > self.left:
            raise ValueError("a record skipped past its end")
        if n:
            self.source.skip(n)
            self.left -= n
