"""Finetuning: the teacher's runs, the chats made of them, the training, and the program with its new LMs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from pytest_lmprog.errors import BudgetExceededError, CompileError, LmprogError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.lm.finetuning.data import Chat, TrainingData
from pytest_lmprog.lm.finetuning.provider import FinetuneJob, FinetuneProvider
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Predict, PredictorCall
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult
from pytest_lmprog.teleprompt.engine.desk import Plan, Ticket
from pytest_lmprog.teleprompt.engine.driver import MAX_CAUSES
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.finetune import BootstrapFinetune, lm_of
from pytest_lmprog.teleprompt.material.bootstrapping import HOPELESS
from pytest_lmprog.teleprompt.material.demos import without_example
from pytest_lmprog.teleprompt.material.teacher import teacher_program

__all__ = ["Finetuning", "Tuned", "chat_of"]


@dataclass(frozen=True)
class Tuned:
    """One model to train: the predictors that are to use it, and who trains it."""

    names: tuple[str, ...]
    lm: LanguageModel
    provider: FinetuneProvider


@dataclass
class Finetuning:
    """One finetuning: the teacher's results by the place of their example."""

    settings: BootstrapFinetune
    study: Study
    results: dict[int, CaseResult] = field(default_factory=dict)

    def plan(self) -> Plan[CompileResult]:
        """Run the teacher, then train."""
        tuned = self._tuned()  # what cannot be trained is told before anything is asked
        try:
            yield from self._taught()
        except BudgetExceededError:
            ran, all_of_them = len(self.results), len(self.study.task.trainset)
            return self._untrained(f"the budget was spent after {ran} of {all_of_them} runs", "budget")
        kept = self._kept()
        if not kept:
            return self._untrained(f"the metric kept none of the teacher's {len(self.results)} runs")
        return self._trained(tuned, kept)

    def _tuned(self) -> list[Tuned]:
        """Return the models to train, in the order of the predictors that use them."""
        groups: dict[Any, list[str]] = {}
        lms: dict[Any, LanguageModel] = {}
        for name, predictor in self.study.task.student.named_predictors():
            if not predictor.is_frozen:
                lm = lm_of(predictor.lm, self.study.settings)
                key = id(lm) if self.settings.multitask else (id(lm), name)
                groups.setdefault(key, []).append(name)
                lms[key] = lm
        return [
            Tuned(tuple(names), lms[key], self.settings.provider_of(lms[key]))
            for key, names in groups.items()
        ]

    def _taught(self) -> Plan[None]:
        """Run the teacher on all examples. Raises CompileError where it meets nothing but errors."""
        task, desk = self.study.task, self.study.desk
        teacher = teacher_program(task, task.trainset, labeled=0, seed=self.study.seed)
        places: dict[Ticket, int] = {}
        for place, example in enumerate(task.trainset):
            program = without_example(teacher, example)
            job = self.study.teacher_job(program, example, rollout=0, settings={})
            places[desk.submit((0, place), job)] = place
        for _ in range(len(places)):
            ticket = yield
            self.results[places[ticket]] = ticket.value()
            self._check_hope()

    def _check_hope(self) -> None:
        """As BootstrapFewShot: give up where the first examples all ended in errors."""
        first = range(min(HOPELESS, len(self.study.task.trainset)))
        met = [self.results[p] for p in first if p in self.results and self.results[p].error is not None]
        if len(met) < len(first):
            return
        causes = "\n  ".join(
            f"bootstrap [{r.example.id}]: {r.error.message}" for r in met[:MAX_CAUSES] if r.error
        )
        raise CompileError(
            f"nothing was trained because the teacher's first {len(met)} runs ended in an error:\n  {causes}",
            hint="mend the program or the teacher",
        )

    def _kept(self) -> list[tuple[Example, CaseResult]]:
        """Return the runs to train on, in the order of their examples."""
        teaching, threshold = self.study.teaching, self.settings.metric_threshold
        in_order = [(e, self.results[place]) for place, e in enumerate(self.study.task.trainset)]
        return [
            (example, result)
            for example, result in in_order
            if (teaching.keeps(result, threshold) if teaching.metrics else result.error is None)
        ]

    def _trained(self, tuned: Sequence[Tuned], kept: Sequence[tuple[Example, CaseResult]]) -> CompileResult:
        notes: list[str] = []
        jobs: list[tuple[Tuned, FinetuneJob]] = []
        for model in tuned:
            data = self.data(model, kept)
            if not len(data):
                notes.append(f"no kept run calls {', '.join(model.names)}: its LM was not trained")
                continue
            settings = self.settings.settings_for(model.lm)
            jobs.append((model, FinetuneJob(model.lm, data, settings, self.study.seed)))
            notes.extend(_told(model, data, kept, len(self.results)))
        return self._result(self._program(_lms(jobs)), "finetuned", tuple(notes))

    def data(self, model: Tuned, kept: Sequence[tuple[Example, CaseResult]]) -> TrainingData:
        """Return the chats for one model: of all calls of its predictors, shuffled by the seed as in DSPy."""
        predictors = dict(self.study.task.student.named_predictors())
        chats = [
            self._chat(predictors[call.name], call, example)
            for example, result in kept
            for call in result.trace
            if call.name in model.names and call.outputs is not None and call.rejected is None
        ]
        seeded(self.study.seed, 0).shuffle(chats)
        return TrainingData(tuple(chats))

    def _chat(self, predictor: Predict, call: PredictorCall, example: Example) -> Chat:
        shown = (
            () if self.settings.exclude_demos else without_example(predictor, example).predictors()[0].demos
        )
        adapter = self.settings.adapter or self.study.adapter(predictor)
        return chat_of(predictor.with_demos(shown), call, adapter)

    def _program(self, lms: Mapping[str, LanguageModel]) -> Module:
        def edit(name: str, predictor: Predict) -> Predict:
            if name not in lms:
                return predictor
            predictor.lm = lms[name]
            if self.settings.adapter is not None:
                predictor.adapter = self.settings.adapter
            return predictor.with_demos(()) if self.settings.exclude_demos else predictor

        return self.study.task.student.with_predictors(edit)

    def _untrained(self, why: str, stopped: Any = "done") -> CompileResult:
        note = f"{why}: nothing was trained, the program is as written"
        return self._result(self.study.task.student.copy(), "as written", (note,), stopped)

    def _result(
        self, program: Module, label: str, notes: tuple[str, ...], stopped: Any = "done"
    ) -> CompileResult:
        candidate = Candidate(0, label, program, None, self.study.characters(program))
        self.study.note(candidate)
        return CompileResult(program, (candidate,), 0, stopped=stopped, notes=notes)


