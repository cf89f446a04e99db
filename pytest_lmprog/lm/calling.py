"""From a function's call to its result: recording, cache, single flight, run, store.

What ``pipeline`` is for LMs, for functions: the same order, modes and stores. Budgets and limits are for LMs
and don't apply.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from time import perf_counter
from typing import Any

from pytest_lmprog.errors import ReplayMissError
from pytest_lmprog.lm.calls import CallRequest, CallResult
from pytest_lmprog.lm.entry import encode_call, read_call, rewrite_texts
from pytest_lmprog.lm.flight import Flight, flights, raised_again
from pytest_lmprog.lm.redaction import Scrubber, environment_secrets
from pytest_lmprog.lm.scope import AnswerStore, CallScope, current_scope, watcher
from pytest_lmprog.lm.stores.reading import asked_in, stored
from pytest_lmprog.lm.workers import workers
from pytest_lmprog.records import dataclass

__all__ = ["Caller", "note_call"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
_within: ContextVar[frozenset[str]] = ContextVar("lmprog_calls_within", default=frozenset())


@dataclass(frozen=True)
class Caller:
    """The way of the calls of one function.

    Parameters
    ----------
    identity: tells what answers: a digest of the function's code, and of its data where it declares one.
        Called when a cache key is needed and no sooner.
    store: where results are kept when the scope has no cache.
    reuse: False calls the function wherever no recording answers.
    """

    identity: Callable[[], str]
    store: AnswerStore
    reuse: bool = True

    def call(self, request: CallRequest, run: Callable[[], CallResult]) -> CallResult:
        """Return what is recorded or cached for ``request``, else what ``run`` returns, which is stored.

        Raises ReplayMissError, RecordingError, CacheError, and whatever ``run`` raises; that is not stored.
        """
        scope = current_scope()
        found = self._look_up(request, scope)
        if found is not None:
            return found
        if not self.reuse or request.key in _within.get():
            return self._used(request, self._run(request, run, scope), scope)
        call = _Call(self, request, scope)
        while True:
            flight, leads = call.join()
            if leads:
                return self._used(request, call.led(flight, run), scope)
            flight.wait()
            shared = _shared(flight)
            if shared is not None:
                return self._used(request, shared, scope)

    async def acall(self, request: CallRequest, run: Callable[[], Awaitable[CallResult]]) -> CallResult:
        """The same for a coroutine function, which runs in the caller's event loop."""
        scope = current_scope()
        found = self._look_up(request, scope)
        if found is not None:
            return found
        if not self.reuse or request.key in _within.get():
            return self._used(request, await self._arun(request, run, scope), scope)
        call = _Call(self, request, scope)
        while True:
            flight, leads = call.join()
            if leads:
                return self._used(request, await call.aled(flight, run), scope)
            await workers.run(flight.wait)
            shared = _shared(flight)
            if shared is not None:
                return self._used(request, shared, scope)

    def _look_up(self, request: CallRequest, scope: CallScope) -> CallResult | None:
        book = scope.recording
        if book is not None and scope.mode != "all" and (not scope.note_only or scope.mode == "none"):
            recorded = book.lookup_call(request, None if scope.mode == "none" else self.identity)
            if recorded is not None:
                return _counted(recorded, scope)
        if scope.mode == "none":
            raise _miss(request, scope)
        if not self.reuse:
            return None
        found = stored(self.store_of(scope), request.cache_key(self.identity()), asked_in(scope), read_call)
        return None if found is None else self._used(request, found, scope)

    def store_of(self, scope: CallScope) -> AnswerStore:
        """Return where results are kept."""
        return self.store if scope.cache is None else scope.cache

    def _run(self, request: CallRequest, run: Callable[[], CallResult], scope: CallScope) -> CallResult:
        token = _within.set(_within.get() | {request.key})
        start = perf_counter()
        try:
            result = run()
        finally:
            _within.reset(token)
        return _finished(result, start, scope)

    async def _arun(
        self, request: CallRequest, run: Callable[[], Awaitable[CallResult]], scope: CallScope
    ) -> CallResult:
        token = _within.set(_within.get() | {request.key})
        start = perf_counter()
        try:
            result = await run()
        finally:
            _within.reset(token)
        return _finished(result, start, scope)

    def _used(self, request: CallRequest, result: CallResult, scope: CallScope) -> CallResult:
        if scope.recording is not None:
            scope.recording.add_call(
                request,
                result,
                self.identity(),
                replace=scope.mode == "all",
                rewrite=lambda text: _rewrite(scope)(text),
            )
        return _counted(result, scope)


