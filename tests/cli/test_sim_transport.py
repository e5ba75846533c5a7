# SPDX-License-Identifier: MIT
"""The toolstack's side of a simulated host, against hosts that are wrong in every way (simhost.py)."""

import errno
import os
import struct
import subprocess
from pathlib import Path

import pytest
import simhost
from simhost import HELLO, HYPERCALL, INFO, PAGE, POWER_OFF, STORE_READ, TRANSLATE, FakeHost, Lost, memory_fd

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XL = BUILD / "tools" / "xl" / "xl-sim"
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
HVM = 1 << 1        # XEN_DOMINF_hvm_guest


def run(*args, host=None, program=XL, status=0):
    env = dict(os.environ)
    env.pop("XENLEVEL_HOST", None)
    if host is not None:
        env["XENLEVEL_HOST"] = str(host)
    done = subprocess.run([program, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=env, timeout=600)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done


def refused(*args, host, says):
    """It fails with one line, which says this."""
    done = run(*args, host=host, status=2)
    assert done.stderr.count("\n") == 1 and says in done.stderr, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def fake(tmp_path):
    hosts = []

    def make(lies=None, **more):
        hosts.append(FakeHost(tmp_path / f"host{len(hosts)}", lies, **more))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


# ---- a host that is what it should be ----

def test_list(fake):
    host = fake()
    host.domains[7] = 1 << 3 | 1 << 1
    host.store["/local/domain/7/name"] = "web1"
    lines = run("list", host=host.path).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["Domain-0", "0"], ["web1", "7"]]
    assert "--p---" in lines[2]


def test_names_are_in_the_store(fake):
    host = fake()
    host.domains[3] = 0
    host.store["/local/domain/3/name"] = "db"
    run("pause", "db", host=host.path)
    assert host.domains[3] == 1 << 3
    run("unpause", "3", host=host.path)
    assert host.domains[3] == 0
    run("destroy", "db", host=host.path)
    assert 3 not in host.domains and "/local/domain/3/name" not in host.store
    refused("pause", "db", host=host.path, says="there is no domain called 'db'")
    refused("pause", "3", host=host.path, says="there is no domain 3")


def test_console(fake):
    host = fake()
    host.console = b"(XEN) one\n(XEN) \x1b[2Jtwo\n"
    assert run("dmesg", host=host.path).stdout == "(XEN) one\n(XEN) \\x1b[2Jtwo\n"
    # Longer than one buffer.
    host.console = b"".join(b"(XEN) line %d\n" % i for i in range(10000))
    assert run("dmesg", host=host.path).stdout.encode() == host.console


def test_socket_option(fake):
    host = fake()
    for args in (("-s", host.path, "list"), ("--socket", host.path, "list"), (f"--socket={host.path}", "list"),
                 ("list", "-s", host.path)):
        assert "Domain-0" in run(*args).stdout
    # The option comes before the environment.
    assert "Domain-0" in run("-s", host.path, "list", host="/nonexistent").stdout


def test_guest_memory_is_mapped(fake):
    host = fake()
    host.domains[5] = HVM
    host.store["/local/domain/5/name"] = "g"
    page = struct.pack("QII", 0x74736575476C5658, 1, 1) + bytes(112) + struct.pack("IIQ", 1, 0, 12345)
    os.pwrite(host.memory, page, 16 * PAGE)
    assert "12345" in run("status", "g", host=host.path).stdout
    assert TRANSLATE in host.kinds and not host.dirtied  # it was only read
    os.pwrite(host.memory, b"\0" * 8, 16 * PAGE)
    refused("status", "g", host=host.path, says="no scripted guest")


def test_power_off(fake):
    host = fake()
    run("poweroff", host=host.path)
    assert POWER_OFF in host.kinds


def test_xenlevel_asks_the_named_host(fake):
    host = fake()
    done = run("host", "-o", "/nonexistent/x", program=XENLEVEL, host=host.path, status=2)
    assert HELLO in host.kinds and HYPERCALL in host.kinds
    assert "does not offer it" in done.stderr  # no physinfo


def test_empty_variable_means_no_host():
    done = run("list", host="", status=2)
    assert "XENLEVEL_HOST" in done.stderr
    assert "no Xen here" in run("host", program=XENLEVEL, host="", status=2).stderr


