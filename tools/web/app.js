// The page: rows of services kept in step with what breakerweb tells. It only
// reads. Every text of a service or an operator is put in as text, never as
// markup.
"use strict";

const POLL_MS = 2000;
const TRANSITIONS_KEPT = 40;
const SVG = "http://www.w3.org/2000/svg";

const STATES = {
  open: {word: "open", rank: 0},
  half_open: {word: "half open", rank: 1},
  closed: {word: "closed", rank: 3},
};
const REASONS = {
  consecutive_failures: "failures in a row",
  failure_rate: "failure rate",
  slow_rate: "slow calls",
  critical: "a critical outcome",
  probe_failed: "a probe failed",
  probe_succeeded: "probes succeeded",
  recovery_timeout: "open time is over",
  operator: "an operator's order",
  override_expired: "override ended",
  restored: "restored after a restart",
  none: "never changed",
};
const MODES = {forced_open: "forced open", bypass: "bypass", observe: "observe"};

// ---- small helpers ----

const byId = (id) => document.getElementById(id);
const clock = () => performance.now();

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

// Writes only what differs: most of a thousand rows stay untouched.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (value === null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value === true ? "" : value);
  }
}

const word = (table, key) => table[key] || String(key).replaceAll("_", " ");
const stateWord = (state) => (STATES[state] || {word: state}).word;
const percent = (share) => `${Math.round(share * 1000) / 10} %`;

// 640 ms, 58 s, 4 m 10 s, 2 h 5 m, 3 d 4 h; rounded up, as breakerctl does.
function duration(ms) {
  if (ms < 1000) return `${Math.ceil(ms)} ms`;
  const s = Math.ceil(ms / 1000);
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return two(m, "m", s % 60, "s");
  if (m < 1440) return two(Math.floor(m / 60), "h", m % 60, "m");
  return two(Math.floor(m / 1440), "d", Math.floor((m % 1440) / 60), "h");
}
const two = (big, unit, small, part) => small > 0 ? `${big} ${unit} ${small} ${part}` : `${big} ${unit}`;

// Whole seconds: what counts down should not flicker.
const seconds = (ms) => duration(Math.max(1000, Math.ceil(ms / 1000) * 1000));

