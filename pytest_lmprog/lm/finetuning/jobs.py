"""JobsProvider: finetuning by the jobs of a model's own API (OpenAI's, and what speaks it), through litellm.

Upload the data, create a job, ask how it is until it has ended. Each step is noted beside the cache before
the next one, so that a compile that was killed goes on with the job that is already being paid for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import CompileError, LmprogError, UsageError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.model import FinetunedLM
from pytest_lmprog.lm.finetuning.origin import Origin
from pytest_lmprog.lm.finetuning.places import claim_of, folder_of, read_note, write_note
from pytest_lmprog.lm.finetuning.provider import DIGITS, FinetuneJob
from pytest_lmprog.lm.notices import notify
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.records import dataclass

__all__ = ["JobsProvider"]

_NOTE = "job.json"
_KNOWN = ("openai", "azure", "vertex_ai")
_ENDED = {"succeeded", "failed", "cancelled"}
_SETTINGS = frozenset({"hyperparameters", "suffix", "validation_file", "integrations", "method", "metadata"})
_HYPERPARAMETERS = frozenset({"n_epochs", "batch_size", "learning_rate_multiplier"})


@dataclass(frozen=True)
class JobsProvider:
    """Trains by fine-tuning jobs. The result is reached as its base is: same address, key and parameters.

    Settings (``train_kwargs``): ``n_epochs``, ``batch_size``, ``learning_rate_multiplier``, ``suffix``, and
    what else the API takes (``method``, ``metadata``, ``integrations``).

    Parameters
    ----------
    poll: seconds between two questions.
    patience: seconds after which a job that has not ended is left alone; run again, it is asked on.
    sleep: waits.
    """

    poll: float = 20.0
    patience: float = 6 * 3600.0
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        """As it stands in snapshots."""
        return "jobs"

    def check(self, lm: LanguageModel, settings: Mapping[str, Any]) -> None:
        """See FinetuneProvider."""
        provider = lm.model.partition("/")[0] if "/" in lm.model else "openai"
        if not isinstance(lm, LM) or provider not in _KNOWN:
            raise UsageError(
                f"{lm.model} cannot be finetuned by litellm's jobs, which know {', '.join(_KNOWN)}",
                hint="name who can: BootstrapFinetune(provider=...)",
            )
        for name in settings:
            if name not in _SETTINGS | _HYPERPARAMETERS:
                known = ", ".join(sorted(_SETTINGS | _HYPERPARAMETERS))
                raise UsageError(f"train_kwargs: fine-tuning jobs have no setting {name!r}", hint=known)

    def finetune(self, job: FinetuneJob) -> FinetunedLM:
        """See FinetuneProvider."""
        self.check(job.lm, job.settings)
        assert isinstance(job.lm, LM)
        folder = folder_of(job.identity)
        with claim_of(folder):
            named = read_note(folder).get("model") or self._trained(job, folder)
        provider = job.lm.model.partition("/")[0] if "/" in job.lm.model else "openai"
        origin = Origin(job.lm.model, provider, job.data.digest[:DIGITS], len(job.data))
        return FinetunedLM.of(job.lm, f"{provider}/{named}", origin)

    def begin(self, job: FinetuneJob) -> None:
        """Have the job begun, without waiting for its end: several then run side by side."""
        self.check(job.lm, job.settings)
        folder = folder_of(job.identity)
        with claim_of(folder):
            if not read_note(folder):
                _begun(_Service(job), job, folder)

    def _trained(self, job: FinetuneJob, folder: Path) -> str:
        """Take the job from where it is to its end and return the trained model's name."""
        service = _Service(job)
        note = _begun(service, job, folder)
        named = self._awaited(service, note["job"], folder, note)
        made = {"model": named, "base": job.lm.model, "job": note["job"], "data": job.data.digest}
        write_note(folder, made)
        return named

    def _awaited(self, service: _Service, number: str, folder: Path, note: Mapping[str, Any]) -> str:
        waited, told = 0.0, ""
        while True:
            state = service.state(number)
            if state.status != told:
                told = state.status
                notify(f"fine-tuning job {number}: {told}")
            if told in _ENDED:
                break
            if waited >= self.patience:
                raise CompileError(
                    f"the fine-tuning job {number} is {told} after {waited:g} s; it goes on without us",
                    hint="run it again later: the same job is asked, none is created",
                )
            self.sleep(self.poll)
            waited += self.poll
        if told != "succeeded" or not state.model:
            write_note(folder, {"file": note["file"]}, _NOTE)  # a job that failed is not asked again
            raise CompileError(
                f"the fine-tuning job {number} {told}: {state.words or 'the provider does not say why'}",
                hint="mend the cause and run it again: it creates a new job on the same uploaded file",
            )
        return state.model


