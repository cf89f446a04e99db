"""Inputs that are more than text: parts of messages, and earlier turns as messages."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import InputError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


class Look(lmp.Signature):
    """Describe."""

    photo: lmp.Image = lmp.InputField()
    question: str = lmp.InputField()
    answer: str = lmp.OutputField()


ADAPTERS = [lmp.JSONAdapter(), lmp.ChatAdapter(), lmp.XMLAdapter(), lmp.TwoStepAdapter(None)]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
def test_a_picture_is_a_part_between_texts(adapter: Any) -> None:
    demo = {"photo": lmp.Image(PNG), "question": "What?", "answer": "A dot."}
    messages = adapter.prompt(Look, [demo]).render({"photo": lmp.Image(PNG), "question": "Why?"})
    for number, asked in ((1, "What?"), (-1, "Why?")):
        before, picture, after = messages[number]["content"]
        assert "photo" in before["text"]
        assert picture == {"type": "image_url", "image_url": {"url": URL}}
        assert asked in after["text"]
    assert "{photo}" in adapter.prompt(Look, [demo]).template()[-1]["content"]


def test_the_json_form_in_full() -> None:
    messages = lmp.JSONAdapter().prompt(Look, []).render({"photo": lmp.Image(PNG), "question": "Why?"})
    assert messages[1]["content"] == [
        {"type": "text", "text": "photo: "},
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "text", "text": "\nquestion: Why?"},
    ]


def test_lists_and_optional_pictures() -> None:
    signature = lmp.Signature("photos: list[lmp.Image], extra: Optional[lmp.Image] -> answer")
    prompt = lmp.JSONAdapter().prompt(signature, [])
    content = prompt.render({"photos": [lmp.Image(PNG), lmp.Image("https://x.y/z.png")], "extra": None})[-1][
        "content"
    ]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url", "text"]
    assert content[-1]["text"] == "\nextra: null"
    assert prompt.render({"photos": [], "extra": None})[-1]["content"] == "photos:\n[]\nextra: null"


def test_what_is_asked_and_answered(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PNG)
    lm = lmp.ScriptedLM(lambda _: {"answer": "dot"})
    with lmp.context(lm=lm):
        for given in (lmp.Image(PNG), PNG, tmp_path / "dot.png", str(tmp_path / "dot.png"), {"url": URL}):
            assert lmp.Predict(Look)(photo=given, question="?").answer == "dot"
        assert lm.calls == 1  # the key follows the content
        with pytest.raises(InputError, match="the input 'photo' does not fit: Image cannot be read"):
            lmp.Predict(Look)(photo="nowhere.png", question="?")


class Chat(lmp.Signature):
    """Talk."""

    history: lmp.History = lmp.InputField()
    question: str = lmp.InputField()
    mood: str = lmp.OutputField()
    answer: str = lmp.OutputField()


TURNS = lmp.History(messages=[{"question": "Hi?", "mood": "glad", "answer": "Hi!"}, {"question": "Who?"}])


def test_earlier_turns_are_messages() -> None:
    demo = {"question": "D?", "mood": "m", "answer": "D!"}
    messages = lmp.JSONAdapter().prompt(Chat, [demo]).render({"history": TURNS, "question": "Now?"})
    assert [(m["role"], m["content"]) for m in messages[1:]] == [
        ("user", "question: D?"),
        ("assistant", '{"mood": "m", "answer": "D!"}'),
        ("user", "question: Hi?"),
        ("assistant", '{"mood": "glad", "answer": "Hi!"}'),
        ("user", "question: Who?"),
        ("user", "question: Now?"),
    ]
    chat = lmp.ChatAdapter().prompt(Chat, []).render({"history": TURNS, "question": "Now?"})
    assert chat[2]["content"].startswith("[[ ## mood ## ]]\nglad")
    assert chat[1]["content"] == "[[ ## question ## ]]\nHi?"
    assert "history" not in chat[-1]["content"]
    template = lmp.JSONAdapter().prompt(Chat, []).template()
    assert [m["content"] for m in template[1:]] == ["{history}", "question: {question}"]


def test_a_history_is_given_in_several_forms() -> None:
    lm = lmp.ScriptedLM(lambda _: {"mood": "m", "answer": "a"})
    with lmp.context(lm=lm):
        predict = lmp.Predict(Chat)
        first = predict(history=lmp.History(), question="One?")
        grown = lmp.History().with_turn(question="One?", **first)
        for given in (grown, {"messages": list(grown.messages)}, list(grown.messages)):
            predict(history=given, question="Two?")
        assert lm.calls == 2
        assert lm.requests[1].messages[2]["content"] == '{"mood": "m", "answer": "a"}'
        with pytest.raises(InputError, match="turn 1 of 'history': the signature has no field 'wrong'"):
            predict(history=[{"wrong": 1}], question="?")
        with pytest.raises(InputError, match="'text' is not a History"):
            predict(history="text", question="?")


def test_pictures_in_earlier_turns() -> None:
    signature = lmp.Signature("history: lmp.History, photo: lmp.Image -> answer")
    turns = [{"photo": PNG, "answer": "dot"}]
    messages = (
        lmp.JSONAdapter()
        .prompt(signature, [])
        .render({"history": lmp.History(turns), "photo": lmp.Image(PNG)})
    )
    assert messages[1]["content"] == messages[3]["content"]
    assert messages[1]["content"][1]["type"] == "image_url"
