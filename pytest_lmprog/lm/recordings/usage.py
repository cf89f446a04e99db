"""What recorded calls took: tokens and cost of the calls that one prompt led to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lmprog.lm.recordings.index import read_index
from pytest_lmprog.lm.recordings.lines import ref_of
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.records import dataclass

__all__ = ["CallFigures", "RecordedCalls"]


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Means over ``calls`` recorded calls: tokens of prompt and answer, and USD; None where not known."""

    calls: int
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cost: float | None = None


class RecordedCalls:
    """The calls in the recording at ``path``; none where there is no file.

    Raises RecordingError for a damaged file."""

    def __init__(self, path: Path) -> None:
        self._index = read_index(path)

    def of_prompt(self, messages: Sequence[Mapping[str, Any]], model: str | None) -> CallFigures | None:
        """Return what calls of ``model`` (any, if None) took whose messages are these, the last one aside:
        it holds the inputs. None where no call is known."""
        static = [ref_of(dict(message)) for message in messages[:-1]]
        found = list(self._with(static, model)) if static else []
        return _figures(found) if found else None

    def _with(self, static: list[str], model: str | None) -> Iterator[LMResponse]:
        last = static[-1].encode("ascii")
        for key, line in sorted(self._index.answers.items()):
            entry = self._index.entry(key) if last in line else None
            if entry is None or model not in (None, entry.request.get("model")):
                continue
            if entry.request.get("messages", [])[:-1] == static:
                yield entry.response


def _figures(responses: Sequence[LMResponse]) -> CallFigures:
    usages = [response.usage for response in responses if response.usage is not None]
    return CallFigures(
        len(responses),
        _mean([usage.prompt_tokens for usage in usages]),
        _mean([usage.completion_tokens for usage in usages]),
        _mean([response.cost for response in responses if response.cost is not None]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
