"""Lines for whoever waits: that something takes long because it is done for the first time."""

from __future__ import annotations

import sys

from pytest_lmprog.lm.scope import current_scope

__all__ = ["notify"]


def notify(line: str) -> None:
    """Tell ``line`` to the active scope's ``notify``; without one, write it to standard error."""
    told = current_scope().notify
    if told is not None:
        told(line)
    elif sys.stderr is not None:
        print(f"pytest-lmprog: {line}", file=sys.stderr, flush=True)
