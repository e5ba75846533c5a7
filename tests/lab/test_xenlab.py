# SPDX-License-Identifier: MIT
"""The lab itself: if it lies, all that is built on it does."""

import os
import subprocess

import pytest
from xenlab import HostError, PackageError, ProbeLog, apt, packages
from xenlab.cpio import Cpio
from xenlab.elf import libraries, needed
from xenlab.packages import RELEASES, Packages, split_host


def test_probe_log_is_read_line_by_line():
    console = ("(XEN) [    1.0] boots\n(d3) [   67.524120] probe:q: tick 79 cpuid=473bc0cce58a189f mem=ok regs=ok\n"
               "(d4) probe:q: resumed\n(d4) [ 1.0] probe:q: changed leaf 7.0 ebx 00880309 -> 00000000\n"
               "(d4) [ 1.1] probe:q: changed leaf 80000001 edx 24100800 -> 20100800\n"
               "(d4) [ 1.2] probe:q: tick 80 cpuid=0 mem=BAD regs=ok\n(d5) [ 1.2] probe:other: resumed\n"
               "(d4) [ 1.3] probe:q: tick 81 cpu")
    log = ProbeLog.parse(console, "q")
    assert (log.domid, [t.n for t in log.ticks], len(log.changes)) == (4, [80], 2)
    assert log.changed(7, "ebx").lost == 0x00880309
    assert not log.healthy and not ProbeLog.parse(console, "none").healthy
    assert ProbeLog.parse(console, "q", domid=3).healthy


def test_cpio_is_what_cpio_reads(tmp_path):
    archive = Cpio()
    archive.file("/a/b/c", b"abc\0\xff", 0o750)
    archive.symlink("/a/l", "b/c")
    subprocess.run(["cpio", "-idu", "--quiet"], input=archive.finish(), cwd=tmp_path, check=True)
    assert (tmp_path / "a/b/c").read_bytes() == b"abc\0\xff"
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o750
    assert os.readlink(tmp_path / "a/l") == "b/c"


def test_libraries_are_those_of_ldd():
    image = open("/bin/ls", "rb").read()
    assert "libc.so.6" in needed(image)
    ldd = subprocess.run(["ldd", "/bin/ls"], capture_output=True, text=True).stdout
    assert {p.name for p in libraries([image]).values()} == {os.path.basename(w) for w in ldd.split() if w.startswith("/")}


def test_commands(cascadelake):
    r = cascadelake.run("cat; echo err >&2; exit 3", stdin=b"in\n")
    assert (r.rc, r.out, r.err) == (3, "in\n", "err\n")
    assert cascadelake.run(["env"], env={"FOO": "b r"}).out.count("FOO=b r\n") == 1
    assert cascadelake.run("kill -9 $$").rc == 137
    assert cascadelake.run(["nosuch"]).rc == 127
    with pytest.raises(HostError, match="did not end"):
        cascadelake.run("sleep 100", timeout=1)


def test_commands_do_not_wait_for_each_other(cascadelake):
    cascadelake.run("rm -f /tmp/go").check()
    slow = [cascadelake.start("while [ ! -e /tmp/go ]; do usleep 20000; done; echo done") for _ in range(5)]
    assert cascadelake.run("echo quick").out == "quick\n"
    assert [p.poll() for p in slow] == [None] * 5
    cascadelake.run("touch /tmp/go").check()
    assert [p.wait().out for p in slow] == ["done\n"] * 5
    flood = cascadelake.start("cat /dev/zero")
    assert cascadelake.run("echo quick").out == "quick\n"
    flood.kill()
    assert flood.wait(60).rc == 143


def test_files_arrive_unharmed(cascadelake):
    data = os.urandom(3 << 20)
    cascadelake.put("/tmp/some where/x", data, 0o640)
    assert cascadelake.get("/tmp/some where/x") == data
    assert cascadelake.run("stat -c %a '/tmp/some where/x'").out == "640\n"


def test_programs_bring_their_libraries(cascadelake):
    cascadelake.install({"/opt/xz": "/usr/bin/xz"})
    assert "liblzma" in cascadelake.run(["/opt/xz", "--version"]).check().out


def test_a_host_reaches_another(cascadelake, sandybridge):
    r = cascadelake.run("head -c 2000000 /dev/urandom > /tmp/r; md5sum < /tmp/r; xenlab-ssh sandybridge 'md5sum; echo far >&2; exit 5' < /tmp/r")
    sums = r.out.split()
    assert r.rc == 5 and sums[0] == sums[2] and r.err == "far\n"
    r = cascadelake.run("xenlab-ssh nowhere true")
    assert r.rc == 255 and "nowhere" in r.err


def test_a_dead_dom0_is_noticed(lab):
    """Xen does not reboot, so QEMU goes on: nobody would hear of it until his time is up."""
    host = lab.add("doomed", "nehalem").wait_ready()
    try:
        assert host.crash() is None
        with pytest.raises(HostError, match="doomed died .*Hardware Dom0 crashed"):
            host.run("echo c > /proc/sysrq-trigger; sleep 100", timeout=60)
        with pytest.raises(HostError, match="crashed"):
            host.agent.ready.clear()
            host.wait_ready(60)
    finally:
        lab.remove(host)


# ---- packages ----

def test_releases_share_no_file_of_the_cache(tmp_path):
    homes = {Packages(tmp_path, release=xen).debs for xen in RELEASES}
    assert len(homes) == len(RELEASES) and Packages(tmp_path).debs == tmp_path / "debs"


def test_a_host_is_a_cpu_and_a_release():
    assert split_host("cascadelake") == ("cascadelake", "4.17")
    assert split_host("max,-smap@4.20") == ("max,-smap", "4.20")
    with pytest.raises(PackageError, match=r"cascadelake@4\.9: no release 4\.9 of Xen: it is one of 4\.17, 4\.20"):
        split_host("cascadelake@4.9")


@pytest.mark.parametrize("suite, xen", [("bookworm", "4.17"), ("trixie", "4.20"), ("sid", "4.17"), ("", "4.17")])
def test_the_demo_has_the_release_of_this_debian(monkeypatch, suite, xen):
    monkeypatch.setattr(packages, "machine_suite", lambda: suite)
    assert packages.machine_release() == xen


def test_lists_of_our_own_are_signed_by_debian(tmp_path, monkeypatch):
    monkeypatch.setattr(apt, "machine_suite", lambda: "another")
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "none")
    with pytest.raises(apt.AptError, match="install debian-archive-keyring"):
        apt.Apt("trixie", tmp_path / "apt").download(["libc6"], tmp_path)
    assert not list(tmp_path.glob("apt/lists/*"))
