# SPDX-License-Identifier: MIT
"""Names that mean something to a terminal, to a reader of logs or to a shell, through each command.

They come from policy files, save images, a host's store, file names and the command line.  Nothing that is printed or
logged has a control character but the line's end, or is anything but UTF-8; and no name makes a line of its own.
"""

import json
import os
import re
import subprocess
import unicodedata
import zlib
from pathlib import Path

import pytest

import test_gate as gate
import test_xenlevel_stream as images
from simhost import FakeHost
from test_xl_sim import MACHINES, SANDY, XEN_SIM, XL
from streambuilder import headers
from test_xenlevel import NEW, OLD, XENLEVEL, hosts, pb, pool  # noqa: F401 (fixtures)

pytestmark = pytest.mark.slow       # not part of `make check-quick`

ROOT = Path(__file__).resolve().parents[2]
VERIFY = ROOT / "tools/python/verify-stream"

# None has a slash or a NUL: each can be the name of a file.
HOSTILE = {
    "escape": b"web\x1b[2J\x1b]0;x\x07",
    "line": b"web\nFORGED: passed\r\nFORGED",
    "return": b"web\rFORGED",
    "controls": b"web" + bytes(range(1, 10)) + bytes(range(11, 32)),
    "delete": b"web\x7f\x7f",
    "c1": "web\u009b31m\u0085".encode(),
    "bidi": "web\u202egpj.\u2066x\u200f\u061c".encode(),
    "separator": "web\u2028FORGED\u2029".encode(),
    "not-utf8": b"web\xff\xfe\xc3",
    "overlong": b"web\xc0\x9b31m\xed\xa0\x80",
    "shell": b"web; touch FORGED $(reboot) `id` 'x' \"y\" & *",
    "format": b"web%s%n%1000d\\x1b",
    "option": b"-web\x1b\nFORGED",
    "long": b"web" + b"\x1b" * 180,
}
TEXT = {k: v for k, v in HOSTILE.items() if k not in ("not-utf8", "overlong")}

every_name = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
every_text = pytest.mark.parametrize("name", [n.decode() for n in TEXT.values()], ids=TEXT)


def is_clean(data):
    text = data.decode("utf-8").replace("VCPUs\tState\tTime(s)\n", "")   # the heading of `xl list` has tabs
    bad = [c for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or
                                             unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI",
                                                                              "RLI", "FSI", "PDI")
                                             or c in "\u200e\u200f\u061c")]
    assert not bad, (bad, text)
    assert not re.search(r"^\s*FORGED", text, re.M), text
    return text


def run(*argv, status=None, env=None, cwd=None):
    argv = [a if isinstance(a, bytes) else str(a).encode() for a in argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600,
                          cwd=cwd, env=dict(os.environ, **(env or {})))
    assert status is None or done.returncode == status, done
    assert done.stdout or done.stderr, argv
    is_clean(done.stdout), is_clean(done.stderr)
    return done


def run_json(*argv, **more):
    return json.loads(run(*argv, **more).stdout)


# ---- policy files ----

def rename(pb, path, name, out):  # noqa: F811
    """A copy of a host's file in which all that is text is this."""
    stand_in = "N" * len(name)
    file = pb.File()
    file.ParseFromString(path.read_bytes())
    file.ClearField("end")
    for field in ("name", "cpu", "date", "vendor", "xen_version", "xen_build_id", "xen_capabilities"):
        setattr(file.host, field, stand_in)
    data = file.SerializeToString().replace(stand_in.encode(), name)
    out.write_bytes(data + b"\x7d" + zlib.crc32(data).to_bytes(4, "little"))
    return out


