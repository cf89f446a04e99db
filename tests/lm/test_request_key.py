"""The key of a request is the digest of its payload, whichever way it is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.canonical import FrozenJSON, digest
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.lm.types import LMRequest, Messages, SharedMessages

texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
messages = st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=4)
params = st.dictionaries(texts, st.integers() | texts | st.floats(0, 2), max_size=3)
formats = st.none() | st.dictionaries(texts, st.lists(texts, max_size=2), max_size=3)
tools = st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2)


@given(messages, messages.filter(bool), params, formats, tools, st.integers(0, 3))
def test_shared_messages_do_not_change_the_key(
    first: list[Any], own: list[Any], params: Any, wanted: Any, tools: list[Any], rollout: int
) -> None:
    shared = SharedMessages(tuple(first))
    frozen = None if wanted is None else FrozenJSON(wanted)
    quick = LMRequest("m", Messages.after(shared, *own), params, frozen, tuple(tools), rollout)
    plainly = LMRequest("m", (*first, *own), params, wanted, tuple(tools), rollout)
    assert quick.key == plainly.key == digest(plainly.payload)
    assert quick.payload == plainly.payload
    assert quick.messages == plainly.messages


def test_the_key_is_pinned() -> None:
    request = LMRequest("openai/m", ({"role": "user", "content": "ü"},), {"temperature": 0.0})
    text = '{"messages":[{"content":"ü","role":"user"}],"model":"openai/m","params":{"temperature":0}}'
    import hashlib

    assert request.key == hashlib.sha256(text.encode()).hexdigest()


def base() -> dict[str, Any]:
    shared = SharedMessages(({"role": "system", "content": "s"},))
    return {
        "model": "m",
        "messages": Messages.after(shared, {"role": "user", "content": "u"}),
        "params": {"temperature": 0},
        "response_format": FrozenJSON({"type": "json_schema"}),
        "tools": ({"type": "function"},),
        "rollout": 1,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"messages": ({"role": "system", "content": "s"}, {"role": "user", "content": "v"})},
        {"params": {"temperature": 1}},
        {"params": {}},
        {"response_format": None},
        {"response_format": {"type": "json_object"}},
        {"tools": ()},
        {"rollout": 0},
    ],
)
def test_everything_counts(change: dict[str, Any]) -> None:
    assert LMRequest(**{**base(), **change}).key != LMRequest(**base()).key


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"params": {"seed": object()}}, r"params\.seed"),
        ({"response_format": {"a": float("nan")}}, r"response_format\.a"),
        ({"messages": ({"role": "user", "content": "\ud800"},)}, "messages"),
        ({"tools": ({1: 2},)}, "tools"),
    ],
)
def test_what_has_no_canonical_form_is_an_error_never_a_bypass(change: dict[str, Any], where: str) -> None:
    with pytest.raises(CanonicalError, match=where):
        LMRequest(**{**base(), **change}).key


def test_another_rollout_is_another_request_with_the_same_messages() -> None:
    request = LMRequest(**base())
    assert request.with_rollout(1) is request
    other = request.with_rollout(2)
    assert other.key != request.key
    assert other.messages is request.messages


def test_the_cache_key_holds_the_endpoint() -> None:
    request = LMRequest(**base())
    assert request.cache_key("a") != request.cache_key("b") != request.key
