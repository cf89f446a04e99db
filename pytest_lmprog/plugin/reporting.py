"""From what an item did to how pytest reports it, by the ratchet's verdict."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import AnswerError, LmprogError
from pytest_lmprog.evaluation.scores import CaseResult, Score
from pytest_lmprog.harness.results import CaseOutcome
from pytest_lmprog.harness.verdicts.ratchet import REPORTED
from pytest_lmprog.plugin.display import case_text, clean_longrepr
from pytest_lmprog.plugin.outcome import metric_failure, raised_score
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.plugin.cases import Case
    from pytest_lmprog.plugin.run import Run

__all__ = ["judge", "shorten"]

_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class _Said:
    """What an item said: a score, or why there is none."""

    score: Score | None = None
    broken: str | None = None
    message: str = ""


def judge(run: Run, item: Any, case: Case, call: Any, report: Any) -> None:
    """Judge an item's only or call report, and change the report to what the verdict asks for."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, pytest.exit.Exception | KeyboardInterrupt):
        return
    runner = case.unit.runner
    if runner is None or runner.ready is None:
        _tell_without_state(item, call, error, report)
        return
    said = _said(run, case, call, report)
    if said is None:
        return
    known = runner.known_run(case)
    outcome = runner.ready.judge(
        case.metric,
        case.example,
        case.rollout,
        run=known,
        score=said.score,
        broken=said.broken,
        message=said.message,
    )
    if outcome.verdict != "passed" or error is not None:
        _show(item, case, known, error, outcome, report)
    _attach(run, case, outcome, report)
    if run.writes_junit:
        from pytest_lmprog.plugin import junit

        junit.add_to(item, outcome, known)
    if run.collects:
        _attach_data(run, case, known, report)
    if runner.tells_case_finished:
        _tell_finished(item, case, known, said, outcome)


def _tell_without_state(item: Any, call: Any, error: BaseException | None, report: Any) -> None:
    """The unit itself could not be made ready, or the item never got to it."""
    if isinstance(error, LmprogError):
        _clean(item, str(error), report)
    elif call.excinfo is not None and report.outcome == "failed":
        _without_our_frames(item, call.excinfo, report)


def shorten(item: Any, excinfo: Any, report: Any) -> None:
    """Show an error of ours in a plain test at the user's line that met it, without what lies below."""
    if isinstance(excinfo.value, LmprogError) and report.outcome == "failed":
        _without_our_frames(item, excinfo, report)


def _without_our_frames(item: Any, excinfo: Any, report: Any) -> None:
    """Show a failure of the user's own code (a fixture, a program's constructor) without the way to it."""
    theirs = [entry for entry in excinfo.traceback if not str(entry.path).startswith(_PACKAGE)]
    if len(theirs) < len(excinfo.traceback) and theirs:
        excinfo.traceback = type(excinfo.traceback)(_linked(theirs))
        report.longrepr = item.repr_failure(excinfo)


def _linked(entries: list[Any]) -> TracebackType | None:
    """Return a traceback of these entries alone: pytest cuts it by following the links, not a list."""
    linked: TracebackType | None = None
    for entry in reversed(entries):
        raw: TracebackType = entry._rawentry
        linked = TracebackType(linked, raw.tb_frame, raw.tb_lasti, raw.tb_lineno)
    return linked


def _said(run: Run, case: Case, call: Any, report: Any) -> _Said | None:
    error = None if call.excinfo is None else call.excinfo.value
    if hasattr(report, "wasxfail") or (report.outcome == "skipped" and error is None):
        return _Said(Score(None))
    if error is None:
        return _Said(run.score if run.score is not None else Score(1.0))
    score = raised_score(error)
    if score is not None and (call.when == "call" or score.value is None):
        return _Said(score)
    if isinstance(error, AnswerError) and call.when == "setup":
        return _Said()
    if call.when == "setup" and not isinstance(error, LmprogError):
        return None
    failure = metric_failure(case.metric, error) if call.when == "call" else error
    return _Said(broken=type(error).__name__, message=str(failure))


