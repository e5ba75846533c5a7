# SPDX-License-Identifier: MIT
"""An HVM guest with a device model, Debian's QEMU: our save and restore with libxl's, on either side.

QEMU's own state is in libxl's layer and libxl's work; ours is that it logs what it writes while memory is sent, and that
everything around it is as libxl wants it.
"""

import pytest

from test_captured_streams import kept, put
from test_stream import LOG, OWN, STOCK, assert_who
from verifiers import assert_valid
from xenlab import device_model


@pytest.fixture
def hosts(lab, cascadelake, cascadelake_twin):
    files = device_model.files(lab.packages)
    for host in (cascadelake, cascadelake_twin):
        if not files.keys() <= host.files.keys():
            host.install(files)
        host.run(f"rm -f {LOG} /root/*.img")
    return cascadelake, cascadelake_twin


def assert_well(host):
    log = host.wait_probe("hvm", 2)
    assert log.healthy and log.changes == [] and log.lines[0] == "resumed", log.lines
    return {t.cpuid for t in log.ticks}


def test_restored_and_migrated(lab, hosts):
    """What stock Xen saved (its firmware took a minute to start it), restored by us, and moved on live to a stock host."""
    here, there = hosts
    put(here, "/root/hvm.img", kept("hvm-cascadelake"))
    here.run("xl restore /root/hvm.img", env=OWN).check()
    assert_who(here, "ours", "restored")
    digest = assert_well(here)

    line = bytearray()
    m = lab.migrate(here, there, "hvm", env_src=OWN, env_dst=STOCK, record=line, verbose=["-vvv"])
    assert m.ok, m.src.err
    assert_who(here, "ours", "saved")
    assert_who(there, "stock", "restored")
    assert assert_well(there) == digest
    # Asked for by us, done by libxl: QEMU's log on, then off (tests/migration/cli/test_engine.py sees which is which).
    assert m.src.err.count("cmd 'xen-set-global-dirty-log'") == 2, m.src.err
    assert b"QEVM" in line, "no device model was in it"
    assert_valid(bytes(line))
