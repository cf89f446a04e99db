"""The short form of a signature: ``"context: list[str], question -> answer: Literal['yes', 'no']"``.

grammar:  side "->" side;  side = field ("," field)*;  field = name [":" type]
"""

from __future__ import annotations

import ast
import itertools
import typing
from collections.abc import Iterator
from typing import Any, NoReturn

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures.fields import Field, Role
from pytest_lmprog.signatures.names import name_problem
from pytest_lmprog.signatures.resolve import CallerNames

__all__ = ["parse_fields"]

_OPEN = {"[": "]", "(": ")", "{": "}"}
_EXAMPLE = "write it as 'question, context: list[str] -> answer: str'"


@dataclass(frozen=True, slots=True)
class _Source:
    """The text, on one line, and how to complain about a place in it."""

    text: str

    def fail(self, reason: str, column: int, hint: str | None = None) -> NoReturn:
        start = max(0, column - 100)
        end = min(len(self.text), column + 100)
        before = "..." if start else ""
        shown = before + self.text[start:end] + ("..." if end < len(self.text) else "")
        caret = " " * (column - start + len(before)) + "^"
        raise SignatureError(
            f"malformed signature, column {column + 1}: {reason}\n    {shown}\n    {caret}", hint=hint
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of the text."""

    start: int
    end: int


def parse_fields(text: str, names: CallerNames) -> tuple[Field, ...]:
    """Return the fields of the signature ``text``, their types looked up in ``names``.

    Raises SignatureError that shows the column; nothing is skipped silently."""
    source = _Source("".join(" " if c.isspace() else c for c in text))
    marks = list(_marks(source))
    arrow = _only_arrow(source, marks)
    inputs = _side(source, marks, _Span(0, arrow), "input")
    outputs = _side(source, marks, _Span(arrow + 2, len(source.text)), "output")
    fields: dict[str, Field] = {}
    for role, spans in (("input", inputs), ("output", outputs)):
        for span in spans:
            field = _field(source, marks, span, typing.cast(Role, role), names)
            if field.name in fields:
                at = _skip_space(source.text, span.start)
                source.fail(f"the field {field.name!r} is there twice", at)
            fields[field.name] = field
    return tuple(fields.values())


def _marks(source: _Source) -> Iterator[tuple[str, int]]:
    """Yield (mark, position) of the marks ``-> , : = *`` outside brackets and quotes."""
    text, opened = source.text, list[tuple[str, int]]()
    position = 0
    while position < len(text):
        char = text[position]
        if char in "'\"":
            position = _closing_quote(source, position)
        elif char in _OPEN:
            opened.append((_OPEN[char], position))
        elif char in "])}":
            if not opened or opened.pop()[0] != char:
                source.fail(f"{char!r} closes nothing", position)
        elif not opened and text.startswith("->", position):
            yield "->", position
            position += 1
        elif not opened and char in ",:=":
            yield char, position
        position += 1
    if opened:
        source.fail(f"{opened[-1][0]!r} is missing for this bracket", opened[-1][1])


def _closing_quote(source: _Source, start: int) -> int:
    position = start + 1
    while position < len(source.text) and source.text[position] != source.text[start]:
        position += 2 if source.text[position] == "\\" else 1
    if position >= len(source.text):
        source.fail("this quote is not closed", start)
    return position


def _only_arrow(source: _Source, marks: list[tuple[str, int]]) -> int:
    arrows = [at for mark, at in marks if mark == "->"]
    if not source.text.strip():
        source.fail("it is empty", 0, _EXAMPLE)
    if not arrows:
        source.fail("'->' is missing between inputs and outputs", len(source.text.rstrip()), _EXAMPLE)
    if len(arrows) > 1:
        source.fail("a second '->'", arrows[1], _EXAMPLE)
    return arrows[0]


def _side(source: _Source, marks: list[tuple[str, int]], side: _Span, role: str) -> list[_Span]:
    commas = [at for mark, at in marks if mark == "," and side.start <= at < side.end]
    edges = [side.start - 1, *commas, side.end]
    spans = [_Span(a + 1, b) for a, b in itertools.pairwise(edges)]
    if not source.text[side.start : side.end].strip():
        source.fail(f"there is no {role} field", side.start if role == "output" else side.end, _EXAMPLE)
    for number, span in enumerate(spans):
        if not source.text[span.start : span.end].strip():
            last = number == len(spans) - 1
            at = commas[-1] if last else commas[number]
            source.fail("a trailing comma" if last else "a field is missing before this comma", at)
    return spans


def _field(
    source: _Source, marks: list[tuple[str, int]], span: _Span, role: Role, names: CallerNames
) -> Field:
    inside = [(mark, at) for mark, at in marks if span.start <= at < span.end]
    equals = [at for mark, at in inside if mark == "="]
    colon = next((at for mark, at in inside if mark == ":"), None)
    if equals:
        source.fail(
            "a field cannot have a default here", equals[0], "use the class form: InputField(default=...)"
        )
    name = _name(source, _Span(span.start, span.end if colon is None else colon), role)
    if colon is None:
        return Field(name=name, role=role)
    second = next((at for mark, at in inside if mark == ":" and at > colon), None)
    if second is not None:
        source.fail("a second ':'", second)
    annotation = _annotation(source, _Span(colon + 1, span.end), names)
    field = Field(name=name, role=role, annotation=annotation)
    try:
        field.type_text  # noqa: B018
    except SignatureError as error:
        source.fail(error.message, _skip_space(source.text, colon + 1), error.hint)
    return field


def _skip_space(text: str, start: int) -> int:
    return start + len(text[start:]) - len(text[start:].lstrip())


def _name(source: _Source, span: _Span, role: Role) -> str:
    start = _skip_space(source.text, span.start)
    name = source.text[start : span.end].strip()
    if not name:
        source.fail("a name is missing", min(span.end, len(source.text)))
    if name.startswith("*"):
        source.fail("'*' has no meaning here: every field is named", start)
    if not name.isidentifier():
        bad = next((i for i in range(1, len(name) + 1) if not name[:i].isidentifier()), 1)
        source.fail(f"{name!r} is not a field name", start + bad - 1, "names are Python identifiers")
    problem = name_problem(name, role)
    if problem:
        source.fail(problem, start)
    return name


def _annotation(source: _Source, span: _Span, names: CallerNames) -> Any:
    start = _skip_space(source.text, span.start)
    text = source.text[start : span.end].rstrip()
    if not text:
        source.fail("a type is missing after ':'", min(span.end, len(source.text) - 1))
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        offset = min(max((error.offset or 1) - 1, 0), len(text) - 1)
        source.fail(f"{text!r} is not a type", start + offset)
    except (ValueError, RecursionError, MemoryError):
        source.fail("this is not a type", start)
    return _TypeReader(source, start, text, names).read(tree)


@dataclass(frozen=True, slots=True)
class _TypeReader:
    """Evaluates a type expression: names, attributes, subscripts, ``|`` and constants; no calls."""

    source: _Source
    start: int
    text: str
    names: CallerNames

    def fail(self, reason: str, node: ast.expr, hint: str | None = None) -> NoReturn:
        column = len(self.text.encode()[: node.col_offset].decode(errors="ignore"))
        self.source.fail(reason, self.start + column, hint)

    def read(self, node: ast.expr) -> Any:
        value = self.value(node)
        if isinstance(value, str):
            self.fail(f"{value!r} is a text, not a type", node)
        return value

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self._named(node)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._guarded(node, lambda: self.value(node.left) | self.value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return self._signed(node)
        if isinstance(node, ast.Tuple):
            return tuple(self.value(part) for part in node.elts)
        self.fail("this is not a type", node, "use the class form for constraints")

    def _signed(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if type(operand) is not int:
            self.fail("this is not a type", node)
        return -operand if isinstance(node.op, ast.USub) else operand

    def _named(self, node: ast.Name) -> Any:
        try:
            return self.names.typed(node.id)
        except KeyError:
            self.fail(
                f"the type {node.id!r} is not known",
                node,
                "define or import it where the signature is made, or pass custom_types={...}",
            )

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        try:
            return getattr(owner, node.attr)
        except AttributeError:
            self.fail(f"there is no {ast.unparse(node)!r}", node)

    def _subscript(self, node: ast.Subscript) -> Any:
        owner, index = self.value(node.value), self.value(node.slice)
        return self._guarded(node, lambda: owner[index])

    def _guarded(self, node: ast.expr, make: typing.Callable[[], Any]) -> Any:
        try:
            return make()
        except (TypeError, KeyError, AttributeError, IndexError) as error:
            self.fail(f"{ast.unparse(node)!r} is not a type: {error}", node)
