"""Chat completions of OpenAI-compatible servers over httpx, for requests to which litellm adds nothing.

litellm takes 5 to 10 ms of processor time a call, which no other thread of the process can use meanwhile:
with 32 requests in flight it, and not the server, sets the pace. What goes over the wire is the same, and
what comes back is read the same way (tests compare the two). Whatever is not plain goes through litellm:
other providers, models with ways of their own, tools, images, streams, further options, litellm's own
settings and callbacks.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from types import SimpleNamespace
from typing import Any

from pytest_lmprog.lm.types import LMRequest
from pytest_lmprog.records import dataclass

__all__ = ["PlainServer", "plain_server"]

_VERBATIM = frozenset(
    {"temperature", "max_tokens", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty"}
)
"""Parameters that litellm hands on to such a server as they are."""

_SENT = frozenset({"role", "content", "name"})
_ANSWERED = frozenset({"role", "content"})
_ENDED = frozenset({"stop", "length"})
_RETOLD = ("limit was reached", "alternat", "Last message must have role", "not a valid field")
"""Refusals that litellm answers by itself, or by asking again in another way."""

_CALLBACKS = ("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback")
_UNSET = (
    *("client_session", "headers", "organization", "model_alias_map", "drop_params", "modify_params"),
    *("max_budget", "model_fallbacks", "default_fallbacks", "context_window_fallback_dict"),
    *("api_base", "api_key", "openai_key", "secret_manager_client"),
)
_VARIABLES = (
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_CUSTOM_HEADERS",
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER",
    "SSL_VERIFY",
    "SSL_CERTIFICATE",
)


@dataclass(frozen=True)
class PlainServer:
    """An OpenAI-compatible server: where it is, the model's name there, and the headers that it wants."""

    url: str
    model: str
    headers: Mapping[str, str] = field(repr=False)
    litellm: Any = field(repr=False)

    def ask(self, request: LMRequest, timeout: float, extra: Mapping[str, Any]) -> Any | None:
        """Ask once. Returns the answer by attributes, as litellm's are, or None where litellm is to ask.

        Raises what httpx raises, and ValueError for an answer that is not JSON."""
        params = {**extra, **request.params}
        if not _is_plain(request, params):
            return None
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in request.messages],
            **params,
        }
        if request.response_format is not None:
            body["response_format"] = dict(request.response_format)
        response = _client().post(self.url, json=body, headers=dict(self.headers), timeout=timeout)
        if response.is_error and any(words in response.text for words in _RETOLD):
            return None
        return _read(self.litellm, response.raise_for_status().json())


def plain_server(litellm: Any, model: str, api_base: str | None, api_key: str | None) -> PlainServer | None:
    """Return the server behind an address that was given, or is in the environment, if litellm would only
    hand requests on to it."""
    api_base = api_base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    api_key = api_key or os.environ.get("OPENAI_API_KEY")
    if not api_base or not api_key or "?" in api_base or not _untouched(litellm):
        return None
    provider, _, name = model.partition("/")
    if provider != "openai" or not name or _known(litellm, name):
        return None
    headers = {"Authorization": f"Bearer {api_key}"}
    return PlainServer(api_base.rstrip("/") + "/chat/completions", name, headers, litellm)


def _known(litellm: Any, name: str) -> bool:
    """Whether litellm knows the model and so may treat it, or price it, in a way of its own."""
    return name in litellm.model_cost or f"openai/{name}" in litellm.model_cost


def _untouched(litellm: Any) -> bool:
    """Whether nobody changed what litellm does with a request."""
    if any(getattr(litellm, name, None) for name in (*_CALLBACKS, *_UNSET)):
        return False
    if litellm.ssl_verify is not True or any(os.environ.get(name) for name in _VARIABLES):
        return False
    return str(getattr(litellm.completion, "__module__", "")).startswith("litellm.")


def _is_plain(request: LMRequest, params: Mapping[str, Any]) -> bool:
    if request.tools or not _VERBATIM.issuperset(params):
        return False
    return all(
        _SENT.issuperset(message) and isinstance(message.get("content"), str) for message in request.messages
    )


def _read(litellm: Any, data: Any) -> Any:
    """Return an answer by attributes; what is more than a text is left to litellm to make sense of."""
    try:
        return _text_answer(litellm, data)
    except (AttributeError, KeyError, TypeError, ValueError):
        return _converted(litellm, data)


def _text_answer(litellm: Any, data: Any) -> Any:
    [choice] = data["choices"]
    message, finish = choice["message"], choice["finish_reason"]
    text, usage = message["content"], data.get("usage") or {}
    special = any(value for name, value in message.items() if name not in _ANSWERED)
    if special or finish not in _ENDED or "<think" in text or _known(litellm, data.get("model") or ""):
        raise ValueError("more than a text")
    said = SimpleNamespace(content=text, tool_calls=None, reasoning_content=None)
    counts = SimpleNamespace(
        prompt_tokens=usage.get("prompt_tokens"), completion_tokens=usage.get("completion_tokens")
    )
    return SimpleNamespace(choices=[SimpleNamespace(message=said, finish_reason=finish)], usage=counts)


def _converted(litellm: Any, data: Any) -> Any:
    from litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response import (
        convert_to_model_response_object,
    )

    try:
        return convert_to_model_response_object(
            response_object=data, model_response_object=litellm.ModelResponse()
        )
    except Exception:  # noqa: BLE001 - it raises Exception itself for what is no chat completion
        return SimpleNamespace(choices=[])


@cache
def _client() -> Any:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)
    client = httpx.Client(limits=limits, follow_redirects=True)
    atexit.register(client.close)
    return client
