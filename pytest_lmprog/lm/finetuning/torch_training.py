"""The training loop of the local provider: torch on the CPU, the same weights on every run of one machine.

Only the answers are learnt: the tokens of prompts count for nothing in the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from pytest_lmprog.errors import CompileError, MissingExtraError
from pytest_lmprog.lm.finetuning.data import Chat, TrainingData
from pytest_lmprog.lm.finetuning.settings import TrainingSettings
from pytest_lmprog.records import dataclass

__all__ = ["Encoded", "Trained", "encoder", "libraries", "prompt_tokens", "train"]

_IGNORED = -100
"""The label of a token that is not learnt; torch's cross entropy leaves it out."""

_LORA_TARGETS = "all-linear"


def libraries() -> tuple[Any, Any]:
    """Return torch and transformers. Raises MissingExtraError."""
    try:
        import peft  # noqa: F401 - what is missing is told before anything is asked
        import torch
        import transformers
    except ImportError:
        raise MissingExtraError("finetuning a local model", "finetune") from None
    return torch, transformers


@dataclass(frozen=True, slots=True)
class Encoded:
    """One chat as token numbers. A model of one stack reads ``inputs`` and learns the ``labels`` in the
    same places; one that translates (T5) reads ``inputs`` and writes ``labels``."""

    inputs: Sequence[int]
    labels: Sequence[int]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model. ``losses``: the mean of each epoch, in nats a token."""

    model: Any
    losses: tuple[float, ...]
    steps: int


def encoder(tokenizer: Any, *, translates: bool, longest: int) -> Callable[[Chat], Encoded]:
    """Return what turns chats into tokens."""

    def encoded(chat: Chat) -> Encoded:
        answer = str(chat[-1]["content"])
        before = prompt_tokens(tokenizer, chat[:-1], translates=translates)
        if translates:
            return Encoded(before[-longest:], tokenizer(answer)["input_ids"][:longest])
        said = tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        inputs, labels = [*before, *said], [_IGNORED] * len(before) + said
        return Encoded(inputs[-longest:], labels[-longest:])

    return encoded


def prompt_tokens(tokenizer: Any, messages: Chat, *, translates: bool) -> list[int]:
    """Return what a model reads before it answers ``messages``, in training and in use: by its chat template,
    or the contents one after the other where it has none."""
    if not translates and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            list(map(dict, messages)), add_generation_prompt=True, tokenize=False
        )
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = "\n\n".join(str(message["content"]) for message in messages)
    return list(tokenizer(text if translates else text + "\n\n")["input_ids"])


def train(
    model: Any,
    tokenizer: Any,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    seed: int,
    told: Callable[[str], None],
) -> Trained:
    """Train ``model`` and return it, adapters merged in.

    Raises CompileError where the loss is no number any more."""
    torch, _ = libraries()
    translates = bool(model.config.is_encoder_decoder)
    encode = encoder(tokenizer, translates=translates, longest=settings.max_seq_length)
    chats = list(map(encode, data.chats))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    with _repeatable(torch, settings.threads, seed):
        learner = _learner(model, settings, translates=translates)
        losses, steps = _run(torch, learner, chats, settings, (pad, seed, told))
        merged = learner.merge_and_unload() if settings.method == "lora" else learner
        merged.eval()
    return Trained(merged, losses, steps)


def _learner(model: Any, settings: TrainingSettings, *, translates: bool) -> Any:
    model.config.use_cache = False
    if settings.method == "full":
        return model
    from peft import LoraConfig, get_peft_model

    kind = "SEQ_2_SEQ_LM" if translates else "CAUSAL_LM"
    lora = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules=_LORA_TARGETS,
        task_type=kind,
    )
    return get_peft_model(model, lora)


def _run(
    torch: Any,
    model: Any,
    chats: Sequence[Encoded],
    settings: TrainingSettings,
    more: tuple[int, int, Callable[[str], None]],
) -> tuple[tuple[float, ...], int]:
    pad, seed, told = more
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=0.0)
    size = settings.per_device_train_batch_size
    total = settings.num_train_epochs * -(-len(chats) // size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_then_down(total))
    model.train()
    losses: list[float] = []
    for epoch in range(settings.num_train_epochs):
        of_steps = []
        for batch in _batches(chats, size, Random(f"{seed}/{epoch}")):
            loss = _loss(torch, model, batch, pad)
            of_steps.append(_number(loss))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(sum(of_steps) / len(of_steps))
        told(f"epoch {epoch + 1} of {settings.num_train_epochs}: loss {losses[-1]:.3f}")
    return tuple(losses), total


def _number(loss: Any) -> float:
    value = float(loss.detach())
    if value != value or value == float("inf"):
        raise CompileError("the training diverged: the loss is no number", hint="lower learning_rate")
    return value


def _warm_then_down(total: int) -> Callable[[int], float]:
    """A tenth of the steps upwards, then linearly to 0."""
    warm = max(1, total // 10)

    def share(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (total - step) / max(1, total - warm))

    return share


def _batches(chats: Sequence[Encoded], size: int, rng: Random) -> Iterator[list[Encoded]]:
    order = list(range(len(chats)))
    rng.shuffle(order)
    for start in range(0, len(order), size):
        yield [chats[place] for place in order[start : start + size]]


def _loss(torch: Any, model: Any, batch: Sequence[Encoded], pad: int) -> Any:
    """Return the mean cross entropy of the answers' tokens, in nats."""
    if model.config.is_encoder_decoder:
        tensors = {
            "input_ids": _padded(torch, [one.inputs for one in batch], pad),
            "attention_mask": _padded(torch, [[1] * len(one.inputs) for one in batch], 0),
            "labels": _padded(torch, [one.labels for one in batch], _IGNORED),
        }
        return model(**tensors).loss
    # Padded on the left, all answers end in the last column: the vocabulary's layer, a fifth of a small
    # model, is worked out for their tokens alone.
    learnt = max(sum(label != _IGNORED for label in one.labels) for one in batch)
    mask = _padded(torch, [[1] * len(one.inputs) for one in batch], 0, left=True)
    logits = model(
        input_ids=_padded(torch, [one.inputs for one in batch], pad, left=True),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=learnt + 1,
    ).logits
    labels = _padded(torch, [one.labels for one in batch], _IGNORED, left=True)[:, -learnt:]
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=_IGNORED
    )


def _padded(torch: Any, rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> Any:
    longest = max(map(len, rows))
    filled = [[value] * (longest - len(row)) for row in rows]
    if left:
        return torch.tensor([[*fill, *row] for fill, row in zip(filled, rows, strict=True)])
    return torch.tensor([[*row, *fill] for fill, row in zip(filled, rows, strict=True)])


@contextmanager
def _repeatable(torch: Any, threads: int, seed: int) -> Iterator[None]:
    """Fix what a result depends on within the block, and put it back: threads, random numbers, kernels."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(before)
