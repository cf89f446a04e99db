"""KNN: the examples whose inputs are nearest to a question, by vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import nlargest
from threading import Lock
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.module import Module

__all__ = ["KNN"]


class KNN(Module):
    """Returns the ``k`` examples of a trainset nearest to the inputs it is called with, the nearest first.

    Parameters
    ----------
    k: how many.
    trainset: examples; where their inputs are known, only these are compared.
    vectorizer: any callable from a list of texts to as many vectors (lists of numbers, or an array). Vectors
        are compared by their dot product. The trainset's are made once, when first needed.
    """

    def __init__(
        self,
        k: int,
        trainset: Iterable[Example | Mapping[str, Any]],
        vectorizer: Callable[[list[str]], Any],
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise UsageError(f"k must be 1 or more, not {k!r}")
        if not callable(vectorizer):
            raise UsageError(f"vectorizer must be a function from texts to vectors, not {vectorizer!r:.80}")
        self.k = k
        self.trainset = tuple(e if isinstance(e, Example) else Example(e) for e in trainset)
        self.vectorizer = vectorizer
        self._made: list[list[list[float]]] = []
        self._lock = Lock()

    def forward(self, **inputs: Any) -> list[Example]:
        """Return the nearest examples. Of equally near ones the trainset's order decides."""
        if not self.trainset:
            return []
        known = self._vectors()
        (asked,) = self._vectorized([_text(inputs)])
        scores = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in known]
        places = nlargest(self.k, range(len(scores)), key=lambda place: (scores[place], -place))
        return [self.trainset[place] for place in places]

    def _vectors(self) -> list[list[float]]:
        with self._lock:
            if not self._made:
                self._made.append(self._vectorized([_text(_inputs(e)) for e in self.trainset]))
            return self._made[0]

    def _vectorized(self, texts: list[str]) -> list[list[float]]:
        vectors = [[float(number) for number in vector] for vector in self.vectorizer(texts)]
        if len(vectors) != len(texts):
            raise UsageError(f"the vectorizer made {len(vectors)} vectors of {len(texts)} texts")
        return vectors

    def __repr__(self) -> str:
        return f"KNN(k={self.k}, trainset of {len(self.trainset)})"


def _inputs(example: Example) -> Mapping[str, Any]:
    return example if example.input_names is None else example.inputs()


def _text(inputs: Mapping[str, Any]) -> str:
    return " | ".join(f"{name}: {value}" for name, value in inputs.items())
