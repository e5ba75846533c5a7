#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A pool for years, seen: three real Xen hosts of two releases, from joining to the one that lost features at a reboot.

usage: demo_pool.py --build DIR [--report FILE] [--keep]

  (a) three hosts join a registry, and get a level that all can give
  (b) the live patch narrows what new domains are born with: stock `xl create` builds VMs on the level
  (c) one host is emptied by plan, with real migrations; no VM notices
  (d) it is rebooted, and its new microcode (another QEMU CPU) has taken features away: drift names them, and the VMs
  (e) the picture of it all

Xen 4.17 and 4.20 of Debian 12 and 13. The hosts share no disk: the registry, a folder, is carried to a host before each of its
commands and back afterwards, as a shared file system would. Exit status 0 only if all of that happened.
"""

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from demo import Show, xl_lines  # noqa: E402
from xenlab import HostError, Lab, PackageError  # noqa: E402
from xenlab.cpus import CPUS  # noqa: E402
from xenlab.tools import HELPER_ENV, build_livepatch, our_files  # noqa: E402

# What each is, and what alpha's processor is after its reboot.
HOSTS = {"alpha": "cascadelake@4.17", "beta": "haswell@4.17", "gamma": "cascadelake@4.20"}
LOST = ("movbe", "bmi1")
ALPHA_AFTER = CPUS["cascadelake"] + ",-movbe,-bmi1"
VMS = {"web1": "alpha", "web2": "alpha", "db1": "beta"}
REGISTRY = "/srv/pool"
PLACES = "/var/lib/xenlevel"            # what a host has on its disk, and keeps over a reboot


class Registry:
    """The folder: here for whoever asks from anywhere, and in a dom0 while that works on it."""

    def __init__(self, show, folder, build):
        self.show, self.folder = show, folder
        self.xenlevel = build / "tools/xenlevel/xenlevel"
        self.env = {**os.environ, "XENLEVEL_POOL": str(folder)}

    def _pack(self):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.add(self.folder, arcname=".")
        return data.getvalue()

    def on(self, host, command, limit=12):
        """A command of `xenlevel pool` on that host. Returns its Result."""
        self.show.command(host, f"xenlevel pool {command}")
        host.run(f"rm -rf {REGISTRY} && mkdir -p {REGISTRY} && tar -xf - -C {REGISTRY}", stdin=self._pack()).check()
        result = host.run(f"xenlevel pool {command}", env={"XENLEVEL_POOL": REGISTRY})
        archive = host.run(f"tar -cf - -C {REGISTRY} .").check().raw
        subprocess.run(["tar", "-xf", "-", "--overwrite", "-C", self.folder], input=archive, check=True)
        self.show.output(result.out + result.err, limit)
        return result

    def ask(self, *args, limit=12, quiet=False):
        """A command of `xenlevel pool` on this machine, which is no host: the registry is all that it needs."""
        if not quiet:
            self.show.command(Anywhere, f"xenlevel pool {' '.join(args)}")
        r = subprocess.run([self.xenlevel, "pool", *args], capture_output=True, text=True, env=self.env)
        if not quiet:
            self.show.output(r.stdout + r.stderr, limit)
        return r

    def data(self, *args):
        r = self.ask(*args, "--json", quiet=True)
        try:
            return json.loads(r.stdout)
        except ValueError:
            raise HostError(f"xenlevel pool {' '.join(args)} --json: {r.stdout}{r.stderr}") from None


class Anywhere:
    name = "anywhere"


def hostname_and_clock(host):
    """Its own name, and the time: a host from a snapshot has the time of the snapshot."""
    host.run(f"echo {host.name} > /proc/sys/kernel/hostname; date -u -s @{int(time.time())} >/dev/null").check()


def boot(lab, files):
    for name, cpu in HOSTS.items():
        lab.add(name, cpu, files=files)
    hosts = [lab.hosts[name].wait_ready() for name in HOSTS]
    for host in hosts:
        hostname_and_clock(host)
    return hosts


def scene_a(show, registry, hosts):
    show.scene("(a) A registry, three hosts of two releases, and a level that all can give")
    registry.ask("init", "--name", "web")
    joined = [registry.on(host, "join").rc for host in hosts]
    registry.ask("level", "web", "--compute", limit=8)
    status = registry.data("status")
    releases = sorted({host.packages.release.xen for host in hosts})
    show.result("(a) join", "3 members, a level", f"{joined.count(0)} joined (Xen {', '.join(releases)}), level {status.get('level')}",
                joined == [0, 0, 0] and len(releases) == 2 and status.get("level") == "web.v1")


def scene_b(lab, show, registry, hosts, payloads):
    show.scene("(b) Born on the level: the live patch, and stock `xl create`")
    for host in hosts:
        release = host.packages.release.xen
        if release not in payloads:
            payloads[release] = registry.folder.parent / f"{release}.livepatch"
            build_livepatch(lab.release(release)[0], payloads[release])
        put_payload(host, payloads[release])
        show.command(host, "xenlevel livepatch load --level web.v1 --keep")
        host.put("/root/web.v1", (registry.folder / "level/web.v1.xlp").read_bytes(), 0o644)
        show.output(host.run("cd /root && xenlevel livepatch load --level web.v1 --keep").check().out, 4)
    born = {}
    for name, home in VMS.items():
        host = lab.hosts[home]
        show.command(host, f"xl create {name}.cfg")
        host.create_probe(name).check()
        born[name] = host.wait_probe(name, 2)
    for host in hosts:
        registry.on(host, "refresh", limit=3)
    registry.ask("status", limit=10)
    report = registry.data("status")
    patched = [h["name"] for h in report["hosts"] if h["born"] == "live patch" and h["born_level"] == "web.v1"]
    levels = domain_levels(registry)
    ok = len(patched) == 3 and all(levels.get(name) == "web.v1" for name in VMS)
    show.result("(b) born", "3 hosts, every VM on web.v1",
                f"{len(patched)} by live patch, {sum(v == 'web.v1' for v in levels.values())} of {len(VMS)} VMs on web.v1", ok)
    return born


def put_payload(host, payload):
    """Where `livepatch build --all` leaves it, for every boot."""
    identity = json.loads(host.run("xenlevel livepatch status --json").out)["build_id"]
    host.put(f"{PLACES}/livepatch/{identity}.livepatch", payload, 0o644)


def domain_levels(registry):
    """{name: level that it was born on}, as the registry says."""
    text = "".join(registry.ask("status", name, quiet=True).stdout for name in HOSTS)
    return dict(re.findall(rf"^\s*({'|'.join(VMS)}) .* on (\S+)", text, re.M))


def scene_c(lab, show, registry, hosts, born):
    show.scene("(c) alpha is to be updated: it is emptied by plan")
    alpha = hosts[0]
    registry.ask("evacuate", "--reserve", "64M", "alpha")
    plan = registry.data("evacuate", "--reserve", "64M", "alpha")
    moves = [(move["guest"], move["to"]) for move in plan["moves"] if move.get("to")]
    moved = []
    for name, target in moves:
        show.command(alpha, f"xl migrate {name} {target}")
        result = lab.migrate(alpha, lab.hosts[target], name, env_src=HELPER_ENV, env_dst=HELPER_ENV)
        show.output(xl_lines(result.src.out + result.src.err), 4)
        if result.ok:
            log = lab.hosts[target].wait_probe(name, 2)
            show.output(f"{name} on {target}: {log.lines[-1]}")
            moved.append(log.healthy and not log.changes and {t.cpuid for t in log.ticks} == {t.cpuid for t in born[name].ticks})
    for host in hosts:
        registry.on(host, "refresh", limit=2)
    left = alpha.domains()
    wanted = [name for name, home in VMS.items() if home == "alpha"]
    show.result("(c) evacuate", "alpha empty, no VM notices", f"{sum(moved)} of {len(wanted)} moved with the same CPU, {len(left)} left",
                len(moved) == len(wanted) and all(moved) and not left)


def scene_d(lab, show, registry, files, hosts):
    show.scene("(d) alpha is rebooted, and its new microcode has taken features away")
    kept = hosts[0].run(f"tar -cf - -C / {PLACES[1:]}").check().raw
    lab.remove(hosts[0])
    alpha = lab.add("alpha", ALPHA_AFTER, files=files).wait_ready()
    hostname_and_clock(alpha)
    alpha.run("tar -xf - -C /", stdin=kept).check()
    show.command(alpha, "systemctl start xenlevel-livepatch      # at boot: xenlevel livepatch load")
    load = alpha.run("xenlevel livepatch load")
    show.output(load.err + load.out, 16)
    registry.on(alpha, "refresh", limit=8)
    drift = registry.ask("drift", "alpha", limit=24)
    registry.ask("status", limit=10)
    named = [f for f in LOST if f in drift.stdout]
    vms = [name for name in VMS if name in drift.stdout]
    by_patch = load.rc == 2 and all(f in load.err for f in LOST)
    show.result("(d) drift", "features and VMs named", f"drift exits {drift.returncode}, names {' '.join(named) or 'nothing'}, and "
                f"{' '.join(vms) or 'no VM'}; the live patch {'refuses the level by name' if by_patch else 'DOES NOT NOTICE'}",
                drift.returncode == 1 and len(named) == len(LOST) and len(vms) == len(VMS) and by_patch)


def scene_e(show, registry, path):
    show.scene("(e) The picture")
    r = registry.ask("report", "-o", str(path))
    text = path.read_text() if path.exists() else ""
    there = [word for word in (*HOSTS, *LOST, "web.v1") if word in text]
    matrix = registry.ask("matrix", limit=12)
    show.result("(e) report", "drift and hosts are drawn", f"exit {r.returncode}, {len(text) // 1024} KiB, "
                f"{len(there)} of {len(HOSTS) + len(LOST) + 1} names in it", r.returncode == 0 and len(there) == 6)
    return matrix


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=Path, help="the build directory")
    parser.add_argument("--report", type=Path, default=Path("pool.html"), help="where the picture goes (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the hosts' logs")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    show = Show()
    try:
        with Lab() as lab, tempfile.TemporaryDirectory(prefix="xenlevel-pool-") as tmp:
            lab.keep = args.keep
            show.scene("Three stock Debian Xen hosts: " + ", ".join(f"{name} ({cpu})" for name, cpu in HOSTS.items()))
            files = our_files(args.build)
            registry = Registry(show, Path(tmp) / "registry", args.build.resolve())
            hosts = boot(lab, files)
            scene_a(show, registry, hosts)
            born = scene_b(lab, show, registry, hosts, {})
            scene_c(lab, show, registry, hosts, born)
            scene_d(lab, show, registry, files, hosts)
            scene_e(show, registry, args.report)
            good = show.table()
            lab.keep = lab.keep or not good
    except (PackageError, HostError) as e:
        print(f"\ndemo-pool: {e}", file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
