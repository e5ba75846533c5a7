# SPDX-License-Identifier: MIT
"""Every form in which people have a CPU, by what is known from it and what stays unknown.

The files of tests/data/forms were written for these tests in each program's format: a CPU of
Haswell's kind, with a few registers.
"""

import gzip
import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORMS = ROOT / "tests" / "data" / "forms"
XENLEVEL = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build")) / "tools" / "xenlevel" / "xenlevel"
HASWELL = ROOT / "tests" / "data" / "hosts" / "haswell.xlp"


def run(*args, status=0, input=None):
    done = subprocess.run([XENLEVEL, *args], input=input, capture_output=True, timeout=600)
    done.out, done.err = done.stdout.decode(), " ".join(done.stderr.decode().split())
    assert done.returncode == status, (args, done.out, done.err)
    return done


def read_host(path, tmp_path, policy="raw", **more):
    """What `host --dump` makes of it: the JSON of one policy, with its featureset as words."""
    out = tmp_path / "host.xlp"
    run("host", "--dump", path, "-o", out, **more)
    host = json.loads(run("show", "--json", "-p", policy, out).out)
    host["words"] = host["policies"][policy]["featureset"].split(":")
    return host


WORDS = "1d 1c e1d e1c Da1 7b0 7c0 e7d e8b 7d0 7a1".split()

# All of the CPU that the files are of.
WHOLE = {"1d": "bfebfbff", "1c": "7ffefbff", "e1d": "2c100800", "e1c": "00000021", "Da1": "00000001", "7b0": "000037ab",
         "7c0": "00000000", "e7d": "00000100", "7d0": "9c000400", "7a1": "00000000"}

HOSTS = [
    # the file, what it is read as, the policy looked at, what its words are
    ("instlat.txt", "InstLatx64 or AIDA64 dump, of 2 CPUs", "raw", WHOLE),
    ("instlat-blanks.txt", "InstLatx64 or AIDA64 dump, of 2 CPUs", "raw", WHOLE),
    ("instlat-no-colon.txt", "InstLatx64 or AIDA64 dump, of 2 CPUs", "raw", WHOLE),
    ("aida64-report.txt", "a report of AIDA64 or EVEREST, of 2 CPUs", "raw", WHOLE),
    ("cpuid-r.txt", "cpuid -r, of 2 CPUs", "raw", WHOLE),
    ("cpuid-1r.txt", "cpuid -r", "raw", WHOLE),
    ("cpuid-dump-rs.txt", "cpuid -r", "raw", WHOLE),     # without the registers' names
    ("cpuid-r-kvm.txt", "cpuid -r", "raw", {"1c": "fffefbff", "7b0": "000037ab"}),
    ("libcpuid-0.5.raw", "libcpuid raw file", "raw", {**WHOLE, "Da1": "????????"}),
    ("libcpuid-0.7.raw", "libcpuid raw file, of 2 CPUs", "raw", {**WHOLE, "Da1": "????????"}),
    ("vmware.log", "vmware.log", "raw", WHOLE),
    ("xen-cpuid-p-raw.txt", "xen-cpuid -p", "raw", WHOLE),
    ("xen-cpuid-p.txt", "xen-cpuid -p", "hvm-max", {"1d": "1fcbfbff", "1c": "f7fa3203", "7b0": "000023ab", "7d0": "9c000400"}),
    ("xen-cpuid-p.txt", "xen-cpuid -p", "pv-default", {"1d": "1fc9cbf5", "1c": "f6d83203", "7b0": "00002329"}),
    ("xen-cpuid.txt", "xen-cpuid", "hvm-default", {"1d": "17cbfbff", "7b0": "000007ab", "e8b": "00101000", "7a1": "00000000"}),
    ("xen-cpuid.txt", "xen-cpuid", "host", {"1c": "77faf3ff"}),
    ("xen-cpuid-4.8.txt", "xen-cpuid", "hvm-max", {"1d": "17cbfbff", "1c": "f7fa2223"}),
    ("xen-cpuid-4.8.txt", "xen-cpuid", "pv-default", {"1d": "17c9cbf5", "1c": "f6d82203"}),
    # of a maximum that was not printed, what the default has is known
    ("xen-cpuid-default-only.txt", "xen-cpuid", "hvm-max", {"1d": "????f?ff", "7b0": "????????"}),
    ("xl-info.txt", "xl info", "raw", {"1d": "b7ebfbff", "1c": "77faf3ff", "e1c": "00000021", "7b0": "000037ab", "7d0": "????????"}),
    ("xl-info-4.6.txt", "xl info", "raw", {"1d": "bfebfbff", "e1d": "2c100800", "1c": "77fefbff", "e1c": "00000021",
                                           "7b0": "000037ab", "7c0": "????????"}),
    ("xe-host-cpu-info.txt", "XAPI's features_pv and features_hvm", "hvm-default", {"1d": "17cbfbff", "7b0": "000007ab"}),
    ("xe-host-cpu-info.txt", "XAPI's features_pv and features_hvm", "pv-max", {"1d": "17c9cbf5", "7b0": "00000329"}),
    ("xe-host-param-list.txt", "XAPI's features_pv and features_hvm", "pv-default", {"1c": "f6d82203"}),
    ("xe-old.txt", "XAPI's features_pv and features_hvm", "raw", {"1c": "77fafbff", "1d": "bfebfbff", "e1c": "00000021",
                                                                  "e1d": "2c100800", "7b0": "????????"}),
    ("featureset.txt", "a featureset's words", "pv-max", {"1d": "17cbfbff", "7d0": "9c000400"}),
]


