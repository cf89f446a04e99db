"""The ``lm_*`` marks as values: read, checked, and found on the nodes they apply to."""

from __future__ import annotations

import difflib
import inspect
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass

__all__ = [
    "MARK_NAMES",
    "ExamplesMark",
    "MetricMark",
    "ProgramMark",
    "RepeatMark",
    "arguments",
    "check_known",
    "closest",
    "is_number",
    "read_mark",
    "require",
    "where",
]

_Mark = TypeVar("_Mark")


@dataclass(frozen=True)
class ProgramMark:
    """``lm_program``. Raises ConfigurationError, as all marks here do, for values that cannot be used."""

    program: Any
    lm: Any = None
    teleprompter: Any = None
    trainset: Any = None
    train_split: str | None = None
    valset: Any = None
    val_split: str | None = None
    teacher: Any = None
    name: str | None = None
    snapshot: str | Path | None = None
    max_calls: int | None = None

    def __post_init__(self) -> None:
        require(_is_program(self.program), "program", "a Module class, instance or factory", self.program)
        for one in self.lm if isinstance(self.lm, list | tuple) else [self.lm]:
            require(one is None or _is_lm(one), "lm", "an LM, a model name or a list of them", one)
        require(self.lm is None or _lms_ok(self.lm), "lm", "not empty", self.lm)
        if self.teleprompter is not None:
            _check_teleprompter(self.teleprompter)
        for split in ("train_split", "val_split"):
            require(_is_name_or_none(getattr(self, split)), split, "text", getattr(self, split))
        require(self.name is None or _is_file_stem(self.name), "name", "a plain file name", self.name)
        require(isinstance(self.snapshot, str | Path | None), "snapshot", "a path", self.snapshot)
        require(self.max_calls is None or _is_count(self.max_calls), "max_calls", "1 or more", self.max_calls)

    @property
    def lms(self) -> tuple[Any, ...]:
        """The models, one unit each; ``(None,)`` where the mark names none."""
        return tuple(self.lm) if isinstance(self.lm, list | tuple) else (self.lm,)


@dataclass(frozen=True)
class ExamplesMark:
    """``lm_examples``."""

    source: Any
    split: str | None = None
    limit: int | None = None
    inputs: str | Iterable[str] | None = None

    def __post_init__(self) -> None:
        known = (str, os.PathLike, list, tuple)
        require(
            isinstance(self.source, known) or callable(self.source),
            "source",
            "a path, a list of examples or a callable that returns one",
            self.source,
        )
        require(_is_name_or_none(self.split), "split", "text", self.split)
        require(self.limit is None or _is_count(self.limit), "limit", "1 or more", self.limit)
        names = self.input_names
        require(names is None or all(isinstance(n, str) for n in names), "inputs", "names", self.inputs)

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """The names of the input fields, or None."""
        if self.inputs is None:
            return None
        return tuple(self.inputs.replace(",", " ").split() if isinstance(self.inputs, str) else self.inputs)


@dataclass(frozen=True)
class MetricMark:
    """``lm_metric``."""

    weight: float = 1
    optimize: bool = True

    def __post_init__(self) -> None:
        good = is_number(self.weight) and math.isfinite(self.weight) and self.weight > 0
        require(good, "weight", "a number above 0", self.weight)
        require(isinstance(self.optimize, bool), "optimize", "True or False", self.optimize)


@dataclass(frozen=True)
class RepeatMark:
    """``lm_repeat``."""

    n: int

    def __post_init__(self) -> None:
        require(_is_count(self.n), "n", "a whole number, 1 or more", self.n)


_KEYWORD_ONLY_AFTER = {"lm_program": 1, "lm_examples": 1, "lm_metric": 2, "lm_gate": 1, "lm_repeat": 1}


def closest(node: pytest.Item | pytest.Collector, name: str) -> pytest.Mark | None:
    """Return the mark that holds for ``node``: its own before its class's, the most derived class's before
    its bases', a class's before the module's.

    Raises ConfigurationError where one object carries it twice."""
    for owner in node.listchain()[::-1]:
        own = [mark for mark in owner.own_markers if mark.name == name]
        if own:
            _require_one(owner, name)
            return own[-1]
    return None


