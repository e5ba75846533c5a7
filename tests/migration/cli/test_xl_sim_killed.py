# SPDX-License-Identifier: MIT
"""Whoever is killed, and whatever the line does, at every moment of a migration: one side runs the domain.

What an administrator does afterwards is in xl-sim(1), "When a migration is cut short"; here it is done.
"""

import contextlib
import json
import os
import pty
import resource
import signal
import subprocess
import termios

import pytest

from test_xl_sim import BUILD, CASCADE, HANGS, XL
from test_xl_sim_migrate import goes_on, kind, level, names, over, pair, ticks, until  # noqa: F401: fixtures

pytestmark = pytest.mark.slow       # not part of `make check-quick`

MEMORY = [2000, 5000, 1 << 20, (1 << 22) + 77]      # bytes: in the policy, and in memory
INCOMING = "g--incoming"


def migrate(a, b, *options, status=2, name="g", **plan):
    return a.run("migrate", *options, "-S", over(**plan), name, b.socket, status=status)


def patient(a, b, *options, want, **plan):
    """(what became of it, its patience in seconds): with more patience each time, until the line came to what is tested."""
    told = a.path / "told"
    for seconds in (1, 2, 4, 8, 16, 32, 64, 128):
        told.unlink(missing_ok=True)
        done = migrate(a, b, "-t", seconds, *options, status=None, told=str(told), **plan)
        if told.exists() and json.loads(told.read_text()).get(want):
            return done, seconds
        assert "goes on here" in done.stderr, done.stderr       # the machine was busy: then, too
        goes_on(a)
        nothing_at(b)
    raise AssertionError(f"the line never came to that: {done.stderr}")


def state(host, name="g"):
    """'running', 'paused', 'suspended', or None: there is no such domain."""
    found = [d["state"] for d in host.ask("list") if d["name"] == name]
    return found[0].replace("shut down (suspend)", "suspended") if found else None


def nothing_at(host):
    until(lambda: names(host) == ["Domain-0"], "something is left")


def stands_still(host):
    before = ticks(host, "g")
    clock = host.ask("info")["time_ns"]
    until(lambda: host.ask("info")["time_ns"] > clock + 10**8, "its host stands still, too")
    assert ticks(host, "g") == before


@pytest.fixture(autouse=True)
def all_of_memory(monkeypatch):
    """Also frames of zeros, so that a line is busy for a while, and longer than its buffers hold."""
    monkeypatch.setenv("XENLEVEL_ZERO_PAGES", "0")


@pytest.fixture
def guest(pair):  # noqa: F811
    a, b = pair
    a.create(type="pvh", guest="writer", vcpus=2, memory=80, cpu_policy=level(a, b))
    goes_on(a)
    return pair


# ---- the sender is killed ----

@pytest.mark.parametrize("at", MEMORY)
def test_sender_killed_while_memory_moves(guest, at):
    a, b = guest
    migrate(a, b, status=-9, at=at, do=[["kill", "sender"]])
    nothing_at(b)
    goes_on(a)                                      # it has run all the time
    a.run("migrate", "g", b.socket)                 # and can still go
    goes_on(b)


def test_sender_killed_when_it_is_suspended(guest):
    a, b = guest
    migrate(a, b, "-n", status=-9, at=1 << 20, do=[["kill", "sender"]])
    nothing_at(b)
    assert state(a) == "suspended"
    a.run("migrate", "-r", "g")
    goes_on(a)


def test_sender_killed_before_it_has_let_go(guest):
    a, b = guest
    migrate(a, b, status=-9, at="R", do=[["kill", "sender"]])
    nothing_at(b)
    assert state(a) == "suspended"
    a.run("migrate", "--resume", "g")
    goes_on(a)
    assert "nothing to resume" in a.run("migrate", "--resume", "g", status=2).stderr
    a.run("migrate", "g", b.socket)
    goes_on(b)