@pytest.mark.parametrize("name, read, policy, words", HOSTS, ids=[f"{row[0]}-{row[2]}" for row in HOSTS])
def test_host_forms(name, read, policy, words, tmp_path):
    host = read_host(FORMS / name, tmp_path, policy)
    assert f"read as {read}" in host["notes"]
    assert host["vendor"] == "GenuineIntel"
    got = dict(zip(WORDS, host["words"]))   # without zeros at the end
    assert {w: got.get(w, "00000000") for w in words} == words


NAMES = [
    # the file, what it is read as, names that are there, that are not, and of which nobody knows
    ("cpuid-decoded.txt", "decoded cpuid, of 2 CPUs", ["fma", "avx", "avx2", "ibrsb", "lm", "syscall"], ["rtm", "x2apic"],
     ["bmi1", "smap"]),
    ("cpuinfo.txt", "/proc/cpuinfo, of 2 CPUs", ["sse3", "aesni", "avx2", "eist", "itsc", "dts", "ds", "pqm", "ibrsb", "stibp",
                                                 "page1gb", "l1d-flush"], ["adx", "sha", "sse4a"], ["rtm", "smap", "avx512f"]),
    ("lscpu.txt", "lscpu", ["sse3", "aesni", "avx2", "turbo"], ["adx"], ["rtm"]),
    ("lscpu.json", "lscpu -J", ["sse3", "aesni", "avx2", "turbo"], ["adx"], ["rtm"]),
    ("libvirt-capabilities.xml", "libvirt XML", ["vmx", "avx2", "itsc", "page1gb"], [], ["avx", "sse3"]),
]


@pytest.mark.parametrize("name, read, there, absent, unknown", NAMES, ids=[row[0] for row in NAMES])
def test_names(name, read, there, absent, unknown, tmp_path):
    host = read_host(FORMS / name, tmp_path)
    assert f"read as {read}" in host["notes"]
    features = {f["name"] for f in host["policies"]["raw"]["features"]}
    assert set(there) <= features
    assert not features & set(absent + unknown)
    assert host["not_known"]


@pytest.mark.parametrize("name", ["cpuid-decoded.txt", "cpuinfo.txt"])
def test_text_in_front_is_no_cpu(name, tmp_path):
    """A prompt or a mail above the first CPU: nothing is missing of the boot CPU for it."""
    (tmp_path / name).write_bytes(b"$ cat it\n\n" + (FORMS / name).read_bytes())
    bare, host = read_host(FORMS / name, tmp_path), read_host(tmp_path / name, tmp_path)
    assert host["notes"] == bare["notes"] and host["words"] == bare["words"]


