"""EnsembledProgram: several programs asked the same, and one answer made of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random
from typing import Any

from pytest_lmprog.canonical import canonical_text
from pytest_lmprog.errors import CanonicalError, UsageError
from pytest_lmprog.programs.example import own_copy
from pytest_lmprog.programs.majority import majority
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.parallel import Parallel

__all__ = ["EnsembledProgram", "function_name"]


class EnsembledProgram(Module):
    """Runs its programs side by side on the same inputs and reduces their outputs to one.

    A program that ends in an error has no vote; if all do, the first one's error is raised. The predictors
    are named ``programs[0].classify`` and so on.

    Parameters
    ----------
    programs: the members, the better ones first: with ``majority`` they win ties.
    reduce_fn: what makes one output of the list of them; default ``majority`` by the last field.
    size: run only so many of them, drawn by the inputs and ``seed``: the same inputs ask the same members.

    Raises UsageError for members that are no programs, and for a size that they cannot fill.
    """

    def __init__(
        self,
        programs: Iterable[Module],
        reduce_fn: Callable[[list[Any]], Any] | None = None,
        size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.programs = list(programs)
        self.reduce_fn = majority if reduce_fn is None else reduce_fn
        self.size = size
        self.seed = seed
        self._check()

    def _check(self) -> None:
        if not self.programs:
            raise UsageError("an ensemble needs at least one program")
        for program in self.programs:
            if not isinstance(program, Module):
                raise UsageError(f"an ensemble is made of programs, not {program!r:.80}")
        if not callable(self.reduce_fn):
            raise UsageError(
                f"reduce_fn must be a function of the list of outputs, not {self.reduce_fn!r:.80}"
            )
        if self.size is not None and not 1 <= self.size <= len(self.programs):
            raise UsageError(f"size must be between 1 and {len(self.programs)}, not {self.size}")

    @property
    def runs(self) -> int:
        """How many members a call runs."""
        return len(self.programs) if self.size is None else self.size

    @property
    def takes_inputs_of(self) -> Module:
        """The member that tells what inputs all take."""
        return self.programs[0]

    def max_calls(self) -> int:
        """The most of the members that a call can run."""
        return sum(sorted((program.max_calls() for program in self.programs), reverse=True)[: self.runs])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the members and reduce what they put out."""
        members = self.drawn(args, kwargs)
        return self._reduced(_side_by_side(len(members)).forward(_pairs(members, args, kwargs)))

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        """The same, awaiting the members."""
        members = self.drawn(args, kwargs)
        return self._reduced(await _side_by_side(len(members)).aforward(_pairs(members, args, kwargs)))

    def drawn(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Module]:
        """Return the members that these inputs ask, in their order."""
        if self.size is None:
            return self.programs
        given = [*args, *(kwargs[name] for name in sorted(kwargs))]
        rng = Random("/".join([str(self.seed), *map(_text, given)]))
        return [self.programs[place] for place in sorted(rng.sample(range(len(self.programs)), self.size))]

    def _reduced(self, done: tuple[list[Any], list[Any], list[Any]]) -> Any:
        outputs = [output for output in done[0] if output is not None]
        return self.reduce_fn(outputs)

    def __repr__(self) -> str:
        how = function_name(self.reduce_fn)
        return f"EnsembledProgram({len(self.programs)} x {self.programs[0]!r}, {how})"


def function_name(function: Any) -> str:
    """Return the name by which a snapshot knows a function: ``majority``, or with its module."""
    if function is majority:
        return "majority"
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _side_by_side(count: int) -> Parallel:
    return Parallel(num_threads=count, max_errors=count, return_failed_examples=True)


def _pairs(members: list[Module], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return each member with inputs of its own, so that none sees what another does to them."""
    if not args:
        return [(member, {name: own_copy(value) for name, value in kwargs.items()}) for member in members]
    return [(partial(member, *map(own_copy, args), **kwargs), {}) for member in members]


def _text(value: Any) -> str:
    try:
        return canonical_text(value, "input")
    except CanonicalError:
        return type(value).__qualname__  # its repr may have an address
