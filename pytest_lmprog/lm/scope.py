"""The surroundings of a call: where answers are looked up, stored, counted and paid for.

An LM knows how to ask; the ``CallScope`` that is active while it asks says which recording to read,
which cache to use, which budget to charge and whom to tell. Outside pytest the default scope applies:
memory and, where configured, disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.budget import Budget
    from pytest_lmprog.lm.calls import CallRequest, CallResult
    from pytest_lmprog.lm.limiter import Limiter
    from pytest_lmprog.lm.patience import Patience
    from pytest_lmprog.lm.tally import CallLimit, Tally

__all__ = [
    "OFF",
    "AnswerStore",
    "CallScope",
    "RecordMode",
    "RecordingBook",
    "Watcher",
    "current_scope",
    "interception",
    "use_scope",
    "watcher",
]

RecordMode = Literal["none", "new", "all"]


class AnswerStore(Protocol):
    """Bytes by key. ``MemoryStore``, ``DiskStore`` and ``TieredStore`` are some; all pass
    ``tests/lm/test_stores.py``. Damage is reported as a warning and read as a miss."""

    def get(self, key: str) -> bytes | None:
        """Return what was stored under ``key`` (64 hexadecimal digits), or None."""
        ...

    def set(self, key: str, value: bytes) -> None:
        """Store ``value`` durably. Raises CacheError where that is impossible."""
        ...

    def claim(self, key: str) -> Any:
        """Return a context manager that holds ``key`` against every other thread and process sharing
        this store. After entering, look up again: another holder may have stored the answer."""
        ...


class RecordingBook(Protocol):
    """The recorded answers of one test module."""

    def lookup(self, request: LMRequest, endpoint: Callable[[], str] | None = None) -> LMResponse | None:
        """Return the recorded answer, or None. Raises RecordingError on damage, and where two addresses
        ask the same request in one run; ``endpoint`` tells the one that asks, called only if need be."""
        ...

    def add(
        self,
        request: LMRequest,
        response: LMResponse,
        endpoint: str,
        *,
        replace: bool = False,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        """Take note of an answer that was used; it is written when the run ends. ``rewrite`` takes what
        must not be stored out of the request's texts (the response has been rewritten already)."""
        ...

    def capabilities(self, model: str) -> Capabilities | None:
        """What the recording says of ``model``."""
        ...

    def learn(self, model: str, capabilities: Capabilities) -> None:
        """Record what was found out about ``model``."""
        ...

    def explain_miss(
        self, request: LMRequest, label: str | None, *, rewrite: Callable[[str], str] | None = None
    ) -> str:
        """Return the text for a ReplayMissError, its hint included: case, nearest recorded request,
        differing fields. ``rewrite`` takes out of the request's texts what must not be shown."""
        ...

    def lookup_call(
        self, request: CallRequest, identity: Callable[[], str] | None = None
    ) -> CallResult | None:
        """Return the recorded result of a function's call, or None; errors as for ``lookup``."""
        ...

    def add_call(
        self,
        request: CallRequest,
        result: CallResult,
        identity: str,
        *,
        replace: bool = False,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        """Take note of a function's result that was used, as ``add`` does of an answer."""
        ...

    def explain_call_miss(
        self, request: CallRequest, label: str | None, *, rewrite: Callable[[str], str] | None = None
    ) -> str:
        """Return the text for a ReplayMissError of a function's call, as ``explain_miss`` does."""
        ...


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class CallScope:
    """The surroundings of a call.

    Parameters
    ----------
    mode: ``none`` replays only, ``new`` asks for what is not stored, ``all`` asks each request once more.
    recording: the book that is looked up first and noted into, or None.
    note_only: add used answers to ``recording`` but do not answer from it (``lm_record_compile``), unless
        nothing else may answer.
    cache: the store behind it; None means the LM's own memory.
    budget: charged before each live call, or None.
    tally: counts every call, or None.
    refresh_id: under ``all``, the run: each request is asked once per run and store.
    label: what misses are reported for (``test_team[refund-1]``).
    redact: rewrites answers before they are stored and used.
    known: capabilities by model known from elsewhere (a snapshot).
    limit: counts the calls of this run and refuses too many, or None.
    limiter: bounds the requests in flight; None means the LM's own bound.
    patience: notices endpoints that answer nobody, across requests; None means each request is on its own.
    keep_messages: store the request beside its answer (``lm_store_messages``).
    notify: is told, a line at a time, what takes long (fetching weights); None writes to standard error.
    """

    mode: RecordMode = "new"
    recording: RecordingBook | None = None
    cache: AnswerStore | None = None
    budget: Budget | None = None
    tally: Tally | None = None
    refresh_id: str = ""
    label: str | None = None
    redact: Callable[[str], str] = _unchanged
    known: Mapping[str, Capabilities] = field(default_factory=dict)
    note_only: bool = False
    limit: CallLimit | None = None
    limiter: Limiter | None = None
    patience: Patience | None = None
    keep_messages: bool = True
    notify: Callable[[str], None] | None = None

    @property
    def rewrites_answers(self) -> bool:
        """Whether answers are rewritten before use: what arrives is then not what may be shown."""
        return self.redact is not _unchanged

    def for_run(self, label: str | None, limit: CallLimit | None) -> CallScope:
        """Return the same surroundings for one run. Made for each run, hence without ``replace``, which takes
        four times as long."""
        new = object.__new__(CallScope)
        for name in _FIELDS:
            object.__setattr__(new, name, getattr(self, name))
        object.__setattr__(new, "label", label)
        object.__setattr__(new, "limit", limit)
        return new


OFF = object()
"""Stands for no ``intercept()`` block at all."""


class Watcher(Protocol):
    """Is told of the calls of recorded functions: the trace of the program that runs."""

    def note_tool(self, name: str, request: CallRequest, value: Any, result: CallResult) -> None:
        """Take note of a call. ``name`` is what people call the function, ``value`` what it returned, as the
        caller sees it (None where it raised)."""
        ...


interception: ContextVar[Any] = ContextVar("lmprog_interception", default=None)
"""The ``intercept()`` block that direct calls of libraries belong to; ``OFF`` while we make one ourselves."""

watcher: ContextVar[Any] = ContextVar("lmprog_trace", default=None)
"""The trace that calls are noted in, or None."""

_FIELDS = tuple(f.name for f in fields(CallScope))
_DEFAULT = CallScope()
_scope: ContextVar[CallScope] = ContextVar("lmprog_call_scope", default=_DEFAULT)


def current_scope() -> CallScope:
    """Return the active scope."""
    return _scope.get()


@contextmanager
def use_scope(scope: CallScope) -> Iterator[CallScope]:
    """Make ``scope`` the active one within the block (this thread or task and those it starts by copy)."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)
