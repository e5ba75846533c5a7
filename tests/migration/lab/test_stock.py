# SPDX-License-Identifier: MIT
"""What stock Xen does when a VM moves between hosts, seen from inside the VM. No part of the project takes part."""

from xenlab import Fault

LOST_7_EBX = 0x00000309         # FSGSBASE, BMI1, BMI2, ERMS: on Cascade Lake, not on Sandy Bridge


def test_migration_to_a_lesser_cpu_succeeds_and_changes_the_guest(lab, cascadelake, sandybridge):
    cascadelake.create_probe("p").check()
    born = cascadelake.wait_probe("p", 2)
    m = lab.migrate(cascadelake, sandybridge, "p")
    assert (m.src.rc, m.dst.rc) == (0, 0)
    assert "Migration successful." in m.src.err
    assert "p" not in cascadelake.domains() and "p" in sandybridge.domains()
    there = sandybridge.wait_probe("p", 2)
    assert there.ticks[-1].n > born.ticks[-1].n, "it did not go on, it began anew"
    change = there.changed(7, "ebx")
    assert change is not None, there.lines
    assert change.lost & LOST_7_EBX == LOST_7_EBX and change.after & LOST_7_EBX == 0
    assert there.changed(1, "ecx") is not None
    assert there.ticks[-1].cpuid != born.ticks[-1].cpuid
    assert there.healthy


def test_migration_to_a_greater_cpu_changes_nothing(lab, cascadelake, sandybridge):
    sandybridge.create_probe("up").check()
    born = sandybridge.wait_probe("up", 2)
    assert lab.migrate(sandybridge, cascadelake, "up").ok
    there = cascadelake.wait_probe("up", 2)
    assert there.changes == [] and there.healthy
    assert {t.cpuid for t in there.ticks} == {born.ticks[0].cpuid}


def test_same_model_both_ways_changes_nothing(lab, cascadelake, cascadelake_twin):
    cascadelake.create_probe("twin", dirty=True).check()
    digest = cascadelake.wait_probe("twin").ticks[0].cpuid
    for src, dst in ((cascadelake, cascadelake_twin), (cascadelake_twin, cascadelake)):
        m = lab.migrate(src, dst, "twin")
        assert m.ok, m.src.err
        log = dst.wait_probe("twin", 2)
        assert log.healthy and log.changes == []
        assert {t.cpuid for t in log.ticks} == {digest}
        assert m.bytes_moved > 1 << 20 and m.bytes_back > 0


def test_64_mb_guest_arrives_whole(lab, cascadelake, cascadelake_twin):
    cascadelake.create_probe("big", memory=64, tick_ms=1000).check()
    m = lab.migrate(cascadelake, cascadelake_twin, "big")
    assert m.ok, m.src.err
    assert m.bytes_moved > 48 << 20
    log = cascadelake_twin.wait_probe("big", 2)         # the first thing it did there was to look at all of it
    assert log.healthy and log.changes == [] and log.lines[0] == "resumed"
    assert "memory did not survive" not in log.lines


def test_a_damaged_stream_is_seen_by_the_probe(lab, cascadelake, cascadelake_twin):
    """The probe must be able to say no, or its ok is worth nothing."""
    cascadelake.create_probe("hurt", memory=24).check()
    m = lab.migrate(cascadelake, cascadelake_twin, "hurt", fault=Fault(corrupt=14 << 20))
    assert m.ok, m.src.err                              # stock Xen has no checksum
    log = cascadelake_twin.wait_probe("hurt", 9)
    assert "memory did not survive" in log.lines
    assert any(t.mem == "BAD" for t in log.ticks)


def test_a_line_cut_early_leaves_the_guest_at_home(lab, cascadelake, sandybridge):
    cascadelake.create_probe("cut").check()
    m = lab.migrate(cascadelake, sandybridge, "cut", fault=Fault(cut=300_000))
    assert m.src.rc != 0 and m.dst.rc != 0
    assert m.bytes_moved <= 300_000
    assert "cut" in cascadelake.domains() and sandybridge.domains() == {}
    log = cascadelake.wait_probe("cut", 2)
    assert log.healthy and log.changes == []
    m = lab.migrate(cascadelake, sandybridge, "cut", fault=Fault(stall=1 << 20, stall_seconds=1.5))
    assert m.ok, "the line must be clean again after a failed migration"
    assert sandybridge.wait_probe("cut", 2).healthy


def test_save_and_restore_on_the_same_host(cascadelake):
    cascadelake.create_probe("file").check()
    born = cascadelake.wait_probe("file", 2)
    cascadelake.save("file").check()
    assert cascadelake.domains() == {}
    cascadelake.restore("/root/guests/file.save").check()
    log = cascadelake.wait_probe("file", 2)
    assert log.domid != born.domid and log.lines[0] == "resumed"
    assert log.ticks[-1].n > born.ticks[-1].n
    assert log.healthy and log.changes == []
    assert "probe:file: resumed" in cascadelake.guest_console("file"), "the PV console does not work after a restore"


def test_a_cancelled_suspend_goes_on(cascadelake):
    """xl save -c leaves the guest running; it is told so."""
    cascadelake.create_probe("keep").check()
    cascadelake.run("xl save -c keep /root/guests/keep.save").check()
    log = cascadelake.wait_probe("keep", 2)
    assert "suspend cancelled" in log.lines and log.healthy


def test_power_off_on_request(cascadelake):
    cascadelake.create_probe("off").check()
    cascadelake.run("xl shutdown -w off", timeout=90).check()
    cascadelake.wait_gone("off")
    assert "told to poweroff" in cascadelake.probe("off").lines


def test_pv_linux_save_and_restore(cascadelake):
    cascadelake.create_pv_linux("pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    cascadelake.save("pv").check()
    before = cascadelake.pv_ticks("pv")[-1]
    assert cascadelake.domains() == {}
    cascadelake.restore("/root/guests/pv.save").check()
    cascadelake.wait_pv_tick("pv", before)
    ticks = cascadelake.pv_ticks("pv")
    assert ticks == sorted(set(ticks)), "it began anew"
