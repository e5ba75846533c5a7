# SPDX-License-Identifier: MIT
"""The members of a pool: join, leave, maintenance, status, refresh."""

import shutil
import subprocess

import pytest

from registry import BUILD, XENLEVEL, environment, run

XL_SIM = BUILD / "tools/xl/xl-sim"
COMMANDS = "join", "leave", "maintenance", "status", "refresh", "drift"


def xl(host, *args):
    return run(XL_SIM, "-s", host, *args)


def create(host, name, kind="hvm", **more):
    settings = {"memory": 64, "vcpus": 2, **more}
    return xl(host, "create", "/dev/null", f"name={name}", f"type={kind}", *(f"{k}={v}" for k, v in settings.items()))


def changed(before, after):
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def events(pool):
    return pool.json("history")


@pytest.fixture
def alpha(pool, hosts):
    """The one member of a pool."""
    pool("init", "-n", "web")
    host, = hosts("intel-haswell-ep")
    pool("join", "--name", "alpha", host=host)
    return host


def test_every_command_says_what_it_is():
    listed = run(XENLEVEL, "pool", "--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in listed
        text = run(XENLEVEL, "pool", command, "--help").stdout
        assert text.startswith(f"usage: xenlevel pool {command} [OPTION]...") and "-p, --pool WHERE" in text
    said = run(XENLEVEL, "pool", "joyn", status=2).stderr
    assert said.startswith("xenlevel: there is no command 'pool joyn'\nusage: xenlevel pool COMMAND")
    assert run(XENLEVEL, "pool", status=2).stderr.startswith("usage: xenlevel pool COMMAND")


@pytest.mark.parametrize("args, what", [
    (["join", "x"], "pool join: takes no arguments"),
    (["join", "--host", "a.xlp", "--write-config"], "pool join: --write-config, --images and --root are for this host"),
    (["join", "--name", "a/b"], "pool join: a host's name is not empty and has no '/'"),
    (["leave"], "pool leave: takes one host"),
    (["maintenance", "a", "maybe"], "pool maintenance: takes a host, and on or off"),
    (["refresh", "a"], "pool refresh: takes no arguments"),
    (["status", "a", "b"], "pool status: takes one host"),
    (["drift", "a", "b"], "pool drift: takes one host"),
    (["drift", "a", "--why", "x"], "pool drift: --why goes with --accept"),
])
def test_bad_usage_is_said(args, what):
    assert run(XENLEVEL, "pool", *args, status=2).stderr.startswith(f"xenlevel: {what}")


def test_a_host_joins_once(pool, alpha):
    before = pool.files()
    again = pool("join", "--name", "alpha", host=alpha, status=1)
    assert again.stderr == "xenlevel: alpha is a member already: on it, `xenlevel pool refresh` renews its record\n"
    assert pool.files() == before
    host, = pool.json("status")["hosts"]
    assert (host["name"], host["silent"], host["drift"], host["maintenance"]) == ("alpha", False, None, False)
    assert host["xen_version"] == "4.17-xenlevel" and host["memory"] == 4096 << 20 and host["dom0_type"] == "PV"


def test_hosts_join_out_of_files(pool, captures):
    pool("init")
    for machine in "intel-haswell-ep", "intel-sandybridge-ep":
        said = pool("join", "--host", captures(machine), "--why", "planned for spring").stdout
        assert said.startswith(f"{machine} is a member\n")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "twin")
    status = pool.json("status", status=1)  # they were never seen
    assert [h["name"] for h in status["hosts"]] == ["intel-haswell-ep", "intel-sandybridge-ep", "twin"]
    assert status["kinds_of_hosts"] == 2 and all(h["silent"] for h in status["hosts"])
    assert len([f for f in pool.files() if f.startswith("capture/")]) == 2
    assert events(pool)[-2]["why"] == "planned for spring"
    assert "twin" in pool("status", status=1).stdout and "not yet" in pool("status", status=1).stdout


