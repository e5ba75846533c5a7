# SPDX-License-Identifier: MIT
"""xen-sim's socket, with the protocol spoken raw: good clients, bad ones beside them, permissions, restarts.

What a bad client costs is always the same: itself, and one line on the host's standard error.
"""

import array
import configparser
import errno
import fcntl
import mmap
import os
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simhost import (DIRTIED, DOMCTL, HELLO, HYPERCALL, INFO, MAX_BUFFER, POWER_OFF, REQUEST_SIZE, RUN, STORE_LIST, STORE_READ,
                     STORE_WRITE, SYSCTL, TRANSLATE, TRANSLATE_MAX, VERSION, XEN_VERSION, memory_fd)

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XEN_SIM = BUILD / "xen" / "sim" / "xen-sim"
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
XL = BUILD / "tools" / "xl" / "xl-sim"
MACHINES = ROOT / "xen" / "sim" / "machines"
HANGS = 600     # seconds after which something hangs, and is not only slow
MACHINE = "intel-haswell-ep"
BASE = 0x7F0000000000  # where a client says that its window is


def request(kind, body=b"", version=VERSION):
    return (struct.pack("II", kind, version) + body).ljust(REQUEST_SIZE, b"\0")


class Host:
    def __init__(self, path, *options, machine=MACHINE):
        self.path, self.socket, self.log = path, path / "sock", path / "stderr"
        argv = [XEN_SIM, "--machine", MACHINES / f"{machine}.ini", "--socket", self.socket, "--memory", 64, *options]
        self.process = subprocess.Popen([*map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=open(self.log, "w"), text=True, cwd=path)
        self.ready = self.process.stdout.readline()

    def errors(self):
        return self.log.read_text().splitlines()

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.stdout.close()
        status = self.process.wait(600)
        assert "Sanitizer" not in self.log.read_text() and "runtime error" not in self.log.read_text()
        return status


class Client:
    """Says hello, unless told otherwise."""

    def __init__(self, host, greet=True, size=1 << 16):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(HANGS)
        self.sock.connect(str(host.socket))
        self.memory = None
        if greet:
            self.fd = memory_fd(size)
            self.window = mmap.mmap(self.fd, size)
            result, body, fds = self.hello(self.fd, size)
            assert result == 0
            self.pages, = struct.unpack_from("Q", body)
            self.memory, = fds

    def send(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], control, socket.MSG_NOSIGNAL)

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 2 * REQUEST_SIZE, 4)
        if not data:
            raise EOFError
        return struct.unpack_from("q", data)[0], data[8:], fds

    def ask(self, kind, body=b""):
        self.send(request(kind, body))
        return self.receive()[:2]

    def hello(self, fd, size, base=BASE):
        self.send(request(HELLO, struct.pack("QQ", base, size)), [fd])
        return self.receive()

    def hypercall(self, op, *args):
        return self.ask(HYPERCALL, struct.pack("II5Q", op, 0, *args, *[0] * (5 - len(args))))[0]

    def works(self):
        return self.hypercall(XEN_VERSION, 0) == 4 << 16 | 17

    def store(self, kind, path, value=""):
        result, body = self.ask(kind, path.encode().ljust(256, b"\0") + value.encode().ljust(1024, b"\0"))
        if result < 0 or kind == STORE_WRITE:
            return result
        size, = struct.unpack_from("I", body)
        text = body[4:4 + size].decode()
        return text if kind == STORE_READ else text.split("\0")[:-1]

    def info(self):
        result, body = self.ask(INFO)
        assert result == 0
        return struct.unpack_from("QQQI64s", body)

    def gone(self):
        """The host has closed the connection, without a word or after its last one."""
        try:
            while True:
                self.receive()
        except (EOFError, ConnectionError):
            return True

    def close(self):
        self.sock.close()
        for fd in (self.memory, getattr(self, "fd", None)):
            if fd is not None:
                os.close(fd)


@pytest.fixture
def start(tmp_path):
    hosts = []

    def make(*options, **more):
        path = tmp_path / f"{len(hosts)}"
        path.mkdir()
        hosts.append(Host(path, *options, **more))
        assert hosts[-1].ready == f"xen-sim: {more.get('machine', MACHINE)} is ready at {hosts[-1].socket}\n"
        return hosts[-1]

    yield make
    for host in hosts:
        host.stop()


@pytest.fixture
def host(start):
    return start("--stepped")


def wait_for(condition):
    until = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


# ---- good clients ----

