"""What a judge may say, what each verdict scores, and how several votes become one."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pytest_lmprog.errors import UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Field

__all__ = ["Verdicts", "verdicts_of"]

_KNOWN = ({"pass": 1.0, "fail": 0.0}, {"yes": 1.0, "no": 0.0}, {"correct": 1.0, "incorrect": 0.0})
_MOST_CHOICES = 21


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a judge.

    Parameters
    ----------
    field: the output field ``verdict``, which knows its type.
    scores: of each choice, within [0, 1]; empty on a scale of floats.
    scale: lowest and highest verdict of a numeric scale, or None.
    """

    field: Field
    scores: Mapping[Any, float]
    scale: tuple[float, float] | None = None

    def read(self, value: Any) -> Any:
        """Return ``value`` (a label, a text) as a verdict. Raises ValueError where it is none."""
        verdict = self.field.validate(value)
        self.score(verdict)
        return verdict

    def score(self, verdict: Any) -> float:
        """Return what ``verdict`` scores, within [0, 1]. Raises ValueError for one off the scale."""
        if self.scale is None:
            return self.scores[verdict]
        low, high = self.scale
        if not low <= verdict <= high:
            raise ValueError(f"{verdict!r} is not within {low:g} and {high:g}")
        return float((verdict - low) / (high - low))

    def plain(self, verdict: Any) -> Any:
        """Return ``verdict`` as it stands in files: text, number or truth value."""
        return self.field.to_plain(verdict)

    def decide(self, votes: Sequence[Any]) -> Any:
        """Return the verdict of several votes.

        On a scale it is the median, the lower of the middle two. Else it is the verdict with most votes; of
        those with equally many the one that scores lowest, then the one voted for first."""
        if self.scale is not None:
            return sorted(votes)[(len(votes) - 1) // 2]
        distinct = list(dict.fromkeys(votes))
        return min(distinct, key=lambda verdict: (-votes.count(verdict), self.scores[verdict]))


def scaled(scale: Any) -> Any:
    """Return the type of a verdict from ``scale[0]`` (worst) to ``scale[1]`` (best): integers where both are.

    Raises UsageError for what is no scale."""
    low, high = _bounds(scale)
    if isinstance(low, float) or isinstance(high, float):
        return float
    return Literal[tuple(range(low, high + 1))] if high - low < _MOST_CHOICES else int


def _bounds(scale: Any) -> tuple[Any, Any]:
    numbers = isinstance(scale, tuple | list) and [type(n) in (int, float) for n in scale] == [True, True]
    if not numbers or not all(map(math.isfinite, scale)) or not scale[0] < scale[1]:
        raise UsageError(
            f"scale must be two numbers, the worst verdict and the best, not {scale!r}", hint="scale=(1, 5)"
        )
    return scale[0], scale[1]


def verdicts_of(field: Field, scores: Mapping[Any, float] | None, scale: Any = None) -> Verdicts:
    """Return the verdicts of the output field ``field``.

    Parameters
    ----------
    scores: of each choice; may be left out for bool, pass/fail, yes/no and correct/incorrect.
    scale: lowest and highest number, where the type is one.

    Raises UsageError for a type that cannot be scored, and for choices without a score."""
    if scale is not None:
        if scores is not None:
            raise UsageError("scale= scores each verdict by its place; scores= cannot be given too")
        return Verdicts(field, {}, _bounds(scale))
    choices = _choices(field.annotation)
    if choices is None:
        raise UsageError(
            f"a verdict of type {field.type_text} has no score",
            hint='use verdict=Literal["good", "bad"] with scores={"good": 1, "bad": 0}, or scale=(1, 5)',
        )
    return Verdicts(field, _scores(choices, scores))


def _choices(annotation: Any) -> tuple[Any, ...] | None:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is bool:
        return (True, False)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return tuple(annotation)
    return None


def _scores(choices: tuple[Any, ...], given: Mapping[Any, float] | None) -> dict[Any, float]:
    if given is None:
        return _known_scores(choices)
    if not isinstance(given, Mapping):
        raise UsageError(f"scores must be a mapping from verdicts to scores, not {given!r:.80}")
    by_choice = {_choice(key, choices): value for key, value in given.items()}
    _require_all(choices, by_choice)
    for choice, value in by_choice.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise UsageError(
                f"the score of the verdict {_shown(choice)} must be within [0, 1], not {value!r}"
            )
    return {choice: float(by_choice[choice]) for choice in choices}


def _choice(key: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        is_member = isinstance(choice, enum.Enum)
        if key is choice or (not is_member and type(key) is type(choice) and key == choice):
            return choice
        if is_member and type(key) is type(choice.value) and key == choice.value:
            return choice
    raise UsageError(f"scores: {key!r} is no verdict; the verdicts are: {_listed(choices)}")


def _require_all(choices: tuple[Any, ...], scores: Mapping[Any, float]) -> None:
    missing = [choice for choice in choices if choice not in scores]
    if missing:
        raise UsageError(
            f"the verdict {_shown(missing[0])} has no score",
            hint=f"give each verdict one: scores={{{', '.join(f'{_shown(c)}: ...' for c in choices)}}}",
        )


def _known_scores(choices: tuple[Any, ...]) -> dict[Any, float]:
    if choices == (True, False):
        return {True: 1.0, False: 0.0}
    words = [str(c.value if isinstance(c, enum.Enum) else c).lower() for c in choices]
    for known in _KNOWN:
        if set(words) == set(known):
            return {choice: known[word] for choice, word in zip(choices, words, strict=True)}
    _require_all(choices, {})
    raise AssertionError("a type without choices")


def _shown(choice: Any) -> str:
    return repr(choice.value) if isinstance(choice, enum.Enum) else repr(choice)


def _listed(choices: Iterable[Any]) -> str:
    return ", ".join(map(_shown, choices))