def test_what_is_no_host_does_not_join(pool, tmp_path, captures):
    pool("init")
    run(XENLEVEL, "level", captures("intel-haswell-ep"), "-o", tmp_path / "level.xlp")
    before = pool.files()
    said = pool("join", "--host", tmp_path / "level.xlp", status=2).stderr
    assert said == f"xenlevel: {tmp_path}/level.xlp is not a host: xenlevel host makes a file of one\n"
    assert pool.files() == before


def test_a_refresh_of_nothing_new_renews_the_time_alone(pool, alpha):
    create(alpha, "web")
    pool("refresh", "--name", "alpha", host=alpha)
    before = pool.files()
    said = pool("refresh", "--name", "alpha", host=alpha, SOURCE_DATE_EPOCH=4_000_000_000).stdout
    assert said == "alpha: nothing has changed\n"
    assert changed(before, pool.files()) in ([], ["seen/alpha.pb"])
    assert "nothing has changed" in said and pool.json("refresh", "--name", "alpha", host=alpha)["changed"] is False


def test_a_refresh_says_which_domains_are_there(pool, alpha):
    create(alpha, "web")
    create(alpha, "db", "pv", memory=32, vcpus=1)
    said = pool("refresh", "--name", "alpha", host=alpha).stdout
    assert said == "alpha: its record is renewed\n  db is here\n  web is here\n"
    assert pool.json("status")["hosts"][0]["domains"] == 2
    assert len([f for f in pool.files() if f.startswith("policy/")]) == 2
    text = pool("status", "alpha").stdout
    assert "\n  db   PV   32 MiB" in text and "\n  web  HVM  64 MiB" in text
    xl(alpha, "pause", "web")
    assert pool("refresh", "--name", "alpha", host=alpha).stdout.endswith("\n  web is paused\n")
    xl(alpha, "destroy", "db")
    assert "\n  db has gone\n" in pool("refresh", "--name", "alpha", host=alpha).stdout
    assert events(pool)[-1]["details"] == ["db has gone"]


def test_equal_guests_have_one_policy(pool, alpha):
    for name in "a", "b", "c":
        create(alpha, name)
    pool("refresh", "--name", "alpha", host=alpha)
    assert len([f for f in pool.files() if f.startswith("policy/")]) == 1


def test_images_of_saved_domains_are_there(pool, alpha, tmp_path):
    folder = tmp_path / "save"
    folder.mkdir()
    create(alpha, "web")
    xl(alpha, "save", "web", folder / "web")
    (folder / "notes").write_text("no image at all, and longer than its first bytes\n")
    image = bytearray((folder / "web").read_bytes())
    (folder / "cut").write_bytes(image[:200])
    said = pool("refresh", "--name", "alpha", "--images", folder, host=alpha).stdout
    assert "image of web is here\n" in said and "notes" not in said
    assert "image of cut is here; its policy is not known\n" in said
    host, = pool.json("status")["hosts"]
    assert (host["domains"], host["images"], host["policies_not_known"]) == (0, 2, 1)
    said = pool("refresh", "--name", "alpha", "--images", tmp_path / "nowhere", host=alpha, status=2)
    assert said.stderr.replace("\n    ", " ") == f"xenlevel: the folder of saved domains, {tmp_path}/nowhere: cannot be read: No such file or directory\n"


