# SPDX-License-Identifier: MIT
"""A host that is not what it was: drift, what the level makes of it, and who joins a pool that has a level.

A reboot is another simulated host of the same name: with a command line that takes features away, or with another CPU."""

import json
import subprocess

import pytest

from registry import BUILD, XENLEVEL, environment, run

XL_SIM = BUILD / "tools/xl/xl-sim"
HASWELL, SANDY = "intel-haswell-ep", "intel-sandybridge-ep"
LESS = "--", "cpuid=no-avx2,no-fma"


def create(host, name, kind="hvm"):
    run(XL_SIM, "-s", host, "create", "/dev/null", f"name={name}", f"type={kind}", "memory=64")


def refresh(pool, host, *args, **more):
    return pool("refresh", "--name", "alpha", *args, host=host, **more).stdout


def drift(pool, host, *args, **more):
    """The answer of a host about itself."""
    return pool.json("drift", "--name", "alpha", *args, host=host, **more)


def names(features):
    return [f["name"] for f in features]


@pytest.fixture
def haswells(pool, hosts, captures):
    """Two equal hosts with a domain on each; the first one's are asked."""
    pool("init", "-n", "web")
    a, b = hosts(HASWELL, HASWELL)
    create(a, "web")
    create(b, "db")
    pool("join", "--name", "alpha", host=a)
    pool("join", "--name", "beta", host=b)
    return a, b


def test_nothing_has_changed(pool, haswells):
    a, _ = haswells
    answer = drift(pool, a)
    assert (answer["host"], answer["drift"], answer["changed"], answer["changes"]) == ("alpha", False, False, [])
    said = pool("drift", "--name", "alpha", host=a).stdout
    assert said == "alpha: no drift\nThe pool has no level that it could be held against.\n"
    assert pool("drift", "beta").stdout.startswith("beta: no drift\n")


def test_a_reboot_that_takes_features_away(pool, haswells, hosts):
    """Said before the refresh and after it, again and again, until all is back."""
    a, _ = haswells
    less, = hosts(HASWELL, options=LESS)
    answer = drift(pool, less, status=1)
    assert answer["text"] == "lost fma and avx2; 2 guests cannot come any more"
    assert names(answer["hvm"]["lost"]) == names(answer["pv"]["lost"]) == ["fma", "avx2"]
    assert answer["changes"] == [{"what": "command line of Xen", "was": "", "now": "cpuid=no-avx2,no-fma"}]
    assert [(d["name"], d["host"]) for d in answer["stranded"]] == [("web", "alpha"), ("db", "beta")]

    said = refresh(pool, less)
    assert "\ndrift: lost fma and avx2; 1 guest cannot come any more: `xenlevel pool drift` says more\n" in said
    assert "\n  web has gone\n" in said and "\n  web cannot start as it was here any more\n" in said
    event = pool.json("history")[-1]
    assert event["what"] == "drift" and "command line of Xen: none -> cpuid=no-avx2,no-fma" in event["details"]
    for _ in range(2):
        refresh(pool, less)     # what the reboot ended is gone; what the host has lost is not
        status = pool.json("status", status=1)["hosts"][0]
        assert status["drift"].startswith("lost fma and avx2")
        answer = pool.json("drift", "alpha", status=1)
        assert names(answer["hvm"]["lost"]) == ["fma", "avx2"] and answer["changes"]
    assert "drift: lost fma and avx2" in pool("status", status=1).stdout

    assert "\n  it is in order again\n" in refresh(pool, a)
    assert pool.json("status")["hosts"][0]["drift"] is None
    assert pool.json("drift", "alpha")["drift"] is False


def test_drift_is_accepted(pool, haswells, hosts):
    less, = hosts(HASWELL, options=LESS)
    assert pool("drift", "alpha", "--accept").stdout == "alpha: its record says no drift\n"
    refresh(pool, less)
    said = pool("drift", "alpha", "--accept", "--why", "nobody uses AVX2").stdout
    assert said == "alpha: what it is now is in order\n"
    assert pool.json("history")[-1]["why"] == "nobody uses AVX2"
    assert refresh(pool, less) == "alpha: nothing has changed\n"
    assert drift(pool, less)["drift"] is False
    assert pool.json("drift", "alpha", "--accept") == {"host": "alpha", "accepted": False}
    assert "there is no host 'gamma'" in pool("drift", "gamma", "--accept", status=2).stderr


def test_what_changed_with_it(pool, haswells, hosts, tmp_path):
    a, _ = haswells
    less, = hosts(HASWELL, options=LESS)
    (tmp_path / "proc").mkdir()
    info = tmp_path / "proc/cpuinfo"
    info.write_text("microcode\t: 0x43\n")
    refresh(pool, a, "--root", tmp_path)
    info.write_text("microcode\t: 0x49\n")
    answer = drift(pool, less, "--root", tmp_path, status=1)
    assert {"what": "microcode", "was": "0x43", "now": "0x49"} in answer["changes"]
    refresh(pool, less, "--root", tmp_path)
    said = pool("drift", "alpha", status=1).stdout
    assert "\n  microcode            0x43 -> 0x49\n" in said and "no-avx2" in said


