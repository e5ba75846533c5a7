# SPDX-License-Identifier: MIT
"""verify-stream as people and CI start it."""

import ast
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import streambuilder
from migration import hvm, libxc, libxl
from streambuilder import Record

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "tools/python/verify-stream"
STREAMS = ROOT / "tests/migration/streams"


def run(*args, stdin=b"", env=None):
    return subprocess.run([str(PROGRAM), *map(str, args)], input=stdin, capture_output=True,
                          env=dict(os.environ, **(env or {})), timeout=60)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.save"
    path.write_bytes(streambuilder.hvm_stream(layer="xl").raw())
    return path


@pytest.fixture
def bad(tmp_path):
    s = streambuilder.hvm_stream(layer="xl")
    s.find(libxc.TSC_INFO).set(0, "<I", 9)
    s.insert_before(libxc.TSC_INFO, Record(99))
    path = tmp_path / "bad.save"
    path.write_bytes(s.raw())
    return path


def test_statuses(good, bad, tmp_path):
    assert run(good).returncode == 0
    assert run(bad).returncode == 1
    assert run(tmp_path / "none").returncode == 2
    assert run(tmp_path).returncode == 2                # a directory
    (tmp_path / "text").write_text("not a stream at all\n")
    assert run(tmp_path / "text").returncode == 2
    assert run(good, bad).returncode == 1
    assert run(good, tmp_path / "none").returncode == 2
    assert run("--no-such-option").returncode == 2
    assert run("-", "-").returncode == 2
    assert run(stdin=b"").returncode == 2


def test_summary(good):
    text = run(good).stdout.decode()
    assert text.startswith(f"{good}: valid\n")
    for line in ("domain      synthetic", "guest       PVH", "stream      version 3, xl format, from Xen 4.17",
                 "CPU         Intel Xeon Processor (Cascadelake)", "3 pages with data", "2 PAGE_DATA               12.1 KiB",
                 "1 END\n"):
        assert line in text
    assert run("-q", good).stdout == b""


def test_features_are_counted_as_xenlevel_does(build, captured):
    for path in captured.values():
        ours = re.search(r"(\d+) features", run(path).stdout.decode())[1]
        theirs = subprocess.run([build / "tools/xenlevel/xenlevel", "stream", "show", path], stdout=subprocess.PIPE, text=True)
        assert f"{ours} features" in theirs.stdout


def test_problems_name_their_place(bad):
    r = run("-q", bad)
    lines = r.stdout.decode().splitlines()
    assert lines[0] == f"{bad}: not valid: 2 problems"
    assert re.fullmatch(r"  offset \d+, libxc record 5 \(unknown 0x63\): no mandatory record has type 0x63 \(§ Records\)",
                        lines[1])
    assert re.fullmatch(r"  offset \d+, libxc record 6 \(X86_TSC_INFO\): TSC mode 9; .* \(§ X86_TSC_INFO\)", lines[2])


def test_standard_input(good, bad):
    for path, status in ((good, 0), (bad, 1)):
        data = path.read_bytes()
        assert run(stdin=data).returncode == status
        piped, plain = run("--json", "-", stdin=data), run("--json", path)
        ours, theirs = json.loads(piped.stdout)[0], json.loads(plain.stdout)[0]
        assert ours.pop("input") == "standard input" and theirs.pop("input") == str(path)
        assert ours == theirs
    with open(good, "rb") as file:
        assert subprocess.run([str(PROGRAM), "-q"], stdin=file).returncode == 0


def test_json(good, bad):
    r = run("--json", good, bad)
    assert r.returncode == 1 and not r.stderr
    first, second = json.loads(r.stdout)
    assert first["valid"] and first["problems"] == [] and first["domain"] == {"name": "synthetic", "type": "pvh"}
    stream = first["libxc"]
    assert stream["version"] == 3 and stream["guest"] == "x86 HVM" and stream["xen"] == [4, 17]
    assert stream["pages"] == {"NOTAB": 3, "XTAB": 3} and stream["pages_with_data"] == 3
    assert stream["cpu"]["vendor"] == "GenuineIntel" and "sse4-2" in stream["cpu"]["features"]
    assert stream["hvm_entries"]["CPU"] == 1
    assert not second["valid"] and second["problems_found"] == 2
    assert [(p["code"], p["record"], p["section"]) for p in second["problems"]] == [
        ("unknown-record", 5, "Records"), ("tsc-mode", 6, "X86_TSC_INFO")]
    assert all(isinstance(p["offset"], int) and p["layer"] == "libxc" for p in second["problems"])


