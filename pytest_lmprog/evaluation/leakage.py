"""No example is both learnt from and tested on."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_lmprog.errors import LeakageError
from pytest_lmprog.evaluation.datasets import Dataset
from pytest_lmprog.programs.example import Example

__all__ = ["check_leakage", "shared_example"]

Examples = Sequence[Example]


def check_leakage(train: Examples, cases: Examples, validation: Examples | None = None) -> bool:
    """Raise LeakageError if an example of ``train`` is among ``cases`` or the explicit ``validation`` data.

    The same example is one with the same id, or with equal canonical inputs. Returns whether an example
    of ``validation`` is among the cases, which is allowed: their scores are then ``selected on these cases``.
    Inputs must be known. A Dataset lets the message say file and line.
    """
    _refuse(train, "the training data", cases, "the cases")
    if validation is None:
        return False
    _refuse(train, "the training data", validation, "the validation data")
    return shared_example(validation, cases) is not None


def shared_example(left: Examples, right: Examples) -> tuple[int, int] | None:
    """Return the positions of the first example of ``left`` that is in ``right`` too, or None."""
    return next(iter(_shared(left, right)), None)


def _shared(left: Examples, right: Examples) -> list[tuple[int, int]]:
    if not left or not right:
        return []
    ids = {example.id: i for i, example in reversed(list(enumerate(right)))}
    inputs = {example.inputs_key(): i for i, example in reversed(list(enumerate(right)))}
    found = []
    for i, example in enumerate(left):
        j = ids.get(example.id)
        j = inputs.get(example.inputs_key()) if j is None else j
        if j is not None:
            found.append((i, j))
    return found


def _refuse(left: Examples, left_name: str, right: Examples, right_name: str) -> None:
    found = _shared(left, right)
    if not found:
        return
    i, j = found[0]
    same = "the same id" if left[i].id == right[j].id else "equal inputs"
    more = f"; so have {len(found) - 1} more" if len(found) > 1 else ""
    raise LeakageError(
        f"example {left[i].id!r} of {left_name}{_at(left, i)} and example {right[j].id!r} of "
        f"{right_name}{_at(right, j)} have {same}{more}",
        hint="what is learnt from must not be tested on: remove one of each two, or keep the splits apart",
    )


def _at(data: Examples, index: int) -> str:
    if not isinstance(data, Dataset):
        return ""
    line = data.lines[index]
    return f" ({data.place.name}:{line})" if data.place.is_file else f" ({data.place.name}, row {line})"
