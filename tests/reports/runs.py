"""Saved runs for the reports' tests: a large one, a hostile one, and one that compiled."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, UnitInfo
from pytest_lmprog.harness.saved.run import (
    SavedCall,
    SavedCandidate,
    SavedCase,
    SavedError,
    SavedExample,
    SavedRun,
    SavedUnit,
)
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.lm.types import Usage

__all__ = ["HOSTILE", "compiled_run", "hostile_run", "many_run", "passing_run"]

TEAMS = ("account", "billing", "bug", "feature")
UNIT = "tests/test_support.py::TestTriage"
SNAPSHOT = "tests/__lm_snapshots__/test_support/TestTriage.yaml"
SYSTEM = {
    "role": "system",
    "content": "Decide which team should handle a support ticket.\n\nYou are given:\n- `ticket`\n\n"
    "Answer with one JSON object that has these keys, in this order:\n- `reasoning`\n- `team`",
}
DEMOS = (
    {"role": "user", "content": "ticket: The mobile app freezes when I rotate the phone."},
    {"role": "assistant", "content": '{"reasoning": "The app misbehaves.", "team": "bug"}'},
    {"role": "user", "content": "ticket: On which day of the month do you charge my card?"},
    {"role": "assistant", "content": '{"reasoning": "It is about a payment.", "team": "billing"}'},
)
TEXT = (
    "I was charged twice this month and the refund has not arrived yet; please look into the second payment "
    "because my bank says that it has been settled since Monday while your page still calls it pending"
)
WORDS = TEXT.split()

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 2">',
    "\u202eevil right to left\u202c and \u2066isolate\u2069 left to right again",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 bell",
    "null \x00 in the middle",
    "lone \ud800 surrogate \udfff",
    "<!-- <script> ]]> -->",
    "שלום, what is \u05d0\u05d1\u05d2?",
    "javascript:alert(1)",
    "line\u2028separator\u2029paragraph\r\ncarriage",
    "a" * 1_000_000,
    "{{constructor}} ${window.hacked = 3} `back`",
)


def many_run(cases: int = 5000, *, seed: int = 0) -> SavedRun:
    """A run of ``cases`` examples under three metrics, with some of every verdict."""
    rng = random.Random(seed)
    examples, ran, outcomes = [], [], []
    for number in range(cases):
        name = f"{rng.choice(('refund', 'login', 'crash', 'idea'))}-{number}"
        ticket = " ".join(rng.choices(WORDS, k=rng.randint(20, 60)))
        expected, said = rng.choice(TEAMS), rng.choice(TEAMS)
        said = expected if rng.random() < 0.8 else said
        tags = tuple(sorted(rng.sample(("urgent", "vip", "spanish"), rng.randint(0, 2))))
        split = "dev" if number % 3 else "test"
        examples.append(
            SavedExample(
                name, {"ticket": ticket, "team": expected}, ("ticket",), split, tags, digest="0" * 12
            )
        )
        ran.append(_case(rng, name, ticket, said))
        outcomes += _outcomes(rng, name, said, expected)
    metrics = tuple(
        MetricInfo(name, f"{UNIT}::{name}", cases, gate, baseline, cases)
        for name, gate, baseline in (
            ("test_team", Gate(min_score=0.8), 0.852),
            ("test_reason_is_short", Gate(), 0.9),
            ("test_tone", Gate(max_regressions=5), 0.71),
        )
    )
    info = UnitInfo(
        UNIT, "TestTriage", "tests/test_support.py", metrics, "openai/gpt-4o-mini", SNAPSHOT, notes=()
    )
    verdicts = {
        "test_team": MetricVerdict(
            "failed",
            ("7 cases got worse than the baseline, max_regressions is 0",),
            {
                "decided_by": "statistics",
                "test": "exact McNemar",
                "n": 40,
                "before": 0.85,
                "after": 0.81,
                "change": -0.04,
                "interval": [-0.07, -0.01],
                "confidence": 0.96,
                "p_value": 0.0123,
                "p_corrected": 0.0246,
                "metrics": 2,
                "alpha": 0.02,
                "worse": ["a", "b"],
                "max_drop": None,
                "on_inconclusive": "fail",
            },
        ),
        "test_reason_is_short": MetricVerdict("passed"),
        "test_tone": MetricVerdict("inconclusive", ("the change lies between -0.031 and +0.012",)),
    }
    usage = Usage(cases * 180, cases * 24)
    count = TallyCount(
        live=cases // 50, recording=cases - cases // 50, usage=usage, live_usage=usage, live_cost=0.42
    )
    unit = SavedUnit(info, tuple(examples), tuple(ran), tuple(outcomes), verdicts, count)
    return SavedRun((unit,), {"record": "new", "seed": 0, "compile": False})


def _case(rng: random.Random, name: str, ticket: str, said: str) -> SavedCase:
    if rng.random() < 0.01:
        error = SavedError("AnswerFormatError", "classify: the answer has no field 'team'")
        return SavedCase(name, error=error, calls=(_call(rng, ticket, None),))
    outputs = {"reasoning": f"It is about {said}.", "team": said}
    return SavedCase(name, prediction=outputs, calls=(_call(rng, ticket, outputs),))


def _call(rng: random.Random, ticket: str, outputs: dict[str, str] | None) -> SavedCall:
    answer = "I cannot say." if outputs is None else str(outputs).replace("'", '"')
    return SavedCall(
        "classify",
        {"ticket": ticket},
        outputs,
        (SYSTEM, *DEMOS, {"role": "user", "content": f"ticket: {ticket}"}),
        answer,
        "json",
        usage=(150 + len(ticket) // 4, len(answer) // 4),
        latency=round(rng.uniform(0.2, 3.0), 3),
        cost=round(rng.uniform(0.0001, 0.0009), 6),
        source="recording" if rng.random() < 0.98 else "live",
        error=None if outputs else "the answer has no field 'team'",
    )


def _outcomes(rng: random.Random, name: str, said: str, expected: str) -> list[CaseOutcome]:
    right, tone = said == expected, round(rng.random(), 2)
    verdict = "passed" if right else rng.choice(("known_miss", "known_miss", "known_miss", "regression"))
    message = "" if right else f"assert {said!r} == {expected!r}\n  - {expected}\n  + {said}"
    team = CaseOutcome(
        UNIT,
        "test_team",
        name,
        "0" * 12,
        "pass" if right else "fail",
        message=message,
        verdict=verdict if rng.random() > 0.02 or not right else "fixed",
        baseline="known",
        was=1.0 if verdict in ("passed", "regression") else 0.0,
        detail="passed when the baseline was taken, fails now" if verdict == "regression" else "",
    )
    short = CaseOutcome(
        UNIT, "test_reason_is_short", name, "0" * 12, "pass", verdict="passed", baseline="known", was=1.0
    )
    graded = CaseOutcome(
        UNIT, "test_tone", name, "0" * 12, "pass", score=tone, verdict="passed", baseline="known", was=0.7
    )
    return [team, short, graded]


def passing_run() -> SavedRun:
    """Four cases, all passing."""
    run = many_run(4)
    unit = run.units[0]
    outcomes = tuple(
        replace(o, status="pass", verdict="passed", message="", detail="") for o in unit.outcomes
    )
    verdicts = {name: MetricVerdict("passed") for name in unit.verdicts}
    return replace(run, units=(replace(unit, outcomes=outcomes, verdicts=verdicts),), passed=True)


def hostile_run() -> SavedRun:
    """Every hostile text in every place that a program or its users can put text in."""
    run = many_run(len(HOSTILE))
    unit = run.units[0]
    metrics = tuple(replace(m, expected=len(HOSTILE)) for m in unit.info.metrics)
    names = [f"{number} {text[:80]}" for number, text in enumerate(HOSTILE)]
    examples = tuple(
        SavedExample(
            name,
            {"ticket": text, "team": text, text[:50]: [text[:99], 2**70]},
            ("ticket",),
            text[:20],
            (text[:20],),
        )
        for name, text in zip(names, HOSTILE, strict=True)
    )
    cases = tuple(_hostile_case(name, text) for name, text in zip(names, HOSTILE, strict=True))
    outcomes = tuple(
        CaseOutcome(UNIT, m.name, name, "0" * 12, "fail", message=text, detail=text[:300], verdict="failed")
        for name, text in zip(names, HOSTILE, strict=True)
        for m in metrics
    )
    verdicts = {m.name: MetricVerdict("failed", HOSTILE[:6]) for m in metrics}
    info = replace(unit.info, metrics=metrics, notes=HOSTILE[:10], stale=HOSTILE[:3])
    made = SavedUnit(info, examples, cases, outcomes, verdicts, unit.calls, notes=HOSTILE[:2])
    return SavedRun((made,), {"record": "none"}, HOSTILE[:2], tuple(names), HOSTILE[:4])


def _hostile_case(name: str, text: str) -> SavedCase:
    messages = tuple({"role": role, "content": text} for role in ("system", "user", text[:30]))
    messages += (
        {"role": "assistant", "content": [{"type": "text", "text": text[:99]}], "tool_calls": [text[:99]]},
    )
    call = SavedCall(text[:40], {"ticket": text}, {"team": text}, messages, text, "json", error=text)
    return SavedCase(
        name,
        prediction={
            "team": text,
            "raw": {"$repr": f"<{text[:20]}>"},
            "constructor": "c",
            "__proto__": text[:9],
        },
        calls=(call,),
        completions=({"team": text[:99]}, {"team": "b"}),
    )


def compiled_run() -> SavedRun:
    """A run that compiled: candidates, and prompts before and after."""
    run = passing_run()
    unit = run.units[0]
    known = Path(__file__).parents[2] / "example_project/tests/__lm_snapshots__/test_support/TestTriage.yaml"
    before = known.read_text(encoding="utf-8")
    after = before.replace("handles a support ticket and how urgent it is", "owns a ticket, and its urgency")
    after = after.replace("team: login\n        priority: normal", "team: login\n        priority: high", 1)
    after = after.replace('"login", "priority": "normal"', '"login", "priority": "high"', 1)
    tried = [
        (0.62, 612, 310.0),
        (0.71, 1204, 602.5),
        (0.71, 1450, 700.0),
        (None, 1800, None),
        (0.835, 1622, 811.0),
    ]
    tried += [(0.80, 2400, 1190.0), (0.55, 500, 260.0)]
    found = tuple(
        SavedCandidate(
            number,
            "as written" if not number else f"bootstrapped {number}",
            score,
            characters,
            None if tokens is None else 1.0,
            tokens,
            None if tokens is None else tokens * 2.1e-7,
            winner=score == 0.835,
            runs=40,
            parents={2: (0,), 4: (2, 1)}.get(number, ()),
        )
        for number, (score, characters, tokens) in enumerate(tried)
    )
    compiled = {
        "score": 0.835,
        "validated_on": 40,
        "stopped": "budget",
        "splits": [
            {"split": "train", "score": 0.95, "n": 60, "low": 0.86, "high": 0.98},
            {"split": "validation", "score": 0.835, "n": 40, "low": 0.69, "high": 0.92},
            {"split": "test", "note": "not all cases ran"},
        ],
    }
    changed = replace(unit, before=before, after=after, candidates=found, compiled=compiled)
    return replace(run, units=(changed,), settings={"record": "new", "compile": True})
