# SPDX-License-Identifier: MIT
"""Our own save and restore in real Xen hosts: stock xl and libxl, and in the helper's place libxenlevel, on either side or
both, with stock Xen's helper on the other."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_gate import put_together, take_apart
from verifiers import assert_valid, verify, verify_by_stock
from xenlab.link import Fault
from xenlab.tools import GATE

LOG = "/root/gate.log"
OWN = {"LIBXL_SAVE_HELPER": GATE, "XENLEVEL_STREAM": "xenlevel", "XENLEVEL_LOG": LOG}
GATED = {"LIBXL_SAVE_HELPER": GATE, "XENLEVEL_LOG": LOG}
STOCK = {}
WHO = {"ours": OWN, "stock": STOCK}
ALL = list(itertools.product(WHO, WHO))
BOTH = [pair for pair in ALL if "ours" in pair]

CPUID_POLICY, STATIC_DATA_END, VERIFY, CHECKSUM = 0x11, 0x10, 0xD, 0x80584c01


@pytest.fixture(autouse=True)
def no_logs(request):
    for name in ("cascadelake", "cascadelake_twin", "sandybridge"):
        if name in request.fixturenames:
            request.getfixturevalue(name).run(f"rm -f {LOG} /root/*.img")


def log_of(host):
    return host.run(f"cat {LOG} 2>/dev/null").out


def sums(**more):
    return {**OWN, "XENLEVEL_CHECKSUMS": "1", **more}


def assert_who(host, who, did):
    """It was really that one that did it."""
    assert (f"xenlevel: {did} " in log_of(host)) == (who == "ours"), log_of(host)


def assert_well(host, name, digest, ticks=2):
    log = host.wait_probe(name, ticks)
    assert log.healthy and log.changes == [] and {t.cpuid for t in log.ticks} == {digest}


# ---- every combination ----

@pytest.mark.parametrize("saver,restorer", ALL)
def test_save_and_restore(cascadelake, saver, restorer):
    cascadelake.create_probe("web1", memory=24, dirty=True).check()
    digest = cascadelake.wait_probe("web1").ticks[0].cpuid
    for turn in range(2):           # the second save shows that the first restore gave it its rings again
        cascadelake.run("rm -f " + LOG)
        cascadelake.run("xl save web1 /root/web1.img", env=WHO[saver]).check()
        assert_who(cascadelake, saver, "saved")
        if not turn:
            assert_valid(cascadelake.get("/root/web1.img"))
        cascadelake.run("xl restore /root/web1.img", env=WHO[restorer]).check()
        assert_who(cascadelake, restorer, "restored")
        assert_well(cascadelake, "web1", digest)


@pytest.mark.parametrize("sender,receiver", BOTH)
def test_live_migration(lab, cascadelake, cascadelake_twin, sender, receiver):
    cascadelake.create_probe("big", memory=48, dirty=True).check()
    digest = cascadelake.wait_probe("big").ticks[0].cpuid
    line = bytearray()
    m = lab.migrate(cascadelake, cascadelake_twin, "big", env_src=WHO[sender], env_dst=WHO[receiver], record=line)
    assert m.ok, m.src.err
    assert_who(cascadelake, sender, "saved")
    assert_who(cascadelake_twin, receiver, "restored")
    assert m.bytes_moved > 40 << 20
    assert_valid(bytes(line))
    if sender == "ours":        # and memory was in it more than once
        assert int(re.search(r"pages in (\d+) rounds", log_of(cascadelake)).group(1)) >= 3
    assert_well(cascadelake_twin, "big", digest, 9)
    assert not cascadelake.domains()


@pytest.mark.parametrize("receiver", WHO)
def test_checksums(lab, cascadelake, cascadelake_twin, receiver):
    """Records that stock Xen does not know: it skips them, we compare them.  Debian's verifier does not skip them, and
    that is all it finds.  And all memory a second time, for either to compare."""
    cascadelake.create_probe("web1").check()
    digest = cascadelake.wait_probe("web1").ticks[0].cpuid
    line = bytearray()
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=sums(), env_dst=WHO[receiver], record=line, options=["--debug"])
    assert m.ok, m.src.err
    assert not re.search(r"verify pfn|not what the sender has", m.dst.err), m.dst.err
    assert_who(cascadelake, "ours", "saved")
    assert_who(cascadelake_twin, receiver, "restored")
    assert_well(cascadelake_twin, "web1", digest)
    kinds = [kind for kind, _ in take_apart(bytes(line))[2]]
    assert CHECKSUM in kinds and kinds.count(VERIFY) == 1
    assert verify(bytes(line)).returncode == 0
    before, headers, records, behind = take_apart(bytes(line))
    plain = put_together(before, headers, [r for r in records if r[0] != CHECKSUM], behind)
    assert_valid(plain)
    stock = verify_by_stock(bytes(line))
    assert stock.returncode != 0 and f"Unrecognised record type {CHECKSUM:#x}" in stock.stderr.decode()


# ---- PV: page tables, p2m, shared info, vCPUs ----

def assert_pv_ticks_on(host, name, before):
    host.wait_pv_tick(name, before + 2)
    assert host.domains().keys() == {name}


@pytest.mark.parametrize("saver,restorer", BOTH)
def test_pv_save_and_restore(cascadelake, saver, restorer):
    cascadelake.create_pv_linux("pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    for turn in range(2):
        cascadelake.run("rm -f " + LOG)
        before = cascadelake.pv_ticks("pv")[-1]
        cascadelake.run("xl save pv /root/pv.img", env=WHO[saver], timeout=120).check()
        assert_who(cascadelake, saver, "saved")
        if not turn:
            assert_valid(cascadelake.get("/root/pv.img"))
        cascadelake.run("xl restore /root/pv.img", env=WHO[restorer], timeout=120).check()
        assert_who(cascadelake, restorer, "restored")
        assert_pv_ticks_on(cascadelake, "pv", before)


@pytest.fixture(scope="module")
def moved_pv():
    """{saver: how far the PV guest had counted} of the images that are on the other host; 100 MB cost 12 CPU seconds to get
    there, so each is brought once, whoever restores it."""
    return {}


def bring_pv(here, there, saver, path):
    """Save a PV guest, verify what was saved, and bring it to the other host; returns how far it had counted."""
    here.start_pv_linux("pv")
    before = here.pv_ticks("pv")[-1]
    here.run("xl save pv /root/pv.img", env=sums() if saver == "ours" else STOCK, timeout=120).check()
    assert_who(here, saver, "saved")
    image = here.get("/root/pv.img")
    r = verify(image)
    assert r.returncode == 0, r.stdout.decode()
    there.run("rm -f /run/kept-pv-*")
    there.put(path, image, 0o600)
    return before


@pytest.mark.parametrize("saver,restorer", BOTH)
def test_pv_on_another_host(cascadelake, cascadelake_twin, moved_pv, saver, restorer):
    """Other machine frames: dom0 and Xen have been up for different times, and the memory was given out differently. What we
    save has checksums here."""
    cascadelake_twin.create_probe("in-the-way", memory=16).check()
    path = f"/run/kept-pv-{saver}"
    if saver not in moved_pv or cascadelake_twin.run(["[", "-e", path, "]"]).rc:        # it may have been booted anew
        moved_pv[saver] = bring_pv(cascadelake, cascadelake_twin, saver, path)
    cascadelake_twin.forget_console("pv")       # of the one before
    cascadelake_twin.run(["xl", "restore", path], env=WHO[restorer], timeout=120).check()
    assert_who(cascadelake_twin, restorer, "restored")
    cascadelake_twin.wait_pv_tick("pv", moved_pv[saver] + 2)


def test_pv_that_cannot_be_logged(lab, cascadelake, cascadelake_twin):
    """Debian's Xen has no shadow paging, without which nobody can see what a PV domain writes: stock xl cannot move one
    live either. It says so, and the domain goes on."""
    cascadelake.start_pv_linux("pv")
    for who in (STOCK, OWN):
        before = cascadelake.pv_ticks("pv")[-1]
        m = lab.migrate(cascadelake, cascadelake_twin, "pv", env_src=who, env_dst=OWN)
        assert m.src.rc != 0 and not cascadelake_twin.domains()
        cascadelake.wait_pv_tick("pv", before + 2)
    assert "logging what domain" in m.src.err and "does not offer it" in m.src.err
    assert "without providing results" not in m.src.err


# ---- refused, broken, called off ----

def assert_still_here(host, elsewhere, name="web1"):
    log = host.wait_probe(name, 3)
    assert log.healthy and log.changes == []
    assert not elsewhere.domains()


def test_another_cpu_is_refused_by_name(lab, cascadelake, sandybridge):
    cascadelake.create_probe("web1").check()
    cascadelake.wait_probe("web1")
    m = lab.migrate(cascadelake, sandybridge, "web1", env_src=OWN, env_dst=OWN)
    assert m.src.rc != 0 and "bmi1" in m.dst.err and m.bytes_moved < 2 << 20
    assert_still_here(cascadelake, sandybridge)


def test_a_flipped_byte_is_refused(lab, cascadelake, cascadelake_twin):
    """In the middle of memory, where stock Xen would take it for the guest's."""
    cascadelake.create_probe("web1", memory=16, dirty=True).check()
    cascadelake.wait_probe("web1")
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=sums(), env_dst=OWN, fault=Fault(corrupt=9 << 20))
    assert m.src.rc != 0 and "CHECKSUM" in m.dst.err, m.dst.err
    assert_still_here(cascadelake, cascadelake_twin)


