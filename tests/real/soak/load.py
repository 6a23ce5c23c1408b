"""Honest callers: what they ask, what they were answered, and what was lost."""

import asyncio
import collections
import json
import time

import grpc

JOBS = "/gateway_protocol.Gateway/ActivateJobs"
TOPOLOGY = "/gateway_protocol.Gateway/Topology"
# Nobody waits longer.
PATIENCE = 8


class Tally:
    """What became of the requests of one fault."""

    def __init__(self):
        self.ok = 0
        self.refused = collections.Counter()
        self.broken = collections.Counter()
        self.slowest = 0.0
        self.last_bad = 0.0

    def note(self, kind, outcome, seconds, broken=False):
        if outcome is None:
            self.ok += 1
            self.slowest = max(self.slowest, seconds)
            return
        self.last_bad = time.monotonic()
        (self.broken if broken else self.refused)[f"{kind} {outcome}"] += 1


class Load:
    def __init__(self, address):
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.tally = Tally()
        self.total = Tally()
        self.running = True

    def note(self, *what, **how):
        for tally in (self.tally, self.total):
            tally.note(*what, **how)

    async def http1(self, kind, method, path, body, pace):
        """One connection, opened again when it is closed. A request that met a connection which was just being closed goes
        out once more: that is what every client does (RFC 9112 §9.3.1)."""
        reader = writer = None
        while self.running:
            began = time.monotonic()
            for attempt in (1, 2, 3):
                reused = writer is not None
                try:
                    if not reused:
                        reader, writer = await self.connect()
                    answer = await asyncio.wait_for(self.exchange(reader, writer, method, path, body), PATIENCE)
                    outcome, keep = answer
                    self.note(kind, outcome, time.monotonic() - began)
                    if not keep:
                        writer = self.close(writer)
                    break
                except (OSError, EOFError, asyncio.TimeoutError, ValueError) as error:
                    untouched = isinstance(error, asyncio.IncompleteReadError) and not error.partial
                    untouched |= isinstance(error, ConnectionError)
                    writer = self.close(writer)
                    if not (reused and untouched and attempt < 3):
                        name = "timeout" if isinstance(error, asyncio.TimeoutError) else type(error).__name__
                        self.note(kind, name, 0, broken=True)
                        break
            await asyncio.sleep(max(0, began + pace - time.monotonic()))
        self.close(writer)

    async def connect(self):
        """While nobody listens, nothing is lost: a process is started again."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return await asyncio.open_connection(self.host, self.port)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.05)

    @staticmethod
    def close(writer):
        if writer is not None:
            writer.close()

    @staticmethod
    async def exchange(reader, writer, method, path, body):
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head[9:12])
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        answer = b""
        if fields.get("transfer-encoding") == "chunked":
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                answer += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            answer = await reader.readexactly(int(fields.get("content-length", 0)))
        outcome = None
        own = "proxy-status" in fields
        # Operate has no such instance, and says so itself.
        if status != 200 and (own or status != 404):
            outcome = f"{status} {json.loads(answer)['reason'] if own else 'of the upstream'}"
        return outcome, fields.get("connection") != "close"

    async def grpc(self, kind, path, message, pace, timeout):
        """One channel. What it is told with GOAWAY it sends again by itself."""
        options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100),
                   ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"{self.host}:{self.port}", options=options) as channel:
            call = channel.unary_stream if path == JOBS else channel.unary_unary
            call = call(path)
            while self.running:
                began = time.monotonic()
                try:
                    answer = call(message, timeout=timeout, wait_for_ready=True)
                    if path == JOBS:
                        async for _ in answer:
                            pass
                    else:
                        await answer
                    self.note(kind, None, time.monotonic() - began)
                except grpc.aio.AioRpcError as error:
                    reason = (error.details() or "").split(":")[0]
                    own = reason.replace("_", "").isalpha() and "_" in reason or reason in ("draining", "overloaded")
                    outcome = f"{error.code().name} {reason if own else ''}".strip()
                    self.note(kind, outcome, time.monotonic() - began, broken=not own and error.code().name != "DEADLINE_EXCEEDED")
                await asyncio.sleep(max(0, began + pace - time.monotonic()))

    def tasks(self, light=False):
        search = b'{"filter":{}}'
        wanted = [self.http1("get", "GET", "/v2/topology", b"", 0.1)]
        if not light:
            wanted += [self.http1("get", "GET", "/v2/topology", b"", 0.1) for _ in range(2)]
            wanted += [self.http1("get-h1", "GET", "/operate/v1/process-instances/1", b"", 0.1) for _ in range(2)]
            wanted += [self.http1("post", "POST", "/v2/process-instances/search", search, 0.2)]
            wanted += [self.grpc("call", TOPOLOGY, b"", 0.1, 6) for _ in range(2)]
            # type "none", worker "w", timeout 10 s, one job, a request timeout of 3 s.
            poll = b"\x0a\x04none\x12\x01w\x18\x90\x4e\x20\x01\x30\xb8\x17"
            wanted += [self.grpc("poll", JOBS, poll, 0.1, 8) for _ in range(4)]
        return [asyncio.ensure_future(one) for one in wanted]
