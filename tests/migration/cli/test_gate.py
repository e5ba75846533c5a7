# SPDX-License-Identifier: MIT
"""The gate, driven as libxl drives it, between a stream and a stock helper that tells what it got.

The hypervisor is a fake one (tests/migration/gate/fake_xen.c), everything else is real: processes,
descriptors, pipes, signals.
"""

import fcntl
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

import streambuilder
from streambuilder import (CPUID_POLICY as CPUID, END, HVM_CONTEXT, MSR_POLICY as MSR, OPTIONAL, P2M_FRAMES as P2M, PAGE_DATA,
                           PV_INFO, STATIC_DATA_END, TSC_INFO, headers, pv_info, record)

BUILD = Path(os.environ.get("XENLEVEL_BUILD", Path(__file__).resolve().parents[3] / "build"))
TOOLS = BUILD / "tests" / "migration" / "gate"
GATE = TOOLS / "gate-under-test"
HELPER = TOOLS / "fake-helper"

RICH, POOR, OTHER = "intel-cascadelake-sp", "intel-sandybridge-ep", "amd-bulldozer"
HEAD_MAX = 262144     # bytes of a head that the gate keeps
TRAILING = b"what follows END is libxl's to read" * 100
TIMEOUT = 600       # seconds after which something hangs, and is not only slow
HOWS = ["pipe", "socket", "file", "relay-pipe", "relay-socket"]


# ---- streams ----

def policy(what, cpu=RICH, have="", drop=""):
    return streambuilder.policy(what, cpu, have, drop)


def head(cpu=RICH, guest=2, have="", drop=""):
    out = headers(guest=guest)
    if guest == 1:
        out += record(PV_INFO, pv_info())
    out += record(CPUID, policy("leaves", cpu, have, drop))
    msrs = policy("msrs", cpu, have, drop)
    if msrs:
        out += record(MSR, msrs)
    return out + record(STATIC_DATA_END)


def pages(n, size=4096):
    rng = random.Random(n)
    return b"".join(record(PAGE_DATA, struct.pack("<IIQ", 1, 0, i) + rng.randbytes(size)) for i in range(n))


def stream(n=3, size=4096, **kw):
    return head(**kw) + pages(n, size) + record(END)


# ---- the gate ----

class Run:
    """One run of the gate.  The stream is written by a thread; what was not read is `left`."""

    def __init__(self, tmp_path, data, how="pipe", cpu=RICH, mode="exit:0", env=None, chunk=None, args=None,
                 save=False, hold=False, stderr=subprocess.PIPE):
        self.out = tmp_path / "helper"
        self.out.mkdir(exist_ok=True)
        self.log = tmp_path / "log"
        self.data = data
        self.left = None
        self.how = how.removeprefix("relay-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XENLEVEL_", "FAKE_"))}
        self.env.update(XENLEVEL_STOCK_HELPER=str(HELPER), XENLEVEL_LOG=str(self.log), FAKE_HELPER_OUT=str(self.out),
                        FAKE_HELPER_MODE=mode, FAKE_XEN_NAME="web1--incoming")
        if cpu:
            self.env["FAKE_XEN_CPU"] = cpu
        if how.startswith("relay-"):
            self.env["FAKE_GATE_RELAY"] = "1"   # or the gate only looks at the head, and nothing stands in between
        self.env.update(env or {})
        self._open(tmp_path)
        if save:
            self.argv = [GATE, "--save-domain", str(self.fd), "-1", "3", "0", "136", "0"]
        else:
            self.argv = [GATE, "--restore-domain", str(self.fd), "-1", "3", "1", "0", "2", "0", "768", "0"]
        if args:
            self.argv = [GATE, *(str(self.fd) if a == "FD" else a for a in args)]
        # A shell starts what runs in the background with SIGINT ignored, and that is inherited.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.p = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                  pass_fds=[self.fd], env=self.env, restore_signals=False)
        self.hold = hold
        self.stopped = threading.Event()
        self.writer = threading.Thread(target=self._write, args=(chunk,), daemon=True)
        self.writer.start()

    def _open(self, tmp_path):
        if self.how == "file":
            path = tmp_path / "image"
            path.write_bytes(b"xl's header" + self.data)
            self.fd = os.open(path, os.O_RDWR)
            os.lseek(self.fd, len(b"xl's header"), os.SEEK_SET)
            self.wfd = None
        elif self.how == "pipe":
            self.fd, self.wfd = os.pipe()
        else:
            a, b = socket.socketpair()
            self.fd, self.wfd = a.detach(), b.detach()
        if self.how == "nonblocking":
            os.set_blocking(self.fd, False)

    def _write(self, chunk):
        if self.wfd is None:
            return
        data = memoryview(self.data)
        try:
            while data and not self.stopped.is_set():
                data = data[os.write(self.wfd, data[:chunk or 65536]):]
        except OSError:
            pass
        while self.hold and not self.stopped.wait(0.01):
            pass
        os.close(self.wfd)

    def finish(self):
        """Wait for the process libxl knows; then read what it left of the stream."""
        try:
            self.stdout, self.stderr = self.p.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise
        self.stderr = (self.stderr or b"").decode()
        if self.how != "file":
            self.stopped.set() if self.hold else None
            os.set_blocking(self.fd, True)
            self.left = b"".join(iter(lambda: os.read(self.fd, 1 << 20), b""))
        else:
            self.left = b"".join(iter(lambda: os.read(self.fd, 1 << 20), b""))
        os.close(self.fd)
        self.writer.join(TIMEOUT)
        return self

    def file(self, name):
        path = self.out / name
        return path.read_bytes() if path.exists() else None

    def wait_for(self, name):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if self.file(name):
                return
            time.sleep(0.01)
        raise AssertionError(f"the helper never wrote {name}; stderr: {self.p.stderr.read1().decode()}")

    def messages(self):
        """The messages on libxl's control pipe: (type, body)."""
        out, data = [], self.stdout
        while data:
            size, kind = struct.unpack_from("=HH", data)
            out.append((kind, data[4:2 + size]))
            data = data[2 + size:]
        return out

    def log_message(self):
        """The text of the one log message."""
        (body,) = [b for kind, b in self.messages() if kind == 1]
        level, errno, size = struct.unpack_from("=III", body)
        assert (level, errno) == (8, 0xFFFFFFFF)  # XTL_ERROR, no errno
        context, rest = body[12:12 + size], body[12 + size:]
        (size,) = struct.unpack_from("=I", rest)
        assert context == b"xenlevel\0" and len(rest) == 4 + size and rest[-1] == 0
        return rest[4:-1].decode()


def refused(run):
    """It was refused, everywhere the same, and the helper got nothing.  The text."""
    run.finish()
    assert run.p.returncode == 1, run.stderr
    assert run.file("argv") is None and run.file("stream") is None
    assert run.stderr.startswith("xenlevel: refused: ")
    assert [kind for kind, _ in run.messages()] == [1, 9, 10]
    assert struct.unpack("=ii", run.messages()[2][1])[0] == -1
    assert run.log_message().startswith("refused: ")
    assert run.stderr in run.log.read_text()
    return run.stderr


