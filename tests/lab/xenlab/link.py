# SPDX-License-Identifier: MIT
"""The line between two hosts: what a program in one dom0 (xl migrate's "ssh") says goes to a command in the other.

It passes through this process, so it can be counted, cut, stalled and damaged. Windows reach from end to end: a byte is
acknowledged to the sender when the receiver's program has been given it, so a line holds no more than one window.
"""

import threading
import time
from dataclasses import dataclass, field

from .agent import AgentError

LOST = 255              # what ssh exits with when the line breaks


@dataclass
class Fault:
    """What is to go wrong on the way from source to destination, at these numbers of bytes (None: does not happen).

    cut:     the line breaks before that byte; both ends see it end
    corrupt: that byte arrives with all its bits turned round
    stall:   nothing from that byte on arrives for `stall_seconds` (None: ever); `stalled` is set when it has come to that
    """
    cut: int = None
    corrupt: int = None
    stall: int = None
    stall_seconds: float = None
    stalled: threading.Event = field(default_factory=threading.Event)


class Link:
    """One connection. Made when the program at the source asks for it; `done` is set when both ends are finished."""

    def __init__(self, channel, dst, command, env=None, fault=None, record=None):
        self.channel, self.fault = channel, fault or Fault()
        self.record = record    # a bytearray: gets a copy of what passes
        self.taken = 0          # bytes the source gave away
        self.delivered = 0      # bytes the destination's program was given
        self.back = 0           # bytes from destination to source, errors not counted
        self.err = bytearray()  # the destination's stderr
        self.done = threading.Event()
        self.started = time.monotonic()
        self._stalled, self._held, self._timer = False, [], None
        self._lock = threading.RLock()
        self._cut = False
        channel.on_data = self._from_source
        channel.on_ack = self._source_took
        channel.on_exit = self._source_gone
        handlers = {1: self._from_destination, 2: self._errors, "ack": self._destination_took, "exit": self._destination_gone}
        self.process = dst.start(command, env, stdin=None, handlers=handlers)

    @property
    def destination(self):
        """The Result of the command at the destination; None while it runs, or when its host died."""
        p = self.process
        if p.poll() is None:
            return None
        from .host import Result
        return Result(p.rc, "", bytes(self.err).decode(errors="replace"), p.ended - p.started, p.command)

    def release(self):
        """End a stall."""
        with self._lock:
            self._stalled = False
            self.fault.stall = None
            held, self._held = self._held, []
            for data in held:
                self._forward(data)

    # ---- source to destination ----

    def _from_source(self, stream, data):
        with self._lock:
            if self._cut:
                self._quietly(self.channel.ack, 0, len(data))
            elif self._stalled:
                self._held.append(data)
            else:
                self._forward(data)

    def _forward(self, data):
        start, end, f = self.taken, self.taken + len(data), self.fault
        if not data:
            self._quietly(self.process.close_stdin)
            return
        if f.corrupt is not None and start <= f.corrupt < end:
            data = bytearray(data)
            data[f.corrupt - start] ^= 0xff
        if f.cut is not None and start <= f.cut < end:
            self._pass_on(data[:f.cut - start])
            self._break()
            return
        if f.stall is not None and start <= f.stall < end:
            self._pass_on(data[:f.stall - start])
            self._stalled = True
            f.stalled.set()
            self._held.append(bytes(data[f.stall - start:]))
            if f.stall_seconds is not None:
                self._timer = threading.Timer(f.stall_seconds, self.release)
                self._timer.daemon = True
                self._timer.start()
            return
        self._pass_on(data)

    def _pass_on(self, data):
        self.taken += len(data)
        if self.record is not None:
            self.record += data
        if data:
            self._quietly(self.process.write, bytes(data))

    def _destination_took(self, stream, count):
        self.delivered += count
        self._quietly(self.channel.ack, 0, count)

    # ---- destination to source ----

    def _from_destination(self, data):
        self.back += len(data)
        if self._cut:
            self._quietly(self.process.channel.ack, 1, len(data))
        else:
            self._quietly(self.channel.send, 1, data)

    def _errors(self, data):
        self.err += data
        if self._cut or not data:
            self._quietly(self.process.channel.ack, 2, len(data))
        else:
            self._quietly(self.channel.send, 2, data)

    def _source_took(self, stream, count):
        self._quietly(self.process.channel.ack, stream, count)

    # ---- ends ----

    def _break(self):
        self._cut = True
        self._quietly(self.channel.exit, LOST)
        self._quietly(self.process.close_stdin)

    def _source_gone(self, code):
        with self._lock:
            self._cut = True
            self._quietly(self.process.close_stdin)

    def _destination_gone(self, code):
        if self._timer:
            self._timer.cancel()
        if not self._cut:
            self._quietly(self.channel.exit, LOST if code is None else code)
        self.done.set()

    @staticmethod
    def _quietly(call, *args):
        try:
            call(*args)
        except AgentError:
            pass                # that host died: its end of the line is told by on_exit
