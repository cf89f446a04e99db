"""Keeping secrets out of everything we write, by their values.

What an LM knows to be secret (its key, its headers, the environment's keys) is replaced by
``[secret]`` in answers before they are used, in stored requests, and in error texts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "SHORTEST_SECRET",
    "Scrubber",
    "environment_secrets",
    "is_secret_name",
    "secrets_in",
    "secrets_in_headers",
    "secrets_in_url",
    "secrets_of",
]

SHORTEST_SECRET = 6
"""Shorter values are not replaced: they would be found in ordinary words."""

_SECRET_NAME = re.compile(
    r"(^|[_\-.])(api_?key|access_?key(_?id)?|secret(_?(access_?)?key)?|private_?key|signing_?key|key|"
    r"token|secret|pass(word|wd|phrase)?|pwd|credentials?|auth|authorization|bearer|cookie)s?$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(
    r"(max|min|stop|eos|bos|pad|unk|sep|top|completion|prompt|new|budget|output|input|reasoning|thinking)"
    r"_?(\w+_)?tokens?$|^tokens$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(
    r"(_|^)(API_?KEY|(ACCESS|SECRET|PRIVATE|ADMIN|AUTH)_KEY|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE
)
_MAYBE_SECRET_VARIABLE = re.compile(r"_(KEY|CREDENTIALS?|PASS)$", re.IGNORECASE)
_SHORTEST_DOUBTFUL = 16
_OPEN_HEADERS = re.compile(
    r"^(accept.*|cache-control|connection|content-.*|http-referer|referer|origin|user-agent|x-title|"
    r"x-request-id|.*-(beta|version))$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Tell whether an option or header of this name holds a secret (``azure_ad_token``, ``X-Api-Key``)."""
    return _SECRET_NAME.search(name) is not None and _NOT_SECRET.search(name) is None


class Scrubber:
    """Replaces secret values in text. Empty, it changes nothing; it is never printed with its values."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        kept = sorted({v for v in values if len(v) >= SHORTEST_SECRET}, key=lambda v: (-len(v), v))
        self._values = frozenset(kept)
        self._pattern = re.compile("|".join(map(re.escape, kept))) if kept else None

    def __call__(self, text: str) -> str:
        """Return ``text`` with every secret value replaced by ``[secret]``."""
        return text if self._pattern is None else self._pattern.sub("[secret]", text)

    def data(self, value: Any) -> Any:
        """Return plain ``value`` with every text in it scrubbed (keys of objects are left alone)."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.data(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(part) for part in value]
        return value

    def __bool__(self) -> bool:
        return bool(self._values)

    def __or__(self, other: Scrubber) -> Scrubber:
        return Scrubber(self._values | other._values)

    def __repr__(self) -> str:
        return f"<Scrubber of {len(self._values)} values>"


def environment_secrets(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the values of environment variables that are named like keys (``OPENAI_API_KEY``)."""
    environ = os.environ if environ is None else environ
    return frozenset(
        value
        for name, value in environ.items()
        if (len(value) >= SHORTEST_SECRET and _SECRET_VARIABLE.search(name))
        or (len(value) >= _SHORTEST_DOUBTFUL and _MAYBE_SECRET_VARIABLE.search(name))
    )


def secrets_in_headers(headers: Mapping[str, Any]) -> frozenset[str]:
    """Return the values of all headers but those that are no secret anywhere (``Content-Type``)."""
    return secrets_in({name: value for name, value in headers.items() if not _OPEN_HEADERS.match(name)})


def secrets_in(value: Any) -> frozenset[str]:
    """Return every text in ``value`` (a header mapping, credentials); of ``Bearer x`` also the ``x``."""
    if isinstance(value, str):
        return frozenset({value, *value.split(None, 1)[1:]})
    if isinstance(value, bytes):
        return secrets_in(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return frozenset().union(*map(secrets_in, value)) if value else frozenset()
    reveal = getattr(value, "get_secret_value", None)
    return secrets_in(reveal()) if callable(reveal) else frozenset()


def secrets_in_url(url: str | None) -> frozenset[str]:
    """Return user name, password and the query's values of ``url``, as written and decoded."""
    if not url:
        return frozenset()
    try:
        parts = urlsplit(url)
    except ValueError:
        return frozenset()
    info = parts.netloc.rpartition("@")[0]
    written = [info, *info.split(":", 1), *(part.partition("=")[2] for part in parts.query.split("&"))]
    return frozenset({*written, *map(unquote, written), *(v for _, v in parse_qsl(parts.query))} - {""})


def secrets_of(lm: Any) -> Scrubber:
    """Return the scrubber of what ``lm`` knows and of the environment's keys. ``lm`` may be None or any
    object; its ``secrets`` (an iterable of texts) counts where it has them."""
    return Scrubber({*getattr(lm, "secrets", ()), *environment_secrets()})
