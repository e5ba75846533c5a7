# SPDX-License-Identifier: MIT
"""xlcfg's forms for others than xl, and a level as JSON that is edited and read back."""

import ctypes
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
CPUS = ROOT / "xen" / "sim" / "machines"
POOLS = [("intel-sandybridge-ep", "intel-cascadelake-sp"), ("amd-barcelona", "amd-bergamo"),
         ("intel-skylake-sp", "intel-sapphire-rapids")]

# What libvirt's Xen driver makes of the names of its XML before it asks libxl.
LIBVIRT = {"cx16": "cmpxchg16", "cid": "cntxid", "ds_cpl": "dscpl", "pclmuldq": "pclmulqdq", "pni": "sse3", "ht": "htt", "pn": "psn",
           "clflush": "clfsh", "sep": "sysenter", "cx8": "cmpxchg8", "nodeid_msr": "nodeid", "cr8legacy": "altmovcr8",
           "lahf_lm": "lahfsahf", "cmp_legacy": "cmplegacy", "fxsr_opt": "ffxsr", "pdpe1gb": "page1gb", "spec-ctrl": "ibrsb"}


def run(*args, status=0):
    r = subprocess.run([XENLEVEL, *map(str, args)], capture_output=True, text=True)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return r


def shown(path, kind="hvm"):
    return json.loads(run("show", path, "--json").stdout)[kind]


def names(path, kind="hvm"):
    return {f["name"] for f in shown(path, kind)["features"]}


def hidden(path, kind="hvm"):
    return {f["name"] for f in json.loads(run("xlcfg", path, "-t", kind, "--json").stdout)["hidden"]}


@pytest.fixture(scope="module", params=POOLS, ids="+".join)
def pool(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("pool")
    for name in request.param:
        run("host", "--dump", CPUS / f"{name}.cpuid", "-o", out / f"{name}.xlp")
    run("level", *(out / f"{name}.xlp" for name in request.param), "-o", out / "pool.xlp")
    return out / "pool.xlp"


# ---- libvirt ----

def test_libvirt_xml(pool, libxl):
    """libxl takes each name as libvirt hands it over, and they are what the members give up."""
    root = ElementTree.fromstring("<domain>" + run("xlcfg", "--form", "libvirt", pool).stdout + "</domain>").find("cpu")
    assert root.get("mode") == "host-passthrough"
    policy = ctypes.c_void_p()
    for feature in root:
        name = feature.get("name")
        value = {"disable": "0", "require": "1"}[feature.get("policy")]
        item = f"{LIBVIRT.get(name, name)}={value}"
        assert libxl.libxl_cpuid_parse_config(ctypes.byref(policy), item.encode()) == 0, item
    disabled = {f.get("name") for f in root if f.get("policy") == "disable"}
    assert len(disabled) == len(hidden(pool)) and disabled & hidden(pool) == {n for n in hidden(pool) if n in disabled}
    assert "pni" not in hidden(pool) and not disabled & {"sse3", "htt", "ibrsb", "page1gb", "ffxsr", "lahf-lm"}


def test_libvirt_xml_says_what_it_cannot_say(pool):
    text = run("xlcfg", "--form", "libvirt", pool).stdout
    assert "Not said here: the highest leaf" in text and "bits of a physical address" in text


def test_libvirt_gives_pv_guests_no_cpu(pool):
    assert "gives PV guests no CPU" in run("xlcfg", "-t", "pv", "--form", "libvirt", pool, status=1).stderr.replace("\n    ", " ")


# ---- XAPI, Xen ----

def test_featureset(pool):
    for kind in ("pv", "hvm"):
        text = run("xlcfg", "-t", kind, "--form", "featureset", pool).stdout
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){18}\n", text)
        words = shown(pool, kind)["featureset"].split(":")
        assert text.strip().split("-")[:len(words)] == words[:19]


def test_cmdline_makes_hosts_offer_the_level(pool, tmp_path):
    """Each member, with these words on its command line, gives new guests what the level has and no capability more."""
    r = run("xlcfg", "--form", "cmdline", pool)
    assert r.stdout.startswith("cpuid=no-") and r.stdout.count("\n") == 1 and "each host" in r.stderr
    for member in json.loads(run("show", pool, "--json").stdout)["members"]:
        host = tmp_path / "host.xlp"
        run("host", "--dump", CPUS / f"{member['name']}.cpuid", "--xen-cmdline", r.stdout.strip(), "-o", host)
        run("level", host, "-o", tmp_path / "own.xlp")
        more = names(tmp_path / "own.xlp") - names(pool)
        assert not more & hidden(pool), more
        assert run("check", pool, host).returncode == 0


# ---- JSON ----

def as_json(pool):
    return json.loads(run("xlcfg", "--form", "json", pool).stdout)


def test_json_comes_back_as_it_was(pool, tmp_path):
    (tmp_path / "p.json").write_text(run("xlcfg", "--form", "json", pool).stdout)
    assert "written to" in run("level", tmp_path / "p.json", "-o", tmp_path / "back.xlp").stdout
    for kind in ("pv", "hvm"):
        assert shown(tmp_path / "back.xlp", kind) == shown(pool, kind)
        for form in ("bits", "names"):
            assert run("xlcfg", "-t", kind, "-f", form, tmp_path / "back.xlp").stdout.replace("'p'", "'pool'") \
                == run("xlcfg", "-t", kind, "-f", form, pool).stdout


