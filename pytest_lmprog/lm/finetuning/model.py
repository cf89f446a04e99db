"""FinetunedLM: an LM that knows what it was trained from."""

from __future__ import annotations

from typing import Any, Self

from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.origin import Origin
from pytest_lmprog.lm.types import LanguageModel

__all__ = ["FinetunedLM"]


class FinetunedLM(LM):
    """A finetuned model: an ``LM`` with the options of its base, and with its ``origin``."""

    __slots__ = ("_origin",)

    _origin: Origin

    @classmethod
    def of(cls, base: LanguageModel | None, model: str, origin: Origin) -> FinetunedLM:
        """Return ``model``, reached as ``base`` is where that is an LM (address, key, parameters, cache)."""
        new = object.__new__(cls)
        if isinstance(base, LM):
            new._build({**base._given, "model": model}, base)
        else:
            new._build({"model": model}, None)
        new._set(_origin=origin)
        return new

    @property
    def origin(self) -> Origin:
        """What it was trained from."""
        return self._origin

    def copy(self, **changes: Any) -> Self:
        """Return an LM with some options changed; see ``LM.copy``."""
        new = super().copy(**changes)
        new._set(_origin=self._origin)
        return new
