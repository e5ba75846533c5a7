# SPDX-License-Identifier: MIT
"""One stock Xen host: a QEMU, the agent in its dom0, and the commands people would type there."""

import contextlib
import os
import posixpath
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import cpus, image
from .agent import POWEROFF, Agent, AgentError
from .probe import ProbeLog
from .qmp import Qmp
from .snapshot import Snapshot

BOOT_TIMEOUT = 180          # seconds; about 10 when the machine is otherwise idle
COMMAND_TIMEOUT = 300
POKE_EVERY = 5                  # seconds
XEN_ARGS = ("console=com1 com1=115200,8n1 noreboot dom0_mem={dom0}M,max:{dom0}M dom0_max_vcpus=1 loglvl=all guest_loglvl=all "
            "console_timestamps=boot "
            # For speed under emulation; none of these changes a guest's CPU policy (spec-ctrl=no would).
            "xpti=off pv-l1tf=off spec-ctrl=bti-thunk=jmp,no-rsb,no-branch-harden,no-bhb-entry {extra}")
# All but the first three save time under emulation.
DOM0_ARGS = ("console=hvc0 panic=1 rdinit=/init quiet nokaslr mitigations=off tsc=reliable rodata=off lsm= cryptomgr.notests "
             "noreplace-smp 8250.nr_uarts=0 i8042.noaux i8042.nokbd audit=0 nowatchdog")
GUEST_DIR = "/root/guests"
# What the PV Linux guest can do without; each costs it time under emulation.
PV_LINUX_ARGS = "mitigations=off rodata=off lsm= cryptomgr.notests audit=0 nowatchdog noreplace-smp"
BLOCK = 32 << 10        # bytes; what put_like() compares
CRASH = re.compile(r"^\(XEN\) (?:\[[^\]]*\] ?)?(Panic on CPU \d|Hardware Dom\d+ (?:crashed|shutdown|halted)).*$", re.M)


def common_ends(a, b):
    """How many bytes, in whole blocks, are the same at the beginning of both, and behind those at the end of both."""
    most, head, tail = min(len(a), len(b)), 0, 0
    while head + BLOCK <= most and a[head:head + BLOCK] == b[head:head + BLOCK]:
        head += BLOCK
    while (head + tail + BLOCK <= most and
           a[len(a) - tail - BLOCK:len(a) - tail] == b[len(b) - tail - BLOCK:len(b) - tail]):
        tail += BLOCK
    return head, tail


class HostError(Exception):
    """A host or a command on it did not do what it was asked for; says where the logs are."""


@dataclass
class Result:
    """How a command ended. `rc` is the exit code, 128 + N after signal N."""
    rc: int
    out: str
    err: str
    seconds: float
    command: str = ""
    raw: bytes = field(default=b"", repr=False)     # stdout as it came

    def check(self):
        if self.rc:
            raise HostError(f"`{self.command}` ended with {self.rc}\n{self.err or self.out}")
        return self


