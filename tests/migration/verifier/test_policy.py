# SPDX-License-Identifier: MIT
"""The verifier's rules against the C library's, through the xenlevel command, over many damaged policies."""

import json
import os
import random
import re
import subprocess
import zlib
from pathlib import Path

import pytest

import streambuilder
from migration import check, features, policy, records, tables, xlp
from migration.libxc import CPUID_POLICY, MSR_POLICY

ROOT = Path(__file__).resolve().parents[3]
STREAMS = ROOT / "tests/migration/streams"
CPUS = sorted((ROOT / "xen/sim/machines").glob("*.cpuid"))
SEED = int(os.environ.get("XENLEVEL_SEED") or 20261129)
DAMAGED = 60        # policies of each origin


@pytest.fixture(scope="module", autouse=True)
def protobuf():
    pytest.importorskip("google.protobuf")


@pytest.fixture(scope="module")
def xenlevel(build):
    return [str(build / "tools/xenlevel/xenlevel")]


def encode(file):
    file.magic = 0x4c4556454c4e4558
    file.version = 1
    body = file.SerializeToString(deterministic=True)
    return body + b"\x7d" + zlib.crc32(body).to_bytes(4, "little")


def encode_again(file):
    """A file that was read has its end's checksum in a field."""
    file.ClearField("end")
    return encode(file)


def put_policy(message, leaves, msrs):
    for leaf, subleaf, a, b, c, d in leaves:
        m = message.leaves.add(leaf=leaf, eax=a, ebx=b, ecx=c, edx=d)
        if subleaf != policy.NONE:
            m.subleaf = subleaf
    for number, value in msrs:
        message.msrs.add(index=number, value=value)


def write_guest(path, name, kind, leaves, msrs):
    file = xlp._file_class()()
    file.guest.name, file.guest.type = name, kind
    put_policy(file.guest.policy, leaves, msrs)
    path.write_bytes(encode(file))


def arrays(p):
    """Arrays in ascending order of a Policy."""
    leaves = [(*key, *p.leaves[key]) for key in sorted(p.leaves)]
    return leaves, [(policy.MSR_PLATFORM_INFO, p.platform_info), (policy.MSR_ARCH_CAPS, p.arch_caps)]


@pytest.fixture(scope="module")
def hosts(xenlevel, tmp_path_factory):
    """Captured hosts, and one for each processor of xen/sim/machines: [(path, Host)]."""
    directory = tmp_path_factory.mktemp("hosts")
    paths = sorted(STREAMS.glob("*.xlp"))
    for dump in CPUS:
        path = directory / (dump.stem + ".xlp")
        r = subprocess.run([*xenlevel, "host", "--dump", str(dump), "-o", str(path)], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        paths.append(path)
    return [(path, xlp.load_host(path)) for path in paths]


def damage(rng, leaves, msrs):
    """A policy with some bits, registers or maxima changed; still sorted and complete, as an .xlp must be."""
    leaves = [list(entry) for entry in leaves]
    msrs = [list(entry) for entry in msrs]
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8, 40])):
        entry, kind = rng.choice(leaves), rng.randrange(10)
        if kind < 5:
            entry[rng.randrange(2, 6)] ^= 1 << rng.randrange(32)
        elif kind == 5:
            entry[rng.randrange(2, 6)] = rng.choice([0, 1, 0xffffffff, 0x80000000, 576, 575, rng.getrandbits(32)])
        elif kind == 6:     # maxima
            maximum = rng.choice([e for e in leaves if e[0] in (0, 7, 0x80000000)])
            maximum[2] = rng.choice([0, 1, 6, 7, 0xd, 0x24, 0x25, 3, 4, 0x80000000, 0x80000007, 0x80000008, 0x80000028,
                                     0x80000029, 0xffffffff])
        elif kind == 7:     # the XSAVE area
            areas = [e for e in leaves if e[0] == 0xd] or leaves
            rng.choice(areas)[rng.randrange(2, 6)] ^= 1 << rng.randrange(12)
        elif kind == 8:
            rng.choice(msrs)[1] ^= 1 << rng.randrange(64)
        else:               # widths, brand, line size
            for e in leaves:
                if e[0] in (1, 0x80000008) and rng.random() < 0.5:
                    e[rng.choice([2, 3])] ^= 0xff << 8 * rng.randrange(3)
    return complete([tuple(e) for e in leaves], [tuple(e) for e in msrs])


def complete(leaves, msrs):
    """What a raised maximum says there is is named, as zero."""
    while True:
        p, _ = policy.from_arrays(leaves, [(number, 0, value) for number, value in msrs])
        faults = policy.whole(p)
        if not faults:
            return leaves, msrs
        for f in faults:
            assert f.msr == policy.NONE
            leaves.append((f.leaf, 0 if f.leaf in policy.FAMILIES and f.subleaf == policy.NONE else f.subleaf, *policy.EMPTY))
        leaves.sort()


