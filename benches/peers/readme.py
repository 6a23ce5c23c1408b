"""Writes the README's table and benches/peers/cpu.svg from benches/peers/result.json, which `bench` wrote."""

import json
import re

RESULT, PLOT, README = "benches/peers/result.json", "benches/peers/cpu.svg", "README.md"
NAMES = {"proxied": "this proxy", "direct": "no proxy", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}
PROTOCOLS = {"rest": "REST over HTTP/1.1", "grpc": "gRPC unary"}


def load(series):
    return f"{series['load']['rate']:.0f} a second" if isinstance(series["load"], dict) else "as many as go through"


def micros(value):
    return f"{value:.0f} µs" if value < 999.5 else f"{value / 1000:.2f} ms"


def added(series, name):
    for difference in series["differences"]:
        if difference["target"] == name:
            p50 = difference["added"][0]
            text = f"{p50['estimate']:+.0f} ± {(p50['high'] - p50['low']) / 2:.0f} µs"
            return text if p50["low"] > 0 or p50["high"] < 0 else f"({text})"
    return "–"


def measured(result):
    for series in result["series"]:
        again = {d["target"] for d in series["differences"] if d["noise"]}
        yield series, [t for t in series["targets"] if t["name"] not in again]


def table(result):
    lines = ["| load | target | p50 | added | p99 | answers/s | CPU each | memory |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for series, targets in measured(result):
        title = f"{PROTOCOLS[series['work']['protocol']]}, {load(series)}"
        for target in targets:
            cpu, memory, q = target["cpu_per_request"], target["memory"], target["quantiles"]
            cells = [
                title,
                NAMES.get(target["name"], target["name"]),
                micros(q["p50"]),
                added(series, target["name"]),
                micros(q["p99"]),
                f"{target['rate']:.0f}",
                f"{cpu['estimate']:.1f} µs" if cpu else "–",
                f"{memory / 1e6:.0f} MB" if memory else "–",
            ]
            lines.append("| " + " | ".join(cells) + " |")
            title = ""
    return "\n".join(lines)


def plot(result):
    bars = [
        (f"{PROTOCOLS[s['work']['protocol']]}, {load(s)}", NAMES.get(t["name"], t["name"]), t["cpu_per_request"])
        for s, targets in measured(result)
        for t in targets
        if t["cpu_per_request"]
    ]
    largest = max(cpu["high"] for _, _, cpu in bars)
    parts, y, before = [], 8, None
    for title, name, cpu in bars:
        if title != before:
            y += 22
            parts.append(f'<text x="0" y="{y - 6}" font-weight="600">{title}</text>')
            before = title
        width = cpu["estimate"] / largest * 420
        colour = "#d9480f" if name == NAMES["proxied"] else "#8a939d"
        parts.append(f'<text x="90" y="{y + 12}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="100" y="{y}" width="{width:.1f}" height="16" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{106 + width:.1f}" y="{y + 12}">{cpu["estimate"]:.1f} µs</text>')
        y += 21
    style = "text{font:12px system-ui,sans-serif;fill:#4d555e}@media(prefers-color-scheme:dark){text{fill:#b4bcc6}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 {y + 6}" width="600"><title>CPU time for each '
        f"request</title><style>{style}</style>{''.join(parts)}</svg>\n"
    )


with open(RESULT) as file:
    result = json.load(file)
with open(PLOT, "w") as file:
    file.write(plot(result))
setup = result["setup"]
about = (
    f"Measured {setup['at'][:10]} on {setup['processor']}, {setup['cpus']} CPUs: what is measured on {setup['measured_on']}, "
    f"load and upstream on {setup['load_on']}; others took up to {max(s['foreign'] for s in result['series']):.0%} of the machine."
)
with open(README) as file:
    text = file.read()
block = f"<!-- peers: written by benches/peers/run -->\n{about}\n\n{table(result)}\n\n![CPU time for each request]({PLOT})\n<!-- /peers -->"
new = re.sub(r"<!-- peers: .*?<!-- /peers -->", lambda _: block, text, flags=re.S)
with open(README, "w") as file:
    file.write(new)
