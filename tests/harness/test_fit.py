"""Training, validation and test scores: where they come from, and when they disagree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmprog.evaluation.statistics import score_interval, wilson
from pytest_lmprog.harness.fit import SplitScore, learnt_scores, misfit, splits, training_score
from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, MetricResult, UnitInfo, UnitResult
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch, CompileResult, CompileRuntime
from tests.teleprompt.world import (
    QA,
    PlainAdapter,
    WorldLM,
    exact,
    knowing,
    labeled_of,
    rows,
    task,
    unreachable,
)

SEARCH = BootstrapFewShotWithRandomSearch(metric=exact, num_candidate_programs=0, max_labeled_demos=2)


def result(score: float | None, n: int = 10, **more: Any) -> CompileResult:
    return CompileResult(QA(), (), 0, score, n, **more)


def unit(*, train: int = 10, val: int | None = None, **more: Any) -> Any:
    valset = None if val is None else rows(val, start=50)
    return SimpleNamespace(**{"trainset": rows(train), "valset": valset, "selected_on_cases": False, **more})


# --- training -------------------------------------------------------------------------------------------


def train(lm: WorldLM, found: CompileResult, valset: Any = rows(3, start=50)) -> Any:
    with context(lm=lm, adapter=PlainAdapter()):
        return training_score(SEARCH, task(rows(4), valset=valset), found, CompileRuntime())


def test_the_winner_is_scored_on_each_training_example_without_its_own_demo():
    lm = WorldLM(knowing(0, 1, 2))
    found, note = train(lm, CompileResult(labeled_of(QA(), 2), (), 0, 0.5, 3))
    low_high = score_interval([1, 1, 1, 0])
    assert (found, note) == (SplitScore("train", 0.75, 4, low_high.low, low_high.high), None)
    assert sorted((one.inputs["question"], *one.shown) for one in lm.live) == [
        ("q0", "q1"),
        ("q1", "q0"),
        ("q2", "q0", "q1"),
        ("q3", "q0", "q1"),
    ]


@pytest.mark.parametrize(("found", "valset"), [(result(None), rows(3, start=50)), (result(0.5), None)])
def test_nothing_is_asked_where_nothing_was_ranked_or_it_is_known(found, valset):
    lm = WorldLM(knowing())
    assert train(lm, found, valset) == (None, None)
    assert not lm.live


def test_without_budget_it_is_a_note():
    lm = WorldLM(knowing(), budget=2)
    assert train(lm, result(0.5)) == (None, "the training examples were not scored (the budget is spent)")
    assert len(lm.live) <= 2
    fresh = WorldLM(knowing())
    assert train(fresh, result(0.5, stopped="budget"))[1] is not None
    assert not fresh.live, "a compile that the budget ended asks no more"


def test_an_lm_that_fails_is_a_note():
    found, note = train(WorldLM(unreachable), result(0.5))
    assert found is None
    assert note == "the training examples were not scored (CompileError)"


# --- validation -----------------------------------------------------------------------------------------


def test_a_validation_of_its_own():
    own = SplitScore("train", 0.9, 10, 0.6, 1.0)
    known = (1.0, 0.5, 0.5, 1.0)
    found = learnt_scores(unit(val=4), result(0.75, 4, scores=known), own)
    interval = score_interval(known)
    assert found == (own, SplitScore("validation", 0.75, 4, interval.low, interval.high))
    missing, _ = learnt_scores(unit(val=4), result(0.75, 4), None)
    assert missing == SplitScore("train")


def test_a_validation_on_the_training_examples_is_both():
    train, validation = learnt_scores(unit(train=10), result(0.5, 10), None)
    interval = wilson(5, 10)
    assert (train.score, train.n, train.low, train.high) == (0.5, 10, interval.low, interval.high)
    assert (validation.split, validation.score) == ("validation", 0.5)
    assert validation.note == "the training examples, their own demos left out"
    train, validation = learnt_scores(unit(train=10), result(0.5, 8), None)
    assert train == SplitScore("train")
    assert validation.note == "a part of the training examples"


def test_a_compile_that_ranks_nothing_has_none():
    assert learnt_scores(unit(), result(None, 0), None) == ()


def test_a_validation_on_the_cases_says_so():
    _, validation = learnt_scores(unit(val=4, selected_on_cases=True), result(0.5, 4), None)
    assert validation.note == "selected on these cases"


# --- test -----------------------------------------------------------------------------------------------


def outcome(metric: str, case: str, score: float | None, **more: Any) -> CaseOutcome:
    status = more.pop("status", "pass")
    return CaseOutcome("u", metric, case, "d", status, score=score, **more)


def ran(*outcomes: CaseOutcome, expected: int = 2) -> UnitResult:
    names = dict.fromkeys(o.metric for o in outcomes)
    metrics = tuple(
        MetricResult(MetricInfo(n, f"u::{n}", expected), tuple(o for o in outcomes if o.metric == n))
        for n in names
    )
    return UnitResult(UnitInfo("u", "u", "m", ()), metrics, TallyCount())


def compiled(*, teleprompter: Any = None, learnt: Any = None) -> Any:
    metrics = [
        SimpleNamespace(name="a", weight=1.0, optimize=True),
        SimpleNamespace(name="b", weight=3.0, optimize=True),
        SimpleNamespace(name="c", weight=9.0, optimize=False),
    ]
    validation = SplitScore("validation", 0.5, 4)
    return SimpleNamespace(
        prepared=SimpleNamespace(unit=SimpleNamespace(metrics=metrics)),
        teleprompter=teleprompter,
        learnt=(SplitScore("train"), validation) if learnt is None else learnt,
    )


def test_the_test_score_is_the_objective_over_the_cases():
    found = ran(
        outcome("a", "x", 1.0),
        outcome("b", "x", 0.5),
        outcome("c", "x", 0.0),
        outcome("a", "y", None, status="unscored", weight=3.0),
        outcome("b", "y", None, status="error", error="ParseError", weight=3.0),
    )
    test = splits(compiled(), found)[-1]
    # x: (1 * 1.0 + 3 * 0.5) / 4 = 0.625, weight 1; y: b alone counts, an error: 0, weight 3.
    assert (test.split, test.n) == ("test", 2)
    assert test.score == 0.625 / 4


def test_rollouts_of_a_case_are_one_example():
    found = ran(outcome("a", "x", 1.0), outcome("a", "x", 0.0, rollout=1))
    test = splits(compiled(), found)[-1]
    assert (test.score, test.n) == (0.5, 1)


def test_a_partial_run_has_no_test_score():
    for found in (
        None,
        ran(outcome("a", "x", 1.0)),
        ran(*[outcome("a", c, None, status="broken") for c in "xy"]),
    ):
        assert splits(compiled(), found)[-1] == SplitScore("test", note="not all cases ran")


def test_another_metric_has_no_test_score():
    found = ran(outcome("a", "x", 1.0), outcome("a", "y", 1.0))
    test = splits(compiled(teleprompter=SEARCH), found)[-1]
    assert test == SplitScore("test", note="the teleprompter has a metric of its own")
    assert splits(compiled(teleprompter=SEARCH.with_settings(metric=None)), found)[-1].score == 1.0


def test_where_nothing_was_learnt_there_is_nothing_to_compare():
    assert splits(compiled(learnt=()), ran(outcome("a", "x", 1.0), expected=1)) == ()


# --- the warning ----------------------------------------------------------------------------------------


def of(split: Any, score: float | None, low: float = 0.0, high: float = 1.0, note: str = "") -> SplitScore:
    return SplitScore(split, score, 20, low, high, note)


def test_intervals_that_do_not_meet_are_a_warning():
    assert misfit([of("train", 1.0), of("validation", 0.9, 0.7, 0.98), of("test", 0.5, 0.3, 0.69)]) == (
        "validation 0.900 (0.70-0.98, n 20) and test 0.500 (0.30-0.69, n 20) differ by more than their "
        "intervals: the prompts may be fitted to the validation examples"
    )
    other = misfit([of("validation", 0.5, 0.3, 0.6), of("test", 0.9, 0.7, 0.98)])
    assert other is not None
    assert "may be harder than the cases" in other


@pytest.mark.parametrize(
    "scores",
    [
        [of("validation", 0.9, 0.7, 0.98), of("test", 0.5, 0.3, 0.7)],
        [of("validation", 0.9, 0.7, 0.98), of("test", None)],
        [of("validation", None), of("test", 0.1, 0.0, 0.1)],
        [of("train", 0.9, 0.7, 0.98), of("test", 0.1, 0.0, 0.1)],
        [],
    ],
)
def test_no_warning_where_they_meet_or_one_is_not_known(scores):
    assert misfit(scores) is None


def test_plain_data_and_back():
    for score in (of("test", 0.5, 0.25, 0.75, "x"), SplitScore("train"), SplitScore("test", note="why")):
        assert SplitScore.from_plain(score.to_plain()) == score
    assert SplitScore("train").to_plain() == {"split": "train"}
    assert of("test", 0.0, 0.0, 0.3).to_plain()["score"] == 0.0