def test_junit(good, bad, tmp_path):
    (tmp_path / "text").write_text("not a stream at all\n")
    report = tmp_path / "junit.xml"
    assert run("--junit", report, good, bad, tmp_path / "text").returncode == 2
    suites = ET.parse(report).getroot().findall("testsuite")
    assert [s.get("failures") for s in suites] == ["0", "2", "0"] and [s.get("errors") for s in suites] == ["0", "0", "1"]
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
    failed = {c.get("name"): c.find("failure").text for c in suites[1].iter("testcase") if c.find("failure") is not None}
    assert set(failed) == {"Records", "X86_TSC_INFO"} and "TSC mode 9" in failed["X86_TSC_INFO"]
    assert run("--junit", tmp_path / "no" / "where", good).returncode == 2


def test_hosts(captured, tmp_path):
    pytest.importorskip("google.protobuf")
    image = captured["pvh-cascadelake"]
    home = run("-H", STREAMS / "cascadelake.xlp", image)
    assert home.returncode == 0 and b"can run on cascadelake" in home.stdout
    away = run("-H", STREAMS / "cascadelake.xlp", "-H", STREAMS / "sandybridge.xlp", image)
    assert away.returncode == 1 and b"cannot run on sandybridge" in away.stdout
    assert b"missing on sandybridge: movbe" in away.stdout
    out = json.loads(run("--json", "-H", STREAMS / "sandybridge.xlp", image).stdout)[0]["hosts"][0]
    assert out["name"] == "sandybridge" and not out["can_run"] and len(out["faults"]) == 13
    for content, why in ((b"", "not a Xenlevel"), ((STREAMS / "cascadelake.xlp").read_bytes()[:-9], "cut short"),
                         (b"\x09XENLEVEL" + bytes(9), "cut short")):
        (tmp_path / "wrong.xlp").write_bytes(content)
        r = run("-H", tmp_path / "wrong.xlp", image)
        assert r.returncode == 2 and why in r.stderr.decode() and r.stderr.count(b"\n") == 1


def test_an_input_that_cannot_be_read_is_among_the_results(good, tmp_path):
    """An object for each FILE, also for one that is not there; and for CI an error."""
    report = tmp_path / "junit.xml"
    r = run("--json", "--junit", report, tmp_path / "none", good)
    assert r.returncode == 2 and r.stderr.count(b"\n") == 1
    none, there = json.loads(r.stdout)
    assert none["input"] == str(tmp_path / "none") and not none["usable"] and none["reason"] == "No such file or directory"
    assert not none["valid"] and there["valid"]
    suites = ET.parse(report).getroot().findall("testsuite")
    assert [s.get("errors") for s in suites] == ["1", "0"]


def test_without_protobuf(good, tmp_path):
    """Only --host needs it, and says so."""
    (tmp_path / "google").mkdir()
    (tmp_path / "google/__init__.py").write_text("")
    env = {"PYTHONPATH": str(tmp_path)}
    assert run(good, env=env).returncode == 0
    r = run("-H", STREAMS / "cascadelake.xlp", good, env=env)
    assert r.returncode == 2 and b"python3-protobuf" in r.stderr and r.stderr.count(b"\n") == 1


def test_nothing_but_the_standard_library(good):
    """And no module that costs more to load than a stream takes to read."""
    r = subprocess.run([sys.executable, "-X", "importtime", str(PROGRAM), "-q", str(good)], capture_output=True, text=True)
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in r.stderr.splitlines() if "|" in line}
    assert not loaded & {"google", "dataclasses", "inspect", "numpy", "typing"}


