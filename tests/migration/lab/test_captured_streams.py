# SPDX-License-Identifier: MIT
"""The streams that stock Xen once wrote (tests/migration/streams), on hosts with the CPUs that wrote them: restored by us,
saved by us, restored by stock Xen.  (The HVM one: test_device_model.py; the PV one, from which nothing boots:
test_hostile.py.)"""

import gzip
import lzma
from pathlib import Path

import pytest

from test_stream import LOG, OWN, STOCK, assert_who
from verifiers import assert_valid

STREAMS = Path(__file__).resolve().parents[1] / "streams"


@pytest.fixture(autouse=True)
def no_logs(request):
    for name in ("cascadelake", "amd_rich"):
        if name in request.fixturenames:
            request.getfixturevalue(name).run(f"rm -f {LOG} /root/*.img")


def kept(name):
    return lzma.decompress((STREAMS / f"{name}.save.xz").read_bytes())


def put(host, path, image):
    """Mostly zeros and numbers that count up: packed for the way."""
    host.run(f"gunzip > {path}", stdin=gzip.compress(image, 1)).check()


def assert_well(host, ticks=2):
    """Its CPU is the one it had when it was captured, or it would say that it changed."""
    log = host.wait_probe("probe", ticks)
    assert log.healthy and log.changes == [] and log.lines[0] == "resumed", log.lines
    return {t.cpuid for t in log.ticks}


def there_and_back(host, name):
    put(host, "/root/kept.img", kept(name))
    host.run("xl restore /root/kept.img", env=OWN).check()
    assert_who(host, "ours", "restored")
    assert "not what the sender has" not in host.run(f"cat {LOG}").out
    digest = assert_well(host)

    host.run(f"rm -f {LOG} /root/kept.img")
    host.run("xl save probe /root/again.img", env=OWN).check()
    assert_who(host, "ours", "saved")
    assert_valid(host.get("/root/again.img"))

    host.run("xl restore /root/again.img", env=STOCK).check()
    assert assert_well(host) == digest


def test_on_cascade_lake(cascadelake):
    """All of its memory comes twice: behind VERIFY it is compared, and nothing differs."""
    there_and_back(cascadelake, "live-pvh-cascadelake")


def test_on_amd(amd_rich):
    there_and_back(amd_rich, "pvh-amd-rich")
