# SPDX-License-Identifier: MIT
"""The gate in real Xen hosts: stock xl, stock libxl, stock helper, and the gate in front of it."""

import random
import struct
import threading

import pytest

from xenlab.tools import GATE

WITH_GATE = {"LIBXL_SAVE_HELPER": GATE}
OURS = {**WITH_GATE, "XENLEVEL_STREAM": "xenlevel"}     # sends in half the time that the stock helper takes
LOG = "/root/gate.log"
SEEN = "/root/helper-was-started"
STOCK = "/usr/lib/xen-4.17/bin/libxl-save-helper"

# A stock helper that leaves a trace; put in front of the real one where a test must know whether it ran.
TRACER = f"#!/bin/sh\necho \"$@\" >> {SEEN}\nexec {STOCK} \"$@\"\n".encode()

PAGE_DATA, TSC_INFO, STATIC_DATA = 0x1, 0x8, (0x10, 0x11, 0x12)


@pytest.fixture(autouse=True)
def in_place(request):
    """The tracer is in every host of the test, as the gate is, and the logs are new."""
    for name in ("cascadelake", "cascadelake_twin", "sandybridge", "amd_rich", "amd_poor"):
        if name in request.fixturenames:
            host = request.getfixturevalue(name)
            if host.run("[ -x /root/tracer ]").rc:
                host.put("/root/tracer", TRACER)
            host.run(f"rm -f {LOG} {SEEN} /root/*.img")


def env(**more):
    return {**WITH_GATE, "XENLEVEL_LOG": LOG, "XENLEVEL_STOCK_HELPER": "/root/tracer", **more}


def text_of(host, path):
    return host.run(f"cat {path} 2>/dev/null").out


def one_line(text):
    return " ".join(text.split())


def assert_refused(err, host, *names):
    """It was refused with these names at the terminal and in the log, and the stock helper never ran."""
    assert "xenlevel: refused: " in err, err
    assert "xenlevel: error: refused: " in err, "libxl did not say it"
    for name in names:
        assert any(line.split()[:1] == [name] for line in err.splitlines()), (name, err)
    log = text_of(host, LOG)
    assert "xenlevel: refused: " in log and all(name in log for name in names)
    assert text_of(host, SEEN) == "", "the stock helper was started"


def assert_at_home(host, name, elsewhere):
    log = host.wait_probe(name, 3)
    assert log.healthy and log.changes == []
    assert not any(n.startswith(name) for n in elsewhere.domains())


# ---- images: what xl save wrote, taken apart and put together again ----

def take_apart(image):
    """(everything before libxc's stream, [(type, body)...], everything behind END)."""
    (optdata,) = struct.unpack_from("<I", image, 44)
    at = 48 + optdata + 16 + 8
    before, records = image[:at], []
    at += 40
    while True:
        kind, size = struct.unpack_from("<II", image, at)
        records.append((kind, image[at + 8:at + 8 + size]))
        at += 8 + (size + 7 & ~7)
        if kind == 0:
            return before, image[len(before):len(before) + 40], records, image[at:]


def put_together(before, headers, records, behind):
    body = b"".join(struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in records)
    return before + headers + body + behind


def as_version_2(image):
    before, headers, records, behind = take_apart(image)
    headers = headers[:12] + struct.pack(">I", 2) + headers[16:32] + struct.pack("<II", 4, 13)
    return put_together(before, headers, [r for r in records if r[0] not in STATIC_DATA], behind)


IMAGES = {}     # {host name: image}; test_trial uses them too


@pytest.fixture(scope="session")
def images():
    """Saved once, used by many tests."""
    return IMAGES


def saved_probe(host, images, name="web1"):
    if host.name not in images:
        host.create_probe(name).check()
        host.run(f"xl save {name} /root/{name}.img", env=env()).check()
        images[host.name] = host.get(f"/root/{name}.img")
        host.run(f"rm {SEEN}")      # of saving: what a test looks for is that of restoring
    return images[host.name]


# The writer is not to be a child of xl, which would wonder about it.
FROM_PIPE = "rm -f /root/fifo; mkfifo /root/fifo; (cat /root/x.img >/root/fifo &); xl restore /root/fifo"


def restore(host, image, how="file", timeout=90, **more):
    """xl restore of these bytes, from a file or from a pipe."""
    host.put_like("/root/x.img", image, IMAGES.values())
    return host.run(FROM_PIPE if how == "pipe" else "xl restore /root/x.img", env=env(**more), timeout=timeout)


# ---- refused ----

