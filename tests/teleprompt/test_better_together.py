"""BetterTogether: what each step is given, which program wins, what is not asked twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_lmprog.errors import CompileError, UsageError
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import (
    BetterTogether,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    CallBound,
    Candidate,
    CompileResult,
    CompileRuntime,
    LabeledFewShot,
    TeleprompterBase,
)
from pytest_lmprog.teleprompt.engine.calls import student_bound
from pytest_lmprog.teleprompt.material.instructions import instructions_of, with_instructions
from tests.teleprompt.world import (
    QA,
    Asked,
    WorldLM,
    exact,
    knowing,
    questions,
    rows,
    task,
    truth,
    unreachable,
)


@dataclass(frozen=True)
class Tells(TeleprompterBase):
    """Stands for a strategy of its own: it adds a word to the instructions, and evaluates nothing. It keeps
    what it was given in ``seen``."""

    word: str
    seen: Any = None

    def bound(self, task: Any) -> CallBound:
        return student_bound(task, 0)

    def plan(self, study: Any) -> Any:
        yield from ()
        if self.seen is not None:
            self.seen.append([e.question for e in study.task.trainset])
        told = instructions_of(study.task.student)["answer"] + " " + self.word
        program = with_instructions(study.task.student, {"answer": told})
        candidate = Candidate(0, self.word, program, None, study.characters(program))
        study.note(candidate)
        return CompileResult(program, (candidate,), 0)


def words(asked: Asked) -> list[str]:
    """The words that steps added."""
    return [word for word in ("one", "two", "three") if f" {word}" in asked.instructions]


def better_with(**known: set[int]) -> Any:
    """An LM that knows these questions, by the last word that was added (``none``: as written)."""

    def answer(asked: Asked) -> dict[str, str]:
        last = (words(asked) or ["none"])[-1]
        question = asked.inputs["question"]
        return {"answer": truth(question) if int(question[1:]) in known.get(last, set()) else "no idea"}

    return answer


def together(lm: Any, strategy: str = "one -> two -> three", **more: Any) -> CompileResult:
    seen = more.pop("seen", None)
    parts = {word: Tells(word, seen) for word in ("one", "two", "three")}
    settings = {name: more.pop(name) for name in list(more) if name in ("valset_ratio", "seed")}
    shuffles = more.pop("shuffle", False)
    made = BetterTogether(
        exact, strategy=strategy, shuffle_trainset_between_steps=shuffles, **settings, **parts
    )
    with context(lm=lm):
        return made.compile_result(task(rows(4), **more), CompileRuntime(runtime_seed(more)))


def runtime_seed(more: dict[str, Any]) -> int:
    return int(more.pop("runtime_seed", 0))


def test_the_best_step_wins_by_hand():
    # Validation: q0 to q3. As written the LM knows q0: 1/4. After "one" it knows q0 and q1: 2/4. After "two"
    # q0 to q2: 3/4. After "three" nothing: 0. So the program after "one -> two" wins. Each of the four
    # programs is asked 4 times.
    lm = WorldLM(better_with(none={0}, one={0, 1}, two={0, 1, 2}))
    result = together(lm)
    assert [(c.index, c.label, c.score, c.parents) for c in result.candidates] == [
        (0, "as written", 0.25, ()),
        (1, "one: one", 0.5, (0,)),
        (2, "one -> two: two", 0.75, (1,)),
        (3, "one -> two -> three: three", 0.0, (2,)),
    ]
    assert (result.winner, result.score, result.validated_on, result.stopped) == (2, 0.75, 4, "done")
    assert instructions_of(result.program)["answer"].endswith(" one two")
    assert len(lm.live) == 16
    assert [c.spent.calls for c in result.candidates] == [4, 4, 4, 4]


def test_a_step_gets_what_the_last_step_made_even_if_it_was_worse():
    # "one" is worse than the program as written, and "two" goes on from it all the same.
    lm = WorldLM(better_with(none={0}, one=set(), two={0, 1}))
    result = together(lm, "one -> two")
    assert [c.score for c in result.candidates] == [0.25, 0.0, 0.5]
    assert instructions_of(result.program)["answer"].endswith(" one two")


def test_where_every_step_does_harm_the_program_as_written_wins():
    result = together(WorldLM(better_with(none={0})))
    assert (result.winner, result.candidates[0].label) == (0, "as written")
    assert result.score == 0.25


def test_at_equal_scores_the_shorter_prompt_wins():
    result = together(WorldLM(better_with(none={0}, one={0}, two={0}, three={0})))
    assert result.winner == 0


def test_a_step_may_come_twice():
    lm = WorldLM(better_with(one={0}, two={1, 2}))
    result = together(lm, "one -> two -> one")
    # After the third step the last word among those added is still "two", so the score is the same.
    assert [c.score for c in result.candidates] == [0.0, 0.25, 0.5, 0.5]
    assert result.winner == 2


def test_a_search_that_ranked_by_the_same_metric_is_not_evaluated_again():
    # As written: 4 runs. The search (no metric of its own): zero-shot (the same prompt, 4 runs more but no
    # request that is new), labeled with 1 demo (4 runs), bootstrap of 0 demos and 1 label (the same demo as
    # the labeled one). The LM knows all with a demo: the labeled candidate is right everywhere. Of 8 requests
    # to come none is for the step's own evaluation.
    def answer(asked: Asked) -> dict[str, str]:
        return {"answer": truth(asked.inputs["question"]) if asked.demos else "no idea"}

    lm = WorldLM(answer)
    search = BootstrapFewShotWithRandomSearch(
        max_bootstrapped_demos=0, max_labeled_demos=1, num_candidate_programs=0
    )
    made = BetterTogether(exact, p=search, strategy="p", shuffle_trainset_between_steps=False)
    with context(lm=lm):
        result = made.compile_result(task(rows(4), valset=rows(4, start=10)), CompileRuntime(concurrency=1))
    assert result.score == 1.0
    assert [c.label for c in result.candidates] == [
        "as written",
        "p: zero-shot",
        "p: labeled",
        "p: bootstrap",
    ]
    assert [c.parents for c in result.candidates] == [(), (0,), (0,), (0,)]
    assert result.winner in (2, 3)
    assert lm.taken <= 4 + 4 * 3  # a fifth evaluation would be 4 more


def test_the_trainset_is_shuffled_between_steps_by_the_seed():
    orders = []
    for seed in (None, 0, 5):
        seen: list[Any] = []
        together(WorldLM(better_with()), "one -> two", shuffle=True, seen=seen, seed=seed)
        orders.append(seen)
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][0] != orders[0][1]
    assert all(sorted(one) == ["q0", "q1", "q2", "q3"] for seen in orders for one in seen)
    seen = []
    together(WorldLM(better_with()), "one -> two", seen=seen)
    assert seen == [["q0", "q1", "q2", "q3"]] * 2


def test_a_share_of_the_trainset_is_held_out_where_asked_for():
    # Half of 4: q0 and q1 validate, q2 and q3 are learnt from.
    seen: list[Any] = []
    result = together(WorldLM(better_with(one={0})), "one", valset_ratio=0.5, seen=seen)
    assert (result.score, result.validated_on, seen) == (0.5, 2, [["q2", "q3"]])


def test_without_validation_the_last_program_is_the_result():
    lm = WorldLM(better_with(none={0, 1, 2, 3}))
    result = together(lm, "one -> two", valset_ratio=0)
    assert (result.score, result.validated_on, lm.live) == (None, 0, [])
    assert instructions_of(result.program)["answer"].endswith(" one two")


def test_a_given_valset_is_used():
    lm = WorldLM(better_with(one={10}))
    result = together(lm, "one", valset=rows(2, start=10), valset_ratio=0.5)
    assert (result.score, result.validated_on) == (0.5, 2)


@pytest.mark.parametrize(("calls", "wins", "listed"), [(3, 0, 1), (4, 0, 2), (7, 0, 2), (8, 1, 3), (9, 1, 3)])
def test_a_budget_leaves_the_best_of_what_was_evaluated(calls, wins, listed):
    lm = WorldLM(better_with(none={0}, one={0, 1}, two={0, 1, 2}), budget=calls)
    result = together(lm)
    assert result.stopped == "budget"
    assert (result.winner, len(result.candidates)) == (wins, listed)
    assert (result.score is None) is (calls == 3)
    if calls == 3:
        assert "before a program was evaluated" in result.notes[0]


def test_a_budget_that_ends_a_search_leaves_the_best_of_its_candidates():
    # As written: 4 calls. Zero-shot is the same prompt. The labeled candidate's 4 are the last that are paid.
    def answer(asked: Asked) -> dict[str, str]:
        return {"answer": truth(asked.inputs["question"]) if asked.demos else "no idea"}

    lm = WorldLM(answer, budget=8)
    search = BootstrapFewShotWithRandomSearch(max_bootstrapped_demos=2, max_labeled_demos=1)
    made = BetterTogether(exact, p=search, strategy="p -> p", shuffle_trainset_between_steps=False)
    with context(lm=lm):
        result = made.compile_result(task(rows(4), valset=rows(4, start=10)), CompileRuntime(concurrency=1))
    assert result.stopped == "budget"
    assert all(c.label == "as written" or c.label.startswith("p: ") for c in result.candidates)
    assert result.score == max(c.score for c in result.candidates if c.score is not None)


def test_notes_say_of_which_step_they_are():
    def broken(asked: Asked) -> Any:
        return "no JSON" if asked.inputs["question"] == "q0" else {"answer": "no idea"}

    made = BetterTogether(
        exact, b=BootstrapFewShot(max_bootstrapped_demos=2, max_labeled_demos=1), strategy="b"
    )
    with context(lm=WorldLM(broken)):
        result = made.compile_result(task(rows(3)), CompileRuntime())
    assert result.notes == (
        "b: 0 of 2 demos were bootstrapped: 3 of 3 training examples were tried",
        "b: 1 of 3 bootstrap runs ended in an error (ParseError 1)",
        "1 of 3 validation runs ended in an error",
        "no candidate scored above 0 on the 3 validation examples",
    )
    assert result.winner == 0


@pytest.mark.parametrize("optimizers", ["p", [1], 3])
def test_optimizers_that_are_no_mapping_are_told(optimizers):
    with pytest.raises(UsageError, match="optimizers must map names to teleprompters"):
        BetterTogether(optimizers=optimizers)


def test_a_step_that_fails_stops_the_compile():
    made = BetterTogether(exact, b=BootstrapFewShot(), strategy="b")
    down = WorldLM(unreachable)
    with context(lm=down), pytest.raises(CompileError, match="nobody answers"):
        made.compile_result(task(rows(3)), CompileRuntime())


def test_the_metric_of_the_unit_is_that_of_all_steps():
    made = BetterTogether(b=BootstrapFewShot(max_bootstrapped_demos=1, max_labeled_demos=0), strategy="b")
    with context(lm=WorldLM(knowing(2))):
        result = made.compile_result(task(rows(4), valset=rows(3)), CompileRuntime())
    final = result.candidates[1].program
    assert questions(final) == ["q2"]


def test_the_bounds_add_up():
    # 3 validation examples: as written 3, after each of two steps 3. The bootstrap: 4 runs.
    made = BetterTogether(exact, b=BootstrapFewShot(), a=LabeledFewShot(), strategy="b -> a")
    assert made.bound(task(rows(4), valset=rows(3))) == CallBound(13, 13)


def test_the_defaults_are_dspys():
    made = BetterTogether(exact, strategy="p")
    assert {name: type(one).__name__ for name, one in made.optimizers.items()} == {
        "p": "BootstrapFewShotWithRandomSearch"
    }
    whole = BetterTogether(exact)
    assert (type(whole.optimizers["w"]).__name__, whole.steps()) == ("BootstrapFinetune", ["p", "w", "p"])
    first = BetterTogether(exact, LabeledFewShot(1), LabeledFewShot(2))
    assert first.steps() == ["p", "w", "p"]
    assert {name: one.k for name, one in first.optimizers.items()} == {"p": 1, "w": 2}


def test_settings_are_nested_and_can_be_changed():
    made = BetterTogether(exact, a=LabeledFewShot(1), strategy="a")
    assert made.settings() == {
        "class": "BetterTogether",
        "metric": "exact",
        "optimizers": {"a": {"class": "LabeledFewShot", "k": 1, "sample": True}},
        "strategy": "a",
        "valset_ratio": None,
        "shuffle_trainset_between_steps": True,
        "seed": None,
    }
    assert made.describe() == (
        "BetterTogether(metric=exact, optimizers={'a': LabeledFewShot(k=1)}, strategy='a')"
    )
    assert made.with_settings(seed=3).optimizers == made.optimizers


def test_compile_takes_dspys_arguments():
    made = BetterTogether(exact, one=Tells("one"), two=Tells("two"), strategy="one")
    with context(lm=WorldLM(better_with(two={0}))):
        program = made.compile(QA(), trainset=rows(2), strategy="one -> two", valset_ratio=0.5, seed=1)
        assert instructions_of(program)["answer"].endswith(" one two")
        with pytest.raises(UsageError, match="no argument 'optimizer_compile_args'"):
            made.compile(QA(), trainset=rows(2), optimizer_compile_args={})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"a": LabeledFewShot}, "the optimizer 'a' must be a teleprompter"),
        ({"a": LabeledFewShot(), "strategy": "a -> b"}, "names 'b', not an optimizer; there are: a"),
        ({"a": LabeledFewShot(), "strategy": " "}, "has no steps"),
        ({"a": LabeledFewShot(), "strategy": "a", "valset_ratio": 1.0}, "valset_ratio must be"),
        ({"a": LabeledFewShot()}, "names 'p'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        BetterTogether(exact, **settings)


def test_bad_tasks():
    made = BetterTogether(exact, a=LabeledFewShot(), strategy="a", valset_ratio=0.1)
    with pytest.raises(UsageError, match="holds out the whole trainset of 1"):
        made.compile_result(task(rows(1)), CompileRuntime())
    with pytest.raises(UsageError, match="ranked without a metric"):
        made.with_settings(metric=None).compile_result(task(rows(2), metric=None), CompileRuntime())
    with pytest.raises(UsageError, match="the valset is empty"):
        made.compile_result(task(rows(2), valset=[]), CompileRuntime())
    search = BetterTogether(exact, p=BootstrapFewShot(), strategy="p")
    with pytest.raises(UsageError, match="teacher must be a Module or an LM"):
        search.compile_result(task(rows(2), teacher="gpt"), CompileRuntime(lm=WorldLM(knowing())))
