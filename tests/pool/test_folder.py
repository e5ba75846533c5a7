# SPDX-License-Identifier: MIT
"""The registry in a folder, by commands: many at once, and damage."""

import subprocess

import pytest

from registry import LIMIT, XENLEVEL, environment


def at_once(commands):
    """Run them all at the same time; returns [(status, stderr)]."""
    running = [subprocess.Popen([XENLEVEL, "pool", *map(str, c)], env=environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for c in commands]
    said = [p.communicate(timeout=LIMIT)[1] for p in running]
    return [(p.returncode, text) for p, text in zip(running, said)]


def test_of_twenty_who_make_it_one_does(pool):
    done = at_once([("init", "-p", pool.where, "-n", f"p{i}") for i in range(20)])
    assert sorted(status for status, _ in done) == [0] + [2] * 19
    assert {said for status, said in done if status} == {f"xenlevel: folder {pool.where}: a pool is there already\n"}
    event, = pool.json("history")
    assert done[int(event["subject"][1:])][0] == 0


def test_twenty_hosts_join_and_leave_at_once(pool, captures):
    pool("init")
    file = captures("intel-haswell-ep")
    names = [f"h{i:02}" for i in range(20)]
    done = at_once([("join", "-p", pool.where, "--host", file, "--name", name) for name in names])
    assert [status for status, _ in done] == [0] * 20, done
    assert sorted(n for n in pool.files() if n.startswith("host/")) == [f"host/{name}.pb" for name in names]
    assert len([n for n in pool.files() if n.startswith("capture/")]) == 1
    joined = [e["subject"] for e in pool.json("history") if e["what"] == "join"]
    assert sorted(joined) == names
    # Each leaves twice at once: one of the two does.
    done = at_once([("leave", "-p", pool.where, name) for name in names * 2])
    for i in range(20):
        assert sorted([done[i][0], done[i + 20][0]])[0] == 0 and done[i][0] != done[i + 20][0], (done[i], done[i + 20])
    left = [e["subject"] for e in pool.json("history") if e["what"] == "leave"]
    assert sorted(left) == names
    assert not [n for n in pool.files() if n.split("/")[0] in ("host", "domains", "seen")]


@pytest.mark.parametrize("key, damage, said, heals", [
    ("pool.pb", lambda b: b"\xff" + b, "pool: this is no Pool", None),
    ("host/a.pb", lambda b: b[:-3], "host/a: this is no PoolHost", False),
    ("capture/", lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:], "damaged: its SHA-256 is ", True),
    ("capture/", None, "is not there", True),
])
def test_a_damaged_value_is_one_clear_line(pool, captures, key, damage, said, heals):
    """heals: a host with the same CPUs that joins puts the value there again; None: none can join."""
    def refuse(*command):
        done = pool(*command, status=2)
        assert done.stderr.startswith(f"xenlevel: folder {pool.where}: ") and said in done.stderr
        assert done.stderr.count("\n") == 1

    pool("init")
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "a")
    file, = (pool.where / name for name in pool.files() if name.startswith(key))
    if damage:
        file.write_bytes(damage(file.read_bytes()))
    else:
        file.unlink()
    refuse("status")
    refuse("leave", "a")
    join = ("join", "--host", captures("intel-haswell-ep"), "--name", "b")
    if heals is None:
        refuse(*join)
        return
    pool(*join)         # it reads no other host's record
    if heals:
        assert [h["name"] for h in pool.json("status", status=None)["hosts"]] == ["a", "b"]
    else:
        refuse("status")