def test_greeting_gives_the_memory(host):
    c = Client(host)
    assert c.pages == (64 << 8) + 512           # the machine-to-physical table has its frames, too
    assert os.fstat(c.memory).st_size == c.pages << 12
    seals = fcntl.fcntl(c.memory, fcntl.F_GET_SEALS)
    assert seals & fcntl.F_SEAL_SHRINK and seals & fcntl.F_SEAL_GROW
    with pytest.raises(OSError):
        os.ftruncate(c.memory, 0)
    steps, now, seed, stepped, name = c.info()
    assert (steps, seed, stepped, name.rstrip(b"\0")) == (0, 1, 1, MACHINE.encode())


def test_hypercalls_use_the_window(host):
    c = Client(host)
    assert c.hypercall(XEN_VERSION, 1, BASE + 100) == 0  # XENVER_extraversion
    assert c.window[100:101] == b"-"
    end = BASE + (1 << 16)
    assert c.hypercall(XEN_VERSION, 1, end - 16) == 0
    for bad in (end - 15, end, BASE - 1, 0, 2**64 - 8, 2**64 - 1):
        assert c.hypercall(XEN_VERSION, 1, bad) == -errno.EFAULT
    assert c.hypercall(999) == -errno.ENOSYS
    assert c.works()


def test_clients_have_windows_of_their_own(host):
    a, b = Client(host), Client(host)
    assert a.hypercall(XEN_VERSION, 1, BASE) == 0
    assert a.window[:1] == b"-" and b.window[:1] == b"\0"
    a.close()
    wait_for(lambda: b.works())
    assert b.hypercall(XEN_VERSION, 1, BASE) == 0 and b.window[:1] == b"-"


def test_answers_come_in_order(host):
    c = Client(host)
    for i in range(8):
        c.send(request(HYPERCALL, struct.pack("II5Q", XEN_VERSION if i % 2 else 999, 0, 0, 0, 0, 0, 0)))
    assert [c.receive()[0] for _ in range(8)] == [-errno.ENOSYS, 4 << 16 | 17] * 4


def test_store(host):
    a, b = Client(host), Client(host)
    assert a.store(STORE_READ, "/x/y") == -errno.ENOENT
    assert a.store(STORE_WRITE, "/x/y", "1") == 0 and a.store(STORE_WRITE, "/x/yy/z", "2" * 1023) == 0
    assert b.store(STORE_READ, "/x/y") == "1" and b.store(STORE_READ, "/x/yy/z") == "2" * 1023
    assert b.store(STORE_LIST, "/x") == ["y", "yy"] and b.store(STORE_LIST, "/x/y") == []
    assert b.store(STORE_LIST, "/nowhere") == -errno.ENOENT
    assert b.store(STORE_WRITE, "/x/y", "") == 0 and a.store(STORE_READ, "/x/y") == -errno.ENOENT
    assert b.store(STORE_WRITE, "/x/y", "") == -errno.ENOENT
    assert b.store(STORE_WRITE, "/x", "") == 0 and a.store(STORE_READ, "/x/yy/z") == -errno.ENOENT


@pytest.mark.parametrize("path", ["", "/", "x", "//x", "/x/", "/x//y", "/x y", "/x\n", "/é"])
def test_store_paths(host, path):
    c = Client(host)
    assert c.store(STORE_WRITE, path, "v") == -errno.EINVAL and c.works()


@pytest.mark.parametrize("path,value", [(b"/" * 256, b"v\0"), (b"/x".ljust(256, b"\0"), b"v" * 1024)])
def test_store_text_without_an_end(host, path, value):
    c = Client(host)
    for kind in (STORE_READ, STORE_WRITE, STORE_LIST):
        assert c.ask(kind, path + value)[0] == -errno.EINVAL
    assert c.works()


def test_store_listing_that_does_not_fit(host):
    c = Client(host)
    for i in range(40):
        assert c.store(STORE_WRITE, f"/many/{i:0200}", "v") == 0
    assert c.store(STORE_LIST, "/many") == -errno.ENOBUFS
    assert c.store(STORE_WRITE, "/many", "") == 0 and c.store(STORE_LIST, "/many") == -errno.ENOENT


