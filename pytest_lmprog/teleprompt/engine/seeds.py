"""Random numbers of a compile: each choice has a generator of its own, so that no order of events matters."""

from __future__ import annotations

from random import Random

__all__ = ["seeded"]


def seeded(seed: int, *parts: object) -> Random:
    """Return the generator for the choice named by ``parts``.

    With seed 0 and one number it is ``Random(number)``: the generators of DSPy's BootstrapFewShot (0)
    and of its candidate programs (0, 1, 2, ...), so that the default makes the same choices."""
    if seed == 0 and len(parts) == 1 and isinstance(parts[0], int):
        return Random(parts[0])
    return Random("/".join(str(part) for part in (seed, *parts)))
