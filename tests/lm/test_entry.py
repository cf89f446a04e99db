from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.lm.entry import (
    capabilities_key,
    decode_entry,
    encode_answer,
    encode_capabilities,
    read_answer,
    read_capabilities,
)
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse, Usage

REQUEST = LMRequest("m", ({"role": "user", "content": "hello\nthere"},), {"temperature": 0})
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=texts, asked=texts, cost=st.none() | st.floats(0, 1))
def test_an_answer_comes_back_as_it_went_in(text, asked, cost):
    request = LMRequest("m", ({"role": "user", "content": asked},))
    response = LMResponse(text, "stop", Usage(1, 2), cost, 0.25)
    entry = encode_answer(request, response, "http://x/v1")
    assert entry.count(b"\n") == 1
    read = read_answer(entry, "live")
    assert read == response
    assert decode_entry(entry).request == request.payload
    assert decode_entry(entry).fits(request.cache_key("http://x/v1")) is True


def test_an_entry_under_another_key_does_not_fit():
    entry = decode_entry(encode_answer(REQUEST, LMResponse("x"), "here"))
    assert entry.fits(REQUEST.cache_key("there")) is False


def test_a_request_that_is_not_kept_or_rewritten_cannot_be_judged():
    kept_out = decode_entry(encode_answer(REQUEST, LMResponse("x"), "", keep_request=False))
    assert kept_out.request is None
    assert kept_out.fits(REQUEST.cache_key("")) is None
    rewritten = decode_entry(
        encode_answer(REQUEST, LMResponse("x"), "", rewrite=lambda t: t.replace("hello", "***"))
    )
    assert rewritten.request["messages"][0]["content"] == "***\nthere"
    assert rewritten.fits(REQUEST.cache_key("")) is None


def test_a_rewrite_that_changes_nothing_leaves_the_entry_verifiable():
    entry = encode_answer(REQUEST, LMResponse("x"), "", rewrite=str)
    assert decode_entry(entry).fits(REQUEST.cache_key("")) is True


def test_asked_in_tells_runs_apart():
    entry = encode_answer(REQUEST, LMResponse("x"), "", asked_in="run-2")
    assert read_answer(entry, "cache", asked_in="run-1") is None
    assert read_answer(entry, "cache", asked_in="run-2").text == "x"
    assert read_answer(entry, "cache").text == "x"


def test_capabilities_have_a_row_of_their_own():
    entry = encode_capabilities("m", Capabilities(json_schema=False), "e")
    assert read_capabilities(entry) == Capabilities(json_schema=False)
    assert decode_entry(entry).fits(capabilities_key("m", "e")) is True
    assert decode_entry(entry).fits(capabilities_key("m", "f")) is False


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{}", b"{}\n{}", b"\x80\x04\x95", b'{"v":1}\n', b'{"v":1,"response":{"text":5}}\n{}', b"[1]\n{}"]
    + [encode_answer(REQUEST, LMResponse("x"), "")[:cut] for cut in (1, 10, 30)],
)
def test_damage_is_an_error_that_callers_can_name(damaged):
    for read in (lambda: read_answer(damaged, "cache"), lambda: decode_entry(damaged)):
        with pytest.raises((ValueError, KeyError, TypeError)):
            read()
