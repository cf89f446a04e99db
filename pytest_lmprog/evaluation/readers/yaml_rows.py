"""Rows from YAML: text stays text.

Plain scalars are typed as in JSON: ``true``, ``false``, ``null`` (also ``True``, ``TRUE``, ``~`` and nothing,
as in YAML 1.2) and numbers as JSON writes them (also ``.5`` and ``5.``). All else is text: ``no``, ``on``,
``yes``, dates, ``1:30``, ``007``, ``+49``, ``0x1f``, ``1_000``. No tag builds an object.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import yaml

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.table import Table, check_inputs, not_a_list, unknown_key

__all__ = ["loader_on", "read_yaml"]

_TAG = "tag:yaml.org,2002:"
_MAX_NODES = 5_000_000  # after aliases are followed: stops a few lines from growing beyond memory
_IMPLICIT = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    (
        "float",
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|-?\.[0-9]+(?:[eE][-+]?[0-9]+)?",
        "-.0123456789",
    ),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)


def loader_on(base: Any) -> Any:
    """Return a loader class on ``base`` (SafeLoader or CSafeLoader) with the scalar rules above."""
    loader: Any = type("DatasetLoader", (base,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in _IMPLICIT:
        loader.add_implicit_resolver(_TAG + tag, re.compile(rf"^(?:{pattern})$"), list(first))
    return loader


_LOADER = loader_on(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_yaml(text: str, path: str, *, loader: Any = _LOADER) -> Table:
    """Read a list of rows, or a mapping with ``inputs`` and ``examples``."""
    root = _composed(text, path, loader)
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == f"{_TAG}null"):
        return Table([])
    try:
        return _table(root, path)
    except RecursionError:
        raise DataError("nested too deeply", path=path) from None


def _composed(text: str, path: str, loader: Any) -> yaml.Node | None:
    try:
        stream = loader(text)
        try:
            node: yaml.Node | None = stream.get_single_node()
            return node
        finally:
            stream.dispose()
    except yaml.MarkedYAMLError as error:
        _malformed(error, path)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(0, int(error.position))) + 1
        raise DataError(f"malformed YAML: {error.reason}", path=path, line=line) from None
    except RecursionError:
        raise DataError("nested too deeply", path=path) from None


def _malformed(error: yaml.MarkedYAMLError, path: str) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    hint = None
    if "single document" in str(error.context):
        problem, hint = "a second document starts here (---)", "put all rows into one list"
    elif "mapping values are not allowed" in problem:
        hint = "text that holds ': ' must be in quotes"
    elif problem.startswith("found character") or "cannot start any token" in problem:
        hint = "indent with spaces; text that starts with a special character must be in quotes"
    where = f" (column {mark.column + 1})" if mark else ""
    if mark and error.context and error.context_mark and error.context_mark.line < mark.line:
        where += f", {error.context} that starts in line {error.context_mark.line + 1}"
    raise DataError(
        f"malformed YAML: {problem}{where}", path=path, line=mark.line + 1 if mark else None, hint=hint
    ) from None


def _table(root: yaml.Node, path: str) -> Table:
    build = _Builder(path)
    if isinstance(root, yaml.SequenceNode):
        return Table(_rows(root, build))
    if not isinstance(root, yaml.MappingNode):
        not_a_list(f"the top level is {_kind(root)}", path, _line(root))
    inputs, rows = None, None
    for key, value, line in build.pairs(root):
        if key == "inputs":
            inputs = check_inputs(build.value(value), path, line)
        elif key != "examples":
            unknown_key(key, path, line)
        elif isinstance(value, yaml.SequenceNode):
            rows = _rows(value, build)
        else:
            not_a_list(f"'examples' is {_kind(value)}", path, line)
    if rows is None:
        not_a_list("the top level is a mapping without 'examples'", path, _line(root))
    return Table(rows, inputs)


def _rows(node: yaml.SequenceNode, build: _Builder) -> list[tuple[int, Any]]:
    return [(_line(row), build.value(row)) for row in node.value]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "empty" if node.tag == f"{_TAG}null" else f"{node.value!r:.40}"


class _Builder:
    """Nodes to values. Aliased nodes are built once; one that contains itself is refused."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._built: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            self._count(1, node)
            return self._scalar(node)
        if id(node) in self._built:
            value, size = self._built[id(node)]
            self._count(size, node)
            return value
        return self._collection(node)

    def _collection(self, node: yaml.Node) -> Any:
        if id(node) in self._open:
            self._fail("an alias contains itself", node)
        before = self._nodes
        self._count(1, node)
        self._open.add(id(node))
        value = self._sequence(node) if isinstance(node, yaml.SequenceNode) else self._mapping(node)
        self._open.discard(id(node))
        self._built[id(node)] = (value, self._nodes - before)
        return value

    def _sequence(self, node: yaml.Node) -> list[Any]:
        self._check_tag(node, "seq")
        return [self.value(item) for item in node.value]

    def _mapping(self, node: yaml.Node) -> dict[str, Any]:
        self._check_tag(node, "map")
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value, line in self.pairs(node):
            if key == "<<":
                merged = self._merge(value, line)
            else:
                own[key] = self.value(value)
        return {**merged, **own} if merged else own

    def _merge(self, node: yaml.Node, line: int) -> dict[str, Any]:
        value = self.value(node)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise DataError("'<<' merges mappings only", path=self._path, line=line)
        return {key: part[key] for part in reversed(parts) for key in part}

    def pairs(self, node: yaml.Node) -> list[tuple[str, yaml.Node, int]]:
        """Return (key, value node, line) of a mapping; keys are text and distinct."""
        seen: dict[str, int] = {}
        found = []
        for key, value in node.value:
            line = _line(key)
            name = self._key(key)
            if name in seen:
                what = f"the key {name!r} is given twice (first in line {seen[name]})"
                raise DataError(what, path=self._path, line=line)
            seen[name] = line
            found.append((name, value, line))
        return found

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            return str(node.value)
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
        hint = f'put it in quotes: "{shown}"' if isinstance(node, yaml.ScalarNode) else None
        self._fail(f"field names must be text, not {shown or 'nothing'}", node, hint)

    def _scalar(self, node: yaml.Node) -> Any:
        tag = node.tag.removeprefix(_TAG)
        if tag == "str":
            return node.value
        if tag == "null":
            return None
        if tag == "bool":
            return self._bool(node)
        if tag in ("int", "float"):
            return self._number(node, tag)
        self._refuse_tag(node)

    def _bool(self, node: yaml.Node) -> bool:
        if (text := node.value.lower()) not in ("true", "false"):
            self._fail(f"{node.value!r} is neither true nor false", node)
        return bool(text == "true")

    def _number(self, node: yaml.Node, tag: str) -> int | float:
        text = node.value
        if re.fullmatch(r"[-+]?\.(inf|nan)", text.lower()):
            self._fail(f"{text} is not JSON; use null or text", node)
        try:
            number = int(text) if tag == "int" else float(text)
        except ValueError:
            self._fail(f"{text[:40]!r} is no number that can be kept", node)
        if isinstance(number, float) and not math.isfinite(number):
            self._fail(f"the number {text} is too large", node)
        return number

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != _TAG + expected:
            self._refuse_tag(node)

    def _refuse_tag(self, node: yaml.Node) -> NoReturn:
        shown = node.tag.replace(_TAG, "!!")
        self._fail(f"the tag {shown} is not allowed", node, "datasets hold text, numbers, lists and mappings")

    def _count(self, size: int, node: yaml.Node) -> None:
        self._nodes += size
        if self._nodes > _MAX_NODES:
            self._fail(f"aliases make more than {_MAX_NODES:,} values", node)

    def _fail(self, problem: str, node: yaml.Node, hint: str | None = None) -> NoReturn:
        raise DataError(problem, path=self._path, line=_line(node), hint=hint)
