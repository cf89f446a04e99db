"""Judges in whole runs: as metrics, while compiling, and calibrated against people."""

from __future__ import annotations

import json

import pytest

JUDGES = """
import pytest_lmprog as lmp

apt = lmp.Judge("The team can help.", inputs=["ticket", "team"], name="apt")
"""

UNIT = """
import pytest
from judges import apt
from program import Triage

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_apt(self, example, prediction):
        assert apt(example, prediction)
"""

CALIBRATION = """
import pytest
from judges import polite

@pytest.mark.lm_program(program=polite)
@pytest.mark.lm_examples("goldens.yaml")
def test_agrees(example, prediction):
    prediction.check(example)
"""

POLITE = """
import pytest_lmprog as lmp

polite = lmp.Judge("The reply is polite.", inputs=["reply"], name="polite")
"""

GOLDENS = """
- {id: thanks, reply: "Thank you", verdict: pass}
- {id: rude, reply: "Go away", verdict: fail}
- {id: cold, reply: "Noted", verdict: fail}
- {id: warm, reply: "With pleasure", verdict: pass}
"""


def says(verdict: str, reason: str = "so it is") -> str:
    return "!" + json.dumps({"reason": reason, "verdict": verdict})


KIND = {
    "<team>\nbilling": says("pass"),
    "<team>\naccount": says("pass"),
    "<team>\n": says("fail", "wrong desk"),
}
AGREES = {"Thank you": says("pass"), "Go away": says("fail"), "Noted": says("pass"), "pleasure": says("pass")}
BILLING = {"charged": "billing", "Refund": "billing", "log in": "account"}


@pytest.fixture
def judged(project):
    project.write("judges.py", JUDGES)
    project.answers({**KIND, **BILLING})
    project.test(UNIT)
    return project


@pytest.fixture
def goldens(project):
    project.write("judges.py", POLITE)
    project.write("goldens.yaml", GOLDENS)
    project.answers(AGREES)
    project.test(CALIBRATION)
    return project


# --- as a metric --------------------------------------------------------------------------------------


def test_a_judge_decides_a_case_and_its_reason_is_shown(judged) -> None:
    result = judged.run("-v")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_apt?refund-1? PASSED*",
            "*test_apt?crash-1? FAILED*",
            "*assert Judgement('fail': wrong desk)*",
        ]
    )


def test_its_calls_are_recorded_with_the_items_and_replayed(judged, monkeypatch) -> None:
    judged.run()
    recorded = (judged.path / "__lm_recordings__/test_support.jsonl").read_text()
    assert recorded.count("wrong desk") == 2
    calls = judged.calls
    monkeypatch.setenv("CI", "1")
    judged.run().assert_outcomes(passed=2, failed=2)
    assert judged.calls == calls == 8


def test_a_returned_judgement_is_a_graded_score_with_its_reason(judged) -> None:
    judged.write("judges.py", JUDGES.replace('name="apt"', "scale=(1, 5)"))
    judged.answers({"<team>\nbilling": says(4), "<team>\n": says(2, "wrong desk"), **BILLING})  # type: ignore[arg-type]
    judged.test(
        UNIT.replace("assert apt", "return apt").replace(
            "    def", "    @pytest.mark.lm_gate(pass_at=0.5)\n    def"
        )
    )
    result = judged.run()
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["*wrong desk*", "  test_apt * 0.375 *"])


def test_a_judge_that_cannot_be_read_is_never_scored(judged) -> None:
    judged.answers({"<team>": "!nonsense", **BILLING})
    result = judged.run("-x")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*test_apt: apt('The team can help.') gave no verdict*",
            "*the answer was: 'nonsense' (test_support.py:10)",
        ]
    )
    output = " ".join(judged.run("--lm-compile").stdout.str().split())
    assert "4 cases have no verdict (no answer, or the metric failed)" in output
    assert not (judged.path / "__lm_snapshots__").exists()


