# SPDX-License-Identifier: MIT
"""What the tests of pools share: the command on a registry, simulated hosts.  (conftest.py has the fixtures.)"""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build")
XENLEVEL = BUILD / "tools/xenlevel/xenlevel"
XEN_SIM = BUILD / "xen/sim/xen-sim"
MACHINES = ROOT / "xen/sim/machines"
LIMIT = 300     # seconds, for what hangs


def environment(**more):
    """Nothing of this machine's own registry or host."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("XENLEVEL_") or k == "XENLEVEL_BUILD"}
    return {**env, "XENLEVEL_POOL_CONF": "/dev/null", **{k: str(v) for k, v in more.items()}}


def run(*argv, status=0, stdin=None, **env):
    """Run a program; returns what it has printed, with .stdout and .stderr.  status None: any."""
    done = subprocess.run([*map(str, argv)], env=environment(**env), input=stdin, capture_output=True, text=True,
                          errors="surrogateescape", timeout=LIMIT, stdin=subprocess.DEVNULL if stdin is None else None)
    assert status is None or done.returncode == status, f"{argv}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Pool:
    """`xenlevel pool` on one registry."""

    def __init__(self, where):
        self.where = where

    def __call__(self, command, *args, host=None, status=0, **more):
        if host is not None:
            more["XENLEVEL_HOST"] = host
        return run(XENLEVEL, "pool", command, "-p", self.where, *args, status=status, **more)

    def json(self, command, *args, **more):
        return json.loads(self(command, "--json", *args, **more).stdout)

    def files(self):
        """The registry's own, of a folder: {"host/a.pb": bytes}."""
        there = [p.relative_to(self.where) for p in self.where.rglob("*") if p.is_file()]
        return {str(p): (self.where / p).read_bytes() for p in there if not any(part.startswith(".") for part in p.parts)}


class SimulatedHost:
    """xen-sim; str() of it is what XENLEVEL_HOST names."""

    def __init__(self, path, machine, *options):
        self.machine, self.socket, self.log = machine, path / "sock", path / "stderr"
        path.mkdir()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*map(str, [XEN_SIM, "-m", machine, "-s", self.socket, *options])],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        ready = self.process.stdout.readline()
        assert "is ready at" in ready, self.log.read_text()

    def __str__(self):
        return str(self.socket)

    def capture(self, path, *options):
        """What the host can offer, as a file; returns its path."""
        run(XENLEVEL, "host", "-o", path, *options, XENLEVEL_HOST=self)
        return path

    def stop(self):
        self.process.terminate()
        self.process.stdout.close()
        self.process.wait(600)
