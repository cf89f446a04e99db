"""Lexical similarity of texts: words and parts of words, weighed by how rare they are. Needs nothing else."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["LexicalIndex"]

_WORD = re.compile(r"\w+")
_PART = 3
_DIGITS = 12
"""Similarities that differ in later digits are equal: libraries compute logarithms to the last bit or not."""


class LexicalIndex:
    """Compares texts with a fixed list of texts: the cosine of their TF-IDF vectors (Salton and Buckley,
    1988) over words and, so that inflected words and scripts without spaces count, their parts of three
    characters. What all texts have (names of fields) tells nothing, and weighs nothing.

    Deterministic everywhere; a look-up touches only texts that share something with the one asked about.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_features(text) for text in texts]
        seen: Counter[str] = Counter()
        for count in counts:
            seen.update(count.keys())
        self._size = len(texts)
        self._rarity = {name: math.log((1 + len(texts)) / (1 + n)) for name, n in seen.items()}
        self._places: dict[str, list[tuple[int, float]]] = {}
        for place, count in enumerate(counts):
            for name, weight in self._weights(count).items():
                self._places.setdefault(name, []).append((place, weight))

    def similarities(self, text: str) -> list[float]:
        """Return the similarity of ``text`` to each text, from 0 to 1."""
        parts: dict[int, list[float]] = {}
        for name, weight in self._weights(_features(text)).items():
            for place, own in self._places.get(name, ()):
                parts.setdefault(place, []).append(weight * own)
        return [round(math.fsum(parts.get(place, ())), _DIGITS) for place in range(self._size)]

    def _weights(self, count: Counter[str]) -> dict[str, float]:
        rarest = math.log(1 + self._size)
        raw = {name: (1.0 + math.log(n)) * self._rarity.get(name, rarest) for name, n in count.items()}
        length = math.sqrt(math.fsum(value * value for value in raw.values()))
        return {name: value / length for name, value in raw.items()} if length else {}


def _features(text: str) -> Counter[str]:
    """Return how often each word and each part of one occurs. Parts have a mark that words cannot have."""
    words = _WORD.findall(text.casefold())
    found = Counter(words)
    for word in words:
        framed = f" {word} "
        found.update(f"~{framed[i : i + _PART]}" for i in range(len(framed) - _PART + 1))
    return found
