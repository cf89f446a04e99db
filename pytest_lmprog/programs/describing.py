"""A program in words, for prompts that are about it: its code, its predictors, values. Pure."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError

if TYPE_CHECKING:
    from pytest_lmprog.programs.predict import Predict

__all__ = ["as_text", "code_of", "described"]


def code_of(thing: Any) -> str:
    """Return the source of a project's class or function (of a ``@program``: that of the function); of
    what has none, or comes with this package, its name."""
    thing = getattr(thing, "__wrapped__", thing)
    name = str(getattr(thing, "__qualname__", type(thing).__qualname__))
    if str(getattr(thing, "__module__", "")).partition(".")[0] == "pytest_lmprog":
        return name
    try:
        return textwrap.dedent(inspect.getsource(thing)).rstrip()
    except (OSError, TypeError):
        return name


def described(predictors: Iterable[tuple[str, Predict]]) -> str:
    """Return what each of (path, predictor) takes, puts out and is told to do."""
    return "\n\n".join(
        f"Module {name}\n  takes and puts out: {predictor.signature.text}\n"
        f"  instructions: {predictor.signature.instructions}"
        for name, predictor in predictors
    )


def as_text(value: Any) -> str:
    """Return ``value`` as JSON, or where it has no canonical form as ``str`` shows it."""
    try:
        return json.dumps(plain(value), ensure_ascii=False, indent=2)
    except CanonicalError:
        return str(value)
