"""BootstrapFinetune: runs of a teacher that the metric accepts become the training data of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.adapters.base import Adapter
from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs.context import required_lm
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileTask
from pytest_lmprog.teleprompt.checks import check_number, check_shared
from pytest_lmprog.teleprompt.engine.calls import teacher_bound
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.lm.finetuning.provider import FinetuneProvider
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["BootstrapFinetune"]

TrainKwargs = Mapping[str, Any] | Mapping[LanguageModel, Mapping[str, Any]]


@dataclass(frozen=True)
class BootstrapFinetune(TeleprompterBase):
    """Trains the LMs of a program on what a teacher said when it did well (DSPy's BootstrapFinetune,
    arXiv:2310.03714, section 4; BetterTogether, arXiv:2407.10930).

    The teacher (``teacher=``: a program, or an LM for the student; else the student itself) runs once on each
    training example. Of each run that the metric keeps, every call of a named predictor becomes a chat: the
    prompt as the student puts it, the answer as its adapter writes the teacher's outputs. Chats are shuffled
    by the seed. Then each LM of the student is trained, and its predictors use what came of it.
    Frozen predictors keep their LM, and none of their calls is trained on.

    Where no run is kept, or the budget ends the runs, nothing is trained and the program is as written.
    A budget counts calls, not what a provider takes for training.

    Differs from DSPy 3.4: chats show the student's instructions and demos (DSPy: the teacher's), because that
    is what the trained model will be asked, and an example's own demo is left out of its chat; calls belong
    to predictors by name (DSPy: by their place in the trace), and those whose answer did not parse, or that a
    check rejected, are left out; with several LMs each is trained on the calls of its own predictors (DSPy:
    on all); an LM that is configured need not be set on each predictor; the student is untouched.

    Parameters
    ----------
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics. Without any, each run that
        ends without an error is kept.
    multitask: one model for all predictors of an LM; else one for each predictor.
    train_kwargs: settings of the provider: for all, or by LM. Of the local one see
        ``lm.finetuning.settings.TrainingSettings`` (``num_train_epochs``, ``learning_rate``, ...).
    adapter: renders the chats, and from then on the prompts of the trained predictors. Default: the one that
        each predictor has.
    exclude_demos: train without the predictors' demos, and drop them.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    metric_threshold: the least score of a run that is kept; 0 is valid. Default: the metric's own, else
        above 0.
    provider: who trains. Default: by the LM's name, the local one (extra ``finetune``) or the fine-tuning
        jobs of its API.
    """

    metric: Callable[..., Any] | Metric | None = None
    multitask: bool = True
    train_kwargs: TrainKwargs | None = None
    adapter: Adapter | None = None
    exclude_demos: bool = False
    num_threads: int | None = None
    metric_threshold: float | None = None
    provider: FinetuneProvider | None = field(default=None)

    headline: ClassVar[tuple[str, ...]] = ("multitask",)
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})

    def __post_init__(self) -> None:
        if self.train_kwargs is not None and not isinstance(self.train_kwargs, Mapping):
            raise UsageError(f"train_kwargs must be a mapping, not {self.train_kwargs!r:.60}")
        check_shared(self)
        check_number("metric_threshold", self.metric_threshold, optional=True)
        if self.provider is not None and not callable(getattr(self.provider, "finetune", None)):
            raise UsageError(f"provider must be a FinetuneProvider, not {self.provider!r:.60}")
        if self.adapter is not None and not callable(getattr(self.adapter, "prompt", None)):
            raise UsageError(
                f"adapter must be an adapter, not {self.adapter!r:.60}", hint="lmp.ChatAdapter()"
            )

    def check(self, task: CompileTask) -> None:
        """As in the base; there must be something to train, a provider that can, and a teacher that fits."""
        from pytest_lmprog.teleprompt.material.teacher import check_teacher

        super().check(task)
        check_teacher(task)
        if self.metric is None and task.objective.metrics and not task.objective.ranked:
            raise UsageError(
                "no metric counts while compiling: all are marked optimize=False",
                hint="leave lm_metric(optimize=True) to at least one test function",
            )
        if all(predictor.is_frozen for predictor in task.student.predictors()):
            raise UsageError("all predictors are frozen, so there is no LM to train")

    def check_lms(self, task: CompileTask, lm: LanguageModel | None) -> None:
        """Each LM that is to be trained must have a provider that can, with what it takes installed."""
        settings = {} if lm is None else {"lm": lm}
        for predictor in task.student.predictors():
            if not predictor.is_frozen:
                self.provider_of(lm_of(predictor.lm, settings))

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def settings(self) -> dict[str, Any]:
        """As in the base; settings by LM stand under the model's name."""
        given = self.train_kwargs or {}
        named = {k.model if isinstance(k, LanguageModel) else k: v for k, v in given.items()}
        return {**super(BootstrapFinetune, self.with_settings(train_kwargs=named or None)).settings()}

    def settings_for(self, lm: LanguageModel) -> Mapping[str, Any]:
        """Return the provider's settings for ``lm``."""
        given: Mapping[Any, Any] = self.train_kwargs or {}
        if not any(isinstance(key, LanguageModel) for key in given):
            return given
        return next((settings for key, settings in given.items() if key is lm), {})

    def provider_of(self, lm: LanguageModel) -> FinetuneProvider:
        """Return who trains ``lm``. Raises UsageError where nobody can, or not with these settings."""
        from pytest_lmprog.lm.finetuning.provider import provider_for

        provider = self.provider or provider_for(lm)
        provider.check(lm, self.settings_for(lm))
        return provider

    def bound(self, task: CompileTask) -> CallBound:
        """The teacher runs once on each example; training is no call."""
        return teacher_bound(task, len(task.trainset))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Run the teacher, then train."""
        from pytest_lmprog.teleprompt.plans.finetuning import Finetuning

        return (yield from Finetuning(self, study).plan())


def lm_of(own: LanguageModel | None, settings: Mapping[str, Any]) -> LanguageModel:
    """Return the LM that a predictor asks: its own, the runtime's, the configured one.

    Raises ConfigurationError where there is none."""
    return required_lm(own or settings.get("lm"))