def _require_one(owner: Any, name: str) -> None:
    given = vars(owner.obj).get("pytestmark", []) if hasattr(owner, "obj") else []
    direct = [m for m in (given if isinstance(given, list) else [given]) if getattr(m, "name", "") == name]
    if len(direct) > 1:
        raise ConfigurationError(f"{name} is given {len(direct)} times; one can hold")


def read_mark(kind: type[_Mark], mark: pytest.Mark) -> _Mark:
    """Return ``mark`` as a value of ``kind``. Raises ConfigurationError for unknown or wrong arguments."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    given = arguments(mark, names)
    if names[0] not in given and kind in (ProgramMark, ExamplesMark, RepeatMark):
        raise ConfigurationError(f"{mark.name} lacks {names[0]}=", hint=_HINTS.get(mark.name))
    try:
        return kind(**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{mark.name}: {error.message}", hint=error.hint) from None


_HINTS = {
    "lm_program": "@pytest.mark.lm_program(program=Triage)",
    "lm_examples": '@pytest.mark.lm_examples("tickets.yaml", split="dev")',
    "lm_repeat": "@pytest.mark.lm_repeat(5)",
}


def arguments(mark: pytest.Mark, names: list[str]) -> dict[str, Any]:
    """Return a mark's arguments by name. Raises ConfigurationError for those that it does not have."""
    most = _KEYWORD_ONLY_AFTER[mark.name]
    if len(mark.args) > most:
        raise ConfigurationError(
            f"{mark.name} takes {most} positional argument{'s' if most > 1 else ''}, not {len(mark.args)}",
            hint=f"name the others: {', '.join(f'{n}=' for n in names[most:])}" if names[most:] else None,
        )
    given = dict(zip(names, mark.args, strict=False))
    for name, stated in mark.kwargs.items():
        if name not in names:
            raise ConfigurationError(_unknown(mark.name, name, names))
        if name in given:
            raise ConfigurationError(f"{mark.name} is given {name} twice")
        given[name] = stated
    return given


def _unknown(mark: str, name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"{mark} has no argument {name!r}{guess} (it has: {', '.join(names)})"


def require(good: bool, name: str, wanted: str, got: Any) -> None:
    """Raise ConfigurationError, saying what is ``wanted``, where an argument is not ``good``."""
    if not good:
        raise ConfigurationError(f"{name} must be {wanted}, not {_shown(got)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:70]}... ({type(value).__name__})"


def _is_program(value: Any) -> bool:
    return isinstance(value, Module) or callable(value)


def _is_lm(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or isinstance(value, LanguageModel)


def _lms_ok(value: Any) -> bool:
    return not isinstance(value, list | tuple) or (len(value) > 0 and None not in value)


def _check_teleprompter(value: Any) -> None:
    if isinstance(value, type):
        raise ConfigurationError(
            f"teleprompter must be an instance, not the class {value.__name__}", hint=f"{value.__name__}()"
        )
    good = all(callable(getattr(value, name, None)) for name in ("compile_result", "settings", "bound"))
    require(good, "teleprompter", "a teleprompter such as BootstrapFewShot()", value)


def _is_name_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


def _is_file_stem(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip(". ")) and not set(value) & set('/\\:*?"<>|\0')


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def where(obj: Any, path: Path, rootpath: Path) -> str:
    """Return ``tests/test_x.py:12`` for a class or function, for messages; the file alone where unknown."""
    try:
        shown = os.path.relpath(path, rootpath).replace(os.sep, "/")
    except ValueError:
        shown = str(path)
    try:
        return f"{shown}:{inspect.getsourcelines(obj)[1]}"
    except (OSError, TypeError):
        return shown


def check_known(name: str) -> None:
    """Raise ConfigurationError for a mark ``lm_*`` that there is not."""
    if name not in MARK_NAMES:
        near = difflib.get_close_matches(name, list(MARK_NAMES), n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"there is no mark {name!r}{guess} (there are: {', '.join(MARK_NAMES)})")


MARK_NAMES: Mapping[str, type | None] = {
    "lm_program": ProgramMark,
    "lm_examples": ExamplesMark,
    "lm_metric": MetricMark,
    "lm_gate": None,
    "lm_repeat": RepeatMark,
}
