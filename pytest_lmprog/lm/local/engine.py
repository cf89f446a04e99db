"""The embedded models of this process: a few servers each, started when they are needed."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.lm.litellm_client import LiteLLMTransport, Target
from pytest_lmprog.lm.local.catalog import Weights
from pytest_lmprog.lm.local.server import Server, library
from pytest_lmprog.lm.types import LMRequest, LMResponse

__all__ = ["LONGEST_ANSWER", "Engine", "Engines", "engines"]

LONGEST_ANSWER = 512
"""Tokens of an answer where ``max_tokens`` is not given: small models may never stop by themselves."""

_SMALL = 512 * 1024 * 1024
_MOST_SERVERS = 4


class Engine:
    """The servers of one file of weights.

    Of a small model there is a server of one thread for each core (four at most): two cores answer twice
    as much that way, without waiting for each other, and answers stay independent of what else is asked.
    A large model has one server with half of the cores.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        cores = _cores()
        small = path.stat().st_size <= _SMALL
        self._most = min(cores, _MOST_SERVERS) if small else 1
        self._threads = 1 if small else max(1, cores // 2)
        self._free: list[Server] = []
        self._started = 0
        self._changed = Condition()

    def ask(self, request: LMRequest, timeout: float) -> LMResponse:
        """Answer ``request`` on a server that has nothing else to do. Raises LMError."""
        with self._server(digest(list(request.messages[:-1]))) as server:
            slot = server.prepare(request.messages, timeout)
            target = Target("openai/embedded", server.url + "/v1", "none")
            transport = LiteLLMTransport(
                lambda: target, timeout=timeout, priced=False, extra=lambda _: {**_defaults(request), **slot}
            )
            return transport.ask(request)

    @contextmanager
    def _server(self, stem: str) -> Iterator[Server]:
        server = self._taken(stem)
        try:
            yield server
        except BaseException:
            server.forget()
            raise
        finally:
            with self._changed:
                self._free.append(server)
                self._changed.notify()

    def _taken(self, stem: str) -> Server:
        """Take a free server, one that knows the stem if there is one; start one if all are busy."""
        with self._changed:
            while not self._free:
                if self._started < self._most:
                    self._started += 1
                    break
                self._changed.wait()
            else:
                found = next((s for s in self._free if s.holds(stem)), self._free[-1])
                self._free.remove(found)
                return found
        try:
            return Server(self._path, self._threads)
        except BaseException:
            with self._changed:
                self._started -= 1
                self._changed.notify()
            raise


class Engines:
    """The engines of this process by weights. Thread-safe; a forked child starts its own."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = Lock()
        self._running: dict[str, Engine] = {}

    def of(self, weights: Weights) -> Engine:
        """Return the engine of ``weights``, which are fetched if need be.

        Raises MissingExtraError, ConfigurationError."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            engine = self._running.get(weights.name)
            if engine is None:
                library()  # before a large download that would be in vain
                engine = Engine(weights.find())
                if not self._running:
                    atexit.register(self.stop)
                self._running[weights.name] = engine
            return engine

    def stop(self) -> None:
        """Stop all servers (their destructor does), before the interpreter is torn down."""
        with self._lock:
            self._running.clear()


engines = Engines()
"""The one table of this process: weights take memory, and servers take the cores."""


def _defaults(request: LMRequest) -> dict[str, Any]:
    """What the model is told unless the request says otherwise; another rollout is another seed."""
    return {"temperature": 0, "seed": request.rollout, "max_tokens": LONGEST_ANSWER}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
