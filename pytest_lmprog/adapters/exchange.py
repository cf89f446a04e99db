"""One predictor call as a flow without I/O: it yields requests and is sent answers.

The same generator is driven by a blocking and by an awaiting caller, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import lru_cache
from typing import Any

from pytest_lmprog.adapters.base import Adapter, Prompt
from pytest_lmprog.adapters.chat import ChatAdapter
from pytest_lmprog.adapters.json import JSONAdapter
from pytest_lmprog.errors import LMRequestError, ParseError
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.lm.types import Capabilities, LanguageModel, LMRequest, LMResponse, Message
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Signature

__all__ = ["Answered", "Ask", "Exchange", "adapter_for", "exchange"]

Exchange = Generator[LMRequest, LMResponse, "Answered"]
"""Yields each request, expects its answer (or has LMRequestError thrown in), returns what came of it."""

_json = JSONAdapter()
_chat = ChatAdapter()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a predictor wants to know: its signature, its demos and the inputs."""

    signature: type[Signature]
    demos: tuple[Mapping[str, Any], ...]
    inputs: Mapping[str, Any]
    params: Mapping[str, Any]
    rollout: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The last answer with the messages it answers and the adapter that rendered them, not yet parsed."""

    messages: tuple[Message, ...]
    response: LMResponse
    adapter: Adapter

    def parse(self, signature: type[Signature]) -> dict[str, Any]:
        """Return the output fields. Raises ParseError."""
        try:
            return self.adapter.parse(signature, self.response.text)
        except ParseError as error:
            if self.response.finish_reason != "length":
                raise
            raise ParseError(
                error.reason,
                answer=error.answer,
                hint="the answer was cut off at max_tokens: give the LM a higher limit",
            ) from None


def adapter_for(lm: LanguageModel, configured: Adapter | None) -> Adapter:
    """Return the configured adapter; else JSON where the model can be constrained (or nobody knows
    yet), else chat."""
    if configured is not None:
        return configured
    return _chat if lm.capabilities().json_schema is False else _json


def exchange(lm: LanguageModel, ask: Ask, configured: Adapter | None = None) -> Exchange:
    """Put ``ask`` to ``lm``.

    Where nobody knows whether the endpoint can constrain answers, a constrained request that it refuses
    is put once more without constraint: in the chat form, or in that of the configured adapter. If that
    is answered, the endpoint is known not to, and the fallback is counted.
    """
    known = lm.capabilities().json_schema
    adapter = adapter_for(lm, configured)
    wanted = None if known is False else adapter.response_format(ask.signature)
    undecided = known is None and wanted is not None
    messages, request = _request(lm, adapter, ask, wanted)
    try:
        response = yield request
    except LMRequestError as refused:
        if not undecided or refused.context_window:
            raise
        return (yield from _fall_back(lm, ask, configured or _chat, refused))
    if undecided:
        lm.learn(Capabilities(json_schema=True))
    return Answered(messages, response, adapter)


def _fall_back(lm: LanguageModel, ask: Ask, adapter: Adapter, refused: LMRequestError) -> Exchange:
    messages, request = _request(lm, adapter, ask, None)
    try:
        response = yield request
    except LMRequestError:
        raise refused from None
    lm.learn(Capabilities(json_schema=False))
    tally = current_scope().tally
    if tally is not None:
        tally.bump("fallbacks")
    return Answered(messages, response, adapter)


def _request(
    lm: LanguageModel, adapter: Adapter, ask: Ask, wanted: Mapping[str, Any] | None
) -> tuple[tuple[Message, ...], LMRequest]:
    messages = _prompt(adapter, ask.signature, ask.demos).render(ask.inputs)
    return messages, lm.request(messages, response_format=wanted, rollout=ask.rollout, **ask.params)


class _Frozen:
    """Demos as a cache key: the same objects are the same demos (Examples are immutable)."""

    __slots__ = ("demos", "ids")

    def __init__(self, demos: tuple[Mapping[str, Any], ...]) -> None:
        self.demos = demos
        self.ids = tuple(map(id, demos))

    def __hash__(self) -> int:
        return hash(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.ids == other.ids


def _prompt(adapter: Adapter, signature: type[Signature], demos: tuple[Mapping[str, Any], ...]) -> Prompt:
    return _cached_prompt(adapter, signature, _Frozen(demos))  # type: ignore[arg-type]


@lru_cache(maxsize=512)
def _cached_prompt(adapter: Adapter, signature: type[Signature], demos: _Frozen) -> Prompt:
    # The entry holds the demos, so their ids cannot be reused while it lives.
    return adapter.prompt(signature, demos.demos)
