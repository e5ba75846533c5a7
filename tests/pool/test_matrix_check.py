# SPDX-License-Identifier: MIT
"""Every answer of `xenlevel pool matrix` is the one that `xenlevel check` gives for that guest and that host."""

import json
from pathlib import Path

import pytest
from registry import BUILD, MACHINES, ROOT, XENLEVEL, run

XL_SIM = BUILD / "tools/xl/xl-sim"
RUN = ["intel-sandybridge-ep", "intel-haswell-ep", "intel-cascadelake-sp", "amd-castle-peak", "hygon-dhyana"]


def create(host, name, kind, **settings):
    run(XL_SIM, "-s", host, "create", "/dev/null", f"name={name}", f"type={kind}", "memory=64",
        *(f"{k}={v}" for k, v in settings.items()))


@pytest.fixture
def mixed(pool, hosts, tmp_path):
    """Vendors and generations mixed, guests born on their host and on a level, hosts of a newer Xen and of unknown words."""
    pool("init", "-n", "mixed")
    running = dict(zip(RUN, hosts(*RUN)))
    files = {name: host.capture(tmp_path / f"{name}.xlp", "--name", name) for name, host in running.items()}
    level = tmp_path / "level.xlp"
    run(XENLEVEL, "level", *(files[name] for name in RUN[:3]), "-o", level)
    for name, host in running.items():
        for kind in ("hvm", "pvh", "pv"):
            create(host, f"{kind}-{name}", kind)
    create(running["intel-haswell-ep"], "levelled-hvm", "hvm", cpu_policy=level)
    create(running["intel-haswell-ep"], "levelled-pv", "pv", cpu_policy=level)
    for name, host in running.items():
        pool("join", "--name", name, host=host)
    for name in ("intel-haswell-ep", "intel-icelake-sp", "amd-bergamo"):
        files[f"newer-{name}"] = tmp_path / f"newer-{name}.xlp"
        run(XENLEVEL, "host", "--dump", MACHINES / f"{name}.cpuid", "--xen", "4.20", "-o", files[f"newer-{name}"])
    files["xl-info"] = tmp_path / "xl-info.xlp"
    run(XENLEVEL, "host", "--dump", ROOT / "tests/data/forms/xl-info.txt", "-o", files["xl-info"])
    for name in files:
        if name not in running:
            pool("join", "--name", name, "--host", files[name])
    return pool, files


def ask_check(guest, kind, host):
    """What check says of a guest's policy and a host: yes, no, unknown."""
    done = run(XENLEVEL, "check", "--json", "-t", kind, guest, host, status=None)
    answer, = json.loads(done.stdout)["hosts"]
    assert (done.returncode == 0) == answer["can_run"]
    if answer["can_run"]:
        return "yes", answer
    return "unknown" if answer["reason"] == "unknown" else "no", answer


@pytest.mark.slow
def test_all_pairs(mixed):
    pool, files = mixed
    matrix = pool.json("matrix", "--why", status=1)
    columns = {host: i for i, c in enumerate(matrix["host_classes"]) for host in c["hosts"]}
    assert set(columns) == set(files)
    seen = set()
    for row in matrix["guest_classes"]:
        kind = "pv" if row["type"] == "PV" else "hvm"
        policy = Path(pool.where) / "policy" / f"{row['policy']}.xlp"
        for host, file in files.items():
            said, answer = ask_check(policy, kind, file)
            assert row["answers"][columns[host]] == said, (row, host, answer)
            seen.add(said)
        # A guest that was born on its host by default: check says of the host's file what it says of the guest.
        for guest in row["guests"]:
            if not guest["name"].startswith("levelled"):
                for host, file in files.items():
                    assert row["answers"][columns[host]] == ask_check(files[guest["host"]], kind, file)[0], (guest, host)
    assert seen == {"yes", "no", "unknown"}
