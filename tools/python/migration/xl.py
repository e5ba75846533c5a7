# SPDX-License-Identifier: MIT
"""xl's header: what `xl save` puts in front, with the domain's configuration."""

import json
import struct

SECTION = "xl header"
MAGIC = b"Xen saved domain, xl format\n \0 \r"
BYTE_ORDER = 0x01020304
FLAG_JSON, FLAG_V2 = 1, 2
MAX_CONFIG = 1 << 18    # bytes of it that are looked at


class Header:
    def __init__(self, source, report):
        self.source, self.report = source, report
        self.name = self.domain_type = None
        self.config_bytes = 0

    def add(self, code, offset, text):
        self.report.problem(code, offset, SECTION, text)

    def read(self):
        """False when nothing behind it can be read."""
        self.report.place("xl", None, None)
        source = self.source
        magic = source.read(32)
        if magic != MAGIC:
            at = next(i for i in range(32) if magic[i] != MAGIC[i])
            self.add("magic", at, "the magic of `xl save` is damaged")
        order, mandatory, optional, length = struct.unpack("<4I", source.read(16))
        if order != BYTE_ORDER:
            self.add("endian", 32, f"byte order {order:#010x}, must be {BYTE_ORDER:#010x}: saved on another architecture")
            return False
        if mandatory & ~(FLAG_JSON | FLAG_V2):
            self.add("flags", 36, f"unknown mandatory flags {mandatory & ~(FLAG_JSON | FLAG_V2):#x}")
        if optional:
            self.add("flags", 40, f"unknown optional flags {optional:#x}")
        if not mandatory & FLAG_V2:
            self.report.unusable = ("a legacy image, of Xen 4.5 or older: restore it once with a Xen that still can (4.6 to 4.19 "
                                    "convert it), and save it anew")
            return False
        if length:
            self._optional_data(length, mandatory)
        return True

    def _optional_data(self, length, mandatory):
        source, at = self.source, self.source.offset
        if length < 4:
            self.add("config", 44, f"optional data of {length} bytes cannot hold a length")
            source.skip(length)
            return
        size, = struct.unpack("<I", source.read(4))
        length -= 4
        if size > length:
            self.add("config", at, f"a configuration of {size} bytes in optional data of {length}")
            size = length
        self.config_bytes = size
        data = source.read(min(size, MAX_CONFIG))
        source.skip(length - len(data))
        if mandatory & FLAG_JSON and size <= MAX_CONFIG:
            self._config(data, at + 4)

    def _config(self, data, at):
        try:
            config = json.loads(data.rstrip(b"\0").decode())
            info = config.get("c_info", {})
            self.name, self.domain_type = info.get("name"), info.get("type")
        except (ValueError, AttributeError, RecursionError):
            self.add("config", at, "the domain's configuration is not JSON of a domain")
            return
        self.name = self.name if isinstance(self.name, str) else None
        self.domain_type = self.domain_type if isinstance(self.domain_type, str) else None