def test_a_level_that_is_not_honoured_any_more(pool, haswells, hosts):
    a, _ = haswells
    pool("level", "web", "--compute")
    assert drift(pool, a)["level"]["honoured"] is True
    assert "The level web.v1 is honoured: " in pool("drift", "--name", "alpha", host=a).stdout
    less, = hosts(HASWELL, options=LESS)
    answer = drift(pool, less, status=1)
    assert (answer["level"]["honoured_then"], answer["level"]["honoured"]) == (True, False)
    assert "web.v1 is not honoured any more" in answer["text"] and "avx2" in answer["level"]["text"]
    refresh(pool, less)
    assert pool.json("status", status=1)["hosts"][0]["honours_level"] == "no"
    assert "The level web.v1 is not honoured any more: " in pool("drift", "alpha", status=1).stdout


def test_features_that_the_level_leaves_out_may_go(pool, hosts):
    """No domain needs them, and no guest of the level ever will."""
    pool("init")
    a, = hosts(HASWELL)
    pool("join", "--name", "alpha", host=a)
    pool("level", "web", "--compute", "--without", "avx2,fma")
    less, = hosts(HASWELL, options=LESS)
    answer = drift(pool, less)
    assert answer["drift"] is False and names(answer["hvm"]["lost"]) == ["fma", "avx2"]
    said = refresh(pool, less)
    assert "drift:" not in said and "its CPU is another: lost fma and avx2\n" in said
    assert pool.json("status")["hosts"][0]["drift"] is None


def test_features_that_come(pool, hosts):
    """A host that can do more has not drifted."""
    pool("init")
    less, more = hosts(HASWELL, options=LESS)[0], hosts(HASWELL)[0]
    pool("join", "--name", "alpha", host=less)
    answer = drift(pool, more)
    assert answer["drift"] is False and names(answer["hvm"]["gained"]) == ["fma", "avx2"]
    assert "\nGuests can have now: fma and avx2\n" in pool("drift", "--name", "alpha", host=more).stdout


def test_a_host_out_of_a_file(pool, haswells, captures, tmp_path):
    """What would be if it had another CPU: nothing is changed."""
    before = pool.files()
    answer = pool.json("drift", "alpha", "--host", captures(SANDY), status=1)
    assert {"fma", "avx2", "movbe"} <= set(names(answer["hvm"]["lost"])) and len(answer["stranded"]) == 2
    assert pool.json("drift", "alpha", "--host", captures(HASWELL))["drift"] is False
    assert pool.files() == before
    assert "there is no host 'gamma' in pool web" in pool("drift", "gamma", "--host", captures(SANDY), status=2).stderr


def test_an_image_that_cannot_be_restored_any_more(pool, haswells, hosts, tmp_path):
    a, _ = haswells
    folder = tmp_path / "var/lib/xen/save"
    folder.mkdir(parents=True)
    run(XL_SIM, "-s", a, "save", "web", folder / "web")
    refresh(pool, a, "--root", tmp_path)
    less, = hosts(HASWELL, options=LESS)
    image, = [d for d in drift(pool, less, "--root", tmp_path, status=1)["stranded"] if d["image"]]
    assert (image["name"], image["host"]) == ("web", "alpha") and image["image"] == "/var/lib/xen/save/web"


# ---- what the host keeps of it ----

def test_the_host_knows_it(pool, haswells, hosts, tmp_path):
    """In a file for the gate, and in `xenlevel status`."""
    a, _ = haswells
    mark = tmp_path / "var/lib/xenlevel/drift.txt"

    def pool_line(host):
        told = run(XENLEVEL, "status", "--no-trial", "--json", "--root", tmp_path, status=None, XENLEVEL_HOST=host)
        line, = [c for c in json.loads(told.stdout)["checks"] if c["check"] == "pool"] or [None]
        return line and (line["answer"], line["text"])

    assert pool_line(a) is None
    (tmp_path / "etc/xenlevel").mkdir(parents=True)
    (tmp_path / "etc/xenlevel/pool.conf").write_text("")
    assert pool_line(a) == ("unknown", "it has not refreshed its record yet")
    refresh(pool, a, "--root", tmp_path)
    lines = mark.read_text().splitlines()
    assert lines[:3] == ["pool: web", f"registry: folder {pool.where}", "host: alpha"] and lines[4:] == ["drift: none"]
    answer, text = pool_line(a)
    assert answer == "yes" and text.startswith("alpha in pool web (folder ") and text.endswith(", no drift")
    less, = hosts(HASWELL, options=LESS)
    refresh(pool, less, "--root", tmp_path)
    assert mark.read_text().splitlines()[4] == "drift: lost fma and avx2; 1 guest cannot come any more"
    assert pool_line(less) == ("no", "alpha in pool web: drift: lost fma and avx2; 1 guest cannot come any more: "
                                     "xenlevel pool drift")
    refresh(pool, a, "--root", tmp_path, SOURCE_DATE_EPOCH=1_700_000_000)
    answer, text = pool_line(a)
    assert answer == "no" and "is xenlevel-pool-refresh.timer on?" in text
    mark.write_text("pool: web\n")
    assert pool_line(a) == ("unknown", "/var/lib/xenlevel/drift.txt cannot be read: Invalid argument")


