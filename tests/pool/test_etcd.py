# SPDX-License-Identifier: MIT
"""The store in etcd, with three real members: reading, transactions, answers that are lost, leases, watching."""

import base64
import os

import pytest

from etcd import Client, configuration, free_ports, run_client, text64
from relays import HttpRelay, Loop


@pytest.fixture
def where(cluster, prefix):
    return cluster.where(prefix)


def hexed(value):
    return (value if isinstance(value, bytes) else value.encode()).hex()


def found(where, key):
    answer = run_client(where, "get", key)["found"]
    return bytes.fromhex(answer["value"]) if answer["revision"] else None


def listed(where, *prefixes):
    return {v["key"]: bytes.fromhex(v["value"]) for v in run_client(where, "list", *prefixes)["values"]}


# ---- reading and writing ----

def test_a_value_is_any_bytes(where):
    every = bytes(range(256))
    assert run_client(where, "txn", f"create:history/1:{hexed('e')}", f"put:host/a:{hexed(every)}",
                      "put:host/empty:")["outcome"] == "committed"
    assert found(where, "host/a") == every
    assert found(where, "host/empty") == b""
    assert found(where, "host/b") is None


def test_a_list_is_sorted_and_of_one_revision(where):
    run_client(where, "txn", "create:history/1:00", "put:host/b:02", "put:host/a:01", "put:hosts:03", "put:pool:04")
    answer = run_client(where, "list", "pool", "host/")
    assert [v["key"] for v in answer["values"]] == ["host/a", "host/b", "pool"]
    assert answer["revision"] == max(v["revision"] for v in answer["values"])
    assert listed(where) == {"history/1": b"\0", "host/a": b"\1", "host/b": b"\2", "hosts": b"\3", "pool": b"\4"}


def test_a_list_of_many_pages(cluster, where, prefix):
    names = [f"host/{i:05}" for i in range(1000)]
    for i in range(0, 1000, 100):
        ops = [{"request_put": {"key": text64(f"/{prefix}/{n}"), "value": text64(n)}} for n in names[i:i + 100]]
        cluster.must("kv/txn", {"success": ops})
    assert listed(where) == {n: n.encode() for n in names}


def test_a_list_of_large_values(where, tmp_path):
    value = os.urandom(1 << 20)
    (tmp_path / "value").write_bytes(value)
    for i in range(13):  # more than one answer may have, whatever the number of keys in a page
        run_client(where, "txn", f"create:history/{i}:00", f"put:domains/{i:02}:@{tmp_path / 'value'}")
    assert listed(where, "domains/") == {f"domains/{i:02}": value for i in range(13)}


def test_a_condition_that_does_not_hold_changes_nothing(where):
    run_client(where, "txn", "create:history/1:01", "put:host/a:01")
    revision = run_client(where, "get", "host/a")["found"]["revision"]
    answer = run_client(where, "txn", "create:history/2:02", "put:pool:02", f"at:{revision + 1}:host/a:02")
    assert answer == {"outcome": "conflict", "conflict": 2}
    assert listed(where) == {"history/1": b"\1", "host/a": b"\1"}
    answer = run_client(where, "txn", "create:history/2:02", "create:host/a:02")
    assert answer == {"outcome": "conflict", "conflict": 1}
    answer = run_client(where, "txn", "create:history/2:02", f"check:{revision}:host/a", "put:pool:02")
    assert answer["outcome"] == "committed"
    assert run_client(where, "txn", "create:history/3:02", f"delete:{revision}:host/a")["outcome"] == "committed"
    assert listed(where) == {"history/1": b"\1", "history/2": b"\2", "history/3": b"\2", "pool": b"\2"}


def test_a_key_of_somebody_else(cluster, where, prefix):
    cluster.put(f"/{prefix}/host/a\x1b[31m b", "x")
    answer = run_client(where, "list")
    assert answer["errno"] == "EINVAL"
    assert answer["error"].endswith(f"'/{prefix}/host/a\\x1b[31m b' is no key of a registry; "
                                    "whose is it? ('etcdctl get' and 'del')")


# ---- answers that are lost ----

@pytest.fixture
def loop():
    with_loop = Loop()
    yield with_loop
    with_loop.close()


class Decider:
    """What a relay does with each transaction, in order; everything else passes."""

    def __init__(self, *what):
        self.what, self.seen = list(what), 0

    def __call__(self, path):
        if path != "/v3/kv/txn":
            return "pass"
        self.seen += 1
        return self.what.pop(0) if self.what else "pass"


def relayed(loop, cluster, prefix, *what):
    """A member behind a relay, then one that is asked directly: (relay, decider, where)."""
    decider = Decider(*what)
    relay = HttpRelay(loop, cluster.members[0], decider)
    return relay, decider, f"etcd:{relay.url},{cluster.members[1].url}/{prefix}"


def events(where):
    return [k for k in listed(where) if k.startswith("history/")]


