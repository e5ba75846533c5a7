# SPDX-License-Identifier: MIT
"""Booted hosts, kept: a boot is the same each time, so its end is stored and the next host starts there.

A snapshot is the file QEMU writes when it migrates, and the console log up to then. XENLAB_SNAPSHOTS=0 turns it off.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .qmp import QmpError

KEEP = 20               # snapshots; about 150 MB each


def enabled():
    return os.environ.get("XENLAB_SNAPSHOTS", "1") != "0"


def _qemu_version():
    return subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout


class Snapshot:
    def __init__(self, cache, qemu_args):
        """`qemu_args`: all that decides what machine it is and what it boots (paths of images carry their hash)."""
        key = hashlib.sha256("\0".join([_qemu_version(), *qemu_args]).encode()).hexdigest()[:24]
        self.directory = Path(cache) / "snapshots" / key

    def exists(self):
        return enabled() and (self.directory / "state").exists()

    def incoming(self, console_log):
        """QEMU arguments to start from here; the log of the boot is put where the new one will go on."""
        os.utime(self.directory)
        shutil.copyfile(self.directory / "console.log", console_log)
        return ["-incoming", f"exec:cat '{self.directory / 'state'}'"]

    def take(self, qmp, console_log, say):
        """Keep this freshly booted host. A failure costs only the time it would have saved."""
        if not enabled() or self.directory.exists():
            return
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        tmp = Path(tempfile.mkdtemp(dir=self.directory.parent, prefix="new-"))
        try:
            qmp.save_state(tmp / "state")
            shutil.copyfile(console_log, tmp / "console.log")
            os.rename(tmp, self.directory)
        except (QmpError, OSError) as e:
            say(f"no snapshot: {e}")
            shutil.rmtree(tmp, ignore_errors=True)
        self._prune()

    def drop(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def _prune(self):
        """Forget the least recently used, and what a killed run left half made; never what another run is making."""
        done = [d for d in self.directory.parent.iterdir() if not d.name.startswith("new-")]
        half = [d for d in self.directory.parent.glob("new-*") if time.time() - d.stat().st_mtime > 3600]
        for old in sorted(done, key=lambda d: d.stat().st_mtime)[:-KEEP] + half:
            shutil.rmtree(old, ignore_errors=True)
