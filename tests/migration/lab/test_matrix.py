# SPDX-License-Identifier: MIT
"""What a guest of each kind that one release saved becomes under the other: README's table of moves, row by row.

Saved here and restored there shows the same as a live migration and costs a third (test_releases.py has some live ones). The cells
of a row are restores of the same image: by stock Xen alone, by the stock helper behind the gate, by our own engine. One that is
refused is given its head alone, so it was refused before any memory.
"""

from functools import cache

import pytest

from matrix import Matrix
from test_captured_streams import kept, put
from test_gate import one_line
from test_releases import GATED, LOG, OWN, XCR0_SIZE, lapic_length, log_of
from verifiers import verify
from xenlab import device_model

WHO = {"stock": {}, "gate": GATED, "ours": OWN}
BEHIND = ("gate", "ours")
IMAGE = "/root/moved.img"
HEAD = 256 << 10                # of an image: more than all that is before memory, less than any memory
UP, DOWN = "4.17 to 4.20", "4.20 to 4.17"
SAME, UNLIKE, LEVELLED = "same", "unlike", "unlike, levelled"
GOES, CHANGES, REFUSED, LATE = "goes", "success, **CPU changes**", "refused by name", "**fails after all memory**"
NOT_TRIED = "–"
# Cascade Lake's that Sandy Bridge lacks, as far as Xen offers it to guests in an emulator.
LACKS = ("movbe", "bmi1", "bmi2")
TOO_NEW = "LAPIC entries of 32 bytes, of which Xen takes only 24 here"


@pytest.fixture(scope="session")
def matrix(lab, build_directory):
    versions = []
    for xen in ("4.17", "4.20"):
        packages = lab.release(xen)[0]
        versions.append(f"Debian's Xen {packages.version[f'xen-hypervisor-{xen}-amd64']}")
    return Matrix(build_directory, versions)


@pytest.fixture(autouse=True)
def no_logs(request):
    for name in ("cascadelake", "sandybridge", "cascadelake_420", "sandybridge_420"):
        if name in request.fixturenames:
            request.getfixturevalue(name).run(f"rm -f {LOG} {IMAGE}")
    IMAGES.clear()


@pytest.fixture
def pool_of(lab):
    """A function of hosts: the level of all of them, in the first one's /root/pool.xlp."""
    def level(first, *others):
        for host in (first, *others):
            host.run(f"xenlevel host --name {host.name} -o /root/{host.name}.xlp").check()
        for host in others:
            first.put(f"/root/{host.name}.xlp", host.get(f"/root/{host.name}.xlp"), 0o644)
        names = " ".join(f"/root/{host.name}.xlp" for host in (first, *others))
        first.run(f"xenlevel level {names} -o /root/pool.xlp").check()
    return level


IMAGES = {}     # what is in IMAGE on a host: several restore the same


def saved(host, name, who):
    IMAGES.pop(host, None)
    host.run(f"rm -f {LOG}; xl save {name} {IMAGE}", env=WHO[who], timeout=120).check()
    assert ("xenlevel: saved " in log_of(host)) == (who == "ours")
    image = host.get(IMAGE)
    host.run(["rm", IMAGE])
    return image


def restored(host, image, who):
    if IMAGES.get(host) is not image:
        put(host, IMAGE, image)
        IMAGES[host] = image
    r = host.run(f"rm -f {LOG}; xl restore {IMAGE}", env=WHO[who], timeout=120)
    assert ("xenlevel: restored " in log_of(host)) == (who == "ours" and r.rc == 0), log_of(host)
    assert ("xenlevel: passed: " in log_of(host)) == (who in BEHIND and r.rc == 0), log_of(host)
    return r


def probe_after(host, name, image, who):
    """What became of a probe, whose whole CPUID is compared with what it read when it was born; it runs on."""
    restored(host, image, who).check()
    log = host.wait_probe(name, 2)
    assert log.healthy
    assert not log.changes or host.packages.release.xen == "4.20"
    return GOES if [str(c) for c in log.changes] in ([], [XCR0_SIZE]) else CHANGES


@cache
def head_of(image):
    return image[:HEAD]


def refused(host, image, who, *words):
    r = restored(host, head_of(image), who)
    assert r.rc != 0 and "xenlevel: error: refused: " in r.err, r.err
    assert all(word in one_line(r.err) and word in log_of(host) for word in words), r.err
    assert host.domains() == {}
    return REFUSED


def fails_late(host, image):
    """Xen itself takes all of the memory, and then not the context."""
    r = restored(host, image, "stock")
    assert r.rc != 0 and "Unable to restore HVM context" in r.err, r.err
    assert any("type 5 length 24, saw type 5 length 32" in said for said in host.xen_log()[-40:])
    assert host.domains() == {}
    return LATE


def moved(host, name, image, who):
    """One that goes, and leaves no trace."""
    result = probe_after(host, name, image, who)
    host.destroy(name)
    return result


