# SPDX-License-Identifier: MIT
"""QEMU's control socket (QMP), as far as a snapshot needs it."""

import json
import socket
import time


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, sock):
        self._sock = sock
        self._file = sock.makefile("rwb")
        self._greeted = False

    def command(self, name, timeout=120, **arguments):
        self._sock.settimeout(timeout)
        try:
            if not self._greeted:
                self._greeted = True
                self._file.readline()                       # QEMU's greeting
                self.command("qmp_capabilities")
            request = {"execute": name, "arguments": arguments}
            self._file.write(json.dumps(request).encode() + b"\n")
            self._file.flush()
            while True:
                line = self._file.readline()
                if not line:
                    raise QmpError("QEMU is gone")
                reply = json.loads(line)
                if "error" in reply:
                    raise QmpError(f"{name}: {reply['error'].get('desc')}")
                if "return" in reply:
                    return reply["return"]
        except (OSError, socket.timeout) as e:
            raise QmpError(f"{name}: {e}") from None

    def save_state(self, path, timeout=180):
        """Write the whole machine to a file; it runs on afterwards."""
        self.command("migrate-set-parameters", **{"max-bandwidth": 1 << 40, "downtime-limit": 10000})
        self.command("migrate", uri=f"exec:cat > '{path}'")
        deadline = time.monotonic() + timeout
        while True:
            status = self.command("query-migrate").get("status")
            if status == "completed":
                break
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise QmpError(f"saving the machine ended as {status}")
            time.sleep(0.05)
        self.command("cont")

    def close(self):
        self._file.close()
        self._sock.close()
