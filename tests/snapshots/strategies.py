"""Snapshots to test with: one ordinary, and arbitrary ones for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_lmprog.lm.types import Capabilities
from pytest_lmprog.snapshots.artifact import (
    CalibrationSnapshot,
    CaseBaseline,
    DataSource,
    FieldSnapshot,
    Header,
    MetricBaseline,
    ModelInfo,
    PredictorSnapshot,
    Snapshot,
    SourceFiles,
    TeleprompterInfo,
    Validation,
)

NASTY = [
    "no",
    "on",
    "~",
    "null",
    "1",
    "1e5",
    "1.5",
    "0x1f",
    "12:30:45",
    "2024-01-01",
    "<<",
    "=",
    "a\x85b",
    "a\u2028b\n",
    "x\r\ny",
    "trailing \nspace",
    "\ttab first\nb",
    "a\tb\nc\td\n",
    "  indented\nfirst",
    "\n\nstarts empty",
    "ends empty\n\n\n",
    "emoji 🎉\nand more",
    "{ticket}",
    "{{ not }} a {field}",
    "# no comment",
    "key: value",
    "- item",
    "\x00\x07\x1b[31m",
    "\ufeffbom",
    "'single' \"double\" \\back",
    "---\n...\n",
    "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n",
    "",
    " ",
    "\n",
    "a" * 300,
    "word " * 60 + "end",
]

PIECES = [*"ab \t\n\r:#-{}'\"\\", "\x85", "\u2029", "é", "🎉"]

texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.lists(st.sampled_from([*"ab \t\n\r:#-{}'\"\\", "\x85", "\u2029", "é", "🎉"]), max_size=15).map(
        "".join
    ),
)
plain = st.recursive(
    st.one_of(
        texts,
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
demos = st.lists(st.dictionaries(texts, plain, max_size=3), max_size=3).map(tuple)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}),
    max_size=3,
).map(tuple)
fields = st.lists(
    st.builds(
        FieldSnapshot,
        texts,
        st.sampled_from(["input", "output"]),
        texts,
        st.none() | texts,
        st.none() | texts,
    ),
    max_size=3,
    unique_by=lambda f: f.name,
).map(tuple)
predictors = st.dictionaries(
    texts, st.builds(PredictorSnapshot, texts, fields, demos, messages, st.none() | texts), max_size=2
)
shares = st.floats(0, 1)
cases = st.builds(
    CaseBaseline,
    st.sampled_from(["pass", "fail", "error", "unscored"]),
    texts,
    st.none() | shares,
    st.none() | texts,
    st.none() | st.integers(0, 9),
    st.integers(0, 9),
)
metrics = st.builds(
    MetricBaseline, st.none() | shares, st.integers(0, 99), st.dictionaries(texts, cases, max_size=3)
)
headers = st.builds(
    Header,
    texts,
    st.none() | st.builds(ModelInfo, texts, st.builds(Capabilities, st.sampled_from([None, True, False]))),
    texts,
    st.integers(0, 9),
    st.none() | st.builds(TeleprompterInfo, texts, st.dictionaries(texts, plain, max_size=3)),
    st.integers(),
    st.none() | st.builds(Validation, shares, st.integers(0, 99), st.none() | shares),
    st.sampled_from([None, "budget"]),
    st.dictionaries(texts, texts, max_size=2),
    st.lists(texts, max_size=2).map(tuple),
)
several = st.dictionaries(texts, texts, max_size=2)
data_sources = st.builds(DataSource, texts, st.none() | texts, st.lists(texts, max_size=2).map(tuple))
sources = st.builds(
    SourceFiles,
    several,
    several,
    several,
    st.dictionaries(texts, data_sources, max_size=2),
    several,
    st.lists(texts, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
)
verdicts = texts | st.integers() | shares | st.booleans()
calibrations = st.builds(
    CalibrationSnapshot,
    st.dictionaries(texts, st.integers(0, 99) | shares, max_size=3),
    st.dictionaries(texts, st.dictionaries(texts, st.integers(0, 99), min_size=1, max_size=3), max_size=2),
    st.dictionaries(texts, st.tuples(verdicts, st.none() | verdicts), max_size=3),
)
snapshots = st.builds(
    Snapshot,
    headers,
    predictors,
    st.dictionaries(texts, metrics, max_size=2),
    st.dictionaries(texts, st.dictionaries(texts, texts, max_size=3), max_size=2),
    st.none() | texts,
    st.none() | sources,
    st.none() | calibrations,
)


def triage(**changes: object) -> Snapshot:
    """Return an ordinary snapshot, with top-level parts replaced by ``changes``."""
    classify = PredictorSnapshot(
        "Decide which team should handle a support ticket.",
        (
            FieldSnapshot("ticket", "input", "str"),
            FieldSnapshot("team", "output", "Literal['account', 'billing']", desc="who handles it"),
        ),
        ({"ticket": "I was\nbilled twice", "team": "billing"},),
        (
            {"role": "system", "content": "Decide which team should handle a support ticket.\n"},
            {"role": "user", "content": "I was\nbilled twice"},
            {"role": "assistant", "content": '{"team": "billing"}'},
            {"role": "user", "content": "{ticket}"},
        ),
    )
    header = Header(
        "support.program.Triage",
        ModelInfo("openai/gpt-4o-mini", Capabilities(True)),
        "json",
        1,
        TeleprompterInfo("BootstrapFewShot", {"max_bootstrapped_demos": 4}),
        validation=Validation(0.85, 40, 0.5),
    )
    baseline = {
        "test_team": MetricBaseline(
            0.5, 2, {"refund-1": CaseBaseline("pass", "aaaa"), "login-1": CaseBaseline("fail", "bbbb")}
        ),
        "test_tone": MetricBaseline(0.25, 1, {"refund-1": CaseBaseline("fail", "aaaa", score=0.25)}),
    }
    parts = {
        "header": header,
        "predictors": {"classify": classify},
        "baseline": baseline,
        "fingerprint": {"program": {"support.program.Triage.forward": "0123456789ab"}},
    }
    return Snapshot(**{**parts, **changes})  # type: ignore[arg-type]
