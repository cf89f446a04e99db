"""TwoStepAdapter: one LM answers in its own words, another reads the fields out of what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from pytest_lmprog.adapters.base import Prompt
from pytest_lmprog.adapters.exchange import Answered, Ask, Elsewhere, Exchange, exchange
from pytest_lmprog.adapters.json import JSONAdapter
from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.adapters.text import Layout, demo_values, field_lines, output_text, rendered
from pytest_lmprog.errors import ConfigurationError, LMRequestError
from pytest_lmprog.lm.types import LanguageModel, LMRequest, Message
from pytest_lmprog.signatures import Field, Signature
from pytest_lmprog.signatures.signature import make_signature

__all__ = ["TwoStepAdapter"]


class TwoStepAdapter:
    """Asks the program's LM in plain words, without a form, and ``extraction_model`` for the fields.

    For models that reason well and keep to forms badly. Each answer is two calls, both recorded, cached and
    counted (``max_calls``); in a trace the second has the predictor's name with ``.extract`` behind it.

    Parameters
    ----------
    extraction_model: the LM that reads the fields out of the first one's text.
    """

    name = "two_step"
    calls_before = 1

    def __init__(self, extraction_model: LanguageModel | None) -> None:
        if extraction_model is not None and not (
            hasattr(extraction_model, "complete") and not isinstance(extraction_model, type)
        ):
            raise ConfigurationError(
                f"extraction_model must be an LM, not {extraction_model!r}",
                hint='TwoStepAdapter(lmp.LM("openai/gpt-4o-mini"))',
            )
        self.extraction_model = extraction_model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TwoStepAdapter) and self.extraction_model is other.extraction_model

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"TwoStepAdapter({self.extraction_model!r})"

    def prompt(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """See Adapter: the prompt of the first step."""
        layout = Layout(tuple((f"\n{f.name}: ", f) for f in signature.input_fields.values()))
        messages: list[Message] = [{"role": "system", "content": _system(signature)}]
        for values in demo_values(signature, demos):
            messages.append({"role": "user", "content": layout.content(values)})
            messages.append({"role": "assistant", "content": _answer(signature, values)})
        return rendered(signature, messages, layout, lambda values: _answer(signature, values))

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """None: the first step has no form."""
        del signature
        return None

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """Return the fields in an answer of the second step. Raises ParseError."""
        return _json.parse(signature, answer)

    def exchange(self, lm: LanguageModel, ask: Ask) -> Exchange:
        """Put ``ask`` to ``lm``, then what it said to the extraction model."""
        reader = self.extraction_model
        if reader is None:
            raise ConfigurationError("TwoStepAdapter has no extraction model")
        first = yield from exchange(lm, ask, _Plain(self))
        said = without_thinking(first.response.text).strip()
        signature = _reading(ask.signature)
        reading = Ask(signature, (), {next(iter(signature.input_fields)): said}, {}, ask.rollout)
        second = yield from _elsewhere(reader, exchange(reader, reading))
        return Answered(second.messages, second.response, second.adapter, second.form, reader, (first,))


_json = JSONAdapter()


class _Plain:
    """The first step alone."""

    def __init__(self, whole: TwoStepAdapter) -> None:
        self.name = whole.name
        self.prompt = whole.prompt
        self.parse = whole.parse
        self.response_format = whole.response_format

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain)

    def __hash__(self) -> int:
        return hash(self.name)


def _elsewhere(lm: LanguageModel, flow: Exchange) -> Exchange:
    """Have every request of ``flow`` answered by ``lm``."""
    step: Callable[[], LMRequest | Elsewhere] = partial(next, flow)
    while True:
        try:
            request = step()
        except StopIteration as end:
            answered: Answered = end.value
            return answered
        assert isinstance(request, LMRequest)
        try:
            step = partial(flow.send, (yield Elsewhere(lm, request)))
        except LMRequestError as refused:
            step = partial(flow.throw, refused)


@lru_cache(maxsize=512)
def _reading(signature: type[Signature]) -> type[Signature]:
    outputs = signature.output_fields
    names = ", ".join(f"`{name}`" for name in outputs)
    text = "text"
    while text in outputs:
        text = f"the_{text}"
    instructions = (
        f"The text answers a question. Read the fields {names} out of it, word for word where it has them."
    )
    return make_signature({text: Field(quoted=True), **outputs}, instructions).with_name(signature.name)


def _system(signature: type[Signature]) -> str:
    parts = [signature.instructions]
    if signature.input_fields:
        parts.append(f"You are given:\n{field_lines(signature.input_fields)}")
    wanted = field_lines(signature.output_fields)
    parts.append(f"Answer in your own words. Your answer must make clear:\n{wanted}")
    return "\n\n".join(parts)


def _answer(signature: type[Signature], values: Mapping[str, Any]) -> str:
    return "\n".join(f"{n}: {output_text(f, values)}" for n, f in signature.output_fields.items())
