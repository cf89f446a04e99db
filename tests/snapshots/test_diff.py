from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot, MetricBaseline, TeleprompterInfo
from pytest_lmprog.snapshots.diff import diff, prompt_tokens
from pytest_lmprog.snapshots.difftext import diff_lines
from pytest_lmprog.snapshots.worddiff import diff_words
from tests.snapshots.strategies import snapshots, triage

OLD = triage()
CLASSIFY = OLD.predictors["classify"]


def changed(**parts):
    return replace(OLD, predictors={"classify": replace(CLASSIFY, **parts)})


def told(new, old=OLD) -> str:
    return "\n".join(diff_lines(diff(old, new)))


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
    assert " ... " in text
    assert len(text) < 400


def test_demos_added_removed_and_changed():
    demo = dict(CLASSIFY.demos[0])
    other = {"ticket": "I cannot log in", "team": "account"}
    assert '+ demo ticket="I cannot log in", team="account"' in told(changed(demos=(demo, other)))
    assert "- demo ticket=" in told(changed(demos=()))
    text = told(changed(demos=({**demo, "team": "account"},)))
    assert "~ demo ticket=" in text
    assert "team: [-billing-]{+account+}" in text


def test_demos_in_another_order():
    one, two = {"ticket": "a", "team": "x"}, {"ticket": "b", "team": "y"}
    assert "the same demos in another order" in told(changed(demos=(two, one)), changed(demos=(one, two)))


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


def test_predictors_added_and_removed():
    new = replace(OLD, predictors={"route": CLASSIFY})
    assert "classify removed" in told(new)
    assert "route added" in told(new)


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
    assert told(new, old) == "setting max_bootstrapped_demos: 4 -> 8"


def test_scores_and_flips():
    cases = {
        "refund-1": CaseBaseline("fail", "aaaa"),
        "login-1": CaseBaseline("pass", "bbbb"),
        "new-1": CaseBaseline("pass", "cccc"),
    }
    new = replace(OLD, baseline={**OLD.baseline, "test_team": MetricBaseline(2 / 3, 3, cases)})
    text = told(new)
    assert "test_team: 0.500 of 2 -> 0.667 of 3 (+0.167)" in text
    assert "regressed refund-1: pass -> fail" in text
    assert "fixed login-1: fail -> pass" in text
    assert "added new-1: not there -> pass" in text


def test_a_case_that_only_was_edited_is_no_flip():
    cases = {**OLD.baseline["test_team"].cases, "refund-1": CaseBaseline("pass", "eeee")}
    new = replace(OLD, baseline={**OLD.baseline, "test_team": MetricBaseline(0.5, 2, cases)})
    assert diff(OLD, new).metrics[0].flips == ()


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
    lines = diff_lines(diff(one, other))
    assert lines
    assert all(isinstance(line, str) for line in lines)


@pytest.mark.parametrize("tone", ["added", "removed", "heading"])
def test_styles_are_applied(tone):
    header = replace(OLD.header, adapter="chat")
    new = replace(changed(instructions="Decide."), header=header, baseline={})
    lines = diff_lines(diff(OLD, new), lambda tone, text: f"<{tone}>{text}</>")
    assert f"<{tone}>" in "\n".join(lines)
