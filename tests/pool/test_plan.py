# SPDX-License-Identifier: MIT
"""xenlevel pool matrix, evacuate and rolling: questions about all guests and all hosts, as a user asks them."""

import os
import stat
import subprocess

import pytest

from registry import BUILD, environment, run

XL_SIM = BUILD / "tools/xl/xl-sim"


def create(host, name, memory=64, **settings):
    run(XL_SIM, "-s", host, "create", "/dev/null", f"name='{name}'", f"memory={memory}",
        *(f"{k}={v}" for k, v in {"type": "hvm", **settings}.items()))


class Plan:
    """A pool of simulated hosts: rich (Haswell), poor (Sandy Bridge), and twin, which is as poor."""

    def __init__(self, pool, hosts):
        self.pool = pool
        pool("init", "-n", "web")
        self.hosts = dict(zip(("rich", "poor", "twin"), hosts("intel-haswell-ep", "intel-sandybridge-ep", "intel-sandybridge-ep")))
        for name, host in self.hosts.items():
            pool("join", "-n", name, host=host)

    def create(self, where, name, memory=64, **settings):
        create(self.hosts[where], name, memory, **settings)

    def refresh(self, *names):
        for name in names or self.hosts:
            self.pool("refresh", "-n", name, host=self.hosts[name])


@pytest.fixture
def plan(pool, hosts):
    return Plan(pool, hosts)


def test_matrix(plan):
    plan.create("rich", "db")
    plan.create("poor", "web1")
    plan.create("twin", "web2")
    plan.refresh()
    matrix = plan.pool.json("matrix", status=1)
    by_hosts = {tuple(c["hosts"]): c["class"] for c in matrix["host_classes"]}
    assert set(by_hosts) == {("rich",), ("poor", "twin")}
    answers = {tuple(g["name"] for g in c["guests"]): dict(zip([h["class"] for h in matrix["host_classes"]], c["answers"]))
               for c in matrix["guest_classes"]}
    assert answers[("db",)] == {by_hosts["rich",]: "yes", by_hosts["poor", "twin"]: "no"}
    assert answers[("web1", "web2")][by_hosts["poor", "twin"]] == "yes"
    assert matrix["everywhere"] is False
    assert sum(matrix["pairs"].values()) == 3 * 2 and matrix["pairs"]["no"] == 4
    text = plan.pool("matrix", "--why", status=1).stdout
    assert "pool web: 3 hosts of 2 classes, 3 guests of 2 classes" in text
    assert "lacks fma, movbe, " in text
    # One guest, one host: the status is for what is shown.
    assert "no: lacks " in plan.pool("matrix", "--vm", "db", status=1).stdout
    assert "lacks" not in plan.pool("matrix", "--vm", "web1", "--host", "twin").stdout
    reason, = plan.pool.json("matrix", "--vm", "db", status=1)["guest_classes"][0]["reasons"]
    assert "avx2" in [f["name"] for f in reason["missing"]]


def test_matrix_of_nobody(pool):
    pool("init")
    assert pool.json("matrix")["everywhere"] is True
    assert "there is no host 'x'" in pool("matrix", "--host", "x", status=2).stderr
    assert "there is no guest 'x'" in pool("matrix", "--vm", "x", status=2).stderr


def test_evacuate(plan):
    plan.create("poor", "web1", memory=256)
    plan.create("poor", "web2")
    plan.refresh()
    answer = plan.pool.json("evacuate", "poor")
    assert answer["can_be_emptied"] and answer["method"] == "all"
    assert [(m["guest"], m["to"], m["can_come_back"]) for m in answer["moves"]] == [("web1", "twin", True), ("web2", "twin", True)]
    text = plan.pool("evacuate", "poor").stdout
    assert "poor can be emptied: 2 of 2 guests have a place; 2 other hosts may get guests, with 512 MiB left free on each\n" in text
    assert text == plan.pool("evacuate", "poor").stdout
    # In maintenance it is no target any more.
    plan.pool("maintenance", "twin", "on")
    answer = plan.pool.json("evacuate", "poor", status=1)
    assert answer["not_targets"] == [{"host": "twin", "why": "maintenance"}]
    assert not answer["moves"]
    assert "nothing is placed on twin (in maintenance)" in plan.pool("evacuate", "poor", status=1).stdout
    assert "there is no host 'x'" in plan.pool("evacuate", "x", status=2).stderr


def test_what_would_help(plan):
    plan.create("rich", "db")
    plan.refresh()
    answer = plan.pool.json("evacuate", "rich", status=1)
    stuck, = answer["stuck"]
    assert (stuck["guest"], stuck["reason"]) == ("db", "no-host")
    helps = {h["help"]: h for h in stuck["helps"]}
    assert set(helps) == {"power-cycle", "give-up"}
    assert "avx2" in [f["name"] for f in helps["give-up"]["features"]]
    usage = helps["give-up"]["usage"]
    text = plan.pool("evacuate", "rich", status=1).stdout
    assert "db (HVM/PVH, 65 MiB) stays: no host can take it; the nearest, poor: lacks fma, " in text
    assert "a power cycle: started anew on poor it has that host's CPU\n" in text
    assert (f"what db uses: {usage}\n" if usage else "what db uses of that is not known: `xenlevel usage db` on rich says\n") in text