function ago(ms) {
  if (ms < 1500) return "just now";
  if (ms < 60000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} m ago`;
  if (ms < 86400000) return `${Math.floor(ms / 3600000)} h ago`;
  return `${Math.floor(ms / 86400000)} d ago`;
}

// ---- what is known ----

const services = new Map(); // name -> Service
let daemon = null;          // its part of the status
let trouble = null;         // a sentence while nobody serves
let heartbeatMs = null;
let heardAt = null;         // when breakerweb last told anything
let connection = "wait";    // wait, live, poll, lost
let picked = null;          // name of the service looked at closely
let only = null;            // the state filtered for
let wanted = "";            // the service that the address names
let order = [];             // names as shown
const transitions = [];     // newest first

class Service {
  constructor(name) {
    this.name = name;
    this.row = null;
  }
  take(status, more, at) {
    this.status = status;
    this.more = more;
    this.at = at;
  }
  // What passes while nobody tells anything.
  age() { return clock() - this.at; }
  waitMs() { return Math.max(0, this.status.retry_after_ms - this.age()); }
  holdMs() { return Math.max(0, this.status.hold_ms - this.age()); }
  sinceMs() { return this.status.since_ms + this.age(); }
  overrideMs() {
    const o = this.status.override;
    return o && o.expires_ms !== null ? Math.max(0, o.expires_ms - this.age()) : null;
  }
  isHeld() { return this.holdMs() > 0; }
  // The service that it requires and that denies its calls by being open, or null.
  blocker() {
    if (this.status.mode !== "auto") return null;
    const other = services.get(this.more.rules.requires);
    return other?.status.state === "open" ? other : null;
  }
  // What ends by itself first: [milliseconds, in words] or null.
  leftMs() {
    const {state, mode} = this.status;
    if (mode === "forced_open") return this.overrideMs();
    if (this.waitMs() > 0 && (state === "open" || this.isHeld())) return this.waitMs();
    return this.overrideMs();
  }
  rank() {
    const s = this.status;
    if (s.state === "closed" && (this.isHeld() || this.blocker())) return 2;
    if (s.state === "closed" && (s.ramp_step > 0 || s.mode !== "auto")) return 2.5;
    return (STATES[s.state] || {rank: 9}).rank;
  }
}

// ---- sentences ----

function nowSentence(service) {
  const s = service.status;
  const r = service.more.rules;
  if (s.mode === "bypass") return "Every call is let through; outcomes are only counted.";
  if (s.mode === "observe") return "Nothing is denied; what would have been is counted.";
  if (s.mode === "forced_open") return "Every call is denied, by an operator's order.";
  if (service.isHeld()) return "Calls are denied: the upstream asked everybody to wait.";
  if (service.blocker()) return `Calls are denied: it requires ${r.requires}, which is open.`;
  if (s.state === "open") return "Calls are denied.";
  if (s.state === "half_open") {
    return `Only probes are let through, at most ${r.half_open_max_calls} at once.`;
  }
  if (s.ramp_step > 0) return `A growing share of calls is let through: step ${s.ramp_step} of 10.`;
  if (r.max_concurrent > 0) return `Calls are let through, at most ${r.max_concurrent} at once.`;
  return "Calls are let through.";
}

function probesSentence(service) {
  const r = service.more.rules;
  const done = service.status.state === "half_open" ? service.more.probe_successes : 0;
  const missing = Math.max(1, r.success_threshold - done);
  const which = `${missing}${done > 0 ? " more" : ""} successful probe${missing === 1 ? "" : "s"}`;
  return `${which} will close it; one that fails opens it again for ${duration(r.next_open_ms)}.`;
}

function nextSentence(service) {
  const s = service.status;
  const r = service.more.rules;
  const said = [];
  if (s.override) {
    const left = service.overrideMs();
    const after = s.mode === "forced_open" ? "then probes decide" : "then its configured mode is in force";
    said.push(left === null ? "The override stays until an operator ends it."
      : `The override ends in ${seconds(left)}; ${after}.`);
  }
  if (s.mode === "forced_open" || s.mode === "bypass") return said.join(" ");
  if (service.isHeld()) said.push(`Calls go on in ${seconds(service.holdMs())}.`);
  const blocker = service.blocker();
  if (blocker) said.push(`Calls are denied until ${blocker.name} ${blocker.waitMs() > 0 ? `may be tried, in ${seconds(blocker.waitMs())}` : "is let through again"}.`);
  if (s.state === "open") {
    const wait = service.waitMs();
    said.push(wait > 0 ? `Probing begins in ${seconds(wait)}.` : "The next call is a probe.",
      probesSentence(service));
  } else if (s.state === "half_open") {
    said.push(probesSentence(service));
  } else {
    const left = r.failure_threshold - s.consecutive_failures;
    if (r.failure_threshold > 0 && left > 0) {
      said.push(left === 1 ? "One more failure opens it."
        : `${left} more failures in a row open it.`);
    }
    if (r.failure_rate > 0) {
      said.push(`${percent(r.failure_rate)} failures in the window open it, from ${r.minimum_calls} calls on.`);
    }
    if (r.slow_call_rate > 0 && r.slow_call_duration_ms > 0) {
      said.push(`${percent(r.slow_call_rate)} of calls slower than ${duration(r.slow_call_duration_ms)} open it, from ${r.minimum_calls} calls on.`);
    }
  }
  return said.join(" ");
}

// ---- drawings ----

// The window: calls as bars, the failed part at the bottom. Ten slices of time, or
// one bar across for a window of calls, which has none. The nodes are kept.
function drawWindow(svg, service, width, height) {
  const {slices} = service.more;
  const {calls, failures} = service.status.window;
  const isTime = slices.length > 0;
  const bars = isTime ? slices : [[calls, failures]];
  if (svg.bars?.length !== bars.length) {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.bars = bars.map(() => ["all", "bad"].map((kind) => {
      const bar = document.createElementNS(SVG, "rect");
      bar.setAttribute("class", kind);
      return bar;
    }));
    svg.replaceChildren(...svg.bars.flat());
  }
  if (!isTime) {
    drawAcross(svg.bars[0], calls, failures, width, height);
    return;
  }
  const most = Math.max(1, ...bars.map(([count]) => count));
  svg.bars.forEach(([all, bad], i) => {
    const [count, failed] = bars[i];
    const tall = count === 0 ? 1.5 : Math.max(3, count / most * (height - 1));
    const part = count === 0 ? 0 : tall * failed / count;
    mark(all, "class", count === 0 ? "none" : "all");
    for (const [bar, top, size] of [[all, tall, tall - part], [bad, part, part]]) {
      box(bar, i * width / 10 + 0.5, height - top, width / 10 - 1.5, size);
    }
  });
}

function drawAcross([all, bad], calls, failures, width, height) {
  const part = calls === 0 ? 0 : width * failures / calls;
  mark(all, "class", calls === 0 ? "none" : "all");
  box(all, part, height * 0.35, width - part, height * 0.3);
  box(bad, 0, height * 0.35, part, height * 0.3);
}

function box(rect, x, y, width, height) {
  mark(rect, "x", x.toFixed(2));
  mark(rect, "y", y.toFixed(2));
  mark(rect, "width", Math.max(0, width).toFixed(2));
  mark(rect, "height", Math.max(0, height).toFixed(2));
}

function chip(state, isHeld) {
  const node = make("span", "chip");
  setChip(node, state, isHeld);
  return node;
}

function setChip(node, state, isHeld) {
  const key = isHeld && state === "closed" ? "held" : state;
  if (node.shown === key) return;
  node.shown = key;
  node.className = `chip is-${key}`;
  node.replaceChildren(icon(key), key === "held" ? "held" : stateWord(state));
}

function setMeter(meter, value, size, label) {
  const share = size > 0 ? Math.min(1, value / size) : 0;
  const width = `${(share * 100).toFixed(1)}%`;
  if (meter.firstChild.style.width !== width) meter.firstChild.style.width = width;
  mark(meter, "data-low", size > 0 && share < 0.2);
  mark(meter, "aria-valuenow", value);
  mark(meter, "aria-valuemax", Math.max(size, value));
  mark(meter, "aria-label", label);
}

function makeMeter() {
  const meter = make("div", "meter");
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-valuemin", "0");
  meter.append(make("i"));
  return meter;
}

// ---- rows ----

function cell(className) {
  const node = make("div", className);
  node.setAttribute("role", "cell");
  return node;
}

function makeRow(service) {
  const row = make("div", "row");
  row.setAttribute("role", "row");
  const p = {row};
  p.chip = chip("closed", false);
  p.name = make("button", "name", service.name);
  p.name.type = "button";
  p.name.title = service.name;
  p.name.tabIndex = -1;
  p.name.setAttribute("aria-expanded", "false");
  p.name.setAttribute("aria-controls", "detail");
  p.notes = make("div", "notes");
  p.left = make("span", "left");
  p.spark = document.createElementNS(SVG, "svg");
  p.spark.setAttribute("class", "spark");
  p.spark.setAttribute("aria-hidden", "true");
  p.rateBox = make("div", "rate");
  p.rate = make("b");
  p.rateOf = make("small");
  p.limit = make("span", "limit");
  p.rateBox.append(p.rate, p.limit, p.rateOf);
  p.pips = make("div", "pips");
  p.balance = make("span");
  p.meter = makeMeter();
  p.flight = make("span");
  p.since = make("span");
  p.why = make("small");

  const cells = [cell(), cell("who"), cell(), cell("fails"), cell(), cell("gauge"), cell(), cell("when")];
  cells[0].append(p.chip);
  cells[1].append(p.name, p.notes);
  cells[2].append(p.left);
  cells[3].append(p.spark, p.rateBox);
  cells[4].append(p.pips);
  cells[5].append(p.balance, p.meter);
  cells[6].append(p.flight);
  cells[7].append(p.since, p.why);
  row.append(...cells);
  row.addEventListener("click", () => pick(service.name, true));
  return p;
}

function setNotes(p, service) {
  const s = service.status;
  const notes = [];
  if (s.mode !== "auto") notes.push(["mode", word(MODES, s.mode)]);
  if (service.isHeld() && s.state !== "closed") notes.push(["held", "held"]);
  if (service.blocker()) notes.push(["held", `requires ${service.blocker().name}`]);
  if (s.ramp_step > 0) notes.push(["", `ramp ${s.ramp_step} of 10`]);
  if (s.failed_rounds > 0) notes.push(["", `${s.failed_rounds} failed round${s.failed_rounds === 1 ? "" : "s"}`]);
  const shown = JSON.stringify(notes);
  if (p.notes.shown === shown) return;
  p.notes.shown = shown;
  p.notes.replaceChildren(...notes.map(([kind, text]) => {
    const note = make("span", `note ${kind}`, text);
    note.title = text;
    return note;
  }));
}

function setPips(p, failures, threshold) {
  const shown = `${failures}/${threshold}`;
  if (p.pips.shown === shown) return;
  p.pips.shown = shown;
  p.pips.replaceChildren();
  if (threshold === 0 || threshold > 8) {
    p.pips.append(make("span", failures === 0 ? "nothing" : "",
      threshold === 0 ? String(failures) : shown.replace("/", " of ")));
    return;
  }
  for (let i = 0; i < threshold; i++) {
    const pip = make("span", "pip");
    mark(pip, "data-on", i < failures);
    p.pips.append(pip);
  }
  p.pips.append(make("span", "unseen", `${failures} of ${threshold}`));
}

// What changes when the service does.
function setRow(service) {
  const p = service.row;
  const s = service.status;
  const r = service.more.rules;
  const w = s.window;
  setNotes(p, service);
  drawWindow(p.spark, service, 84, 26);
  put(p.rate, w.calls === 0 ? "–" : percent(w.failure_rate));
  mark(p.rate, "class", w.calls === 0 ? "nothing" : null);
  put(p.limit, r.failure_rate > 0 ? ` limit ${percent(r.failure_rate)}` : "");
  put(p.rateOf, w.calls === 0 ? "no calls" : `${w.failures} of ${w.calls}`);
  mark(p.rateBox, "data-over", r.failure_rate > 0 && w.calls > 0 && w.failure_rate >= r.failure_rate);
  setPips(p, s.consecutive_failures, r.failure_threshold);
  const balance = Math.floor(s.retry_budget.balance * 10) / 10;
  put(p.balance, String(balance));
  setMeter(p.meter, balance, service.more.budget_size, "retry budget");
  const {in_use: used, limit} = s.permits;
  const isCounted = limit > 0 && s.state !== "open";
  put(p.flight, isCounted ? `${used} of ${limit}` : "–");
  mark(p.flight, "class", isCounted ? null : "nothing");
  const why = s.override?.reason || (s.reason === "none" ? "" : word(REASONS, s.reason));
  put(p.why, why);
  mark(p.why, "title", why || null);
  setTimes(service);
}

// What changes because time passes.
function setTimes(service) {
  const p = service.row;
  const s = service.status;
  const left = service.leftMs();
  setChip(p.chip, s.state, service.isHeld());
  put(p.left, left !== null ? seconds(left) : "–");
  mark(p.left, "class", left !== null ? "left" : "left nothing");
  put(p.since, s.generation === 0 ? "–" : ago(service.sinceMs()));
  mark(p.since, "class", s.generation === 0 ? "nothing" : null);
}

// ---- which, in which order ----

const sorts = {
  attention: (a, b) => a.rank() - b.rank(),
  name: () => 0,
  left: (a, b) => (a.leftMs() ?? Infinity) - (b.leftMs() ?? Infinity) || 0,
  rate: (a, b) => b.status.window.failure_rate - a.status.window.failure_rate,
  budget: (a, b) => a.status.retry_budget.balance - b.status.retry_budget.balance,
  changed: (a, b) => a.sinceMs() - b.sinceMs(),
};

const kinds = [
  ["all", "all", () => true],
  ["open", "open", (s) => s.status.state === "open"],
  ["half_open", "half open", (s) => s.status.state === "half_open"],
  ["held", "held", (s) => s.isHeld()],
  ["closed", "closed", (s) => s.status.state === "closed"],
  ["override", "overridden", (s) => s.status.mode !== "auto"],
];

function arrange() {
  const needle = byId("find").value.trim().toLowerCase();
  const test = (kinds.find(([key]) => key === only) || kinds[0])[2];
  const by = sorts[byId("sort").value] || sorts.attention;
  const shown = [...services.values()].filter((s) => test(s) && s.name.toLowerCase().includes(needle));
  shown.sort((a, b) => by(a, b) || (a.name < b.name ? -1 : 1));
  const names = shown.map((s) => s.name);
  const rows = byId("rows");
  if (names.length !== order.length || names.some((name, i) => name !== order[i])) {
    order = names;
    place(rows, shown);
  }
  mark(byId("table"), "aria-rowcount", shown.length + 1);
  const empty = byId("empty");
  empty.hidden = shown.length > 0;
  byId("table").hidden = shown.length === 0;
  put(empty, services.size > 0 ? "No service is like that."
    : daemon === null ? "Waiting for the first word of breakerweb." : "No service has been used or configured yet.");
  rove();
}

// Moves only rows that are not where they belong.
function place(rows, shown) {
  let at = rows.firstElementChild;
  for (const service of shown) {
    if (!service.row) {
      service.row = makeRow(service);
      setRow(service);
    }
    const {row} = service.row;
    if (row === at) at = at.nextElementSibling;
    else rows.insertBefore(row, at);
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
}

// One row's button can be reached with Tab; arrows move from there.
function rove(name) {
  const current = name ?? byId("rows").querySelector('.name[tabindex="0"]')?.textContent;
  const target = order.includes(current) ? current : order.includes(picked) ? picked : order[0];
  for (const service of services.values()) {
    if (service.row) mark(service.row.name, "tabindex", service.name === target ? 0 : -1);
  }
}

function setTiles() {
  const tiles = byId("tiles");
  if (!tiles.firstChild) {
    for (const [key, text] of kinds) {
      const tile = make("button", `tile is-${key}`);
      tile.type = "button";
      tile.count = make("b");
      if (STATES[key] || key === "held") tile.append(icon(key));
      tile.append(tile.count, make("span", "", text));
      tile.addEventListener("click", () => {
        only = only === key || key === "all" ? null : key;
        setTiles();
        arrange();
      });
      tiles.append(tile);
    }
  }
  kinds.forEach(([key, , test], i) => {
    let count = 0;
    for (const service of services.values()) if (test(service)) count++;
    const tile = tiles.children[i];
    put(tile.count, String(count));
    mark(tile, "data-none", count === 0);
    mark(tile, "aria-pressed", key === (only ?? "all") ? "true" : "false");
    tile.className = `tile is-${key}`;
  });
  const open = tiles.children[1].count.textContent;
  document.title = open === "0" ? "breakerd" : `${open} open · breakerd`;
}

// ---- the closer look ----

let detail = null; // its nodes

function fact(list, name) {
  const box = make("div");
  const value = make("dd");
  box.append(make("dt", "", name), value);
  list.append(box);
  return value;
}

function makeDetail(service) {
  const d = {name: service.name};
  const box = byId("detail");
  const head = make("div", "closer");
  const title = make("h2", "", service.name);
  title.id = "detail-name";
  const close = make("button", "plain", "Close");
  close.type = "button";
  close.addEventListener("click", () => pick(null, true));
  head.append(title, close);
  d.chip = chip("closed", false);
  d.says = make("p", "says");
  d.track = make("div", "track");
  d.track.append(make("i"));
  d.next = make("p", "next");
  d.order = make("div", "order");
  d.facts = make("dl", "facts");
  d.rate = fact(d.facts, "Failures in the window");
  d.row = fact(d.facts, "Failures in a row");
  d.slow = fact(d.facts, "Slow calls");
  d.permits = fact(d.facts, "Permits out");
  d.budget = fact(d.facts, "Retry budget");
  d.retries = fact(d.facts, "Retries");
  d.since = fact(d.facts, "In this state");
  d.generation = fact(d.facts, "Generation");
  d.chartHead = make("h3", "", "Calls in the window, failures in red");
  d.chart = document.createElementNS(SVG, "svg");
  d.chart.setAttribute("class", "spark chart");
  d.chart.setAttribute("role", "img");
  d.axis = make("div", "axis");
  d.from = make("span");
  d.to = make("span");
  d.axis.append(d.from, d.to);
  d.counts = make("dl", "counts");
  d.counted = new Map();
  d.proofHead = make("h3", "", "Last outcomes that count against it");
  d.proof = make("table", "proof");
  d.past = make("ol", "story");
  d.pastHead = make("h3", "", "What happened");
  d.hint = make("p", "small");
  d.hint.append("To know more or to step in: ", make("code", "", `breakerctl explain ${service.name}`));
  box.replaceChildren(head, d.chip, d.says, d.track, d.next, d.order, d.facts,
    d.chartHead, d.chart, d.axis, d.proofHead, d.proof, d.pastHead, d.past,
    make("h3", "", "Counters"), d.counts, make("h3", "", "On a shell"), d.hint);
  return d;
}

function setOrder(d, service) {
  const o = service.status.override;
  d.order.hidden = !o;
  if (!o) return;
  const left = service.overrideMs();
  d.order.replaceChildren(make("b", "", word(MODES, o.mode)),
    ` by ${o.actor}${left === null ? ", until further notice" : `, for another ${seconds(left)}`}`);
  if (o.reason) d.order.append(": ", make("q", "", o.reason));
}

function setCounts(d, counters) {
  for (const [key, value] of Object.entries(counters)) {
    let dd = d.counted.get(key);
    if (!dd) {
      dd = make("dd");
      d.counts.append(make("dt", "", key.replaceAll("_", " ")), dd);
      d.counted.set(key, dd);
    }
    put(dd, value.toLocaleString("en"));
    mark(dd, "data-zero", value === 0);
  }
}

function setDetail() {
  const service = services.get(picked);
  byId("recent").hidden = Boolean(service);
  byId("detail").hidden = !service;
  mark(byId("side"), "data-detail", Boolean(service));
  mark(byId("side"), "aria-label", service ? `${service.name}, in detail` : "Recent changes");
  if (!service) {
    detail = null;
    return;
  }
  const isNew = !detail || detail.name !== service.name;
  if (isNew) detail = makeDetail(service);
  const d = detail;
  const s = service.status;
  const r = service.more.rules;
  const w = s.window;
  const {in_use: used, limit} = s.permits;
  put(d.rate, w.calls === 0 ? "no calls" : `${percent(w.failure_rate)} (${w.failures} of ${w.calls})${r.failure_rate > 0 ? `, limit ${percent(r.failure_rate)}` : ""}`);
  put(d.row, r.failure_threshold > 0 ? `${s.consecutive_failures} of ${r.failure_threshold}` : String(s.consecutive_failures));
  put(d.slow, r.slow_call_duration_ms > 0 ? `${w.slow}, over ${duration(r.slow_call_duration_ms)}` : "not watched");
  put(d.permits, limit > 0 ? `${used} of ${limit}` : "not counted");
  put(d.budget, `${Math.floor(s.retry_budget.balance * 10) / 10} of ${Math.floor(service.more.budget_size * 10) / 10}`);
  put(d.retries, `${s.retry_budget.granted} granted, ${s.retry_budget.denied} denied`);
  put(d.generation, `${s.generation}${s.reason === "none" ? "" : ` (${word(REASONS, s.reason)})`}`);
  const isTime = r.window_ms > 0;
  put(d.from, isTime ? `${duration(r.window_ms)} ago` : `the last ${r.window_calls} calls`);
  put(d.to, isTime ? "now" : "");
  drawWindow(d.chart, service, 320, 84);
  mark(d.chart, "aria-label", `${w.failures} of ${w.calls} calls failed in the window`);
  setCounts(d, s.counters);
  setDetailTimes(service);
  lookCloser(service, isNew);
}

function setDetailTimes(service) {
  const d = detail;
  const wait = service.waitMs();
  setChip(d.chip, service.status.state, service.isHeld());
  put(d.says, nowSentence(service));
  put(d.next, nextSentence(service));
  put(d.since, duration(service.sinceMs()));
  setOrder(d, service);
  d.track.hidden = wait <= 0;
  mark(d.track, "data-kind", service.isHeld() ? "held" : "open");
  if (wait > 0) {
    d.whole = Math.max(d.whole || 0, service.isHeld() ? wait : service.sinceMs() + wait);
    d.track.firstChild.style.width = `${(100 - wait / d.whole * 100).toFixed(1)}%`;
  } else {
    d.whole = 0;
  }
}

// Evidence and history are asked for: they are only shown here.
async function lookCloser(service, isNew) {
  const d = detail;
  const key = `${service.status.generation} ${service.status.consecutive_failures} ${service.status.window.failures}`;
  if (!isNew && d.lookedFor === key) return;
  d.lookedFor = key;
  const query = `?service=${encodeURIComponent(service.name)}`;
  const [status, past] = await Promise.all([
    ask(`/api/v1/status${query}`), ask(`/api/v1/history${query}&limit=12`)]);
  if (detail !== d) return;
  setProof(d, status?.services?.[0]?.evidence ?? []);
  const rows = (past?.history ?? []).toReversed();
  d.pastHead.hidden = rows.length === 0;
  d.past.replaceChildren(...rows.map((row) => storyLine(row, false)));
}

function setProof(d, evidence) {
  d.proof.hidden = d.proofHead.hidden = evidence.length === 0;
  const head = make("tr");
  for (const text of ["When", "Outcome", "By"]) head.append(make("th", "", text));
  const rows = evidence.map((e) => {
    const row = make("tr");
    row.append(make("td", "", ago(e.age_ms)),
      make("td", "", e.outcome.replaceAll("_", " ") + (e.text ? `: ${e.text}` : "")
        + (e.latency_ms === null ? "" : ` (${duration(e.latency_ms)})`)),
      make("td", "", `${e.worker || "a worker"} ${e.pid || ""}`));
    return row;
  });
  d.proof.replaceChildren(head, ...rows);
}

// ---- what happened ----

function storyLine(row, withName) {
  const line = make("li");
  const key = STATES[row.to] ? row.to : "closed";
  const mark_ = icon(key);
  mark_.setAttribute("class", `is-${key}`);
  const first = make("div", "line");
  const what = row.from === row.to ? (row.mode === "auto" ? stateWord(row.to) : word(MODES, row.mode))
    : `${stateWord(row.from)} → ${stateWord(row.to)}`;
  if (withName && services.has(row.service)) {
    const name = make("button", "", row.service);
    name.type = "button";
    name.addEventListener("click", () => pick(row.service, true));
    first.append(name);
  } else {
    first.append(make("b", "", withName ? (row.service === "*" ? "all services" : row.service) : what));
  }
  const when = make("time", "", "");
  when.dateTime = row.at;
  when.title = row.at;
  first.append(when);
  line.append(mark_, first);
  const more = make("p");
  const said = [];
  if (withName) said.push(what);
  if (row.from !== row.to || row.mode === "auto") said.push(word(REASONS, row.reason));
  if (row.mode !== "auto" && row.from !== row.to) said.push(word(MODES, row.mode));
  if (row.actor && row.actor !== "-") said.push(`by ${row.actor}`);
  more.append(said.join(", "));
  if (row.text) more.append(": ", make("q", "", row.text));
  line.append(more);
  setWhen(when);
  return line;
}

function setWhen(node) {
  put(node, ago(Date.now() - Date.parse(node.dateTime)));
}

function addTransition(row) {
  if (transitions.some((t) => t.seq === row.seq)) return;
  transitions.unshift(row);
  transitions.sort((a, b) => b.seq - a.seq);
  transitions.length = Math.min(transitions.length, TRANSITIONS_KEPT);
}

function setStory() {
  byId("recent-list").replaceChildren(...transitions.map((row) => storyLine(row, true)));
  byId("recent-empty").hidden = transitions.length > 0;
}

let speaking = null;
function speak(text) {
  const spoken = byId("spoken");
  clearTimeout(speaking);
  speaking = setTimeout(() => put(spoken, text), 400);
}

// ---- taking what is told ----

function takeState(doc) {
  const at = clock();
  daemon = doc.daemon;
  trouble = doc.trouble;
  heartbeatMs = doc.heartbeat_age_ms;
  heardAt = at;
  if (doc.full) {
    const told = new Set(doc.services.map(([status]) => status.name));
    for (const name of [...services.keys()]) if (!told.has(name)) drop(name);
  }
  for (const [status, more] of doc.services) takeService(status, more, at, doc.full);
  // Looked for last by who tells: one that was forgotten meanwhile is in both.
  for (const name of doc.gone ?? []) drop(name);
  // What these are denied by is another one's state.
  for (const service of services.values()) {
    if (service.row && service.more.rules.requires !== "") setNotes(service.row, service);
  }
  setTiles();
  arrange();
  if (picked === null && services.has(wanted)) pick(wanted, false);
  else if (picked !== null) setDetail();
  wanted = "";
  setHead();
}

function drop(name) {
  services.get(name)?.row?.row.remove();
  services.delete(name);
  order = order.filter((other) => other !== name);
}

function takeService(status, more, at, isFull) {
  let service = services.get(status.name);
  const before = service?.status;
  if (!service) {
    service = new Service(status.name);
    services.set(status.name, service);
  }
  service.take(status, more, at);
  if (!service.row) return;
  setRow(service);
  if (before && !isFull && before.generation !== status.generation) flash(service.row.row);
}

function flash(row) {
  row.removeAttribute("data-fresh");
  void row.offsetWidth;
  row.setAttribute("data-fresh", "");
}

function takeTransition(row) {
  addTransition(row);
  setStory();
  if (row.from !== row.to) speak(`${row.service} is ${stateWord(row.to)}: ${word(REASONS, row.reason)}`);
  if (picked === row.service && detail) {
    detail.lookedFor = null;
    setDetail();
  }
}

// ---- the head: is all this true? ----

function setHead() {
  const silent = heardAt === null ? null : clock() - heardAt;
  const isLost = connection === "lost" || (silent !== null && silent > 8000);
  const isDown = trouble !== null || (daemon !== null && !daemon.running);
  mark(byId("pulse"), "data-kind", isLost ? "lost" : connection);
  put(byId("pulse-text"), isLost ? "no connection" : {wait: "connecting", live: "live", poll: "asking every 2 s"}[connection] ?? "");
  if (daemon !== null) {
    put(byId("daemon"), daemon.running
      ? `${daemon.version}, up ${duration(daemon.uptime_s * 1000)}, ${daemon.workers} worker${daemon.workers === 1 ? "" : "s"} connected`
      : "not running");
  }
  const banner = byId("banner");
  if (isLost) {
    put(byId("banner-what"), "No connection to breakerweb.");
    put(byId("banner-more"), silent === null ? "Trying again." : `What you see is ${duration(silent)} old. Trying again.`);
  } else if (isDown) {
    put(byId("banner-what"), "breakerd does not serve.");
    const old = heartbeatMs === null || silent === null ? "" : ` Its last sign of life is ${seconds(heartbeatMs + silent)} old.`;
    put(byId("banner-more"), services.size > 0
      ? `This is what it left; workers decide for themselves meanwhile.${old} breakerctl doctor says what helps.`
      : `${trouble ?? ""}.`);
  }
  banner.hidden = !isLost && !isDown;
  mark(document.body, "data-stale", isLost || isDown);
}

// ---- talking to breakerweb ----

async function ask(path) {
  try {
    const answer = await fetch(path, {cache: "no-store"});
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

let source = null;
let failures = 0;
let polling = null;

function listen() {
  source?.close();
  source = new EventSource("/api/v1/events");
  source.addEventListener("state", (e) => {
    failures = 0;
    clearTimeout(polling);
    connection = "live";
    takeState(JSON.parse(e.data));
  });
  source.addEventListener("transition", (e) => takeTransition(JSON.parse(e.data)));
  source.addEventListener("error", () => {
    failures++;
    if (failures === 1) polling = setTimeout(poll, POLL_MS);
    // A stream that was refused is not tried again by the browser.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5 * POLL_MS);
    setHead();
  });
}

// Until the stream is back.
async function poll() {
  const doc = await ask("/api/v1/live");
  if (failures === 0) return;
  connection = doc ? "poll" : "lost";
  if (doc) {
    takeState(doc);
    await readStory();
  }
  setHead();
  clearTimeout(polling);
  polling = setTimeout(poll, POLL_MS);
}

async function readStory() {
  const past = await ask(`/api/v1/history?limit=${TRANSITIONS_KEPT}`);
  for (const row of past?.history ?? []) addTransition(row);
  setStory();
}

// ---- hands ----

function pick(name, byHand) {
  const before = services.get(picked);
  if (before?.row) {
    mark(before.row.row, "data-picked", null);
    mark(before.row.name, "aria-expanded", "false");
  }
  picked = name === picked ? null : name;
  const service = services.get(picked);
  if (service?.row) {
    mark(service.row.row, "data-picked", true);
    mark(service.row.name, "aria-expanded", "true");
    rove(picked);
  }
  setDetail();
  if (!byHand) return;
  history.replaceState(null, "", picked === null ? "/" : `#${encodeURIComponent(picked)}`);
  if (picked !== null && matchMedia("(max-width: 1080px)").matches) {
    byId("detail").scrollIntoView();
    byId("detail").focus({preventScroll: true});
  } else if (picked === null && before?.row) {
    before.row.name.focus();
  }
}

