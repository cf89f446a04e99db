"""What a project's conftest.py may add to a session, as plain callables: the harness knows no pytest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.teleprompt.base import CompileResult, Teleprompter

__all__ = ["Hooks"]


def _nothing(*args: Any) -> Any:
    del args


@dataclass(frozen=True, slots=True)
class Hooks:
    """The ``pytest_lmprog_*`` hooks with ``config`` bound. Each returns None to leave it to the harness.

    Parameters
    ----------
    make_lm: the LM for a model name (or None: no name is configured).
    make_teleprompter: the teleprompter for a unit's id.
    make_executor: an executor of threads with that many workers.
    redact: text without what must not be stored; None where no hook is implemented, which is faster.
    compiled: told of a unit's id and its result.
    """

    make_lm: Callable[[str | None], LanguageModel | None] = _nothing
    make_teleprompter: Callable[[str], Teleprompter | None] = _nothing
    make_executor: Callable[[int], Executor | None] = _nothing
    redact: Callable[[str], str | None] | None = None
    compiled: Callable[[str, CompileResult], None] = _nothing