@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_answer_is_found_again(loop, cluster, where, prefix, times):
    """etcd has done it; the answer never comes: the same transaction again finds its own key."""
    decider = Decider(*["lose"] * times)
    relay = HttpRelay(loop, cluster.members[0], decider)
    run_client(where, "txn", "create:history/0:00", "put:pool:00")
    revision = run_client(where, "get", "pool")["found"]["revision"]
    answer = run_client(f"etcd:{relay.url}/{prefix}", "txn", "create:history/1:01", f"at:{revision}:pool:01")
    assert answer["outcome"] == "committed"
    assert decider.seen == times + 1
    assert listed(where) == {"history/0": b"\0", "history/1": b"\1", "pool": b"\1"}
    assert run_client(where, "get", "pool")["found"]["revision"] == revision + 1  # once


def test_a_lost_answer_of_no(loop, cluster, where, prefix):
    """What was refused, and nobody heard it, is refused again: with a revision that has passed, for good."""
    run_client(where, "txn", "create:history/0:00", "put:pool:00")
    _, decider, through = relayed(loop, cluster, prefix, "lose")
    answer = run_client(through, "txn", "create:history/1:01", "at:1:pool:01")
    assert answer == {"outcome": "conflict", "conflict": 1}
    assert decider.seen == 1
    assert listed(where) == {"history/0": b"\0", "pool": b"\0"}
    assert cluster.keys(f"/{prefix}/.fence/") == []


def test_what_comes_late_does_nothing(loop, cluster, where, prefix):
    """A transaction that the network keeps, and brings when its sender was told that nothing was changed."""
    run_client(where, "txn", "create:history/0:00", "create:host/a:00")
    relay, _, through = relayed(loop, cluster, prefix, "hold")
    answer = run_client(through, "txn", "create:history/1:01", "create:host/a:01")
    assert answer == {"outcome": "conflict", "conflict": 1}
    assert cluster.keys(f"/{prefix}/.fence/") == [f"/{prefix}/.fence/history/1"]
    cluster.delete(f"/{prefix}/host/a")  # its condition would hold now
    assert b"HTTP/1.1 200" in relay.release()[0]
    assert listed(where) == {"history/0": b"\0"}


def test_what_comes_late_was_made_already(loop, cluster, where, prefix):
    run_client(where, "txn", "create:history/0:00", "put:pool:00")
    revision = run_client(where, "get", "pool")["found"]["revision"]
    relay, _, through = relayed(loop, cluster, prefix, "hold")
    assert run_client(through, "txn", "create:history/1:01", f"at:{revision}:pool:01")["outcome"] == "committed"
    relay.release()
    assert run_client(where, "get", "pool")["found"]["revision"] == revision + 1


def test_nobody_can_say(loop, cluster, where, prefix, tmp_path):
    """All answers are lost until time is up: said so, with the key to look for."""
    relay = HttpRelay(loop, cluster.members[0], lambda path: "lose")
    answer = run_client(f"etcd:{relay.url}/{prefix}", "txn", "create:history/1:01", "put:pool:01",
                        env=configuration(tmp_path / "pool.conf", timeout=5))
    assert relay.lost.wait(600)     # on a slow machine it may be made later
    assert answer["errno"] == "EINPROGRESS"
    assert answer["error"].startswith("cannot say whether the change was made, or will be: 'xenlevel pool history' shows "
                                      f"history/1 if it was; etcd does not answer: {relay.url}: ")
    assert listed(where) == {"history/1": b"\1", "pool": b"\1"}


