"""Predict and ChainOfThought: the modules that call the LM."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from pytest_lmprog.adapters import Adapter, Answered, Ask, Elsewhere, correctable, corrected, exchange
from pytest_lmprog.adapters.correcting import is_constrained
from pytest_lmprog.errors import LMRequestError, ParseError, UsageError
from pytest_lmprog.lm.types import LanguageModel, LMRequest, LMResponse
from pytest_lmprog.programs.backtracking import Visit, current_frame, revisited
from pytest_lmprog.programs.context import current, listener, required_lm, stand_ins
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.given import checked_inputs, inputs_by_name, taken
from pytest_lmprog.programs.module import Module, finish
from pytest_lmprog.programs.trace import PredictorCall, current_trace
from pytest_lmprog.signatures import Field, Signature, ensure_signature

if TYPE_CHECKING:
    from pytest_lmprog.programs.nearest import Nearest

__all__ = ["ChainOfThought", "Predict", "inputs_by_name"]

_Flow = Generator[LMRequest | Elsewhere, LMResponse, Prediction]


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
    _corrections = 1
    is_frozen: bool = False
    """Whether teleprompters leave this predictor alone (see ``Module.freeze``)."""
    nearest: Nearest | None = None
    """How each call chooses among the demos; None: it shows all. Assigning demos takes it away."""

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
        if self.nearest is not None:
            self.nearest = None

    @property
    def shown_demos(self) -> tuple[Mapping[str, Any], ...]:
        """The demos as one prompt has them: all; where each call chooses, the first as an instance."""
        return self._demos if self.nearest is None else self._demos[: self.nearest.k]

    def with_demos(self, demos: Iterable[Mapping[str, Any]]) -> Self:
        """Return a copy with these demos."""
        new = self._shallow()
        new.demos = tuple(demos)
        return new

    def choosing(self, demos: Iterable[Mapping[str, Any]], nearest: Nearest | None) -> Self:
        """Return a copy with these demos, of which each call shows those that ``nearest`` chooses."""
        new = self.with_demos(demos)
        new.nearest = nearest
        return new

    def without_demos(self, drop: Callable[[int, Mapping[str, Any]], bool]) -> Self:
        """Return a copy without the demos for which ``drop(number, demo)`` is true."""
        kept = [number for number, demo in enumerate(self._demos) if not drop(number, demo)]
        nearest = None if self.nearest is None else self.nearest.kept(kept)
        return self.choosing([self._demos[number] for number in kept], nearest)

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
        """One call a sample; one more where the outputs are constrained (a retry that shows the violation),
        and one more under an adapter of two steps."""
        answers = 1 + (self._corrections if is_constrained(self._signature) else 0)
        before: int = getattr(self.adapter or current().adapter, "calls_before", 0)
        return self.n * (before + answers)

    def __call__(self, /, *args: Any, **inputs: Any) -> Prediction:
        result: Any = self.forward(*args, **inputs)  # a subclass may make it a coroutine function
        return cast("Prediction", finish(result)) if inspect.iscoroutine(result) else result

    def forward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """Ask for the outputs. Takes the signature's input fields by name, by position, or as one mapping
        that has them (``predict(example)``). ``config={...}`` are request parameters for this call.

        Raises UsageError for missing or unknown inputs, InputError for an input that does not fit its
        field, ParseError for an answer that does not fit, and whatever the LM raises."""
        standing = stand_ins.get()
        if standing is not None:
            self = standing.get(id(self), self)
        lm = required_lm(self.lm)
        listening = listener.get()
        heard = None if listening is None else listening.begin(self)
        flow = self._steps(lm, args, inputs)
        step = _sent(flow, None)
        while not isinstance(step, Prediction):
            try:
                if heard is not None:
                    response = heard.complete(*_whom(lm, step))
                elif type(step) is Elsewhere:
                    response = step.lm.complete(step.request)
                else:
                    response = lm.complete(cast("LMRequest", step))
            except LMRequestError as refused:
                step = _thrown(flow, refused)
            else:
                step = _sent(flow, response)
        if heard is not None:
            heard.finish(step)
        return step

    async def aforward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        standing = stand_ins.get()
        if standing is not None:
            self = standing.get(id(self), self)
        if self.nearest is not None:
            import asyncio

            await asyncio.to_thread(_chosen, self, taken(self._signature, args, dict(inputs))[0])
        lm = required_lm(self.lm)
        listening = listener.get()
        heard = None if listening is None else listening.begin(self)
        flow = self._steps(lm, args, inputs)
        step = _sent(flow, None)
        while not isinstance(step, Prediction):
            try:
                if heard is not None:
                    response = await heard.acomplete(*_whom(lm, step))
                elif type(step) is Elsewhere:
                    response = await step.lm.acomplete(step.request)
                else:
                    response = await lm.acomplete(cast("LMRequest", step))
            except LMRequestError as refused:
                step = _thrown(flow, refused)
            else:
                step = _sent(flow, response)
        if heard is not None:
            heard.finish(step)
        return step

    def _steps(self, lm: LanguageModel, args: tuple[Any, ...], given: dict[str, Any]) -> _Flow:
        """Return the flow of one call; within a module it notes itself there, so that ``lmp.Assert`` can go
        back to it."""
        given, config = taken(self._signature, args, given)
        inputs = checked_inputs(self, given)
        frame = current_frame()
        if frame is None:
            return self._flow(lm, self._signature, inputs, config)
        signature, hint = self._signature, frame.hint(self)
        if hint is not None:
            from pytest_lmprog.programs.retry import hinted_signature

            signature, inputs = hinted_signature(signature), {**inputs, "hint_": hint}
        return revisited(frame, self, partial(self._retried, lm, signature, inputs, config))

    def _retried(
        self,
        lm: LanguageModel,
        signature: type[Signature],
        inputs: dict[str, Any],
        config: Mapping[str, Any],
        visit: Visit,
        shown: Visit | None,
    ) -> _Flow:
        """Return the flow of a call, with the refused call that is ``shown`` to the LM."""
        if shown is None:
            return self._flow(lm, signature, inputs, config, visit)
        from pytest_lmprog.programs.retry import retry_inputs, retry_signature

        more = retry_inputs(signature, shown)
        return self._flow(lm, retry_signature(signature), {**inputs, **more}, config, visit)

    def _flow(
        self,
        lm: LanguageModel,
        signature: type[Signature],
        inputs: dict[str, Any],
        config: Mapping[str, Any],
        visit: Visit | None = None,
    ) -> _Flow:
        now = current()
        params = {**now.params, **self.params, **config} if now.params or config else self.params
        demos = self._demos if self.nearest is None else _chosen(self, inputs)
        adapter = self.adapter or now.adapter
        samples = []
        for sample in range(now.rollout * self.n, (now.rollout + 1) * self.n):
            ask = Ask(signature, demos, inputs, params, sample)
            answered = yield from exchange(lm, ask, adapter)
            try:
                samples.append(self._predicted(answered, signature, inputs, sample, visit))
            except ParseError as error:
                if not (self._corrections and correctable(answered, signature)):
                    raise
                answered = yield from corrected(lm, ask, answered, error)
                samples.append(self._predicted(answered, signature, inputs, sample, visit))
        first = samples[0]
        return first if self.n == 1 else Prediction.of(first._fields, inputs, tuple(samples))

    def _predicted(
        self,
        answered: Answered,
        signature: type[Signature],
        inputs: dict[str, Any],
        rollout: int,
        visit: Visit | None,
    ) -> Prediction:
        try:
            outputs = Prediction.of(answered.parse(signature), inputs)
            if answered.response.reasoning is not None:
                outputs = outputs.with_reasoning(answered.response.reasoning)
        except ParseError as error:
            self._note(answered, inputs, None, rollout, error.reason, visit)
            raise
        self._note(answered, inputs, outputs, rollout, None, visit)
        return outputs

    def _note(
        self,
        answered: Answered,
        inputs: dict[str, Any],
        outputs: Prediction | None,
        rollout: int,
        error: str | None,
        visit: Visit | None,
    ) -> None:
        trace = current_trace()
        if trace is None or (visit is not None and visit.served):
            return
        name = trace.name_of(self)
        calls = [_call(name, self, step, inputs, outputs, rollout, error) for step in answered.before]
        name = name if answered.lm is None else f"{name}.extract"
        calls.append(_call(name, self, answered, inputs, outputs, rollout, error))
        if self.nearest is not None:
            calls = [replace(call, chosen=_chosen(self, inputs)) for call in calls]
        trace.calls += calls
        if visit is not None:
            visit.calls += calls

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._signature.text})"


def _chosen(predictor: Predict, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    from pytest_lmprog.programs.nearest import chosen_demos

    return chosen_demos(predictor, inputs)


def _whom(lm: LanguageModel, request: LMRequest | Elsewhere) -> tuple[LanguageModel, LMRequest]:
    return (request.lm, request.request) if isinstance(request, Elsewhere) else (lm, request)


def _call(
    name: str,
    predictor: Predict,
    answered: Answered,
    inputs: dict[str, Any],
    outputs: Prediction | None,
    rollout: int,
    error: str | None,
) -> PredictorCall:
    messages, response, adapter = answered.messages, answered.response, answered.adapter.name
    return PredictorCall(name, predictor, inputs, outputs, messages, response, adapter, rollout, error)


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


def _sent(flow: _Flow, response: LMResponse | None) -> LMRequest | Elsewhere | Prediction:
    """Go on with ``response`` (None: begin)."""
    try:
        return flow.send(response)  # type: ignore[arg-type]
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _thrown(flow: _Flow, error: LMRequestError) -> LMRequest | Elsewhere | Prediction:
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
