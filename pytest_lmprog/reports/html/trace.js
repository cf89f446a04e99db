// The trace viewer: what the metrics said of a case, its data, and every call with the exact messages.

const panel = document.getElementById("trace");
let openRow = null;

function facts(parts) {
  return parts.filter((part) => part !== null && part !== undefined && part !== "").join(" \u00b7 ");
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function outcomeNode(row, index) {
  const outcome = row.outcomes[index], name = visible(row.unit.info.metrics[index].name);
  if (!outcome) return el("div", { class: "outcome" }, el("code", {}, name), " ", el("span", { class: "muted" }, "no result"));
  const value = valueOf(outcome);
  const was = outcome.was === undefined ? "" : "baseline " + number(outcome.was, 3);
  const said = [outcome.error ? visible(outcome.error) : null, value === null ? null : "score " + number(value, 3), was,
    outcome.baseline && outcome.baseline !== "none" && outcome.baseline !== "known" ? outcome.baseline + " example" : null];
  const message = outcome.message || "", whole = outcome.detail || "";
  const detail = message && whole.endsWith(message) ? whole.slice(0, -message.length).trim() : whole;
  return el("div", { class: "outcome " + KINDS[row.ranks[index]].tone },
    el("div", {}, badge(KINDS[row.ranks[index]]), " ", el("code", {}, name), " ", el("small", {}, facts(said))),
    detail ? el("div", { class: "detail" }, long(detail)) : null,
    message ? el("div", { class: "feedback" }, long(message)) : null);
}

function fieldsNode(fields, names) {
  const list = el("dl", { class: "fields" });
  for (const name of names)
    list.append(el("dt", {}, el("bdi", {}, visible(name))), el("dd", {}, valueNode(fields[name])));
  return list;
}

// What was expected beside what came, where the example has labels.
function comparison(row) {
  const inputs = new Set(row.example.inputs), fields = row.example.fields, prediction = row.run && row.run.prediction || {};
  const labels = Object.keys(fields).filter((name) => !inputs.has(name));
  const names = [...new Set([...Object.keys(prediction), ...labels])];
  if (!names.length) return null;
  if (!labels.length) return fieldsNode(prediction, names);
  const body = names.map((name) => {
    const differs = own(prediction, name) && own(fields, name) && !inputs.has(name) && shown(prediction[name]) !== shown(fields[name]);
    const cell = (from, present) => el("td", {}, present ? valueNode(from[name]) : el("span", { class: "muted" }, "\u2013"));
    return el("tr", { class: differs ? "differs" : null }, el("th", { scope: "row" }, el("bdi", {}, visible(name))),
      cell(prediction, own(prediction, name)), cell(fields, labels.includes(name)));
  });
  return el("table", { class: "compare" }, el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, "Output"),
    el("th", { scope: "col" }, "Expected"))), el("tbody", {}, ...body));
}

function content(message) {
  if (typeof message.content === "string") return long(message.content);
  return long(message.content === undefined || message.content === null ? "" : literal(message.content, ""));
}

