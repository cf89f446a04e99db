"""Endpoints that answer nobody are noticed once for all requests."""

from __future__ import annotations

import pytest

from pytest_lmprog.errors import LMAuthError, LMConnectionError, LMTimeoutError
from pytest_lmprog.lm.patience import Patience

WHO = ("openai/fake", "http://127.0.0.1:1/v1")
REFUSED, LATE = LMConnectionError("refused"), LMTimeoutError("late", hint="wait longer")


def test_failures_in_a_row_end_retries_but_not_attempts():
    patience = Patience(limit=2)
    assert not patience.lost(WHO, REFUSED, final=False)
    assert not patience.lost(WHO, REFUSED, final=True)
    assert patience.lost(WHO, REFUSED, final=True)
    assert patience.lost(WHO, REFUSED, final=False)
    patience.check(WHO)
    assert not patience.lost(("other", ""), REFUSED, final=True)


def test_time_outs_count_at_once_and_end_attempts_too():
    patience = Patience(limit=2)
    assert not patience.lost(WHO, LATE, final=False)
    patience.check(WHO)
    assert patience.lost(WHO, LATE, final=False)
    with pytest.raises(LMTimeoutError, match="late; nor any request since") as caught:
        patience.check(WHO)
    assert caught.value.hint == "wait longer"
    assert not patience.lost(WHO, caught.value, final=True), "a refusal is no failure of the endpoint"


def test_an_answer_restores_patience():
    patience = Patience(limit=1)
    assert patience.lost(WHO, LATE, final=True)
    patience.answered(WHO)
    patience.check(WHO)
    assert not patience.lost(WHO, REFUSED, final=False)


def test_what_is_no_silence_is_not_counted():
    patience = Patience(limit=1)
    assert not patience.lost(WHO, LMAuthError("no"), final=True)
    assert not patience.lost(WHO, REFUSED, final=False)
