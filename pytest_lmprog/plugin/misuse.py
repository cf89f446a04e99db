"""Marks that decorated their argument: ``@pytest.mark.lm_program(Triage)`` marks Triage, not the test.

To pytest, a mark whose only argument is a class or function is a decorator. What follows is either an
import that fails or a program that silently carries the mark; both get the same explanation.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Refusal", "checked"]

_FIRST_ARGUMENT = {"lm_program": "program", "lm_examples": "source"}


def checked(collector: pytest.Module | pytest.Class, report: pytest.CollectReport) -> pytest.CollectReport:
    """Return ``report``, turned into a failure where an ``lm_*`` mark landed on what is no test."""
    text = _refusal(report) or _unittest(collector) or _misuse(collector, report)
    if text is not None:
        report.outcome = "failed"
        report.result = []
        report.longrepr = text
    return report


class Refusal(pytest.Collector.CollectError):
    """A mark or dataset that cannot be used: one message, the same from every worker."""


def _refusal(report: pytest.CollectReport) -> str | None:
    excinfo = getattr(getattr(report, "call", None), "excinfo", None)
    return str(excinfo.value) if excinfo is not None and isinstance(excinfo.value, Refusal) else None


def _unittest(collector: Any) -> str | None:
    if type(collector).__name__ != "UnitTestCase":
        return None
    mark = next((m.name for m in collector.iter_markers() if m.name.startswith("lm_")), None)
    if mark is None:
        return None
    place = _line_of(collector.path, rf"^class {collector.name}\b")
    return (
        f"{place}: {mark}: {collector.name} is a "
        "unittest.TestCase, whose tests take no fixtures, hence no example or prediction\n"
        "  hint: make it a plain class"
    )


def _misuse(collector: Any, report: pytest.CollectReport) -> str | None:
    found = next(_misused(collector, report), None)
    if found is None:
        return None
    name, obj, mark = found
    _unmark(obj)
    return _explain(collector.path, name, obj, mark)


def _misused(collector: Any, report: pytest.CollectReport) -> Iterator[tuple[str, Any, str]]:
    failed = report.outcome == "failed"
    for namespace in _namespaces(collector, report):
        for name, obj in list(namespace.items()):
            for mark in _own_marks(obj):
                if _is_no_test(collector, name, obj):
                    yield getattr(obj, "__name__", name), obj, mark
    if failed or isinstance(collector, pytest.Module):
        for cls in _module_classes():
            for mark in _own_marks(cls):
                yield cls.__name__, cls, mark


def _namespaces(collector: Any, report: pytest.CollectReport) -> Iterator[dict[str, Any]]:
    obj = getattr(collector, "_obj", None)
    if obj is not None:
        yield vars(obj)
    excinfo = getattr(getattr(report, "call", None), "excinfo", None)
    if report.outcome != "failed" or excinfo is None:
        return
    for error in (excinfo.value, excinfo.value.__cause__):
        step = getattr(error, "__traceback__", None)
        while step is not None:
            if step.tb_frame.f_code.co_filename == str(collector.path):
                yield step.tb_frame.f_globals
            step = step.tb_next


def _own_marks(obj: Any) -> list[str]:
    if not isinstance(obj, type) and not inspect.isfunction(obj):
        return []
    given = obj.__dict__.get("pytestmark", ())
    marks = given if isinstance(given, list | tuple) else (given,)
    names = (getattr(mark, "name", "") for mark in marks)
    return [name for name in names if isinstance(name, str) and name.startswith("lm_")]


def _is_no_test(collector: Any, name: str, obj: Any) -> bool:
    if isinstance(obj, type):
        return any(base.__module__.startswith("pytest_lmprog.") for base in obj.__mro__)
    return not collector.funcnamefilter(name)


def _module_classes() -> Iterator[type]:
    home = sys.modules.get("pytest_lmprog.programs.module")
    pending: list[type] = [home.Module] if home is not None else []
    while pending:
        cls = pending.pop()
        yield cls
        pending.extend(cls.__subclasses__())


def _unmark(obj: Any) -> None:
    # Otherwise every later test module that imports the program would be told again.
    kept = [m for m in obj.pytestmark if not getattr(m, "name", "").startswith("lm_")]
    obj.pytestmark = kept


def _explain(path: Path, name: str, obj: Any, mark: str) -> str:
    kind = "class" if isinstance(obj, type) else "function"
    argument = _FIRST_ARGUMENT.get(mark)
    place = _line_of(path, rf"\b{mark}\(\s*([\w.]+\.)?{name}\s*,?\s*\)")
    if argument is None or ":" not in place:
        place = place if ":" in place else _line_of(path, rf"^(def|class) {name}\b")
        return f"{place}: {mark} marks the {kind} {name}, which is no test\n  hint: put {mark} on a test"
    return (
        f"{place}: {mark} marks the {kind} {name}, which is no test: to pytest, a mark whose only argument "
        f"is a class or function decorates it\n  hint: @pytest.mark.{mark}({argument}={name})"
    )


def _line_of(path: Path, pattern: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return path.name
    wanted = re.compile(pattern)
    found = next((number for number, line in enumerate(lines, 1) if wanted.search(line)), None)
    return path.name if found is None else f"{path.name}:{found}"