@pytest.mark.parametrize("at", [30_000, 5 << 20, 16 << 20])
def test_a_cut_line(lab, cascadelake, cascadelake_twin, at):
    cascadelake.create_probe("web1", memory=16, dirty=True).check()
    cascadelake.wait_probe("web1")
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OWN, env_dst=OWN, fault=Fault(cut=at))
    assert m.src.rc != 0
    assert_still_here(cascadelake, cascadelake_twin)
    # Nothing is left of the attempt: it can go now.
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OWN, env_dst=OWN)
    assert m.ok, m.src.err


TERMINATE = """
for i in $(seq 1 300); do
    for p in /proc/[0-9]*; do
        read comm < $p/comm 2>/dev/null || continue
        case $comm in xenlevel-save*) kill -TERM ${p#/proc/} && echo terminated; exit;; esac
    done
    usleep 10000
done
"""


def test_sigterm_undoes_a_save(lab, cascadelake, cascadelake_twin):
    """libxl's way to call a save off.  The line stalls, so that the helper is surely in the middle of it."""
    cascadelake.create_probe("web1", memory=24, dirty=True).check()
    cascadelake.wait_probe("web1")
    fault = Fault(stall=4 << 20, stall_seconds=60)

    def terminate():
        assert fault.stalled.wait(120)
        return cascadelake.run(TERMINATE)

    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(terminate)
        m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OWN, env_dst=OWN, fault=fault, timeout=240)
        assert "terminated" in killer.result().out
    assert m.src.rc != 0
    assert "Operation canceled" in log_of(cascadelake)
    assert_still_here(cascadelake, cascadelake_twin)
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OWN, env_dst=OWN)
    assert m.ok, m.src.err          # and the log of writes is off, else Xen would refuse to begin one


