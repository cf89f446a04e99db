"""Hand edits: rendered messages that no longer fit the instructions, fields and demos they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.snapshots.artifact import PredictorSnapshot, Snapshot

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module

__all__ = ["edited_predictors", "looks_edited"]


def edited_predictors(snapshot: Snapshot, restored: Module) -> list[str]:
    """Return the names of the predictors whose stored messages are not what ``restored`` (the program
    with the snapshot's prompts) renders to. Empty where this version renders another prompt format."""
    from pytest_lmprog.adapters.base import PROMPT_FORMAT
    from pytest_lmprog.snapshots.capture import capture

    adapter = _adapter(snapshot.header.adapter)
    if adapter is None or snapshot.header.prompt_format != PROMPT_FORMAT:
        return []
    rendered = capture(restored, adapter)
    return [
        name
        for name, stored in snapshot.predictors.items()
        if name in rendered and list(stored.messages) != list(rendered[name].messages)
    ]


def _adapter(name: str) -> Any:
    from pytest_lmprog.adapters import ChatAdapter, JSONAdapter

    return {"chat": ChatAdapter, "json": JSONAdapter}.get(name, lambda: None)()


def looks_edited(predictor: PredictorSnapshot) -> bool:
    """Return whether the messages lack the instructions or a text of a demo, or show another number of
    demos. Needs no program, and so cannot see every edit."""
    contents = [str(message.get("content") or "") for message in predictor.messages]
    if not contents:
        return False
    shown = sum(message.get("role") == "assistant" for message in predictor.messages)
    if shown != len(predictor.demos) or not _holds(contents, predictor.instructions):
        return True
    return not all(_holds(contents, text) for demo in predictor.demos for text in _texts(demo))


def _texts(demo: Mapping[str, Any]) -> list[str]:
    return [value for value in demo.values() if isinstance(value, str)]


def _holds(contents: list[str], text: str) -> bool:
    text = text.strip()
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return any(text in content or escaped in content for content in contents)
