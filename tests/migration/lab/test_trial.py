# SPDX-License-Identifier: MIT
"""The trial and the last look on real Xen: what Xen makes of a policy decides, whatever the audit thinks of it."""

import struct

import pytest

from test_gate import (FROM_PIPE, IMAGES, LOG, OURS, SEEN, STOCK, WITH_GATE, as_version_2, assert_at_home, env, in_place, images,  # noqa: F401
                       one_line, put_together, restore, saved_probe, take_apart, text_of)

CPUID, MSR = 0x11, 0x12
NO_SUBLEAF = 0xFFFFFFFF
BLIND = "/root/gate-no-audit"        # the gate, but its audit passes everything


@pytest.fixture
def blind(build_directory):
    """Put it into a host; restore(..., **blind(host)) goes through it."""
    def put(host):
        if host.run(f"[ -x {BLIND} ]").rc:
            host.install({BLIND: build_directory / "tests/migration/gate/gate-no-audit",
                          "/root/drop-feature": build_directory / "tests/lab/drop-feature"})
        return {"LIBXL_SAVE_HELPER": BLIND}
    return put


def with_policy(image, leaves=lambda entries: entries, msrs=lambda entries: entries):
    """The same image with other entries: lists of (leaf, subleaf, a, b, c, d) and (index, flags, value)."""
    before, headers, records, behind = take_apart(image)
    out = []
    for kind, body in records:
        if kind == CPUID:
            body = b"".join(struct.pack("<6I", *e) for e in leaves(list(struct.iter_unpack("<6I", body))))
        elif kind == MSR:
            body = b"".join(struct.pack("<IIQ", *e) for e in msrs(list(struct.iter_unpack("<IIQ", body))))
            if not body:
                continue
        out.append((kind, body))
    return put_together(before, headers, out, behind)


def flip(leaf, subleaf, reg, mask):
    """Turns over bits of one register."""
    def leaves(entries):
        return [e if e[:2] != (leaf, subleaf) else e[:2 + reg] + (e[2 + reg] ^ mask,) + e[3 + reg:] for e in entries]
    return leaves


def assert_not_started(r, host, *words):
    assert r.rc != 0 and "xenlevel: refused: " in r.err, r.err
    for word in words:
        assert word in one_line(r.err), (word, r.err)
    assert text_of(host, SEEN) == "", "the stock helper was started"
    assert host.domains() == {}


# ---- what differs by Xen's own nature: the rows of compare.c ----

OWN = [
    pytest.param(1, NO_SUBLEAF, 1, 0x5A000000, id="APIC ID"),
    pytest.param(1, NO_SUBLEAF, 2, 1 << 27, id="OSXSAVE"),
    pytest.param(7, 0, 2, 1 << 4, id="OSPKE"),
    pytest.param(7, 0, 1, 1 << 6 | 1 << 13, id="FDP_EXCP_ONLY and NO_FPU_SEL"),
    pytest.param(0xD, 0, 1, 0x340, id="size for XCR0"),
    pytest.param(0xD, 1, 1, 0x340, id="size for XCR0 and XSS"),
]


@pytest.mark.parametrize("leaf,subleaf,reg,mask", OWN)
def test_own_nature(cascadelake, images, blind, leaf, subleaf, reg, mask):
    """Whatever the stream says there, the domain sees the same CPU."""
    other = with_policy(saved_probe(cascadelake, images), flip(leaf, subleaf, reg, mask))
    assert other != images[cascadelake.name]
    r = restore(cascadelake, other, **blind(cascadelake))
    assert r.rc == 0, r.err
    log = cascadelake.wait_probe("web1", 3)
    assert log.healthy and log.changes == []