@pytest.mark.parametrize("cpu", ["processor : 0\nvendor_id : GenuineIntel\nflags : fpu sse2\n",
                                 "CPU 0:\n   feature information (1/edx):\n      x87 FPU on chip = true\n"])
def test_more_cpus_than_are_read(cpu, tmp_path):
    (tmp_path / "many.txt").write_text(cpu * 4097)
    host = read_host(tmp_path / "many.txt", tmp_path)
    assert "of 4096 CPUs" in host["notes"][0] and "only the first 4096 of its CPUs were read" in host["notes"]


GUESTS = [
    ("xen-cpuid-p-domain.txt", "domain 7", "HVM or PVH"),
    ("cpuid-1r-dom0.txt", "cpuid-1r-dom0", "PV"),
    ("cpuid-r-viridian.txt", "cpuid-r-viridian", "HVM or PVH"),
    ("cpuid-decoded-dom0.txt", "cpuid-decoded-dom0", None),
    ("lscpu-dom0.txt", "lscpu-dom0", "PV"),
    ("vmware-guest.log", "vmware-guest", "HVM or PVH"),
    ("xe-vm-last-boot.txt", "xe-vm-last-boot", None),
    ("xe-vm-param-list.txt", "xe-vm-param-list", "HVM or PVH"),
    ("libvirt-domain.xml", "web1", "HVM or PVH"),
    ("firecracker.json", "firecracker", "HVM or PVH"),
]


