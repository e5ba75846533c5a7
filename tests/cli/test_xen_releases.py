# SPDX-License-Identifier: MIT
"""The release of Xen that a prediction, a level's members and xlcfg's names are of."""

import ctypes
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools/xenlevel/xenlevel"
CPUS = ROOT / "xen/sim/machines"
HOSTS = ROOT / "tests/data/hosts"
RELEASES = ["4.17", "4.18", "4.19", "4.20", "4.21", "4.22"]
NEWER = {"addr-mask-ext", "auto-ibrs", "epsf"}     # 4.20 gives these to guests of Zen 5, 4.17 does not
GNR, ZEN5 = "intel-granite-rapids", "amd-granite-ridge"


def run(*args, status=0):
    r = subprocess.run([XENLEVEL, *map(str, args)], capture_output=True, text=True)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return r


def flat(text):
    return " ".join(text.split())


def predict(path, cpu, *options):
    run("host", "--dump", CPUS / f"{cpu}.cpuid", "--name", path.stem, "-o", path, *options)
    return path


def policies(path):
    return json.loads(run("show", "--json", "--leaves", path).stdout)["policies"]


def names(path, policy="hvm-default"):
    return {f["name"] for f in policies(path)[policy]["features"]}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The same CPU under two releases, and their level."""
    folder = tmp_path_factory.mktemp("mixed")
    hosts = [predict(folder / f"{ZEN5}-{xen}.xlp", ZEN5, "--xen", xen) for xen in ("4.17", "4.20")]
    run("level", *hosts, "-o", folder / "pool.xlp")
    return folder / "pool.xlp", *hosts


def test_the_file_says_which_release(tmp_path):
    for xen in RELEASES:
        path = predict(tmp_path / f"{xen}.xlp", ZEN5, "--xen", xen)
        said = json.loads(run("show", "--json", path).stdout)
        assert (said["xen_version"], said["source"]) == (xen, "dump")
        assert f"what Xen {xen} would offer" in flat(run("show", path).stdout)
    # A point release is one of its branch; without the option the rules are 4.17's, and nobody said that it is there.
    assert policies(predict(tmp_path / "p.xlp", ZEN5, "--xen", "4.20.4")) == policies(tmp_path / "4.20.xlp")
    plain = predict(tmp_path / "plain.xlp", ZEN5)
    assert policies(plain) == policies(tmp_path / "4.17.xlp")
    assert json.loads(run("show", "--json", plain).stdout)["xen_version"] == ""
    assert "what Xen 4.17 would offer" in flat(run("show", plain).stdout)


@pytest.mark.parametrize("text, words", [
    ("4.16", "nothing is known of Xen 4.16"), ("4.23", "nothing is known of Xen 4.23"), ("5.0", "nothing is known of Xen 5.0"),
    ("poem", "'poem' is no release of Xen"), ("", "'' is no release of Xen"), ("4", "'4' is no release of Xen"),
    ("4.20x", "'4.20x' is no release of Xen"), ("\033[1m", r"'\x1b[1m' is no release of Xen")])
def test_a_release_that_is_not_known(tmp_path, text, words):
    out = tmp_path / "x.xlp"
    for command in (["host", "--dump", CPUS / f"{GNR}.cpuid", "-o", out], ["xlcfg", "-f", "names", out]):
        r = run(*command, "--xen", text, status=2)
        assert r.stderr.count("xenlevel:") == 1 and f"--xen: {words}" in flat(r.stderr)
        assert "it is one of 4.17, 4.18, 4.19, 4.20, 4.21 and 4.22" in flat(r.stderr)
    assert not out.exists()


def test_where_the_option_does_not_belong(mixed):
    assert "--xen goes with --dump" in run("host", "--xen", "4.20", status=2).stderr
    assert "--xen goes with --form names and cmdline" in run("xlcfg", "--xen", "4.20", mixed[0], status=2).stderr


def test_what_releases_offer(tmp_path):
    offered = {xen: names(predict(tmp_path / f"{xen}.xlp", GNR, "--xen", xen)) for xen in RELEASES}
    gained = [offered[b] - offered[a] for a, b in zip(RELEASES, RELEASES[1:])]
    assert gained == [{"avx512-fp16", "pks"}, {"prefetchi"}, set(), set(), set()]
    assert all(offered[a] <= offered[b] for a, b in zip(RELEASES, RELEASES[1:]))
    # Xeon Phi's instructions are gone in 4.20.
    for xen, there in (("4.19", True), ("4.20", False)):
        assert ("avx512er" in names(predict(tmp_path / "phi.xlp", "intel-knights-landing", "--xen", xen), "pv-max")) == there


@pytest.mark.parametrize("cpu", sorted(p.stem for p in (HOSTS / "4.20").glob("*.xlp") if "nogds" not in p.name))
def test_what_a_dump_becomes_is_what_4_20_answered(tmp_path, cpu):
    """Through the command: a dump of a capture's raw policy, and the capture."""
    captured = policies(HOSTS / "4.20" / f"{cpu}.xlp")
    lines = []
    for leaf in captured["raw"]["leaves"]:
        sub = int(str(leaf.get("subleaf", 0)), 0)
        lines.append(f"   {leaf['leaf']} 0x{sub:02x}: " + " ".join(f"{r}={leaf[r]}" for r in ("eax", "ebx", "ecx", "edx")))
    dump = tmp_path / "dump.txt"
    dump.write_text("CPU 0:\n" + "\n".join(lines) + "\n")
    run("host", "--dump", dump, "--partial", "--xen", "4.20", "-o", tmp_path / "own.xlp")
    own = policies(tmp_path / "own.xlp")
    for policy in ("pv-max", "hvm-max", "pv-default", "hvm-default"):
        difference = ({f["name"] for f in own[policy]["features"]} ^ {f["name"] for f in captured[policy]["features"]})
        # The emulated Opteron does not keep what is written to DE_CFG: test_host_policy.c.
        assert difference <= ({"lfence-dispatch", "verw-clear"} if cpu == "opteron_g3" else set()), policy