def logged(run):
    log = run.log.read_text()
    assert all(line in log for line in run.stderr.splitlines())


def passed(run, data, left=b""):
    run.finish()
    assert run.p.returncode == 0, run.stderr
    assert run.file("stream") == data
    assert run.left == left
    assert run.stdout == b""
    return run


def processes(word):
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word in (entry / "environ").read_bytes() \
                    and (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def gone(run):
    """Nothing that this run started lives on."""
    word = f"XENLEVEL_LOG={run.log}".encode()
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if not processes(word):
            return True
        time.sleep(0.01)
    return False


# ---- what passes ----

@pytest.mark.parametrize("how", HOWS + ["nonblocking", "relay-nonblocking"])
@pytest.mark.parametrize("trailing", [b"", TRAILING], ids=["", "trailing"])
def test_passes_every_byte_and_none_more(tmp_path, how, trailing):
    data = stream(n=20)
    run = passed(Run(tmp_path, data + trailing, how), data, trailing)
    assert run.stderr == ""
    assert "passed: 'web1' (PVH, from Xen 4.17)" in run.log.read_text()


@pytest.mark.parametrize("how", HOWS)
def test_big_records(tmp_path, how):
    data = stream(n=12, size=4 << 20)
    passed(Run(tmp_path, data + TRAILING, how), data, TRAILING)


@pytest.mark.parametrize("how", ["pipe", "socket", "relay-pipe", "relay-socket"])
def test_one_byte_at_a_time(tmp_path, how):
    data = stream(n=2)
    passed(Run(tmp_path, data + TRAILING, how, chunk=1), data, TRAILING)


@pytest.mark.parametrize("seed", range(5))
def test_odd_chunks_and_lengths(tmp_path, seed):
    rng = random.Random(seed)
    data = head() + b"".join(record(rng.choice([PAGE_DATA, 0x8, 0x9, OPTIONAL | 5]), rng.randbytes(rng.randrange(9000)))
                             for _ in range(60)) + record(END)
    passed(Run(tmp_path, data + TRAILING, rng.choice(HOWS), chunk=rng.randrange(1, 5000)), data, TRAILING)


@pytest.mark.parametrize("before, after", [(1 << 16, 1 << 18), (1 << 20, 1 << 20)], ids=["usual", "wide"])
def test_the_senders_pipe_is_widened_and_never_narrowed(tmp_path, before, after):
    class Sized(Run):
        def _open(self, path):
            super()._open(path)
            fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, before)
            self.pipe = os.dup(self.fd)

    run = Sized(tmp_path, stream(), how="relay-pipe").finish()
    size = fcntl.fcntl(run.pipe, fcntl.F_GETPIPE_SZ)
    os.close(run.pipe)
    assert (run.p.returncode, size) == (0, after), run.stderr


def test_a_stream_that_cannot_be_spliced(tmp_path):
    """Then it is copied; still no byte too many."""
    if "asan" in str(BUILD):
        pytest.skip("ASan must be the first library")
    data = stream(n=40, size=70001)
    env = {"LD_PRELOAD": str(next(TOOLS.glob("libnosplice*.so")))}
    passed(Run(tmp_path, data + TRAILING, "relay-pipe", env=env), data, TRAILING)


def test_argv_is_passed_on(tmp_path):
    data = stream()
    run = passed(Run(tmp_path, data), data)
    argv = run.file("argv").split(b"\0")[:-1]
    assert argv == [os.fsencode(HELPER)] + [os.fsencode(str(a)) for a in run.argv[1:]]


@pytest.mark.parametrize("how", HOWS)
def test_no_descriptor_leaks_into_the_helper(tmp_path, how):
    data = stream()
    run = passed(Run(tmp_path, data, how), data)
    assert set(run.file("fds").split()) == {b"0", b"1", b"2", str(run.fd).encode()}


@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "file"])
def test_control_pipe_is_the_helpers(tmp_path, how):
    data = stream()
    run = Run(tmp_path, data, how, mode="control")
    run.p.stdin.write(b"pong")
    run.p.stdin.flush()
    run.finish()
    assert (run.p.returncode, run.stdout, run.file("control")) == (0, b"ping", b"pong")


def test_the_gate_waits_for_the_helper(tmp_path):
    """libxl knows the gate's process; the helper is its child, and every descriptor is the child's."""
    data = stream()
    run = passed(Run(tmp_path, data), data)
    assert int(run.file("pid")) != run.p.pid
    assert gone(run)


@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "file"])
@pytest.mark.parametrize("status", [1, 2, 42, 255])
def test_exit_status(tmp_path, how, status):
    run = Run(tmp_path, stream(), how, mode=f"exit:{status}").finish()
    assert run.p.returncode == status


@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "file"])
@pytest.mark.parametrize("sig", [signal.SIGABRT, signal.SIGTERM, signal.SIGKILL])
def test_death_by_signal(tmp_path, how, sig):
    run = Run(tmp_path, stream(), how, mode=f"kill:{int(sig)}").finish()
    assert run.p.returncode == -sig


@pytest.mark.parametrize("how", ["pipe", "relay-pipe"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_helper(tmp_path, how, sig):
    run = Run(tmp_path, stream(n=20, size=1 << 20), how, mode="hang")
    run.wait_for("hanging")
    run.p.send_signal(sig)
    run.finish()
    assert run.p.returncode == -sig
    assert gone(run)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("n", [0, 10, 40, 5000, 300000])
def test_helper_dies_early(tmp_path, how, n):
    run = Run(tmp_path, stream(n=100, size=100000), how, mode=f"early:{n}").finish()
    assert run.p.returncode == 7
    assert gone(run)


@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "relay-socket"])
def test_helper_dies_while_the_sender_is_silent(tmp_path, how):
    run = Run(tmp_path, stream(n=10)[:-100], how, mode="early:8000", hold=True)
    run.p.wait(TIMEOUT)
    assert run.p.returncode == 7
    assert gone(run)
    run.stopped.set()
    run.finish()


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "file"])
def test_sigpipe_is_as_libxl_left_it(tmp_path, how, ignored):
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        run = Run(tmp_path, stream(), how)
    finally:
        signal.signal(signal.SIGPIPE, before)
    run.finish()
    assert run.file("sigpipe") == (b"ignored" if ignored else b"default")


def test_pv(tmp_path):
    data = stream(guest=1)
    run = passed(Run(tmp_path, data, env={"FAKE_XEN_TYPE": "pv"}), data)
    assert "(PV, from Xen 4.17)" in run.log.read_text()


def again(tmp_path):
    """A place for a second run, where the first one's helper has left nothing."""
    path = tmp_path / "again"
    path.mkdir()
    return path


MASKS = {"FAKE_XEN_TYPE": "pv", "FAKE_XEN_CAPS": "0x3e"}    # leaves 1, 80000001, D.1; not leaf 7


