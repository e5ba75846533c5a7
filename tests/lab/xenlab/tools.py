# SPDX-License-Identifier: MIT
"""What we put into a host: our programs where `make install` puts them, and the names of features."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GATE = "/usr/lib/xenlevel/xenlevel-save-helper"
XEN_SYMS = "usr/lib/debug/boot/xen-syms-*-amd64"
PAYLOAD = "/root/xenlevel.livepatch"       # where load_livepatch() puts it
HELPER_ENV = {"LIBXL_SAVE_HELPER": GATE}


def our_files(build):
    """{path in dom0: file of the build directory} for Lab.add(files=...)."""
    build = Path(build).resolve()
    files = {
        "/usr/bin/xenlevel": build / "tools/xenlevel/xenlevel",
        GATE: build / "tools/save-helper/xenlevel-save-helper",
        "/root/probe.elf": build / "tests/guests/probe/probe.elf",
    }
    missing = [str(f) for f in files.values() if not f.exists()]
    if missing:
        raise FileNotFoundError(f"not built: {' '.join(missing)} (run make first)")
    return files


def put_gate_in_place(host, wanted=True):
    """Give the gate the stock helper's name, as its Debian package does, or give the name back."""
    helper = f"/{host.packages.release.xen_dir}/bin/libxl-save-helper"
    put = f"[ -e {helper}.stock ] || {{ mv {helper} {helper}.stock && ln {GATE} {helper}; }}"
    give_back = f"[ ! -e {helper}.stock ] || mv {helper}.stock {helper}"
    host.run(put if wanted else give_back).check()


def build_livepatch(packages, out, sources=ROOT / "xen/livepatch"):
    """The audit as a live patch for the hypervisor of these packages, made from its debug symbols, which are fetched; returns
    what the build said."""
    packages.add([packages.release.dbg_package])
    r = subprocess.run([sys.executable, Path(sources) / "build.py", "--policy", ROOT / "xen/arch/x86/cpuid-policy",
                        "--include", ROOT / "xen/include", packages.find(XEN_SYMS), out], capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(r.stderr.strip())
    return r.stdout.strip()


def load_livepatch(host, payload, *options):
    """That host with this payload in its hypervisor, whatever it had before."""
    host.run("xenlevel livepatch unload")
    host.put(PAYLOAD, payload, 0o644)
    host.run(["xenlevel", "livepatch", "load", PAYLOAD, *options]).check()
    return host


@cache
def _table(build):
    """(location of a register) -> {bit: name}, from the table that the build generated."""
    table = {}
    for f in json.loads((Path(build) / "xen/arch/x86/cpuid-policy/features.json").read_text())["features"]:
        register, bit = f["location"].rstrip("]").split("[")
        table.setdefault(register, {})[int(bit)] = f["name"]
    return table


def feature_names(build, change):
    """The names of the features that went away with a probe's Change."""
    leaf = f"{change.leaf:x}"
    bits = {n: name for register in (f"{leaf}.{change.reg}", f"{leaf}.{change.subleaf:x}.{change.reg}")
            for n, name in _table(build).get(register, {}).items()}
    return [name for bit, name in sorted(bits.items()) if change.lost >> bit & 1]