FIXTURE = """
import pytest
import pytest_lmprog as lmp
from program import Triage

@pytest.fixture(scope="session")
def apt():
    return lmp.Judge("The team can help.", inputs=["ticket", "team"], votes=3)

@pytest.mark.lm_program(
    program=Triage, teleprompter=lmp.BootstrapFewShot(max_bootstrapped_demos=1, max_labeled_demos=0),
    trainset="tickets.yaml", train_split="train")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_apt(self, example, prediction, apt):
        assert apt(example, prediction)
"""


def test_a_judge_in_a_session_fixture_guides_a_compile_and_its_calls_count(judged) -> None:
    judged.test(FIXTURE)
    judged.run("--lm-compile").stdout.fnmatch_lines(["*TestTriage: 1 candidate, * calls, *"])
    snapshot = (judged.path / "__lm_snapshots__/test_support/TestTriage.yaml").read_text()
    assert "demos:" in snapshot
    calls = judged.calls
    judged.run("--lm-compile")
    assert judged.calls == calls  # every vote has an entry of its own in the cache
    result = judged.run("--lm-compile", "--lm-budget=2calls", "--lm-record=all")
    result.stdout.fnmatch_lines(["*stopped: budget*"])


def test_an_unreadable_judge_stops_a_compile(judged) -> None:
    judged.test(FIXTURE)
    judged.answers({"<team>": "!nonsense", **BILLING})
    result = judged.run("--lm-compile")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gave no verdict: vote 1 of 3 cannot be read (2 attempts)*"])
    assert not (judged.path / "__lm_snapshots__").exists()


def test_a_dry_run_tells_the_calls_of_judges_apart(judged) -> None:
    judged.test(FIXTURE)
    text = " ".join(judged.run("--lm-compile", "--lm-dry-run").stdout.str().split())
    assert "calls that metrics make themselves are not counted" in text
    judged.test(UNIT)
    text = " ".join(judged.run("--lm-compile", "--lm-dry-run").stdout.str().split())
    assert "The metrics of test_support.py::TestTriage ask apt (2 calls): at most 8 calls more" in text
    assert judged.calls == 0


IN_FILE = """
import pathlib
import pytest_lmprog as lmp

apt = lmp.Judge(pathlib.Path(__file__).with_name("rubric.md").read_text(), inputs=["ticket", "team"])
"""
IN_CLOSURE = """
import pytest_lmprog as lmp

def made(judge):
    def judged(example, prediction):
        return judge(example, prediction)
    return judged

apt = made(lmp.Judge("The team can help.", inputs=["ticket", "team"]))
"""


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("judges.py", JUDGES),
        ("judges.py", IN_CLOSURE),
        ("rubric.md", "The team can help."),
        ("test_support.py", FIXTURE),
    ],
    ids=["module", "closure", "file", "fixture"],
)
def test_an_edited_rubric_makes_the_snapshot_stale(judged, where: str, text: str) -> None:
    judged.write("rubric.md", "The team can help.")
    if where == "rubric.md":
        judged.write("judges.py", IN_FILE)
    judged.write(where, text)
    judged.run("--lm-compile")
    assert "is stale" not in judged.run().stdout.str()
    judged.write(where, text.replace("can help", "can really help"))
    output = judged.run().stdout.str()
    assert "is stale: code that a metric uses: " in output
    assert "apt changed" in output or "Judge changed" in output


EVERYWHERE = """
import pytest
import pytest_lmprog as lmp
from judges import apt
from program import Triage

class Checked(Triage):
    def __init__(self):
        super().__init__()
        self.apt = lmp.Judge("The team can help.", inputs=["ticket", "team"], votes=2)
    async def aforward(self, ticket):
        said = await self.classify.acall(ticket=ticket)
        judged = await self.apt.acall(ticket=ticket, team=said.team)
        return lmp.Prediction(team=said.team, judged=judged)
    def forward(self, ticket):
        return self.aforward(ticket)

@pytest.mark.lm_program(program=Checked)
@pytest.mark.lm_examples("tickets.yaml", split="dev", limit=2)
class TestEverywhere:
    async def test_awaited(self, example, prediction):
        assert await apt.acall(example, prediction)
    def test_made_here(self, example, prediction, trace):
        assert lmp.Judge("The team can help.", inputs=["ticket", "team"])(example, prediction, trace)
    def test_inside_the_program(self, prediction, trace):
        assert prediction.judged
        assert [c.name for c in trace] == ["classify", "apt.judge", "apt.judge"]

def test_outside_of_units(lm):
    assert apt(ticket="x", team="billing").reason == "so it is"
"""


