"""Pages of somebody else's in a real Chromium, and what comes of all that they send: one line for each fact, and a table.

Every page makes the attempts of page.html. One is sent to the upstream itself, to see which of them a browser lets
through; the others to the proxy and its admin address: from another site, from another port of localhost, and from a
name of the page's own that leads to the proxy once the page is there (DNS rebinding).
"""

import argparse
import collections
import json
import pathlib
import re
import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = argparse.ArgumentParser()
for name in ["chromium", "proxy", "admin", "upstream", "arrived", "log", "folder"]:
    arguments.add_argument("--" + name, required=True)
arguments = arguments.parse_args()
HERE = pathlib.Path(__file__).parent
PAGE = (HERE / "page.html").read_bytes()
# The longest that all attempts of a page may take.
PATIENCE = 150
failed = 0


def fact(so, text, detail=""):
    global failed
    failed += 0 if so else 1
    print(("ok    " if so else "FAIL  ") + text, flush=True)
    if not so and detail:
        print("      " + str(detail)[:2000].replace("\n", "\n      "), flush=True)


class Pages(BaseHTTPRequestHandler):
    """The page, and where it reports to. Never keeps a connection: the next one may lead elsewhere."""

    def do_GET(self):
        if self.path == "/turn":
            for relay in relays:
                relay.turned = True
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(PAGE if self.path != "/turn" else b"turned")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/report":
            reports.append(json.loads(body))
            reported.set()
        self.send_response(204)
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, *_):
        pass


class Relay(socketserver.ThreadingTCPServer):
    """What a name leads to: the page's server, and from the turn on another port."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), Relaying)
        self.port, self.turned = port, False
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Relaying(socketserver.BaseRequestHandler):
    def handle(self):
        turned = self.server.turned
        port = self.server.port if turned else pages.server_port
        try:
            other = socket.create_connection(("127.0.0.1", port))
        except OSError:
            return
        pairs = {self.request: other, other: self.request}
        # A connection that the browser made before the turn is closed with it.
        while self.server.turned == turned:
            for readable in select.select(list(pairs), [], [], 0.05)[0]:
                try:
                    octets = readable.recv(65536)
                    if not octets:
                        return
                    pairs[readable].sendall(octets)
                except OSError:
                    return
        other.close()


def visit(url, rules):
    """Opens a page, and answers what it reports."""
    reported.clear()
    reports.clear()
    profile = pathlib.Path(arguments.folder) / f"profile{time.time()}"
    command = [
        arguments.chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-popup-blocking",
        "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage", "--no-proxy-server",
        # What a browser may forbid pages by itself is not what is tried here, and no browser's users can count on it.
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades",
        f"--user-data-dir={profile}", f"--host-resolver-rules={rules}", url,
    ]
    with open(pathlib.Path(arguments.folder) / "chromium.log", "ab") as log:
        browser = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            if not reported.wait(PATIENCE):
                raise SystemExit(f"the page {url} reports nothing")
        finally:
            browser.terminate()
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()
    return reports[0]


def arrived():
    return pathlib.Path(arguments.arrived).read_text().splitlines()


def refusals(since):
    """What the proxy's log says of its requests: how often each reason."""
    text = pathlib.Path(arguments.log).read_text()[since:]
    lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    access = [line for line in lines if line.get("target") == "access"]
    return collections.Counter(str(line.get("reason") or "passed") for line in access)


def tokens():
    with urllib.request.urlopen(f"http://127.0.0.1:{arguments.admin}/metrics") as answer:
        text = answer.read().decode()
    return sum(float(n) for n in re.findall(r"^camunda_proxy_token_requests_total\S* (\S+)", text, re.M))


reports, reported = [], threading.Event()
pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
pages.daemon_threads = True
threading.Thread(target=pages.serve_forever, daemon=True).start()
at_page, report = pages.server_port, "http://reports.example:{}/report"
relays = [Relay(int(arguments.proxy)), Relay(int(arguments.admin))]
RULES = ",".join([
    f"MAP rebound.example:{arguments.proxy} 127.0.0.1:{relays[0].server_address[1]}",
    f"MAP rebound.example:{arguments.admin} 127.0.0.1:{relays[1].server_address[1]}",
    "MAP *.example 127.0.0.1",
])


def page(origin, **targets):
    for relay in relays:
        relay.turned = False
    told = {**targets, "report": report.format(at_page)}
    return visit(f"{origin}/#" + urllib.parse.quote(json.dumps(told)), RULES)


proxy, admin = f"http://localhost:{arguments.proxy}", f"http://127.0.0.1:{arguments.admin}"
foreign = f"http://page.example:{at_page}"
table = collections.OrderedDict()


def note(column, told):
    for at, name, result in told:
        table.setdefault(name, {})[column] = result


# What a browser lets through at all.
before = len(arrived())
told = page(foreign, base=f"http://127.0.0.1:{arguments.upstream}")
note("unguarded", told)
came = len(arrived()) - before
read = sum("READ" in result or "LOADED" in result for _, _, result in told)
fact(came >= 25 and read >= 15, f"without a proxy, {len(told)} attempts of a page bring {came} requests to the upstream, and {read} are read", told)

for column, text, origin, targets in [
    ("other site", "a page of another site", foreign, {"base": proxy, "admin": admin}),
    ("other port", "a page on another port of localhost", f"http://localhost:{at_page}", {"base": proxy, "admin": admin}),
    ("0.0.0.0", "a page of another site, by 0.0.0.0", foreign, {"base": f"http://0.0.0.0:{arguments.proxy}", "admin": f"http://0.0.0.0:{arguments.admin}"}),
    ("rebound", "a page whose own name has come to lead to the proxy", f"http://rebound.example:{arguments.proxy}", {"base": "self"}),
    ("rebound", "a page whose own name has come to lead to the admin address", f"http://rebound.example:{arguments.admin}", {"admin": "self"}),
]:
    before, asked, since = arrived(), tokens(), len(pathlib.Path(arguments.log).read_text())
    told = page(origin, **targets)
    time.sleep(0.5)
    note(column, told)
    # The refusal itself may be read by a page that the browser takes for ours.
    is_ours = lambda result: "of the cluster" in result or "LOADED" in result or "secret-token" in result or "open socket" in result or re.search(r"READ 2\d\d", result)
    read = [(name, result) for _, name, result in told if is_ours(result)]
    fact(not read, f"{text}: {len(told)} attempts read nothing", read)
    fact(arrived() == before, f"{text}: the upstream and the token endpoint saw nothing", arrived()[len(before):])
    fact(tokens() == asked, f"{text}: no token was asked for")
    seen = refusals(since)
    if "base" in targets and column != "0.0.0.0":
        fact(seen["passed"] == 0 and sum(seen.values()) >= 25, f"{text}: the proxy refused all that came ({dict(seen)})", seen)

columns = ["unguarded", "other site", "other port", "0.0.0.0", "rebound"]
print("\n      what the page could see".ljust(47) + "".join(column.ljust(23) for column in columns))
for name, results in table.items():
    print(f"      {name}".ljust(47) + "".join((results.get(column, "-")[:21]).ljust(23) for column in columns))
print(flush=True)
pathlib.Path(arguments.folder, "browser.json").write_text(json.dumps(table, indent=1))
sys.exit(1 if failed else 0)
