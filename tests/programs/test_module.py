"""Module: finding predictors, structural copies, calls in every colour, call bounds."""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import functools
import pickle
import threading
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.types import LMRequest
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict, Prediction, context
from tests.programs.fake import FakeLM


class Hop(Module):
    def __init__(self) -> None:
        self.query = Predict("context, question -> query")

    def forward(self, context: Any, question: str) -> Any:
        return self.query(context=context, question=question)


class Pair(NamedTuple):
    left: Predict
    right: Predict


class Nested(Module):
    def __init__(self) -> None:
        self.first = Predict("a -> b")
        self.hops = [Hop(), Hop()]
        self.tools = {"search": Predict("q -> r"), "deep": {"x": (Predict("s -> t"),)}}
        self.pair = Pair(Predict("l -> m"), Predict("r -> s"))
        self.number = 3

    def forward(self, a: str) -> Any:
        return self.first(a=a)


NAMES = [
    "first",
    "hops[0].query",
    "hops[1].query",
    "tools['search']",
    "tools['deep']['x'][0]",
    "pair[0]",
    "pair[1]",
]


class TestNames:
    def test_through_attributes_lists_tuples_and_dicts(self) -> None:
        program = Nested()
        assert [name for name, _ in program.named_predictors()] == NAMES
        assert program.predictors() == [p for _, p in program.named_predictors()]
        assert [n for n, _ in program.named_sub_modules()][:4] == ["", "first", "hops[0]", "hops[0].query"]

    def test_a_predictor_alone_is_self(self) -> None:
        predict = Predict("a -> b")
        assert predict.named_predictors() == [("self", predict)]

    def test_shared_predictors_have_one_name(self) -> None:
        class Shared(Module):
            def __init__(self) -> None:
                self.one = Predict("a -> b")
                self.two = self.one
                self.many = [self.one, Predict("c -> d")]

        assert [n for n, _ in Shared().named_predictors()] == ["one", "many[1]"]

    def test_cycles_end(self) -> None:
        class Cyclic(Module):
            def __init__(self) -> None:
                self.me = self
                self.loop: list[Any] = [Predict("a -> b")]
                self.loop.append(self.loop)
                self.child = Hop()
                self.child.parent = self

        program = Cyclic()
        assert [n for n, _ in program.named_predictors()] == ["loop[0]", "child.query"]
        assert program.max_calls() == 2
        copied = program.copy()
        assert copied.me is copied
        assert copied.loop[1] is copied.loop
        assert copied.child.parent is copied
        assert [n for n, _ in copied.named_predictors()] == ["loop[0]", "child.query"]

    def test_long_chains_do_not_overflow(self) -> None:
        root = link = Module()
        for _ in range(3000):
            link.next = Module()
            link = link.next
        link.last = Predict("a -> b")
        assert len(root.named_predictors()) == 1

    def test_no_super_init_and_dspys_idiom(self) -> None:
        class RAG(Module):
            def __init__(self, num_passages: int = 3) -> None:
                super().__init__()
                self.generate_answer = ChainOfThought("context, question -> answer")

        assert [n for n, _ in RAG().named_predictors()] == ["generate_answer"]

    def test_frozen_dataclasses_and_slots(self) -> None:
        @dataclasses.dataclass(frozen=True)
        class Frozen(Module):
            classify: Predict

        @dataclasses.dataclass(frozen=True, slots=True)
        class Slotted(Module):
            classify: Predict

        for cls in (Frozen, Slotted):
            program = cls(Predict("a -> b"))
            assert [n for n, _ in program.named_predictors()] == ["classify"]
            copied = program.with_predictors(lambda _, p: p.with_demos([{"a": "1", "b": "2"}]))
            assert copied.classify.demos[0].a == "1"
            assert program.classify.demos == ()
            assert type(copied) is cls


