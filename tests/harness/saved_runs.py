"""Saved runs for tests: hypothesis strategies, and one by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, UnitInfo
from pytest_lmprog.harness.saved.cases import SavedCall, SavedCase, SavedError, SavedExample
from pytest_lmprog.harness.saved.run import SavedCandidate, SavedRun, SavedUnit, SavedWritten
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.lm.types import Usage

__all__ = ["case", "saved_runs", "small_run"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcdef_", min_size=1, max_size=6)
numbers = st.integers(0, 10**9)
shares = st.floats(0, 1)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner))
mappings = st.dictionaries(names, plain, max_size=3)
messages = st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": texts})


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


calls = st.builds(
    SavedCall,
    names,
    mappings,
    maybe(mappings),
    st.lists(messages, max_size=4).map(tuple),
    texts,
    st.sampled_from(["json", "chat"]),
    st.integers(0, 3),
    maybe(st.tuples(numbers, numbers)),
    maybe(shares),
    maybe(shares),
    st.sampled_from(["live", "cache", "recording"]),
    maybe(texts),
)
cases = st.builds(
    SavedCase,
    names,
    st.integers(0, 3),
    maybe(mappings),
    maybe(st.builds(SavedError, names, texts)),
    st.lists(calls, max_size=3).map(tuple),
    st.dictionaries(names, st.tuples(st.integers(0, 3), names), max_size=2),
    maybe(st.integers(0, 3)),
    st.lists(mappings, max_size=2).map(tuple),
)
examples = st.builds(
    SavedExample,
    names,
    mappings,
    st.lists(names, max_size=2).map(tuple),
    maybe(names),
    st.lists(names, max_size=2).map(tuple),
    shares,
    names,
)
candidates = st.builds(
    SavedCandidate,
    st.integers(0, 20),
    texts,
    maybe(shares),
    numbers,
    maybe(shares),
    maybe(shares),
    maybe(shares),
    st.booleans(),
    st.integers(0, 50),
    st.lists(st.integers(0, 20), max_size=2).map(tuple),
)
counts = st.builds(
    TallyCount, live=numbers, recording=numbers, cost=shares, usage=st.builds(Usage, numbers, numbers)
)
verdicts = st.builds(
    MetricVerdict,
    st.sampled_from(["passed", "failed", "inconclusive", "not_judged"]),
    st.lists(texts, max_size=2).map(tuple),
    mappings,
    st.booleans(),
)


@st.composite
def units(draw: st.DrawFn) -> SavedUnit:
    unit = draw(names)
    metric = draw(names)
    gate = Gate(draw(maybe(shares)), draw(maybe(shares)), draw(st.integers(0, 3)), draw(st.booleans()))
    gate = replace(gate, max_drop=draw(maybe(shares)), must_pass=tuple(draw(st.lists(names, max_size=2))))
    info = UnitInfo(unit, unit, "test_x.py", (MetricInfo(metric, f"{unit}::{metric}", 3, gate),))
    outcome = st.builds(
        CaseOutcome,
        st.just(unit),
        st.just(metric),
        names,
        names,
        st.sampled_from(["pass", "fail", "error", "unscored", "broken"]),
        st.integers(0, 2),
        maybe(shares),
        maybe(names),
        texts,
        compared=maybe(st.tuples(scalars, scalars)),
    )
    return SavedUnit(
        info,
        tuple(draw(st.lists(examples, max_size=3))),
        tuple(draw(st.lists(cases, max_size=3))),
        tuple(draw(st.lists(outcome, max_size=3))),
        {metric: draw(verdicts)},
        draw(counts),
        draw(maybe(texts)),
        draw(maybe(texts)),
        tuple(draw(st.lists(candidates, max_size=2))),
        tuple(draw(st.lists(texts, max_size=2))),
        draw(maybe(mappings)),
    )


written = st.builds(
    SavedWritten,
    names,
    st.sampled_from(["pending", "created", "failed"]),
    texts,
    st.lists(texts, max_size=2).map(tuple),
    texts,
)
saved_runs = st.builds(
    SavedRun,
    st.lists(units(), max_size=2).map(tuple),
    mappings,
    st.lists(names, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.lists(written, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
    counts,
)


def case(example: str, team: str, *, rollout: int = 0, ticket: str = "I was charged twice") -> SavedCase:
    """A run of a classifier that said ``team``."""
    call = SavedCall(
        "classify",
        {"ticket": ticket},
        {"team": team},
        ({"role": "system", "content": "Decide."}, {"role": "user", "content": ticket}),
        f'{{"team": "{team}"}}',
        "json",
        usage=(100, 10),
        latency=0.5,
        cost=0.001,
    )
    return SavedCase(
        example, rollout, {"team": team}, calls=(call,), origins={"team": (0, "team")}, made_by=0
    )


def small_run(
    teams: dict[str, str], *, unit: str = "test_x.py::TestX", expected: str = "billing"
) -> SavedRun:
    """A run of one unit with one metric, ``test_team``, on an example for each entry of ``teams``."""
    metric = MetricInfo("test_team", f"{unit}::test_team", len(teams))
    info = UnitInfo(unit, unit.rpartition("::")[2], unit.partition("::")[0], (metric,), "openai/x")
    outcomes = tuple(
        CaseOutcome(unit, "test_team", i, "0" * 12, "pass" if team == expected else "fail")
        for i, team in teams.items()
    )
    examples = tuple(
        SavedExample(i, {"ticket": i, "team": expected}, ("ticket",), digest="0" * 12) for i in teams
    )
    saved = SavedUnit(
        info,
        examples,
        tuple(case(i, team) for i, team in teams.items()),
        outcomes,
        {"test_team": MetricVerdict("passed")},
        TallyCount(live=len(teams), usage=Usage(100 * len(teams), 10 * len(teams))),
    )
    return SavedRun((saved,), {"record": "new"}, passed=True)
