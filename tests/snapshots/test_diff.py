from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.reports.diff.text import diff_lines
from pytest_lmprog.reports.spans import plain_text, text_width, wrapped
from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot, MetricBaseline, TeleprompterInfo
from pytest_lmprog.snapshots.changes import FlipCount
from pytest_lmprog.snapshots.diff import diff, prompt_tokens
from pytest_lmprog.snapshots.worddiff import diff_words
from tests.snapshots.strategies import snapshots, triage

OLD = triage()
CLASSIFY = OLD.predictors["classify"]


def changed(**parts):
    return replace(OLD, predictors={"classify": replace(CLASSIFY, **parts)})


def told(new, old=OLD) -> str:
    return "\n".join(plain_text(row) for line in diff_lines(diff(old, new)) for row in wrapped(line, None))


def test_equal_snapshots_do_not_differ():
    assert not diff(OLD, triage())
    assert told(triage()) == "no difference"


def test_the_base_does_not_count():
    assert not diff(OLD, replace(OLD, base="0123"))


def test_instructions_by_word():
    text = told(changed(instructions="Decide which person should handle a support ticket."))
    assert "Decide which [-team-]{+person+} should handle a support ticket." in text


def test_the_unchanged_middle_of_long_instructions_is_left_out():
    old = "Start. " + "filler words " * 50 + "End."
    text = told(
        changed(instructions=old.replace("Start", "Begin").replace("End", "Stop")), changed(instructions=old)
    )
    assert "[-Start-]{+Begin+}" in text
    assert "[-End-]{+Stop+}" in text
    assert " words unchanged ... " in text
    assert len(text) < 500


def test_demos_added_removed_and_changed():
    demo = dict(CLASSIFY.demos[0])
    other = {"ticket": "I cannot log in", "team": "account"}
    text = told(changed(demos=(demo, other)))
    assert "  demos 1 -> 2: 1 added\n  + demo 2\n      ticket: I cannot log in\n      team: account\n" in text
    assert "- demo 1\n      ticket:\n        I was\n        billed twice\n" in told(changed(demos=()))
    text = told(changed(demos=({**demo, "team": "account"},)))
    assert "~ demo 1\n      ticket:\n" in text
    assert "team: [-billing-]{+account+}" in text


def test_a_demo_whose_input_was_mended_is_one_changed_demo():
    one = {"ticket": "I was chargd twice for the same month", "team": "billing"}
    other = {"ticket": "I was charged twice for the same month", "team": "billing"}
    found = diff(changed(demos=(one,)), changed(demos=({"ticket": "x", "team": "y"}, other))).predictors[0]
    assert [(c.kind, c.position) for c in found.demos] == [("added", 1), ("changed", 2)]
    assert [name for name, _ in found.demos[1].changes] == ["ticket"]


def test_values_that_look_alike_are_told_apart():
    found = diff(changed(demos=({"ticket": "a", "n": 1},)), changed(demos=({"ticket": "a", "n": "1"},)))
    assert [piece.text for piece in found.predictors[0].demos[0].changes[0][1]] == ["1", '"1"']


def test_demos_in_another_order():
    one, two = {"ticket": "a", "team": "x"}, {"ticket": "b", "team": "y"}
    assert "demos 2: the same in another order" in told(changed(demos=(two, one)), changed(demos=(one, two)))


def test_equal_demos_are_matched_one_by_one():
    demo = dict(CLASSIFY.demos[0])
    found = diff(changed(demos=(demo, demo)), changed(demos=(demo,))).predictors[0].demos
    assert [change.kind for change in found] == ["removed"]


def test_fields():
    fields = (CLASSIFY.fields[0], FieldSnapshot("team", "output", "str"))
    assert "field team: output Literal['account', 'billing'], desc: who handles it -> output str" in told(
        changed(fields=fields)
    )
    assert "field order: ticket, team -> team, ticket" in told(changed(fields=CLASSIFY.fields[::-1]))


def test_a_long_description_is_told_by_word_beyond_what_is_cut():
    def described(last: str):
        return changed(fields=(FieldSnapshot("ticket", "input", "str", desc="long words " * 30 + last),))

    text = told(described("right"), described("wrong"))
    assert "words unchanged ... " in text
    assert "[-wrong-]{+right+}" in text


def test_predictors_added_and_removed():
    new = replace(OLD, predictors={"route": CLASSIFY})
    text = told(new)
    assert "classify removed\n  instructions:\n    - Decide which team" in text
    assert "route added\n  instructions:\n    + Decide which team" in text
    assert "field ticket: input str (added)" in text


def test_one_snapshot_alone():
    added, removed = diff(None, OLD), diff(OLD, None)
    assert (added.kind, bool(added), added.predictors[0].kind) == ("added", True, "added")
    assert (removed.kind, removed.predictors[0].kind) == ("removed", "removed")
    assert added.scores == (None, 0.375)
    assert "test_team: added, 0.500 of 2" in "\n".join(
        plain_text(row) for line in diff_lines(added) for row in wrapped(line, None)
    )


