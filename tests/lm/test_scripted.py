from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LMRateLimitError, LMRequestError, LMServerError
from pytest_lmprog.lm.scripted import ScriptedLM
from pytest_lmprog.lm.types import LMResponse, Usage
from tests.lm.conformance import LanguageModelSuite, user


class TestScriptedLM(LanguageModelSuite):
    @pytest.fixture
    def make(self) -> Any:
        def made(answer: Any, **options: Any) -> Any:
            lm = ScriptedLM(lambda request: answer(request.messages[-1]["content"]), **options)
            return lm, lambda: lm.calls

        return made


def test_a_list_is_followed_in_order_and_ends_with_a_clear_error():
    lm = ScriptedLM(["one", {"answer": "zwei"}, LMResponse("drei", usage=Usage(1, 2))])
    assert lm("same") == ["one"]
    assert lm("same") == ['{"answer": "zwei"}']
    assert lm.complete(lm.request(user("same"))).usage == Usage(1, 2)
    with pytest.raises(ConfigurationError, match=r"3 answers.* used up.*'what now'"):
        lm("what now")


def test_a_list_is_given_out_once_each_under_threads():
    lm = ScriptedLM(map(str, range(50)))
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: lm("x")[0], range(50)))
    assert sorted(said, key=int) == [str(i) for i in range(50)]


def test_the_longest_key_in_the_last_user_message_decides():
    lm = ScriptedLM({"France": "Paris", "capital of France": "Paris!", "Peru": "Lima"})
    assert lm("the capital of France?") == ["Paris!"]
    messages = [*user("Peru?"), {"role": "assistant", "content": "Lima"}, *user("France?")]
    assert lm(messages=messages) == ["Paris"]
    with pytest.raises(ConfigurationError, match="'Chile\\?'") as caught:
        lm("Chile?")
    assert "'Peru'" in str(caught.value)


def test_a_text_is_said_always():
    assert ScriptedLM("yes")("anything", n=2) == ["yes", "yes"]


def test_exceptions_are_raised_and_retryable_ones_retried_without_waiting():
    lm = ScriptedLM([LMRateLimitError("slow", retry_after=30), LMServerError, "fine", KeyError("mine")])
    assert lm("x") == ["fine"]
    with pytest.raises(KeyError):
        lm("x")


def test_a_model_that_cannot_constrain_refuses_a_response_format():
    lm = ScriptedLM("yes", json_schema=False)
    assert lm.capabilities().json_schema is False
    with pytest.raises(LMRequestError):
        lm("x", response_format={"type": "json_object"})
    assert ScriptedLM("yes").capabilities().json_schema is True


def test_another_script_has_another_cache_entry():
    def endpoint(script: Any) -> str:
        return ScriptedLM(script).endpoint

    assert endpoint(lambda _: "a") == endpoint(lambda _: "a") != endpoint(lambda _: "b")
    assert endpoint({"a": "b"}) == endpoint({"a": "b"}) != endpoint({"a": "c"})


@pytest.mark.parametrize("wrong", [5, None])
def test_what_cannot_be_a_script_is_an_error(wrong: Any):
    with pytest.raises(ConfigurationError):
        ScriptedLM(wrong)


def test_an_answer_that_is_none_is_an_error():
    with pytest.raises(ConfigurationError, match="int"):
        ScriptedLM(lambda _: 5)("x")


def test_its_repr_is_short_and_stable():
    assert repr(ScriptedLM(["a"])) == "ScriptedLM(list, model='scripted')"
