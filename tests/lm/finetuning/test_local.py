"""The local provider: a tiny T5 made here is trained and served; so is the embedded model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LMRequestError, UsageError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.data import TrainingData
from pytest_lmprog.lm.finetuning.local import LocalProvider
from pytest_lmprog.lm.finetuning.places import read_note
from pytest_lmprog.lm.finetuning.provider import FinetuneJob, provider_for
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores import open_store

WORDS = "the sky is blue red green grass blood colour of what </s> <pad> <unk>".split()  # noqa: SIM905
PAIRS = {"colour of sky": "blue", "colour of grass": "green", "colour of blood": "red"}
DATA = TrainingData(
    tuple(
        ({"role": "user", "content": asked}, {"role": "assistant", "content": said})
        for asked, said in PAIRS.items()
    )
)
FULL = {"method": "full", "num_train_epochs": 40, "learning_rate": 0.01, "per_device_train_batch_size": 3}


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a T5 of 2 x 2 layers, random weights, and a tokenizer of a dozen words."""
    pytest.importorskip("torch", reason="needs the extra 'finetune'")
    pytest.importorskip("peft", reason="needs the extra 'finetune'")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", numbers["</s>"])]
    )
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = T5Config(
        vocab_size=len(WORDS),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=numbers["<pad>"],
        eos_token_id=numbers["</s>"],
        decoder_start_token_id=numbers["<pad>"],
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-t5"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_LMPROG_FINETUNED_DIR", str(tmp_path / "finetuned"))
    return tmp_path / "finetuned"


def base(path: Path) -> LM:
    return LM(f"local/{path}", temperature=0, max_tokens=5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_t5_learns_and_is_served_like_any_lm(tiny_t5: Path, folder: Path, method: str):
    lm = base(tiny_t5)
    assert [lm(asked)[0] for asked in PAIRS] != list(PAIRS.values())
    trained = LocalProvider().finetune(FinetuneJob(lm, DATA, {**FULL, "method": method}))
    assert trained.model.startswith("local/tiny-t5+")
    assert trained.params == lm.params
    note = read_note(folder / trained.model.rpartition("+")[2])
    assert note["losses"][-1] < note["losses"][0] / 3
    assert (note["examples"], note["steps"]) == (3, 40)
    if method == "full":
        assert [trained(asked)[0] for asked in PAIRS] == list(PAIRS.values())


def test_it_goes_through_the_same_pipeline(tiny_t5: Path, tmp_path: Path):
    trained = LocalProvider().finetune(FinetuneJob(base(tiny_t5), DATA, FULL))
    request = trained.request(({"role": "user", "content": "colour of sky"},))
    with use_scope(CallScope(cache=open_store(tmp_path / "cache"))):
        first = trained.complete(request)
    with use_scope(CallScope(cache=open_store(tmp_path / "cache"))):
        again = trained.complete(request)
    assert (first.text, first.source, first.finish_reason) == ("blue", "live", "stop")
    assert (again.text, again.source) == ("blue", "cache")
    assert first.usage is not None
    assert first.usage.prompt_tokens == 4
    with pytest.raises(LMRequestError, match="served by torch, which knows no response_format"):
        trained.complete(trained.request(request.messages, response_format={"type": "json_object"}))


def test_the_same_job_is_trained_once_and_gives_the_same_weights(
    tiny_t5: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = FinetuneJob(base(tiny_t5), DATA, FULL)
    first = LocalProvider().finetune(job)
    weights = folder / job.identity / "model" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert LocalProvider().finetune(job).endpoint == first.endpoint
    assert weights.stat().st_mtime_ns == written
    endpoint = first.endpoint
    monkeypatch.setenv("PYTEST_LMPROG_FINETUNED_DIR", str(tmp_path / "elsewhere"))
    again = LocalProvider().finetune(job)
    assert (again.model, again.endpoint) == (first.model, endpoint)


def test_a_training_that_was_killed_is_done_again(tiny_t5: Path, folder: Path):
    job = FinetuneJob(base(tiny_t5), DATA, FULL)
    LocalProvider().finetune(job)
    (folder / job.identity / "made.json").unlink()  # it is written last
    with pytest.raises(ConfigurationError, match="are not on this machine"):
        LM(f"local/tiny-t5+{job.identity}")("colour of sky")
    assert LocalProvider().finetune(job)("colour of sky") == ["blue"]


def test_the_training_leaves_torch_as_it_was(tiny_t5: Path):
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.initial_seed()
    LocalProvider().finetune(FinetuneJob(base(tiny_t5), DATA, {**FULL, "num_train_epochs": 1, "threads": 1}))
    assert (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.initial_seed(),
    ) == before


def test_weights_that_are_not_here_are_an_error_that_says_how_to_get_them():
    lm = LM("local/smollm2-135m+0123456789ab")
    with pytest.raises(ConfigurationError) as missing:
        lm("hello")
    assert "the weights of local/smollm2-135m+0123456789ab are not on this machine" in str(missing.value)
    assert "pytest --lm-compile" in str(missing.value)


def test_a_folder_that_is_none_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="there is no folder of transformers weights"):
        LM(f"local/{tmp_path}/nothing")("hello")


def test_who_trains_what():
    assert provider_for(LM("local/smollm2-135m")).name == "local"
    assert provider_for(LM("openai/gpt-4o-mini")).name == "jobs"
    with pytest.raises(UsageError, match="openai/gpt-4o-mini is not a local model"):
        LocalProvider().check(LM("openai/gpt-4o-mini"), {})


def test_training_data_is_one_chat_a_line_in_utf8():
    assert DATA.jsonl().decode().splitlines() == [
        json.dumps({"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": s}]})
        for a, s in PAIRS.items()
    ]
    odd = TrainingData((({"role": "user", "content": "\u2028ü\n"}, {"role": "assistant", "content": ""}),))
    assert odd.jsonl().count(b"\n") == 1
    assert "ü".encode() in odd.jsonl()


