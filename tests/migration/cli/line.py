# SPDX-License-Identifier: MIT
"""A line between `xl-sim migrate` and `migrate-receive` on which things happen: for -S.

Run as:  python3 line.py PLAN xl-sim -s SOCKET migrate-receive ...

PLAN is JSON: {"damage": [what, record]} and/or {"at": moment, "do": [[action, argument], ...]}.

Moments: a number: so many bytes have gone down;  "R": the receiver has said so, and the sender does not know yet;
"G": the sender has said so, and the receiver does not know yet;  "A": like "R".

Actions: kill WHOM, stop WHOM, go WHOM, signal [WHOM, NUMBER]; hang-up (towards the sender); stall (nothing is read any
more, and nothing ends); lose (the answer is not passed on); linger (the line does not end before the sender's 'G' is in it,
whatever has become of the receiver); work [XL-SIM, SOCKET, DOMAIN, N] (nothing is passed on before that guest has done so
many more pieces of work); hold FILE (nothing is passed on before that file is there).  WHOM: "sender", "receiver" or a process id.

"told": a file that gets one JSON object: {"reached": did the moment come, "records": how many went down, "spoiled": was the
record damaged, "held": seconds that "work" took, "worked": pieces of work meanwhile}.  It is there before what it says has
any effect, so a test that finds nothing in it knows that the line was too slow, and not what it tests.
"""

import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time

BANNER = len("xl-sim: ready\n")


def ancestor(name):
    pid = os.getppid()
    while pid > 1:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            before, after = file.read().rsplit(")", 1)
        if before.split("(", 1)[1] == name:
            return pid
        pid = int(after.split()[1])
    raise LookupError(name)


class Line:
    def __init__(self, plan, argv):
        self.plan, self.down, self.lose = plan, 0, False
        self.told = {}
        self.answered = self.receiver_has_gone = self.stalled = False
        self.hang_up, self.hung_up = threading.Event(), threading.Event()
        self.word_came, self.linger = threading.Event(), False
        self.sender, self.parent = ancestor("xl-sim"), os.getppid()
        self.receiver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    # ---- what happens ----

    def pid(self, whom):
        return {"sender": self.sender, "receiver": self.receiver.pid}.get(whom, whom)

    def tell(self, **what):
        self.told.update(what)
        if path := self.plan.get("told"):
            with open(path + ".part", "w", encoding="ascii") as file:
                json.dump(self.told, file)
            os.rename(path + ".part", path)

    def work(self, program, host, name, more):
        """Until each vCPU has done so much more: however long that takes."""
        def done():
            answer = subprocess.run([program, "-s", host, "status", name, "--json"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, check=True).stdout
            return [v["work"] for v in json.loads(answer)["vcpus"]]

        begun, first = time.monotonic(), done()
        last = first
        while min(now - then for now, then in zip(last, first)) < more:
            last = done()
        self.tell(held=time.monotonic() - begun, worked=sum(last) - sum(first))

    def act(self, action, argument=None):
        if action == "work":
            self.work(*argument)
        elif action == "hold":
            while not os.path.exists(argument) and os.getppid() == self.parent:
                time.sleep(0.02)
        elif action == "signal":
            os.kill(self.pid(argument[0]), argument[1])
        elif action in ("kill", "stop", "go"):
            os.kill(self.pid(argument), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "go": signal.SIGCONT}[action])
            if action == "kill" and argument == "receiver":
                self.receiver.wait()
        elif action == "hang-up":
            self.hang_up.set()
            self.hung_up.wait()
        elif action == "stall":
            self.stalled = True
            threading.Event().wait()
        elif action == "lose":
            self.lose = True
        elif action == "linger":
            self.linger = True
        else:
            raise ValueError(action)

    def moment(self, name):
        if self.plan.get("at") == name:
            self.tell(reached=True)
            for step in self.plan["do"]:
                self.act(*step)

    # ---- down: from the sender ----

    def write(self, data):
        """To the receiver; what it does not want any more is lost."""
        try:
            while data:
                data = data[os.write(self.receiver.stdin.fileno(), data):]
        except OSError:
            self.receiver_has_gone = True

    def pass_down(self, data):
        at = self.plan.get("at")
        if isinstance(at, int) and self.down <= at < self.down + len(data):
            first = at - self.down
            self.write(data[:first])
            self.moment(at)
            data = data[first:]
            self.down += first
        self.down += len(data)
        if not self.receiver_has_gone:
            self.write(data)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = os.read(0, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def record(self):
        head = self.read(8)
        kind, length = struct.unpack("II", head)
        return kind, head + self.read((length + 7) & ~7)

    def image(self):
        """xl's head with libxl's and libxc's, the records, libxl's end."""
        head = self.read(48)
        head += self.read(struct.unpack_from("I", head, 44)[0]) + self.read(16 + 8 + 40)
        pieces = [self.spoil(-1, head)]
        what, where = self.plan.get("damage", ("", -2))
        for n in range(1 << 30):
            kind, data = self.record()
            pieces.append(self.spoil(n, data))
            if what == "swap" and n == where + 1:
                self.tell(spoiled=True)
                pieces[-1], pieces[-2] = pieces[-2], pieces[-1]
            if n >= where + 2 or not self.plan.get("damage"):
                for piece in pieces:
                    self.pass_down(piece)
                pieces = []
            if kind == 0:
                break
        self.tell(records=n + 1)
        for piece in pieces:
            self.pass_down(piece)

    def spoil(self, n, data):
        what, where = self.plan.get("damage", ("", -2))
        if n != where or what == "swap":
            return data
        self.tell(spoiled=True)
        if what == "drop":
            return b""
        if what == "double":
            return data * 2
        at = int(what.removeprefix("flip "))
        at = at if at >= 0 else len(data) + at
        return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1:]

    def go_down(self):
        try:
            if "damage" in self.plan:
                self.image()
            while not self.hang_up.is_set():
                if not select.select([0], [], [], 0.02)[0]:
                    continue
                data = os.read(0, 65536)
                if not data:
                    break
                if data == b"G" and self.answered:
                    self.word_came.set()
                    self.moment("G")
                self.pass_down(data)
        except (EOFError, OSError):
            pass
        os.close(0)
        self.word_came.set()
        self.hung_up.set()
        self.receiver.stdin.close()

    # ---- up: from the receiver ----

    def go_up(self):
        seen = 0
        while True:
            data = os.read(self.receiver.stdout.fileno(), 1)
            if not data:
                break
            seen += 1
            if seen > BANNER:
                self.answered = True
                self.moment(data.decode())
                if self.lose:
                    continue
            try:
                os.write(1, data)
            except OSError:
                pass
        if self.linger:
            self.word_came.wait()
        if not self.stalled:
            os.close(1)

    def run(self):
        down = threading.Thread(target=self.go_down, daemon=True)
        down.start()
        self.go_up()
        self.receiver.wait()
        while self.stalled and os.getppid() == self.parent:     # the sender sees no end of it, until it ends this
            time.sleep(0.1)


if __name__ == "__main__":
    Line(json.loads(sys.argv[1]), sys.argv[2:]).run()
