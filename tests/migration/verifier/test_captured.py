# SPDX-License-Identifier: MIT
"""What stock Xen wrote is valid, and is what it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broken.readers import find_stock_verifier
from harness import found, lines, verify
from migration import libxc
from migration.cli import load_hosts
from streambuilder import hvm_stream, pv_stream

STREAMS = Path(__file__).resolve().parents[1] / "streams"
NAMES = sorted(p.name[:-len(".save.xz")] for p in STREAMS.glob("*.save.xz"))


@pytest.mark.parametrize("name", NAMES)
def test_valid(captured, name):
    v = verify(captured[name].read_bytes())
    assert v.report.valid, lines(v)
    assert v.format == "xl" and v.libxc.version == 3 and v.libxc.xen == (4, 17)
    assert v.libxc.policy.brand()
    assert v.source.offset == captured[name].stat().st_size
    assert bool(v.report.notes) == name.startswith("live-")


def test_what_they_are(captured):
    pvh = verify(captured["pvh-cascadelake"].read_bytes())
    assert (pvh.xl.name, pvh.xl.domain_type, pvh.libxc.guest) == ("probe", "pvh", libxc.HVM)
    assert pvh.libxc.hvm_entries["CPU"] == 1 and pvh.libxc.hvm_entries["HEADER"] == 1
    assert 2048 <= pvh.libxc.pages.with_data < 2200         # memory=8, and the special pages
    assert pvh.libxc.pages.as_dict()["XTAB"] > 1000000
    hvm = verify(captured["hvm-cascadelake"].read_bytes())
    assert (hvm.xl.name, hvm.xl.domain_type, hvm.libxc.guest) == ("hvm", "hvm", libxc.HVM)
    assert [(e["emulator"], e["index"]) for e in hvm.libxl.emulators] == [("QEMU", 0)]
    assert hvm.libxc.hvm_entries["RTC"] == 1 and "RTC" not in pvh.libxc.hvm_entries
    pv = verify(captured["pv-cascadelake"].read_bytes())
    assert (pv.xl.name, pv.libxc.guest, pv.libxc.width) == ("linux", libxc.PV, 8)
    assert pv.libxc.end_pfn == 96 * 256 - 1
    assert pv.libxc.pages.as_dict()["L4TAB_PIN"] > 0 and pv.libxc.pages.with_data == 96 * 256


def test_live(captured):
    """Memory that came more than once, a VERIFY record with all of it again, and xl's word behind it."""
    data = captured["live-pvh-cascadelake"].read_bytes()
    v = verify(data)
    assert v.libxc.types[libxc.VERIFY][0] == 1 and v.libxc.pages.with_data > 4000
    assert "xl's permission" in v.report.notes[0]
    assert [p.code for p in verify(data + b"x").report.problems] == ["trailing"]
    assert [p.code for p in verify(data[:-1]).report.problems] == ["trailing"]


@pytest.mark.parametrize("name", NAMES)
def test_page_data_is_not_read(captured, name):
    data = captured[name].read_bytes()
    v = verify(data)
    pages = v.libxc.pages.with_data * 4096
    assert v.source.bytes_read < len(data) - pages * 0.9 + 16384 * v.libxc.types[libxc.PAGE_DATA][0]


def test_a_pipe_says_the_same(captured):
    data = captured["pvh-cascadelake"].read_bytes()
    assert found(verify(data, pipe=True)) == found(verify(data)) == []


@pytest.mark.parametrize("stream", [hvm_stream, pv_stream])
@pytest.mark.parametrize("layer", ["libxc", "libxl", "xl"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("pipe", [False, True])
def test_the_synthetic_ones_are_valid(stream, layer, version, pipe):
    v = verify(stream(version, layer).raw(), pipe)
    assert v.report.valid, lines(v)
    assert v.format == layer
    # Without a policy a stream is valid, but that is said.
    assert any("no CPU policy" in note for note in v.report.notes) == (version == 2)


@pytest.mark.parametrize("stream", [hvm_stream, pv_stream])
def test_checksums(stream):
    data = stream().checksummed().raw()
    for options in ({}, {"checksums": True}, {"pipe": True}):
        v = verify(data, **options)
        assert v.report.valid, lines(v)
        assert v.libxc.checksum_records >= 3


def test_hosts(captured):
    """Where `xenlevel check` would let it go; test_policy.py compares the two over much more."""
    files = [str(STREAMS / f"{name}.xlp") for name in ("cascadelake", "sandybridge", "amd-rich")]
    v = verify(captured["pvh-cascadelake"].read_bytes(), hosts=load_hosts(files))
    home, older, other = v.hosts
    assert home.can_run and not home.faults
    assert not older.can_run and [kind for kind, _ in older.faults] == ["feature-missing"] * 12 + ["xstate-missing"]
    assert [kind for kind, _ in other.faults] == ["vendor"]
    assert all(p.section == "The audit" and p.record == 0 for p in v.report.problems)
    assert any("movbe" in p.text and "sandybridge" in p.text for p in v.report.problems)


def test_a_stream_without_policy_cannot_be_compared():
    v = verify(hvm_stream(2).raw(), hosts=load_hosts([str(STREAMS / "cascadelake.xlp")]))
    assert [p.code for p in v.report.problems] == ["host-no-policy"]
    assert v.hosts[0].can_run is False


@pytest.mark.parametrize("name", [*NAMES, "hvm", "pv"])
def test_stock_verifier_accepts_them_too(captured, tmp_path, name):
    stock = find_stock_verifier()
    if not stock:
        pytest.skip("Debian's verify-stream-v2 is not there (python3 -m xenlab fetch)")
    path = captured.get(name)
    if path is None:
        path = tmp_path / name
        path.write_bytes({"hvm": hvm_stream, "pv": pv_stream}[name](layer="xl").raw())
    r = subprocess.run([sys.executable, stock / "bin/verify-stream-v2", "-f", "xl", "-i", path],
                       env=dict(os.environ, PYTHONPATH=str(stock / "lib/python")), capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
