# SPDX-License-Identifier: MIT
"""The store in etcd while members are killed, paused and parted: nothing lost, nothing half, nothing doubled."""

import collections
import json
import os
import select
import subprocess
import threading

import pytest

from etcd import CLIENT, Cluster, configuration, run_client

HOSTS, ROUNDS = 50, 1
PATIENT_S = 1200  # a client gives up so late that a slow machine does not make it give up


class Crowd:
    """Clients that all work at once, and what they said."""

    def __init__(self, where, env):
        self.lines, self.failures = [], []
        self.heard = threading.Condition()
        self.processes = [subprocess.Popen([CLIENT, where, "work", f"h{i:02}", str(ROUNDS)], env=env, text=True,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(HOSTS)]
        self.threads = [threading.Thread(target=self._read, args=(p,)) for p in self.processes]
        for t in self.threads:
            t.start()

    def _read(self, process):
        for line in process.stdout:
            with self.heard:
                self.lines.append(json.loads(line))
                self.heard.notify_all()
        self.failures.append(process.stderr.read())

    def wait_for(self, commits):
        """Until so many more changes have been made than now, or all have ended."""
        with self.heard:
            goal = self._committed() + commits
            self.heard.wait_for(lambda: self._committed() >= goal or not any(t.is_alive() for t in self.threads))

    def _committed(self):
        return sum(line["outcome"] == "committed" for line in self.lines)

    def end(self):
        for t, p in zip(self.threads, self.processes):
            t.join()
            assert p.wait() == 0
        assert not any(self.failures), self.failures
        return self.lines


def check_history(values, lines):
    """Each change that was made is there; each that was not made is not; nobody said two things of one."""
    there = {k.partition("/")[2] for k in values if k.startswith("history/")}
    said = {line["id"]: line for line in lines}
    assert len(said) == len(lines)
    committed = {i for i, line in said.items() if line["outcome"] == "committed"}
    unsure = {i for i, line in said.items() if line["outcome"] == "open"}
    assert committed <= there, "lost"
    assert there <= committed | unsure, "made, and told that it was not"
    for line in lines:
        assert line["outcome"] in ("committed", "conflict") or len(line["error"]) > 20, line
    return there


def check_values(values, lines, there):
    """What a change puts is there whole, and of the last change of that host; the number counts each change once."""
    said = {line["id"]: line for line in lines}
    counted = [i for i in there if said[i]["what"] == "count"]
    assert int(values.get("pool", b"0\0").rstrip(b"\0")) == len(counted)
    of_host = collections.defaultdict(list)
    for line in lines:
        if line["id"] in there and line["what"] != "count":
            of_host[line["host"]].append(line)
    for host, changes in of_host.items():
        last = changes[-1]
        expected = None if last["what"] == "leave" else last["id"].encode()
        for kind in ("host", "domains", "seen"):
            assert values.get(f"{kind}/{host}") == expected, (kind, host, last)


def read(where, env):
    answer = run_client(where, "list", env=env)
    return {v["key"]: bytes.fromhex(v["value"]) for v in answer["values"]}


def disturb(cluster, crowd):
    """One fault after the other, each while changes are being made, each mended before the next."""
    a, b, c = cluster.members
    steps = [(a.kill, lambda: (a.start(), a.wait())), (b.pause, b.resume),
             (lambda: cluster.peers.part(c), lambda: cluster.peers.join(c)),
             (lambda: cluster.peers.part(a), lambda: cluster.peers.join(a)),
             (c.kill, lambda: (c.start(), c.wait())),
             (lambda: (a.kill(), b.kill()), lambda: (a.start(), b.start(), a.wait(), b.wait()))]
    for break_it, mend in steps:
        crowd.wait_for(12)
        break_it()
        if break_it is not steps[-1][0]:  # without two of three nothing can be made
            crowd.wait_for(12)
        mend()


@pytest.mark.slow       # not part of `make check-quick`
@pytest.mark.timeout(1800)
def test_fifty_clients_while_members_fail(parted_cluster, tmp_path):
    env = configuration(tmp_path / "pool.conf", timeout=PATIENT_S)
    where = parted_cluster.where("pool")
    crowd = Crowd(where, env)
    disturb(parted_cluster, crowd)
    lines = crowd.end()
    values = read(where, env)
    there = check_history(values, lines)
    check_values(values, lines, there)
    whats = collections.Counter(line["what"] for line in lines if line["outcome"] == "committed")
    # In spite of all, nearly all of it was made; who gave up said why (check_history) and is the exception.
    assert set(whats) == {"join", "refresh", "leave", "count"}
    assert whats.total() >= 0.95 * HOSTS * (4 * ROUNDS + 1), [line for line in lines if line["outcome"] in ("open", "error")]


@pytest.mark.slow       # not part of `make check-quick`
@pytest.mark.timeout(1800)
def test_clients_that_are_killed(parted_cluster, tmp_path):
    """SIGKILL in the middle: what each had begun is there whole or not at all."""
    env = configuration(tmp_path / "pool.conf", timeout=PATIENT_S)
    where = parted_cluster.where("pool")
    crowd = Crowd(where, env)
    crowd.wait_for(60)
    for p in crowd.processes:
        p.kill()
    for t, p in zip(crowd.threads, crowd.processes):
        t.join()
        p.wait()
    values = read(where, env)
    there = {k.partition("/")[2] for k in values if k.startswith("history/")}
    told = {line["id"] for line in crowd.lines if line["outcome"] == "committed"}
    assert told <= there
    for key, value in values.items():
        kind, _, host = key.partition("/")
        if kind == "host":
            assert values[f"domains/{host}"] == values[f"seen/{host}"] == value
            assert value.decode() in there
        if kind in ("domains", "seen"):
            assert f"host/{host}" in values


@pytest.mark.slow       # not part of `make check-quick`
@pytest.mark.timeout(1800)
def test_a_lost_quorum(parted_cluster, tmp_path):
    """Two of three are gone: nothing is read or changed, and it is said what is missing."""
    env = configuration(tmp_path / "pool.conf", timeout=10)
    where = parted_cluster.where("pool")
    run_client(where, "txn", "create:history/0:00", "put:pool:00")
    a, b, c = parted_cluster.members
    b.kill()
    c.kill()
    answer = run_client(where, "list", env=env)
    assert answer["error"].startswith(f"etcd does not answer: {a.url}: "), answer
    assert f"; {b.url}: Failed to connect to 127.0.0.1 port {b.client_port}" in answer["error"]
    answer = run_client(parted_cluster.where("pool", a), "txn", "create:history/1:01", "put:pool:01", env=env)
    assert answer["errno"] == "EINPROGRESS", answer  # it may take it up when the others are back
    assert "'xenlevel pool history' shows history/1 if it was" in answer["error"]
    b.start()
    assert b.wait()
    patient = configuration(tmp_path / "pool.conf", timeout=PATIENT_S)
    values = read(where, patient)
    assert values in ({"history/0": b"\0", "pool": b"\0"}, {"history/0": b"\0", "history/1": b"\1", "pool": b"\1"})
    assert run_client(where, "txn", "create:history/2:02", "put:pool:02", env=patient)["outcome"] == "committed"


@pytest.mark.slow       # not part of `make check-quick`
@pytest.mark.timeout(1800)
def test_all_members_begin_anew(parted_cluster, tmp_path):
    """Whoever had an answer before waits for the next one, also when for a moment nobody is there."""
    env = configuration(tmp_path / "pool.conf", timeout=PATIENT_S)
    client = subprocess.Popen([CLIENT, parted_cluster.where("pool")], env=env, text=True, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print("txn create:history/0:00 put:pool:07", file=client.stdin)
    assert json.loads(client.stdout.readline())["outcome"] == "committed"
    for member in parted_cluster.members:
        member.kill()
    print("get pool", file=client.stdin)
    # It has had the time to ask all of them; on a slow machine it asks when they are back.
    assert not select.select([client.stdout], [], [], 2)[0], client.stdout.readline()
    for member in parted_cluster.members:
        member.start()
    assert json.loads(client.stdout.readline())["found"]["value"] == "07"
    client.stdin.close()
    assert client.wait() == 0
    client.stdout.close()


def test_a_full_database(tmp_path):
    cluster = Cluster(tmp_path / "etcd", members=1, options=["--quota-backend-bytes", str(1 << 20)])
    where = cluster.where("pool")
    (tmp_path / "value").write_bytes(os.urandom(200000))
    try:
        for i in range(20):
            answer = run_client(where, "txn", f"create:history/{i}:00", f"put:domains/{i}:@{tmp_path / 'value'}")
            if "error" in answer:
                break
        assert answer["errno"] == "ENOSPC"
        assert answer["error"].startswith(f"{cluster.members[0].url}: etcd's database is full: 'etcdctl compact' and "
                                          "'defrag' it, or raise --quota-backend-bytes; then 'etcdctl alarm disarm'")
        assert len(run_client(where, "list")["values"]) == 2 * i  # all of those before, and it can be read
    finally:
        cluster.stop()
