"""What a run shares with pytest and other plugins: the harness session, conftest hooks, asyncio plugins."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.plugin import options

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session

__all__ = [
    "awaited_by_others",
    "existing_session",
    "keep_awaited_score",
    "session_of",
    "suppress_timeout",
    "uses_lm",
    "warnings_of",
]

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_WARNINGS: pytest.StashKey[list[str]] = pytest.StashKey()
_ASYNC_MARKS = ("asyncio", "anyio", "trio", "twisted")


def session_of(config: pytest.Config) -> Session:
    """Return this process's harness session, made on first use."""
    session = config.stash.get(_SESSION, None)
    if session is None:
        session = config.stash[_SESSION] = _made(config)
    return session


def existing_session(config: pytest.Config) -> Session | None:
    """Return this process's harness session, or None where nothing needed one."""
    return config.stash.get(_SESSION, None)


def _made(config: pytest.Config) -> Session:
    from pytest_lmprog.harness.session import Session

    stops_early = bool(config.getoption("maxfail", 0))
    return Session(
        options.settings(config),
        hooks=_hooks(config),
        on_warning=warnings_of(config).append,
        run_id=_run_id(config),
        one_ahead=stops_early,
        notify=None if hasattr(config, "workerinput") else functools.partial(_notice, config),
    )


def _notice(config: pytest.Config, line: str) -> None:
    """Write a line past the capturing. From any thread: pytest's own reporter is for the main thread only."""
    reports = config.pluginmanager.get_plugin("lmprog-reports")
    if reports is not None and reports.terminal is not None:
        with suppress(OSError):
            os.write(reports.terminal, f"\nlmprog: {line}\n".encode())


def _run_id(config: pytest.Config) -> str:
    worker = getattr(config, "workerinput", None)
    return str(worker["testrunuid"]) if worker else ""


def _hooks(config: pytest.Config) -> Any:
    from pytest_lmprog.harness.hooks import Hooks

    hook = config.hook
    redact = hook.pytest_lmprog_redact
    return Hooks(
        make_lm=lambda model: hook.pytest_lmprog_make_lm(config=config, model=model),
        make_executor=lambda n: hook.pytest_lmprog_make_executor(config=config, max_workers=n),
        redact=(lambda text: redact(config=config, text=text)) if redact.get_hookimpls() else None,
        compiled=lambda unit, result: hook.pytest_lmprog_compiled(config=config, unit=unit, result=result),
    )


def warnings_of(config: pytest.Config) -> list[str]:
    """Return what the harness warned of and nobody has shown yet. Any thread may add to it; pytest's own
    warnings are not for threads."""
    return config.stash.setdefault(_WARNINGS, [])


def uses_lm(item: pytest.Item) -> bool:
    """Whether a plain test asks the session's LM, so that its answers are recorded and replayed."""
    names = getattr(item, "fixturenames", ())
    return "lm" in names or "lm_compile" in names


def awaited_by_others(item: pytest.Item) -> bool:
    """Whether another plugin runs this coroutine test."""
    return any(item.get_closest_marker(name) is not None for name in _ASYNC_MARKS)


def keep_awaited_score(item: Any, take: Callable[[Any], None]) -> None:
    """Make a coroutine test that another plugin runs hand what it returns to ``take``: plugins drop it."""
    if not awaited_by_others(item):
        return
    original = item.obj

    @functools.wraps(original)
    async def kept(*args: Any, **kwargs: Any) -> None:
        take(await original(*args, **kwargs))

    item.obj = kept


def suppress_timeout(item: pytest.Item) -> None:
    """Stop pytest-timeout's clock for this item: compiling is no test's own time."""
    cancel = getattr(item.config.hook, "pytest_timeout_cancel_timer", None)
    if cancel is not None and cancel.get_hookimpls():
        cancel(item=item)
