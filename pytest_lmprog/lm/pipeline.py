"""From a request to its answer: recording, cache, single flight, budget, limit, transport, retries, store.

One implementation for all LMs, sync and async: ``acomplete`` looks up inline and runs the rest, which may
block, on a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

from pytest_lmprog.errors import (
    BudgetExceededError,
    LMError,
    LMRequestError,
    ReplayMissError,
)
from pytest_lmprog.lm.entry import (
    capabilities_key,
    encode_answer,
    encode_capabilities,
    read_answer,
    read_capabilities,
    rewrite_texts,
)
from pytest_lmprog.lm.flight import flights, raised_again
from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.patience import Patience
from pytest_lmprog.lm.redaction import Scrubber
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.lm.scope import AnswerStore, CallScope, RecordingBook, current_scope
from pytest_lmprog.lm.shortening import shortened
from pytest_lmprog.lm.stores.reading import asked_in, stored, warn_damaged
from pytest_lmprog.lm.transport import Transport
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse
from pytest_lmprog.lm.workers import workers
from pytest_lmprog.records import dataclass

__all__ = ["Pipeline"]

_UNKNOWN = Capabilities()
_TOO_LONG = "lmprog:context_window"
"""Finish reason of a recorded refusal: the request was longer than the model's context."""


@dataclass(frozen=True)
class Pipeline:
    """The way of the requests of one LM.

    Parameters
    ----------
    transport: carries a request to the model.
    address: returns the address part of the cache key; called when a key is needed and no sooner.
    store: where answers are kept when the scope has no cache.
    reuse: False asks the model for every call that no recording answers.
    limiter: the limit on requests in flight when the scope has none.
    retry: when to ask again.
    scrubber: returns what takes the secrets known by now out of a text.
    learned: capabilities found out by this LM and its copies, by model and endpoint.
    """

    transport: Transport
    address: Callable[[], str]
    store: AnswerStore
    limiter: Limiter
    retry: RetryPolicy
    scrubber: Callable[[], Scrubber]
    reuse: bool = True
    learned: dict[tuple[str, str], Capabilities] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The address part of the cache key, without secrets."""
        return self.address()

    def _store(self, scope: CallScope) -> AnswerStore:
        # Not "or": a store that is empty and has a length is false.
        return self.store if scope.cache is None else scope.cache

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` (see ``LanguageModel.complete``)."""
        scope = current_scope()
        if scope.limit is None:
            return self._look_up(request, scope) or self._fetch(request, scope)
        scope.limit.take()
        try:
            return self._look_up(request, scope) or self._fetch(request, scope)
        except LMRequestError:
            scope.limit.give_back()
            raise

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """The same, without blocking the event loop for longer than a look-up."""
        scope = current_scope()
        if scope.limit is not None:
            scope.limit.take()
        try:
            found = self._look_up(request, scope)
            if found is None:
                found = await workers.run(lambda: self._fetch(request, scope))
            return found
        except LMRequestError:
            if scope.limit is not None:
                scope.limit.give_back()
            raise

    def _look_up(self, request: LMRequest, scope: CallScope) -> LMResponse | None:
        """Return the stored answer; None if the model is to be asked. Raises ReplayMissError."""
        book = scope.recording
        if book is not None and scope.mode != "all" and (not scope.note_only or scope.mode == "none"):
            recorded = book.lookup(request, None if scope.mode == "none" else self.address)
            if recorded is not None:
                if recorded.finish_reason == _TOO_LONG:
                    raise LMRequestError(recorded.text, context_window=True)
                return _counted(recorded, scope)
        if scope.mode == "none":
            raise _miss(request, scope, self._kept_text(scope))
        key = request.cache_key(self.endpoint)
        if not self.reuse:
            return None
        found = stored(self._store(scope), key, asked_in(scope), read_answer)
        return None if found is None else self._used(request, found, scope)

    def _fetch(self, request: LMRequest, scope: CallScope) -> LMResponse:
        """Have the request answered by one live call, however many ask for it at the same time."""
        try:
            return self._fetched(request, scope)
        except LMRequestError as refused:
            if refused.context_window and scope.recording is not None:
                self._note_refusal(request, refused, scope, scope.recording)
            raise

    def _note_refusal(
        self, request: LMRequest, refused: LMRequestError, scope: CallScope, book: RecordingBook
    ) -> None:
        """Record that a request was too long: the program may have gone on with a shorter one, and a replay
        takes the same way. Not cached: the endpoint may be given a larger context."""
        rewrite = self._rewrite(scope)
        answer = LMResponse(rewrite(refused.message), _TOO_LONG)
        book.add(request, answer, self.endpoint, replace=scope.mode == "all", rewrite=rewrite)

    def _fetched(self, request: LMRequest, scope: CallScope) -> LMResponse:
        if not self.reuse:
            return self._used(request, self._live(request, scope), scope)
        store, run = self._store(scope), asked_in(scope)
        key = request.cache_key(self.endpoint)
        name = (id(store), key, run)
        while True:
            flight, leads = flights.join(name, (store, scope.budget))
            if leads:
                break
            flight.wait()
            if flight.response is not None:
                return self._used(request, replace(flight.response, source="memory"), scope)
            if not _concerns(flight.error, flight.owner, scope):
                continue
            assert isinstance(flight.error, Exception)
            raise raised_again(flight.error)
        try:
            response = self._claimed(request, scope, store, key)
        except BaseException as error:
            flights.land(name, flight, None, error)
            raise
        flights.land(name, flight, response, None)
        return self._used(request, response, scope)

    def _claimed(self, request: LMRequest, scope: CallScope, store: AnswerStore, key: str) -> LMResponse:
        """Ask while holding the key, unless another process has had the answer meanwhile."""
        run = asked_in(scope)
        with store.claim(key):
            found = stored(store, key, run, read_answer)
            if found is not None:
                return found
            response = self._live(request, scope)
            store.set(key, self._entry(request, response, scope, run or ""))
            return response

    def _entry(self, request: LMRequest, response: LMResponse, scope: CallScope, asked_in: str) -> bytes:
        return encode_answer(
            request,
            response,
            self.endpoint,
            asked_in=asked_in,
            keep_request=scope.keep_messages,
            rewrite=self._kept_text(scope),
        )

    def _live(self, request: LMRequest, scope: CallScope) -> LMResponse:
        if scope.budget is None:
            return self._redacted(self._attempts(request, scope), scope)
        reservation = scope.budget.reserve(request)
        try:
            response = self._attempts(request, scope)
        except BaseException:
            reservation.release()
            raise
        reservation.settle(response)
        return self._redacted(response, scope)

    def _attempts(self, request: LMRequest, scope: CallScope) -> LMResponse:
        """Ask until there is an answer or no point in asking. A wait between attempts holds no slot."""
        limiter, patience = scope.limiter or self.limiter, scope.patience or Patience()
        who = (request.model, self.endpoint)
        attempt = 0
        while True:
            try:
                with limiter:
                    patience.check(who)
                    answer = self.transport.ask(request)
                patience.answered(who)
                return answer
            except LMError as error:
                pause = self.retry.wait(error, attempt)
                if patience.lost(who, error, final=pause is None) or pause is None:
                    raise _final(error, attempt) from None
            attempt += 1
            if scope.tally is not None:
                scope.tally.bump("retries")
            self.retry.sleep(pause)

    def _redacted(self, response: LMResponse, scope: CallScope) -> LMResponse:
        """Rewrite an answer before anyone uses it, so that live and replay agree."""
        rewrite = self._rewrite(scope)
        return replace(
            response,
            text=rewrite(response.text),
            reasoning=None if response.reasoning is None else rewrite(response.reasoning),
            tool_calls=tuple(rewrite_texts(response.tool_calls, rewrite)) if response.tool_calls else (),
        )

    def _rewrite(self, scope: CallScope) -> Callable[[str], str]:
        scrub, redact = self.scrubber(), scope.redact
        return lambda text: redact(scrub(text))

    def _kept_text(self, scope: CallScope) -> Callable[[str], str]:
        """What a text of a request is kept as: rewritten, and without the content of pictures and files."""
        rewrite = self._rewrite(scope)
        return lambda text: rewrite(shortened(text))

    def _used(self, request: LMRequest, response: LMResponse, scope: CallScope) -> LMResponse:
        """Count an answer, and note it where the test module's answers are noted."""
        if scope.recording is not None:
            scope.recording.add(
                request,
                response,
                self.endpoint,
                replace=scope.mode == "all",
                rewrite=lambda text: self._kept_text(scope)(text),  # most answers are known: built if need be
            )
        return _counted(response, scope)

    def capabilities(self, model: str) -> Capabilities:
        """What is known of ``model``: by the recording, this LM, the snapshot, the cache, in that order.

        The recording comes first because its requests were put in the form that follows from it; what
        it does not know yet is noted there, because its answers depend on it."""
        scope = current_scope()
        book = scope.recording
        told = None if book is None else book.capabilities(model)
        if told is not None:
            return told
        if scope.mode == "none":
            return scope.known.get(model, _UNKNOWN)
        found = self.learned.get((model, self.endpoint)) or scope.known.get(model) or self._kept(model, scope)
        if found is None:
            return _UNKNOWN
        if book is not None:
            book.learn(model, found)
        return found

    def _kept(self, model: str, scope: CallScope) -> Capabilities | None:
        entry = self._store(scope).get(capabilities_key(model, self.endpoint))
        if entry is None:
            return None
        try:
            known = read_capabilities(entry)
        except (ValueError, KeyError, TypeError) as error:
            warn_damaged(error)
            return None
        return self.learned.setdefault((model, self.endpoint), known)

    def learn(self, model: str, capabilities: Capabilities) -> None:
        """Take note of what was found out about ``model``, in memory, cache and recording."""
        scope = current_scope()
        if scope.recording is not None:
            scope.recording.learn(model, capabilities)
        if scope.mode == "none" or self.learned.get((model, self.endpoint)) == capabilities:
            return
        self.learned[model, self.endpoint] = capabilities
        row = encode_capabilities(model, capabilities, self.endpoint)
        self._store(scope).set(capabilities_key(model, self.endpoint), row)


def _counted(response: LMResponse, scope: CallScope) -> LMResponse:
    if scope.tally is not None:
        scope.tally.add(response, response.source)
    return response


def _concerns(error: BaseException | None, owner: Any, scope: CallScope) -> bool:
    """Tell whether a leader's failure is a follower's too: not that it was interrupted, and not that it
    had no budget left, unless they share it."""
    if isinstance(error, BudgetExceededError):
        return owner[1] is scope.budget
    return isinstance(error, Exception)


def _final(error: LMError, attempt: int) -> LMError:
    if attempt and error.retryable:
        error.message = f"{error.message} (after {attempt + 1} attempts)"
        error.args = (error.message,)
    return error


def _miss(request: LMRequest, scope: CallScope, rewrite: Callable[[str], str]) -> ReplayMissError:
    if scope.recording is not None:
        return ReplayMissError(scope.recording.explain_miss(request, scope.label, rewrite=rewrite))
    label = f" for {scope.label}" if scope.label else ""
    return ReplayMissError(
        f"no recorded answer{label}: nothing is recorded here and --lm-record=none calls no LM"
        f" (the request was to {request.model})",
        hint="record with --lm-record=new where the LM can be reached, and commit the recordings",
    )
