# SPDX-License-Identifier: MIT
"""`xenlevel pool` on a registry in etcd: fifty at once while members fail, and values that are rubbish."""

import collections
import subprocess

import pytest

from etcd import configuration
from registry import XENLEVEL, Pool

HOSTS = [f"h{i:02}" for i in range(50)]


class PatientPool(Pool):
    """Commands that give up so late that a slow machine does not make them."""

    def __init__(self, where, conf):
        super().__init__(where)
        self.conf = conf
        self.environment = configuration(conf, timeout=1200)

    def __call__(self, command, *args, **more):
        return super().__call__(command, *args, **{"XENLEVEL_POOL_CONF": self.conf, **more})

    def at_once(self, commands):
        """Begins all of them: processes."""
        return [subprocess.Popen([XENLEVEL, "pool", *map(str, c), "-p", self.where], env=self.environment, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for c in commands]


@pytest.fixture
def pool(parted_cluster, tmp_path):
    p = PatientPool(parted_cluster.where("web"), tmp_path / "pool.conf")
    p("init", "--name", "web")
    return p


def end(processes):
    for p in processes:
        said = p.communicate()
        assert p.returncode == 0, said


@pytest.mark.slow       # not part of `make check-quick`
@pytest.mark.timeout(1800)
def test_fifty_commands_while_members_fail(parted_cluster, pool, hosts, captures):
    a, b, c = parted_cluster.members
    machines = [captures(m) for m in ("intel-haswell-ep", "intel-sandybridge-ep")]
    joining = pool.at_once([("join", "--host", machines[i % 2], "--name", name) for i, name in enumerate(HOSTS)])
    a.kill()
    end(joining)
    a.start()
    assert a.wait()
    leaving = pool.at_once([("leave", name) for name in HOSTS[::2]])
    parted_cluster.peers.part(b)
    end(leaving)
    parted_cluster.peers.join(b)
    host, = hosts("intel-haswell-ep")
    c.pause()
    pool("join", "--name", "real", host=host)
    pool("refresh", "--name", "real", host=host)
    c.resume()
    assert sorted(h["name"] for h in pool.json("status", status=1)["hosts"]) == [*HOSTS[1::2], "real"]
    whats = collections.Counter((e["what"], e["subject"]) for e in pool.json("history"))
    assert whats == {**{("join", name): 1 for name in [*HOSTS, "real"]},
                     **{("leave", name): 1 for name in HOSTS[::2]}, ("init", "web"): 1}
    kinds = collections.Counter(key.split("/")[2] for key in parted_cluster.keys("/web/"))
    assert kinds["host"] == 26 and kinds["capture"] == 2, kinds  # equal captures are kept once


def test_rubbish_in_the_store(parted_cluster, pool, captures):
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "alpha")
    parted_cluster.put("/web/host/beta", b"\xff\xff\x1b[31m")
    said = pool("status", status=2)
    assert said.stderr.count("\n") == 1 and "beta" in said.stderr and "\x1b" not in said.stderr, said
    parted_cluster.delete("/web/host/beta")
    assert pool("status", status=1).stderr == ""  # 1: it was not seen yet
    parted_cluster.put("/web/pool", b"\x08\x63")  # of schema 99
    said = pool("status", status=2)
    assert said.stderr.count("\n") == 1 and "99" in said.stderr, said
    parted_cluster.put("/web/pool", b"")
    assert pool("status", status=2).stderr.count("\n") == 1
    parted_cluster.delete("/web/pool")
    assert pool("status", status=2).stderr.count("\n") == 1
