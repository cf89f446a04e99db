"""Calibration: how far a judge agrees with people on goldens, examples that people have judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import DataError, JudgeError, UsageError
from pytest_lmprog.evaluation.agreement import cohen_kappa, confusion, spearman
from pytest_lmprog.evaluation.comparing import LABEL
from pytest_lmprog.evaluation.judge_verdicts import Verdicts
from pytest_lmprog.programs.example import Example
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.datasets import Dataset
    from pytest_lmprog.evaluation.judge import Judge
    from pytest_lmprog.evaluation.judgement import Judgement

__all__ = ["LABEL", "NO_VERDICT", "Calibration", "Compared", "calibrate", "label_of"]

NO_VERDICT = "no verdict"
"""Stands in figures for an answer that could not be read."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One golden: what people and the judge say of it, as plain data (text, number, truth value).

    ``judge`` is None where it gave no verdict; ``reason`` are its words."""

    golden: str
    people: Any
    judge: Any
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return type(self.people) is type(self.judge) and bool(self.people == self.judge)

    @property
    def text(self) -> str:
        """Both verdicts and the reason in words."""
        said = "gave no verdict" if self.judge is None else f"says {self.judge!r}"
        why = f": {self.reason}" if self.reason else ""
        return f"{self.golden}: people say {self.people!r}, the judge {said}{why}"


@dataclass(frozen=True)
class Calibration:
    """How far a judge agrees with people. ``goldens`` are in the order of the data."""

    goldens: tuple[Compared, ...]

    @property
    def count(self) -> int:
        """Number of goldens."""
        return len(self.goldens)

    @property
    def agreement(self) -> float:
        """Share of the goldens on which both say the same; no verdict is a disagreement."""
        return sum(g.agrees for g in self.goldens) / self.count if self.goldens else 0.0

    @property
    def disagreements(self) -> tuple[Compared, ...]:
        """The goldens on which they differ."""
        return tuple(g for g in self.goldens if not g.agrees)

    @property
    def unread(self) -> int:
        """Number of goldens on which the judge gave no verdict."""
        return sum(g.judge is None for g in self.goldens)

    @cached_property
    def is_scale(self) -> bool:
        """Whether the verdicts are numbers on a scale."""
        said = [value for g in self.goldens for value in (g.people, g.judge) if value is not None]
        return bool(said) and all(type(value) in (int, float) for value in said)

    @property
    def _read(self) -> list[tuple[float, float]]:
        return [(g.people, g.judge) for g in self.goldens if g.judge is not None]

    @cached_property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance. On a scale weighted by squared distance, over the goldens
        with a verdict. None where it is not defined (see ``agreement.cohen_kappa``)."""
        if self.is_scale:
            pairs = self._read
            return cohen_kappa(pairs, places={value: value for pair in pairs for value in pair})
        return cohen_kappa([(g.people, NO_VERDICT if g.judge is None else g.judge) for g in self.goldens])

    @cached_property
    def confusion(self) -> dict[str, dict[str, int]]:
        """Counts by people's verdict, then the judge's, as text, both in order."""
        counts = confusion([(_word(g.people), _word(g.judge)) for g in self.goldens])
        return {people: dict(sorted(row.items())) for people, row in sorted(counts.items())}

    @property
    def mean_error(self) -> float | None:
        """Mean absolute difference of the verdicts on a scale, in its units; None for other verdicts."""
        if not self.is_scale or not self._read:
            return None
        return sum(abs(a - b) for a, b in self._read) / len(self._read)

    @property
    def spearman(self) -> float | None:
        """Rank correlation of the verdicts on a scale, or None."""
        return spearman(self._read) if self.is_scale else None

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain data, those that are not defined left out; rounded, because they are
        written into files."""
        values: dict[str, Any] = {
            "goldens": self.count,
            "agreement": _rounded(self.agreement),
            "kappa": _rounded(self.kappa),
            "mean_error": _rounded(self.mean_error),
            "spearman": _rounded(self.spearman),
            "no_verdict": self.unread or None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def check(self, *, min_agreement: float | None = None, min_kappa: float | None = None) -> None:
        """Raise AssertionError, listing the disagreements, where a figure is below what is asked."""
        for name, least, value in (
            ("agreement", min_agreement, self.agreement),
            ("kappa", min_kappa, self.kappa),
        ):
            if least is not None and (value is None or value < least - 1e-9):
                shown = "not defined" if value is None else f"{value:.3f}"
                raise AssertionError(f"the judge's {name} is {shown}, below {least:g}\n{self}")

    def __str__(self) -> str:
        lines = [self.summary, *(f"  {g.text}" for g in self.disagreements[:20])]
        more = len(self.disagreements) - 20
        return "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])

    @property
    def summary(self) -> str:
        """The figures in one line of words."""
        named = {"mean_error": "mean error", "no_verdict": NO_VERDICT}
        figures = self.figures()
        count = figures.pop("goldens")
        parts = [
            f"{named.get(n, n)} {v:.3f}" if isinstance(v, float) else f"{named.get(n, n)} {v}"
            for n, v in figures.items()
        ]
        return f"{', '.join(parts)} on {count} golden{'' if count == 1 else 's'}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6) + 0.0


def _word(verdict: Any) -> str:
    if verdict is None:
        return NO_VERDICT
    return str(verdict).lower() if isinstance(verdict, bool) else str(verdict)


def label_of(label: Any, verdicts: Verdicts, field: str = LABEL) -> Any:
    """Return people's verdict: ``label``, or the field of an Example. Raises UsageError for what is none."""
    value = label
    if isinstance(label, Mapping):
        if field not in label:
            raise UsageError(
                f"the golden has no field {field!r}; its fields are: {', '.join(label) or 'none'}",
                hint=f"people's verdict stands in {field!r}",
            )
        value = label[field]
    try:
        return verdicts.read(value)
    except (ValueError, KeyError) as error:
        raise UsageError(f"people's verdict {value!r:.60} is none of the judge's: {error}") from None


