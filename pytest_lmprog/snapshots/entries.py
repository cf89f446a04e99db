"""Strict access to a YAML document: every value is asked for by type, every error names its line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.snapshots.yamlform import compose, compose_plain

__all__ = ["Entry", "read_entry", "read_plain_entry"]

_CORE = "tag:yaml.org,2002:"


def read_entry(text: str, path: str, *, pure: bool = False) -> Entry:
    """Return the root of the YAML document ``text``. ``pure``: without libyaml.

    Raises SnapshotError for bad YAML, aliases and absurd nesting."""
    return Entry(compose(text, path, pure=pure), path, "the file")


def read_plain_entry(text: str, path: str) -> Entry | None:
    """Return the root of ``text`` as it was written, read fast; None where that takes a reader of all YAML.
    Its errors have no line."""
    node = compose_plain(text, path)
    return None if node is None else Entry(node, path, "the file")


def _failure(node: Node, path: str, problem: str, hint: str | None = None) -> SnapshotError:
    mark = node.start_mark
    return SnapshotError(problem, path=path, line=None if mark is None else int(mark.line) + 1, hint=hint)


class Entry:
    """One value of the document. ``what`` names it in errors (``predictors.classify.demos``)."""

    __slots__ = ("_node", "_path", "what")

    def __init__(self, node: Node, path: str, what: str) -> None:
        self._node = node
        self._path = path
        self.what = what

    def fail(self, problem: str, *, hint: str | None = None) -> SnapshotError:
        """Return the error that ``problem`` is wrong with this value, to be raised."""
        return _failure(self._node, self._path, f"{self.what} {problem}", hint)

    @property
    def is_mapping(self) -> bool:
        """Whether the value has keys."""
        return isinstance(self._node, MappingNode)

    def scalar(self) -> Any:
        """Return a text, number, truth value or None, read by the core schema."""
        node = self._node
        if not isinstance(node, ScalarNode):
            raise self.fail("must be one value, not a list or mapping")
        kind = str(node.tag).removeprefix(_CORE)
        if kind == "str":
            return node.value
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() == "true"
        if kind in ("int", "float"):
            return self._number(kind, node.value)
        raise self.fail(f"has the tag {node.tag}, which is not allowed in a snapshot")

    def _number(self, kind: str, text: str) -> int | float:
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError as error:
            raise self.fail(f"cannot be read as a number: {error}") from None

    def text(self) -> str:
        """Return a text. Raises SnapshotError for anything else."""
        value = self.scalar()
        if not isinstance(value, str):
            raise self.fail(f"must be text, not {value!r}", hint="put it in quotes")
        return value

    def choice(self, allowed: Collection[str]) -> Any:
        """Return a text that is one of ``allowed``."""
        value = self.text()
        if value not in allowed:
            raise self.fail(f"must be one of {', '.join(sorted(allowed))}, not {value!r}")
        return value

    def integer(self, *, minimum: int | None = 0) -> int:
        """Return a whole number of ``minimum`` or more."""
        value = self.scalar()
        if type(value) is not int or (minimum is not None and value < minimum):
            raise self.fail(f"must be a whole number, not {value!r}")
        return value

    def number(self) -> float:
        """Return a number within [0, 1]."""
        value = self.scalar()
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise self.fail(f"must be a number within [0, 1], not {value!r}")
        return float(value)

    def boolean(self) -> bool:
        """Return true or false."""
        value = self.scalar()
        if type(value) is not bool:
            raise self.fail(f"must be true or false, not {value!r}")
        return value

    def items(self) -> list[Entry]:
        """Return the items of a list."""
        if not isinstance(self._node, SequenceNode):
            raise self.fail("must be a list")
        return [Entry(n, self._path, f"{self.what}[{i}]") for i, n in enumerate(self._node.value)]

    def mapping(self) -> dict[str, Entry]:
        """Return the values of a mapping by key. A key is text, quoted or not; none may come twice."""
        if not isinstance(self._node, MappingNode):
            raise self.fail("must be a mapping (key: value)")
        entries: dict[str, Entry] = {}
        for key_node, node in self._node.value:
            key = self._key(key_node)
            if key in entries:
                raise _failure(key_node, self._path, f"{self.what} has the key {key!r} twice")
            entries[key] = Entry(node, self._path, self._name_of(key))
        return entries

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise _failure(node, self._path, f"a key of {self.what} must be text")
        return str(node.value)

    def _name_of(self, key: str) -> str:
        return key if self.what == "the file" else f"{self.what}.{key}"

    def record(self, *, required: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Entry]:
        """Return a mapping that has all of ``required`` and nothing beyond ``optional``."""
        entries = self.mapping()
        known = [*required, *optional]
        for key, entry in entries.items():
            if key not in known:
                raise self._unknown(key, known, entry)
        for key in required:
            if key not in entries:
                raise self.fail(f"lacks the key {key!r}")
        return entries

    def _unknown(self, key: str, known: list[str], entry: Entry) -> SnapshotError:
        near = get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys here are: {', '.join(known)}"
        return _failure(entry._node, self._path, f"{self.what} has an unknown key {key!r}", hint)

    def plain(self) -> Any:
        """Return the value as plain data, however deep."""
        if isinstance(self._node, SequenceNode):
            return [item.plain() for item in self.items()]
        if isinstance(self._node, MappingNode):
            return {key: entry.plain() for key, entry in self.mapping().items()}
        return self.scalar()

    def plain_mapping(self) -> dict[str, Any]:
        """Return a mapping as plain data."""
        return {key: entry.plain() for key, entry in self.mapping().items()}

    def texts(self) -> dict[str, str]:
        """Return a mapping whose values are texts."""
        return {key: entry.text() for key, entry in self.mapping().items()}
