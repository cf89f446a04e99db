"""The shell of every HTML page this package writes: one self-contained file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from typing import Any

from pytest_lmprog.reports.visible import visible

__all__ = ["asset", "embedded_json", "page", "text"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="pytest-lmprog">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
<script>{theme}</script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar"><h1>{title}</h1>
<button type="button" id="theme" class="quiet">Theme</button></header>
<main id="main" tabindex="-1">
{body}
</main>
{data}<script>{script}</script>
</body>
</html>
"""

_DATA = '<script type="application/json" id="data">{}</script>\n'

# Scripts run by digest only: even text that slipped through unescaped could not run. Styles cannot reach
# the network either, as there is no source for images or fonts.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(
    "[<>&\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)


def page(title: str, body: str, *, data: Any = None, script: str = "", style: str = "") -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title: plain text; the page's heading as well.
    body: HTML, safe already (see ``text``).
    data: JSON data for ``script``, which finds it as the text of ``#data``.
    script, style: own JavaScript and CSS, in addition to the shell's. They stand in the page as they are.

    Deterministic. Holds no lone surrogate, so that it can be written as UTF-8.
    """
    if "</script" in script.lower():
        raise ValueError("a script that holds </script would end its own element")
    theme, own = asset("pytest_lmprog.reports", "page.js"), f"\n{script.strip()}\n"
    return _PAGE.format(
        policy=_POLICY.format(scripts=f"{_digest(theme)} {_digest(own)}"),
        title=text(title),
        style=asset("pytest_lmprog.reports", "page.css") + style,
        theme=theme,
        body=_SURROGATE.sub("\ufffd", body),
        data="" if data is None else _DATA.format(embedded_json(data)),
        script=own,
    )


def _digest(script: str) -> str:
    hashed = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(hashed).decode()}'"


def text(value: object) -> str:
    """Return ``value`` as HTML that shows it as text, in an element or in a quoted attribute.

    What would be invisible or could reorder the line stands as an escape (see ``visible``)."""
    return html.escape(visible(str(value)))


def embedded_json(data: Any) -> str:
    """Return JSON that can stand in a ``<script>`` element and be written as UTF-8, whatever it holds.

    Raises ValueError for numbers that JSON does not have."""
    dumped = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", dumped)


@cache
def asset(package: str, name: str) -> str:
    """Return a text file of a package."""
    from importlib.resources import files

    return files(package).joinpath(name).read_text(encoding="utf-8")
