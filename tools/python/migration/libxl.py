# SPDX-License-Identifier: MIT
"""libxl's layer: a header, and records around libxc's stream."""

import struct

from . import libxc
from .records import LIBXL as TABLE, OPTIONAL
from .source import Body, Truncated

END, LIBXC_CONTEXT, XENSTORE_DATA, EMULATOR_CONTEXT, CHECKPOINT_END, CHECKPOINT_STATE, HEAD_CHECKSUM = (
    TABLE.types[name] for name in ("END", "LIBXC_CONTEXT", "EMULATOR_XENSTORE_DATA", "EMULATOR_CONTEXT", "CHECKPOINT_END",
                                   "CHECKPOINT_STATE", "HEAD_CHECKSUM"))
NAMES, record_name = TABLE.names, TABLE.record_name
IDENT = 0x4c6962786c466d74
VERSION = 2
BIG_ENDIAN, LEGACY = 1, 2
EMULATORS = {0: "unknown", 1: "QEMU traditional", 2: "QEMU"}
QEMU, QEMU_MAGIC, QEMU_VERSION = 2, b"QEVM", 3      # how QEMU's own stream of its devices begins: the two, big-endian
MAX_XENSTORE = 1 << 20      # bytes of one EMULATOR_XENSTORE_DATA
MAX_STATE = 3               # CHECKPOINT_STATE: new, suspended, ready, resumed
HEADER, RECORDS = "libxl header", "libxl records"
KEY_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_@")


