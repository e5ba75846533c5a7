# SPDX-License-Identifier: MIT
"""Runs the readers of streams over many at once.  Each function: paths -> {path: (accepted, what it said)}."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streambuilder import BUILD

PROGRAMS = BUILD / "tests/migration/unit"


def parse_blocks(paths, text):
    """Lines of a verdict, each followed by indented ones: {path: (the verdict's words, what was said)}"""
    found = []
    for line in text.splitlines():
        if line.startswith("  "):
            found[-1][1].append(line.strip())
        else:
            found.append((line.split(), []))
    assert len(found) == len(paths), text
    return {path: (words, "\n".join(said)) for path, (words, said) in zip(paths, found)}


def run(*command, **options):
    r = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, **options)
    assert r.returncode == 0, r.stderr.decode(errors="replace")
    return r.stdout.decode(errors="replace")


def read_heads(paths):
    """Its verdicts have the fault's offset, record and type behind them."""
    return parse_blocks(paths, run(PROGRAMS / "read-heads", *paths))


def restore(machine, guest, vcpus, version, paths):
    """A stream of version 2 has no policy, so it is taken unverified.

    Verdicts have the domain's pages, and of a stream that was taken the store's frame, behind them.
    """
    return parse_blocks(paths, run(PROGRAMS / "restore-streams", machine, guest, vcpus,
                                   "verified" if version == 3 else "unverified", *paths))


def show_one(path):
    r = subprocess.run([BUILD / "tools/xenlevel/xenlevel", "stream", "show", "--json", path], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode in (0, 2), r.stderr
    if r.returncode:
        return ["refused"], r.stderr.decode(errors="replace")
    # It shows the rest of an image whose policy is faulty, and says what is wrong with that.
    policy = json.loads(r.stdout).get("no_policy") or "none"
    return (["ok"], "") if policy.startswith("none") else (["refused"], policy)


def show(paths):
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(paths, pool.map(show_one, paths)))


def find_stock_verifier():
    """The directory of Debian's xen-utils with verify-stream-v2, from the lab's cache or the system; None when there is none."""
    cache = Path(os.environ.get("XENLAB_CACHE") or
                 Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xenlevel/lab")
    for base, pattern in ((cache, "unpacked/xen-utils-4*/usr/lib/xen-*"), (Path("/usr/lib"), "xen-*")):
        for directory in sorted(base.glob(pattern)):     # the oldest, which is Debian 12's
            if (directory / "bin/verify-stream-v2").exists():
                return directory
    return None


# Debian's program reads one stream a process; its own functions, called here as it calls them, read many.
STOCK = """
import importlib.machinery, importlib.util, io, sys
loader = importlib.machinery.SourceFileLoader("stock", sys.argv[1])
stock = importlib.util.module_from_spec(importlib.util.spec_from_loader("stock", loader))
loader.exec_module(stock)
said = []
stock.err = said.append
for arg in sys.argv[2:]:
    layer, path = arg.split(":", 1)
    with open(path, "rb") as stock.fin:
        status = stock.read_stream(layer)
    print("refused" if status else "ok")
    for line in "\\n".join(said).splitlines()[-3:]:
        print("  ", line)
    said.clear()
"""


def read_by_stock(layers, paths):
    """layers: {path: "libxc", "libxl" or "xl"}"""
    directory = find_stock_verifier()
    if not directory:
        return {}
    text = run(sys.executable, "-c", STOCK, directory / "bin/verify-stream-v2", *(f"{layers[path]}:{path}" for path in paths),
               env=dict(os.environ, PYTHONPATH=str(directory / "lib/python"), PYTHONDONTWRITEBYTECODE="1"))
    return parse_blocks(paths, text)
