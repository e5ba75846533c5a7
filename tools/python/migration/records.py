# SPDX-License-Identifier: MIT
"""The records of both layers (records.def), as sets of types."""

import os

from . import tables

FOLDER = os.path.join("tools", "libxc")
OPTIONAL = 1 << 31
MOST = (1 << 32) - 1        # no upper limit: a length has 32 bits


class Layer:
    """The records of one layer. `types` has their numbers by name; everything else is about numbers."""

    def __init__(self, rows):
        self.types = {row["name"]: row["type"] for row in rows}
        self.names = {row["type"]: row["name"] for row in rows}
        self._rows = rows
        self.only_pv, self.only_hvm = self._where("guests", "pv"), self._where("guests", "hvm")
        self.static = self._where("place", "static")
        self.static_end = self._where("place", "static-end")
        self.memory = self._where("place", "memory")
        self.anywhere = self._where("place", "anywhere")
        self.retired, self.back_channel = self._where("place", "retired"), self._where("place", "back-channel")
        self.checkpointed = self._where("place", "checkpointed")
        self.once, self.once_a_checkpoint = self._where("often", "once"), self._where("often", "checkpoint")
        self.once_a_vcpu = tuple(sorted(self._where("often", "vcpu")))
        self.empty = self._where("high", 0)
        self.since = {row["type"]: row["since"] for row in rows}
        # A body has `low` bytes and a multiple of `step`, up to `high`.
        self.size = {row["type"]: (row["low"], row["step"], row["high"]) for row in rows}
        self.behind = {row["type"]: self._types(row["behind"]) for row in rows if row["behind"]}
        self.not_behind = {row["type"]: self._types(row["not_behind"]) for row in rows if row["not_behind"]}

    def _where(self, key, value):
        return {row["type"] for row in self._rows if row[key] == value}

    def _types(self, names):
        return tuple(self.types[name] for name in names)

    def record_name(self, kind):
        if kind in self.names:
            return self.names[kind]
        return f"optional {kind:#x}" if kind & OPTIONAL else f"unknown {kind:#x}"


_TABLE = tables.load("records", FOLDER)
LIBXC, LIBXL = Layer(_TABLE["libxc"]), Layer(_TABLE["libxl"])
NEEDED = tuple(LIBXC.types[name] for name in _TABLE["needed"])      # without which nothing can run