def test_pv_programs_are_told_of(tmp_path):
    data = stream(guest=1, drop="rdseed,movbe")
    run = passed(Run(tmp_path, data, env=MASKS), data)
    assert "'web1' (PV): its programs execute CPUID on this host's processor" in " ".join(run.stderr.split())
    assert "stays visible: rdseed\n" in run.stderr and "identity changes: hypervisor leaves" in run.stderr
    assert "movbe" not in run.stderr     # a mask hides it
    logged(run)


def test_pv_strict(tmp_path):
    data = stream(guest=1, drop="avx2")
    text = refused(run := Run(tmp_path, data, env=MASKS | {"XENLEVEL_PV": "strict"}))
    assert "stays visible: avx2" in text and "XENLEVEL_PV=strict" in text and "domain keeps running" in text
    assert "stays visible: avx2" in run.log_message()


@pytest.mark.parametrize("setting", ["strict", "warn", ""])
def test_pv_with_faulting(tmp_path, setting):
    data = stream(guest=1)
    env = {"FAKE_XEN_TYPE": "pv", "XENLEVEL_PV": setting}
    assert passed(Run(tmp_path, data, env=env), data).stderr == ""


def test_pv_that_nobody_knows_is_not_fine(tmp_path):
    data = stream(guest=1)
    env = {"FAKE_XEN_TYPE": "pv", "FAKE_XEN_FAIL": "caps"}
    assert "is not known" in passed(Run(tmp_path, data, env=env), data).stderr
    assert "is not known" in refused(Run(again(tmp_path), data, env=env | {"XENLEVEL_PV": "strict"}))


def test_pv_on_a_xen_that_does_not_say_what_it_hides(tmp_path):
    """4.22: worked out from the CPU's model. This one's raw policy has no faulting, and it has no masks."""
    data = stream(guest=1)
    text = passed(Run(tmp_path, data, env={"FAKE_XEN_TYPE": "pv", "FAKE_XEN_FAIL": "no-caps"}), data).stderr
    assert "is not known" not in text and "identity changes" in text


def test_pv_without_a_policy(tmp_path):
    data = (headers(version=2, guest=1) + record(PV_INFO, pv_info())
            + record(P2M, b"p" * 4096) + pages(2) + record(END))
    env = MASKS | {"XENLEVEL_ALLOW": "unverified"}
    assert "is not known" in passed(Run(tmp_path, data, env=env), data).stderr
    assert "is not known" in refused(Run(again(tmp_path), data, env=env | {"XENLEVEL_PV": "strict"}))


def test_pv_that_is_saved(tmp_path):
    """What its programs have read is in no stream, so it is said here; it is saved all the same."""
    run = Run(tmp_path, b"", "file", mode="save", save=True, env=MASKS).finish()
    assert run.p.returncode == 0 and "may read something else again" in " ".join(run.stderr.split())
    run = Run(again(tmp_path), b"", "file", mode="save", save=True, env={"FAKE_XEN_TYPE": "pv"}).finish()
    assert run.p.returncode == 0 and run.stderr == ""


def test_pv_setting_that_nobody_knows(tmp_path):
    assert "XENLEVEL_PV" in refused(Run(tmp_path, stream(guest=1), env=MASKS | {"XENLEVEL_PV": "Strict"}))
    data = stream()     # no PV guest: not asked
    assert passed(Run(again(tmp_path), data, env={"XENLEVEL_PV": "strict"}), data).stderr == ""


def test_optional_record_in_the_head(tmp_path):
    data = headers() + record(OPTIONAL | 7, b"x" * 5001) + head()[40:] + pages(3) + record(END)
    passed(Run(tmp_path, data + TRAILING), data, TRAILING)


# ---- what is refused ----

@pytest.mark.parametrize("how", HOWS)
def test_missing_features_are_named(tmp_path, how):
    run = Run(tmp_path, stream(), how, cpu=RICH, env={"FAKE_XEN_DROP": "avx2,bmi1,movbe"})
    text = refused(run)
    assert "'web1' (PVH, from Xen 4.17) cannot run on this host (" in text
    for name, place in (("avx2", "7.0.ebx[5]"), ("bmi1", "7.0.ebx[3]"), ("movbe", "1.ecx[22]")):
        assert any(line.split()[:2] == [name, place] for line in text.splitlines()), text
        assert name in run.log_message()
    assert "it was told it has are missing here" in text
    assert "xenlevel check web1 *.xlp" in text
    if how == "file":
        assert "Nothing was restored; the saved image is as it was." in text
    else:
        assert "Nothing was transferred; the domain keeps running where it was." in text
    assert all(len(line) <= 100 for line in text.splitlines())


LOST = "This host has lost features since it joined its pool:  xenlevel pool drift"
MARK = "pool: web\nregistry: folder /srv/pool\nhost: a\nrefreshed: 2026-11-29T17:00:00Z\ndrift: {}\n"


@pytest.mark.parametrize("text, said", [
    (MARK.format("lost fma, avx2"), True), (MARK.format("x" * 3000), True), (MARK.format("none"), False), ("", False),
    ("pool: " + "x" * 249 + "drift: lost\n", False), ("drift: lost", True), (None, False)],
    ids=["lost", "long", "none", "empty", "middle", "cut", "absent"])
def test_a_host_that_has_lost_features_says_so(tmp_path, text, said):
    """What the last refresh of its pool has left."""
    mark = tmp_path / "drift.txt"
    if text is not None:
        mark.write_text(text)
    message = refused(Run(tmp_path, stream(), cpu=POOR, env={"FAKE_DRIFT": str(mark)}))
    assert (LOST in message) == said
    assert "Which hosts can take it" in message


@pytest.mark.parametrize("how", ["pipe", "socket", "relay-pipe", "relay-socket"])
def test_refusal_takes_the_head_at_most(tmp_path, how):
    data = stream(n=1)
    run = Run(tmp_path, data, how, cpu=POOR)
    refused(run)
    assert run.left == (data[len(head()):] if how.startswith("relay-") else data)


@pytest.mark.parametrize("how", ["pipe", "socket"])
@pytest.mark.parametrize("first", [0, 7, 40, 3000])
def test_a_sender_that_pauses_in_the_head(tmp_path, how, first):
    """Longer than the gate is patient: it goes the other way, and nothing is lost."""
    data = stream(n=5)
    run = Run(tmp_path, data[:first], how, hold=True)
    time.sleep(0.7)
    os.write(run.wfd, data[first:] + TRAILING)
    run.stopped.set()
    passed(run, data, TRAILING)


@pytest.mark.parametrize("how", ["pipe", "socket"])
def test_a_head_larger_than_a_pipe(tmp_path, how):
    data = headers() + record(OPTIONAL | 1, bytes(60000)) + record(OPTIONAL | 1, bytes(60000)) + head()[40:] + pages(3) + record(END)
    passed(Run(tmp_path, data + TRAILING, how), data, TRAILING)


