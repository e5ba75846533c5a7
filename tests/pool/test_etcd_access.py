# SPDX-License-Identifier: MIT
"""The store in etcd, with certificates, users and rights: one line for each thing that can be wrong with them."""

import ssl

import pytest

from certificates import Authority
from etcd import Client, Cluster, configuration, run_client, text64
from impostor import Impostor

PASSWORD = "c0rrect-horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca") / "own", "the tests' authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca") / "other", "somebody else")


@pytest.fixture(scope="module")
def client_cert(authority):
    return authority.sign("client", common_name=False)  # with one, etcd refuses users


def allow(cluster):
    """Users: root; `pool` with a role for /pool/; `reader`, who may only read there; `nobody` without any."""
    for user in ("root", "pool", "reader", "nobody"):
        cluster.must("auth/user/add", {"name": user, "password": PASSWORD})
    cluster.must("auth/role/add", {"name": "root"})
    cluster.must("auth/user/grant", {"user": "root", "role": "root"})
    for role, kind in (("pool", "READWRITE"), ("reader", "READ")):
        cluster.must("auth/role/add", {"name": role})
        cluster.must("auth/role/grant", {"name": role, "perm": {"permType": kind, "key": text64("/pool/"),
                                                                "range_end": text64("/pool0")}})
        cluster.must("auth/user/grant", {"user": role, "role": role})
    cluster.must("auth/enable", {})
    cluster.token = cluster.must("auth/authenticate", {"name": "root", "password": PASSWORD})["token"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, authority, client_cert):
    """A member that wants TLS, a certificate of ours, and a user."""
    cert, key = authority.sign("server", "IP:127.0.0.1")
    context = ssl.create_default_context(cafile=str(authority.cert))
    context.load_cert_chain(*client_cert)
    cluster = Cluster(tmp_path_factory.mktemp("guarded"), members=1, context=context,
                      options=["--cert-file", str(cert), "--key-file", str(key), "--client-cert-auth",
                               "--trusted-ca-file", str(authority.cert)])
    allow(cluster)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("open"), members=1)
    yield cluster
    cluster.stop()


@pytest.fixture
def settings(tmp_path, authority, client_cert):
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    return {"cacert": authority.cert, "cert": client_cert[0], "key": client_cert[1], "user": "pool",
            "password_file": password}


@pytest.fixture
def run(tmp_path):
    """Runs a command with a configuration: its answer, in which no password may be."""
    def run_it(where, settings, *words):
        env = configuration(tmp_path / "pool.conf", **settings)
        answer = run_client(where, *words, env=env)
        assert PASSWORD not in str(answer)
        return answer
    return run_it


def test_all_is_right(guarded, settings, run):
    where = guarded.where("pool")
    assert run(where, settings, "txn", "create:history/1:01", "lease:600:seen/a:02")["outcome"] == "committed"
    assert run(where, settings, "get", "seen/a")["found"]["value"] == "02"
    assert len(run(where, settings, "list")["values"]) == 2
    revision = run(where, settings, "list")["revision"]
    assert run(where, settings, "watch", "all", revision - 1, 600000) == {"changed": True}


# ---- certificates ----

def test_another_authority(guarded, settings, run, stranger):
    answer = run(guarded.where("pool"), {**settings, "cacert": stranger.cert}, "list")
    assert answer["errno"] == "EACCES"
    assert answer["error"].startswith(f"etcd does not answer: {guarded.members[0].url}: its certificate is signed by "
                                      "somebody else than cacert (SSL certificate problem: unable to get local issuer "
                                      "certificate; [etcd] in ")


@pytest.mark.parametrize("end, names, words", [
    ("20210101000000Z", "IP:127.0.0.1", "its certificate has expired, or the clock here is wrong"),
    ("20991231000000Z", "DNS:elsewhere.example", "its certificate is for another name: ask it by a name that the "
                                                 "certificate has"),
])
def test_a_certificate_that_is_not_accepted(authority, settings, run, end, names, words):
    with Impostor(certificate=authority.sign("impostor" + end, names, end)) as impostor:
        answer = run(f"etcd:{impostor.url}", settings, "list")
        assert answer["errno"] == "EACCES"
        assert answer["error"].startswith(f"etcd does not answer: {impostor.url}: {words} (")
        assert impostor.asked == 0


