"""Texts with reprs of Python objects, made the same in every process: no addresses, sets in sorted order.

Such texts (messages of assertions, errors of tools) enter prompts and cache keys, and the order of a set of
strings is another one in each process.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice

__all__ = ["steady"]

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_OBJECTS = (
    re.compile(rb"<[^<>{}'\"\n]{0,200}>"),  # <Color.RED: 1>
    re.compile(rb"<(?:class |[\w.]+: )(?:'[^'\\\n]*'|\"[^\"\\\n]*\")>"),  # <class 'int'>, <Kind.A: 'a'>
)
_BRACE = re.compile(r"[{}]")
_SET = re.compile(r"\{[^\s{}:,]")
"""What may begin the repr of a set."""
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = frozenset("\\'\"abfnrtvxuUN")
"""What follows a backslash in a repr; at anything else the parser would warn."""

_LOOKED_AT = 20_000
_STARTS, _ENDS, _BRACES, _WORK = 1_000, 100, 500, 200_000


def steady(text: str) -> str:
    """Return ``text`` with ``0x...`` for addresses, and the elements of each repr of a set sorted.

    Sets are found where their elements are literals, calls (``Point(x=1)``) or ``<...>``, within the first
    20,000 characters. What else differs (``hash()`` of a text, random numbers, times) stays."""
    if "0x" in text:
        text = _ADDRESS.sub("0x...", text)
    if "{" not in text:
        return text
    head, rest = text[:_LOOKED_AT], text[_LOOKED_AT:]
    work = _WORK
    starts = [match.start() for match in islice(_SET.finditer(head), _STARTS)]
    for start in reversed(starts):  # inner sets before outer ones
        head, done = _sorted_at(head, start)
        work -= done
        if work <= 0:
            break
    return head + rest


def _sorted_at(text: str, start: int) -> tuple[str, int]:
    """Return ``text``, sorted what begins at ``start`` if it is a set, and how many characters were read."""
    done = 0
    for end in islice(_ends(text, start), _ENDS):
        found = _sorted_set(text[start:end])
        done += end - start
        if found is not None:
            return text[:start] + found + text[end:], done
        if done > _LOOKED_AT:
            break
    return text, done


def _ends(text: str, start: int) -> Iterator[int]:
    """Yield where what begins at ``start`` may end: where braces are balanced; at any, as some are quoted."""
    depth = 0
    for number, brace in enumerate(_BRACE.finditer(text, start)):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            yield brace.end()
        if not depth or number == _BRACES:
            break
    end = start
    while (end := text.find("}", end) + 1) > 0:
        yield end


def _sorted_set(text: str) -> str | None:
    """Return the text of a set, sorted; as it is where it is something else that is whole; else None."""
    if "\n" in text or not _ESCAPED.issuperset(_ESCAPE.findall(text)):
        return None
    source = text.encode("utf-8", "surrogatepass")
    node = _parsed(source, _OBJECTS[0]) or _parsed(source, _OBJECTS[1])
    if node is None:
        return None
    if not isinstance(node, ast.Set) or not all(map(_is_value, node.elts)):
        return text
    parts = [source[part.col_offset : part.end_col_offset] for part in node.elts]
    if b"{%b}" % b", ".join(parts) != source:
        return text  # it is written by somebody, not by repr()
    return "{" + b", ".join(sorted(parts)).decode("utf-8", "surrogatepass") + "}"


def _parsed(source: bytes, objects: re.Pattern[bytes]) -> ast.expr | None:
    """Return the expression, what ``objects`` matches taken for names; None where it is none."""
    try:
        return ast.parse(objects.sub(lambda found: b"_" * len(found[0]), source), mode="eval").body
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _is_value(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp | ast.BinOp):
        return True  # -1, 1+2j
    if isinstance(node, ast.Tuple):
        return all(map(_is_value, node.elts))
    if isinstance(node, ast.Name):
        return node.id in ("nan", "inf") or not node.id.strip("_")  # a masked object
    return isinstance(node, ast.Constant | ast.Call | ast.Attribute)
