"""Agreement of two raters, and calibration against goldens."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_lmprog as lmp
from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.agreement import cohen_kappa, spearman
from pytest_lmprog.evaluation.calibration import Calibration, Compared

WORDS = st.sampled_from(["a", "b", "c"])


def test_kappa_of_cohens_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_weighted_kappa_forgives_what_is_near() -> None:
    near = [(1, 1), (2, 3), (3, 3), (5, 4)]
    far = [(1, 5), (2, 3), (3, 3), (5, 4)]
    places = {n: float(n) for n in range(1, 6)}
    near_kappa, far_kappa = cohen_kappa(near, places=places), cohen_kappa(far, places=places)
    assert near_kappa is not None
    assert far_kappa is not None
    assert near_kappa > 0.8 > far_kappa


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
def test_kappa_is_at_most_one_symmetric_and_one_only_if_equal(pairs: list[tuple[str, str]]) -> None:
    kappa = cohen_kappa(pairs)
    if kappa is None:
        assert len({word for pair in pairs for word in pair}) == 1
        return
    assert kappa <= 1.0
    assert (kappa > 1 - 1e-12) == all(a == b for a, b in pairs)
    assert cohen_kappa([(b, a) for a, b in pairs]) == pytest.approx(kappa)


def test_kappa_and_rank_correlation_where_they_are_not_defined() -> None:
    assert cohen_kappa([]) is None
    assert cohen_kappa([("a", "a"), ("a", "a")]) is None
    assert spearman([]) is None
    assert spearman([(1, 1), (1, 2)]) is None


def test_spearman_with_ties() -> None:
    assert spearman([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1.0)
    assert spearman([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1.0)
    assert spearman([(1, 1), (2, 2), (2, 3), (4, 4)]) == pytest.approx(0.9486832980505138)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2))
def test_spearman_lies_within_one(pairs: list[tuple[float, float]]) -> None:
    rho = spearman(pairs)
    assert rho is None or (math.isfinite(rho) and -1 - 1e-9 <= rho <= 1 + 1e-9)


GOLDENS = [
    {"id": "a", "answer": "Thank you", "verdict": "pass"},
    {"id": "b", "answer": "Go away", "verdict": "fail"},
    {"id": "c", "answer": "Whatever", "verdict": "fail"},
    {"id": "d", "answer": "???", "verdict": "pass"},
]
LM = {
    "Thank you": {"reason": "it thanks", "verdict": "pass"},
    "Go away": {"reason": "rude", "verdict": "fail"},
    "Whatever": {"reason": "fine", "verdict": "pass"},
    "???": "nonsense",
}


def calibrated(**options: str) -> Calibration:
    with lmp.context(lm=lmp.ScriptedLM(LM)):
        return lmp.Judge("The answer is polite.", inputs="answer").calibrate(GOLDENS, **options)


def test_calibration_counts_no_verdict_as_disagreement_and_shows_it_apart() -> None:
    found = calibrated()
    assert [g.golden for g in found.goldens] == ["a", "b", "c", "d"]
    assert found.agreement == 0.5
    assert found.unread == 1
    assert [g.golden for g in found.disagreements] == ["c", "d"]
    assert found.confusion == {"fail": {"fail": 1, "pass": 1}, "pass": {"no verdict": 1, "pass": 1}}
    assert found.kappa == pytest.approx(0.2)
    assert found.figures() == {"goldens": 4, "agreement": 0.5, "kappa": 0.2, "no_verdict": 1}
    assert "c: people say 'fail', the judge says 'pass': fine" in str(found)


def test_a_calibration_below_what_is_asked_is_an_assertion_with_the_disagreements() -> None:
    found = calibrated()
    found.check(min_agreement=0.5)
    with pytest.raises(AssertionError, match=r"agreement is 0.500, below 0.9(?s:.*)c: people say 'fail'"):
        found.check(min_agreement=0.9)
    with pytest.raises(AssertionError, match=r"kappa is 0.200, below 0.6"):
        found.check(min_kappa=0.6)
    with pytest.raises(AssertionError, match="kappa is not defined"):
        Calibration((Compared("a", "pass", "pass"),)).check(min_kappa=0.1)


def test_figures_of_a_scale() -> None:
    found = Calibration(
        (Compared("a", 1, 1), Compared("b", 4, 5), Compared("c", 3, None), Compared("d", 5, 5))
    )
    assert found.is_scale
    assert found.agreement == 0.5
    assert found.mean_error == pytest.approx(1 / 3)
    assert found.spearman == pytest.approx(0.866025, abs=1e-6)
    assert found.figures()["no_verdict"] == 1


def test_goldens_are_read_from_a_file_and_mistakes_are_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("goldens.yaml").write_text('- {id: a, answer: "Thank you", human: pass}\n- {id: b, answer: x}\n')
    judge = lmp.Judge("The answer is polite.", inputs="answer")
    with lmp.context(lm=lmp.ScriptedLM(LM)):
        with pytest.raises(DataError, match=r"goldens.yaml:2: .*no field 'human'"):
            judge.calibrate("goldens.yaml", label="human")
        Path("goldens.yaml").write_text('- {id: a, answer: "Thank you", human: passed}\n')
        with pytest.raises(DataError, match=r"goldens.yaml:1: people's verdict 'passed' is none"):
            judge.calibrate("goldens.yaml", label="human")
        Path("goldens.yaml").write_text('- {id: a, answer: "Thank you", human: pass}\n')
        assert judge.calibrate("goldens.yaml", label="human").agreement == 1.0
        anything = lmp.Judge("The answer is polite.")
        assert anything.calibrate("goldens.yaml", label="human").agreement == 1.0
