"""LocalProvider: finetuning on this machine (extra ``finetune``), served like any local model."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.model import FinetunedLM
from pytest_lmprog.lm.finetuning.origin import Origin
from pytest_lmprog.lm.finetuning.places import claim_of, folder_of, read_note, write_note
from pytest_lmprog.lm.finetuning.provider import DIGITS, FinetuneJob
from pytest_lmprog.lm.finetuning.settings import TrainingSettings
from pytest_lmprog.lm.local.catalog import MODEL_FILE, MODEL_FOLDER, named_weights
from pytest_lmprog.lm.notices import notify
from pytest_lmprog.lm.quiet import quiet_thread
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.records import dataclass

__all__ = ["LocalProvider"]


@dataclass(frozen=True)
class LocalProvider:
    """Trains ``local/...`` models with torch: the embedded one, a GGUF file of the llama architecture, or a
    folder of transformers weights (T5 and other models that translate, too).

    The result is named ``local/BASE+IDENTITY``: a function of base, data, settings and seed. What was a GGUF
    file becomes one, which llama.cpp serves with constrained JSON; a folder is served by torch, free-form.
    The weights lie in the cache folder, can be deleted at any time, and are trained again by compiling.
    Settings (``train_kwargs``): see ``TrainingSettings``.
    """

    name = "local"

    def check(self, lm: LanguageModel, settings: Mapping[str, Any]) -> None:
        """See FinetuneProvider."""
        TrainingSettings.read(settings)
        if not isinstance(lm, LM) or not lm.model.startswith("local/"):
            raise UsageError(
                f"{lm.model} is not a local model, so it cannot be trained here",
                hint='finetune LM("local/smollm2-135m") or LM("local/path/to/weights")',
            )
        from pytest_lmprog.lm.finetuning.torch_training import libraries

        libraries()

    def finetune(self, job: FinetuneJob) -> FinetunedLM:
        """See FinetuneProvider."""
        self.check(job.lm, job.settings)
        assert isinstance(job.lm, LM)
        folder = folder_of(job.identity)
        stem = Path(job.lm.model.removeprefix("local/")).name.removesuffix(".gguf").partition("+")[0]
        name = f"local/{stem}+{job.identity}"
        with claim_of(folder):
            if not read_note(folder):
                _train(job, folder, name)
        origin = Origin(job.lm.model, self.name, job.data.digest[:DIGITS], len(job.data))
        trained = FinetunedLM.of(job.lm, name, origin)
        if job.lm.capabilities().to_plain():
            trained.learn(job.lm.capabilities())
        return trained


def _train(job: FinetuneJob, folder: Path, name: str) -> None:
    """Train, and leave the weights and a note of how it went in ``folder``."""
    from pytest_lmprog.lm.finetuning.torch_training import train

    assert isinstance(job.lm, LM)
    settings = TrainingSettings.read(job.settings)
    notify(f"training {name} on {len(job.data)} chats ({settings.method}); this takes minutes")
    start = time.perf_counter()
    base = named_weights(str(job.lm.options["model"]).removeprefix("local/")).find()
    model, tokenizer = load(base)
    with quiet_thread():
        trained = train(
            model, tokenizer, job.data, settings, seed=job.seed, told=lambda line: notify(f"{name}: {line}")
        )
    folder.mkdir(parents=True, exist_ok=True)
    _save(base, trained.model, tokenizer, folder)
    seconds = time.perf_counter() - start
    note = {
        "model": name,
        "base": job.lm.model,
        "data": job.data.digest,
        "examples": len(job.data),
        "settings": settings.to_plain(),
        "seed": job.seed,
        "losses": [round(loss, 6) for loss in trained.losses],
        "steps": trained.steps,
        "seconds": round(seconds, 1),
    }
    (folder / "data.jsonl").write_bytes(job.data.jsonl())
    write_note(folder, note)
    notify(f"{name} is trained ({seconds:.0f} s)")


def load(path: Path) -> tuple[Any, Any]:
    """Return model and tokenizer from a GGUF file or a folder of transformers weights, in float32.

    Raises ConfigurationError for a model that cannot be trained."""
    from pytest_lmprog.lm.finetuning.torch_training import libraries

    torch, transformers = libraries()

    options: dict[str, Any] = {"local_files_only": True}
    where = path
    if path.is_file():
        from pytest_lmprog.lm.finetuning.gguf_writing import check_architecture

        where, options = path.parent, {**options, "gguf_file": path.name}
    with quiet_thread(), _WithoutBars(transformers):
        config = transformers.AutoConfig.from_pretrained(where, **options)
        if path.is_file():
            check_architecture(config, path)
        kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
        model = getattr(transformers, kind).from_pretrained(where, dtype=torch.float32, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
    return model, tokenizer


class _WithoutBars:
    """Keeps transformers from drawing progress bars within the block."""

    def __init__(self, transformers: Any) -> None:
        self._logging = transformers.utils.logging

    def __enter__(self) -> None:
        from transformers import modeling_gguf_pytorch_utils as reading

        self._enabled = self._logging.is_progress_bar_enabled()
        self._logging.disable_progress_bar()
        self._reading, self._bar = reading, getattr(reading, "tqdm", None)
        if self._bar is not None:  # it draws its own, whatever the switch says
            reading.tqdm = lambda rows, *_, **__: rows

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._reading.tqdm = self._bar
        if self._enabled:
            self._logging.enable_progress_bar()


def _save(base: Path, model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the weights beside where they are to be and move them there: a file that is there is whole."""
    if base.is_file():
        from pytest_lmprog.lm.finetuning.gguf_writing import write_gguf

        taken = folder / f".{MODEL_FILE}.{os.getpid()}"
        write_gguf(base, model, taken)
        os.replace(taken, folder / MODEL_FILE)
        return
    model.save_pretrained(folder / MODEL_FOLDER)
    tokenizer.save_pretrained(folder / MODEL_FOLDER)
