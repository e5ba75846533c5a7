# SPDX-License-Identifier: MIT
"""Every row of the table of broken streams, before every reader."""

import copy
import importlib
from pathlib import Path

import pytest

from broken import readers
from broken.table import At, BASES, READERS, ROWS, UNUSABLE, Accepts, expected
from harness import found, lines, verify
from streambuilder import P2M_FRAMES, PAGE_DATA

for module in sorted(Path(__file__).parent.glob("rows_*.py")):
    importlib.import_module(f"broken.{module.stem}")


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory):
    """{(row, reader): (verdict, what it said)}, of all rows and readers at once."""
    directory = tmp_path_factory.mktemp("broken")
    paths = {}
    for i, r in enumerate(ROWS):
        for reader in READERS:
            path = directory / f"{i}.{reader}"
            path.write_bytes(r.bytes_for(reader))
            paths[r, reader] = str(path)

    def of(reader):
        return [paths[r, reader] for r in ROWS]
    said = readers.read_heads(of("head")) | readers.show(of("show"))
    for base, version in {(r.base, r.version) for r in ROWS}:
        these = [paths[r, "engine"] for r in ROWS if (r.base, r.version) == (base, version)]
        said |= readers.restore(base.machine, base.guest, base.vcpus, version, these)
    said |= readers.read_by_stock({paths[r, "stock"]: r.layer for r in ROWS}, of("stock"))
    return {key: said[path] for key, path in paths.items() if path in said}


@pytest.mark.parametrize("r", ROWS, ids=lambda r: r.name)
def test_verify_stream(r):
    good = r.good()
    assert verify(good.raw()).report.valid
    s, part, inside = r.broken()
    for pipe in (False, True):
        v = verify(s.raw(), pipe=pipe)
        if r.code is None or isinstance(r.code, Accepts):
            assert v.report.valid, lines(v)
        elif r.code == UNUSABLE:
            assert v.report.unusable and not v.report.problems, lines(v)
        elif r.section is None:
            assert [p.code for p in v.report.problems][:1] == [r.code], lines(v)
        else:
            assert found(v) == [(r.code, s.at(part) + inside, *(r.place or place(s, part)), r.section)], lines(v)


def place(s, part):
    """(layer, record) of a part"""
    if isinstance(part, int):
        return "libxc", part
    if isinstance(part, tuple):
        return "libxl", part[1] + (len(s.before) if part[0] == "after" else 0)
    return {"image": "libxc", "domain": "libxc", "trailing": "input"}.get(part, part), None


def judge(column, verdict, said):
    """What is wrong with that verdict, or None."""
    if isinstance(column, Accepts):
        return None if verdict == "ok" else f"it should accept the stream, because {column.reason}, and says: {said}"
    if verdict != "refused":
        return "it accepts what others refuse, and no reason is stated"
    if not column:
        return f"the table does not say what it says: {said}"
    return None if column in said.replace("\n", " ") else f"it should say {column!r}, and says: {said}"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("r", ROWS, ids=lambda r: r.name)
def test_reader(verdicts, r, reader):
    if (r, reader) not in verdicts:
        assert reader == "stock" and not readers.find_stock_verifier()
        return
    (verdict, *numbers), said = verdicts[r, reader]
    problem = judge(expected(r, reader), verdict, said)
    assert not problem, f"{reader}: {problem}"
    if reader == "head" and isinstance(r.columns.get("head"), At):
        assert list(map(int, numbers)) == place_of_head(r), said
    if reader == "engine" and verdict == "refused" and is_static(r):
        assert numbers == ["0"], "it took memory before it refused what stands before it"
    if reader == "engine" and r.is_good() and r.base is BASES["saved-hvm"]:
        assert numbers[1] == "3", "the store's frame is not what HVM_PARAMS says"


def place_of_head(r):
    """[offset, record, type] (-1: none) where the head's reader must find it"""
    s, part, inside = r.broken()
    at = r.columns["head"].inside
    s = copy.copy(s)
    s.layer = "xl" if s.layer != "libxc" else s.layer
    offset = s.at(part) + (inside if at is None else at)
    if isinstance(part, int):
        return [offset, part, signed(s.records[part].kind)]
    return [offset, part[1], signed(s.before[part[1]].kind)] if isinstance(part, tuple) else [offset, -1, -1]


def signed(value):
    return value - (1 << 32) if value >> 31 else value


def is_static(r):
    """Is it wrong before any memory?"""
    s, part, _ = r.broken()
    column = expected(r, "head")
    if column is not None and not isinstance(column, Accepts):
        return True
    return isinstance(part, int) and not any(record.kind in (PAGE_DATA, P2M_FRAMES) for record in s.records[:part + 1])
