"""The ratchet: what a case's outcome means beside its baseline. Pure functions, no I/O."""

from __future__ import annotations

from typing import Literal, Protocol

from pytest_lmprog.harness.results import CaseOutcome
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.records import dataclass

__all__ = ["REPORTED", "Baseline", "Reported", "Verdict", "VerdictKind", "judge"]

TOLERANCE = 1e-9
"""A graded score may drop by this much without being called worse."""

MUST_PASS = "this case must pass (lm_gate)"

VerdictKind = Literal[
    "passed",
    "failed",
    "error",
    "broken",
    "unscored",
    "known_miss",
    "known_error",
    "regression",
    "regressed",
    "fixed",
    "unaccepted_fix",
    "flaky",
    "missed",
]
"""What became of a case.

``failed``, ``error``: as in any test, because nothing is known of the case or its error is a new one.
``broken``: no verdict on the program (transport, replay miss, a metric's own exception).
``regression`` fails now; ``regressed`` is left to the metric's verdict. ``unaccepted_fix``: a fixed case
of a strict metric. ``missed``: failed in a run that makes the baseline anew.
"""


class Baseline(Protocol):
    """One case's entry in a snapshot (``snapshots.artifact.CaseBaseline``)."""

    @property
    def status(self) -> str: ...
    @property
    def example(self) -> str: ...
    @property
    def score(self) -> float | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def passes(self) -> int | None: ...
    @property
    def n(self) -> int: ...
    @property
    def value(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Reported:
    """How pytest shows a kind: its category, letter, word, and the outcome of the report."""

    outcome: Literal["passed", "failed", "skipped"]
    category: str
    letter: str
    word: str


REPORTED: dict[VerdictKind, Reported] = {
    "passed": Reported("passed", "passed", ".", "PASSED"),
    "failed": Reported("failed", "failed", "F", "FAILED"),
    "error": Reported("failed", "failed", "F", "FAILED"),
    "broken": Reported("failed", "failed", "F", "FAILED"),
    "unscored": Reported("skipped", "skipped", "s", "SKIPPED"),
    "known_miss": Reported("skipped", "xfailed", "k", "KNOWN MISS"),
    "known_error": Reported("skipped", "xfailed", "k", "KNOWN ERROR"),
    "regression": Reported("failed", "failed", "R", "REGRESSION"),
    "regressed": Reported("skipped", "xfailed", "r", "REGRESSED"),
    "fixed": Reported("passed", "passed", "*", "FIXED"),
    "unaccepted_fix": Reported("failed", "failed", "*", "FIXED, NOT ACCEPTED"),
    "flaky": Reported("skipped", "xfailed", "y", "FLAKY"),
    "missed": Reported("skipped", "xfailed", "m", "MISS"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an outcome means.

    ``detail`` says why in one sentence, for the report of a case that does not simply pass.
    ``baseline`` tells whether the case could be compared: ``new`` has no entry (there is a snapshot),
    ``edited`` has one of another example's text, ``none``: there is no snapshot.
    """

    kind: VerdictKind
    detail: str = ""
    baseline: Literal["known", "new", "edited", "none"] = "none"

    @property
    def fails(self) -> bool:
        """Whether the item fails."""
        return self.reported.outcome == "failed"

    @property
    def reported(self) -> Reported:
        """How pytest shows it."""
        return REPORTED[self.kind]


def judge(
    outcome: CaseOutcome,
    entry: Baseline | None,
    gate: Gate,
    *,
    has_snapshot: bool = True,
    rebasing: bool = False,
    against: str | None = None,
) -> Verdict:
    """Return what ``outcome`` means beside its baseline ``entry``.

    Parameters
    ----------
    entry: the case's entry in the accepted snapshot, or None.
    gate: the metric's.
    has_snapshot: whether there is an accepted snapshot at all.
    rebasing: the run makes the baseline anew (``--lm-compile``, ``--lm-update``): flips are listed and do
        not fail, errors do.
    against: name of the other run or revision that the baseline is of (``--lm-baseline``): the metric as a
        whole decides then, and nothing is to be accepted.
    """
    verdict = _beside(outcome, entry, gate, has_snapshot, rebasing, against)
    if outcome.case in gate.must_pass and outcome.status in ("fail", "error"):
        return _not_passed(verdict, outcome)
    return verdict


def _beside(
    outcome: CaseOutcome,
    entry: Baseline | None,
    gate: Gate,
    has_snapshot: bool,
    rebasing: bool,
    against: str | None,
) -> Verdict:
    baseline = _comparable(outcome, entry, has_snapshot)
    if outcome.status in ("broken", "unscored"):
        return Verdict("broken" if outcome.status == "broken" else "unscored", outcome.message, baseline)
    if baseline != "known" or entry is None:
        return _ordinary(outcome, baseline, rebasing)
    kind = _compared(outcome, entry, gate)
    verdict = Verdict(kind, _words(kind, outcome, entry, against or "the accepted snapshot"), "known")
    return _eased(verdict, outcome) if rebasing else _severity(verdict, outcome, gate, against is not None)


def _not_passed(verdict: Verdict, outcome: CaseOutcome) -> Verdict:
    """A case that must pass fails at once, whatever is known of it."""
    worse = verdict.kind in ("regression", "regressed")
    kind: VerdictKind = "regression" if worse else "error" if outcome.status == "error" else "failed"
    return Verdict(kind, f"{MUST_PASS}: {verdict.detail or outcome.message}", verdict.baseline)


def _comparable(
    outcome: CaseOutcome, entry: Baseline | None, has_snapshot: bool
) -> Literal["known", "new", "edited", "none"]:
    if entry is None or entry.status == "unscored":
        return "new" if has_snapshot else "none"
    if entry.example != outcome.digest:
        return "edited"
    return "known" if outcome.rollout < max(entry.n, 1) else "new"


def _ordinary(
    outcome: CaseOutcome, baseline: Literal["known", "new", "edited", "none"], rebasing: bool
) -> Verdict:
    if outcome.status == "pass":
        return Verdict("passed", "", baseline)
    if outcome.status == "error":
        return Verdict("error", outcome.message, baseline)
    return Verdict("missed" if rebasing else "failed", outcome.message, baseline)


def _compared(outcome: CaseOutcome, entry: Baseline, gate: Gate) -> VerdictKind:
    """Compare without regard to what fails a run."""
    if outcome.status == "error":
        return _compared_error(outcome, entry)
    if entry.n > 1:
        return _compared_rollout(outcome, entry)
    if outcome.status == "fail":
        return "regression" if entry.status == "pass" else "known_miss"
    if entry.status != "pass":
        return "fixed"
    return "regression" if _dropped(outcome, entry, gate) else "passed"


def _compared_error(outcome: CaseOutcome, entry: Baseline) -> VerdictKind:
    if entry.error is not None and entry.error == outcome.error:
        return "known_error"
    if entry.status == "pass":
        return "regression"
    return "error"


def _compared_rollout(outcome: CaseOutcome, entry: Baseline) -> VerdictKind:
    passes = _passes(entry)
    if outcome.status == "fail":
        return "regression" if passes == entry.n else "flaky" if passes else "known_miss"
    if passes == entry.n:
        return "passed"
    return "passed" if passes else "fixed"


def _passes(entry: Baseline) -> int:
    if entry.passes is not None:
        return entry.passes
    return entry.n if entry.status == "pass" else 0


def _dropped(outcome: CaseOutcome, entry: Baseline, gate: Gate) -> bool:
    if gate.pass_at is not None or outcome.score is None or entry.value is None:
        return False
    return outcome.score < entry.value - TOLERANCE


def _words(kind: VerdictKind, outcome: CaseOutcome, entry: Baseline, whose: str) -> str:
    if kind == "passed":
        return ""
    was, now = _stood(entry), _stands(outcome)
    text = f"{now}; {whose} has {was}"
    return f"{text}\n{outcome.message}" if outcome.message and kind != "fixed" else text


def _stood(entry: Baseline) -> str:
    if entry.n > 1:
        return f"{_passes(entry)} of {entry.n} rollouts passed"
    if entry.status == "error":
        return f"error {entry.error}"
    return f"score {entry.score:.4g}" if entry.score is not None else entry.status


def _stands(outcome: CaseOutcome) -> str:
    if outcome.status == "error":
        return f"error {outcome.error}"
    return f"score {outcome.score:.4g}" if outcome.score is not None else outcome.status


def _severity(verdict: Verdict, outcome: CaseOutcome, gate: Gate, foreign: bool) -> Verdict:
    if verdict.kind == "regression" and (gate.is_lenient or outcome.live or foreign):
        return Verdict("regressed", verdict.detail, verdict.baseline)
    if verdict.kind == "fixed" and gate.strict and not foreign:
        hint = "the metric is strict: accept it with --lm-update"
        return Verdict("unaccepted_fix", f"{verdict.detail}; {hint}", verdict.baseline)
    return verdict


def _eased(verdict: Verdict, outcome: CaseOutcome) -> Verdict:
    """Flips do not fail a run that makes the baseline anew; errors that are not known do."""
    if verdict.kind != "regression":
        return verdict
    kind: VerdictKind = "error" if outcome.status == "error" else "regressed"
    return Verdict(kind, verdict.detail, verdict.baseline)
