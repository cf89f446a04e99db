"""Predict and ChainOfThought: the modules that call the LM."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, Self

from pytest_lmprog.adapters import Adapter, Answered, Ask, exchange
from pytest_lmprog.errors import ParseError, UsageError
from pytest_lmprog.lm.types import LanguageModel, LMRequest, LMResponse
from pytest_lmprog.programs.context import current, required_lm
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import PredictorCall, current_trace
from pytest_lmprog.signatures import Field, Signature, ensure_signature

__all__ = ["ChainOfThought", "Predict"]

_Flow = Generator[LMRequest, LMResponse, Prediction]


class Predict(Module):
    """Asks the LM for the output fields of a signature, once (or ``n`` times).

    Parameters
    ----------
    signature: a Signature class or a string such as ``"question -> answer"``.
    n: number of samples; the first is the prediction, all are its ``completions``.
    params: request parameters (``temperature``, ``max_tokens``, ...) over those of the context and LM.

    ``demos`` (few-shot examples, any sequence of mappings), ``signature`` and ``lm`` may be assigned.
    """

    lm: LanguageModel | None
    adapter: Adapter | None

    def __init__(self, signature: type[Signature] | str, *, n: int = 1, **params: Any) -> None:
        if n < 1:
            raise UsageError(f"n must be 1 or more, not {n}")
        self.lm = None
        self.adapter = None
        self.n = n
        self.params = params
        self._demos: tuple[Mapping[str, Any], ...] = ()
        self._signature = ensure_signature(signature)

    @property
    def signature(self) -> type[Signature]:
        """The signature; may be replaced by an edited one."""
        return self._signature

    @signature.setter
    def signature(self, signature: type[Signature] | str) -> None:
        self._signature = ensure_signature(signature)

    @property
    def demos(self) -> tuple[Mapping[str, Any], ...]:
        """The few-shot examples in the prompt, in order. Assign a new sequence to change them."""
        return self._demos

    @demos.setter
    def demos(self, demos: Iterable[Mapping[str, Any]]) -> None:
        self._demos = tuple(d if isinstance(d, Example) else Example(d) for d in demos)

    def with_demos(self, demos: Iterable[Mapping[str, Any]]) -> Self:
        """Return a copy with these demos."""
        new = self._shallow()
        new.demos = tuple(demos)
        return new

    def with_signature(self, signature: type[Signature]) -> Self:
        """Return a copy with this signature."""
        new = self._shallow()
        new.signature = signature
        return new

    def _shallow(self) -> Self:
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def max_calls(self) -> int:
        """One call a sample."""
        return self.n

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        return self.forward(*args, **inputs)

    def forward(self, **inputs: Any) -> Prediction:
        """Ask for the outputs. Takes the signature's input fields by name.

        Raises UsageError for missing or unknown inputs, ParseError for an answer that does not fit,
        and whatever the LM raises."""
        lm = required_lm(self.lm)
        flow = self._flow(lm, inputs)
        request = next(flow)
        while True:
            try:
                response = lm.complete(request)
            except Exception as error:
                step = _thrown(flow, error)
            else:
                step = _sent(flow, response)
            if isinstance(step, Prediction):
                return step
            request = step

    async def aforward(self, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        lm = required_lm(self.lm)
        flow = self._flow(lm, inputs)
        request = next(flow)
        while True:
            try:
                response = await lm.acomplete(request)
            except Exception as error:
                step = _thrown(flow, error)
            else:
                step = _sent(flow, response)
            if isinstance(step, Prediction):
                return step
            request = step

    def _flow(self, lm: LanguageModel, inputs: dict[str, Any]) -> _Flow:
        self._check(inputs)
        now = current()
        params = {**now.params, **self.params} if now.params else self.params
        adapter = self.adapter or now.adapter
        samples = []
        for sample in range(now.rollout * self.n, (now.rollout + 1) * self.n):
            ask = Ask(self._signature, self._demos, inputs, params, sample)
            answered = yield from exchange(lm, ask, adapter)
            samples.append(self._predicted(answered, inputs, sample))
        first = samples[0]
        return first if self.n == 1 else Prediction.of(first._fields, inputs, tuple(samples))

    def _predicted(self, answered: Answered, inputs: dict[str, Any], rollout: int) -> Prediction:
        try:
            outputs = Prediction.of(answered.parse(self._signature), inputs)
        except ParseError as error:
            self._note(answered, inputs, None, rollout, error.reason)
            raise
        self._note(answered, inputs, outputs, rollout, None)
        return outputs

    def _note(
        self,
        answered: Answered,
        inputs: dict[str, Any],
        outputs: Prediction | None,
        rollout: int,
        error: str | None,
    ) -> None:
        trace = current_trace()
        if trace is not None:
            trace.calls.append(
                PredictorCall(
                    trace.name_of(self),
                    self,
                    inputs,
                    outputs,
                    answered.messages,
                    answered.response,
                    answered.adapter.name,
                    rollout,
                    error,
                )
            )

    def _check(self, inputs: Mapping[str, Any]) -> None:
        expected = self._signature.input_fields
        if inputs.keys() == expected.keys():
            return
        missing = [name for name in expected if name not in inputs]
        unknown = [name for name in inputs if name not in expected]
        problem = f"lacks the input {missing[0]!r}" if missing else f"has no input {unknown[0]!r}"
        raise UsageError(
            f"{type(self).__name__}({self._signature.name}) {problem}; its inputs are: {', '.join(expected)}"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._signature.text})"


def _sent(flow: _Flow, response: LMResponse) -> LMRequest | Prediction:
    try:
        return flow.send(response)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _thrown(flow: _Flow, error: Exception) -> LMRequest | Prediction:
    try:
        return flow.throw(error)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class ChainOfThought(Predict):
    """Predict with a ``reasoning`` field put before the outputs (Wei et al., arXiv:2201.11903).

    A signature that has an output field ``reasoning`` or ``rationale`` already is left as it is.
    """

    def __init__(
        self,
        signature: type[Signature] | str,
        *,
        n: int = 1,
        rationale_field: Field | None = None,
        **params: Any,
    ) -> None:
        super().__init__(_reasoned(ensure_signature(signature), rationale_field), n=n, **params)


def _reasoned(signature: type[Signature], field: Field | None) -> type[Signature]:
    if field is None and any(name in signature.output_fields for name in ("reasoning", "rationale")):
        return signature
    if field is None:
        field = Field(name="reasoning", role="output", annotation=str, desc="think step by step")
    return signature.prepend_field(field)
