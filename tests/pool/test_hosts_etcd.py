# SPDX-License-Identifier: MIT
"""The members' commands on a registry in etcd, with three real members: the same as in a folder, and silence."""

import subprocess

import pytest

from registry import XENLEVEL, Pool, environment


@pytest.fixture
def pool(cluster, prefix):
    made = Pool(cluster.where(prefix))
    made("init", "-n", "web")
    return made


def test_a_host_lives_in_its_pool(pool, hosts):
    a, less = hosts("intel-haswell-ep")[0], hosts("intel-haswell-ep", options=("--", "cpuid=no-avx2"))[0]
    pool("join", "--name", "alpha", host=a)
    pool("level", "web", "--compute")
    assert "new domains are born on web.v1: by itself" in pool("refresh", "--name", "alpha", host=a).stdout
    assert pool("refresh", "--name", "alpha", host=a).stdout == "alpha: nothing has changed\n"
    assert "drift: lost avx2; web.v1 is not honoured any more" in pool("refresh", "--name", "alpha", host=less).stdout
    answer = pool.json("drift", "alpha", status=1)
    assert [f["name"] for f in answer["hvm"]["lost"]] == ["avx2"]
    pool("drift", "alpha", "--accept")
    pool("maintenance", "alpha", "on")
    pool("leave", "alpha")
    assert pool.json("status")["hosts"] == []
    assert [e["what"] for e in pool.json("history")] == ["init", "join", "level", "refresh", "drift", "accept", "maintenance", "leave"]


def test_who_is_not_seen_is_silent(pool, cluster, prefix, hosts):
    """Its lease has ended; here it is taken away."""
    a, = hosts("intel-haswell-ep")
    pool("join", "--name", "alpha", host=a)
    assert pool.json("status")["hosts"][0]["silent"] is False
    seen, = [k for k in cluster.keys(f"/{prefix}/seen/")]
    cluster.delete(seen)
    assert pool.json("status", status=1)["hosts"][0]["silent"] is True
    assert "\nalpha  silent " in pool("status", status=1).stdout
    assert pool("refresh", "--name", "alpha", host=a).stdout == "alpha: nothing has changed\n"
    assert pool.json("status")["hosts"][0]["silent"] is False


def test_many_join_and_leave_at_once(pool, captures):
    capture = captures("intel-haswell-ep")
    for i in range(3):
        pool("join", "--host", capture, "--name", f"old{i}")

    def begin(*args):
        return subprocess.Popen([*map(str, [XENLEVEL, "pool", *args, "-p", pool.where])], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    running = [begin("join", "--host", capture, "--name", f"new{i}") for i in range(6)]
    running += [begin("leave", f"old{i}") for i in range(3)]
    for process in running:
        text, _ = process.communicate(timeout=300)
        assert not process.returncode, text
    assert [h["name"] for h in pool.json("status", status=1)["hosts"]] == [f"new{i}" for i in range(6)]
    assert len(pool.json("history")) == 1 + 9 + 3
