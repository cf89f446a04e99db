"""FunctionMetric: a test function called by a teleprompter, and the private parts of pytest it leans on."""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_lmprog.errors import ConfigurationError, LMConnectionError, MetricError
from pytest_lmprog.evaluation.scores import MAX_FEEDBACK, Metric
from pytest_lmprog.plugin.function_metric import FixtureNeeds, FunctionMetric, SharedFixtures
from pytest_lmprog.plugin.outcome import steady_assertions
from pytest_lmprog.programs import Example, Prediction, Trace


def metric(function, **given) -> FunctionMetric:
    names = tuple(inspect.signature(function).parameters)
    given.setdefault("arguments", names)
    return FunctionMetric(name=function.__name__, function=function, node_id="x::y", **given)


def score(function, **given):
    example, prediction = Example(id="one", team="bug"), Prediction(team="billing")
    return metric(function, **given).score(example, prediction, Trace())


def test_it_is_a_metric() -> None:
    assert isinstance(metric(lambda: None), Metric)


def test_an_assertion_is_feedback_with_introspection() -> None:
    def team(example, prediction):
        assert prediction.team == example.team, "the wrong team"

    said = score(team)
    assert said.value == 0.0
    assert not said.graded
    assert said.feedback.startswith("the wrong team\nassert 'billing' == 'bug'")


def test_feedback_is_the_same_whatever_pytest_would_show(monkeypatch) -> None:
    from _pytest.assertion import util

    def team(prediction):
        assert [prediction.team] * 30 == [object.__class__] * 29

    plain = score(team).feedback
    monkeypatch.setattr(util, "_reprcompare", lambda op, left, right: "\x1b[31mdifferent\x1b[0m")
    monkeypatch.setenv("CI", "true")
    assert score(team).feedback == plain
    assert util._reprcompare is not None


def test_addresses_and_length() -> None:
    def team(prediction):
        pytest.fail(f"{object()!r} " + "x" * 5000)

    said = score(team)
    assert "0x..." in said.feedback
    assert len(said.feedback) <= MAX_FEEDBACK


def test_steady_assertions_nest_across_threads_and_restore() -> None:
    from _pytest.assertion import util

    before = util._reprcompare, util._config
    barrier = threading.Barrier(8)

    def work(_: int) -> bool:
        barrier.wait()
        with steady_assertions():
            return util._reprcompare is None and util._config is None

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert (util._reprcompare, util._config) == before


@pytest.mark.parametrize("raise_it", [lambda: pytest.skip("x"), lambda: pytest.xfail("x")])
def test_skip_and_xfail_leave_it_unscored(raise_it) -> None:
    def team(prediction):
        raise_it()

    assert score(team).value is None


def test_a_mark_leaves_it_unscored_without_a_call() -> None:
    def team(prediction):
        raise ValueError

    assert score(team, unscored=lambda: True).value is None


def test_numbers_bools_and_record_score() -> None:
    assert score(lambda prediction: 0.25).value == 0.25
    assert score(lambda prediction: 0.25).graded
    assert score(lambda prediction: True).value == 1.0
    assert score(lambda prediction: True).graded
    assert score(lambda record_score: record_score(0.5, feedback="half")).feedback == "half"


@pytest.mark.parametrize("value", [2, -0.1, float("nan"), float("inf"), "text", [0.5]])
def test_what_is_no_score(value) -> None:
    with pytest.raises(MetricError, match="score"):
        score(lambda prediction: value)


def test_an_exception_is_a_metric_error_with_its_place() -> None:
    def team(prediction):
        return {}["key"]

    with pytest.raises(
        MetricError, match=r"metric team raised KeyError: 'key' \(.*test_function_metric.py:\d+\)"
    ):
        score(team)


def test_a_transport_error_stays_one() -> None:
    def judge(prediction):
        raise LMConnectionError("no route")

    with pytest.raises(LMConnectionError):
        score(judge)


def test_exit_is_not_swallowed() -> None:
    def team(prediction):
        pytest.exit("enough")

    with pytest.raises(pytest.exit.Exception):
        score(team)


def test_a_coroutine_is_awaited() -> None:
    async def team(prediction):
        return 0.5

    assert score(team).value == 0.5


def test_parameters_and_shared_fixtures_are_bound() -> None:
    shared = SharedFixtures()
    shared.fill({"judge": 3})

    def team(prediction, most, judge):
        return most / judge / 10

    said = score(team, params={"most": 6}, shared=shared)
    assert said.value == pytest.approx(0.2)


def test_each_evaluation_has_an_instance_and_xunit_of_its_own() -> None:
    seen = []

    class Tests:
        def setup_method(self, method):
            seen.append(("up", method.__name__, id(self)))

        def teardown_method(self):
            seen.append(("down", id(self)))

        def team(self, prediction):
            seen.append(("call", id(self)))
            pytest.fail("no")

    one = metric(Tests.team, cls=Tests, arguments=("prediction",))
    for _ in range(2):
        assert one.score(Example(), Prediction(), Trace()).value == 0.0
    assert [entry[0] for entry in seen] == ["up", "call", "down"] * 2
    assert len({entry[-1] for entry in seen[:3]}) == 1


def test_what_cannot_be_called_outside_of_items() -> None:
    with pytest.raises(ConfigurationError, match="function-scoped fixture 'tmp_path'"):
        metric(lambda: 1, needs=FixtureNeeds(narrow=("tmp_path",))).require_compilable()
    with pytest.raises(ConfigurationError, match="parametrized fixture 'db'"):
        metric(lambda: 1, needs=FixtureNeeds(parametrized=("db",))).require_compilable()


# --- contracts with pytest's private parts ------------------------------------------------------------


def test_pytest_still_explains_through_these_globals() -> None:
    from _pytest.assertion import util

    assert hasattr(util, "_reprcompare")
    assert hasattr(util, "_config")


def test_pytest_still_has_what_collection_reads() -> None:
    from _pytest.python import Metafunc

    for name in ("_calls", "_params_directness", "_arg2fixturedefs"):
        assert name in inspect.getsource(Metafunc.__init__)
    from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

    assert callable(evaluate_skip_marks)
    assert callable(evaluate_xfail_marks)


def test_pytest_still_names_xunit_fixtures_so() -> None:
    import _pytest.python

    source = inspect.getsource(_pytest.python)
    assert "_xunit_setup_method_fixture_" in source
    assert "_xunit_setup_function_fixture_" in source
