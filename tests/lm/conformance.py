"""What holds for every LanguageModel. Subclass ``LanguageModelSuite`` in a test module and give ``make``:

a fixture that returns a function ``(answer, **options) -> (lm, count)``, where ``answer`` maps the text of
the last user message to the answer, or to an LMError to fail with, ``options`` are the LM's own, and
``count()`` says how many requests have reached the model.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmprog.errors import (
    BudgetExceededError,
    CallLimitError,
    CanonicalError,
    ConfigurationError,
    LMRequestError,
    LMServerError,
    ReplayMissError,
)
from pytest_lmprog.lm.budget import Budget
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.tally import CallLimit, Tally
from pytest_lmprog.lm.types import Capabilities, LanguageModel, LMRequest, LMResponse

__all__ = ["Book", "LanguageModelSuite", "user"]


def user(text: str) -> tuple[dict[str, str], ...]:
    """Return one user message."""
    return ({"role": "user", "content": text},)


class Book:
    """A RecordingBook in memory."""

    def __init__(self) -> None:
        self.answers: dict[str, LMResponse] = {}
        self.endpoints: dict[str, str] = {}
        self.known: dict[str, Capabilities] = {}
        self.replaced: list[str] = []

    def lookup(self, request: LMRequest, endpoint: Callable[[], str] | None = None) -> LMResponse | None:
        found = self.answers.get(request.key)
        return None if found is None else replace(found, source="recording")

    def add(
        self,
        request: LMRequest,
        response: LMResponse,
        endpoint: str,
        *,
        replace: bool = False,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        if replace:
            self.replaced.append(request.key)
        if replace or request.key not in self.answers:
            self.answers[request.key] = response
        self.endpoints[request.key] = endpoint

    def capabilities(self, model: str) -> Capabilities | None:
        return self.known.get(model)

    def learn(self, model: str, capabilities: Capabilities) -> None:
        self.known[model] = capabilities

    def explain_miss(
        self, request: LMRequest, label: str | None, *, rewrite: Callable[[str], str] | None = None
    ) -> str:
        return f"no recorded answer for {label}"


Make = Callable[..., tuple[Any, Callable[[], int]]]


def shout(text: str) -> str:
    return text.upper()


def _seconds(_: str) -> str:
    time.sleep(0.05)
    return "slow"


def _slowly(_: str) -> str:
    time.sleep(0.25)
    return "slow"


@contextmanager
def scoped(**settings: Any) -> Any:
    with use_scope(CallScope(**settings)) as scope:
        yield scope


class LanguageModelSuite:
    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError

    # -- the protocol and the request

    def test_it_is_a_language_model(self, make: Make):
        lm, _ = make(shout)
        assert isinstance(lm, LanguageModel)
        assert isinstance(lm.model, str)
        assert isinstance(lm.endpoint, str)

    def test_it_answers(self, make: Make):
        lm, count = make(shout)
        response = lm.complete(lm.request(user("hello")))
        assert (response.text, response.source) == ("HELLO", "live")
        assert response.latency is not None
        assert count() == 1

    def test_the_key_is_the_request(self, make: Make):
        lm, _ = make(shout, temperature=0)
        keys = [
            lm.request(user("a")).key,
            lm.request(user("b")).key,
            lm.request(user("a"), temperature=1).key,
            lm.request(user("a"), max_tokens=5).key,
            lm.request(user("a"), rollout=1).key,
            lm.request(user("a"), response_format={"type": "json_object"}).key,
            lm.request(user("a"), tools=({"type": "function"},)).key,
        ]
        assert len(set(keys)) == len(keys)
        assert lm.request(user("a"), temperature=0.0).key == keys[0]
        assert lm.request(user("a"), max_tokens=None).key == keys[0]
        assert make(shout, temperature=0)[0].request(user("a")).key == keys[0]

    def test_an_unserialisable_request_is_an_error_and_no_call(self, make: Make):
        for options in ({}, {"cache": False}):
            lm, count = make(shout, **options)
            with pytest.raises(CanonicalError):
                lm.complete(lm.request(user("a"), weird=object()))
            assert count() == 0

    @pytest.mark.parametrize("name", ["api_key", "extra_headers", "timeout", "n", "stream", "model"])
    def test_what_is_no_parameter_of_a_request_is_refused(self, make: Make, name: str):
        lm, _ = make(shout)
        with pytest.raises((ConfigurationError, TypeError)):
            lm.request(user("a"), **{name: "x"})

    def test_it_does_not_change(self, make: Make):
        lm, _ = make(shout, temperature=0)
        with pytest.raises(AttributeError):
            lm.temperature = 1
        with pytest.raises(AttributeError):
            del lm._params
        assert copy.deepcopy(lm) is lm
        assert copy.copy(lm) is lm
        lm.params["temperature"] = 1
        assert lm.request(user("a")).params == {"temperature": 0}

    def test_a_copy_has_other_parameters_and_the_same_cache(self, make: Make):
        lm, count = make(shout, temperature=0)
        hot = lm.copy(temperature=1)
        assert hot.request(user("a")).params == {"temperature": 1}
        assert lm.copy(temperature=None).request(user("a")).params == {}
        lm.complete(lm.request(user("a")))
        again = hot.copy(temperature=0)
        assert again.complete(again.request(user("a"))).source == "memory"
        assert count() == 1

    # -- calls as DSPy users write them

    def test_it_can_be_called(self, make: Make):
        lm, count = make(shout)
        assert lm("hello") == ["HELLO"]
        assert lm(messages=[{"role": "user", "content": "hello"}]) == ["HELLO"]
        assert asyncio.run(lm.acall("hello")) == ["HELLO"]
        assert count() == 1
        assert lm("hello", n=3) == ["HELLO"] * 3
        assert count() == 3

    @pytest.mark.parametrize(
        "wrong", [{}, {"prompt": "a", "messages": []}, {"messages": []}, {"prompt": "a", "n": 0}]
    )
    def test_a_call_that_makes_no_sense_is_an_error(self, make: Make, wrong: dict[str, Any]):
        lm, _ = make(shout)
        with pytest.raises(ConfigurationError):
            lm(**wrong)

    # -- reuse

    def test_the_same_request_is_asked_once(self, make: Make):
        lm, count = make(shout)
        first, second = (lm.complete(lm.request(user("a"))) for _ in range(2))
        assert replace(second, source="live") == first
        assert second.source == "memory"
        assert count() == 1

    def test_without_cache_it_is_asked_each_time(self, make: Make):
        lm, count = make(shout, cache=False)
        for _ in range(2):
            assert lm.complete(lm.request(user("a"))).source == "live"
        assert count() == 2

    def test_sync_and_async_share_answers(self, make: Make):
        lm, count = make(shout)
        request = lm.request(user("a"))

        async def both() -> LMResponse:
            return await lm.acomplete(request)

        assert asyncio.run(both()).source == "live"
        assert lm.complete(request).source == "memory"
        assert asyncio.run(both()).source == "memory"
        assert count() == 1

    def test_rollouts_are_answers_of_their_own(self, make: Make):
        lm, count = make(shout)
        for rollout in (0, 1, 2, 1):
            lm.complete(lm.request(user("a"), rollout=rollout))
        assert count() == 3

    def test_32_identical_requests_at_once_are_one_call(self, make: Make):
        lm, count = make(_seconds)
        tally = Tally()
        scope = CallScope(cache=MemoryStore(), tally=tally)

        def ask(_: int) -> str:
            with use_scope(scope):
                return lm.complete(lm.request(user("a"))).text

        with ThreadPoolExecutor(32) as pool:
            assert set(pool.map(ask, range(32))) == {"slow"}
        assert count() == 1
        assert (tally.count().live, tally.count().memory) == (1, 31)

    def test_64_awaited_at_once_are_one_call(self, make: Make):
        lm, count = make(_seconds)

        async def all_of_them() -> list[LMResponse]:
            request = lm.request(user("a"))
            return await asyncio.gather(*(lm.acomplete(request) for _ in range(64)))

        assert {r.text for r in asyncio.run(all_of_them())} == {"slow"}
        assert count() == 1

    def test_many_awaited_at_once_run_side_by_side(self, make: Make):
        lm, count = make(_slowly, max_concurrency=64)

        async def all_of_them() -> None:
            await asyncio.gather(*(lm.acomplete(lm.request(user(str(i)))) for i in range(64)))

        lm.complete(lm.request(user("warm")))
        start = time.monotonic()
        asyncio.run(all_of_them())
        assert time.monotonic() - start < 64 * 0.25 / 2  # one after the other would take 64 * 0.25
        assert count() == 65

    def test_two_lms_share_a_flight_through_the_cache_of_the_scope(self, make: Make):
        lm, count = make(_seconds)
        other = lm.copy(temperature=1).copy(temperature=None)
        scope = CallScope(cache=MemoryStore())

        def ask(one: Any) -> None:
            with use_scope(scope):
                one.complete(one.request(user("a")))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, [lm, other] * 4))
        assert count() == 1

    # -- errors

    def test_a_failure_is_raised_and_not_kept(self, make: Make):
        answers: list[Any] = [LMRequestError("no"), "yes"]
        lm, count = make(lambda _: answers.pop(0))
        with pytest.raises(LMRequestError):
            lm.complete(lm.request(user("a")))
        assert lm.complete(lm.request(user("a"))).text == "yes"
        assert count() == 2

    def test_a_failure_reaches_all_who_wait(self, make: Make):
        def fail(_: str) -> LMRequestError:
            time.sleep(0.2)
            return LMRequestError("refused")

        lm, count = make(fail)
        lm.capabilities()

        def ask(_: int) -> Exception:
            with pytest.raises(LMRequestError) as caught:
                lm.complete(lm.request(user("a")))
            return caught.value

        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(ask, range(8)))
        assert count() == 1
        assert len({id(error) for error in errors}) == 8
        assert len({str(error) for error in errors}) == 1

    def test_async_raises_the_same(self, make: Make):
        lm, _ = make(lambda _: LMRequestError("refused"))
        with pytest.raises(LMRequestError):
            asyncio.run(lm.acomplete(lm.request(user("a"))))

    def test_what_may_pass_is_asked_again_and_counted(self, make: Make):
        answers: list[Any] = [LMServerError("busy", retry_after=0, status=503), "fine"]
        lm, count = make(lambda _: answers.pop(0))
        tally = Tally()
        with scoped(tally=tally):
            assert lm.complete(lm.request(user("a"))).text == "fine"
        assert (count(), tally.count().retries, tally.count().live) == (2, 1, 1)

    def test_a_cancelled_task_does_not_lose_the_answer(self, make: Make):
        lm, count = make(_seconds)
        request = lm.request(user("a"))

        async def give_up() -> None:
            task = asyncio.ensure_future(lm.acomplete(request))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        lm.complete(lm.request(user("warm")))
        asyncio.run(give_up())
        assert lm.complete(request).text == "slow"
        assert count() == 2

    # -- the scope

    def test_the_cache_of_the_scope_is_used(self, make: Make):
        lm, count = make(shout)
        request = lm.request(user("a"))
        with scoped(cache=MemoryStore()):
            lm.complete(request)
            assert lm.complete(request).source == "memory"
        assert lm.complete(request).source == "live"
        assert count() == 2

    def test_a_recording_answers_first_and_takes_note(self, make: Make):
        lm, count = make(shout)
        request = lm.request(user("a"))
        book, tally = Book(), Tally()
        with scoped(recording=book, tally=tally):
            lm.complete(request)
            assert book.answers[request.key].text == "A"
            assert book.endpoints[request.key] == lm.endpoint
            book.answers[request.key] = LMResponse("recorded")
            found = lm.complete(request)
        assert (found.text, found.source) == ("recorded", "recording")
        assert (count(), tally.count().live, tally.count().recording) == (1, 1, 1)

    def test_a_cache_hit_is_recorded_too(self, make: Make):
        lm, _ = make(shout)
        request, book = lm.request(user("a")), Book()
        lm.complete(request)
        with scoped(recording=book):
            assert lm.complete(request).source == "memory"
        assert book.answers[request.key].text == "A"

    def test_note_only_does_not_answer(self, make: Make):
        lm, _ = make(shout)
        request, book = lm.request(user("a")), Book()
        book.answers[request.key] = LMResponse("recorded")
        with scoped(recording=book, note_only=True):
            assert lm.complete(request).text == "A"

    def test_replay_asks_nobody(self, make: Make):
        lm, count = make(shout)
        book = Book()
        lm.complete(lm.request(user("cached")))
        book.answers[lm.request(user("a")).key] = LMResponse("recorded")
        with scoped(mode="none", recording=book, label="test_x[1]"):
            assert lm.complete(lm.request(user("a"))).text == "recorded"
            for text in ("cached", "unknown"):
                with pytest.raises(ReplayMissError, match=r"test_x\[1\]"):
                    lm.complete(lm.request(user(text)))
        with scoped(mode="none", label="test_x[1]"), pytest.raises(ReplayMissError, match="lm-record=new"):
            lm.complete(lm.request(user("a")))
        assert count() == 1

    def test_all_asks_each_request_once_more_a_run(self, make: Make):
        numbers = iter(range(100))
        lm, count = make(lambda _: f"answer {next(numbers)}")
        request, book, cache = lm.request(user("a")), Book(), MemoryStore()
        with scoped(recording=book, cache=cache):
            lm.complete(request)
        for run, said in (("run-1", "answer 1"), ("run-2", "answer 2")):
            for _ in range(2):
                with scoped(mode="all", recording=book, cache=cache, refresh_id=run):
                    assert lm.complete(request).text == said
            assert book.answers[request.key].text == said
        assert count() == 3
        with scoped(cache=cache):
            assert lm.complete(request).text == "answer 2"

    def test_all_keeps_the_old_answer_where_asking_fails(self, make: Make):
        answers: list[Any] = ["old", LMRequestError("down")]
        lm, _ = make(lambda _: answers.pop(0))
        request, book, cache = lm.request(user("a")), Book(), MemoryStore()
        with scoped(recording=book, cache=cache):
            lm.complete(request)
        with (
            scoped(mode="all", recording=book, cache=cache, refresh_id="1"),
            pytest.raises(LMRequestError),
        ):
            lm.complete(request)
        assert book.answers[request.key].text == "old"
        with scoped(cache=cache):
            assert lm.complete(request).text == "old"

    def test_the_budget_is_charged_for_live_calls_only(self, make: Make):
        lm, count = make(shout)
        budget = Budget(calls=2)
        with scoped(budget=budget, cache=MemoryStore()):
            for text in ("a", "a", "b", "a"):
                lm.complete(lm.request(user(text)))
            with pytest.raises(BudgetExceededError):
                lm.complete(lm.request(user("c")))
            assert lm.complete(lm.request(user("a"))).text == "A"
        assert (count(), budget.spent.calls) == (2, 2)

    def test_a_failed_call_is_given_back_to_the_budget(self, make: Make):
        answers: list[Any] = [LMRequestError("no"), "yes"]
        lm, _ = make(lambda _: answers.pop(0))
        budget = Budget(calls=1)
        with scoped(budget=budget):
            with pytest.raises(LMRequestError):
                lm.complete(lm.request(user("a")))
            assert lm.complete(lm.request(user("b"))).text == "yes"

    def test_the_call_limit_counts_answers_but_no_refusals(self, make: Make):
        lm, _ = make(lambda text: LMRequestError("no") if text == "bad" else "yes")
        with scoped(limit=CallLimit(2)):
            lm.complete(lm.request(user("a")))
            with pytest.raises(LMRequestError):
                lm.complete(lm.request(user("bad")))
            asyncio.run(lm.acomplete(lm.request(user("a"))))
            with pytest.raises(CallLimitError):
                lm.complete(lm.request(user("a")))

    def test_answers_are_redacted_before_they_are_used(self, make: Make):
        lm, _ = make(lambda text: f"{text} is Ada's")
        cache, book = MemoryStore(), Book()
        request = lm.request(user("Ada's ticket"))
        with scoped(cache=cache, recording=book, redact=lambda text: text.replace("Ada", "***")):
            assert lm.complete(request).text == "***'s ticket is ***'s"
        entry = cache.get(request.cache_key(lm.endpoint))
        assert b"Ada" not in entry
        assert book.answers[request.key].text == "***'s ticket is ***'s"

    def test_messages_can_be_kept_out_of_the_cache(self, make: Make):
        lm, _ = make(lambda _: "fine")
        cache, request = MemoryStore(), lm.request(user("private words"))
        with scoped(cache=cache, keep_messages=False):
            lm.complete(request)
            assert lm.complete(request).source == "memory"
        assert b"private words" not in cache.get(request.cache_key(lm.endpoint))

    def test_a_damaged_row_is_a_warning_and_a_miss(self, make: Make):
        lm, count = make(shout)
        cache, request = MemoryStore(), lm.request(user("a"))
        cache.set(request.cache_key(lm.endpoint), b"\x80\x04damaged")
        with scoped(cache=cache), pytest.warns(UserWarning, match="damaged row"):
            assert lm.complete(request).text == "A"
        with scoped(cache=cache):
            assert lm.complete(request).source == "memory"
        assert count() == 1

    # -- capabilities

    def test_what_is_learnt_is_stored_where_answers_are(self, make: Make):
        lm, _ = make(shout, json_schema=None)
        assert lm.capabilities() == Capabilities()
        book, cache = Book(), MemoryStore()
        with scoped(recording=book, cache=cache):
            lm.learn(Capabilities(json_schema=False))
            assert lm.capabilities().json_schema is False
        assert book.known == {lm.model: Capabilities(json_schema=False)}
        fresh, _ = make(shout, json_schema=None)
        if fresh.endpoint == lm.endpoint:
            with scoped(cache=cache):
                assert fresh.capabilities().json_schema is False

    def test_what_is_known_is_told_to_a_recording_that_does_not_know(self, make: Make):
        lm, _ = make(shout, json_schema=None)
        lm.learn(Capabilities(json_schema=True))
        book = Book()
        with scoped(recording=book):
            assert lm.capabilities().json_schema is True
        assert book.known == {lm.model: Capabilities(json_schema=True)}

    def test_a_recording_knows_better_than_the_lm(self, make: Make):
        lm, _ = make(shout, json_schema=None)
        lm.learn(Capabilities(json_schema=True))
        book = Book()
        book.known[lm.model] = Capabilities(json_schema=False)
        with scoped(recording=book):
            assert lm.capabilities().json_schema is False

    def test_replay_reads_only_recording_and_snapshot(self, make: Make):
        lm, _ = make(shout, json_schema=None)
        lm.learn(Capabilities(json_schema=True))
        with scoped(mode="none"):
            assert lm.capabilities() == Capabilities()
        with scoped(mode="none", known={lm.model: Capabilities(json_schema=False)}):
            assert lm.capabilities().json_schema is False
