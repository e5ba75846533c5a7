# SPDX-License-Identifier: MIT
"""xenlevel, the command: every subcommand with good and bad input, on CPUs from xen/sim/machines.

No hypervisor is needed: hosts come from CPUID dumps, guests from save images made here.
"""

import ctypes
import importlib
import json
import os
import pty
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import streambuilder as build

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
CPUS = ROOT / "xen" / "sim" / "machines"
EVERY_CPU = sorted(p.stem for p in CPUS.glob("*.cpuid"))
ONLY_PV = ("intel-penryn",)  # its CPUID says no VMX

OLD, MIDDLE, NEW, AMD = "intel-sandybridge-ep", "intel-haswell-ep", "intel-cascadelake-sp", "amd-bulldozer"
CAPS = {"faulting", "1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "d.1.eax", "6.ecx", "7.0.eax", "7.0.ebx"}
COMMANDS = ["host", "show", "diff", "verify", "level", "check", "apply", "xlcfg"]


def run(*args, status=0, cwd=None, env=None):
    done = subprocess.run([XENLEVEL, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=600, cwd=cwd, env=dict(os.environ, **(env or {})))
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    assert "runtime error" not in done.stderr and "Sanitizer" not in done.stderr
    return done


def run_json(*args, status=0):
    return json.loads(run(*args, "--json", status=status).stdout)


def names(features):
    return {f["name"] for f in features}


@pytest.fixture(scope="session")
def pb(tmp_path_factory):
    """The file format as Python's protobuf sees it."""
    out = tmp_path_factory.mktemp("pb")
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={out}", "cpu_policy.proto"], check=True)
    sys.path.insert(0, str(out))
    try:
        return importlib.import_module("cpu_policy_pb2")
    finally:
        sys.path.remove(str(out))


@pytest.fixture(scope="session")
def hosts(tmp_path_factory):
    """A host file for every CPU."""
    out = tmp_path_factory.mktemp("hosts")
    for cpu in EVERY_CPU:
        run("host", "--dump", CPUS / f"{cpu}.cpuid", "-o", out / f"{cpu}.xlp")
    return out


@pytest.fixture(scope="session")
def pool(hosts, tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.xlp"
    run("level", hosts / f"{OLD}.xlp", hosts / f"{NEW}.xlp", "-o", path)
    return path


def parse(pb, path):
    data = Path(path).read_bytes()
    message = pb.File()
    message.ParseFromString(data)
    assert message.end == zlib.crc32(data[:-5])
    return message


def write(path, message):
    """A file as another program would write it."""
    message.ClearField("end")
    data = message.SerializeToString()
    path.write_bytes(data + b"\x7d" + struct.pack("<I", zlib.crc32(data)))
    return path


def host_policy(message, index):
    return next(p.policy for p in message.host.policies if p.index == index)


# ---- save images ----

def image(policy, guest=2, version=3):
    """The head of a stream, as the save helper writes it."""
    leaves = b"".join(build.leaf(leaf.leaf, leaf.subleaf if leaf.WhichOneof("where") else 0xffffffff,
                                 leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) for leaf in policy.leaves)
    msrs = b"".join(build.msr(m.index, m.value) for m in policy.msrs)
    info = [(build.PV_INFO, build.pv_info())] if guest == build.PV else []
    records = [*info, (build.CPUID_POLICY, leaves), *([(build.MSR_POLICY, msrs)] if msrs else []), (build.STATIC_DATA_END, b"")]
    return build.stream_of(records, version, guest)


def xl_image(stream, name="web1"):
    """What `xl save` puts before it."""
    config = json.dumps({"c_info": {"name": name}}).encode() + b"\0"
    return build.xl_header(build.counted(config)) + build.libxl_header() + build.record(build.LIBXC_CONTEXT) + stream


# ---- the command itself ----

def test_version_and_help():
    assert run("--version").stdout.startswith("xenlevel ")
    text = run("--help").stdout
    for command in COMMANDS:
        assert command in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command):
    text = run(command, "--help").stdout
    assert text.startswith(f"usage: xenlevel {command} ")
    assert "--json" in text and "Exit status" in text


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["show"], ["show", "a", "b"], ["diff", "a"], ["verify"], ["level"], ["check", "a"], ["apply", "a"],
    ["xlcfg"], ["host", "extra"], ["show", "--bogus", "x"], ["host", "--name", "", "--dump", "x"],
    ["host", "--levelling-caps", "none"], ["host", "--xen-cmdline", "cpuid=no-avx"], ["host", "--name", "a/b"], ["show", "--type", "arm", "x"],
    ["show", "--policy", "best", "x"], ["xlcfg", "--form", "poem", "x"],
    ["diff", "--policy", "raw", "--type", "pv", "a", "b"]])
def test_bad_usage(args):
    done = run(*args, status=2)
    assert done.stdout == "" and done.stderr