def test_no_certificate_of_ours(guarded, settings, run, stranger):
    del settings["cert"], settings["key"]
    answer = run(guarded.where("pool"), settings, "list")
    assert answer["errno"] == "EACCES"
    assert f"{guarded.members[0].url}: it does not accept our certificate (cert and key) (" in answer["error"]
    settings["cert"], settings["key"] = stranger.sign("client")
    answer = run(guarded.where("pool"), settings, "list")
    assert answer["errno"] == "EACCES"
    assert f"{guarded.members[0].url}: it does not accept our certificate (cert and key) (" in answer["error"]


def test_a_certificate_with_a_name_and_users(guarded, settings, run, authority):
    settings["cert"], settings["key"] = authority.sign("named")
    answer = run(guarded.where("pool"), settings, "list")
    assert answer == {"errno": "EACCES", "error": f"etcd does not answer: {guarded.members[0].url}: etcd takes no "
                      "certificate with a CommonName here when it has users: cert needs a subject without one"}


def test_a_change_without_a_certificate(guarded, settings, run, stranger):
    """Who is not let in has changed nothing, and that is no doubt."""
    settings["cert"], settings["key"] = stranger.sign("changer")
    answer = run(guarded.where("pool"), {**settings, "user": ""}, "txn", "create:history/x:01")
    assert answer["errno"] == "EACCES" and "it does not accept our certificate" in answer["error"]


def test_files_that_are_not_there(guarded, settings, run, tmp_path):
    where = guarded.where("pool")
    answer = run(where, {**settings, "cacert": tmp_path / "none"}, "list")
    assert answer["errno"] == "EACCES" and "cacert cannot be read, or has no certificate in it" in answer["error"]
    answer = run(where, {**settings, "key": tmp_path / "none"}, "list")
    assert answer["errno"] == "EACCES" and "cert or key cannot be read, or they do not belong together" in answer["error"]
    del settings["key"]
    answer = run(where, settings, "list")
    assert answer == {"errno": "EINVAL", "error": f"{tmp_path}/pool.conf: [etcd] has one of cert and key, and both are "
                                                  "needed"}


def test_http_and_https(guarded, open_to_all, settings, run):
    url = guarded.members[0].url.replace("https", "http")
    answer = run(f"etcd:{url}/pool", {}, "list")
    assert answer["error"] == f"etcd does not answer: {url}: Empty reply from server: does it want https://?"
    url = open_to_all.members[0].url.replace("http", "https")
    answer = run(f"etcd:{url}/pool", {"cacert": settings["cacert"]}, "list")
    assert answer["errno"] == "EACCES"
    assert answer["error"].startswith(f"etcd does not answer: {url}: no TLS comes about with it: http:// in the place of https://?")


# ---- users ----

def test_a_wrong_password(guarded, settings, run):
    settings["password_file"].write_text("wrong")
    answer = run(guarded.where("pool"), settings, "list")
    assert answer["errno"] == "EACCES"
    assert answer["error"].startswith(f"{guarded.members[0].url}: the user or the password is wrong: see user and "
                                      "password_file in [etcd] of ")
    answer = run(guarded.where("pool"), {**settings, "user": "x\x1b[31m"}, "list")
    assert answer["errno"] == "EACCES" and "the user or the password is wrong" in answer["error"]


def test_no_user(guarded, settings, run):
    del settings["user"]
    answer = run(guarded.where("pool"), settings, "list")
    assert answer["errno"] == "EACCES"
    assert "etcd wants a user: set user and password_file in [etcd] of " in answer["error"]


