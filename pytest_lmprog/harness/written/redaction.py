"""Snapshots without secrets, and as the project wants its texts stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pytest_lmprog.snapshots.artifact import PredictorSnapshot, Snapshot

__all__ = ["redacted"]


def redacted(snapshot: Snapshot, clean: Callable[[str], str]) -> Snapshot:
    """Return ``snapshot`` with ``clean`` applied to every prompt text; names stay as they are."""
    predictors = {name: _predictor(p, clean) for name, p in snapshot.predictors.items()}
    teleprompter = snapshot.header.teleprompter
    if teleprompter is not None:
        teleprompter = replace(teleprompter, settings=_data(teleprompter.settings, clean))
    return replace(
        snapshot, header=replace(snapshot.header, teleprompter=teleprompter), predictors=predictors
    )


def _predictor(predictor: PredictorSnapshot, clean: Callable[[str], str]) -> PredictorSnapshot:
    return replace(
        predictor,
        instructions=clean(predictor.instructions),
        demos=tuple(_data(demo, clean) for demo in predictor.demos),
        messages=tuple(_data(message, clean) for message in predictor.messages),
    )


def _data(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _data(part, clean) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_data(part, clean) for part in value]
    return value
