"""The YAML that snapshots are written in: one pinned, deterministic writer and a strict reader.

Plain scalars are read by the core schema of YAML 1.2, so that ``no``, ``on`` and ``12:30`` are text;
they are written so that YAML 1.1 readers see text too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml
from yaml.emitter import ScalarAnalysis
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from pytest_lmprog.errors import SnapshotError

__all__ = ["Inline", "compose", "compose_plain", "dump"]

_CORE = "tag:yaml.org,2002:"
_STR = f"{_CORE}str"
_CORE_SCHEMA = re.compile(
    r"(?P<null>~|null|Null|NULL|)|(?P<bool>true|True|TRUE|false|False|FALSE)|(?P<int>[-+]?[0-9]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
_MAY_BE_NO_TEXT = frozenset("~nNtTfF-+.0123456789")


def _resolved(text: str) -> str:
    """Return the tag of a plain scalar by the core schema of YAML 1.2."""
    if text and text[0] not in _MAY_BE_NO_TEXT:
        return _STR
    found = _CORE_SCHEMA.fullmatch(text)
    return _STR if found is None else f"{_CORE}{found.lastgroup}"


_MAX_DEPTH = 100
_LONG = 100
"""A text without line breaks that is longer than this is written as a block."""


class Inline(dict[str, Any]):
    """A mapping that is written on one line, in braces."""


class _Dumper(yaml.SafeDumper):
    """The pure-Python emitter: libyaml's writes other text for the same data."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless  # lists stand indented under their key
        super().increase_indent(flow, False)

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if kind is ScalarNode and tag == _STR and implicit[0]:
            return _resolved(value)
        return tag

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        analysis = super().analyze_scalar(scalar)
        if _fits_block(scalar):
            analysis.allow_block = True
        return analysis

    def choose_scalar_style(self) -> Any:
        style = super().choose_scalar_style()
        if style != "'":
            return style
        event: Any = self.event
        return style if _reads_better_single_quoted(event.value) else '"'


@cache
def _not_in_block() -> re.Pattern[str]:
    """What no block holds; compiled only where snapshots are written: it takes milliseconds."""
    return re.compile(
        r"[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]"
    )


_BLOCK_HAZARD = re.compile(r"[ \t]$|^[ ]*\t|\A[ \n]", re.MULTILINE)


def _fits_block(text: str) -> bool:
    """Return whether a ``|`` block gives the text back: no control characters or foreign line breaks,
    no white space at a line's end, no tab at its start, no space or line break at the beginning."""
    return bool(text.strip()) and not _not_in_block().search(text) and not _BLOCK_HAZARD.search(text)


def _reads_better_single_quoted(text: str) -> bool:
    """Where double quotes would need escapes, and single ones can hold the text: JSON stays readable."""
    return ('"' in text or "\\" in text) and "\n" not in text and not _not_in_block().search(text)


def _represent_str(dumper: _Dumper, value: str) -> ScalarNode:
    wants_block = "\n" in value or len(value) > _LONG
    style = "|" if wants_block and _fits_block(value) else None
    return dumper.represent_scalar(_STR, value, style=style)


def _represent_inline(dumper: _Dumper, value: Inline) -> MappingNode:
    return dumper.represent_mapping(f"{_CORE}map", value.items(), flow_style=True)


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(Inline, _represent_inline)


def dump(data: Any) -> str:
    """Return the YAML text of plain data: the keys in their order, LF, never an alias.

    ``Inline`` mappings stand on one line."""
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=float("inf"),
        line_break="\n",
    )


class _PythonParser(Reader, Scanner, Parser):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def _fast_parser() -> Any:
    """libyaml's parser where PyYAML has it: many times faster, and replay reads snapshots at each start."""
    try:
        from yaml._yaml import CParser  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return CParser


