"""Faults in turn under honest load, and whether anything was lost or is left.

    soak.py MINUTES FOLDER PROXY SANDBOX-CREDENTIALS REDIS-PORT

FOLDER holds what soak.sh made: certificates, and `full`, a small file system. Prints a table with a line for each fault, then
one line for each fact, `ok` or `FAIL`; ends with 1 where one failed.
"""

import asyncio
import os
import re
import signal
import sys
import time

import load
import relay

# How long each fault lasts, and the time after it in which everything has to be well again.
FAULT, REST = 10, 6
# Nobody may notice.
NOBODY = ()
# What is not there cannot be reached, and what breaks off may have begun.
AWAY = ("502 upstream_connect", "UNAVAILABLE upstream_connect", "502 upstream_reset", "UNAVAILABLE upstream_reset",
        "504 upstream_timeout", "DEADLINE_EXCEEDED upstream_timeout", "DEADLINE_EXCEEDED")
# A half of an answer is shown as such.
TORN = ("IncompleteReadError", "ConnectionResetError", "UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED")
# And one that stays a half is not waited for.
SILENT = (*TORN, "timeout")


class Soak:
    def __init__(self, minutes, folder, proxy, credentials, redis):
        self.minutes, self.folder, self.proxy, self.redis_port = minutes, folder, proxy, redis
        self.text = open(credentials).read()
        self.failures = 0
        self.rows = {}
        self.processes = {}
        self.hosts = os.environ.get("SOAK_HOSTS")

    def fact(self, text, holds, why=""):
        print(f"{'ok   ' if holds else 'FAIL '} {text}" + (f": {why}" if why and not holds else ""), flush=True)
        self.failures += not holds

    def value(self, key):
        return re.search(rf"^export {key}='(.*)'$", self.text, re.M).group(1)

    # --- What runs.

    async def start(self):
        path = lambda name: f"{self.folder}/{name}"
        web = relay.context(path("cert.pem"), path("key.pem"), ["h2", "http/1.1"])
        bad = relay.context(path("bad.pem"), path("bad.key"), ["h2", "http/1.1"])
        def target(url):
            host, port = re.match(r"\w+://([^:/]+):(\d+)", url).groups()
            return "127.0.0.1", int(port)
        self.rest = relay.Relay("rest", target(self.value("ZEEBE_REST_ADDRESS")), web, bad)
        self.grpc = relay.Relay("grpc", target(self.value("ZEEBE_GRPC_ADDRESS")), web, bad)
        self.operate = relay.Relay("operate", target(self.value("CAMUNDA_OPERATE_BASE_URL")), web, bad)
        self.tokens = relay.TokenRelay("tokens", target(self.value("CAMUNDA_OAUTH_URL")), web, bad)
        self.relays = [self.rest, self.grpc, self.operate]
        for one in (*self.relays, self.tokens):
            await one.start()
        base = lambda key: re.match(r"\w+://[^/]+(.*)", self.value(key)).group(1)
        host = "upstream.test" if self.hosts else "localhost"
        self.write_hosts("127.0.0.1")
        text = re.sub(r"^.*(TASKLIST|OPTIMIZE).*\n", "", self.text, flags=re.M)
        for key, value in {
            "CAMUNDA_OAUTH_URL": f"https://localhost:{self.tokens.port}{base('CAMUNDA_OAUTH_URL')}",
            "ZEEBE_AUTHORIZATION_SERVER_URL": f"https://localhost:{self.tokens.port}{base('CAMUNDA_OAUTH_URL')}",
            "ZEEBE_REST_ADDRESS": f"https://{host}:{self.rest.port}{base('ZEEBE_REST_ADDRESS')}",
            "ZEEBE_GRPC_ADDRESS": f"grpcs://{host}:{self.grpc.port}",
            "ZEEBE_ADDRESS": f"{host}:{self.grpc.port}",
            "CAMUNDA_OPERATE_BASE_URL": f"https://localhost:{self.operate.port}{base('CAMUNDA_OPERATE_BASE_URL')}",
            "CAMUNDA_CREDENTIALS_SCOPES": "Zeebe,Operate",
        }.items():
            text = re.sub(rf"^export {key}='.*'$", f"export {key}='{value}'", text, flags=re.M)
        self.good = text
        stores = {
            "redis": f'kind = "redis"\nurl = "redis://127.0.0.1:{self.redis_port}"',
            "file": f'kind = "file"\npath = "{self.folder}/full/state"',
        }
        self.admin, self.address = {}, {}
        for name, store in stores.items():
            self.write(f"{name}.txt", text)
            listen, admin = free_ports(2)
            self.address[name], self.admin[name] = f"127.0.0.1:{listen}", f"127.0.0.1:{admin}"
            self.write(f"{name}.toml", f"""
workers = 2
credentials = "{path(name)}.txt"
[admin]
address = "{self.admin[name]}"
[oauth]
ca_file = "{path('ca.pem')}"
timeout = "10s"
[scopes.zeebe]
ca_file = "{path('ca.pem')}"
[scopes.operate]
ca_file = "{path('ca.pem')}"
protocol = "http1"
[upstream]
connect_timeout = "2s"
response_timeout = "5s"
[log]
access = "errors"
[store]
{store}
""")
            await self.begin(name)

    def write(self, name, text):
        # In one step, as it ought to be.
        with open(os.open(f"{self.folder}/{name}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.replace(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def write_hosts(self, address):
        if self.hosts:
            # In place: the proxy sees this very file as /etc/hosts.
            with open(self.hosts, "r+") as file:
                file.truncate()
                file.write(f"127.0.0.1 localhost\n{address} upstream.test\n")

    async def begin(self, name):
        command = [self.proxy, "run", "-c", f"{self.folder}/{name}.toml", "--listen", self.address[name]]
        if self.hosts:
            bind = f'mount --bind "{self.hosts}" /etc/hosts && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", bind, "sh", *command]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ZEEBE_", "CAMUNDA_"))}
        log = open(f"{self.folder}/{name}.log", "a")
        self.processes[name] = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder)
        # The token endpoint blocks an address from which two ask at once, for ten seconds.
        for _ in range(600):
            if (await self.ask(name, "GET", "/metrics")).count('state="valid"} 1') == 2:
                return
            await asyncio.sleep(0.1)
        raise SystemExit(f"FAIL  the proxy does not get ready, see {self.folder}/{name}.log")

    async def ask(self, name, method, path):
        try:
            host, port = self.admin[name].split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return answer.decode()
        except (OSError, asyncio.TimeoutError):
            return ""

    def usage(self, name):
        pid = self.processes[name].pid
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        return {"MiB": int(status["VmRSS"].split()[0]) // 1024, "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                "threads": int(status["Threads"])}

    # --- Faults. Each is begun, waits, and is ended.

    async def upstream(self, fault, relays=None):
        relays = relays or self.relays
        for one in relays:
            await one.set(fault)
        await asyncio.sleep(FAULT)
        for one in relays:
            await one.set(None)

    async def token(self, fault):
        await self.tokens.set(fault)
        for name in self.admin:
            await self.ask(name, "POST", "/tokens/renew")
        await asyncio.sleep(FAULT)
        await self.tokens.set(None)
        for name in self.admin:
            await self.ask(name, "POST", "/tokens/renew")

    async def flapping(self):
        for n in range(FAULT * 2):
            self.write_hosts(["127.0.0.99", "127.0.0.1"][n % 2])
            for one in self.relays:
                one.cut()
            await asyncio.sleep(0.5)
        self.write_hosts("127.0.0.1")

    async def redis(self, how):
        self.store.send_signal(signal.SIGSTOP if how == "hangs" else signal.SIGKILL)
        await self.ask("redis", "POST", "/tokens/renew")
        await asyncio.sleep(FAULT)
        if how == "hangs":
            self.store.send_signal(signal.SIGCONT)
        else:
            await self.store.wait()
            await self.start_redis()

    async def start_redis(self):
        self.store = await asyncio.create_subprocess_exec(
            "redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder,
            stdout=asyncio.subprocess.DEVNULL)

    async def full_disk(self):
        filler = f"{self.folder}/full/filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        await self.ask("file", "POST", "/tokens/renew")
        await asyncio.sleep(FAULT)
        os.unlink(filler)

    async def reload(self, texts):
        for n in range(FAULT):
            for name in self.admin:
                self.write(f"{name}.txt", texts[n % len(texts)])
                self.processes[name].send_signal(signal.SIGHUP)
            await asyncio.sleep(1)
        for name in self.admin:
            self.write(f"{name}.txt", self.good)

    async def restart(self):
        for _ in range(2):
            for name in self.admin:
                old = self.processes[name]
                old.terminate()
                status = await asyncio.wait_for(old.wait(), 30)
                self.fact(f"SIGTERM under load: exit status 0 ({name})", status == 0, f"it is {status}")
                await self.begin(name)
            await asyncio.sleep(2)

    async def suspended(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)

    async def nothing(self):
        await asyncio.sleep(FAULT)

    def faults(self):
        """Name, what happens, which refusals there may be, and what may break."""
        up = lambda fault: (lambda: self.upstream(fault))
        tok = lambda fault: (lambda: self.token(fault))
        bad = ["", "export ZEEBE_CLIENT_ID='half", self.good.replace("SECRET=", "SECRT="), self.good.replace("https://", "gopher://")]
        rows = [
            # First, so that at the end of every round the processes have lived through all the rest.
            ("SIGTERM and a new process", self.restart, NOBODY, NOBODY),
            ("none", self.nothing, NOBODY, NOBODY),
            ("Redis is killed", lambda: self.redis("killed"), NOBODY, NOBODY),
            ("Redis hangs", lambda: self.redis("hangs"), NOBODY, NOBODY),
            ("upstream refuses connections", up("refuse"), AWAY, TORN),
            ("upstream resets at connect", up("reset at connect"), AWAY, TORN),
            ("upstream resets before the head", up("reset before head"), AWAY, TORN),
            ("upstream resets in the body", up("reset mid-body"), AWAY, TORN),
            ("upstream resets after answers, HTTP/1.1", lambda: self.upstream("reset after answer", [self.operate]), NOBODY, NOBODY),
            ("upstream resets after answers, HTTP/2", lambda: self.upstream("reset after answer", [self.rest, self.grpc]), AWAY, TORN),
            ("upstream is a black hole", up("blackhole"), AWAY, SILENT),
            ("upstream half-closes", up("half-open"), AWAY, SILENT),
            ("upstream is slow", up("slow"), NOBODY, NOBODY),
            ("upstream trickles", up("trickle"), NOBODY, NOBODY),
            ("upstream speaks no TLS", up("tls garbage"), AWAY, TORN),
            ("upstream shows a wrong certificate", up("wrong certificate"), AWAY, TORN),
            ("upstream says GOAWAY", lambda: self.upstream("goaway", [self.rest, self.grpc]), NOBODY, NOBODY),
            ("upstream says GOAWAY with an error", lambda: self.upstream("goaway error", [self.rest, self.grpc]), AWAY, TORN),
            ("token endpoint: 500", tok("500"), NOBODY, NOBODY),
            ("token endpoint: 429", tok("429"), NOBODY, NOBODY),
            ("token endpoint: answers slowly", tok("slow answer"), NOBODY, NOBODY),
            ("token endpoint: breaks off", tok("truncated"), NOBODY, NOBODY),
            ("token endpoint: a web page", tok("wrong type"), NOBODY, NOBODY),
            ("token endpoint: down", tok("refuse"), NOBODY, NOBODY),
            ("token endpoint: a black hole", tok("blackhole"), NOBODY, NOBODY),
            # Last of these: nobody is asked for a while afterwards.
            ("token endpoint: 401", tok("401"), NOBODY, NOBODY),
            ("SIGHUP, good files", lambda: self.reload([self.good, self.good + "# again\n"]), NOBODY, NOBODY),
            ("SIGHUP, bad files", lambda: self.reload(bad), NOBODY, NOBODY),
            ("suspended for 4 s", self.suspended, NOBODY, NOBODY),
        ]
        if os.path.ismount(f"{self.folder}/full"):
            rows.insert(2, ("the store's disk is full", self.full_disk, NOBODY, NOBODY))
        if self.hosts:
            rows.append(("the upstream's name flaps", self.flapping, AWAY, TORN))
        return rows

    # --- In turn.

    async def one(self, name, act, refusals, broken):
        tallies = []
        for one in self.loads:
            one.tally = load.Tally()
            tallies.append(one.tally)
        began = time.monotonic()
        await act()
        ended = time.monotonic()
        await asyncio.sleep(REST)
        row = self.rows.setdefault(name, {"times": 0, "ok": 0, "refused": {}, "broken": {}, "slowest": 0, "back": 0})
        row["times"] += 1
        for tally in tallies:
            row["ok"] += tally.ok
            row["slowest"] = max(row["slowest"], tally.slowest)
            row["back"] = max(row["back"], tally.last_bad - ended)
            for into, of in (("refused", tally.refused), ("broken", tally.broken)):
                for key, count in of.items():
                    row[into][key] = row[into].get(key, 0) + count
        strange = [key for key in row["refused"] if key.split(" ", 1)[1] not in refusals]
        strange += [key for key in row["broken"] if key.split(" ", 1)[1] not in broken]
        row["strange"] = strange
        print(f"      {time.monotonic() - self.began:5.0f} s  {name}: {sum(t.ok for t in tallies)} ok, "
              f"{ {**row['refused'], **row['broken']} or 'nothing lost'}", file=sys.stderr, flush=True)
        return began

    async def run(self):
        self.began = time.monotonic()
        # Connections that break are what this is about.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await self.start_redis()
        await asyncio.sleep(1)
        await self.start()
        self.loads = [load.Load(self.address["redis"]), load.Load(self.address["file"])]
        tasks = self.loads[0].tasks() + self.loads[1].tasks(light=True)
        end = self.began + 60 * self.minutes
        rounds = 0
        before = None
        while rounds < 1 or time.monotonic() < end:
            for row in self.faults():
                if rounds > 0 and time.monotonic() > end:
                    break
                await self.one(*row)
            rounds += 1
            usage = {name: self.usage(name) for name in self.processes}
            print(f"      round {rounds}: {usage}", file=sys.stderr, flush=True)
            before = before or usage
            if time.monotonic() > end:
                break
        for one in self.loads:
            one.running = False
        await asyncio.wait(tasks, timeout=12)
        await asyncio.sleep(10)
        after = {name: self.usage(name) for name in self.processes}
        self.table()
        for name, row in self.rows.items():
            self.fact(f"{name}: nothing was lost that need not be", not row["strange"], f"{row['refused']} {row['broken']}")
            self.fact(f"{name}: all is well again within 5 s", row["back"] <= 5, f"{row['back']:.1f} s")
        for name in after:
            grown = {key: after[name][key] - before[name][key] for key in after[name]}
            print(f"      {name}: after the first round {before[name]}, at the end {after[name]}")
            self.fact(f"{name}: memory is as after the first round, but for 12 MiB", grown["MiB"] <= 12, grown)
            self.fact(f"{name}: no descriptors and no threads are left over", grown["descriptors"] <= 4 and grown["threads"] <= 0, grown)
        for name, process in self.processes.items():
            process.terminate()
            status = await asyncio.wait_for(process.wait(), 40)
            self.fact(f"SIGTERM at the end: exit status 0 ({name})", status == 0, f"it is {status}")
            text = open(f"{self.folder}/{name}.log").read()
            self.fact(f"{name}: no panic, no token and no secret in the log",
                      not re.search(r"panic|eyJ", text) and self.value("ZEEBE_CLIENT_SECRET") not in text)
        self.store.kill()
        await self.store.wait()
        return 1 if self.failures else 0

    def table(self):
        print("| fault | times | answered | refused by the proxy | broken off | slowest answer | well again after |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, row in self.rows.items():
            told = lambda counts: ", ".join(f"{n} {key}" for key, n in sorted(counts.items())) or "–"
            print(f"| {name} | {row['times']} | {row['ok']} | {told(row['refused'])} | {told(row['broken'])} | "
                  f"{row['slowest']:.1f} s | {max(0, row['back']):.1f} s |")


def free_ports(number):
    import socket
    held = [socket.socket() for _ in range(number)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def main():
    minutes, folder, proxy, credentials, redis = sys.argv[1:]
    soak = Soak(float(minutes), folder, proxy, credentials, int(redis))
    # Also when it is told to end, what it began ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return asyncio.run(soak.run())
    finally:
        for process in [*soak.processes.values(), getattr(soak, "store", None)]:
            if process and process.returncode is None:
                process.kill()


if __name__ == "__main__":
    sys.exit(main())
