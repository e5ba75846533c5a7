# SPDX-License-Identifier: MIT
"""xenlevel explain: each name has a section, and pasted text leads to it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
GENERATOR = ROOT / "tools" / "xenlevel" / "gen-messages.py"


def explain(*args, text="", status=0):
    r = subprocess.run([XENLEVEL, "explain", *args], input=text, capture_output=True, text=True)
    assert r.returncode == status, r.stdout + r.stderr
    return r


def messages():
    return json.loads(explain("--json").stdout)["messages"]


def known_names():
    return {name for m in messages() for name in (m["name"], *m["also"])}


# ---- every name ----

def test_every_refusal_of_the_specification_is_explained():
    spec = (ROOT / "docs/specs/libxc-migration-stream.pandoc").read_text()
    table = spec.split("| name | refused is |", 1)[1].split("\n\n", 1)[0]
    names = {name.strip() for row in table.splitlines()[2:] for name in row.split("|")[1].split(",")}
    assert len(names) > 80 and names - known_names() == set()


def test_every_finding_of_the_library_is_explained():
    names = set(re.findall(r'\[FAULT_\w+\] = "([^"]+)"', (ROOT / "xen/arch/x86/cpuid-policy/text.c").read_text()))
    assert len(names) > 30 and names - known_names() == set()


def test_every_name_that_the_gate_says_is_explained():
    said = set()
    for path in (ROOT / "tools/save-helper").glob("*.c"):
        said |= set(re.findall(r'(?:audit_say_names\(|tail_lines\(\w+, )"([^"]+)"', path.read_text()))
    assert len(said) >= 7 and said - known_names() == set()


# What needs no section: the whole of it is in the message, or what follows the colon is explained.
PLAIN = re.compile(r"""^x: x$|^'x' has no policy x|^x has no policy x|: cannot be (read|written)|--type is pv|--policy is raw|--levelling-caps: 'x' is none
    |type = 'x': it is pv|the guest's name is 'x'|standard input|only the first|no message that is known|there is no message|offset %|in the stream at byte
    |what is looked at more than once|the CPU policy in it: x|only images of xl|cannot be read as text|the gate must be named|is not the gate: no
    |daemon-reload|not libxl's|^Xen x: x$|x: not a file$|^'x': x$|^saving: x$|^saving 'x': x""".replace("\n    ", ""))
CALL = re.compile(r"\b(?:warn|complain|refuse_broken|report_line|store_fail|pool_load_fail)\(((?:[^;\"]|\"(?:[^\"\\\\]|\\\\.)*\")*)\);")


def formats():
    """(file, text) of each message that the gate and the command print, with x for what differs."""
    for folder in ("tools/xenlevel", "tools/save-helper", "tools/pool"):
        for path in sorted((ROOT / folder).glob("*.c")):
            for call in CALL.findall(path.read_text()):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', re.split(r',\s*[a-z]', call, maxsplit=1)[0]))
                text = re.sub(r"%[-+ #0-9.*]*(?:ll|l|z|h|hh|j)?[a-zA-Z]", "x", text.replace('\\"', '"'))
                if " " in text:
                    yield path.name, text


def test_every_message_is_explained_or_plain():
    found = list(formats())
    assert len(found) > 90
    unexplained = [(file, text) for file, text in found if not PLAIN.search(text)
                   and not json.loads(subprocess.run([XENLEVEL, "explain", "-", "--json"], input=text, capture_output=True, text=True).stdout)["messages"]]
    assert not unexplained


def test_each_is_found_by_each_of_its_names():
    for m in messages():
        for name in (m["name"], *m["also"]):
            assert explain(name).stdout.startswith(m["name"] + "\n"), name


def test_a_feature_is_explained_to_programs_too():
    answer = json.loads(explain("--json", "rtm", "feature-missing").stdout)
    assert [f["name"] for f in answer["features"]] == ["rtm"]
    assert [m["name"] for m in answer["messages"]] == ["feature-missing"]
    assert json.loads(explain("--json", "feature-missing").stdout)["features"] == []


def test_each_has_something_to_say():
    for m in messages():
        assert m["says"] and m["text"], m["name"]
        assert explain(m["name"]).stdout.count("\n") > 3


# ---- pasted ----

