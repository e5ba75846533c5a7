# SPDX-License-Identifier: MIT
"""Xen 4.20 (Debian 13) alone and beside 4.17: the same programs of ours, built here, in the dom0 of either; and moves between
the two, which Xen takes in one direction only."""

import json
import struct

import pytest

from test_gate import one_line, take_apart
from test_level import abi_words
from verifiers import verify
from xenlab.tools import GATE

LOG = "/root/gate.log"
GATED = {"LIBXL_SAVE_HELPER": GATE, "XENLEVEL_LOG": LOG}
OWN = {**GATED, "XENLEVEL_STREAM": "xenlevel"}
HVM_CONTEXT, LAPIC = 0x9, 5
# 4.17 asks the CPU for the size that belongs to the XCR0 of the moment, 4.20 works it out from the vCPU's, which is 0 until the
# guest writes it, and the probe does not.
XCR0_SIZE = "leaf d.0 ebx 00000240 -> 00000000"


@pytest.fixture(autouse=True)
def no_logs(request):
    for name in ("cascadelake", "cascadelake_420", "sandybridge_420"):
        if name in request.fixturenames:
            request.getfixturevalue(name).run(f"rm -f {LOG} /root/*.img /root/*.xlp")


def log_of(host):
    return one_line(host.run(f"cat {LOG} 2>/dev/null").out)


def lapic_length(image):
    """Of the LAPIC entry in what xl saved."""
    context = next(body for kind, body in take_apart(image)[2] if kind == HVM_CONTEXT)
    at = 0
    while True:
        kind, _, length = struct.unpack_from("<HHI", context, at)
        if kind == LAPIC:
            return length
        at += 8 + length


def assert_at_home(host, name, elsewhere):
    log = host.wait_probe(name, 3)
    assert log.healthy and log.changes == []
    assert elsewhere.domains() == {}


# ---- 4.20 alone ----

def test_a_capture_is_what_xen_says(cascadelake_420):
    shown = json.loads(cascadelake_420.run("xenlevel host --name x -o /root/x.xlp >/dev/null && xenlevel show --json /root/x.xlp")
                       .check().out)
    assert shown["xen_version"].startswith("4.20"), shown["xen_version"]
    xen = {}
    for line in cascadelake_420.run("xen-cpuid").check().out.split("Dynamic sets:")[1].splitlines():
        name, _, text = line.rpartition(" ")
        if text.count(":") >= 10:
            xen[name.strip()] = text
    for ours, theirs in (("raw", "Raw"), ("host", "Host"), ("pv-default", "PV Default"), ("hvm-default", "HVM Default"),
                         ("pv-max", "PV Max"), ("hvm-max", "HVM Max")):
        assert abi_words(shown["policies"][ours]["featureset"]) == abi_words(xen[theirs]), ours


def test_refused_by_name(lab, cascadelake_420, sandybridge_420):
    cascadelake_420.create_probe("web1").check()
    m = lab.migrate(cascadelake_420, sandybridge_420, "web1", env_src=GATED, env_dst=GATED)
    assert m.src.rc != 0 and m.dst.rc != 0
    assert "refused: 'web1' (PVH, from Xen 4.20) cannot run on this host (Intel Xeon E312xx (Sandy Bridge))" in log_of(sandybridge_420)
    for name in ("movbe", "bmi1", "bmi2"):
        assert name in m.src.err and name in m.dst.err
    assert m.bytes_moved < 2 << 20
    assert_at_home(cascadelake_420, "web1", sandybridge_420)


def test_levelled_it_moves_both_ways(lab, cascadelake_420, sandybridge_420):
    """host, level, apply, check, and the gate, which passes it."""
    for host in (cascadelake_420, sandybridge_420):
        host.run(f"xenlevel host --name {host.name} -o /root/{host.name}.xlp").check()
    cascadelake_420.put("/root/sandybridge_420.xlp", sandybridge_420.get("/root/sandybridge_420.xlp"), 0o644)
    cascadelake_420.run("cd /root && xenlevel level cascadelake_420.xlp sandybridge_420.xlp -o pool.xlp").check()
    cascadelake_420.create_probe("born", paused=True).check()
    cascadelake_420.create_probe("lev1", paused=True).check()
    cascadelake_420.run("xenlevel apply lev1 /root/pool.xlp").check()
    for name, can_run in (("born", False), ("lev1", True)):
        r = cascadelake_420.run(f"cd /root && xenlevel check --json {name} cascadelake_420.xlp sandybridge_420.xlp")
        verdicts = {v["host"]: v["can_run"] for v in json.loads(r.out)["hosts"]}
        assert verdicts == {"cascadelake_420": True, "sandybridge_420": can_run}, r.out
    cascadelake_420.destroy("born")
    cascadelake_420.run("xl unpause lev1").check()
    logs = [cascadelake_420.wait_probe("lev1", 2)]
    for src, dst in ((cascadelake_420, sandybridge_420), (sandybridge_420, cascadelake_420)):
        m = lab.migrate(src, dst, "lev1", env_src=GATED, env_dst=GATED)
        assert m.ok, m.src.err
        assert "passed: 'lev1' (PVH, from Xen 4.20)" in log_of(dst)
        logs.append(dst.wait_probe("lev1", 2))
    assert all(log.healthy and not log.changes for log in logs)
    assert len({tick.cpuid for log in logs for tick in log.ticks}) == 1