@pytest.mark.parametrize("name, called, type", GUESTS, ids=[row[0] for row in GUESTS])
def test_guest_forms(name, called, type):
    """What one domain was told is a guest of `check`, and no host."""
    err = run("host", "--dump", FORMS / name, status=2).err
    assert "no host" in err
    args = [] if type else ["--type", "hvm"]
    done = subprocess.run([XENLEVEL, "check", "--json", *args, FORMS / name, HASWELL], capture_output=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    answer = json.loads(done.stdout)
    assert answer["guest"] == called
    if type:
        assert answer["type"] == type


def test_cpu_element_alone(tmp_path):
    """What `xlcfg --form libvirt` prints is a guest's, and no host."""
    path = tmp_path / "cpu.xml"
    path.write_text("<!-- A level. -->\n<cpu mode='host-passthrough'>\n  <feature policy='disable' name='avx2'/>\n</cpu>\n")
    assert "no host" in run("host", "--dump", path, status=2).err
    answer = json.loads(run("check", "--json", path, HASWELL, status=1).out)
    assert answer["guest"] == "cpu" and answer["type"] == "HVM or PVH" and answer["hosts"][0]["reason"] == "unknown"
    path.write_text("<cpu><arch>x86_64</arch><vendor>Intel</vendor><feature name='vmx'/></cpu>")
    assert read_host(path, tmp_path)["name"] == "cpu"


def test_xapi_platform_featureset():
    """platform:featureset is what the VM is told; last-boot-CPU-flags are its host's."""
    words = run("show", "--json", FORMS / "xe-vm-param-list.txt").out
    assert json.loads(words)["cpu"] == "model not known"
    assert json.loads(words)["policy"]["featureset"].split(":")[5] == "000007ab"


@pytest.mark.parametrize("name", ["vmware.log", "libcpuid-0.5.raw", "libcpuid-0.7.raw", "instlat.txt"])
def test_a_cut_line_of_each_form(name, tmp_path):
    path = tmp_path / "cut"
    whole = (FORMS / name).read_text()
    path.write_text(whole[:whole.upper().index("000037AB") + 4])
    assert "these are not in the file: 7, d, 80000000" in run("host", "--dump", path, status=2).err
    assert "is cut short and was passed over" in run("host", "--dump", path, "--partial", "-o", tmp_path / "x.xlp").err


def test_xl_info_says_what_runs_there(tmp_path):
    """xl info names the Xen and its command line: both count, unless the options say otherwise."""
    path = tmp_path / "info.txt"
    text = (FORMS / "xl-info.txt").read_text().replace("4.17.4", "4.20.1")
    path.write_text(text + "xen_commandline        : placeholder dom0_mem=1G cpuid=no-aesni\n")
    done = run("host", "--dump", path, "-o", tmp_path / "x.xlp")
    assert "the policies are what Xen 4.20 would offer" in done.out and "its xen_commandline counts" in done.out
    assert done.err.count("does not change what guests are offered: dom0_mem=1G") == 1 and "placeholder" not in done.err
    names = [f["name"] for f in read_host(path, tmp_path, "hvm-max")["policies"]["hvm-max"]["features"]]
    assert "aesni" not in names and "pclmulqdq" in names
    path.write_text(text + "xen_commandline        : tsx=0 cpuid=nosuch\n")
    assert "'nosuch'" in run("host", "--dump", path, "-o", tmp_path / "x.xlp").err
    path.write_text(text + "xen_commandline        : cpuid=no-aesni\n")
    done = run("host", "--dump", path, "-x", "cpuid=no-pclmulqdq", "-X", "4.18", "-o", tmp_path / "x.xlp")
    assert "the policies are what Xen 4.18 would offer" in done.out
    names = [f["name"] for f in json.loads(run("show", "--json", "-p", "hvm-max", tmp_path / "x.xlp").out)["policies"]["hvm-max"]["features"]]
    assert "aesni" in names and "pclmulqdq" not in names


def test_nested_paging_without_a_model(tmp_path):
    """xl info has no model: a CPU with PCID has nested page tables, so its guests get PCID and 1G pages."""
    out = tmp_path / "x.xlp"
    run("host", "--dump", FORMS / "xl-info.txt", "-o", out)
    hvm = json.loads(run("show", "--json", "-p", "hvm-max", out).out)["policies"]["hvm-max"]
    assert {"pcid", "invpcid", "page1gb"} <= {f["name"] for f in hvm["features"]}


@pytest.mark.parametrize("end", [b"0x1", b"CPU 1:\n   0x00000000 0x00: eax=0x0000000d ebx=0x756e"])
def test_a_cut_line(end, tmp_path):
    """A file that stops in the middle of a line is read up to there, and says so."""
    path = tmp_path / "cut"
    whole = (FORMS / "cpuid-1r.txt").read_bytes()
    path.write_bytes(whole + end)
    host = read_host(path, tmp_path)
    assert dict(zip(WORDS, host["words"]))["7b0"] == "000037ab"
    at = whole.index(b"0x80000000 ")
    path.write_bytes(whole[:at + 30])
    assert "these are not in the file: 80000000; --partial" in run("host", "--dump", path, status=2).err
    assert "is cut short and was passed over" in run("host", "--dump", path, "--partial", "-o", tmp_path / "x.xlp").err
    path.write_bytes(whole[:at + 30] + b"\n")
    assert "a register that is not eight" in run("host", "--dump", path, "--partial", status=2).err


def test_a_cut_line_of_libcpuid(tmp_path):
    whole = (FORMS / "libcpuid-0.7.raw").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:whole.rindex(b"=") + 12])
    assert "is cut short and was passed over" in run("host", "--dump", tmp_path / "cut", "-o", tmp_path / "x.xlp").err
    (tmp_path / "cut").write_bytes(whole[:whole.rindex(b"=") + 12] + b"\n")
    assert "four registers of eight digits" in run("host", "--dump", tmp_path / "cut", status=2).err


