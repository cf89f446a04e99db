"""One llama.cpp server a process and weights, on 127.0.0.1, started when first asked."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from pytest_lmprog.errors import ConfigurationError, LMConnectionError, MissingExtraError
from pytest_lmprog.lm.litellm_client import LiteLLMTransport, Target
from pytest_lmprog.lm.local.catalog import Weights
from pytest_lmprog.lm.types import LMRequest

__all__ = ["Servers", "servers", "transport_to"]

CONTEXT = 8192
"""Tokens of prompt and answer together."""

LONGEST_ANSWER = 512
"""Tokens of an answer where ``max_tokens`` is not given: small models may never stop by themselves."""

_LOADING = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``handle`` keeps it alive."""

    url: str
    handle: Any


class Servers:
    """The servers of this process by weights. Thread-safe; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pid = os.getpid()
        self._running: dict[str, Server] = {}

    def url(self, weights: Weights) -> str:
        """Return the address of the server of ``weights``, fetched, started and ready.

        Raises MissingExtraError, ConfigurationError for a file that is no model, LMConnectionError where
        it does not get ready in time."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._running = os.getpid(), Lock(), {}
        with self._lock:
            server = self._running.get(weights.name)
            if server is None:
                _library()  # before a large download that would be in vain
                server = self._running[weights.name] = _start(str(weights.find()))
            return server.url

    def stop(self) -> None:
        """Stop them all. Also at exit, before the interpreter is torn down."""
        with self._lock:
            self._running.clear()


servers = Servers()
"""The one set of this process: weights take memory, and a server takes all cores."""


def transport_to(weights: Weights, timeout: float) -> LiteLLMTransport:
    """Return the transport to the embedded server of ``weights``, which is started with the first request."""

    def target() -> Target:
        return Target("openai/embedded", servers.url(weights) + "/v1", "none")

    return LiteLLMTransport(target, timeout=timeout, where="", priced=False, extra=_fixed)


def _fixed(request: LMRequest) -> dict[str, Any]:
    """What a request says beside its own parameters: the seed follows from the rollout."""
    return {"temperature": 0, "seed": request.rollout, "max_tokens": LONGEST_ANSWER}


def _start(path: str) -> Server:
    library = _library()
    params = _params(library, path)
    try:
        handle = library.Server(params)
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be loaded as a model: {error}") from None
    url = str(handle.listening_address)
    _wait_until_ready(url)
    return Server(url, handle)


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtraError("the embedded model", "local") from None
    return xllamacpp


def _params(library: Any, path: str) -> Any:
    """Settings under which an answer depends on its request alone, not on what else is or was asked."""
    params = library.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1  # requests that share a batch change each other's rounding
    params.n_ctx = CONTEXT
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.fit_params = False
    params.n_threads_http = 16
    params.verbosity = -1
    return params


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _LOADING
    while time.monotonic() < deadline:
        with suppress(OSError, HTTPException):
            if _health(url) == 200:
                return
        time.sleep(0.02)
    raise LMConnectionError(f"the embedded model was not ready within {_LOADING:g} s")


def _health(url: str) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()
