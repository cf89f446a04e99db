"""The YAML that snapshots are written in: one pinned, deterministic writer and a strict reader.

Plain scalars are read by the core schema of YAML 1.2, so that ``no``, ``on`` and ``12:30`` are text;
they are written so that YAML 1.1 readers see text too.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.emitter import ScalarAnalysis
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from pytest_lmprog.errors import SnapshotError

__all__ = ["Inline", "compose", "dump"]

_STR = "tag:yaml.org,2002:str"
_CORE = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    (
        "tag:yaml.org,2002:bool",
        re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
        list("tTfF"),
    ),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    ),
)
_LONG = 100
"""A text without line breaks that is longer than this is written as a block."""


class _CoreResolver(BaseResolver):
    """Resolves plain scalars by the core schema."""


for _tag, _pattern, _first in _CORE:
    _CoreResolver.add_implicit_resolver(_tag, _pattern, _first)


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
            return _core.resolve(ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
        return tag

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        analysis = super().analyze_scalar(scalar)
        if _fits_block(scalar):
            analysis.allow_block = True
        return analysis

    def choose_scalar_style(self) -> Any:
        style = super().choose_scalar_style()
        return '"' if style == "'" else style


_core = _CoreResolver()

_NOT_IN_BLOCK = re.compile(
    r"[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]"
)
_BLOCK_HAZARD = re.compile(r"[ \t]$|^[ ]*\t|\A[ \n]", re.MULTILINE)


def _fits_block(text: str) -> bool:
    """Return whether a ``|`` block gives the text back: no control characters or foreign line breaks,
    no white space at a line's end, no tab at its start, no space or line break at the beginning."""
    return bool(text.strip()) and not _NOT_IN_BLOCK.search(text) and not _BLOCK_HAZARD.search(text)


def _represent_str(dumper: _Dumper, value: str) -> ScalarNode:
    wants_block = "\n" in value or len(value) > _LONG
    style = "|" if wants_block and _fits_block(value) else None
    return dumper.represent_scalar(_STR, value, style=style)


def _represent_inline(dumper: _Dumper, value: Inline) -> MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)


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


class _PythonLoader(Reader, Scanner, Parser, Composer, _CoreResolver):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _CoreResolver.__init__(self)


def _fast_loader() -> Any:
    """libyaml's parser where PyYAML has it: ten times faster, and replay reads snapshots at each start."""
    try:
        from yaml._yaml import CParser  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None

    class CLoader(CParser, _CoreResolver):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _CoreResolver.__init__(self)

    return CLoader


def compose(text: str, path: str, *, pure: bool = False) -> Node:
    """Return the node tree of the one document in ``text``. Raises SnapshotError with the line."""
    loader = (None if pure else _fast_loader()) or _PythonLoader
    try:
        node = loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _bad_yaml(error.problem or "it cannot be read", path, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise _bad_yaml(str(error).splitlines()[0], path, None) from None
    except RecursionError:
        raise _bad_yaml("nested too deeply", path, None) from None
    if node is None:
        raise SnapshotError("the file is empty", path=path, hint="restore it, or compile again")
    return node


def _bad_yaml(problem: str, path: str, line: int | None) -> SnapshotError:
    return SnapshotError(f"not valid YAML: {problem}", path=path, line=line)