# ---- no host, or not a host ----

def test_no_socket(tmp_path):
    refused("list", host=tmp_path / "none", says=f"no simulated host at {tmp_path}/none: No such file")


def test_nothing_listens(tmp_path):
    with simhost.socket.socket(simhost.socket.AF_UNIX, simhost.socket.SOCK_SEQPACKET) as s:
        s.bind(str(tmp_path / "left"))
        s.listen()
    refused("list", host=tmp_path / "left", says="nothing listens there any more")


def test_not_a_socket(tmp_path):
    (tmp_path / "file").write_text("")
    refused("list", host=tmp_path / "file", says="no simulated host at")


def test_other_kind_of_socket(tmp_path):
    with simhost.socket.socket(simhost.socket.AF_UNIX, simhost.socket.SOCK_STREAM) as s:
        s.bind(str(tmp_path / "stream"))
        s.listen()
        refused("list", host=tmp_path / "stream", says="another kind of socket")


def test_long_path():
    refused("list", host="/" + "x" * 107, says="at most 107 characters")


# ---- a host that dies or lies ----

def dies(c, r):
    raise Lost


def answers(result, body=b"", size=simhost.REPLY_SIZE, fds=()):
    return lambda c, r: c.reply(result, body, fds, size)


GREETINGS = {
    "dies": (dies, "is gone"),
    "sends nothing": (lambda c, r: c.raw(b""), "is gone"),
    "short": (answers(0, size=4), "answers with 4 bytes"),
    "no body": (answers(0, size=8), "answers with 8 bytes where there should be 16"),
    "long": (answers(0, size=simhost.REPLY_SIZE + 1), "more than a reply has"),
    "refuses": (answers(-errno.EPROTO), "does not take this toolstack: Protocol error"),
    "no such error": (answers(-5000), "error -5000, which there is not"),
    "no memory": (answers(0, struct.pack("Q", 16)), "passes no memory"),
}


@pytest.mark.parametrize("how", GREETINGS)
def test_greeting(fake, how):
    lie, says = GREETINGS[how]
    message = refused("list", host=fake({HELLO: lie}).path, says=says)
    assert message.startswith("xl-sim: the simulated host at ")


def passing(pages, size, seals):
    def lie(c, r):
        fd = memory_fd(size, seals)
        try:
            c.reply(0, struct.pack("Q", pages), [fd])
        finally:
            os.close(fd)
    return lie


MEMORY = {
    "none at all": (passing(0, PAGE, simhost.SEALED), "has 0 pages"),
    "too much to be true": (passing(1 << 62, PAGE, simhost.SEALED), "pages of memory"),
    "less than it says": (passing(17, 16 * PAGE, simhost.SEALED), "less memory than it says"),
    "a page less one byte": (passing(16, 16 * PAGE - 1, simhost.SEALED), "less memory than it says"),
    "not sealed": (passing(16, 16 * PAGE, 0), "not sealed"),
    "sealed against growing only": (passing(16, 16 * PAGE, simhost.fcntl.F_SEAL_GROW), "not sealed"),
}


@pytest.mark.parametrize("how", MEMORY)
def test_memory(fake, how):
    lie, says = MEMORY[how]
    refused("list", host=fake({HELLO: lie}).path, says=says)


def test_memory_is_no_memfd(fake, tmp_path):
    def lie(c, r):
        with open(tmp_path / "memory", "wb+") as f:
            f.truncate(16 * PAGE)
            c.reply(0, struct.pack("Q", 16), [f.fileno()])
    refused("list", host=fake({HELLO: lie}).path, says="not sealed")


def test_more_descriptors_than_asked_for(fake):
    host = fake()

    def lie(c, r):
        c.base, size = r.hello()
        c.window = simhost.mmap.mmap(r.fds[0], size)
        c.reply(0, struct.pack("Q", host.pages), [host.memory] * 5)
    host.lies[HELLO] = lie
    assert "Domain-0" in run("list", host=host.path).stdout


HYPERCALLS = {
    "dies": (dies, "is gone"),
    "short": (answers(0, size=7), "answers with 7 bytes"),
    "long": (answers(0, size=simhost.REPLY_SIZE + 1), "more than a reply has"),
    "huge": (answers(1 << 40), "answers a hypercall with 1099511627776"),
    "no such error": (answers(-(1 << 40)), "which there is not"),
}


