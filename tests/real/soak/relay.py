"""A relay in front of a plaintext server that ends TLS and can be told to misbehave.

Two halves, joined by a loopback connection: `front` is TCP and sees nothing but octets, `inside` is TLS and sees what they
say. `fault` is the name of one of the faults below, or None.
"""

import asyncio
import socket
import ssl
import struct

# What may go wrong below TLS.
FRONT = {"refuse", "reset at connect", "blackhole", "half-open", "slow", "trickle", "tls garbage"}
# What may go wrong above it.
INSIDE = {"reset before head", "reset mid-body", "reset after answer", "goaway", "goaway error", "wrong certificate"}

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def reset(writer):
    """Ends a connection with RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


class Frames:
    """Cuts a stream of octets into whole HTTP/2 frames."""

    def __init__(self, skip):
        self.left = skip
        self.buffer = b""

    def feed(self, data):
        self.buffer += data
        whole = []
        if self.left:
            take = min(self.left, len(self.buffer))
            whole.append((None, 0, self.buffer[:take]))
            self.left -= take
            self.buffer = self.buffer[take:]
        while len(self.buffer) >= 9 and not self.left:
            length = 9 + int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < length:
                break
            stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
            whole.append((self.buffer[3], stream, self.buffer[:length]))
            self.buffer = self.buffer[length:]
        return whole


class Relay:
    def __init__(self, name, target, good, bad):
        self.name, self.target, self.contexts = name, target, (good, bad)
        self.fault = None
        self.writers = set()
        self.front = self.port = None

    async def start(self):
        self.inside = await asyncio.start_server(self.serve_inside, "127.0.0.1", 0, ssl=self.contexts[0])
        self.spoiled = await asyncio.start_server(self.serve_inside, "127.0.0.1", 0, ssl=self.contexts[1])
        await self.listen(0)
        self.port = self.front.sockets[0].getsockname()[1]

    async def listen(self, port):
        self.front = await asyncio.start_server(self.serve_front, "127.0.0.1", port, backlog=1000)

    async def set(self, fault):
        """Begins a fault, or ends it. Connections from before meet those that begin with a connection too."""
        self.fault = fault
        if fault == "refuse":
            self.front.close()
        elif self.front is None or not self.front.is_serving():
            await self.listen(self.port)
        if fault in {"refuse", "reset at connect", "tls garbage", "wrong certificate", "renew"}:
            self.cut()

    def cut(self):
        for writer in list(self.writers):
            reset(writer)

    async def serve_front(self, reader, writer):
        fault = self.fault
        if fault == "reset at connect":
            return reset(writer)
        if fault == "tls garbage":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return writer.close()
        server = self.spoiled if fault == "wrong certificate" else self.inside
        port = server.sockets[0].getsockname()[1]
        try:
            there, away = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return reset(writer)
        await self.both(self.carry(reader, away), self.carry(there, writer), writer, away)

    async def both(self, one, two, *writers):
        """Until either direction breaks; what is open then is closed."""
        self.writers.update(writers)
        tasks = [asyncio.ensure_future(one), asyncio.ensure_future(two)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in writers:
                self.writers.discard(writer)
                writer.close()

    async def carry(self, reader, writer):
        while data := await reader.read(65536):
            if self.fault == "slow":
                await asyncio.sleep(0.2)
            while self.fault == "trickle" and len(data) > 2000:
                writer.write(data[:2000])
                data = data[2000:]
                await asyncio.sleep(0.05)
            if self.fault == "blackhole":
                # Swallowed, and nobody is told; what comes after the fault cannot make sense of it.
                while self.fault == "blackhole":
                    await asyncio.sleep(0.1)
                raise ConnectionError
            writer.write(data)
            await writer.drain()
            if self.fault == "half-open":
                writer.write_eof()
                while self.fault == "half-open":
                    await asyncio.sleep(0.1)
                raise ConnectionError
        raise ConnectionError

    async def serve_inside(self, reader, writer):
        try:
            there, away = await asyncio.open_connection(*self.target)
        except OSError:
            return reset(writer)
        talk = Talk(self, writer, away)
        http2 = writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        await self.both(talk.requests(reader, http2), talk.answers(there, http2), writer, away)


class Talk:
    """One connection above TLS."""

    def __init__(self, relay, caller, server):
        self.relay, self.caller, self.server = relay, caller, server
        self.highest = 0
        self.last = None

    def broken(self):
        reset(self.caller)
        raise ConnectionError

    async def requests(self, reader, http2):
        frames = Frames(len(PREFACE))
        while data := await reader.read(65536):
            if self.relay.fault == "reset before head":
                self.broken()
            if http2:
                # After a GOAWAY what is opened later is not looked at (RFC 9113 §6.8).
                kept = []
                for kind, stream, octets in frames.feed(data):
                    if kind == 1 and self.last is None:
                        self.highest = max(self.highest, stream)
                    if self.last is None or stream <= self.last:
                        kept.append(octets)
                data = b"".join(kept)
            self.server.write(data)
            await self.server.drain()
        raise ConnectionError

    async def answers(self, reader, http2):
        frames = Frames(0)
        sent = 0
        while True:
            fault = self.relay.fault
            try:
                quiet = 0.03 if fault == "reset after answer" and sent else None
                data = await asyncio.wait_for(reader.read(65536), quiet)
            except asyncio.TimeoutError:
                self.broken()
            if not data:
                raise ConnectionError
            fault = self.relay.fault
            if fault == "reset mid-body" and not http2:
                self.caller.write(data[: len(data) // 2])
                await self.caller.drain()
                self.broken()
            pieces = [(None, 0, data)] if not http2 else frames.feed(data)
            for kind, _stream, octets in pieces:
                if fault == "reset mid-body" and kind == 0:
                    self.caller.write(octets[: len(octets) // 2])
                    await self.caller.drain()
                    self.broken()
                self.caller.write(octets)
                sent += len(octets)
            if http2 and fault in {"goaway", "goaway error"} and self.last is None and self.highest > 20:
                self.last = self.highest if fault == "goaway" else max(0, self.highest - 4)
                code = 0 if fault == "goaway" else 2
                self.caller.write(b"\0\0\x08\x07\0\0\0\0\0" + struct.pack(">II", self.last, code))
                if fault == "goaway error":
                    await self.caller.drain()
                    self.broken()
            await self.caller.drain()


class TokenRelay(Relay):
    """In front of the token endpoint: answers in its place."""

    CANNED = {
        "500": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops",
        "429": b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n",
        "401": b'HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 26\r\n\r\n{"error":"access_denied" }\n'[:-1],
        "truncated": b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"access_token":"ey',
        "wrong type": b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<html>Log in</html>\r\n",
    }

    async def serve_inside(self, reader, writer):
        fault = self.fault
        if fault == "slow answer":
            await asyncio.sleep(6)
        if fault in self.CANNED:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        await reader.readexactly(int(line.split(b":")[1]))
                writer.write(self.CANNED[fault])
                await writer.drain()
            except (OSError, EOFError):
                pass
            return writer.close()
        await super().serve_inside(reader, writer)


def context(cert, key, protocols):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    made.set_alpn_protocols(protocols)
    return made
