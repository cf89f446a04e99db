"""Demos chosen at call time: by whose inputs, which ones, at what cost, and through files and back."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from pytest_lmprog.errors import LMResponseError, SnapshotError, UsageError
from pytest_lmprog.lm.options import sort_options
from pytest_lmprog.programs import Example, Module, Predict, context, run_program
from pytest_lmprog.programs.ensemble import EnsembledProgram
from pytest_lmprog.programs.nearest import Bank, Nearest, inputs_text, mark_root
from pytest_lmprog.programs.vectorizers import checked_vectorizer, vectorizer_of, vectorizer_spec
from pytest_lmprog.retrieval.embedder import Embedder
from tests.teleprompt.world import QA, Asked, PlainAdapter, WorldLM

WORDS = ("red apple", "green pear", "red car", "blue boat")


def demos(texts: Any = WORDS) -> list[Example]:
    return [Example(question=text, answer=text.upper()) for text in texts]


def choosing(program: Any, k: int = 2, vectorizer: Any = None, texts: Any = WORDS) -> Any:
    def edit(_: str, predictor: Predict) -> Predict:
        bank = Bank([inputs_text({"question": text}) for text in texts], checked_vectorizer(vectorizer))
        return predictor.choosing(demos(texts), Nearest(k, bank, tuple(range(len(texts)))))

    made = program.with_predictors(edit)
    mark_root(made)
    return made


def lengths(texts: list[str]) -> list[list[float]]:
    """A vectorizer: near is what has as many characters."""
    return [[math.cos(0.05 * len(text)), math.sin(0.05 * len(text))] for text in texts]


def asked(program: Any, *args: Any, **inputs: Any) -> list[Asked]:
    lm = WorldLM(lambda one: dict.fromkeys(one.outputs, "x"))
    with context(lm=lm, adapter=PlainAdapter()):
        program(*args, **inputs)
    return lm.live


class Hops(Module):
    """The second predictor does not see the question."""

    def __init__(self) -> None:
        self.first = Predict("question -> query")
        self.second = Predict("query -> answer")

    def forward(self, question: str) -> Any:
        return self.second(query=self.first(question=question).query)


def test_the_nearest_demos_are_shown_the_nearest_first():
    program = choosing(QA())
    assert asked(program, question="a red apple")[0].shown == ["red apple", "red car"]
    assert asked(program, question="the blue boats")[0].shown[0] == "blue boat"
    assert asked(choosing(QA(), k=9), question="pear")[0].shown[0] == "green pear"
    assert len(asked(choosing(QA(), k=9), question="pear")[0].shown) == 4


def test_the_trace_says_which_demos_were_shown():
    program = choosing(QA(), k=1)
    lm = WorldLM(lambda one: {"answer": "x"})
    with context(lm=lm, adapter=PlainAdapter()):
        trace = run_program(program, {"question": "the red car"}).trace
        plain = run_program(
            QA().map_named_predictors(lambda p: p.with_demos(demos())), {"question": "x"}
        ).trace
    assert trace[0].demos == (demos()[2],)
    assert (plain[0].chosen, len(plain[0].demos)) == (None, 4)


def test_of_equally_near_ones_the_first_win():
    assert asked(choosing(QA(), k=3), question="zzz")[0].shown == ["red apple", "green pear", "red car"]


def test_every_predictor_chooses_by_the_programs_inputs():
    def edit(name: str, predictor: Predict) -> Predict:
        own = [Example(query=t, answer="y", question=t) for t in WORDS]
        bank = Bank([inputs_text({"question": text}) for text in WORDS])
        return predictor.choosing(own, Nearest(1, bank, (0, 1, 2, 3)))

    program = Hops().with_predictors(edit)
    mark_root(program)
    first, second = asked(program, question="my boat is blue")
    assert [d["question"] for d in first.demos] == ["blue boat"]
    assert set(second.inputs) == {"query"}
    assert [d["question"] for d in second.demos] == ["blue boat"]


def test_a_program_within_another_goes_by_its_own_inputs():
    class Outer(Module):
        def __init__(self) -> None:
            self.inner = choosing(QA(), k=1)

        def forward(self, question: str) -> Any:
            return self.inner(question=f"{question} boat")

    assert asked(Outer(), question="red car")[0].shown == ["red car"]
    assert asked(Outer(), question="green")[0].shown[0] in ("green pear", "blue boat")


def test_inputs_by_position_and_as_an_example_count_alike():
    program = choosing(QA(), k=1)
    assert asked(program, "the red car")[0].shown == ["red car"]
    assert asked(program, Example(question="the red car").with_inputs("question"))[0].shown == ["red car"]
    both = EnsembledProgram([program, choosing(QA(), k=1)])
    mark_root(both)
    assert asked(both, "the red car")[0].shown == ["red car"]


def test_a_predictor_of_its_own_goes_by_its_inputs():
    alone = choosing(Predict("question -> answer"), k=1)
    assert asked(alone, question="the red car")[0].shown == ["red car"]
    assert asked(alone, "the red car")[0].shown == ["red car"]


def test_async_calls_choose_too():
    lm = WorldLM(lambda one: {"answer": "x"})

    class Async(Module):
        def __init__(self) -> None:
            self.answer = Predict("question -> answer")

        async def forward(self, question: str) -> Any:
            return await self.answer.acall(question=question)

    program = choosing(Async(), k=1)
    with context(lm=lm, adapter=PlainAdapter()):
        asyncio.run(program.acall(question="the red car"))
    assert lm.live[0].shown == ["red car"]


def test_parts_of_a_program_that_run_side_by_side_know_its_inputs():
    class Wide(Module):
        def __init__(self) -> None:
            self.answer = Predict("question -> answer")

        def forward(self, question: str) -> Any:
            return self.answer.batch([Example(question="?").with_inputs("question")] * 2)

    program = choosing(Wide(), k=1)
    assert [one.shown for one in asked(program, question="the red car")] == [["red car"]]


def test_a_vectorizer_makes_vectors_of_all_keys_once():
    calls: list[list[str]] = []

    def counted(texts: list[str]) -> list[list[float]]:
        calls.append(texts)
        return lengths(texts)

    program = choosing(QA(), 1, counted, ("a", "aaaa", "aaaaaaaa"))
    copied = program.copy()
    assert asked(program, question="bbb")[0].shown == ["aaaa"]
    assert asked(copied, question="b" * 9)[0].shown == ["aaaaaaaa"]
    assert asked(copied, question="bbb")[0].shown == ["aaaa"]
    assert calls == [
        ["question: a", "question: aaaa", "question: aaaaaaaa"],
        ["question: bbb"],
        ["question: bbbbbbbbb"],
    ]


def test_vectors_of_other_sizes_are_an_error():
    odd = Bank(["a"], checked_vectorizer(lambda texts: [[1.0] * len(texts[0]) for _ in texts]))
    with pytest.raises(LMResponseError, match="vectors of 1 and 3 numbers"):
        odd.similarities("aaa")


def test_what_is_left_of_the_demos_keeps_its_keys():
    program = choosing(QA(), k=1)
    fewer = program.answer.without_demos(lambda number, demo: demo["question"] == "red car")
    assert fewer.nearest.keys == ("question: red apple", "question: green pear", "question: blue boat")
    assert fewer.nearest.bank is program.answer.nearest.bank
    alone = fewer.with_signature(fewer.signature)
    assert asked(alone, question="the red car")[0].shown == ["red apple"]


def test_assigned_demos_are_all_shown():
    program = choosing(QA(), k=1)
    program.answer.demos = demos()[:3]
    assert program.answer.nearest is None
    assert len(asked(program, question="pear")[0].shown) == 3
    assert choosing(QA()).reset_copy().answer.nearest is None
    assert choosing(QA()).answer.shown_demos == tuple(demos()[:2])


def test_names_of_inputs_are_sorted_in_keys_and_other_values_are_json():
    assert inputs_text({"b": "x", "a": {"n": 1}}) == 'a: {"n":1} | b: x'
    assert inputs_text({"o": Odd()}) == "o: odd"


class Odd:
    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("vectorizer", [None, lengths])
def test_a_saved_state_chooses_alike(tmp_path, suffix, vectorizer):
    program = choosing(QA(), 2, vectorizer)
    program.save(tmp_path / f"state.{suffix}")
    loaded = QA()
    loaded.load(tmp_path / f"state.{suffix}", functions=[lengths])
    for question in ("red apple", "the boat"):
        assert asked(loaded, question=question)[0].demos == asked(program, question=question)[0].demos
    assert loaded.dump_state() == program.dump_state()
    assert json.loads(json.dumps(loaded.dump_state())) == loaded.dump_state()


def state(**changes: Any) -> dict[str, Any]:
    made = choosing(QA()).dump_state()
    made["predictors"]["answer"]["nearest"].update(changes)
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": ["x"]}, "1 keys for 4 demos"),
        ({"keys": [1, 2, 3, 4]}, "4 keys for 4 demos: each demo has one, a text"),
        ({"k": 0}, "a number k"),
        ({"k": "2"}, "a number k"),
        ({"keys": None}, "a list of keys"),
        ({"vectorizer": "cosine"}, "the vectorizer 'cosine' is unknown"),
        ({"vectorizer": {"function": "os.system"}}, "the function 'os.system', which was not given"),
        ({"vectorizer": {"model": "openai/x", "api_base": "http://evil"}}, "no address or key"),
        ({"vectorizer": {"model": "openai/x", "api_key": "sk"}}, "no address or key"),
    ],
)
def test_a_damaged_state_is_refused(changes, message):
    program = QA()
    with pytest.raises(SnapshotError, match=message):
        program.load_state(state(**changes))
    assert program.answer.nearest is None
    assert program.answer.demos == ()


def test_nearest_that_is_no_mapping_is_refused():
    made = state()
    made["predictors"]["answer"]["nearest"] = 3
    with pytest.raises(SnapshotError, match="a number k"):
        QA().load_state(made)


def test_vectorizers_are_named_and_found_again():
    model = Embedder("openai/text-embedding-3-small", dimensions=8, api_base="http://127.0.0.1:1")
    spec = vectorizer_spec(model)
    assert spec == {"model": "openai/text-embedding-3-small", "dimensions": 8}
    assert sort_options({"dimensions": 8}).params == {"dimensions": 8}
    assert vectorizer_of("", spec, [len, model]) is model
    made = vectorizer_of("", spec, [])
    assert vectorizer_spec(made) == spec
    assert vectorizer_spec(checked_vectorizer(lengths))["function"].endswith("test_nearest.lengths")
    assert vectorizer_of("", "lexical", [lengths]) is None
    assert checked_vectorizer("lexical") is None


@pytest.mark.parametrize("given", [3, " ", ["x"]])
def test_what_is_no_vectorizer_is_refused(given):
    with pytest.raises(UsageError, match="vectorizer must be an Embedder"):
        checked_vectorizer(given)
