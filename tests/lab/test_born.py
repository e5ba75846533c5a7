# SPDX-License-Identifier: MIT
"""Domains that are born on a level: the live patch narrows the default policies of a stock Xen, and stock `xl create` does the rest."""

import json
import struct
import subprocess

import pytest
from xenlab.tools import HELPER_ENV, PAYLOAD, load_livepatch

POOL = "/root/pool.xlp"
# A rich host, a poor one, and another rich one from which older guests come.
PAIRS = {"4.17": ("cascadelake", "sandybridge", "cascadelake_twin"),
         "4.20": ("cascadelake_420", "sandybridge_420", "cascadelake")}
ON_BOTH = pytest.mark.parametrize("xen", PAIRS)
ENTRY = struct.Struct("<10I")       # born.h: leaf, subleaf, four registers from, four to
HEAD = struct.Struct("<4I")         # magic, size, how many of PV, of HVM
BORN_MAX = 48


@pytest.fixture
def hosts(request):
    """A function of a release: its rich, its poor host, and another rich one; the first two have the level of both as POOL, and
    at the end no live patch."""
    used = []

    def get(xen):
        rich, poor, other = (request.getfixturevalue(name) for name in PAIRS[xen])
        used.extend((rich, poor))
        for host in (rich, poor):
            host.run(f"xenlevel host --name {host.name} -o /root/{host.name}.xlp").check()
        rich.put("/root/poor.xlp", poor.get(f"/root/{poor.name}.xlp"), 0o644)
        rich.run(f"cd /root && xenlevel level {rich.name}.xlp poor.xlp -o {POOL}").check()
        poor.put(POOL, rich.get(POOL), 0o644)
        return rich, poor, other
    yield get
    for host in used:
        if host.alive():
            host.run("xenlevel livepatch unload; rm -rf /var/lib/xenlevel")


def captured(host):
    """What a capture of the host says, but for its date."""
    host.run("SOURCE_DATE_EPOCH=1 xenlevel host --name x -o /root/now.xlp").check()
    return host.get("/root/now.xlp")


def features(host, what, *options):
    shown = json.loads(host.run(["xenlevel", "show", "--json", what, *options]).check().out)
    policy = shown["policy"] if "policy" in shown else shown["level"]["hvm"]
    return {f["name"] for f in policy["features"]}


# ---- born on it ----

@ON_BOTH
def test_stock_xl_builds_on_the_level_and_the_vm_moves_both_ways(lab, hosts, payloads, xen):
    rich, poor, _ = hosts(xen)
    load_livepatch(rich, payloads(xen), "--level", POOL)
    assert rich.run("xenlevel livepatch status").check().out.endswith("new domains are born on the level of 'pool'\n")
    rich.create_probe("born", paused=True).check()
    assert rich.run(f"xenlevel apply --dry-run born {POOL}").check().out == "'born' is at the level of 'pool' already\n"
    assert "bmi1" not in features(rich, "born")
    rich.run("xl unpause born").check()
    logs = [rich.wait_probe("born", 3)]
    for src, dst in ((rich, poor), (poor, rich)):
        moved = lab.migrate(src, dst, "born", env_src=HELPER_ENV, env_dst=HELPER_ENV)
        assert moved.ok, moved.src.err
        logs.append(dst.wait_probe("born", 3))
    assert len({tick.cpuid for log in logs for tick in log.ticks}) == 1
    assert all(log.healthy and not log.changes for log in logs)


@ON_BOTH
def test_an_older_richer_vm_still_comes_in(lab, hosts, payloads, xen):
    """The maximum is as it was: a guest from a host without the patch keeps its CPU, past the audit and the gate."""
    rich, _, other = hosts(xen)
    other.create_probe("old").check()
    before = other.wait_probe("old", 2)
    load_livepatch(rich, payloads(xen), "--level", POOL)
    moved = lab.migrate(other, rich, "old", env_src=HELPER_ENV, env_dst=HELPER_ENV)
    assert moved.ok, moved.src.err
    log = rich.wait_probe("old", 3)
    assert log.healthy
    if xen == other.packages.release.xen:
        assert not log.changes and {t.cpuid for t in log.ticks} == {t.cpuid for t in before.ticks}
    else:       # D.0.EBX, the size for the XCR0 of the moment, is the only thing that a newer Xen reads otherwise
        assert {(c.leaf, c.subleaf, c.reg) for c in log.changes} <= {(0xd, 0, "ebx")}
    assert "bmi1" in features(rich, "old")