def test_hazard_untold(tmp_path):
    run = Run(tmp_path, stream(have="arch-caps"), env={"FAKE_XEN_SET": "arch-caps,rsba"})
    text = refused(run)
    assert "1 hazard of this host that it has not been told of:" in text and " rsba " in text
    assert "untold rsba" in run.log_message()
    data = stream(have="arch-caps")
    run = passed(Run(tmp_path, data, env={"FAKE_XEN_SET": "arch-caps,rsba", "XENLEVEL_ALLOW": "rsba"}), data)
    assert "rsba: given up by XENLEVEL_ALLOW" in run.stderr
    assert "silently" not in run.stderr  # its CPU stays what it was


def test_other_vendor_cannot_be_given_up(tmp_path):
    everything = "avx2,maxphysaddr,linearaddr,clflush,max-leaf,leaf,xstate,msr,unverified"
    text = refused(Run(tmp_path, stream(), cpu=OTHER, env={"XENLEVEL_ALLOW": everything}))
    assert "Its CPU is a GenuineIntel, this host's a AuthenticAMD" in text.replace("\n", " ").replace("  ", " ") \
        or "Its CPU is a GenuineIntel, this host's a" in text


def test_guest_type_differs(tmp_path):
    assert "the stream is that of a HVM guest, domain 3 is PV" in refused(
        Run(tmp_path, stream(), env={"FAKE_XEN_TYPE": "pv"}))


def test_version_2(tmp_path):
    data = headers(version=2, minor=13) + pages(3) + record(END)
    run = Run(tmp_path, data + TRAILING)
    text = refused(run)
    assert "version 2" in text and "XENLEVEL_ALLOW=unverified" in text


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("guest", [1, 2])
def test_version_2_unverified(tmp_path, how, guest):
    first = b"" if guest == 2 else record(PV_INFO, pv_info()) + record(P2M, b"p" * 4096)
    data = headers(version=2, guest=guest, minor=13) + first + pages(30) + record(END)
    run = passed(Run(tmp_path, data + TRAILING, how, env={"XENLEVEL_ALLOW": "unverified",
                                                          "FAKE_XEN_TYPE": "pv" if guest == 1 else "pvh"}),
                 data, TRAILING)
    assert "'web1': unverified: the stream is of version 2" in run.stderr
    logged(run)


@pytest.mark.parametrize("how", HOWS)
def test_version_2_with_state_before_its_memory(tmp_path, how):
    """The head goes on to the first memory, longer than a pipe holds."""
    before = record(TSC_INFO, bytes(24)) + record(OPTIONAL | 3, bytes(11)) + record(HVM_CONTEXT, bytes(100000))
    data = headers(version=2, minor=13) + before + pages(30) + record(END)
    passed(Run(tmp_path, data + TRAILING, how, env={"XENLEVEL_ALLOW": "unverified"}), data, TRAILING)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", [CPUID, MSR], ids=["cpuid", "msr"])
def test_version_2_with_a_policy_behind_its_first_record(tmp_path, how, kind):
    """Xen's reader would apply it when the first memory comes; nobody has audited it."""
    tsc = record(TSC_INFO, bytes(24))
    data = headers(version=2) + tsc + record(kind, policy("leaves" if kind == CPUID else "msrs")) + pages(3) + record(END)
    text = refused(Run(tmp_path, data + TRAILING, how, env={"XENLEVEL_ALLOW": "unverified"})).replace("\n    ", " ")
    name = "X86_CPUID_POLICY, type 0x11" if kind == CPUID else "X86_MSR_POLICY, type 0x12"
    assert f"offset 72, record 1 ({name}): a version 2 stream has no such record" in text


@pytest.mark.parametrize("how", HOWS)
def test_version_2_with_a_policy_of_a_pv_guest(tmp_path, how):
    first = record(PV_INFO, pv_info()) + record(TSC_INFO, bytes(24))
    data = headers(version=2, guest=1) + first + record(CPUID, policy("leaves")) + record(P2M, b"p" * 4096) + pages(3) + record(END)
    text = refused(Run(tmp_path, data, how, env={"XENLEVEL_ALLOW": "unverified", "FAKE_XEN_TYPE": "pv"}))
    assert "a version 2 stream has no such record" in text.replace("\n    ", " ")


def test_version_2_that_ends_at_once(tmp_path):
    data = headers(version=2) + record(END)
    text = refused(Run(tmp_path, data + TRAILING, env={"XENLEVEL_ALLOW": "unverified"}))
    assert "record 0 (END, type 0x0): stands before any memory" in text.replace("\n    ", " ")


@pytest.mark.parametrize("how", HOWS)
def test_a_head_longer_than_is_kept(tmp_path, how):
    """Optional records up to the limit, and the policy behind it."""
    first = headers() + record(OPTIONAL | 5, bytes(65536)) * 3
    first += record(OPTIONAL | 5, bytes(HEAD_MAX - len(first) - 16))
    assert len(first) == HEAD_MAX - 8
    text = refused(Run(tmp_path, first + head()[40:] + pages(1) + record(END), how)).replace("\n    ", " ")
    assert "record 4 (X86_CPUID_POLICY, type 0x11): the head is longer than 262144 bytes" in text


@pytest.mark.parametrize("how", HOWS)
def test_the_longest_head_that_is_kept(tmp_path, how):
    first = head()[:-8] + record(OPTIONAL | 5, bytes(65536)) * 3
    first += record(OPTIONAL | 5, bytes(HEAD_MAX - len(first) - 16)) + record(STATIC_DATA_END)
    assert len(first) == HEAD_MAX
    data = first + pages(3) + record(END)
    passed(Run(tmp_path, data + TRAILING, how), data, TRAILING)


@pytest.mark.parametrize("name,data,words", [
    ("nothing", b"", "offset 0"),
    ("garbage", b"GET / HTTP/1.1\r\n\r\n" * 10, "not a Xen migration stream"),
    ("short garbage", b"hello", "not a Xen migration stream"),
    ("zeroes", bytes(4096), "not a Xen migration stream"),
    ("id", b"\xff" * 8 + b"XENG" + bytes(100), '"XENF"'),
    ("version", headers(version=4), "offset 12: version 4"),
    ("options", headers()[:16] + b"\x80" + head()[17:], "offset 16: options 0x8000: reserved bits are not zero"),
    ("image header", headers()[:23] + b"\1" + head()[24:], "offset 18: reserved bytes of the image header are not zero"),
    ("domain header", headers()[:30] + b"\1" + head()[31:], "offset 30: the reserved field of the domain header is not zero"),
    ("padding", headers() + record(OPTIONAL, b"1")[:-1] + b"1" + head()[40:], "offset 55, record 0 (optional, type 0x80000000): its padding is not zero"),
    ("header only", headers(), "offset 40, record 0"),
    ("memory first", headers() + pages(1), "PAGE_DATA, type 0x1): stands before STATIC_DATA_END"),
    ("unknown", headers() + record(0x55), "offset 40, record 0 (unknown, type 0x55)"),
    ("cut policy", head()[:300], "offset 300, record 0 (X86_CPUID_POLICY"),
    ("no policy", headers() + record(STATIC_DATA_END), "X86_CPUID_POLICY is not in it"),
    ("long policy", headers() + struct.pack("<II", CPUID, 24 * 100000) + bytes(1000), "100000 entries"),
    ("4 GiB optional", headers() + struct.pack("<II", OPTIONAL, 2**32 - 1) + bytes(1000), "at most"),
    ("policy twice", headers() + head()[40:-8] + head()[40:], "a second time"),
], ids=lambda v: v if isinstance(v, str) and len(v) < 16 else "")
@pytest.mark.parametrize("how", ["pipe", "relay-pipe", "file"])
def test_bad_streams(tmp_path, how, name, data, words):
    assert words in refused(Run(tmp_path, data, how)).replace("\n    ", " ")


