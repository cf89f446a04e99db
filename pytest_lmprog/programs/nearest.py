"""Demos chosen at call time: those whose examples are nearest to the inputs of the program that runs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from operator import mul
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import canonical_text
from pytest_lmprog.errors import CanonicalError, LMResponseError
from pytest_lmprog.programs.backtracking import Frame, current_frame
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.predict import Predict

__all__ = [
    "Bank",
    "Nearest",
    "chosen_demos",
    "inputs_text",
    "mark_root",
]

_REMEMBERED = 256


class Bank:
    """Texts that requests are compared with. They are made into vectors once, all together, when the first
    request comes; copies of a program share it.

    Parameters
    ----------
    keys: the texts.
    vectorizer: an Embedder, or None for lexical similarity.
    """

    def __init__(self, keys: Iterable[str], vectorizer: Any = None) -> None:
        self.keys = tuple(keys)
        self.vectorizer = vectorizer
        self._lock = Lock()
        self._compare: Callable[[str], Sequence[float]] | None = None
        self._known: dict[str, Sequence[float]] = {}

    def similarities(self, text: str) -> Sequence[float]:
        """Return how near each key is to ``text``: the greater, the nearer.

        Raises LMError where an embedding model cannot be reached, ReplayMissError where its answer is not
        recorded."""
        found = self._known.get(text)
        if found is None:
            found = self._comparing()(text)
            if len(self._known) >= _REMEMBERED:
                self._known = {}
            self._known[text] = found
        return found

    def _comparing(self) -> Callable[[str], Sequence[float]]:
        with self._lock:
            if self._compare is None:
                self._compare = self._lexical() if self.vectorizer is None else self._by_vectors()
            return self._compare

    def _lexical(self) -> Callable[[str], Sequence[float]]:
        from pytest_lmprog.programs.lexical import LexicalIndex

        return LexicalIndex(self.keys).similarities

    def _by_vectors(self) -> Callable[[str], Sequence[float]]:
        embedder = self.vectorizer
        known = embedder.embed(list(self.keys))

        def compare(text: str) -> Sequence[float]:
            (asked,) = embedder.embed([text])
            if known and len(asked) != len(known[0]):
                raise LMResponseError(
                    f"{embedder.name} made vectors of {len(known[0])} and {len(asked)} numbers"
                )
            return [math.fsum(map(mul, asked, vector)) for vector in known]  # exact: the same everywhere

        return compare


@dataclass(frozen=True)
class Nearest:
    """How a predictor chooses among its demos: the ``k`` whose keys in ``bank`` are nearest.

    ``places`` has, for each demo, the place of its key. Of equally near ones the first wins.
    """

    k: int
    bank: Bank
    places: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The text of each demo that a request is compared with."""
        return tuple(map(self.key_of, range(len(self.places))))

    def key_of(self, number: int) -> str:
        """Return the text that a request is compared with for one demo."""
        return self.bank.keys[self.places[number]]

    def chosen(self, text: str) -> list[int]:
        """Return the numbers of the demos to show, the nearest first."""
        near = self.bank.similarities(text)
        order = [(-near[place], number) for number, place in enumerate(self.places)]
        return [number for _, number in nsmallest(self.k, order)]

    def kept(self, numbers: Sequence[int]) -> Nearest:
        """Return the choice among the demos of these numbers. What is compared stays the same."""
        return Nearest(self.k, self.bank, tuple(self.places[number] for number in numbers))


def chosen_demos(predictor: Predict, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the demos that a call of ``predictor`` shows: by the inputs of the program around it that was
    compiled so, else by its own ``inputs``."""
    nearest = predictor.nearest
    assert nearest is not None
    text = _program_text(predictor, current_frame())
    if text is None:
        names = predictor.signature.input_fields
        text = inputs_text({name: inputs[name] for name in names if name in inputs})
    return tuple(predictor.demos[number] for number in nearest.chosen(text))


def _program_text(predictor: Predict, frame: Frame | None) -> str | None:
    while frame is not None and not predictor.chooses_demos:
        if frame.module is not None and frame.module.chooses_demos and frame.given is not None:
            return inputs_text(_by_name(frame.module, *frame.given))
        frame = frame.parent
    return None


def _by_name(module: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    if not args:
        return kwargs
    module = getattr(module, "takes_inputs_of", module)
    signature = getattr(module, "signature", None)
    if signature is not None:
        return {**dict(zip(signature.input_fields, args, strict=False)), **kwargs}
    return inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments


def inputs_text(inputs: Mapping[str, Any]) -> str:
    """Return the text that stands for inputs where they are compared: ``name: value`` in the names' order."""
    return " | ".join(f"{name}: {_value_text(inputs[name])}" for name in sorted(inputs))


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return canonical_text(value, "input")
    except CanonicalError:
        return str(value)


def mark_root(program: Module) -> None:
    """Have predictors below choose by the inputs that ``program`` is called with."""
    program.__dict__["chooses_demos"] = True
