# SPDX-License-Identifier: MIT
"""check with a configuration: what a guest of it would be told on each host, and where it could go from there."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
HOSTS = ROOT / "tests" / "data" / "hosts"
OLD, NEW = HOSTS / "sandybridge.xlp", HOSTS / "cascadelake.xlp"


def run(*args, status=0):
    r = subprocess.run([XENLEVEL, *map(str, args)], capture_output=True, text=True)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return r


def write(path, **settings):
    path.write_text("# of an administrator\n" + "".join(f"{k} = {v!r}\n" for k, v in settings.items()))
    return path


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.xlp"
    run("level", OLD, NEW, "-o", path)
    return path


def cpuid_of(pool, form):
    values = {}
    exec(run("xlcfg", pool, "--form", form).stdout, {}, values)     # our own output
    return values["cpuid"]


@pytest.mark.parametrize("form", ["bits", "names"])
def test_born_on_the_level(pool, tmp_path, form):
    """With the level's lines a guest can be created on either host and go to the other; without them it cannot. What bit
    strings cannot say, that Cascade Lake has RSBA, only names tell a guest that is created on Sandy Bridge."""
    cfg = write(tmp_path / "web.cfg", name="web", type="pvh", memory=64, cpuid=cpuid_of(pool, form))
    text = run("check", cfg, NEW, OLD, status=form == "bits").stdout
    assert "created on cascadelake" in text and "cpuid= hides:" in text and "movbe" in text
    assert "(PVH, from Xen 4.17.7) can run on sandybridge" in text
    if form == "names":
        assert "(PVH, from Xen 4.17.7) can run on cascadelake" in text
    else:
        assert "1 hazard" in text and "rsba" in text and "missing" not in text
    plain = write(tmp_path / "plain.cfg", name="plain", type="pvh")
    text = run("check", plain, NEW, OLD, status=1).stdout
    assert "'plain' (PVH, from Xen 4.17.7) cannot run on sandybridge" in text and "'plain' (PVH, from Xen 4.17.7) cannot run on cascadelake" in text


def test_json(pool, tmp_path):
    cfg = write(tmp_path / "web.cfg", name="web", type="pvh", cpuid="host,movbe=0,rtm=1,popcnt=1")
    found = json.loads(run("check", cfg, NEW, OLD, "--json", status=1).stdout)
    assert (found["config"], found["type"], found["can_run_everywhere"]) == ("web", "PVH", False)
    new, old = found["born"]
    assert new["host"] == "cascadelake" and new["can_be_created"] and [h["host"] for h in new["hosts"]] == ["sandybridge"]
    assert {f["name"] for f in new["hidden"]} == {"movbe"} and new["hosts"][0]["can_run"] is False
    missing = {f.get("name") for f in new["hosts"][0]["faults"]}
    assert "bmi1" in missing and "movbe" not in missing
    assert not old["hidden"] and {f["name"] for f in old["hosts"][0]["faults"]} == {"rsba"}
    # Sandy Bridge has no RTM: Xen takes it away again in silence, so it is said.
    assert {f["name"] for f in old["not_given"]} == {"rtm"}


@pytest.mark.parametrize("settings, kind", [({}, "PV"), ({"type": "hvm"}, "HVM"), ({"builder": "hvm"}, "HVM"), ({"type": "pvh"}, "PVH")])
def test_type(tmp_path, settings, kind):
    cfg = write(tmp_path / "g.cfg", memory=64, **settings)
    found = json.loads(run("check", cfg, NEW, "--json").stdout)
    assert (found["config"], found["type"], found["can_run_everywhere"]) == ("g", kind, True)


def test_what_libxl_would_refuse(tmp_path):
    cfg = write(tmp_path / "g.cfg", name="g", type="pvh", cpuid=["0x12345:eax=" + "x" * 32])
    text = run("check", cfg, NEW, status=1).stdout
    assert "cannot be created on cascadelake" in text and "no policy has leaf 0x12345" in text


@pytest.mark.parametrize("settings, what", [
    ({"cpuid": "host,nothere=0"}, "'nothere': libxl knows no such name"),
    ({"cpuid": "avx2=0"}, "a setting of names begins with 'host'"),
    ({"cpuid": ["7:ebx=01"]}, "not LEAF"),
    ({"cpuid": 5}, "a setting of names begins with 'host'"),
    ({"type": "vm"}, "type = 'vm': it is pv, pvh or hvm"),
])
def test_mistakes(tmp_path, settings, what):
    cfg = write(tmp_path / "g.cfg", name="g", **settings)
    assert what in " ".join(run("check", cfg, NEW, status=2).stderr.split())


def test_a_level_is_no_host(pool, tmp_path):
    cfg = write(tmp_path / "g.cfg", name="g")
    assert "is not a host" in run("check", cfg, pool, status=2).stderr


def test_what_is_no_configuration(tmp_path):
    for text in ("", "hello = 1\n", "\0name = 'x'\n", "name\n"):
        (tmp_path / "x").write_text(text)
        assert "not a CPUID dump" in run("check", tmp_path / "x", NEW, status=2).stderr


def test_a_word_in_the_middle_of_a_line_is_no_setting(tmp_path):
    """Decoded `cpuid`, pasted from its caches on."""
    decoded = (ROOT / "tests/data/forms/cpuid-decoded-dom0.txt").read_text()
    (tmp_path / "d.txt").write_text("   cache type = data cache (1)\n" + decoded)
    assert "taken inside a domain of Xen" in run("check", "-t", "hvm", tmp_path / "d.txt", NEW, status=1).stderr
    cfg = tmp_path / "one-line.cfg"
    cfg.write_text("on_crash = 'destroy'; type = 'pvh'")
    assert "'one-line' (PVH), created on" in run("check", cfg, NEW).stdout


def test_a_file_that_xl_does_not_take(tmp_path):
    (tmp_path / "g.cfg").write_text("name = 'g'\ncpuid = [\n")
    assert "g.cfg" in run("check", tmp_path / "g.cfg", NEW, status=2).stderr


def test_no_release_of_xl_is_linked():
    """libxlutil has the release of Xen in its name: it is loaded when a configuration is read, whichever is installed."""
    needed = subprocess.run(["readelf", "--dynamic", XENLEVEL], capture_output=True, text=True, check=True).stdout
    assert "NEEDED" in needed and "xlutil" not in needed


def test_without_xls_library(tmp_path):
    """One clear line. The loader finds none where a folder with something else of each of their names comes first."""
    for xen in range(417, 423):
        (tmp_path / f"libxlutil.so.{xen // 100}.{xen % 100}").write_text("not a library")
    (tmp_path / "libxlutil.so").write_text("not a library")
    cfg = write(tmp_path / "g.cfg", name="g")
    r = subprocess.run([XENLEVEL, "check", cfg, NEW], capture_output=True, text=True, env=dict(os.environ, LD_LIBRARY_PATH=str(tmp_path)))
    assert r.returncode == 2 and "libxlutil of Xen 4.17 to 4.22" in " ".join(r.stderr.split())
