"""Proposing: instructions that an LM writes from what is known of data, program and demos, as a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from pytest_lmprog.errors import LMRequestError, ParseError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Predict, Prediction
from pytest_lmprog.programs.describing import as_text, code_of, described
from pytest_lmprog.programs.structure import walk
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Signature
from pytest_lmprog.teleprompt.engine.desk import Job, Plan
from pytest_lmprog.teleprompt.engine.gathering import gathered
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.instructions import learners
from pytest_lmprog.teleprompt.plans.mipro.proposer_signatures import (
    TIPS,
    DescribeModule,
    DescribeProgram,
    ObserveRows,
    ProposeInstruction,
    SummarizeObservations,
)

__all__ = ["DEMOS_SHOWN", "Proposed", "Proposer", "asks"]

DEMOS_SHOWN = 3
"""Demos that a proposal is grounded in (DSPy)."""

_BATCHES = 10
_COMPLETE = 5
_VALUE, _TEXT, _CODE, _INSTRUCTION = 400, 2000, 6000, 4000
"""Characters at most of a value shown, a description, the program's code, and of an instruction that is
taken (unless the present one is longer): small models have small windows, and what is proposed stands in
every prompt."""

Sets = Mapping[str, Sequence[Sequence[Example]]]
"""Sets of demos by predictor name."""


@dataclass(frozen=True)
class Proposed:
    """Instructions by predictor name, the present one first; ``notes`` say what fell short."""

    instructions: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grounds:
    """What proposals are grounded in, apart from demos. Empty: not known, or not asked for."""

    dataset: str = ""
    code: str = ""
    program: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)


class Asking(Module):
    """Asks for the outputs of a signature. What is longer than the LM's context gets no answer, like an
    answer that cannot be read: a compile need not stop for a proposal."""

    def __init__(self, signature: type[Signature]) -> None:
        self.ask = Predict(signature)

    def forward(self, **inputs: str) -> Prediction:
        """Ask."""
        try:
            return self.ask(**inputs)
        except LMRequestError as refused:
            if not refused.context_window:
                raise
            raise ParseError(str(refused), answer="") from refused


@dataclass(frozen=True)
class Proposer:
    """Proposes instructions for each predictor (MIPRO, arXiv:2406.11695, section 3.2 and appendix; DSPy's
    GroundedProposer).

    Parameters
    ----------
    count: instructions for each predictor, the present one included.
    lm: who proposes, instead of the student's.
    temperature: of proposals and observations.
    seed: of the choice of tips.
    batch: rows of the trainset shown at a time.
    data, program, tips, demos: what proposals are grounded in.
    """

    count: int
    lm: LanguageModel | None = None
    temperature: float = 1.0
    seed: int = 0
    batch: int = 10
    data: bool = True
    program: bool = True
    tips: bool = True
    demos: bool = True

    def grounds(self, study: Study) -> Plan[Grounds]:
        """Find out what holds for the data, and what the program does: two chains, side by side."""
        if self.count < 2 or not learners(study.task.student):
            return Grounds()
        chains = [study.desk.spawn(self._dataset(study)), study.desk.spawn(self._program(study))]
        for _ in chains:
            yield
        dataset, (code, program, modules) = [ticket.value() for ticket in chains]
        return Grounds(dataset, code, program, modules)

    def _dataset(self, study: Study) -> Plan[str]:
        """Observe batch after batch, each beside what was observed before, and sum up."""
        observations: list[str] = []
        complete = 0
        for rows in _batches(study.task.trainset, self.batch) if self.data else ():
            known = _clipped("\n".join(observations), _TEXT)
            shown = {"examples": "\n\n".join(map(_row, rows)), "prior_observations": known}
            (seen,) = yield from self._asked(study, [self._job(study, ObserveRows, shown)])
            if seen[:8].upper() == "COMPLETE":
                complete += 1
                if complete == _COMPLETE:
                    break
            elif seen:
                observations.append(seen)
        if not observations:
            return ""
        told = {"observations": _clipped("\n".join(observations), _TEXT)}
        (summary,) = yield from self._asked(study, [self._job(study, SummarizeObservations, told)])
        return summary or _clipped(observations[0], _TEXT)

    def _program(self, study: Study) -> Plan[tuple[str, str, dict[str, str]]]:
        """Describe the program, then each module in it that is to be instructed. Where it has no code of its
        own to read, there is nothing to describe but what its modules say themselves."""
        if not self.program:
            return "", "", {}
        student, example = study.task.student, study.task.trainset[0]
        code = program_code(student)
        if not _sources(student):
            return code, "", {}
        told = {"program_code": code, "program_example": _row(example)}
        (program,) = yield from self._asked(study, [self._job(study, DescribeProgram, told)])
        told = {"program_code": code, "program_description": program}
        jobs = [
            self._job(study, DescribeModule, {**told, "module": described([(name, predictor)])})
            for name, predictor in learners(student)
        ]
        descriptions = yield from self._asked(study, jobs)
        names = [name for name, _ in learners(student)]
        return code, program, dict(zip(names, descriptions, strict=True))

    def _asked(self, study: Study, jobs: Iterable[Job]) -> Plan[list[str]]:
        """Return the one output of each: empty where the answer could not be read."""
        results = yield from gathered(study, jobs)
        return [_clipped(_output(result), _TEXT) for result in results]

    def propose(self, study: Study, grounds: Grounds, sets: Sets) -> Plan[Proposed]:
        """Propose ``count`` - 1 instructions for each predictor, side by side: the i-th shows demos of its
        i-th set on, and a tip drawn for it. What cannot be read, is empty, too long or there already
        is no proposal."""
        predictors = learners(study.task.student)
        turns = range(1, self.count)
        jobs = [
            self._proposal(study, grounds, sets, name, predictor, turn)
            for name, predictor in predictors
            for turn in turns
        ]
        results = yield from gathered(study, jobs)
        answers = [_output(result) for result in results]
        found = {
            name: _distinct(predictor, answers[place * len(turns) : (place + 1) * len(turns)])
            for place, (name, predictor) in enumerate(predictors)
        }
        failed = sum(result.error is not None for result in results)
        note = f"{failed} of {len(jobs)} proposed instructions could not be read"
        return Proposed(found, (note,) if failed else ())

    def _proposal(
        self, study: Study, grounds: Grounds, sets: Sets, name: str, predictor: Predict, turn: int
    ) -> Job:
        tip = seeded(self.seed, "tip", name, turn).choice(sorted(TIPS)) if self.tips else "none"
        known = {
            "dataset_description": grounds.dataset,
            "program_code": grounds.code,
            "program_description": grounds.program,
            "module": described([(name, predictor)]) if self.program else "",
            "module_description": grounds.modules.get(name, ""),
            "task_demos": _shown(predictor, sets.get(name, ()), turn) if self.demos else "",
            "basic_instruction": predictor.signature.instructions,
            "tip": TIPS[tip],
        }
        return self._job(study, ProposeInstruction, known, turn)

    def _job(
        self, study: Study, signature: type[Signature], known: Mapping[str, str], rollout: int = 0
    ) -> Job:
        """Return the job that asks, without the inputs of which nothing is known."""
        for name in [name for name, text in known.items() if not text]:
            signature = signature.delete_field(name)
        inputs = {name: text for name, text in known.items() if text}
        return study.ask_job(
            Asking(signature), inputs, lm=self.lm, rollout=rollout, temperature=self.temperature
        )


def asks(proposer: Proposer, student: Module, rows: int) -> int:
    """Return how often the proposer asks at most, over ``rows`` training examples."""
    modules = len(learners(student))
    if proposer.count < 2 or not modules:
        return 0
    data = min(_BATCHES, -(-rows // proposer.batch)) + 1 if proposer.data else 0
    program = 1 + modules if proposer.program else 0
    return data + program + modules * (proposer.count - 1)


def program_code(program: Module) -> str:
    """Return the code of a program's own classes, and what its predictors take and put out."""
    return _clipped("\n\n".join([*_sources(program), described(program.named_predictors())]), _CODE)


