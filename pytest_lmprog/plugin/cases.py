"""Cases: what is parametrized. The example carries its case, so that a fixture needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_lmprog.programs import Example

if TYPE_CHECKING:
    from pytest_lmprog.plugin.units import UnitPlan

__all__ = ["Case", "CaseExample", "case_of"]


class CaseExample(Example):
    """The example as the ``example`` fixture gives it: an Example that knows its case."""

    __slots__ = ("lm_case",)
    lm_case: Case

    @classmethod
    def of(cls, example: Example, case: Case) -> CaseExample:
        """Return ``example`` tied to ``case``; fields and digests are shared."""
        new = object.__new__(cls)
        for name in ("_fields", "_meta", "_id", "_digest", "_input_names"):
            object.__setattr__(new, name, getattr(example, name))
        object.__setattr__(new, "lm_case", case)
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        plain = Example({**self._meta, **self._fields})
        return (
            plain if self._input_names is None else plain.with_inputs(*sorted(self._input_names))
        ).__reduce__()


# Tests show it by its type's name, and it is an Example to them.
CaseExample.__name__ = "Example"


class Case:
    """One test item: an example and a rollout of a unit, judged by one metric.

    ``metric`` is its name in the unit; ``example`` the dataset's own object.
    """

    __slots__ = ("example", "metric", "rollout", "unit")

    def __init__(self, unit: UnitPlan, example: Example, rollout: int, metric: str) -> None:
        self.unit = unit
        self.example = example
        self.rollout = rollout
        self.metric = metric


def case_of(item: Any) -> Case | None:
    """Return the case of a test item, or None where it is none of ours."""
    callspec = getattr(item, "callspec", None)
    example = None if callspec is None else callspec.params.get("example")
    return example.lm_case if type(example) is CaseExample else None
