# SPDX-License-Identifier: MIT
"""xenlevel pool init and history, and which registry a command is about."""

import json
import os
import subprocess

import pytest

from registry import XENLEVEL, run


def test_init_makes_a_pool_once(pool):
    assert pool("init", "-n", "web", "--why", "a first try").stdout == f"pool 'web' is in folder {pool.where}\n"
    before = pool.files()
    again = pool("init", "-n", "other", status=2)
    assert again.stderr == f"xenlevel: folder {pool.where}: a pool is there already\n"
    assert pool.files() == before


def test_history_says_who_did_what_and_why(pool):
    pool("init", "-n", "web", "--why", "a first try", SUDO_USER="alice")
    event, = pool.json("history")
    who = "alice" if os.geteuid() == 0 else event["who"].partition("@")[0]
    assert event == {"when": event["when"], "who": f"{who}@{os.uname().nodename}", "what": "init", "subject": "web",
                     "details": [], "why": "a first try"}
    assert pool("history").stdout == f"{event['when']}  init web  by {event['who']}\n    why: a first try\n"
    assert pool("history", "-n", "0").stdout == ""


def test_a_name_from_the_registry_is_printed_safely(pool):
    pool("init", "-n", "a\x1b[31mb")
    assert "init a\\x1b[31mb  by " in pool("history").stdout


@pytest.mark.parametrize("command", ["history"])
def test_a_folder_without_a_pool(pool, command):
    assert pool(command, status=2).stderr == f"xenlevel: {pool.where}: there is no such folder\n"
    pool.where.mkdir()
    assert pool(command, status=2).stderr == \
        f"xenlevel: folder {pool.where}: no pool is there: `xenlevel pool init` makes one\n"
    assert not [*pool.where.iterdir()]    # nothing is left in what is no registry


def test_which_registry(pool, tmp_path):
    conf = tmp_path / "pool.conf"
    conf.write_text(f"# ours\nstore = {tmp_path}/of-conf\n[folder]\nwait = 5\n[etcd]\nuser = me\n")
    run(XENLEVEL, "pool", "init", XENLEVEL_POOL_CONF=conf)
    run(XENLEVEL, "pool", "init", XENLEVEL_POOL_CONF=conf, XENLEVEL_POOL=tmp_path / "of-env")
    run(XENLEVEL, "pool", "init", "-p", tmp_path / "of-option", XENLEVEL_POOL_CONF=conf, XENLEVEL_POOL=tmp_path / "of-env")
    assert all((tmp_path / f"of-{name}/pool.pb").exists() for name in ("conf", "env", "option"))
    said = run(XENLEVEL, "pool", "init", status=2).stderr
    assert said == "xenlevel: which pool? say it by --pool, by XENLEVEL_POOL, or by `store = WHERE` in /dev/null\n"


@pytest.mark.parametrize("text, said", [
    ("stroe = x\n", "1: there is no setting 'stroe' in front of the sections"),
    ("[etcd]\n\ncacrt = x\n", "3: there is no setting 'cacrt' in [etcd]"),
    ("[folder]\nwait = 0\n", "2: wait: seconds from 1 to 3600 are needed"),
    ("[folder]\nwait = 5s\n", "2: wait: seconds from 1 to 3600 are needed"),
    ("store = /a\n\nstore = /b\n", "3: store is said twice"),
    ("store = srv/pool\n", "1: store: a folder's path from / on, or etcd:..., is needed"),
    ("store\n", "1: neither [SECTION] nor NAME = VALUE"),
    ("a\x1b[0m = 1\n", "1: there is no setting 'a\\x1b[0m' in front of the sections"),
])
def test_a_configuration_that_is_wrong(pool, tmp_path, text, said):
    conf = tmp_path / "pool.conf"
    conf.write_text(text)
    assert pool("init", status=2, XENLEVEL_POOL_CONF=conf).stderr == f"xenlevel: {conf}:{said}\n"
    assert not pool.where.exists()


def test_a_configuration_that_is_named_must_be_there(pool, tmp_path):
    said = pool("init", status=2, XENLEVEL_POOL_CONF=tmp_path / "none").stderr
    assert said == f"xenlevel: {tmp_path}/none: No such file or directory\n"
    assert pool("init", status=2, XENLEVEL_POOL_CONF=tmp_path).stderr == f"xenlevel: {tmp_path}: it cannot be read\n"


def test_the_folder_is_fit_for_git(pool):
    pool("init")
    git = ["git", "-C", str(pool.where), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=600)
    subprocess.run([*git, "add", "-A"], check=True, timeout=600)
    listed = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True, timeout=600).stdout.split()
    assert sorted(listed) == sorted(pool.files())
    subprocess.run([*git, "commit", "-qm", "x"], check=True, timeout=600)
    clone = pool.where.with_name("clone")
    subprocess.run(["git", "clone", "-q", pool.where, clone], check=True, timeout=600)
    assert json.loads(run(XENLEVEL, "pool", "history", "-p", clone, "--json").stdout) == pool.json("history")
