# SPDX-License-Identifier: MIT
"""Named levels: those that are shipped never change, and what `xenlevel level` makes of them."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ROOT / "tools/pool/levels"
MACHINES = ROOT / "xen/sim/machines"
XENLEVEL = pathlib.Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build") / "tools/xenlevel/xenlevel"


def test_shipped_levels_never_change():
    """A change is a new version, in a file of its own; its digest is added to the list."""
    listed = {}
    for line in (ROOT / "tests/data/levels.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in LEVELS.iterdir()}
    assert there == listed


# ---- xenlevel level --at, --without, --list, --text, --suggest ----

ENV = {k: v for k, v in os.environ.items() if not k.startswith("XENLEVEL_") or k == "XENLEVEL_BUILD"}


def run(*args, status=0, **more):
    done = subprocess.run([str(XENLEVEL), *map(str, args)], capture_output=True, text=True, env=ENV,
                          stdin=subprocess.DEVNULL, timeout=300, **more)
    assert done.returncode == status, f"{args}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def as_json(*args, **more):
    return json.loads(run(*args, "--json", **more).stdout)


def names(features):
    return {f["name"] for f in features}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """host("intel-broadwell-e") is the path of that machine's file."""
    folder = tmp_path_factory.mktemp("hosts")

    def capture(machine):
        path = folder / f"{machine}.xlp"
        if not path.exists():
            run("host", "-d", MACHINES / f"{machine}.cpuid", "-o", path)
        return path

    return capture


def test_list_names_vendors_counts_and_sources():
    out = run("level", "--list").stdout
    row = next(line for line in out.splitlines() if line.startswith("intel-cascadelake.v1"))
    assert row.split()[1] == "GenuineIntel" and int(row.split()[2]) > int(row.split()[3]) > 40
    assert "intel-cascadelake-sp and 3 others" in row
    levels = {level["name"]: level for level in as_json("level", "--list")["levels"]}
    assert {"x86-64-v2.v1", "x86-64-v3.v1", "x86-64-v4.v1", "amd-rome.v1", "amd-milan.v1"} < set(levels)
    assert levels["x86-64-v3.v1"]["vendor"] == "any"
    assert "avx2" in names(levels["x86-64-v3.v1"]["hvm"]) and "AES" in levels["x86-64-v3.v1"]["source"]


@pytest.mark.parametrize("machines", [("intel-haswell-ep", "intel-broadwell-e"), ("amd-castle-peak", "amd-bergamo")])
def test_at_cuts_to_a_level_on_intel_and_on_amd(host, machines, tmp_path):
    """Above it nothing is left but what no named level decides of; and the same features come out on both vendors."""
    done = as_json("level", "--at", "x86-64-v2", *map(host, machines), "-o", tmp_path / "p.xlp")
    assert done["at"] == "x86-64-v2.v1"
    level = next(x for x in as_json("level", "--list")["levels"] if x["name"] == "x86-64-v2.v1")
    for kind in ("hvm", "pv"):
        assert names(level[kind]) <= names(done[kind]["features"])
        assert "avx" not in names(done[kind]["features"]) and "avx" in names(done[kind]["above"])
        assert not names(done[kind]["above"]) & names(done[kind]["features"])
        # No host is blamed for what nobody wanted.
        assert not names(done[kind]["above"]) & {cost["name"] for cost in done[kind]["costs"]}
    run("verify", tmp_path / "p.xlp")
    for machine in machines:
        run("check", "-t", "hvm", tmp_path / "p.xlp", host(machine))
        run("check", "-t", "pv", tmp_path / "p.xlp", host(machine))


def test_at_names_the_host_that_cannot_give_it_and_why(host, tmp_path):
    done = run("level", "--at", "intel-broadwell", host("intel-broadwell-e"), host("intel-haswell-ep"), "-o",
               tmp_path / "p.xlp", status=1)
    assert "intel-haswell-ep cannot give intel-broadwell.v1 to HVM and PVH guests: it lacks" in done.stdout
    assert re.search(r"^  rdseed +7\.0\.ebx\[18\]", done.stdout, re.M) and "broadwell-e cannot" not in done.stdout
    assert not (tmp_path / "p.xlp").exists()
    refused = as_json("level", "--at", "intel-broadwell", host("intel-haswell-ep"), status=1)["refused"]
    assert {r["type"] for r in refused} == {"pv", "hvm"} and "adx" in names(refused[0]["lacks"])
    other = run("level", "--at", "amd-rome", host("intel-haswell-ep"), status=1)
    assert other.stdout == "intel-haswell-ep cannot give amd-rome.v1: its CPU is of GenuineIntel, and the level of AuthenticAMD\n"


def test_old_microcode_is_named_where_it_is_the_reason(host):
    done = run("level", "--at", "x86-64-v3", host("intel-skylake-sp"), status=1)
    assert "avx2" in done.stdout and "its microcode is older than 2018-01" in done.stdout


