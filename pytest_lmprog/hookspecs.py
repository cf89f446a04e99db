"""Hooks that a project's conftest.py or another plugin may implement."""

from __future__ import annotations

from typing import Any

import pluggy

__all__ = ["hookspec"]

hookspec = pluggy.HookspecMarker("pytest")


@hookspec(firstresult=True)
def pytest_lmprog_make_lm(config: Any, model: str | None) -> Any:
    """Return the LM to test with, or None. ``model`` is the ``--lm-model`` or ini setting, if any."""


@hookspec(firstresult=True)
def pytest_lmprog_make_teleprompter(config: Any, unit: str) -> Any:
    """Return the teleprompter that compiles ``unit`` (a unit's node id), or None for the marker's."""


@hookspec(firstresult=True)
def pytest_lmprog_load_examples(config: Any, source: Any) -> Any:
    """Return the rows (dicts or Examples) of a dataset ``source``, or None for the built-in readers."""


@hookspec(firstresult=True)
def pytest_lmprog_make_executor(config: Any, max_workers: int) -> Any:
    """Return a ``concurrent.futures.Executor`` (of threads) to run programs on, or None."""


@hookspec(firstresult=True)
def pytest_lmprog_redact(config: Any, text: str) -> str | None:
    """Return ``text`` without what must not be stored, or None to leave it to the next hook."""


@hookspec
def pytest_lmprog_case_finished(config: Any, case: Any) -> None:
    """Called in the process that ran it, after a case is scored. ``case`` is a ``CaseResult``."""


@hookspec
def pytest_lmprog_compiled(config: Any, unit: str, result: Any) -> None:
    """Called after a unit compiled. ``result`` is its ``CompileResult``."""