class Process:
    """A command that runs on a host."""

    def __init__(self, host, command, env, stdin, handlers):
        self.host, self.command = host, command
        self.started = time.monotonic()
        self.ended = None
        self.rc = None
        self._out = [None, bytearray(), bytearray()]
        self._done = threading.Event()
        self._handlers = handlers or {}
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else [str(a) for a in command]
        if not isinstance(command, str):
            self.command = shlex.join(argv)
        host.agent.execute(argv, env, self._setup)
        if stdin is not None:
            if stdin:
                self.write(stdin)
            self.close_stdin()

    def _setup(self, channel):
        self.channel = channel      # before the first byte can arrive
        channel.on_data = self._on_data
        channel.on_exit = self._on_exit
        if "ack" in self._handlers:
            channel.on_ack = self._handlers["ack"]

    def _on_data(self, stream, data):
        handler = self._handlers.get(stream)
        if handler:
            handler(data)           # acknowledges when it is rid of the bytes
        else:
            self._out[stream] += data
            self.channel.ack(stream, len(data))

    def _on_exit(self, code):
        self.ended = time.monotonic()
        self.rc = code
        self._done.set()
        if "exit" in self._handlers:
            self._handlers["exit"](code)

    def write(self, data):
        self.channel.send(0, data)

    def close_stdin(self):
        self.channel.send(0, b"")

    def kill(self, sig=signal.SIGTERM):
        """Signal the command and all it started."""
        self.channel.kill(int(sig))

    def poll(self):
        return self.rc if self._done.is_set() else None

    def output(self):
        """What came so far: (stdout, stderr)."""
        return tuple(bytes(b).decode(errors="replace") for b in self._out[1:])

    def _wait_poking(self, timeout):
        """Under emulation a dom0 that is idle can lose its timer, and sleeps until something else wakes it (seen: 300 s)."""
        deadline = time.monotonic() + timeout
        while not self._done.wait(min(POKE_EVERY, max(0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
            if self.host.crash():
                raise HostError(f"{self.host.name} died while it ran `{self.command}`: {self.host.crash()}\n"
                                f"{self.host.last_words()}")
            with contextlib.suppress(AgentError):       # a host that dies ends the command
                self.channel.poke()
        return True

    def wait(self, timeout=COMMAND_TIMEOUT):
        if not self._wait_poking(timeout):
            self.kill(signal.SIGKILL)
            self._done.wait(5)
            out, err = self.output()
            raise HostError(f"{self.host.name}: `{self.command}` did not end in {timeout} s\nstdout: {out}\nstderr: {err}\n"
                            f"logs: {self.host.directory}")
        if self.rc is None:
            raise HostError(f"{self.host.name} died while it ran `{self.command}`\n{self.host.last_words()}")
        out, err = self.output()
        return Result(self.rc, out, err, self.ended - self.started, self.command, bytes(self._out[1]))


class Host:
    """Made by Lab.add(); `spawn()` starts it, `wait_ready()` waits for its dom0."""

    def __init__(self, name, cpu, packages, img, directory, files=None, memory=1024, dom0=512, xen_args="", on_open=None, say=None):
        self.name, self.cpu, self.memory, self.dom0 = name, cpu, memory, dom0
        self.packages, self.image, self.xen_args = packages, img, xen_args
        self.directory = Path(directory)
        self.files = dict(files or {})
        self.agent = self.qemu = self.qmp = None
        self.boot_seconds = None
        self._kept = []         # what put_like() has brought: [(path there, bytes)]
        self._say = say or (lambda text: None)
        self._on_open = on_open or (lambda channel, args: channel.exit(255))
        
    # ---- life ----

    def spawn(self):
        """Spawn QEMU. From the main thread: QEMU dies with the thread that spawned it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        machine = self._machine()
        self.snapshot = Snapshot(self.packages.cache, machine)
        self.from_snapshot = self.snapshot.exists()
        log = self.directory / "console.log"
        agent, agent_qemu = socket.socketpair()
        control, control_qemu = socket.socketpair()
        command = ["setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64", *machine,
                   "-chardev", f"file,id=log,path={log},append=on", "-chardev", f"socket,id=agent,fd={agent_qemu.fileno()}",
                   "-chardev", f"socket,id=qmp,fd={control_qemu.fileno()}", "-mon", "chardev=qmp,mode=control"]
        if self.from_snapshot:
            command += self.snapshot.incoming(log)
        (self.directory / "command").write_text(shlex.join(command) + "\n")
        self._started = time.monotonic()
        with open(self.directory / "qemu.log", "wb") as err:
            self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True,
                                         pass_fds=[agent_qemu.fileno(), control_qemu.fileno()])
        agent_qemu.close()
        control_qemu.close()
        self.qmp = Qmp(control)
        self.agent = Agent(agent, self._on_open)

    def _machine(self):
        """The QEMU arguments that make the host what it is; those of one run are added in spawn()."""
        xen_args = XEN_ARGS.format(dom0=self.dom0, extra=self.xen_args).strip()
        return ["-accel", "tcg,thread=multi", "-smp", "2", "-cpu", cpus.cpu_string(self.cpu), "-m", str(self.memory),
                "-M", "pc,hpet=off,usb=off,vmport=off", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", str(self.image.xen), "-append", xen_args,
                "-initrd", f"{self.image.kernel} {DOM0_ARGS},{self.image.initrd}", "-serial", "chardev:log",
                "-device", "virtio-serial-pci,disable-legacy=on", "-device", "virtserialport,chardev=agent,name=xenlab,nr=1"]

    def wait_ready(self, timeout=BOOT_TIMEOUT):
        deadline = time.monotonic() + timeout
        while not self.agent.ready.wait(0.2):
            self.agent.hello()                  # a host from a snapshot has said its own long ago
            if self.qemu.poll() is not None:
                if self.from_snapshot:
                    self.snapshot.drop()
                raise HostError(f"{self.name} ({self.cpu}): QEMU ended with {self.qemu.returncode}\n{self.last_words()}")
            if self.crash() or re.search(r"^(\(XEN\) .*)?(Panic on CPU|.*Kernel panic)", self.console(), re.M):
                time.sleep(0.5)
                self.stop(force=True)
                raise HostError(f"{self.name} ({self.cpu}) crashed while booting\n{self.last_words()}")
            if time.monotonic() > deadline:
                self.stop(force=True)
                raise HostError(f"{self.name} ({self.cpu}) did not boot in {timeout} s\n{self.last_words()}")
        if self.agent.closed:
            raise HostError(f"{self.name} ({self.cpu}) died while booting\n{self.last_words()}")
        if self.boot_seconds is None:
            self.boot_seconds = time.monotonic() - self._started
            if not self.from_snapshot:
                self.snapshot.take(self.qmp, self.directory / "console.log", self._say)
            if self.files:
                self.install(self.files)
        return self

    def alive(self):
        return self.qemu is not None and self.qemu.poll() is None and not self.agent.closed

    def cpu_seconds(self):
        """Processor time that this host has taken, while it runs; then it is among our children's (os.times())."""
        try:
            with open(f"/proc/{self.qemu.pid}/stat", encoding="utf-8", errors="replace") as file:
                user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        except OSError:
            return 0.0
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self, force=False):
        """End the host. It has no disk, so there is nothing to lose by pulling the plug; but ask first."""
        if self.qemu is None:
            return
        if not force and self.alive():
            try:
                self.agent.frame(POWEROFF, 0, 0)
                self.qemu.wait(3)
            except (AgentError, subprocess.TimeoutExpired):
                pass
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()
        self.agent.close()
        self.qmp.close()

    # ---- logs ----

    def console(self):
        """All that Xen and dom0's kernel said on the serial line."""
        try:
            return (self.directory / "console.log").read_text(errors="replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def xen_log(self):
        """The hypervisor's own lines, without the "(XEN) " and the time."""
        return [m.group(1) for m in re.finditer(r"^\(XEN\) (?:\[[^\]]*\] ?)?(.*)$", self.console(), re.M)]

    def crash(self):
        """The line in which Xen says that it or its dom0 is dead, or None; with noreboot QEMU goes on."""
        m = CRASH.search(self.console())
        return m and m.group(0)

    def last_words(self, lines=25):
        qemu = "\n".join(line for line in (self.directory / "qemu.log").read_text(errors="replace").splitlines()
                         if "TCG doesn't support requested feature" not in line)
        return "\n".join([qemu] * bool(qemu) + self.console().splitlines()[-lines:] + [f"logs: {self.directory}"])

    def probe(self, name, domid=None):
        """What the probe of that name has said on this host; its latest incarnation here, or that `domid`."""
        return ProbeLog.parse(self.console(), name, domid)

    # ---- commands ----

    def start(self, command, env=None, stdin=b"", handlers=None):
        """Start a command (a string for the shell, or a list) and return its Process. stdin=None leaves stdin open."""
        if self.agent is None or self.agent.closed:
            raise HostError(f"{self.name} is not running\n{self.last_words()}")
        return Process(self, command, env, stdin, handlers)

    def run(self, command, timeout=COMMAND_TIMEOUT, env=None, stdin=b""):
        return self.start(command, env, stdin).wait(timeout)

    def put(self, path, data, mode=0o755):
        """Write bytes, or the file at a Path, to `path` in dom0. For programs with libraries: install()."""
        data = data.read_bytes() if isinstance(data, Path) else bytes(data)
        directory, path = shlex.quote(posixpath.dirname(path) or "."), shlex.quote(path)
        self.run(f"mkdir -p {directory} && cat > {path} && chmod {mode:o} {path}", stdin=data).check()

    def put_like(self, path, data, models, mode=0o600):
        """put() for what is mostly one of `models`, which stays in dom0 from the first time on, until forget(): only
        what differs travels. 17 MB cost a CPU second on their way."""
        for model in models:
            head, tail = common_ends(data, model)
            if head + tail > len(data) // 2:
                break
        else:
            self.put(path, data, mode)
            return
        kept = next((there for there, known in self._kept if known is model), None)
        if kept is None:
            kept = f"/run/kept-{len(self._kept)}"
            self.put(kept, model)
            self._kept.append((kept, model))
        dd, path = f"dd if={kept} bs=64k status=none", shlex.quote(path)
        self.run(f"{{ {dd} iflag=count_bytes count={head} && cat && {dd} iflag=skip_bytes skip={len(model) - tail}; }} > {path}"
                 f" && chmod {mode:o} {path}", stdin=data[head:len(data) - tail]).check()

    def forget(self):
        """Take away what put_like() and start_pv_linux() keep, and the images that tests have left; dom0 has only its memory."""
        self._kept = []
        self.run("rm -f /run/kept-*; find /root /tmp /var/lib/xen -xdev -type f '(' -name '*.save' -o -name '*.img' ')' -exec rm -f {} ';'")

    def install(self, files):
        """Bring programs: {path in dom0: bytes, or a path here}, with the shared libraries they need."""
        self.files.update(files)
        archive = image.overlay(files, self.packages)
        self.run("cd / && cpio -idu 2>&1", stdin=archive).check()

    def get(self, path):
        return self.run(["cat", path]).check().raw

    # ---- domains ----

    def domains(self):
        """{name: (domid, state)} of all but dom0."""
        found = {}
        for line in self.run("xl list").check().out.splitlines()[1:]:
            name, domid, *_, state, _ = line.split()
            if domid != "0":
                found[name] = (int(domid), state)
        return found

    def destroy(self, name):
        return self.run(["xl", "destroy", name])

    def wait_gone(self, name, timeout=60):
        """Wait until a domain that shut down has been taken away (xl's own daemon does that)."""
        deadline = time.monotonic() + timeout
        while name in self.domains():
            if time.monotonic() > deadline:
                raise HostError(f"{self.name}: domain {name} is still there: {self.domains()}")
            time.sleep(0.2)

    def cleanup(self):
        """Destroy every guest; between tests."""
        for name in self.domains():
            self.destroy(name)
        self.run(f"rm -rf {GUEST_DIR}/*.save /root/*.save /root/*.img")     # dom0 has only its memory

    def create(self, name, config, paused=False, env=None, timeout=COMMAND_TIMEOUT):
        """xl create with that configuration (text). Returns the Result; raises nothing."""
        path = f"{GUEST_DIR}/{name}.cfg"
        self.put(path, config.encode(), 0o644)
        return self.run(["xl", "create", "-q"] + ["-p"] * paused + [path], timeout=timeout, env=env)

    def create_probe(self, name, memory=8, cpuid=None, paused=False, extra="", tick_ms=250, dirty=False, avx=False, wait=True,
                     env=None):
        """Boot the probe guest. `extra` is more xl configuration; memory beyond 16 MB is filled with a pattern.

        AVX registers are left alone by default: under TCG XSETBV escapes Xen, so no guest's AVX state survives a move.
        """
        if "/root/probe.elf" not in self.files:
            raise HostError(f"{self.name} has no /root/probe.elf: host.install({{...}}) or files= at boot")
        options = f"name={name} tick_ms={tick_ms}" + " dirty" * dirty + " noavx" * (not avx)
        if memory > 16:
            options += f" mb={memory - 12}"
        config = (f'name="{name}"\ntype="pvh"\nkernel="/root/probe.elf"\nmemory={memory}\nvcpus=1\n'
                  f'cmdline="{options}"\non_crash="preserve"\n')
        if cpuid:
            config += f"cpuid={cpuid!r}\n"
        result = self.create(name, config + extra + "\n", paused, env)
        if result.rc == 0 and wait and not paused:
            self.wait_probe(name)
        return result

    def create_hvm_probe(self, name, memory=32, paused=False):
        """The probe as the kernel of an HVM guest with a device model (device_model.py), whose firmware starts it."""
        config = (f'name="{name}"\ntype="hvm"\nkernel="/root/probe.elf"\ncmdline="name={name} noavx dirty"\nmemory={memory}\n'
                  'vcpus=1\non_crash="preserve"\n'
                  # What it can do without; each device costs the firmware seconds under emulation.
                  'vga="none"\nnographic=1\nvnc=0\nsdl=0\nusb=0\nxen_platform_pci=0\n')
        result = self.create(name, config, paused)
        if result.rc == 0 and not paused:
            self.wait_probe(name, timeout=180)
        elif result.rc:
            result.err += self.run(f"cat /var/log/xen/qemu-dm-{name}.log").out
        return result

    def wait_probe(self, name, ticks=1, timeout=90):
        """Wait until the probe has ticked that many more times; returns its log."""
        start = None
        deadline = time.monotonic() + timeout
        while True:
            log = self.probe(name)
            if start is None:
                start = (log.domid, len(log.ticks)) if log.ticks else (None, 0)
            since = start[1] if log.domid == start[0] else 0
            if len(log.ticks) >= since + ticks:
                return log
            if time.monotonic() > deadline:
                raise HostError(f"{self.name}: probe {name} did not tick in {timeout} s: {log}\n{self.last_words()}")
            time.sleep(0.05)

    def create_pv_linux(self, name, memory=96, paused=False, extra="", env=None):
        """Boot Debian's kernel as a PV guest that says `tick N` on Xen's console."""
        self.forget_console(name)
        if self.run("[ -e /run/guest.cpio.gz ]").rc:
            self.put("/run/vmlinux.gz", self.image.guest_kernel)
            self.put("/run/guest.cpio.gz", self.image.guest_initrd)
        config = (f'name="{name}"\ntype="pv"\nkernel="/run/vmlinux.gz"\nramdisk="/run/guest.cpio.gz"\nmemory={memory}\nvcpus=1\n'
                  f'extra="console=hvc0 earlyprintk=xen quiet panic=-1 rdinit=/init {PV_LINUX_ARGS}"\non_crash="preserve"\n')
        return self.create(name, config + extra + "\n", paused, env)

    def start_pv_linux(self, name):
        """A PV Linux guest that counts, for several tests of what becomes of it later: the first is booted and saved, by stock
        Xen, and from then on that one is restored, which costs a quarter. Until forget(), of its 100 MB in dom0."""
        kept = f"/run/kept-{name}.save"
        if self.run(["[", "-e", kept, "]"]).rc:
            self.create_pv_linux(name).check()
            self.wait_pv_tick(name, 1)
            self.save(name, kept).check()
        self.forget_console(name)
        self.restore(kept).check()
        self.wait_pv_tick(name, 1)

    def forget_console(self, name):
        """The ticks of an earlier guest of that name are not the next one's."""
        self.run(["rm", "-f", f"/var/log/xen/console/guest-{name}.log", f"/var/log/xen/console/guest-{name}--incoming.log"])

    def pv_ticks(self, name):
        """The numbers that a PV Linux guest of that name has counted here."""
        return [int(line.split()[1]) for line in self.guest_console(name).splitlines() if line.startswith("tick ")]

    def wait_pv_tick(self, name, after, timeout=90):
        """Wait until the PV Linux guest has counted beyond `after`."""
        deadline = time.monotonic() + timeout
        while self.pv_ticks(name)[-1:] <= [after]:
            if time.monotonic() > deadline:
                raise HostError(f"{self.name}: PV guest {name} counted no further than {after} in {timeout} s\n"
                                f"{self.guest_console(name)[-500:]}")
            time.sleep(0.25)

    def guest_console(self, name):
        """All that a guest of that name wrote on its PV console here."""
        name = shlex.quote(name)
        return self.run(f"cd /var/log/xen/console && cat guest-{name}.log guest-{name}--incoming.log 2>/dev/null").out

    def save(self, name, path=None, env=None, timeout=COMMAND_TIMEOUT):
        """xl save. `env` may name another helper: LIBXL_SAVE_HELPER=..."""
        return self.run(["xl", "save", name, path or f"{GUEST_DIR}/{name}.save"], timeout=timeout, env=env)

    def restore(self, path, env=None, timeout=COMMAND_TIMEOUT):
        return self.run(["xl", "restore", path], timeout=timeout, env=env)
