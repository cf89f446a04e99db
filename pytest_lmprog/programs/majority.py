"""majority: the answer that most samples agree on."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_text
from pytest_lmprog.errors import CanonicalError, UsageError
from pytest_lmprog.programs.example import Prediction

__all__ = ["majority", "normalized"]

_DROPPED = str.maketrans("", "", string.punctuation)


def normalized(value: Any) -> Any:
    """Return a text without case, punctuation, articles and extra spaces (None where nothing is left);
    anything else as it is."""
    if not isinstance(value, str):
        return value
    text = unicodedata.normalize("NFD", value).lower().translate(_DROPPED)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()) or None


def majority(
    prediction_or_completions: Any,
    normalize: Callable[[Any], Any] | None = normalized,
    field: str | None = None,
) -> Any:
    """Return the first sample whose value of ``field`` most samples share (self-consistency, Wang et al.,
    arXiv:2203.11171). Of equally many the one that came first wins.

    Parameters
    ----------
    prediction_or_completions: a prediction with ``completions``, or a list of predictions, mappings or
        plain values.
    normalize: what makes values comparable; samples for which it returns None don't vote, unless all do.
        None compares them as they are.
    field: the output to compare; default: the last.
    """
    given = prediction_or_completions
    samples = list(given.completions if isinstance(given, Prediction) else _listed(given))
    if not samples:
        raise UsageError("there is no majority of no completions")
    votes = [_vote(_value(sample, field), normalize) for sample in samples]
    cast = [vote for vote in votes if vote is not None] or votes
    counts = {vote: cast.count(vote) for vote in dict.fromkeys(cast)}
    return samples[votes.index(max(counts, key=lambda vote: counts[vote]))]


def _listed(given: Any) -> Iterable[Any]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise UsageError(f"majority needs completions or a list, not {given!r:.80}")
    return given


def _value(sample: Any, field: str | None) -> Any:
    if not isinstance(sample, Mapping):
        return sample
    name = field or next(reversed(list(sample)), None)
    if name is None or name not in sample:
        raise UsageError(f"a completion has no field {name!r}; its fields are: {', '.join(sample) or 'none'}")
    return sample[name]


def _vote(value: Any, normalize: Callable[[Any], Any] | None) -> Hashable:
    found = value if normalize is None else normalize(value)
    if found is None or isinstance(found, str):
        return found
    try:
        return (type(found).__name__, canonical_text(found, "vote"))
    except CanonicalError:
        return repr(found)
