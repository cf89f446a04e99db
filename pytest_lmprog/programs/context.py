"""Which LM and adapter a program uses: process-wide defaults, and overrides for a block of code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field, fields, replace
from typing import Any

from pytest_lmprog.adapters import Adapter, ChatAdapter
from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.records import dataclass

__all__ = [
    "Settings",
    "configure",
    "context",
    "current",
    "listener",
    "required_lm",
    "settings",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """What predictors look up when they run.

    Parameters
    ----------
    lm: the LM, or None where none is configured.
    adapter: the adapter, or None: JSON where the model can be constrained, else chat.
    rm: the retriever.
    rollout: number of the sampled answer that this run asks for.
    params: request parameters over the LM's own and under a predictor's (``{"temperature": 1.0}``).
    max_backtracks: how often a predictor's call is retried for ``lmp.Assert`` and ``lmp.Suggest``.
    """

    lm: LanguageModel | None = None
    adapter: Adapter | None = None
    rm: Any = None
    rollout: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    max_backtracks: int = 2


_NAMES = tuple(f.name for f in fields(Settings))
_overrides: ContextVar[Settings | None] = ContextVar("lmprog_settings", default=None)


stand_ins: ContextVar[Mapping[int, Any] | None] = ContextVar("lmprog_stand_ins", default=None)
"""While a function's program runs: by the id of a predictor that the function uses, the one that answers."""


class _Default:
    settings = Settings()


def current() -> Settings:
    """Return the settings that hold here and now."""
    return _overrides.get() or _Default.settings


def configure(**changes: Any) -> None:
    """Change the process-wide defaults. Threads see them too.

    Parameters
    ----------
    changes: ``lm``, ``adapter``, ``rm``, ``rollout``, ``params``; see ``Settings``.

    Raises ConfigurationError for an unknown name or an LM that is a string."""
    _Default.settings = _changed(_Default.settings, changes)


@contextmanager
def context(**changes: Any) -> Iterator[Settings]:
    """Override settings within the block, for this thread or task and those started from it by copy.

    Parameters
    ----------
    changes: ``lm``, ``adapter``, ``rm``, ``rollout``, ``params``; see ``Settings``.

    Raises ConfigurationError for an unknown name or an LM that is a string."""
    token = _overrides.set(_changed(current(), changes))
    try:
        yield current()
    finally:
        _overrides.reset(token)


def _changed(base: Settings, changes: Mapping[str, Any]) -> Settings:
    unknown = sorted(set(changes) - set(_NAMES))
    if unknown:
        raise ConfigurationError(f"unknown setting {unknown[0]!r}; there are: {', '.join(_NAMES)}")
    if changes.get("lm") is not None:
        _check_lm(changes["lm"])
    if not hasattr(changes.get("adapter") or ChatAdapter, "parse"):
        raise ConfigurationError(
            f"adapter must be an adapter, not {changes['adapter']!r}", hint="use adapter=lmp.ChatAdapter()"
        )
    most = changes.get("max_backtracks", 0)
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ConfigurationError(f"max_backtracks must be 0 or more, not {most!r}")
    return replace(base, **changes)


def _check_lm(lm: Any) -> None:
    if isinstance(lm, str):
        raise ConfigurationError(f"lm must be an LM, not a name: {lm!r}", hint=f'use lm=lmp.LM("{lm}")')
    if not hasattr(lm, "complete") or isinstance(lm, type):
        raise ConfigurationError(f"lm must be an LM, not {lm!r}", hint='use lm=lmp.LM("openai/gpt-4o-mini")')


listener: ContextVar[Any] = ContextVar("lmprog_stream", default=None)
"""Who listens to the predictors that run here (see ``programs.listening``), or None."""


def required_lm(own: LanguageModel | None = None) -> LanguageModel:
    """Return ``own`` or the configured LM. Raises ConfigurationError with a line to copy."""
    lm = own if own is not None else current().lm
    if isinstance(lm, str):
        _check_lm(lm)
    if lm is None:
        raise ConfigurationError(
            "no LM is configured",
            hint='lmp.configure(lm=lmp.LM("openai/gpt-4o-mini")), or under pytest --lm-model=NAME',
        )
    return lm


class _SettingsView:
    """``lmp.settings``: reads the current settings; ``.configure`` and ``.context`` change them."""

    configure = staticmethod(configure)
    context = staticmethod(context)

    def __getattr__(self, name: str) -> Any:
        if name in _NAMES:
            return getattr(current(), name)
        raise AttributeError(f"no setting {name!r}; there are: {', '.join(_NAMES)}")

    def __repr__(self) -> str:
        return repr(current())


settings = _SettingsView()
