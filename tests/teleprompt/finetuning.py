"""A provider that trains nothing: it keeps the jobs, and its models answer as their base does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.origin import Origin
from pytest_lmprog.lm.finetuning.provider import FinetuneJob
from pytest_lmprog.lm.types import LanguageModel


@dataclass
class FakeProvider:
    """``refuses``: what ``check`` raises."""

    jobs: list[FinetuneJob] = field(default_factory=list)
    refuses: UsageError | None = None
    name: str = "fake"

    def check(self, lm: LanguageModel, settings: Mapping[str, Any]) -> None:
        if self.refuses is not None:
            raise self.refuses

    def finetune(self, job: FinetuneJob) -> Any:
        self.jobs.append(job)
        if isinstance(job.lm, LM):
            return job.lm
        made = replace(job.lm, model=f"{job.lm.model}+{job.identity}")
        made.origin = Origin(job.lm.model, self.name, job.data.digest[:12], len(job.data))
        return made

    @property
    def data(self) -> list[bytes]:
        """The bytes of each job's training data."""
        return [job.data.jsonl() for job in self.jobs]
