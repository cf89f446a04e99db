// Values as text. Nothing here or elsewhere makes HTML of a string: text goes into text nodes only.

const MOST = 2000; // characters shown before "Show all"

const BLOCK = 10000;

// What steers terminals, reorders lines or is drawn as nothing stands as an escape (as reports/visible.py has it).
const HIDDEN = new RegExp(
  "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f" +
  "\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f" +
  "\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb" +
  "\\ud800-\\udfff\\u{e0000}-\\u{e0fff}]" +
  "|(?<=[\\x00-\\x7f])[\\u200c\\u200d]|[\\u200c\\u200d](?=[\\x00-\\x7f]|$)", "gu");
const NAMED = { "\r": "\\r" };

function visible(text) {
  return text.replace(HIDDEN, (found) => {
    if (NAMED[found]) return NAMED[found];
    const code = found.codePointAt(0), digits = code.toString(16);
    if (code < 0x100) return "\\x" + digits.padStart(2, "0");
    return code < 0x10000 ? "\\u" + digits.padStart(4, "0") : "\\U" + digits.padStart(8, "0");
  });
}

function own(object, name) {
  return Object.prototype.hasOwnProperty.call(object, name); // names are the user's: "constructor" is one too
}

function isRepr(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) &&
    typeof value.$repr === "string" && Object.keys(value).length === 1;
}

// A value as text: strings as they are, the rest like JSON.
function shown(value) {
  return typeof value === "string" ? value : literal(value, "");
}

function literal(value, indent) {
  if (isRepr(value)) return value.$repr;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = indent + "  ", list = Array.isArray(value);
  const items = list
    ? value.map((item) => literal(item, inner))
    : Object.keys(value).map((name) => JSON.stringify(name) + ": " + literal(value[name], inner));
  const [open, close] = list ? "[]" : "{}";
  const line = open + items.join(", ") + close;
  if (line.length + indent.length <= 80 && !line.includes("\n")) return line;
  return open + "\n" + items.map((item) => inner + item).join(",\n") + "\n" + indent + close;
}

function cut(text, most) {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? most - 1 : most);
}

// One line of a value, for a cell.
function line(value, most) {
  const text = cut(shown(value), most * 2).replace(/\s+/g, " ").trim();
  const short = cut(text, most);
  return visible(short) + (short.length < text.length || shown(value).length > most * 2 ? "\u2026" : "");
}

const FORMATS = new Map(); // making one is slow

function number(value, digits) {
  const places = digits || 0;
  if (!FORMATS.has(places))
    FORMATS.set(places, new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
  return FORMATS.get(places).format(value);
}

function money(value) {
  return "$" + number(value, value >= 1 ? 2 : value >= 0.001 ? 4 : 6);
}

// An element with attributes and children; strings become text.
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const key of Object.keys(attributes || {})) {
    const value = attributes[key];
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A long text in blocks, of which the browser lays out those in sight; they end at ends of lines where there are any.
function blocks(text) {
  const found = [];
  for (let at = 0; at < text.length; ) {
    const piece = cut(text.slice(at, at + BLOCK), BLOCK - 1), end = piece.lastIndexOf("\n") + 1;
    found.push(end && at + piece.length < text.length ? piece.slice(0, end) : piece);
    at += found[found.length - 1].length;
  }
  return found;
}

// Text of any length: the beginning at once, the rest when it is asked for.
function long(text) {
  const body = el("pre", { dir: "auto" });
  const start = cut(text, MOST);
  body.textContent = visible(start);
  if (start.length === text.length) return body;
  body.append("\u2026");
  const more = el("button", { type: "button", class: "more" }, "Show all " + number(text.length) + " characters");
  more.addEventListener("click", () => {
    body.textContent = "";
    for (const part of blocks(text)) body.append(el("span", { class: "block" }, visible(part)));
    more.remove();
    body.setAttribute("tabindex", "-1");
    body.focus({ preventScroll: true });
  });
  return el("div", { class: "long" }, body, more);
}

function valueNode(value) {
  const node = long(shown(value));
  if (isRepr(value)) node.title = "as Python shows it";
  return node;
}
