"""Which fields of a row a program is given; all others are labels and must not reach it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from pytest_lmprog.errors import DataError, UsageError
from pytest_lmprog.evaluation.rows import Place
from pytest_lmprog.programs.example import RESERVED_FIELDS, Example
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.run import forward_inputs
from pytest_lmprog.records import dataclass

__all__ = ["InputNames", "ProgramInputs", "program_inputs"]


@dataclass(frozen=True, slots=True)
class InputNames:
    """The inputs of a row: ``required`` ones must be there, ``optional`` ones are taken where they are.

    ``needed_by`` names the program, or is empty where the inputs were named explicitly."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    needed_by: str = ""

    @classmethod
    def given(cls, names: Iterable[str]) -> InputNames:
        """Return inputs that were named explicitly. Raises UsageError for none and for reserved names."""
        listed = tuple(names)
        if not listed or not all(isinstance(name, str) for name in listed):
            raise UsageError(f"inputs must be field names, one or more, not {listed!r}")
        reserved = [name for name in listed if name in RESERVED_FIELDS]
        if reserved:
            raise UsageError(f"{reserved[0]!r} describes a row and cannot be an input of the program")
        return cls(listed)

    def applied(self, example: Example, place: Place, line: int) -> Example:
        """Return ``example`` with these inputs. Raises DataError where it lacks a required one."""
        for name in self.required:
            if name not in example:
                raise self._missing(name, example, place, line)
        names = self.required
        if self.optional:
            names += tuple(name for name in self.optional if name in example)
        known = example.input_names
        return example.with_inputs(*names) if known is None or known != frozenset(names) else example

    def _missing(self, name: str, example: Example, place: Place, line: int) -> DataError:
        case = f"example {example.id!r}" if example.has_given_id else "the row"
        why = f", which {self.needed_by} needs" if self.needed_by else ", which is one of the inputs"
        have = ", ".join(example) or "none"
        hint = (
            f"{name!r} describes the row and is never an input: rename it"
            if name in RESERVED_FIELDS
            else None
        )
        return place.error(f"{case} has no field {name!r}{why}; its fields are: {have}", line, hint)


@dataclass(frozen=True, slots=True)
class ProgramInputs:
    """What a program takes. ``names`` is None where its parameters do not say (``**kwargs``)."""

    program: str
    names: tuple[str, ...] | None
    optional: frozenset[str] = frozenset()

    def merged(self, given: frozenset[str] | None, place: Place) -> InputNames:
        """Return the inputs of a row whose own named inputs are ``given`` (None: it named none)."""
        if given is None:
            return self._own(place)
        unknown = sorted(given - set(self.names or ()))
        if self.names is not None and unknown:
            raise place.about(
                f"{self.program} takes no input {unknown[0]!r}; it takes: {', '.join(self.names) or 'none'}",
                "name the inputs that the program takes",
            )
        return self._with_required(given)

    def _own(self, place: Place) -> InputNames:
        if self.names is None:
            raise place.about(
                f"which fields are inputs is not known: {self.program} takes any keyword, "
                "and labels must not reach it",
                "name them: inputs=['field'] at the marker, 'inputs:' in the file, or Example.with_inputs",
            )
        required = tuple(name for name in self.names if name not in self.optional)
        return InputNames(required, tuple(n for n in self.names if n in self.optional), self.program)

    def _with_required(self, given: frozenset[str]) -> InputNames:
        needed = [name for name in self.names or () if name not in self.optional]
        return InputNames(tuple(sorted(given | set(needed))), (), self.program)


def program_inputs(program: Module) -> ProgramInputs:
    """Return what ``program`` takes. Its parameters with a default are optional."""
    names = forward_inputs(program)
    shown = f"{type(program).__name__}.forward"
    if names is None:
        return ProgramInputs(shown, None)
    return ProgramInputs(shown, names, _optional(program))


def _optional(program: Module) -> frozenset[str]:
    parameters = inspect.signature(program.forward).parameters.values()
    return frozenset(p.name for p in parameters if p.default is not p.empty)