@pytest.mark.parametrize("at", ["G", "A"])
def test_sender_killed_after_it_has_let_go(guest, at):
    a, b = guest
    migrate(a, b, status=-9, at=at, do=[["kill", "sender"]])
    goes_on(b)
    assert state(a) == "suspended"
    stands_still(a)
    a.run("destroy", "g")
    goes_on(b)


# ---- the receiver is killed ----

@pytest.mark.parametrize("at", MEMORY)
def test_receiver_killed_while_memory_moves(guest, at):
    a, b = guest
    done = migrate(a, b, at=at, do=[["kill", "receiver"]])
    assert "goes on here" in done.stderr
    goes_on(a)
    assert state(b) is None and state(b, INCOMING) in (None, "paused")
    if state(b, INCOMING):
        # Half a domain: nobody can let it run, nor mistake it for another.
        assert "not all there" in b.run("unpause", INCOMING, status=2).stderr
        assert INCOMING in a.run("migrate", "g", b.socket, status=2).stderr
        goes_on(a)
        b.run("destroy", INCOMING)
    a.run("migrate", "g", b.socket)
    goes_on(b)


def test_receiver_killed_before_it_may_run_it(guest):
    a, b = guest
    done = migrate(a, b, at="R", do=[["linger"], ["kill", "receiver"]])
    assert "kept suspended" in done.stderr          # 'G' went into a line whose end nobody sees from here
    assert state(a) == "suspended" and state(b) is None and state(b, INCOMING) == "paused"
    b.run("destroy", INCOMING)
    a.run("migrate", "--resume", "g")
    goes_on(a)


def test_receiver_killed_with_the_word_unread(guest):
    a, b = guest
    done = migrate(a, b, at="G", do=[["stop", "receiver"], ["kill", "receiver"]])
    assert "kept suspended" in done.stderr
    assert state(a) == "suspended" and state(b) is None and state(b, INCOMING) == "paused"
    b.run("destroy", INCOMING)
    a.run("migrate", "--resume", "g")
    goes_on(a)


def test_receiver_killed_when_it_runs_it(guest):
    a, b = guest
    done = migrate(a, b, at="A", do=[["kill", "receiver"], ["lose"]])
    assert "kept suspended" in done.stderr
    goes_on(b)
    assert state(a) == "suspended"
    a.run("destroy", "g")


def test_word_that_cannot_be_said(guest):
    """The line is gone before 'G': it is certain that nobody has read it."""
    a, b = guest
    done = migrate(a, b, at="R", do=[["hang-up"]])
    assert "goes on here" in done.stderr
    goes_on(a)
    nothing_at(b)


# ---- a host dies ----

@pytest.mark.parametrize("at", [*MEMORY, "R"])
def test_the_other_host_dies(guest, at):
    a, b = guest
    done = migrate(a, b, at=at, do=[["kill", b.process.pid]])
    if at == "R":           # the receiver cannot say for certain that it is gone
        assert "kept suspended" in done.stderr and state(a) == "suspended"
        a.run("migrate", "--resume", "g")
    else:
        assert "goes on here" in done.stderr
    goes_on(a)


@pytest.mark.parametrize("at", MEMORY)
def test_the_own_host_dies(guest, at):
    a, b = guest
    migrate(a, b, at=at, do=[["kill", a.process.pid]])
    nothing_at(b)


@pytest.mark.parametrize("at", ["R", "G"])
def test_the_own_host_dies_when_all_is_there(guest, at):
    a, b = guest
    migrate(a, b, at=at, do=[["kill", a.process.pid]])
    goes_on(b)


# ---- signals ----

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["sender", "receiver"])
@pytest.mark.parametrize("at", [*MEMORY[1:3], "R"])
def test_signals_end_it_in_order(guest, number, whom, at):
    a, b = guest
    done = migrate(a, b, at=at, do=[["signal", [whom, number]]])
    assert "goes on here" in done.stderr
    goes_on(a)
    nothing_at(b)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_come_too_late(guest, number):
    a, b = guest
    migrate(a, b, status=0, at="A", do=[["signal", ["sender", number]]])
    goes_on(b)
    nothing_at(a)