def test_settings_and_model():
    header = replace(
        OLD.header, teleprompter=TeleprompterInfo("BootstrapFewShot", {"max_bootstrapped_demos": 8})
    )
    assert "setting max_bootstrapped_demos: 4 -> 8" in told(replace(OLD, header=header))
    header = replace(OLD.header, model=replace(OLD.header.model, name="local/smollm2-135m"))
    assert "model: openai/gpt-4o-mini -> local/smollm2-135m" in told(replace(OLD, header=header))


def test_what_the_header_says_is_not_said_twice():
    info = TeleprompterInfo("BootstrapFewShot", {"max_bootstrapped_demos": 8})
    old = replace(OLD, fingerprint={"teleprompter": {"settings.max_bootstrapped_demos": "4"}})
    new = replace(
        OLD,
        header=replace(OLD.header, teleprompter=info),
        fingerprint={"teleprompter": {"settings.max_bootstrapped_demos": "8"}},
    )
    text = told(new, old)
    assert "setting max_bootstrapped_demos: 4 -> 8" in text
    assert "compiled from" not in text


def test_scores_and_flips():
    cases = {
        "refund-1": CaseBaseline("fail", "aaaa"),
        "login-1": CaseBaseline("pass", "bbbb"),
        "new-1": CaseBaseline("pass", "cccc"),
    }
    new = replace(OLD, baseline={**OLD.baseline, "test_team": MetricBaseline(2 / 3, 3, cases)})
    text = told(new)
    assert "test_team: 0.500 of 2 -> 0.667 of 3 (+0.167), flips 2 of 2: 1 fixed, 1 regressed" in text
    assert "test_tone: 0.250 of 1, unchanged" in text
    assert diff(OLD, new).count == FlipCount(1, 1, 3)
    assert "regressed refund-1: pass -> fail" in text
    assert "fixed login-1: fail -> pass" in text
    assert "added new-1: not there -> pass" in text


def test_a_case_that_only_was_edited_is_no_flip():
    cases = {**OLD.baseline["test_team"].cases, "refund-1": CaseBaseline("pass", "eeee")}
    new = replace(OLD, baseline={**OLD.baseline, "test_team": MetricBaseline(0.5, 2, cases)})
    metric = diff(OLD, new).metrics[0]
    assert (metric.flips, metric.changed) == ((), True)


def test_a_flip_on_an_edited_example_says_so():
    cases = {**OLD.baseline["test_team"].cases, "refund-1": CaseBaseline("fail", "eeee")}
    new = replace(OLD, baseline={"test_team": MetricBaseline(0.0, 2, cases)})
    assert "regressed refund-1: pass -> fail (example edited)" in told(new)


def test_graded_scores_and_rollouts():
    old = replace(
        OLD, baseline={"m": MetricBaseline(0.5, 1, {"a": CaseBaseline("fail", "x", passes=1, n=4)})}
    )
    new = replace(
        OLD, baseline={"m": MetricBaseline(0.5, 1, {"a": CaseBaseline("fail", "x", passes=3, n=4)})}
    )
    assert "fixed a: fail 1/4 -> fail 3/4" in told(new, old)


def test_prompt_tokens():
    messages = ({"role": "system", "content": "x" * 41},)
    assert prompt_tokens(replace(CLASSIFY, messages=messages)) == 11
    assert "(+" in told(
        changed(messages=(*CLASSIFY.messages, {"role": "user", "content": "y" * 400}), demos=())
    )


def test_what_changed_in_the_fingerprint_is_told():
    new = replace(OLD, fingerprint={"program": {"support.program.Triage.forward": "ffff"}})
    assert "support.program.Triage.forward changed" in told(new)


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_hold_both_texts(old, new):
    pieces = diff_words(old, new)
    if old == new:
        assert pieces == ()
        return
    assert "".join(p.text for p in pieces if p.kind != "added") == old
    assert "".join(p.text for p in pieces if p.kind != "removed") == new


@given(snapshots, snapshots)
@settings(deadline=None, max_examples=40)
def test_any_two_snapshots_can_be_told_apart(one, other):
    found = diff(one, other)
    rows = [row for line in diff_lines(found) for row in wrapped(line, 40)]
    assert rows
    assert all(text_width(plain_text(row)) <= 40 for row in rows)
    assert not any(ord(sign) < 32 for row in rows for sign in plain_text(row))
    assert bool(found) is (replace(one, base=None, sources=None) != replace(other, base=None, sources=None))


@pytest.mark.parametrize("tone", ["added", "removed", "heading"])
def test_styles_are_applied(tone):
    header = replace(OLD.header, adapter="chat")
    new = replace(changed(instructions="Decide."), header=header, baseline={})
    assert tone in {span.tone for line in diff_lines(diff(OLD, new)) for span in line.spans}
