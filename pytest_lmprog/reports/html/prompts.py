"""What the run did to a unit's prompts: the accepted snapshot beside the one that was tested."""

from __future__ import annotations

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.saved.run import SavedUnit
from pytest_lmprog.reports.diff.html import diff_fragment
from pytest_lmprog.reports.page import text
from pytest_lmprog.snapshots.artifact import Snapshot

__all__ = ["prompts"]


def prompts(unit: SavedUnit) -> str:
    """Return the prompt diff; nothing where the run tested what was accepted, in other words or not."""
    if unit.after is None or unit.after == unit.before:
        return ""
    try:
        return _changed(unit.before, unit.after)
    except LmprogError as error:
        return f'<p class="remark warn">The prompts cannot be compared: {text(error)}</p>'


def _changed(before: str | None, after: str) -> str:
    from pytest_lmprog.snapshots.diff import diff
    from pytest_lmprog.snapshots.text import from_text

    new = from_text(after, "the tested snapshot")
    if before is None:
        return f'<details class="prompts"><summary>New prompts</summary>{_messages(new)}</details>'
    found = diff(from_text(before, "the accepted snapshot"), new)
    if not found:
        return ""
    return (
        '<details class="prompts" open><summary>Prompts: accepted \u2192 tested</summary>'
        f"{diff_fragment(found)}</details>"
    )


def _messages(snapshot: Snapshot) -> str:
    return "".join(
        f"<h3><code>{text(name)}</code></h3>"
        + "".join(_message(m.get("role", ""), m.get("content")) for m in predictor.messages)
        for name, predictor in snapshot.predictors.items()
    )


def _message(role: object, content: object) -> str:
    return f'<div class="message {text(role)}"><b>{text(role)}</b><pre>{text(content)}</pre></div>'