def xl(host, *args):
    done = subprocess.run([XL, "-s", host.socket, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          cwd=host.path, check=True, timeout=HANGS)
    return done.stdout


def create(host, name="g", guest="steady"):
    xl(host, "create", "/dev/null", f"name={name}", "type=pvh", "memory=4", f"guest={guest}")


def test_nodes_of_a_domain_go_with_it(host):
    c = Client(host)
    create(host)
    assert c.store(STORE_READ, "/local/domain/1/name") == "g"
    assert c.store(STORE_WRITE, "/local/domain/1/a/b", "v") == 0 and c.store(STORE_WRITE, "/other/1", "v") == 0
    xl(host, "destroy", "g")
    assert c.store(STORE_READ, "/local/domain/1/a/b") == -errno.ENOENT
    assert c.store(STORE_LIST, "/local/domain/1") == -errno.ENOENT
    assert c.store(STORE_READ, "/other/1") == "v"


def test_frames(host):
    c = Client(host)
    create(host)
    result, body = c.ask(TRANSLATE, struct.pack("II5Q", 1, 5, 0, 16, 1023, 1024, 2**64 - 1))
    mfns = struct.unpack_from("5Q", body)
    assert result == 0 and all(m < c.pages for m in mfns[:3]) and mfns[3:] == (2**64 - 1,) * 2
    memory = mmap.mmap(c.memory, c.pages * 4096)
    assert memory[mfns[1] * 4096:mfns[1] * 4096 + 8] == b"XVlGuest"
    for kind in (TRANSLATE, DIRTIED):
        assert c.ask(kind, struct.pack("II", 1, TRANSLATE_MAX + 1))[0] == -errno.E2BIG
        assert c.ask(kind, struct.pack("II", 1, 2**32 - 1))[0] == -errno.E2BIG
        for domid in (2, 0x7FF0, 0x7FF1, 0xFFFF, 0x10001, 2**32 - 1):
            assert c.ask(kind, struct.pack("IIQ", domid, 1, 0))[0] == -errno.ESRCH
        assert c.ask(kind, struct.pack(f"II{TRANSLATE_MAX}Q", 1, TRANSLATE_MAX, *[2**64 - 1 - i for i in range(TRANSLATE_MAX)]))[0] == 0
    assert c.works()


def test_steps(host):
    c = Client(host)
    create(host)
    assert c.ask(RUN, struct.pack("Q", 2**63))[0] == -errno.E2BIG
    assert c.info()[0] == 0
    result, body = c.ask(RUN, struct.pack("Q", 1000))
    steps, now = struct.unpack_from("QQ", body)
    assert result == 0 and steps == 1000 and now > 0
    assert c.info()[:2] == (1000, now)  # nothing moves by itself


def test_no_steps_on_a_running_host(start):
    c = Client(start())
    assert c.ask(RUN, struct.pack("Q", 1))[0] == -errno.EINVAL and c.works()


def test_running_host_keeps_time_and_rests(start):
    """Simulated time is real time; a host whose guests stand still costs nothing."""
    host = start("--pcpus", "1")
    create(host)
    c = Client(host)
    begun = time.monotonic()        # before it is asked: what passes in between is not its doing
    first = c.info()
    ticks = os.sysconf("SC_CLK_TCK")

    def cpu():
        fields = Path(f"/proc/{host.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    wait_for(lambda: c.info()[1] - first[1] > 10**9)
    passed = time.monotonic() - begun
    last = c.info()
    assert last[0] > first[0]
    assert passed > 0.8  # not ahead of real time
    xl(host, "pause", "g")
    assert c.works()
    before, stood = cpu(), time.monotonic()
    wait_for(lambda: time.monotonic() - stood > 0.5)
    assert cpu() - before < 0.1


def test_power_off(host):
    c, other = Client(host), Client(host)
    assert c.ask(POWER_OFF)[0] == 0
    assert host.process.wait(HANGS) == 0 and not host.socket.exists()
    assert other.gone() and host.errors() == []


# ---- bad clients ----

def bad_fd(kind, tmp_path):
    if kind == "unsealed":
        return memory_fd(1 << 16, seals=0)
    if kind == "only-grow-sealed":
        return memory_fd(1 << 16, seals=fcntl.F_SEAL_GROW)
    if kind == "short":
        return memory_fd(4096)
    if kind == "file":
        with open(tmp_path / "f", "wb") as f:
            f.truncate(1 << 16)
        return os.open(tmp_path / "f", os.O_RDWR)
    if kind == "directory":
        return os.open(tmp_path, os.O_RDONLY)
    if kind == "pipe":
        r, w = os.pipe()
        os.close(w)
        return r
    if kind == "zero":
        return os.open("/dev/zero", os.O_RDWR)
    if kind == "read-only":
        fd = memory_fd(1 << 16)
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    assert kind == "socket"
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()


@pytest.mark.parametrize("kind", ["unsealed", "only-grow-sealed", "short", "file", "directory", "pipe", "zero",
                                  "read-only", "socket"])
def test_memory_that_cannot_be_used(host, tmp_path, kind):
    good, c = Client(host), Client(host, greet=False)
    result, _, fds = c.hello(bad_fd(kind, tmp_path), 1 << 16)
    assert result in (-errno.EBADF, -errno.EACCES, -errno.ENODEV) and not fds
    assert good.works()
    # It may try again with a good one.
    assert c.hello(memory_fd(1 << 16), 1 << 16)[0] == 0 and c.works()


@pytest.mark.parametrize("base,size", [(BASE, 0), (BASE, MAX_BUFFER + 1), (BASE, 2**64 - 1), (2**64 - 4096, 1 << 16)])
def test_window_that_cannot_be(host, base, size):
    c = Client(host, greet=False)
    assert c.hello(memory_fd(1 << 17), size, base)[0] == -errno.EINVAL


def test_largest_window(host):
    c = Client(host, size=MAX_BUFFER)
    assert c.hypercall(XEN_VERSION, 1, BASE + MAX_BUFFER - 16) == 0


BAD = {
    "empty": lambda c: c.send(b""),
    "short": lambda c: c.send(request(INFO)[:-1]),
    "tiny": lambda c: c.send(b"x"),
    "long": lambda c: c.send(request(INFO) + b"x"),
    "very long": lambda c: c.send(request(INFO) + bytes(100000)),
    "version": lambda c: c.send(request(INFO, version=VERSION + 1)),
    "kind 0": lambda c: c.send(request(0)),
    "kind 11": lambda c: c.send(request(11)),
    "kind max": lambda c: c.send(request(2**32 - 1)),
    "garbage": lambda c: c.send(random.Random(5).randbytes(REQUEST_SIZE)),
    "greets twice": lambda c: c.send(request(HELLO, struct.pack("QQ", BASE, 1 << 16)), [memory_fd(1 << 16)]),
    "descriptor": lambda c: c.send(request(INFO), [0]),
    "descriptors": lambda c: c.send(request(INFO), [0, 1, 2]),
    "many descriptors": lambda c: c.send(request(INFO), [0] * 200),
    "descriptors with garbage": lambda c: c.send(b"xyz", [0, 1]),
}
BAD_FIRST = {
    "no greeting": lambda c: c.send(request(INFO)),
    "hypercall": lambda c: c.send(request(HYPERCALL, struct.pack("IIQQ", SYSCTL, 0, BASE, 0))),
    "power off": lambda c: c.send(request(POWER_OFF)),
    "no descriptor": lambda c: c.send(request(HELLO, struct.pack("QQ", BASE, 1 << 16))),
    "two descriptors": lambda c: c.send(request(HELLO, struct.pack("QQ", BASE, 1 << 16)), [memory_fd(1 << 16), 0]),
    "five descriptors": lambda c: c.send(request(HELLO, struct.pack("QQ", BASE, 1 << 16)), [memory_fd(1 << 16)] * 5),
}


def open_files(host):
    return sorted(os.readlink(f) for f in Path(f"/proc/{host.process.pid}/fd").iterdir())


@pytest.mark.parametrize("what", [*BAD, *BAD_FIRST])
def test_bad_client_is_dropped(host, what):
    good = Client(host)
    assert good.works()
    files = len(open_files(host))
    bad = Client(host, greet=what in BAD)
    (BAD.get(what) or BAD_FIRST[what])(bad)
    assert bad.gone() and good.works()
    assert len(open_files(host)) == files  # nothing that it sent is kept
    lines = [] if what == "empty" else [2]  # an empty packet is how a connection ends
    assert len(host.errors()) == len(lines)
    assert all(line.startswith("xen-sim: client 2 is dropped: ") for line in host.errors())


def test_window_goes_with_its_client(host):
    good, c = Client(host), Client(host)

    def windows():
        return Path(f"/proc/{host.process.pid}/maps").read_text().count("memfd:fake-host")

    assert windows() == 2
    c.close()
    wait_for(lambda: good.works() and windows() == 1)
    bad = Client(host)
    assert windows() == 2
    bad.send(b"x")
    assert bad.gone()
    wait_for(lambda: windows() == 1)        # its socket goes first


def test_client_that_dies_in_the_middle(host):
    good = Client(host)
    create(host)
    for _ in range(20):
        c = Client(host)
        for _ in range(5):
            c.send(request(RUN, struct.pack("Q", 100)))
        c.close()
    wait_for(lambda: good.info()[0] > 0)
    assert good.works()
    assert all("dropped" not in line for line in host.errors())  # to go is no offence


def test_client_that_does_not_read(host):
    good, bad = Client(host), Client(host)
    bad.sock.setblocking(False)
    body = struct.pack(f"II{TRANSLATE_MAX}Q", 0, TRANSLATE_MAX, *range(TRANSLATE_MAX))
    for _ in range(100000):
        try:
            bad.send(request(TRANSLATE, body))
        except BlockingIOError:
            assert good.works()
        except OSError:
            break
    else:
        pytest.fail("it is still served")
    assert good.works()
    assert host.errors() == ["xen-sim: client 2 is dropped: it does not read its replies"]


def test_more_clients_than_there_is_room_for(host):
    """The one that has been idle for the longest time goes."""
    clients = [Client(host) for _ in range(64)]
    clients[0].works()
    extra = Client(host)
    assert extra.works() and clients[1].gone()
    assert all(c.works() for c in clients if c is not clients[1])
    assert host.errors() == ["xen-sim: client 2 is dropped: there are 64, and it has been idle for the longest time"]
    clients[10].close()
    wait_for(lambda: clients[0].works())
    assert Client(host).works() and extra.works() and len(host.errors()) == 1


IDLERS = """
import socket, sys
clients = []
for _ in range(int(sys.argv[2])):
    clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    clients[-1].connect(sys.argv[1])
print("there", flush=True)
sys.stdin.read()
"""


def test_idle_clients_lock_nobody_out(host):
    """However many a process opens, only its own are lost: whoever came before is idle and stays."""
    before = Client(host)
    with subprocess.Popen([sys.executable, "-c", IDLERS, str(host.socket), "200"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as idlers:
        assert idlers.stdout.readline() == "there\n"
        assert xl(host, "info")
        after = Client(host)
        assert after.works() and before.works()
        idlers.stdin.close()
    assert all("has been idle" in line for line in host.errors())


# ---- steps take their time ----

MOST_STEPS = 10000000


def test_a_run_keeps_nobody_waiting(host):
    create(host)
    runner, other = Client(host), Client(host)
    runner.send(request(RUN, struct.pack("Q", MOST_STEPS)))
    wait_for(lambda: other.info()[0] > 0)
    assert other.info()[0] < MOST_STEPS // 2 and xl(host, "info")
    late = Client(host)
    assert late.works()
    steps = late.info()[0]
    assert 0 < steps < MOST_STEPS
    # Two that run take turns.
    late.send(request(RUN, struct.pack("Q", 1000)))
    result, body, _ = late.receive()
    assert result == 0 and steps + 1000 <= struct.unpack_from("Q", body)[0] < MOST_STEPS
    # Nobody needs the steps of one that has gone.
    runner.close()
    wait_for(lambda: other.info()[0] == other.info()[0])
    steps = other.info()[0]
    assert steps < MOST_STEPS and other.works() and other.info()[0] == steps


def test_requests_behind_a_run_are_answered_behind_it(host):
    create(host)
    c = Client(host)
    c.send(request(RUN, struct.pack("Q", 20000)))
    c.send(request(INFO))
    (first, run, _), (second, info, _) = c.receive(), c.receive()
    assert first == second == 0 and run == info and struct.unpack_from("Q", info)[0] == 20000


def test_a_run_in_slices_is_the_same_run(start):
    """Whoever looks on changes nothing."""
    seen = []
    for watched in (False, True):
        host = start("--stepped", "--seed", "5")
        create(host)
        c, other = Client(host), Client(host)
        c.send(request(RUN, struct.pack("Q", 300000)))
        while watched and other.info()[0] < 300000:
            pass
        result, body, _ = c.receive()
        assert result == 0
        seen.append(body)
    assert seen[0] == seen[1]


def test_the_others_go_on_when_all_places_run(host):
    create(host)
    runners = [Client(host) for _ in range(64)]
    for c in runners:
        c.send(request(RUN, struct.pack("Q", 2000)))
    for c in runners:
        assert c.receive()[0] == 0
    assert runners[0].info()[0] == 64 * 2000


def test_window_that_changes_under_a_hypercall(host):
    """Shared memory is read once: whatever a client writes meanwhile, the host stands."""
    c, good = Client(host), Client(host)
    chance = random.Random(7)
    for _ in range(2000):
        at = chance.randrange(0, 1 << 15)
        c.window[at:at + 64] = chance.randbytes(64)
        c.send(request(HYPERCALL, struct.pack("II5Q", chance.choice((SYSCTL, SYSCTL + 1, 12)), 0,
                                              BASE + chance.randrange(1 << 16), BASE, 0, 0, 0)))
        c.window[at:at + 64] = chance.randbytes(64)
        c.receive()
    assert good.works()


def test_random_requests(host):
    """Bodies that mean nothing, to every kind of request but the last."""
    good, c = Client(host), Client(host)
    chance = random.Random(11)
    for i in range(3000):
        kind = chance.choice((HYPERCALL, TRANSLATE, DIRTIED, STORE_READ, STORE_WRITE, STORE_LIST, INFO))
        c.send(request(kind, chance.randbytes(chance.randrange(REQUEST_SIZE - 8))))
        c.receive()
    assert good.works() and host.errors() == []


# ---- the socket ----

def test_socket_is_the_users_alone(host):
    st = os.stat(host.socket)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600 and st.st_uid == os.geteuid()


def test_socket_is_private_from_its_first_moment(tmp_path):
    """Whatever the umask: a mode that is put right behind bind() would be seen here now and then."""
    modes, path = set(), tmp_path / "sock"
    for _ in range(10):
        process = subprocess.Popen([XEN_SIM, "--machine", MACHINES / f"{MACHINE}.ini", "--socket", path, "--memory", "1",
                                    "--stepped"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, umask=0)
        until = time.monotonic() + HANGS
        while not path.exists() and time.monotonic() < until:
            pass
        modes.add(stat.S_IMODE(path.stat().st_mode))
        process.terminate()
        assert process.wait(HANGS) == 0 and not path.exists()
    assert modes == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_other_users_are_refused(start):
    host = start("--stepped")
    os.chmod(host.socket, 0o666)  # as if somebody had opened the door
    for parent in [host.path, *host.path.parents]:
        if parent.stat().st_mode & 0o001 == 0:
            os.chmod(parent, parent.stat().st_mode | 0o011)
    done = subprocess.run(["/usr/bin/python3", "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX, "
                           "socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); sys.exit(len(s.recv(1)))",
                           host.socket], user=65534, group=65534, timeout=HANGS, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 or "ConnectionResetError" in done.stderr, done.stderr
    wait_for(lambda: host.errors())
    assert host.errors() == ["xen-sim: client 1 is dropped: it belongs to another user"]
    assert Client(host).works()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_cleanly(host, how):
    c = Client(host)
    assert host.stop(how) == 0 and not host.socket.exists() and c.gone()


def test_killed_and_restarted(start):
    host = start("--stepped")
    create(host)
    assert host.stop(signal.SIGKILL) == -signal.SIGKILL and host.socket.exists()
    again = Host(host.path, "--stepped")
    try:
        assert "is ready" in again.ready
        c = Client(again)
        assert c.works() and c.store(STORE_READ, "/local/domain/1/name") == -errno.ENOENT
    finally:
        assert again.stop() == 0


def refused(path, *options, machine=MACHINES / f"{MACHINE}.ini"):
    done = subprocess.run([*map(str, [XEN_SIM, "--machine", machine, "--socket", path, *options])], timeout=HANGS,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("xen-sim: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_living_host_is_not_replaced(host):
    c = Client(host)
    assert "a host is running there" in refused(host.socket)
    assert c.works() and Client(host).works()


def test_what_is_no_socket_stays(tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    assert "is no socket" in refused(file) and file.read_text() == "precious"


def test_no_such_directory(tmp_path):
    assert "No such file" in refused(tmp_path / "nowhere" / "sock")


def test_path_that_is_too_long(tmp_path):
    assert "characters" in refused(tmp_path / ("x" * 108))


# ---- the command ----

def test_help_and_version():
    for option, text in (("--help", "usage: xen-sim --machine FILE"), ("--version", "xen-sim 0.")):
        done = subprocess.run([XEN_SIM, option], stdout=subprocess.PIPE, text=True, timeout=HANGS)
        assert done.returncode == 0 and done.stdout.startswith(text)


@pytest.mark.parametrize("options", [[], ["--bogus"], ["--machine"]])
def test_usage(options):
    done = subprocess.run([XEN_SIM, *options], stderr=subprocess.PIPE, text=True, timeout=HANGS)
    assert done.returncode == 2 and "usage:" in done.stderr


@pytest.mark.parametrize("options", [["--pcpus", "0"], ["--pcpus", "65"], ["--pcpus", "x"], ["--memory", "0"],
                                     ["--memory", "-1"], ["--seed", "1x"], ["--seed", ""], ["stray"]])
def test_bad_options(tmp_path, options):
    refused(tmp_path / "sock", *options)
    assert not (tmp_path / "sock").exists()


def test_bad_command_line_of_the_hypervisor(tmp_path):
    assert "no-such-feature" in refused(tmp_path / "sock", "--", "cpuid=no-such-feature")


@pytest.mark.parametrize("line,text,what", [
    (2, "name = x\npcpus = 65\n", "pcpus"), (2, "name = x\npcpus = zero\n", "pcpus"), (1, "nonsense = 1\n", "nonsense"),
    (1, "memory = -5\n", "memory"), (1, "virtualised = maybe\n", "virtualised"), (1, "garbage\n", "key = value"),
    (2, "[msr]\n0xcf = 1\n", "0xcf"), (2, "[msr]\n0xce = 0x10000000000000000\n", "0x1"), (1, "name =\n", "empty"),
    (2, "[other]\na = b\n", "other"), (1, "name = " + "x" * 70 + "\n", "too long")])
def test_bad_machine_file(tmp_path, line, text, what):
    file = tmp_path / "m.ini"
    file.write_text("[machine]\n" + text)
    said = refused(tmp_path / "sock", machine=file)
    assert said.startswith(f"xen-sim: {file}: line {line + 1}: ") and what in said


def test_machine_without_its_dump(tmp_path):
    file = tmp_path / "m.ini"
    file.write_text("[machine]\nname = m\nsource = s\ncpuid = none.cpuid\n")
    assert "none.cpuid: No such file" in refused(tmp_path / "sock", machine=file)
    (tmp_path / "none.cpuid").write_text("nothing\n")
    assert "not a CPUID dump" in refused(tmp_path / "sock", machine=file)
    file.write_text("[machine]\nname = m\n")
    assert "needs name, source and cpuid" in refused(tmp_path / "sock", machine=file)
    assert "No such file" in refused(tmp_path / "sock", machine=tmp_path / "none.ini")


@pytest.mark.parametrize("machine", sorted(p.stem for p in MACHINES.glob("*.ini")))
def test_every_machine_boots(start, machine):
    host = start("--stepped", "--log", "log", "--", "loglvl=all", machine=machine)
    c = Client(host)
    assert c.works() and c.info()[4].rstrip(b"\0") == machine.encode()
    assert "Command line: loglvl=all" in (host.path / "log").read_text()
    assert host.errors() == []


def known(program, cwd):
    done = subprocess.run([program, "--list"], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def boots_by_name(program, name, cwd):
    with subprocess.Popen([program, "-m", name, "-s", "sock"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        ready = process.stdout.readline()
        process.terminate()
        assert not ready or process.wait(600) == 0
        return ready == f"xen-sim: {name} is ready at sock\n"


def test_machine_by_name_out_of_the_build_folder(tmp_path):
    assert {f"{MACHINE}.ini", f"{MACHINE}.cpuid"} <= known(XEN_SIM, tmp_path)
    assert boots_by_name(XEN_SIM, MACHINE, tmp_path)
    assert not boots_by_name(XEN_SIM, "no-such-machine", tmp_path)


def test_machine_by_name_where_it_is_installed(tmp_path):
    """What stands beside the program comes before the source tree; wherever both were moved."""
    program, machines = tmp_path / "bin" / "xen-sim", tmp_path / "share" / "xenlevel" / "machines"
    program.parent.mkdir()
    machines.mkdir(parents=True)
    shutil.copy(XEN_SIM, program)
    text = (MACHINES / f"{MACHINE}.ini").read_text()
    (machines / "mine.ini").write_text(text.replace(f"name = {MACHINE}\n", "name = mine\n"))
    shutil.copy(MACHINES / f"{MACHINE}.cpuid", machines)
    assert known(program, tmp_path) == {"mine.ini", f"{MACHINE}.cpuid"}
    assert boots_by_name(program, "mine", tmp_path)
    assert not boots_by_name(program, MACHINE, tmp_path)


# ---- stock mode ----

GET_CPU_POLICY, SET_CPU_POLICY, NO_SUBLEAF = 82, 83, 0xFFFFFFFF


def cpu_policy(client, op, leaves, domain=1):
    """XEN_DOMCTL_{get,set}_cpu_policy; what there is is in the window afterwards."""
    for version in range(0x15, 0x19):   # of the domctl interface: Xen 4.17 to 4.22; which one depends on the headers
        result, got = cpu_policy_of(version, client, op, leaves, domain)
        if result != -errno.EACCES:
            break
    return result, got


def cpu_policy_of(version, client, op, leaves, domain):
    where = BASE + 4096
    client.window[4096:4096 + 24 * len(leaves)] = b"".join(struct.pack("6I", *leaf) for leaf in leaves)
    client.window[:256] = (struct.pack("IIH6x", op, version, domain) +
                           struct.pack("IIQQ3I", len(leaves), 0, where, 0, 0, 0, 0)).ljust(256, b"\0")
    result = client.hypercall(DOMCTL, BASE)
    count, = struct.unpack_from("I", client.window, 16)
    got = [struct.unpack_from("6I", client.window, 4096 + 24 * i) for i in range(count)]
    return result, {leaf[:2]: leaf[2:] for leaf in got}


def test_a_stock_host_says_yes_and_gives_something_else(start):
    """Refused by name by the core; on a stock host a success, with another CPU."""
    for options in (), ("--stock",), ("--stock=4.22",):
        host = start("--stepped", *options, machine="intel-sandybridge-ep")
        xl(host, "create", "-p", "/dev/null", "name=g", "type=pvh", "memory=4", "guest=steady")
        c = Client(host)
        room = [(0,) * 6] * 200
        result, before = cpu_policy(c, GET_CPU_POLICY, room)
        assert result == 0
        told = [(1, NO_SUBLEAF, *before[1, NO_SUBLEAF][:2], before[1, NO_SUBLEAF][2] | 1 << 12, before[1, NO_SUBLEAF][3]),
                (0x80000002, NO_SUBLEAF, 1, 2, 3, 4)]
        result, _ = cpu_policy(c, SET_CPU_POLICY, told)
        after = cpu_policy(c, GET_CPU_POLICY, room)[1]
        assert result == (0 if options else -errno.EINVAL)
        assert after[1, NO_SUBLEAF] == before[1, NO_SUBLEAF]
        assert (after[0x80000002, NO_SUBLEAF] == (1, 2, 3, 4)) == bool(options)
        assert ("FMA" in xl(host, "dmesg").upper()) == (not options)


@pytest.mark.parametrize("version", ["4.16", "4.23", "4", "4.x", "5.17", ""])
def test_stock_versions(tmp_path, version):
    assert "not a Xen whose ways are known" in refused(tmp_path / "sock", f"--stock={version}")


# ---- the same CPU, booted on and planned with ----

def as_dump(machine):
    """A machine file as one dump: its CPUID, and [msr] as InstLatx64 writes MSRs; one that it has not is zero."""
    ini = configparser.ConfigParser(inline_comment_prefixes=";")
    ini.read(MACHINES / f"{machine}.ini")
    text = (MACHINES / ini["machine"]["cpuid"]).read_text()
    for msr, value in {"0xce": "0", "0x10a": "0", **(ini["msr"] if "msr" in ini else {})}.items():
        digits = f"{int(value, 0):016X}"
        text += f"MSR {int(msr, 0):08X}: {'-'.join(digits[i:i + 4] for i in range(0, 16, 4))}\n"
    return text


OSXSAVE = 1 << 27


def policies(pb, path):
    """What a host's file says that it offers, and whom it can run.

    Raw without the state in which the pCPU was asked: OSXSAVE, the APIC id, the size for XCR0.
    """
    host = pb.File.FromString(path.read_bytes()).host
    answer = {}
    for p in host.policies:
        for leaf in p.policy.leaves if p.index == 0 else ():
            if leaf.leaf == 1:
                leaf.ebx, leaf.ecx = leaf.ebx & 0xFFFFFF, leaf.ecx & ~OSXSAVE
            elif leaf.leaf == 0xB:
                leaf.edx = 0
            elif leaf.leaf == 0xD and leaf.subleaf < 2:
                leaf.ebx = 0
        answer[p.index] = list(p.policy.leaves), list(p.policy.msrs)
    words = {f.index: list(f.featureset.words) for f in host.featuresets}
    words[0][1] &= ~OSXSAVE
    return answer, words


@pytest.fixture(scope="session")
def pb(tmp_path_factory):
    out = tmp_path_factory.mktemp("pb")
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={out}", "cpu_policy.proto"], check=True)
    sys.path.insert(0, str(out))
    import cpu_policy_pb2
    return cpu_policy_pb2


@pytest.mark.parametrize("options", [(), ("cpuid=no-avx2,no-rdrand",)], ids=["plain", "options"])
@pytest.mark.parametrize("machine", sorted(p.stem for p in MACHINES.glob("*.ini")))
def test_a_dump_says_what_the_host_offers(start, tmp_path, pb, machine, options):
    """`xenlevel host` there and `xenlevel host --dump`: the same policies, for the same types of guests."""
    if machine.endswith("skylake-sp"):
        # Their CPUID shows old microcode, and a dump is taken at its word; the simulated Xen takes microcode to be of today.
        options = ("spec-ctrl=no-gds-mit", *options)
    host = start("--stepped", "--", *options, machine=machine)
    dump = tmp_path / "cpu.txt"
    dump.write_text(as_dump(machine))
    asked, planned = tmp_path / "asked.xlp", tmp_path / "planned.xlp"
    subprocess.run([XENLEVEL, "host", "-o", asked], check=True, stdout=subprocess.DEVNULL, timeout=HANGS,
                   env=dict(os.environ, XENLEVEL_HOST=str(host.socket)))
    subprocess.run([XENLEVEL, "host", "--dump", dump, "-o", planned,
                    "--xen-cmdline", " ".join(options)], check=True, stdout=subprocess.DEVNULL, timeout=HANGS)
    asked, planned = policies(pb, asked), policies(pb, planned)
    assert sorted(asked[0]) == sorted(planned[0]) and len(asked[0]) in (4, 6)
    for index in asked[0]:
        assert asked[0][index] == planned[0][index], f"policy {index}"
    # The ABI has words for Xen's features only; a file has ours behind them.
    assert asked[1] == {index: words[:len(asked[1][index])] for index, words in planned[1].items()}
