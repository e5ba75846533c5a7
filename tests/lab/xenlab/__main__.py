# SPDX-License-Identifier: MIT
"""python3 -m xenlab: the lab by hand.

  boot CPU [CPU...] [-c COMMAND]   boot hosts (names of `cpus`; @4.20 behind one: that Xen); then a prompt, or COMMAND on each
  cpus                             the CPU identities, and which QEMU -cpu string each is
  fetch [--with-dbg] [--with-dm] [--with-toolstacks] [--release XEN]
                                   get all packages into the cache, build the images, use no network after that

At the prompt: `NAME COMMAND` runs a command on that host, a bare `COMMAND` on the one used last;
`probe NAME` makes a probe guest; `migrate DOMAIN TO` moves it; `log` shows Xen's last lines; end with ^D.
"""

import argparse
import shlex
import signal
import sys

from . import HostError, Lab, PackageError, device_model, xendomains
from .cpus import CPUS
from .packages import DEFAULT, RELEASES


def show(result):
    sys.stdout.write(result.out)
    sys.stderr.write(result.err)
    sys.stderr.flush()
    sys.stdout.flush()
    if result.rc:
        print(f"[exit code {result.rc}]")


def prompt(lab):
    current = next(iter(lab.hosts.values()))
    while True:
        try:
            line = input(f"{current.name}# ").strip()
        except EOFError:
            return
        word, _, rest = line.partition(" ")
        if word in lab.hosts:
            current = lab.hosts[word]
            word, _, _ = rest.partition(" ")
            line = rest
        try:
            if word == "probe":
                show(current.create_probe(line.split()[1]))
            elif word == "migrate":
                _, domain, target = line.split()
                result = lab.migrate(current, lab.hosts[target], domain)
                show(result.src)
                print(f"{result.bytes_moved} bytes in {result.seconds:.1f} s")
            elif word == "log":
                print("\n".join(current.console().splitlines()[-30:]))
            elif line:
                show(current.run(line))
        except (HostError, KeyError, ValueError, IndexError) as e:
            print(e, file=sys.stderr)


def boot(args):
    with Lab(verbose=sys.stderr.isatty()) as lab:
        names = [cpu if args.cpu.count(cpu) == 1 else f"{cpu}-{i}" for i, cpu in enumerate(args.cpu)]
        hosts = [lab.add(name, cpu, files={"/root/probe.elf": lab.probe_elf()}) for name, cpu in zip(names, args.cpu)]
        for host in hosts:
            host.wait_ready()
            lab.say(f"{host.name}: ready after {host.boot_seconds:.1f} s")
        code = 0
        if args.command:
            for host in hosts:
                result = host.run(args.command)
                if len(hosts) > 1:
                    print(f"== {host.name}")
                show(result)
                code = code or result.rc
        else:
            prompt(lab)
        return code


def main():
    parser = argparse.ArgumentParser(prog="xenlab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    p = commands.add_parser("boot")
    p.add_argument("cpu", nargs="+", help="a name of `cpus`, or a QEMU -cpu string; @4.20 behind it: with that release of Xen")
    p.add_argument("-c", "--command", help="run this on each host instead of a prompt")
    commands.add_parser("cpus")
    p = commands.add_parser("fetch")
    p.add_argument("--release", action="append", choices=RELEASES, help="of Xen, may be repeated; without it: all")
    p.add_argument("--with-dbg", action="store_true", help="also the symbols of the hypervisor, for livepatches")
    p.add_argument("--with-dm", action="store_true", help="also QEMU for Xen, for HVM guests")
    p.add_argument("--with-toolstacks", action="store_true", help="also libvirt, and what xendomains is interpreted by (4.17)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if args.what == "boot":
            return boot(args)
        if args.what == "cpus":
            for name, cpu in CPUS.items():
                print(f"{name:14}{shlex.quote(cpu)}")
            return 0
        with Lab(xen=(args.release or [DEFAULT])[0], verbose=True) as lab:
            lab.probe_elf()
            for release in args.release or RELEASES:
                packages = lab.release(release)[0]
                if args.with_dm:
                    device_model.files(packages)
                if args.with_dbg:
                    packages.add([packages.release.dbg_package])
                if args.with_toolstacks and packages.release.libvirt:
                    packages.add([*packages.release.libvirt, *xendomains.PACKAGES])
                print(packages.identity())
        return 0
    except (HostError, PackageError) as e:
        print(f"xenlab: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