function step(by) {
  const active = document.activeElement;
  const at = active?.classList.contains("name") ? order.indexOf(active.textContent) : -1;
  const to = at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by));
  const service = services.get(order[to]);
  if (!service?.row) return;
  rove(service.name);
  service.row.name.focus();
  if (picked !== null && picked !== service.name) pick(service.name, false);
}

document.addEventListener("keydown", (e) => {
  const isTyping = e.target.matches("input, select");
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/" && !isTyping) {
    byId("find").focus();
  } else if (e.key === "Escape" && e.target.id === "find" && e.target.value !== "") {
    e.target.value = "";
    arrange();
  } else if (e.key === "Escape" && picked !== null) {
    pick(picked, true);
  } else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && !e.target.matches("select")) {
    step(e.key === "ArrowDown" ? 1 : -1);
  } else if ((e.key === "Home" || e.key === "End") && !isTyping) {
    step(e.key === "End" ? order.length : -order.length);
  } else {
    return;
  }
  e.preventDefault();
});

byId("find").addEventListener("input", arrange);
byId("sort").addEventListener("change", arrange);

function setTheme(theme) {
  mark(document.documentElement, "data-theme", theme === "auto" ? null : theme);
  put(byId("theme-text"), theme);
  try {
    localStorage.setItem("theme", theme);
  } catch { /* a browser that keeps nothing */ }
}
byId("theme").addEventListener("click", () => {
  const themes = ["auto", "light", "dark"];
  setTheme(themes[(themes.indexOf(byId("theme-text").textContent) + 1) % themes.length]);
});

function start() {
  let theme = "auto";
  try {
    theme = localStorage.getItem("theme") ?? "auto";
  } catch { /* as above */ }
  setTheme(theme);
  setTiles();
  arrange();
  try {
    wanted = decodeURIComponent(location.hash.slice(1));
  } catch { /* no name of ours */ }
  listen();
  readStory();
  setInterval(() => {
    for (const name of order) setTimes(services.get(name));
    const service = services.get(picked);
    if (service && detail) setDetailTimes(service);
    if (byId("sort").value === "left") arrange();
    for (const node of document.querySelectorAll(".story time")) setWhen(node);
    setHead();
  }, 1000);
}
start();
