# SPDX-License-Identifier: MIT
"""A host that speaks xen/include/sim-abi/protocol.h, in Python, with very little hypervisor behind it.

It is there to be wrong in every way that a server can be: FakeHost(path, lies={kind: function}), where the
function gets the connection and the request and does what it likes; False from it means "now the honest answer".
"""

import array
import errno
import fcntl
import mmap
import os
import socket
import struct
import threading

HELLO, HYPERCALL, TRANSLATE, DIRTIED, STORE_READ, STORE_WRITE, STORE_LIST, RUN, INFO, POWER_OFF = range(1, 11)
VERSION = 2
PAGE = 4096
MAX_BUFFER = 64 << 20
MEMORY_OP, XEN_VERSION, SYSCTL, DOMCTL = 12, 17, 35, 36  # __HYPERVISOR_*
SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
TRANSLATE_MAX = 1024
REQUEST_SIZE = 8 + 8 + 8 * TRANSLATE_MAX
REPLY_SIZE = 8 + 8 * TRANSLATE_MAX  # struct sim_reply: result, and the largest member, frame numbers


class Lost(Exception):
    """The client is gone."""


def memory_fd(size, seals=SEALED):
    fd = os.memfd_create("fake-host", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Request:
    """struct sim_request, and the fields that its kind has."""

    def __init__(self, data, fds):
        self.data, self.fds = data, fds
        self.kind, self.version = struct.unpack_from("II", data)
        self.body = data[8:]

    def hello(self):
        return struct.unpack_from("QQ", self.body)  # base, size

    def hypercall(self):
        op, _, *args = struct.unpack_from("II5Q", self.body)
        return op, args

    def frames(self):
        domid, count = struct.unpack_from("II", self.body)
        return domid, struct.unpack_from(f"{count}Q", self.body, 8)

    def store(self):
        path, value = self.body[:256], self.body[256:256 + 1024]
        return path[:path.index(0)].decode(), value[:value.index(0)].decode()


class Connection:
    """A client, with its window."""

    def __init__(self, sock):
        self.sock = sock
        self.base, self.window = 0, None

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 2 * REQUEST_SIZE, 4)
        if not data:
            raise Lost
        return Request(data, fds)

    def reply(self, result, body=b"", fds=(), size=REPLY_SIZE):
        data = (struct.pack("q", result) + body).ljust(size, b"\0")
        self.raw(data[:size], fds)

    def raw(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], control, socket.MSG_NOSIGNAL)
        except OSError as e:
            raise Lost from e

    # A hypercall's buffers.

    def read(self, address, size):
        at = address - self.base
        return self.window[at:at + size]

    def write(self, address, data):
        at = address - self.base
        self.window[at:at + len(data)] = data