def test_unsorted_leaves(tmp_path):
    leaves = policy("leaves")
    data = headers() + record(CPUID, leaves[24:48] + leaves[:24] + leaves[48:]) + record(STATIC_DATA_END)
    text = refused(Run(tmp_path, data)).replace("\n      ", " ")
    assert f"offset {48 + 24}, record X86_CPUID_POLICY: entry 1" in text


def without(leaf, subleaf=None):
    """A policy in which that is not named."""
    leaves = policy("leaves")
    entries = [leaves[at:at + 24] for at in range(0, len(leaves), 24)]
    return b"".join(e for e in entries if struct.unpack_from("<I", e)[0] != leaf
                    or subleaf is not None and struct.unpack_from("<I", e, 4)[0] != subleaf)


@pytest.mark.parametrize("how", ["pipe", "relay-socket", "file"])
@pytest.mark.parametrize("unverified", ["", "unverified,avx2,xstate,max-leaf,msr"])
def test_a_policy_that_is_not_whole(tmp_path, how, unverified):
    """Stock Xen merges it over the domain's birth policy: what it does not name would be this host's."""
    end = record(STATIC_DATA_END) + pages(1) + record(END)
    msrs = record(MSR, policy("msrs"))
    cases = [(record(CPUID, without(7)) + msrs, "incomplete: leaf 7 is not named"),
             (record(CPUID, without(0xd, 2)) + msrs, "incomplete: leaf D, subleaf 2 is not named"),
             (record(CPUID, without(0x80000001)) + msrs, "incomplete: leaf 80000001 is not named"),
             (record(CPUID, policy("leaves")[:24]) + msrs, "incomplete: leaf 1 is not named"),
             (record(CPUID, policy("leaves")), "incomplete: MSR 10A is not named"),
             (record(CPUID, policy("leaves")) + record(MSR, policy("msrs")[:16]), "incomplete: MSR 10A is not named"),
             (msrs, "the head ends with X86_MSR_POLICY and without X86_CPUID_POLICY")]
    for i, (static, words) in enumerate(cases):
        (tmp_path / str(i)).mkdir()
        run = Run(tmp_path / str(i), headers() + static + end, how, env={"XENLEVEL_ALLOW": unverified})
        assert words in refused(run).replace("\n    ", " ")
        assert words in run.log_message()


@pytest.mark.parametrize("kind, name", [(CPUID, "X86_CPUID_POLICY"), (MSR, "X86_MSR_POLICY"), (2, "X86_PV_INFO"),
                                        (STATIC_DATA_END, "STATIC_DATA_END")])
def test_policy_behind_the_head_stops_the_stream(tmp_path, kind, name):
    """And all other static data."""
    body = {CPUID: policy("leaves"), MSR: policy("msrs"), 2: bytes([8, 4]) + bytes(6)}.get(kind, b"")
    good = head() + pages(2)
    run = Run(tmp_path, good + record(kind, body) + pages(2) + record(END), "relay-pipe").finish()
    assert run.p.returncode == 3  # the helper saw its stream end
    assert run.file("stream") == good
    assert f"stopped: record {name}" in run.stderr


def test_optional_records_without_an_end(tmp_path):
    """Records of nothing, 2 million of them: they are not handed on for long."""
    many = record(OPTIONAL | 5)
    data = head() + many * 1024 + pages(1) + many * 1024 + record(END)
    passed(Run(tmp_path, data, "relay-pipe"), data)
    good = head() + pages(1) + many * 1024
    run = Run(tmp_path, good + many * (1 << 21), "relay-pipe").finish()
    assert run.p.returncode == 3
    assert run.file("stream") == good
    assert f"stopped: record optional at offset {len(good)}, behind 1024 optional ones" in run.stderr


@pytest.mark.parametrize("how", HOWS)
def test_optional_records_without_an_end_in_the_head(tmp_path, how):
    text = refused(Run(tmp_path, headers() + record(OPTIONAL | 5) * (1 << 21) + head()[40:], how)).replace("\n    ", " ")
    assert "offset 296, record 32 (optional, type 0x80000005): more than 32 records in the head" in text


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 100, 4000])
def test_stream_ends_too_early(tmp_path, cut):
    data = stream(n=4)
    for how in HOWS:
        run = Run(tmp_path, data[:-cut], how).finish()
        assert run.p.returncode == 3
        got = run.file("stream")
        # The relay keeps a part of a record header to itself.
        assert data[:-cut].startswith(got) and len(data) - cut - len(got) < (8 if how.startswith("relay-") else 1)
        assert ("the stream ended at offset" in run.stderr) == how.startswith("relay-")


# ---- giving up ----

def test_override_is_logged_one_by_one(tmp_path):
    data = stream()
    env = {"FAKE_XEN_DROP": "avx2,bmi1", "XENLEVEL_ALLOW": "AVX2,bmi1"}
    missing = Run(tmp_path, data, env={"FAKE_XEN_DROP": "avx2,bmi1"})
    refused(missing)
    words = missing.log_message().split("missing ")[1].split(";")[0].split()
    env["XENLEVEL_ALLOW"] = ",".join(words).upper().replace("-", "_")
    run = passed(Run(tmp_path, data, env=env), data)
    for word in words:
        assert f"'web1': {word}: given up by XENLEVEL_ALLOW" in run.stderr.replace("\n    ", " ")
    assert "Xen silently cuts its CPU down" in run.stderr.replace("\n    ", " ")
    assert "xstate: given up" in run.stderr  # AVX-512's registers go with AVX-512
    logged(run)


def test_what_is_not_in_the_list_still_refuses(tmp_path):
    text = refused(Run(tmp_path, stream(), env={"FAKE_XEN_DROP": "avx2,movbe", "XENLEVEL_ALLOW": "avx2"}))
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    assert "movbe" in rows and "avx2" not in rows
    assert "would have been given up by XENLEVEL_ALLOW" in text


def test_a_typing_error_refuses(tmp_path):
    text = refused(Run(tmp_path, stream(), env={"XENLEVEL_ALLOW": "avx2,bm1"}))
    assert "'bm1' is neither a feature nor one of" in text


def test_policy_that_cannot_exist(tmp_path):
    text = refused(Run(tmp_path, stream(drop="avx", have="")[:0] + broken_policy()))
    assert "is not a CPU that can exist" in text and "avx2" in text


