"""Provider: who finetunes models. One way to train a file; the result is an LM like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.finetuning.data import TrainingData
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.records import dataclass

__all__ = ["DIGITS", "FinetuneJob", "FinetuneProvider", "provider_for"]

DIGITS = 12
"""Hexadecimal digits of a job's identity in names and folders."""


@dataclass(frozen=True)
class FinetuneJob:
    """One training: of ``lm``, on ``data``.

    Parameters
    ----------
    settings: the provider's own (epochs, learning rate, ...), as given.
    seed: of the order of the data and of whatever else is drawn.
    suffix: a word for people, in the names that providers make up.
    """

    lm: LanguageModel
    data: TrainingData
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    suffix: str = "lmprog"

    @cached_property
    def identity(self) -> str:
        """Digest of all that the trained model depends on: base model and its address (or the SHA-256 of
        its weights), data, settings and seed. The same job is never trained, or paid for, twice."""
        base = [self.lm.model, self.lm.endpoint]
        return digest([base, self.data.digest, dict(self.settings), self.seed])[:DIGITS]


@runtime_checkable
class FinetuneProvider(Protocol):
    """Trains models. Two are here: ``LocalProvider`` and ``JobsProvider``.

    One whose jobs run elsewhere may have ``begin(job)``, too, which waits for nothing."""

    @property
    def name(self) -> str:
        """As it stands in snapshots."""
        ...

    def check(self, lm: LanguageModel, settings: Mapping[str, Any]) -> None:
        """Raise UsageError (ConfigurationError, MissingExtraError) where ``lm`` cannot be finetuned here with
        these settings. Trains, sends and loads nothing."""
        ...

    def finetune(self, job: FinetuneJob) -> LanguageModel:
        """Train, unless this job has been trained already, and return the trained model.

        Blocks until it is done. Raises CompileError, with the provider's words, where the training fails;
        run again it goes on where it was left, if the provider can."""
        ...


def provider_for(lm: LanguageModel) -> FinetuneProvider:
    """Return the provider that finetunes ``lm``: by its name, the local one or litellm's jobs.

    Raises UsageError for an LM that is none of this package's own."""
    from pytest_lmprog.lm.client import LM

    if not isinstance(lm, LM):
        raise UsageError(
            f"there is no provider that finetunes {lm.model!r} ({type(lm).__name__})",
            hint="finetune an lmp.LM, or name one: BootstrapFinetune(provider=...)",
        )
    if lm.model.startswith("local/"):
        from pytest_lmprog.lm.finetuning.local import LocalProvider

        return LocalProvider()
    from pytest_lmprog.lm.finetuning.jobs import JobsProvider

    return JobsProvider()