@ON_BOTH
def test_after_unloading_new_vms_are_rich_again(hosts, payloads, xen):
    """And a capture says the same before, meanwhile and afterwards: the host can give what it can give."""
    rich, _, _ = hosts(xen)
    before = captured(rich)
    load_livepatch(rich, payloads(xen), "--level", POOL)
    assert captured(rich) == before
    rich.create_probe("narrow").check()
    rich.run("rm /run/xenlevel/born").check()       # without it nobody knows what the host can give
    assert captured(rich) != before
    assert "/run/xenlevel/born is gone" in rich.run("xenlevel livepatch status").check().out
    rich.run("xenlevel livepatch unload").check()
    assert captured(rich) == before
    rich.run("[ ! -e /run/xenlevel/born ]").check()
    rich.create_probe("wide").check()
    assert {"bmi1", "movbe"} <= features(rich, "wide") - features(rich, "narrow")
    log = rich.wait_probe("narrow", 2)      # which keeps what it was born with
    assert log.healthy and not log.changes


@ON_BOTH
def test_pv_guests_are_born_on_it_too(lab, hosts, payloads, xen):
    rich, poor, _ = hosts(xen)
    load_livepatch(rich, payloads(xen), "--level", POOL)
    rich.create_pv_linux("pv", paused=True).check()
    assert "'pv' is at the level of 'pool' already\n" in rich.run(f"xenlevel apply --dry-run pv {POOL}").check().out
    rich.run("xl unpause pv").check()
    rich.wait_pv_tick("pv", 1)
    assert rich.run("cd /root && xenlevel check pv poor.xlp").check().rc == 0
    if xen == "4.17":       # an image is as good as a migration, and half the time
        rich.save("pv", env=HELPER_ENV).check()
        ticks = rich.pv_ticks("pv")[-1]
        poor.forget_console("pv")
        poor.put("/root/pv.save", rich.get("/root/guests/pv.save"), 0o600)
        poor.restore("/root/pv.save", env=HELPER_ENV).check()
        poor.wait_pv_tick("pv", ticks)


# ---- the commands ----

def test_a_level_that_the_host_cannot_give_is_refused_by_name(hosts, payloads):
    rich, poor, _ = hosts("4.17")
    rich.run("cd /root && xenlevel level cascadelake.xlp -o rich.xlp").check()
    poor.put("/root/rich.xlp", rich.get("/root/rich.xlp"), 0o644)
    poor.put(PAYLOAD, payloads("4.17"), 0o644)
    r = poor.run(f"xenlevel livepatch load {PAYLOAD} --level /root/rich.xlp")
    assert r.rc == 1 and "cannot have the level of 'rich'" in r.err and "bmi1" in r.err and "movbe" in r.err
    assert poor.run("xenlevel livepatch status").rc == 1
    poor.run("[ ! -e /run/xenlevel/born ]").check()
    # What is in already stays in.
    load_livepatch(poor, payloads("4.17"), "--level", POOL)
    assert poor.run(f"xenlevel livepatch load {PAYLOAD} --level /root/rich.xlp").rc == 1
    assert "level of 'pool'" in poor.run("xenlevel livepatch status").check().out