@every_name
def test_names_in_policy_files(pb, hosts, tmp_path, name):  # noqa: F811
    bad = rename(pb, hosts / f"{OLD}.xlp", name, tmp_path / "bad.xlp")
    good, level = hosts / f"{NEW}.xlp", tmp_path / "pool.xlp"
    for argv in (["show", bad], ["show", bad, "--leaves"], ["verify", bad], ["diff", bad, good], ["diff", good, bad],
                 ["level", bad, good, "-o", level], ["level", bad, bad], ["xlcfg", bad], ["check", good, bad],
                 ["show", level], ["xlcfg", level], ["check", bad, good]):
        done = run(XENLEVEL, *argv)
        assert done.returncode in (0, 1, 2), done
        if argv[0] == "show":
            assert b"web" in done.stdout
    for argv in (["show", bad], ["verify", bad], ["diff", bad, good], ["level", bad, good], ["show", level]):
        shown = run_json(XENLEVEL, *argv, "--json")
        assert shown
    told = run_json(XENLEVEL, "show", bad, "--json")["name"]
    try:
        assert told == name.decode()    # what JSON can hold is what the file has
    except UnicodeDecodeError:
        assert "\\x" in told and told.isascii()


@every_name
def test_names_of_files(hosts, tmp_path, name):  # noqa: F811
    there = os.fsencode(tmp_path) + b"/"
    path = there + name + b".xlp"
    run(XENLEVEL, "host", "--dump", ROOT / f"xen/sim/machines/{OLD}.cpuid", "-o", path, status=0)
    good = hosts / f"{NEW}.xlp"
    for argv in (["show", path], ["verify", path], ["diff", path, good], ["level", path, good, "-o", there + name],
                 ["show", there + name], ["show", there], ["check", good, path], ["stream", "show", path],
                 ["show", there + name + b".none"], ["host", "--dump", path], ["host", "--dump", path + b"none"],
                 ["stream", "show", path + b"none"], ["verify", path, "--policy", name], ["--" + "x"], [name]):
        run(XENLEVEL, *argv)
    # `*` puts it on a command line: an option that there is not.
    run(XENLEVEL, "show", b"--" + name, status=2)
    run(VERIFY, path, status=2)
    run(VERIFY, b"--" + name, status=2)
    run(VERIFY, "--host", path + b"none", __file__, status=2)
    with open(path, "wb") as file:
        file.write(b"not a policy")
    run(XENLEVEL, "show", path, status=2)


# ---- save images ----

@every_text
def test_names_in_images(hosts, tmp_path, name):  # noqa: F811
    path = tmp_path / "web.save"
    records = [*images.policy_records(NEW), (images.STATIC_END, b""), images.page(1), (images.END, b"")]
    stream = headers() + b"".join(images.record(*r) for r in records)
    path.write_bytes(images.wrap(stream, name=name))
    assert b"web" in run(VERIFY, path).stdout
    assert run_json(VERIFY, "--json", path)[0]["domain"]["name"] == name
    run(VERIFY, "--junit", tmp_path / "out.xml", path)
    is_clean((tmp_path / "out.xml").read_bytes())
    run(XENLEVEL, "show", path, status=0)
    # The same, not written as JSON wants it.
    name = name.replace('"', "").replace("\\", "")
    path.write_bytes(images.wrap(stream, name="N" * len(name.encode())).replace(b"N" * len(name.encode()), name.encode()))
    run(VERIFY, path)
    for argv in (["show", path], ["verify", path], ["check", path, hosts / f"{OLD}.xlp"], ["stream", "show", path],
                 ["stream", "show", "--records", path], ["diff", path, hosts / f"{OLD}.xlp"],
                 ["stream", "extract-policy", path], ["usage", path]):
        run(XENLEVEL, *argv, cwd=tmp_path)
    for argv in (["show", path], ["check", path, hosts / f"{OLD}.xlp"], ["stream", "show", path]):
        assert json.dumps(name) in json.dumps(run_json(XENLEVEL, *argv, "--json"))


@every_name
def test_hosts_of_the_verifier(pb, hosts, tmp_path, name):  # noqa: F811
    bad = rename(pb, hosts / f"{OLD}.xlp", name, tmp_path / "bad.xlp")
    path = tmp_path / "web.save"
    path.write_bytes(images.wrap(headers() + b"".join(
        images.record(*r) for r in [*images.policy_records(NEW), (images.STATIC_END, b""), (images.END, b"")])))
    run(VERIFY, "--host", bad, path)


# ---- a host's store, and its hypervisor ----

@pytest.fixture
def fake(tmp_path):
    host = FakeHost(tmp_path / "host.sock")
    host.domains[7] = 0
    yield host
    host.close()