class TestCopies:
    def test_everything_that_holds_predictors_is_new(self) -> None:
        program = Nested()
        copied = program.copy()
        assert [n for n, _ in copied.named_predictors()] == NAMES
        assert not {id(p) for p in program.predictors()} & {id(p) for p in copied.predictors()}
        assert copied.hops is not program.hops
        assert copied.tools["deep"]["x"] is not program.tools["deep"]["x"]
        assert type(copied.pair) is Pair
        assert copied.pair.left is copied.pair[0] is not program.pair.left
        copied.first.demos = [{"a": "1", "b": "2"}]
        assert program.first.demos == ()

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: p.copy(), lambda p: p.deepcopy()])
    def test_what_cannot_be_copied_is_shared(self, duplicate: Any) -> None:
        class Client(Module):
            def __init__(self) -> None:
                self.lock = threading.Lock()
                self.data = [1]
                self.p = Predict("a -> b")

        program = Client()
        copied = duplicate(program)
        assert copied.lock is program.lock
        assert copied.data is program.data
        assert copied.p is not program.p

    def test_other_containers(self) -> None:
        class Many(collections.UserList):  # type: ignore[type-arg]
            pass

        class Holder(Module):
            def __init__(self) -> None:
                self.ordered = collections.OrderedDict(a=Predict("a -> b"))
                self.default = collections.defaultdict(list, {"k": [Predict("c -> d")]})
                self.view = MappingProxyType({"v": Predict("e -> f")})

        program = Holder()
        copied = program.with_predictors(lambda name, p: p.with_demos([{"a": name}]))
        assert type(copied.ordered) is collections.OrderedDict
        assert copied.default.default_factory is list
        assert [p.demos[0].a for p in copied.predictors()] == ["ordered['a']", "default['k'][0]", "view['v']"]
        assert all(p.demos == () for p in program.predictors())

    def test_shared_predictors_stay_shared(self) -> None:
        class Shared(Module):
            def __init__(self) -> None:
                self.one = Predict("a -> b")
                self.again = [self.one]

        edits: list[str] = []

        def edit(name: str, predictor: Predict) -> Predict:
            edits.append(name)
            return predictor.with_demos([{"a": "x", "b": "y"}])

        copied = Shared().with_predictors(edit)
        assert copied.again[0] is copied.one
        assert edits == ["one"]

    def test_methods_and_partials_are_bound_to_the_copy(self) -> None:
        class Bound(Module):
            def __init__(self) -> None:
                self.p = Predict("a -> b")
                self.ask = self._ask
                self.later = functools.partial(self._ask, self.p, more=self.p)

            def _ask(self, *given: Any, **more: Any) -> Any:
                return self.p, given, more

        program = Bound()
        copied = program.copy()
        assert copied.ask()[0] is copied.p
        own, given, more = copied.later()
        assert own is given[0] is more["more"] is copied.p
        assert program.ask()[0] is program.p

    def test_an_edit_in_a_cycle_is_seen_everywhere(self) -> None:
        program = Hop()
        program.query.owner = program
        copied = program.with_predictors(lambda _, p: p.with_demos([{"context": "c", "query": "q"}]))
        assert copied.query.owner is copied
        assert copied.query.owner.query.demos

    def test_a_predictor_can_be_replaced_by_another(self) -> None:
        class Other(Predict):
            pass

        copied = Nested().map_named_predictors(lambda p: Other(p.signature))
        assert {type(p) for p in copied.predictors()} == {Other}

    def test_reset_copy(self) -> None:
        program = Hop()
        program.query.demos = [{"context": "c", "question": "q", "query": "x"}]
        assert program.reset_copy().query.demos == ()
        assert len(program.query.demos) == 1

    def test_modules_are_pickled(self) -> None:
        program = Nested()
        program.first.demos = [Example(a="x", b="y")]
        again = pickle.loads(pickle.dumps(program))
        assert [n for n, _ in again.named_predictors()] == NAMES
        assert again.first.demos == program.first.demos
        assert again.first.signature.equals(program.first.signature)