# ---- the line stalls ----

@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("at", [0, *MEMORY[1:]])
def test_a_line_that_stalls(guest, at, live):
    a, b = guest
    done, seconds = patient(a, b, *([] if live else ["-n"]), want="reached", at=at, do=[["stall"]])
    assert "stalled" in done.stderr and f"it has taken nothing for {seconds}000 ms" in done.stderr and "goes on here" in done.stderr, done.stderr
    assert done.returncode == 2
    goes_on(a)
    nothing_at(b)           # the receiver too has waited long enough


# ---- the line says something else ----

FLIPS = [f"flip {n}" for n in (0, 4, 8, -1)]


@pytest.mark.parametrize("what", [*FLIPS, "drop", "double", "swap"])
def test_a_line_that_is_not_true(pair, what):  # noqa: F811
    """Its memory is three batches: the first, the last, and one that is neither. Each record costs a migration."""
    a, b = pair
    a.create(type="pvh", guest="writer", vcpus=2, memory=12, cpu_policy=level(a, b))
    goes_on(a)
    told = a.path / "told"
    migrate(a, b, "-k", "-n", status=0, damage=["drop", -2], told=str(told))
    records = json.loads(told.read_text())["records"]
    assert records > 12     # the policy, memory in three batches, its state, and their checksums
    goes_on(b)
    b.run("migrate", "g", a.socket)
    for where in range(records - (what == "swap")):
        done, _ = patient(a, b, "-k", "-n", want="spoiled", damage=[what, where])
        assert done.returncode in (1, 2) and "goes on here" in done.stderr, (where, done.stderr)
        goes_on(a)
        nothing_at(b)
    a.run("migrate", "-k", "g", b.socket)
    goes_on(b)
    nothing_at(a)


NAME = 52 + len('{"c_info":{"type":"pvh","name":"')
SIZE = NAME + len('g","hap":1},"b_info":{"max_vcpus":2,"max_memkb":')


@pytest.mark.parametrize("at", [0, 46, 60, NAME, SIZE, SIZE + 10])
def test_a_head_that_is_not_true(guest, at):
    """What the domain is called, how large it is: libxc's checksums do not reach that."""
    a, b = guest
    done = migrate(a, b, "-k", damage=[f"flip {at}", -1], status=None)
    assert done.returncode == 2 and "goes on here" in done.stderr
    assert at not in (NAME, SIZE) or "its head is damaged" in done.stderr
    goes_on(a)
    nothing_at(b)


# ---- two at once ----