def calibrate(judge: Judge, goldens: Any, label: str = LABEL) -> Calibration:
    """Ask ``judge`` about each golden. See ``Judge.calibrate``."""
    from pytest_lmprog.evaluation.voting import in_parallel

    data = _loaded(goldens)
    labels = [_labelled(data, index, judge.verdicts, label) for index in range(len(data))]
    rows = [_inputs(judge, example, label) for example in data]

    def one(index: int) -> Compared:
        people = judge.verdicts.plain(labels[index])
        try:
            return compared(data[index].id, people, judge(**rows[index]))
        except JudgeError as error:
            return Compared(data[index].id, people, None, error.reason)

    if judge.in_parallel:
        return Calibration(tuple(in_parallel(one, len(data))))
    return Calibration(tuple(map(one, range(len(data)))))


def compared(golden: str, people: Any, judgement: Judgement) -> Compared:
    """Return what became of one golden; ``people`` is plain."""
    return Compared(golden, people, judgement.plain_verdict, judgement.feedback)


def _loaded(goldens: Any) -> Dataset:
    from pytest_lmprog.evaluation.datasets import load_dataset

    return load_dataset(goldens, base=Path.cwd())


def _labelled(data: Dataset, index: int, verdicts: Verdicts, label: str) -> Any:
    try:
        return label_of(data.examples[index], verdicts, label)
    except UsageError as error:
        place, line = data.place, data.lines[index]
        raise _located(place, line, error) from None


def _located(place: Any, line: int, error: UsageError) -> DataError:
    located: DataError = place.error(error.message, line, error.hint)
    return located


def _inputs(judge: Judge, example: Example, label: str) -> dict[str, Any]:
    signature = judge.signature
    names: Iterable[str] = [n for n in example if n != label]
    if signature is not None:
        names = [name for name in signature.input_fields if name in example]
    elif example.input_names is not None:
        names = [name for name in names if name in example.input_names]
    return {name: example[name] for name in names}