def test_judges_work_wherever_they_are_made(judged, monkeypatch) -> None:
    judged.test(EVERYWHERE)
    judged.run("--lm-update").assert_outcomes(passed=7)
    calls = judged.calls
    assert calls == 2 * (1 + 2 + 1) + 1  # a judge made anew asks what the other was asked
    monkeypatch.setenv("CI", "1")
    judged.run("-n", "0").assert_outcomes(passed=7)
    assert judged.calls == calls


# --- calibration --------------------------------------------------------------------------------------


def accepted(goldens) -> str:
    goldens.run("--lm-update")
    return (goldens.path / "__lm_snapshots__/test_support/test_agrees.yaml").read_text()


def test_a_calibration_is_a_unit_whose_snapshot_keeps_figures_and_verdicts(goldens) -> None:
    text = accepted(goldens)
    assert "  figures:\n    goldens: 4\n    agreement: 0.75\n    kappa: 0.5\n" in text
    assert "    fail: {fail: 1, pass: 1}\n    pass: {pass: 2}\n" in text
    assert "    cold: {people: fail, judge: pass}\n" in text
    result = goldens.run()
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(["  judge and people: agreement 0.750, kappa 0.500 on 4 goldens"])


def drifted(goldens):
    """Record other answers, with the snapshot as it was."""
    accepted(goldens)
    goldens.answers({**AGREES, "Go away": says("pass", "it is short")})
    return goldens.run("--lm-record=all")


def test_the_json_report_has_both_verdicts_and_fits_its_schema(goldens) -> None:
    import jsonschema

    from pytest_lmprog.reports.json_report import json_schema

    goldens.run("--lm-report=run.json")
    data = json.loads((goldens.path / "run.json").read_text())
    jsonschema.Draft202012Validator(json_schema()).validate(data)
    (unit,) = data["units"]
    assert {o["case"]: o["compared"] for o in unit["outcomes"]}["cold"] == ["fail", "pass"]
    assert unit["notes"] == ["judge and people: agreement 0.750, kappa 0.500 on 4 goldens"]


@pytest.mark.parametrize("xdist", [(), ("-n", "2")])
def test_drift_fails_in_replay_and_names_golden_verdicts_and_reason(goldens, monkeypatch, xdist) -> None:
    drifted(goldens)
    monkeypatch.setenv("CI", "1")
    result = goldens.run(*xdist) if not xdist else goldens.run_apart(*xdist)
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*golden rude: people say 'fail', the judge says 'pass': it is short*",
            "  judge and people: agreement 0.500, kappa 0.000 on 4 goldens",
        ]
    )


def test_a_plain_assertion_names_both_verdicts_and_the_section_the_reason(goldens, monkeypatch) -> None:
    goldens.test(
        CALIBRATION.replace("prediction.check(example)", "assert prediction.verdict == example.verdict")
    )
    drifted(goldens)
    monkeypatch.setenv("CI", "1")
    result = goldens.run()
    result.stdout.fnmatch_lines(["*assert 'pass' == 'fail'*", "example rude", "*it is short*"])


def test_drift_is_told_by_the_diff(goldens, capsys) -> None:
    from pytest_lmprog.snapshots.diff import diff
    from pytest_lmprog.snapshots.text import from_text

    old = accepted(goldens)
    goldens.answers({**AGREES, "Go away": says("pass", "it is short")})
    goldens.forget()
    new = accepted(goldens)
    changes = {c.name: (c.old, c.new) for c in diff(from_text(old), from_text(new)).header}
    assert changes == {
        "calibration, agreement": (0.75, 0.5),
        "calibration, kappa": (0.5, 0.0),
        "golden rude (people say 'fail')": ("fail", "pass"),
    }


