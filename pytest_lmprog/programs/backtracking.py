"""Going back in a run: what was asked and answered within ``forward``, so that it can be run once more up to
the predictor whose answer did not hold.

While a module runs, a ``Frame`` notes the calls of its predictors. Where a check fails, ``forward`` is run
again: requests that were answered before are answered from the frame, and the refused call is put anew, with
its past output and the message. Frames live in a context variable: threads and tasks share no lock.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_lmprog.adapters import Elsewhere
from pytest_lmprog.errors import LMRequestError
from pytest_lmprog.lm.types import LMRequest, LMResponse
from pytest_lmprog.waiting import finish

if TYPE_CHECKING:
    from pytest_lmprog.programs.example import Prediction
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.predict import Predict
    from pytest_lmprog.programs.trace import PredictorCall, UnmetSuggestion

__all__ = ["Backtrack", "Frame", "Visit", "arun", "branched", "current_frame", "revisited", "run"]

Request = LMRequest | Elsewhere
Flow = Generator[Request, LMResponse, "Prediction"]


class Visit:
    """One call of one predictor in a run.

    ``request`` is the first that it makes as written, by which it is known again in the next pass;
    ``answers`` are the requests that were put with their responses, ``calls`` their entries in the trace.
    ``shown`` is the refused call whose output was shown to the LM, ``retries`` how often that was done,
    ``messages`` what was said each time. While ``served``, its responses come from an earlier pass and are
    in the trace already.
    """

    __slots__ = (
        "answers",
        "calls",
        "messages",
        "prediction",
        "predictor",
        "request",
        "retries",
        "served",
        "shown",
    )

    def __init__(self, predictor: Predict) -> None:
        self.predictor = predictor
        self.request: Request | None = None
        self.answers: list[tuple[Request, LMResponse]] = []
        self.shown: Visit | None = None
        self.calls: list[PredictorCall] = []
        self.prediction: Prediction | None = None
        self.retries = 0
        self.messages: tuple[str, ...] = ()
        self.served = False

    def begins_with(self, predictor: Predict, request: Request) -> bool:
        """Whether ``request`` is the first of this call."""
        return (
            self.predictor is predictor and self.request is not None and _key(self.request) == _key(request)
        )


class Backtrack(BaseException):
    """Raised where a check fails: ``frame`` is to run once more and to ask ``visit`` anew.

    No Exception, so that it goes past ``except Exception`` in users' code."""

    def __init__(self, frame: Frame, visit: Visit, message: str) -> None:
        super().__init__(message)
        self.frame = frame
        self.visit = visit
        self.message = message


class Frame:
    """One pass through the ``forward`` of a module.

    Parameters
    ----------
    module: the module that runs, or None for a part that runs outside of any.
    parent: the frame of the module that called it, or None.
    past: calls of earlier passes, answered from here where they are made again.
    refused: the one among them that is to be asked anew.
    asked: an entry a request that was put to the LM, in all passes.
    given: what the module was called with, positionally and by name; None for a part outside of any.

    ``hints`` is advice by the id of a predictor: its calls show it (see ``Refine``).
    """

    __slots__ = ("_lock", "asked", "given", "hints", "module", "parent", "past", "refused", "unmet", "visits")

    def __init__(
        self,
        module: Module | None,
        parent: Frame | None,
        past: list[Visit] | None = None,
        refused: Visit | None = None,
        asked: list[None] | None = None,
        given: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None,
    ) -> None:
        self.module = module
        self.given = given
        self.parent = parent
        self.past = past
        self.refused = refused
        self.asked: list[None] = [] if asked is None else asked
        self.visits: list[Visit] = []
        self.unmet: list[UnmetSuggestion] = []
        self.hints: Mapping[int, str] | None = None
        self._lock = None if past is None else Lock()

    def again(self, back: Backtrack) -> Frame:
        """Return the frame of the next pass."""
        visit = back.visit
        _reject(visit, back.message)
        if back.message not in visit.messages:
            visit.messages = (*visit.messages, back.message)
        past = [*self.visits, *(self.past or ())]
        return Frame(self.module, self.parent, past, visit, self.asked, self.given)

    def claim(self, predictor: Predict, request: Request) -> Visit | None:
        """Return the earlier call that is made again, if it is one, and forget it."""
        if self._lock is not None:
            with self._lock:
                past = self.past or []
                for place, visit in enumerate(past):
                    if visit.begins_with(predictor, request):
                        return past.pop(place)
        return None if self.parent is None else self.parent.claim(predictor, request)

    def is_refused(self, visit: Visit) -> bool:
        """Whether ``visit`` is to be asked anew, in this frame's pass or in one around it."""
        return visit is self.refused or (self.parent is not None and self.parent.is_refused(visit))

    def hint(self, predictor: Predict) -> str | None:
        """Return the advice to ``predictor``, here or around."""
        frame: Frame | None = self
        while frame is not None:
            if frame.hints is not None and id(predictor) in frame.hints:
                return frame.hints[id(predictor)]
            frame = frame.parent
        return None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Note calls within the block in this frame."""
        token = _frame.set(self)
        try:
            yield
        finally:
            _frame.reset(token)

    def last(self, accepts: Callable[[Predict], bool]) -> Visit | None:
        """Return the last finished call of a predictor that ``accepts``."""
        finished = (v for v in reversed(self.visits) if v.prediction is not None and accepts(v.predictor))
        return next(finished, None)

    def is_lost(self) -> bool:
        """Whether this pass did not make the call again that it was to ask anew: ``forward`` is not the
        same each time, so that another pass leads nowhere."""
        return self.refused is not None and any(visit is self.refused for visit in self.past or ())

    def asked_so_far(self, inner: Frame | None) -> int:
        """Return the requests put so far, with those of frames that still run, from ``inner`` outwards."""
        count = len(self.asked)
        while inner is not None and inner is not self:
            count += len(inner.asked)
            inner = inner.parent
        return count

    @staticmethod
    def tell(unmet: list[UnmetSuggestion]) -> None:
        """Count suggestions that do not hold in the end."""
        _tell(unmet)

    def close(self) -> None:
        """Hand what happened to the frame around it."""
        if self.parent is not None:
            self.parent.visits += self.visits
            self.parent.asked += self.asked
            self.parent.unmet += self.unmet
        elif self.unmet:
            _tell(self.unmet)


_frame: ContextVar[Frame | None] = ContextVar("lmprog_frame", default=None)


def current_frame() -> Frame | None:
    """Return the frame of the module that runs, or None."""
    return _frame.get()


def branched() -> Frame:
    """Return a frame for a part that runs beside others; ``close`` hands it to the frame that is current
    now."""
    outer = _frame.get()
    return Frame(None, None) if outer is None else Frame(outer.module, outer, given=outer.given)


def run(module: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run ``module.forward``, as often as its checks send it back."""
    frame = Frame(module, _frame.get(), given=(args, kwargs))
    while True:
        token = _frame.set(frame)
        try:
            result = module.forward(*args, **kwargs)
            if inspect.iscoroutine(result):
                result = finish(result)
        except Backtrack as back:
            frame = _next(frame, back)
            continue
        except BaseException:
            frame.close()
            raise
        finally:
            _frame.reset(token)
        frame.close()
        return result


