"""MultiChainComparison: several attempts at a question, compared by the LM before it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import Predict
from pytest_lmprog.signatures import Field, Signature, ensure_signature

__all__ = ["MultiChainComparison"]


class MultiChainComparison(Module):
    """Shows the LM ``M`` attempts, each its reasoning and answer, and asks for a better one
    (arXiv:2310.03714; Yoran et al., arXiv:2304.13007).

    ``compare(completions, question=...)`` takes the attempts (predictions or mappings; a prediction stands
    for its ``completions``) and the signature's inputs. The predictor's name is ``predict``; it puts out a
    ``rationale`` before the signature's own outputs.

    Parameters
    ----------
    signature: what is to be answered; of the attempts, the last output is shown.
    M: how many attempts there are.
    temperature: of the comparison.
    config: further request parameters.
    """

    def __init__(
        self,
        signature: type[Signature] | Signature | str,
        M: int = 3,
        temperature: float = 0.7,
        **config: Any,
    ) -> None:
        if isinstance(M, bool) or not isinstance(M, int) or M < 1:
            raise UsageError(f"M must be 1 or more, not {M!r}")
        base = ensure_signature(signature)
        self.M = M
        self.last_key = list(base.output_fields)[-1]
        self.predict = Predict(_comparing(base, M), temperature=temperature, **config)

    def forward(self, completions: Any, **inputs: Any) -> Prediction:
        """Compare. Raises UsageError unless there are ``M`` attempts."""
        return self.predict(**self._shown(completions), **inputs)

    async def aforward(self, completions: Any, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        found: Prediction = await self.predict.acall(**self._shown(completions), **inputs)
        return found

    def _shown(self, completions: Any) -> dict[str, str]:
        given = completions.completions if isinstance(completions, Prediction) else completions
        if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
            raise UsageError(f"the attempts must be a list of predictions, not {given!r:.80}")
        attempts = [self._attempt(attempt) for attempt in given]
        if len(attempts) != self.M:
            raise UsageError(
                f"{len(attempts)} attempts were given to a comparison of {self.M}",
                hint=f"MultiChainComparison(..., M={len(attempts)})",
            )
        return {_name(number): attempt for number, attempt in enumerate(attempts, 1)}

    def _attempt(self, attempt: Any) -> str:
        if not isinstance(attempt, Mapping) or self.last_key not in attempt:
            raise UsageError(f"an attempt has no {self.last_key!r}: {attempt!r:.80}")
        answer = _first_line(attempt[self.last_key])
        reasons = attempt.get("rationale") or attempt.get("reasoning")
        if not reasons:
            return f"«I'm not sure but my prediction is {answer}»"
        return f"«I'm trying to {_first_line(reasons)} I'm not sure but my prediction is {answer}»"


def _comparing(signature: type[Signature], count: int) -> type[Signature]:
    new = signature
    for number in range(1, count + 1):
        new = new.append_field(
            Field(_name(number), desc="reasoning attempt", prefix=f"Student Attempt #{number}:")
        )
    prefix = "Accurate Reasoning: Thank you everyone. Let's now holistically"
    new = new.prepend_field(Field("rationale", "output", desc="corrected reasoning", prefix=prefix))
    return new.with_instructions(signature.instructions)


def _name(number: int) -> str:
    return f"reasoning_attempt_{number}"


def _first_line(value: Any) -> str:
    return next(iter(str(value).strip().splitlines()), "").strip()
