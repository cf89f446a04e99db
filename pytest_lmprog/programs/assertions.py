"""LM assertions (Singhvi et al., arXiv:2312.13382): checks within ``forward`` that send a predictor's output
back to it, with a message, before the program goes on or fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pytest_lmprog.errors import AssertionFailed, UsageError
from pytest_lmprog.programs.backtracking import Backtrack, Frame, Visit, current_frame
from pytest_lmprog.programs.checks import backtracks, calls_as_written
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import Predict
from pytest_lmprog.programs.trace import UnmetSuggestion, current_trace
from pytest_lmprog.signatures.signature import SignatureMeta
from pytest_lmprog.steady import steady

__all__ = ["Assert", "Suggest"]


def Assert(condition: Any, message: str = "", target_module: Any = None) -> bool:
    """Require that ``condition`` holds of what a predictor put out.

    Where it does not, ``forward`` runs again and the predictor is shown its past output and ``message``, at
    most ``max_backtracks`` times a call (2; see ``Module.activate_assertions``). What was answered before is
    not asked again. Then AssertionFailed is raised: the program failed.

    Parameters
    ----------
    condition: anything that is true or false.
    message: what is wrong and how to mend it: the LM reads it.
    target_module: whose output is wrong: a predictor, a module or a signature; by default the predictor
        called last.

    ``forward`` runs again from its start: what it does besides asking predictors is done again.
    """
    refused = _refused(condition, message, target_module)
    if refused is None:
        return True
    raise AssertionFailed(message, predictor=refused.name, retries=refused.retries)


def Suggest(condition: Any, message: str = "", target_module: Any = None) -> bool:
    """The same as ``Assert``, but where the retries are used up the program goes on. The suggestion is
    counted: in ``trace.unmet`` and in the run's summary. Returns whether the condition holds."""
    refused = _refused(condition, message, target_module)
    if refused is None:
        return True
    unmet = UnmetSuggestion(message, refused.name)
    frame = current_frame()
    if frame is not None:
        frame.unmet.append(unmet)
    else:
        Frame.tell([unmet])
    return False


class _Refused:
    """A check that failed for good: of which predictor, after how many retries."""

    def __init__(self, name: str | None = None, retries: int = 0) -> None:
        self.name = name
        self.retries = retries


def _refused(condition: Any, message: str, target: Any) -> _Refused | None:
    """Return None where ``condition`` holds. Raises Backtrack where the predictor can be asked again."""
    _check_arguments(condition, message)
    if condition:
        return None
    frame, visit = _asked_last(target)
    if frame is None or visit is None:
        return _Refused()
    if _may_retry(frame, visit):
        raise Backtrack(frame, visit, steady(message))
    return _Refused(_name(frame, visit), visit.retries)


def _check_arguments(condition: Any, message: Any) -> None:
    if inspect.isawaitable(condition) or inspect.isroutine(condition):
        raise UsageError(
            f"the condition of an assertion is a {type(condition).__name__}, which always holds",
            hint="call it, or await it, and pass what it returns",
        )
    if not isinstance(message, str):
        raise UsageError(f"the message of an assertion must be a text, not {message!r}")


def _asked_last(target: Any) -> tuple[Frame | None, Visit | None]:
    """Return the last call of ``target``'s predictors, and the frame of the module that made it."""
    accepts = _accepting(target)
    frame = current_frame()
    while frame is not None:
        visit = frame.last(accepts)
        if visit is not None:
            return frame, visit
        frame = frame.parent
    return None, None


def _accepting(target: Any) -> Callable[[Predict], bool]:
    if target is None:
        return lambda _: True
    if isinstance(target, Module):
        held = {id(predictor) for predictor in target.predictors()}
        return lambda predictor: id(predictor) in held
    if isinstance(target, SignatureMeta):
        return lambda predictor: predictor.signature.equals(target)
    raise UsageError(
        f"target_module must be a predictor, a module or a signature, not {target!r}",
        hint="pass the predictor itself: target_module=self.classify",
    )


def _may_retry(frame: Frame, visit: Visit) -> bool:
    """Whether ``visit`` may be asked once more.

    A call is retried ``limit`` times at most, and a pass through ``forward`` that makes ``slots`` calls never
    leads to more than ``slots * (limit + 1)``: that is what ``max_calls`` declares."""
    limit = backtracks(frame)
    if visit.retries >= limit or frame.is_lost():
        return False
    written = calls_as_written(frame.module)
    if written is None:
        return True
    before = 0
    for other in frame.visits:
        if other is visit:
            break
        before += other.predictor.max_calls()
    slots = max(written, before + visit.predictor.max_calls())
    return frame.asked_so_far(current_frame()) + slots - before <= slots * (limit + 1)


def _name(frame: Frame, visit: Visit) -> str:
    """Return the predictor's path in the program that runs."""
    trace = current_trace()
    if trace is not None and id(visit.predictor) in trace.names:
        return trace.names[id(visit.predictor)]
    frames = [frame]
    while frames[-1].parent is not None:
        frames.append(frames[-1].parent)
    for outer in reversed(frames):
        for name, predictor in outer.module.named_predictors() if outer.module is not None else ():
            if predictor is visit.predictor:
                return name
    return type(visit.predictor).__name__
