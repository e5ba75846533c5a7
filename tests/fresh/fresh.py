#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a new user has: a minimal Debian with make and git, a clone, and the README's commands, typed as they stand there.

usage: tests/fresh/fresh.py [--release bookworm|trixie] [--without PACKAGE] [--keep] [STEP...]

Each step is one test, and the last line counts; what `make check-quick` counts in there is added. A step leaves its log in
build/fresh. What is cloned is the last commit. Everything happens in a folder that debootstrap makes (kept as a tar in
~/.cache/xenlevel/fresh; 8 GB are needed beside it) and in namespaces of its own: nothing is mounted, installed or left
running here, also when this is killed. Needs root and a network. Where nothing may be mounted, as in many containers, the
steps run in a bare chroot without /proc and terminals, and the tests that need those are not run: both are said.

Exit status 0: all passed; 1: something failed; 2: nothing failed, but a release cannot be had on this machine (no root, no
room, no mirror, no chroot), and a line "cannot be run here" says why.
"""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import readme   # noqa: E402
from run import CANNOT, Count, end_descendants, heed_signals, read_counts, single   # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XENLEVEL_FRESH_CACHE") or Path.home() / ".cache/xenlevel/fresh")
MIRROR = os.environ.get("XENLEVEL_FRESH_MIRROR", "http://deb.debian.org/debian")
SECURITY = "http://deb.debian.org/debian-security"
INCLUDE = "make,git,ca-certificates"
HOME = "root/xenlevel"          # the clone, in the new root
LIMIT = 3600                    # seconds: for one that hangs; a slow machine is no failure
ROOM = 8 << 30                  # bytes: the packages of all steps, a build, and the lab's downloads
MARK = "@@fresh"
PR_SET_PDEATHSIG = 1            # <linux/prctl.h>
LIBC = ctypes.CDLL(None)        # loaded before fork()

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c"]
MOUNTS = """mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev || exit
mount -t sysfs sysfs {root}/sys 2>/dev/null || mount --rbind /sys {root}/sys || exit
"""
PROXIES = [name for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ]
CHROOT = ("exec chroot {root} /usr/bin/env -i " + "".join(f'{name}="${name}" ' for name in PROXIES) +
          "HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
          "/bin/bash /script")
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

SOURCES = """deb {mirror} {release} main
deb {mirror} {release}-updates main
deb {security} {release}-security main
"""

# Waits until what was started with & has made its socket: a user types more slowly than a script.
AWAIT = """for try in $(seq 1200); do [ -S {socket} ] && break; sleep 0.05; done
[ -S {socket} ] || echo "{mark} no socket {socket}"
"""


class Failed(Exception):
    pass


class Unable(Failed):
    """What is asked for cannot be done on this machine, whatever the tree is like."""


def say(text):
    print(text, flush=True)


def end_with_parent():
    """In a child: whoever kills us ends it too, and a process namespace ends with its first process."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_apart(script, out, apart=True):
    """Run a shell's script in a new mount and process namespace, or without; returns its exit status."""
    argv = [*NAMESPACES, script] if apart else ["/bin/sh", "-c", script]
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=LIMIT,
                              start_new_session=True, preexec_fn=end_with_parent).returncode
    except subprocess.TimeoutExpired:
        return 124
    finally:
        end_descendants()


def may_mount(root):
    """Whether a folder can have its own /proc, /dev and /sys here."""
    try:
        return run_apart(MOUNTS.format(root=root), subprocess.DEVNULL) == 0
    except FileNotFoundError:
        return False