def broken_policy():
    """A policy with AVX2 and without AVX: leaf 1 ECX bit 28 cleared by hand."""
    leaves = bytearray(policy("leaves"))
    for at in range(0, len(leaves), 24):
        leaf, _, a, b, c, d = struct.unpack_from("<6I", leaves, at)
        if leaf == 1:
            struct.pack_into("<I", leaves, at + 16, c & ~(1 << 28))
    return headers() + record(CPUID, bytes(leaves)) + record(MSR, policy("msrs")) + record(STATIC_DATA_END) + pages(1) + record(END)


@pytest.mark.skipif("asan" in str(BUILD), reason="ASan must be the first library")
def test_without_memory_for_words(tmp_path):
    """A refusal stays one, and libxl is told; what passes is not in need of words."""
    env = {"LD_PRELOAD": str(next(TOOLS.glob("libnomemory*.so")))}
    run = Run(tmp_path, stream(), cpu=POOR, env=env)
    assert "'web1': the gate is out of memory" in refused(run)
    assert run.log_message() == "refused: 'web1': the gate is out of memory"
    (tmp_path / "passes").mkdir()
    data = stream()
    run = passed(Run(tmp_path / "passes", data, env=env), data)
    assert "passed: 'web1' (PVH, from Xen 4.17)" in run.log.read_text()


# ---- the trial ----

BLIND = TOOLS / "gate-no-audit-under-test"


@pytest.fixture(params=["gate", "blind"])
def gate(request, monkeypatch):
    """The gate, and one that audits nothing."""
    if request.param == "blind":
        monkeypatch.setitem(globals(), "GATE", BLIND)
    return request.param


@pytest.mark.parametrize("how", HOWS)
def test_what_xen_does_not_give_is_refused(tmp_path, gate, how):
    data = stream()
    run = Run(tmp_path, data, how, env={"FAKE_XEN_KEEPS_NOT": "rdrand"})
    text = refused(run)
    assert "'web1' (PVH, from Xen 4.17) would get another CPU on this host" in text.replace("\n    ", " ")
    assert "without rdrand" in text and "1.ecx[30]" in text
    assert ": without rdrand" in run.log_message()
    if how != "file":
        assert run.left == (data[len(head()):] if how.startswith("relay-") else data)


def test_what_xen_adds_is_refused(tmp_path, gate):
    run = Run(tmp_path, stream(drop="rdrand"), env={"FAKE_XEN_ADDS": "rdrand"})
    assert "    with rdrand" in refused(run)
    assert run.log_message().endswith(": with rdrand")


def test_without_an_audit_the_trial_refuses(tmp_path, monkeypatch):
    """Each feature that the audit names, Xen itself names too."""
    env = {"FAKE_XEN_DROP": "avx2,bmi1"}
    audited = Run(tmp_path, stream(), env=env)
    refused(audited)
    missing = audited.log_message().split("missing ")[1].split(";")[0].split()
    monkeypatch.setitem(globals(), "GATE", BLIND)
    (tmp_path / "blind").mkdir()
    tried = Run(tmp_path / "blind", stream(), env=env)
    refused(tried)
    assert missing == tried.log_message().split(": without ")[1].split(";")[0].split()


@pytest.mark.parametrize("keep", [lambda leaf: leaf == 0, lambda leaf: leaf != 7], ids=["only leaf 0", "without leaf 7"])
def test_what_is_not_named_is_not_kept(tmp_path, gate, keep):
    """Xen merges: what the stream does not name is what a domain is born with."""
    leaves = policy("leaves", POOR)
    leaves = b"".join(leaves[i:i + 24] for i in range(0, len(leaves), 24)
                      if keep(struct.unpack_from("<I", leaves, i)[0]))
    data = headers() + record(CPUID, leaves) + record(STATIC_DATA_END) + pages(1) + record(END)
    refused(Run(tmp_path, data, cpu=RICH))


def test_xen_refuses_it(tmp_path, gate):
    run = Run(tmp_path, stream(), env={"FAKE_XEN_FAIL": "set-policy"})
    assert "does not get its CPU on this host" in refused(run).replace("\n    ", " ")


def test_given_up_is_not_expected_back(tmp_path):
    """What XENLEVEL_ALLOW gives up may differ, nothing else."""
    data = stream()
    env = {"FAKE_XEN_DROP": "rdrand", "XENLEVEL_ALLOW": "rdrand"}
    run = passed(Run(tmp_path, data, env=env), data)
    assert "rdrand: given up by XENLEVEL_ALLOW" in run.stderr
    (tmp_path / "more").mkdir()
    text = refused(Run(tmp_path / "more", data, env={**env, "FAKE_XEN_KEEPS_NOT": "movbe"}))
    assert "without movbe" in text and "without rdrand" not in text


def test_what_only_the_trial_finds_is_given_up_aloud(tmp_path, gate):
    """The audit foresees nothing: the log must not say that it passed."""
    data = stream()
    env = {"FAKE_XEN_KEEPS_NOT": "rdrand", "XENLEVEL_ALLOW": "rdrand"}
    run = passed(Run(tmp_path, data, env=env), data)
    text = run.stderr.replace("\n    ", " ")
    assert text.count("'web1': rdrand: given up by XENLEVEL_ALLOW: Xen gave it without rdrand") == 1
    assert "Xen silently cuts its CPU down" in text
    logged(run)


def test_fields_of_leaves_are_given_up(tmp_path, gate):
    """As the audit names them, so the trial."""
    data = stream()
    env = {"FAKE_XEN_CLEARS": "5"}
    text = refused(Run(tmp_path, data, env=env)).lower()
    assert "leaf 5" in text
    (tmp_path / "named").mkdir()
    run = passed(Run(tmp_path / "named", data, env={**env, "XENLEVEL_ALLOW": "leaf"}), data)
    assert "given up by XENLEVEL_ALLOW" in run.stderr
    (tmp_path / "free").mkdir()     # the bytes of leaf 2 are free: no fault of the audit's, which could be given up
    text = refused(Run(tmp_path / "free", data, env={"FAKE_XEN_CLEARS": "2", "XENLEVEL_ALLOW": "leaf"}))
    assert "leaf 2 eax: told" in text


def test_all_that_a_refusal_names_given_up(tmp_path, monkeypatch):
    """It lets the domain in, since the trial holds what it finds against the same words; all but one does not."""
    born = "intel-sapphire-rapids"
    data = headers() + record(CPUID, policy("leaves", born)) + record(MSR, policy("msrs", born)) + record(STATIC_DATA_END) \
        + pages(1) + record(END)
    first = Run(tmp_path, data)
    refused(first)
    words = [word for word in first.log_message().split(": missing ")[1].replace(";", "").split()
             if word not in ("untold", "differs")]
    assert {"maxphysaddr", "linearaddr", "leaf", "max-leaf", "xstate"} <= set(words)
    (tmp_path / "all").mkdir()
    passed(Run(tmp_path / "all", data, env={"XENLEVEL_ALLOW": ",".join(words)}), data)
    words.remove("maxphysaddr")
    monkeypatch.setitem(globals(), "GATE", BLIND)
    (tmp_path / "less").mkdir()
    text = refused(Run(tmp_path / "less", data, env={"XENLEVEL_ALLOW": ",".join(words)}))
    assert "leaf 80000008 eax: told" in text and text.count(": told") == 1