def test_nothing_was_sent(prefix):
    """Nobody listens: nothing was changed, and that is no doubt."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    answer = run_client(f"etcd:{url}/{prefix}", "txn", "create:history/1:01", "put:pool:01")
    assert answer["errno"] == "ECONNREFUSED"
    assert answer["error"].startswith(f"etcd does not answer: {url}: Failed to connect to 127.0.0.1 port")


class Meddler:
    """Passes everything on, and does something before the second range of keys is asked for."""

    def __init__(self, meddle):
        self.meddle, self.ranges = meddle, 0

    def __call__(self, path):
        self.ranges += path == "/v3/kv/range"
        if self.ranges == 2:
            self.meddle()
        return "pass"


@pytest.mark.parametrize("compact", [False, True])
def test_a_list_is_one_moment(loop, cluster, where, prefix, compact):
    """What changes between two pages is not in the list; when etcd has forgotten that moment, it begins anew."""
    names = [f"host/{i:03}" for i in range(300)]
    for i in range(0, 300, 100):
        ops = [{"request_put": {"key": text64(f"/{prefix}/{n}"), "value": text64("1")}} for n in names[i:i + 100]]
        cluster.must("kv/txn", {"success": ops})

    def meddle():
        ops = [{"request_put": {"key": text64(f"/{prefix}/{names[i]}"), "value": text64("2")}} for i in (0, 298)]
        ops += [{"request_delete_range": {"key": text64(f"/{prefix}/{names[i]}")}} for i in (1, 299)]
        revision = cluster.must("kv/txn", {"success": ops})["header"]["revision"]
        if compact:
            cluster.must("kv/compaction", {"revision": revision})

    relay = HttpRelay(loop, cluster.members[0], Meddler(meddle))
    got = listed(f"etcd:{relay.url}/{prefix}", "host/")
    before = {n: b"1" for n in names}
    after = {**before, names[0]: b"2", names[298]: b"2"}
    del after[names[1]], after[names[299]]
    assert got == (after if compact else before)
    assert listed(where, "host/") == after


# ---- large transactions ----

def test_large_values_go_first(where, tmp_path):
    """Ten captures are more than etcd takes at once: content that stands alone is put before."""
    captures = {f"capture/{i:064x}": os.urandom(300000) for i in range(10)}
    words = []
    for key, value in captures.items():
        (tmp_path / key[-1]).write_bytes(value)
        words.append(f"create:{key}:@{tmp_path / key[-1]}")
    run_client(where, "txn", "create:history/0:00", words[0])  # one is there already
    assert run_client(where, "txn", "create:history/1:01", *words, "put:host/a:01")["outcome"] == "committed"
    assert listed(where) == {"history/0": b"\0", "history/1": b"\1", "host/a": b"\1", **captures}


def test_too_large(where, tmp_path):
    (tmp_path / "value").write_bytes(bytes(900000))
    answer = run_client(where, "txn", "create:history/1:01", f"put:host/a:@{tmp_path / 'value'}",
                        f"put:host/b:@{tmp_path / 'value'}")
    assert answer["errno"] == "EFBIG"
    assert "the change is too large for one transaction" in answer["error"]
    answer = run_client(where, "txn", "create:history/1:01", *[f"put:host/{i}:01" for i in range(130)])
    assert answer["errno"] == "EFBIG"
    assert "the change has too many parts for one transaction" in answer["error"]
    assert listed(where) == {}


# ---- leases ----

def test_a_lease_is_kept_and_renewed(cluster, where, prefix):
    before = cluster.leases()
    for i in range(5):
        assert run_client(where, "txn", f"create:history/{i}:01", f"lease:600:seen/a:0{i}")["outcome"] == "committed"
    assert cluster.leases() == before + 1
    kv = cluster.must("kv/range", {"key": text64(f"/{prefix}/seen/a")})["kvs"][0]
    assert base64.b64decode(kv["value"]) == b"\4"
    left = cluster.must("lease/timetolive", {"ID": kv["lease"]})
    assert left["grantedTTL"] == "600"
    cluster.must("lease/revoke", {"ID": kv["lease"]})  # as etcd does when the time is over
    assert found(where, "seen/a") is None
    assert run_client(where, "txn", "lease:600:seen/a:07")["outcome"] == "committed"
    assert found(where, "seen/a") == b"\7"
    assert run_client(where, "txn", "lease:900:seen/a:08")["outcome"] == "committed"
    kv = cluster.must("kv/range", {"key": text64(f"/{prefix}/seen/a")})["kvs"][0]
    assert cluster.must("lease/timetolive", {"ID": kv["lease"]})["grantedTTL"] == "900"


def test_a_conflict_leaves_no_lease(cluster, where):
    before = cluster.leases()
    answer = run_client(where, "txn", "create:history/1:01", "at:1:pool:01", "lease:600:seen/a:01")
    assert answer == {"outcome": "conflict", "conflict": 1}
    assert cluster.leases() == before


# ---- watching ----

def test_watching(cluster, where):
    run_client(where, "txn", "create:history/1:01", "put:host/a:01")
    revision = run_client(where, "list")["revision"]
    assert run_client(where, "watch", "all", revision, 1) == {"changed": False}
    assert run_client(where, "watch", "all", revision - 1, 600000) == {"changed": True}  # what has been already
    waiting = Client(where)
    waiting.tell("watch", "host/", revision, 600000)
    cluster.put("/elsewhere", "x")
    run_client(where, "txn", "create:history/2:01", f"delete:{revision}:host/a")
    assert waiting.hear() == {"changed": True}
    waiting.close()
    revision = run_client(where, "list")["revision"]
    cluster.put("/elsewhere", "y")
    assert run_client(where, "watch", "all", revision, 200) == {"changed": False}


def test_what_was_compacted_has_changed(cluster, where):
    """What was removed, and is forgotten: nothing tells of it but that it is not known any more."""
    run_client(where, "txn", "create:history/1:01", "put:host/a:01")
    revision = run_client(where, "list")["revision"]
    run_client(where, "txn", "create:history/2:01", "put:host/b:01")
    run_client(where, "txn", f"delete:{revision}:host/a")
    last = cluster.put("/elsewhere", "x")["header"]["revision"]
    cluster.must("kv/compaction", {"revision": last})
    assert run_client(where, "watch", "host/a", revision, 600000) == {"changed": True}