def test_memory_counts(plan):
    plan.create("poor", "large", memory=3000)
    plan.create("twin", "other", memory=2000)
    plan.refresh()
    stuck, = plan.pool.json("evacuate", "poor", status=1)["stuck"]
    assert stuck["reason"] == "too-large" and stuck["nearest"] == "twin"
    missing = next(h["bytes"] for h in stuck["helps"] if h["help"] == "memory")
    # Less of a reserve by just that much, and it fits.
    reserve = (512 << 20) - missing
    if reserve >= 0:
        assert plan.pool.json("evacuate", "poor", "--reserve", str(reserve))["can_be_emptied"]
    assert not plan.pool.json("evacuate", "poor", "--reserve", "4G", status=1)["moves"]
    for wrong in ("x", "1X", "-1", "", "99999999999999999999", "20000000T"):
        assert "--reserve is a size" in plan.pool("evacuate", "poor", "--reserve", wrong, status=2).stderr


def test_script_is_what_a_shell_runs(pool, hosts, tmp_path):
    """Names that a shell, xl or a terminal would take for something else."""
    odd = "it's $(touch owned); `touch owned`"
    pool("init")
    for name, host in zip(("here", odd), hosts("intel-sandybridge-ep", "intel-sandybridge-ep")):
        for guest in ("-rf", "web-1") if name == "here" else ():
            create(host, guest)
        pool("join", "-n", name, host=host)
    script = tmp_path / "plan.sh"
    script.write_text(pool("evacuate", "here", "--script").stdout)
    said, xl = tmp_path / "said", tmp_path / "xl"
    xl.write_text(f'#!/bin/sh\nprintf "<%s>" "$@" >>{said}\necho >>{said}\n')
    xl.chmod(xl.stat().st_mode | stat.S_IXUSR)
    subprocess.run(["sh", str(script)], check=True, cwd=tmp_path, env=environment(PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert sorted(said.read_text().splitlines()) == sorted(f"<migrate><--><{guest}><{odd}>" for guest in ("-rf", "web-1"))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["a\nb", "-oProxyCommand=x", "a\x1b[1mb"])
def test_a_script_has_no_such_name(pool, hosts, name):
    pool("init")
    for host, called in zip(hosts("intel-sandybridge-ep", "intel-sandybridge-ep"), ("here", name)):
        create(host, "web")
        pool("join", f"--name={called}", host=host)
    done = pool("evacuate", "here", "--script", status=2)
    assert done.stdout == "" and "a script cannot have such a name" in done.stderr and "\x1b" not in done.stderr


def test_script_without_what_has_no_place(plan):
    plan.create("rich", "db")
    plan.refresh()
    done = plan.pool("evacuate", "rich", "--script", status=1)
    assert "db" not in done.stdout
    assert "1 of 1 guests are not in the script" in done.stderr
    assert "two forms" in plan.pool("evacuate", "rich", "--script", "--json", status=2).stderr


def test_rolling(plan):
    plan.create("poor", "web1")
    plan.create("twin", "web2")
    plan.refresh()
    answer = plan.pool.json("rolling")
    assert answer["all"] and [s["host"] for s in answer["steps"]] == ["poor", "rich", "twin"]
    assert "all 3 hosts can be emptied, updated and refilled, one after another:\n" in plan.pool("rolling").stdout
    plan.create("rich", "db")
    plan.refresh("rich")
    answer = plan.pool.json("rolling", status=1)
    assert [s["host"] for s in answer["steps"]] == ["poor", "twin"]
    assert [(b["host"], b["stuck"][0]["guest"]) for b in answer["blocked"]] == [("rich", "db")]
    assert "rich cannot be emptied, for 1 guest:\n" in plan.pool("rolling", status=1).stdout
    # They run it already, as far as it can be told.
    done = plan.pool.json("rolling", "--to-xen", "4.17")
    assert sorted(done["done"]) == ["poor", "rich", "twin"] and not done["steps"]
    assert "--to-xen is a release" in plan.pool("rolling", "--to-xen", "new", status=2).stderr


def test_clusters(pool, captures):
    """Hosts out of files are enough; they share a level where that moves anybody."""
    pool("init")
    machines = ("intel-haswell-ep", "intel-sandybridge-ep", "amd-castle-peak")
    for machine in machines:
        pool("join", "--host", captures(machine))
    answer = pool.json("clusters", "-k", "2", "--mobility")
    assert answer["exact"] and not answer["left_out"]
    # A level of its own would do nothing for the only host of its vendor.
    assert [level["hosts"] for level in answer["levels"]] == [["intel-haswell-ep", "intel-sandybridge-ep"]]
    assert answer["without"] == ["amd-castle-peak"]
    assert answer["chosen"]["mobility"] == pytest.approx(2 / 6, abs=1e-5)
    assert answer["none"]["kept"] == 1 and answer["none"]["mobility"] < answer["chosen"]["mobility"]
    assert "level 1, " in pool("clusters").stdout
    assert "--levels is a number from 1 to 64" in pool("clusters", "-k", "0", status=2).stderr
