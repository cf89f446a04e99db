"""One run of a program on one set of inputs, with its trace."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from pytest_lmprog.errors import AnswerError, LmprogError
from pytest_lmprog.programs.context import context, current
from pytest_lmprog.programs.example import Prediction, own_copy
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import Trace, tracing
from pytest_lmprog.records import dataclass

__all__ = ["ProgramError", "Run", "forward_inputs", "predictor_names", "run_program"]

_AS_IS = nullcontext()


class ProgramError(AnswerError):
    """The program raised something of its own. ``kind`` is the exception's class name."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run: a prediction or an error that counts as the program's failure, and the
    calls that were made either way."""

    prediction: Prediction | None
    trace: Trace
    error: AnswerError | None = None


def run_program(
    program: Module,
    inputs: Mapping[str, Any],
    *,
    rollout: int = 0,
    params: Mapping[str, Any] | None = None,
    names: Mapping[int, str] | None = None,
) -> Run:
    """Run ``program`` on ``inputs``, under the active settings and call scope.

    ``names`` are those of the program's predictors by id, from ``predictor_names``, where the caller
    runs it often.

    An unparsable answer, or anything that the program itself raises, comes back as ``Run.error``.
    Errors that are not the program's (transport, replay miss, budget, usage) are raised.
    """
    trace = Trace(names=predictor_names(program) if names is None else names)
    now = current()
    changes = rollout != now.rollout or bool(params) or bool(now.params)
    try:
        with tracing(trace), context(rollout=rollout, params=dict(params or {})) if changes else _AS_IS:
            output = program(**{name: own_copy(value) for name, value in inputs.items()})
    except AnswerError as error:
        return Run(None, trace, error)
    except LmprogError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's program raises is its result
        cause = _program_error(error)
        return Run(None, trace, cause)
    return Run(_as_prediction(output), trace)


def predictor_names(program: Module) -> dict[int, str]:
    """Return the path of each predictor by its id, for the trace. Holds while the program does not change."""
    return {id(predictor): name for name, predictor in program.named_predictors()}


def _program_error(error: Exception) -> ProgramError:
    kind = type(error).__name__
    wrapped = ProgramError(f"the program raised {kind}: {error}", kind=kind)
    wrapped.__cause__ = error
    return wrapped


def _as_prediction(output: Any) -> Prediction:
    if isinstance(output, Prediction):
        return output
    if isinstance(output, Mapping):
        return Prediction(output)
    return Prediction(output=output)


def forward_inputs(program: Module) -> tuple[str, ...] | None:
    """Return the names of the parameters of ``forward`` (or ``aforward``): which fields of an example
    are inputs.

    None where ``forward`` takes ``**kwargs`` and the names are not to be had; a predictor's are its
    signature's input fields."""
    signature = getattr(program, "signature", None)
    names = getattr(signature, "input_fields", None)
    if names is not None:
        return tuple(names)
    own_forward = type(program).forward is not Module.forward
    function = program.forward if own_forward else getattr(program, "aforward", program.forward)
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        return None
    return tuple(p.name for p in parameters)
