"""TPE: the same points for the same scores, quietly."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from pytest_lmprog.errors import MissingExtraError
from pytest_lmprog.teleprompt.plans.mipro.tpe import STARTUP, TPE, require_optuna, size_of

SPACE = {"a": 5, "b": 4, "c": 1}


def worth(point):
    return 0.6 * (point["a"] == 3) + 0.4 * (point["b"] == 2)


def walk(seed, steps, told=worth):
    sampler, points = TPE(SPACE, seed), []
    for _ in range(steps):
        points.append(sampler.ask())
        sampler.tell(points[-1], told(points[-1]))
    return points


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


@pytest.mark.usefixtures("optuna")
class TestTPE:
    def test_the_seed_and_the_scores_decide(self):
        points = walk(9, 16)
        assert points == walk(9, 16)
        assert points != walk(8, 16)
        assert all(p.keys() == SPACE.keys() and all(0 <= p[n] < SPACE[n] for n in SPACE) for p in points)

    def test_scores_decide_from_the_startup_on(self):
        one, other = walk(9, STARTUP + 6), walk(9, STARTUP + 6, lambda point: -worth(point))
        assert one[:STARTUP] == other[:STARTUP]
        assert one[STARTUP:] != other[STARTUP:]

    def test_it_goes_where_scores_are_high(self):
        late = [point for seed in range(4) for point in walk(seed, 30)[STARTUP:]]
        best = sum(worth(point) == 1.0 for point in late)
        assert best > 3 * len(late) / size_of(SPACE)

    def test_the_startup_may_be_asked_for_at_once(self):
        one, other = TPE(SPACE, 9), TPE(SPACE, 9)
        points = []
        for _ in range(STARTUP):
            points.append(one.ask())
            one.tell(points[-1], worth(points[-1]))
        assert [other.ask() for _ in range(STARTUP)] == points
        for point in points:
            other.tell(point, worth(point))
        assert one.ask() == other.ask()

    def test_its_points_are_those_of_dspys_study(self, optuna):
        """MIPROv2 there: a told default, then trials by ``suggest_categorical``, in one study."""
        with warnings.catch_warnings(action="ignore"):
            study = optuna.create_study(
                direction="maximize", sampler=optuna.samplers.TPESampler(seed=9, multivariate=True)
            )
        kinds = {name: optuna.distributions.CategoricalDistribution(range(n)) for name, n in SPACE.items()}
        first = dict.fromkeys(SPACE, 0)
        study.add_trial(optuna.trial.create_trial(params=first, distributions=kinds, value=0.0))
        theirs = []

        def objective(trial):
            point = {name: trial.suggest_categorical(name, range(n)) for name, n in SPACE.items()}
            theirs.append(point)
            return worth(point)

        study.optimize(objective, n_trials=STARTUP + 8)
        ours = TPE(SPACE, 9)
        ours.tell(first, 0.0)
        points = []
        for _ in theirs:
            points.append(ours.ask())
            ours.tell(points[-1], worth(points[-1]))
        assert points == theirs

    def test_points_may_be_told_that_were_not_asked_for(self):
        sampler = TPE(SPACE, 9)
        for a in range(STARTUP):
            sampler.tell({"a": a % 5, "b": a % 4, "c": 0}, float(a % 5 == 3))
        assert [sampler.ask()["a"] for _ in range(6)].count(3) >= 3

    def test_nothing_to_choose_is_a_point_too(self):
        sampler = TPE({"only": 1}, 0)
        for _ in range(STARTUP + 2):
            assert sampler.ask() == {"only": 0}
            sampler.tell({"only": 0}, 0.5)

    def test_it_says_nothing_and_leaves_the_users_settings_alone(self, optuna, caplog):
        loud = logging.getLogger("optuna")
        level, propagates = loud.level, loud.propagate
        loud.setLevel(logging.DEBUG)
        loud.propagate = True
        try:
            with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
                warnings.simplefilter("error")
                walk(9, STARTUP + 2)
            assert caplog.records == []
            assert loud.level == logging.DEBUG
            assert logging.getLogger("optuna.storages._in_memory").filters == []
            with caplog.at_level(logging.DEBUG):
                optuna.create_study()
            assert caplog.records, "what the user makes is told"
        finally:
            loud.setLevel(level)
            loud.propagate = propagates

    def test_a_seed_may_be_any_number(self):
        assert walk(2**32 + 9, 2) == walk(9, 2)


class TestMissing:
    def test_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(MissingExtraError) as missing:
            require_optuna("MIPROv2")
        assert str(missing.value) == (
            "MIPROv2 needs the extra 'optuna', which is not installed\n"
            "  hint: pip install 'pytest-lmprog[optuna]'"
        )

    def test_what_optuna_itself_lacks_is_not_taken_for_it(self, monkeypatch, tmp_path):
        (tmp_path / "optuna.py").write_text("import a_part_of_optuna_that_is_gone\n")
        monkeypatch.delitem(sys.modules, "optuna", raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ModuleNotFoundError, match="a_part_of_optuna_that_is_gone"):
            require_optuna("MIPROv2")
        sys.modules.pop("optuna", None)


def test_an_empty_space_has_one_point():
    assert (size_of({}), size_of(SPACE)) == (1, 20)
