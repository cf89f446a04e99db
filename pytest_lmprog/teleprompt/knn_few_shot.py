"""KNNFewShot: demos chosen at call time, those of the training examples nearest to the program's inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["KNNFewShot"]


@dataclass(frozen=True)
class KNNFewShot(TeleprompterBase):
    """Shows each call the demos of the ``k`` training examples nearest to the program's inputs (DSPy; Liu et
    al., arXiv:2101.06804, KATE), the nearest first.

    Every training example is bootstrapped once, side by side: where the teacher's run passes, it gives a demo
    to each predictor; elsewhere the labeled row does. All of them stand in the snapshot, and each call
    chooses among them. DSPy bootstraps anew over the nearest examples at each inference: here an inference
    is the program's own calls and no other, and what can be shown is reviewed beforehand.

    Parameters
    ----------
    k: demos a call. Of both kinds, at most ``max_bootstrapped_demos`` or ``max_labeled_demos``, whichever is
        more; of one kind, where the other is 0, at most so many.
    trainset: as in DSPy, for ``compile(student)``; a unit has it in its mark.
    vectorizer: an Embedder, the name of an embedding model, or a function from a list of texts to as many
        vectors, compared by dot product; its calls are recorded like LM calls. Default: lexical similarity
        (TF-IDF over words and parts of words), which needs no model. A function must be given again to a
        program that is restored from a snapshot.
    metric, metric_threshold, teacher_settings, max_rounds, max_errors: as for BootstrapFewShot.
    max_bootstrapped_demos: 0 shows labeled rows only, and asks nothing while compiling.
    max_labeled_demos: 0 shows runs that passed only.

    Raises UsageError for a number that is out of range, and for a vectorizer that is none.
    """

    k: int
    trainset: Rows | None = None
    vectorizer: Any = None
    metric: Callable[..., Any] | Metric | None = None
    metric_threshold: float | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None

    headline: ClassVar[tuple[str, ...]] = ("k",)
    unlisted: ClassVar[frozenset[str]] = frozenset({"trainset"})

    def __post_init__(self) -> None:
        from pytest_lmprog.programs.vectorizers import checked_vectorizer

        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 1:
            raise UsageError(f"k must be an integer of 1 or more, not {self.k!r}")
        self.bootstrapper()  # checks the settings that they share
        if not self.max_bootstrapped_demos and not self.max_labeled_demos:
            raise UsageError("max_bootstrapped_demos and max_labeled_demos are both 0: there are no demos")
        checked_vectorizer(self.vectorizer)

    def bootstrapper(self) -> BootstrapFewShot:
        """Return the bootstrap with the settings that they share."""
        return BootstrapFewShot.shared_by(self)

    @property
    def shown(self) -> int:
        """How many demos a call shows at most."""
        kinds = (self.max_bootstrapped_demos, self.max_labeled_demos)
        return min(self.k, max(kinds))

    def functions(self) -> tuple[Any, ...]:
        """The vectorizer, where it is not lexical similarity."""
        from pytest_lmprog.programs.vectorizers import LEXICAL

        return () if self.vectorizer in (None, LEXICAL) else (self.vectorizer,)

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows | None = None,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
    ) -> Module:
        """Return the program that chooses its demos. The trainset is that of the settings, unless one is
        given here; the valset is not used."""
        rows = self.trainset if trainset is None else trainset
        if rows is None:
            raise UsageError("KNNFewShot needs a trainset", hint="KNNFewShot(k=3, trainset=[...])")
        own = replace(self, trainset=None)
        return super(KNNFewShot, own).compile(
            student, trainset=rows, teacher=teacher, valset=valset, runtime=runtime
        )

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; and the task must have the only trainset."""
        if self.trainset is not None:
            raise UsageError(
                "KNNFewShot has a trainset of its own, beside the unit's",
                hint="leave it out here: lm_program(trainset=...) is what is checked against the cases",
            )
        self.bootstrapper().check(task)

    def bound(self, task: CompileTask) -> CallBound:
        """Every example in every round."""
        return self.bootstrapper().bound(task)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Bootstrap every example, and make a bank of demos."""
        from pytest_lmprog.teleprompt.plans.banking import banked

        return (yield from banked(self, study))