async def arun(
    module: Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """The same for a coroutine function."""
    frame = Frame(module, _frame.get(), given=(args, kwargs))
    while True:
        token = _frame.set(frame)
        try:
            result = await forward(*args, **kwargs)
        except Backtrack as back:
            frame = _next(frame, back)
            continue
        except BaseException:
            frame.close()
            raise
        finally:
            _frame.reset(token)
        frame.close()
        return result


def _next(frame: Frame, back: Backtrack) -> Frame:
    if back.frame is frame:
        return frame.again(back)
    frame.unmet.clear()  # they are met again, or not, in the next pass of the frame around it
    frame.close()
    raise back


def revisited(frame: Frame, predictor: Predict, make_flow: Callable[[Visit, Visit | None], Flow]) -> Flow:
    """Return the flow of a call of ``predictor`` that notes itself in ``frame``, and asks for nothing that
    was answered in an earlier pass. ``make_flow(visit, refused)`` makes the flow as such."""
    visit = Visit(predictor)
    frame.visits.append(visit)
    flow = make_flow(visit, None)
    visit.request = request = next(flow)
    past = frame.claim(predictor, request)
    answers: list[tuple[Request, LMResponse]] = []
    if past is not None:
        refused = frame.is_refused(past)
        visit.retries, visit.messages = past.retries + refused, past.messages
        visit.shown = past if refused else past.shown
        if visit.shown is not None:
            flow = make_flow(visit, visit.shown)
            request = next(flow)
        if not refused:
            visit.calls, answers = past.calls, past.answers
    return (yield from _answered(frame, visit, flow, request, iter(answers)))


def _answered(
    frame: Frame,
    visit: Visit,
    flow: Flow,
    request: Request,
    known: Iterator[tuple[Request, LMResponse]],
) -> Flow:
    """Drive ``flow`` to its end: with what is known, then with what is asked for."""
    while True:
        asked, response = next(known, (None, None))
        visit.served = asked is not None and _key(asked) == _key(request)
        try:
            if not visit.served or response is None:
                frame.asked.append(None)
                response = yield request
        except LMRequestError as error:
            request = flow.throw(error)
            continue
        visit.answers.append((request, response))
        try:
            request = flow.send(response)
        except StopIteration as end:
            visit.prediction = end.value
            return visit.prediction


def _key(request: Request) -> str:
    return request.request.key if isinstance(request, Elsewhere) else request.key


def _reject(visit: Visit, message: str) -> None:
    from pytest_lmprog.programs.trace import current_trace

    trace = current_trace()
    if trace is not None:
        visit.calls = [trace.reject(call, message) for call in visit.calls]


def _tell(unmet: list[UnmetSuggestion]) -> None:
    from pytest_lmprog.lm.scope import current_scope
    from pytest_lmprog.programs.trace import current_trace

    trace, tally = current_trace(), current_scope().tally
    if trace is not None:
        trace.unmet += unmet
    if tally is not None:
        for _ in unmet:
            tally.bump("unmet")
