# SPDX-License-Identifier: MIT
"""xenlevel stream: images that stock Xen wrote and images made here, looked at and rewritten.

Where the result is an image, verify-stream judges it, and Python takes it apart again.
"""

import json
import os
import resource
import struct
import subprocess
from pathlib import Path

import pytest

from streambuilder import (CHECKPOINT, CHECKSUM, CPUID_POLICY as CPUID, END, HVM_CONTEXT as CONTEXT, MSR_POLICY as MSR, OPTIONAL,
                           PAGE_DATA, PV_INFO, STATIC_DATA_END as STATIC_END, STREAMS, TSC_INFO as TSC, VCPU_EXTENDED,
                           captured_image, counted, inside_xl, policy, pv_info, put_records, record, split, stream_of)

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
VERIFY = ROOT / "tools" / "python" / "verify-stream"

CAPTURED = ["pvh-cascadelake", "pvh-amd-rich", "hvm-cascadelake", "live-pvh-cascadelake", "pv-cascadelake"]
RICH, POOR, SMALL = "intel-cascadelake-sp", "intel-sandybridge-ep", "intel-penryn"
GO = b"domain is yours, you are cleared to unpause\0"


def run(*args, status=0, **kw):
    done = subprocess.run([XENLEVEL, "stream", *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=600, **kw)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    assert "runtime error" not in done.stderr and "Sanitizer" not in done.stderr
    return done


def refused(*args, status=2, **kw):
    """Exactly one message, nothing on standard output."""
    done = run(*args, status=status, **kw)
    assert not done.stdout and done.stderr.startswith("xenlevel: ") and done.stderr.count("xenlevel: ") == 1, done
    return done.stderr


def show(image, *args):
    return json.loads(run("show", image, "--json", *args).stdout)


def verify(image, status=0):
    done = subprocess.run(["/usr/bin/python3", VERIFY, "--checksums", "--json", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout.decode()


# ---- images, built here and taken apart here ----

def policy_records(cpu, have="", drop=""):
    return [(CPUID, policy("leaves", cpu, have, drop)), (MSR, policy("msrs", cpu, have, drop))]


def page(n, content=b"x"):
    return PAGE_DATA, struct.pack("<IIQ", 1, 0, n) + content * 4096


def wrap(stream, before=b"", after=None, name="web1", extra=b""):
    """What `xl save` puts around it."""
    config = json.dumps({"c_info": {"name": name, "type": "hvm"}}).encode() + b"\0"
    emulator = record(3, struct.pack("<II", 2, 0) + b"qemu" * 5) if after is None else after
    return inside_xl(stream, before, emulator, counted(config) + extra)


def kinds(image):
    return [kind for _, kind, _ in split(image)[1]]


def without(image, *unwanted):
    before, records, after = split(image)
    return before, [(k, b) for _, k, b in records if k not in unwanted], after


HVM_TAIL = [(TSC, bytes(24)), (CONTEXT, b"c" * 20), (END, b"")]


def hvm(cpu=RICH, sums=True, have="", drop="", pages=3):
    records = [*policy_records(cpu, have, drop), (STATIC_END, b""), *([None] if sums else [])]
    for n in range(pages):
        records += [page(n, bytes([n + 1])), *([None] if sums else [])]
    return stream_of([*records, *HVM_TAIL[:-1], *([None] if sums else []), HVM_TAIL[-1]])


@pytest.fixture(scope="session")
def captured(tmp_path_factory):
    out = tmp_path_factory.mktemp("captured")
    for name in CAPTURED:
        (out / name).write_bytes(captured_image(name))
    return out


@pytest.fixture
def make(tmp_path):
    def make(data, name="image"):
        path = tmp_path / name
        path.write_bytes(data)
        return path
    return make


@pytest.fixture
def guest_file(tmp_path, make):
    """A guest's policy file."""
    def build(cpu=RICH, have="", drop="", guest=2, name="guest.xlp"):
        info = [(PV_INFO, pv_info())] if guest == 1 else []
        stream = stream_of([*info, *policy_records(cpu, have, drop), (STATIC_END, b""), (END, b"")], guest=guest)
        run("extract-policy", make(stream, "for-policy"), "-o", tmp_path / name)
        return tmp_path / name
    return build


def put_sums(image):
    """A captured image with CHECKSUM records where Xenlevel writes them."""
    before, records, after = split(image)
    out = []
    for _, kind, body in records:
        out += ([None] if kind == END else []) + [(kind, body)] + ([None] if kind in (STATIC_END, PAGE_DATA) else [])
    return put_records(before, out, after)


# ---- show ----

@pytest.mark.parametrize("name", CAPTURED)
def test_show_counts_what_is_there(captured, name):
    data = (captured / name).read_bytes()
    said = show(captured / name, "--records")
    _, records, _ = split(data)
    mine = [r for r in said["records"] if r["layer"] == "libxc" and r["name"] != "header"]
    assert [(r["offset"], int(r["type"], 16), r["length"]) for r in mine] == [(o, k, len(b)) for o, k, b in records]
    assert [r["record"] for r in mine] == list(range(len(mine)))
    assert said["bytes"] == len(data) and said["version"] == 3 and said["layers"][-1] == "libxc"
    assert said["type"] == ("PV" if name.startswith("pv-") else "HVM or PVH")
    assert (said["xen_major"], said["xen_minor"]) == (4, 17)
    assert said["pages"] == sum(struct.unpack_from("<I", b)[0] for _, k, b in records if k == PAGE_DATA)
    memory = next(t for t in said["types"] if t["name"] == "PAGE_DATA")
    of_memory = [(o, len(b)) for o, k, b in records if k == PAGE_DATA]
    assert memory == {"layer": "libxc", "name": "PAGE_DATA", "count": len(of_memory), "first": of_memory[0][0],
                      "bytes": sum(n for _, n in of_memory)}
    # Headers and records follow each other without a gap.
    at = 0
    for r in said["records"]:
        assert r["offset"] == at
        at += r["length"] if r["name"] == "header" else 8 + (r["length"] + 7 & ~7)
    assert at == len(data)


def test_show_text(captured, make):
    text = run("show", captured / "pvh-cascadelake", "--records").stdout
    assert "HVM or PVH, from Xen 4.17" in text and "features in" in text and "EMULATOR" not in text.split("offset")[0]
    data = (captured / "pvh-cascadelake").read_bytes()
    for offset, _, body in split(data)[1]:
        assert any(line.split()[:1] == [str(offset)] and line.split()[-1] == str(len(body)) for line in text.splitlines())
    plain = run("show", make(wrap(hvm()))).stdout
    assert "web1" in plain and "CHECKSUM" in plain and "xl, libxl version 2, libxc version 3" in plain


def test_show_of_what_has_no_policy(make):
    old = make(stream_of([page(0), *HVM_TAIL], version=2))
    assert show(old)["no_policy"].startswith("none") and "policy" not in show(old)
    assert "nobody can know" in run("show", old).stdout
    faulty = make(stream_of([(CPUID, struct.pack("<6I", 0x77, 0, 1, 2, 3, 4)), (STATIC_END, b""), *HVM_TAIL]), "faulty")
    assert "77" in show(faulty)["no_policy"]


def test_show_checkpointed(make):
    again = [*HVM_TAIL[:-1], (CHECKPOINT, b"")]
    bare = stream_of([*policy_records(SMALL), (STATIC_END, b""), page(0), *again, page(1), *HVM_TAIL])
    assert next(t for t in show(make(bare))["types"] if t["name"] == "CHECKPOINT")["count"] == 1
    first, second = bare.split(record(CHECKPOINT))
    between = record(2, struct.pack("<II", 2, 0)) + record(4) + record(5, bytes(8))
    inside = make(wrap(first + record(CHECKPOINT) + between + second), "inside")
    said = show(inside, "--records")
    libxl = [r["name"] for r in said["records"] if r["layer"] == "libxl"]
    assert libxl == ["header", "LIBXC_CONTEXT", "EMULATOR_XENSTORE_DATA", "CHECKPOINT_END", "CHECKPOINT_STATE",
                     "EMULATOR_CONTEXT", "END"]
    assert said["pages"] == 2


# ---- extract-policy ----

@pytest.mark.parametrize("name", CAPTURED)
def test_extract_and_put_back_is_the_same_image(captured, tmp_path, name):
    image, xlp = captured / name, tmp_path / "p.xlp"
    run("extract-policy", image, "-o", xlp)
    assert subprocess.run([XENLEVEL, "diff", image, xlp], stdout=subprocess.DEVNULL).returncode == 0
    run("set-policy", image, "-p", xlp, "-o", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == image.read_bytes()
    before = image.stat()
    assert "already" in run("set-policy", image, "-p", xlp).stdout
    assert image.stat() == before


def test_extract_default_name(make, tmp_path):
    run("extract-policy", make(wrap(hvm())), cwd=tmp_path)
    assert (tmp_path / "web1.xlp").exists()
    for name in ("web/1", "../1"):      # not into another directory
        (tmp_path / "web").mkdir(exist_ok=True)
        assert "--output is needed" in refused("extract-policy", make(wrap(hvm(), name=name)), cwd=tmp_path)
    assert not os.listdir(tmp_path / "web")
    assert "77" in refused("extract-policy", make(stream_of([(CPUID, struct.pack("<6I", 0x77, 0, 1, 2, 3, 4)), (STATIC_END, b""), *HVM_TAIL])))


# ---- set-policy ----

def leaves_of(image):
    return {k: b for _, k, b in split(image)[1] if k in (CPUID, MSR)}


def entries(body):
    return {struct.unpack_from("<II", body, at): body[at + 8:at + 24] for at in range(0, len(body), 24)}


@pytest.mark.slow
@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize("name", ["pvh-cascadelake", "pv-cascadelake"])
def test_set_policy_of_a_real_image(captured, make, tmp_path, name, sums):
    """A feature goes that the probe's registers do not need; the result is a valid image, all else is what it was."""
    data = (captured / name).read_bytes()
    image = make(put_sums(data) if sums else data)
    xlp = tmp_path / "p.xlp"
    run("extract-policy", image, "-o", xlp)
    changed = smaller(image, xlp, tmp_path, "rdrand")
    text = run("set-policy", image, "-p", changed, status=1).stderr
    assert "rdrand" in text and image.read_bytes() == (put_sums(data) if sums else data)
    assert "rdrand" in run("set-policy", image, "-p", changed, "--force", "rdrand").stdout
    new = image.read_bytes()
    verify(image)
    assert without(new, CPUID, MSR, CHECKSUM) == without(data, CPUID, MSR)
    assert kinds(new) == kinds(put_sums(data) if sums else data)
    assert leaves_of(new)[CPUID] != leaves_of(data)[CPUID]
    if sums:
        assert new == put_sums_like(new)
    assert subprocess.run([XENLEVEL, "diff", image, changed], stdout=subprocess.DEVNULL).returncode == 0
    # And back: that only gives.
    run("set-policy", image, "-p", xlp)
    assert leaves_of(image.read_bytes()) == leaves_of(data)
    verify(image)


def put_sums_like(image):
    """The image with its CHECKSUM records computed anew, over everything."""
    before, records, after = split(image)
    return put_records(before, [None if k == CHECKSUM else (k, b) for _, k, b in records], after)


def smaller(image, xlp, tmp_path, feature):
    """A copy of a policy file without a feature: by way of an image whose leaf 1 has not got it."""
    where = {"rdrand": (1, 16, 30), "x2apic": (1, 16, 21)}[feature]
    data = image.read_bytes()
    at = next(o for o, k, _ in split(data)[1] if k == CPUID) + 8
    length = len(leaves_of(data)[CPUID])
    out = bytearray(data)
    for entry in range(at, at + length, 24):
        if struct.unpack_from("<I", data, entry)[0] == where[0]:
            value, = struct.unpack_from("<I", data, entry + where[1])
            assert value >> where[2] & 1
            struct.pack_into("<I", out, entry + where[1], value & ~(1 << where[2]))
    poor = tmp_path / "poor-image"
    poor.write_bytes(out)
    run("extract-policy", poor, "-o", tmp_path / "poor.xlp")
    return tmp_path / "poor.xlp"


def test_set_policy_names_everything_and_forces_only_what_is_named(make, guest_file):
    image = make(hvm(RICH))
    before = image.read_bytes()
    less = guest_file(RICH, drop="rdrand,movbe")
    text = refused("set-policy", image, "-p", less, status=1)
    assert "rdrand" in text and "movbe" in text
    text = refused("set-policy", image, "-p", less, "-f", "movbe", status=1)
    assert "rdrand" in text and "movbe" not in text
    assert image.read_bytes() == before
    text = run("set-policy", image, "-p", less, "-f", "movbe,rdrand").stdout
    assert "by force" in text and "rdrand" in text
    assert leaves_of(image.read_bytes())[CPUID] == policy("leaves", RICH, "", "rdrand,movbe")
    assert image.read_bytes() == put_sums_like(image.read_bytes()) != before
    # The other way nothing has to be forced.
    more = guest_file(RICH)
    assert "force" not in run("set-policy", image, "-p", more).stdout
    assert leaves_of(image.read_bytes())[CPUID] == policy("leaves", RICH)


def test_set_policy_of_another_cpu(make, guest_file):
    image = make(hvm(RICH))
    text = refused("set-policy", image, "-p", guest_file("amd-bulldozer"), "-f", "rdrand", status=1)
    assert "vendor" in text
    run("set-policy", image, "-p", guest_file("amd-bulldozer"), "-f", "all")
    new = entries(leaves_of(image.read_bytes())[CPUID])
    wanted, old = entries(policy("leaves", "amd-bulldozer")), entries(policy("leaves", RICH))
    # What only the old policy named is named still, as nothing: silence would be the receiver's default.
    assert new == {**dict.fromkeys(old, bytes(16)), **wanted} and list(new) == sorted(new)
    assert len(new) > len(wanted)
    assert image.read_bytes() == put_sums_like(image.read_bytes())


def test_set_policy_that_no_cpu_has(make, guest_file):
    image = make(hvm(RICH))
    text = refused("set-policy", image, "-p", guest_file(SMALL, have="avx2"), "-f", "all", status=1)
    assert "no such CPU can exist" in text and "avx2" in text


def test_set_policy_where_there_was_none(make, guest_file):
    bare = stream_of([(STATIC_END, b""), None, page(0), None, *HVM_TAIL[:-1], None, HVM_TAIL[-1]])
    image = make(bare)
    assert "cannot be known" in refused("set-policy", image, "-p", guest_file(RICH), status=1)
    run("set-policy", image, "-p", guest_file(RICH), "-f", "all")
    new = image.read_bytes()
    assert kinds(new)[:4] == [CPUID, MSR, STATIC_END, CHECKSUM] and new == put_sums_like(new)
    assert leaves_of(new)[CPUID] == policy("leaves", RICH)
    assert leaves_of(new)[MSR] == struct.pack("<IIQIIQ", 0xce, 0, 0, 0x10a, 0, 0)    # named, though they are 0
    image.write_bytes(bare)
    run("set-policy", image, "-p", guest_file(RICH, have="arch-caps,rdcl-no"), "-f", "all")
    new = image.read_bytes()
    assert kinds(new)[:4] == [CPUID, MSR, STATIC_END, CHECKSUM] and new == put_sums_like(new)
    assert leaves_of(new)[MSR] == struct.pack("<IIQIIQ", 0xce, 0, 0, 0x10a, 0, 1)


def test_set_policy_with_msrs_where_there_were_none(make, guest_file):
    """Silence would leave them to the receiver's default."""
    cpuid, _ = policy_records(RICH)
    image = make(stream_of([cpuid, (STATIC_END, b""), page(0), *HVM_TAIL]))
    assert MSR not in kinds(image.read_bytes())
    run("set-policy", image, "-p", guest_file(RICH, have="arch-caps,rdcl-no"), "-f", "all")
    assert kinds(image.read_bytes())[:3] == [CPUID, MSR, STATIC_END]
    assert leaves_of(image.read_bytes())[MSR] == struct.pack("<IIQIIQ", 0xce, 0, 0, 0x10a, 0, 1)


@pytest.mark.parametrize("leaf,words", [(7, "leaf 7"), (0xd, "leaf D"), (1, "leaf 1"), (0x80000008, "leaf 80000008"),
                                        (None, "MSR CE")])
def test_a_policy_that_is_not_whole(make, guest_file, tmp_path, leaf, words):
    """What it does not name is not zero: Xen would leave it as the domain was born.  Nothing works with such an image, but
    that it is given a whole policy."""
    (_, leaves), msr = policy_records(RICH)
    if leaf is not None:
        leaves = b"".join(leaves[i:i + 24] for i in range(0, len(leaves), 24) if struct.unpack_from("<I", leaves, i)[0] != leaf)
    static = [(CPUID, leaves)] + ([msr] if leaf is not None else []) + [(STATIC_END, b"")]
    image = make(stream_of([*static, page(0), *HVM_TAIL]))
    says = f"incomplete: {words} is not named"
    assert f"faulty: {says}" in run("show", image).stdout
    assert says in show(image)["no_policy"]
    assert says in refused("extract-policy", image, "-o", tmp_path / "out.xlp") and not (tmp_path / "out.xlp").exists()
    for verb in (["check", image, guest_file(RICH)], ["verify", image]):
        done = subprocess.run([XENLEVEL, *verb], capture_output=True, text=True, timeout=600)
        assert done.returncode == 2 and says in done.stderr, done
    assert "cannot be known" in refused("set-policy", image, "-p", guest_file(RICH), status=1)
    run("set-policy", image, "-p", guest_file(RICH), "-f", "all")
    assert leaves_of(image.read_bytes())[CPUID] == policy("leaves", RICH)
    assert leaves_of(image.read_bytes())[MSR] == policy("msrs", RICH)


def test_msrs_alone(make):
    image = make(stream_of([policy_records(RICH)[1], (STATIC_END, b""), page(0), *HVM_TAIL]))
    assert "with X86_MSR_POLICY and without X86_CPUID_POLICY" in refused("show", image)


def test_set_policy_msrs_first_and_checksum_before_the_end(make, guest_file):
    """Any order of the static records, and sums that stand anywhere."""
    cpuid, msr = policy_records(RICH)
    for records in ([None, msr, None, cpuid, (STATIC_END, b"")], [cpuid, None, msr, (STATIC_END, b""), None],
                    [cpuid, msr, (STATIC_END, b"")], [cpuid, (STATIC_END, b"")]):
        image = make(stream_of([*records, page(0), page(1), None, *HVM_TAIL[:-1], None, HVM_TAIL[-1]]))
        run("set-policy", image, "-p", guest_file(RICH, drop="rdrand"), "-f", "rdrand,all")
        new = image.read_bytes()
        assert leaves_of(new)[CPUID] == policy("leaves", RICH, "", "rdrand")
        assert new == put_sums_like(new)


def test_set_policy_pool(make, tmp_path, captured):
    """Of a pool's level the guest gets its own policy brought down; a host is nobody's policy."""
    alpha, beta = STREAMS / "sandybridge.xlp", STREAMS / "cascadelake.xlp"
    pool = tmp_path / "pool.xlp"
    subprocess.run([XENLEVEL, "level", alpha, beta, "-o", pool], check=True, stdout=subprocess.DEVNULL)
    image = make((captured / "pvh-cascadelake").read_bytes())
    text = refused("set-policy", image, "-p", pool, status=1)
    assert "pku" in text
    run("set-policy", image, "-p", pool, "-f", "all", "-o", tmp_path / "out")
    check = subprocess.run([XENLEVEL, "check", tmp_path / "out", alpha, beta], stdout=subprocess.PIPE, text=True)
    assert check.returncode == 0, check.stdout
    assert "is a host" in refused("set-policy", image, "-p", alpha)
    bare = make(stream_of([(STATIC_END, b""), page(0), *HVM_TAIL]), "bare")
    assert "no CPU policy to bring down" in refused("set-policy", bare, "-p", pool, "-f", "all")


def test_set_policy_of_the_wrong_type_of_guest(make, guest_file):
    text = refused("set-policy", make(hvm()), "-p", guest_file(guest=1))
    assert "PV" in text


def test_set_policy_of_version_2(make, guest_file):
    image = make(stream_of([page(0), *HVM_TAIL], version=2))
    assert "version 2" in refused("set-policy", image, "-p", guest_file(), "-f", "all")


def test_damage_is_seen_or_kept_visible(make, guest_file, captured, tmp_path):
    """Of the head it is refused; of memory, which is not read, the sum still tells."""
    good = put_sums((captured / "pvh-cascadelake").read_bytes())
    records = split(good)[1]
    xlp = tmp_path / "p.xlp"
    image = make(good)
    run("extract-policy", image, "-o", xlp)
    less = smaller(image, xlp, tmp_path, "rdrand")

    memory = next(o for o, k, _ in records if k == PAGE_DATA) + 8 + 16 + 100
    image.write_bytes(good[:memory] + bytes([good[memory] ^ 1]) + good[memory + 1:])
    run("set-policy", image, "-p", less, "-f", "rdrand")
    assert "CRC" in verify(image, status=1)

    first = next(o for o, k, _ in records if k == CHECKSUM)
    brand = next(i for i in range(first) if good[i:i + 4] == b"Inte") + 2
    assert "damaged" in refuse_after(image, good, brand, "set-policy", "-p", less, "-f", "all")
    for at in (first + 8 + 4, first + 8 + 8, first + 8 + 16, first + 8 + 24):
        text = refuse_after(image, good, at, "set-policy", "-p", less, "-f", "all")
        assert "damaged" in text and f"record {records_before(records, first)} (CHECKSUM" in text


def records_before(records, offset):
    return [o for o, _, _ in records].index(offset)


def refuse_after(image, good, at, verb, *args):
    """Flip a bit; the verb must refuse and leave the image alone."""
    bad = good[:at] + bytes([good[at] ^ 4]) + good[at + 1:]
    image.write_bytes(bad)
    text = refused(verb, image, *args)
    assert image.read_bytes() == bad and len(list(image.parent.glob("image.*"))) == 0
    return text


# ---- strip ----

@pytest.mark.parametrize("name", CAPTURED)
def test_strip_gives_back_what_stock_xen_wrote(captured, make, name):
    data = (captured / name).read_bytes()
    image = make(put_sums(data))
    assert image.read_bytes() != data
    assert "optional records left out" in run("strip", image).stdout
    assert image.read_bytes() == data
    assert "has no optional records" in run("strip", image).stdout


def test_strip_takes_every_optional_record(make):
    odd = (OPTIONAL | 0x77, b"odd" * 7)
    cpu = policy_records(SMALL)
    full = [odd, *cpu, (STATIC_END, b""), None, odd, page(0), odd, None, *HVM_TAIL[:-1], None, HVM_TAIL[-1]]
    plain = [r for r in full if r is not None and r is not odd]
    other = record(OPTIONAL | 0x99, b"libxl")
    image = make(wrap(stream_of(full), before=other, extra=b"more"))
    assert "7 optional records" in run("strip", image).stdout
    assert image.read_bytes() == wrap(stream_of(plain), extra=b"more")


def test_a_run_of_optional_records(make):
    """1024 one behind the other are taken; of 16 MiB of them no more than those are looked at."""
    odd = (OPTIONAL | 0x77, b"")
    good = stream_of([*policy_records(SMALL), (STATIC_END, b""), page(0), *[odd] * 1024, *HVM_TAIL])
    assert "from Xen 4.17" in run("show", make(good)).stdout
    at = good.index(record(*odd))
    image = make(good[:at] + record(*odd) * (1 << 21) + good[at:])
    for verb in ("show", "strip"):
        err = refused(verb, image) if verb == "strip" else run(verb, image, status=2).stderr
        assert f"offset {at + 8 * 1024}, record 1028 (optional" in err and "more than 1024 optional records" in err
    other = record(OPTIONAL | 0x99) * 1025
    err = refused("strip", make(wrap(stream_of([*policy_records(SMALL), (STATIC_END, b""), page(0), *HVM_TAIL]), after=other)))
    assert "libxl record 1025 (optional" in err and "more than 1024 optional records" in err


def test_strip_refuses_what_does_not_match(make):
    good = hvm(SMALL)
    image = make(good)
    records = split(good)[1]
    for offset, kind, body in records[:-1]:
        at = offset + 8 + (60 if len(body) > 60 else 4) if body else None
        if at is None or kind in (CPUID, MSR):
            continue
        assert "damaged" in refuse_after(image, good, at, "strip"), hex(kind)
    # What was cut out, whole records at a time.
    third = [o for o, k, _ in records if k == CHECKSUM][1:3]
    image.write_bytes(good[:third[0] + 40] + good[third[1] + 40:])
    assert "damaged" in refused("strip", image)
    last = [o for o, k, _ in records if k == CHECKSUM][-1]
    image.write_bytes(good[:last] + good[last + 40:])
    assert "in no checksum" in refused("strip", image)


def test_checksums_that_nobody_knows(make):
    """Of another length or algorithm: what they cover cannot be said."""
    cpu = policy_records(SMALL)
    for body, why in ((struct.pack("<IIQQIIQ", 1, 0, 0, 0, 0, 0, 0), "length 40, must be 32"),
                      (struct.pack("<IIQQII", 2, 0, 0, 0, 0, 0), "algorithm 2; 1 (CRC-32) is known")):
        image = make(stream_of([*cpu, (STATIC_END, b""), (CHECKSUM, body), page(0), *HVM_TAIL]))
        before = image.read_bytes()
        assert why in refused("strip", image) and image.read_bytes() == before


# ---- images that are not whole ----

@pytest.mark.parametrize("layer", ["libxc", "xl"])
def test_cut_anywhere_in_the_head(tmp_path, layer):
    """Every byte; behind the head at each record's edges."""
    whole = stream_of([(CPUID, struct.pack("<12I", 0, 0xffffffff, 1, 2, 3, 4, 1, 0xffffffff, 5, 6, 7, 8)),
                    (MSR, struct.pack("<IIQ", 0xce, 0, 0)), (STATIC_END, b""), None, page(0), None, *HVM_TAIL])
    whole = wrap(whole) if layer == "xl" else whole
    end = next(o for o, k, _ in split(whole)[1] if k == STATIC_END) + 8
    cuts = set(range(end))
    for offset, _, body in split(whole)[1]:
        if offset >= end:
            cuts |= {offset, offset + 1, offset + 8, offset + 8 + len(body) // 2}
    cuts |= set(range(len(whole) - 60, len(whole)))
    image = tmp_path / "image"
    for cut in sorted(cuts - {len(whole)}):
        image.write_bytes(whole[:cut])
        verb = ("show", "strip", "extract-policy")[cut % 3]
        if verb == "extract-policy" and cut >= end:
            verb = "strip"          # it reads the head only
        text = refused(verb, image)
        assert "offset" in text or cut == 0, (cut, text)
        assert image.read_bytes() == whole[:cut]
        assert os.listdir(tmp_path) == ["image"]


def bad(make, records, *args, stream=None):
    return refused("show", make(stream_of(records) if stream is None else stream), *args)


def test_bad_structure_is_named_with_its_place(make):
    start = [*policy_records(SMALL), (STATIC_END, b""), page(0)]
    assert "record 4 (unknown, type 0x55)" in bad(make, [*start, (0x55, b""), *HVM_TAIL])
    assert "behind the end of the static data" in bad(make, [*start, policy_records(SMALL)[0], *HVM_TAIL])
    text = bad(make, [*start, (PAGE_DATA, b"1234"), *HVM_TAIL])
    assert "record 4 (PAGE_DATA, type 0x1)" in text and "at least 8" in text
    sparse = make(stream_of(start) + struct.pack("<II", PAGE_DATA, (128 << 20) + 8), "sparse")
    os.truncate(sparse, sparse.stat().st_size + (128 << 20) + 8 + 40)
    assert "134217728 are the most" in refused("show", sparse)
    checkpoint = stream_of([*start, *HVM_TAIL[:-1], (CHECKPOINT, b"")])
    assert "libxc's stream has not ended" in bad(make, None, stream=wrap(checkpoint, after=b""))
    assert "4 bytes stand behind" in bad(make, None, stream=hvm(SMALL) + b"more")
    long = stream_of(start) + struct.pack("<II", PAGE_DATA, 0xfffffff0)
    assert "short" in bad(make, None, stream=long)
    assert "second time" in bad(make, None, stream=wrap(hvm(SMALL), after=record(1)))
    assert "libxl record 1 (unknown, type 0x9)" in bad(make, None, stream=wrap(hvm(SMALL), after=record(9)))
    assert "no CHECKPOINT" in bad(make, None, stream=wrap(hvm(SMALL), after=record(4)))
    assert "neither" in bad(make, None, stream=b"something else entirely")
    assert show(make(wrap(hvm(SMALL)) + GO), "--records")["records"][-1]["length"] == len(GO)


@pytest.mark.parametrize("records, text", [
    ([(TSC, bytes(24)), (TSC, bytes(24))], "record 5 (X86_TSC_INFO, type 0x8): stands here a second time"),
    ([(TSC, bytes(32))], "length 32, must be 24"),
    ([(10, bytes(16))], "record 4 (HVM_PARAMS, type 0xa): length 16 is not 8 and a multiple of 16"),
    ([(CONTEXT, b"")], "length 0, must be at least 1"),
    ([(13, bytes(8))], "record 4 (VERIFY, type 0xd): has a body of 8 bytes, must have none"),
    ([(VCPU_EXTENDED, bytes(8))], "record 4 (X86_PV_VCPU_EXTENDED, type 0x5): in the stream of an HVM guest"),
    ([(11, b"")], "record 4 (TOOLSTACK, type 0xb): no stream from a sender to a receiver has it"),
    ([(15, bytes(8))], "record 4 (CHECKPOINT_DIRTY_PFN_LIST, type 0xf): no stream from a sender to a receiver has it"),
    ([(STATIC_END, b"")], "record 4 (STATIC_DATA_END, type 0x10): stands behind the end of the static data"),
])
def test_what_no_reader_takes_the_command_refuses(make, records, text):
    """As the engine and verify-stream do; and so it says which record it is."""
    image = make(stream_of([*policy_records(SMALL), (STATIC_END, b""), page(0), *records, *HVM_TAIL]))
    assert text in refused("show", image)
    verify(image, status=1)


def test_what_no_reader_takes_of_libxl(make):
    for after, text in ((record(0x80584C02, bytes(8)) + record(0), "libxl record 1 (HEAD_CHECKSUM, type 0x80584c02): length 8, must be 16"),
                        (2 * record(0x80584C02, bytes(16)) + record(0), "libxl record 2 (HEAD_CHECKSUM, type 0x80584c02): stands here"),
                        (record(2, bytes(4)) + record(0), "libxl record 1 (EMULATOR_XENSTORE_DATA, type 0x2): length 4, must be at"),
                        (record(0, bytes(8)), "libxl record 1 (END, type 0x0): has a body of 8 bytes, must have none")):
        image = make(wrap(hvm(SMALL), after=after))
        assert text in refused("show", image)
        verify(image, status=1)


def test_long_records_need_no_reading(make, tmp_path):
    """A sparse image of 6 GiB: nothing of its memory is read or kept."""
    head = stream_of([*policy_records(SMALL), (STATIC_END, b"")])
    image = tmp_path / "big"
    length = 8 + 16 * 1024 * 1024
    with open(image, "wb") as f:
        f.write(head)
        at = len(head)
        for _ in range(384):
            f.seek(at)
            f.write(struct.pack("<IIII", PAGE_DATA, length, 1, 0))
            at += 8 + length
        f.seek(at)
        f.write(b"".join(record(*r) for r in HVM_TAIL))
    if image.stat().st_blocks * 512 > 64 << 20:
        pytest.skip("no sparse files here")
    said = json.loads(run("show", image, "--json", preexec_fn=little_memory).stdout)
    assert said["bytes"] > 6 << 30 and said["pages"] == 384


def little_memory():
    if b"__asan_init" not in XENLEVEL.read_bytes():
        resource.setrlimit(resource.RLIMIT_AS, (96 << 20, 96 << 20))


# ---- files ----

def test_output_is_the_image_s_equal(make, tmp_path, guest_file):
    image = make(hvm())
    image.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(image)
    run("strip", link)
    assert link.is_symlink() and image.stat().st_mode & 0o777 == 0o640
    assert CHECKSUM not in kinds(image.read_bytes())
    image = make(hvm(), "second")
    image.chmod(0o600)
    run("strip", image, "-o", tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600 and CHECKSUM in kinds(image.read_bytes())
    (tmp_path / "dir").mkdir()
    assert "cannot be written" in refused("strip", image, "-o", tmp_path / "dir")
    assert "cannot be written" in refused("strip", image, "-o", tmp_path / "none" / "out")
    assert "cannot be written" in refused("strip", image, "-o", "/dev/null")
    os.mkfifo(tmp_path / "fifo")
    assert "not a file" in refused("show", tmp_path / "fifo")


def test_links_stay_links(make, tmp_path):
    """Also one to what is not there yet; a circle of them is none."""
    image = make(hvm())
    (tmp_path / "there").mkdir()
    for name, target in (("new", "there/file"), ("absolute", tmp_path / "there/other"), ("again", "new2"), ("new2", "there/third")):
        (tmp_path / name).symlink_to(target)
    for name, real in (("new", "file"), ("absolute", "other"), ("again", "third")):
        run("strip", image, "-o", tmp_path / name)
        assert (tmp_path / name).is_symlink() and not (tmp_path / "there" / real).is_symlink()
        assert CHECKSUM not in kinds((tmp_path / "there" / real).read_bytes())
    (tmp_path / "circle").symlink_to("circle")
    assert "levels of symbolic links" in refused("strip", image, "-o", tmp_path / "circle")
    assert (tmp_path / "circle").is_symlink()


def writing(pid, directory):
    """Has it begun to write a file without a name there?"""
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            there = f"/proc/{pid}/fd/{fd}"
            if os.readlink(there).startswith(f"{directory}/#") and os.stat(there).st_size:
                return True
    except OSError:     # it has ended, or closed that one
        pass
    return False


def test_killed_while_it_writes(make, tmp_path):
    """The old image, and nothing beside it."""
    image = make(hvm(pages=1))
    data = image.read_bytes()
    before, records, after = split(data)
    big = [(k, b) for _, k, b in records if k != CHECKSUM]
    at = next(i for i, (k, _) in enumerate(big) if k == PAGE_DATA)
    many = PAGE_DATA, struct.pack("<II2048Q", 2048, 0, *range(2048)) + bytes(8 << 20)
    big[at:at + 1] = [r for _ in range(12) for r in (None, many)]
    big[-1:] = [None, big[-1]]
    image.write_bytes(put_records(before, big, after))
    data, killed = image.read_bytes(), 0
    for _ in range(5):
        process = subprocess.Popen([XENLEVEL, "stream", "strip", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not writing(process.pid, tmp_path):
            pass
        process.kill()
        killed += process.wait() == -9
        if process.returncode == -9:
            assert image.read_bytes() == data and os.listdir(tmp_path) == ["image"]
        else:
            image.write_bytes(data)
    assert killed, "it was always done before it could be killed"


def no_room():
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))


@pytest.mark.parametrize("sums", [False, True])
def test_disk_full_leaves_the_old_image(make, guest_file, tmp_path, sums):
    image = make(hvm(RICH, sums=sums, pages=20))
    before, less = image.read_bytes(), guest_file(RICH, drop="rdrand")
    files = sorted(os.listdir(tmp_path))
    done = run("set-policy", image, "-p", less, "-f", "rdrand", status=2, preexec_fn=no_room)
    assert "cannot be written" in done.stderr
    assert image.read_bytes() == before and sorted(os.listdir(tmp_path)) == files
    if sums:
        assert "cannot be written" in run("strip", image, status=2, preexec_fn=no_room).stderr
        assert image.read_bytes() == before and sorted(os.listdir(tmp_path)) == files


@pytest.mark.parametrize("args", [["--json"], ["--json", "--records"], []])
def test_show_on_a_full_disk_says_so_once(make, args):
    with open("/dev/full", "w") as full:
        done = subprocess.run([XENLEVEL, "stream", "show", make(hvm()), *args], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "xenlevel: standard output: No space left on device\n")


# ---- the command ----

def test_usage(make, guest_file):
    image, xlp = make(hvm()), guest_file()
    for args in ([], ["show"], ["show", image, image], ["dance", image], ["set-policy", image], ["show", image, "-o", "x"],
                 ["strip", image, "-j"], ["strip", image, "-p", xlp], ["extract-policy", image, "-f", "all"],
                 ["set-policy", image, "-p", xlp, "-f", "no-such-feature"],
                 ["set-policy", image, "-p", xlp, "-f", "allowed"], ["set-policy", image, "-p", xlp, "-f", "rdrand,al"], ["show", image, "--nonsense"], ["show", "/nowhere"],
                 ["set-policy", image, "-p", "/nowhere.xlp"], ["set-policy", image, "-p", image.parent]):
        assert run(*args, status=2).stdout == ""
    assert "extract-policy" in run("--help").stdout
