# SPDX-License-Identifier: MIT
"""xl-sim save, restore, migrate between running hosts: one side runs the domain, whatever happens on the way."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import pytest

from test_xl_sim import BUILD, CASCADE, HANGS, ROOT, SANDY, XL, Host

LINE = Path(__file__).with_name("line.py")
VERIFY = ROOT / "tools/python/verify-stream"
BANNER = len("xl-sim: ready\n")


# A PV guest sees of its policy what the CPU lets Xen show: all of it only where CPUID faults (Ivy Bridge and later).
HASWELL = "intel-haswell-ep"
PAIRS = {"masks": (SANDY, HASWELL), "pv": (CASCADE, HASWELL), "pvh": (CASCADE, SANDY), "hvm": (CASCADE, SANDY)}


@pytest.fixture
def kind():
    return "pvh"


@pytest.fixture
def pair(kind):
    hosts = []
    for machine in PAIRS[kind]:
        path = Path(tempfile.mkdtemp(prefix="xl", dir="/tmp"))     # a socket's path has 107 characters
        hosts.append(Host(path, machine, stepped=False))
    yield hosts
    for host in hosts:
        host.process.terminate()
        host.process.communicate(timeout=HANGS)
        shutil.rmtree(host.path)


def level(a, b):
    for host in (a, b):
        host.xenlevel("host", "-o", host.path / "host.xlp")
    a.xenlevel("level", a.path / "host.xlp", b.path / "host.xlp", "-o", a.path / "pool.xlp")
    return str(a.path / "pool.xlp")


def names(host):
    return [d["name"] for d in host.ask("list")]


def ticks(host, name):
    """Of a guest that runs, and noticed nothing."""
    answer = host.ask("status", name)
    assert {v["status"] for v in answer["vcpus"]} == {"running"}, answer
    return min(v["ticks"] if "ticks" in v else v["steps"] for v in answer["vcpus"])


def until(what, else_what, seconds=HANGS):
    """Wait for it; the limit is for what hangs, on a machine of any speed."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, else_what
        time.sleep(0.02)


def goes_on(host, name="g"):
    before = ticks(host, name)
    until(lambda: ticks(host, name) > before, "it stands still")


def over(**plan):
    """A command for -S: a line on which things happen (line.py says which)."""
    path = f"{BUILD}/tools/xl:{os.environ['PATH']}"
    return f"exec env PATH={shlex.quote(path)} {shlex.quote(sys.executable)} {LINE} {shlex.quote(json.dumps(plan))}"


def wrapper(path, text):
    """A command for -S: a shell script that gets the receiver's command as its arguments."""
    script = path / "over"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return f"env PATH={BUILD}/tools/xl:{os.environ['PATH']} {script}"


@pytest.mark.parametrize("kind", ["pv", "pvh", "hvm"])
@pytest.mark.parametrize("script", ["steady", "writer", "vector"])
def test_there_and_back_while_it_runs(pair, kind, script):
    a, b = pair
    a.create(type=kind, guest=script, vcpus=2, memory=16, cpu_policy=level(a, b), threads=2)
    b.create(type="pvh", name="other", memory=4)        # so that machine frames are others there
    goes_on(a)
    done = a.run("migrate", "g", b.socket)
    assert "downtime" in done.stdout and done.stderr == ""
    assert names(a) == ["Domain-0"] and "g" in names(b)
    goes_on(b)
    answer = json.loads(b.run("migrate", "-k", "--json", "g", a.socket).stdout)
    assert answer["pages"] + answer["zero_pages"] >= 4096 and answer["downtime_ns"] > 0
    assert names(b) == ["Domain-0", "other"]
    goes_on(a)


@pytest.mark.parametrize("kind", ["masks"])
def test_programs_of_a_pv_guest_are_told_apart(pair):
    """The kernel reads its policy everywhere; what its programs read is named before and noticed after."""
    sandy, haswell = pair
    sandy.create(type="pv", memory=8, cpu_policy=level(sandy, haswell))
    goes_on(sandy)
    done = sandy.run("migrate", "g", haswell.socket)
    assert "cannot be shown: hypervisor" in done.stderr and "may read something else again" in done.stderr

    def its_vcpu():
        (vcpu,) = haswell.ask("status", "g", status=None)["vcpus"]
        return vcpu

    until(lambda: its_vcpu()["status"] != "running", "nothing is noticed")
    vcpu = its_vcpu()
    assert vcpu["status"] == "programs-cpu-changed" and vcpu["changed_view"] == "programs"
    # HYPERVISOR, which Sandy Bridge's masks cannot set, is the first bit of leaf 1 that differs.
    assert int(vcpu["changed_leaf"], 16) == 1
    assert int(vcpu["expected"], 16) ^ int(vcpu["seen"], 16) == 1 << 31
    ticks_then = vcpu["ticks"]
    until(lambda: its_vcpu()["ticks"] > ticks_then, "its kernel stands still")
    # And back: what it will read there is said by the other side.
    done = haswell.run("migrate", "g", sandy.socket)
    assert "cannot be shown: hypervisor" in done.stderr and "may find" not in done.stderr


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_another_cpu_is_refused_by_name(pair, kind):
    a, b = pair
    a.create(type=kind, guest="vector", memory=8)
    goes_on(a)
    done = a.run("migrate", "g", b.socket, status=1)
    assert "avx512f  7.0.ebx[16]" in done.stderr and "goes on here" in done.stderr and not done.stdout
    assert names(b) == ["Domain-0"]
    goes_on(a)


