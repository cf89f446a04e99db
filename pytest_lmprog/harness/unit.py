"""A unit: one program with its metrics and examples, and all that was asked of it. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.evaluation.statistics import ALPHA
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.teleprompt.base import Teleprompter

__all__ = ["DataFile", "Gate", "Unit"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Thresholds on a metric as a whole (``lm_gate``).

    Parameters
    ----------
    min_score: least mean over all cases.
    pass_at: graded score at which a case passes.
    max_regressions: most cases that may have got worse than the baseline; None: any number (the default
        where ``max_drop`` is given).
    strict: a fixed case must be accepted.
    max_drop: by how much the mean may be below the baseline's; None: not limited by itself.
    alpha: chance at which noise alone may be called a failure, where something is random.
    on_inconclusive: what becomes of a run that cannot tell noise from a drop.
    must_pass: ids of examples that must pass, whatever the baseline says.
    """

    min_score: float | None = None
    pass_at: float | None = None
    max_regressions: int | None = 0
    strict: bool = False
    max_drop: float | None = None
    alpha: float = ALPHA
    on_inconclusive: Literal["pass", "fail", "warn"] = "fail"
    must_pass: tuple[str, ...] = ()

    @property
    def is_lenient(self) -> bool:
        """Whether some cases may get worse: then the metric decides at the end."""
        return self.max_regressions != 0

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data: what differs from the defaults."""
        plain = {f.name: now for f in fields(self) if (now := getattr(self, f.name)) != f.default}
        return {**plain, "must_pass": list(self.must_pass)} if self.must_pass else plain

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Gate:
        """Read what ``to_plain`` returned."""
        return cls(**{**data, "must_pass": tuple(data.get("must_pass", ()))})


@dataclass(frozen=True, slots=True)
class DataFile:
    """A dataset file and the split that was taken of it (None: all rows)."""

    path: Path
    split: str | None = None


@dataclass(frozen=True)
class Unit:
    """One compile unit, as collected.

    Parameters
    ----------
    id: node id of the class or function, with ``[model]`` where there is one unit a model.
    module_id: node id of the test module (``tests/test_support.py``).
    module_path: its file.
    program: Module class, instance or zero-argument factory.
    snapshot: path of the accepted snapshot (which need not exist); the pending one is ``NAME.new.yaml``.
    cases: the examples to test on, inputs known, ids unique.
    metrics: all metrics of the unit, in definition order, whatever is selected.
    gates: by metric name; a metric without a mark has the default Gate.
    repeat: rollouts a case, the most of any metric.
    repeats: of the metrics that have fewer.
    lm: LM or model name of the mark, or None.
    train_file, val_file: where the data was read from; None where code made it.
    """

    id: str
    name: str
    module_id: str
    module_path: Path
    program: type[Module] | Module | Callable[[], Module]
    snapshot: Path
    cases: tuple[Example, ...]
    metrics: tuple[Metric, ...]
    gates: Mapping[str, Gate] = field(default_factory=dict)
    repeat: int = 1
    repeats: Mapping[str, int] = field(default_factory=dict)
    lm: LanguageModel | str | None = None
    teleprompter: Teleprompter | None = None
    trainset: tuple[Example, ...] = ()
    valset: tuple[Example, ...] | None = None
    teacher: Any = None
    max_calls: int | None = None
    selected_on_cases: bool = False
    train_file: DataFile | None = None
    val_file: DataFile | None = None

    def rollouts(self, metric: str) -> int:
        """Return how often ``metric`` is asked of each case."""
        return self.repeats.get(metric, self.repeat)

    def gate(self, metric: str) -> Gate:
        """Return the gate of ``metric``."""
        return self.gates.get(metric) or Gate()
