"""A small LM for the tests of programs: answers by a function of the request, counts what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse


class FakeLM:
    model = "fake"
    endpoint = ""

    def __init__(self, answer: Callable[[LMRequest], str] | str = '{"answer": "Paris"}') -> None:
        self.answer = answer
        self.requests: list[LMRequest] = []
        self.waited = 0

    def capabilities(self) -> Capabilities:
        return Capabilities(json_schema=True)

    def learn(self, capabilities: Capabilities) -> None:
        raise AssertionError("everything is known")

    def request(
        self,
        messages: Any,
        *,
        response_format: Any = None,
        tools: Any = (),
        rollout: int = 0,
        **params: Any,
    ) -> LMRequest:
        return LMRequest(self.model, messages, params, response_format, tools, rollout)

    def complete(self, request: LMRequest) -> LMResponse:
        self.requests.append(request)
        text = self.answer if isinstance(self.answer, str) else self.answer(request)
        return LMResponse(text)

    async def acomplete(self, request: LMRequest) -> LMResponse:
        await asyncio.sleep(0)
        self.waited += 1
        return self.complete(request)


def echo(request: LMRequest) -> str:
    """Answer with the schema's fields, each holding the last user message (or what its type wants)."""
    assert request.response_format is not None
    schema = request.response_format["json_schema"]["schema"]["properties"]
    shown = request.messages[-1]["content"]
    return json.dumps({name: part["enum"][0] if "enum" in part else shown for name, part in schema.items()})