@pytest.mark.parametrize("bytes", [0, 1, 47, 100, 1200, 2000, 5000, 1 << 20, (1 << 23) + 77])
def test_a_line_that_is_cut(pair, tmp_path, bytes, monkeypatch):
    a, b = pair
    monkeypatch.setenv("XENLEVEL_ZERO_PAGES", "0")      # or there would not be so many bytes
    a.create(type="pvh", guest="writer", memory=16, cpu_policy=level(a, b))
    done = a.run("migrate", "-S", wrapper(tmp_path, f'head -c {bytes} | "$@"'), "g", b.socket, status=2)
    assert "goes on here" in done.stderr
    assert names(b) == ["Domain-0"]
    goes_on(a)


@pytest.mark.parametrize("bytes", [0, 5, BANNER, BANNER + 1])
def test_answers_that_are_lost(pair, tmp_path, bytes):
    a, b = pair
    a.create(type="pvh", guest="writer", memory=8, cpu_policy=level(a, b))
    line = wrapper(tmp_path, f'"$@" | dd bs=1 count={bytes} 2>/dev/null')
    # Where nothing of what matters was lost, whoever waits goes on here, whenever that is.
    patience = ("-t", 2) if bytes <= BANNER else ()
    done = a.run("migrate", *patience, "-S", line, "g", b.socket, status=2)
    if bytes <= BANNER:        # it was never allowed to run there
        assert "goes on here" in done.stderr and names(b) == ["Domain-0"]
        goes_on(a)
    else:                       # it was, and nobody heard that it does
        assert "kept suspended" in done.stderr
        goes_on(b)
        before = ticks(a, "g")
        assert ticks(a, "g") == before
        a.run("destroy", "g")


def test_zeros_are_not_carried(pair, tmp_path, monkeypatch):
    a, b = pair
    a.create(type="pvh", guest="writer", memory=64, guest_pages=100, cpu_policy=level(a, b))
    goes_on(a)
    answer = json.loads(a.run("migrate", "--json", "g", b.socket).stdout)
    assert answer["bytes"] < 4 << 20 and answer["zero_pages"] > 16000
    goes_on(b)
    sizes = {}
    for zero in "01":
        monkeypatch.setenv("XENLEVEL_ZERO_PAGES", zero)
        b.run("save", "-c", "g", tmp_path / zero)
        sizes[zero] = (tmp_path / zero).stat().st_size
        subprocess.run([sys.executable, VERIFY, tmp_path / zero], check=True, stdout=subprocess.DEVNULL)
    assert sizes["1"] < 4 << 20 and sizes["0"] > 64 << 20
    a.run("restore", tmp_path / "1")
    goes_on(a)


def test_a_receiver_that_is_killed(pair, tmp_path):
    a, b = pair
    a.create(type="pvh", guest="writer", memory=16, cpu_policy=level(a, b))
    done = a.run("migrate", "-S", wrapper(tmp_path, "exit 3"), "g", b.socket, status=2)
    assert "does not answer" in done.stderr
    done = a.run("migrate", "g", tmp_path / "nobody", status=2)
    assert "goes on here" in done.stderr
    goes_on(a)


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_saved_and_restored(pair, kind, tmp_path):
    a, b = pair
    image = tmp_path / "g.save"
    a.create(type=kind, guest="vector", vcpus=2, memory=8, cpu_policy=level(a, b))
    goes_on(a)
    a.run("save", "-k", "g", image)
    assert names(a) == ["Domain-0"] and not list(tmp_path.glob("*.part"))
    assert image.stat().st_mode & 0o777 == 0o600
    done = subprocess.run([sys.executable, VERIFY, "--checksums", image], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    b.run("restore", image)
    goes_on(b)
    assert "already" in b.run("restore", image, status=2).stderr


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_an_image_that_is_damaged_leaves_nothing(pair, kind, tmp_path):
    a, _ = pair
    image, bad = tmp_path / "g.save", tmp_path / "bad"
    a.create(type=kind, guest="writer", memory=4)
    a.run("save", "-k", "-c", "g", image)
    goes_on(a)
    a.run("destroy", "g")
    data = image.read_bytes()
    head = data.index(b"LibxlFmt") + 24
    for at in [*range(0, head, 3), head, 200, 400, 2000, len(data) // 2, len(data) - 50, len(data) - 3]:
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1:])
        assert a.run("restore", bad, status=None).returncode in (1, 2), at
        bad.write_bytes(data[:at])
        assert a.run("restore", bad, status=2).stderr, at
        assert names(a) == ["Domain-0"], at
    for at in (head - 12, head - 9):    # options of libxl's header, before anything is made of the rest
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:])
        assert "libxl's stream does not begin" in a.run("restore", bad, status=2).stderr, at
    a.run("restore", image)
    goes_on(a)


