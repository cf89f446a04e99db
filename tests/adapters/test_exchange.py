"""One call as a flow: which adapter, when it falls back, what is learnt, what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.adapters import Ask, ChatAdapter, JSONAdapter, adapter_for, exchange
from pytest_lmprog.errors import LMError, LMRequestError, LMServerError, ParseError
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse
from pytest_lmprog.signatures import Signature

SIGNATURE = Signature("question -> answer")


class FakeLM:
    """Answers in the form that it was asked in; refuses constraints where told to."""

    model = "fake"
    endpoint = ""

    def __init__(self, json_schema: bool | None = None, refuses: bool = False) -> None:
        self.known = Capabilities(json_schema=json_schema)
        self.refuses = refuses
        self.learnt: list[Capabilities] = []
        self.requests: list[LMRequest] = []

    def capabilities(self) -> Capabilities:
        return self.known

    def learn(self, capabilities: Capabilities) -> None:
        self.known = capabilities
        self.learnt.append(capabilities)

    def request(
        self, messages: Any, *, response_format: Any = None, tools: Any = (), rollout: int = 0, **params: Any
    ) -> LMRequest:
        return LMRequest("fake", messages, params, response_format, tools, rollout)

    def complete(self, request: LMRequest) -> LMResponse:
        self.requests.append(request)
        if request.response_format is not None and self.refuses:
            raise LMRequestError("response_format is not supported")
        if "JSON" in request.messages[0]["content"]:
            return LMResponse('{"answer": "json"}')
        return LMResponse("[[ ## answer ## ]]\nchat")


def ask(lm: Any, configured: Any = None, **options: Any) -> Any:
    flow = exchange(lm, Ask(SIGNATURE, (), {"question": "q"}, options), configured)
    step = next(flow)
    while True:
        try:
            step = flow.send(lm.complete(step))
        except StopIteration as end:
            return end.value
        except LMError as error:
            step = flow.throw(error)


@pytest.mark.parametrize(
    ("known", "configured", "name"),
    [
        (None, None, "json"),
        (True, None, "json"),
        (False, None, "chat"),
        (None, ChatAdapter(), "chat"),
        (True, ChatAdapter(), "chat"),
        (False, JSONAdapter(), "json"),
    ],
)
def test_which_adapter(known: bool | None, configured: Any, name: str) -> None:
    lm = FakeLM(known)
    assert adapter_for(lm, configured).name == name
    answered = ask(lm, configured)
    assert answered.adapter.name == name
    assert answered.parse(SIGNATURE) == {"answer": name}
    assert answered.messages is lm.requests[0].messages
    constrained = lm.requests[0].response_format is not None
    assert constrained is (name == "json" and known is not False)


def test_the_first_constrained_answer_is_learnt_from() -> None:
    lm = FakeLM()
    ask(lm)
    ask(lm)
    assert lm.learnt == [Capabilities(json_schema=True)]


def test_nothing_is_learnt_from_a_chat_answer() -> None:
    lm = FakeLM()
    ask(lm, ChatAdapter())
    assert lm.learnt == []


@pytest.mark.parametrize(("configured", "name"), [(None, "chat"), (JSONAdapter(), "json")])
def test_a_refused_constraint_falls_back_and_is_counted(configured: Any, name: str) -> None:
    lm, tally = FakeLM(refuses=True), Tally()
    with use_scope(CallScope(tally=tally)):
        answered = ask(lm, configured, temperature=0.5)
        again = ask(lm, configured)
    assert answered.adapter.name == again.adapter.name == name
    assert [r.response_format is None for r in lm.requests] == [False, True, True]
    assert lm.requests[1].params == {"temperature": 0.5}
    assert lm.learnt == [Capabilities(json_schema=False)]
    assert tally.count().fallbacks == 1


def test_a_fallback_needs_no_tally() -> None:
    assert ask(FakeLM(refuses=True)).adapter.name == "chat"


class Refusing(FakeLM):
    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def complete(self, request: LMRequest) -> LMResponse:
        self.requests.append(request)
        raise self.errors[min(len(self.requests), len(self.errors)) - 1]


def test_a_prompt_that_is_too_long_is_not_tried_again() -> None:
    lm = Refusing(LMRequestError("too long", context_window=True))
    with pytest.raises(LMRequestError, match="too long"):
        ask(lm)
    assert len(lm.requests) == 1
    assert lm.learnt == []


def test_when_both_forms_are_refused_the_first_reason_is_told() -> None:
    lm = Refusing(LMRequestError("first"), LMRequestError("second"))
    with pytest.raises(LMRequestError, match="first"):
        ask(lm)
    assert lm.learnt == []


def test_other_errors_are_no_reason_to_fall_back() -> None:
    lm = Refusing(LMServerError("down"))
    with pytest.raises(LMServerError):
        ask(lm)
    assert len(lm.requests) == 1


def test_a_refusal_where_it_is_known_is_raised() -> None:
    lm = Refusing(LMRequestError("bad parameter"))
    lm.known = Capabilities(json_schema=True)
    with pytest.raises(LMRequestError, match="bad parameter"):
        ask(lm)
    assert len(lm.requests) == 1


def test_a_cut_off_answer_says_what_to_do() -> None:
    class Cut(FakeLM):
        def complete(self, request: LMRequest) -> LMResponse:
            return LMResponse('{"answer": "a lon', "length")

    with pytest.raises(ParseError, match="cut off at max_tokens"):
        ask(Cut()).parse(SIGNATURE)


def test_prompts_are_rendered_once_for_the_same_demos() -> None:
    lm = FakeLM()
    demos = ({"question": "a", "answer": "b"},)
    for _ in range(2):
        flow = exchange(lm, Ask(SIGNATURE, demos, {"question": "q"}, {}), None)
        lm.requests.append(next(flow))
    first, second = lm.requests
    assert first.messages.shared is second.messages.shared  # type: ignore[attr-defined]
    flow = exchange(lm, Ask(SIGNATURE, ({"question": "a", "answer": "c"},), {"question": "q"}, {}), None)
    assert next(flow).messages != first.messages
