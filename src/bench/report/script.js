"use strict";
// Draws the measurement that stands in this page. No library: a dozen lines of SVG for each kind of chart.
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const WIDTH = 500, HEIGHT = 260, LEFT = 58, RIGHT = 12, TOP = 14, BOTTOM = 36;
const NAMES = { "rest": "REST", "grpc": "gRPC unary", "grpc-stream": "gRPC job stream" };

// Text goes in as text nodes only: names come from a command line.
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function drawn(name, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function time(micros) {
  const digits = (value) => value.toPrecision(Math.abs(value) >= 100 ? Math.max(3, String(Math.trunc(value)).length) : 3);
  if (micros === 0) return "0";
  if (Math.abs(micros) < 999.5) return `${digits(micros)} µs`;
  if (Math.abs(micros) < 999500) return `${digits(micros / 1e3)} ms`;
  return `${digits(micros / 1e6)} s`;
}
function axisTime(micros) {
  if (micros >= 1e6) return `${+(micros / 1e6).toFixed(3)} s`;
  if (micros >= 1e3) return `${+(micros / 1e3).toFixed(3)} ms`;
  return `${+micros.toFixed(3)} µs`;
}
const whole = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
function interval(value) {
  const half = (value.high - value.low) / 2, largest = Math.max(Math.abs(value.estimate), half);
  const [unit, by, digits] = largest < 1e3 ? ["µs", 1, 0] : largest < 1e6 ? ["ms", 1e3, largest < 1e4 ? 2 : 1] : ["s", 1e6, 2];
  const sign = value.estimate < 0 ? "−" : "+";
  return `${sign}${(Math.abs(value.estimate) / by).toFixed(digits)} ± ${(half / by).toFixed(digits)} ${unit}`;
}
const differs = (value) => value.low > 0 || value.high < 0;
const rateOf = (series) => (typeof series.load === "object" ? series.load.rate : null);
const failed = (target) => Object.values(target.errors).reduce((sum, count) => sum + count, 0);

// The base is grey, the second target stands out, the base a second time is pale.
const names = [...new Set(data.series.flatMap((series) => series.targets.map((target) => target.name)))];
const again = new Set(data.series.flatMap((series) => series.differences.filter((d) => d.noise).map((d) => d.target)));
const colours = new Map();
names.filter((name) => !again.has(name)).forEach((name, at) => colours.set(name, `var(--c${[0, 1, 3, 4, 5, 6][at % 6]})`));
if (names.length === 1) colours.set(names[0], "var(--c1)");
again.forEach((name) => colours.set(name, "var(--c2)"));

function legend(targets, extra = []) {
  const entry = (colour, text) => element("span", {}, element("i", { style: `background:${colour}` }), text);
  return element("div", { class: "legend" }, ...targets.map((name) => entry(colours.get(name), name)), ...extra);
}

// A scale from values to pixels.
function linear(low, high, from, to) {
  const scale = (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  scale.ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high * 1.0001; tick += step) scale.ticks.push(tick);
  return scale;
}
function logarithmic(low, high, from, to) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const scale = (value) => from + ((Math.log10(Math.min(Math.max(value, low), high)) - a) / (b - a || 1)) * (to - from);
  const of = (steps) => {
    const ticks = [];
    for (let power = Math.floor(a); power <= Math.ceil(b); power++) {
      for (const n of steps) if (n * 10 ** power >= low * 0.999 && n * 10 ** power <= high * 1.001) ticks.push(n * 10 ** power);
    }
    return ticks;
  };
  scale.ticks = of([1, 2, 5]);
  if (scale.ticks.length > 8) scale.ticks = of([1]);
  return scale;
}
function bounds(values) {
  const some = values.filter((value) => value > 0);
  return some.length ? [Math.min(...some) * 0.9, Math.max(...some) * 1.1] : [1, 10];
}

