"""FinetunedLM: an LM that knows what it was trained from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.origin import Origin
from pytest_lmprog.lm.types import LanguageModel

__all__ = ["FinetunedLM", "restored_lm"]


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


def restored_lm(state: Mapping[str, Any], configured: LanguageModel | None) -> FinetunedLM:
    """Return the model that a saved state names, reached as ``configured`` is where both have one provider.
    Nothing is opened before it is asked: recorded answers need neither weights nor network."""
    model = str(state["model"])
    origin = Origin(**{name: value for name, value in state.items() if name != "model"})
    if isinstance(configured, LM) and _provider(configured.model) == _provider(model):
        return FinetunedLM.of(configured, model, origin)
    fresh = FinetunedLM.of(None, model, origin)
    if configured is None:
        return fresh
    params = configured.request(({"role": "user", "content": ""},)).params
    return fresh.copy(temperature=params["temperature"]) if "temperature" in params else fresh


def _provider(model: str) -> str:
    return model.partition("/")[0] if "/" in model else "openai"