def _sources(program: Module) -> list[str]:
    """Return the code of a program's own classes, as far as it can be read."""
    classes = dict.fromkeys(type(module) for _, module in walk(program))
    return [text for cls in classes if (text := code_of(cls)) != cls.__qualname__]


def _batches(rows: Sequence[Example], size: int) -> list[Sequence[Example]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)][:_BATCHES]


def _row(row: Mapping[str, object], names: Iterable[str] | None = None) -> str:
    """Return the values of a row, one line a field."""
    shown = list(row) if names is None else [name for name in names if name in row]
    return "\n".join(f"{name}: {_clipped(_value(row[name]), _VALUE)}" for name in shown)


def _value(value: object) -> str:
    return value if isinstance(value, str) else as_text(value)


def _shown(predictor: Predict, sets: Sequence[Sequence[Example]], turn: int) -> str:
    """Return the first demos of the turn's set and of those that come after it, around to the first."""
    names = list(predictor.signature.fields)
    ordered = [demo for demos in [*sets[turn:], *sets[:turn]] for demo in demos]
    return "\n\n".join(_row(demo, names) for demo in ordered[:DEMOS_SHOWN])


def _output(result: CaseResult) -> str:
    """Return the one output of a program that asks, empty where the answer could not be read."""
    if result.prediction is None:
        return ""
    (text,) = result.prediction.values()
    return str(text).strip()


def _distinct(predictor: Predict, proposals: Iterable[str]) -> tuple[str, ...]:
    present = predictor.signature.instructions
    longest = max(_INSTRUCTION, len(present))
    cleaned = [text for text in map(_instruction, proposals) if text and len(text) <= longest]
    return tuple(dict.fromkeys([present, *cleaned]))


_LABEL = re.compile(r"^\W*(?:(?:new|proposed|improved)\s+)*instructions?\W*:\W*", re.IGNORECASE)


def _instruction(text: str) -> str:
    """Return a proposal without what models put around it: a label, quotes."""
    bare = _LABEL.sub("", text).strip()
    return bare[1:-1].strip() if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