def test_inside_xen_is_named(tmp_path):
    err = run("host", "--dump", FORMS / "cpuid-1r-dom0.txt", status=2).err
    assert "taken inside a domain of Xen" in err and "xenlevel check" in err
    err = run("check", "-t", "pv", FORMS / "cpuid-1r-dom0.txt", HASWELL, status=1).err
    assert "PV domain of Xen (neither PSE nor PGE is there)" in err
    assert "virtual machine of KVM (leaf 40000000 says 'KVMKVMKVM')" in \
        run("host", "--dump", FORMS / "cpuid-r-kvm.txt", "-o", tmp_path / "kvm.xlp").err


def test_same_cpu_in_every_shape(tmp_path):
    """The three shapes of one dump, and the same leaves of other programs, give one raw policy."""
    def leaves(name):
        return json.dumps(json.loads(run("show", "--json", "-l", "-p", "raw", host(name)).out)["policies"])

    def host(name):
        run("host", "--dump", FORMS / name, "-o", tmp_path / "one.xlp")
        return tmp_path / "one.xlp"

    first = leaves("instlat.txt")
    assert leaves("instlat-blanks.txt") == first
    assert leaves("instlat-no-colon.txt") == first
    assert leaves("aida64-report.txt") == first
    assert leaves("cpuid-1r.txt") == leaves("cpuid-r.txt")


FEATURESET = (FORMS / "featureset.txt").read_text().strip()


def test_featureset_on_the_command_line():
    answer = json.loads(run("check", "--json", FEATURESET, HASWELL, status=1).out)
    assert answer["guest"] == "featureset"
    missing = {f["name"] for f in answer["hosts"][0]["faults"] if f["kind"] == "feature-missing"}
    assert "pcid" in missing and "avx512f" not in missing
    answer = json.loads(run("check", "--json", HASWELL, FEATURESET, status=1).out)
    assert answer["hosts"][0]["host"] == "featureset"
    longer = FEATURESET + "-00000000" * (40 - FEATURESET.count("-"))  # no name of a file is as long
    assert json.loads(run("check", "--json", longer, HASWELL, status=1).out)["guest"] == "featureset"
    colons = FEATURESET.replace("-", ":")
    assert json.loads(run("check", "--json", colons, HASWELL, status=1).out)["guest"] == "featureset"


