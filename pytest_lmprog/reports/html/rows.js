// The model of the table: a row for each unit, example and rollout; filters and orders.

const data = JSON.parse(document.getElementById("data").textContent);
const run = data.run;
const KINDS = data.kinds;
const RANK = new Map(KINDS.map((kind, rank) => [kind.name, rank]));
const OF_STATUS = { pass: "passed", fail: "failed" };
const rows = [];

// Outcomes come as names and rows of values; null stands for what is not given.
function unpacked(outcomes) {
  return outcomes.rows.map((values) => {
    const outcome = {};
    outcomes.names.forEach((name, index) => { if (values[index] !== null) outcome[name] = values[index]; });
    return outcome;
  });
}

function rankOf(outcome) {
  return RANK.get(outcome.verdict || OF_STATUS[outcome.status] || outcome.status);
}

function valueOf(outcome) {
  if (!outcome || outcome.status === "unscored" || outcome.status === "broken") return null;
  if (outcome.status === "error") return 0;
  return outcome.score === undefined ? Number(outcome.status === "pass") : outcome.score;
}

function sum(calls, of) {
  const known = calls.map(of).filter((value) => value !== undefined && value !== null);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

function makeRow(unit, unitNumber, id, rollout, examples) {
  return {
    number: rows.length, unit, unitNumber, id, rollout,
    example: examples.get(id) || { id, fields: {}, inputs: [], tags: [] },
    run: null, outcomes: unit.info.metrics.map(() => null), ranks: [], tokens: null, cost: null, latency: null,
  };
}

run.units.forEach((unit, unitNumber) => {
  const examples = new Map(unit.examples.map((example) => [example.id, example]));
  const metrics = new Map(unit.info.metrics.map((metric, index) => [metric.name, index]));
  const own = new Map();
  function rowOf(id, rollout) {
    const key = rollout + " " + id;
    if (!own.has(key)) {
      own.set(key, makeRow(unit, unitNumber, id, rollout, examples));
      rows.push(own.get(key));
    }
    return own.get(key);
  }
  for (const found of unit.cases) {
    const row = rowOf(found.example, found.rollout);
    for (const call of found.calls) {
      if (call.outputs === "same") call.outputs = found.prediction;
      if (Array.isArray(call.inputs))
        call.inputs = Object.fromEntries(call.inputs.map((name) => [name, row.example.fields[name]]));
    }
    row.run = found;
    row.tokens = sum(found.calls, (call) => (call.usage ? call.usage[0] + call.usage[1] : null));
    row.cost = sum(found.calls, (call) => call.cost);
    row.latency = sum(found.calls, (call) => call.latency);
  }
  for (const outcome of unpacked(unit.outcomes)) {
    const index = metrics.get(outcome.metric);
    if (index !== undefined) rowOf(outcome.case, outcome.rollout || 0).outcomes[index] = outcome;
  }
});
for (const row of rows) {
  row.ranks = row.outcomes.map((outcome) => (outcome ? rankOf(outcome) : -1));
  row.bits = row.ranks.reduce((all, one) => (one >= 0 ? all | (1 << one) : all), 0);
}

const state = { unit: "", metric: "", split: "", tag: "", text: "", kinds: new Set(), sort: "worst", down: false };

// Place of the metric that is looked at, by unit; -1 for units without it.
let places = [];

function look() {
  places = state.metric === "" ? []
    : run.units.map((unit) => unit.info.metrics.findIndex((metric) => visible(metric.name) === state.metric));
}

// The row's verdicts as bits: all of them, or that of the metric that is looked at.
function bits(row) {
  if (!places.length) return row.bits;
  const one = row.ranks[places[row.unitNumber]];
  return one >= 0 ? 1 << one : 0;
}

// The worst of them; KINDS.length where nothing was judged.
function rank(row) {
  const found = bits(row);
  return found ? 31 - Math.clz32(found & -found) : KINDS.length;
}

// All that a search looks in, made when it is first needed.
function haystack(row) {
  if (row.haystack === undefined) {
    const parts = [row.id, ...Object.values(row.example.fields).map(shown)];
    if (row.run) {
      if (row.run.error) parts.push(row.run.error.kind, row.run.error.message);
      parts.push(...Object.values(row.run.prediction || {}).map(shown));
      for (const call of row.run.calls) parts.push(call.answer, call.error || "");
    }
    for (const outcome of row.outcomes) if (outcome) parts.push(outcome.message || "", outcome.detail || "", outcome.error || "");
    row.haystack = [...new Set(parts)].join("\n").toLowerCase();
  }
  return row.haystack;
}

function matches(row, words) {
  if (state.unit !== "" && String(row.unitNumber) !== state.unit) return false;
  if (places.length && places[row.unitNumber] < 0) return false;
  if (state.split !== "" && visible(row.example.split || "") !== state.split) return false;
  if (state.tag !== "" && !(row.example.tags || []).some((tag) => visible(tag) === state.tag)) return false;
  return words.every((word) => haystack(row).includes(word));
}

const collator = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  worst: rank,
  id: (row) => {
    if (row.alphabetic === undefined)
      [...rows].sort((a, b) => collator.compare(a.id, b.id) || a.rollout - b.rollout)
        .forEach((sorted, place) => { sorted.alphabetic = place; });
    return row.alphabetic;
  },
  tokens: (row) => row.tokens,
  cost: (row) => row.cost,
  latency: (row) => row.latency,
};

function orderOf(name) {
  if (!name.startsWith("metric ")) return ORDERS[name];
  const index = Number(name.slice(7));
  return (row) => valueOf(row.outcomes[index]);
}

// The rows to show, in order, and how many there are of each kind before kinds are chosen.
function selected() {
  look();
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => matches(row, words));
  const counts = KINDS.map(() => 0), wanted = [...state.kinds].reduce((all, one) => all | (1 << one), 0);
  for (const row of found)
    for (let rest = bits(row); rest; rest &= rest - 1) counts[31 - Math.clz32(rest & -rest)] += 1;
  const view = wanted ? found.filter((row) => bits(row) & wanted) : found;
  return { view: sorted(view), counts };
}

function sorted(view) {
  const key = orderOf(state.sort), sign = state.down ? -1 : 1;
  const keyed = view.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => {
    if (a.key === b.key) return a.row.number - b.row.number;
    if (a.key === null) return 1; // what has no figure comes last, whichever way
    return b.key === null ? -1 : sign * (a.key - b.key);
  });
  return keyed.map((item) => item.row);
}
