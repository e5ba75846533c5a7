# SPDX-License-Identifier: MIT
"""xenlevel on a host, over a fake hypervisor (tests/unit/xen/fake_xen.c) that keeps Xen's rules."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
PLAIN = BUILD / "tools" / "xenlevel" / "xenlevel"
XENLEVEL = BUILD / "tests" / "unit" / "xen" / "xenlevel-under-test"
CPUS = ROOT / "xen" / "sim" / "machines"
OLD, NEW = "intel-sandybridge-ep", "intel-cascadelake-sp"


class Host:
    """A directory with a host's file, a domain's file, and the command over both."""

    def __init__(self, path):
        self.path = path
        for cpu in (OLD, NEW):
            self.plain("host", "--dump", CPUS / f"{cpu}.cpuid", "-l", "faulting", "-o", path / f"{cpu}.xlp")
        self.plain("level", path / f"{OLD}.xlp", path / f"{NEW}.xlp", "-o", path / "pool.xlp")
        self.domain = path / "domain.xlp"
        self.born(NEW)

    def plain(self, *args):
        subprocess.run([PLAIN, *args], check=True, stdout=subprocess.DEVNULL, timeout=600)

    def born(self, cpu, kind=1):
        """A domain 7 with that host's default CPU."""
        out = self.path / "pb"
        out.mkdir(exist_ok=True)
        subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={out}", "cpu_policy.proto"],
                       check=True)
        if "cpu_policy_pb2" not in sys.modules:
            sys.path.insert(0, str(out))
        import cpu_policy_pb2 as pb
        host = pb.File()
        host.ParseFromString((self.path / f"{cpu}.xlp").read_bytes())
        guest = pb.File(magic=host.magic, version=1)
        guest.guest.name = "web1"
        guest.guest.type = {1: pb.GUEST_TYPE_PVH, 2: pb.GUEST_TYPE_PV, 3: pb.GUEST_TYPE_HVM}[kind]
        index = 4 if kind == 2 else 5
        guest.guest.policy.CopyFrom(next(p.policy for p in host.host.policies if p.index == index))
        data = guest.SerializeToString()
        self.domain.write_bytes(data + b"\x7d" + struct.pack("<I", zlib.crc32(data)))

    def run(self, *args, fake="paused", status=0, cpu=NEW):
        env = dict(os.environ, FAKE_XEN=fake, FAKE_XEN_HOST=str(self.path / f"{cpu}.xlp"),
                   FAKE_XEN_DOMAIN=str(self.domain))
        done = subprocess.run([XENLEVEL, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=env, cwd=self.path, timeout=600)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done


    def holds_the_dump(self, policy):
        """me.xlp has what NEW's dump says.  The dump has no MSR 10A, so that nobody can say that all is the same."""
        answer = json.loads(self.run("diff", "--json", "-p", policy, "me.xlp", f"{NEW}.xlp", status=1).stdout)
        assert answer["reason"] == "unknown" and answer["registers"] == []
        assert [side["only_here"] for side in answer["sides"]] == [[], []]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


# ---- host ----

def test_capture(host):
    answer = json.loads(host.run("host", "-n", "me", "--json").stdout)
    assert answer["source"] == "xen" and answer["xen_version"] == "4.17.7-fake"
    assert answer["xen_build_id"] == "dead00be" and answer["levelling_caps"] == ["faulting"]
    assert answer["file"] == "me.xlp"
    # What was captured is what there was.
    for policy in ("raw", "host", "pv-max", "hvm-max", "pv-default", "hvm-default"):
        host.holds_the_dump(policy)


def test_capture_of_a_host_without_pv_guests(host):
    host.run("host", "-o", "me.xlp", fake="nopv")
    policies = json.loads(host.run("show", "--json", "me.xlp").stdout)["policies"]
    assert sorted(policies) == ["host", "hvm-default", "hvm-max", "raw"]


@pytest.mark.parametrize("xen", ["4.17", "4.18", "4.19", "4.20", "4.21", "4.22"])
def test_one_binary_for_every_xen(host, xen):
    """The versions of the interfaces are found out, each command by itself."""
    host.run("host", "-n", "me", fake=xen)
    for policy in ("raw", "host", "pv-max", "hvm-max", "pv-default", "hvm-default"):
        host.holds_the_dump(policy)
    host.born(NEW, 1)
    host.run("check", "7", f"{OLD}.xlp", status=1, fake=xen)
    host.run("apply", "7", "pool.xlp", fake=f"paused {xen}")
    host.run("check", "7", f"{OLD}.xlp", f"{NEW}.xlp", fake=xen)


@pytest.mark.parametrize("cpu", [OLD, NEW])
def test_levelling_that_xen_does_not_say(host, cpu):
    """4.22 no longer says what it can hide: that is worked out from the CPU's model, and marked."""
    for xen, worked_out in (("4.21", False), ("4.22", True)):
        text = host.run("host", "-n", "me", fake=xen, cpu=cpu).stdout
        assert ("worked out from the CPU's model" in text) == worked_out
        answer = json.loads(host.run("show", "--json", "me.xlp").stdout)
        assert answer["levelling_worked_out"] == worked_out
        # The dumps are without MSR CE: that NEW's model faults is taken from family and model.
        masks = ["1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "d.1.eax"] if cpu == OLD else ["faulting"]
        assert answer["levelling_caps"] == (masks if worked_out else ["faulting"])


@pytest.mark.parametrize("kind, here, there, can", [
    (1, "4.21", "4.17", False), (3, "4.21", "4.17", False), (2, "4.21", "4.17", True), (1, "4.17", "4.21", True),
    (1, "4.21", "4.21", True)])
def test_check_between_releases(host, kind, here, there, can):
    """An older Xen does not take the save records of a newer one."""
    host.run("host", "-n", "there", fake=there)
    host.born(NEW, kind)
    done = host.run("check", "7", "there.xlp", fake=here, status=0 if can else 1)
    assert can or f"the Xen it comes from ({here}.7-fake) is newer than the one there ({there}.7-fake): it writes LAPIC" \
        in done.stdout.replace("\n    ", " ")
    answer = json.loads(host.run("check", "--json", "7", "there.xlp", fake=here, status=0 if can else 1).stdout)
    assert answer["can_run_everywhere"] == can and ("release_obstacle" in answer["hosts"][0]) != can


@pytest.mark.parametrize("fake, words", [
    ("4.23", "Xen 4.23 speaks version 0x19 of the domctl interface, and this xenlevel knows 0x15 to 0x18"),
    ("eperm", "not permitted")])
def test_domains_of_a_xen_that_is_not_known(host, fake, words):
    host.born(NEW, 1)
    assert words in host.run("show", "7", status=2, fake=fake).stderr


@pytest.mark.parametrize("fake, words", [
    ("eperm", "not permitted (only dom0"),
    ("4.23", "Xen 4.23 speaks version 0x17 of the sysctl interface, and this xenlevel knows 0x15 to 0x16 "
             "(Xen 4.17 to 4.22): install a newer xenlevel"),
    ("4.16", "Xen 4.16 speaks version 0x14 of the sysctl interface, and this xenlevel knows 0x15 to 0x16 "
             "(Xen 4.17 to 4.22): install a newer Xen"),
    ("overlong", "40 words in a buffer of 19")])
def test_capture_fails_in_one_line(host, fake, words):
    done = host.run("host", "-o", "me.xlp", fake=fake, status=2)
    assert words in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (host.path / "me.xlp").exists()


# ---- domains ----

@pytest.mark.parametrize("kind, name", [(1, "PVH"), (2, "PV"), (3, "HVM")])
def test_show_domain(host, kind, name):
    host.born(NEW, kind)
    answer = json.loads(host.run("show", "7", "--json").stdout)
    assert answer["kind"] == "guest" and answer["type"] == name and answer["xen_version"] == "4.17.7-fake"
    assert {"avx2", "fma"} <= {f["name"] for f in answer["policy"]["features"]}


def test_no_such_domain(host):
    assert "there is no domain 3" in host.run("show", "3", status=2).stderr  # 7 is the next one that there is
    assert "there is no domain 9" in host.run("show", "9", status=2).stderr
    assert "there is no domain 99999" in host.run("show", "99999", status=2).stderr


def test_check_domain(host):
    assert "cannot run" in host.run("check", "7", f"{OLD}.xlp", status=1).stdout
    assert "can run" in host.run("check", "7", "-").stdout


# ---- apply ----

def test_apply_levels_a_new_domain(host):
    host.run("check", "7", f"{OLD}.xlp", status=1)
    text = host.run("apply", "7", "pool.xlp").stdout
    assert "is at the level of 'pool'" in text and "avx2" in text
    host.run("check", "7", f"{OLD}.xlp", f"{NEW}.xlp")
    host.run("verify", "7")
    # Once is enough, twice is harmless.
    assert "at the level of 'pool' already" in host.run("apply", "7", "pool.xlp").stdout


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_apply_by_type(host, kind):
    host.born(NEW, kind)
    answer = json.loads(host.run("apply", "--json", "7", "pool.xlp").stdout)
    assert answer["as_asked"] and answer["dropped"] and answer["not_taken_away"] == []
    host.run("check", "7", f"{OLD}.xlp")


def test_dry_run_changes_nothing(host):
    before = host.domain.read_bytes()
    assert "would be at the level" in host.run("apply", "-d", "7", "pool.xlp").stdout
    assert host.domain.read_bytes() == before


@pytest.mark.parametrize("fake, words", [
    ("paused ran", "Create it with `xl create -p`"),
    ("", "is not paused"),
    ("paused dying", "has shut down"),
    ("paused shutdown", "has shut down"),
    ("paused objects", "Xen objects to leaf 7 subleaf 0"),
    ("paused objects-msr", "Xen objects to MSR 0x10a")])
def test_apply_refuses(host, fake, words):
    before = host.domain.read_bytes()
    done = host.run("apply", "7", "pool.xlp", fake=fake, status=2)
    assert words in done.stderr and done.stdout == ""
    assert host.domain.read_bytes() == before


def test_apply_notices_what_was_not_taken(host):
    done = host.run("apply", "7", "pool.xlp", fake="paused deaf", status=1)
    assert "the hypervisor did not take away" in done.stdout and "avx2" in done.stdout.split("did not take away")[1]
    answer = json.loads(host.run("apply", "--json", "7", "pool.xlp", fake="paused deaf", status=1).stdout)
    assert not answer["as_asked"] and "avx2" in {f["name"] for f in answer["not_taken_away"]}


def test_apply_wants_a_domain_of_the_pool(host):
    host.plain("host", "--dump", CPUS / "amd-bulldozer.cpuid", "-o", host.path / "amd.xlp")
    host.plain("level", host.path / "amd.xlp", "-o", host.path / "amdpool.xlp")
    assert "another vendor" in host.run("apply", "7", "amdpool.xlp", status=2).stderr


def test_apply_never_to_domain_0(host):
    assert "there is no domain" not in host.run("show", "7").stderr
    done = host.run("apply", "0", "pool.xlp", status=2)
    assert done.stdout == "" and done.stderr


def test_the_domain_and_its_file_are_told_apart(host):
    shutil.copy(host.domain, host.path / "7")  # a file named like a number is a file
    assert "is not a domain" in host.run("apply", "7", "pool.xlp", status=2).stderr


# ---- livepatch ----

@pytest.mark.parametrize("verb", ["status", "unload"])
def test_a_xen_without_live_patches_says_so_in_one_line(host, verb):
    done = host.run("livepatch", verb, status=2)
    assert done.stderr == "xenlevel: error: this Xen has no support for live patches\n" and not done.stdout


@pytest.mark.parametrize("args", [(), ("apply",), ("load", "a", "b"), ("status", "x"), ("unload", "x"),
                                  ("build", "x"), ("build", "--level", "x"), ("load", "--keep"), ("load", "--pool", "x")])
def test_livepatch_wants_a_verb_and_its_arguments(host, args):
    done = host.run("livepatch", *args, status=2)
    assert "usage: xenlevel livepatch" in done.stderr and not done.stdout


def test_a_level_to_be_born_on_must_be_one(host):
    """Said before the hypervisor is asked for anything."""
    host.run("host", "-o", host.path / "a.xlp")
    for level, said in ((host.path / "a.xlp", "is not a pool's level"), (host.path / "none", "No such file"),
                        ("web.v1", "no pool is there")):
        done = host.run("livepatch", "load", "--level", level, "--pool", host.path, status=2)
        assert said in done.stderr and not done.stdout


def test_load_without_a_file_wants_the_payload_of_the_running_hypervisor(host):
    error = host.run("livepatch", "load", status=2).stderr
    assert error.startswith("xenlevel: Xen 4.17.7-fake: no payload for build-id dead00be:")


def test_a_livepatch_is_built_from_a_hypervisor_only(host):
    (host.path / "text").write_text("not ELF\n")
    for file in ("text", "none"):
        done = host.run("livepatch", "build", "--xen-syms", file, status=2)
        assert "no ELF file with a build-id" in done.stderr and done.stderr.count("\n") == 1
