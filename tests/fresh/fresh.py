#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a new user has: a minimal Debian with make and git, a clone, and the README's commands, typed as they stand there.

usage: tests/fresh/fresh.py [--release bookworm|trixie] [--without PACKAGE] [--keep] [STEP...]

Each step is one test: it leaves a log in build/fresh and the last line counts. Everything happens in a folder that
debootstrap makes (kept as a tar in ~/.cache/xenlevel/fresh) and in namespaces of its own, so that nothing is mounted,
installed or left running here. Needs root and a network.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import readme   # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XENLEVEL_FRESH_CACHE") or Path.home() / ".cache/xenlevel/fresh")
MIRROR = os.environ.get("XENLEVEL_FRESH_MIRROR", "http://deb.debian.org/debian")
SECURITY = "http://deb.debian.org/debian-security"
INCLUDE = "make,git,ca-certificates"
HOME = "root/xenlevel"          # the clone, in the new root
LIMIT = 3600                    # seconds: for one that hangs; a slow machine is no failure
MARK = "@@fresh"

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


def say(text):
    print(text, flush=True)


def make_base(release):
    """A tar of the minimal system: what `debootstrap --variant=minbase` makes, nothing added."""
    tar = CACHE / f"{release}.tar"
    if tar.exists():
        return tar
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{release}.new"
    shutil.rmtree(folder, ignore_errors=True)
    say(f"   debootstrap {release}: once, then it is kept in {CACHE}")
    made = subprocess.run(["debootstrap", "--variant=minbase", f"--include={INCLUDE}", release, folder, MIRROR],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        raise Failed(f"debootstrap {release}:\n" + "\n".join(made.stdout.splitlines()[-10:]))
    new = CACHE / f"{release}.tar.new"
    subprocess.run(["tar", "-C", folder, "--one-file-system", "-cf", new, "."], check=True)
    new.rename(tar)
    shutil.rmtree(folder)
    return tar


class Machine:
    """A new root, with the clone in it."""

    def __init__(self, release, folder, without):
        self.release, self.folder, self.logs = release, folder, ROOT / "build/fresh" / release
        self.logs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-C", folder, "-xf", make_base(release)], check=True)
        (folder / "etc/apt/sources.list").write_text(
            SOURCES.format(mirror=MIRROR, security=SECURITY, release=release))
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, folder / HOME], check=True)
        for package in without:
            self.take_out(package)

    def take_out(self, package):
        """The project no longer asks for the package: what a step needs it for must fail, and say so."""
        path = self.folder / HOME / "scripts/packages.txt"
        before = path.read_text()
        after = "\n".join(" ".join(w for w in line.split(" ") if w != package) for line in before.split("\n"))
        if after == before:
            raise Failed(f"{package} is not in scripts/packages.txt")
        path.write_text(after)

    def run(self, script, log):
        """Run a script in the new root, in namespaces of its own: all that it starts ends with it."""
        inner = (f"mount -t proc proc {self.folder}/proc && mount --rbind /dev {self.folder}/dev && "
                 f"mount -t sysfs sysfs {self.folder}/sys && "
                 f"exec chroot {self.folder} /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 "
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash /script")
        (self.folder / "script").write_text(script)
        with open(self.logs / f"{log}.log", "wb") as out:
            try:
                code = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", inner],
                                      stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=LIMIT).returncode
            except subprocess.TimeoutExpired:
                code = 124
        return code, (self.logs / f"{log}.log").read_text(errors="replace")

    def must_run(self, script, log):
        code, text = self.run(f"set -e\ncd /{HOME}\n{script}\n", log)
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

    def uninstalled(self):
        """xen-sim finds its machines out of the build tree"""
        self.machine.must_run("build/xen/sim/xen-sim -m intel-haswell-ep -s /tmp/u.sock >/tmp/u.log 2>&1 &\n"
                              + AWAIT.format(socket="/tmp/u.sock", mark=MARK) + "kill %1", "uninstalled")

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
        self._setup(1, "make check", "make check-quick")

    def _setup(self, index, expected, instead=None):
        commands = [c.text for c in readme.read_setup(self.text)]
        if commands[index] != expected:
            raise Failed(f"README's command {index + 1} is not '{expected}': {commands[index]}")
        self.machine.must_run(instead or expected, expected.split()[-1])


def main():
    names = [n for n in vars(Steps) if not n.startswith("_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="steps:\n" + "\n".join(f"  {n:12}{getattr(Steps, n).__doc__}" for n in names))
    parser.add_argument("--release", action="append", choices=["bookworm", "trixie"], help="Debian 12 (the default), 13")
    parser.add_argument("--without", action="append", default=[], metavar="PACKAGE",
                        help="take PACKAGE out of scripts/packages.txt first: a step must fail")
    parser.add_argument("--keep", action="store_true", help="leave the folder behind, for a look")
    parser.add_argument("step", nargs="*", choices=[*names, []], help="only these steps")
    options = parser.parse_args()
    passed, failures = 0, []
    for release in options.release or ["bookworm"]:
        folder = CACHE / f"root.{release}.{os.getpid()}"
        try:
            machine = Machine(release, folder, options.without)
            steps = Steps(machine)
            for name in options.step or names:
                begun = time.monotonic()
                say(f"== {release}: {name}: {getattr(Steps, name).__doc__}")
                try:
                    getattr(steps, name)()
                    passed += 1
                    say(f"   passed  ({time.monotonic() - begun:.0f} s)")
                except Failed as error:
                    failures.append(f"{release} {name}")
                    say(f"   FAILED  ({time.monotonic() - begun:.0f} s; log in {machine.logs})\n{error}")
        finally:
            if not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    for failure in failures:
        say(f"failed: {failure}")
    say(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
