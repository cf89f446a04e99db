"""Study: what a strategy sees of one compile: the task, its objectives, the seed and the desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from pytest_lmprog.adapters import adapter_for
from pytest_lmprog.adapters.base import Adapter
from pytest_lmprog.adapters.json import JSONAdapter
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.programs.context import current
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileTask
from pytest_lmprog.teleprompt.engine.calls import student_calls, teacher_calls
from pytest_lmprog.teleprompt.engine.desk import Desk, Job

__all__ = ["Study"]


def _unnoted(candidate: Candidate) -> None:
    del candidate


@dataclass(frozen=True)
class Study:
    """One compile, as a strategy sees it.

    Parameters
    ----------
    teaching: decides which runs become demos (DSPy's metrics tell it by a trace that is not None).
    ranking: scores candidates.
    seed: of every random choice, through ``seeds.seeded``.
    settings: overrides of the context of every run (the runtime's LM).
    note: to be told of each candidate once, when no more is to be learnt of it (evaluated or dropped), in
        any order: for the journal and for people, never for decisions.
    drop: False where the scores of losers decide something too: then no race drops a candidate early.
    """

    task: CompileTask
    teaching: Objective
    ranking: Objective
    desk: Desk
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: Callable[[Candidate], None] = _unnoted
    drop: bool = True

    def student_job(self, program: Module, example: Example, phase: str, *, rollout: int = 0) -> Job:
        """Return a scored run of a candidate's program. Rollouts after the first are sampled at
        temperature 1.0."""
        return Job(
            program,
            example,
            phase,
            student_calls(self.task),
            self.ranking,
            rollout=rollout,
            params={"temperature": 1.0} if rollout else {},
            settings=self.settings,
        )

    def ask_job(
        self,
        program: Module,
        inputs: Mapping[str, Any],
        *,
        phase: str = "propose",
        lm: LanguageModel | None = None,
        rollout: int = 0,
        temperature: float | None = None,
    ) -> Job:
        """Return an unscored run of a program of the strategy's own: one that proposes, reflects or sums up.

        Its result's ``prediction`` is the answer; an answer that did not parse is its ``error``, and then
        the strategy goes on without a proposal. ``lm``: instead of the student's.
        """
        asked = Example(inputs).with_inputs(*inputs)
        settings = self.settings if lm is None else {**self.settings, "lm": lm}
        params = {} if temperature is None else {"temperature": temperature}
        return Job(
            program,
            asked,
            phase,
            program.max_calls(),
            Objective(()),
            rollout=rollout,
            params=params,
            settings=settings,
        )

    def teacher_job(
        self, program: Module, example: Example, *, rollout: int, settings: Mapping[str, Any]
    ) -> Job:
        """Return a scored run of the teacher. Rollouts after the first are sampled at temperature 1.0."""
        return Job(
            program,
            example,
            "bootstrap",
            teacher_calls(self.task),
            self.teaching,
            rollout=rollout,
            params={"temperature": 1.0} if rollout else {},
            settings={**self.settings, **settings},
        )

    def characters(self, program: Module) -> int:
        """Return the characters of the program's rendered prompts, inputs left out: the tie-breaker."""
        return sum(map(len, self.prompts(program)))

    def prompts(self, program: Module) -> list[str]:
        """Return the texts of the program's rendered prompts, inputs left out, predictor by predictor."""
        return [text for _, p in program.named_predictors() for text in self._texts(p)]

    def _texts(self, predictor: Predict) -> list[str]:
        prompt = self.adapter(predictor).prompt(predictor.signature, predictor.shown_demos)
        return [str(message["content"]) for message in prompt.template()]

    def adapter(self, predictor: Predict) -> Adapter:
        """Return the adapter that puts the prompts of a predictor of the student, as far as is known now."""
        lm: LanguageModel | None = predictor.lm or self.settings.get("lm") or current().lm
        configured = predictor.adapter or current().adapter
        return (configured or JSONAdapter()) if lm is None else adapter_for(lm, configured)
