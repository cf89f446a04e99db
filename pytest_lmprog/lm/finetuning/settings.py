"""TrainingSettings: how the local provider trains. Names as in transformers, where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal, Self

from pytest_lmprog.errors import UsageError
from pytest_lmprog.records import dataclass

__all__ = ["TrainingSettings"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of a local training. The defaults suit small models and some dozens of examples.

    Parameters
    ----------
    method: ``lora`` trains low-rank adapters (Hu et al., arXiv:2106.09685), merged into the weights in the
        end; ``full`` trains all weights.
    num_train_epochs: times that each chat is trained on.
    learning_rate: of AdamW; it rises over the first tenth of the steps and falls to 0. Default: 1e-3 for
        ``lora``, 5e-5 for ``full``.
    per_device_train_batch_size: chats a step.
    lora_r, lora_alpha: rank and scale of the adapters.
    max_seq_length: most tokens of a chat; of a longer one the beginning is left out.
    max_grad_norm: gradients are clipped to it.
    threads: of torch. Sums depend on it: other numbers give other weights.
    """

    method: Literal["lora", "full"] = "lora"
    num_train_epochs: int = 3
    learning_rate: float | None = None
    per_device_train_batch_size: int = 8
    lora_r: int = 8
    lora_alpha: int = 16
    max_seq_length: int = 1024
    max_grad_norm: float = 1.0
    threads: int = 2

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Check settings by name. Raises UsageError, naming the one that is wrong."""
        names = [f.name for f in fields(cls)]
        for name in given:
            if name not in names:
                near = get_close_matches(str(name), names, 1)
                raise UsageError(
                    f"train_kwargs: the local provider has no setting {name!r}",
                    hint=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}",
                )
        settings = cls(**given)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.method not in ("lora", "full"):
            raise UsageError(f"train_kwargs: method must be 'lora' or 'full', not {self.method!r}")
        for name in ("num_train_epochs", "per_device_train_batch_size", "lora_r", "lora_alpha", "threads"):
            _whole(name, getattr(self, name), 1)
        _whole("max_seq_length", self.max_seq_length, 8)
        _positive("max_grad_norm", self.max_grad_norm)
        _positive("learning_rate", self.rate)

    @property
    def rate(self) -> float:
        """The learning rate, the method's own where none is given."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-3 if self.method == "lora" else 5e-5

    def to_plain(self) -> dict[str, Any]:
        """Return all of them as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"learning_rate": self.rate}


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"train_kwargs: {name} must be a whole number of {least} or more, not {value!r}")


def _positive(name: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or value <= 0:
        raise UsageError(f"train_kwargs: {name} must be a number above 0, not {value!r}")
