"""A small project: a program, data, metrics, and an LM that answers as a pure function of the request."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from pytest_lmprog.errors import LmprogError, MetricError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import Score
from pytest_lmprog.harness.hooks import Hooks
from pytest_lmprog.harness.results import RunResults
from pytest_lmprog.harness.session import Session
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage
from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.signatures import InputField, OutputField, Signature
from pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch

TEAMS = ("account", "billing", "bug")


class TriageTicket(Signature):
    """Decide which team should handle a ticket."""

    ticket: str = InputField()
    team: Literal["account", "billing", "bug"] = OutputField()


class Triage(Module):
    def __init__(self) -> None:
        self.classify = Predict(TriageTicket)

    def forward(self, ticket: str) -> Any:
        return self.classify(ticket=ticket)


def example(number: int, **fields: Any) -> Example:
    row = {"id": f"t{number}", "ticket": f"ticket number {number}", "team": TEAMS[number % 3], **fields}
    return Example(row).with_inputs("ticket")


CASES = tuple(example(n) for n in range(12))
TRAIN = tuple(example(n) for n in range(100, 120))


def share(*parts: Any) -> float:
    """A number within [0, 1) that depends on ``parts`` only."""
    return int(hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8], 16) / 2**32


def knows(ticket: str, demos: int, rollout: int) -> bool:
    return share(ticket, rollout) < 0.45 + 0.1 * min(demos, 4)


@dataclass
class Brain:
    """The LM's transport. ``broken``: tickets that get no answer; ``garbled``: an unparsable one."""

    broken: set[str] = field(default_factory=set)
    garbled: set[str] = field(default_factory=set)
    knows: Callable[[str, int, int], bool] = knows
    latency: float = 0.0
    asked: list[LMRequest] = field(default_factory=list)
    stop_after: int | None = None
    _lock: Any = field(default_factory=Lock)

    def ask(self, request: LMRequest) -> LMResponse:
        with self._lock:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KilledError
            self.asked.append(request)
        if self.latency:
            time.sleep(random.uniform(0, self.latency))
        return LMResponse(self.text(request), usage=Usage(100, 10))

    def text(self, request: LMRequest) -> str:
        from pytest_lmprog.errors import LMConnectionError

        last = str(request.messages[-1]["content"])
        number = last.split("ticket number ")[-1].split('"')[0].split()[0].strip("\"'},")
        ticket = f"ticket number {number}"
        if ticket in self.broken:
            raise LMConnectionError("the line is dead")
        if ticket in self.garbled:
            return "I would rather not say."
        demos = sum(m["role"] == "assistant" for m in request.messages)
        right = self.knows(ticket, demos, request.rollout)
        team = TEAMS[(int(number) + (0 if right else 1)) % 3]
        return json.dumps({"team": team})


class KilledError(BaseException):
    """What a killed process leaves behind."""


def make_lm(brain: Brain, model: str = "world/brain", **options: Any) -> Any:
    from pytest_lmprog.lm.limiter import Limiter
    from pytest_lmprog.lm.model import PipelineLM
    from pytest_lmprog.lm.pipeline import Pipeline
    from pytest_lmprog.lm.redaction import secrets_of
    from pytest_lmprog.lm.retry import RetryPolicy
    from pytest_lmprog.lm.stores.memory import MemoryStore

    pipeline = Pipeline(
        brain,
        address=lambda: "http://world",
        store=MemoryStore(),
        limiter=Limiter(8),
        retry=RetryPolicy(0),
        scrubber=lambda: secrets_of(None),
    )
    lm = object.__new__(PipelineLM)
    lm._set(_model=model, _params=options, _pipeline=pipeline, _secrets=frozenset())
    return lm


def right_team(case: Example, prediction: Any, trace: Any = None) -> bool:
    assert prediction.team == case.team, f"{prediction.team}, not {case.team}"
    return True


def short(case: Example, prediction: Any, trace: Any = None) -> float:
    return 1.0 if len(prediction.team) < 4 else 0.5


METRICS = (as_metric(right_team), as_metric(short))


class World:
    """A project folder in which runs are made, one after the other, as the plugin makes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.brain = Brain()
        self.module = root / "tests" / "test_support.py"
        self.warnings: list[str] = []

    @property
    def snapshot(self) -> Path:
        return self.root / "tests" / "__lm_snapshots__" / "test_support" / "TestTriage.yaml"

    @property
    def pending(self) -> Path:
        return self.snapshot.with_name("TestTriage.new.yaml")

    @property
    def recording(self) -> Path:
        return self.root / "tests" / "__lm_recordings__" / "test_support.jsonl"

    def unit(self, **changes: Any) -> Unit:
        given: dict[str, Any] = {
            "id": "tests/test_support.py::TestTriage",
            "name": "TestTriage",
            "module_id": "tests/test_support.py",
            "module_path": self.module,
            "program": Triage,
            "snapshot": self.snapshot,
            "cases": CASES,
            "metrics": METRICS,
            "lm": make_lm(self.brain),
            "teleprompter": BootstrapFewShotWithRandomSearch(num_candidate_programs=3),
            "trainset": TRAIN,
        }
        return Unit(**{**given, **changes})

    def run(self, *units: Unit, select: Any = None, order: Any = None, **cli: Any) -> Finished:
        """Make a run with these options. ``select(metric, example)`` deselects items."""
        session = self.session(**cli)
        results = RunResults()
        for unit in units or (self.unit(),):
            self._unit(session, unit, results, select, order)
        written = session.finish(results)
        errors = session.close(passed=True)
        return Finished(session, results, written, errors)

    def session(self, hooks: Hooks | None = None, env: Any = None, **cli: Any) -> Session:
        settings = HarnessSettings.resolve(self.root, cli=cli, env=env or {})
        return Session(settings, hooks=hooks, on_warning=self.warnings.append)

    def _unit(self, session: Session, unit: Unit, results: RunResults, select: Any, order: Any) -> None:
        if session.settings.compile:
            session.compile(unit)
        state = session.prepare(unit)
        items = [
            (metric, case, rollout)
            for metric in unit.metrics
            for case in unit.cases
            for rollout in range(unit.repeat)
            if select is None or select(metric.name, case)
        ]
        if order is not None:
            order(items)
        state.expect([(case, rollout) for _, case, rollout in items])
        results.add_unit(state.info())
        for metric, case, rollout in items:
            results.add(self._item(state, metric, case, rollout))
        results.add_calls(unit.id, state.drain())

    def _item(self, state: Any, metric: Any, case: Example, rollout: int) -> Any:
        with state.active():
            try:
                run = state.run(case, rollout)
            except LmprogError as error:
                kind = type(error).__name__
                return state.judge(metric.name, case, rollout, broken=kind, message=str(error))
            if run.error is not None:
                return state.judge(metric.name, case, rollout, run=run)
            try:
                score: Score = metric.score(case, run.prediction.copy(), run.trace)
            except MetricError as error:
                return state.judge(metric.name, case, rollout, broken="MetricError", message=str(error))
            return state.judge(metric.name, case, rollout, run=run, score=score)


@dataclass
class Finished:
    session: Session
    results: RunResults
    written: Sequence[Any]
    errors: Sequence[Any]

    @property
    def unit(self) -> Any:
        (unit,) = self.results
        return unit

    def verdicts(self, metric: str = "right_team") -> dict[str, str]:
        (found,) = (m for m in self.unit.metrics if m.info.name == metric)
        return {o.case: o.verdict for o in found.outcomes}

    @property
    def states(self) -> list[str]:
        return [w.state for w in self.written]