class TestCalls:
    def test_positional_and_keyword(self) -> None:
        class Plain(Module):
            def forward(self, question: str, k: int = 1) -> Any:
                return Prediction(answer=question * k)

        assert Plain()("ab", 2).answer == "abab"
        assert Plain()(question="ab").answer == "ab"

    def test_the_inputs_of_an_example(self) -> None:
        class Plain(Module):
            def forward(self, question: str, k: int = 1) -> Any:
                return question, k

        class Whole(Module):
            def forward(self, example: Example) -> Any:
                return example

        example = Example(question="q", k=2, answer="a").with_inputs("question", "k")
        assert Plain()(example) == ("q", 2)
        assert Plain()(**example.inputs()) == ("q", 2)
        assert Whole()(example) is example
        assert Plain()(example, 3) == (example, 3)
        bare = Example(question="q")
        assert Plain()(bare) == (bare, 1)

    def test_no_forward(self) -> None:
        with pytest.raises(UsageError, match=r"Module defines no forward\(\)"):
            Module()()

    def test_async_forward_from_everywhere(self) -> None:
        class Asynchronous(Module):
            async def forward(self, x: int) -> int:
                await asyncio.sleep(0)
                return x + 1

        class OnlyAforward(Module):
            async def aforward(self, x: int) -> int:
                return x + 1

        async def inside(program: Module) -> list[Any]:
            return [program(1), await program.acall(1)]

        for cls in (Asynchronous, OnlyAforward):
            assert cls()(1) == 2
            assert asyncio.run(inside(cls())) == [2, 2]

    def test_a_plain_forward_does_not_block_the_loop(self) -> None:
        class Slow(Module):
            def forward(self) -> str:
                return threading.current_thread().name

        assert asyncio.run(Slow().acall()) != threading.current_thread().name

    def test_settings_follow_into_threads_and_loops(self) -> None:
        lm = FakeLM()

        class Asks(Module):
            def __init__(self) -> None:
                self.p = Predict("question -> answer")

            async def forward(self, question: str) -> Any:
                return await self.p.acall(question=question)

        async def inside() -> Any:
            return Asks()("q")

        with context(lm=lm):
            assert Asks()("q").answer == "Paris"
            assert asyncio.run(inside()).answer == "Paris"
        assert lm.waited == 2


class TestBounds:
    def test_the_sum_of_the_parts(self) -> None:
        assert Nested().max_calls() == 7
        assert Predict("a -> b", n=3).max_calls() == 3
        assert Module().max_calls() == 0

    def test_a_part_held_twice_counts_twice(self) -> None:
        shared = Predict("a -> b")

        class Uses(Module):
            def __init__(self) -> None:
                self.p = shared

        class Both(Module):
            def __init__(self) -> None:
                self.one, self.two = Uses(), Uses()

        assert Both().max_calls() == 2

    def test_overridden_bounds_count(self) -> None:
        class Loop(Hop):
            def max_calls(self) -> int:
                return 5 * super().max_calls()

        class Outer(Module):
            def __init__(self) -> None:
                self.loop = Loop()
                self.p = Predict("a -> b")

        assert Outer().max_calls() == 6


def test_lm_of_a_program() -> None:
    program, lm = Nested(), FakeLM()
    assert program.get_lm() is None
    program.set_lm(lm)
    assert program.get_lm() is lm
    assert program.copy().get_lm() is lm
    program.first.lm = FakeLM()
    with pytest.raises(UsageError, match="different LMs"):
        program.get_lm()


def test_repr_is_short_and_stable() -> None:
    assert repr(Hop()) == "Hop(query=Predict(context, question -> query))"


def test_calls_from_many_threads_keep_apart() -> None:
    def answer(request: LMRequest) -> str:
        return '{"b": "' + request.messages[-1]["content"].removeprefix("a: ") + '"}'

    program = Nested()
    results: dict[int, str] = {}

    def work(number: int) -> None:
        with context(lm=FakeLM(answer)):
            for _ in range(50):
                results[number] = program(a=str(number)).b
                assert results[number] == str(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: str(n) for n in range(8)}
