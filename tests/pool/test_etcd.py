# SPDX-License-Identifier: MIT
"""The store in etcd, with three real members: reading, transactions, answers that are lost, leases, watching."""

import base64
import os

import pytest

from etcd import Client, Cluster, configuration, free_ports, run_client, text64
from relays import HttpRelay, Loop


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    c = Cluster(tmp_path_factory.mktemp("etcd"))
    yield c
    c.stop()


@pytest.fixture
def prefix(request):
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


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
    for i in range(18):  # more than one answer may have, whatever the number of keys in a page
        run_client(where, "txn", f"create:history/{i}:00", f"put:domains/{i:02}:@{tmp_path / 'value'}")
    assert listed(where, "domains/") == {f"domains/{i:02}": value for i in range(18)}


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
