"""The HTML report without a browser: what is in it, and that nothing gets out of its place."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_lmprog.harness.saved.run import SavedCall, SavedCase, SavedExample, SavedRun
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.reports.html import html_report
from pytest_lmprog.reports.html.data import embedded, first_rows
from pytest_lmprog.reports.visible import visible
from tests.harness.saved_runs import saved_runs
from tests.reports.runs import HOSTILE, compiled_run, hostile_run, many_run, passing_run
from tests.reports.test_page import Reader, data_of

VOID = {"meta", "link", "input", "br", "img", "hr", "col"}


class Balanced(Reader):
    """Also notes elements that are closed wrongly."""

    def __init__(self, html: str) -> None:
        self.wrong: list[str] = []
        super().__init__(html)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def many() -> str:
    return html_report(many_run(200))


@pytest.fixture(scope="module")
def hostile() -> str:
    return html_report(hostile_run())


def text_of(html: str) -> str:
    """All text in the page outside scripts and styles."""
    reader = Reader(html)
    return "\n".join(
        t for tag, texts in reader.texts.items() if tag not in ("script", "style") for t in texts
    )


def test_every_element_is_closed_and_no_id_is_used_twice(many, hostile):
    for html in (many, hostile, html_report(compiled_run())):
        reader = Balanced(html)
        assert not reader.wrong
        assert not reader.open
        ids = [a["id"] for _, a in reader.tags if "id" in a]
        assert len(ids) == len(set(ids))


def test_nothing_outside_the_file_is_named(many):
    without_data = re.sub(r'(?s)<script type="application/json".*?</script>', "", many)
    assert not re.search(r"https?:|ftp:|url\(|@import|<(iframe|object|embed|form|base)\b", without_data)
    references = [v for _, a in Reader(many).tags for n, v in a.items() if n in ("href", "src", "srcset")]
    assert all(v == "data:," or v.startswith("#") for v in references)


def test_every_link_inside_the_page_has_its_target(many):
    reader = Reader(many)
    ids = {a["id"] for _, a in reader.tags if "id" in a}
    links = [a["href"][1:] for tag, a in reader.tags if tag == "a"]
    rows = sum(len(unit["cases"]) for unit in data_of(many)["run"]["units"])
    assert links
    for link in links:
        assert link in ids or int(link.removeprefix("case-")) < rows


def test_the_verdict_comes_first(many):
    main = many[many.index("<main") :]
    assert main.index('id="verdict">FAIL<') < main.index("<h2")
    assert "<title>FAIL TestTriage</title>" in many
    assert 'id="verdict">PASS<' in html_report(passing_run())


def test_lost_workers_and_all_missing_cases_are_said_at_the_top():
    missing = tuple(f"t.py::T::m[case-{n}]" for n in range(30))
    html = html_report(replace(passing_run(), lost_workers=("gw3",), missing=missing, passed=False))
    top = html[html.index("<main") : html.index("<h2")]
    assert 'id="verdict">INCOMPLETE<' in top
    assert "1 worker lost: gw3" in top
    assert "30 selected tests have no result" in top
    assert all(f"<code>{name}</code>" in top for name in missing)


def test_an_incomplete_run_that_failed_says_both():
    html = html_report(replace(many_run(20), missing=("t.py::x",)))
    top = html[html.index("<main") : html.index("<h2")]
    assert ">FAIL<" in top
    assert ">INCOMPLETE<" in top


def test_metrics_stand_as_bars_with_interval_baseline_and_gate(many):
    bars = [a for _, a in Reader(many).tags if a.get("class") == "scorebar"]
    assert len(bars) == 3
    assert re.fullmatch(
        r"score 0\.\d{3}, 95 % interval 0\.\d\d to 0\.\d\d, baseline 0\.852, least score allowed 0\.800",
        bars[0]["aria-label"],
    )
    assert many.count('class="baseline" style="left:85.20%"') == 1
    assert many.count('class="gate" style="left:80.00%"') == 1


def test_a_verdict_shows_its_reasons_and_figures(many):
    shown = text_of(many)
    assert "7 cases got worse than the baseline, max_regressions is 0" in shown
    assert (
        "exact McNemar \u00b7 p 0.0123 (0.0246 corrected for 2 metrics, alpha 0.02) \u00b7 "
        "change -0.040, 96 % interval -0.070 to -0.010 \u00b7 40 cases compared \u00b7 on inconclusive fail"
    ) in shown
    assert "? inconclusive" in shown
    assert "inconclusive: the change lies between -0.031 and +0.012" in shown


def test_counts_show_their_cases(many):
    buttons = [a for tag, a in Reader(many).tags if tag == "button" and a.get("class") == "count"]
    assert {b["data-kinds"] for b in buttons} >= {"regression regressed", "known_miss known_error"}
    assert all(b["data-metric"] == "test_team" and b["data-unit"] == "0" for b in buttons)


def unpacked(data: Any) -> Any:
    """Undo what the page's data leaves out."""
    run = json.loads(json.dumps(data["run"]))
    for unit in run["units"]:
        examples = {e["id"]: e for e in unit["examples"]}
        names = unit["outcomes"]["names"]
        unit["outcomes"] = [
            {n: v for n, v in zip(names, row, strict=True) if v is not None}
            for row in unit["outcomes"]["rows"]
        ]
        for case in unit["cases"]:
            for call in case["calls"]:
                if isinstance(call["inputs"], list):
                    call["inputs"] = {n: examples[case["example"]]["fields"][n] for n in call["inputs"]}
                if call["outputs"] == "same":
                    call["outputs"] = case["prediction"]
    return run


