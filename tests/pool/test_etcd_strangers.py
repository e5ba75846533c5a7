# SPDX-License-Identifier: MIT
"""What answers is no etcd, or says what etcd never would: one line, and never an answer made of it."""

import json

import pytest

from etcd import configuration, run_client, text64
from impostor import Impostor

HEADER = {"cluster_id": "1", "member_id": "2", "revision": "3", "raft_term": "4"}


def kv(key, value="eA==", **more):
    return {"key": text64(key), "value": value, "create_revision": "2", "mod_revision": "2", "version": "1", **more}


def etcd_says(**members):
    return json.dumps({"header": HEADER, **members}).encode()


@pytest.mark.parametrize("status, body, errno, words", [
    (404, b"404 page not found\n", "EPROTO", "HTTP status 404: it is no etcd, or one older than 3.4, or its JSON gateway "
                                             "is off (--enable-grpc-gateway)"),
    (200, b"<html>hello", "EPROTO", "HTTP status 200, and it is no etcd: line 1: "),
    (200, b"", "EPROTO", "HTTP status 200, and it is no etcd: line 1: "),
    (200, b"{}", "EPROTO", "HTTP status 200, and it is no etcd: its JSON has no header of etcd's"),
    (200, b"[1,2", "EPROTO", "HTTP status 200, and it is no etcd: line 1: "),
    (200, b"[" * 100000, "EPROTO", "HTTP status 200, and it is no etcd: line 1: nested deeper than 64"),
    (200, b'{"header":\0}', "EPROTO", "HTTP status 200, and it is no etcd: it has a NUL in it"),
    (200, b'{"header":{"cluster_id":7}}', "EPROTO", "HTTP status 200, and it is no etcd: its JSON has no header of etcd's"),
    (301, b"", "EPROTO", "HTTP status 301, and it is no etcd: "),
    (401, b"Unauthorized", "EPROTO", "HTTP status 401, and it is no etcd: line 1: "),
    (400, json.dumps({"message": "bad\x1b[31m\u202e", "code": 3}).encode(), "EREMOTEIO",
     "refuses: bad\\x1b[31m\\xe2\\x80\\xae"),
    (200, b'{"header":{"cluster_id":"1"},"x":"' + b"x" * (17 << 20) + b'"}', "E2BIG",
     "its answer is longer than 16777216 bytes"),
    (200, etcd_says(kvs=[{"key": "$", "mod_revision": "2"}]), "EPROTO", "etcd's answer has a key that is no base64"),
    (200, etcd_says(kvs=[kv("/elsewhere/host/a")]), "EPROTO", "etcd's answer has a key that was not asked for"),
    (200, etcd_says(kvs=[kv("/xenlevel/host/a", value="a")]), "EPROTO", "etcd's answer has a value that is no base64"),
    (200, etcd_says(kvs=[kv("/xenlevel/host/a", value="a===")]), "EPROTO", "etcd's answer has a value that is no base64"),
    (200, etcd_says(kvs=[kv("/xenlevel/host/a", mod_revision="x")]), "EPROTO", "etcd's answer has a key without mod_revision"),
    (200, etcd_says(kvs=[kv("/xenlevel/host/b"), kv("/xenlevel/host/a")]), "EPROTO",
     "etcd's answer has keys that are in no order"),
    (200, etcd_says(more=True), "EPROTO", "etcd's answer has more keys, and none of them"),
    (200, etcd_says(more=True, kvs=[kv("/xenlevel/host/a")]), "EPROTO", "etcd's answer has keys that are in no order"),
    (200, etcd_says(kvs=[kv("/xenlevel/host/a\0b")]), "EINVAL", "is no key of a registry"),
], ids=range(21))
def test_a_stranger(status, body, errno, words):
    with Impostor(status, body) as impostor:
        answer = run_client(f"etcd:{impostor.url}", "list")
        assert answer["errno"] == errno, answer
        assert words in answer["error"] and impostor.url in answer["error"] or errno == "EINVAL", answer
        assert "\x1b" not in answer["error"] and "\u202e" not in answer["error"]


@pytest.mark.parametrize("status, body", [(503, b"<html>a proxy"), (500, b"{}"), (200, None),
                                          (503, b'{"error":"etcdserver: leader changed","code":14}')], ids=range(4))
def test_one_that_may_answer_later(status, body, tmp_path):
    """It is asked again, and another endpoint is; when none has answered in time that is said."""
    env = configuration(tmp_path / "pool.conf", timeout=1)
    with Impostor(status, body) as impostor, Impostor(200, etcd_says()) as other:
        answer = run_client(f"etcd:{impostor.url}", "list", env=env)
        assert answer["error"].startswith(f"etcd does not answer: {impostor.url}: ")
        answer = run_client(f"etcd:{impostor.url},{other.url}", "list",
                            env=configuration(tmp_path / "pool.conf", timeout=12 if body is None else 600))
        assert answer == {"revision": 3, "values": []}


def test_members_of_two_etcds():
    """The endpoints are not of one cluster: two registries would become one."""
    def answer(cluster, more):
        return json.dumps({"header": {**HEADER, "cluster_id": cluster}, "more": more,
                           "kvs": [kv("/xenlevel/host/a")]}).encode()

    asked = []

    def first(_path, _question):  # answers once
        asked.append(1)
        return (200, answer("1", True)) if len(asked) == 1 else (404, b"")

    with Impostor(reply=first) as a, Impostor(200, answer("9", False)) as b:
        said = run_client(f"etcd:{a.url},{b.url}", "list")
        assert said == {"errno": "EPROTO", "error": f"{b.url} belongs to another etcd than the endpoints asked before: "
                                                    "cluster 9, not 1"}
