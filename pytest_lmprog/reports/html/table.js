// The table: only the rows in sight are in the document.

const HEIGHT = 34, OVER = 12, MOST_METRICS = 6;
const viewport = document.getElementById("viewport");
const table = document.getElementById("rows");
let view = [], counts = [], cursor = -1, drawn = "";

function columns() {
  const one = state.unit !== "" ? run.units[Number(state.unit)] : run.units.length === 1 ? run.units[0] : null;
  const found = [
    { name: "worst", title: "Verdict", width: "8.2rem", cell: verdictCell },
    { name: "id", title: "Example", width: one ? "8.5rem" : "13rem", cell: idCell },
    { name: null, title: "Input", class: "wide-only", cell: (row) => inputText(row) },
    { name: null, title: "Output", class: "wide-only", cell: (row) => outputText(row) },
  ];
  if (one && one.info.metrics.length <= MOST_METRICS) {
    one.info.metrics.forEach((metric, index) => found.push({
      name: "metric " + index, title: visible(metric.name), width: "6rem", class: "num",
      cell: (row) => chip(row, index, false),
    }));
  } else {
    found.push({ name: null, title: "Metrics", width: "12rem", cell: chips });
  }
  if (rows.some((row) => row.tokens !== null))
    found.push({ name: "tokens", title: "Tokens", width: "4.6rem", class: "num wide-only",
      cell: (row) => (row.tokens === null ? "" : number(row.tokens)) });
  if (rows.some((row) => row.cost))
    found.push({ name: "cost", title: "Cost", width: "6.2rem", class: "num wide-only",
      cell: (row) => (row.cost === null ? "" : money(row.cost)) });
  if (rows.some((row) => row.latency !== null))
    found.push({ name: "latency", title: "Latency", width: "5rem", class: "num wide-only",
      cell: (row) => (row.latency === null ? "" : number(row.latency, 2) + " s") });
  return found;
}

function badge(kind) {
  return el("span", { class: "badge " + kind.tone }, kind.sign + " " + kind.word);
}

function verdictCell(row) {
  const found = KINDS[rank(row)];
  return found ? badge(found) : el("span", { class: "muted" }, "not judged");
}

function idCell(row) {
  const several = state.unit === "" && run.units.length > 1, repeated = row.unit.info.repeat > 1;
  return el("span", {}, el("bdi", {}, line(row.id, 60)), repeated ? el("small", {}, " r" + (row.rollout + 1)) : null,
    several ? el("small", {}, " ", el("bdi", {}, line(row.unit.info.name, 40))) : null);
}

function inputText(row) {
  if (row.inputText === undefined) {
    const names = row.example.inputs.length ? row.example.inputs : Object.keys(row.example.fields);
    row.inputText = names.filter((name) => own(row.example.fields, name))
      .map((name) => line(row.example.fields[name], 160)).join(" \u00b7 ");
  }
  return el("bdi", {}, row.inputText);
}

function outputText(row) {
  if (!row.run) return el("span", { class: "muted" }, "did not run");
  if (row.run.error) return el("bdi", { class: "bad" }, line(row.run.error.kind + ": " + row.run.error.message, 160));
  if (row.outputText === undefined)
    row.outputText = Object.values(row.run.prediction || {}).map((value) => line(value, 80)).join(" \u00b7 ");
  return el("bdi", {}, row.outputText);
}

function chip(row, index, named) {
  const outcome = row.outcomes[index];
  if (!outcome) return el("span", { class: "muted" }, "\u2013");
  const kind = KINDS[row.ranks[index]], value = valueOf(outcome);
  const graded = outcome.score !== undefined && value !== null ? " " + number(value, 2) : "";
  const name = visible(row.unit.info.metrics[index].name);
  return el("span", { class: "chip " + kind.tone, title: name + ": " + kind.word }, kind.sign + graded,
    named ? el("span", { class: "sr" }, " " + name) : null);
}

function chips(row) {
  return el("span", { class: "chips" }, ...row.outcomes.map((_, index) => chip(row, index, true)));
}

