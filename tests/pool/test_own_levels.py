# SPDX-License-Identifier: MIT
"""A pool's own levels, and the command line by which domains are born on them."""

import json
import re

import pytest

from registry import BUILD, XENLEVEL, SimulatedHost, run

XL_SIM = BUILD / "tools/xl/xl-sim"


def names(features):
    return {f["name"] for f in features}


def create(host, name, **settings):
    run(XL_SIM, "-s", host, "create", "/dev/null", f"name={name}", "type=hvm", "memory=64", "vcpus=1",
        *(f"{k}={v}" for k, v in settings.items()))


@pytest.fixture
def two(pool, captures):
    """A pool of a Haswell, a Broadwell and another Haswell."""
    pool("init", "-n", "web")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "has")
    pool("join", "--host", captures("intel-broadwell-e"), "--name", "bro")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "has2")
    return pool


def test_a_level_is_made_shown_and_never_changed(two):
    assert "has no level yet" in two("level").stdout
    said = two("level", "db", "--compute", "--why", "at last").stdout
    assert said == "db.v1 is the pool's level now\n"
    before = two.files()
    shown = two.json("level")
    assert shown["level"] == "db.v1" and len(shown["levels"]) == 1
    level = shown["levels"][0]
    assert (level["hosts"], level["can_give"], level["cannot_give"], level["pools"]) == (3, 3, 0, True)
    assert "avx2" in names(level["hvm"]) and "rdseed" not in names(level["hvm"])
    assert two("level", "--compute").stdout == "nothing to change: db.v1 is that already\n"
    assert two.files() == before
    said = two("level", "--compute", "--without", "fma,bmi*").stdout
    assert said.startswith("db.v2 is the pool's level now, in the place of db.v1\n") and "lose fma, bmi1 and bmi2" in said
    assert two.files()["level/db.v1.xlp"] == before["level/db.v1.xlp"]
    event = two.json("history")[-1]
    assert (event["what"], event["subject"]) == ("level", "db.v2")
    assert event["details"][0] == "db.v2 takes the place of db.v1" and "HVM and PVH guests lose fma, bmi1 and bmi2" in event["details"]
    assert two.json("history")[-2]["why"] == "at last"
    # Another name begins at 1, also of the same CPU; an older one is taken again.
    assert two("level", "test", "--compute", "--without", "fma,bmi*").stdout.startswith("test.v1 is the pool's level now")
    assert two("level", "db.v2", "--use").stdout.startswith("db.v2 is the pool's level now")
    assert two("level", "web", "--compute").stdout.startswith("web.v1 is the pool's level now, in the place of db.v2\n")
    assert two("level", "db.v2", "--use").stdout.startswith("db.v2 is the pool's level now, in the place of web.v1\n")
    assert "db.v1, of " in two("level").stdout and "web.v1, of " in two("level").stdout


def test_a_named_level_and_a_file(two, captures, tmp_path):
    said = two("level", "--from", "intel-haswell", status=1).stderr
    assert "hosts of the pool cannot give it:\n  has and 1 like it: it lacks aesni for HVM and PVH guests; it lacks aesni for PV guests\n" in said
    assert not two.json("level")["levels"]
    assert two("level", "--from", "x86-64-v2").stdout == "web.v1 is the pool's level now\n"
    assert "avx" not in names(two.json("level")["levels"][0]["hvm"])
    run(XENLEVEL, "level", captures("intel-broadwell-e"), "-o", tmp_path / "b.xlp")
    said = two("level", "--from", tmp_path / "b.xlp", status=1).stderr
    assert "has and 1 like it: it lacks aesni, " in said and "(b, HVM and PVH guests)" in said
    run(XENLEVEL, "level", captures("intel-ivybridge-ep"), captures("intel-haswell-ep"), "-o", tmp_path / "i.xlp")
    assert two("level", "ivy", "--from", tmp_path / "i.xlp").stdout.startswith("ivy.v1 is the pool's level now")
    mine = run(XENLEVEL, "level", "--at", "x86-64-v2", "--without", "popcnt", "--text").stdout
    (tmp_path / "mine.level").write_text(mine)
    two("level", "--from", tmp_path / "mine.level")
    assert "popcnt" not in names(two.json("level", "ivy.v2")["levels"][0]["hvm"])


