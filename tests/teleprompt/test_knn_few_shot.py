"""KNNFewShot: which demos are in the bank, which are shown, what it asks, and the way through a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.adapters import PROMPT_FORMAT, JSONAdapter
from pytest_lmprog.errors import CompileError, SnapshotError, UsageError
from pytest_lmprog.programs import Example, Module, Predict, context
from pytest_lmprog.retrieval.embedder import Embedder
from pytest_lmprog.snapshots.artifact import Header, Snapshot
from pytest_lmprog.snapshots.capture import capture
from pytest_lmprog.snapshots.edited import edited_predictors, looks_edited
from pytest_lmprog.snapshots.restore import load, restore
from pytest_lmprog.snapshots.store import write_accepted
from pytest_lmprog.snapshots.text import from_text, to_text
from pytest_lmprog.teleprompt import CallBound, CompileResult, CompileRuntime, KNNFewShot
from pytest_lmprog.teleprompt.material.demos import without_example
from tests.teleprompt.world import (
    QA,
    Asked,
    Looping,
    Pair,
    PlainAdapter,
    WorldLM,
    exact,
    knowing,
    labeled_of,
    questions,
    rows,
    shown,
    task,
    unreachable,
)


def by_number(texts: list[str]) -> list[list[float]]:
    """A vectorizer for which q3 is near q4: numbers on an arc."""
    import math

    angles = [0.1 * int(text.rpartition("q")[2]) for text in texts]
    return [[math.cos(angle), math.sin(angle)] for angle in angles]


def knn(k: int = 2, **settings: Any) -> KNNFewShot:
    return KNNFewShot(k, vectorizer=by_number, **settings)


def compiled(strategy: KNNFewShot, lm: Any, **more: Any) -> CompileResult:
    trainset = more.pop("trainset", None) or rows(6)
    with context(lm=lm):
        return strategy.compile_result(task(trainset, **more), CompileRuntime())


def asked(program: Any, question: str) -> list[Asked]:
    lm = WorldLM(lambda one: dict.fromkeys(one.outputs, "x"), propose=lambda one: {"query": "?"})
    with context(lm=lm, adapter=PlainAdapter()):
        program(question=question)
    return lm.live


def test_every_example_gives_a_demo_and_a_call_shows_the_nearest_by_hand():
    # The LM knows q1 and q4: their runs become demos; of q0, q2, q3 and q5 the labeled rows do, which look
    # the same here but for what the program put out. 6 runs of one call. q3 is nearest to itself, then to
    # q2 and q4 alike, of which the first wins.
    lm = WorldLM(knowing(1, 4))
    result = compiled(knn(3), lm)
    assert questions(result.program) == [f"q{n}" for n in range(6)]
    assert (len(lm.live), result.score, len(result.candidates)) == (6, None, 1)
    assert result.candidates[0].label == "the 3 nearest"
    assert asked(result.program, "q3")[0].shown == ["q3", "q2", "q4"]
    assert asked(result.program, "q9")[0].shown == ["q5", "q4", "q3"]
    assert result.notes == ("2 of 6 demos were bootstrapped: 6 of 6 training examples were tried",)


def test_one_inference_is_one_call():
    result = compiled(knn(3), WorldLM(knowing(1, 4)))
    assert len(asked(result.program, "q3")) == 1


def test_without_labeled_demos_only_what_passed_is_shown():
    result = compiled(knn(3, max_labeled_demos=0), WorldLM(knowing(1, 4, 5)))
    assert questions(result.program) == ["q1", "q4", "q5"]
    assert asked(result.program, "q0")[0].shown == ["q1", "q4", "q5"]


def test_without_bootstrapping_nothing_is_asked():
    lm = WorldLM(knowing())
    strategy = knn(1, max_bootstrapped_demos=0)
    result = compiled(strategy, lm)
    assert (lm.live, strategy.bound(task(rows(6)))) == ([], CallBound(0, 0))
    assert asked(result.program, "q4")[0].shown == ["q4"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_bootstrapped_demos": 2, "max_labeled_demos": 0}, 2),
        ({"max_bootstrapped_demos": 0, "max_labeled_demos": 3}, 3),
        ({"max_bootstrapped_demos": 2, "max_labeled_demos": 4}, 4),
        ({}, 5),
    ],
)
def test_the_numbers_of_demos_bound_k(settings, expected):
    assert knn(5, **settings).shown == expected


def test_a_predictor_without_a_demo_is_asked_without():
    result = compiled(knn(2, max_labeled_demos=0), WorldLM(knowing()))
    assert result.program.answer.nearest is None
    assert asked(result.program, "q1")[0].shown == []


class Hops(Module):
    def __init__(self) -> None:
        self.first = Predict("question -> query")
        self.second = Predict("query -> answer")

    def forward(self, question: str) -> Any:
        return self.second(query=self.first(question=question).query)


def hopping(one: Asked) -> dict[str, str]:
    return {"answer": "a" + one.inputs["query"][1:]}


def test_predictors_within_choose_by_the_programs_question():
    lm = WorldLM(hopping, propose=lambda one: {"query": "Q" + one.inputs["question"][1:]})
    result = compiled(knn(1, max_labeled_demos=0), lm, student=Hops())
    first, second = asked(result.program, "q4")
    assert [dict(d) for d in first.demos] == [{"question": "q4", "query": "Q4"}]
    assert [dict(d) for d in second.demos] == [{"query": "Q4", "answer": "a4"}]


def test_an_example_is_not_among_the_demos_that_it_is_scored_with():
    lm = WorldLM(hopping, propose=lambda one: {"query": "Q" + one.inputs["question"][1:]})
    program = compiled(knn(2, max_labeled_demos=0), lm, student=Hops()).program
    examined = without_example(program, rows(6)[4])
    first, second = asked(examined, "q4")
    assert [d["question"] for d in first.demos] == ["q3", "q5"]
    assert [d["query"] for d in second.demos] == ["Q3", "Q5"]
    assert questions(program, "first") == [f"q{n}" for n in range(6)]
    # From a snapshot demos come without the id of their example: their keys tell.
    restored = restore(snapshot_of(program), Hops(), functions=[by_number])
    first, second = asked(without_example(restored, rows(6)[4]), "q4")
    assert [d["query"] for d in second.demos] == ["Q3", "Q5"]
    assert without_example(restored, rows(1, start=50)[0]) is restored


def test_frozen_predictors_show_what_they_showed():
    student = labeled_of(Pair(), 1)
    student.freeze("second")
    program = compiled(knn(1), WorldLM(knowing(0)), student=student).program
    assert program.second.nearest is None
    assert program.second.demos == student.second.demos
    assert program.first.nearest is not None


def test_rounds_and_the_bound():
    strategy = knn(2, max_rounds=2)
    assert strategy.bound(task(rows(6), student=Looping())) == CallBound(12, 48)
    lm = WorldLM(knowing(0))
    compiled(strategy, lm)
    assert len(lm.live) == 11


def test_a_budget_leaves_the_demos_there_are():
    result = compiled(knn(2, max_labeled_demos=0), WorldLM(knowing(*range(6)), budget=3))
    assert result.stopped == "budget"
    assert 0 < len(questions(result.program)) <= 3


def test_the_tie_breaker_counts_what_a_prompt_shows():
    one, two = (compiled(knn(k), WorldLM(knowing())).candidates[0].characters for k in (1, 2))
    demo = '{"question": "q0", "answer": "a0"}'
    assert two - one == len(demo)


@pytest.mark.filterwarnings("ignore:KNNFewShot")
def test_compile_is_dspys():
    lm = WorldLM(knowing(1))
    with context(lm=lm):
        made = KNNFewShot(k=2, trainset=rows(3), vectorizer=by_number, metric=exact, max_rounds=1)
        program = made.compile(QA(), teacher=None)
        assert questions(program) == ["q0", "q1", "q2"]
        assert questions(made.compile(QA(), trainset=rows(2))) == ["q0", "q1"]
        assert questions(KNNFewShot(2).compile(QA(), trainset=rows(2))) == ["q0", "q1"]
        with pytest.raises(UsageError, match="needs a trainset"):
            KNNFewShot(2).compile(QA())


def test_a_teacher_that_always_errs_is_given_up():
    with pytest.raises(CompileError, match="nobody answers"):
        compiled(knn(), WorldLM(unreachable))
    with pytest.raises(CompileError, match="10 bootstrap runs ended in an error"):
        compiled(knn(), WorldLM(lambda one: "no JSON"), trainset=rows(10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KNNFewShot(0), "k must be an integer of 1 or more, not 0"),
        (lambda: KNNFewShot(True), "k must be an integer"),
        (lambda: KNNFewShot(2, vectorizer=5), "vectorizer must be an Embedder"),
        (lambda: KNNFewShot(2, max_rounds=0), "max_rounds must be an integer of 1"),
        (lambda: KNNFewShot(2, max_labeled_demos=-1), "max_labeled_demos must be an integer of 0"),
        (lambda: KNNFewShot(2, max_labeled_demos=0, max_bootstrapped_demos=0), "there are no demos"),
        (lambda: compiled(KNNFewShot(2, rows(2)), None), "has a trainset of its own, beside the unit's"),
        (lambda: compiled(KNNFewShot(2), None, teacher="gpt"), "teacher must be a Module or an LM"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_settings():
    assert knn(2, metric=exact).settings() == {
        "class": "KNNFewShot",
        "k": 2,
        "vectorizer": "by_number",
        "metric": "exact",
        "metric_threshold": None,
        "teacher_settings": None,
        "max_bootstrapped_demos": 4,
        "max_labeled_demos": 16,
        "max_rounds": 1,
        "max_errors": None,
    }
    model = Embedder("openai/text-embedding-3-small")
    assert KNNFewShot(2, vectorizer=model).settings()["vectorizer"] == "openai/text-embedding-3-small"
    assert KNNFewShot(2, vectorizer=model).functions() == (model,)
    assert (KNNFewShot(2).functions(), KNNFewShot(2).describe()) == ((), "KNNFewShot(k=2)")


# --- snapshots ------------------------------------------------------------------------------------------


def snapshot_of(program: Module) -> Snapshot:
    return Snapshot(Header("QA", None, "json", PROMPT_FORMAT), capture(program, JSONAdapter()))


def bank(k: int = 2, **settings: Any) -> Module:
    return compiled(KNNFewShot(k, **settings), WorldLM(knowing(1, 4))).program


@pytest.mark.parametrize("vectorizer", [None, by_number])
def test_a_snapshot_restores_the_bank_and_the_choice(tmp_path, vectorizer):
    program = bank(vectorizer=vectorizer)
    write_accepted(tmp_path / "x.yaml", snapshot_of(program))
    restored = load(tmp_path / "x.yaml", QA(), functions=[by_number])
    assert shown(restored) == shown(program)
    for number in range(8):
        assert asked(restored, f"q{number}")[0].demos == asked(program, f"q{number}")[0].demos
    assert from_text((tmp_path / "x.yaml").read_text()) == from_text(to_text(snapshot_of(restored)))
    assert edited_predictors(snapshot_of(program), restored) == []


def test_a_snapshot_shows_the_first_demos_as_an_instance():
    snapshot = snapshot_of(bank())
    predictor = snapshot.predictors["answer"]
    assert len(predictor.demos) == 6
    assert sum(message["role"] == "assistant" for message in predictor.messages) == 2
    assert not looks_edited(predictor)
    text = to_text(snapshot)
    assert "    nearest:\n      k: 2\n      vectorizer: lexical\n      keys:\n" in text


def test_a_function_must_be_given():
    snapshot = snapshot_of(bank(vectorizer=by_number))
    with pytest.raises(SnapshotError, match=r"test_knn_few_shot\.by_number', which was not given") as error:
        restore(snapshot, QA())
    assert "functions=[by_number]" in str(error.value.hint)


def test_a_demo_that_is_taken_out_by_hand_takes_its_key_along():
    from dataclasses import replace

    snapshot = snapshot_of(bank())
    predictor = snapshot.predictors["answer"]
    fewer = replace(predictor, demos=predictor.demos[1:])
    with pytest.raises(SnapshotError, match="6 keys for 5 demos") as error:
        restore(replace(snapshot, predictors={"answer": fewer}), QA())
    assert "its key is too" in str(error.value.hint)


def test_a_key_that_was_cut_off_is_told_with_its_line():
    text = to_text(snapshot_of(bank())).replace("      k: 2\n", "      k: none\n")
    with pytest.raises(SnapshotError, match=r":\d+: "):
        from_text(text)


def test_examples_without_demos_for_a_predictor_have_no_key():
    trainset = [*rows(2), Example(question="q2", other="x").with_inputs("question")]
    program = compiled(knn(), WorldLM(knowing()), trainset=trainset, metric=None).program
    assert len(program.answer.nearest.keys) == len(program.answer.demos)