def test_what_it_imports_and_the_python_it_needs():
    """The standard library, but protobuf in xlp.py; the syntax of Python 3.9."""
    for path in [PROGRAM, *(ROOT / "tools/python/migration").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or top == "migration" or (top, path.name) == ("google", "xlp.py"), name


def test_format_can_be_said(tmp_path):
    s = streambuilder.hvm_stream()
    s.image[:12] = bytes(12)
    path = tmp_path / "damaged"
    path.write_bytes(s.raw())
    assert run(path).returncode == 2
    r = run("-q", "-f", "libxc", path)
    assert r.returncode == 1 and b"marker" in r.stdout and b"XENF" in r.stdout


def test_names_from_the_stream_do_not_reach_the_terminal(tmp_path):
    s = streambuilder.hvm_stream(layer="xl")
    s.xl[:] = s.xl.replace(b"synthetic", b"\\u001bsyn")
    path = tmp_path / "escape"
    path.write_bytes(s.raw())
    r = run(path)
    assert r.returncode == 0 and b"\x1b" not in r.stdout and b"\\x1bsyn" in r.stdout


def test_closed_output(good):
    p = subprocess.Popen([str(PROGRAM), "--json", str(good)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.close()
    assert b"Traceback" not in p.stderr.read()
    p.stderr.close()
    p.wait()


def test_every_problem_is_printed_on_request(tmp_path):
    s = streambuilder.hvm_stream()
    end = s.records.pop()
    s.records += [Record(0x7000 + n) for n in range(150)] + [end]
    path = tmp_path / "many"
    path.write_bytes(s.raw())
    assert b"and 50 more (--all prints them)" in run("-q", path).stdout
    assert run("-q", "--all", path).stdout.count(b"no mandatory record") == 150


def test_help_and_manual_name_every_option():
    text = run("--help").stdout.decode()
    manual = (ROOT / "docs/man/verify-stream.1.md").read_text()
    options = set(re.findall(r"(--[a-z]+)", text)) - {"--host"}
    for option in options | {"--host"}:
        assert f"**{option}**" in manual or f"**{option}=" in manual, option


def test_sections_are_those_of_the_specification():
    """Each paragraph that a problem names is a heading of the specification."""
    spec = ROOT / "docs/specs/libxc-migration-stream.pandoc"
    if not spec.exists():
        pytest.skip("the specification is not there")
    headings = {re.sub(r"\\|\s*\{.*\}", "", line.lstrip("# ")).strip() for line in spec.read_text().splitlines()
                if line.startswith("#")}
    sections = {"xl header", "libxl header", "libxl records", "Image header", "Domain header", "Records", "Order of records",
                "A CPU that can exist", "The audit", hvm.SECTION, *libxc.NAMES.values()}
    sections |= {"libxl END" if kind == libxl.END else name for kind, name in libxl.NAMES.items()}
    assert sections <= headings, sorted(sections - headings)


def test_codes_are_those_of_the_specification():
    """The short names of problems in the code, and in the text's table."""
    package = ROOT / "tools/python/migration"
    source = {path.name: path.read_text() for path in package.glob("*.py")}
    said = {code for text in source.values() for code in re.findall(r'(?:add|problem)\(\s*"([a-z0-9-]+)"(?! \+)', text)}
    said |= {"back-channel", *hvm.CODES.values(), *libxc.REGISTER_CODES.values()}    # the other arm of "obsolete"; by kind
    kinds = {kind for name in ("policy.py", "check.py") for kind in re.findall(r'Fault\("([a-z-]+)"', source[name])}
    both = {"maxphysaddr", "linearaddr", "max-leaf"}       # in loops, or by both
    host = set(re.findall(r'_feature_fault\("([a-z-]+)"', source["check.py"])) | {"xstate-size", "xstate-offset", "xstate-flags"}
    host |= set(re.findall(r'(?:Fault\(|kind, times = )"([a-z-]+)"', source["check.py"])) | both
    arrays = set(re.findall(r'"(subleaf-[a-z]+|leaf-range)"', source["policy.py"]))
    cpu = set(re.findall(r'Fault\("([a-z-]+)"', source["policy.py"])) | both | arrays
    assert kinds <= host | cpu and len(arrays) == 3
    said |= {f"host-{kind}" for kind in host} | {f"policy-{kind}" for kind in cpu}
    text = (ROOT / "docs/specs/libxc-migration-stream.pandoc").read_text().split("# Refusals\n")[1]
    named = [code for row in re.findall(r"^\| ([a-z0-9, -]+) \|", text, re.M) for code in row.split(", ")]
    named.remove("name")
    named = [code for code in named if set(code) - {"-", " "}]
    assert sorted(named) == sorted(said), set(named) ^ said


def section(name):
    """The rows of a section's tables in the specification: [[cell, ...]]."""
    text = (ROOT / "docs/specs/libxc-migration-stream.pandoc").read_text()
    body = re.split(r"^#+ .*\n", text.split(f"# {name}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]


def test_save_entries_are_those_of_the_specification():
    found = {}
    for types, names, sizes, _ in section("HVM_CONTEXT")[2:]:
        codes, names = types.split(", "), names.split(", ")
        for i, (code, name) in enumerate(zip(codes, names, strict=True)):
            numbers = tuple(int(n) for n in re.findall(r"(?:^|; |, )(\d+)", sizes))
            found[int(code)] = (name, numbers if len(codes) == 1 else numbers[i:i + 1], "less" in sizes.split(", ")[i:][0])
    assert {code: name for code, (name, _, _) in found.items()} == {code: name for code, (name, _) in hvm.ENTRIES.items()}
    assert {code for code, (_, _, less) in found.items() if less} == hvm.EXTENDED
    for code, (_, sizes) in hvm.ENTRIES.items():
        if sizes:
            assert found[code][1] == sizes, code