def test_what_is_not_known_is_no_yes(host, tmp_path):
    (tmp_path / "rtm.level").write_text("[level]\nname = rtm\nversion = 1\nvendor = any\n[hvm]\n7.0.ebx = rtm\n")
    done = run("level", "--at", tmp_path / "rtm.level", host("intel-icelake-sp"), status=1)
    assert "nobody can say whether intel-icelake-sp can give rtm.v1 to HVM and PVH guests: MSR 10A is not in the dump" in done.stdout


def test_without_takes_names_with_wildcards_and_what_stands_on_them(host):
    base = as_json("level", host("intel-cascadelake-sp"))
    done = as_json("level", "--without", "AVX512f,rd*", host("intel-cascadelake-sp"))
    hvm = done["hvm"]
    assert {"avx512f", "rdtscp", "rdrand", "rdseed"} <= names(hvm["removed"])
    assert {"avx512bw", "avx512-vnni"} <= names(hvm["fallen"])
    gone = names(base["hvm"]["features"]) - names(hvm["features"])
    assert gone == (names(hvm["removed"]) | names(hvm["fallen"])) & names(base["hvm"]["features"])
    text = run("level", "--without", "avx512f", host("intel-cascadelake-sp")).stdout
    assert "1 feature left out by --without:" in text and "features fall with them" in text


@pytest.mark.parametrize("args, message", [
    (("--without", "avx513*"), "--without: 'avx513*' is the name of no feature, and matches none"),
    (("--without", "aesni,"), "--without: '' is the name of no feature, and matches none"),
    (("--without", "md-clear"), "--without: md-clear: guests are warned by it"),
    (("--at", "intel-cascadlake"), "there is no level intel-cascadlake: perhaps intel-cascadelake.v1;"),
    (("--at", "intel-milan.v1"), "there is no level intel-milan.v1: perhaps amd-milan.v1;"),
    (("--at", "intel-haswell.v7"), "there is no level intel-haswell.v7: perhaps intel-haswell.v1;"),
    (("--at", "HOST"), "is no level; `xenlevel level --list` has those that are shipped"),
    (("--text", "--json"), "--text or --json, not both"),
    (("--suggest", "--at", "x86-64-v2"), "--suggest goes with hosts and --json alone"),
])
def test_what_is_wrong_is_one_line(host, args, message):
    path = host("intel-haswell-ep")
    done = run("level", *[path if a == "HOST" else a for a in args], path, status=2)
    assert message in done.stderr and not done.stdout


def test_text_is_read_again(host, tmp_path):
    text = run("level", "--at", "x86-64-v3", "--without", "fma", "--text", "--name", "mine", host("intel-broadwell-e")).stdout
    assert "name = mine\n" in text and "vendor = GenuineIntel\n" in text
    (tmp_path / "mine.level").write_text(text)
    done = as_json("level", "--at", tmp_path / "mine.level", host("intel-broadwell-e"))
    assert "fma" in names(done["hvm"]["above"]) and "avx2" in names(done["hvm"]["features"])
    assert run("level", "--at", tmp_path / "mine.level", "--text").stdout == text
    less = run("level", "--at", "x86-64-v3", "--without", "avx*", "--text").stdout
    assert not re.search(r"\b(avx|avx2|f16c)\b", less.split("[hvm]")[1]) and "x2apic" in less
    (tmp_path / "mine.level").write_text(text.replace("avx2", "avx3"))
    done = run("level", "--at", tmp_path / "mine.level", host("intel-broadwell-e"), status=2)
    assert "there is no feature 'avx3'" in done.stderr


def test_at_takes_a_pools_own_file(host, tmp_path):
    run("level", host("intel-haswell-ep"), "-o", tmp_path / "p.xlp")
    done = as_json("level", "--at", tmp_path / "p.xlp", host("intel-broadwell-e"))
    assert "rdseed" in names(done["hvm"]["above"]) and done["at"] == "p"
    refused = run("level", "--at", tmp_path / "p.xlp", host("intel-ivybridge-ep"), status=1)
    assert "intel-ivybridge-ep cannot give p" in refused.stdout


def test_at_takes_a_level_as_json(host, tmp_path):
    run("level", host("intel-haswell-ep"), "-o", tmp_path / "p.xlp")
    level = json.loads(run("xlcfg", "--form", "json", tmp_path / "p.xlp").stdout)
    for kind in ("hvm", "pv"):
        level[kind]["features"].remove("fma")
    (tmp_path / "p.json").write_text(json.dumps(level))
    done = as_json("level", "--at", tmp_path / "p.json", host("intel-broadwell-e"))
    assert {"fma", "rdseed"} <= names(done["hvm"]["above"]) and "avx2" in names(done["pv"]["features"])


