# SPDX-License-Identifier: MIT
"""QEMU's own live migration of a guest that writes its memory (tests/guests/dirty), for comparison."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))

from xenlab.qmp import Qmp                              # noqa: E402

GUEST = ROOT / "tests/guests/dirty"
CFLAGS = ("-m32 -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie -fno-pic -mgeneral-regs-only "
          "-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns "
          "-Wl,--build-id=none -Wl,--no-warn-rwx-segments").split()
NOTES = 0x7000
UNLIMITED = 1 << 40


def installed():
    return shutil.which("qemu-system-x86_64") is not None


def version():
    return subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout.split()[3]


def build_guest(directory, mib, rate):
    elf = Path(directory) / "dirty.elf"
    subprocess.run(["gcc", *CFLAGS, f"-DMIB={mib}u", f"-DRATE={rate}u", f"-Wl,-T,{GUEST / 'dirty.lds'}", "-o", elf,
                    GUEST / "entry.S", GUEST / "dirty.c"], check=True)
    return elf


class Machine:
    """One QEMU; with `incoming` it waits for a guest at that socket."""

    def __init__(self, elf, mib, incoming=None):
        control, theirs = socket.socketpair()
        command = ["setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-m", str(mib),
                   "-nodefaults", "-no-user-config", "-display", "none", "-kernel", str(elf),
                   "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
        if incoming:
            command += ["-incoming", f"unix:{incoming}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        self.qmp = Qmp(control)

    def notes(self):
        """(memory filled, pages written since, pages that were wrong), as the guest counts them."""
        text = self.qmp.command("human-monitor-command", **{"command-line": f"xp /3wx {NOTES:#x}"})
        return tuple(int(word, 16) for word in text.split(":")[1].split())

    def rate(self, seconds=1.0):
        """Pages a second that it writes."""
        begun, before = time.monotonic(), self.notes()[1]
        time.sleep(seconds)
        return (self.notes()[1] - before) / (time.monotonic() - begun)

    def wait_filled(self, timeout=120):
        deadline = time.monotonic() + timeout
        while not self.notes()[0]:
            if time.monotonic() > deadline:
                raise RuntimeError("QEMU's guest does not get through with filling its memory")
            time.sleep(0.1)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.qmp.close()


def migrate(source, path, timeout=120, **parameters):
    """Start it and see it through; what query-migrate says in the end."""
    source.qmp.command("migrate-set-parameters", **{"max-bandwidth": UNLIMITED, **parameters})
    source.qmp.command("migrate", uri=f"unix:{path}")
    deadline = time.monotonic() + timeout
    while True:
        answer = source.qmp.command("query-migrate")
        if answer.get("status") == "completed":
            return answer
        if answer.get("status") in ("failed", "cancelled") or time.monotonic() > deadline:
            raise RuntimeError(f"QEMU's migration ended as {answer}")
        time.sleep(0.02)
