"""BetterTogether: other strategies one after the other, each on the program that the one before it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.checks import check_integer, check_shared
from pytest_lmprog.teleprompt.engine.calls import student_bound, student_calls
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["BetterTogether"]

_ARROW = "->"


@dataclass(frozen=True)
class BetterTogether(TeleprompterBase):
    """A sequence of strategies, such as prompts, then weights, then prompts (Soylu et al., arXiv:2407.10930).

    Each step compiles the program that the step before it made. The program as written and that of each
    step are evaluated on the valset, and the best of them wins: where a step does harm, an earlier program
    is the result. A step that has ranked its candidates by the same metric is not evaluated again.

    ``BetterTogether(p=MIPROv2(), w=BootstrapFinetune(), strategy="p -> w")``; a strategy without a metric
    of its own takes this one's. Without any named, ``p`` is a BootstrapFewShotWithRandomSearch and ``w`` a
    BootstrapFinetune.

    Differs from DSPy 3.4: without a valset all steps validate on the trainset, an example's own demo left
    out, unless ``valset_ratio`` holds some out (DSPy: 0.1); ties go to the shorter prompt; a step that
    fails stops the compile, resumably, instead of being passed over.

    Parameters
    ----------
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics.
    prompt_optimizer, weight_optimizer: ``p`` and ``w``, by the names of earlier versions.
    seed: of the shuffles and of the steps, instead of the runtime's.
    strategy: the names of the steps, with arrows.
    valset_ratio: share of the trainset, its first examples, that is held out to validate on where no
        valset is given. 0: nothing is evaluated, the last step's program is the result.
    shuffle_trainset_between_steps: each step gets the trainset in another order.
    optimizers: strategies by name, also as keywords.

    Raises UsageError for a strategy that names no optimizer, and for optimizers that are none.
    """

    metric: Callable[..., Any] | Metric | None = None
    optimizers: Mapping[str, TeleprompterBase] = field(default_factory=dict)
    strategy: str = "p -> w -> p"
    valset_ratio: float | None = None
    shuffle_trainset_between_steps: bool = True
    seed: int | None = None

    headline: ClassVar[tuple[str, ...]] = ("strategy", "optimizers")

    def __init__(
        self,
        metric: Callable[..., Any] | Metric | None = None,
        prompt_optimizer: TeleprompterBase | None = None,
        weight_optimizer: TeleprompterBase | None = None,
        seed: int | None = None,
        *,
        strategy: str = "p -> w -> p",
        valset_ratio: float | None = None,
        shuffle_trainset_between_steps: bool = True,
        optimizers: Mapping[str, TeleprompterBase] | None = None,
        **named: TeleprompterBase,
    ) -> None:
        if optimizers is not None and not isinstance(optimizers, Mapping):
            raise UsageError(f"optimizers must map names to teleprompters, not {optimizers!r:.60}")
        older = {"p": prompt_optimizer, "w": weight_optimizer}
        given = {**(optimizers or {}), **named}
        chosen = {**given, **{name: one for name, one in older.items() if one is not None}}
        values: dict[str, Any] = {
            "metric": metric,
            "optimizers": chosen if given else _completed(chosen, strategy),
            "strategy": strategy,
            "valset_ratio": valset_ratio,
            "shuffle_trainset_between_steps": shuffle_trainset_between_steps,
            "seed": seed,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_settings()

    def _check_settings(self) -> None:
        check_shared(self)
        check_integer("seed", self.seed, 0, optional=True)
        for name, one in self.optimizers.items():
            if not isinstance(one, TeleprompterBase):
                raise UsageError(
                    f"the optimizer {name!r} must be a teleprompter, not {one!r:.60}",
                    hint=f"{name}={one.__name__}()" if isinstance(one, type) else None,
                )
        hint = 'the names of the optimizers with arrows: strategy="p -> w -> p"'
        if not self.steps():
            raise UsageError(f"the strategy {self.strategy!r} has no steps", hint=hint)
        for name in self.steps():
            if name not in self.optimizers:
                have = ", ".join(self.optimizers) or "none"
                raise UsageError(
                    f"the strategy {self.strategy!r} names {name!r}, not an optimizer; there are: {have}",
                    hint=hint,
                )
        ratio = self.valset_ratio
        if ratio is not None and not (isinstance(ratio, int | float) and 0 <= ratio < 1):
            raise UsageError(f"valset_ratio must be 0 or more and below 1, not {ratio!r}")

    def steps(self) -> list[str]:
        """Return the names of the optimizers in the order in which they run."""
        names = [name.strip() for name in str(self.strategy or "").split(_ARROW)]
        return [] if names == [""] else names

    def parts(self) -> tuple[TeleprompterBase, ...]:
        """The strategies that run, each once."""
        return tuple(self.optimizers[name] for name in dict.fromkeys(self.steps()))

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        **changes: Any,
    ) -> Module:
        """Return the best program of all steps. ``changes`` are settings for this call, as in DSPy:
        ``strategy``, ``valset_ratio``, ``shuffle_trainset_between_steps``, ``seed``."""
        unknown = sorted(changes.keys() - {"strategy", "valset_ratio", _SHUFFLE, "seed"})
        if unknown:
            raise UsageError(
                f"BetterTogether.compile has no argument {unknown[0]!r}",
                hint="settings of a step go to its strategy: BetterTogether(p=MIPROv2(num_trials=10))",
            )
        chosen = self.with_settings(**changes) if changes else self
        return super(BetterTogether, chosen).compile(
            student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime
        )

    def check(self, task: CompileTask) -> None:
        """As in the base; there must be a metric to rank by, and every step must be able to begin."""
        super().check(task)
        self.check_ranking(task)
        train, _ = self.split(task)
        if not train:
            raise UsageError(
                f"valset_ratio={self.valset_ratio} holds out the whole trainset of {len(task.trainset)}",
                hint="give more examples, or a valset",
            )
        for number, name in enumerate(self.steps()):
            self.optimizers[name].check(self.step_tasks(task)[number])

    def split(self, task: CompileTask) -> tuple[Sequence[Example], Sequence[Example]]:
        """Return the examples to learn from, and those that the steps are compared on (maybe none)."""
        train = task.trainset
        if task.valset is not None:
            return train, task.valset
        if self.valset_ratio is None:
            return train, train
        held = max(1, int(self.valset_ratio * len(train))) if self.valset_ratio else 0
        return train[held:], train[:held]

    def step_tasks(self, task: CompileTask) -> list[CompileTask]:
        """Return the task of each step, with the student as written and the trainset in its order."""
        train, validation = self.split(task)
        teaching, _ = self.objectives(task)
        tasks, calls = [], student_calls(task)
        for name in self.steps():
            one = replace(
                task, trainset=train, valset=validation or None, objective=teaching, max_calls=calls
            )
            tasks.append(one)
            calls = self.optimizers[name].run_calls(one)
        return tasks

    def run_calls(self, task: CompileTask) -> int:
        """The most of any step: which one wins is not known."""
        tasks = zip(self.steps(), self.step_tasks(task), strict=True)
        return max(student_calls(task), *(self.optimizers[name].run_calls(one) for name, one in tasks))

    def bound(self, task: CompileTask) -> CallBound:
        """All steps in full; the program as written and each step's evaluated."""
        examples = len(self.split(task)[1])
        total = student_bound(task, examples)
        for name, one in zip(self.steps(), self.step_tasks(task), strict=True):
            inner = self.optimizers[name]
            total = total + inner.bound(one) + CallBound(examples, examples * inner.run_calls(one))
        return total

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Run the steps."""
        from pytest_lmprog.teleprompt.plans.sequence import Sequel

        return (yield from Sequel(self, study).plan())


_SHUFFLE = "shuffle_trainset_between_steps"


def _completed(given: Mapping[str, TeleprompterBase], strategy: str) -> dict[str, TeleprompterBase]:
    """Return ``p`` and ``w``, by default DSPy's. ``w`` only where the strategy names it."""
    from pytest_lmprog.teleprompt.random_search import BootstrapFewShotWithRandomSearch

    chosen = {"p": BootstrapFewShotWithRandomSearch(), **given}
    if "w" not in chosen and "w" in [name.strip() for name in str(strategy).split(_ARROW)]:
        from pytest_lmprog.teleprompt.finetune import BootstrapFinetune

        chosen["w"] = BootstrapFinetune()
    return chosen
