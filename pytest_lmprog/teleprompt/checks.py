"""Checks that settings of several strategies share: numbers and LMs."""

from __future__ import annotations

import math
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.types import LanguageModel

__all__ = ["check_integer", "check_lm", "check_number"]


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
    if not isinstance(value, int | float) or not math.isfinite(value) or not least <= value <= most:
        raise UsageError(f"{name} must be {_range(least, most)}, not {value!r}")


def check_lm(name: str, value: Any) -> None:
    """Raise UsageError unless ``value`` is an LM or None."""
    if value is not None and not isinstance(value, LanguageModel):
        raise UsageError(f"{name} must be an LM, not {value!r:.80}", hint='lmp.LM("openai/gpt-4o-mini")')


def _range(least: float, most: float) -> str:
    if math.isfinite(most):
        return f"a number from {least:g} to {most:g}"
    return f"a number of {least:g} or more" if math.isfinite(least) else "a finite number"
