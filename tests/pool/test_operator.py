# SPDX-License-Identifier: MIT
"""What goes wrong where people keep a pool: names, clocks, files that are lost or another pool's."""

import datetime


def joined(pool, captures, *names):
    pool("init", "-n", "web")
    for name in names:
        pool("join", "--host", captures("intel-haswell-ep"), "--name", name)


def put_seen(pool, name, seconds):
    """The record of a refresh so many seconds from now, with a lease of 900 seconds."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    text = when.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    (pool.where / "seen").mkdir(exist_ok=True)
    (pool.where / "seen" / f"{name}.pb").write_bytes(b"\x0a" + bytes([len(text)]) + text + b"\x10\x84\x07")


def test_a_clock_that_is_wrong(pool, captures):
    joined(pool, captures, "now", "ahead", "behind", "nearly")
    for name, seconds in (("now", -1), ("ahead", 7200), ("behind", -7200), ("nearly", 300)):
        put_seen(pool, name, seconds)
    silent = {host["name"]: host["silent"] for host in pool.json("status", status=1)["hosts"]}
    assert silent == {"now": False, "ahead": True, "behind": True, "nearly": False}
    lines = {line.split()[0]: line for line in pool("status", status=1).stdout.splitlines()[2:]}
    assert "its last refresh is in the future: a clock is wrong" in lines["ahead"]
    assert "clock" not in lines["now"] + lines["behind"] + lines["nearly"]


def test_domains_without_their_host(pool, captures):
    joined(pool, captures, "alpha", "beta")
    (pool.where / "host/beta.pb").unlink()
    for command in ("status", "matrix"):
        said = pool(command, status=None).stderr
        assert "domains/beta is of no member, and left out: the record of its host is not there" in said
        assert "alpha" not in said
    # It joins again, on top of what is left of it.
    pool("join", "--host", captures("intel-haswell-ep"), "--name", "beta")
    assert pool("matrix").stderr == ""


def test_a_name_that_is_too_long(pool, captures):
    joined(pool, captures, "x" * 200)
    for name in ("y" * 201, "ü" * 60):
        said = pool("join", "--host", captures("intel-haswell-ep"), "--name", name, status=2).stderr
        assert "is too long a name: at most 200 bytes" in said and len(said) < 200
    assert [host["name"] for host in pool.json("status", status=None)["hosts"]] == ["x" * 200]
