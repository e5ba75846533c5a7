# SPDX-License-Identifier: MIT
"""What debian/ says, held against the rest of the tree.  What the packages do: tests/packages."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTROL = (ROOT / "debian/control").read_text()
# What build-essential, meson and debhelper bring, under these or other names.
IMPLIED = {"gcc", "libc6-dev", "ninja-build", "pkg-config", "python3"}


def build_depends():
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", CONTROL, re.MULTILINE)[1]
    return {re.split(r"[ :,(<]", line.strip())[0] for line in field.splitlines()}


def test_build_depends_has_what_the_build_needs():
    """scripts/packages.txt is what a build outside of a package installs, for every release that it names."""
    needed = set()
    for line in (ROOT / "scripts/packages.txt").read_text().splitlines():
        group, _, names = line.partition(":")
        if re.split(r"[ @/(]", group)[0] == "build":
            needed |= set(names.split())
    assert len(needed) > 10 and needed - IMPLIED <= build_depends(), needed - IMPLIED - build_depends()


def test_version_is_that_of_the_tree():
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert (ROOT / "debian/changelog").read_text().startswith(f"xenlevel ({version}) ")


def test_every_page_for_operators_is_in_a_package():
    shipped = "".join(p.read_text() for p in (ROOT / "debian").glob("*.docs"))
    for page in ("operators", "libvirt", "livepatch", "verify-stream-ci", "messages"):
        assert (ROOT / f"docs/{page}.md").exists() and f"docs/{page}.md" in shipped, page


def test_the_mark_of_the_gate_is_the_same_in_c_and_in_the_maintainer_script():
    header = (ROOT / "tools/common/gatemark.h").read_text()
    halves = [re.search(rf'GATE_MARK_{n} +"([^"]+)"', header)[1] for n in ("FIRST", "SECOND")]
    assert '"' + '""'.join(halves) + '"' in (ROOT / "debian/gate-diversion").read_text()
    assert f'GATE_STOCK_SUFFIX "{".stock"}"' in header


def test_triggers_have_the_releases_that_are_known():
    gate, patch = ((ROOT / f"debian/xenlevel-{p}.triggers").read_text() for p in ("gate", "livepatch"))
    for minor in range(17, 41):
        assert f"interest-noawait /usr/lib/xen-4.{minor}\n" in gate and f"/boot/xen-4.{minor}-amd64.gz\n" in patch


def test_the_maintainer_script_reads_diversions_whatever_the_language(tmp_path):
    """dpkg-divert says them in the administrator's. One that is not recognized would stay when the package goes."""
    place = "/usr/lib/xen-4.17/bin/libxl-save-helper"
    (tmp_path / "diversions").write_text(f"{place}\n{place}.stock\nxenlevel-gate\n/usr/bin/x\n/usr/bin/x.y\nother\n")
    done = subprocess.run([ROOT / "debian/gate-diversion", "list"], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "DPKG_ADMINDIR": str(tmp_path), "LC_ALL": "C.UTF-8", "LANGUAGE": "de"})
    assert (done.returncode, done.stdout) == (0, f"{place}\n")