@every_name
def test_names_in_the_store(fake, name):
    fake.store["/local/domain/7/name"] = name
    fake.console = b"(XEN) " + name.replace(b"\n", b"") + b"\n"
    env = {"XENLEVEL_HOST": fake.path}
    assert b"web" in run(XL, "list", env=env, status=0).stdout
    assert "web" in json.dumps(run_json(XL, "list", "--json", env=env))
    assert b"web" in run(XL, "dmesg", env=env, status=0).stdout
    for argv in (["cpuid", "7"], ["status", "7"], ["save", "7", fake.path + "/no"], ["pause", b"./" + name],
                 ["create", b"./" + name], ["restore", b"./" + name], ["-s", name, "list"], [b"--" + name],
                 ["list", b"--" + name]):
        run(XL, *argv, env=env)
    for argv in (["show", "7"], ["check", "7"], ["usage", "7"], ["usage", b"./" + name], ["apply", "7", b"./" + name]):
        run(XENLEVEL, *argv, env=env, status=2)


@every_name
def test_a_simulated_hosts_console(tmp_path, name):
    there = os.fsencode(tmp_path) + b"/"
    run(XEN_SIM, "--machine", there + name + b".ini", status=2)
    run(XEN_SIM, b"--" + name, status=2)
    run(XEN_SIM, "--machine", MACHINES / f"{SANDY}.ini", "--socket", there + name[:40] + b"/no", status=2)
    run(XEN_SIM, "--machine", MACHINES / f"{SANDY}.ini", "--log", there + name + b"/no", status=2)
    path = there + b"s" + name[:30].replace(b"%1000d", b"")
    argv = [XEN_SIM, "--machine", MACHINES / f"{SANDY}.ini", "--socket", path, "--log", tmp_path / "log", "--",
            b"x=" + name]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert "ready" in is_clean(process.stdout.readline())
        assert b"x=" in run(XL, "-s", path, "dmesg", status=0).stdout
        run(XL, "-s", path, "list", status=0)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=600)
    is_clean(out), is_clean(err), is_clean((tmp_path / "log").read_bytes())


# ---- the gate ----

def suggestion(text):
    return re.search(r"xenlevel check (.*) \*\.xlp$", text, re.M).group(1)


@every_name
def test_the_gate(tmp_path, name):
    for how, cpu in (("pipe", gate.POOR), ("file", gate.POOR), ("pipe", None), ("pipe", gate.RICH)):
        r = gate.Run(tmp_path, gate.stream(), how, cpu=cpu, env={"FAKE_XEN_NAME": os.fsdecode(name)})
        r.stdout, err = r.p.communicate(timeout=600)
        is_clean(err)
        for kind, body in r.messages():
            if kind == 1:
                is_clean(body[12:].split(b"\0")[1 if body[12] else 0][4:] or b"x")
                assert b"\x1b" not in body and b"FORGED\r" not in body
        is_clean(r.log.read_bytes())
        os.close(r.fd)
        if cpu == gate.POOR and len(name) < 100:
            word = suggestion(err.decode())
            got = subprocess.run(["bash", "-c", f"set -f; printf '%s\\0' {word}"], stdout=subprocess.PIPE, check=True).stdout
            assert got.split(b"\0")[-2] == name
            assert (got.split(b"\0")[0] == b"--") == name.startswith(b"-")


@every_name
def test_what_the_gate_is_told(tmp_path, name):
    for variable in ("XENLEVEL_ALLOW", "XENLEVEL_STREAM", "XENLEVEL_STOCK_HELPER"):
        r = gate.Run(tmp_path, gate.stream(), env={variable: os.fsdecode(name)})
        r.stdout, err = r.p.communicate(timeout=600)
        assert r.p.returncode and err
        is_clean(err)
        is_clean(r.log.read_bytes())
        os.close(r.fd)


@every_name
def test_saving(tmp_path, name):
    r = gate.Run(tmp_path, b"", "file", env={"FAKE_XEN_NAME": os.fsdecode(name), "FAKE_XEN_FAIL": "domain-policy"}, save=True)
    r.stdout, err = r.p.communicate(timeout=600)
    is_clean(err)
    is_clean(r.log.read_bytes())
    os.close(r.fd)


