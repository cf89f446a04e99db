"""Predict and ChainOfThought: the modules that call the LM."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Self, cast

from pytest_lmprog.adapters import Adapter, Answered, Ask, exchange
from pytest_lmprog.errors import InputError, LMRequestError, ParseError, UsageError
from pytest_lmprog.lm.types import LanguageModel, LMRequest, LMResponse
from pytest_lmprog.programs.context import current, required_lm
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module, finish
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

    Raises UsageError for ``n`` below 1, SignatureError for a signature without outputs or one that cannot be
    read. Called with inputs that do not fit, it raises InputError or UsageError.
    """

    lm: LanguageModel | None
    adapter: Adapter | None

    def __init__(self, signature: type[Signature] | Signature | str, *, n: int = 1, **params: Any) -> None:
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
    def signature(self, signature: type[Signature] | Signature | str) -> None:
        self._signature = ensure_signature(signature)

    @property
    def demos(self) -> tuple[Mapping[str, Any], ...]:
        """The few-shot examples in the prompt, in order. Assign a new sequence to change them."""
        return self._demos

    @demos.setter
    def demos(self, demos: Iterable[Mapping[str, Any]]) -> None:
        self._demos = tuple(map(_demo, _sequence(demos)))

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

    def __call__(self, /, *args: Any, **inputs: Any) -> Prediction:
        result: Any = self.forward(*args, **inputs)  # a subclass may make it a coroutine function
        return cast("Prediction", finish(result)) if inspect.iscoroutine(result) else result

    def forward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """Ask for the outputs. Takes the signature's input fields by name, by position, or as one mapping
        that has them (``predict(example)``). ``config={...}`` are request parameters for this call.

        Raises UsageError for missing or unknown inputs, InputError for an input that does not fit its
        field, ParseError for an answer that does not fit, and whatever the LM raises."""
        lm = required_lm(self.lm)
        flow = self._flow(lm, args, inputs)
        request = next(flow)
        while True:
            try:
                response = lm.complete(request)
            except LMRequestError as refused:
                step = _thrown(flow, refused)
            else:
                step = _sent(flow, response)
            if isinstance(step, Prediction):
                return step
            request = step

    async def aforward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        lm = required_lm(self.lm)
        flow = self._flow(lm, args, inputs)
        request = next(flow)
        while True:
            try:
                response = await lm.acomplete(request)
            except LMRequestError as refused:
                step = _thrown(flow, refused)
            else:
                step = _sent(flow, response)
            if isinstance(step, Prediction):
                return step
            request = step

    def _flow(self, lm: LanguageModel, args: tuple[Any, ...], given: dict[str, Any]) -> _Flow:
        given, config = _taken(self._signature, args, given)
        inputs = _inputs(self, given)
        now = current()
        params = {**now.params, **self.params, **config} if now.params or config else self.params
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._signature.text})"


def _sequence(demos: Any) -> Iterable[Any]:
    if isinstance(demos, str | Mapping) or not isinstance(demos, Iterable):
        raise UsageError(f"demos must be a sequence of examples, not {demos!r}")
    return demos


def _demo(demo: Any) -> Example:
    if isinstance(demo, Example):
        return demo
    if not isinstance(demo, Mapping):
        raise UsageError(f"each of the demos must be an Example or a dict, not {demo!r}")
    return Example(demo)


def _taken(
    signature: type[Signature], args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the inputs by name and the parameters of this call."""
    config: Mapping[str, Any] = {}
    if "config" in given and "config" not in signature.input_fields:
        config = given.pop("config") or {}
    if args:
        given = {**_positional(signature, args), **given}
    return given, config


def _positional(signature: type[Signature], args: tuple[Any, ...]) -> dict[str, Any]:
    names = signature.input_fields
    if len(args) == 1 and isinstance(args[0], Mapping) and any(name in args[0] for name in names):
        return {name: args[0][name] for name in names if name in args[0]}
    if len(args) > len(names):
        raise UsageError(f"{len(args)} inputs were given; {signature!r} has {len(names)}")
    return dict(zip(names, args, strict=False))


def _inputs(predictor: Predict, given: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs, checked and converted, in the signature's order."""
    inputs: dict[str, Any] = {}
    fields = predictor.signature.input_fields
    for name, field in fields.items():
        if name in given:
            value = given[name]
        elif field.has_default:
            value = field.default
        else:
            raise _misfit(predictor, f"lacks the input {name!r}")
        try:
            inputs[name] = field.accept(value)
        except ValueError as error:
            raise InputError(f"{predictor!r}: the input {name!r} does not fit: {error}") from None
    if len(given) > len(inputs) or not given.keys() <= inputs.keys():
        unknown = next(name for name in given if name not in inputs)
        raise _misfit(predictor, f"has no input {unknown!r}")
    return inputs


def _misfit(predictor: Predict, problem: str) -> UsageError:
    expected = ", ".join(predictor.signature.input_fields) or "none"
    return UsageError(f"{predictor!r} {problem}; its inputs are: {expected}")


def _sent(flow: _Flow, response: LMResponse) -> LMRequest | Prediction:
    try:
        return flow.send(response)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _thrown(flow: _Flow, error: LMRequestError) -> LMRequest | Prediction:
    try:
        return flow.throw(error)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class ChainOfThought(Predict):
    """Predict with a ``reasoning`` field put before the outputs (Wei et al., arXiv:2201.11903).

    A signature that has an output field ``reasoning`` or ``rationale`` already is left as it is.

    Parameters
    ----------
    signature, n, params: as for ``Predict``, with its errors.
    rationale_field: the field to put first instead; named ``reasoning`` where it has no name.
    """

    def __init__(
        self,
        signature: type[Signature] | Signature | str,
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
        field = Field(desc="think step by step")
    return signature.prepend_field(field.changed(name=field.name or "reasoning", role="output"))