class Stream:
    """libxl's stream; `libxc` is what is inside, once it has been found."""

    def __init__(self, source, report, make_libxc):
        self.source, self.report, self.make_libxc = source, report, make_libxc
        self.libxc = None
        self.record = -1
        self.run_length = 0             # optional records up to here, one behind the other
        self.types = {}
        self.checkpointed = False       # libxc's stream waits behind a CHECKPOINT
        self.libxc_ended = False
        self.emulators = []
        self._crc, self._left_at = None, 0      # libxc's, while the stream is ours
        self._head = (0, 0)     # CRC-32 and length of all in front of libxc's stream

    def add(self, code, offset, section, text):
        self.report.problem(code, offset, section, text)

    def header(self):
        """False when nothing behind it can be read."""
        self.report.place("libxl", None, None)
        at = self.source.offset
        ident, version, options = struct.unpack(">QII", self.source.read(16))
        if ident != IDENT:
            self.add("ident", at, HEADER, "libxl's stream does not begin here: no \"LibxlFmt\"")
            return False
        if version != VERSION:
            self.add("version", at + 8, HEADER, f"version {version}; {VERSION} is known, read as that")
        if options & BIG_ENDIAN:
            self.add("endian", at + 12, HEADER, "the stream is big-endian; no x86 host writes or reads that")
            return False
        if options & LEGACY:
            self.report.note("converted from a legacy stream")
        if options & ~(BIG_ENDIAN | LEGACY):
            self.add("reserved", at + 12, HEADER, "reserved bits are not zero")
        return True

    def run(self):
        """Read to END, or to the end of the bytes. True when END was there."""
        while not self.source.at_end():
            if self._one() == END:
                return True
        self.report.place("libxl", None, None)
        if not self.libxc or self.libxc_ended or self.checkpointed:
            self.add("no-end", self.source.offset, "libxl END", "the stream ends without an END record")
        return False

    def _one(self):
        start = self.source.offset
        self.record += 1
        kind, length = struct.unpack("<II", self._record_header())
        self._place(kind)
        self.run_length = libxc.check_run(self.run_length, kind, start, RECORDS, self.report)
        count, size = self.types.get(kind, (0, 0))
        if count or len(self.types) < 1000:
            self.types[kind] = (count + 1, size + length)
        self._order(kind, start)
        if kind in TABLE.empty and length:
            self.add("length", start + 4, self._section(kind), f"a body of {length} bytes, must have none")
        body = Body(self.source, length)
        handler = self.HANDLERS.get(kind)
        if handler:
            handler(self, body, start)
        body.skip()
        pad = -length % 8
        if pad:
            at = self.source.offset
            if self.source.read(pad).count(0) != pad:
                self.add("padding", at, RECORDS, "padding is not zero")
        if kind == LIBXC_CONTEXT:
            self._enter()
        elif kind == CHECKPOINT_END and self.checkpointed:
            self._leave_checkpoint()
        return kind

    def _place(self, kind):
        self.report.place("libxl", self.record, record_name(kind))

    def _section(self, kind):
        return f"libxl {NAMES[kind]}" if kind == END else NAMES[kind]

    def _record_header(self):
        try:
            return self.source.read(8)
        except Truncated:
            self.report.place("libxl", self.record, None)     # not the one before
            raise

    def _order(self, kind, start):
        if kind not in NAMES:
            if not kind & OPTIONAL:
                self.add("unknown-record", start, RECORDS, f"no mandatory record has type {kind:#x}")
            return
        if kind == LIBXC_CONTEXT:
            if self.libxc:
                self.add("twice", start, RECORDS, "stands here a second time")
        elif not self.libxc:
            self.add("order", start, RECORDS, "stands before LIBXC_CONTEXT")
        if kind in TABLE.checkpointed and self.libxc and not self.libxc.checkpoints:
            self.add("order", start, RECORDS, "in a stream that is not checkpointed")
        if kind == END and self.checkpointed:
            self.add("order", start, RECORDS, "libxc's stream has not ended")

    # ---- libxc's layer ----

    def _enter(self):
        if self.source.crc:
            self._head, self.source.crc = self.source.crc.mark(), None
        self.libxc = self.make_libxc()
        if not self.libxc.headers():
            self.source.skip_to_end()
            return
        self._go_on()

    def _go_on(self):
        """Read libxc's records until the stream is ours again."""
        stream = self.libxc
        how = stream.run()
        self.checkpointed = how == "checkpoint"
        self.libxc_ended = how != "cut"
        self._crc, self.source.crc = self.source.crc, None
        self._left_at = self.source.offset

    def _leave_checkpoint(self):
        """Behind CHECKPOINT_END libxc goes on; COLO's CHECKPOINT_STATE may stand in between."""
        while self.libxc.guest == libxc.HVM and self._state_follows():
            self._one()
        self.libxc.resume(self._left_at)
        self.source.crc = self._crc
        self._go_on()

    def _state_follows(self):
        """Type 5 is X86_PV_VCPU_EXTENDED to libxc, which no HVM stream has."""
        return self.source.peek(4) == struct.pack("<I", CHECKPOINT_STATE)

    # ---- records ----

    def _emulator(self, body, start, name):
        """The common beginning: which emulator; None when there is none."""
        if body.length < 8:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, at least 8 are needed")
            return None
        at = body.offset
        emulator, index = struct.unpack("<II", body.read(8))
        if emulator not in EMULATORS:
            self.add("emulator", at, name, f"emulator {emulator}; 0, 1 and 2 are known")
        elif len(self.emulators) < 100:
            self.emulators.append({"record": name, "emulator": EMULATORS[emulator], "index": index, "bytes": body.length - 8})
        return emulator

    def _xenstore_data(self, body, start):
        name = NAMES[XENSTORE_DATA]
        if self._emulator(body, start, name) is None or not body.left:
            return
        at = body.offset
        if body.left > MAX_XENSTORE:
            self.add("length", start + 4, name, f"{body.left} bytes of keys and values; {MAX_XENSTORE} are taken")
            return
        data = body.read(body.left)
        if data[-1]:
            self.add("xenstore", at + len(data) - 1, name, "the last value does not end with a NUL")
            data += b"\0"
        parts = data[:-1].split(b"\0")
        if len(parts) % 2:
            self.add("xenstore", at, name, f"{len(parts)} strings do not make pairs of key and value")
        for i, part in enumerate(parts):
            if not i % 2 and (not part or set(part) - KEY_CHARACTERS):
                self.add("xenstore", at, name, f"string {i}: not the name of a xenstore node")
            at += len(part) + 1

    def _emulator_context(self, body, start):
        name = NAMES[EMULATOR_CONTEXT]
        emulator = self._emulator(body, start, name)
        if emulator is None:
            return
        at, begin = body.offset, body.read(min(body.left, 8))
        if not begin:
            self.add("length", start + 4, name, "has no context")
        elif emulator == QEMU and begin != QEMU_MAGIC + QEMU_VERSION.to_bytes(4, "big"):
            self.add("emulator-context", at, name, f"begins with {begin.hex()}: QEMU's state begins with \"QEVM\" and its "
                                                   f"format's version, {QEMU_VERSION}")

    def _checkpoint_state(self, body, start):
        name = NAMES[CHECKPOINT_STATE]
        if body.length not in (4, 8):
            self.add("length", start + 4, name, f"a body of {body.length} bytes, must be 4 or 8")
            return
        at = body.offset
        state, = struct.unpack("<I", body.read(4))
        if state > MAX_STATE:
            self.add("checkpoint-state", at, name, f"state {state}; 0 to {MAX_STATE} are known")

    def _head_checksum(self, body, start):
        name, at = NAMES[HEAD_CHECKSUM], body.offset
        if self.types[HEAD_CHECKSUM][0] > 1:
            self.add("twice", start, RECORDS, "stands here a second time")
        if body.length != 16:
            self.add("length", start + 4, name, f"a body of {body.length} bytes, must be 16")
            return
        algorithm, crc, count = struct.unpack("<IIQ", body.read(16))
        if algorithm != 1:
            self.add("checksum-algorithm", at, name, f"algorithm {algorithm}; 1 (CRC-32) is known")
            return
        if count != self._head[1]:
            self.add("checksum-bytes", at + 8, name, f"the head is said to be {count} bytes, and is {self._head[1]}")
        if crc != self._head[0]:
            self.add("checksum", at + 4, name, f"the head's CRC-32 is {crc:08x}, its bytes make {self._head[0]:08x}")

    HANDLERS = {HEAD_CHECKSUM: _head_checksum, XENSTORE_DATA: _xenstore_data, EMULATOR_CONTEXT: _emulator_context, CHECKPOINT_STATE: _checkpoint_state}
