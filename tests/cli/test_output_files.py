# SPDX-License-Identifier: MIT
"""Files that are written: not through somebody else's link, not readable by more people, whole or not at all.

And the gate's log, XENLEVEL_LOG, wherever it leads.
"""

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

import test_gate as gate
import test_xenlevel_stream as images
from streambuilder import headers
from test_xenlevel import NEW, OLD, XENLEVEL, hosts  # noqa: F401 (a fixture)
from test_xl_sim import MACHINES, SANDY, XEN_SIM, Host

ROOT = Path(__file__).resolve().parents[2]
VERIFY = ROOT / "tools/python/verify-stream"
STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to put a file of somebody else's there")


def image():
    records = [*images.policy_records(NEW), (images.STATIC_END, b""), images.page(1), (images.END, b"")]
    return images.wrap(headers() + b"".join(images.record(*r) for r in records))


class Writers:
    """The commands that write a file: write(what, path) returns the finished process."""

    def __init__(self, path, hosts):  # noqa: F811
        self.path, self.hosts, self.host = path, hosts, None
        (path / "image").write_bytes(image())

    def write(self, what, out):
        dump = ROOT / f"xen/sim/machines/{OLD}.cpuid"
        argv = {"host": [XENLEVEL, "host", "--dump", dump, "-o", out],
                "level": [XENLEVEL, "level", self.hosts / f"{OLD}.xlp", self.hosts / f"{NEW}.xlp", "-o", out],
                "extract": [XENLEVEL, "stream", "extract-policy", self.path / "image", "-o", out],
                "strip": [XENLEVEL, "stream", "strip", self.path / "image", "-o", out],
                "junit": [VERIFY, "--junit", out, self.path / "image"]}
        if what == "save":
            if not self.host:
                self.host = Host(self.path, SANDY)
            self.host.create()
            done = self.host.run("save", "g", out, status=None)
            if done.returncode:
                self.host.run("destroy", "g")
            return done
        done = subprocess.run([str(a) for a in argv[what]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if what == "junit" and done.returncode == 1:    # what the image is worth is another question; it was written
            done.returncode = 0
        return done


@pytest.fixture
def writers(tmp_path, hosts):  # noqa: F811
    (tmp_path / "host").mkdir()
    w = Writers(tmp_path / "host", hosts)
    yield w
    if w.host:
        w.host.process.terminate()
        w.host.process.communicate(timeout=600)


@pytest.fixture
def sticky(tmp_path):
    """As /tmp is."""
    path = tmp_path / "sticky"
    path.mkdir()
    path.chmod(0o1777)
    return path


every_writer = pytest.mark.parametrize("what", ["host", "level", "extract", "strip", "save", "junit"])


def strange_link(at, target):
    at.symlink_to(target)
    os.lchown(at, STRANGER, STRANGER)
    return at


def refused(done, says="Permission denied"):
    assert done.returncode == 2 and says in done.stderr, done


@as_root
@every_writer
def test_not_through_somebody_elses_link(writers, sticky, tmp_path, what):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "folder").mkdir()
    refused(writers.write(what, strange_link(sticky / "file", target)))
    refused(writers.write(what, strange_link(sticky / "new", tmp_path / "folder/new")))
    refused(writers.write(what, strange_link(sticky / "dir", tmp_path / "folder") / "file"))
    # A link of our own that leads there, too.
    (tmp_path / "mine").symlink_to(sticky / "file")
    refused(writers.write(what, tmp_path / "mine"))
    assert target.read_text() == "precious" and not list((tmp_path / "folder").iterdir())
    assert sorted(p.name for p in sticky.iterdir()) == ["dir", "file", "new"]
    # Our own link there is ours, and a stranger's in a folder that is not for everybody is for its owner to say.
    (sticky / "own").symlink_to(tmp_path / "folder/own")
    assert writers.write(what, sticky / "own").returncode == 0
    assert writers.write(what, strange_link(tmp_path / "other", tmp_path / "folder/other")).returncode == 0
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["other", "own"]


@as_root
@every_writer
def test_not_over_somebody_elses_file(writers, sticky, what):
    """It waits there to be filled, and to be read by whom it belongs to."""
    file = sticky / "file"
    file.write_text("bait")
    os.chown(file, STRANGER, STRANGER)
    refused(writers.write(what, file))
    assert file.read_text() == "bait" and list(sticky.iterdir()) == [file]


@every_writer
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o660, 0o644])
def test_never_wider_than_what_was_there(writers, tmp_path, what, mode):
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(mode)
    before = os.umask(0)
    try:
        assert writers.write(what, file).returncode == 0
    finally:
        os.umask(before)
    now = stat.S_IMODE(file.stat().st_mode)
    assert now & ~mode == 0 and now & 0o400 and file.read_bytes() != b"old"
    if what == "save":      # a guest's memory: its own limit is in force as well
        assert now & 0o077 == 0