def test_a_second_policy_behind_the_head(cascadelake):
    """The gate has looked at the first one. We refuse the stream; stock Xen's reader must not use the second."""
    cascadelake.create_probe("web1").check()
    digest = cascadelake.wait_probe("web1").ticks[0].cpuid
    cascadelake.run("xl save web1 /root/web1.img", env=OWN).check()
    before, headers, records, behind = take_apart(cascadelake.get("/root/web1.img"))
    policy = next(body for kind, body in records if kind == CPUID_POLICY)
    lesser = b"".join(policy[i:i + 8] + (bytes(16) if policy[i:i + 4] == b"\7\0\0\0" else policy[i + 8:i + 24])
                      for i in range(0, len(policy), 24))
    assert lesser != policy
    at = next(i for i, (kind, _) in enumerate(records) if kind == STATIC_DATA_END) + 1
    records.insert(at, (CPUID_POLICY, lesser))
    cascadelake.put("/root/x.img", put_together(before, headers, records, behind), 0o600)

    r = cascadelake.run("xl restore /root/x.img", env=OWN, timeout=90)
    assert r.rc != 0 and "(X86_CPUID_POLICY): it does not belong here" in r.err, r.err
    assert not cascadelake.domains()
    r = cascadelake.run("xl restore /root/x.img", env=GATED, timeout=90)
    if r.rc == 0:
        assert_well(cascadelake, "web1", digest)
    else:
        assert not cascadelake.domains()


def test_a_wrong_setting(cascadelake):
    cascadelake.create_probe("web1").check()
    cascadelake.run("xl save web1 /root/web1.img", env={**OWN, "XENLEVEL_STREAM": "xenlevle"}).check()
    assert "XENLEVEL_STREAM is 'xenlevle'" in log_of(cascadelake)
    r = cascadelake.run("xl restore /root/web1.img", env={**OWN, "XENLEVEL_STREAM": "xenlevle"})
    assert r.rc != 0 and "XENLEVEL_STREAM is 'xenlevle'" in " ".join(r.err.split())