def test_refused_and_still_at_home(lab, cascadelake, sandybridge):
    cascadelake.create_probe("web1").check()
    cascadelake.wait_probe("web1", 2)
    m = lab.migrate(cascadelake, sandybridge, "web1", env_src=env(), env_dst=env())
    assert m.src.rc != 0 and m.dst.rc != 0
    assert_refused(m.dst.err, sandybridge, "movbe", "bmi1", "bmi2")
    assert "'web1' (PVH, from Xen 4.17) cannot run on this host (Intel Xeon E312xx (Sandy Bridge))" in one_line(m.dst.err)
    assert "Nothing was transferred; the domain keeps running where it was." in m.dst.err
    assert "bmi1" in m.src.err and "Migration failed, resuming at sender." in m.src.err
    assert_at_home(cascadelake, "web1", sandybridge)
    # Only what was on its way already: a window of the line and the pipes, nothing of the 16 MB that a save has.
    assert m.bytes_moved < 2 << 20


def test_avx2_is_named(lab, amd_rich, amd_poor):
    amd_rich.create_probe("web1").check()
    amd_rich.wait_probe("web1", 2)
    m = lab.migrate(amd_rich, amd_poor, "web1", env_src=env(), env_dst=env())
    assert m.src.rc != 0
    assert_refused(m.dst.err, amd_poor, "avx2", "bmi1", "bmi2", "fma", "f16c")
    assert "7.0.ebx[5]" in m.dst.err
    assert_at_home(amd_rich, "web1", amd_poor)


def test_refused_domain_can_go_elsewhere(lab, cascadelake, sandybridge, cascadelake_twin):
    cascadelake.create_probe("web1").check()
    assert not lab.migrate(cascadelake, sandybridge, "web1", env_dst=env()).ok
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OURS, env_dst=env())
    assert m.ok, m.src.err
    assert_at_home(cascadelake_twin, "web1", cascadelake)


def test_other_vendor(cascadelake, amd_poor, images):
    r = restore(amd_poor, saved_probe(cascadelake, images), XENLEVEL_ALLOW="unverified,xstate,max-leaf")
    assert r.rc != 0
    assert_refused(r.err, amd_poor)
    assert "Its CPU is a GenuineIntel" in r.err and amd_poor.domains() == {}


# ---- passed ----

def test_same_model_both_ways(lab, cascadelake, cascadelake_twin):
    cascadelake.create_probe("web1").check()
    digest = cascadelake.wait_probe("web1").ticks[0].cpuid
    for src, dst in ((cascadelake, cascadelake_twin), (cascadelake_twin, cascadelake)):
        m = lab.migrate(src, dst, "web1", env_src=env(), env_dst=env())
        assert m.ok, m.src.err
        assert "xenlevel" not in m.src.err
        log = dst.wait_probe("web1", 2)
        assert log.healthy and log.changes == [] and {t.cpuid for t in log.ticks} == {digest}
        assert "passed: 'web1' (PVH, from Xen 4.17)" in text_of(dst, LOG)
        assert "--restore-domain" in text_of(dst, SEEN) and "--save-domain" in text_of(src, SEEN)


def test_memory_arrives_whole(lab, cascadelake, cascadelake_twin):
    cascadelake.create_probe("big", memory=64, dirty=True).check()
    m = lab.migrate(cascadelake, cascadelake_twin, "big", env_src=env(), env_dst=env())
    assert m.ok, m.src.err
    assert m.bytes_moved > 48 << 20
    log = cascadelake_twin.wait_probe("big", 9)
    assert log.healthy and log.changes == []


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_save_and_restore(cascadelake, images, how):
    r = restore(cascadelake, saved_probe(cascadelake, images), how)
    assert r.rc == 0, r.err
    log = cascadelake.wait_probe("web1", 3)
    assert log.healthy and log.changes == []


def test_to_a_greater_cpu(lab, cascadelake, sandybridge):
    """More features are no obstacle; a hazard that the guest was not born with is one, and can be given up."""
    sandybridge.create_probe("up").check()
    m = lab.migrate(sandybridge, cascadelake, "up", env_src=env(), env_dst=env())
    assert m.src.rc != 0
    assert_refused(m.dst.err, cascadelake, "rsba")
    assert "1 hazard of this host that it has not been told of:" in m.dst.err
    assert_at_home(sandybridge, "up", cascadelake)
    m = lab.migrate(sandybridge, cascadelake, "up", env_src=OURS, env_dst=env(XENLEVEL_ALLOW="rsba"))
    assert m.ok, m.src.err
    assert "'up': rsba: given up by XENLEVEL_ALLOW" in one_line(m.src.err)
    assert cascadelake.wait_probe("up", 2).changes == []


