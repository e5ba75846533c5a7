# SPDX-License-Identifier: MIT
"""A few hosts, booted together, and migrations between them."""

import atexit
import itertools
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import image
from .host import COMMAND_TIMEOUT, Host, HostError, Result
from .link import LOST, Fault, Link
from .packages import DEFAULT, Packages, split_host
from .probe import build_probe


@dataclass
class MigrateResult:
    """Both ends of `xl migrate`. `dst` is None when the source gave up before it called the destination."""
    src: Result
    dst: Result
    bytes_moved: int        # what the destination's xl was given of the stream
    bytes_back: int
    seconds: float

    @property
    def ok(self):
        return self.src.rc == 0


@dataclass
class _Call:
    """What is to happen when `xenlab-ssh TARGET` is run in some dom0."""
    dst: Host
    env: dict
    fault: Fault
    record: bytearray = None
    link: Link = None


class Lab:
    """Context manager. `xen` is the release of hosts that do not say theirs, `packages` and `image` are its own; those of the
    others come when a host wants them.

    Its directory holds one directory of logs a host; it goes when all went well, else it is kept."""

    def __init__(self, xen=DEFAULT, verbose=None):
        self.verbose = sys.stderr.isatty() if verbose is None else verbose
        self.packages = Packages(say=self.say, release=xen).fetch()
        self.image = image.build(self.packages, self.say)
        self._releases = {self.packages.release.xen: (self.packages, self.image)}
        self.directory = Path(tempfile.mkdtemp(prefix="xenlab-"))
        self.hosts = {}
        self.keep = False
        self._calls, self._serial = {}, itertools.count(1)
        atexit.register(self.close)

    def say(self, text):
        if self.verbose:
            print(f"xenlab: {text}", file=sys.stderr, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.keep = self.keep or kind is not None
        self.close()

    def close(self):
        """Stop everything. Logs stay when `keep` is set."""
        atexit.unregister(self.close)
        for host in self.hosts.values():
            host.stop(force=True)
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        elif self.directory.exists():
            print(f"xenlab: logs are in {self.directory}", file=sys.stderr)

    # ---- hosts ----

    def release(self, xen):
        """(packages, image) of that release of Xen."""
        if xen not in self._releases:
            packages = Packages(self.packages.cache, say=self.say, release=xen).fetch()
            self._releases[xen] = packages, image.build(packages, self.say)
        return self._releases[xen]

    def add(self, name, cpu=None, files=None, **options):
        """Spawn a host and return at once; wait_ready() is the caller's. `files`: {path in dom0: bytes or Path}.

        `cpu` is a name of cpus.CPUS (default: the host's own name) or a -cpu string, and behind an @ may be the release
        of Xen: "cascadelake@4.20". options: memory, dom0 (MB), xen_args.
        """
        cpu, xen = split_host(cpu or name, self.packages.release.xen)
        if name in self.hosts:
            raise ValueError(f"there is a host {name} already")
        directory = self.directory / name
        for n in itertools.count(2):
            if not directory.exists():
                break
            directory = self.directory / f"{name}.{n}"          # the host was booted before: its logs stay
        host = Host(name, cpu, *self.release(xen), directory, files,
                    on_open=self._on_open, say=self.say, **options)
        self.hosts[name] = host
        self.say(f"{name}: booting ({host.cpu}, Xen {xen})")
        host.spawn()
        return host

    def probe_elf(self):
        """The probe guest, built when its sources are newer than the cache; for files={'/root/probe.elf': ...}."""
        return build_probe(self.packages.cache)

    def boot(self, *names, files=None, **options):
        """Boot several hosts in parallel, each named like its CPU; returns them when all are ready."""
        hosts = [self.add(name, files=files, **options) for name in names]
        for host in hosts:
            host.wait_ready()
            self.say(f"{host.name}: ready after {host.boot_seconds:.1f} s")
        return hosts

    def remove(self, host):
        host.stop(force=True)
        del self.hosts[host.name]

    # ---- migration ----

    def migrate(self, src, dst, domain, env_src=None, env_dst=None, fault=None, options=(), timeout=COMMAND_TIMEOUT,
                record=None, verbose=()):
        """`xl migrate` of `domain` from one host to the other; never raises because the migration failed.
        `record`: a bytearray that gets what the source sent. `verbose`: xl's own options, "-vvv"."""
        target = f"{dst.name}+{next(self._serial)}"
        call = self._calls[target] = _Call(dst, env_dst or {}, fault, record)
        started = time.monotonic()
        try:
            command = ["xl", *verbose, "migrate", *options, "-s", "xenlab-ssh", domain, target]
            result = src.run(command, timeout=timeout, env=env_src)
            if call.link and not call.link.done.wait(90):
                call.link.process.kill(9)
                raise HostError(f"{dst.name}: xl migrate-receive lives on after xl migrate ended:\n{result.err}")
        finally:
            del self._calls[target]
            if call.link and not call.link.done.is_set():
                call.link.process.kill(9)
        link = call.link
        return MigrateResult(result, link.destination if link else None, link.delivered if link else 0,
                             link.back if link else 0, time.monotonic() - started)

    def _on_open(self, channel, args):
        """A program in some dom0 runs `xenlab-ssh HOST COMMAND...`, where HOST may carry the number of a migration."""
        target, command = args[0], " ".join(args[1:])
        call = self._calls.get(target)
        if call is None and target in self.hosts:
            call = _Call(self.hosts[target], {}, None)
        try:
            if call is None:
                raise HostError(f"no host {shlex.quote(target)} in this lab")
            call.link = Link(channel, call.dst, command, call.env, call.fault, call.record)
        except HostError as e:
            channel.send(2, f"xenlab-ssh: {e}\n".encode())
            channel.exit(LOST)