def test_a_level_is_written_for_the_other_commands(two, captures, tmp_path):
    two("level", "--compute", "--without", "fma")
    assert two("level", "-o", tmp_path / "web.xlp").stdout == f"web.v1 is written to {tmp_path}/web.xlp\n"
    assert run(XENLEVEL, "check", "-t", "hvm", tmp_path / "web.xlp", captures("intel-haswell-ep")).stdout.startswith("'web.v1' (HVM/PVH) can run")
    line = run(XENLEVEL, "xlcfg", "--form", "names", tmp_path / "web.xlp").stdout
    assert "fma=0" in line and "rdseed=0" in line
    assert "the pool has no level x.v1" in two("level", "x.v1", "-o", tmp_path / "x.xlp", status=2).stderr
    assert not (tmp_path / "x.xlp").exists()


@pytest.mark.parametrize("args, message", [
    (("--compute", "-o", "x"), "--output goes with a NAME.vN and --json alone"),
    (("--from", "a", "--compute"), "--from or --compute, not both"),
    (("--without", "rtm"), "--without goes with --from or --compute"),
    (("--use",), "--use goes with a NAME.vN alone"),
    (("x", "--suggest"), "--suggest goes with --json alone"),
    (("a", "b"), "one name at most"),
    (("web.v1", "--compute"), "the registry numbers the versions: NAME without .vN"),
    (("web.v9",), "the pool has no level web.v9: --from or --compute makes one"),
    (("web.v9", "--use"), "the pool has no level web.v9: `xenlevel pool level` names them"),
    (("--from", "amd-milano"), "there is no level amd-milano: perhaps amd-milan.v1;"),
    (("--compute", "--without", "nosuch"), "--without: 'nosuch' is the name of no feature"),
])
def test_what_is_wrong_is_said_and_changes_nothing(two, args, message):
    before = two.files()
    assert message in two("level", *args, status=2).stderr
    assert two.files() == before


def test_a_pool_without_hosts_has_nothing_to_share(pool, captures, tmp_path):
    pool("init")
    assert "the pool has no hosts" in pool("level", "--compute", status=1).stderr
    assert "has no hosts" in pool("level", "--suggest", status=2).stderr
    run(XENLEVEL, "level", captures("intel-haswell-ep"), "-o", tmp_path / "h.xlp")
    pool("level", "web", "--from", tmp_path / "h.xlp")
    said = pool("join", "--host", captures("intel-ivybridge-ep"), status=1)
    assert "avx2" in said.stdout + said.stderr or "fma" in said.stdout + said.stderr


def test_hosts_of_two_vendors_share_no_level(pool, captures):
    pool("init")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "a")
    pool("join", "--host", captures("amd-bergamo"), "--name", "b")
    assert "differ in vendor" in pool("level", "--compute", status=1).stderr
    assert "share no level" in pool("level", "--suggest", status=1).stderr
    said = pool.json("level", "--suggest", status=1)
    assert said["share_no_level"] == ["a", "b"] and "differ in vendor" in said["why"] and said["level"] is None


def test_domains_below_and_above_are_named(pool, hosts, tmp_path):
    """A power cycle brings a domain up to a raised level; one that has more cannot go everywhere."""
    pool("init", "-n", "web")
    bro, has = hosts("intel-broadwell-e", "intel-haswell-ep")
    pool("join", "--name", "bro", host=bro)
    pool("join", "--name", "has", host=has)
    run(XENLEVEL, "level", "-", "--without", "avx", "-o", tmp_path / "low.xlp", XENLEVEL_HOST=has)
    create(bro, "rich")
    create(has, "even")
    create(has, "poor", cpu_policy=tmp_path / "low.xlp")
    pool("refresh", "--name", "bro", host=bro)
    pool("refresh", "--name", "has", host=has)
    text = pool("level", "--suggest").stdout
    assert "1 domain needs a power cycle to have all of it: poor on has\n" in text
    said = pool("level", "--compute").stdout
    assert "1 domain has more than it and cannot go everywhere: rich on bro\n" in said
    assert "1 domain needs a power cycle to have all of it: poor on has\n" in said
    shown = pool.json("level")["levels"][0]
    assert shown["above"] == ["rich on bro"] and shown["power_cycle"] == ["poor on has"]
    gain = {c["host"]: c for c in pool.json("level", "--suggest")["retiring"]}
    assert "rdseed" in names(gain["has"]["hvm"]) and not gain["bro"]["hvm"]
    pool("level", "--compute", "--without", "avx")
    shown = pool.json("level", "web.v2")["levels"][0]
    assert shown["above"] == ["rich on bro", "even on has"] and shown["power_cycle"] == []