@as_root
@every_writer
def test_owner_and_group_stay(writers, tmp_path, what):
    """Or the group that is ours would read what only that group could."""
    file = tmp_path / "file"
    file.write_text("old")
    os.chown(file, STRANGER, STRANGER + 1)
    file.chmod(0o640)
    assert writers.write(what, file).returncode == 0
    now = file.stat()
    assert (now.st_uid, now.st_gid) == (STRANGER, STRANGER + 1) and stat.S_IMODE(now.st_mode) & ~0o640 == 0


@every_writer
def test_whole_or_not_at_all(writers, tmp_path, what):
    """What is no file, or cannot be made, is left alone; nothing is left beside it."""
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out/fifo")
    (tmp_path / "out/dir").mkdir()
    for path in ("out/fifo", "out/dir", "out/none/file", "out/dir/.", "out/fifo/x", "out/" + "x" * 256):
        refused(writers.write(what, tmp_path / path), "")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dir", "fifo"]
    assert writers.write(what, tmp_path / "out" / ("y" * 255)).returncode == 0


# ---- the gate's log ----

@pytest.fixture
def syslog(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "syslog"))
        yield {"FAKE_SYSLOG": str(tmp_path / "syslog")}


def bad_log(tmp_path, kind):
    """The path of a log that takes nothing."""
    path = tmp_path / "where" / "log"
    path.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "full":
        path.symlink_to("/dev/full")
    elif kind == "directory":
        path.mkdir()
    elif kind == "missing":
        return path / "log"
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.parent.chmod(0o1777)
        if kind == "link":
            strange_link(path, tmp_path / "target")
        elif kind == "bait":
            path.write_text("")
            os.chown(path, STRANGER, STRANGER)
        elif kind == "hard link":
            (tmp_path / "target").write_text("precious")
            os.link(tmp_path / "target", path)
    return path


BAD_LOGS = ["fifo", "full", "directory", "missing", "loop", "hard link",
            *(pytest.param(kind, marks=as_root) for kind in ("link", "bait"))]
GIVEN_UP = {"FAKE_XEN_SET": "arch-caps,rsba", "XENLEVEL_ALLOW": "rsba"}


@pytest.mark.parametrize("how", ["pipe", "file"])
@pytest.mark.parametrize("kind", BAD_LOGS)
def test_what_is_given_up_is_logged_or_refused(tmp_path, kind, how):
    log = bad_log(tmp_path, kind)
    run = gate.Run(tmp_path, gate.stream(), how, env={**GIVEN_UP, "XENLEVEL_LOG": str(log)}).finish()
    assert run.p.returncode == 1 and run.file("argv") is None
    assert "what XENLEVEL_ALLOW gives up must be logged" in run.stderr.replace("\n    ", " ")
    assert run.stderr.count("cannot be written to") == 1
    assert "must be logged" in run.log_message()
    if kind == "link":
        assert not (tmp_path / "target").exists()
    if kind == "hard link":
        assert (tmp_path / "target").read_text() == "precious"
    if kind == "bait":
        assert log.read_text() == ""


@pytest.mark.parametrize("kind", BAD_LOGS)
def test_another_log_is_enough(tmp_path, kind, syslog):
    log = bad_log(tmp_path, kind)
    data = gate.stream()
    run = gate.passed(gate.Run(tmp_path, data, env={**GIVEN_UP, **syslog, "XENLEVEL_LOG": str(log)}), data)
    assert run.stderr.count("cannot be written to") == 1 and "rsba: given up" in run.stderr


@pytest.mark.parametrize("kind", BAD_LOGS)
def test_what_needs_no_log_goes_on(tmp_path, kind):
    """A broken log is no reason to keep a domain out that may come, nor does a refusal wait for it."""
    log = str(bad_log(tmp_path, kind))
    data = gate.stream()
    run = gate.passed(gate.Run(tmp_path, data, env={"XENLEVEL_LOG": log}), data)
    assert run.stderr.count("\n") == 1 and "cannot be written to" in run.stderr
    run = gate.Run(tmp_path, data, cpu=gate.POOR, env={"XENLEVEL_LOG": log}).finish()
    assert run.p.returncode == 1 and "refused" in run.stderr