@pytest.mark.parametrize("how", HYPERCALLS)
def test_hypercall(fake, how):
    lie, says = HYPERCALLS[how]
    message = refused("list", host=fake({HYPERCALL: lie}).path, says=says)
    assert "asking Xen for its domains: the simulated host at" in message


def test_descriptor_with_a_hypercall(fake):
    host = fake()
    host.lies[HYPERCALL] = lambda c, r: c.reply(0, fds=[host.memory])
    refused("list", host=host.path, says="file descriptor that nobody asked for")


def test_an_error_is_an_error(fake):
    refused("list", host=fake({HYPERCALL: answers(-errno.EPERM)}).path, says="not permitted")


def listing(domids, count=None):
    """Every question for domains is answered with these."""
    def lie(c, r):
        op, args = r.hypercall()
        if op != simhost.SYSCTL or struct.unpack("I", c.read(args[0], 4)) != (6,):
            return False
        buffer, = struct.unpack("Q", c.read(args[0] + 16, 8))
        for n, domid in enumerate(domids):
            c.write(buffer + n * 112, struct.pack("HHI", domid, 0, 0).ljust(112, b"\0"))
        c.write(args[0] + 24, struct.pack("I", len(domids) if count is None else count))
        return c.reply(0)
    return lie


def test_more_domains_than_fit(fake):
    refused("list", host=fake({HYPERCALL: listing([0], 257)}).path, says="257 domains where 256 fit")


def test_domains_without_end(fake):
    refused("list", host=fake({HYPERCALL: listing(range(256))}).path, says="lists domain 0 where those from 256 on")


def test_domains_in_a_circle(fake):
    refused("list", host=fake({HYPERCALL: listing([0, 2, 1])}).path, says="lists domain 1 where those from 3 on")


def test_log_without_end(fake):
    def lie(c, r):
        op, args = r.hypercall()
        c.write(args[0] + 24, struct.pack("I", 64 << 10))
        c.reply(0)
    done = run("dmesg", host=fake({HYPERCALL: lie}).path)
    assert 16 << 20 <= done.stdout.count("\\x00") <= (16 << 20) + (64 << 10)


def test_log_longer_than_there_is_room(fake):
    def lie(c, r):
        op, args = r.hypercall()
        c.write(args[0] + 24, struct.pack("I", (64 << 10) + 1))
        c.reply(0)
    refused("dmesg", host=fake({HYPERCALL: lie}).path, says="65537 bytes of its log where 65536 fit")


def test_store_value_longer_than_there_is_room(fake):
    host = fake({STORE_READ: answers(0, struct.pack("I", 4097))})
    refused("pause", "web1", host=host.path, says="value of its store has 4097 bytes")


def test_store_does_not_answer(fake):
    refused("pause", "web1", host=fake({STORE_READ: dies}).path, says="is gone")


def test_name_with_bytes_behind_its_end(fake):
    host = fake({STORE_READ: answers(0, struct.pack("I", 6) + b"a\0bcde")})
    assert "a " in run("list", host=host.path).stdout


def test_frame_beyond_its_memory(fake):
    host = fake()
    host.domains[5] = HVM
    host.lies[TRANSLATE] = answers(0, struct.pack("Q", host.pages))
    refused("status", "5", host=host.path, says="frame 400, where it has no memory")


def test_frame_that_is_not_there(fake):
    host = fake()
    host.domains[5] = HVM
    host.lies[TRANSLATE] = answers(0, struct.pack("Q", 2**64 - 1))
    refused("status", "5", host=host.path, says="no scripted guest")


def test_translation_cut_short(fake):
    host = fake()
    host.domains[5] = HVM
    host.lies[TRANSLATE] = answers(0, size=15)
    refused("status", "5", host=host.path, says="answers with 15 bytes where there should be 16")


def test_info_is_cut_short(fake):
    refused("run", "1", host=fake({INFO: answers(0, size=40)}).path, says="answers with 40 bytes")


def test_machine_name_without_end(fake):
    host = fake({INFO: answers(0, b"\xff" * 4096), simhost.RUN: answers(0, b"\xff" * 4096)})
    assert run("run", "1", host=host.path, status=1).stdout.startswith("0 steps made")