@pytest.mark.parametrize("saver,restorer", [("ours", "ours"), ("ours", "stock"), ("stock", "ours")])
def test_our_own_save_and_restore(cascadelake_420, saver, restorer):
    who = {"ours": OWN, "stock": {}}
    cascadelake_420.create_probe("web1", memory=24, dirty=True).check()
    digest = cascadelake_420.wait_probe("web1").ticks[0].cpuid
    cascadelake_420.run("xl save web1 /root/web1.img", env=who[saver]).check()
    assert ("xenlevel: saved " in log_of(cascadelake_420)) == (saver == "ours")
    image = cascadelake_420.get("/root/web1.img")
    assert lapic_length(image) == 32
    r = verify(image)
    assert r.returncode == 0, r.stdout.decode() + r.stderr.decode()
    cascadelake_420.run("xl restore /root/web1.img", env=who[restorer]).check()
    assert ("xenlevel: restored " in log_of(cascadelake_420)) == (restorer == "ours")
    log = cascadelake_420.wait_probe("web1", 2)
    assert log.healthy and log.changes == [] and {t.cpuid for t in log.ticks} == {digest}


def test_our_own_save_and_restore_of_pv(cascadelake_420):
    cascadelake_420.create_pv_linux("pv").check()
    cascadelake_420.wait_pv_tick("pv", 1)
    before = cascadelake_420.pv_ticks("pv")[-1]
    cascadelake_420.run("xl save pv /root/pv.img", env=OWN, timeout=120).check()
    cascadelake_420.run("xl restore /root/pv.img", env=OWN, timeout=120).check()
    assert "xenlevel: saved " in log_of(cascadelake_420) and "xenlevel: restored " in log_of(cascadelake_420)
    cascadelake_420.wait_pv_tick("pv", before + 2)


# ---- between 4.17 and 4.20 ----

@pytest.mark.parametrize("env", [GATED, OWN], ids=["stock", "ours"])
def test_to_the_newer(lab, cascadelake, cascadelake_420, env):
    cascadelake.create_probe("web1").check()
    cascadelake.wait_probe("web1", 2)
    m = lab.migrate(cascadelake, cascadelake_420, "web1", env_src=env, env_dst=env)
    assert m.ok, m.src.err
    assert "passed: 'web1' (PVH, from Xen 4.17)" in log_of(cascadelake_420)
    assert ("xenlevel: restored " in log_of(cascadelake_420)) == (env is OWN)
    assert cascadelake.domains() == {}
    log = cascadelake_420.wait_probe("web1", 3)
    assert log.healthy and [str(c) for c in log.changes] == [XCR0_SIZE]


def test_to_the_older_is_refused_before_memory(lab, cascadelake, cascadelake_420):
    """By the gate, and by `check` before any move. Xen itself says no only when all of the memory has moved."""
    cascadelake_420.create_probe("web1").check()
    m = lab.migrate(cascadelake_420, cascadelake, "web1", env_src=GATED, env_dst=GATED)
    assert m.src.rc != 0 and m.dst.rc != 0
    assert "'web1' (PVH, from Xen 4.20) cannot go on under this host's Xen 4.17" in one_line(m.dst.err)
    assert "write LAPIC entries of 32 bytes, of which Xen takes only 24 here" in log_of(cascadelake)
    assert m.bytes_moved < 2 << 20
    assert_at_home(cascadelake_420, "web1", cascadelake)
    cascadelake.run("xenlevel host --name older -o /root/older.xlp").check()
    cascadelake_420.put("/root/older.xlp", cascadelake.get("/root/older.xlp"), 0o644)
    r = cascadelake_420.run("xenlevel check web1 /root/older.xlp")
    assert r.rc == 1 and "LAPIC entries of 32 bytes" in one_line(r.out + r.err), r.out + r.err


def test_to_the_older_when_allowed(lab, cascadelake, cascadelake_420):
    """It was no idle warning: the stock helper brings all of the memory, and Xen refuses the context."""
    cascadelake_420.create_probe("web1").check()
    m = lab.migrate(cascadelake_420, cascadelake, "web1", env_src=GATED, env_dst={**GATED, "XENLEVEL_ALLOW": "release"})
    assert m.src.rc != 0 and m.dst.rc != 0
    assert "'web1': release: from Xen 4.20 to 4.17" in log_of(cascadelake)
    assert "Unable to restore HVM context" in m.dst.err, m.dst.err
    assert any("type 5 length 24, saw type 5 length 32" in line for line in cascadelake.xen_log())
    assert m.bytes_moved > 8 << 20
    assert_at_home(cascadelake_420, "web1", cascadelake)