// Copies the text itself, without the escapes that stand for what cannot be seen.
function copier(text) {
  const button = el("button", { type: "button", class: "copy", title: "Copy the exact text" }, "Copy");
  const say = (word) => { button.textContent = word; window.setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  button.addEventListener("click", () => {
    if (!navigator.clipboard) return say("No access");
    navigator.clipboard.writeText(text).then(() => say("Copied"), () => say("No access"));
  });
  return button;
}

function messageNode(message) {
  const role = visible(String(message.role || "message"));
  const rest = Object.keys(message).filter((name) => name !== "role" && name !== "content");
  const extra = rest.map((name) => el("div", {}, el("small", {}, visible(name)), long(literal(message[name], ""))));
  const raw = typeof message.content === "string" ? message.content : null;
  return el("div", { class: "message " + (/^[a-z]+$/.test(role) ? role : "") }, el("b", {}, role, raw ? copier(raw) : null),
    content(message), ...extra);
}

function callNode(call, place, total) {
  const said = facts([call.adapter, call.source, call.usage ? number(call.usage[0]) + " + " + number(call.usage[1]) + " tokens" : null,
    call.latency === undefined ? null : number(call.latency, 2) + " s", call.cost === undefined ? null : money(call.cost),
    call.rollout ? "rollout " + (call.rollout + 1) : null]);
  const outputs = call.outputs || {}, names = Object.keys(outputs);
  return el("details", { class: "call", open: total <= 4 || place === 0 ? "" : null },
    el("summary", {}, el("span", {}, (place + 1) + " ", el("code", {}, visible(call.predictor))), el("small", {}, visible(said))),
    el("div", { class: "messages" }, ...call.messages.map((index) => messageNode(run.messages[index]))),
    el("div", { class: "message answer" }, el("b", {}, "answer", copier(call.answer)), long(call.answer)),
    call.error ? el("div", { class: "feedback" }, long(call.error)) : null,
    names.length ? el("details", {}, el("summary", {}, "Parsed into " + names.length + (names.length === 1 ? " field" : " fields")),
      fieldsNode(outputs, names)) : null,
    Object.keys(call.inputs).length ? el("details", {}, el("summary", {}, "Inputs of the call"),
      fieldsNode(call.inputs, Object.keys(call.inputs))) : null);
}

function about(row) {
  const example = row.example;
  return facts([run.units.length > 1 ? visible(row.unit.info.name) : null, row.unit.info.repeat > 1 ? "rollout " + (row.rollout + 1) : null,
    example.split ? "split " + visible(example.split) : null, (example.tags || []).length ? "tags " + visible(example.tags.join(", ")) : null,
    example.weight !== undefined && example.weight !== 1 ? "weight " + example.weight : null]);
}

function head(row, place, total) {
  const button = (action, label, sign) => el("button", { type: "button", "data-do": action, "aria-label": label, title: label }, sign);
  return el("header", {}, el("div", {}, el("h2", { id: "trace-title" }, el("bdi", {}, line(row.id, 200))),
    el("p", { class: "muted" }, facts([about(row), place < 0 ? null : number(place + 1) + " of " + number(total)]))),
    el("div", { class: "buttons" }, button("previous", "Previous case (k)", "\u2191"), button("next", "Next case (j)", "\u2193"),
      button("close", "Close (Esc)", "\u2715")));
}

function traceNodes(row) {
  const nodes = [section("Metrics", ...row.outcomes.map((_, index) => outcomeNode(row, index)))];
  const inputs = row.example.inputs.filter((name) => own(row.example.fields, name));
  if (inputs.length) nodes.push(section("Input", fieldsNode(row.example.fields, inputs)));
  if (row.run && row.run.error)
    nodes.push(section("Error", el("div", { class: "feedback" }, long(row.run.error.kind + ": " + row.run.error.message))));
  const compared = comparison(row);
  if (compared) nodes.push(section("Output", compared));
  const samples = row.run && row.run.completions || [];
  if (samples.length) nodes.push(section(number(samples.length) + " samples", ...samples.map((sample) => fieldsNode(sample, Object.keys(sample)))));
  if (!row.run) nodes.push(el("p", { class: "muted" }, "The program's run is not in the report."));
  else nodes.push(section(row.run.calls.length === 1 ? "1 call" : number(row.run.calls.length) + " calls",
    ...row.run.calls.map((call, place) => callNode(call, place, row.run.calls.length))));
  return nodes;
}

function openTrace(row, place, total) {
  const fresh = openRow === null;
  openRow = row;
  panel.replaceChildren(head(row, place, total), el("div", { class: "body" }, ...traceNodes(row)));
  panel.hidden = false;
  panel.scrollTop = 0;
  document.documentElement.classList.add("tracing");
  note("#case-" + row.number);
  if (fresh || !panel.contains(document.activeElement)) panel.focus({ preventScroll: true });
}

function closeTrace() {
  if (openRow === null) return;
  openRow = null;
  panel.hidden = true;
  panel.replaceChildren();
  document.documentElement.classList.remove("tracing");
  note("#cases");
}

// Keep the address in step, so that a case can be linked to, without filling the history.
function note(hash) {
  try { window.history.replaceState(null, "", hash); } catch (error) { return; }
}
