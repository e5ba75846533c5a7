# SPDX-License-Identifier: MIT
"""The whole way: capture two hosts, level them, give a VM the level, move it there and back."""

import json

import pytest
from xenlab.tools import HELPER_ENV


@pytest.fixture
def levelled_pool(cascadelake, sandybridge):
    """/root/pool.xlp on both hosts, made from captures of both."""
    for host in (cascadelake, sandybridge):
        host.run(f"xenlevel host --name {host.name} -o /root/{host.name}.xlp").check()
    cascadelake.put("/root/sandybridge.xlp", sandybridge.get("/root/sandybridge.xlp"), 0o644)
    cascadelake.run("cd /root && xenlevel level cascadelake.xlp sandybridge.xlp -o pool.xlp").check()
    sandybridge.put("/root/pool.xlp", cascadelake.get("/root/pool.xlp"), 0o644)


def levelled_probe(host, name):
    host.create_probe(name, paused=True).check()
    host.run(["xenlevel", "apply", name, "/root/pool.xlp"]).check()
    host.run(["xl", "unpause", name]).check()
    return host.wait_probe(name, 3)


def test_a_levelled_guest_moves_both_ways_and_sees_one_cpu(lab, cascadelake, sandybridge, levelled_pool):
    logs = [levelled_probe(cascadelake, "lev1")]
    for src, dst in ((cascadelake, sandybridge), (sandybridge, cascadelake)):
        moved = lab.migrate(src, dst, "lev1", env_src=HELPER_ENV, env_dst=HELPER_ENV)
        assert moved.ok, moved.src.err
        logs.append(dst.wait_probe("lev1", 3))
    assert len({tick.cpuid for log in logs for tick in log.ticks}) == 1
    assert all(log.healthy and not log.changes for log in logs)
    numbers = [tick.n for log in logs for tick in log.ticks]
    assert numbers == sorted(numbers), "a guest that went back in time"


def test_check_knows_before_the_move(cascadelake, sandybridge, levelled_pool):
    """The answer of `check` is the answer of the gate: no for a guest as it is born, yes for a levelled one."""
    cascadelake.create_probe("born").check()
    levelled_probe(cascadelake, "levelled")
    told = cascadelake.run("cd /root && xenlevel check --json born cascadelake.xlp sandybridge.xlp")
    assert told.rc == 1
    verdicts = {v["host"]: v["can_run"] for v in json.loads(told.out)["hosts"]}
    assert verdicts == {"cascadelake": True, "sandybridge": False}
    assert cascadelake.run("cd /root && xenlevel check levelled cascadelake.xlp sandybridge.xlp").rc == 0


def test_apply_refuses_a_domain_that_has_run(cascadelake, levelled_pool):
    cascadelake.create_probe("old").check()
    r = cascadelake.run("xenlevel apply old /root/pool.xlp")
    assert r.rc == 2
    assert "has run" in r.err
    assert cascadelake.wait_probe("old", 2).healthy


def test_the_lines_of_xlcfg_build_the_same_cpu(lab, cascadelake, sandybridge, levelled_pool):
    lines = cascadelake.run("xenlevel xlcfg /root/pool.xlp").check().out
    cascadelake.create_probe("pasted", extra=lines).check()
    moved = lab.migrate(cascadelake, sandybridge, "pasted", env_src={**HELPER_ENV, "XENLEVEL_STREAM": "xenlevel"},
                        env_dst=HELPER_ENV)
    assert moved.ok, moved.src.err
    assert not sandybridge.wait_probe("pasted", 3).changes


def abi_words(featureset):
    """The 19 words of Xen's ABI; we print more, and each side leaves out zeros at the end."""
    words = featureset.split(":")[:19]
    return words + ["00000000"] * (19 - len(words))


def test_a_capture_is_what_xen_says(cascadelake):
    """Against the hypervisor's own tool: the featuresets of a capture are those of xen-cpuid."""
    shown = json.loads(cascadelake.run("xenlevel host --name x -o /root/x.xlp >/dev/null && xenlevel show --json /root/x.xlp")
                       .check().out)
    xen = {}
    for line in cascadelake.run("xen-cpuid").check().out.split("Dynamic sets:")[1].splitlines():
        name, _, text = line.rpartition(" ")
        if text.count(":") >= 10:
            xen[name.strip()] = text
    for ours, theirs in (("raw", "Raw"), ("host", "Host"), ("pv-default", "PV Default"), ("hvm-default", "HVM Default"),
                         ("pv-max", "PV Max"), ("hvm-max", "HVM Max")):
        assert abi_words(shown["policies"][ours]["featureset"]) == abi_words(xen[theirs]), ours
