"""SIMBA: ascent by demos and rules, taken from what distinguishes good and bad runs of a mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.checks import check_integer, check_lm, check_number, check_shared
from pytest_lmprog.teleprompt.engine.calls import student_bound, teacher_bound
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["SIMBA"]


@dataclass(frozen=True)
class SIMBA(TeleprompterBase):
    """Stochastic introspective mini-batch ascent (DSPy 3, ``dspy.SIMBA``).

    A step takes a mini-batch of the trainset and runs ``num_candidates`` rollouts an example, each of a
    program drawn from the best so far by the softmax of their scores. The examples whose runs differ most
    then each teach a program, drawn likewise: either a demo (the steps of the best run) or a rule (advice
    to each predictor, which an LM gives that compares the best run with the worst, added to the
    instructions). A program that is full of demos loses some first. Up to ``num_candidates + 1`` new
    programs a step are scored on the same mini-batch. In the end the best of each step, thinned evenly to
    ``num_candidates + 1`` with the student among them, are evaluated on the valset (without one: on the
    trainset, an example's own demo left out), and the best wins.

    Beside DSPy: the LM that advises is told what the tests said of both runs; runs that all fall short alike
    teach a rule where the tests said why; where what was drawn (demo or rule) can teach nothing the other is
    tried, and a program that learnt nothing is no candidate; the student is scored by its runs in the
    first batch, not as 0.

    Parameters
    ----------
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics.
    bsize: examples a mini-batch; all of them where the trainset is smaller.
    num_candidates: rollouts an example, and about as many new programs a step.
    max_steps: mini-batches.
    max_demos: demos at which a predictor loses some before it gets another; 0: rules only.
    prompt_model: the LM that advises; None: the student's.
    teacher_settings: overrides of the context (``{"lm": ...}``) for the first rollout of each example. A
        teacher takes the first rollout too.
    demo_input_field_maxlen: characters of a text that a demo or the advising LM is shown; 0: no limit.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    temperature_for_sampling: of the softmax from which the programs of rollouts are drawn; 0: the best is.
    temperature_for_candidates: of the softmax from which the programs that learn are drawn.
    use_feedback: whether the LM that advises is told the messages of failed assertions and the feedback of
        ``record_score``.

    Raises UsageError for a number that is out of range, ConfigurationError for an unknown teacher setting.
    """

    metric: Callable[..., Any] | Metric | None = None
    bsize: int = 32
    num_candidates: int = 6
    max_steps: int = 8
    max_demos: int = 4
    prompt_model: LanguageModel | None = None
    teacher_settings: Mapping[str, Any] | None = None
    demo_input_field_maxlen: int = 100_000
    num_threads: int | None = None
    temperature_for_sampling: float = 0.2
    temperature_for_candidates: float = 0.2
    use_feedback: bool = True

    proposes: ClassVar[bool] = True
    headline: ClassVar[tuple[str, ...]] = ("num_candidates", "max_steps")
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})

    def __post_init__(self) -> None:
        for name, least in (("bsize", 1), ("num_candidates", 1), ("max_steps", 0), ("max_demos", 0)):
            check_integer(name, getattr(self, name), least)
        check_integer("demo_input_field_maxlen", self.demo_input_field_maxlen, 0)
        for name in ("temperature_for_sampling", "temperature_for_candidates"):
            check_number(name, getattr(self, name), 0)
        check_lm("prompt_model", self.prompt_model)
        check_shared(self)

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        seed: int | None = None,
    ) -> Module:
        """Return the compiled program. ``seed`` as in DSPy: instead of the runtime's."""
        runtime = runtime or CompileRuntime(concurrency=self.threads())
        if seed is not None:
            runtime = replace(runtime, seed=seed)
        return super().compile(student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime)

    def check(self, task: CompileTask) -> None:
        """As in the base; and there must be a metric, a predictor that may learn and a teacher that fits."""
        from pytest_lmprog.teleprompt.material.teacher import check_teacher

        super().check(task)
        check_teacher(task)
        self.check_ranking(task)
        self.check_learners(task)

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def batch_size(self, task: CompileTask) -> int:
        """Return the examples of a mini-batch."""
        return min(self.bsize, len(task.trainset))

    def bound(self, task: CompileTask) -> CallBound:
        """All steps with as many new programs as there may be, advice from every example of a batch, and
        the last evaluation in full."""
        from pytest_lmprog.teleprompt.plans.simba.introspection import introspection

        batch = self.batch_size(task)
        taught = 1 if self.is_taught(task) else 0
        sampled = student_bound(task, (self.num_candidates - taught) * batch * self.max_steps)
        shown = teacher_bound(task, taught * batch * self.max_steps)
        asks = batch * self.max_steps
        calls = introspection(task.student, use_feedback=self.use_feedback).max_calls()
        evaluated = student_bound(task, (self.num_candidates + 1) * batch * self.max_steps)
        last = student_bound(task, self.finalists() * len(task.validation))
        return sampled + shown + CallBound(asks, asks * calls) + evaluated + last

    def is_taught(self, task: CompileTask) -> bool:
        """Return whether the first rollout of each example is another's than the student's."""
        return task.teacher is not None or bool(self.teacher_settings)

    def finalists(self) -> int:
        """Return how many programs are evaluated in the end, at most."""
        return min(self.num_candidates, self.max_steps) + 1

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Climb, then evaluate the best of the steps."""
        from pytest_lmprog.teleprompt.plans.simba.climb import Climb

        return (yield from Climb(self, study).plan())
