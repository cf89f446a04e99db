// What the reader does: filters, orders, keys and links.

function show(place) {
  move(place, false);
  if (cursor >= 0) openTrace(view[cursor], cursor, view.length);
}

function step(by) {
  if (openRow !== null) show(cursor + by);
  else move(cursor < 0 ? 0 : cursor + by, true);
}

function close() {
  closeTrace();
  if (cursor >= 0) move(cursor, true);
}

function reset(changes) {
  Object.assign(state, { unit: "", metric: "", split: "", tag: "", text: "", kinds: new Set(), sort: "worst", down: false }, changes);
  document.getElementById("search").value = state.text;
  for (const select of document.querySelectorAll("[data-by]")) select.value = state[select.getAttribute("data-by")];
  viewport.scrollTop = 0;
  refresh();
}

function follow() {
  const found = /^#case-(\d+)$/.exec(window.location.hash), row = found && rows[Number(found[1])];
  if (!row || row === openRow) return;
  if (!view.includes(row)) reset({});
  document.getElementById("cases").scrollIntoView();
  show(view.indexOf(row));
}

function listen() {
  document.getElementById("search").addEventListener("input", (event) => {
    state.text = event.target.value;
    viewport.scrollTop = 0;
    refresh();
  });
  for (const select of document.querySelectorAll("[data-by]"))
    select.addEventListener("change", () => {
      state[select.getAttribute("data-by")] = select.value;
      viewport.scrollTop = 0;
      refresh();
    });
  document.getElementById("reset").addEventListener("click", () => reset({}));
  viewport.addEventListener("scroll", () => window.requestAnimationFrame(() => draw(false)), { passive: true });
  window.addEventListener("resize", () => draw(false));
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", pressed);
}

function clicked(event) {
  const at = (selector) => event.target.closest(selector);
  const sort = at("[data-sort]"), kind = at("[data-kind]"), count = at(".count"), row = at("tr[data-place]"), action = at("[data-do]");
  if (sort) sortBy(sort.getAttribute("data-sort"));
  else if (kind) toggle(Number(kind.getAttribute("data-kind")));
  else if (count) only(count);
  else if (action) act(action.getAttribute("data-do"));
  else if (row && String(window.getSelection()) === "") show(Number(row.getAttribute("data-place")));
}

function sortBy(name) {
  const figures = !["worst", "id"].includes(name) && !name.startsWith("metric "); // of these the most is wanted first
  state.down = state.sort === name ? !state.down : figures;
  state.sort = name;
  refresh();
  const again = table.querySelector('[data-sort="' + name + '"]');
  if (again) again.focus();
}

function toggle(one) {
  if (!state.kinds.delete(one)) state.kinds.add(one);
  viewport.scrollTop = 0;
  refresh();
}

function only(button) {
  const kinds = button.getAttribute("data-kinds").split(" ").map((name) => RANK.get(name));
  reset({ unit: run.units.length > 1 ? button.getAttribute("data-unit") : "", metric: button.getAttribute("data-metric"), kinds: new Set(kinds) });
  document.getElementById("cases").scrollIntoView();
  move(0, true);
}

function act(action) {
  if (action === "close") close();
  else step(action === "next" ? 1 : -1);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target, search = document.getElementById("search");
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
  if (event.key === "Escape") return escaped(event, target, search);
  if (typing) {
    if (target === search && (event.key === "Enter" || event.key === "ArrowDown")) { event.preventDefault(); move(0, true); }
    return;
  }
  if (event.key === "/") { event.preventDefault(); search.focus(); search.select(); return; }
  const inTable = viewport.contains(target), moves = { j: 1, k: -1, ...(inTable ? { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 } : {}) };
  if (event.key in moves) { event.preventDefault(); step(moves[event.key]); }
  else if (inTable && event.key === "Home") { event.preventDefault(); move(0, true); }
  else if (inTable && event.key === "End") { event.preventDefault(); move(view.length - 1, true); }
  else if (event.key === "Enter" && (target.tagName === "TR" || target === document.body || target === viewport)) {
    event.preventDefault();
    show(Math.max(0, cursor));
  }
}

function escaped(event, target, search) {
  if (openRow !== null) close();
  else if (target === search && search.value) { search.value = ""; state.text = ""; refresh(); }
  else if (target === search) target.blur();
}

// What the first search needs is made while nothing else is to do.
function warm(from) {
  if (!window.requestIdleCallback) return;
  window.requestIdleCallback((idle) => {
    let at = from;
    while (at < rows.length && idle.timeRemaining() > 1) haystack(rows[at++]);
    if (at < rows.length) warm(at);
  });
}

if (table) {
  document.getElementById("explorer").hidden = false;
  refresh();
  listen();
  follow();
  warm(0);
}