def note_call(name: str, request: CallRequest, value: Any, result: CallResult) -> None:
    """Note a call in the trace, if there is one (see ``Watcher``). Who calls a ``Caller`` does this when it
    has put the result in the form that its own caller sees."""
    trace = watcher.get()
    if trace is not None:
        trace.note_tool(name, request, value, result)


class _Call:
    """One call on its way: its place in the store and among the flights."""

    def __init__(self, caller: Caller, request: CallRequest, scope: CallScope) -> None:
        self._caller = caller
        self._request = request
        self._scope = scope
        self._store = caller.store_of(scope)
        self._identity = caller.identity()
        self._key = request.cache_key(self._identity)
        self._asked_in = asked_in(scope)
        self._name = (id(self._store), self._key, self._asked_in)

    def join(self) -> tuple[Flight, bool]:
        """Return the flight of this call and whether to lead it."""
        return flights.join(self._name, self._store)

    def led(self, flight: Flight, run: Callable[[], CallResult]) -> CallResult:
        """Run the function and land the flight, unless another process has had the result meanwhile."""
        try:
            with self._store.claim(self._key):
                result = self._found()
                if result is None:
                    result = self._kept(self._caller._run(self._request, run, self._scope))
        except BaseException as error:
            flights.land(self._name, flight, None, error)
            raise
        flights.land(self._name, flight, result, None)
        return result

    async def aled(self, flight: Flight, run: Callable[[], Awaitable[CallResult]]) -> CallResult:
        """The same, awaiting."""
        try:
            claim = self._store.claim(self._key)
            await _acquired(claim)
            try:
                found = self._found()
                if found is None:
                    found = self._kept(await self._caller._arun(self._request, run, self._scope))
            finally:
                claim.release()
        except BaseException as error:
            flights.land(self._name, flight, None, error)
            raise
        flights.land(self._name, flight, found, None)
        return found

    def _found(self) -> CallResult | None:
        return stored(self._store, self._key, self._asked_in, read_call)

    def _kept(self, result: CallResult) -> CallResult:
        entry = encode_call(
            self._request,
            result,
            self._identity,
            asked_in=self._asked_in or "",
            keep_request=self._scope.keep_messages,
            rewrite=_rewrite(self._scope),
        )
        self._store.set(self._key, entry)
        return result


async def _acquired(claim: Any) -> None:
    import asyncio

    pause = _FIRST_PAUSE
    while not claim.try_acquire():
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _shared(flight: Flight) -> CallResult | None:
    """Return the leader's result; None where the leader was interrupted. Raises what the function raised."""
    if flight.response is not None:
        shared: CallResult = replace(flight.response, source="memory")
        return shared
    if isinstance(flight.error, Exception):
        raise raised_again(flight.error)
    return None


def _finished(result: CallResult, start: float, scope: CallScope) -> CallResult:
    """Rewrite a result before anyone uses it, so that live and replay agree."""
    rewrite = _rewrite(scope)
    error = result.error
    if error is not None:
        error = replace(error, message=rewrite(error.message))
    latency = round(perf_counter() - start, 6)
    return CallResult(rewrite_texts(result.value, rewrite), error, latency)


def _rewrite(scope: CallScope) -> Callable[[str], str]:
    scrub, redact = Scrubber(environment_secrets()), scope.redact
    return lambda text: redact(scrub(text))


def _counted(result: CallResult, scope: CallScope) -> CallResult:
    if scope.tally is not None:
        scope.tally.add_tool(result.source)
    return result


def _miss(request: CallRequest, scope: CallScope) -> ReplayMissError:
    if scope.recording is not None:
        text = scope.recording.explain_call_miss(request, scope.label, rewrite=_rewrite(scope))
        return ReplayMissError(text)
    label = f" for {scope.label}" if scope.label else ""
    return ReplayMissError(
        f"no recorded result{label} of {request.name}(): nothing is recorded here and --lm-record=none"
        " calls no function that is recorded",
        hint="record with --lm-record=new where it can be called, and commit the recordings",
    )