def test_show_and_check_take_a_levels_name(host, tmp_path):
    shown = run("show", "intel-haswell").stdout
    assert shown.startswith("named level  intel-haswell.v1\n") and re.search(r"^  avx2 +7\.0\.ebx\[5\]", shown, re.M)
    assert as_json("show", "intel-haswell.v1")["version"] == 1
    path = host("intel-broadwell-e")
    assert "can run on intel-broadwell-e" in run("check", "-t", "hvm", "intel-haswell.v1", path).stdout
    assert "can run on intel-broadwell-e" in run("check", "-t", "pv", "intel-haswell.v1", path).stdout
    no = run("check", "-t", "hvm", "intel-haswell.v1", path, host("intel-ivybridge-ep"), host("amd-bergamo"), status=1)
    assert "intel-ivybridge-ep cannot give intel-haswell.v1 to HVM and PVH guests: it lacks" in no.stdout
    assert "amd-bergamo cannot give intel-haswell.v1: its CPU is of AuthenticAMD" in no.stdout
    answer = as_json("check", "intel-haswell.v1", path, host("amd-bergamo"), status=1)
    assert answer["guest"] == "intel-haswell.v1" and answer["can_run_everywhere"] is False
    assert answer["hosts"][0]["can_run"] is True and answer["hosts"][1]["other_vendor"] is True
    # What needs a whole CPU says so.
    done = run("diff", "intel-haswell", path, status=2)
    assert "named level intel-haswell.v1 says which features, and becomes a CPU with hosts" in done.stderr
    assert "there is no level intel-milan.v1: perhaps amd-milan.v1" in run("show", "intel-milan.v1", status=2).stderr


def test_a_file_of_that_name_wins_and_it_is_said(host, tmp_path):
    run("level", host("intel-haswell-ep"), "-o", tmp_path / "x86-64-v2")
    done = run("show", "x86-64-v2", cwd=tmp_path)
    assert "named level" not in done.stdout
    assert done.stderr == "xenlevel: the file x86-64-v2 is taken, not the named level\n"


def test_suggest_names_the_newest_level_and_what_each_host_costs(host):
    machines = ("intel-broadwell-e", "intel-haswell-ep", "intel-cascadelake-sp")
    text = run("level", "--suggest", *map(host, machines)).stdout
    assert text.startswith("3 hosts, 3 kinds of CPU\nnewest named level that all can give: intel-nehalem.v1 (")
    assert re.search(r"^  intel-haswell-ep +aesni, ", text, re.M) and text.endswith("\n  the other one: nothing\n")
    done = as_json("level", "--suggest", *map(host, machines[::2]))
    assert done["newest"] == "intel-broadwell.v1" and done["any_vendor"] == "x86-64-v3.v1"
    gain = {c["host"]: c for c in done["retiring"]}
    assert "avx512f" in names(gain["intel-broadwell-e"]["hvm"])
    # What retiring a host gains is what the level without it has more.
    level = as_json("level", host(machines[0]), host(machines[2]))["hvm"]["features"]
    alone = as_json("level", host(machines[2]))["hvm"]["features"]
    assert names(gain["intel-broadwell-e"]["hvm"]) >= {"avx512f", "pku"} - names(level)
    assert names(gain["intel-broadwell-e"]["hvm"]) <= names(alone) - names(level)
    done = run("level", "--suggest", host("intel-haswell-ep"), host("amd-bergamo"), status=1)
    assert "cannot be in one pool: their CPUs differ in vendor" in done.stderr


def test_suggest_counts_equal_hosts_once(host, tmp_path):
    run("host", "-d", MACHINES / "intel-haswell-ep.cpuid", "-o", tmp_path / "b.xlp", "-n", "b")
    text = run("level", "--suggest", host("intel-haswell-ep"), tmp_path / "b.xlp", host("intel-ivybridge-ep")).stdout
    assert text.startswith("3 hosts, 2 kinds of CPU\n")
    assert re.search(r"^  intel-ivybridge-ep +", text, re.M)


def test_levels_are_found_where_xenlevel_is_installed(tmp_path):
    """bin/ and share/xenlevel/levels may be anywhere, together."""
    (tmp_path / "bin").mkdir()
    shutil.copy(XENLEVEL, tmp_path / "bin/xenlevel")
    shutil.copytree(LEVELS, tmp_path / "share/xenlevel/levels")
    (tmp_path / "share/xenlevel/levels/mine.v1.level").write_text(
        "[level]\nname = mine\nversion = 1\nvendor = any\n[hvm]\n1.edx = fpu\n")
    done = subprocess.run([tmp_path / "bin/xenlevel", "level", "--list"], capture_output=True, text=True, env=ENV)
    assert done.returncode == 0 and "\nmine.v1 " in done.stdout
    (tmp_path / "share/xenlevel/levels/mine.v2.level").write_text("[level]\nname = mine\n")
    done = subprocess.run([tmp_path / "bin/xenlevel", "level", "--list"], capture_output=True, text=True, env=ENV)
    assert done.returncode == 2 and done.stderr.endswith("mine.v2.level: [level] has no version\n")
