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
    from pytest_lmprog.adapters import PROMPT_FORMAT, adapter_named
    from pytest_lmprog.snapshots.capture import capture

    adapter = adapter_named(snapshot.header.adapter)
    if adapter is None or snapshot.header.prompt_format != PROMPT_FORMAT:
        return []
    model = snapshot.header.model
    rendered = capture(restored, adapter, tools=model is not None and model.capabilities.tools is True)
    return [
        name
        for name, stored in snapshot.predictors.items()
        if name in rendered and list(stored.messages) != list(rendered[name].messages)
    ]


def looks_edited(predictor: PredictorSnapshot) -> bool:
    """Return whether the messages lack the instructions or a text of a demo, or show another number of
    demos. Needs no program, and so cannot see every edit."""
    contents = [str(message.get("content") or "") for message in predictor.messages]
    if not contents:
        return False
    shown = sum(message.get("role") == "assistant" for message in predictor.messages)
    if shown != len(predictor.shown_demos) or not _holds(contents, predictor.instructions):
        return True
    names = {field.name for field in predictor.fields}
    return not all(_holds(contents, text) for demo in predictor.shown_demos for text in _texts(demo, names))


def _texts(demo: Mapping[str, Any], names: set[str]) -> list[str]:
    """Return the texts that the prompt shows: a counterexample has more, for prompts of retries."""
    return [value for name, value in demo.items() if isinstance(value, str) and name in names]


def _holds(contents: list[str], text: str) -> bool:
    text = text.strip()
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return any(text in content or escaped in content for content in contents)