@pytest.mark.parametrize("leaf,subleaf,reg,mask,words", [
    (1, NO_SUBLEAF, 0, 0x3000, "leaf 1 eax: told "),
    (1, NO_SUBLEAF, 2, 1 << 5, "with vmx"),
    (5, NO_SUBLEAF, 0, 0xFFFF, "leaf 5 eax: told 0xffff, given 0"),
    (0xA, NO_SUBLEAF, 2, 1, "leaf a ecx: told 0x1, given 0"),
    (0xD, 0, 3, 1 << 31, "leaf d subleaf 0 edx: told 0x80000000, given 0"),
    (0x80000008, NO_SUBLEAF, 0, 0x10000, "leaf 80000008 eax: told "),
])
def test_what_xen_changes_is_refused(cascadelake, images, blind, leaf, subleaf, reg, mask, words):
    image = with_policy(saved_probe(cascadelake, images), flip(leaf, subleaf, reg, mask))
    words = words.replace("with vmx", "without vmx")
    assert_not_started(restore(cascadelake, image, **blind(cascadelake)), cascadelake, words)


# ---- the trial alone ----

def test_the_whole_policy(cascadelake, sandybridge, images, blind):
    """Not one rule of ours: Xen itself shows what it cannot give."""
    r = restore(sandybridge, saved_probe(cascadelake, images), **blind(sandybridge))
    assert_not_started(r, sandybridge, "would get another CPU on this host", "without bmi1", "without movbe")


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("audit", [True, False], ids=["audit", "blind"])
def test_only_leaf_0(cascadelake, sandybridge, images, blind, how, audit):
    image = with_policy(saved_probe(cascadelake, images), lambda es: [e for e in es if e[0] == 0], lambda ms: [])
    gate = {} if audit else blind(sandybridge)
    assert_not_started(restore(sandybridge, image, how, **gate), sandybridge)


@pytest.mark.parametrize("audit", [True, False], ids=["audit", "blind"])
def test_without_leaf_7(cascadelake, sandybridge, images, blind, audit):
    """What is not named is what a domain of the destination is born with."""
    image = with_policy(saved_probe(sandybridge, images), lambda es: [e for e in es if e[0] != 7])
    gate = {} if audit else blind(cascadelake)
    r = restore(cascadelake, image, **gate)
    assert_not_started(r, cascadelake, *([] if audit else ["with bmi1"]))


def test_without_msrs(cascadelake, images, blind):
    image = with_policy(saved_probe(cascadelake, images), msrs=lambda ms: [])
    assert_not_started(restore(cascadelake, image, **blind(cascadelake)), cascadelake, "MSR 0xce: told 0, given ")


def test_policy_that_xen_refuses(cascadelake, images, blind):
    image = with_policy(saved_probe(cascadelake, images), flip(0, NO_SUBLEAF, 0, 0x40))
    r = restore(cascadelake, image, **blind(cascadelake))
    assert_not_started(r, cascadelake, "does not get its CPU on this host", "leaf 0")


def test_refused_domain_stays_at_home(lab, cascadelake, sandybridge, blind):
    cascadelake.create_probe("web1").check()
    cascadelake.wait_probe("web1", 2)
    m = lab.migrate(cascadelake, sandybridge, "web1", env_src=env(), env_dst=env(**blind(sandybridge)))
    assert m.src.rc != 0 and "without bmi1" in one_line(m.dst.err)
    assert "without" in m.src.err and "Migration failed, resuming at sender." in m.src.err
    assert_at_home(cascadelake, "web1", sandybridge)
    assert text_of(sandybridge, SEEN) == "" and m.bytes_moved < 2 << 20


# ---- the last look ----

# Restores as the stock helper does, and takes a feature away before libxl hears that it has ended.
LATE = f"#!/bin/sh\necho \"$@\" >> {SEEN}\n{STOCK} \"$@\"; rc=$?\n/root/drop-feature $4 rdrand\nexit $rc\n".encode()


