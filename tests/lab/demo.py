#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job, seen: two real Xen hosts with different CPUs exchange a running VM.

usage: demo.py --build DIR [--xen RELEASE] [--keep]

  (a) stock xl migrate: says success, and the VM's CPU changes under it
  (b) the same with Xenlevel's gate: refused by name, the VM runs on at home
  (c) both hosts levelled, a VM built on the level: it moves there and back and notices nothing
  (d) no gate at all, our audit in the running hypervisor: refused by Xen itself

The Xen is that of the Debian this machine has (12: 4.17, 13: 4.20), or RELEASE. Exit status 0 only if all of that happened.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from xenlab import HostError, Lab, PackageError  # noqa: E402
from xenlab.packages import RELEASES, machine_release  # noqa: E402
from xenlab.tools import GATE, HELPER_ENV, build_livepatch, feature_names, our_files  # noqa: E402

RICH, POOR = "cascadelake", "sandybridge"


class Show:
    """Says what is done; the steps on a terminal in colour, in a pipe plain."""

    def __init__(self):
        self.colour = sys.stdout.isatty()
        self.begun = time.monotonic()
        self.rows = []

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def scene(self, text):
        print(f"\n{self._paint('1', text)}", flush=True)

    def command(self, host, text):
        print(f"  {self._paint('36', f'[{host.name}]#')} {text}", flush=True)

    def output(self, text, limit=24):
        lines = [line for line in text.splitlines() if line.strip()]
        for line in lines[:limit]:
            print(f"      {line}", flush=True)
        if len(lines) > limit:
            print(f"      ... ({len(lines) - limit} more lines)", flush=True)

    def result(self, scene, wanted, seen, ok):
        self.rows.append((scene, wanted, seen, ok))
        print(f"  {self._paint('32', 'as it should') if ok else self._paint('31', 'NOT as it should')}: {seen}", flush=True)

    def table(self):
        print()
        head = ("", "must happen", "seen", "")
        rows = [head] + [(s, w, v, "ok" if ok else "FAILED") for s, w, v, ok in self.rows]
        widths = [max(len(r[i]) for r in rows) for i in range(4)]
        for r in rows:
            print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())
        good = all(ok for *_, ok in self.rows)
        print(f"\n{'Everything happened as it must' if good else 'SOMETHING DID NOT HAPPEN AS IT MUST'}"
              f" ({time.monotonic() - self.begun:.0f} s).")
        return good


def xl_lines(text):
    """What xl said, without its progress and what libxl adds to each error on its way up."""
    noise = ("Loading new save file", "Savefile contains", "Parsing config", "Saving to migration stream", "xc: info",
             "migration target: Ready", "migration target: Transfer complete", "migration receiver stream",
             "migration target: Got permission", "migration target: Domain started", "migration sender:", "libxl:",
             "xenlevel: error:")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(noise))


def migrate(lab, show, src, dst, name, gate=False):
    prefix = f"LIBXL_SAVE_HELPER={GATE} " if gate else ""
    show.command(src, f"xl migrate {name} {dst.name}" + (f"        # {dst.name} has {prefix.strip()}" if gate else ""))
    env = HELPER_ENV if gate else {}
    result = lab.migrate(src, dst, name, env_src=env, env_dst=env)
    show.output(xl_lines(result.src.out + result.src.err))
    print(f"      (exit status {result.src.rc}, {result.seconds:.1f} s, {result.bytes_moved / 1e6:.1f} MB)", flush=True)
    return result


def scene_a(lab, show, rich, poor, build):
    show.scene("(a) Stock Xen: the VM moves, and its CPU changes under it")
    show.command(rich, "xl create web1.cfg")
    rich.create_probe("web1").check()
    before = rich.wait_probe("web1", 4)
    result = migrate(lab, show, rich, poor, "web1")
    if not result.ok:
        show.result("(a) stock", "xl says success", f"xl failed with {result.src.rc}", False)
        return
    log = poor.wait_probe("web1", 4)
    for change in log.changes:
        names = feature_names(build, change)
        show.output(f"web1: changed {change}" + (f"   gone: {' '.join(names)}" if names else ""))
    ok = before.healthy and not before.changes and bool(log.changed(7, "ebx")) and log.changed(7, "ebx").lost != 0
    show.result("(a) stock", "success reported, CPUID changed",
                f"exit 0, {len({(c.leaf, c.subleaf, c.reg) for c in log.changes})} registers changed", ok)
    poor.destroy("web1")


def scene_b(lab, show, rich, poor):
    show.scene("(b) With Xenlevel's gate: refused by name, and nothing is lost")
    show.command(rich, "xl create web2.cfg")
    rich.create_probe("web2").check()
    rich.wait_probe("web2", 2)
    result = migrate(lab, show, rich, poor, "web2", gate=True)
    text = result.src.out + result.src.err
    named = "refused" in text and "avx2" in text and "7.0.ebx[5]" in text
    log = rich.wait_probe("web2", 4)
    at_home = "web2" in rich.domains() and log.healthy and not log.changes
    elsewhere = any(name.startswith("web2") for name in poor.domains())
    show.output(f"web2: {log.lines[-1]}")
    show.result("(b) gate", "refused by name, runs on at home",
                f"exit {result.src.rc}, {'features named' if named else 'NO feature named'}, "
                f"{'ticks at home' if at_home else 'NOT at home'}, {'ON' if elsewhere else 'not on'} the other host",
                result.src.rc != 0 and named and at_home and not elsewhere)
    rich.destroy("web2")


