"""The options of a judge, checked: one clear message for each that cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import ConfigurationError, UsageError
from pytest_lmprog.evaluation.judge_verdicts import Verdicts

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel

__all__ = ["as_lm", "at_least", "checked_name", "checked_params", "checked_pass_at", "naming"]

_OPTIONS = ("inputs", "verdict", "scale", "scores", "votes", "pass_at", "retries", "adapter", "name")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the judge's name before the message of each UsageError within the block."""
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{name}: {error.message}", hint=error.hint) from None


def checked_name(name: Any) -> str:
    """Return ``name``. Raises UsageError where it is no text or empty."""
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"the name of a Judge must be text, not {name!r}")
    return name


def at_least(what: str, value: Any, least: int) -> int:
    """Return ``value``. Raises UsageError where it is no whole number of ``least`` or more."""
    if type(value) is not int or value < least:
        raise UsageError(f"{what} must be a whole number of {least} or more, not {value!r}")
    return value


def checked_pass_at(value: Any, verdicts: Verdicts) -> float:
    """Return the score that passes. Raises UsageError outside [0, 1], with a scale's verdict by its score."""
    if type(value) in (int, float) and 0 <= value <= 1:
        return float(value)
    hint = None
    if verdicts.scale is not None and type(value) in (int, float) and _on(verdicts.scale, value):
        hint = f"the verdict {value:g} scores {verdicts.score(value):g}: pass_at={verdicts.score(value):g}"
    raise UsageError(f"pass_at is a score within [0, 1], not {value!r}", hint=hint)


def _on(scale: tuple[float, float], value: float) -> bool:
    return scale[0] <= value <= scale[1]


def checked_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return the request parameters. Raises UsageError for one that is none, or nearly an option of Judge."""
    from pytest_lmprog.lm.options import checked_params

    for option in params:
        near = difflib.get_close_matches(option, _OPTIONS, 1, 0.8)
        if near:
            raise UsageError(f"there is no option {option!r}", hint=f"did you mean {near[0]!r}?")
    try:
        checked_params(params)
    except ConfigurationError as error:
        raise UsageError(error.message, hint="the options of a Judge are listed by help(lmp.Judge)") from None
    return params


def as_lm(lm: Any) -> LanguageModel | None:
    """Return the LM, made of a model's name if need be. Raises UsageError for anything else."""
    if isinstance(lm, str):
        from pytest_lmprog.lm.client import LM

        return LM(lm)
    if lm is not None and (isinstance(lm, type) or not hasattr(lm, "complete")):
        raise UsageError(f"lm must be an LM or a model's name, not {lm!r:.80}")
    found: LanguageModel | None = lm
    return found
