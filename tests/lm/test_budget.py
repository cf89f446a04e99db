"""Budgets: how they are written, and that live calls never exceed them."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import BudgetExceededError, ConfigurationError
from pytest_lmprog.lm.budget import FIRST_COMPLETION_BOUND, Amount, Budget, Price
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage


def request(text: str = "hello", model: str = "openai/small", **params: object) -> LMRequest:
    return LMRequest(model, ({"role": "user", "content": text},), params)


def answer(prompt: int = 5, completion: int = 10, cost: float | None = None) -> LMResponse:
    return LMResponse("x", usage=Usage(prompt, completion), cost=cost)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "limits"),
        [
            ("200calls", {"calls": 200}),
            ("1call", {"calls": 1}),
            ("50000tokens", {"tokens": 50000}),
            ("50_000 tokens", {"tokens": 50000}),
            ("1.5usd", {"usd": 1.5}),
            (".5 USD", {"usd": 0.5}),
            ("2usd", {"usd": 2}),
            (" 100calls , 2 usd ", {"calls": 100, "usd": 2}),
            ("0calls", {"calls": 0}),
        ],
    )
    def test_reads(self, text: str, limits: dict[str, float]) -> None:
        assert Budget.parse(text).limits == limits

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "calls",
            "10",
            "ten calls",
            "-5calls",
            "5 euros",
            "1e3calls",
            "5calls 6usd",
            "5calls,",
            "1,5usd",
            "nan usd",
            "infusd",
            "$5",
            "1.5calls",
            "0.5 tokens",
            "1calls,2calls",
            "1call,2calls",
        ],
    )
    def test_refuses_with_an_example(self, text: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            Budget.parse(text)
        assert repr(text) in str(raised.value)
        assert '"200calls"' in str(raised.value)

    @given(st.text(max_size=12))
    def test_never_raises_anything_else(self, text: str) -> None:
        with suppress(ConfigurationError):
            Budget.parse(text)

    def test_is_shown_as_written(self) -> None:
        assert str(Budget.parse("200calls,1.5usd")) == "200 calls, 1.5 usd"


class TestCalls:
    def test_exactly_as_many_as_stated(self) -> None:
        budget = Budget(calls=3)
        for _ in range(3):
            budget.reserve(request()).settle(answer())
        assert not budget.exhausted
        with pytest.raises(BudgetExceededError, match="3 of 3 calls spent"):
            budget.reserve(request())
        assert budget.exhausted
        assert budget.spent.calls == 3

    def test_a_refused_call_costs_nothing(self) -> None:
        budget = Budget(calls=1)
        budget.reserve(request()).release()
        budget.reserve(request()).settle(answer())
        assert budget.spent == Amount(1, 15, 0.0)

    def test_ending_twice_counts_once(self) -> None:
        budget = Budget(calls=5)
        reservation = budget.reserve(request())
        reservation.settle(answer())
        reservation.settle(answer())
        reservation.release()
        assert budget.spent.calls == 1

    def test_once_exhausted_it_stays_so(self) -> None:
        """A smaller request that would still fit must not go through by luck of the order."""
        budget = Budget(tokens=200)
        with pytest.raises(BudgetExceededError):
            budget.reserve(request("x" * 500, max_tokens=1))
        with pytest.raises(BudgetExceededError):
            budget.reserve(request("x", max_tokens=1))

    def test_without_limits_nothing_is_refused(self) -> None:
        budget = Budget()
        for _ in range(5):
            budget.reserve(request()).settle(answer(10**6, 10**6))
        assert budget.spent.calls == 5


class TestTokens:
    def test_the_bound_holds_for_any_text(self) -> None:
        bound = Budget(tokens=10**6).reserve(request("日本" * 100, max_tokens=7)).bound
        assert bound.tokens >= len(("日本" * 100).encode()) + 7

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_a_stated_maximum_bounds_the_answer(self, name: str) -> None:
        with_limit = Budget(tokens=10**6).reserve(request(**{name: 50})).bound.tokens
        without = Budget(tokens=10**6).reserve(request()).bound.tokens
        assert without - with_limit == FIRST_COMPLETION_BOUND - 50

    def test_several_answers_count_several_times(self) -> None:
        one, three = (Budget(tokens=10**6).reserve(request(max_tokens=50, n=n)).bound.tokens for n in (1, 3))
        assert three - one == 100

    def test_without_one_the_assumption_follows_the_longest_answer(self) -> None:
        budget = Budget(tokens=10**6)
        first = budget.reserve(request())
        first.settle(answer(5, 10_000))
        assert budget.reserve(request()).bound.tokens - first.bound.tokens == 20_000 - FIRST_COMPLETION_BOUND

    def test_a_refusal_without_one_tells_the_way_out(self) -> None:
        with pytest.raises(BudgetExceededError, match="may take 4"):
            Budget(tokens=100).reserve(request())
        with pytest.raises(BudgetExceededError, match="give the LM max_tokens"):
            Budget(tokens=100).reserve(request())
        with pytest.raises(BudgetExceededError) as raised:
            Budget(tokens=10).reserve(request(max_tokens=5))
        assert raised.value.hint is None

    def test_schema_and_tools_count(self) -> None:
        plain = request(max_tokens=1)
        schema = LMRequest(plain.model, plain.messages, plain.params, {"type": "json_schema", "x": "y" * 300})
        tools = LMRequest(plain.model, plain.messages, plain.params, None, ({"name": "z" * 300},))
        bounds = [Budget(tokens=10**6).reserve(each).bound.tokens for each in (plain, schema, tools)]
        assert bounds[1] >= bounds[0] + 300
        assert bounds[2] >= bounds[0] + 300

    def test_an_answer_without_usage_is_charged_its_bound(self) -> None:
        budget = Budget(tokens=10**6)
        reservation = budget.reserve(request(max_tokens=10))
        reservation.settle(LMResponse("x"))
        assert budget.spent.tokens == reservation.bound.tokens


class TestUsd:
    price = staticmethod(lambda model: Price(0.001, 0.002) if model == "openai/small" else None)

    def test_charges_the_stated_cost_or_the_price(self) -> None:
        budget = Budget(usd=100, price=self.price)
        budget.reserve(request()).settle(answer(cost=0.5))
        budget.reserve(request()).settle(answer(10, 20))
        assert budget.spent.usd == pytest.approx(0.5 + 0.01 + 0.04)

    def test_refuses_what_may_cost_too_much(self) -> None:
        budget = Budget(usd=0.1, price=self.price)
        with pytest.raises(BudgetExceededError, match="usd"):
            budget.reserve(request(max_tokens=50))
        Budget(usd=0.3, price=self.price).reserve(request(max_tokens=50))

    @pytest.mark.parametrize("price", [None, lambda model: None])
    def test_a_model_without_a_price_cannot_be_bounded(self, price) -> None:
        with pytest.raises(ConfigurationError, match=r"openai/small.*price is not known"):
            Budget(usd=1, price=price).reserve(request())

    def test_a_model_that_costs_nothing_is_bounded(self) -> None:
        Budget(usd=0, price=lambda model: Price(0.0, 0.0)).reserve(request())

    def test_prices_are_not_asked_for_without_need(self) -> None:
        Budget(calls=1, price=lambda model: pytest.fail("asked")).reserve(request())


class TestInFlight:
    def test_many_threads_never_exceed_it_and_use_it_up(self) -> None:
        budget = Budget(calls=40, tokens=10**9)
        refused: list[int] = []
        made: list[int] = []

        def work(number: int) -> None:
            for _ in range(10):
                try:
                    reservation = budget.reserve(request(max_tokens=10))
                except BudgetExceededError:
                    refused.append(number)
                    return
                time.sleep(0.0005)
                made.append(number)
                reservation.settle(answer())

        run(work, 16)
        assert len(made) == 40
        assert refused
        assert budget.spent.calls == 40

    def test_a_bound_waits_for_what_others_give_back(self) -> None:
        """Two bounds do not fit at once, but what both really take does."""
        one = Budget(tokens=10**6).reserve(request(max_tokens=1000)).bound.tokens
        budget = Budget(tokens=one + 100)
        first = budget.reserve(request(max_tokens=1000))
        assert budget.try_reserve(request(max_tokens=1000)) is None
        assert not budget.exhausted
        second: list[object] = []
        thread = threading.Thread(target=lambda: second.append(budget.reserve(request(max_tokens=1000))))
        thread.start()
        time.sleep(0.03)
        assert not second
        first.settle(answer(10, 20))
        thread.join(60)
        assert len(second) == 1

    def test_those_who_wait_are_told_of_the_end(self) -> None:
        one = Budget(tokens=10**6).reserve(request(max_tokens=100)).bound.tokens
        budget = Budget(tokens=one + 10)
        first = budget.reserve(request(max_tokens=100))
        errors: list[BaseException] = []

        def wait(_: int) -> None:
            try:
                budget.reserve(request(max_tokens=100))
            except BudgetExceededError as error:
                errors.append(error)

        threads = [threading.Thread(target=wait, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.03)
        first.settle(answer(50, 50))
        for thread in threads:
            thread.join(60)
        assert len(errors) == 4

    @given(st.integers(0, 2**32))
    def test_tokens_spent_never_exceed_the_limit(self, seed: int) -> None:
        rnd = random.Random(seed)
        limit = rnd.randint(50, 3000)
        budget, flying = Budget(tokens=limit), []
        for _ in range(30):
            try:
                got = budget.try_reserve(request("x" * rnd.randint(0, 100), max_tokens=rnd.randint(1, 200)))
            except BudgetExceededError:
                break
            if got is not None:
                flying.append(got)
            if flying and (got is None or rnd.random() < 0.4):
                ended = flying.pop(rnd.randrange(len(flying)))
                if rnd.random() < 0.2:
                    ended.release()
                else:
                    ended.settle(answer(rnd.randint(0, ended.bound.tokens), 0))
        for reservation in flying:
            reservation.settle(answer(reservation.bound.tokens, 0))
        assert budget.spent.tokens <= limit


def run(work, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