@pytest.mark.parametrize(
    "make", [lambda: many_run(40), hostile_run, compiled_run], ids=["many", "hostile", "compiled"]
)
def test_every_datum_is_in_the_page(make):
    saved = make()
    expected = json.loads(json.dumps(saved.to_plain()))
    for unit in expected["units"]:
        unit.pop("before", None)
        unit.pop("after", None)
        for outcome in unit["outcomes"]:
            outcome.pop("digest", None)
    found = unpacked(data_of(html_report(saved)))
    assert str(found).replace("{'$repr': '1180591620717411303424'}", str(2**70)) == str(expected)


def test_messages_are_stored_once_each():
    data = data_of(html_report(many_run(100)))
    assert len(data["run"]["messages"]) == 5 + 100
    big = len(html_report(many_run(400)).encode()) - len(html_report(many_run(200)).encode())
    assert big / 200 < 1500, "bytes a case"


def test_numbers_that_a_script_would_change_stand_as_their_text():
    example = SavedExample(
        "a", {"n": 2**60, "half": 0.5, "one": 1.0, "list": [float("inf"), {"x": 3}]}, ("n",)
    )
    call = SavedCall("p", {"n": True}, {"n": 1}, (), "", "json")
    unit = replace(
        passing_run().units[0],
        examples=(example,),
        cases=(SavedCase("a", prediction={"n": 1.0}, calls=(call,)),),
    )
    made = embedded(SavedRun((unit,)))["run"]["units"][0]
    assert made["examples"][0]["fields"] == {
        "n": {"$repr": "1152921504606846976"},
        "half": 0.5,
        "one": {"$repr": "1.0"},
        "list": [{"$repr": "inf"}, {"x": 3}],
    }
    assert made["cases"][0]["calls"][0]["inputs"] == {"n": True}
    assert made["cases"][0]["calls"][0]["outputs"] == {"n": 1}
    assert unit.examples[0].fields["n"] == 2**60


def test_figures_that_json_does_not_have_do_not_keep_a_report_from_being_written():
    unit = passing_run().units[0]
    verdict = MetricVerdict("failed", ("worse",), {"p_value": float("nan"), "interval": [float("-inf"), 1.0]})
    html = html_report(SavedRun((replace(unit, verdicts={"test_team": verdict}),), {"budget": float("inf")}))
    assert data_of(html)["run"]["settings"]["budget"] == {"$repr": "inf"}
    assert "p nan" in html


def test_rows_are_numbered_by_run_then_by_outcome():
    run = passing_run()
    unit = run.units[0]
    without = replace(unit, cases=unit.cases[1:])
    ids = [case.example for case in unit.cases]
    assert list(first_rows(SavedRun((unit,))).values()) == [0, 1, 2, 3]
    assert first_rows(SavedRun((without,)))[unit.id, ids[0]] == 3


def test_hostile_text_is_text(hostile):
    hostile.encode("utf-8")
    reader = Reader(hostile)
    assert "img" not in {tag for tag, _ in reader.tags}
    assert sum(tag == "script" for tag, _ in reader.tags) == 3
    assert not any(name.startswith("on") for _, a in reader.tags for name in a)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", hostile)
    shown = text_of(hostile)
    for text in HOSTILE[:10]:
        assert visible(text) in shown, text


def test_a_compile_shows_its_candidates_in_a_plot_and_a_table():
    html = html_report(compiled_run())
    reader = Reader(html)
    points = [a for tag, a in reader.tags if tag == "circle"]
    assert len(points) == 12, "two plots; one of seven was not scored"
    assert [a["class"] for a in points].count("point winner") == 2
    assert "4 bootstrapped 4: 0.835, $0.00017" in reader.texts["title"]
    label = next(a["aria-label"] for tag, a in reader.tags if tag == "svg")
    assert label == "Score against USD a run of the program: 6 candidates, candidate 4 won with 0.835"
    labels = [a["aria-label"] for tag, a in reader.tags if tag == "svg"]
    assert labels[1].startswith("Score against LM calls that evaluated candidates so far, in their order: 6")
    assert "4 bootstrapped 4: 0.835, 160 calls so far" in reader.texts["title"], (
        "3 was not scored: no calls known"
    )
    assert sum(a.get("class") == "best" for tag, a in reader.tags if tag == "line") == 7, "5 across, 2 up"
    shown = text_of(html)
    assert all(f"{n} bootstrapped {n}" in shown for n in range(1, 7))
    assert "not scored" in shown
    assert "best 0.835, on 40 examples, stopped: budget" in shown


