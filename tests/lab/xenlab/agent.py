# SPDX-License-Identifier: MIT
"""Our end of the port to dom0: channels, their streams and windows. The other end is dom0/agent.c, which says the protocol."""

import struct
import threading
from collections import deque

HEADER = struct.Struct("<IIBBH")
HELLO, EXEC, DATA, ACK, KILL, EXIT, OPEN, POWEROFF = range(1, 9)
WINDOW = 256 * 1024
CHUNK = 32 * 1024


class AgentError(Exception):
    """The port is gone: the host died, or was never there."""


class Channel:
    """One command, or one program of dom0's that asked for a connection. Handlers run in the port's reading thread."""

    def __init__(self, agent, number):
        self.agent, self.number = agent, number
        self.on_data = lambda stream, data: self.ack(stream, len(data))     # b"": the end of the stream
        self.on_ack = lambda stream, count: None
        self.on_exit = lambda code: None                                    # None: the host died
        self._credit = [WINDOW] * 3
        self._queue = [deque(), deque(), deque()]
        self._exit_code = None

    def send(self, stream, data):
        """Queue bytes for the program; b"" ends the stream. Never waits: what exceeds the window goes out on ACKs."""
        with self.agent.lock:
            self._queue[stream].append(memoryview(bytes(data)))
            self._pump(stream)

    def ack(self, stream, count):
        """The program may write that many bytes more."""
        if count:
            self.agent.frame(ACK, self.number, stream, struct.pack("<I", count))

    def poke(self):
        """A frame that says nothing (an ACK of no bytes), for the interrupt that comes with it."""
        self.agent.frame(ACK, self.number, 0, struct.pack("<I", 0))

    def kill(self, signal):
        self.agent.frame(KILL, self.number, 0, struct.pack("<I", signal))

    def exit(self, code):
        """End a connection: what the connected program is to exit with, after what was sent to it."""
        with self.agent.lock:
            self._exit_code = code
            self._pump(0)

    def _pump(self, stream):
        queue = self._queue[stream]
        while queue and (self._credit[stream] or not len(queue[0])):
            data = queue.popleft()
            n = min(len(data), CHUNK, self._credit[stream])
            self._credit[stream] -= n
            self.agent.frame(DATA, self.number, stream, data[:n])
            if n < len(data):
                queue.appendleft(data[n:])
        if self._exit_code is not None and not any(self._queue):
            self.agent.frame(EXIT, self.number, 0, struct.pack("<I", self._exit_code))
            self.agent.forget(self)
            self._exit_code = None

    def _acked(self, stream, count):
        with self.agent.lock:
            self._credit[stream] += count
            self._pump(stream)
        self.on_ack(stream, count)


class Agent:
    def __init__(self, sock, on_open):
        """`on_open(channel, arguments)` is called for a program in dom0 that runs xenlab-ssh."""
        self.sock, self.on_open = sock, on_open
        self.lock = threading.RLock()
        self.ready = threading.Event()
        self.closed = False
        self._channels, self._next = {}, 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def execute(self, argv, env, setup):
        """Start a command; `setup(channel)` puts the handlers in before anything can happen."""
        with self.lock:
            self._next += 1
            channel = Channel(self, self._next)
            setup(channel)
            self._channels[channel.number] = channel
        strings = list(argv) + [f"{k}={v}" for k, v in (env or {}).items()]
        payload = struct.pack("<I", len(argv)) + b"".join(s.encode() + b"\0" for s in strings)
        self.frame(EXEC, channel.number, 0, payload)
        return channel

    def frame(self, kind, channel, stream, data=b""):
        with self.lock:
            if self.closed:
                raise AgentError("the host is gone")
            try:
                self.sock.sendall(HEADER.pack(len(data), channel, kind, stream, 0) + data)
            except OSError as e:
                raise AgentError(f"the host is gone: {e}") from None

    def hello(self):
        """Ask whether the other end is there; `ready` is set when it answers."""
        try:
            self.frame(HELLO, 0, 0)
        except AgentError:
            pass

    def forget(self, channel):
        self._channels.pop(channel.number, None)

    def close(self):
        self.closed = True
        try:
            self.sock.shutdown(2)
        except OSError:
            pass
        self.sock.close()

    def _read(self):
        try:
            stream = self.sock.makefile("rb", buffering=1 << 16)
            while True:
                header = stream.read(HEADER.size)
                if len(header) < HEADER.size:
                    break
                size, number, kind, which, _ = HEADER.unpack(header)
                self._handle(number, kind, which, stream.read(size))
        except (OSError, ValueError):
            pass
        self.closed = True
        self.ready.set()
        for channel in list(self._channels.values()):
            channel.on_exit(None)
        self._channels.clear()

    def _handle(self, number, kind, stream, data):
        try:
            if kind == HELLO:
                self.ready.set()
                return
            if kind == OPEN:
                channel = self._channels[number] = Channel(self, number)
                self.on_open(channel, [a.decode() for a in data.rstrip(b"\0").split(b"\0")])
                return
            channel = self._channels.get(number)
            if channel is None:
                return
            if kind == DATA:
                channel.on_data(stream, data)
            elif kind == ACK:
                channel._acked(stream, struct.unpack("<I", data)[0])
            elif kind == EXIT:
                self.forget(channel)
                channel.on_exit(struct.unpack("<I", data)[0])
        except AgentError:
            pass
