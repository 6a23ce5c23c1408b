"""What came of gRPC's interop cases, with and without the proxy.

table.py same FILE CLIENT SERVER    status 1 where a case ends differently through the proxy
table.py show FILE                  case by client and server

A line of FILE is `CLIENT SERVER WAY CASE ok`, or `… failed` and why. The way `direct` is without the proxy.
"""

import sys
from collections import defaultdict


def read(path):
    """(client, server) → case → way → outcome."""
    seen = defaultdict(lambda: defaultdict(dict))
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            client, server, way, case, outcome = line.rstrip("\n").split(" ", 4)
            seen[client, server][case][way] = outcome
    return seen


def lost(outcomes, ways):
    """The ways on which the case does not end as it does directly; a way without an outcome counts, too."""
    direct = outcomes.get("direct", "missing").split()[0]
    return [way for way in ways if outcomes.get(way, "missing").split()[0] != direct]


def same(path, client, server):
    seen = read(path)
    ways = sorted({way for cases in seen.values() for outcomes in cases.values() for way in outcomes})
    cases = seen[client, server]
    differing = [
        f"{case} {way}: {outcomes.get(way, 'missing')}; direct: {outcomes.get('direct', 'missing')}"
        for case, outcomes in cases.items()
        for way in lost(outcomes, ways)
    ]
    print("\n".join(differing) if cases else "no case ran")
    sys.exit(1 if differing or not cases else 0)


def show(path):
    seen = read(path)
    ways = sorted({way for cases in seen.values() for outcomes in cases.values() for way in outcomes})
    columns = list(seen)
    cases = dict.fromkeys(case for column in columns for case in seen[column])
    names = [f"{client}>{server}" for client, server in columns]
    width = max(map(len, cases))
    print(" " * width, *names)
    for case in cases:
        cells = (cell(seen[column].get(case), ways).ljust(len(name)) for column, name in zip(columns, names))
        print(case.ljust(width), *cells)
    print("ok: with and without the proxy; no: fails without the proxy, and just so with it; blank: not a case of that client")


def cell(outcomes, ways):
    if outcomes is None:
        return ""
    differing = lost(outcomes, ways)
    if differing:
        return "LOST " + ",".join(differing)
    return "ok" if outcomes["direct"] == "ok" else "no"


{"same": same, "show": show}[sys.argv[1]](*sys.argv[2:])
