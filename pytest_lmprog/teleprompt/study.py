"""Study: what a strategy sees of one compile: the task, its objectives, the seed and the desk."""

from __future__ import annotations

from collections.abc import Mapping
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
from pytest_lmprog.teleprompt.base import CompileTask
from pytest_lmprog.teleprompt.calls import student_calls, teacher_calls
from pytest_lmprog.teleprompt.desk import Desk, Job

__all__ = ["Study"]


@dataclass(frozen=True)
class Study:
    """One compile, as a strategy sees it.

    Parameters
    ----------
    teaching: decides which runs become demos (DSPy's metrics tell it by a trace that is not None).
    ranking: scores candidates.
    seed: of every random choice, through ``seeds.seeded``.
    settings: overrides of the context of every run (the runtime's LM).
    """

    task: CompileTask
    teaching: Objective
    ranking: Objective
    desk: Desk
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def student_job(self, program: Module, example: Example, phase: str) -> Job:
        """Return a scored run of a candidate's program."""
        calls = student_calls(self.task)
        return Job(program, example, phase, calls, self.ranking, settings=self.settings)

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
        return sum(len(text) for _, p in program.named_predictors() for text in self._texts(p))

    def _texts(self, predictor: Predict) -> list[str]:
        prompt = self._adapter(predictor).prompt(predictor.signature, predictor.demos)
        return [str(message["content"]) for message in prompt.template()]

    def _adapter(self, predictor: Predict) -> Adapter:
        lm: LanguageModel | None = predictor.lm or self.settings.get("lm") or current().lm
        configured = predictor.adapter or current().adapter
        return (configured or JSONAdapter()) if lm is None else adapter_for(lm, configured)