def test_msr_does_not_give_up_features(tmp_path, gate):
    data = stream(have="arch-caps,rdcl-no")
    env = {"FAKE_XEN_SET": "arch-caps,rdcl-no", "FAKE_XEN_KEEPS_NOT": "rdcl-no"}
    text = refused(Run(tmp_path, data, env={**env, "XENLEVEL_ALLOW": "msr"}))
    assert "without rdcl-no" in text
    (tmp_path / "named").mkdir()
    passed(Run(tmp_path / "named", data, env={**env, "XENLEVEL_ALLOW": "rdcl-no"}), data)


# ---- the last look ----

@pytest.mark.parametrize("how", HOWS)
def test_late_change(tmp_path, gate, how):
    data = stream()
    run = Run(tmp_path, data + TRAILING, how, env={"FAKE_XEN_LATE": "rdrand"}).finish()
    assert run.p.returncode == 1
    assert run.file("stream") == data and run.left == TRAILING
    text = run.stderr.replace("\n    ", " ")
    assert "xenlevel: refused: 'web1' (PVH, from Xen 4.17) no longer has its CPU on this host" in text
    assert "without rdrand" in text and "is thrown away" in text
    logged(run)
    assert run.stdout == b""    # libxl reads no more messages


def test_a_last_look_that_cannot_be_had(tmp_path):
    run = Run(tmp_path, stream(), env={"FAKE_XEN_LATE": "gone"}).finish()
    assert run.p.returncode == 1 and "cannot be looked at again on this host" in run.stderr.replace("\n    ", " ")


def test_no_last_look_behind_a_failure(tmp_path):
    run = Run(tmp_path, stream(), mode="exit:5", env={"FAKE_XEN_LATE": "rdrand"}).finish()
    assert run.p.returncode == 5 and "refused" not in run.stderr


def test_unverified_says_what_it_got(tmp_path):
    data = headers(version=2, minor=13) + pages(3) + record(END)
    env = {"XENLEVEL_ALLOW": "unverified"}
    run = passed(Run(tmp_path, data, env=env), data)
    assert "'web1': unverified: it has the CPU that this host gives by default" in run.stderr.replace("\n    ", " ")
    logged(run)


# ---- the gate and its child ----

def test_sigterm_goes_through_the_child(tmp_path):
    """When the gate has ended, so has the helper: libxl destroys the domain next."""
    run = Run(tmp_path, stream(n=20, size=1 << 20), mode="hang")
    run.wait_for("hanging")
    helper = int(run.file("pid"))
    run.p.send_signal(signal.SIGTERM)
    run.p.wait(TIMEOUT)
    assert run.p.returncode == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)
    run.finish()


@pytest.mark.parametrize("ignored", [True, False])
def test_sigchld_ignored_by_libxl(tmp_path, ignored):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        run = Run(tmp_path, stream(), mode="exit:9")
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert run.finish().p.returncode == 9
    assert run.file("sigchld") == (b"ignored" if ignored else b"default")


def test_sigterm_blocked_by_libxl(tmp_path):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        run = Run(tmp_path, stream(n=20, size=1 << 20), mode="hang")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    run.wait_for("hanging")
    run.p.send_signal(signal.SIGTERM)
    assert run.finish().p.returncode == -signal.SIGTERM
    assert gone(run)


# ---- the gate's own faults ----

@pytest.mark.parametrize("env,words", [
    ({"FAKE_XEN_CPU": ""}, None),
    ({"FAKE_XEN_FAIL": "version"}, "version"),
    ({"FAKE_XEN_FAIL": "getdomaininfo"}, "there is no domain 3"),
    ({"FAKE_XEN_FAIL": "policy"}, "hvm-max policy"),
    ({"XENLEVEL_STOCK_HELPER": "/nonexistent/helper"}, "/nonexistent/helper: No such file"),
    ({"XENLEVEL_STOCK_HELPER": "/etc/passwd"}, "is not a program"),
    ({"XENLEVEL_STOCK_HELPER": "/tmp"}, "is not a program"),
    ({"XENLEVEL_STOCK_HELPER": str(GATE)}, "is xenlevel's own"),
], ids=["", "version", "domain", "policy", "missing helper", "no program", "directory", "loop"])
def test_own_faults_fail_closed(tmp_path, env, words):
    run = Run(tmp_path, stream(), cpu=None if env.get("FAKE_XEN_CPU") == "" else RICH,
              env={k: v for k, v in env.items() if v})
    assert (words or "no Xen here") in refused(run).replace("\n    ", " ")


def put_another_gate(_, path):
    """Another version of it, as far as the mark goes; it would let everything pass."""
    path.write_text("#!/bin/sh\n# xenlevel-save-helper stands here for libxl-save-helper\n")
    path.chmod(0o755)


@pytest.mark.parametrize("put", [os.link, os.symlink, shutil.copy, put_another_gate],
                         ids=["second name", "link", "copy", "another version"])
def test_a_gate_in_the_helpers_place_is_no_helper(tmp_path, put):
    """Where it was put, and how: starting it would begin all over again."""
    put(GATE, tmp_path / "libxl-save-helper")
    run = Run(tmp_path, stream(), env={"XENLEVEL_STOCK_HELPER": str(tmp_path / "libxl-save-helper")})
    assert "is xenlevel's own" in refused(run).replace("\n    ", " ")


