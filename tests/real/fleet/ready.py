"""Waits until every process of a fleet has all its tokens, and says what that took.

    ready.py SECONDS ADMIN-PORT...

Prints `KEY=VALUE` pairs: processes that are ready, seconds until the last of them was, token requests made, how many of
them were answered 429, and memory and CPU of all together (Linux, by the PIDs in the variable PIDS).
"""

import http.client
import os
import sys
import time


def metrics(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def valid(text):
    return text.count('state="valid"} 1')


def asked(text, reason=None):
    total = 0
    for line in text.splitlines():
        if line.startswith("camunda_proxy_token_requests_total{"):
            if reason is None or f'reason="{reason}"' in line:
                total += int(line.rsplit(" ", 1)[1])
    return total


def usage(pid):
    """Resident kilobytes and CPU seconds."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024, (int(fields[11]) + int(fields[12])) / ticks


def main():
    limit, ports = float(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    begun = float(os.environ.get("BEGUN", time.time()))
    waiting, last = set(ports), 0.0
    while waiting and time.time() - begun < limit:
        for port in sorted(waiting):
            try:
                if valid(metrics(port)) == 4:
                    waiting.discard(port)
                    last = time.time() - begun
            except OSError:
                pass
        time.sleep(0.1)
    texts = [metrics(port) for port in ports]
    facts = {
        "ready": len(ports) - len(waiting),
        "seconds": f"{last:.1f}",
        "asked": sum(map(asked, texts)),
        "limited": sum(asked(text, "rate_limited") for text in texts),
    }
    pids = os.environ.get("PIDS", "").split()
    if pids:
        kilobytes, cpu = zip(*map(usage, pids))
        facts["megabytes_each"] = f"{sum(kilobytes) / len(pids) / 1024:.0f}"
        facts["cpu_seconds"] = f"{sum(cpu):.1f}"
    print(*(f"{key}={value}" for key, value in facts.items()))


main()
