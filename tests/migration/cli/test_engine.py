# SPDX-License-Identifier: MIT
"""Our own save and restore behind libxl's control protocol: this file is libxl, simulated hosts are the hypervisors.

What the messages mean is stock Xen's (facts: tools/save-helper/control.c); the lab has the real libxl (tests/migration/lab/test_stream.py).
"""

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from test_xl_sim import BUILD, CASCADE, Host
from test_xl_sim_migrate import goes_on

TOOLS = BUILD / "tests/migration/gate"
LOG, PROGRESS, SUSPEND, LOGDIRTY, STATIC_DATA_DONE, RESULTS, COMPLETE = 1, 2, 3, 7, 8, 9, 10
STRINGS = {LOG: 2, PROGRESS: 2}
WITH_ANSWER = {SUSPEND, LOGDIRTY, STATIC_DATA_DONE, COMPLETE}
HEARD = {"save": 136, "restore": 768}       # what libxl listens to
LIVE, DEBUG = 1, 2                         # XCFLAGS_*, of libxenguest
XTL_ERROR = 7
EIO, ECANCELED = 5, 125
VERIFY = 0xD     # a record
TIMEOUT = 600       # seconds after which something hangs, and is not only slow


def unpack(kind, body):
    """(arguments); raises when anything is left over or missing."""
    args = []
    if kind == LOG:
        args, body = list(struct.unpack_from("Ii", body)), body[8:]
    for _ in range(STRINGS.get(kind, 0)):
        size, = struct.unpack_from("I", body)
        text = body[4:4 + size]
        assert len(text) == size and text.index(0) == size - 1, text
        args.append(text[:-1].decode())
        body = body[4 + size:]
    rest = {PROGRESS: "@LL", SUSPEND: "", LOGDIRTY: "II", STATIC_DATA_DONE: "I", RESULTS: "@QQ", COMPLETE: "ii"}.get(kind, "")
    return (*args, *struct.unpack(rest, body))


