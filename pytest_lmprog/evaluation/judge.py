"""Judge: an LM that says whether an output meets a rubric, with a typed verdict and a reason.

L. Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv:2306.05685: how far such
verdicts agree with people's, and how they are biased. Hence the reason before the verdict, several votes,
and calibration against verdicts of people.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import JudgeError, LmprogWarning, ParseError
from pytest_lmprog.evaluation.judge_options import (
    as_lm,
    at_least,
    checked_name,
    checked_params,
    checked_pass_at,
    naming,
)
from pytest_lmprog.evaluation.judge_signature import CASE, judge_signature, rubric_of
from pytest_lmprog.evaluation.judge_verdicts import Verdicts
from pytest_lmprog.evaluation.judged_inputs import judged_inputs
from pytest_lmprog.evaluation.judgement import Judgement, judgement_of
from pytest_lmprog.programs.context import context, current, required_lm
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import Predict
from pytest_lmprog.programs.trace import Trace
from pytest_lmprog.signatures import Signature

if TYPE_CHECKING:
    from pytest_lmprog.adapters import Adapter
    from pytest_lmprog.evaluation.calibration import Calibration
    from pytest_lmprog.lm.types import LanguageModel

__all__ = ["Judge"]


_AS_IS = nullcontext()


class Judge(Module):
    """Asks an LM whether something meets a rubric. A metric, and a program like any other.

    ::

        polite = lmp.Judge("The reply is polite and makes no promise.", inputs=["ticket", "reply"])

        def test_polite(example, prediction):
            assert polite(example, prediction)

    Called with an example and a prediction, it looks its inputs up in the prediction's outputs, then in the
    example; keywords come before both (``polite(ticket="...", reply="...")``). Returns a ``Judgement``.

    It is a Module: its one predictor is ``judge``, it can be compiled, traced, saved and loaded. Its answers
    are cached and recorded like all others, an entry a vote. What it judges stands between tags that the
    text cannot close, and the prompt says that it is data; no prompt is proof against injection, though.

    Parameters
    ----------
    rubric: what passes, in words; or a Signature class with an output ``verdict``, used as it is (a
        ``reason`` is put before the outputs where it has none).
    inputs: names of what is judged (text), or a mapping from names to types. Without it, whatever is
        passed is shown as one JSON object.
    verdict: type of the verdict, default ``Literal["pass", "fail"]``: bool, a Literal, an Enum, or float
        (0 to 1).
    scale: worst and best verdict instead: ``(1, 5)``, integers, or floats.
    scores: score of each verdict, within [0, 1]; not needed for bool, pass/fail, yes/no, correct/incorrect.
    votes: answers asked for, rollouts of one request (``n``, Predict's word, will do). The verdict is the
        majority's (the median on a scale); a tie goes to the verdict that scores lower, then to the one
        given first.
    pass_at: score at which a judgement passes.
    retries: how often a vote that cannot be read is asked anew, as a further rollout.
    lm: the judge's own LM, or its name; without it, the one that is configured or under test.
    adapter: its own adapter.
    name: what it is called in messages; no part of the prompt.
    params: request parameters (``temperature``, ``max_tokens``). Without ``temperature``, one vote by an LM
        of its own is asked for at 0, several at 1.0, unless that LM sets another.

    Raises UsageError for what cannot be a judge.
    """

    def __init__(
        self,
        rubric: str | type[Signature] | Signature,
        *,
        inputs: str | Iterable[str] | Mapping[str, Any] | None = None,
        verdict: Any = None,
        scale: tuple[float, float] | None = None,
        scores: Mapping[Any, float] | None = None,
        votes: int = 1,
        pass_at: float = 0.5,
        retries: int = 1,
        lm: LanguageModel | str | None = None,
        adapter: Adapter | None = None,
        name: str = "Judge",
        **params: Any,
    ) -> None:
        self.name = checked_name(name)
        with naming(self.name):
            signature, verdicts = judge_signature(
                rubric, inputs=inputs, verdict=verdict, scale=scale, scores=scores
            )
            self.votes = at_least("votes", params.pop("n", votes), 1)
            self.retries = at_least("retries", retries, 0)
            self.pass_at = checked_pass_at(pass_at, verdicts)
            self.judge = Predict(signature, **checked_params(params))
            self.judge.lm = as_lm(lm)
            self.judge.adapter = adapter
        self.scores = {str(verdicts.plain(v)): score for v, score in verdicts.scores.items()}
        self.scale = verdicts.scale
        self._verdicts = verdicts

    @property
    def __name__(self) -> str:
        """What a metric made of the judge is called."""
        return self.name

    @property
    def verdicts(self) -> Verdicts:
        """The verdicts and their scores."""
        return self._verdicts

    @property
    def signature(self) -> type[Signature] | None:
        """The signature, or None where the judge takes whatever is passed (its inputs are not named)."""
        return None if self._takes_all else self.judge.signature

    @property
    def _takes_all(self) -> bool:
        field = self.judge.signature.input_fields.get(CASE)
        return field is not None and field.annotation == dict[str, Any]

    def max_calls(self) -> int:
        """A call a vote and retry."""
        return self.votes * (1 + self.retries)

    def __call__(self, /, *args: Any, **fields: Any) -> Judgement:
        """Judge: see ``forward``."""
        judgement: Judgement = super().__call__(*args, **fields)
        return judgement

    async def acall(self, /, *args: Any, **fields: Any) -> Judgement:
        """Judge without blocking the event loop: see ``forward``."""
        judgement: Judgement = await super().acall(*args, **fields)
        return judgement

    # --- asking ---------------------------------------------------------------------------------------

    def forward(self, /, *args: Any, **fields: Any) -> Judgement:
        """Judge. Takes an example and a prediction (by position or as ``example=``, ``prediction=``), the
        judge's inputs by keyword, or both.

        Raises UsageError for missing and unknown inputs, JudgeError where a vote cannot be read, and
        whatever the LM raises."""
        inputs = judged_inputs(self, args, fields)
        self._warn_of_equal_votes()
        if self.votes > 1 and self.in_parallel:
            from pytest_lmprog.evaluation.voting import in_parallel

            return self._judgement(in_parallel(lambda vote: self._run(vote, inputs), self.votes))
        return self._judgement([self._run(vote, inputs) for vote in range(self.votes)])

    async def aforward(self, /, *args: Any, **fields: Any) -> Judgement:
        """The same, awaiting the LM."""
        inputs = judged_inputs(self, args, fields)
        self._warn_of_equal_votes()
        if self.votes > 1 and self.in_parallel:
            from pytest_lmprog.evaluation.voting import gathered

            return self._judgement(await gathered(lambda vote: self._arun(vote, inputs), self.votes))
        return self._judgement([await self._arun(vote, inputs) for vote in range(self.votes)])

    def _run(self, vote: int, inputs: Mapping[str, Any]) -> Prediction:
        error: ParseError | None = None
        for settings, config in self._attempts(vote):
            try:
                with context(**settings) if settings else _AS_IS:
                    return self._read(self.judge(**inputs, config=config))
            except ParseError as unread:
                error = unread
        raise self._unread(vote, error)

    async def _arun(self, vote: int, inputs: Mapping[str, Any]) -> Prediction:
        error: ParseError | None = None
        for settings, config in self._attempts(vote):
            try:
                with context(**settings) if settings else _AS_IS:
                    return self._read(await self.judge.acall(**inputs, config=config))
            except ParseError as unread:
                error = unread
        raise self._unread(vote, error)

    def _attempts(self, vote: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield settings (none: those that hold) and parameters of each attempt at a vote: a rollout of
        its own each.

        At temperature 0 the same would be said again: hence the other attempts are made at 1.0."""
        now = current()
        first = now.rollout * self.max_calls() + vote
        params = {**self._usual_params(), **now.params}
        for attempt in range(self.retries + 1):
            rollout = first + attempt * self.votes
            same = rollout == now.rollout and params == now.params
            settings = {} if same else {"rollout": rollout, "params": params}
            again = attempt and self._temperature(params) == 0
            yield settings, {"temperature": 1.0} if again else {}

    def _usual_params(self) -> dict[str, Any]:
        own = self.judge.lm
        if "temperature" in self.judge.params or (own is not None and _temperature_of(own) is not None):
            return {}
        if self.votes > 1:
            return {"temperature": 1.0}
        return {} if own is None else {"temperature": 0}

    def _temperature(self, params: Mapping[str, Any]) -> Any:
        return _temperature_of(required_lm(self.judge.lm), **{**params, **self.judge.params})

    def _warn_of_equal_votes(self) -> None:
        if self.votes < 2 or self._temperature({**self._usual_params(), **current().params}) != 0:
            return
        warnings.warn(
            f"{self!r}: {self.votes} votes at temperature 0 are mostly one vote {self.votes} times; "
            "give Judge(temperature=1.0), or votes=1",
            LmprogWarning,
            stacklevel=5,  # the line that called the judge
        )

    @property
    def in_parallel(self) -> bool:
        """Whether several answers are asked for at once. Not in a replay, where nothing is waited for, and
        not of an LM that gives its answers in the order of the requests (a ScriptedLM from a list)."""
        from pytest_lmprog.lm.scope import current_scope

        return current_scope().mode != "none" and not getattr(required_lm(self.judge.lm), "in_order", False)

    def _read(self, answer: Prediction) -> Prediction:
        try:
            self._verdicts.score(answer.verdict)
        except (ValueError, KeyError) as error:
            raise ParseError(f"the field 'verdict': {error}", answer=str(answer.verdict)) from None
        return answer

    def _judgement(self, votes: list[Prediction]) -> Judgement:
        return judgement_of(self._verdicts, votes, pass_at=self.pass_at)

    def rejudged(self, trace: Trace) -> Judgement | None:
        """Return what the votes in ``trace``, of an earlier run, say by scores and ``pass_at`` as they are
        now; None where they are not all there."""
        answers = [call.outputs for call in trace if call.outputs is not None and "verdict" in call.outputs]
        votes = [answer for answer in answers if self._can_read(answer)]
        return self._judgement(votes) if len(votes) == self.votes else None

    def _can_read(self, answer: Prediction) -> bool:
        try:
            self._read(answer)
        except ParseError:
            return False
        return True

    def _unread(self, vote: int, error: ParseError | None) -> JudgeError:
        assert error is not None
        which = f"vote {vote + 1} of {self.votes} " if self.votes > 1 else "its answer "
        tries = f" ({self.retries + 1} attempts)" if self.retries else ""
        return JudgeError(
            f"{self!r} gave no verdict: {which}cannot be read{tries}: {error.message}",
            answer=error.answer,
            reason=error.reason,
            hint=error.hint or "a larger max_tokens, more retries=, or a stronger lm= may help",
        )

    # --- calibration ----------------------------------------------------------------------------------

    def calibrate(self, goldens: Any, *, label: str = "verdict") -> Calibration:
        """Return how far the judge agrees with people on ``goldens``.

        Parameters
        ----------
        goldens: a path to YAML, JSON, JSONL or CSV, or rows: the judge's inputs, and people's verdict.
        label: the field that has people's verdict.

        A golden on which the judge gives no verdict counts as disagreement. Raises what the LM raises, and
        DataError for a row without label."""
        from pytest_lmprog.evaluation.calibration import calibrate

        return calibrate(self, goldens, label)

    def __repr__(self) -> str:
        words = " ".join(rubric_of(self.judge.signature).split())
        return f"{self.name}({words if len(words) <= 50 else words[:46] + ' ...'!r})"


def _temperature_of(lm: LanguageModel, **params: Any) -> Any:
    return lm.request(({"role": "user", "content": ""},), **params).params.get("temperature")
