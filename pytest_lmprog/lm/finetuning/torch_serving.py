"""Serving transformers weights with torch: greedy or seeded, one answer at a time, free-form.

For models that llama.cpp is not given here (T5). An answer depends on its request alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_lmprog.errors import LMRequestError
from pytest_lmprog.lm.local.catalog import Weights
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage

__all__ = ["Served", "served"]

_LONGEST_ANSWER = 512
_KNOWN = frozenset({"temperature", "max_tokens", "top_p", "seed"})


class Served:
    """The models of this process that torch serves, loaded when they are first asked. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: dict[Path, tuple[Any, Any]] = {}

    def ask(self, weights: Weights, request: LMRequest) -> LMResponse:
        """Answer ``request`` with one attempt. Raises LMRequestError for what this server cannot do."""
        _check(request)
        with self._lock:
            path = weights.find()
            if path not in self._loaded:
                from pytest_lmprog.lm.finetuning.local import load

                self._loaded[path] = load(path)
            return _answered(*self._loaded[path], request)

    def forget(self) -> None:
        """Let go of all models."""
        with self._lock:
            self._loaded.clear()


served = Served()
"""The one table of this process: weights take memory, and an answer takes all cores."""


def _check(request: LMRequest) -> None:
    unknown = sorted(set(request.params) - _KNOWN)
    if request.response_format is not None:
        unknown = ["response_format", *unknown]
    if request.tools:
        unknown = ["tools", *unknown]
    if unknown:
        raise LMRequestError(f"{request.model} is served by torch, which knows no {', '.join(unknown)}")


def _answered(model: Any, tokenizer: Any, request: LMRequest) -> LMResponse:
    from pytest_lmprog.lm.finetuning.torch_training import libraries, prompt_tokens

    torch, _ = libraries()
    start = time.perf_counter()
    translates = bool(model.config.is_encoder_decoder)
    asked = prompt_tokens(tokenizer, request.messages, translates=translates)
    tokens = torch.tensor([asked])
    params = request.params
    hot = float(params.get("temperature") or 0.0)
    drawn = {"do_sample": True, "temperature": hot, "top_p": float(params.get("top_p", 1.0))}
    most = int(params.get("max_tokens") or _LONGEST_ANSWER)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(int(params.get("seed", 0)) + request.rollout)
        out = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=most,
            num_beams=1,
            **(drawn if hot > 0 else {"do_sample": False}),
        )
    said = out[0][1:] if translates else out[0][len(asked) :]
    text = tokenizer.decode(said, skip_special_tokens=True)
    reason = "length" if len(said) >= most and int(said[-1]) != tokenizer.eos_token_id else "stop"
    usage = Usage(len(asked), len(said))
    return LMResponse(text, reason, usage, 0.0, round(time.perf_counter() - start, 3))