def test_another_level_takes_the_place_of_the_first(hosts, payloads):
    rich, _, _ = hosts("4.17")
    before = captured(rich)
    rich.run("cd /root && xenlevel level cascadelake.xlp -o rich.xlp").check()
    load_livepatch(rich, payloads("4.17"), "--level", POOL)
    r = rich.run(f"xenlevel livepatch load {PAYLOAD} --level {POOL}")
    assert r.rc == 1 and "already, and new domains are born on the level of 'pool'" in r.err
    rich.run(f"xenlevel livepatch load {PAYLOAD} --level /root/rich.xlp").check()
    assert "level of 'rich'" in rich.run("xenlevel livepatch status").check().out
    assert captured(rich) == before
    rich.create_probe("richer").check()
    assert "bmi1" in features(rich, "richer")
    rich.run("xenlevel livepatch unload").check()
    assert captured(rich) == before


def test_at_boot_the_level_that_is_kept(hosts, payloads):
    """As the service does it.  A level that the host cannot give any more does not keep the audit out, and is said."""
    rich, poor, _ = hosts("4.17")
    payload = payloads("4.17")
    for host in (rich, poor):
        identity = json.loads(host.run("xenlevel livepatch status --json").out)["build_id"]
        host.put(f"/var/lib/xenlevel/livepatch/{identity}.livepatch", payload, 0o644)
    rich.run(f"xenlevel livepatch load --level {POOL} --keep && xenlevel livepatch unload").check()
    rich.run("cmp /var/lib/xenlevel/level.xlp " + POOL).check()
    assert "on the level of 'pool'" in rich.run("xenlevel livepatch load").check().out
    rich.run("cd /root && xenlevel level cascadelake.xlp -o rich.xlp").check()
    poor.put("/var/lib/xenlevel/level.xlp", rich.get("/root/rich.xlp"), 0o644)
    r = poor.run("xenlevel livepatch load")
    assert r.rc == 2 and "bmi1" in r.err and "born as before, not on the level of 'rich'" in r.err
    assert poor.run("xenlevel livepatch status").check().out.endswith("the audit is applied\n")


# ---- what the hypervisor itself does not believe ----

def section_offset(payload, name):
    """Where a section of the payload is in its file, as binutils say."""
    text = subprocess.run(["readelf", "-SW", payload], capture_output=True, text=True, check=True).stdout
    fields = next(line.split("]")[1].split() for line in text.splitlines() if f" {name} " in line)
    return int(fields[3], 16)


@ON_BOTH
def test_a_table_that_is_wrong_is_not_applied(hosts, payloads, xen, tmp_path):
    """Whoever writes the section: the payload's self-test compares with what is there, and asks whether such a domain can be."""
    rich, _, _ = hosts(xen)
    load_livepatch(rich, payloads(xen), "--level", POOL)
    table = bytearray(rich.get("/run/xenlevel/born"))
    before = captured(rich)
    rich.run("xenlevel livepatch unload").check()
    _, size, n_pv, n_hvm = HEAD.unpack_from(table)
    assert size == len(table) and n_pv and n_hvm

    def entry_at(leaf, subleaf):
        for i in range(n_hvm):
            at = HEAD.size + (BORN_MAX + i) * ENTRY.size
            if struct.unpack_from("<2I", table, at) == (leaf, subleaf):
                return at
        raise AssertionError(f"leaf {leaf:x} is not in the table")

    at = entry_at(7, 0)
    other_host = (at + 12, "not those that the level was worked out for")     # its EBX as it was
    impossible = (at + 28, "no domain can be born with that here")            # its EBX as it is to be
    elsewhere = (at, "the level's table is not this payload's")               # the leaf itself
    for place, said in (other_host, impossible, elsewhere):
        wrong = bytearray(table)
        wrong[place:place + 4] = b"\xff\xff\xff\xff" if place != at else struct.pack("<I", 0x4)
        image = bytearray(payloads(xen).read_bytes())
        offset = section_offset(payloads(xen), ".xenlevel.born")
        image[offset:offset + size] = wrong
        rich.put("/root/wrong.livepatch", bytes(image), 0o644)
        r = rich.run("xenlevel livepatch load /root/wrong.livepatch")
        assert r.rc == 2, r.out
        assert said in [line for line in rich.xen_log() if "xenlevel: not applied" in line][-1]
        assert rich.run("xenlevel livepatch status").rc == 1
        assert captured(rich) == before