@pytest.mark.parametrize("cpu", sorted(p.stem for p in (HOSTS / "4.20").glob("*.xlp")))
def test_a_guest_of_4_17_is_at_home_on_4_20(cpu):
    """The same CPU, both hosts captured: who was born on the older Xen goes to the newer; back, its Xen alone forbids it."""
    old, new = HOSTS / f"{cpu}.xlp", HOSTS / "4.20" / f"{cpu}.xlp"
    run("check", old, new)
    told = flat(run("check", "--json", new, old, status=1).stdout)
    answer = json.loads(told)["hosts"][0]
    assert "release_obstacle" in answer and not answer.get("missing") and "leaf " not in flat(run("check", new, old, status=1).stdout)


def test_a_level_of_several_releases(mixed):
    pool, old, new = mixed
    level = {f["name"] for f in json.loads(run("show", "--json", pool).stdout)["hvm"]["features"]}
    assert {n for n in level if not n.startswith("e1d-")} == names(old) & names(new) and NEWER <= names(new) - level
    for host in (old, new):
        run("check", pool, host)
    # Who was born on the newer one with more does not come to the older one.
    r = flat(run("check", new, old, status=1).stdout)
    assert all(name in r for name in NEWER) and "newer than the one there (4.17)" in r
    run("check", old, new)


def test_a_level_remembers_its_members_releases(mixed, tmp_path):
    (tmp_path / "p.json").write_text(run("xlcfg", "-f", "json", mixed[0]).stdout)
    assert [m["xen_version"] for m in json.loads((tmp_path / "p.json").read_text())["members"]] == ["4.17", "4.20"]
    run("level", tmp_path / "p.json", "-o", tmp_path / "back.xlp")
    back = json.loads(run("xlcfg", "-f", "json", tmp_path / "back.xlp").stdout)
    assert back["members"] == json.loads((tmp_path / "p.json").read_text())["members"]


def test_names_of_several_releases(mixed):
    r = run("xlcfg", "-f", "names", mixed[0], status=2)
    assert "have Xen 4.17 and 4.20, which have other names: --xen says for which" in flat(r.stderr) and not r.stdout
    assert "have Xen 4.17 and 4.20" in flat(run("xlcfg", "-f", "cmdline", mixed[0], status=2).stderr)
    old, new = (run("xlcfg", "-f", "names", "--xen", xen, mixed[0]).stdout for xen in ("4.17", "4.20"))
    unnamed = ["addr-mask-ext", "no-nest-bp", "amd-fsrs", "amd-fsrc", "epsf", "fsrsc", "amd-prefetchi"]
    assert f"# Xen 4.17 has no name for these, and offers them to nobody:\n#   {' '.join(unnamed)}\n" in old
    assert ",auto-ibrs=0" in old and "epsf=" not in old and "addr-m" not in old.split("cpuid = ")[1]
    assert "has no name" not in new and ",addr-msk-ext=0,no-nest-bp=0,auto-ibrs=0,amd-fsrs=0" in new
    said = json.loads(run("xlcfg", "-f", "names", "--xen", "4.17", "--json", mixed[0]).stdout)
    assert (said["xen"], said["names"], said["unnamed"]) == ("4.17", ["auto-ibrs"], unnamed)


def test_names_are_the_hosts_own(tmp_path, libxl):
    """Two hosts of one release: its spelling.  Zen 5 has the breakpoint masks that 4.19 gave to guests."""
    old = predict(tmp_path / "old.xlp", "amd-barcelona", "--xen", "4.20")
    new = predict(tmp_path / "new.xlp", ZEN5, "--xen", "4.20")
    run("level", old, new, "-o", tmp_path / "p.xlp")
    text = run("xlcfg", "-f", "names", tmp_path / "p.xlp").stdout
    assert ",addr-msk-ext=0," in text and "addr-mask-ext" not in text
    assert "no-addr-msk-ext" in run("xlcfg", "-f", "cmdline", tmp_path / "p.xlp").stdout
    before = run("xlcfg", "-f", "names", "--xen", "4.17", tmp_path / "p.xlp").stdout
    line = before.split('cpuid = "')[1].split('"')[0]
    assert "addr-mask-ext" in before and "addr-m" not in line
    # The libxl of the oldest release takes what is written for it, and that of any other does too.
    policy = ctypes.c_void_p()
    for item in line.split(",")[1:]:
        assert libxl.libxl_cpuid_parse_config(ctypes.byref(policy), item.encode()) == 0, item


def test_a_newer_xens_spelling_is_understood(tmp_path):
    """On the command line of the Xen that is predicted, either name of a feature is taken."""
    without = [names(predict(tmp_path / "x.xlp", ZEN5, "--xen", "4.20", "--xen-cmdline", f"cpuid=no-{name}"))
               for name in ("addr-msk-ext", "addr-mask-ext", "Addr_Msk_Ext")]
    assert without[0] == without[1] == without[2]
    assert names(predict(tmp_path / "y.xlp", ZEN5, "--xen", "4.20")) - without[0] == {"addr-mask-ext"}