def remove_leftovers():
    """Folders of runs that were killed. Nothing can be mounted in them: that ended with their processes."""
    for folder in CACHE.glob("*.*.[0-9]*"):
        pid = folder.name.rsplit(".", 1)[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                folder.unlink()


def require(condition, text):
    if not condition:
        raise Failed(text)


def check_machine(release):
    """What no change of the tree can mend is told apart from what has failed."""
    room = shutil.disk_usage(CACHE).free
    if room < ROOM:
        raise Unable(f"{room >> 20} MB are free in {CACHE}, and {ROOM >> 20} are needed; XENLEVEL_FRESH_CACHE names another place")
    if run_apart("exec chroot / true", subprocess.DEVNULL, False):
        raise Unable("chroot is not allowed here")
    if run_apart("exit 0", subprocess.DEVNULL) and not may_make_nodes():
        raise Unable("neither mount nor mknod is allowed here, and no program runs without /dev/null")
    for _ in range(3):
        try:
            with urllib.request.urlopen(f"{MIRROR}/dists/{release}/Release", timeout=60):
                return
        except OSError as error:
            problem = error
    raise Unable(f"{MIRROR} does not answer: {problem}")


def may_make_nodes():
    node = CACHE / f"node.{os.getpid()}"
    try:
        os.mknod(node, 0o020600, os.makedev(*NODES["null"]))
        node.unlink()
    except OSError:
        return False
    return True


def make_base(release):
    """A tar of the minimal system: what `debootstrap --variant=minbase` makes, nothing added."""
    tar = CACHE / f"{release}.tar"
    if tar.exists():
        return tar
    folder, new = CACHE / f"base.{release}.{os.getpid()}", CACHE / f"tar.{release}.{os.getpid()}"
    log, apart = ROOT / f"build/fresh/{release}/debootstrap.log", run_apart("exit 0", subprocess.DEVNULL) == 0
    say(f"   debootstrap {release}: once, then it is kept in {CACHE}")
    try:
        for _ in range(2):      # a mirror may be away for a moment
            shutil.rmtree(folder, ignore_errors=True)
            with open(log, "wb") as out:        # it mounts: in a namespace that ends with it, where that is allowed
                code = run_apart(f"exec debootstrap --variant=minbase --include={INCLUDE} {release} {folder} {MIRROR}", out, apart)
            if code == 0:
                break
        require(code == 0, f"debootstrap {release}: {log}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-10:]))
        subprocess.run(["tar", "-C", folder, "--one-file-system", "-cf", new, "."], check=True)
        new.rename(tar)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        new.unlink(missing_ok=True)
    return tar


class Machine:
    """A new root, with the clone in it."""

    def __init__(self, release, folder, without):
        self.release, self.folder, self.logs = release, folder, ROOT / "build/fresh" / release
        self.logs.mkdir(parents=True, exist_ok=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        remove_leftovers()
        check_machine(release)
        folder.mkdir()
        subprocess.run(["tar", "-C", folder, "-xf", make_base(release)], check=True)
        (folder / "etc/apt/sources.list").write_text(
            SOURCES.format(mirror=MIRROR, security=SECURITY, release=release))
        (folder / "etc/apt/apt.conf.d/90retries").write_text('Acquire::Retries "5";\n')
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        # Debian's installer writes it and debootstrap does not; what drives the tests' browser asks for "localhost".
        (folder / "etc/hosts").write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
        self.mounts = may_mount(folder)
        if not self.mounts:
            say("   nothing can be mounted here: the steps run in a bare chroot, without /proc and terminals")
            self._make_nodes()
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, folder / HOME], check=True)
        for package in without:
            self.take_out(package)

    def _make_nodes(self):
        """What debootstrap makes, unless it was in a container."""
        for name, device in NODES.items():
            node = self.folder / "dev" / name
            if not node.exists():
                try:
                    os.mknod(node, 0o020666, os.makedev(*device))
                    node.chmod(0o666)
                except OSError as error:
                    raise Failed(f"neither mount nor mknod is allowed here, and no program runs without /dev/{name}: {error}")

    def take_out(self, package):
        """The project no longer asks for the package: what a step needs it for must fail, and say so."""
        path = self.folder / HOME / "scripts/packages.txt"
        before = path.read_text()
        after = "\n".join(" ".join(w for w in line.split(" ") if w != package) for line in before.split("\n"))
        if after == before:
            raise Failed(f"{package} is not in scripts/packages.txt")
        path.write_text(after)

    def run(self, script, log):
        """Run a script in the new root: all that it starts ends with it. Returns its exit status and what it printed."""
        (self.folder / "script").write_text(script)
        with open(self.logs / f"{log}.log", "wb") as out:
            code = run_apart((MOUNTS * self.mounts + CHROOT).format(root=self.folder), out, self.mounts)
        return code, (self.logs / f"{log}.log").read_text(errors="replace")

    def run_command(self, command, log):
        """As run(), of a command typed in the clone."""
        return self.run(f"set -e\ncd /{HOME}\n{command}\n", log)

    def must_run(self, script, log):
        code, text = self.run_command(script, log)
        if code:
            raise Failed(f"exit status {code} of: {script}\n" + "\n".join(text.splitlines()[-25:]))
        return text


class Steps:
    """Each public method is a step, in this order."""

    def __init__(self, machine):
        self.machine = machine
        self.text = (machine.folder / HOME / "README.md").read_text()

    def demo(self):
        """README's first command: make demo"""
        self._setup(0, "make demo")
        self.machine.must_run("make demo", "demo")

    def uninstalled(self):
        """xen-sim finds its machines out of the build tree"""
        self.machine.must_run("build/xen/sim/xen-sim -m intel-haswell-ep -s /tmp/u.sock >/tmp/u.log 2>&1 &\n"
                              + AWAIT.format(socket="/tmp/u.sock", mark=MARK)
                              + "cat /tmp/u.log; [ -S /tmp/u.sock ] && kill %1", "uninstalled")

    def install(self):
        """make && make install PREFIX=/usr, as the README has it"""
        command = "make && make install PREFIX=/usr"
        if f"`{command}`" not in self.text:
            raise Failed(f"README no longer says: {command}")
        self.machine.must_run(f"{command}\ncommand -v xenlevel xl-sim xen-sim verify-stream", "install")

    def scene(self):
        """README's scene on simulated hosts, and what it prints"""
        commands = readme.read_scene(self.text)
        script = "mkdir -p /root/scene && cd /root/scene\n"
        for number, command in enumerate(commands):
            script += f"echo '{MARK} {number}'\n{command.text}\n"
            for socket in readme.find_sockets(command):
                script += AWAIT.format(socket=socket, mark=MARK)
        _, text = self.machine.run(script, "scene")
        seen = {}
        for part in text.split(MARK + " ")[1:]:
            number, _, output = part.partition("\n")
            if not number.isdigit():
                raise Failed(f"scene: {number}")
            seen[int(number)] = output.splitlines()
        wrong = []
        for number, command in enumerate(commands):
            difference = readme.find_difference(command.expected, seen.get(number, []))
            if difference:
                wrong.append(f"README.md:{command.line}: $ {command.text}\n{difference}")
        if wrong:
            raise Failed("\n".join(wrong))

    def quick(self):
        """README's second command, its quick half: make check-quick"""
        self._setup(1, "make check")
        command = "make check-quick"
        if not self.machine.mounts:
            command = "make build/build.ninja && scripts/ensure-packages.sh check && python3 tests/run.py --quick format unit"
            say(f"   instead of make check-quick, whose tests need /proc: {command}")
        code, text = self.machine.run_command(command, "quick")
        count = read_counts(text.splitlines())
        if not count:
            raise Failed(f"exit status {code} of: {command}\n" + "\n".join(text.splitlines()[-25:]))
        if code and not count.failed:
            count.add(single(f"exit status {code} of {command}", code))
        return count

    def _setup(self, index, expected):
        commands = [c.text for c in readme.read_setup(self.text)]
        require(commands[index] == expected, f"README's command {index + 1} is not '{expected}': {commands[index]}")


def run_step(steps, name):
    """Run one step, and print how it ended; returns its Count."""
    release, begun = steps.machine.release, time.monotonic()
    say(f"== {release}: {name}: {getattr(Steps, name).__doc__}")
    try:
        count = getattr(steps, name)() or Count(passed=1)
        text = f"{count.passed} passed, {count.failed} failed" if count.passed + count.failed != 1 else "passed"
    except Failed as error:
        count, text = single(name, 1), str(error)
    took = f"{time.monotonic() - begun:.0f} s"
    say(f"   FAILED  ({took}; log in {steps.machine.logs})\n{text}" if count.failed else f"   {text}  ({took})")
    count.failures = [f"{release} {failure}" for failure in count.failures]
    count.skips = [f"{release} {skip}" for skip in count.skips]
    return count


def run_release(release, names, without, keep):
    """Run steps in a new folder of a release; returns their Count. Unable: this machine has no place for it."""
    folder, total = CACHE / f"root.{release}.{os.getpid()}", Count()
    try:
        begun = time.monotonic()
        steps = Steps(Machine(release, folder, without))
        say(f"== {release}: made in {time.monotonic() - begun:.0f} s")
        for name in names:
            total.add(run_step(steps, name))
    except Unable:
        raise
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        say(f"== {release}: FAILED: {error}")
        total.add(single(f"{release}: {str(error).splitlines()[0]}", 1))
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return total


def main():
    names = [n for n in vars(Steps) if not n.startswith("_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="steps:\n" + "\n".join(f"  {n:12}{getattr(Steps, n).__doc__}" for n in names))
    parser.add_argument("--release", action="append", choices=["bookworm", "trixie"], help="Debian 12, Debian 13; both by default")
    parser.add_argument("--without", action="append", default=[], metavar="PACKAGE",
                        help="take PACKAGE out of scripts/packages.txt first: a step must fail")
    parser.add_argument("--keep", action="store_true", help="leave the folder behind, for a look")
    parser.add_argument("step", nargs="*", choices=[*names, []], help="only these steps")
    options = parser.parse_args()
    if os.geteuid():
        say(f"{CANNOT}only root can make a folder with a system in it")
        return 2
    heed_signals()
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False).stdout:
        say("what is not committed is not in the clone")
    total, unable = Count(), []
    for release in options.release or ["bookworm", "trixie"]:
        try:
            total.add(run_release(release, options.step or names, options.without, options.keep))
        except Unable as error:
            unable.append(f"{CANNOT}{release}: {error}")
    for skip in total.skips:
        say(f"skipped: {skip}")
    for failure in total.failures:
        say(f"failed: {failure}")
    for line in unable:
        say(line)
    say(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 2 if unable else 0


if __name__ == "__main__":
    sys.exit(main())