def test_an_edited_level(pool, tmp_path):
    """A feature taken out goes with all that stands on it, and every form hides it."""
    level = as_json(pool)
    level["hvm"]["features"].remove("sse4_2" if "sse4_2" in level["hvm"]["features"] else "cx16")
    gone = names(pool) - set(level["hvm"]["features"])
    level["hvm"]["physical_address_bits"] = "0x24"
    level["name"] = "edited"
    (tmp_path / "e.json").write_text(json.dumps(level))
    run("level", tmp_path / "e.json", "-o", tmp_path / "e.xlp")
    assert gone and not gone & names(tmp_path / "e.xlp") and names(tmp_path / "e.xlp", "pv") == names(pool, "pv")
    assert hidden(tmp_path / "e.xlp") >= hidden(pool) | gone
    assert "(36 bits)" in run("xlcfg", "-f", "names", tmp_path / "e.xlp").stdout
    # The text itself stands for the level too.
    assert names(tmp_path / "e.json") == names(tmp_path / "e.xlp")
    assert "edited" in run("show", tmp_path / "e.json").stdout


def test_a_bit_that_nobody_names(pool, tmp_path):
    """A level that was edited, or made by a newer program, may give up bits that are no feature here."""
    level = as_json(pool)
    level["members"][0]["hvm_given_up"] += ["1d:10", "1d:20"]
    (tmp_path / "b.json").write_text(json.dumps(level))
    line = run("xlcfg", "-f", "names", "--xen", "4.20", tmp_path / "b.json").stdout
    assert "has no name for these" in line and "1d:10 1d:20" in line
    answer = json.loads(run("xlcfg", "-f", "names", "--xen", "4.20", "--json", tmp_path / "b.json").stdout)
    assert set(answer["unnamed"]) >= {"1d:10", "1d:20"} and "1d:10" not in answer["names"]


def edit(change):
    def make(level):
        change(level)
        return json.dumps(level)
    return make


WRONG = {
    "no JSON": (lambda level: '{"xenlevel": "level", ', "this is no JSON"),
    "the end is missing": (lambda level: '{\n"xenlevel": "level",\n', "line 3: parse error: premature EOF"),
    "nothing but brackets": (lambda level: '{"xenlevel": ' + "[" * 300000 + "]" * 300000 + "}", "line 1: nested deeper"),
    "a NUL": (lambda level: '{"xenlevel": "level"}\0', "it has a NUL"),
    "another kind": (lambda level: '{"xenlevel": "host"}', "this JSON is no level"),
    "none of ours": (lambda level: "{}", "it is text that begins with '{}'"),
    "no name": (edit(lambda level: level.pop("name")), '"name" is missing'),
    "no type": (edit(lambda level: (level.pop("pv"), level.pop("hvm"))), 'neither "hvm" nor "pv"'),
    "no features": (edit(lambda level: level["hvm"].pop("features")), '"hvm" has no "features"'),
    "no such feature": (edit(lambda level: level["hvm"]["features"].append("avx9")), "there is no feature 'avx9'"),
    "an escape": (edit(lambda level: level["hvm"]["features"].append("\x1b[2J")), r"no feature '\x1b[2J'"),
    "a number": (edit(lambda level: level["hvm"]["features"].append(7)), "(no text)"),
    "no leaves": (edit(lambda level: level["hvm"].pop("leaves")), 'has no "leaves"'),
    "a leaf less": (edit(lambda level: level["hvm"]["leaves"].pop(1)), "incomplete: leaf"),
    "a register": (edit(lambda level: level["hvm"]["leaves"][1].update(eax="0x100000000")), "no number that fits"),
    "no register": (edit(lambda level: level["hvm"]["leaves"][1].pop("edx")), '"edx" is missing'),
    "a word": (edit(lambda level: level["hvm"].update(max_leaf="many")), '"max_leaf" is no number'),
    "an impossible CPU": (edit(lambda level: level["hvm"].update(physical_address_bits="0xff")), "no such CPU can exist"),
    "a member": (edit(lambda level: level["members"].append({})), 'one has no "name"'),
    "no object": (edit(lambda level: level.update(hvm=[])), '"hvm" is no object'),
}


@pytest.mark.parametrize("what", WRONG)
def test_json_that_is_wrong(pool, tmp_path, what):
    make, message = WRONG[what]
    (tmp_path / "w.json").write_text(make(as_json(pool)))
    r = run("level", tmp_path / "w.json", "-o", tmp_path / "w.xlp", status=2)
    assert message in " ".join(r.stderr.split()) and "w.json" in r.stderr and "\x1b" not in r.stderr
    assert not (tmp_path / "w.xlp").exists()


def test_a_level_wants_an_output(pool):
    assert "is not a host but a level" in run("level", pool, status=2).stderr


@pytest.mark.parametrize("form", ["libvirt", "featureset", "cmdline", "json"])
def test_other_forms_are_no_json(pool, form):
    """--json is no option to pass over: what comes would be no JSON."""
    assert "--json goes with --form bits and names" in run("xlcfg", "--form", form, "--json", pool, status=2).stderr


def test_unknown_form(pool):
    assert "--form is bits, names, libvirt" in run("xlcfg", "--form", "poem", pool, status=2).stderr
