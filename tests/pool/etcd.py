# SPDX-License-Identifier: MIT
"""etcd for tests: members on loopback with folders of their own, which can be killed, paused and parted."""

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

READY_S = 300  # only a member that hangs needs so long


def free_ports(n):
    """Ports of 127.0.0.1 that nobody listens at now; whoever uses them must live with one that is taken meanwhile."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def text64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Member:
    """One etcd process, and its folder, which outlives it."""

    def __init__(self, folder, name, client_port, peer_port, options):
        self.folder, self.name, self.options = folder, name, options
        self.client_port, self.peer_port = client_port, peer_port
        self.scheme = "https" if "--cert-file" in options else "http"
        self.process, self.log, self.reader = None, [], None
        self.ready = threading.Condition()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.client_port}"

    def start(self):
        command = ["setpriv", "--pdeathsig", "KILL", "etcd", "--name", self.name, "--data-dir", str(self.folder / self.name),
                   "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                   "--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}",
                   "--logger", "zap", "--unsafe-no-fsync", *self.options]
        self.log = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "GOMAXPROCS": "1"})
        self.reader = threading.Thread(target=self._read, args=(self.process, self.log), daemon=True)
        self.reader.start()

    def _read(self, process, log):
        for line in process.stderr:
            with self.ready:
                log.append(line)
                self.ready.notify_all()
        with self.ready:
            log.append(None)  # it has ended
            self.ready.notify_all()

    def wait(self):
        """Whether it serves clients, which it does when it has found a leader; False when it has ended instead."""
        with self.ready:
            told = self.ready.wait_for(lambda: self._said("serving client traffic") or None in self.log, READY_S)
            if not told:
                raise AssertionError(f"{self.name} is not ready: {''.join(filter(None, self.log[-20:]))}")
            return None not in self.log

    def _said(self, words):
        return any(words in line for line in self.log if line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """Members, and what a test asks them itself.  `options`: of each; `peers`: a PeerNetwork between them, or None."""

    def __init__(self, folder, members=3, options=(), context=None, peers=None):
        self.folder, self.context, self.token, self.peers = folder, context, None, peers
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(10):
            self._begin(members, options, folder / str(attempt))
            if all([m.wait() for m in self.members]):
                break
            if not any("address already in use" in line for m in self.members for line in m.log if line):
                raise AssertionError("".join(line for m in self.members for line in m.log[-5:] if line))
            self.stop()

    def _begin(self, n, options, folder):
        folder.mkdir()
        ports = free_ports(2 * n)
        self.members = [Member(folder, f"m{i}", ports[i], ports[n + i], list(options)) for i in range(n)]
        advertised = {m.name: f"http://127.0.0.1:{m.peer_port}" for m in self.members}
        if self.peers:
            advertised = {m.name: f"http://127.0.0.1:{self.peers.add(m)}" for m in self.members}
        for m in self.members:
            m.options += ["--initial-advertise-peer-urls", advertised[m.name],
                          "--initial-cluster", ",".join(f"{k}={v}" for k, v in advertised.items()),
                          "--initial-cluster-token", str(folder)]
        for m in self.members:
            m.start()

    def where(self, prefix, *members):
        urls = [m.url for m in (members or self.members)]
        return f"etcd:{','.join(urls)}/{prefix}"

    def ask(self, path, body, member=None):
        """POST to the gateway; returns (status, JSON)."""
        member = member or self.members[0]
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = self.token
        request = urllib.request.Request(f"{member.url}/v3/{path}", json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=self.context or ssl.create_default_context()))
        try:
            with opener.open(request, timeout=READY_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def must(self, path, body, member=None):
        status, answer = self.ask(path, body, member)
        assert status == 200, (path, body, answer)
        return answer

    def put(self, key, value, member=None):
        return self.must("kv/put", {"key": text64(key), "value": text64(value)}, member)

    def delete(self, key):
        return self.must("kv/deleterange", {"key": text64(key)})

    def keys(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.must("kv/range", {"key": text64(prefix), "range_end": text64(end), "keys_only": True})
        return [base64.b64decode(kv["key"]).decode() for kv in answer.get("kvs", [])]

    def leases(self):
        return len(self.must("lease/leases", {}).get("leases", []))

    def stop(self):
        for m in self.members:
            if m.process and m.process.poll() is None:
                m.kill()
            shutil.rmtree(m.folder / m.name, ignore_errors=True)    # 120 MB: pytest keeps folders
        if self.peers:
            self.peers.clear()


BUILD = Path(os.environ.get("XENLEVEL_BUILD", Path(__file__).resolve().parents[2] / "build"))
CLIENT = BUILD / "tests" / "pool" / "store-client"


def configuration(path, **settings):
    """Writes pool.conf; returns the environment that names it."""
    path.write_text("[etcd]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    return {**os.environ, "XENLEVEL_POOL_CONF": str(path)}


def run_client(where, *words, env=None):
    """One command of store-client: its answer."""
    p = subprocess.run([CLIENT, where, *map(str, words)], capture_output=True, text=True, check=False,
                       env=env or {**os.environ, "XENLEVEL_POOL_CONF": "/dev/null"})
    assert p.returncode in (0, 1) and not p.stderr, (words, p.returncode, p.stderr)
    lines = [json.loads(line) for line in p.stdout.splitlines()]
    return lines[0] if len(lines) == 1 else lines


class Client:
    """A store-client that stays, and is told one command after the other."""

    def __init__(self, where, env=None):
        self.process = subprocess.Popen([CLIENT, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=env or {**os.environ, "XENLEVEL_POOL_CONF": "/dev/null"})

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def __call__(self, *words):
        self.tell(*words)
        return self.hear()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0