def test_a_failed_refresh_leaves_what_the_host_knew(pool, haswells, tmp_path):
    a, _ = haswells
    refresh(pool, a, "--root", tmp_path)
    mark = tmp_path / "var/lib/xenlevel/drift.txt"
    before = mark.read_text()
    assert run(XENLEVEL, "pool", "refresh", "-p", tmp_path / "none", "--name", "alpha", "--root", tmp_path,
               XENLEVEL_HOST=a, status=2).stderr
    pool("leave", "alpha", "--force")
    assert "alpha is no member" in pool("refresh", "--name", "alpha", "--root", tmp_path, host=a, status=2).stderr
    assert mark.read_text() == before


# ---- who joins a pool that has a level ----

@pytest.fixture
def levelled(pool, haswells):
    pool("level", "web", "--compute")
    return haswells


def test_a_host_that_can_give_the_level_joins(pool, levelled, captures):
    said = pool("join", "--host", captures("intel-broadwell-e"), "--name", "gamma").stdout
    assert said.startswith("gamma is a member: ") and "web.v1" in said


def test_a_host_that_cannot_give_the_level_is_refused_by_name(pool, levelled, captures):
    before = pool.files()
    said = pool("join", "--host", captures(SANDY), "--name", "old", status=1).stderr
    assert said.startswith("xenlevel: old was not admitted: ") and "web.v1" in said and "--lower" in said
    answer = pool.json("join", "--host", captures(SANDY), "--name", "old", status=1)
    assert answer["joined"] is False and answer["level"] == "web.v1" and "fma" in answer["text"]
    assert pool.files() == before


def test_lowering_lets_it_in(pool, levelled, captures):
    answer = pool.json("join", "--host", captures(SANDY), "--name", "old", "--lower", "--why", "spare machine")
    assert (answer["joined"], answer["level"]) == (True, "web.v2")
    assert answer["too_rich"] == ["web on alpha", "db on beta"]
    status = pool.json("status", status=1)      # it was never seen
    assert status["level"] == "web.v2"
    assert [h["honours_level"] for h in status["hosts"]] == ["yes", "yes", "yes"]
    event = pool.json("history")[-1]
    assert (event["what"], event["subject"], event["why"]) == ("join", "old", "spare machine")
    assert "web.v2 takes the place of web.v1" in event["details"]
    assert [f for f in sorted(pool.files()) if f.startswith("level/")] == ["level/web.v1.xlp", "level/web.v2.xlp"]


def test_no_level_could_do_for_another_vendor(pool, levelled, captures):
    before = pool.files()
    said = pool("join", "--host", captures("amd-bergamo"), "--name", "other", "--lower", status=1).stderr
    assert said.startswith("xenlevel: other was not admitted: no level could do for it as well: ")
    assert pool.files() == before


def test_two_lower_at_once(pool, levelled, captures):
    """Both are in, and the level does for both."""

    running = [subprocess.Popen([*map(str, [XENLEVEL, "pool", "join", "-p", pool.where, "--lower", "--host", captures(machine)])],
                                env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for machine in (SANDY, "intel-ivybridge-ep", "intel-nehalem-ep")]
    for process in running:
        text, _ = process.communicate(timeout=300)
        assert not process.returncode, text
    status = pool.json("status", status=1)
    assert [h["honours_level"] for h in status["hosts"]] == 5 * ["yes"]


def test_what_is_born_on_the_level_is_known(pool, hosts, tmp_path):
    """By the command line, which takes the same features from the defaults of every domain."""
    pool("init")
    a, = hosts(HASWELL, options=LESS)
    pool("join", "--name", "alpha", host=a)
    pool("level", "web", "--compute")
    create(a, "new")
    refresh(pool, a)
    host, = pool.json("status")["hosts"]
    assert (host["born"], host["born_level"]) == ("command line", "web.v1")
    assert "  on web.v1\n" in pool("status", "alpha").stdout


# ---- a registry that somebody has damaged ----

BEFORE = b"\xb2\x01"    # field 22, bytes


@pytest.mark.parametrize("before, said", [
    (b"\xff\xff", "the record of host 'alpha': what it was before cannot be read"),
    (b"\x12\x40" + 64 * b"a", f"the record of a host names capture/{64 * 'a'} "),
    (b"\x12\x06../../", "the record of a host names capture/%2E.%2F..%2F ")],
    ids=["rubbish", "gone", "elsewhere"])
def test_what_it_was_cannot_be_read(pool, haswells, before, said):
    """One clear line, and nothing is changed."""
    a, _ = haswells
    file = pool.where / "host/alpha.pb"
    file.write_bytes(file.read_bytes() + BEFORE + bytes([len(before)]) + before)
    there = pool.files()
    for command in (["drift", "--name", "alpha"], ["refresh", "--name", "alpha"]):
        text = pool(*command, host=a, status=2).stderr.replace("\n    ", " ")
        assert said in text and text.count("xenlevel: ") == 1
    assert pool.files() == there
    assert pool("status").stdout
