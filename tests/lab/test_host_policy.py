# SPDX-License-Identifier: MIT
"""The derivation of a host's policies, held against stock Xen on every CPU of the catalogue.

Each host is asked for its raw, host, max and default policies; tests/unit/test_host_policy.c derives ours from the raw one
and compares every bit.  What may differ is one table there, with reasons.  The captures of tests/data/hosts were made
by this test: `XENLEVEL_CAPTURES=tests/data/hosts` keeps them, and boots every CPU on every release for it.
"""

import itertools
import os
import subprocess
from pathlib import Path

import pytest

from xenlab import Lab
from xenlab.cpus import CPUS
from xenlab.tools import our_files

NO_GDS = "spec-ctrl=no-gds-mit"         # else AVX is hidden on Intel identities: both ways are compared
HOSTS = [(name, "") for name in CPUS] + [(name, NO_GDS) for name in ("haswell", "skylake", "cascadelake", "icelake")]
KEEP = os.environ.get("XENLEVEL_CAPTURES")
# On each Debian's release, where under tests/data/hosts it is kept.  Of the newer one the kept captures
# were of all hosts; a few are booted again in every check.
LIVE = {"4.17": ("", HOSTS),
        "4.20": ("4.20", HOSTS if KEEP else [("nehalem", ""), ("icelake", NO_GDS), ("opteron_g3", ""), ("amd-rich", "")])}


@pytest.fixture(scope="module", params=LIVE)
def release(request):
    return request.param


@pytest.fixture(scope="module")
def captures(release, build_directory, tmp_path_factory):
    folder, chosen = LIVE[release]
    directory = Path(KEEP) / folder if KEEP else tmp_path_factory.mktemp("captures")
    directory.mkdir(exist_ok=True)
    files = our_files(build_directory)
    paths = []
    with Lab() as lab:
        for pair in itertools.zip_longest(chosen[::2], chosen[1::2]):
            hosts = [(lab.add(cpu + (".nogds" if args else ""), f"{cpu}@{release}", files=files, xen_args=args))
                     for cpu, args in filter(None, pair)]
            for host in hosts:
                host.wait_ready()
                host.run(f"xenlevel host --name {host.name} -o /root/host.xlp").check()
                path = directory / f"{host.name}.xlp"
                path.write_bytes(host.get("/root/host.xlp"))
                paths.append(path)
                lab.remove(host)
    return paths


def test_every_bit_is_what_stock_xen_says(captures, release, build_directory):
    assert len(captures) == len(LIVE[release][1]) >= 4
    result = subprocess.run([build_directory / "tests/unit/test-host-policy", *captures], capture_output=True, text=True,
                            env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"of {len(captures)} hosts compared" in result.stdout + result.stderr


def without_date(text):
    return "\n".join(line for line in text.splitlines() if '"date"' not in line)


def test_the_kept_captures_are_these(captures, release, build_directory):
    """The offline test compares what was captured once: it must still be what a host says today."""
    data = Path(__file__).resolve().parents[1] / "data/hosts" / LIVE[release][0]
    xenlevel = build_directory / "tools/xenlevel/xenlevel"
    for path in captures:
        kept, now = (subprocess.run([xenlevel, "show", "--json", p], capture_output=True, text=True, check=True).stdout
                     for p in (data / path.name, path))
        assert without_date(kept) == without_date(now), path.name