def see_probes(matrix, guest, name, images, hosts, alone):
    """The rows of a PVH or HVM probe that 4.17 saved, and of the same one when 4.20 has saved it. `alone`: stock Xen's too."""
    home, same, unlike = hosts
    born, levelled = images
    matrix.see(guest, UP, SAME, stock=moved(same, name, born, "stock") if alone else NOT_TRIED,
               gate=moved(same, name, born, "gate"), ours=probe_after(same, name, born, "ours"))
    back = saved(same, name, "stock")
    assert lapic_length(back) == 32 and verify(back).returncode == 0
    matrix.see(guest, UP, UNLIKE, stock=moved(unlike, name, born, "stock") if alone else NOT_TRIED,
               **{who: refused(unlike, born, who, *LACKS) for who in BEHIND})
    matrix.see(guest, UP, LEVELLED, stock=NOT_TRIED, **{who: moved(unlike, name, levelled, who) for who in BEHIND})
    matrix.see(guest, DOWN, SAME, stock=fails_late(home, back), **{who: refused(home, back, who, TOO_NEW) for who in BEHIND})
    matrix.compare(guest, SAME, UNLIKE, LEVELLED)


def test_pvh(matrix, pool_of, cascadelake, cascadelake_420, sandybridge_420):
    cascadelake.create_probe("web1").check()
    born = saved(cascadelake, "web1", "ours")
    pool_of(cascadelake, sandybridge_420)
    cascadelake.create_probe("web1", paused=True).check()
    cascadelake.run("xenlevel apply web1 /root/pool.xlp && xl unpause web1").check()
    cascadelake.wait_probe("web1")
    levelled = saved(cascadelake, "web1", "stock")
    see_probes(matrix, "PVH", "web1", (born, levelled), (cascadelake, cascadelake_420, sandybridge_420), alone=True)


# ---- PV ----

def ticks_after(host, image, who):
    """A PV Linux goes on counting; it stays."""
    restored(host, image, who).check()
    host.wait_pv_tick("pv", 0)
    host.wait_pv_tick("pv", host.pv_ticks("pv")[-1] + 1)
    return GOES


def counted(host, image, who):
    result = ticks_after(host, image, who)
    host.destroy("pv")
    return result


def test_pv_up_and_down(matrix, pool_of, cascadelake, sandybridge, cascadelake_420, sandybridge_420):
    """A Linux that 4.17 started; what is not levelled."""
    cascadelake.create_pv_linux("pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    born = saved(cascadelake, "pv", "stock")
    matrix.see("PV", UP, SAME, stock=NOT_TRIED, gate=counted(cascadelake_420, born, "gate"),
               ours=ticks_after(cascadelake_420, born, "ours"))
    back = saved(cascadelake_420, "pv", "ours")
    matrix.see("PV", DOWN, SAME, stock=NOT_TRIED, **{who: counted(cascadelake, back, who) for who in BEHIND})
    matrix.see("PV", UP, UNLIKE, stock=NOT_TRIED, **{who: refused(sandybridge_420, born, who, *LACKS) for who in BEHIND})
    matrix.see("PV", DOWN, UNLIKE, stock=NOT_TRIED, **{who: refused(sandybridge, back, who, *LACKS) for who in BEHIND})
    matrix.compare("PV", SAME, UNLIKE)


def test_levelled_pv_up_and_down(matrix, pool_of, cascadelake, sandybridge_420):
    pool_of(cascadelake, sandybridge_420)
    cascadelake.create_pv_linux("pv", paused=True).check()
    cascadelake.run("xenlevel apply pv /root/pool.xlp && xl unpause pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    levelled = saved(cascadelake, "pv", "ours")
    matrix.see("PV", UP, LEVELLED, stock=NOT_TRIED, gate=counted(sandybridge_420, levelled, "gate"),
               ours=ticks_after(sandybridge_420, levelled, "ours"))
    back = saved(sandybridge_420, "pv", "stock")
    matrix.see("PV", DOWN, LEVELLED, stock=NOT_TRIED, gate=counted(cascadelake, back, "gate"), ours=NOT_TRIED)
    matrix.compare("PV", LEVELLED)


# ---- HVM ----

@pytest.fixture
def device_models(lab, cascadelake_420, sandybridge_420):
    """Debian 13's QEMU in the two 4.20 hosts. They are booted anew after it: it fills the memory of dom0, where a PV guest's image of
    100 MB finds no room behind it."""
    hosts = cascadelake_420, sandybridge_420
    for host in hosts:
        host.install(device_model.files(host.packages))
    yield
    for host in hosts:
        lab.remove(host)


def test_hvm_with_a_device_model(matrix, device_models, cascadelake, cascadelake_420, sandybridge_420):
    """Saved by 4.17 once for all (its firmware takes a minute): QEMU 7.2's state goes to QEMU 10."""
    images = kept("hvm-cascadelake"), kept("hvm-level-cascadelake")
    see_probes(matrix, "HVM", "hvm", images, (cascadelake, cascadelake_420, sandybridge_420), alone=False)