def levelled_guest(show, rich, poor):
    """Capture both hosts, level them, build a VM on the level. Returns the digest it was born with."""
    captures = {}
    for host in (rich, poor):
        show.command(host, f"xenlevel host -o {host.name}.xlp")
        host.run(f"xenlevel host -o /root/{host.name}.xlp").check()
        captures[host.name] = host.get(f"/root/{host.name}.xlp")
    rich.put(f"/root/{POOR}.xlp", captures[POOR], 0o644)
    show.command(rich, f"xenlevel level {RICH}.xlp {POOR}.xlp -o pool.xlp")
    show.output(rich.run(f"cd /root && xenlevel level {RICH}.xlp {POOR}.xlp -o pool.xlp").check().out, 40)
    show.command(rich, "xl create -p web3.cfg && xenlevel apply web3 pool.xlp && xl unpause web3")
    rich.create_probe("web3", paused=True).check()
    show.output(rich.run("cd /root && xenlevel apply web3 pool.xlp").check().out)
    rich.run("xl unpause web3").check()
    return rich.wait_probe("web3", 4)


def scene_c(lab, show, rich, poor):
    show.scene("(c) Levelled: the VM moves there and back, and notices nothing")
    born = levelled_guest(show, rich, poor)
    logs, exits = [born], []
    for src, dst in ((rich, poor), (poor, rich)):
        result = migrate(lab, show, src, dst, "web3", gate=True)
        exits.append(result.src.rc)
        if not result.ok:
            break
        logs.append(dst.wait_probe("web3", 6))
        show.output(f"web3 on {dst.name}: {logs[-1].lines[-1]}")
    digests = {t.cpuid for log in logs for t in log.ticks}
    ticks = sum(len(log.ticks) for log in logs)
    good = (exits == [0, 0] and len(digests) == 1 and all(log.healthy and not log.changes for log in logs)
            and [t.n for t in logs[-1].ticks] == sorted(t.n for t in logs[-1].ticks)
            and logs[-1].ticks[0].n > born.ticks[-1].n)
    show.result("(c) levelled", "moves both ways, same CPU",
                f"exits {exits}, {ticks} ticks, {len(digests)} digest{'s' * (len(digests) != 1)}, memory and registers "
                f"{'intact' if all(log.healthy for log in logs) else 'NOT intact'}", good)


def scene_d(lab, show, rich, poor):
    show.scene("(d) The audit inside the running, stock Xen: no gate, and the hypervisor itself refuses")
    with tempfile.TemporaryDirectory() as tmp:
        payload = Path(tmp) / "xenlevel.livepatch"
        show.output(build_livepatch(lab.packages, payload))
        poor.put("/root/xenlevel.livepatch", payload, 0o644)
    show.command(poor, "xenlevel livepatch load xenlevel.livepatch")
    show.output(poor.run("xenlevel livepatch load /root/xenlevel.livepatch").check().out)
    rich.create_probe("web4").check()
    rich.wait_probe("web4", 2)
    result = migrate(lab, show, rich, poor, "web4")
    show.command(poor, "xl dmesg | grep xenlevel:")
    said = [line for line in poor.xen_log() if line.startswith("xenlevel: ")]
    show.output("\n".join(said))
    log = rich.wait_probe("web4", 3)
    named = any("avx2(7.0.ebx[5])" in line for line in said)
    at_home = "web4" in rich.domains() and log.healthy and not log.changes
    show.command(poor, "xenlevel livepatch unload")
    show.output(poor.run("xenlevel livepatch unload").check().out)
    show.result("(d) hypervisor", "Xen refuses by name, runs on at home",
                f"exit {result.src.rc}, {'features named' if named else 'NO feature named'}, "
                f"{'ticks at home' if at_home else 'NOT at home'}", result.src.rc != 0 and named and at_home)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=Path, help="the build directory")
    parser.add_argument("--xen", choices=RELEASES, default=machine_release(), help="the release; this machine's is %(default)s")
    parser.add_argument("--keep", action="store_true", help="keep the hosts' logs")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    show = Show()
    try:
        with Lab(xen=args.xen) as lab:
            lab.keep = args.keep
            show.scene(f"Two stock Debian Xen hosts: an Intel {RICH} and an Intel {POOR} (QEMU software emulation)")
            # Inside an emulator Xen cannot see whether microcode mitigates GDS, and would hide AVX from guests.
            rich, poor = lab.boot(RICH, POOR, files=our_files(args.build), xen_args="spec-ctrl=no-gds-mit")
            for host in (rich, poor):
                host.run(f"echo {host.name} > /proc/sys/kernel/hostname").check()
                show.command(host, "xl info | grep xen_version")
                show.output(host.run("xl info | grep xen_version").check().out)
            scene_a(lab, show, rich, poor, args.build)
            scene_b(lab, show, rich, poor)
            scene_c(lab, show, rich, poor)
            scene_d(lab, show, rich, poor)
            good = show.table()
            lab.keep = lab.keep or not good
    except (PackageError, HostError) as e:
        print(f"\ndemo: {e}", file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
