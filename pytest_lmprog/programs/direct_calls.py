"""A call of litellm or of the OpenAI client as requests to an LM, and answers as the library's own type."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.litellm_client import cost_of, response_of
from pytest_lmprog.lm.litellm_errors import Asked as Who
from pytest_lmprog.lm.options import endpoint_of, sort_options
from pytest_lmprog.lm.redaction import Scrubber, secrets_in
from pytest_lmprog.lm.types import LMRequest, LMResponse
from pytest_lmprog.programs.context import Settings
from pytest_lmprog.programs.swapping import Target
from pytest_lmprog.records import dataclass

__all__ = ["Asked", "asked_of"]

_OPENAI = "https://api.openai.com/v1"
_REFUSED = ("stream", "logprobs", "top_logprobs", "audio", "modalities", "functions")
_OWN = ("model", "messages", "response_format", "tools", "n", "stream", "api_base", "base_url", "api_key")


@dataclass(frozen=True)
class Asked:
    """One call: its requests (one a choice), whom it asks, and how it is made live.

    ``args`` and ``sent`` are the arguments of the live call for one choice."""

    library: str
    requests: tuple[LMRequest, ...]
    endpoint: str
    secrets: frozenset[str]
    args: tuple[Any, ...]
    sent: Mapping[str, Any]

    def response(self, live: Callable[[], Any]) -> LMResponse:
        """Make the live call and return its answer. Raises what the library raises."""
        start = time.perf_counter()
        answer = live()
        latency = round(time.perf_counter() - start, 3)
        model = self.requests[0].model
        who = Who(model, self.endpoint, 0.0, Scrubber(self.secrets))
        cost = cost_of(sys.modules.get("litellm"), answer, model)
        return response_of(answer, who, latency=latency, cost=cost)

    def built(self, responses: Sequence[LMResponse]) -> Any:
        """Return the library's response that holds these answers."""
        data = _completion(self.requests[0], responses)
        return _litellm_response(data) if self.library == "litellm" else _openai_response(data)


def asked_of(target: Target, args: tuple[Any, ...], kwargs: Mapping[str, Any], now: Settings) -> Asked:
    """Return what a call asks for. Raises UsageError for what cannot be recorded."""
    if not target.library:
        raise UsageError(
            f"intercept() does not record {target.path}()",
            hint="call chat.completions.create or litellm.completion, or wrap the call in a function that is"
            " @lmp.recorded",
        )
    owner = args[:1] if target.library == "openai" else ()
    positional = dict(zip(("model", "messages"), args[len(owner) :], strict=False))
    given = {**now.params, **positional, **kwargs}
    given = {name: value for name, value in given.items() if not _is_absent(value)}
    for name in _REFUSED:
        if given.get(name):
            raise UsageError(f"intercept() does not record calls with {name}=", hint=f"leave {name} out")
    if "X-Stainless-Raw-Response" in (given.get("extra_headers") or {}):
        raise UsageError("intercept() does not record raw responses", hint="call create() itself")
    prefix, base, secrets = _client_of(owner[0]) if owner else ("", _base(given), frozenset[str]())
    options = sort_options({name: value for name, value in given.items() if name not in _OWN})
    count = int(given.get("n") or 1)
    request = LMRequest(
        f"{prefix}{given.get('model')}",
        tuple(_plain_message(message) for message in given.get("messages") or ()),
        options.params,
        _format(given.get("response_format")),
        tuple(given.get("tools") or ()),
    )
    rollouts = range(now.rollout * count, (now.rollout + 1) * count)
    sent = {name: value for name, value in given.items() if name != "n"}
    return Asked(
        target.library,
        tuple(request.with_rollout(rollout) for rollout in rollouts),
        endpoint_of(base, options.address),
        secrets | options.secrets | secrets_in(given.get("api_key")),
        owner,
        sent,
    )


def _is_absent(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NotGiven", "Omit")


def _base(given: Mapping[str, Any]) -> str | None:
    from pytest_lmprog.lm.client import environment_base

    return given.get("api_base") or given.get("base_url") or environment_base(str(given.get("model")))


def _client_of(resource: Any) -> tuple[str, str | None, frozenset[str]]:
    """Return the provider's prefix, the address (None for OpenAI's own) and the secrets of a client."""
    client = resource._client
    base = str(client.base_url).rstrip("/")
    prefix = "azure/" if "Azure" in type(client).__name__ else "openai/"
    return prefix, None if base == _OPENAI else base, secrets_in(client.api_key)


def _plain_message(message: Any) -> Mapping[str, Any]:
    if isinstance(message, Mapping):
        return message
    dumped: dict[str, Any] = message.model_dump(exclude_none=True)
    return dumped


def _format(wanted: Any) -> Mapping[str, Any] | None:
    if isinstance(wanted, type):
        schema = wanted.model_json_schema()  # type: ignore[attr-defined]
        return {"type": "json_schema", "json_schema": {"name": wanted.__name__, "schema": schema}}
    found: Mapping[str, Any] | None = wanted
    return found


def _completion(request: LMRequest, responses: Sequence[LMResponse]) -> dict[str, Any]:
    usages = [r.usage for r in responses if r.usage is not None]
    data: dict[str, Any] = {
        "id": f"chatcmpl-{request.key[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": request.model.partition("/")[2] or request.model,
        "choices": [_choice(number, response) for number, response in enumerate(responses)],
    }
    if usages:
        prompt, said = sum(u.prompt_tokens for u in usages), sum(u.completion_tokens for u in usages)
        data["usage"] = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
    return data


def _choice(number: int, response: LMResponse) -> dict[str, Any]:
    calls = [dict(call) for call in response.tool_calls]
    message: dict[str, Any] = {"role": "assistant", "content": response.text or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    if response.reasoning is not None:
        message["reasoning_content"] = response.reasoning
    return {"index": number, "finish_reason": response.finish_reason or "stop", "message": message}


def _litellm_response(data: Mapping[str, Any]) -> Any:
    import litellm

    choices = [
        litellm.Choices(
            finish_reason=choice["finish_reason"],
            index=choice["index"],
            message=litellm.Message(**choice["message"]),
        )
        for choice in data["choices"]
    ]
    usage = {"usage": litellm.Usage(**data["usage"])} if "usage" in data else {}
    kept = {name: data[name] for name in ("id", "created", "model", "object")}
    return litellm.ModelResponse(**kept, choices=choices, **usage)


def _openai_response(data: Mapping[str, Any]) -> Any:
    from openai.types.chat import ChatCompletion

    return ChatCompletion.model_validate(data)