def _begun(service: _Service, job: FinetuneJob, folder: Path) -> dict[str, Any]:
    """Upload and create what is not there yet; return the note of it."""
    note = read_note(folder, _NOTE)
    if "file" not in note:
        note = {"file": service.upload()}
        write_note(folder, note, _NOTE)
    if "job" not in note:
        # That a job was asked for is noted before: where its answer never came, it is looked up.
        number = service.job_of(note["file"]) if note.get("asked") else None
        if number is None:
            write_note(folder, {**note, "asked": True}, _NOTE)
            number = service.create(note["file"])
        note = {**note, "job": number}
        write_note(folder, note, _NOTE)
        notify(f"fine-tuning job {number} of {job.lm.model}: {len(job.data)} chats")
    return note


@dataclass(frozen=True, slots=True)
class _State:
    status: str
    model: str | None
    words: str


class _Service:
    """The calls of one job to its API. Errors become CompileErrors that say what the endpoint said."""

    def __init__(self, job: FinetuneJob) -> None:
        from pytest_lmprog.lm.litellm_client import load_litellm

        self._job = job
        self._litellm = load_litellm()
        assert isinstance(job.lm, LM)
        options = job.lm.options
        provider, _, model = job.lm.model.rpartition("/")
        self._model = model
        self._where = {
            "custom_llm_provider": provider or "openai",
            "api_base": options.get("api_base"),
            "api_key": options.get("api_key"),
            "timeout": float(options.get("timeout") or 120.0),
            "max_retries": 2,
        }
        version = options.get("api_version")
        if version is not None:
            self._where["api_version"] = version

    def upload(self) -> str:
        """Upload the data and return the file's id."""
        file = (f"{self._job.suffix}-{self._job.identity}.jsonl", self._job.data.jsonl())
        made = self._asked("upload the training data", "create_file", file=file, purpose="fine-tune")
        return str(made.id)

    def create(self, file: str) -> str:
        """Create the job and return its id."""
        settings = dict(self._job.settings)
        hyper = {name: settings.pop(name) for name in sorted(_HYPERPARAMETERS & settings.keys())}
        hyper |= dict(settings.pop("hyperparameters", {}))
        extra = {name: settings.pop(name) for name in ("method", "metadata") if name in settings}
        made = self._asked(
            "create the fine-tuning job",
            "create_fine_tuning_job",
            model=self._model,
            training_file=file,
            hyperparameters=hyper,
            seed=self._job.seed,
            **{"suffix": self._job.suffix, **settings},
            **({"extra_body": extra} if extra else {}),
        )
        return str(made.id)

    def job_of(self, file: str) -> str | None:
        """Return the job that trains on ``file``, if it was created just before we were killed."""
        page = self._asked("list the fine-tuning jobs", "list_fine_tuning_jobs", limit=100)
        for job in getattr(page, "data", None) or ():
            if job.training_file == file and job.status not in ("failed", "cancelled"):
                return str(job.id)
        return None

    def state(self, number: str) -> _State:
        """Return how the job is."""
        job = self._asked("ask for the job", "retrieve_fine_tuning_job", fine_tuning_job_id=number)
        error = getattr(job, "error", None)
        words = getattr(error, "message", None) or ""
        return _State(str(job.status), job.fine_tuned_model, self._scrubbed(str(words)))

    def _asked(self, what: str, function: str, **arguments: Any) -> Any:
        from pytest_lmprog.lm.quiet import quiet_thread
        from pytest_lmprog.lm.scope import OFF, interception

        token = interception.set(OFF)
        try:
            with quiet_thread():
                return getattr(self._litellm, function)(**arguments, **self._where)
        except LmprogError:
            raise
        except Exception as error:  # noqa: BLE001 - litellm raises its own, openai's, httpx' and builtins
            raise self._failed(what, error) from None
        finally:
            interception.reset(token)

    def _failed(self, what: str, error: Exception) -> CompileError:
        return CompileError(
            f"{self._job.lm.model}: could not {what}: {self._scrubbed(str(error))[:400]}",
            hint="mend the cause and run it again: it goes on from the last step that was done",
        )

    def _scrubbed(self, text: str) -> str:
        from pytest_lmprog.lm.redaction import Scrubber, environment_secrets

        lm = self._job.lm
        assert isinstance(lm, LM)
        return Scrubber(lm.secrets | environment_secrets())(text)
