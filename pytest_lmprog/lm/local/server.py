"""One llama.cpp server on 127.0.0.1, set up so that an answer depends on its request alone.

llama.cpp's arithmetic depends on which tokens are evaluated together. So a server works on one request at a
time, flash attention is off (its sums depend on the number of threads, too), and before each request the
slot that answers it is brought into a state that follows from the request: see ``Server.prepare``.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import ConfigurationError, LMConnectionError, LMTimeoutError, MissingExtraError
from pytest_lmprog.lm.types import Message

__all__ = ["CONTEXT", "SLOTS", "Server", "library"]

CONTEXT = 4096
"""Tokens of prompt and answer together."""

SLOTS = 3
"""Stems (prompts but for their last message) whose evaluation a server remembers."""

_LOADING = 180.0
_PROBE: Message = {"role": "user", "content": "."}


def library() -> Any:
    """Return xllamacpp. Raises MissingExtraError."""
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtraError("the embedded model", "local") from None
    return xllamacpp


class Server:
    """A running server. One thread at a time may use it."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the weights at ``path`` and wait until they are ready.

        Raises ConfigurationError for a file that is no model, LMConnectionError if it takes too long."""
        try:
            self._handle = library().Server(_params(path, threads))
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigurationError(f"{path} cannot be loaded as a model: {error}") from None
        self.url = str(self._handle.listening_address)
        self._stems: OrderedDict[str, int] = OrderedDict()
        self._wait_until_ready()

    def holds(self, stem: str) -> bool:
        """Tell whether a slot holds the stem of that digest."""
        return stem in self._stems

    def prepare(self, messages: Sequence[Message], timeout: float) -> dict[str, Any]:
        """Bring a slot into the state that follows from ``messages`` and return the parameters that make
        the next request use it.

        The stem (all messages but the last: instructions and demos, which many requests share) is
        evaluated from scratch once. Then the slot always holds just the stem when a request comes: the
        server would otherwise keep as much as two requests happen to have in common, and how the rest
        is cut into batches would depend on the request before."""
        stem = [dict(message) for message in messages[:-1]]
        if not stem:
            return {"id_slot": self._free_slot(), "cache_prompt": False}
        name = digest(stem)
        slot = self._stems.pop(name, None)
        if slot is None:
            slot = self._free_slot()
            known = self._evaluate(stem, slot, timeout, reuse=False)
            # What is evaluated again below must have been left by another request, as it will be later.
            known = known and self._evaluate([*stem, _PROBE], slot, timeout, reuse=True)
            if not known:  # the chat template refuses a prompt that ends here
                return {"id_slot": slot, "cache_prompt": False}
        self._evaluate(stem, slot, timeout, reuse=True)
        self._stems[name] = slot
        return {"id_slot": slot, "cache_prompt": True}

    def forget(self) -> None:
        """Take no slot's state for granted, after a request that was broken off."""
        self._stems.clear()

    def _free_slot(self) -> int:
        free = sorted(set(range(SLOTS)) - set(self._stems.values()))
        return free[0] if free else self._stems.popitem(last=False)[1]

    def _evaluate(self, messages: Sequence[Message], slot: int, timeout: float, *, reuse: bool) -> bool:
        body = {"messages": messages, "max_tokens": 0, "id_slot": slot, "cache_prompt": reuse}
        try:
            return self._http("POST", "/v1/chat/completions", body, timeout) == 200
        except TimeoutError:
            raise LMTimeoutError(f"the embedded model gave no answer within {timeout:g} s") from None
        except (OSError, HTTPException) as error:
            raise LMConnectionError(f"the embedded model is gone: {error}") from None

    def _http(self, method: str, path: str, body: Mapping[str, Any] | None, timeout: float) -> int:
        parts = urlsplit(self.url)
        connection = HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _LOADING
        while time.monotonic() < deadline:
            with suppress(OSError, HTTPException):
                if self._http("GET", "/health", None, 5.0) == 200:
                    return
            time.sleep(0.01)
        raise LMConnectionError(f"the embedded model was not ready within {_LOADING:g} s")


def _params(path: Path, threads: int) -> Any:
    xllamacpp = library()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT * SLOTS
    params.kv_unified = False
    params.cache_ram_mib = 0
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 4
    params.verbosity = -1
    return params
