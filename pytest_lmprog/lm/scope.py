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
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_lmprog.errors import CallLimitError
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse, Source, Usage
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.budget import Budget
    from pytest_lmprog.lm.limiter import Limiter
    from pytest_lmprog.lm.patience import Patience

__all__ = [
    "AnswerStore",
    "CallLimit",
    "CallScope",
    "RecordMode",
    "RecordingBook",
    "Tally",
    "TallyCount",
    "current_scope",
    "use_scope",
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


@dataclass(frozen=True, slots=True)
class TallyCount:
    """Counts of calls by where their answers came from. Cost in USD; ``unpriced`` live calls had none."""

    live: int = 0
    memory: int = 0
    cache: int = 0
    recording: int = 0
    retries: int = 0
    fallbacks: int = 0
    usage: Usage = field(default_factory=Usage)
    live_usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    live_cost: float = 0.0
    unpriced: int = 0

    @property
    def calls(self) -> int:
        """All answered calls."""
        return self.live + self.memory + self.cache + self.recording

    @property
    def cached_share(self) -> float | None:
        """Share of calls that were not live, or None where there was no call."""
        return (self.calls - self.live) / self.calls if self.calls else None


class Tally:
    """Thread-safe counter of calls. One may have a parent, which counts the same calls too."""

    def __init__(self, parent: Tally | None = None) -> None:
        self._lock = Lock()
        self._counts: dict[str, Any] = dict.fromkeys(
            ("live", "memory", "cache", "recording", "retries", "fallbacks", "unpriced"), 0
        )
        self._tokens = [0, 0, 0, 0]
        self._cost = [0.0, 0.0]
        self._parent = parent

    def add(self, response: LMResponse, source: Source) -> None:
        """Count one answered call."""
        with self._lock:
            self._counts[source] += 1
            if response.usage is not None:
                self._tokens[0] += response.usage.prompt_tokens
                self._tokens[1] += response.usage.completion_tokens
                if source == "live":
                    self._tokens[2] += response.usage.prompt_tokens
                    self._tokens[3] += response.usage.completion_tokens
            if response.cost is not None:
                self._cost[0] += response.cost
                if source == "live":
                    self._cost[1] += response.cost
            elif source == "live":
                self._counts["unpriced"] += 1
        if self._parent is not None:
            self._parent.add(response, source)

    def bump(self, what: Literal["retries", "fallbacks"]) -> None:
        """Count a retry of a live call, or a fallback from one adapter to another."""
        with self._lock:
            self._counts[what] += 1
        if self._parent is not None:
            self._parent.bump(what)

    def count(self) -> TallyCount:
        """Return the counts so far."""
        with self._lock:
            return TallyCount(
                **self._counts,
                usage=Usage(self._tokens[0], self._tokens[1]),
                live_usage=Usage(self._tokens[2], self._tokens[3]),
                cost=self._cost[0],
                live_cost=self._cost[1],
            )


class CallLimit:
    """The most calls that one run of a program may make (``max_calls``); one object a run, thread-safe."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._taken = 0
        self._lock = Lock()

    def take(self) -> None:
        """Count a call, however it will be answered. Raises CallLimitError beyond the maximum."""
        with self._lock:
            self._taken += 1
            if self._taken <= self.maximum:
                return
        calls = f"{self.maximum} call{'' if self.maximum == 1 else 's'}"
        raise CallLimitError(
            f"the program needs more than {calls} to the LM in one run, the most that it declares",
            hint="give lm_program(max_calls=N) the most calls that one run can make",
        )

    def give_back(self) -> None:
        """Uncount a call that the endpoint refused, so that it can be put in another form."""
        with self._lock:
            self._taken -= 1


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

    def for_run(self, label: str | None, limit: CallLimit | None) -> CallScope:
        """Return the same surroundings for one run. Made for each run, hence without ``replace``, which takes
        four times as long."""
        new = object.__new__(CallScope)
        for name in _FIELDS:
            object.__setattr__(new, name, getattr(self, name))
        object.__setattr__(new, "label", label)
        object.__setattr__(new, "limit", limit)
        return new


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