def test_least_agreement_is_a_gate(goldens) -> None:
    goldens.test(CALIBRATION.replace("def test", "@pytest.mark.lm_gate(min_score=0.9)\ndef test"))
    result = goldens.run("--lm-update")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate: *0.75*0.9*"])


def test_a_golden_without_verdict_counts_as_error_and_disagreement(goldens) -> None:
    goldens.answers({**AGREES, "Noted": "!nonsense"})
    text = accepted(goldens)
    assert "    cold: {people: fail, judge: null}\n" in text
    assert "    no_verdict: 1\n" in text
    assert "error: JudgeError" in text
    goldens.run().assert_outcomes(passed=3, xfailed=1)


def test_a_saved_calibration_is_judged_again_without_a_call(goldens) -> None:
    goldens.answers({**AGREES, "Noted": "!nonsense"})
    accepted(goldens)
    calls = goldens.calls
    goldens.test(CALIBRATION.replace("prediction.check(example)", "assert prediction.agrees(example)"))
    result = goldens.run("--lm-rescore=last")
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(["*judge and people: agreement 0.750, *no verdict 1 on 4 goldens*"])
    assert goldens.calls == calls


def test_rollouts_of_goldens_stand_in_the_order_of_the_data(goldens) -> None:
    goldens.test(CALIBRATION.replace("def test", "@pytest.mark.lm_repeat(11)\ndef test"))
    text = accepted(goldens)
    lines = [
        line.split(":")[0].strip() for line in text.partition("verdicts:")[2].splitlines() if "people" in line
    ]
    assert lines == [f"{golden}-r{n}" for golden in ("thanks", "rude", "cold", "warm") for n in range(1, 12)]
    goldens.run_apart("--lm-update", "-p", "randomly", "-p", "no:cacheprovider")
    assert (goldens.path / "__lm_snapshots__/test_support/test_agrees.yaml").read_text() == text


def test_a_partial_run_keeps_the_calibration_that_was(goldens) -> None:
    text = accepted(goldens)
    goldens.run("--lm-update", "-k", "thanks")
    assert accepted(goldens) == text


def test_a_judge_without_named_inputs_needs_them_at_the_marker(goldens) -> None:
    goldens.write("judges.py", POLITE.replace('inputs=["reply"], ', ""))
    result = goldens.run()
    result.stdout.fnmatch_lines(["*which fields are inputs is not known: Judge.forward takes any keyword*"])
    goldens.test(CALIBRATION.replace('"goldens.yaml"', '"goldens.yaml", inputs=["reply"]'))
    goldens.run().assert_outcomes(passed=3, failed=1)


def test_a_judge_is_compiled_on_goldens_and_loaded_with_its_demos(goldens) -> None:
    goldens.write(
        "goldens.yaml",
        GOLDENS.replace("}", ", split: dev}")
        + GOLDENS.replace("id: ", "id: t-")
        .replace('reply: "', 'reply: "Hm. ')
        .replace("}", ", split: train}"),
    )
    goldens.test(
        CALIBRATION.replace("import pytest\n", "import pytest\nimport pytest_lmprog as lmp\n")
        .replace(
            "program=polite)",
            "program=polite, teleprompter=lmp.BootstrapFewShot(max_bootstrapped_demos=2, max_labeled_demos=2), "
            'trainset="goldens.yaml", train_split="train")',
        )
        .replace('"goldens.yaml")\ndef', '"goldens.yaml", split="dev")\ndef')
    )
    result = goldens.run("--lm-compile")
    result.stdout.fnmatch_lines(["*1 candidate*"])
    goldens.test(
        "import pytest_lmprog as lmp\nfrom judges import polite\n"
        'better = lmp.load("__lm_snapshots__/test_support/test_agrees.yaml", polite)\n'
        "def test_loaded(lm):\n"
        "    assert [d['verdict'] for d in better.judge.demos] == ['pass', 'fail']\n"
        "    assert better(reply='Thank you')\n",
        "test_loaded.py",
    )
    goldens.run("test_loaded.py").assert_outcomes(passed=1)
