# SPDX-License-Identifier: MIT
"""What we put into a host: our programs where `make install` puts them, and the names of features."""

import json
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GATE = "/usr/lib/xenlevel/xenlevel-save-helper"
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


@cache
def _table():
    """(leaf, subleaf, register) -> {bit: name}, from the generated table beside any build."""
    for path in sorted(ROOT.glob("build*/xen/arch/x86/cpuid-policy/features.json")):
        table = {}
        for f in json.loads(path.read_text())["features"]:
            if f.get("leaf") is not None:
                table.setdefault((f["leaf"], f.get("subleaf") or 0, f["reg"]), {})[f["bit"]] = f["name"]
        return table
    return {}


def feature_names(change):
    """The names of the features that went away with a probe's Change."""
    bits = _table().get((change.leaf, change.subleaf, change.reg), {})
    return [name for bit, name in sorted(bits.items()) if change.lost >> bit & 1]
