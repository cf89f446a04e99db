from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from pytest_lmprog.errors import (
    ConfigurationError,
    LMAuthError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
)
from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.retry import RetryPolicy, retry_after_seconds

POLICY = RetryPolicy(retries=4, first=1.0, longest=5.0, longest_told=60.0, jitter=lambda: 1.0)


def test_waits_double_up_to_the_longest_and_end():
    assert [POLICY.wait(LMTimeoutError("x"), n) for n in range(5)] == [1.0, 2.0, 4.0, 5.0, None]


def test_jitter_is_a_factor():
    assert RetryPolicy(first=2.0, jitter=lambda: 0.5).wait(LMTimeoutError("x"), 0) == 1.0
    waits = {RetryPolicy().wait(LMTimeoutError("x"), 0) for _ in range(20)}
    assert len(waits) > 1
    assert all(0.3 < wait < 0.7 for wait in waits)


@pytest.mark.parametrize(("told", "waited"), [(0, 0.0), (7, 7.0), (60, 60.0), (3600, None)])
def test_what_the_endpoint_asks_for_is_waited_or_it_is_given_up(told: float, waited: float | None):
    for kind in (LMRateLimitError, LMServerError):
        assert POLICY.wait(kind("x", retry_after=told), 0) == waited


def test_what_will_not_pass_is_not_waited_for():
    assert POLICY.wait(LMAuthError("x"), 0) is None
    assert RetryPolicy(retries=0).wait(LMTimeoutError("x"), 0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("5", 5.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("nan", None), ("", None)],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None):
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date():
    header = format_datetime(datetime.fromtimestamp(1_000_030, UTC), usegmt=True)
    assert retry_after_seconds(header, lambda: 1_000_000.0) == 30.0
    assert retry_after_seconds(header, lambda: 2_000_000.0) == 0.0


@pytest.mark.parametrize("wrong", [0, -1, True, "8", 1.5])
def test_a_limit_is_a_whole_number_above_zero(wrong: object):
    with pytest.raises(ConfigurationError):
        Limiter(wrong)