def test_registers_of_another_cpu(pair):
    """An image that was forced onto the pool's level says of itself what the guest has been using."""
    a, b = pair
    a.create(type="pvh", guest="vector", vcpus=2, memory=16)
    goes_on(a)
    image = a.path / "g.save"
    a.run("save", "g", image)
    a.xenlevel("stream", "set-policy", image, "-p", level(a, b), "-f", "all")
    said = b.run("restore", image, status=1).stderr
    for component in ("5 (avx512f)", "6 (avx512f)", "7 (avx512f)"):
        assert f"(HVM_CONTEXT): vCPU 0: XCR0: component {component} is not in its CPU policy" in said
    assert names(b) == ["Domain-0"]
    done = subprocess.run([sys.executable, VERIFY, image], capture_output=True, text=True)
    assert done.returncode == 1 and "5 (avx512f), 6 (avx512f), 7 (avx512f) are not in its CPU policy" in done.stdout


def on_a_terminal(host, *args, columns=200):
    """(status, standard output, what the terminal behind standard error got)"""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    process = subprocess.Popen([XL, "-s", host.socket, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=theirs, text=True, env=env)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):      # EIO: nobody has the terminal open any more
        while data := os.read(ours, 4096):
            seen += data
    os.close(ours)
    out, _ = process.communicate(timeout=HANGS)
    return process.returncode, out, seen.decode()


def screen(text):
    """What stands on the terminal in the end."""
    lines = [""]
    for part in re.split(r"(\r\n|\r\x1b\[K)", text):
        if part == "\r\n":
            lines.append("")
        elif part == "\r\x1b[K":
            lines[-1] = ""
        else:
            lines[-1] += part
    return "\n".join(lines)


def test_progress_on_a_terminal(pair, tmp_path, monkeypatch):
    a, b = pair
    # Every page goes, also of zeros: so there is a stream of 32 MiB, however much the guest has been able to write.
    monkeypatch.setenv("XENLEVEL_ZERO_PAGES", "0")
    a.create(type="pvh", guest="writer", memory=32, guest_rate=50000, cpu_policy=level(a, b))
    goes_on(a)
    # In round 0 the line waits until the guest has written 500 pages: as long as that takes here today.
    begun = time.monotonic()
    held = over(at=1 << 20, do=[["work", [str(XL), str(a.socket), "g", 500]]], told=str(tmp_path / "told"))
    status, out, seen = on_a_terminal(a, "migrate", "-t", 3600, "-S", held, "g", b.socket)
    elapsed = time.monotonic() - begun
    assert status == 0 and re.fullmatch(r"'g' runs there: \d+ pages in \d+ rounds, \d+ MB/s, downtime \d+\.\d ms\n", out)
    lines = seen.split("\r\x1b[K")
    bar = r"round (\d+) \[(#*)\.*\] (\d+)%  \d+ MB/s"
    assert lines[0] == "" and lines[-1] == "" and screen(seen) == ""        # nothing is left of it
    shown = [re.fullmatch(bar + r"(?:  (\d+) pages/s dirtied  downtime (\d+\.\d) ms)?", line) for line in lines[1:-1]]
    assert all(shown), lines
    rounds = [int(m[1]) for m in shown]
    assert rounds == sorted(rounds) and {0, 1} <= set(rounds)
    assert all((m[4] is not None) == (m[1] != "0") for m in shown)
    assert all(len(m[2]) == int(m[3]) * 20 // 100 for m in shown)
    dirtied = int(next(m for m in shown if m[1] == "1")[4])
    told = json.loads((tmp_path / "told").read_text())
    # Those 500 at least, in a round that was no longer than the whole; at most all, in one no shorter than the wait.
    assert int(500 / elapsed) <= dirtied <= 8192 / told["held"]
    # As narrow as the terminal, and away before a message.
    status, out, seen = on_a_terminal(b, "migrate", "-S", wrapper(tmp_path, 'head -c 5000000 | "$@" 2>/dev/null'), "g", a.socket,
                                      columns=40)
    assert status == 2 and out == ""
    assert all(len(line) < 40 for line in seen.split("\r\x1b[K") if line.startswith("round"))
    assert "round" in seen and "goes on here" in screen(seen).replace("\n ", "") and "round" not in screen(seen)
    status, out, seen = on_a_terminal(b, "save", "g", tmp_path / "g.save")
    assert (status, out, screen(seen)) == (0, "", "") and re.search(bar, seen) and "dirtied" not in seen
    status, out, seen = on_a_terminal(b, "restore", tmp_path / "g.save")
    assert status == 0 and "is domain" in out and screen(seen) == ""
    assert re.search(r"\x1b\[K\[#*\.*\] \d+%  \d+ MB/s\r", seen)


def test_a_save_that_fails_lets_it_go_on(pair):
    a, _ = pair
    a.create(type="pvh", guest="steady", memory=4)
    a.run("save", "g", "/dev/full/x", status=2)
    a.run("save", "g", a.path / "no/such/folder", status=2)
    goes_on(a)
    assert not list(a.path.glob("*.save*"))