def test_no_rights(guarded, settings, run):
    advice = f"{guarded.members[0].url}: the user has no right to that: 'etcdctl role grant-permission ROLE --prefix " \
             "readwrite PREFIX/'"
    for prefix, user, words in (("pool", "nobody", ["list"]), ("elsewhere", "pool", ["get", "pool"]),
                                ("pool", "reader", ["txn", "create:history/2:01"]), ("pools", "pool", ["list"]),
                                ("elsewhere", "pool", ["watch", "all", 1, 600000])):
        answer = run(guarded.where(prefix), {**settings, "user": user}, *words)
        assert answer["errno"] == "EACCES" and answer["error"].startswith(advice), answer
    assert run(guarded.where("pool"), {**settings, "user": "reader"}, "get", "history/2")["found"]["revision"] == 0


def test_a_user_where_everybody_may(open_to_all, settings, run):
    answer = run(open_to_all.where("pool"), settings, "list")
    assert answer["errno"] == "EACCES" and "a user is set, but etcd lets everybody in: 'etcdctl auth enable' there, or " \
                                           "take user out of [etcd] of " in answer["error"]


def test_no_password_without_tls(settings, run):
    answer = run("etcd:http://192.0.2.1:2379", settings, "list")  # TEST-NET-1: nobody is there, and nobody is asked
    assert answer == {"errno": "EACCES",
                      "error": "http://192.0.2.1:2379: the password is not sent without TLS; https:// is needed"}


def test_password_files(guarded, settings, run, tmp_path):
    where, file = guarded.where("pool"), settings["password_file"]
    for content, words in (("two\nlines\n", "the password file has more than one line"),
                           ("", "the password file has no line of at most 4096 bytes without NUL"),
                           ("x" * 5000, "the password file has no line of at most 4096 bytes without NUL"),
                           ("a\0b", "the password file has no line of at most 4096 bytes without NUL")):
        file.write_text(content)
        assert run(where, settings, "list") == {"errno": "EINVAL", "error": f"{file}: {words}"}
    file.write_text(PASSWORD)
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        answer = run(where, settings, "list")
        assert answer["errno"] == "EACCES" and answer["error"].startswith(f"{file}: others may read the password")
    assert run(where, {**settings, "password_file": tmp_path}, "list")["error"] == f"{tmp_path}: the password file is no file"
    answer = run(where, {**settings, "password_file": tmp_path / "none"}, "list")
    assert answer == {"errno": "ENOENT", "error": f"{tmp_path}/none: No such file or directory"}
    del settings["password_file"]
    assert run(where, settings, "list")["error"].endswith("pool.conf: [etcd] has a user, and no password_file")


def test_a_token_that_etcd_has_forgotten(guarded, settings, tmp_path):
    """A member keeps tokens in memory: begun anew it knows none, and the user is asked for another."""
    client = Client(guarded.where("pool"), configuration(tmp_path / "pool.conf", **settings))
    assert client("txn", "put:pool:01")["outcome"] == "committed"
    guarded.members[0].kill()
    guarded.members[0].start()
    assert guarded.members[0].wait()
    assert client("txn", "create:history/token:02", "put:pool:02")["outcome"] == "committed"
    assert client("get", "pool")["found"]["value"] == "02"
    client.close()


# ---- the address ----

@pytest.mark.parametrize("where, words", [
    ("etcd:", "'' is no address of etcd: "),
    ("etcd:localhost:2379", "'localhost:2379' is no address of etcd: "),
    ("etcd:ftp://a", "'a' is no address of etcd: it begins with https://, or http://"),
    ("etcd:https://me:secret@a:2379", "'a' is no address of etcd: a user and a password_file stand in the section [etcd]"),
    ("etcd:https://a/?x", "'a' is no address of etcd: there is a '?' or a '#' behind it"),
    ("etcd:https://a/b,https://c", "'/b' is no address of etcd: a prefix stands behind the last address"),
    ("etcd:https://a/b//c", "'/b//c' is no address of etcd: "),
    ("etcd:https://a/b%20\x1b", "is no address of etcd: "),
    ("etcd:https://a,", "'' is no address of etcd: "),
    ("etcd:" + ",".join(["https://a"] * 17), "'https://a' is no address of etcd: more than 16 of them"),
])
def test_an_address_that_is_none(where, words):
    answer = run_client(where, "list")
    assert answer["errno"] == "EINVAL" and words in answer["error"] and "secret" not in answer["error"], answer