def test_without_the_stock_helper_nothing_is_lost(lab, cascadelake, cascadelake_twin):
    """The gate cannot do its work at the destination: the domain stays."""
    cascadelake.create_probe("web1").check()
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_dst=env(XENLEVEL_STOCK_HELPER="/nonexistent"))
    assert m.src.rc != 0 and "/nonexistent: No such file" in one_line(m.src.err)
    assert_at_home(cascadelake, "web1", cascadelake_twin)


# ---- PV ----

def test_pv_linux(cascadelake, sandybridge):
    cascadelake.create_pv_linux("pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    cascadelake.run("xl save pv /root/pv.img", env=env(), timeout=120).check()
    before = cascadelake.pv_ticks("pv")[-1]

    # A refusal needs no more of the image than its head.
    head = cascadelake.run("head -c 200000 /root/pv.img").check().raw
    r = restore(sandybridge, head, timeout=120)
    assert r.rc != 0 and sandybridge.domains() == {}
    assert_refused(r.err, sandybridge, "bmi1")
    assert "'pv' (PV, from Xen 4.17)" in one_line(r.err)

    r = cascadelake.run("mv /root/pv.img /root/x.img;" + FROM_PIPE, env=env(), timeout=120)
    assert r.rc == 0, r.err
    cascadelake.wait_pv_tick("pv", before)
    assert "passed: 'pv' (PV" in text_of(cascadelake, LOG)


# ---- bad streams ----

def bad(name, make, words):
    return pytest.param(make, words, id=name)


def change(at, data):
    def make(image):
        n = len(take_apart(image)[0])
        return image[:n + at] + data + image[n + at + len(data):]
    return make


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("make,words", [
    bad("not Xen's", lambda i: take_apart(i)[0] + b"GET / HTTP/1.1\r\n" * 1000, "not a Xen migration stream"),
    bad("empty", lambda i: take_apart(i)[0], "offset 0: the stream ends here"),
    bad("cut in the policy", lambda i: i[:len(take_apart(i)[0]) + 500], "offset 500, record 0 (X86_CPUID_POLICY"),
    bad("version", change(12, b"\0\0\0\x09"), "version 9 of the stream"),
    bad("type", change(40, b"\x44\0\0\0"), "offset 40, record 0 (unknown, type 0x44)"),
    bad("length", change(44, b"\xff\xff\xff\x7f"), "offset 40, record 0 (X86_CPUID_POLICY, type 0x11): length"),
    bad("leaf", change(48 + 24, b"\x77\x77\x77\x77"), "offset 72, record X86_CPUID_POLICY: entry 1"),
])
def test_bad_streams(cascadelake, images, how, make, words):
    r = restore(cascadelake, make(saved_probe(cascadelake, images)), how)
    assert r.rc != 0
    assert_refused(r.err, cascadelake)
    assert words in one_line(r.err)
    assert cascadelake.domains() == {}


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_stream_cut_behind_the_head(cascadelake, images, how):
    """The stock helper's to notice; the gate must not stand in its way, or hang."""
    image = saved_probe(cascadelake, images)
    r = restore(cascadelake, image[:len(image) // 2], how)
    assert r.rc != 0 and cascadelake.domains() == {}
    assert "--restore-domain" in text_of(cascadelake, SEEN)


# ---- version 2 ----

@pytest.mark.parametrize("how", ["file", "pipe"])
def test_version_2(cascadelake, images, how):
    old = as_version_2(saved_probe(cascadelake, images))
    r = restore(cascadelake, old, how)
    assert r.rc != 0
    assert_refused(r.err, cascadelake)
    assert "'web1' (PVH, from Xen 4.13) cannot be verified" in one_line(r.err)
    assert "version 2 and has no CPU policy" in one_line(r.err)
    assert cascadelake.domains() == {}

    r = restore(cascadelake, old, how, XENLEVEL_ALLOW="unverified")
    assert r.rc == 0, r.err
    assert "'web1': unverified: " in one_line(r.err) and "'web1': unverified: " in one_line(text_of(cascadelake, LOG))
    assert cascadelake.wait_probe("web1", 2).healthy


# ---- what Xen would merge over the domain's birth policy ----

CPUID, MSR = 0x11, 0x12


def only(image, keep, msrs=True):
    """The image with those leaves alone in its policy."""
    before, headers, records, behind = take_apart(image)
    out = []
    for kind, body in records:
        if kind == CPUID:
            body = b"".join(body[i:i + 24] for i in range(0, len(body), 24) if keep(struct.unpack_from("<I", body, i)[0]))
        if kind != MSR or msrs:
            out.append((kind, body))
    return put_together(before, headers, out, behind)


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_a_policy_that_is_not_whole(cascadelake, sandybridge, images, how):
    """Leaf 0 alone is no more than any host has, and stock Xen would make it this host's CPU; without leaf 7 a guest of a
    smaller host would get what is in this one's."""
    for host, image, words in ((sandybridge, only(saved_probe(cascadelake, images), lambda leaf: leaf == 0, False),
                                "incomplete: leaf 1 is not named"),
                               (cascadelake, only(saved_probe(sandybridge, images), lambda leaf: leaf != 7),
                                "incomplete: leaf 7 is not named")):
        host.run(f"rm -f {SEEN}")       # that of saving
        r = restore(host, image, how, XENLEVEL_ALLOW="unverified")
        assert r.rc != 0
        assert_refused(r.err, host)
        assert words in one_line(r.err)
        assert host.domains() == {}


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_version_2_with_a_policy_behind_its_first_record(cascadelake, sandybridge, images, how):
    """Stock Xen applies it when it comes to the memory."""
    before, headers, records, behind = take_apart(saved_probe(sandybridge, images))
    headers = headers[:12] + struct.pack(">I", 2) + headers[16:32] + struct.pack("<II", 4, 13)
    policy = [r for r in records if r[0] in (CPUID, MSR)]
    rest = [r for r in records if r[0] not in STATIC_DATA]
    rest.sort(key=lambda r: r[0] != TSC_INFO)       # in front of all others, which stay as they were
    r = restore(cascadelake, put_together(before, headers, rest[:1] + policy + rest[1:], behind), how, XENLEVEL_ALLOW="unverified")
    assert r.rc != 0
    assert_refused(r.err, cascadelake)
    assert "record 1 (X86_CPUID_POLICY, type 0x11): a version 2 stream has no such record" in one_line(r.err)
    assert cascadelake.domains() == {}


# ---- giving up ----

def test_override_is_logged(cascadelake, sandybridge, images):
    image = saved_probe(cascadelake, images)
    r = restore(sandybridge, image)
    assert r.rc != 0
    (line,) = [s for s in r.err.splitlines() if s.startswith("xenlevel: error: refused: ")]
    words = line.split("missing ", 1)[1].replace(";", " ").split()
    names = [w for w in words if w not in ("differs", "untold")]

    r = restore(sandybridge, image, XENLEVEL_ALLOW=",".join(names[1:]))
    assert r.rc != 0 and names[0] in r.err, "what was not given up must still refuse"

    r = restore(sandybridge, image, XENLEVEL_ALLOW=",".join(names))
    assert r.rc == 0, r.err
    log = one_line(text_of(sandybridge, LOG))
    for name in names:
        assert f"'web1': {name}: given up by XENLEVEL_ALLOW" in log
    assert "Xen silently cuts its CPU down" in log
    # And it is true.  (It looks for changes with its next tick.)
    assert sandybridge.wait_probe("web1", 3).changes != []


# ---- killed ----

KILL = """
victim=$1 delay=$2
for i in $(seq 1 200); do
    for p in /proc/[0-9]*; do
        read comm < $p/comm 2>/dev/null || continue
        case $comm in $victim*) usleep $delay; kill -9 ${p#/proc/} 2>/dev/null && echo killed $comm; exit;; esac
    done
    usleep 20000
done
"""


# The gate is "xenlevel-save-h", which waits for its child, "libxl-save-hel".
@pytest.mark.parametrize("victim", ["libxl-save-hel", "xenlevel-"])
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(lab, cascadelake, cascadelake_twin, victim, seed):
    """Whatever is killed, whenever: afterwards the domain runs on exactly one side, and is well."""
    rng = random.Random(f"{victim} {seed}")
    cascadelake.create_probe("web1", memory=24, dirty=True).check()
    cascadelake_twin.put("/root/kill.sh", KILL.encode())
    killer = cascadelake_twin.start(["sh", "/root/kill.sh", victim, str(rng.randrange(0, 1500000))])
    gathered = []
    thread = threading.Thread(target=lambda: gathered.append(killer.wait(120)))
    thread.start()
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OURS, env_dst=WITH_GATE, timeout=120)
    thread.join()
    homes = [h for h in (cascadelake, cascadelake_twin) if any(n.startswith("web1") for n in h.domains())]
    assert len(homes) == 1, (m.src.err, [h.domains() for h in (cascadelake, cascadelake_twin)])
    assert homes == [cascadelake_twin if m.ok else cascadelake]
    log = homes[0].wait_probe("web1", 5)
    assert log.healthy and log.changes == []
    assert homes[0].domains().keys() == {"web1"}
    leftovers = cascadelake_twin.run("cat /proc/[0-9]*/comm").out.split()
    assert not any(c.startswith(("xenlevel-", "libxl-save")) for c in leftovers)