function chart(label) {
  return drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
}
function axes(svg, x, y, xText, yText, xLabel) {
  for (const tick of y.ticks) {
    svg.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(drawn("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, yText(tick)));
  }
  svg.append(drawn("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  for (const tick of x.ticks) {
    svg.append(drawn("text", { x: x(tick), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, xText(tick)));
  }
  svg.append(drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 3, "text-anchor": "end" }, xLabel));
}
function line(svg, points, colour, kind = "") {
  if (points.length === 0) return;
  const path = points.map(([px, py], at) => `${at && !Number.isNaN(px) ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  svg.append(drawn("path", { class: `line ${kind}`, d: path, stroke: colour }));
}
function card(title, text, ...content) {
  return element("div", { class: "card" }, element("h3", {}, title), element("div", { class: "soft" }, text), ...content);
}

function byPercentile(series) {
  const curves = series.targets.map((target) => target.curve).filter((curve) => curve.length);
  if (!curves.length) return null;
  const furthest = Math.max(...curves.map((curve) => 1 / curve[curve.length - 1][0]));
  const svg = chart("latency by percentile");
  const x = logarithmic(1, furthest, LEFT, WIDTH - RIGHT);
  x.ticks = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].filter((tick) => tick <= furthest).map((tick) => (tick === 1 ? 2 : tick));
  const y = logarithmic(...bounds(curves.flat().map((point) => point[1])), HEIGHT - BOTTOM, TOP);
  axes(svg, x, y, (tick) => `p${+(100 - 100 / tick).toFixed(4)}`, axisTime, "of all requests take no longer");
  for (const target of series.targets) {
    line(svg, target.curve.map(([beyond, micros]) => [x(1 / beyond), y(micros)]), colours.get(target.name));
  }
  return card("Latency by percentile", "both axes are logarithmic", legend(series.targets.map((target) => target.name)), svg);
}

function overTime(series) {
  const moments = series.targets.flatMap((target) => target.moments);
  if (moments.length < 2) return null;
  const first = Math.min(...moments.map((moment) => moment.at)), last = Math.max(...moments.map((moment) => moment.at));
  const svg = chart("latency over time");
  const x = linear(first, last, LEFT, WIDTH - RIGHT);
  const y = logarithmic(...bounds(moments.flatMap((moment) => [moment.p50, moment.p99])), HEIGHT - BOTTOM, TOP);
  axes(svg, x, y, (tick) => `${+tick.toFixed(2)} s`, axisTime, "since the run began");
  const events = data.events.filter((event) => event.at >= first - 0.5 && event.at <= last + 0.5);
  for (const event of events) {
    const at = Math.min(Math.max(x(event.at), LEFT), WIDTH - RIGHT);
    const mark = drawn("g", {});
    mark.append(drawn("title", {}, `${event.at.toFixed(2)} s: ${event.what}`));
    mark.append(drawn("line", { class: "event", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }));
    mark.append(drawn("circle", { class: "event-dot", cx: at, cy: TOP, r: 3.5 }));
    svg.append(mark);
  }
  for (const target of series.targets) {
    for (const [key, kind] of [["p99", "thin"], ["p50", ""]]) {
      for (const turn of turns(target.moments)) {
        line(svg, turn.map((moment) => [x(moment.at), y(moment[key])]), colours.get(target.name), kind);
      }
    }
  }
  const extra = events.length ? [element("span", {}, element("i", { style: "background:var(--mark)" }), "token requests and other events")] : [];
  return card("Latency over time", "p50; dashed: p99", legend(series.targets.map((target) => target.name), extra), svg);
}
// A line is broken where another target had its turn.
function turns(moments) {
  const parts = [];
  const slice = moments.length > 1 ? Math.min(...moments.slice(1).map((moment, at) => moment.at - moments[at].at)) : 0;
  moments.forEach((moment, at) => {
    if (moment.p50 === 0) return;
    const before = moments[at - 1];
    if (!parts.length || !before || before.p50 === 0 || moment.at - before.at > slice * 1.6) parts.push([]);
    parts[parts.length - 1].push(moment);
  });
  return parts;
}
function overTimeRates(series) {
  const any = series.targets.some((target) => failed(target) > 0);
  const moments = series.targets.flatMap((target) => target.moments);
  if (!data.setup.scenario || moments.length < 2) return null;
  const x = linear(Math.min(...moments.map((m) => m.at)), Math.max(...moments.map((m) => m.at)), LEFT, WIDTH - RIGHT);
  const y = linear(0, Math.max(...moments.map((moment) => Math.max(moment.rate, moment.failed))) * 1.1, HEIGHT - BOTTOM, TOP);
  const svg = chart("answers over time");
  axes(svg, x, y, (tick) => `${+tick.toFixed(2)} s`, whole, "since the run began");
  for (const event of data.events) {
    const at = x(event.at);
    if (at >= LEFT && at <= WIDTH - RIGHT) svg.append(drawn("line", { class: "event", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  for (const target of series.targets) {
    line(svg, target.moments.map((moment) => [x(moment.at), y(moment.rate)]), colours.get(target.name));
    if (any) line(svg, target.moments.map((moment) => [x(moment.at), y(moment.failed)]), "var(--bad)");
  }
  const extra = any ? [element("span", {}, element("i", { style: "background:var(--bad)" }), "failed")] : [];
  return card("Answers a second", "by when their requests should have started", legend(series.targets.map((t) => t.name), extra), svg);
}

function ramp(protocol, steps) {
  const points = new Map();
  for (const series of steps) for (const target of series.targets) {
    if (!points.has(target.name)) points.set(target.name, []);
    points.get(target.name).push([target.rate, target.quantiles.p50, target.quantiles.p99]);
  }
  const all = [...points.values()].flat();
  const x = linear(0, Math.max(...all.map((point) => point[0])), LEFT, WIDTH - RIGHT);
  const y = logarithmic(...bounds(all.flatMap((point) => point.slice(1))), HEIGHT - BOTTOM, TOP);
  const svg = chart("throughput against latency");
  axes(svg, x, y, whole, axisTime, "answers a second");
  for (const [name, some] of points) {
    some.sort((a, b) => a[0] - b[0]);
    line(svg, some.map((point) => [x(point[0]), y(point[2])]), colours.get(name), "thin");
    line(svg, some.map((point) => [x(point[0]), y(point[1])]), colours.get(name));
    some.forEach((point) => svg.append(drawn("circle", { cx: x(point[0]), cy: y(point[1]), r: 3, fill: colours.get(name) })));
  }
  return card(`Throughput against latency: ${NAMES[protocol]}`, "p50; dashed: p99", legend([...points.keys()]), svg);
}

function cpuBars() {
  const bars = [];
  for (const series of data.series) for (const target of series.targets) {
    if (target.cpu_per_request) bars.push([series, target]);
  }
  if (!bars.length) return null;
  const row = 30, height = bars.length * row + 34, svg = drawn("svg", { viewBox: `0 0 1040 ${height}`, role: "img", "aria-label": "CPU time for each request" });
  const x = linear(0, Math.max(...bars.map(([, target]) => target.cpu_per_request.high)) * 1.08, 330, 1030);
  for (const tick of x.ticks) {
    svg.append(drawn("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: height - 24 }));
    svg.append(drawn("text", { x: x(tick), y: height - 8, "text-anchor": "middle" }, axisTime(tick)));
  }
  bars.forEach(([series, target], at) => {
    const y = at * row + 8, cpu = target.cpu_per_request, rate = rateOf(series);
    const load = rate === null ? "as many as go through" : `${whole(rate)} a second`;
    svg.append(drawn("text", { x: 0, y: y + 14, style: "font-size:12.5px" }, `${NAMES[series.work.protocol]}, ${load}: ${target.name}`));
    svg.append(drawn("rect", { x: x(0), y, width: Math.max(1, x(cpu.estimate) - x(0)), height: 18, rx: 3, fill: colours.get(target.name), opacity: 0.85 }));
    const [low, high] = [x(Math.max(0, cpu.low)), x(cpu.high)];
    svg.append(drawn("path", { d: `M${low} ${y + 9}H${high}M${low} ${y + 5}v8M${high} ${y + 5}v8`, stroke: "var(--ink)", fill: "none" }));
  });
  return element("div", { class: "card" }, svg);
}

function figures() {
  const table = element("table", {});
  const cells = (kind, texts) => element("tr", {}, ...texts.map((text) => element(kind, {}, text)));
  table.append(element("thead", {}, cells("th", ["", "p50", "p90", "p99", "p99.9", "max", "answers/s", "CPU each", "memory", "failed"])));
  const body = element("tbody", {});
  for (const series of data.series) {
    body.append(element("tr", {}, element("td", { class: "group", colspan: 10 }, series.title)));
    for (const target of series.targets) {
      const q = target.quantiles, cpu = target.cpu_per_request, memory = target.memory;
      body.append(cells("td", [target.name, time(q.p50), time(q.p90), time(q.p99), time(q.p999), time(q.max), whole(target.rate),
        cpu ? time(cpu.estimate) : "–", memory ? `${whole(memory / 1e6)} MB` : "–", whole(failed(target))]));
      const notes = Object.entries(target.errors).map(([word, count]) => `${whole(count)} × ${word}`);
      if (target.bottleneck) notes.push(`held back by ${target.bottleneck}`);
      if (notes.length) body.append(element("tr", {}, element("td", { class: "soft", colspan: 10 }, notes.join("; "))));
    }
  }
  table.append(body);
  return element("div", { class: "card scroll" }, table);
}

function headline() {
  const cards = [];
  for (const series of data.series) {
    if (rateOf(series) === null || steps(series).length > 2) continue;
    const noise = series.differences.find((difference) => difference.noise);
    for (const difference of series.differences.filter((d) => !d.noise)) {
      const target = series.targets.find((one) => one.name === difference.target);
      const [p50, p90, p99, p999] = difference.added;
      const rows = [["p90", p90], ["p99", p99], ["p99.9", p999]].flatMap(([word, value]) =>
        [element("dt", {}, `added at ${word}`), element("dd", differs(value) ? {} : { class: "soft" }, differs(value) ? interval(value) : `(${interval(value)})`)]);
      if (noise) rows.push(element("dt", {}, "the machine's noise at p50"), element("dd", {}, interval(noise.added[0])));
      if (target.cpu_per_request) {
        const cpu = target.cpu_per_request.estimate;
        rows.push(element("dt", {}, "CPU time each: per CPU second"), element("dd", {}, `${time(cpu)}: ${whole(1e6 / cpu)}/s`));
      }
      if (target.memory) rows.push(element("dt", {}, "its memory"), element("dd", {}, `${whole(target.memory / 1e6)} MB`));
      const title = NAMES[series.work.protocol] + (names.length - again.size > 2 ? `, ${difference.target}` : "");
      cards.push(element("div", { class: "card" }, element("h3", {}, title),
        element("div", { class: "big" }, interval(p50).replace(/ ±.*? (?=[µms]+$)/, " "), element("small", {}, ` added at p50, ${interval(p50).match(/± .*/)[0]}`)),
        element("dl", {}, ...rows)));
    }
  }
  if (!cards.length) return null;
  const note = element("p", { class: "soft" }, "Bounds hold all four values with 95 %. In brackets: cannot be told from zero.");
  return element("div", {}, element("div", { class: "row" }, ...cards), note);
}
const steps = (series) => data.series.filter((other) => rateOf(other) !== null && other.work.protocol === series.work.protocol);

function setup() {
  const s = data.setup, rows = [["version", s.version + (s.debug_build ? ", built without optimisation: the figures say nothing" : "")], ["when", `${s.at}, ${Math.round(s.seconds)} s`],
    ["machine", `${s.processor}, ${s.cpus} CPUs, ${s.kernel}`], ["placement", `what is measured on ${s.measured_on}, load and upstream on ${s.load_on}`]];
  if (s.settings.length) rows.push(["settings", s.settings.join(" ")]);
  if (data.generator) rows.push(["generator alone", `${whole(data.generator.rest)} REST requests or ${whole(data.generator.grpc)} gRPC calls per CPU second; late by ${time(data.generator.late_p50)}, p99 ${time(data.generator.late_p99)}`]);
  if (data.token_requests !== null) rows.push(["token requests", whole(data.token_requests)]);
  if (data.series.length) rows.push(["others on the machine", `up to ${Math.round(100 * Math.max(...data.series.map((series) => series.foreign)))} % of its CPU time`]);
  return element("div", { class: "card setup" }, element("dl", {}, ...rows.flatMap(([word, text]) => [element("dt", {}, word), element("dd", {}, text)])));
}

function draw() {
  const s = data.setup;
  page.append(element("h1", {}, s.scenario ? `Scenario: ${s.scenario}` : "What the token costs"));
  page.append(element("p", { class: "soft" }, `camunda-auth-proxy ${s.version}, ${s.at.slice(0, 16).replace("T", " ")} UTC, ${s.processor}. Requests start by schedule, whether earlier ones were answered or not, and latency counts from when a request should have started.`));
  if (s.debug_build) page.append(element("p", { class: "warning" }, "This was built without optimisation: the figures say nothing."));
  if (data.findings.length) {
    page.append(element("ul", { class: "findings" }, ...data.findings.map((finding) =>
      element("li", { class: finding.holds === null ? "" : finding.holds ? "holds" : "broken" }, finding.what))));
  }
  page.append(headline() ?? "");
  const ramps = new Map();
  for (const series of data.series) if (rateOf(series) !== null && steps(series).length > 2) ramps.set(series.work.protocol, steps(series));
  if (ramps.size) {
    page.append(element("h2", {}, "From few to too many"), element("div", { class: "row charts" }, ...[...ramps].map(([protocol, some]) => ramp(protocol, some))));
  }
  for (const series of data.series) {
    if (ramps.has(series.work.protocol)) continue;
    page.append(element("h2", {}, series.title), element("p", { class: "soft" }, rateOf(series) === null
      ? "A closed loop: each connection or stream asks again at once. It shows how much goes through; its latencies say how many wait."
      : series.rounds === 1 ? `${+series.seconds.toFixed(2)} s of load.` : `${series.rounds} rounds of ${+series.seconds.toFixed(2)} s for each target, in turn, forward and back.`));
    page.append(element("div", { class: "row charts" }, ...[byPercentile(series), overTime(series), overTimeRates(series)].filter(Boolean)));
  }
  const bars = cpuBars();
  if (bars) page.append(element("h2", {}, "CPU time for each request"), element("p", { class: "soft" }, "User and kernel time of the measured processes; the bracket holds it with 95 %."), bars);
  if (data.series.length) page.append(element("h2", {}, "All figures"), figures());
  if (data.events.length) {
    page.append(element("h2", {}, "Events"), element("div", { class: "card setup" }, element("dl", {}, ...data.events.slice(0, 200).flatMap((event) =>
      [element("dt", {}, `${event.at.toFixed(2)} s`), element("dd", {}, event.what)]))));
  }
  page.append(element("h2", {}, "To repeat it"), element("pre", {}, s.command), setup());
}
draw();