def compose(text: str, path: str, *, pure: bool = False) -> Node:
    """Return the node tree of the one document in ``text``. ``pure``: without libyaml.

    Raises SnapshotError, with the line, for bad YAML, aliases and absurd nesting."""
    parser = (None if pure else _fast_parser()) or _PythonParser
    try:
        return _composed(parser(text), path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "it cannot be read"
        raise _bad_yaml(problem, path, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise _bad_yaml(str(error).splitlines()[0], path, None) from None


def _composed(parser: Any, path: str) -> Node:
    """Build the tree without recursion: yaml's own composers overflow the stack on deep nesting."""
    roots: list[Node] = []
    children = roots
    outer: list[tuple[Node, list[Node]]] = []
    while (event := parser.get_event()) is not None:
        kind = type(event)
        if kind is ScalarEvent:
            start, end = event.start_mark, event.end_mark
            children.append(ScalarNode(_scalar_tag(event), event.value, start, end, style=event.style))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            outer.append((_collection(event), children))
            children = []
            if len(outer) > _MAX_DEPTH:
                raise _bad_yaml("nested too deeply", path, _line(event))
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            node, around = outer.pop()
            node.value = children if kind is SequenceEndEvent else _pairs(children)
            children = around
            children.append(node)
        else:
            _check_allowed(event, path, bool(roots))
    if not roots:
        raise SnapshotError("the file is empty", path=path, hint="restore it, or compile again")
    return roots[0]


_PLAIN_LINE = re.compile(
    r"""(?P<indent>[ ]*)(?:"(?P<quoted>[^"\\]*)"|(?P<key>[\w*<][^"'#\n]*?)):"""
    r"""(?:[ ](?:"(?P<text>[^"\\]*)"|(?P<plain>[\w.+~/-][^"'#\n]*)|(?P<flow>[\[{].*)))?"""
)


def compose_plain(text: str, path: str) -> Node | None:
    """Return the node tree of ``text`` as ``dump`` wrote it, where that is only nested mappings of short
    texts and numbers: ten times faster than ``compose``, and without positions. None for anything else."""
    root = MappingNode(f"{_CORE}map", [], None, None)
    within: list[tuple[int, MappingNode]] = [(-1, root)]
    for line in text.split("\n"):
        if not line or line[0] == "#":
            continue
        found = _PLAIN_LINE.fullmatch(line)
        if found is None:
            return None
        indent, quoted, key, words, plain, flow = found.groups()
        depth = len(indent)
        while within[-1][0] >= depth:
            within.pop()
        value: Node
        if flow is not None:
            value = compose(flow, path)
        elif words is None and plain is None:
            value = MappingNode(f"{_CORE}map", [], None, None)
        else:
            tag = _STR if plain is None else _resolved(plain)
            value = ScalarNode(tag, words if plain is None else plain, None, None)
        name = ScalarNode(_STR, key if quoted is None else quoted, None, None)
        within[-1][1].value.append((name, value))
        if isinstance(value, MappingNode) and flow is None:
            within.append((depth, value))
    return root


def _collection(event: Any) -> Node:
    made, tag = (SequenceNode, "seq") if type(event) is SequenceStartEvent else (MappingNode, "map")
    return made(event.tag or f"{_CORE}{tag}", [], event.start_mark, event.end_mark)


def _check_allowed(event: Any, path: str, has_root: bool) -> None:
    if isinstance(event, AliasEvent):
        raise SnapshotError("aliases (*name) are not allowed in a snapshot", path=path, line=_line(event))
    if isinstance(event, DocumentStartEvent) and has_root:
        raise _bad_yaml("a second document begins here", path, _line(event))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _pairs(children: list[Node]) -> list[tuple[Node, Node]]:
    return list(zip(children[::2], children[1::2], strict=True))


def _scalar_tag(event: ScalarEvent) -> str:
    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    plain = event.implicit[0] and event.tag is None
    return _resolved(event.value) if plain else _STR


def _bad_yaml(problem: str, path: str, line: int | None) -> SnapshotError:
    return SnapshotError(f"not valid YAML: {problem}", path=path, line=line)
