"""Foreign text in Markdown, as GitHub shows it: no markup, no mention, no table cell breaks out of it."""

from __future__ import annotations

import re

from pytest_lmprog.reports.visible import visible

__all__ = ["code", "entities", "plain"]

_MOST_CODE = 200
_SAFE = re.compile(r"[ \w.,:;=()/\[\]{}'\"+-]*")
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+!|<>~&@$:\"']")


def code(text: str) -> str:
    """Return ``text`` as a code span that also holds in a table: one line, 200 characters at most."""
    shown = visible(text.replace("\n", "\\n").replace("\t", "\\t"))
    if len(shown) > _MOST_CODE:
        shown = f"{shown[: _MOST_CODE - 3]}..."
    if shown.strip() and _SAFE.fullmatch(shown):
        return f"`{shown}`"
    return f"<code>{entities(shown)}</code>"


def plain(text: str) -> str:
    """Return ``text`` as ordinary words: shown as they are, in one line, and nobody mentioned."""
    return entities(visible(" ".join(text.split()))).replace("&#64;", "&#64;<!-- -->")


def entities(text: str) -> str:
    """Return ``text`` with every character that means something to Markdown or HTML as an entity."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", text)