@pytest.mark.parametrize("own_audit", [True, False], ids=["gate", "blind"])
def test_late_change(lab, cascadelake, cascadelake_twin, blind, own_audit):
    gate = blind(cascadelake_twin)
    cascadelake_twin.put("/root/late", LATE)
    cascadelake.create_probe("web1").check()
    cascadelake.wait_probe("web1", 2)
    m = lab.migrate(cascadelake, cascadelake_twin, "web1", env_src=OURS,
                    env_dst=env(XENLEVEL_STOCK_HELPER="/root/late", **({} if own_audit else gate)))
    assert m.src.rc != 0 and m.dst.rc != 0
    assert "no longer has its CPU on this host" in one_line(m.dst.err) and "without rdrand" in one_line(m.dst.err)
    assert "--restore-domain" in text_of(cascadelake_twin, SEEN)
    assert "xenlevel: refused: " in text_of(cascadelake_twin, LOG)
    assert_at_home(cascadelake, "web1", cascadelake_twin)
    assert cascadelake_twin.domains() == {}


# ---- unverified ----

def test_unverified_says_what_it_got(cascadelake, images):
    old = as_version_2(saved_probe(cascadelake, images))
    r = restore(cascadelake, old, XENLEVEL_ALLOW="unverified")
    assert r.rc == 0, r.err
    assert "'web1': unverified: " in one_line(text_of(cascadelake, LOG))
    assert any(f"unverified: {word}" in one_line(text_of(cascadelake, LOG))
               for word in ("it has the CPU that this host gives", "this host's default CPU"))
    assert cascadelake.wait_probe("web1", 2).healthy


# ---- other processors ----

def comes_home(host, images, gate):
    """A stream of Xen's own differs in nothing from what Xen makes of it."""
    r = restore(host, saved_probe(host, images), **gate)
    assert r.rc == 0, r.err
    log = host.wait_probe("web1", 3)
    assert log.healthy and log.changes == []


@pytest.mark.parametrize("audit", [True, False], ids=["audit", "blind"])
def test_home_again_amd(amd_rich, images, blind, audit):
    comes_home(amd_rich, images, {} if audit else blind(amd_rich))


@pytest.mark.parametrize("audit", [True, False], ids=["audit", "blind"])
def test_home_again_sandybridge(sandybridge, images, blind, audit):
    comes_home(sandybridge, images, {} if audit else blind(sandybridge))


# ---- PV ----

def test_pv(cascadelake, blind):
    cascadelake.create_pv_linux("pv").check()
    cascadelake.wait_pv_tick("pv", 1)
    cascadelake.run("xl save pv /root/x.img", env=env(), timeout=120).check()
    before = cascadelake.pv_ticks("pv")[-1]
    r = cascadelake.run(FROM_PIPE, env=env(**blind(cascadelake)), timeout=120)
    assert r.rc == 0, r.err
    cascadelake.wait_pv_tick("pv", before)


# ---- killed ----

# Stays behind after it has been told to go on, so that the gate can be killed while it waits.
SLOW = f"#!/bin/sh\necho $$ > {SEEN}\nexec sleep 600\n".encode()


def test_a_killed_gate_takes_the_helper_with_it(cascadelake, images):
    cascadelake.put("/root/slow", SLOW)
    cascadelake.put_like("/root/x.img", saved_probe(cascadelake, images), IMAGES.values())
    r = cascadelake.run("""
        xl restore /root/x.img & xl=$!
        while [ ! -s %s ]; do usleep 20000; done
        helper=$(cat %s); read x x x gate x < /proc/$helper/stat
        read comm < /proc/$gate/comm; echo "gate is $comm"
        kill -9 $gate
        wait $xl; echo "xl ended $?"
        for i in $(seq 100); do [ -d /proc/$helper ] || break; usleep 20000; done
        [ -d /proc/$helper ] && echo "helper lives" || echo "helper is gone"
        """ % (SEEN, SEEN), env=env(XENLEVEL_STOCK_HELPER="/root/slow"), timeout=90)
    assert "gate is xenlevel-save-h" in r.out and "helper is gone" in r.out, (r.out, r.err)
    assert "xl ended 0" not in r.out and cascadelake.domains() == {}