def test_what_raising_would_gain_is_said_before_it_is_done(two):
    two("level", "--from", "x86-64-v2")
    suggested = two.json("level", "--suggest")
    assert suggested["newest"] == "intel-nehalem.v1"
    to = {r["to"]: r for r in suggested["raise"]}
    assert "avx2" in names(to[None]["hvm"]["gained"]) and not to[None]["hvm"]["lost"]
    text = two("level", "--suggest").stdout
    assert text.startswith("3 hosts, 2 kinds of CPU; the pool's level: web.v1\n")
    assert re.search(r"^  has and 1 like it +aesni", text, re.M) and "bro: " not in text
    said = two.json("level", "--compute")
    assert names(said["hvm"]["gained"]) == names(to[None]["hvm"]["gained"])


def test_domains_are_born_on_the_level_by_the_command_line(pool, hosts, tmp_path):
    """The line is printed; a host that was booted with it is as it was said."""
    pool("init", "-n", "web")
    cas, ice = hosts("intel-cascadelake-sp", "intel-icelake-sp")
    pool("join", "--name", "cas", host=cas)
    pool("join", "--name", "ice", host=ice)
    create(ice, "rich")
    pool("refresh", "--name", "ice", host=ice)
    assert "the pool has no level yet" in pool("cmdline", status=2).stderr
    pool("level", "--compute")
    told = pool.json("cmdline", "ice", status=1)["hosts"][0]
    assert told["line"].startswith("cpuid=no-") and "no-avx512-vbmi" in told["line"] and told["kept_out"] == ["rich on ice"]
    # Xen gives RTM_ALWAYS_ABORT, which the level has, only where there is RTM; and it protects itself by taa-no.
    assert "rtm" not in told["line"] and names(told["kept_for_level"]) == {"rtm"}
    assert "taa-no" in names(told["kept_for_xen"])
    cas_told = pool.json("cmdline", "cas")["hosts"][0]
    assert cas_told["line"] == "" and cas_told["exactly"] is True
    text = pool("cmdline", status=1).stdout
    assert f"\n  {told['line']}\n" in text and "1 domain has more and could not come in any more: rich on ice" in text
    ice.stop()
    narrowed = SimulatedHost(tmp_path / "narrowed", "intel-icelake-sp", "--", told["line"])
    try:
        pool("refresh", "--name", "ice", host=narrowed)
        level = pool.json("level")["levels"][0]
        assert level["can_give"] == 2, pool("level").stdout
        again = pool.json("cmdline", "ice", status=1)["hosts"][0]
        assert again["line"] == told["line"] and again["in_place_of_cpuid"] is True and again["born"] == told["born"]
        create(narrowed, "new")
        run(XENLEVEL, "show", "new", "-o", tmp_path / "new.xlp", XENLEVEL_HOST=narrowed)
        new = json.loads(run(XENLEVEL, "show", tmp_path / "new.xlp", "--json").stdout)
        assert "avx512-vbmi" not in json.dumps(new) and "avx512f" in json.dumps(new)
    finally:
        narrowed.stop()


def test_cmdline_of_hosts_and_levels_that_there_are(two):
    two("level", "--compute")
    assert "there is no host 'x'" in two("cmdline", "x", status=2).stderr
    assert "the pool has no level web.v7" in two("cmdline", "--level", "web.v7", status=2).stderr
    assert [h["host"] for h in two.json("cmdline", status=None)["hosts"]] == ["bro", "has", "has2"]