function drawHead(shownColumns) {
  const group = table.querySelector("colgroup"), head = table.querySelector("thead");
  const hidden = (column) => (column.class || "").includes("wide-only") ? "wide-only" : null;
  group.replaceChildren(...shownColumns.map((column) =>
    el("col", { class: hidden(column), style: column.width ? "width:" + column.width : null })));
  head.replaceChildren(el("tr", {}, ...shownColumns.map((column) => {
    const active = column.name !== null && state.sort === column.name;
    const label = column.title + (active ? (state.down ? " \u2193" : " \u2191") : "");
    return el("th", { scope: "col", class: column.class, "aria-sort": active ? (state.down ? "descending" : "ascending") : null },
      column.name === null ? column.title
        : el("button", { type: "button", class: "sort", "data-sort": column.name, title: column.title }, label));
  })));
}

function rowElement(row, place, shownColumns) {
  const current = place === cursor;
  return el("tr", {
    id: "row-" + row.number, "data-place": place, class: current ? "current" : null,
    tabindex: current || (cursor < 0 && place === 0) ? 0 : -1,
    "aria-rowindex": place + 2, "aria-selected": current ? "true" : "false",
  }, ...shownColumns.map((column) => el("td", { class: column.class }, column.cell(row))));
}

let shownColumns = [];

function draw(force) {
  // The viewport is as high as its rows, and knows them only once they are drawn: hence the window's height.
  const first = Math.max(0, Math.floor(viewport.scrollTop / HEIGHT) - OVER);
  const last = Math.min(view.length, Math.ceil((viewport.scrollTop + window.innerHeight) / HEIGHT) + OVER);
  const key = first + "-" + last + "-" + cursor;
  if (!force && key === drawn) return;
  drawn = key;
  const body = table.querySelector("tbody");
  const focused = body.contains(document.activeElement);
  const spacer = (count) => el("tr", { class: "spacer", "aria-hidden": "true", style: "height:" + count * HEIGHT + "px" });
  body.replaceChildren(spacer(first),
    ...view.slice(first, last).map((row, index) => rowElement(row, first + index, shownColumns)),
    spacer(view.length - last));
  if (focused && cursor >= first && cursor < last) focusRow();
}

function focusRow() {
  const found = table.querySelector("tr.current");
  if (found) found.focus({ preventScroll: true });
}

function move(place, focus) {
  if (!view.length) return;
  cursor = Math.max(0, Math.min(view.length - 1, place));
  const head = table.querySelector("thead").offsetHeight, top = cursor * HEIGHT;
  if (top < viewport.scrollTop) viewport.scrollTop = top;
  else if (top + HEIGHT + head > viewport.scrollTop + viewport.clientHeight)
    viewport.scrollTop = top + HEIGHT + head - viewport.clientHeight;
  draw(true);
  if (focus) focusRow();
}

function drawKinds() {
  const group = document.getElementById("kinds");
  const focused = group.contains(document.activeElement) ? document.activeElement.getAttribute("data-kind") : null;
  group.replaceChildren(...KINDS.map((kind, one) => {
    if (!counts[one] && !state.kinds.has(one)) return null;
    return el("button", { type: "button", class: "kind " + kind.tone, "data-kind": one,
      "aria-pressed": String(state.kinds.has(one)) },
      kind.sign + " " + kind.word + " ", el("b", {}, number(counts[one])));
  }).filter(Boolean));
  const again = focused && group.querySelector('[data-kind="' + focused + '"]');
  if (again) again.focus();
}

// Apply the filters and the order, and draw all anew. The chosen case stays chosen where it is still shown.
function refresh() {
  const chosen = cursor >= 0 ? view[cursor] : null;
  const found = selected();
  view = found.view;
  counts = found.counts;
  cursor = chosen ? view.indexOf(chosen) : -1;
  shownColumns = columns();
  if (state.sort.startsWith("metric ") && !shownColumns.some((column) => column.name === state.sort)) {
    state.sort = "worst";
    view = sorted(view);
  }
  drawKinds();
  drawHead(shownColumns);
  table.setAttribute("aria-rowcount", view.length + 1);
  if (viewport.scrollTop > view.length * HEIGHT) viewport.scrollTop = 0;
  draw(true);
  document.getElementById("none").hidden = view.length > 0;
  const named = state.metric === "" ? "" : " of " + state.metric;
  document.getElementById("shown").textContent = view.length === rows.length
    ? number(rows.length) + (rows.length === 1 ? " case" : " cases") + named
    : number(view.length) + " of " + number(rows.length) + " cases" + named;
}