def _show(
    item: Any, case: Case, known: Any, error: BaseException | None, outcome: CaseOutcome, report: Any
) -> None:
    verdict = outcome.verdict
    assert verdict is not None
    if verdict == "unscored":
        return
    if isinstance(error, LmprogError):
        _clean(item, outcome.message or str(error), report)
    if verdict == "broken":
        return
    shown = REPORTED[verdict]
    report.when = "call"
    report.outcome = shown.outcome
    report.lmprog = {"status": (shown.category, shown.letter, shown.word)}
    _drop_wasxfail(report)
    if shown.category == "xfailed":
        report.wasxfail = _first_words(outcome) or shown.word.lower()
    if shown.outcome == "passed":
        report.longrepr = None
    elif report.longrepr is None:
        _clean(item, _headline(case, outcome, shown.word), report)
    if shown.outcome == "failed":
        _add_sections(item, case, known, outcome, report)


def _first_words(outcome: CaseOutcome) -> str:
    """One line for summaries: what changed, and the first line of why."""
    lines = [line for line in outcome.detail.splitlines() if line.strip()][:2]
    return ": ".join(lines)[:200]


def _headline(case: Case, outcome: CaseOutcome, word: str) -> str:
    words = outcome.detail or outcome.message or _figure(case, outcome)
    return f"{word.lower()}: {words}" if word not in ("FAILED", "ERROR") else words


def _figure(case: Case, outcome: CaseOutcome) -> str:
    if outcome.score is None:
        return "failed"
    pass_at = case.unit.gates[case.metric].pass_at
    least = "a graded case passes above 0" if pass_at is None else f"pass_at is {pass_at:g}"
    return f"score {outcome.score:.4g} ({least})"


def _drop_wasxfail(report: Any) -> None:
    if hasattr(report, "wasxfail"):
        del report.wasxfail


def _add_sections(item: Any, case: Case, known: Any, outcome: CaseOutcome, report: Any) -> None:
    text = case_text(case.example, known, verbose=item.config.get_verbosity() > 0)
    if outcome.detail and outcome.verdict in ("regression", "unaccepted_fix"):
        report.sections.append((REPORTED[outcome.verdict].word.lower(), outcome.detail.partition("\n")[0]))
    report.sections.append(("LM program", text))


def _clean(item: Any, text: str, report: Any) -> None:
    line = (item.location[1] or 0) + 1
    report.longrepr = clean_longrepr(text, item.location[0], line)


def _attach(run: Run, case: Case, outcome: CaseOutcome, report: Any) -> None:
    data: dict[str, Any] = getattr(report, "lmprog", None) or {}
    runner = case.unit.started()
    if run.is_worker:
        data["outcome"] = outcome.to_plain()
        data["calls"] = runner.ready.drain().to_plain()
        data["calls_of"] = outcome.unit
    else:
        data["outcome"] = outcome
    if not runner.announced:
        runner.announced = True
        data["unit"] = runner.info().to_plain()
    report.lmprog = data


def _attach_data(run: Run, case: Case, known: Any, report: Any) -> None:
    """Add what reports and saved runs want to know of the case."""
    data = run.collector().take(case.unit.started().ready, case.example, case.rollout, known)
    if data is not None:
        report.lmprog["data"] = data.to_plain() if run.is_worker else data


def _tell_finished(item: Any, case: Case, known: Any, said: _Said, outcome: CaseOutcome) -> None:
    from pytest_lmprog.evaluation.scores import ErrorInfo
    from pytest_lmprog.programs import Trace

    error = ErrorInfo(outcome.error, outcome.message) if outcome.error is not None else None
    result = CaseResult(
        case.example,
        None if known is None else known.prediction,
        Trace() if known is None else known.trace,
        {} if said.score is None else {case.metric: said.score},
        error,
        case.rollout,
    )
    item.ihook.pytest_lmprog_case_finished(config=item.config, case=result)
