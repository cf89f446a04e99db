from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.plugin.conftest import UNIT, Project

Properties = dict[str, str]
GATED = UNIT.replace("    def test_team", "    @pytest.mark.lm_gate(min_score=0.9)\n    def test_team")


def properties(project: Project, *args: str, name: str = "junit.xml") -> list[tuple[str, Properties]]:
    """Return the name and properties of each test case in the file that a run writes."""
    project.run(f"--junitxml={name}", *args)
    tree = ET.parse(project.path / name)
    return [
        (case.attrib["name"], {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")})
        for case in tree.iter("testcase")
    ]


def test_a_case_says_what_it_was_and_came_to(project: Project) -> None:
    project.test()
    found = dict(properties(project))
    assert found["test_team[refund-1]"] == {
        "lm.unit": "test_support.py::TestTriage",
        "lm.metric": "test_team",
        "lm.example": "refund-1",
        "lm.rollout": "1",
        "lm.status": "pass",
        "lm.verdict": "passed",
        "lm.score": "1",
        "lm.calls": "1",
    }


def test_a_failure_and_a_plain_test(project: Project) -> None:
    project.answers(dark="bug")
    project.test(UNIT + "\n\ndef test_plain():\n    pass\n")
    found = dict(properties(project))
    assert (found["test_team[dark-1]"]["lm.status"], found["test_team[dark-1]"]["lm.score"]) == ("fail", "0")
    assert found["test_plain"] == {}


def test_an_error_of_the_program(project: Project) -> None:
    project.answers(dark="!nonsense")
    project.test()
    found = dict(properties(project))["test_team[dark-1]"]
    assert (found["lm.status"], found["lm.error"], found["lm.score"]) == ("error", "ParseError", "0")


def test_the_ratchet(project: Project) -> None:
    project.test()
    project.run("--lm-update")
    project.answers(dark="bug")
    project.forget()
    found = dict(properties(project))["test_team[dark-1]"]
    assert (found["lm.verdict"], found["lm.baseline"], found["lm.score"]) == ("regressed", "1", "0")


def test_rollouts_and_graded_scores(project: Project) -> None:
    text = UNIT.replace("assert prediction.team == example.team", "return 0.3333333333")
    project.test(text.replace("    def test_team", "    @pytest.mark.lm_repeat(2)\n    def test_team"))
    found = dict(properties(project))["test_team[refund-1-r2]"]
    assert (found["lm.rollout"], found["lm.score"]) == ("2", "0.333333")


def test_a_gate_has_properties_of_its_own(project: Project) -> None:
    project.answers(dark="bug")
    project.test(GATED)
    found = [p for name, p in properties(project) if name == "test_team"]
    assert found == [
        {
            "lm.unit": "test_support.py::TestTriage",
            "lm.metric": "test_team",
            "lm.verdict": "failed",
            "lm.score": "0.75",
            "lm.cases": "4",
            "lm.regressions": "0",
            "lm.fixed": "0",
        }
    ]


def test_other_properties_stay_and_a_rerun_replaces_ours(project: Project) -> None:
    given = UNIT.replace(
        "(self, example, prediction):",
        "(self, example, prediction, record_property):\n        record_property('lmx', 'y')",
    )
    project.test(given)
    found = dict(properties(project))["test_team[refund-1]"]
    assert (found["lmx"], found["lm.status"]) == ("y", "pass")


def test_the_same_under_xdist(project: Project) -> None:
    project.answers(dark="bug")
    project.test(GATED)
    alone = sorted(properties(project), key=str)
    project.run_apart("-n2", "--junitxml=x.xml")
    tree = ET.parse(project.path / "x.xml")
    shared = [
        (case.attrib["name"], {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")})
        for case in tree.iter("testcase")
    ]
    assert sorted(shared, key=str) == alone


def test_nothing_is_loaded_without_the_option(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.test()
    project.write(
        "test_last.py",
        "import sys\ndef test_x():\n    assert 'pytest_lmprog.plugin.junit' not in sys.modules\n",
    )
    result = project.run_apart("test_support.py", "test_last.py")
    result.assert_outcomes(passed=5)
