# SPDX-License-Identifier: MIT
"""What a file does not say of a CPU: neither zero nor yes, but unknown, and said to be.

The CPUs are made up of Ice Lake's and of Milan's identity and of few features, so that an answer can be read.
"""

import json
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"

# RDCL_NO, EIBRS, SKIP_L1DFL, MDS_NO, IF_PSCHANGE_MC_NO, RRSBA, GDS_CTRL (Intel SDM vol. 4, table 2-2)
MSR_10A = "MSR 0000010A: 0000-0000-0208-006B\n"
NEWER_10A, OLDER_10A = MSR_10A.replace("0208", "020A"), MSR_10A.replace("0208", "0008")  # FB_CLEAR; no GDS_CTRL
ICELAKE = """\
CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69
CPUID 00000001: 000606A6-00100800-7FFEFBFF-BFEBFBFF
CPUID 00000007: 00000000-00000281-00000000-AC000400 [SL 00]
CPUID 0000000D: 00000007-00000340-00000340-00000000 [SL 00]
CPUID 0000000D: 00000001-00000340-00000000-00000000 [SL 01]
CPUID 0000000D: 00000100-00000240-00000000-00000000 [SL 02]
CPUID 80000000: 80000008-00000000-00000000-00000000
CPUID 80000001: 00000000-00000000-00000121-2C100800
CPUID 80000007: 00000000-00000000-00000000-00000100
CPUID 80000008: 0000302E-00000000-00000000-00000000
"""
HASWELL = ICELAKE.replace("000606A6", "000306F2").replace("AC000400", "9C000400")  # no MSR 10A
MILAN = """\
CPUID 00000000: 00000010-68747541-444D4163-69746E65
CPUID 00000001: 00A00F11-00100800-7EDA320B-178BFBFF
CPUID 00000007: 00000000-00000281-00000000-00000000 [SL 00]
CPUID 0000000D: 00000007-00000340-00000340-00000000 [SL 00]
CPUID 0000000D: 00000001-00000340-00000000-00000000 [SL 01]
CPUID 0000000D: 00000100-00000240-00000000-00000000 [SL 02]
CPUID 80000000: 80000021-68747541-444D4163-69746E65
CPUID 80000001: 00A00F11-00000000-00000127-2FD3FBFF
CPUID 80000008: 00003030-0000D000-00000000-00000000
CPUID 8000000A: 00000001-00008000-00000000-00100C5F
CPUID 80000021: {e21a}-00000000-00000000-00000000
"""
DOM0 = """\
CPU:
   0x00000000 0x00: eax=0x00000002 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000001 0x00: eax=0x000306f2 ebx=0x00100800 ecx=0xf6f83203 edx=0x1fc9cbf5
   0x40000000 0x00: eax=0x40000005 ebx=0x566e6558 ecx=0x65584d4d edx=0x4d4d566e
   0x80000000 0x00: eax=0x80000008 ebx=0x00000000 ecx=0x00000000 edx=0x00000000
   0x80000001 0x00: eax=0x00000000 ebx=0x00000000 ecx=0x00000021 edx=0x28100800
   0x80000008 0x00: eax=0x0000302e ebx=0x00001000 ecx=0x00000000 edx=0x00000000
"""
SOME = ["mds-no", "if-pschange-mc-no"]  # what guests of ICELAKE have of MSR 10A, and no document gives them