PASTED = {
    "stock Xen refuses a policy": (
        "xc: error: Failed to set CPUID policy: leaf 00000001, subleaf ffffffff, msr ffffffff (22 = Invalid argument): Internal error\n",
        {"xen-policy-rejected"}),
    "wrapped by the terminal": (
        "xc: error: Failed to set CPUID policy: leaf 00000007,\r\n   subleaf 00000000, msr ffffffff (22 =\r\n Invalid argument)\r\n",
        {"xen-policy-rejected"}),
    "xsave": ("xc: error: Failed to set vcpu0's xsave info (22 = Invalid argument): Internal error", {"xen-xsave"}),
    "msrs": ("xc: error: Failed to set vcpu1's msrs (22 = Invalid argument): Internal error", {"xen-msrs"}),
    "hvm context": ("xc: error: Unable to restore HVM context (22 = Invalid argument): Internal error\n"
                    "(XEN) HVM restore mismatch: expected zeroextended type 5 length 24, saw type 5 length 32", {"xen-hvm-context"}),
    "bad cr4": ("(XEN) [  301.2] HVM3 restore: bad CR4 0x370678", {"xen-hvm-context"}),
    "XAPI": ("Error code: VM_INCOMPATIBLE_WITH_THIS_HOST\nError parameters: OpaqueRef:1, OpaqueRef:2, VM last booted on a CPU with "
             "features this host's CPU does not have.", {"xapi-incompatible"}),
    "XAPI evacuates": ("CANNOT_EVACUATE_HOST(VM_INCOMPATIBLE_WITH_THIS_HOST,OpaqueRef:5)", {"xapi-incompatible", "xapi-cannot-evacuate"}),
    "xl": ("migration target: Domain creation failed (code -3).\nMigration failed, resuming at sender.", {"xl-migration-failed"}),
    "a guest's kernel": ("traps: python3[712] trap invalid opcode ip:7f3 sp:7ff error:0 in libm.so", {"guest-invalid-opcode"}),
    "the gate": ("xenlevel: refused: 'web2' (PVH, from Xen 4.17) cannot run on this host (Intel Xeon E312xx (Sandy\n    Bridge))\n"
                 "  15 features that it was told it has\n  are missing here:\n    fma  1.ecx[12]  fused multiply-add", {"feature-missing"}),
    "the gate's summary": ("Nov 29 xenlevel: refused: 'a' (PV): its programs execute CPUID on this host's processor, and will", {"pv-programs"}),
    "a newer Xen": ("xenlevel: refused: 'a' (PVH, from Xen 4.20) cannot go on under this host's Xen 4.17.7", {"release-newer"}),
    "other text": ("the printer is on fire", set()),
    "nothing": ("", set()),
    "not text": ("\0\1\2\x7f\x1b[31m", set()),
    "too far apart": ("another vendor's CPU" + "x" * 400 + "nothing else was compared", set()),
}


@pytest.mark.parametrize("what", PASTED)
def test_pasted_text(what):
    text, names = PASTED[what]
    found = json.loads(explain("-", "--json", text=text, status=0 if names else 1).stdout)["messages"]
    assert {m["name"] for m in found} == names


def test_pasted_text_is_not_printed():
    """It may hold anything; what is printed are sections of the page."""
    r = explain("-", text="\x1b[31mVM_INCOMPATIBLE_WITH_THIS_HOST\x1b[0m")
    assert "\x1b" not in r.stdout + r.stderr and "xapi-incompatible" in r.stdout


def test_what_stands_in_the_page_is_found():
    """The first piece of each wording, and each wording with something in the place of <...>, leads to its section."""
    for m in messages():
        for said in m["says"]:
            pasted = re.sub(r"<[^>]*>", "x", said)
            found = json.loads(explain("-", "--json", text="... " + pasted + " ...").stdout)["messages"]
            assert m["name"] in {f["name"] for f in found}, said


# ---- names and mistakes ----

def test_a_feature_is_explained():
    out = explain("avx2").stdout
    assert "7.0.ebx[5]" in out and "must find it on every host" in out
    assert "must have been told of it" in explain("rsba").stdout


@pytest.mark.parametrize("args, what", [(["no-such-thing"], "no message 'no-such-thing'"), (["\x1b[2J"], "no message"),
                                        (["-", "vendor"], "- stands alone"), (["--wrong"], "no option")])
def test_mistakes(args, what):
    r = explain(*args, status=2)
    assert what in r.stderr.replace("\n    ", " ") and "\x1b" not in r.stderr


GOOD = "# Part\n\n## one\n\n> `what is said`\n\nText.\n"


@pytest.mark.parametrize("page, what", [
    (GOOD + "\n## one\n\n> `something else`\n\nText.\n", "page:9: 'one' is explained in line 3 already"),
    (GOOD.replace("> `what is said`\n", ""), "page:3: 'one': nothing is said"),
    (GOOD.replace("Text.\n", ""), "page:3: 'one': no explanation"),
    (GOOD.replace("## one", "## One thing"), "page:3: 'One thing' is no name"),
    (GOOD.replace("`what is said`", "what is said"), "page:5: what is said stands between backticks"),
    (GOOD.replace("what is said", "<a> is <b>"), "page:3: '<a> is <b>' would be found everywhere"),
])
def test_a_page_that_is_not_right(tmp_path, page, what):
    (tmp_path / "page").write_text(GOOD)
    right = subprocess.run([sys.executable, GENERATOR, "page", "out.c"], cwd=tmp_path, capture_output=True, text=True)
    assert right.returncode == 0, right.stderr
    (tmp_path / "page").write_text(page)
    wrong = subprocess.run([sys.executable, GENERATOR, "page", "out.c"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 1 and what in wrong.stderr, wrong.stderr