def test_rows_are_written_in_the_order_in_which_llama_cpp_rotates_them():
    numpy = pytest.importorskip("numpy")
    from pytest_lmprog.lm.finetuning.gguf_writing import _rotated

    # Two heads of four rows: of each, the halves (0 1 | 2 3) become pairs (0 2, 1 3).
    rows = numpy.arange(8).reshape(8, 1)
    assert _rotated(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


FORM: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "triage",
        "schema": {
            "type": "object",
            "properties": {"team": {"enum": ["billing", "bug"]}},
            "required": ["team"],
        },
    },
}


@pytest.mark.embedded
@pytest.mark.slow
def test_the_embedded_model_is_trained_and_served_with_constrained_answers(folder: Path):
    pytest.importorskip("torch", reason="needs the extra 'finetune'")
    pytest.importorskip("peft", reason="needs the extra 'finetune'")
    pytest.importorskip("xllamacpp", reason="needs the extra 'local'")
    lm = LM("local/smollm2-135m", temperature=0)
    tickets = {"I was charged twice": "bug", "The app crashes": "billing"}  # the wrong way round, on purpose
    data = TrainingData(
        tuple(
            ({"role": "user", "content": text}, {"role": "assistant", "content": json.dumps({"team": team})})
            for text, team in tickets.items()
        )
    )
    settings = {"num_train_epochs": 20, "per_device_train_batch_size": 2, "learning_rate": 2e-3}
    trained = LocalProvider().finetune(FinetuneJob(lm, data, settings))
    note = read_note(folder / trained.model.rpartition("+")[2])
    assert note["losses"][-1] < note["losses"][0] / 2
    for text, team in tickets.items():
        request = trained.request(({"role": "user", "content": text},), response_format=FORM)
        assert json.loads(trained.complete(request).text) == {"team": team}
    assert trained.endpoint != lm.endpoint