def lower(leaves, msrs, which):
    """One of the maxima lowered by one: its last leaf is beyond."""
    maximum = [(0, policy.NONE), (7, 0), (policy.EXTD, policy.NONE)][which]
    return [(*e[:2], e[2] - 1 if e[:2] == maximum and e[2] else e[2], *e[3:]) for e in leaves], msrs


def facts(faults):
    """As the command's JSON has them."""
    out = []
    for f in faults:
        fact = {"kind": f.kind, "text": policy.fault_text(f)}
        if f.feature != policy.NONE and f.kind != "field":
            known = features.table().features.get(f.feature)
            fact.update(name=known.name if known else None, location=features.table().location(f.feature),
                        description=known.description if known else None)
        if f.leaf != policy.NONE:
            fact["leaf"] = f"0x{f.leaf:08x}"
        if f.subleaf != policy.NONE:
            fact["subleaf"] = f.subleaf
        if f.msr != policy.NONE:
            fact["msr"] = f"0x{f.msr:08x}"
        out.append(fact)
    return out


@pytest.fixture(scope="module")
def damaged(hosts, tmp_path_factory):
    """[(path, Policy)] of policies as they were, and damaged."""
    print(f"XENLEVEL_SEED={SEED}")
    rng = random.Random(SEED)
    directory = tmp_path_factory.mktemp("damaged")
    found = []
    for path, host in hosts:
        for index in sorted(host.policies):
            whole = arrays(host.policies[index])
            for n in range(DAMAGED // 6 + 1):
                leaves, msrs = lower(*whole, n - 1) if 0 < n < 4 else damage(rng, *whole) if n else whole
                file = directory / f"{path.stem}-{index}-{n}.xlp"
                write_guest(file, "g", 1 + (index in (3, 5)), leaves, msrs)
                p, faults = policy.from_arrays(leaves, [(number, 0, value) for number, value in msrs])
                assert not faults
                found.append((file, p))
    return found


def test_verify_is_the_librarys(xenlevel, damaged):
    wrong = 0
    for begin in range(0, len(damaged), 200):
        some = damaged[begin:begin + 200]
        r = subprocess.run([*xenlevel, "verify", "--json", *[str(path) for path, _ in some]], capture_output=True, text=True)
        assert r.returncode in (0, 1), r.stderr
        for (path, p), theirs in zip(some, json.loads(r.stdout), strict=True):
            faults = theirs["policies"][0]["faults"]
            assert facts(policy.verify(p)) == faults, f"{path.name}, XENLEVEL_SEED={SEED}"
            wrong += bool(faults)
    assert wrong > len(damaged) / 3, "the damage is not much of a test"


def by_feature(found):
    return [(f["kind"], f["name"]) for f in found if f["kind"] in ("feature-missing", "hazard-untold")]


def test_check_is_the_librarys(xenlevel, hosts, damaged):
    rng = random.Random(SEED)
    refused = unsure = 0
    for path, p in rng.sample(damaged, 150):
        kind, most, default = ("pv", 2, 4) if rng.random() < 0.5 else ("hvm", 3, 5)
        file = path.with_suffix(f".{kind}.xlp")
        write_guest(file, "g", 1 if kind == "pv" else 2, *arrays(p))
        origin = [h for h in hosts if path.name.startswith(h[0].stem + "-")]
        where = [(h, host) for h, host in [*rng.sample(hosts, 5), *origin] if most in host.policies]
        r = subprocess.run([*xenlevel, "check", "--json", str(file), *[str(h) for h, _ in where]], capture_output=True, text=True)
        assert r.returncode in (0, 1), r.stderr
        for (h, host), theirs in zip(where, json.loads(r.stdout)["hosts"], strict=True):
            no, maybe = check.check_unsure(p, host.policies[most], host.policies.get(default),
                                           host.unknown[most], host.unknown.get(default))
            case = f"{path.name} on {h.name}, XENLEVEL_SEED={SEED}"
            ours = facts(policy.verify(p) + no), facts(maybe)
            theirs = theirs["faults"], theirs.get("unknown", [])
            if host.unknown[most].leaves or host.unknown[most].arch_caps:
                # Which numbers of a half-known leaf are doubtful the command weighs more finely; what it knows of features is the same.
                assert [by_feature(side) for side in ours] == [by_feature(side) for side in theirs], case
            else:
                assert ours[0] == theirs[0], case
            refused += bool(no)
            unsure += bool(maybe)
    assert refused > 100 and unsure > 20


def test_arrays_are_refused_as_the_library_does(xenlevel, tmp_path):
    """Damaged arrays in a stream: the first fault, word for word."""
    rng = random.Random(SEED)
    real = streambuilder.captured_records("pvh-cascadelake")
    entries = [real[CPUID_POLICY][i:i + 24] for i in range(0, len(real[CPUID_POLICY]), 24)]
    msrs = [real[MSR_POLICY][i:i + 16] for i in range(0, len(real[MSR_POLICY]), 16)]
    compared = 0
    for n in range(120):
        s = streambuilder.hvm_stream()
        some, others = list(entries), list(msrs)
        for _ in range(rng.choice([1, 1, 2, 5])):
            which = rng.choice([some, some, others])
            i, how = rng.randrange(len(which)), rng.randrange(4)
            if how == 0:
                which.insert(i, which[rng.randrange(len(which))])
            elif how == 1:
                j = rng.randrange(len(which))
                which[i], which[j] = which[j], which[i]
            else:
                entry = bytearray(which[i])
                entry[rng.randrange(8)] ^= 1 << rng.randrange(8)
                which[i] = bytes(entry)
        s.find(CPUID_POLICY).body[:] = b"".join(some)
        s.find(MSR_POLICY).body[:] = b"".join(others)
        path = tmp_path / f"{n}.save"
        path.write_bytes(s.raw())
        from harness import verify
        v = verify(s.raw())
        texts = [p.text for p in v.report.problems if p.section.endswith("_POLICY")]
        r = subprocess.run([*xenlevel, "verify", str(path)], capture_output=True, text=True)
        if not texts:
            assert r.returncode in (0, 1), r.stderr
            continue
        assert r.returncode == 2 and texts[0] in " ".join(r.stderr.split("\n")), f"{texts}\n{r.stderr}\nXENLEVEL_SEED={SEED}"
        compared += 1
    assert compared > 50


def test_what_is_not_whole_is_what_the_library_says(xenlevel, hosts, tmp_path):
    """Entries left out of real policies: the same is refused, in the same words, and the same is taken."""
    rng = random.Random(SEED)
    refused = taken = 0
    for n in range(150):
        host = rng.choice(hosts)[1]
        leaves, msrs = arrays(host.policies[rng.choice(sorted(host.policies))])
        if n % 5 == 0:
            del msrs[rng.randrange(2)]
        for _ in range(rng.choice([0, 1, 1, 4]) if n % 5 else 0):
            del leaves[rng.randrange(len(leaves))]
        path = tmp_path / "guest.xlp"
        write_guest(path, "g", 2, leaves, msrs)
        faults = policy.whole(policy.from_arrays(leaves, [(number, 0, value) for number, value in msrs])[0])
        r = subprocess.run([*xenlevel, "verify", str(path)], capture_output=True, text=True)
        if faults:
            assert r.returncode == 2 and policy.fault_text(faults[0]) in " ".join(r.stderr.split()), \
                f"{policy.fault_text(faults[0])}\n{r.stderr}\nXENLEVEL_SEED={SEED}"
        else:
            assert r.returncode in (0, 1), f"{r.stderr}\nXENLEVEL_SEED={SEED}"
        refused += bool(faults)
        taken += not faults
    assert refused > 60 and taken > 10


def test_a_host_that_is_not_whole(hosts, tmp_path):
    path, _ = hosts[0]
    file = xlp._file_class().FromString(path.read_bytes())
    del file.host.policies[0].policy.leaves[1]
    damaged = tmp_path / "host.xlp"
    damaged.write_bytes(encode_again(file))
    with pytest.raises(xlp.XlpError, match="incomplete: leaf 1 is not named"):
        xlp.load_host(str(damaged))


def test_sizes_are_the_headers():
    """What policy.h says a policy can hold."""
    header = (ROOT / "xen/include/cpuid-policy/policy.h").read_text()
    sizes = {name: int(value, 0) for name, value in re.findall(r"POLICY_NR_(\w+) = (\w+),", header)}
    assert (sizes["BASIC"], sizes["EXTD"]) == (policy.NR_BASIC, policy.NR_EXTD)
    families = {"CACHE": 4, "FEAT": 7, "TOPO": 0xb, "XSTATE": 0xd, "MONITOR": 0xf, "TILE": 0x1d, "TMUL": 0x1e,
                "TOPO_V2": 0x1f, "AVX10": 0x24}
    assert {families[name]: n for name, n in sizes.items() if name in families} == policy.FAMILIES
    assert policy.MAX_LEAVES == sum(sizes.values()) + 2


def test_the_table_can_be_made_without_a_build(monkeypatch, tmp_path):
    """From features.def, the same as the build's."""
    made = tables._generate(ROOT / features.FOLDER, "features")
    t = features.table()
    assert {f["name"] for f in made["features"]} == {f.name for f in t.features.values()}
    monkeypatch.setenv("XENLEVEL_FEATURES", str(tmp_path / "none"))
    monkeypatch.setattr(features, "_TABLE", [])
    with pytest.raises(tables.TableMissing):
        features.table()
    made = tables._generate(ROOT / records.FOLDER, "records")
    assert {row["type"]: row["name"] for row in made["libxc"]} == records.LIBXC.names
    monkeypatch.setattr(tables, "HERE", str(tmp_path))      # an installation that lacks it
    with pytest.raises(tables.TableMissing):
        tables.load("records", records.FOLDER)
