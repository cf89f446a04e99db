"""The data of a unit: its cases, its trainset and its valset, as its marks name them."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.evaluation.datasets import Dataset, load_dataset
from pytest_lmprog.plugin.marks import ExamplesMark, ProgramMark
from pytest_lmprog.plugin.run import Run
from pytest_lmprog.plugin.units import UnitPlan, data_file
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass

__all__ = ["UnitData", "add_data"]


@dataclass(frozen=True)
class UnitData:
    """Reads what the marks of a unit name; a source is read once a run."""

    run: Run
    definition: Any
    program: Module
    examples: ExamplesMark | None

    def load(
        self, source: Any, split: str | None, limit: int | None = None, name: str = "the examples"
    ) -> Dataset:
        """Return the rows of a source, as examples for the unit's program."""
        rows = self._rows(source, name).split(split).limited(limit)
        return rows.for_program(self.program)

    def _rows(self, source: Any, name: str) -> Dataset:
        names = None if self.examples is None else self.examples.input_names
        key = (
            str(self.definition.path.parent),
            repr(source) if isinstance(source, str) else id(source),
            names,
        )
        if key not in self.run.datasets:
            base = self.definition.path.parent
            rows = load_dataset(source, base=base, inputs=names, loader=self._hook, name=name)
            self.run.datasets[key] = (source, rows)
        loaded: Dataset = self.run.datasets[key][1]
        return loaded

    def _hook(self, source: Any) -> Any:
        return self.definition.ihook.pytest_lmprog_load_examples(config=self.definition.config, source=source)

    def cases(self) -> Dataset | None:
        """Return the examples of the cases, or None."""
        mark = self.examples
        return None if mark is None else self.load(mark.source, mark.split, mark.limit)

    def trainset(self, mark: ProgramMark) -> Dataset | None:
        """Return the training examples, or None: without a source of their own, a split of the cases'."""
        source = mark.trainset
        if source is None and mark.train_split is not None and self.examples is not None:
            source = self.examples.source
        return None if source is None else self.load(source, mark.train_split, name="trainset")

    def valset(self, mark: ProgramMark) -> Dataset | None:
        """Return the validation examples, or None: without a source of their own, a split of the trainset's,
        else of the cases'."""
        source = mark.valset
        if source is None and mark.val_split is not None:
            source = mark.trainset
            if source is None and self.examples is not None:
                source = self.examples.source
        return None if source is None else self.load(source, mark.val_split, name="valset")


def add_data(plan: UnitPlan, data: UnitData) -> None:
    """Give a unit its cases, trainset and valset. Raises ConfigurationError, DataError and LeakageError."""
    from pytest_lmprog.evaluation.leakage import check_leakage

    mark = plan.mark
    cases, train, validation = data.cases(), data.trainset(mark), data.valset(mark)
    if plan.teleprompter is not None and train is None:
        raise ConfigurationError(
            "lm_program has a teleprompter and nothing to learn from",
            hint='trainset="examples.yaml" (and train_split=... for a part of it)',
        )
    if train is not None or validation is not None:
        plan.selected_on_cases = check_leakage(train or (), cases or (), validation)
    plan.cases = () if cases is None else cases.examples
    plan.trainset = () if train is None else train.examples
    plan.valset = None if validation is None else validation.examples
    plan.train_file = data_file(train, mark.train_split)
    plan.val_file = data_file(validation, mark.val_split)
