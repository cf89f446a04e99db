"""Judgement: what a judge says of one case. A Prediction that is true where it passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pytest_lmprog.programs.example import Completions, Example, Prediction

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.judge_verdicts import Verdicts

__all__ = ["Judgement", "judgement_of"]

_SHOWN = 400


class Judgement(Prediction):
    """What a judge says.

    Fields
    ------
    verdict: of the judge's type (``"pass"``, ``4``, ``Tone.POLITE``).
    reason: why, in the words of the first vote for the verdict.
    score: what the verdict scores, within [0, 1].
    passed: whether that is ``pass_at`` or more; the judgement is true or false accordingly.
    votes: every vote's verdict, in order; ``completions`` has their reasons too.
    agreement: the share of the votes that are the verdict, within (0, 1].

    Usable in a metric as it is: ``assert judge(...)``, ``return judge(...)`` (score and reason), or
    ``record_score(j.score, feedback=j.reason)``.
    """

    __slots__ = ("_verdicts",)
    _verdicts: Verdicts

    @property
    def feedback(self) -> str:
        """The reason: what ``as_metric`` and optimizers read beside the score."""
        return str(self._fields["reason"])

    @property
    def mean_score(self) -> float:
        """The mean of the votes' scores: a finer figure than the verdict's own where votes differ."""
        scores = [self._verdicts.score(vote) for vote in self._fields["votes"]]
        return sum(scores) / len(scores)

    def __bool__(self) -> bool:
        return bool(self._fields["passed"])

    def __float__(self) -> float:
        return float(self._fields["score"])

    def __repr__(self) -> str:
        reason = self.feedback if len(self.feedback) <= _SHOWN else f"{self.feedback[: _SHOWN - 4]} ..."
        votes = self._fields["votes"]
        share = f", {votes.count(self._fields['verdict'])} of {len(votes)} votes" if len(votes) > 1 else ""
        return f"Judgement({self.plain_verdict!r}{share}: {reason})"

    @property
    def plain_verdict(self) -> Any:
        """The verdict as it stands in files: text, number or truth value."""
        return self._verdicts.plain(self._fields["verdict"])

    def agrees(self, label: Any, *, within: float = 0.0) -> bool:
        """Return whether people's verdict is the same; on a scale, at most ``within`` verdicts away.

        ``label`` is a verdict (an Enum's value will do), or an Example with the field ``verdict``. Raises
        UsageError for what is no verdict."""
        from pytest_lmprog.evaluation.calibration import label_of

        mine, theirs = self._fields["verdict"], label_of(label, self._verdicts)
        if self._verdicts.scale is None or not within:
            return bool(mine == theirs)
        return bool(abs(mine - theirs) <= within + 1e-9)

    def check(self, label: Any, *, within: float = 0.0) -> None:
        """Raise AssertionError, with both verdicts and the reason, unless the judgement ``agrees``."""
        __tracebackhide__ = True  # pytest shows the line that asked
        if not self.agrees(label, within=within):
            raise AssertionError(self.against(label))

    def against(self, label: Any) -> str:
        """Return people's verdict, the judge's and its reason in words."""
        from pytest_lmprog.evaluation.calibration import label_of

        people = self._verdicts.plain(label_of(label, self._verdicts))
        golden = f"golden {label.id}: " if isinstance(label, Example) else ""
        return f"{golden}people say {people!r}, the judge says {self.plain_verdict!r}: {self.feedback}"

    def compared(self, label: Any) -> tuple[Any, Any]:
        """Return people's verdict and the judge's as plain data; a label that is no verdict as text."""
        try:
            people = self._verdicts.plain(self._verdicts.read(label))
        except (ValueError, KeyError):
            people = str(label)
        return people, self.plain_verdict

    def copy(self, **fields: Any) -> Self:
        """Return an independent copy, with ``fields`` changed."""
        plain = super().copy(**fields)
        return self._made(plain._fields, plain._inputs, plain._completions, self._verdicts)

    @classmethod
    def _made(
        cls,
        fields: Mapping[str, Any],
        inputs: Mapping[str, Any],
        completions: Iterable[Prediction],
        verdicts: Verdicts,
    ) -> Self:
        new = cls.__new__(cls)
        values = {"_fields": fields, "_inputs": inputs, "_completions": Completions(completions)}
        for name, value in {**values, "_verdicts": verdicts}.items():
            object.__setattr__(new, name, value)
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made, (dict(self._fields), dict(self._inputs), tuple(self._completions), self._verdicts)


def judgement_of(verdicts: Verdicts, votes: Sequence[Prediction], *, pass_at: float) -> Judgement:
    """Return what ``votes``, one answer each, say together (see ``Verdicts.decide``)."""
    said = tuple(vote.verdict for vote in votes)
    verdict = verdicts.decide(said)
    speaker = votes[said.index(verdict)]
    score = verdicts.score(verdict)
    fields = {
        **speaker,
        "score": score,
        "passed": score >= pass_at,
        "votes": said,
        "agreement": said.count(verdict) / len(said),
    }
    return Judgement._made(fields, speaker._inputs, votes, verdicts)
