# SPDX-License-Identifier: MIT
"""Reads what the probe guest (tests/guests/probe) says: Xen's log carries it as `(d3) [time] probe:NAME: ...`."""

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .packages import PackageError

SOURCES = Path(__file__).resolve().parents[2] / "guests" / "probe"

_LINE = re.compile(r"^\(d(\d+)\) (?:\[[^\]]*\] ?)?probe:([^:]*): (.*)$", re.M)
_TICK = re.compile(r"tick (\d+) cpuid=([0-9a-f]+) mem=(\S+) regs=(\S+)")
_CHANGED = re.compile(r"changed leaf ([0-9a-f]+)(?:\.([0-9a-f]+))? (e[abcd]x) ([0-9a-f]{8}) -> ([0-9a-f]{8})")


def build_probe(cache):
    """The probe's ELF file, compiled once for each state of its sources (what its meson.build does, by hand)."""
    sources = sorted(SOURCES.glob("*.[Sc]"))
    key = hashlib.sha256()
    for source in sources + [SOURCES / "cflags", SOURCES / "probe.h", SOURCES / "probe.lds"]:
        key.update(source.read_bytes() + b"\0")
    out = Path(cache) / "probe" / f"probe-{key.hexdigest()[:16]}.elf"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        fd, tmp = tempfile.mkstemp(dir=out.parent)
        os.close(fd)
        p = subprocess.run(["gcc", f"@{SOURCES / 'cflags'}", f"-Wl,-T,{SOURCES / 'probe.lds'}", "-o", tmp,
                            *map(str, sources)], capture_output=True, text=True)
        if p.returncode:
            os.unlink(tmp)
            raise PackageError(f"the probe does not compile (needs gcc and libxen-dev):\n{p.stderr}")
        os.rename(tmp, out)
    return out


@dataclass(frozen=True)
class Tick:
    n: int
    cpuid: str          # digest of all leaves
    mem: str            # "ok", or what is wrong
    regs: str


@dataclass(frozen=True)
class Change:
    """A CPUID register that no longer is what the guest read when it booted."""
    leaf: int
    subleaf: int        # 0 where the leaf has none
    reg: str
    before: int
    after: int

    @property
    def lost(self):
        """Bits that went away."""
        return self.before & ~self.after

    def __str__(self):
        return f"leaf {self.leaf:x}.{self.subleaf:x} {self.reg} {self.before:08x} -> {self.after:08x}"


@dataclass
class ProbeLog:
    """One incarnation of a probe (one domid on one host), in the order it spoke."""
    name: str
    domid: int = None
    ticks: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    lines: list = field(default_factory=list)       # everything, as text

    @classmethod
    def parse(cls, console, name, domid=None):
        """`domid` picks an incarnation; without it the latest counts."""
        text = console[:console.rfind("\n") + 1]        # the last line may still be on its way
        mine = [(int(m.group(1)), m.group(3)) for m in _LINE.finditer(text) if m.group(2) == name]
        if domid is None and mine:
            domid = mine[-1][0]
        log = cls(name, domid)
        for number, text in mine:
            if number == domid:
                log._line(text)
        return log

    def _line(self, text):
        self.lines.append(text)
        m = _TICK.match(text)
        if m:
            self.ticks.append(Tick(int(m.group(1)), *m.groups()[1:]))
        m = _CHANGED.match(text)
        if m:
            leaf, subleaf, reg, before, after = m.groups()
            self.changes.append(Change(int(leaf, 16), int(subleaf or "0", 16), reg, int(before, 16), int(after, 16)))

    @property
    def healthy(self):
        """It ticks, and memory and registers were right at every tick."""
        return bool(self.ticks) and all(t.mem == "ok" and t.regs == "ok" for t in self.ticks)

    def changed(self, leaf, reg, subleaf=0):
        """The last reported change of that register, or None."""
        hits = [c for c in self.changes if (c.leaf, c.subleaf, c.reg) == (leaf, subleaf, reg)]
        return hits[-1] if hits else None