def test_a_candidates_row_says_what_it_was_made_from():
    run = compiled_run()
    html = html_report(run)
    assert "<th>made from</th>" in html
    assert "<td>2, 1</td>" in html
    unit = run.units[0]
    alone = tuple(replace(c, parents=()) for c in unit.candidates)
    assert "made from" not in html_report(replace(run, units=(replace(unit, candidates=alone),)))


def test_training_validation_and_test_stand_side_by_side():
    run = compiled_run()
    shown = " ".join(text_of(html_report(run)).split())
    assert "Compiled program train validation test" in shown
    assert "0.950 0.835" in shown
    assert "0.86\u20130.98 (60) 0.69\u20130.92 (40)" in shown
    assert "test: not all cases ran" in shown
    unit = replace(run.units[0], compiled={"score": None})
    assert "Compiled program" not in text_of(html_report(replace(run, units=(unit,))))


def test_calls_that_tell_nothing_are_no_plot():
    run = compiled_run()
    unit = run.units[0]
    found = tuple(replace(c, calls=None) for c in unit.candidates)
    assert "so far" not in html_report(replace(run, units=(replace(unit, candidates=found),)))


def test_a_plot_falls_back_on_what_is_known_of_all():
    run = compiled_run()
    unit = run.units[0]
    for names, words in (
        (("cost",), "tokens a run of the program"),
        (("cost", "tokens"), "characters of its prompts"),  # each has one call: that tells nothing
    ):
        found = tuple(replace(c, **dict.fromkeys(names)) if c.index == 2 else c for c in unit.candidates)
        assert f"Score against {words}" in html_report(replace(run, units=(replace(unit, candidates=found),)))
    none = tuple(replace(c, score=None) for c in unit.candidates)
    assert "No candidate was evaluated fully" in html_report(
        replace(run, units=(replace(unit, candidates=none),))
    )
    alone = html_report(replace(run, units=(replace(unit, candidates=unit.candidates[:1]),)))
    assert "Compile: 1 candidate" in alone
    assert "Score against" not in alone


def test_prompts_before_and_after_are_compared():
    html = html_report(compiled_run())
    assert "accepted \u2192 tested" in html
    assert "<ins>owns a</ins>" in html
    same = compiled_run().units[0]
    html = html_report(SavedRun((replace(same, after=same.before),)))
    assert "accepted \u2192 tested" not in html
    html = html_report(SavedRun((replace(same, before=None),)))
    assert "New prompts" in html
    assert "Decide which team owns a ticket" in html


def test_a_snapshot_that_only_looks_different_is_no_change():
    unit = compiled_run().units[0]
    html = html_report(SavedRun((replace(unit, after=unit.before + "\n# a comment\n"),)))
    assert 'class="prompts"' not in html


def test_a_snapshot_that_cannot_be_read_is_a_remark():
    unit = replace(compiled_run().units[0], before="format: 1\n<<<<<<< ours\n")
    assert "The prompts cannot be compared" in html_report(SavedRun((unit,)))


def test_filters_are_offered_where_there_is_a_choice(many):
    names = [a["data-by"] for tag, a in Reader(many).tags if tag == "select"]
    assert names == ["metric", "split", "tag"]
    unit = many_run(4).units[0]
    both = SavedRun((unit, replace(unit, info=replace(unit.info, id="other", name="Other"))))
    assert next(a["data-by"] for tag, a in Reader(html_report(both)).tags if tag == "select") == "unit"


def test_several_units_have_a_table_of_contents():
    unit = many_run(4).units[0]
    html = html_report(SavedRun((unit, replace(unit, info=replace(unit.info, id="other", name="Other")))))
    assert '<a href="#unit-1">Other</a>' in html
    assert html.count('class="scorebar"') == 12


def test_a_run_of_nothing_has_a_page():
    html = html_report(SavedRun(passed=True))
    assert 'id="verdict">PASS<' in html
    assert "No case ran." in html


def test_a_metric_that_was_not_judged_says_how_many_ran():
    run = passing_run()
    unit = run.units[0]
    verdict = MetricVerdict("not_judged", ("not judged (3 of 40 ran)",))
    html = html_report(replace(run, units=(replace(unit, verdicts={"test_team": verdict}),)))
    assert "not judged (3 of 40 ran)" in html


def test_the_same_run_gives_the_same_bytes():
    assert html_report(many_run(30)) == html_report(
        SavedRun.from_plain(json.loads(json.dumps(many_run(30).to_plain())))
    )


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(saved_runs)
def test_any_run_has_a_page(saved):
    html = html_report(saved)
    html.encode("utf-8")
    reader = Balanced(html)
    assert not reader.wrong
    assert data_of(html)