class FakeHost:
    """Serves in a thread, one client after the other, until close()."""

    def __init__(self, path, lies=None, pages=1024):
        self.path, self.lies, self.pages = str(path), lies or {}, pages
        self.memory = memory_fd(pages * PAGE)
        self.store = {"/local/domain/0/name": "Domain-0"}
        self.dirtied, self.kinds, self.trouble = [], [], []
        self.domains = {0: 0}  # domid: XEN_DOMINF_* flags
        self.console = b"(XEN) fake\n"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(20)
        os.close(self.memory)
        assert not self.thread.is_alive() and not self.trouble, self.trouble

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                try:
                    self._client(Connection(sock))
                except Lost:
                    pass
                except Exception as e:  # the test must see it
                    self.trouble.append(repr(e))

    def _client(self, c):
        while True:
            r = c.receive()
            self.kinds.append(r.kind)
            try:
                lie = self.lies.get(r.kind)
                if lie is None or lie(c, r) is False:
                    self._answer(c, r)
            finally:
                for fd in r.fds:
                    os.close(fd)

    def _answer(self, c, r):
        if len(r.data) != REQUEST_SIZE or r.version != VERSION:
            return c.reply(-errno.EPROTO)
        return {HELLO: self._hello, HYPERCALL: self._hypercall, TRANSLATE: self._translate, DIRTIED: self._dirtied,
                STORE_READ: self._store_read, STORE_WRITE: self._store_write, INFO: self._info, RUN: self._info,
                POWER_OFF: lambda c, r: c.reply(0)}[r.kind](c, r)

    def _hello(self, c, r):
        c.base, size = r.hello()
        seals = fcntl.fcntl(r.fds[0], fcntl.F_GET_SEALS)
        assert len(r.fds) == 1 and size == MAX_BUFFER == os.fstat(r.fds[0]).st_size and seals & fcntl.F_SEAL_SHRINK
        c.window = mmap.mmap(r.fds[0], size)
        c.reply(0, struct.pack("Q", self.pages), [self.memory])

    def _translate(self, c, r):
        _, gfns = r.frames()
        c.reply(0, b"".join(struct.pack("Q", g if g < self.pages else 2**64 - 1) for g in gfns))

    def _dirtied(self, c, r):
        self.dirtied.append(r.frames())
        c.reply(0)

    def _store_read(self, c, r):
        value = self.store.get(r.store()[0])
        value = value.encode() if isinstance(value, str) else value
        c.reply(-errno.ENOENT) if value is None else c.reply(0, struct.pack("I", len(value)) + value)

    def _store_write(self, c, r):
        path, value = r.store()
        if value:
            self.store[path] = value
        elif self.store.pop(path, None) is None:
            return c.reply(-errno.ENOENT)
        return c.reply(0)

    def _info(self, c, r):
        c.reply(0, struct.pack("QQQI64s", 5, 7, 42, 1, b"fake-machine"))

    def _hypercall(self, c, r):
        op, args = r.hypercall()
        if op == XEN_VERSION:
            return c.reply(4 << 16 | 17 if args[0] == 0 else 0)
        handler = {SYSCTL: self._sysctl, DOMCTL: self._domctl}.get(op)
        return handler(c, args[0]) if handler else c.reply(-errno.ENOSYS)

    # XEN_SYSCTL_readconsole 1, physinfo 3, getdomaininfolist 6

    def _sysctl(self, c, at):
        cmd, = struct.unpack_from("I", c.read(at, 4))
        if cmd == 1:
            index, buffer, count = struct.unpack("IQI", c.read(at + 12, 4) + bytes(4) + c.read(at + 16, 12))
            text = self.console[index:index + count]
            c.write(buffer, text)
            c.write(at + 12, struct.pack("I", index + len(text)))
            c.write(at + 24, struct.pack("I", len(text)))
            return c.reply(0)
        if cmd == 6:
            first, _, _, buffer, _ = struct.unpack("HHIQI", c.read(at + 8, 20))
            listed = [i for i in sorted(self.domains) if i >= first]
            for n, domid in enumerate(listed):
                c.write(buffer + n * self.info_size(), self._domain(domid))
            c.write(at + 24, struct.pack("I", len(listed)))
            return c.reply(0)
        return c.reply(-errno.ENOSYS)

    @staticmethod
    def info_size():
        """sizeof(struct xen_domctl_getdomaininfo) of <xen/domctl.h>, as Debian 12 has it."""
        return 112

    def _domain(self, domid):
        info = struct.pack("HHI", domid, 0, self.domains[domid]) + struct.pack("Q", 256)
        return info.ljust(self.info_size(), b"\0")

    # XEN_DOMCTL_destroydomain 2, pausedomain 3, unpausedomain 4, getdomaininfo 5

    def _domctl(self, c, at):
        cmd, _, domid = struct.unpack("IIH", c.read(at, 10))
        if domid not in self.domains:
            return c.reply(-errno.ESRCH)
        if cmd == 5:
            c.write(at + 16, self._domain(domid))
        elif cmd == 3:
            self.domains[domid] |= 1 << 3
        elif cmd == 4:
            self.domains[domid] &= ~(1 << 3)
        elif cmd == 2:
            del self.domains[domid]
        else:
            return c.reply(-errno.ENOSYS)
        return c.reply(0)
