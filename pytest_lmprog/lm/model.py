"""What all LMs of this package share: requests, answers and calls as DSPy users write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.options import checked_params
from pytest_lmprog.lm.pipeline import Pipeline
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse, Message

__all__ = ["PipelineLM"]


class PipelineLM:
    """An LM whose requests go through a ``Pipeline``. Immutable: copies are the object itself."""

    __slots__ = ("__weakref__", "_model", "_params", "_pipeline", "_secrets")

    _model: str
    _params: Mapping[str, Any]
    _pipeline: Pipeline
    _secrets: frozenset[str]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an LM does not change; lm.copy({name}=...) returns a changed one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an LM does not change")

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self

    @property
    def model(self) -> str:
        """Name as it stands in keys, snapshots and reports."""
        return self._model

    @property
    def endpoint(self) -> str:
        """The address part of the cache key, without secrets."""
        return self._pipeline.endpoint

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that every request has unless told otherwise (a copy)."""
        return dict(self._params)

    @property
    def secrets(self) -> frozenset[str]:
        """The secret values this LM was given, for ``secrets_of``. Never print them."""
        return self._secrets

    def request(
        self,
        messages: tuple[Message, ...],
        *,
        response_format: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
        rollout: int = 0,
        **params: Any,
    ) -> LMRequest:
        """Build the request for this model: its defaults, then ``params`` over them."""
        merged = {**self._params, **checked_params(params)} if params else self._params
        return LMRequest(self._model, messages, merged, response_format, tools, rollout)

    def capabilities(self) -> Capabilities:
        """What is known of the model now, from recording, snapshot, cache or earlier calls."""
        return self._pipeline.capabilities(self._model)

    def learn(self, capabilities: Capabilities) -> None:
        """Take note of what was found out, and store it where answers are stored."""
        self._pipeline.learn(self._model, capabilities)

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer ``request``: from recording or cache, else by one live call.

        Raises LMError where no answer is to be had, ReplayMissError, BudgetExceededError, CallLimitError,
        CanonicalError for a request without a key, ConfigurationError for a model nobody knows."""
        return self._pipeline.complete(request)

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """The same, without blocking the event loop. A cancelled task leaves its call to be stored."""
        return await self._pipeline.acomplete(request)

    def __call__(
        self,
        prompt: str | Sequence[Message] | None = None,
        *,
        messages: Sequence[Message] | None = None,
        n: int = 1,
        **given: Any,
    ) -> list[str]:
        """Return the texts of ``n`` sampled answers to a prompt (or messages), as DSPy's LMs do."""
        return [self.complete(request).text for request in self._requests(prompt, messages, n, given)]

    async def acall(
        self,
        prompt: str | Sequence[Message] | None = None,
        *,
        messages: Sequence[Message] | None = None,
        n: int = 1,
        **given: Any,
    ) -> list[str]:
        """The same, awaiting."""
        import asyncio

        requests = self._requests(prompt, messages, n, given)
        return [r.text for r in await asyncio.gather(*map(self.acomplete, requests))]

    def _requests(
        self,
        prompt: str | Sequence[Message] | None,
        messages: Sequence[Message] | None,
        n: int,
        given: Mapping[str, Any],
    ) -> list[LMRequest]:
        if (prompt is None) == (messages is None):
            raise ConfigurationError("an LM is called with a prompt or with messages=[...]")
        if not isinstance(n, int) or n < 1:
            raise ConfigurationError(f"n must be 1 or more, not {n!r}")
        given = dict(given)
        first = given.pop("rollout", 0) * n
        form, tools = given.pop("response_format", None), tuple(given.pop("tools", None) or ())
        sent = _as_messages(prompt if messages is None else messages)
        return [
            self.request(sent, response_format=form, tools=tools, rollout=first + sample, **given)
            for sample in range(n)
        ]


def _as_messages(given: str | Sequence[Message] | None) -> tuple[Message, ...]:
    if isinstance(given, str):
        return ({"role": "user", "content": given},)
    messages = tuple(given or ())
    if not messages or not all(isinstance(m, Mapping) and "role" in m for m in messages):
        raise ConfigurationError(
            "messages must be one or more mappings with a role and a content",
            hint='messages=[{"role": "user", "content": "..."}]',
        )
    return messages
