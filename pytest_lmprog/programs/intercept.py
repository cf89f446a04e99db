"""``intercept``: direct calls of litellm or an OpenAI client, cached, recorded and replayed as an LM's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ContextDecorator
from contextvars import Token
from typing import Any, Self

from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.pipeline import Pipeline
from pytest_lmprog.lm.redaction import Scrubber, environment_secrets
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.lm.scope import OFF, CallScope, current_scope, interception, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.types import LMRequest, LMResponse
from pytest_lmprog.programs.context import Settings, current
from pytest_lmprog.programs.direct_calls import Asked, asked_of
from pytest_lmprog.programs.swapping import Swaps, Target

__all__ = ["dispatch", "intercept"]

_CHAT = "openai.resources.chat.completions.completions"
_DISPATCH = "litellm.chat_completions.dispatch"  # where newer versions define what litellm exports
_TARGETS = (
    Target(_DISPATCH, "completion", "litellm"),
    Target(_DISPATCH, "acompletion", "litellm", is_async=True),
    Target("litellm.main", "completion", "litellm"),
    Target("litellm.main", "acompletion", "litellm", is_async=True),
    Target("litellm.main", "text_completion", ""),
    Target("litellm.main", "atext_completion", "", is_async=True),
    Target(_CHAT, "Completions.create", "openai"),
    Target(_CHAT, "Completions.parse", ""),
    Target(_CHAT, "AsyncCompletions.create", "openai", is_async=True),
    Target(_CHAT, "AsyncCompletions.parse", "", is_async=True),
    Target("openai.resources.completions", "Completions.create", ""),
    Target("openai.resources.completions", "AsyncCompletions.create", "", is_async=True),
    Target("openai.resources.responses.responses", "Responses.create", ""),
    Target("openai.resources.responses.responses", "AsyncResponses.create", "", is_async=True),
)
_swaps = Swaps(_TARGETS, "pytest_lmprog.programs.intercept")
"""The one table: what a library's functions do is a fact about the process."""


class intercept(ContextDecorator):
    """Within the block, chat completions asked of litellm (``completion``, ``acompletion``) or of an OpenAI
    client (``chat.completions.create``, sync or async) go the way of an LM's: recording, cache, single
    flight, budget, tally; with the keys of ``LM("openai/NAME")`` for the client's models and of
    ``LM(model)`` for litellm's. What comes back is the library's own type, live and replayed. However the
    function was imported (``from litellm import completion``), and in threads that the block starts too.

    Under pytest a test that uses it directly requests the ``lm`` fixture: that is what opens its recording.
    Streaming, log probabilities, raw responses, ``responses.create``, ``parse`` and text completions raise
    UsageError. Blocks nest; the libraries are as before when the last one ends. Neither library is imported.
    """

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._entered: list[Token[Any]] = []

    def _recreate_cm(self) -> Self:
        return type(self)()

    def __enter__(self) -> Self:
        block = _Block(current_scope(), current(), self._store)
        self._entered.append(interception.set(block))
        _swaps.enter(block)
        return self

    def __exit__(self, *error: object) -> None:
        _swaps.leave(interception.get())
        interception.reset(self._entered.pop())

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__()


class _Block:
    """One ``with intercept()``: the surroundings that its calls have."""

    def __init__(self, scope: CallScope, settings: Settings, store: MemoryStore) -> None:
        self.scope = scope
        self.settings = settings
        self.store = store
        self.limiter = Limiter(64)

    def pipeline(self, asked: Asked, ask: Callable[[LMRequest], LMResponse]) -> Pipeline:
        """Return the way of one call."""
        scrubber = Scrubber({*asked.secrets, *environment_secrets()})
        return Pipeline(
            _Asking(ask),
            address=lambda: asked.endpoint,
            store=self.store,
            limiter=self.limiter,
            retry=RetryPolicy(0),
            scrubber=lambda: scrubber,
        )


class _Asking:
    def __init__(self, ask: Callable[[LMRequest], LMResponse]) -> None:
        self.ask = ask


def dispatch(number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of the library's function ``number``; what its swapped code calls."""
    swapped, block = _swaps.swapped(number), interception.get()
    inherited = block is not None
    if block is None:
        block = _swaps.only_block()
    if block is None or block is OFF or _is_inner(kwargs):
        return swapped.original(*args, **kwargs)
    target = swapped.target
    asked = asked_of(target, args, kwargs, current() if inherited else block.settings)
    if target.is_async:
        return _aanswered(block, asked, swapped.original, inherited)
    return _answered(block, asked, swapped.original, inherited)


def _is_inner(kwargs: Mapping[str, Any]) -> bool:
    """Whether litellm calls itself, or answers of itself."""
    return bool(kwargs.get("acompletion") or kwargs.get("mock_response"))


def _answered(block: _Block, asked: Asked, original: Callable[..., Any], inherited: bool) -> Any:
    def ask(_: LMRequest) -> LMResponse:
        token = interception.set(OFF)
        try:
            return asked.response(lambda: original(*asked.args, **asked.sent))
        finally:
            interception.reset(token)

    pipeline = block.pipeline(asked, ask)
    if inherited:
        return asked.built([pipeline.complete(request) for request in asked.requests])
    with use_scope(block.scope):
        return asked.built([pipeline.complete(request) for request in asked.requests])


async def _aanswered(
    block: _Block, asked: Asked, original: Callable[..., Awaitable[Any]], inherited: bool
) -> Any:
    loop = asyncio.get_running_loop()

    async def awaited() -> Any:
        return await original(*asked.args, **asked.sent)

    def ask(_: LMRequest) -> LMResponse:
        token = interception.set(OFF)
        try:
            return asked.response(lambda: asyncio.run_coroutine_threadsafe(awaited(), loop).result())
        finally:
            interception.reset(token)

    pipeline = block.pipeline(asked, ask)
    scope = current_scope() if inherited else block.scope
    with use_scope(scope):
        found = [await pipeline.acomplete(request) for request in asked.requests]
    return asked.built(found)