def machine_files(root, microcode="0x43", bios="1.2.3"):
    """/proc and /sys of a machine."""
    for name, text in {
            "proc/cpuinfo": f"processor\t: 0\nmodel\t\t: 63\nmicrocode\t: {microcode}\n",
            "proc/sys/kernel/osrelease": "6.1.0-38-amd64\n",
            "sys/class/dmi/id/bios_vendor": "American Megatrends Inc.\n",
            "sys/class/dmi/id/bios_version": f"{bios}\n",
            "sys/class/dmi/id/bios_date": "03/01/2024\n",
            "sys/class/dmi/id/sys_vendor": "Supermicro\n",
            "sys/class/dmi/id/product_name": "SYS-6028R \n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_a_host_says_what_it_is_made_of(pool, alpha, tmp_path):
    machine_files(tmp_path)
    pool("refresh", "--name", "alpha", "--root", tmp_path, host=alpha)
    host, = pool.json("status")["hosts"]
    assert {k: host[k] for k in ("microcode", "kernel", "bios_vendor", "bios_version", "bios_date", "machine")} == {
        "microcode": "0x43", "kernel": "6.1.0-38-amd64", "bios_vendor": "American Megatrends Inc.",
        "bios_version": "1.2.3", "bios_date": "03/01/2024", "machine": "Supermicro SYS-6028R"}
    machine_files(tmp_path, "0x49", "1.3")
    said = pool("refresh", "--name", "alpha", "--root", tmp_path, host=alpha).stdout
    assert "\n  microcode: 0x43 -> 0x49\n  BIOS version: 1.2.3 -> 1.3\n" in said
    assert "microcode" not in pool("refresh", "--name", "alpha", "--root", tmp_path, host=alpha).stdout


def test_a_host_with_domains_does_not_leave(pool, alpha):
    create(alpha, "web")
    pool("refresh", "--name", "alpha", host=alpha)
    before = pool.files()
    said = pool("leave", "alpha", status=1).stderr
    assert said == "xenlevel: alpha has 1 domain and 0 saved images: they are to go first, or --force forgets them\n"
    assert pool.files() == before
    pool("leave", "alpha", "--force", "--why", "burnt down")
    assert pool.json("status")["hosts"] == [] and events(pool)[-1]["why"] == "burnt down"
    assert not [f for f in pool.files() if f.split("/")[0] in ("host", "domains", "seen")]
    assert "there is no host 'alpha'" in pool("leave", "alpha", status=2).stderr


def test_maintenance(pool, alpha):
    assert pool("maintenance", "alpha", "on", "--why", "more memory").stdout == "alpha: maintenance on\n"
    assert pool.json("status")["hosts"][0]["maintenance"] is True
    assert pool("maintenance", "alpha", "on").stdout == "alpha: maintenance on, as before\n"
    assert len(events(pool)) == 3
    pool("refresh", "--name", "alpha", host=alpha)
    assert pool.json("status")["hosts"][0]["maintenance"] is True
    assert pool.json("maintenance", "alpha", "off") == {"host": "alpha", "maintenance": False, "changed": True}


def test_who_is_no_member_does_not_refresh(pool, alpha, hosts):
    other, = hosts("intel-sandybridge-ep")
    before = pool.files()
    said = pool("refresh", host=other, status=2).stderr
    assert said.replace("\n    ", " ").startswith("xenlevel: intel-sandybridge-ep is no member of pool web (folder ")
    assert pool.files() == before


def test_a_host_that_does_not_answer_changes_nothing(pool, alpha, tmp_path):
    before = pool.files()
    for command in "refresh", "drift", "join":
        assert pool(command, host=tmp_path / "none.sock", status=2).stderr
    assert pool.files() == before


@pytest.mark.parametrize("there", ["", "[etcd]\ncacert = /etc/ssl/ca.pem\n", "store = {where}\nhost = beta\n"])
def test_a_host_remembers_its_pool(pool, alpha, hosts, tmp_path, there):
    """What an admin wrote before stays."""
    beta, = hosts("intel-sandybridge-ep")
    conf = tmp_path / "etc/xenlevel/pool.conf"
    there = there.format(where=pool.where)
    if there:
        conf.parent.mkdir(parents=True)
        conf.write_text(there)
    (tmp_path / "etc").mkdir(exist_ok=True)
    said = pool("join", "--name", "beta", "--write-config", "--root", tmp_path, host=beta).stdout
    assert said.endswith(f"written to {conf}\n")
    if there.startswith("store"):
        assert conf.read_text() == there
    else:
        assert conf.read_text() == ("# xenlevel pool join --write-config:\n"
                                    f"store = {pool.where}\nhost = beta\n{there}")
    said = run(XENLEVEL, "pool", "refresh", XENLEVEL_HOST=beta, XENLEVEL_POOL_CONF=conf).stdout
    assert said == "beta: nothing has changed\n"


def test_another_configuration_is_not_overwritten(pool, alpha, hosts, tmp_path):
    beta, = hosts("intel-sandybridge-ep")
    conf = tmp_path / "etc/xenlevel/pool.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("store = /srv/other\n")
    before = pool.files()
    said = pool("join", "--name", "beta", "--write-config", "--root", tmp_path, host=beta, status=2).stderr
    assert said.startswith(f"xenlevel: {conf} says something else")
    assert conf.read_text() == "store = /srv/other\n" and pool.files() == before


@pytest.mark.parametrize("name", ["beta\nstore = elsewhere", "beta ;", "beta ", 300 * "b"], ids=["line", "comment", "blank", "long"])
def test_a_name_that_no_configuration_can_have(pool, alpha, hosts, tmp_path, name):
    beta, = hosts("intel-sandybridge-ep")
    before = pool.files()
    said = pool("join", "--name", name, "--write-config", "--root", tmp_path, host=beta, status=2).stderr
    assert "pool.conf cannot have store = " in " ".join(said.split())
    assert not (tmp_path / "etc/xenlevel/pool.conf").exists() and pool.files() == before


def test_many_join_and_leave_at_once(pool, captures):
    """Nobody is lost, and nobody comes back."""
    pool("init")
    capture = captures("intel-haswell-ep")
    for i in range(4):
        pool("join", "--host", capture, "--name", f"old{i}")

    def begin(*args):
        return subprocess.Popen([*map(str, [XENLEVEL, "pool", *args, "-p", pool.where])], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    running = [begin("join", "--host", capture, "--name", f"new{i}") for i in range(8)]
    running += [begin("leave", f"old{i}") for i in range(4)]
    for process in running:
        text, _ = process.communicate(timeout=300)
        assert not process.returncode, text
    assert [h["name"] for h in pool.json("status", status=1)["hosts"]] == [f"new{i}" for i in range(8)]
    assert sorted(e["what"] for e in events(pool)) == ["init"] + 12 * ["join"] + 4 * ["leave"]


def test_who_leaves_during_a_refresh_is_gone(pool, alpha):
    """Whichever is first: the refresh of a host that has left makes no half of it."""
    command = [*map(str, [XENLEVEL, "pool", "refresh", "-p", pool.where, "--name", "alpha"])]
    for i in range(4):
        create(alpha, f"web{i}")
        refresh = subprocess.Popen(command, env={**environment(), "XENLEVEL_HOST": str(alpha)},
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        pool("leave", "alpha", "--force")
        text, _ = refresh.communicate(timeout=300)
        assert refresh.returncode in (0, 2), text
        there = [f for f in pool.files() if f.split("/")[0] in ("host", "domains", "seen")]
        assert there == [], text
        pool("join", "--name", "alpha", host=alpha)


def test_foreign_names_are_printed_safely(pool, captures):
    pool("init")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "a\x1b[31mb")
    assert "\x1b" not in pool("status", status=1).stdout + pool("history").stdout
    assert pool.json("status", status=1)["hosts"][0]["name"] == "a\x1b[31mb"


def test_a_host_says_whether_its_gate_is_on(pool, alpha, tmp_path):
    helper = tmp_path / "usr/lib/xen-4.17/bin/libxl-save-helper"
    helper.parent.mkdir(parents=True)

    def gate():
        pool("refresh", "--name", "alpha", "--root", tmp_path, host=alpha)
        return pool.json("status")["hosts"][0]["gate"]

    assert gate() is None
    helper.write_text("#!/bin/sh\n")
    assert gate() == "no" and "its gate is off" in pool("status").stdout
    helper.rename(f"{helper}.stock")
    shutil.copy(BUILD / "tests/migration/gate/engine-under-test", helper)
    assert gate() == "yes" and "its gate is off" not in pool("status").stdout
    assert "its gate is on: yes" in pool.json("history")[-1]["details"]


def test_a_machine_under_two_names_is_noticed(pool, hosts):
    host, = hosts("intel-haswell-ep")
    create(host, "web1")
    pool("init")
    pool("join", "--name", "a", host=host)
    assert pool.json("status")["listed_twice"] == [] and "two hosts" not in pool("status").stdout
    pool("join", "--name", "b", host=host)
    twin, = pool.json("status")["listed_twice"]
    assert (twin["name"], twin["hosts"]) == ("web1", ["a", "b"])
    assert "1 domain is listed by two hosts" in pool("status").stdout and "web1 by a and b" in pool("status").stdout