def test_helper_that_cannot_be_started(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    run = Run(tmp_path, stream(), env={"XENLEVEL_STOCK_HELPER": str(script)}).finish()
    assert run.p.returncode == 1
    assert "starting" in run.stderr and "No such file" in run.stderr.replace("\n    ", " ")
    assert gone(run)


@pytest.mark.parametrize("args", [
    ["--restore-domain"],
    ["--restore-domain", "FD"],
    ["--restore-domain", "FD", "-1", "3", "1", "0", "2", "0", "768"],
    ["--restore-domain", "nine", "-1", "3", "1", "0", "2", "0", "768", "0"],
    ["--restore-domain", "0", "-1", "3", "1", "0", "2", "0", "768", "0"],
    ["--restore-domain", "999", "-1", "3", "1", "0", "2", "0", "768", "0"],
    ["--restore-domain", "FD", "-1", "3x", "1", "0", "2", "0", "768", "0"],
    ["--restore-domain", "FD", "-1", "3", "1", "0", "2", "0", "768", ""],
], ids=lambda a: " ".join(a[1:])[:30] or "none")
def test_wrong_arguments_fail_closed(tmp_path, args):
    refused(Run(tmp_path, stream(), args=args))


def test_checkpointed_stream(tmp_path):
    args = ["--restore-domain", "FD", "-1", "3", "1", "0", "2", "0", "768", "2"]
    assert "checkpointed stream" in refused(Run(tmp_path, stream(), args=args))


def test_unknown_mode_starts_nothing(tmp_path):
    run = Run(tmp_path, stream(), args=["--something-new", "FD"]).finish()
    assert run.p.returncode == 2 and run.file("argv") is None


@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_moment(tmp_path, seed):
    """However far it got: what the helper has is a part of the stream, and nothing stays behind."""
    rng = random.Random(seed)
    data = stream(n=400, size=100000)
    run = Run(tmp_path, data, ["pipe", "relay-pipe", "relay-socket"][seed % 3], hold=True)
    time.sleep(rng.random() * 0.12)
    run.p.kill()
    run.p.wait(TIMEOUT)
    assert run.p.returncode in (0, -signal.SIGKILL)
    assert gone(run)
    got = run.file("stream") or b""
    assert data.startswith(got)
    run.stopped.set()
    run.finish()


def test_relay_killed(tmp_path):
    """Without the relay the helper sees its stream end, and fails by itself."""
    run = Run(tmp_path, head() + pages(2), "relay-pipe", hold=True)
    run.wait_for("pid")
    word = f"XENLEVEL_LOG={run.log}".encode()
    helper = int(run.file("pid"))
    (relay,) = [pid for pid in processes(word) if pid not in (run.p.pid, helper)]
    deadline = time.monotonic() + TIMEOUT
    while set(os.listdir(f"/proc/{relay}/fd")) != {"0", "1", "2", "3", "4"}:    # the last thing that it does before it relays
        assert time.monotonic() < deadline, os.listdir(f"/proc/{relay}/fd")
        time.sleep(0.01)
    assert Path(f"/proc/{relay}/comm").read_text() == "xenlevel-relay\n"
    # It holds nothing of the helper's: libxl must see the control pipe close when the helper goes.
    fds = {fd: os.readlink(f"/proc/{relay}/fd/{fd}") for fd in os.listdir(f"/proc/{relay}/fd")}
    assert set(fds) == {"0", "1", "2", "3", "4"} and fds["0"] == fds["1"] == "/dev/null"
    os.kill(relay, signal.SIGKILL)
    assert run.p.wait(TIMEOUT) == 3
    run.stopped.set()
    run.finish()


# ---- a newer Xen ----

def written_by(minor, **how):
    data = bytearray(stream(**how))
    data[36:40] = struct.pack("<I", minor)
    return bytes(data)


@pytest.mark.parametrize("minor, words", [
    (20, "it may write LAPIC entries of 32 bytes, of which Xen takes only 24 here"),
    (21, "it writes LAPIC entries of 32 bytes, of which Xen takes only 24 here"),
    (23, "it writes LAPIC entries of 32 bytes")])
@pytest.mark.parametrize("how", HOWS)
def test_records_of_a_newer_xen_are_refused(tmp_path, how, minor, words):
    """Xen 4.17 refuses them when all memory has moved."""
    run = Run(tmp_path, written_by(minor), how)
    text = refused(run).replace("\n    ", " ")
    assert f"'web1' (PVH, from Xen 4.{minor}) cannot go on under this host's Xen 4.17" in text and words in text
    assert "XENLEVEL_ALLOW=release" in text
    assert ("the saved image is as it was" if how == "file" else "keeps running where it was") in text


def test_records_of_a_newer_xen_are_given_up(tmp_path):
    data = written_by(20)
    run = passed(Run(tmp_path, data, env={"XENLEVEL_ALLOW": "release"}), data)
    assert "'web1': release: from Xen 4.20 to 4.17: it may write LAPIC entries" in run.log.read_text()


@pytest.mark.parametrize("here, minor, kind", [
    ("17", 18, "pv"), ("17", 22, "pv"), ("20", 17, "pvh"), ("21", 20, "pvh"), ("22", 21, "hvm"), ("20", 20, "pvh"), ("17", 16, "pvh")])
def test_records_that_this_xen_takes(tmp_path, here, minor, kind):
    data = written_by(minor, guest=1 if kind == "pv" else 2)
    passed(Run(tmp_path, data, env={"FAKE_XEN_MINOR": here, "FAKE_XEN_TYPE": kind}), data)


# ---- save ----

def test_save_runs_the_stock_helper(tmp_path):
    run = Run(tmp_path, b"", "file", mode="save", save=True).finish()
    assert run.p.returncode == 0 and run.stderr == ""
    assert (tmp_path / "image").read_bytes() == b"xl's headersaved"
    assert run.file("argv").split(b"\0")[1:-1] == [os.fsencode(str(a)) for a in run.argv[1:]]
    assert int(run.file("pid")) == run.p.pid
    assert set(run.file("fds").split()) == {b"0", b"1", b"2", str(run.fd).encode()}


@pytest.mark.parametrize("env,cpu,words", [
    ({}, None, "without a look at its CPU"),
    ({"FAKE_XEN_FAIL": "version"}, RICH, "without a look at its CPU"),
    ({"FAKE_XEN_FAIL": "domain-policy"}, RICH, "its CPU policy cannot be had"),
    ({"FAKE_XEN_SET": "avx2"}, "intel-penryn", "not a CPU that can exist"),
    ({"FAKE_XEN_MINOR": "13"}, RICH, "Xen 4.13 writes no CPU policy"),
], ids=["no Xen", "version", "policy", "impossible", "old"])
def test_save_warns_and_goes_on(tmp_path, env, cpu, words):
    run = Run(tmp_path, b"", "file", cpu=cpu, mode="save", save=True, env=env).finish()
    assert run.p.returncode == 0
    assert words in run.stderr.replace("\n    ", " ")
    assert (tmp_path / "image").read_bytes() == b"xl's headersaved"


def test_save_with_strange_arguments_goes_on(tmp_path):
    run = Run(tmp_path, b"", "file", mode="save", args=["--save-domain", "FD", "-1", "what"]).finish()
    assert run.p.returncode in (0, 4) and run.file("argv") is not None


# ---- the rest ----

def test_version_and_help():
    assert subprocess.run([GATE, "--version"], capture_output=True, text=True).stdout.startswith("xenlevel-save-helper ")
    r = subprocess.run([GATE, "--help"], capture_output=True, text=True)
    assert r.returncode == 0 and "--restore-domain" in r.stdout


def test_wrapped_to_the_terminal(tmp_path):
    """On a terminal of 60 columns no line is longer."""
    import fcntl
    import pty
    import termios
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    r, w = os.pipe()
    os.write(w, stream(n=0))
    env = dict(os.environ, FAKE_XEN_CPU=POOR, FAKE_XEN_NAME="web1", XENLEVEL_STOCK_HELPER=str(HELPER))
    env.pop("COLUMNS", None)    # newer pytest-xdist sets it for its workers
    p = subprocess.Popen([GATE, "--restore-domain", str(r), "-1", "3", "1", "0", "2", "0", "768", "0"], env=env,
                         pass_fds=[r], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    text = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    assert p.wait(TIMEOUT) == 1
    lines = text.decode().replace("\r", "").splitlines()
    assert len(lines) > 20 and max(map(len, lines)) <= 60