def _lms(jobs: Sequence[tuple[Tuned, FinetuneJob]]) -> dict[str, LanguageModel]:
    """Train, and return the new LM of each predictor. Where jobs run elsewhere, all are begun first."""
    for model, job in jobs:
        begin = getattr(model.provider, "begin", None)
        if begin is not None and len(jobs) > 1:
            begin(job)
    return {name: lm for model, job in jobs for lm in (_finetuned(model, job),) for name in model.names}


def _finetuned(model: Tuned, job: FinetuneJob) -> LanguageModel:
    """Return the trained model. A provider that raises an error of its own fails the compile, resumably."""
    try:
        return model.provider.finetune(job)
    except LmprogError:
        raise
    except Exception as error:
        raise CompileError(
            f"the training of {job.lm.model} failed: the provider {model.provider.name!r} raised "
            f"{type(error).__name__}: {error}",
            hint="mend the provider and run it again: answers had so far are stored",
        ) from error


def chat_of(student: Predict, call: PredictorCall, adapter: Any) -> Chat:
    """Return a call as a chat: the prompt that ``student`` puts for its inputs, then its outputs as the
    adapter writes them (as it writes those of a demo, which is what it asks for)."""
    signature = student.signature
    said: Mapping[str, Any] = call.outputs or {}
    inputs = {name: call.inputs[name] for name in signature.input_fields if name in call.inputs}
    outputs = {name: said[name] for name in signature.output_fields if name in said}
    asked = adapter.prompt(signature, student.demos).render(inputs)
    shown = adapter.prompt(signature, (Example({**inputs, **outputs}),)).template()
    return (*asked, {"role": "assistant", "content": shown[-2]["content"]})


def _told(
    model: Tuned, data: TrainingData, kept: Sequence[tuple[Example, CaseResult]], runs: int
) -> tuple[str, ...]:
    if len(kept) == runs:
        return ()
    return (f"{model.lm.model} was trained on {len(data)} chats: the metric kept {len(kept)} of {runs} runs",)
