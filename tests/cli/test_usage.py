# SPDX-License-Identifier: MIT
"""xenlevel usage: what simulated guests, and images that stock Xen wrote, have used of their CPU; and who quotes it."""

import json
import lzma
import re
import struct

import pytest

from test_xl_sim import CASCADE, ROOT, SANDY, start  # noqa: F401: a fixture

STREAMS = ROOT / "tests/migration/streams"
AVX512 = {"avx512dq", "avx512cd", "avx512bw", "avx512vl", "avx512-vnni"}


def usage(host, arg):
    return json.loads(host.xenlevel("usage", arg, "--json").stdout)


def by_usage(answer, key="features"):
    """{"never": {names}, ...}"""
    kinds = {}
    for f in answer[key]:
        kinds.setdefault(f["usage"], set()).add(f["name"])
    return kinds


@pytest.fixture
def host(start):  # noqa: F811
    return start(CASCADE)


@pytest.mark.parametrize("kind", ["pv", "pvh", "hvm"])
def test_simulated_guests(host, kind):
    for guest in ("vector", "steady", "writer"):
        host.create(name=guest, type=kind, guest=guest, vcpus=2)
    host.run("run", 600)
    vector, steady, writer = (usage(host, guest) for guest in ("vector", "steady", "writer"))
    assert (vector["name"], vector["type"], vector["vcpus"], vector["vcpus_offline"]) == ("vector", kind.upper(), 2, 0)

    # It computes in ZMM registers. Nobody can tell AVX-512's parts apart, and all of them need XSAVE.
    kinds = by_usage(vector)
    assert {"avx512f", "xsave"} <= kinds["in-use"] and AVX512 <= kinds["shared"] and {"avx", "avx2", "fma"} <= kinds["on"]
    # The others have switched on what they were told of, as kernels do, and use none of it.
    for other in (steady, writer):
        kinds = by_usage(other)
        assert {"avx", "avx2", "avx512f"} | AVX512 <= kinds["on"] and "avx512f" not in kinds["in-use"]
    # Silence is not no.
    for answer in (vector, steady, writer):
        assert {"bmi1", "bmi2", "movbe", "erms"} <= by_usage(answer)["untraced"] and answer["beyond_policy"] == []
    assert ("pku" in by_usage(vector).get("never", ())) == (kind != "pv")
    assert vector["summary"] == steady["summary"] == ("on: avx avx512f" if kind == "pv" else "on: avx avx512f; never on: pku")
    assert {f["where"] for f in vector["features"] if f["name"] == "avx512f"} == {"XSTATE_BV[6]"}


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_an_image_says_what_its_domain_said(host, kind):
    host.create(type=kind, guest="vector", vcpus=2)
    host.run("run", 300)
    before = usage(host, "g")
    host.run("save", "g", "g.save")
    after = usage(host, "g.save")
    assert after["features"] == before["features"] and after["summary"] == before["summary"]
    text = host.xenlevel("usage", "g.save").stdout
    assert text.startswith("'g' (") and "  in use now:\n" in text and "  no evidence either way (" in text
    assert re.search(r"^    avx512f +7\.0\.ebx\[16\] +XSTATE_BV\[6\]$", text, re.MULTILINE)


def test_a_domain_runs_on(start):  # noqa: F811
    """It is asked for while it runs, and is neither paused nor left so."""
    host = start(CASCADE, stepped=False)
    for kind in ("pv", "pvh"):
        host.create(name=kind, type=kind, guest="vector")
        for _ in range(5):
            usage(host, kind)
        assert [d["paused"] for d in host.ask("list", kind)] == [False]
    host.run("pause", "pv")
    usage(host, "pv")
    assert [d["paused"] for d in host.ask("list", "pv")] == [True]


def test_a_domain_that_has_not_run(host):
    host.create("-p", type="pvh", guest="vector")
    kinds = by_usage(usage(host, "g"))
    assert {"avx", "avx2", "avx512f"} | AVX512 <= kinds["never"] and "bmi1" in kinds["untraced"]


def test_forced_onto_a_poorer_policy(host, start):  # noqa: F811
    """What the state has and the policy does not."""
    host.create(type="pvh", guest="vector")
    host.run("run", 300)
    host.run("save", "g", "g.save")
    other = start(SANDY)
    other.xenlevel("host", "-o", host.path / "sandy.xlp")
    host.xenlevel("host", "-o", "cascade.xlp")
    host.xenlevel("level", "cascade.xlp", "sandy.xlp", "-o", "pool.xlp")
    host.xenlevel("stream", "set-policy", "g.save", "-p", "pool.xlp", "-f", "all")
    answer = usage(host, "g.save")
    assert by_usage(answer, "beyond_policy") == {"in-use": {"avx512f"}}
    assert "on, or once on, and not in its CPU policy:\n    avx512f  7.0.ebx[16]  XSTATE_BV[6]\n" in host.xenlevel("usage", "g.save").stdout


