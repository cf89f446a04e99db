"""Counts of calls: their arithmetic, and who counts what."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.lm.tally import Tally, TallyCount
from pytest_lmprog.lm.types import LMResponse, Usage

WHOLE = [
    *("live", "memory", "cache", "recording", "retries", "fallbacks"),
    *("unpriced", "tools", "live_tools", "unmet"),
]
NUMBERS = st.integers(0, 9)
USAGES = st.builds(Usage, NUMBERS, NUMBERS)
COUNTS = st.builds(
    TallyCount,
    **dict.fromkeys(WHOLE, NUMBERS),
    cost=NUMBERS.map(float),
    live_cost=NUMBERS.map(float),
    usage=USAGES,
    live_usage=USAGES,
)


@given(COUNTS)
def test_counts_survive_as_json(count: TallyCount) -> None:
    assert TallyCount.from_plain(json.loads(json.dumps(count.to_plain()))) == count


def test_what_is_zero_is_not_written() -> None:
    assert TallyCount().to_plain() == {}
    assert TallyCount(live=2, usage=Usage(3, 0)).to_plain() == {"live": 2, "usage": [3, 0]}


@given(COUNTS, COUNTS)
def test_what_is_added_can_be_subtracted(left: TallyCount, right: TallyCount) -> None:
    assert left + right - right == left


def test_a_parent_counts_the_same_calls_from_all_threads() -> None:
    total = Tally()
    parts = [Tally(total), Tally(total)]
    priced = LMResponse("text", usage=Usage(3, 1), cost=0.5)

    def asked(number: int) -> None:
        tally = parts[number % 2]
        tally.add(priced, "live" if number % 4 == 0 else "cache")
        tally.add(LMResponse("text"), "live")
        tally.add_tool("live" if number % 4 == 0 else "recording")
        tally.bump("retries")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asked, range(400)))
    count = total.count()
    assert count == parts[0].count() + parts[1].count()
    assert count == TallyCount(
        live=500,
        cache=300,
        retries=400,
        usage=Usage(1200, 400),
        live_usage=Usage(300, 100),
        cost=200.0,
        live_cost=50.0,
        unpriced=400,
        tools=400,
        live_tools=100,
    )