class Libxl:
    """One run of the helper.  `does`: {message: function}, which gets the arguments and returns the answer; None: no answer."""

    def __init__(self, host, mode, domid, stream, does=None, live=False, debug=False, blocked=False, env=None):
        does = {SUSPEND: lambda: 1, LOGDIRTY: lambda d, on: 0, STATIC_DATA_DONE: lambda m: 0, **(does or {})}
        self.does = {COMPLETE: lambda *_: 0, **does}
        self.messages = []
        args = [stream, -1, domid, LIVE * live + DEBUG * debug, HEARD[mode], 0] if mode == "save" else [stream, -1, domid, 1, 0, 2, 0, HEARD[mode], 0]
        env = {k: v for k, v in os.environ.items() if not k.startswith("XENLEVEL_")} | (env or {})
        env.update(XENLEVEL_HOST=str(host.socket), XENLEVEL_STREAM="xenlevel", XENLEVEL_LOG=str(host.path / "log"),
                   XENLEVEL_STOCK_HELPER="/bin/false")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM} if blocked else set())
        self.p = subprocess.Popen([TOOLS / "engine-under-test", f"--{mode}-domain", *map(str, args)], pass_fds=[stream], env=env,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.seen = threading.Condition()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self.p.stdout.read(n - len(data))
            if not more:
                return data
            data += more
        return data

    def _listen(self):
        while (size := self._read(2)) and not self.p.stdout.closed:
            data = self._read(struct.unpack("H", size)[0])
            kind, = struct.unpack_from("H", data)
            args = unpack(kind, data[2:])
            with self.seen:
                self.messages.append((kind, *args))
                self.seen.notify_all()
            if kind in WITH_ANSWER:
                answer = self.does[kind](*args)
                if answer is None:
                    return
                try:
                    self.p.stdin.write(struct.pack("i", answer))
                except BrokenPipeError:     # SIGTERM was faster
                    return

    def hang_up(self, *_):
        """libxl dies: both pipes are gone, and nothing is answered."""
        self.p.stdin.close()
        self.p.stdout.close()

    def wait_for(self, kind):
        with self.seen:
            assert self.seen.wait_for(lambda: kind in self.kinds(), TIMEOUT), self.messages

    def kinds(self):
        return [m[0] for m in self.messages if m[0] not in (LOG, PROGRESS)]

    def errors(self):
        return [m[4] for m in self.messages if m[0] == LOG and m[1] >= XTL_ERROR]

    def end(self):
        """The exit status (-N: signal N); what was complained of is in self.stderr."""
        try:
            self.p.wait(TIMEOUT)
        finally:
            self.p.kill()
        self.thread.join(TIMEOUT)
        self.stderr = self.p.stderr.read().decode()
        assert "Sanitizer" not in self.stderr and "runtime error" not in self.stderr, self.stderr
        return self.p.returncode


@pytest.fixture
def hosts():
    made = []

    def start(*machines):
        for machine in machines:
            path = Path(tempfile.mkdtemp(prefix="xl", dir="/tmp"))     # a socket's path has 107 characters
            made.append(Host(path, machine, stepped=False))
        return made if len(machines) > 1 else made[0]
    yield start
    for host in made:
        host.stop()
        shutil.rmtree(host.path)


@pytest.fixture
def host(hosts):
    host = hosts(CASCADE)
    host.domid = host.create(type="pvh")["domid"]
    return host


def simdom(host, *args):
    return host.run(*args, program=TOOLS / "simdom").stdout.strip()


def suspends(host):
    """What libxl does when it is asked to suspend."""
    return {SUSPEND: lambda: 1 if simdom(host, "suspend", host.domid) == "" else 0}


def save(host, path, does=None, **more):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    run = Libxl(host, "save", host.domid, fd, {**suspends(host), **(does or {})}, **more)
    os.close(fd)
    run.status = run.end()
    return run


def restore(host, path, does=None, **more):
    domid = int(simdom(host, "create"))
    fd = os.open(path, os.O_RDONLY)
    run = Libxl(host, "restore", domid, fd, does, **more)
    os.close(fd)
    run.domid = domid
    run.status = run.end()
    return run


@pytest.fixture
def image(host):
    """Saved; the domain is gone."""
    path = host.path / "g.sr"
    assert save(host, path).status == 0
    simdom(host, "destroy", host.domid)
    return path


def pages_of(host, domid):
    return next(d["pages"] for d in host.ask("list") if d["domid"] == domid)


# ---- what is said, and in which order ----

def test_save(host):
    run = save(host, host.path / "g.sr")
    assert run.messages[-1] == (COMPLETE, 0, 0) and run.status == 0 and run.errors() == []
    assert run.kinds() == [SUSPEND, COMPLETE]
    simdom(host, "resume", host.domid)
    goes_on(host)


def test_live_save(host):
    """The device model logs while the domain runs and no longer than the save; progress is a part of a whole."""
    run = save(host, host.path / "g.sr", live=True)
    assert run.kinds() == [LOGDIRTY, SUSPEND, LOGDIRTY, COMPLETE]
    assert [m for m in run.messages if m[0] == LOGDIRTY] == [(LOGDIRTY, host.domid, 1), (LOGDIRTY, host.domid, 0)]
    told = [m for m in run.messages if m[0] == PROGRESS]
    assert told and all(what == "Frames" and 0 <= done and total >= 1 for _, _, what, done, total in told)
    assert run.messages[-1] == (COMPLETE, 0, 0)


def test_restore(host, image):
    run = restore(host, image)
    assert run.kinds() == [STATIC_DATA_DONE, RESULTS, COMPLETE]
    assert (STATIC_DATA_DONE, 0) in run.messages and run.messages[-1] == (COMPLETE, 0, 0)
    assert run.status == 0 and run.errors() == [] and run.stderr == ""
    simdom(host, "unpause", run.domid)
    host.run("status", run.domid)


def test_debug(host):
    """xl migrate --debug: memory a second time, behind VERIFY; whoever restores it compares, and finds nothing."""
    path = host.path / "g.sr"
    save(host, path)
    once = path.stat().st_size
    simdom(host, "resume", host.domid)
    assert save(host, path, live=True, debug=True).messages[-1] == (COMPLETE, 0, 0)
    data = path.read_bytes()
    assert len(data) > once + pages_of(host, host.domid) * 4096 and struct.pack("<II", VERIFY, 0) in data
    run = restore(host, path)
    assert run.messages[-1] == (COMPLETE, 0, 0) and not any(m[0] == LOG for m in run.messages), run.messages


# ---- libxl says no ----

def test_not_suspended(host):
    """The domain goes on, the device model's log is off, and libxl hears that it failed."""
    run = save(host, host.path / "g.sr", {SUSPEND: lambda: 0}, live=True)
    assert run.kinds() == [LOGDIRTY, SUSPEND, LOGDIRTY, COMPLETE]
    assert run.messages[-1] == (COMPLETE, -1, EIO) and run.status == 0
    assert "was not suspended" in run.errors()[0]
    goes_on(host)
    again = save(host, host.path / "g.sr", live=True)   # Xen's log of writes is off too, else it would not begin one
    assert again.messages[-1] == (COMPLETE, 0, 0)


def test_the_device_model_does_not_log(host):
    run = save(host, host.path / "g.sr", {LOGDIRTY: lambda domid, on: -1}, live=True)
    assert run.kinds() == [LOGDIRTY, COMPLETE] and run.messages[-1] == (COMPLETE, -1, EIO)
    assert "does not log" in run.errors()[0]
    goes_on(host)
    assert save(host, host.path / "g.sr", live=True).messages[-1] == (COMPLETE, 0, 0)


def test_static_data_is_not_taken(host, image):
    """Nothing was allocated for it."""
    run = restore(host, image, {STATIC_DATA_DONE: lambda missing: -1})
    assert run.kinds() == [STATIC_DATA_DONE, RESULTS, COMPLETE]
    assert (RESULTS, 0, 0) in run.messages and run.messages[-1] == (COMPLETE, -1, ECANCELED)
    assert run.status == 0 and "called off" in run.errors()[0]
    assert pages_of(host, run.domid) == 0


# ---- libxl is gone ----

@pytest.mark.parametrize("at", [LOGDIRTY, SUSPEND])
def test_libxl_dies_while_saving(host, at):
    ran = []

    def die(*_):
        ran[0].hang_up()

    fd = os.open(host.path / "g.sr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    ready = threading.Event()
    run = Libxl(host, "save", host.domid, fd, {**suspends(host), at: lambda *_: ready.wait(TIMEOUT) and die()}, live=True)
    ran.append(run)
    ready.set()
    os.close(fd)
    assert run.end() == 0
    goes_on(host)
    assert save(host, host.path / "g.sr", live=True).messages[-1] == (COMPLETE, 0, 0)


def test_libxl_dies_while_restoring(host, image):
    ran, ready = [], threading.Event()
    domid = int(simdom(host, "create"))
    fd = os.open(image, os.O_RDONLY)
    run = Libxl(host, "restore", domid, fd, {STATIC_DATA_DONE: lambda m: ready.wait(TIMEOUT) and ran[0].hang_up()})
    ran.append(run)
    ready.set()
    os.close(fd)
    assert run.end() == 0
    assert pages_of(host, domid) == 0


# ---- libxl calls it off: SIGTERM ----

class Pipe:
    """A stream that nobody reads (save), or that stops (restore)."""

    def __init__(self, data=None):
        self.r, self.w = os.pipe()
        if data is not None:
            os.write(self.w, data)

    def close(self):
        os.close(self.r)
        os.close(self.w)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_a_save_is_called_off(host, live, blocked):
    """In the middle of memory, on a line that has stalled; whoever started us may have SIGTERM blocked, as libxl's callers do."""
    pipe = Pipe()
    run = Libxl(host, "save", host.domid, pipe.w, suspends(host), live=live, blocked=blocked)
    run.wait_for(LOGDIRTY if live else SUSPEND)
    run.p.terminate()
    assert run.end() == 0
    pipe.close()
    assert run.messages[-1] == (COMPLETE, -1, ECANCELED)
    assert run.kinds() == ([LOGDIRTY, LOGDIRTY, COMPLETE] if live else [SUSPEND, COMPLETE])
    if not live:
        simdom(host, "resume", host.domid)      # libxl does that
    goes_on(host)
    assert save(host, host.path / "g.sr", live=True).messages[-1] == (COMPLETE, 0, 0)


def test_called_off_while_libxl_suspends(host):
    """The answer still comes, and is waited for."""
    ran = []
    ready = threading.Event()

    def suspend():
        ready.wait(TIMEOUT)
        ran[0].p.terminate()
        return 0

    fd = os.open(host.path / "g.sr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    run = Libxl(host, "save", host.domid, fd, {SUSPEND: suspend})
    ran.append(run)
    ready.set()
    os.close(fd)
    assert run.end() == 0 and run.messages[-1] == (COMPLETE, -1, ECANCELED)
    goes_on(host)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("cut", ["head", "memory"])
def test_a_restore_is_called_off(host, image, cut, blocked):
    """There is nothing to undo: libxl destroys what it has made.  It ends at once, by the signal."""
    data = image.read_bytes()
    pipe = Pipe(data[:200] if cut == "head" else data[:50000])
    domid = int(simdom(host, "create"))
    run = Libxl(host, "restore", domid, pipe.r, blocked=blocked)
    if cut == "memory":
        run.wait_for(STATIC_DATA_DONE)
    run.p.terminate()
    assert run.end() == -signal.SIGTERM
    pipe.close()
    assert COMPLETE not in run.kinds()