@pytest.mark.skipif(os.path.exists("/dev/xen/privcmd") or os.path.exists("/proc/xen/privcmd"), reason="this is a dom0")
@pytest.mark.parametrize("args", [["host"], ["show", "-"], ["show", "web1"], ["show", "7"]])
def test_no_xen_here_is_one_clear_line(args, tmp_path):
    done = run(*args, status=2, cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if "no Xen here" in line]
    assert len(lines) == 1 and lines[0].startswith("xenlevel: ")
    assert len(done.stderr.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_full_disk_is_not_success(hosts):
    with open("/dev/full", "w") as full:
        done = subprocess.run([XENLEVEL, "show", hosts / f"{NEW}.xlp"], stdout=full, stderr=subprocess.PIPE, timeout=600)
    assert done.returncode == 2 and b"No space left" in done.stderr


def test_text_is_wrapped_to_a_terminal_and_only_there(pool, hosts):
    main, child = pty.openpty()
    proc = subprocess.Popen([XENLEVEL, "check", "--type", "pv", str(pool), str(hosts / f"{OLD}.xlp")], stdout=child,
                            env=dict(os.environ, COLUMNS="50"))
    os.close(child)
    out = b""
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:
            break
        if not piece:
            break
        out += piece
    proc.wait(600)
    os.close(main)
    lines = out.decode().splitlines()
    assert len(lines) > 1 and all(len(line) <= 50 for line in lines)
    piped = run("check", "--type", "pv", pool, hosts / f"{OLD}.xlp").stdout.splitlines()
    assert any(len(line) > 50 for line in piped)
    assert "\x1b" not in out.decode()


# ---- host ----

@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_every_cpu_is_captured_whole(pb, hosts, cpu):
    host = parse(pb, hosts / f"{cpu}.xlp").host
    assert host.name == cpu
    assert host.source == pb.SOURCE_DUMP
    assert host.cpu and host.vendor in ("GenuineIntel", "AuthenticAMD", "HygonGenuine")
    assert [p.index for p in host.policies] == ([0, 1, 2, 4] if cpu in ONLY_PV else list(range(6)))
    assert [f.index for f in host.featuresets] == ([0, 1, 2, 4] if cpu in ONLY_PV else list(range(6)))


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_every_cpu_can_exist(hosts, cpu):
    answer = run_json("verify", hosts / f"{cpu}.xlp")
    assert answer[0]["valid"] and len(answer[0]["policies"]) == (4 if cpu in ONLY_PV else 6)


def test_the_command_line_of_the_planned_host(tmp_path):
    dump = CPUS / "intel-skylake-sp.cpuid"
    offered = {}
    # This dump has no MSR ARCH_CAPS, so its microcode is old: without no-gds-mit Xen hides AVX there.
    for name, cmdline in (("all", "spec-ctrl=no-gds-mit"),
                          ("less", "spec-ctrl=no-gds-mit console=com1 cpuid=no-avx512f,no-rdrand smt=0")):
        run("host", "--dump", dump, "--xen-cmdline", cmdline, "-o", tmp_path / f"{name}.xlp")
        policies = run_json("show", tmp_path / f"{name}.xlp")["policies"]
        offered[name] = {kind: names(p["features"]) for kind, p in policies.items()}
    assert offered["all"]["raw"] == offered["less"]["raw"]
    for kind in ("host", "hvm-max", "hvm-default", "pv-max"):
        gone = offered["all"][kind] - offered["less"][kind]
        assert "rdrand" in gone and not offered["less"][kind] - offered["all"][kind]
        assert kind.startswith("pv") or {"avx512f", "avx512bw"} <= gone     # and what stands on it
    bad = run("host", "--dump", dump, "--xen-cmdline", "cpuid=no-avx,no-such-thing", "-o", tmp_path / "x.xlp", status=2)
    assert "'no-such-thing'" in bad.stderr and not (tmp_path / "x.xlp").exists()


def said_of_options(dump, tmp_path, cmdline, *args):
    warnings = run("host", "--dump", dump, "--xen-cmdline", cmdline, *args, "-o", tmp_path / "o.xlp").stderr
    return {line.split("--xen-cmdline: ", 1)[1] for line in warnings.splitlines() if "--xen-cmdline: " in line}


def test_no_option_of_the_command_line_is_swallowed(tmp_path):
    dump = CPUS / "intel-haswell-ep.cpuid"
    nothing, unknown = "does not change what guests are offered: ", "not looked at, for Xen does not know it: "
    assert said_of_options(dump, tmp_path, "xsave=0 vpmu=on hap=0 cpuid=no-rtm") == set()
    assert said_of_options(dump, tmp_path, "xsave=0 tsx=0 pku=0 smep=hvm cpuid=no-rtm") == {
        "changes nothing on this CPU: tsx=0, pku=0, smep=hvm"}
    # Whether transactions can be switched off stands in an MSR that this dump has not.
    assert said_of_options(CPUS / "intel-cascadelake-sp.cpuid", tmp_path, "tsx=0 pku=0") == set()
    assert said_of_options(dump, tmp_path, "dom0_mem=512M noreboot spec-ctrl=ibpb,stibp=0 smt=0") == {
        nothing + "dom0_mem=512M, noreboot, spec-ctrl=ibpb, spec-ctrl=stibp=0, smt=0"}
    assert said_of_options(dump, tmp_path, "quiet xsav=0 spec-ctrl=nonsense") == {
        unknown + "quiet, xsav=0, spec-ctrl=nonsense"}
    assert said_of_options(dump, tmp_path, "ucode=scan -- quiet") == {
        "not looked at, for what it brings is not known here (newer microcode): ucode=scan"}
    assert said_of_options(dump, tmp_path, "pku=0 cpuid_mask_ecx=1", "--xen", "4.22") == {
        "not looked at, for Xen 4.22 does not know it (other releases do): pku=0, cpuid_mask_ecx=1"}
    assert said_of_options(dump, tmp_path, "pku=0 cpuid_mask_ecx=1", "--xen", "4.17") == {
        "changes nothing on this CPU: pku=0, cpuid_mask_ecx=1"}


def test_options_change_what_is_offered(tmp_path):
    def born(cmdline, kind="hvm-default"):
        run("host", "--dump", CPUS / "intel-cascadelake-sp.cpuid", "--xen-cmdline", cmdline, "-o", tmp_path / "h.xlp")
        return names(run_json("show", tmp_path / "h.xlp")["policies"][kind]["features"])

    every = born("")
    assert {"xsave", "ibrsb", "stibp", "ssbd", "pku", "smep"} <= every
    assert every - born("xsave=0") >= {"xsave", "xsavec", "pku"}
    assert every - born("spec-ctrl=msr-sc=no") >= {"ibrsb", "stibp", "ssbd"}
    assert not {"ibrsb", "ssbd"} & born("no-spec-ctrl", "pv-max")
    assert {"ibrsb"} <= born("spec-ctrl=msr-sc=no-pv") and "ibrsb" not in born("spec-ctrl=msr-sc=no-pv", "pv-default")
    assert every - born("no-smep pku=off") == {"smep", "pku"}


def test_cpus_that_are_not_alike_are_anded(tmp_path):
    one = (CPUS / "intel-haswell-ep.cpuid").read_text()
    lines = [line for line in one.splitlines() if line.startswith("   0x")]
    other = [line.replace("ecx=0x7dfefbff", "ecx=0x7dfeebff") for line in lines]
    assert other != lines
    dump = tmp_path / "two.txt"
    dump.write_text("\n".join(["CPU 0:", *lines, "CPU 1:", *other, ""]))
    warnings = run("host", "--dump", dump, "-o", tmp_path / "two.xlp").stderr
    assert "its 2 CPUs are not alike" in warnings and warnings.rstrip().splitlines()[0].endswith("not all: fma")
    policies = run_json("show", tmp_path / "two.xlp")["policies"]
    assert {kind for kind, p in policies.items() if "fma" in names(p["features"])} == {"raw"}
    dump.write_text("\n".join(["CPU 0:", *lines, "CPU 1:", *lines, ""]))
    assert "alike" not in run("host", "--dump", dump, "-o", tmp_path / "two.xlp").stderr


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_policies_narrow_from_raw_to_default(hosts, cpu):
    policies = run_json("show", hosts / f"{cpu}.xlp")["policies"]
    sets = {name: names(p["features"]) for name, p in policies.items()}
    # Xen's own doing: seen on Debian's 4.17.7, see xen/arch/x86/host-policy.c
    intel = cpu.startswith("intel")
    known = ({"rsba", "rrsba", "gds-no", "rfds-no", "its-no"} if intel else
             {"lfence-dispatch", "nscb", "btc-no", "verw-clear", "tsa-sq-no", "tsa-l1-no", "ibpb-brtype", "sbpb"})
    given = {"hypervisor", "x2apic", "apic", "no-lmsl"} | ({"arch-caps", "stibp", "ibpb"} if intel else
                                                           {"sep", "amd-stibp", "virt-ssbd"})
    more = {"htt", "cmp-legacy"} | ({"md-clear", "rsba", "fb-clear", "rfds-clear", "clwb", "rtm-always-abort"} if intel else
                                    {"verw-clear"})
    assert sets["host"] - known <= sets["raw"]
    for kind in ("pv",) if cpu in ONLY_PV else ("pv", "hvm"):
        assert sets[f"{kind}-max"] - given - more <= sets["host"]
        assert sets[f"{kind}-default"] - given <= sets["host"]
        assert sets[f"{kind}-default"] <= sets[f"{kind}-max"]
        assert "vmx" not in sets[f"{kind}-default"] and "svm" not in sets[f"{kind}-default"]
        assert not sets[f"{kind}-max"] & {"monitor", "dca", "tm1", "eist", "smx", "pdcm"}
    assert not sets["pv-max"] & {"vmx", "svm", "smep", "smap", "invpcid", "vme", "pse36", "page1gb"}
    assert cpu in ONLY_PV or sets["pv-default"] - given <= sets["hvm-default"] | {"hypervisor"}


def limits(policy):
    leaves = {(leaf["leaf"], leaf.get("subleaf")): leaf for leaf in policy["leaves"]}
    return tuple(int(leaves[key]["eax"], 16) if key in leaves else 0
                 for key in (("0x00000000", None), ("0x00000007", 0), ("0x80000000", None)))


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_what_xen_417_offers_at_most(hosts, cpu):
    policies = run_json("show", "--leaves", hosts / f"{cpu}.xlp")["policies"]
    for kind in sorted(set(policies) - {"raw", "host"}):
        basic, feat, extd = limits(policies[kind])
        assert basic <= 0xd and feat <= 2
        state = [leaf for leaf in policies[kind]["leaves"] if leaf["leaf"] == "0x0000000d" and leaf["subleaf"] == 0]
        assert all(int(leaf["eax"], 16) & ~0x2ff == 0 and leaf["edx"] == "0x00000000" for leaf in state)
        assert extd <= (0x80000008 if cpu.startswith("intel") else 0x80000021)


@pytest.mark.parametrize("cpu, caps", [
    ("intel-penryn", {"1.ecx", "1.edx"}),
    ("intel-nehalem-ep", {"1.ecx", "1.edx", "80000001.ecx", "80000001.edx"}),
    (OLD, {"1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "d.1.eax"}),
    ("amd-barcelona", {"1.ecx", "1.edx", "80000001.ecx", "80000001.edx"}),
    (AMD, {"1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "6.ecx", "7.0.eax", "7.0.ebx"})])
def test_levelling_caps_of_old_cpus(hosts, cpu, caps):
    known = set(run_json("show", hosts / f"{cpu}.xlp")["levelling_caps"])
    assert known <= CAPS
    if cpu == AMD:  # leaf 7 is there only from Piledriver on
        known -= {"7.0.eax", "7.0.ebx"}
        caps = caps - {"7.0.eax", "7.0.ebx"}
    assert known == caps


def test_levelling_caps_given_by_hand(tmp_path):
    dump = CPUS / f"{NEW}.cpuid"
    answer = run_json("host", "--dump", dump, "-o", tmp_path / "a.xlp", "-l", "faulting, 7.0.ebx")
    assert answer["levelling_caps"] == ["faulting", "7.0.ebx"]
    answer = run_json("host", "--dump", dump, "-o", tmp_path / "a.xlp", "-l", "none")
    assert answer["levelling_caps"] == []
    assert "'8.ecx'" in run("host", "--dump", dump, "-o", tmp_path / "b.xlp", "-l", "8.ecx", status=2).stderr
    assert not (tmp_path / "b.xlp").exists()


def test_host_writes_next_to_you_by_name(tmp_path):
    run("host", "--dump", CPUS / f"{NEW}.cpuid", "--name", "web", cwd=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["web.xlp"]


INSTLAT = """\
------[ CPUID Registers / Logical CPU #0 ]------
CPUID Manufacturer : GenuineIntel
CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69 [GenuineIntel]
CPUID 00000001: 000206D7-00200800-1FBEE3FF-BFEBFBFF
CPUID 00000004: 3C004121-01C0003F-0000003F-00000000{sl0}
CPUID 00000004: 3C004122-01C0003F-0000003F-00000000{sl1}
CPUID 0000000D: 00000007-00000340-00000340-00000000{sl0}
CPUID 0000000D: 00000001-00000000-00000000-00000000{sl1}
CPUID 0000000D: 00000100-00000240-00000000-00000000{sl2}
CPUID 80000000: 80000008-00000000-00000000-00000000
CPUID 80000001: 00000000-00000000-00000001-2C100800
CPUID 80000008: 0000302E-00000000-00000000-00000000
------[ CPUID Registers / Logical CPU #1 ]------
CPUID 00000000: 0000000D-00000000-00000000-00000000
CPUID 00000001: FFFFFFFF-FFFFFFFF-FFFFFFFF-FFFFFFFF
------[ MSR Registers ]------
MSR 0000001B: 0000-0000-FEE0-0900
MSR 000000CE: 0000-0C00-8C01-1A00 [S200]
MSR 0000010A: 0000-0000-0000-0009
MSR 0000010A: 0000-0000-0000-FFFF
"""


@pytest.mark.parametrize("numbered", [True, False])
def test_instlat_dump(pb, tmp_path, numbered):
    marks = {f"sl{i}": f" [SL {i:02}]" if numbered else "" for i in range(3)}
    (tmp_path / "snb.txt").write_text(INSTLAT.format(**marks))
    run("host", "--dump", tmp_path / "snb.txt", "-o", tmp_path / "snb.xlp")
    host = parse(pb, tmp_path / "snb.xlp").host
    assert host.name == "snb" and (host.family, host.model, host.stepping) == (6, 0x2d, 7)
    raw = {(leaf.leaf, leaf.subleaf): leaf for leaf in host_policy(parse(pb, tmp_path / "snb.xlp"), 0).leaves}
    assert raw[1, 0].ecx == 0x1fbee3ff  # of the first CPU
    assert raw[4, 1].eax == 0x3c004122
    assert (raw[0xd, 1].eax, raw[0xd, 2].eax, raw[0xd, 2].ebx) == (1, 0x100, 0x240)
    msrs = {m.index: m.value for m in host_policy(parse(pb, tmp_path / "snb.xlp"), 0).msrs}
    assert msrs == {0xce: 1 << 31, 0x10a: 9}
    assert host.levelling_caps & 1  # faulting, by MSR CE


def test_instlat_dump_that_leaves_out_an_empty_subleaf(pb, tmp_path):
    text = INSTLAT.format(sl0="", sl1="", sl2="")
    text = text.replace("CPUID 0000000D: 00000001-00000000-00000000-00000000\n", "")
    (tmp_path / "snb.txt").write_text(text)
    run("host", "--dump", tmp_path / "snb.txt", "-o", tmp_path / "snb.xlp")
    raw = {(leaf.leaf, leaf.subleaf): leaf for leaf in host_policy(parse(pb, tmp_path / "snb.xlp"), 0).leaves}
    assert (raw[0xd, 2].eax, raw[0xd, 2].ebx) == (0x100, 0x240)


@pytest.mark.parametrize("text, words", [
    ("", "not a CPUID dump"),
    ("hello\nworld\n", "not a CPUID dump"),
    ("CPUID 00000001: 000206D7-00200800-1FBEE3FF-BFEBFBFF\n", "line 1: the first leaf of a dump is leaf 0"),
    ("CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69\n", "ends before leaf 1"),
    ("CPUID 00000000: 0000000D-756E6547-6C65746E\n", "line 1: a CPUID line without four registers"),
    ("CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69 [SL x]\n", "line 1: a subleaf that is no number"),
    ("   0x00000000 0x00: eax=0x0000000d ebx=0x756e6547 ecx=0x6c65746e\n", "line 1: a leaf without its four"),
    ("   0x00000000 0x00: eax=0x0000000d ebx=0x756e\n", "line 1: a register that is not eight"),
    ("   0x00000000: eax=0x0000000d\n", "line 1: a leaf without a subleaf"),
    ("CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69\nMSR 000000CE: 12\n", "line 2: an MSR line"),
    ("x" * 5000, "not a CPUID dump")])
def test_bad_dumps(tmp_path, text, words):
    (tmp_path / "dump").write_text(text)
    done = run("host", "--dump", tmp_path / "dump", "-o", tmp_path / "out.xlp", status=2)
    assert words in done.stderr and "dump" in done.stderr
    assert not (tmp_path / "out.xlp").exists()


def test_dump_that_is_not_there(tmp_path):
    assert "No such file" in run("host", "--dump", tmp_path / "none", status=2, cwd=tmp_path).stderr
    assert not list(tmp_path.iterdir())


# ---- show ----

def test_show_names_and_explains(hosts):
    text = run("show", hosts / f"{NEW}.xlp").stdout
    assert "avx512f" in text and "7.0.ebx[16]" in text and "hvm-default" in text
    assert "levelling" in text
    assert "80000008 -" in run("show", "--leaves", hosts / f"{NEW}.xlp").stdout


def test_show_one_policy(hosts):
    one = run_json("show", "-p", "pv-max", hosts / f"{NEW}.xlp")
    assert list(one["policies"]) == ["pv-max"]
    assert list(run_json("show", "-t", "pv", hosts / f"{NEW}.xlp")["policies"]) == ["pv-default"]


def test_show_pool(pool):
    answer = run_json("show", pool)
    assert answer["kind"] == "level" and [m["name"] for m in answer["members"]] == [OLD, NEW]
    assert "avx" in names(answer["hvm"]["features"]) and "avx2" not in names(answer["hvm"]["features"])
    run("show", "-p", "raw", pool, status=2)


@pytest.mark.parametrize("guest, kind", [(1, "PV"), (2, "HVM or PVH")])
@pytest.mark.parametrize("wrapped", [True, False])
def test_show_save_image(pb, hosts, tmp_path, guest, kind, wrapped):
    policy = host_policy(parse(pb, hosts / f"{NEW}.xlp"), 4 if guest == 1 else 5)
    stream = image(policy, guest)
    (tmp_path / "web1.save").write_bytes(xl_image(stream) if wrapped else stream)
    answer = run_json("show", tmp_path / "web1.save")
    assert answer["kind"] == "guest" and answer["type"] == kind and answer["xen_version"] == "4.17"
    assert answer["name"] == ("web1" if wrapped else "web1.save")
    assert "fma" in names(answer["policy"]["features"])
    # And kept as a file, it is the same guest.
    run("show", tmp_path / "web1.save", "-o", tmp_path / "web1.xlp")
    again = run_json("show", tmp_path / "web1.xlp")
    assert again["policy"] == answer["policy"]
    run("diff", tmp_path / "web1.save", tmp_path / "web1.xlp")


def test_show_output_is_for_guests(hosts, tmp_path):
    assert "already" in run("show", hosts / f"{NEW}.xlp", "-o", tmp_path / "x.xlp", status=2).stderr


def test_image_without_policy(tmp_path):
    (tmp_path / "old.save").write_bytes(build.headers(2, minor=12) + build.record(build.PAGE_DATA, bytes(8)))
    assert "without a CPU policy" in run("show", tmp_path / "old.save", status=2).stderr


# ---- files that are not as they should be ----

READERS = [["show"], ["verify"], ["xlcfg"], ["level"]]


@pytest.mark.parametrize("reader", READERS)
def test_truncated_files_are_refused_with_their_offset(hosts, tmp_path, reader):
    data = (hosts / f"{NEW}.xlp").read_bytes()
    for n in (1, 8, 9, 10, 11, 12, 100, len(data) - 6, len(data) - 5, len(data) - 1):
        (tmp_path / "cut.xlp").write_bytes(data[:n])
        done = run(*reader, tmp_path / "cut.xlp", status=2)
        assert f"truncated: the file ends at byte {n}" in done.stderr


def test_damaged_file(hosts, tmp_path):
    data = bytearray((hosts / f"{NEW}.xlp").read_bytes())
    data[len(data) // 2] ^= 0x10
    (tmp_path / "bad.xlp").write_bytes(data)
    assert "checksum" in run("show", tmp_path / "bad.xlp", status=2).stderr


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(100), b"\xff" * 8 + b"nonsense" * 10,
                                     b"Xen saved domain, xl format\n \0 \r" + bytes(3), bytes(range(100, 255))])
@pytest.mark.parametrize("reader", READERS)
def test_foreign_files(tmp_path, content, reader):
    (tmp_path / "what").write_bytes(content)
    done = run(*reader, tmp_path / "what", status=2)
    assert "what: " in done.stderr and ("byte" in done.stderr or "offset" in done.stderr)


def test_directories_and_missing_files(tmp_path):
    assert "not a file" in run("show", tmp_path, status=2).stderr
    assert "No such file" in run("show", tmp_path / "none.xlp", status=2).stderr
    assert "No such file" in run("show", "none.xlp", status=2, cwd=tmp_path).stderr


def test_newer_version(pb, hosts, tmp_path):
    message = parse(pb, hosts / f"{NEW}.xlp")
    message.version = 2
    assert "version 2" in run("show", write(tmp_path / "new.xlp", message), status=2).stderr


def test_bad_policy_is_named(pb, hosts, tmp_path):
    message = parse(pb, hosts / f"{NEW}.xlp")
    host_policy(message, 3).leaves[2].leaf = 0
    text = run("verify", write(tmp_path / "bad.xlp", message), status=2).stderr
    assert f"host '{NEW}', policy hvm-max: entry 2 (leaf 0)" in text


# ---- verify ----

def test_verify_names_what_cannot_be(pb, hosts, tmp_path):
    message = parse(pb, hosts / f"{MIDDLE}.xlp")
    leaf = next(x for x in host_policy(message, 5).leaves if x.leaf == 1)
    leaf.ecx &= ~(1 << 28)  # AVX goes, AVX2 stays
    path = write(tmp_path / "odd.xlp", message)
    text = run("verify", path, status=1).stdout
    assert "hvm-default: no such CPU can exist" in text and "avx2  7.0.ebx[5]" in text and "needs avx" in text
    answer = run_json("verify", path, status=1)[0]
    assert not answer["valid"]
    assert [p["policy"] for p in answer["policies"] if not p["valid"]] == ["hvm-default"]
    # One bad and one unreadable: the worse status wins.
    run("verify", path, tmp_path / "none.xlp", status=2)


def test_verify_save_image(pb, hosts, tmp_path):
    policy = host_policy(parse(pb, hosts / f"{NEW}.xlp"), 5)
    (tmp_path / "a.save").write_bytes(image(policy))
    assert "a CPU that can exist" in run("verify", tmp_path / "a.save").stdout


# ---- diff ----

def test_diff(hosts):
    run("diff", hosts / f"{NEW}.xlp", hosts / f"{NEW}.xlp")
    text = run("diff", hosts / f"{NEW}.xlp", hosts / f"{OLD}.xlp", status=1).stdout
    assert f"only in {NEW} (host)" in text and "avx512f" in text
    answer = run_json("diff", "-t", "hvm", hosts / f"{NEW}.xlp", hosts / f"{OLD}.xlp", status=1)
    assert not answer["same"]
    assert {"avx2", "fma"} <= names(answer["sides"][0]["only_here"])
    assert answer["sides"][0]["policy"] == "hvm-default" and answer["registers"]
    assert all(r["values"][0] != r["values"][1] for r in answer["registers"])


def test_diff_of_a_pool_and_its_member(hosts, pool):
    answer = run_json("diff", pool, hosts / f"{NEW}.xlp", status=1)
    # NEW's dump has no MSR 10A, but its model has EIBRS, and so RRSBA: RSBA to a level without EIBRS.
    assert names(answer["sides"][0]["only_here"]) == {"rsba"}
    assert "avx512f" in names(answer["sides"][1]["only_here"])


# ---- level ----

ACCUMULATE = {"md-clear", "fb-clear", "rfds-clear", "verw-clear", "no-lmsl", "fs-gs-ns", "rtm-always-abort"}


def test_level_is_what_all_have(hosts, tmp_path):
    members = [OLD, MIDDLE, NEW]
    answer = run_json("level", *(hosts / f"{m}.xlp" for m in members), "-o", tmp_path / "p.xlp")
    defaults = [names(run_json("show", "-p", "hvm-default", hosts / f"{m}.xlp")["policies"]["hvm-default"]["features"])
                for m in members]
    level = names(answer["hvm"]["features"])
    shared = set.intersection(*defaults)
    hazards = {"rsba", "rrsba", "fdp-excp-only", "no-fpu-sel"}
    # What accumulates: as soon as one has it, where everyone's max has.
    most = [names(run_json("show", "-p", "hvm-max", hosts / f"{m}.xlp")["policies"]["hvm-max"]["features"])
            for m in members]
    assert level & ACCUMULATE == set.union(*defaults) & set.intersection(*most) & ACCUMULATE
    assert "md-clear" in level and "md-clear" not in shared and answer["hvm"]["loses"] == []
    assert level - hazards - ACCUMULATE <= shared
    for cost in answer["hvm"]["costs"]:
        assert cost["name"] not in level
        by = {m for m, d in zip(members, defaults) if cost["name"] in d}
        assert set(cost["given_up_by"]) == by
        if "fell_with" not in cost:
            assert set(cost["because_of"]) == set(members) - by
        assert cost["because_of"]
    lost = set.union(*defaults) - level - hazards - ACCUMULATE
    compared = {c["name"] for c in answer["hvm"]["costs"]}
    # Neither given up nor had: the dump of OLD has no leaf D.1, and that of NEW no MSR 10A.
    left_out = {f["name"]: f["not_known_of"] for f in answer["hvm"]["left_out"]}
    assert left_out["xsaveopt"] == [OLD] and not compared & set(left_out)
    compared |= set(left_out)
    assert lost - compared <= {"osxsave", "ospke", "apic", "htt", "cmp-legacy", "x2apic", "hypervisor"} | {
        n for n in lost if n.startswith("e1d-")}
    # The level is a CPU that can exist, and a guest on it can go everywhere.
    run("verify", tmp_path / "p.xlp")
    for kind in ("pv", "hvm"):
        run("check", "--type", kind, tmp_path / "p.xlp", *(hosts / f"{m}.xlp" for m in members))


@pytest.mark.parametrize("maker", ["intel", "amd"])
def test_level_of_every_pair(hosts, tmp_path, maker):
    cpus = [c for c in EVERY_CPU if c.startswith(maker)]
    for i, a in enumerate(cpus):
        for b in cpus[i + 1:]:
            run("level", hosts / f"{a}.xlp", hosts / f"{b}.xlp", "-o", tmp_path / "p.xlp")
            run("verify", tmp_path / "p.xlp")
            if a not in ONLY_PV and b not in ONLY_PV:
                run("check", tmp_path / "p.xlp", hosts / f"{a}.xlp", hosts / f"{b}.xlp")
            run("check", "-t", "pv", tmp_path / "p.xlp", hosts / f"{a}.xlp", hosts / f"{b}.xlp")


def test_level_of_one_is_itself(hosts, tmp_path):
    answer = run_json("level", hosts / f"{NEW}.xlp", "-o", tmp_path / "p.xlp")
    assert answer["hvm"]["costs"] == [] and answer["hvm"]["hosts"][0]["gives_up"] == []


def test_level_says_who_costs_what(hosts, tmp_path):
    text = run("level", *(hosts / f"{m}.xlp" for m in (OLD, MIDDLE, NEW)), cwd=tmp_path).stdout
    assert f"given up by {MIDDLE}, {NEW}, because of {OLD}" in text and "avx2" in text
    assert not list(tmp_path.iterdir())  # nothing is written without -o


def test_level_names_what_guests_cannot_be_told(hosts, pb, tmp_path):
    """VERW clears on Cascade Lake; a guest that may also run under an old Xen, which cannot give the bit, does not learn it."""
    file = pb.File.FromString((hosts / f"{OLD}.xlp").read_bytes())
    file.host.name = "aged"
    (most,) = (p.policy for p in file.host.policies if p.index == 3)
    for leaf in most.leaves:
        if (leaf.leaf, leaf.subleaf) == (7, 0):
            leaf.edx &= ~(1 << 10)
    file.ClearField("end")
    body = file.SerializeToString(deterministic=True)
    (tmp_path / "aged.xlp").write_bytes(body + b"\x7d" + struct.pack("<I", zlib.crc32(body)))
    files = [hosts / f"{NEW}.xlp", tmp_path / "aged.xlp"]
    text = " ".join(run("level", *files, "-o", tmp_path / "p.xlp").stdout.split())
    assert (f"loses md-clear (VERW clears processor buffers), which {NEW} needs: aged cannot give it to guests, so a guest on "
            f"{NEW} may leave out a protection that it needs there") in text
    answer = run_json("level", *files)
    assert answer["hvm"]["loses"] == [{"name": "md-clear", "location": "7.0.edx[10]", "needed_on": [NEW],
                                       "because_of": ["aged"]}]
    assert answer["pv"]["loses"] == [] and "md-clear" in names(answer["pv"]["features"])
    assert "md-clear" not in names(answer["hvm"]["features"])
    run("check", tmp_path / "p.xlp", *files)
    assert "loses" not in run("level", hosts / f"{NEW}.xlp", hosts / f"{MIDDLE}.xlp").stdout


def test_level_across_vendors(hosts, tmp_path):
    done = run("level", hosts / f"{NEW}.xlp", hosts / f"{AMD}.xlp", "-o", tmp_path / "p.xlp", status=1)
    assert f"{NEW} and {AMD} cannot be in one pool" in done.stderr
    assert not (tmp_path / "p.xlp").exists()


def test_level_wants_hosts_with_names_of_their_own(hosts, pool):
    assert "not a host" in run("level", pool, status=2).stderr
    assert "both called" in run("level", hosts / f"{NEW}.xlp", hosts / f"{NEW}.xlp", status=2).stderr


def test_level_of_hosts_without_pv(pb, hosts, tmp_path):
    message = parse(pb, hosts / f"{NEW}.xlp")
    for entry in [p for p in message.host.policies if p.index in (2, 4)]:
        message.host.policies.remove(entry)
    path = write(tmp_path / "hvmonly.xlp", message)
    answer = run_json("level", path, "-o", tmp_path / "p.xlp")
    assert answer["pv"] is None and answer["hvm"]
    assert "no level for PV" in run("xlcfg", "-t", "pv", tmp_path / "p.xlp", status=2).stderr
    assert "cannot run them" in run("level", path).stdout
    # A PV guest cannot go there, and that is an answer, not a failure.
    assert "no guests of that type" in run("check", "-t", "pv", hosts / f"{NEW}.xlp", path, status=1).stdout


def test_level_that_cannot_be_written(hosts, tmp_path):
    assert "cannot be written" in run("level", hosts / f"{NEW}.xlp", "-o", tmp_path / "no" / "p.xlp", status=2).stderr


# ---- PV guests and what cannot be hidden from them ----

@pytest.fixture
def capped(tmp_path):
    def make(cpu, caps, name):
        run("host", "--dump", CPUS / f"{cpu}.cpuid", "--name", name, "-l", caps, "-o", tmp_path / f"{name}.xlp")
        return tmp_path / f"{name}.xlp"
    return make


def test_pv_with_faulting_needs_no_words(capped, hosts):
    new = capped(NEW, "faulting", "new")
    answer = run_json("level", new, hosts / f"{OLD}.xlp")
    mine = answer["pv"]["hosts"][0]["pv_enforcement"]
    assert mine["faulting"] and mine["visible"] == [] and mine["masked"] == []
    assert "PV guests on new" not in run("level", new, hosts / f"{OLD}.xlp").stdout


def test_pv_without_masks_sees_the_rest(capped, hosts):
    new = capped(NEW, "none", "new")
    answer = run_json("level", new, hosts / f"{OLD}.xlp")
    mine = answer["pv"]["hosts"][0]["pv_enforcement"]
    assert {"avx2", "fma", "bmi1"} <= names(mine["visible"]) and mine["masked"] == []
    text = run("level", new, hosts / f"{OLD}.xlp").stdout
    assert "stay visible to their programs" in text and "neither CPUID faulting nor a mask" in text


def test_pv_with_some_masks_pays_for_switching(capped, hosts, tmp_path):
    new = capped(NEW, "1.ecx 1.edx", "new")
    run("level", new, hosts / f"{OLD}.xlp", "-o", tmp_path / "p.xlp")
    answer = run_json("check", "-t", "pv", tmp_path / "p.xlp", new)["hosts"][0]["pv_enforcement"]
    assert "fma" in names(answer["masked"]) and "fma" not in names(answer["visible"])
    assert "avx2" in names(answer["visible"])
    text = run("check", "-t", "pv", tmp_path / "p.xlp", new).stdout
    assert "context switches slower" in text and "stay visible" in text
    # HVM guests are always intercepted: nothing to say about them.
    assert "visible" not in run("check", "-t", "hvm", tmp_path / "p.xlp", new).stdout


def test_pv_programs_on_masks(capped, tmp_path):
    """The README's scene: Sandy Bridge's masks cannot show HYPERVISOR, Haswell faults."""
    old, new = capped(OLD, "1.ecx 1.edx 80000001.ecx 80000001.edx d.1.eax", "old"), capped(MIDDLE, "faulting", "new")
    run("level", new, old, "-o", tmp_path / "p.xlp")
    answer = run_json("check", "-t", "pv", tmp_path / "p.xlp", old, new)
    there = {h["host"]: h["pv_enforcement"] for h in answer["hosts"]}
    assert answer["can_run_everywhere"]
    assert "hypervisor" in names(there["old"]["cannot_be_shown"]) and not there["old"]["exact"]
    assert {"brand", "family and model", "caches"} <= set(there["old"]["identity_changes"])
    assert there["new"]["exact"] and there["new"]["identity_changes"] == []
    text = run("check", "-t", "pv", tmp_path / "p.xlp", old).stdout
    for words in ("stays visible: ", "cannot be shown: hypervisor", "identity changes: family and model, brand"):
        assert words in text

    # Where a guest comes from is known when it is a host's own: then what the move changes is, too.
    text = run("check", "-t", "pv", old, new, status=1).stdout  # aesni
    assert "move from old to new" in text and "appears: hypervisor" in text
    move = run_json("check", "-t", "pv", old, new, status=1)["hosts"][0]["pv_enforcement"]["move"]
    assert move["from"] == "old" and "hypervisor" in names(move["appears"])


def test_pv_strict(capped, tmp_path):
    old, new = capped(OLD, "1.ecx 1.edx 80000001.ecx 80000001.edx d.1.eax", "old"), capped(MIDDLE, "faulting", "new")
    run("level", new, old, "-o", tmp_path / "p.xlp")
    run("check", "-t", "pv", "--strict", tmp_path / "p.xlp", new)
    text = run("check", "-t", "pv", "-s", tmp_path / "p.xlp", old, status=1).stdout
    assert "'p' (PV) cannot run on old" in text and "refused by --strict" in text
    answer = run_json("check", "-t", "pv", "--strict", tmp_path / "p.xlp", old, new, status=1)
    assert [h["can_run"] for h in answer["hosts"]] == [False, True]
    run("check", "--strict", tmp_path / "p.xlp", old)   # HVM
    # Not known is not fine.
    unknown = capped(OLD, "none", "unknown")
    run("check", "-t", "pv", "--strict", tmp_path / "p.xlp", unknown, status=1)

    done = run("level", "--strict", new, old, "-o", tmp_path / "no.xlp", status=1)
    assert "refused by --strict" in done.stderr and "old" in done.stderr and not (tmp_path / "no.xlp").exists()
    run("level", "--strict", new, "-o", tmp_path / "yes.xlp")
    assert (tmp_path / "yes.xlp").exists()


def test_pv_when_nobody_knows(hosts, pool):
    unknown = [c for c in EVERY_CPU if run_json("show", hosts / f"{c}.xlp")["levelling_caps"] is None]
    assert unknown
    text = run("check", "-t", "pv", hosts / f"{unknown[0]}.xlp", hosts / f"{unknown[0]}.xlp").stdout
    assert "is not known" in text


# ---- check ----

def test_check_yes_and_no(hosts):
    new, old = hosts / f"{NEW}.xlp", hosts / f"{OLD}.xlp"
    assert "can run" in run("check", new, new).stdout
    text = run("check", new, old, status=1).stdout
    assert f"cannot run on {OLD}" in text and "features that it was told it has are missing there" in text
    assert "avx2" in text and "7.0.ebx[5]" in text
    answer = run_json("check", new, old, new, status=1)
    assert [h["can_run"] for h in answer["hosts"]] == [False, True] and not answer["can_run_everywhere"]
    missing = {f["name"] for f in answer["hosts"][0]["faults"] if f["kind"] == "feature-missing"}
    assert {"avx2", "fma", "avx512f"} <= missing


@pytest.mark.parametrize("guest, index", [(1, 4), (2, 5)])
def test_check_save_image(pb, hosts, tmp_path, guest, index):
    policy = host_policy(parse(pb, hosts / f"{NEW}.xlp"), index)
    (tmp_path / "web1.save").write_bytes(xl_image(image(policy, guest)))
    run("check", tmp_path / "web1.save", hosts / f"{NEW}.xlp")
    text = run("check", tmp_path / "web1.save", hosts / f"{OLD}.xlp", status=1).stdout
    assert text.startswith(f"'web1' ({'PV' if guest == 1 else 'HVM or PVH'}, from Xen 4.17) cannot run on {OLD}")
    other = "hvm" if guest == 1 else "pv"
    assert "guest, not" in run("check", "-t", other, tmp_path / "web1.save", hosts / f"{NEW}.xlp", status=2).stderr


@pytest.mark.parametrize("guest, index", [(1, 2), (2, 3)])
@pytest.mark.parametrize("cpu", [OLD, NEW, AMD])
def test_arrival_is_judged_by_the_maximum(pb, hosts, tmp_path, cpu, guest, index):
    """A guest that was given more than the default, by its owner's wish, may stay and may come back."""
    message = parse(pb, hosts / f"{cpu}.xlp")
    policy = host_policy(message, index)
    assert policy != host_policy(message, index + 2)
    (tmp_path / "rich.save").write_bytes(image(policy, guest))
    run("check", tmp_path / "rich.save", hosts / f"{cpu}.xlp")


def test_check_needs_to_know_the_type(pb, hosts, tmp_path):
    message = pb.File(magic=0x4c4556454c4e4558, version=1)
    message.guest.name = "who"
    message.guest.policy.CopyFrom(host_policy(parse(pb, hosts / f"{OLD}.xlp"), 5))
    path = write(tmp_path / "who.xlp", message)
    assert "--type pv or --type hvm" in run("check", path, hosts / f"{OLD}.xlp", status=2).stderr
    run("check", "--type", "hvm", path, hosts / f"{OLD}.xlp")


def test_check_bad_hosts(hosts, pool):
    assert "not a host" in run("check", pool, pool, status=2).stderr
    # The answers that could be given are given.
    done = run("check", pool, hosts / f"{OLD}.xlp", "none.xlp", status=2)
    assert "can run on" in done.stdout and "No such file" in done.stderr
    answer = json.loads(run("check", "--json", pool, hosts / f"{OLD}.xlp", "none.xlp", status=2).stdout)
    assert len(answer["hosts"]) == 1 and not answer["can_run_everywhere"]


# ---- apply ----

def test_apply_wants_a_pool_first(hosts, pool, tmp_path):
    assert "No such file" in run("apply", "web1", tmp_path / "none.xlp", status=2).stderr
    assert "is not a domain" in run("apply", hosts / f"{NEW}.xlp", pool, status=2).stderr
    assert "not a pool" in run("apply", hosts / f"{NEW}.xlp", hosts / f"{NEW}.xlp", status=2).stderr


# ---- xlcfg ----

def config(text):
    """What a configuration file sets: its syntax is Python's, as far as this goes."""
    values = {}
    exec(text, {}, values)  # our own output
    return values


@pytest.mark.parametrize("kind", ["pv", "hvm"])
@pytest.mark.parametrize("members", [(OLD, NEW), ("amd-barcelona", "amd-bergamo"),
                                     ("intel-skylake-sp", "intel-sapphire-rapids")])
def test_xlcfg_bits_as_libxl_reads_them(hosts, libxl, tmp_path, kind, members):
    run("level", *(hosts / f"{m}.xlp" for m in members), "-o", tmp_path / "p.xlp")
    text = run("xlcfg", "-t", kind, tmp_path / "p.xlp").stdout
    values = config(text)
    assert list(values) == ["cpuid"] and "no msr= option" in text
    policy = ctypes.c_void_p()
    for entry in values["cpuid"]:
        assert libxl.libxl_cpuid_parse_config_xend(ctypes.byref(policy), entry.encode()) == 0, entry
    assert values["cpuid"] == run_json("xlcfg", "-t", kind, tmp_path / "p.xlp")["cpuid"]
    # Every bit of the level is let through, every bit that a member gives up is not.
    level = run_json("show", tmp_path / "p.xlp")[kind]
    shown = {f["location"] for f in level["features"]}
    for entry in values["cpuid"]:
        place, bits = entry.split("=")
        leaf, reg = place.split(":")
        leaf = ".".join(f"{int(x, 0):x}" for x in leaf.split(","))
        assert len(bits) == 32 and set(bits) <= set("01x")
        for bit, value in enumerate(reversed(bits)):
            if f"{leaf}.{reg}[{bit}]" in shown:
                assert value in "1x", (entry, bit)
    basic, feat, extd = limits(run_json("show", "--leaves", tmp_path / "p.xlp")[kind])
    for feature in run_json("xlcfg", "-t", kind, tmp_path / "p.xlp")["hidden"]:
        if feature["location"].startswith("msr"):
            assert feature["name"] in text
            continue
        place, bit = feature["location"][:-1].split("[")
        *leaf, reg = place.split(".")
        key = f"{int(leaf[0], 16):#x}" + "".join(f",{int(x, 16)}" for x in leaf[1:]) + ":" + reg
        lines = [e.split("=")[1] for e in values["cpuid"] if e.startswith(key + "=")]
        number = int(leaf[0], 16)
        sub = int(leaf[1], 16) if len(leaf) > 1 else 0
        if number <= (extd if number >= 0x80000000 else basic) and (number != 7 or sub <= feat):
            assert lines and lines[0][31 - int(bit)] == "0", feature


@pytest.mark.parametrize("members", [(OLD, NEW), ("amd-barcelona", "amd-bergamo"),
                                     ("intel-skylake-sp", "intel-sapphire-rapids")])
def test_xlcfg_names_as_libxl_reads_them(hosts, libxl, tmp_path, members):
    run("level", *(hosts / f"{m}.xlp" for m in members), "-o", tmp_path / "p.xlp")
    first, *rest = config(run("xlcfg", "--form", "names", tmp_path / "p.xlp").stdout)["cpuid"].split(",")
    assert first == "host" and rest
    policy = ctypes.c_void_p()
    for item in rest:
        assert libxl.libxl_cpuid_parse_config(ctypes.byref(policy), item.encode()) == 0, item


def test_xlcfg_wants_a_pool(hosts):
    assert "not a pool" in run("xlcfg", hosts / f"{NEW}.xlp", status=2).stderr


# ---- what a newer program wrote ----

def test_files_of_a_newer_program_are_read(pb, hosts, tmp_path):
    data = (hosts / f"{NEW}.xlp").read_bytes()[:-5]
    data += bytes([14 << 3 | 2, 5]) + b"newer"
    path = tmp_path / "newer.xlp"
    path.write_bytes(data + b"\x7d" + struct.pack("<I", zlib.crc32(data)))
    assert run_json("show", path)["name"] == NEW
