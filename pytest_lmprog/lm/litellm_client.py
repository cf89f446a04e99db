"""The transport over litellm: one attempt a call, everything that litellm adds by itself switched off.

litellm is imported with the first live call and nowhere else.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from functools import cache
from threading import Lock
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, ConfigurationError, LMResponseError
from pytest_lmprog.lm.budget import Price
from pytest_lmprog.lm.entry import rewrite_texts
from pytest_lmprog.lm.litellm_errors import Asked, translated
from pytest_lmprog.lm.redaction import Scrubber
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage
from pytest_lmprog.records import dataclass

__all__ = ["LiteLLMTransport", "load_litellm", "price_of"]


@dataclass(frozen=True)
class LiteLLMTransport:
    """Asks through ``litellm.completion``.

    Parameters
    ----------
    target: returns what to reach: litellm's model string, ``api_base`` and ``api_key``. Called for each
        attempt, because a server of our own may have to be started first.
    timeout: seconds to wait for an answer.
    options: what else goes to litellm and not into requests (headers, credentials, regions).
    scrubber: takes secrets out of error texts.
    where: the address as error texts name it.
    priced: whether litellm's price map applies.
    extra: parameters to add to a request, worked out from it (a seed for the embedded model).
    """

    target: Callable[[], Target]
    timeout: float
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scrubber: Callable[[], Scrubber] = Scrubber
    where: str = ""
    priced: bool = True
    extra: Callable[[LMRequest], Mapping[str, Any]] = lambda _: {}

    def ask(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` with one attempt. Raises LMError or ConfigurationError, nothing else."""
        target = self.target()
        litellm = load_litellm()
        asked = Asked(request.model, self.where, self.timeout, self.scrubber())
        _check_model(litellm, target)
        handled = sys.exception()
        start = time.perf_counter()
        try:
            answer = litellm.completion(**self._arguments(request, target))
        except Exception as error:  # noqa: BLE001 - litellm raises its own, openai's, httpx' and builtins
            raise translated(error, asked, handled) from None
        latency = round(time.perf_counter() - start, 3)
        cost = _cost(litellm, answer, target.model) if self.priced else 0.0
        return _response(answer, asked, latency=latency, cost=cost)

    def _arguments(self, request: LMRequest, target: Target) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            **self.extra(request),
            **request.params,
            **self.options,
            "model": target.model,
            "messages": [dict(message) for message in request.messages],
            "api_base": target.api_base,
            "api_key": target.api_key,
            "timeout": self.timeout,
            "max_retries": 0,
            "num_retries": 0,
            "caching": False,
            "drop_params": False,
        }
        if request.response_format is not None:
            arguments["response_format"] = dict(request.response_format)
        if request.tools:
            arguments["tools"] = [dict(tool) for tool in request.tools]
        return arguments


@dataclass(frozen=True)
class Target:
    """Whom litellm is to ask: a model string, and address and key where it shall not find them itself."""

    model: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)


_loading = Lock()


def load_litellm() -> Any:
    """Import litellm, without network and quiet, and return it."""
    with _loading:
        return _litellm()


@cache
def _litellm() -> Any:
    import logging

    from pytest_lmprog.lm.quiet import quiet_warnings

    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with quiet_warnings():
        import litellm

        _ = litellm.completion, litellm.completion_cost  # these load most of it, with warnings of their own
        litellm.ModelResponse(choices=[litellm.Choices(message=litellm.Message(content=""))])
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    logger = logging.getLogger("LiteLLM")
    if logger.level == logging.NOTSET:
        # It logs failed requests with their content; we raise errors that say it without secrets.
        logger.setLevel(logging.CRITICAL)
    return litellm


def _check_model(litellm: Any, target: Target) -> None:
    """Raise ConfigurationError, with what may have been meant, for a model whose provider is unknown."""
    try:
        litellm.get_llm_provider(target.model, api_base=target.api_base)
    except Exception:  # noqa: BLE001 - "unknown" has had several exception types
        raise ConfigurationError(
            f"unknown model {target.model!r}: no provider of that name, and no model known without one",
            hint=_meant(litellm, target.model),
        ) from None


def _meant(litellm: Any, model: str) -> str:
    from difflib import get_close_matches

    providers = sorted(str(getattr(p, "value", p)) for p in litellm.provider_list)
    prefix, slash, rest = model.partition("/")
    if slash:
        near = [f"{name}/{rest}" for name in get_close_matches(prefix, providers, 3)]
    else:
        near = get_close_matches(model, sorted(litellm.model_cost), 3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return "write it as provider/model ('openai/gpt-4o-mini'); the embedded model is 'local/smollm2-135m'"


def _cost(litellm: Any, answer: Any, model: str) -> float | None:
    """Return USD by litellm's own price map, or None where it does not know the model."""
    try:
        cost = litellm.completion_cost(completion_response=answer, model=model)
    except Exception:  # noqa: BLE001 - an unknown price is no reason to lose an answer that is paid for
        return None
    return round(float(cost), 12) if isinstance(cost, int | float) and cost > 0 else None


def price_of(model: str) -> Price | None:
    """Return the price of a token of ``model`` by litellm's price map, or None where it does not know it.

    Imports litellm; for budgets in USD."""
    if model.startswith("local/"):
        return Price(0.0, 0.0)
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(model)
        return Price(float(known["input_cost_per_token"]), float(known["output_cost_per_token"]))
    except Exception:  # noqa: BLE001 - "not mapped" has had several exception types
        return None


def _response(answer: Any, asked: Asked, *, latency: float, cost: float | None) -> LMResponse:
    with _protocol(asked):
        choice = answer.choices[0]
        message = choice.message
        calls = _tool_calls(message)
        text = message.content
        if text is None and not calls and choice.finish_reason not in ("length", "content_filter"):
            raise ValueError("the message has no content")
        if text is not None and not isinstance(text, str):
            raise ValueError("the message's content is not text")
        return LMResponse(
            _clean(text or ""),
            choice.finish_reason,
            _usage(answer),
            cost,
            latency,
            _reasoning(message),
            calls,
        )


@contextmanager
def _protocol(asked: Asked) -> Iterator[None]:
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, CanonicalError) as error:
        detail = "it has no choices" if isinstance(error, IndexError) else str(error)
        raise LMResponseError(
            f"{asked.who} sent an answer that is not a chat completion: {asked.scrub(detail)}",
            hint="is api_base the address of an OpenAI-compatible server (often it ends in /v1)?",
        ) from None


def _usage(answer: Any) -> Usage | None:
    usage = getattr(answer, "usage", None)
    prompt, said = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    return Usage(int(prompt or 0), int(said or 0)) if prompt or said else None


def _reasoning(message: Any) -> str | None:
    reasoning = getattr(message, "reasoning_content", None)
    return _clean(reasoning) if isinstance(reasoning, str) and reasoning else None


def _tool_calls(message: Any) -> tuple[Mapping[str, Any], ...]:
    calls = getattr(message, "tool_calls", None) or ()
    return tuple(plain(rewrite_texts(call.model_dump(exclude_none=True), _clean)) for call in calls)


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
