"""RuleSearch: the plan of InferRules: bootstrap, induce rules, let the programs with rules race."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult
from pytest_lmprog.teleprompt.engine.desk import Job, Plan
from pytest_lmprog.teleprompt.engine.gathering import gathered
from pytest_lmprog.teleprompt.engine.race import Proposal, Race
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.engine.verdict import best_so_far, verdict
from pytest_lmprog.teleprompt.infer_rules import InferRules
from pytest_lmprog.teleprompt.material.bootstrapping import Bootstrapped, bootstrap
from pytest_lmprog.teleprompt.material.instructions import instructions_of, learners, with_instructions
from pytest_lmprog.teleprompt.plans.rules.rules import Induction, example_texts, ruled

__all__ = ["RuleSearch"]

Texts = Mapping[str, Sequence[str]]
"""Examples by predictor name."""

Rules = dict[str, str]
"""Rules by predictor name."""


@dataclass
class RuleSearch:
    """One search: the bootstrapped program, from which all candidates are made, and their race."""

    settings: InferRules
    study: Study

    def __post_init__(self) -> None:
        self.race = Race(self.study, self.study.task.validation)

    def plan(self) -> Plan[CompileResult]:
        """Bootstrap, induce, race. A budget that runs out leaves the best candidate so far, else what
        was bootstrapped."""
        settings, task = self.settings, self.study.task
        spec = settings.bootstrapper().spec(task.trainset, settings.max_bootstrapped_demos)
        found = yield from bootstrap(self.study, spec)
        if not found.whole:
            return self._ended(found)
        try:
            yield from self._search(found)
        except BudgetExceededError:
            return self._ended(found)
        return verdict(self.race, unraced=self._unraced(found))

    def _search(self, found: Bootstrapped) -> Plan[None]:
        rows = self.study.task.trainset
        texts = {name: example_texts(predictor, rows) for name, predictor in learners(found.program)}
        rules, notes = yield from self._induced(texts)
        self._enter(found, rules, notes)
        while self.race.running:
            self.race.record((yield))

    def _induced(self, texts: Texts) -> Plan[tuple[list[Rules], tuple[str, ...]]]:
        """Return the rules of each candidate, and what fell short."""
        numbers = range(self.settings.num_candidates)
        asked = [(number, name) for number in numbers for name in texts if texts[name]]
        self.study.desk.expect(len(asked) - len(numbers) * len(texts))
        jobs = [self._job(texts[name], number) for number, name in asked]
        results = yield from gathered(self.study, jobs)
        rules: list[Rules] = [{} for _ in numbers]
        for (number, name), result in zip(asked, results, strict=True):
            if text := _rules(result):
                rules[number][name] = text
        had = sum(map(len, rules))
        lacking = [
            f"no rules for {name!r}: no training example shows what it is to put out" for name in texts
        ]
        notes = [note for note, shown in zip(lacking, texts.values(), strict=True) if not shown]
        if had < len(asked):
            notes.append(f"{len(asked) - had} of {len(asked)} inductions gave no rules")
        return rules, tuple(notes)

    def _job(self, texts: Sequence[str], number: int) -> Job:
        teacher = self.study.task.teacher
        lm = teacher if isinstance(teacher, LanguageModel) and not isinstance(teacher, Module) else None
        program = Induction(self.settings.num_rules, len(texts))
        job = self.study.ask_job(
            program, {"examples": list(texts)}, phase="induce", lm=lm, rollout=number, temperature=1.0
        )
        return replace(job, settings={**job.settings, **(self.settings.teacher_settings or {})})

    def _enter(self, found: Bootstrapped, rules: Sequence[Rules], notes: tuple[str, ...]) -> None:
        """Let each program with rules take part, equal ones once; where there is none, that without."""
        before = instructions_of(found.program)
        tried: list[Rules] = []
        for number, of_candidate in enumerate(rules, 1):
            if of_candidate and of_candidate not in tried:
                tried.append(of_candidate)
                worded = {name: ruled(before[name], text) for name, text in of_candidate.items()}
                program = with_instructions(found.program, worded)
                self.race.enter(
                    Proposal(len(tried), f"rules {number}", program, (0,), (*found.notes, *notes))
                )
        if tried:
            self.study.note(self._base(found))
        else:
            self.race.enter(Proposal(0, "bootstrap", found.program, (), (*found.notes, *notes)))
        unused = len(rules) - len(self.race.entries)
        self.study.desk.expect(-unused * len(self.race.examples))

    def _ended(self, found: Bootstrapped) -> CompileResult:
        told = "that of the bootstrap, without rules"
        result = best_so_far(self.race, self._base(found), unraced=self._unraced(found), told=told)
        return result if result.score is not None else replace(result, notes=(*found.notes, *result.notes))

    def _unraced(self, found: Bootstrapped) -> tuple[Candidate, ...]:
        return () if 0 in self.race.entries else (self._base(found),)

    def _base(self, found: Bootstrapped) -> Candidate:
        return Candidate(0, "bootstrap", found.program, None, self.study.characters(found.program))


def _rules(result: CaseResult) -> str:
    return "" if result.prediction is None else result.prediction.natural_language_rules.strip()
