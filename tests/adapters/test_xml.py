"""XMLAdapter: what it renders, and how it reads answers that keep to the form badly."""

from __future__ import annotations

from typing import Literal

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ParseError


class Triage(lmp.Signature):
    """Pick the team."""

    ticket: str = lmp.InputField()
    team: Literal["bug", "billing"] = lmp.OutputField()
    notes: list[str] = lmp.OutputField(desc="what to know")


ADAPTER = lmp.XMLAdapter()


def test_the_prompt() -> None:
    demo = {"ticket": "It </ticket> broke", "team": "bug", "notes": ["a", "b"]}
    messages = ADAPTER.prompt(Triage, [demo]).render({"ticket": "Paid twice"})
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == (
        "Pick the team.\n\n"
        "You are given:\n- `ticket`\n\n"
        "You answer with:\n"
        "- `team` (Literal['bug', 'billing'])\n"
        "- `notes` (list[str]): what to know\n\n"
        "Write each field between its tags, in this form:\n\n"
        "<team>\n{team}\n</team>\n<notes>\n{notes}\n</notes>"
    )
    assert messages[1]["content"] == "<ticket>\nIt <\\/ticket> broke\n</ticket>"
    assert messages[2]["content"] == '<team>\nbug\n</team>\n<notes>\n["a", "b"]\n</notes>'
    assert messages[3]["content"] == (
        "<ticket>\nPaid twice\n</ticket>\n\nAnswer in the form given: <team>, <notes>."
    )
    template = ADAPTER.prompt(Triage, []).template()
    assert template[-1]["content"].startswith("<ticket>\n{ticket}\n</ticket>")


@pytest.mark.parametrize(
    "answer",
    [
        '<team>bug</team><notes>["a"]</notes>',
        '```xml\n<answer>\n <Team> bug </Team>\n <NOTES kind="x">\n["a"]\n</notes >\n</answer>\n```',
        "Sure!\n<team>bug</team>\n<notes><item>a</item></notes> <team>billing</team>",
        '<think><team>billing</team></think><team>bug</team><notes>["a"]</notes>',
        '<team>bug\n<notes>["a"]',
        '<team><![CDATA[bug]]></team><notes><![CDATA[["a"]]]></notes>',
        '{"team": "bug", "notes": ["a"]}',
    ],
)
def test_answers_that_can_be_read(answer: str) -> None:
    assert ADAPTER.parse(Triage, answer) == {"team": "bug", "notes": ["a"]}


def test_text_is_taken_as_it_is() -> None:
    signature = lmp.Signature("q -> html, rest")
    answer = "<html>\n<b>1 < 2 &amp; 3</b>\n</html><rest>x</rest>"
    assert ADAPTER.parse(signature, answer) == {"html": "<b>1 < 2 &amp; 3</b>", "rest": "x"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "the answer is empty"),
        ("<think>hm", "the answer is empty"),
        ("no tags", "the field 'team' is missing: there is no <team>"),
        ("<team>bug</team>", "the field 'notes' is missing"),
        ("<team>x</team><notes>[]</notes>", "the field 'team' does not fit: 'x' is not one of"),
    ],
)
def test_answers_that_cannot(answer: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        ADAPTER.parse(Triage, answer)
    assert message in caught.value.reason
    assert caught.value.answer == answer


def test_it_is_used_where_configured() -> None:
    lm = lmp.ScriptedLM("<team>bug</team><notes>[]</notes>")
    with lmp.context(lm=lm, adapter=lmp.XMLAdapter()):
        assert lmp.Predict(Triage)(ticket="x").team == "bug"
    predictor = lmp.Predict(Triage)
    predictor.adapter = lmp.XMLAdapter()
    with lmp.context(lm=lm):
        assert predictor(ticket="x").team == "bug"
    assert lm.requests[0].response_format is None
    assert lm.calls == 1
