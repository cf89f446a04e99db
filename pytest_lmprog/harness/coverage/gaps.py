"""Gaps in words: which branch was never taken and which lines were never run, each told once."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pytest_lmprog.harness.coverage.report import FunctionCoverage, Gap

__all__ = ["gaps_of"]

_ELSEWHERE = -1


def gaps_of(source: bytes, functions: Sequence[FunctionCoverage]) -> Iterator[Gap]:
    """Yield what was not run of ``functions``, in the order of lines."""
    text = source.decode("utf-8", "replace").splitlines()
    tests = _tests(source)
    for function in functions:
        if function.never_called:
            missing = function.missing_lines
            yield Gap(function.name, missing[0], missing[-1], why="never called")
            continue
        found = list(_of_function(function, tests))
        for gap in sorted(found, key=lambda gap: (gap.line, gap.to is not None, gap.last)):
            yield Gap(gap.function, gap.line, gap.last, gap.to, _line(text, gap.line), gap.why)


def _line(text: Sequence[str], number: int) -> str:
    return text[number - 1].strip() if 0 < number <= len(text) else ""


def _of_function(function: FunctionCoverage, tests: dict[int, dict[int, str]]) -> Iterator[Gap]:
    spans = _spans(function)
    missing = set(function.missing_lines)
    told: set[tuple[int, int]] = set()
    for line, to in function.missing_branches:
        if line in missing:
            continue
        behind = next((span for span in spans if span[0] == to), None)
        if behind is not None:
            told.add(behind)
        words = tests.get(line, {})
        why = words.get(to) or words.get(_ELSEWHERE, "never taken")
        yield Gap(function.name, line, line, to, why=why + _not_run(behind))
    for first, last in spans:
        if (first, last) not in told:
            yield Gap(function.name, first, last, why="never run")


def _spans(function: FunctionCoverage) -> list[tuple[int, int]]:
    """Return the lines that were not run, as (first, last) with no line between that was."""
    ran = sorted(function.ran_lines)
    spans: list[tuple[int, int]] = []
    for line in function.missing_lines:
        if spans and not any(spans[-1][1] < between < line for between in ran):
            spans[-1] = (spans[-1][0], line)
        else:
            spans.append((line, line))
    return spans


def _not_run(span: tuple[int, int] | None) -> str:
    if span is None:
        return ""
    first, last = span
    return f", {first} not run" if first == last else f", {first}-{last} not run"


def _tests(source: bytes) -> dict[int, dict[int, str]]:
    """Return for the lines of tests where each outcome goes, in words; ``_ELSEWHERE`` stands
    for all but the body."""
    found: dict[int, dict[int, str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.While):
            found[node.lineno] = {_first(node.body): "never true", _ELSEWHERE: "never false"}
        elif isinstance(node, ast.For | ast.AsyncFor):
            found[node.lineno] = {_first(node.body): "never entered", _ELSEWHERE: "never ran to its end"}
        elif isinstance(node, ast.match_case):
            found[node.pattern.lineno] = {_first(node.body): "never matched", _ELSEWHERE: "always matched"}
    return found


def _first(body: Sequence[ast.stmt]) -> int:
    decorators: list[ast.expr] = getattr(body[0], "decorator_list", [])
    return min([body[0].lineno, *(d.lineno for d in decorators)])