def run(*args, status=0, cwd=None):
    done = subprocess.run([XENLEVEL, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=600, cwd=cwd)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    assert "runtime error" not in done.stderr and "Sanitizer" not in done.stderr
    return done


def run_json(*args, status=0):
    return json.loads(run(*args, "--json", status=status).stdout)


def names(features):
    return {f.get("name") for f in features}


class Dumps:
    """Dumps in a directory, and the hosts that they make."""

    def __init__(self, path):
        self.path = path

    def write(self, name, text):
        (self.path / f"{name}.txt").write_text(text)
        return self.path / f"{name}.txt"

    def host(self, name, text, *args):
        path = self.path / f"{name}.xlp"
        self.said = run("host", "--dump", self.write(name, text), "-o", path, *args)
        return path

    def refused(self, text, *args):
        path = self.path / "none.xlp"
        done = run("host", "--dump", self.write("bad", text), "-o", path, *args, status=2)
        assert not path.exists() and done.stdout == ""
        return done.stderr


@pytest.fixture
def dumps(tmp_path):
    return Dumps(tmp_path)


@pytest.fixture
def whole(dumps):
    return dumps.host("whole", ICELAKE + MSR_10A)


@pytest.fixture
def silent(dumps):
    return dumps.host("silent", ICELAKE)


# ---- what is missing ----

def cut(text, *leaves):
    return "".join(line for line in text.splitlines(keepends=True) if line.split()[1].rstrip(":") not in leaves)


@pytest.mark.parametrize("text, missing", [
    (cut(ICELAKE, "00000007", "0000000D", "80000000", "80000001", "80000007", "80000008"), "7, d, 80000000"),
    (cut(ICELAKE, "0000000D"), "d"),
    (cut(ICELAKE, "00000007"), "7"),
    (cut(ICELAKE, "80000001", "80000007", "80000008"), "80000001, 80000008"),
    (cut(MILAN.format(e21a="00000000"), "00000007", "80000008"), "7, 80000008"),
    (DOM0.replace("0x40000000", "0x50000000").replace("eax=0x00000002", "eax=0x0000000d"), "7, d"),
])
def test_what_cannot_be_a_whole_cpu_is_refused(dumps, text, missing):
    words = dumps.refused(text)
    assert f"these are not in the file: {missing};" in words and "--partial takes it" in words
    path = dumps.host("part", text, "--partial")
    unknown = run_json("show", path)["policies"]["raw"]["unknown"]["places"]
    leaves = {int(p["leaf"], 16) for p in unknown if "leaf" in p}
    assert {int(leaf, 16) for leaf in missing.split(", ")} <= leaves
    assert "not in the dump, so not known: " in dumps.said.stderr


def test_partial_is_for_dumps():
    assert "--partial goes with --dump" in run("host", "--partial", status=2).stderr


def test_leaf_7_that_the_model_does_not_have(dumps):
    """Programs as old as Sandy Bridge do not ask for leaf 7; but microcode of 2018 put something into it."""
    text = cut(ICELAKE, "00000007").replace("000606A6", "000206D7").replace("7FFEFBFF", "1FBEE3FF")
    raw = run_json("show", dumps.host("snb", text))["policies"]["raw"]
    places = {(p.get("leaf"), p.get("subleaf")): p for p in raw["unknown"]["places"]}
    assert places["0x00000007", 0] == {"leaf": "0x00000007", "subleaf": 0, "edx": "0xffffffff"}


def test_a_domains_dump_is_no_host(dumps):
    words = dumps.refused(DOM0)
    assert "domain" in words and "Xen" in words and "host" in words
    dumps.refused(DOM0, "--partial")


# ---- the MSR that CPUID does not have ----

def test_one_warning_and_how_to_find_out(dumps, silent):
    text = dumps.said.stderr
    assert text.count("xenlevel: ") == 1 and "not in the dump, so not known: MSR 10A;" in text
    assert "rdmsr 0x10a" in text and "xen-cpuid -p" in text
    assert "taken from family and model: CPUID faulting (MSR CE); eibrs and rdcl-no (MSR 10A)" in dumps.said.stdout


def test_what_rdmsr_said_can_be_added(dumps):
    """As a line behind those of `cpuid -r`, too."""
    lines = []
    for line in ICELAKE.splitlines():
        leaf, regs, sub = re.fullmatch(r"CPUID (\w+): ([\w-]+)(?: \[SL (\w+)\])?", line).groups()
        lines.append("   0x{} 0x{}: eax=0x{} ebx=0x{} ecx=0x{} edx=0x{}".format(leaf, sub or "00", *regs.split("-")))
    path = dumps.host("cpuid-r", "\n".join(["CPU 0:", *lines, MSR_10A]))
    assert dumps.said.stderr == "" and "mds-no" in names(run_json("show", path)["policies"]["hvm-default"]["features"])


@pytest.mark.parametrize("text", [HASWELL, MILAN.format(e21a="18000000")], ids=["haswell", "milan"])
def test_a_cpu_without_the_msr_lacks_nothing(dumps, text):
    path = dumps.host("plain", text)
    assert "MSR 10A" not in dumps.said.stderr
    for name, policy in run_json("show", path)["policies"].items():
        assert not any("msr" in p for p in policy.get("unknown", {"places": []})["places"]), name
    assert "can run" in run("check", path, path).stdout


def test_a_virtual_cpu_is_not_known_by_its_model(dumps):
    text = ICELAKE.replace("7FFEFBFF", "FFFEFBFF")
    dumps.host("virtual", text)
    assert "taken from family and model" not in dumps.said.stdout
    assert "MSR CE" in dumps.said.stderr


# ---- show ----

def test_show_says_unknown(whole, silent):
    policies = run_json("show", "--leaves", silent)["policies"]
    told = policies["hvm-default"]
    unknown = names(told["unknown"]["features"])
    assert set(SOME) <= unknown and not unknown & names(told["features"])
    assert {"eibrs", "rdcl-no", "rrsba"} <= names(told["features"])  # the design has the former two
    assert [m["value"] for m in policies["raw"]["msrs"] if m["msr"] == "0x0000010a"] == [None]
    assert "?" in told["featureset"]
    text = run("show", "--leaves", silent).stdout
    assert "not known  MSR 10A\n" in text and "MSR 10A" not in run("show", whole).stdout
    assert re.search(r"msr 0000010a +[0-9?]*\?", text)
    assert re.search(r"and \d+ not known\n", text) and "mds-no" in text.split("it may have these features or not:")[1]
    policies = run_json("show", "--leaves", whole)["policies"]
    assert not set(SOME) - names(policies["hvm-default"]["features"])
    assert not [p for p in policies["hvm-default"].get("unknown", {"features": []})["features"]]


def test_an_old_file_is_all_known(silent, tmp_path):
    """A reader that does not know the field sees zeros; one that does sees a file without it as all known."""
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={tmp_path}", "cpu_policy.proto"], check=True)
    data = silent.read_bytes()
    code = ("import sys, cpu_policy_pb2 as pb\nf = pb.File.FromString(open(sys.argv[1], 'rb').read())\n"
            "assert any(p.HasField('unknown') for p in f.host.policies)\n"
            "for p in f.host.policies: p.ClearField('unknown')\n"
            "f.ClearField('end')\nopen(sys.argv[2], 'wb').write(f.SerializeToString())\n")
    subprocess.run(["/usr/bin/python3", "-c", code, silent, tmp_path / "body"], check=True, cwd=tmp_path)
    body = (tmp_path / "body").read_bytes()
    assert len(body) < len(data)
    old = tmp_path / "old.xlp"
    old.write_bytes(body + b"\x7d" + zlib.crc32(body).to_bytes(4, "little"))
    assert all("unknown" not in p for p in run_json("show", old)["policies"].values())


# ---- check ----

@pytest.mark.parametrize("kind", ["hvm", "pv"])
def test_the_same_cpu_with_and_without_msr_lines(whole, silent, kind):
    for guest, host in ((whole, silent), (silent, whole)):
        text = run("check", "-t", kind, guest, host, status=1).stdout
        assert "cannot say: MSR 10A is not in the dump of silent" in text and "cannot run" not in text
        assert "may be missing there" in text and "rdmsr 0x10a" in text
        assert "as far as both are known, it is the same CPU" in text
        answer = run_json("check", "-t", kind, guest, host, status=1)
        one = answer["hosts"][0]
        assert not one["can_run"] and one["reason"] == "unknown" and one["faults"] == []
        assert "MSR 10A" in one["not_known"] and "rdmsr 0x10a" in one["find_out"]
        assert not answer["can_run_everywhere"]
        if guest == whole:
            assert set(SOME) <= names(one["unknown"])
    for path in (whole, silent):
        assert run_json("check", "-t", kind, path, path)["hosts"][0]["can_run"]


def test_a_definite_no_stays_a_no(dumps, silent):
    """Whatever MSR 10A has there: there is no INVPCID."""
    rich = dumps.host("rich", ICELAKE.replace("00000281", "00000681") + MSR_10A)
    one = run_json("check", rich, silent, status=1)["hosts"][0]
    assert one["reason"] == "refused" and names(one["faults"]) == {"invpcid"} and one["unknown"]
    assert "cannot run on silent" in run("check", rich, silent, status=1).stdout


def test_what_does_not_depend_on_it_is_a_yes(dumps, silent):
    """A guest that was told of little more than what is known there."""
    guest = dumps.host("less", ICELAKE + "MSR 0000010A: 0000-0000-0208-0003\n")
    one = run_json("check", guest, silent, status=1)["hosts"][0]
    assert names(one["unknown"]) == {"rfds-no"}  # which Xen makes, unless the CPU says RFDS_CLEAR
    level = dumps.path / "pool.xlp"
    run("level", guest, silent, "-o", level)
    assert run_json("check", level, guest, silent)["can_run_everywhere"]


def test_a_partial_dump_answers_what_it_can(dumps, whole):
    part = dumps.host("part", cut(ICELAKE, "00000007", "0000000D", "80000000", "80000001", "80000007", "80000008"),
                      "--partial")
    one = run_json("check", whole, part, status=1)["hosts"][0]
    assert one["reason"] == "unknown" and {"avx", "lm", "smep"} <= names(one["unknown"])
    less = dumps.host("less", cut(ICELAKE, "0000000D").replace("7FFEFBFF", "7DFEFBFF"), "--partial")  # no AES
    one = run_json("check", whole, less, status=1)["hosts"][0]
    assert one["reason"] == "refused" and "aesni" in names(one["faults"]) and "aesni" not in names(one["unknown"])


# ---- level, xlcfg, diff ----

def test_a_level_leaves_out_what_nobody_knows(dumps, whole, silent):
    pool = dumps.path / "pool.xlp"
    answer = run_json("level", whole, silent, "-o", pool)
    for kind in ("hvm", "pv"):
        left_out = {f["name"]: f for f in answer[kind]["left_out"]}
        assert set(SOME) <= set(left_out) and not set(left_out) & names(answer[kind]["features"])
        assert all(f["not_known_of"] == ["silent"] and f["reason"] == "unknown" for f in left_out.values())
        assert answer[kind]["costs"] == [] and all(h["gives_up"] == [] for h in answer[kind]["hosts"])
        assert "eibrs" in names(answer[kind]["features"])
        assert run_json("check", "-t", kind, pool, whole, silent)["can_run_everywhere"]
    text = run("level", whole, silent).stdout
    assert "left out, because it is not known of silent (MSR 10A is not in the dump)" in text
    assert "gives up nothing" in text and "rdmsr 0x10a" in text
    line = next(t for t in run("xlcfg", "-f", "names", pool).stdout.splitlines() if t.startswith("cpuid"))
    assert all(f"{name}=0" in line for name in SOME)  # whole's new guests would have them


def test_what_a_host_lacks_for_sure_is_given_up(dumps, whole, silent):
    haswell = dumps.host("haswell", HASWELL)
    answer = run_json("level", whole, silent, haswell)["hvm"]
    assert {"mds-no", "eibrs"} <= names(answer["costs"]) and "mds-no" not in names(answer["left_out"])


def test_unknown_hazards_are_told(dumps):
    """Skylake with the MSR and without its value: it may have RSBA."""
    text = ICELAKE.replace("000606A6", "00050654")
    sky = dumps.host("sky", text)
    assert "rsba" in names(run_json("show", sky)["policies"]["hvm-default"]["unknown"]["features"])
    answer = run_json("level", sky)["hvm"]
    assert "rsba" in names(answer["hazards_supposed"]) and "rsba" in names(answer["features"])
    assert "told of these hazards to be safe" in run("level", sky).stdout
    guest = dumps.host("snb", HASWELL)
    assert "rsba" in {f.get("name") for f in run_json("check", guest, sky, status=1)["hosts"][0]["unknown"]}


def test_diff_compares_what_is_known(dumps, whole, silent):
    answer = run_json("diff", whole, silent, status=1)
    assert not answer["same"] and answer["reason"] == "unknown"
    assert [s["only_here"] for s in answer["sides"]] == [[], []] and set(SOME) <= names(answer["sides"][1]["unknown"])
    text = run("diff", whole, silent, status=1).stdout
    assert "cannot say whether" in text and "so not compared: MSR 10A" in text
    assert run_json("diff", silent, silent)["same"]
    other = dumps.host("other", ICELAKE.replace("00000281", "00000201") + MSR_10A)
    answer = run_json("diff", other, silent, status=1)
    assert answer["reason"] == "different" and names(answer["sides"][1]["only_here"]) == {"smep"}


# ---- the age of microcode ----

def test_a_dump_with_old_microcode_is_taken_at_its_word(dumps):
    path = dumps.host("old", ICELAKE + OLDER_10A)
    note = next(t for t in run_json("show", path)["notes"] if "its microcode is older" in t)
    assert "older than 2023-08" in note and "lacks gds-ctrl" in note and re.search(r"gives guests .*\bavx\b", note)
    assert "microcode is older than 2023-08" in dumps.said.stdout
    assert "avx" not in names(run_json("show", path)["policies"]["hvm-max"]["features"])  # Xen hides it
    new = dumps.host("new", ICELAKE + MSR_10A)
    assert not any("microcode" in t for t in run_json("show", new)["notes"])
    silent = dumps.host("silent", ICELAKE)
    assert "avx" in names(run_json("show", silent)["policies"]["hvm-default"]["features"])
    assert any("assumed: microcode of 2023-08 or newer" in t for t in run_json("show", silent)["notes"])
    # What answers stand on is in the answers, too.
    level = run("level", silent, new, "-o", dumps.path / "level.xlp").stdout
    assert "assumed of silent: microcode of 2023-08 or newer" in " ".join(level.split()) and "assumed of new" not in level
    assert "assumed of silent: microcode" in " ".join(run("check", dumps.path / "level.xlp", silent).stdout.split())
    one = run_json("check", dumps.path / "level.xlp", silent, new)["hosts"]
    assert one[0]["assumed"].startswith("microcode of 2023-08") and "assumed" not in one[1]
    assert "assumed of" not in run("check", new, path, status=1).stdout


@pytest.mark.parametrize("text, since, lacks", [
    (HASWELL.replace("9C000400", "00000000"), "2018-01", "md-clear, ibrsb, stibp, l1d-flush, ssbd"),
    (HASWELL.replace("9C000400", "9C000000"), "2019-05", "md-clear"),
    (ICELAKE.replace("000606A6", "00050654").replace("AC000400", "9C000400"), "2018-01", "arch-caps, gds-ctrl"),
    (MILAN.format(e21a="00000000"), "2023-08", "sbpb, ibpb-brtype"),
])
def test_what_a_model_gets_by_microcode(dumps, text, since, lacks):
    dumps.host("old", text)
    assert f"its microcode is older than {since}: it lacks {lacks};" in dumps.said.stdout


def test_microcode_is_told_apart_from_the_cpu(dumps, whole):
    old = dumps.host("old", ICELAKE + OLDER_10A)
    one = run_json("check", whole, old, status=1)["hosts"][0]
    assert one["cpus"] == "same, other microcode" and one["difference"] == "microcode"
    assert {"avx", "gds-no"} <= names(one["by_microcode"])
    text = run("check", whole, old, status=1).stdout
    assert "the same CPU with other microcode" in text and "INTEL-SA-00828" in text
    other = dumps.host("other", ICELAKE.replace("00000281", "00000201") + MSR_10A)
    one = run_json("check", whole, other, status=1)["hosts"][0]
    assert one["cpus"] == "same, other settings" and one["difference"] == "cpu" and one["by_microcode"] == []
    both = dumps.host("both", ICELAKE.replace("00000281", "00000201") + OLDER_10A)
    one = run_json("check", whole, both, status=1)["hosts"][0]
    assert one["difference"] == "both" and "avx" in names(one["by_microcode"]) and "smep" not in names(one["by_microcode"])
    haswell = dumps.host("haswell", HASWELL)
    one = run_json("check", whole, haswell, status=1)["hosts"][0]
    assert one["cpus"] == "other" and one["difference"] == "cpu"
    newer = dumps.host("newer", ICELAKE + NEWER_10A)
    one = run_json("check", whole, newer)["hosts"][0]
    assert one["can_run"] and one["difference"] is None