def pack(how, data):
    if how == "gz":
        return gzip.compress(data)
    if how == "xz":
        return lzma.compress(data)
    if how == "zst":
        return subprocess.run([shutil.which("zstd"), "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    if how == "utf-16 be":
        return b"\xfe\xff" + data.decode().encode("utf-16-be")
    if how == "utf-16 without a mark":
        return data.decode().encode("utf-16-le")
    if how == "bom":
        return b"\xef\xbb\xbf" + data
    if how == "crlf":
        return data.replace(b"\n", b"\r\n")
    if how == "cr":
        return data.replace(b"\n", b"\r")
    if how == "answered mail":
        return b"".join(b"> > " + line for line in data.splitlines(True))
    if how == "utf-16 in gz":
        return gzip.compress(data.decode().encode("utf-16"))
    return data.decode().encode(how)


@pytest.mark.parametrize("how", ["gz", "xz", "zst", "utf-16", "utf-16 be", "utf-16 without a mark", "bom", "crlf", "cr",
                                 "utf-16 in gz", "answered mail"])
def test_packed(how, tmp_path):
    path = tmp_path / "dump.txt"
    path.write_bytes(pack(how, (FORMS / "instlat.txt").read_bytes()))
    host = read_host(path, tmp_path)
    assert dict(zip(WORDS, host["words"]))["7b0"] == "000037ab"
    assert host["name"] == "dump"


def test_standard_input(tmp_path):
    host = read_host("-", tmp_path, input=(FORMS / "cpuid-r.txt").read_bytes())
    assert host["name"] == "standard-input"


REFUSED = [
    (b"", "it is empty"),
    (b"\x7fELF" + bytes(60), "it is a program (ELF)"),
    (b"hello\x1b[31m there\n", r"it is text that begins with 'hello\x1b[31m there'"),
    (bytes(range(1, 30)), "no text: it begins with the bytes 01 02 03 04"),
    (b'name = "web1"\ncpuid = "host,avx2=0"\n', "a configuration of xl, which only `xenlevel check` takes"),
    (b"PK\x03\x04" + bytes(50), "ZIP archive"),
    (b"\x1f\x8b\x08" + bytes(30), "gzip: damaged"),
    (b"\xfd7zXZ\x00" + bytes(30), "xz: damaged"),
    (b"\x28\xb5\x2f\xfd" + bytes(30), "zstd: damaged"),
    (b"<domain><cpu></domain>", "begins as XML and is none"),
    (b"<!DOCTYPE d [<!ENTITY a 'x'>]><domain><name>&a;</name></domain>", "a document type"),
    (b'{"cpuid_modifiers": [', "line 1"),
    (b'{"cpuid_modifiers": [{"leaf": "0x7", "modifiers": [{"register": "exx", "bitmap": "0b1"}]}]}', "modifier 0"),
    (b'{"cpuid_modifiers": ' + b"[" * 300000 + b"]" * 300000 + b"}", "line 1: nested deeper than"),
    (b'{"lscpu": ' + b"[" * 300000 + b"]" * 300000 + b"}", "line 1: nested deeper than"),
    (b'{"cpuid_modifiers": [\n{"leaf": -1}]}', "entry 0: its leaf or subleaf is no number"),
    (b"hw_caps : 1234\n", "hw_caps has 0 words"),
    (b"hw_caps : " + b":".join([b"00000000"] * 8), "no x86 host"),
    (b"Architecture: aarch64\nFlags: fp asimd\n", "it is of a CPU of aarch64, and no x86"),
    (b'{"lscpu": [{"field": "Architecture:", "data": "riscv64"}, {"field": "Flags:", "data": "fp"}]}', "no x86"),
    (b"features_pv: none\n", "no featureset is in it"),
    (b"Static sets:\nHVM Max 00000000:00000000:00000000:00000000\n", "only static sets"),
    (b"basic_cpuid[0]=0000000d 756e6547 6c65746e\n", "line 1: not a number in brackets"),
]


@pytest.mark.parametrize("content, why", REFUSED, ids=range(len(REFUSED)))
def test_refused_by_name(content, why, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    err = run("host", "--dump", path, "-o", tmp_path / "x.xlp", status=2).err
    assert why in err and "file: " in err
    assert not (tmp_path / "x.xlp").exists()


def test_cut_policy_is_refused(tmp_path):
    assert "the policy 'Raw' is cut short" in run("host", "--dump", FORMS / "xen-cpuid-p-cut.txt", status=2).err


def test_json_of_xapi(tmp_path):
    """As the API and programs over it hand it on."""
    words = "-".join(["1789cbf5", "f6f83203", "2991cbf5", "00000023", "00000001", "01000b39", "00000000", "00000000", "00001000",
                      "8c000000"])
    (tmp_path / "cpu.json").write_text(json.dumps({"cpu": {"vendor": "GenuineIntel", "family": "6", "model": "85", "stepping": "4",
                                                           "features_pv": words, "features_hvm": words}}, indent=1))
    host = read_host(tmp_path / "cpu.json", tmp_path, "pv-default")
    assert host["model"] == 85 and host["words"][5] == "01000b39"


def test_a_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(65 << 20)))
    assert "more than 64 MiB" in run("host", "--dump", path, status=2).err


def test_pipes_are_read(tmp_path):
    """A shell's <(...) is a pipe."""
    done = subprocess.run(["bash", "-c", f"{XENLEVEL} check --json <(cat {FORMS / 'xen-cpuid-p-domain.txt'}) {HASWELL}"],
                          capture_output=True, timeout=600)
    assert json.loads(done.stdout)["guest"] == "domain 7"


def test_levels_over_forms(tmp_path):
    """Commands take them in the place of a host's file."""
    run("level", FORMS / "xen-cpuid-p.txt", FORMS / "cpuid-r.txt", "-o", tmp_path / "pool.xlp")
    assert "xen-cpuid-p" in run("show", tmp_path / "pool.xlp").out