def test_one_at_a_time(guest):
    a, b = guest
    asked = a.path / "asked"
    first = subprocess.Popen([XL, "-s", str(a.socket), "migrate", "-t", "3600", "-S",
                              over(at=5000, do=[["hold", str(asked)], ["signal", ["receiver", signal.SIGTERM]]]), "g", str(b.socket)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: INCOMING in names(b), "nothing comes")
    for command in (["migrate", "g", b.socket], ["save", "g", a.path / "g.save"], ["migrate", "--resume", "g"],
                    ["unpause", "g"]):
        assert "one at a time" in a.run(*command, status=2).stderr, command
    assert "not all there" in b.run("unpause", INCOMING, status=2).stderr
    asked.touch()
    assert "goes on here" in first.communicate(timeout=HANGS)[1] and first.returncode == 2
    goes_on(a)
    nothing_at(b)
    a.run("migrate", "g", b.socket)
    goes_on(b)


def test_a_domain_that_has_crashed_is_not_resumed(pair):  # noqa: F811
    a, _ = pair
    a.create(type="pvh", guest="steady", memory=4)
    assert "nothing to resume" in a.run("migrate", "--resume", "g", status=2).stderr
    a.run("pause", "g")
    assert "nothing to resume" in a.run("migrate", "-r", "g", status=2).stderr
    assert state(a) == "paused"


# ---- saving ----

def full_disk(path):
    """A file system of one MiB: this test runs as root, or in a namespace of its own."""
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("a full disk needs mount(8) to be allowed")
    return path


def test_a_full_disk(guest, tmp_path):
    a, _ = guest
    disk = full_disk(tmp_path / "disk")
    try:
        done = a.run("save", "g", disk / "g.save", status=2)
        assert "No space left" in done.stderr
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
    goes_on(a)


def test_a_file_that_may_not_be_so_long(pair, tmp_path):  # noqa: F811
    a, _ = pair
    a.create(type="pvh", guest="steady", memory=96)
    limit = 70 << 20        # the window to the host has 64 MiB
    done = subprocess.run([XL, "-s", str(a.socket), "save", "g", f"{tmp_path}/g.save"],
                          capture_output=True, text=True, timeout=600,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 2 and "File too large" in done.stderr
    assert not list(tmp_path.iterdir())
    goes_on(a)


class Standing:
    """A command before a terminal that is told to take nothing (Ctrl-S): it stands where it first shows its progress."""

    def __init__(self, host, *args):
        self.ours, self.theirs = pty.openpty()
        termios.tcflow(self.theirs, termios.TCOOFF)
        self.process = subprocess.Popen([XL, "-s", host.socket, *map(str, args)], stdin=subprocess.DEVNULL, stderr=self.theirs)

    def go(self):
        """Let it go on (Ctrl-Q); (status, what it has said)."""
        termios.tcflow(self.theirs, termios.TCOON)
        os.close(self.theirs)
        seen = b""
        with contextlib.suppress(OSError):      # EIO: it has ended
            while data := os.read(self.ours, 4096):
                seen += data
        os.close(self.ours)
        return self.process.wait(HANGS), seen.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_save_that_is_ended(pair, tmp_path, number):  # noqa: F811
    a, _ = pair
    a.create(type="pvh", guest="steady", memory=64)
    goes_on(a)
    save = Standing(a, "save", "-k", "g", tmp_path / "g.save")
    until(lambda: state(a) == "suspended", "it is not suspended")
    save.process.send_signal(number)
    status, _ = save.go()
    assert not list(tmp_path.iterdir())
    if number == signal.SIGKILL:
        assert status == -9 and state(a) == "suspended"
        a.run("migrate", "--resume", "g")
    else:
        assert status == 2
    goes_on(a)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_restore_that_is_ended(pair, tmp_path, number):  # noqa: F811
    a, b = pair
    image = tmp_path / "g.save"
    a.create(type="pvh", guest="steady", memory=64, cpu_policy=level(a, b))
    a.run("save", "g", image)
    restore = Standing(b, "restore", image)
    until(lambda: INCOMING in names(b), "nothing comes")
    restore.process.send_signal(number)
    status, _ = restore.go()
    if number == signal.SIGKILL:
        assert state(b, INCOMING) == "paused"
        b.run("unpause", INCOMING, status=2)
        b.run("restore", image, status=2)
        b.run("destroy", INCOMING)
    assert status != 0
    nothing_at(b)
    b.run("restore", image)
    goes_on(b)


def test_a_folder_that_goes_away(pair, tmp_path):  # noqa: F811
    a, _ = pair
    a.create(type="pvh", guest="steady", memory=64)
    folder = tmp_path / "images"
    folder.mkdir()
    save = Standing(a, "save", "-k", "g", folder / "g.save")
    until(lambda: state(a) == "suspended", "it is not suspended")
    folder.rmdir()          # the file has no name yet
    status, seen = save.go()
    assert "No such file" in seen and status == 2
    goes_on(a)


def test_an_image_is_not_saved_over_a_device(guest):
    a, _ = guest
    assert a.run("save", "g", "/dev/null", status=2).stderr
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
    goes_on(a)
