# SPDX-License-Identifier: MIT
"""Who is told nothing of our environment variable: libvirt (virsh), and xendomains when a host boots. Stock Xen says success to
both, and the CPU changes; with the gate under the stock helper's own name, where its Debian package puts it, they are refused."""

import re

import pytest

from test_captured_streams import put
from xenlab import libvirt, xendomains
from xenlab.tools import put_gate_in_place

# Cascade Lake's that Sandy Bridge lacks, as far as Xen offers it to guests in an emulator.
LACKS = ("movbe", "bmi1", "bmi2")
REFUSED = "xenlevel: refused: 'web1' (PVH, from Xen 4.17) cannot run on this host (Intel Xeon E312xx (Sandy Bridge)): missing "
DOMAIN = """<domain type='xen'>
  <name>web1</name><uuid>6a3c1f0e-11d2-4f6b-9b0a-7d5c2c9f0e11</uuid><memory unit='MiB'>8</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='xenpvh'>xenpvh</type>
    <kernel>/root/probe.elf</kernel><cmdline>name=web1 tick_ms=250 noavx</cmdline>
  </os>
  <on_crash>preserve</on_crash>
</domain>
"""
SAVED, MANAGED = "/root/web1.save", "/var/lib/libvirt/libxl/save/web1.save"
TUNNEL, FORWARD, PORT = "/root/tunnel", "/root/forward", 49152     # in the place of ssh, and of a network


@pytest.fixture
def gate():
    """A function of a host: the gate is in the stock helper's place there, until the test ends."""
    placed = []

    def place(host):
        put_gate_in_place(host)
        placed.append(host)
    yield place
    for host in placed:
        if host.alive():
            put_gate_in_place(host, False)


@pytest.fixture(scope="module", autouse=True)
def no_libvirt_left(lab):
    """Its files fill a fifth of what dom0 has for files: other tests get their hosts anew, from a snapshot."""
    yield
    for name in ("cascadelake", "sandybridge"):
        if name in lab.hosts:
            lab.remove(lab.hosts[name])


def assert_changed(host):
    """What stock Xen did not say."""
    log = host.wait_probe("web1", 2)
    assert log.healthy and log.changed(7, "ebx").lost and log.changed(1, "ecx").lost, log


def assert_same(host):
    log = host.wait_probe("web1", 2)
    assert log.healthy and log.changes == []


# ---- libvirt ----

def virsh(host, *words):
    return host.run(["virsh", "-c", "xen:///system", *words])


def assert_refused(host, result, said_before):
    """virsh fails, and the line with the names is in the log of libvirt's driver."""
    assert result.rc != 0, result.out
    said = libvirt.driver_log(host)[said_before:]
    line = next((line for line in said.splitlines() if REFUSED in line), None)
    assert line and all(re.search(rf"\b{name}\b", line) for name in LACKS), said
    assert host.domains() == {}


def migrate(src, dst):
    """virsh migrate, the usual way: the two daemons' connection for libvirt, and one of TCP for the guest."""
    src.put(TUNNEL, f"#!/bin/sh\nexec xenlab-ssh {dst.name} virt-ssh-helper xen:///system\n".encode())
    src.put(FORWARD, f"#!/bin/sh\nexec xenlab-ssh {dst.name} busybox nc 127.0.0.1 {PORT}\n".encode())
    line = src.start(f"busybox nc -l -p {PORT} -e {FORWARD}")
    try:
        return src.run(["virsh", "-c", "xen:///system", "migrate", "--live", "web1",
                        f"xen+ext://{dst.name}/system?command={TUNNEL}", "--migrateuri", f"tcp://127.0.0.1:{PORT}"], timeout=200)
    finally:
        line.kill()


@pytest.fixture
def hosts(cascadelake, sandybridge):
    """With a libvirtd each, and web1 runs on the first."""
    for host in (cascadelake, sandybridge):
        libvirt.start(host)
        host.put("/root/web1.xml", DOMAIN.encode(), 0o644)
    virsh(cascadelake, "create", "/root/web1.xml").check()
    cascadelake.wait_probe("web1", 2)
    return cascadelake, sandybridge


def test_virsh_restores(hosts, gate):
    """What virsh saved: restored elsewhere by stock Xen, refused behind the gate, and good at home."""
    home, other = hosts
    virsh(home, "save", "web1", SAVED).check()
    put(other, SAVED, home.get(SAVED))
    virsh(other, "restore", SAVED).check()
    assert_changed(other)
    virsh(other, "destroy", "web1").check()

    gate(other)
    before = len(libvirt.driver_log(other))
    assert_refused(other, virsh(other, "restore", SAVED), before)
    # A managed save is an image under the domain's name, which `start` begins from.
    other.run(f"mkdir -p $(dirname {MANAGED}) && mv {SAVED} {MANAGED}").check()
    virsh(other, "define", "/root/web1.xml").check()
    before = len(libvirt.driver_log(other))
    assert_refused(other, virsh(other, "start", "web1"), before)
    # libvirt takes the image away before it asks libxl, and has nothing to put back: docs/libvirt.md warns of it.
    assert other.run(f"[ -e {MANAGED} ]").rc != 0
    virsh(other, "undefine", "web1").check()

    gate(home)
    virsh(home, "restore", SAVED).check()
    assert_same(home)
    virsh(home, "destroy", "web1").check()


def test_virsh_migrates(hosts, gate):
    home, other = hosts
    gate(other)
    before = len(libvirt.driver_log(other))
    assert_refused(other, migrate(home, other), before)
    assert_same(home)
    put_gate_in_place(other, False)
    migrate(home, other).check()
    assert_changed(other)
    virsh(other, "destroy", "web1").check()


# ---- xendomains ----

def test_xendomains_over_a_reboot_with_another_cpu(lab, lab_files):
    """Saved when the host went down, restored when it came up with another processor: what is saved is its disk's."""
    host = lab.add("reborn", "cascadelake", files=lab_files).wait_ready()
    try:
        xendomains.install(host)
        host.create_probe("web1").check()
        xendomains.run(host, "stop").check()
        assert host.domains() == {}
        image = host.get(f"{xendomains.SAVED}/web1")
        lab.remove(host)

        host = lab.add("reborn", "sandybridge", files=lab_files).wait_ready()
        xendomains.install(host)
        host.run(f"mkdir -p {xendomains.SAVED}").check()
        put(host, f"{xendomains.SAVED}/web1", image)
        put_gate_in_place(host)
        said = xendomains.run(host, "start").out
        assert "xenlevel: refused: 'web1'" in said and all(re.search(rf"\b{name}\b", said) for name in LACKS), said
        assert host.domains() == {} and host.run(f"[ -s {xendomains.SAVED}/web1 ]").rc == 0, "the image is gone"

        put_gate_in_place(host, False)
        xendomains.run(host, "start").check()
        assert_changed(host)
        assert host.run(f"[ -e {xendomains.SAVED}/web1 ]").rc != 0
    finally:
        lab.remove(host)
