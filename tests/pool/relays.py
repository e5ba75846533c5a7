# SPDX-License-Identifier: MIT
"""What stands between programs and breaks what they say to each other, on purpose."""

import asyncio
import os
import threading


class Loop:
    """An event loop in a thread: what runs in it is called from outside with call()."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def close(self):
        self.call(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _cancel(self):
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def owner_of(port, pids):
    """Which of these processes has the connection that comes from this port of 127.0.0.1."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f][1:]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}"}
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                    return pid
        except OSError:
            continue  # it, or a descriptor of it, has just ended
    return None


async def pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class PeerNetwork:
    """The network between members: everything goes through here, and a member can be parted from the others."""

    def __init__(self):
        self.loop, self.members, self.servers, self.parted = Loop(), [], [], set()
        self.connections = []  # (name, name, writer, writer)

    def add(self, member):
        """Returns the port at which the others reach it."""
        server = self.loop.call(asyncio.start_server(lambda r, w: self._serve(member, r, w), "127.0.0.1", 0))
        self.members.append(member)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _serve(self, member, reader, writer):
        pids = {m.process.pid: m.name for m in self.members if m.process}
        source = pids.get(owner_of(writer.get_extra_info("peername")[1], pids))
        if source is None or self.parted & {source, member.name}:
            writer.close()
            return
        try:
            other_reader, other = await asyncio.open_connection("127.0.0.1", member.peer_port)
        except OSError:
            writer.close()
            return
        if self.parted & {source, member.name}:  # meanwhile
            writer.close()
            other.close()
            return
        ends = (source, member.name, writer, other)
        self.connections.append(ends)
        try:
            await asyncio.gather(pump(reader, other), pump(other_reader, writer))
        finally:
            self.connections.remove(ends)

    def part(self, member):
        """Nothing goes to it or comes from it any more."""
        self.loop.call(self._part(member.name))

    async def _part(self, name):
        self.parted.add(name)
        for source, target, *writers in self.connections:
            if name in (source, target):
                for w in writers:
                    w.transport.abort()

    def join(self, member):
        self.parted.discard(member.name)

    def clear(self):
        for s in self.servers:
            self.loop.loop.call_soon_threadsafe(s.close)
        self.members, self.servers = [], []


class HttpRelay:
    """Stands in front of a member and does with each question what decide(path) says:
    "pass" it on; "lose" the answer, after etcd has given it; "hold" it until release(), and hang up at once."""

    def __init__(self, loop, member, decide):
        self.loop, self.member, self.decide, self.held = loop, member, decide, []
        self.lost = threading.Event()   # an answer was
        self.server = loop.call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        try:
            while question := await self._read_message(reader):
                what = self.decide(question.split(b" ", 2)[1].decode())
                if what == "hold":
                    self.held.append(question)
                    return
                answer = await self._ask(question)
                if what == "lose":
                    self.lost.set()
                    return
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _read_message(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return head + await reader.readexactly(int(length[0]) if length else 0)

    async def _ask(self, question):
        """All of the answer, of which etcd says the end by hanging up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.member.client_port)
        writer.write(question.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        answer = await reader.read()
        writer.close()
        return answer

    def release(self):
        """Pass on what was held, as a network would that was slow; returns etcd's answers."""
        held, self.held = self.held, []
        return [self.loop.call(self._ask(q)) for q in held]

    def close(self):
        self.loop.loop.call_soon_threadsafe(self.server.close)
