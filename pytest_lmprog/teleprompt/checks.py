"""Checks that settings of several strategies share: numbers, LMs, and those that all name alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import context

__all__ = ["check_integer", "check_lm", "check_number", "check_shared"]


def check_shared(strategy: Any) -> None:
    """Raise UsageError unless the settings that mean the same in every strategy are of their kind: switches,
    ``metric``, ``num_threads`` and ``teacher_settings``."""
    for field in fields(strategy):
        value = getattr(strategy, field.name)
        if field.type == "bool" and not isinstance(value, bool):
            raise UsageError(f"{field.name} must be True or False, not {value!r:.80}")
        if field.name in _SHARED:
            _SHARED[field.name](value)


def _check_metric(value: object) -> None:
    if value is not None and not callable(value) and not isinstance(value, Metric):
        raise UsageError(f"a metric is a callable f(example, prediction, trace=None), not {value!r:.80}")


def _check_threads(value: object) -> None:
    check_integer("num_threads", value, 1, optional=True)


def _check_teacher_settings(value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UsageError(
            f"teacher_settings must be a mapping of settings, not {value!r:.80}",
            hint='{"lm": lmp.LM("openai/gpt-4o")}',
        )
    with context(**value):
        pass  # raises ConfigurationError for what is no setting


_SHARED = {
    "metric": _check_metric,
    "num_threads": _check_threads,
    "teacher_settings": _check_teacher_settings,
}


def check_integer(name: str, value: Any, least: int, *, optional: bool = False) -> None:
    """Raise UsageError unless ``value`` is an integer of ``least`` or more (or None, where ``optional``)."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be an integer of {least} or more, not {value!r}")


def check_number(
    name: str, value: Any, least: float = -math.inf, most: float = math.inf, *, optional: bool = False
) -> None:
    """Raise UsageError unless ``value`` is a finite number from ``least`` to ``most`` (or None, where
    ``optional``)."""
    if value is None and optional:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:
        raise UsageError(f"{name} must be {_range(least, most)}, not {value!r}")


def check_lm(name: str, value: Any) -> None:
    """Raise UsageError unless ``value`` is an LM or None."""
    if value is not None and not isinstance(value, LanguageModel):
        raise UsageError(f"{name} must be an LM, not {value!r:.80}", hint='lmp.LM("openai/gpt-4o-mini")')


def _range(least: float, most: float) -> str:
    if math.isfinite(most):
        return f"a number from {least:g} to {most:g}"
    return f"a number of {least:g} or more" if math.isfinite(least) else "a finite number"