# ---- images of stock Xen ----

@pytest.fixture
def captured(tmp_path):
    def unpack(name):
        path = tmp_path / f"{name}.save"
        path.write_bytes(lzma.decompress((STREAMS / f"{name}.save.xz").read_bytes()))
        return path
    return unpack


@pytest.mark.parametrize("name, never, on", [
    # The probe has never executed XSETBV: Xen has no XSAVE entry for such a vCPU.
    ("pvh-cascadelake", {"pku"}, {"pae", "fxsr", "sse", "lm"}),
    ("pvh-amd-rich", {"avx", "fma", "f16c", "avx2", "vaes", "pku"}, {"pae", "fxsr", "sse", "lm"}),
    ("hvm-cascadelake", {"pku"}, set()),
    ("pv-cascadelake", set(), {"xsave", "fsgsbase"}),
])
def test_images_of_stock_xen(host, captured, name, never, on):
    kinds = by_usage(usage(host, captured(name)))
    assert kinds.get("never", set()) == never and on <= kinds["in-use"] and "movbe" in kinds["untraced"]


def test_every_broken_image_has_one_line(host, captured):
    """Cut anywhere in its registers, or with any byte of them changed: one line, or an answer."""
    path = captured("pvh-cascadelake")
    data = path.read_bytes()
    context = data.rindex(struct.pack("<I", 0x54381286))    # HVM_FILE_MAGIC
    for at in range(context, len(data), max(1, (len(data) - context) // 25)):
        path.write_bytes(data[:at])
        done = host.xenlevel("usage", path, status=2)
        assert done.stderr.count("xenlevel: ") == 1 and not done.stdout
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xff]) + data[at + 1:])
        done = host.xenlevel("usage", path, status=None)
        assert (done.returncode, done.stderr.count("xenlevel: "), bool(done.stdout)) in ((0, 0, True), (2, 1, False)), (at, done)


# ---- who quotes it ----

def test_check_quotes_it(host, start):  # noqa: F811
    other = start(SANDY)
    other.xenlevel("host", "-o", host.path / "sandy.xlp")
    host.create(type="pvh", guest="vector")
    host.run("run", 300)
    said = host.xenlevel("check", "g", "sandy.xlp", status=1).stdout
    quote = said[said.index("  what it has used of these:\n"):].splitlines()
    assert "    in use now: avx512f" in quote
    assert "    its state was never on since the guest was booted: pku" in quote
    assert any(line.startswith("    no evidence either way, for it leaves no trace: ") and " bmi1 " in line for line in quote)
    answer = json.loads(host.xenlevel("check", "g", "sandy.xlp", "--json", status=1).stdout)["hosts"][0]
    used = {f["name"]: f["usage"] for f in answer["usage"]}
    assert used["avx512f"] == "in-use" and used["pku"] == "never" and used["bmi1"] == "untraced"
    # Of every feature that is missing there, and of nothing else.
    assert set(used) == {f["name"] for f in answer["faults"] if f["kind"] == "feature-missing"}
    host.run("save", "g", "g.save")
    assert "    in use now: avx512f\n" in host.xenlevel("check", "g.save", "sandy.xlp", status=1).stdout
    # A policy file has no state, and where nothing is missing nothing is asked.
    host.xenlevel("stream", "extract-policy", "g.save", "-o", "g.xlp")
    assert "what it has used" not in host.xenlevel("check", "g.xlp", "sandy.xlp", status=1).stdout
    host.xenlevel("host", "-o", "here.xlp")
    assert "what it has used" not in host.xenlevel("check", "g.save", "here.xlp").stdout


# ---- bad usage ----

def test_what_has_no_state(host):
    host.xenlevel("host", "-o", "here.xlp")
    for args, says in ((["here.xlp"], "has no state to look at"), (["-"], "has no state to look at"), (["nobody"], "there is no domain"),
                       ([], "one domain or save image is needed"), (["a", "b"], "one domain or save image is needed")):
        done = host.xenlevel("usage", *args, status=2)
        assert says in done.stderr and not done.stdout, args