@pytest.mark.parametrize("log", ["", "/dev/null"])
def test_without_any_log(tmp_path, syslog, log):
    """What is not kept is no log."""
    data = gate.stream()
    run = gate.Run(tmp_path, data, env={**GIVEN_UP, "XENLEVEL_LOG": log}).finish()
    assert run.p.returncode == 1 and "must be logged" in run.stderr and "cannot be written to" not in run.stderr
    gate.passed(gate.Run(tmp_path, data, env={**GIVEN_UP, **syslog, "XENLEVEL_LOG": log}), data)


def test_a_fifo_that_is_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    data = gate.stream()
    gate.passed(gate.Run(tmp_path, data, env={**GIVEN_UP, "XENLEVEL_LOG": str(tmp_path / "fifo")}), data)
    assert b"rsba: given up by XENLEVEL_ALLOW" in os.read(reader, 1 << 16)
    # Full: not waited for either.
    writer = os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    run = gate.Run(tmp_path, data, env={**GIVEN_UP, "XENLEVEL_LOG": str(tmp_path / "fifo")}).finish()
    assert run.p.returncode == 1 and "must be logged" in run.stderr
    os.close(reader), os.close(writer)


def test_a_link_to_the_log(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    data = gate.stream()
    gate.passed(gate.Run(tmp_path, data, env={"XENLEVEL_LOG": str(tmp_path / "link")}), data)
    assert "passed" in (tmp_path / "real").read_text() and stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o600


STDERR = {**GIVEN_UP, "XENLEVEL_LOG": "/dev/stderr"}


def stderr_is_the_log(text):
    """Each line is there twice: for who reads along, and with a date in front as in every log."""
    line = "'web1': rsba: given up by XENLEVEL_ALLOW"
    assert text.replace("\r", "").replace("\n    ", " ").count(line) == 2 and f"[{os.getpid()}]" not in text
    assert "T" in text.split(f"xenlevel: {line[:6]}")[1] and "cannot be written to" not in text


def test_a_pipe_on_standard_error_is_a_log(tmp_path):
    data = gate.stream()
    stderr_is_the_log(gate.passed(gate.Run(tmp_path, data, env=STDERR), data).stderr)


def test_a_terminal_on_standard_error_is_a_log(tmp_path):
    data = gate.stream()
    ours, theirs = os.openpty()
    try:
        gate.passed(gate.Run(tmp_path, data, env=STDERR, stderr=theirs), data)
        stderr_is_the_log(os.read(ours, 1 << 16).decode())
    finally:
        os.close(ours), os.close(theirs)


def test_a_file_on_standard_error_is_a_log(tmp_path):
    """Also when it has no name any more: what its link in /proc says then is none."""
    data = gate.stream()
    for name in ("there", "deleted"):
        with open(tmp_path / name, "w+b") as file:
            if name == "deleted":
                (tmp_path / name).unlink()
            os.set_inheritable(file.fileno(), True)
            (tmp_path / f"run {name}").mkdir()
            gate.passed(gate.Run(tmp_path / f"run {name}", data, env=STDERR, stderr=file), data)
            file.seek(0)
            stderr_is_the_log(file.read().decode())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run deleted", "run there", "there"]


def test_a_socket_on_standard_error_is_no_log(tmp_path):
    """It cannot be opened once more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        run = gate.Run(tmp_path, gate.stream(), env=STDERR, stderr=theirs).finish()
        text = ours.recv(1 << 16).decode()
    assert run.p.returncode == 1 and "cannot be written to: No such device or address" in text.replace("\n    ", " ")
    assert "must be logged" in text.replace("\n    ", " ")


# ---- the simulated host's log ----

@pytest.mark.parametrize("kind", [kind for kind in BAD_LOGS if kind != "full"])
def test_the_log_of_a_simulated_host(tmp_path, kind):
    """Opened as the gate's: it does not wait for a reader, and nothing of somebody else's is emptied."""
    log = bad_log(tmp_path, kind)
    argv = [XEN_SIM, "-m", MACHINES / f"{SANDY}.ini", "-s", tmp_path / "sock", "--log", log]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and done.stderr.startswith(f"xen-sim: {log}: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "sock").exists()
    if kind in ("hard link", "link", "bait"):
        assert "Permission denied" in done.stderr
        assert not (tmp_path / "target").exists() or (tmp_path / "target").read_text() == "precious"


def test_the_log_of_a_simulated_host_is_of_one_run(tmp_path):
    (tmp_path / "real").write_text("of another run\n" * 1000)
    (tmp_path / "link").symlink_to("real")
    for log in ("link", "new"):
        host = Host(tmp_path, SANDY, "--log", tmp_path / log, cmdline=["loglvl=all"])
        host.stop()
        text = (tmp_path / log).read_text()
        assert "Command line: loglvl=all\n" in text and "of another run" not in text
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600 and (tmp_path / "link").is_symlink()
